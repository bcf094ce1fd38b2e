// SPDX-License-Identifier: GPL-2.0-only
/*
 * Svan RDMA NIC: PCI binding of a function, physical or virtual.
 */
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "svan.h"

static DEFINE_IDA(svan_ida);

static struct svan_dev *svan_dev_alloc(struct pci_dev *pdev)
{
	struct svan_dev *dev;

	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return NULL;
	dev->id = ida_alloc(&svan_ida, GFP_KERNEL);
	if (dev->id < 0) {
		kfree(dev);
		return NULL;
	}
	dev->pdev = pdev;
	xa_init(&dev->cqs);
	xa_init(&dev->qps);
	xa_init(&dev->srqs);
	mutex_init(&dev->fail_lock);
	mutex_init(&dev->page_lock);
	spin_lock_init(&dev->inv_lock);
	BLOCKING_INIT_NOTIFIER_HEAD(&dev->notifier);
	svan_dev_init_events(dev);
	return dev;
}

static void svan_dev_free(struct svan_dev *dev)
{
	WARN_ON(!xa_empty(&dev->cqs));
	WARN_ON(!xa_empty(&dev->qps));
	WARN_ON(!xa_empty(&dev->srqs));
	WARN_ON(dev->page_handler);
	xa_destroy(&dev->cqs);
	xa_destroy(&dev->qps);
	xa_destroy(&dev->srqs);
	mutex_destroy(&dev->page_lock);
	mutex_destroy(&dev->fail_lock);
	ida_free(&svan_ida, dev->id);
	kfree(dev);
}

static int svan_map_bars(struct svan_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;

	if (pci_resource_len(pdev, SVAN_BAR_REGS) < SVAN_BAR_REGS_SIZE ||
	    pci_resource_len(pdev, SVAN_BAR_UAR) < SVAN_UAR_SIZE) {
		dev_err(&pdev->dev, "BARs are too small\n");
		return -ENODEV;
	}
	dev->regs = pci_iomap_range(pdev, SVAN_BAR_REGS, 0, SVAN_REG_END);
	if (!dev->regs)
		return -ENOMEM;
	dev->uar = pci_iomap_range(pdev, SVAN_BAR_UAR, 0, SVAN_UAR_SIZE);
	if (!dev->uar) {
		pci_iounmap(pdev, dev->regs);
		return -ENOMEM;
	}
	dev->uar_phys = pci_resource_start(pdev, SVAN_BAR_UAR);
	return 0;
}

static void svan_unmap_bars(struct svan_dev *dev)
{
	pci_iounmap(dev->pdev, dev->uar);
	pci_iounmap(dev->pdev, dev->regs);
}

static int svan_pci_enable(struct svan_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	int err;

	err = pci_enable_device_mem(pdev);
	if (err)
		return err;
	err = pci_request_mem_regions(pdev, KBUILD_MODNAME);
	if (err)
		goto err_disable;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto err_release;
	/* The length field of a scatter/gather entry has 32 bits. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	err = svan_map_bars(dev);
	if (err)
		goto err_release;
	return 0;

err_release:
	pci_release_mem_regions(pdev);
err_disable:
	pci_disable_device(pdev);
	return err;
}

static void svan_pci_disable(struct svan_dev *dev)
{
	svan_unmap_bars(dev);
	pci_release_mem_regions(dev->pdev);
	pci_disable_device(dev->pdev);
}

static int svan_alloc_memory(struct svan_dev *dev)
{
	int err;

	dev->page = dma_alloc_coherent(&dev->pdev->dev, SVAN_PAGE_BYTES,
				       &dev->page_dma, GFP_KERNEL);
	if (!dev->page)
		return -ENOMEM;
	err = svan_cmdq_alloc(dev, svan_dev_fail);
	if (err)
		dma_free_coherent(&dev->pdev->dev, SVAN_PAGE_BYTES, dev->page,
				  dev->page_dma);
	return err;
}

static void svan_free_memory(struct svan_dev *dev)
{
	svan_cmdq_free(dev);
	dma_free_coherent(&dev->pdev->dev, SVAN_PAGE_BYTES, dev->page,
			  dev->page_dma);
}

static int svan_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct svan_dev *dev;
	int err;

	dev = svan_dev_alloc(pdev);
	if (!dev)
		return -ENOMEM;
	err = svan_pci_enable(dev);
	if (err)
		goto err_free_dev;
	err = svan_alloc_memory(dev);
	if (err)
		goto err_pci_exit;
	err = svan_dev_start(dev);
	if (err)
		goto err_free_memory;
	err = svan_sriov_init(dev);
	if (err)
		goto err_dev_stop;
	err = svan_netdev_create(dev);
	if (err)
		goto err_sriov_exit;
	err = svan_aux_add_awake(dev);
	if (err)
		goto err_netdev_unregister;
	pci_set_drvdata(pdev, dev);
	pci_save_state(pdev);
	svan_debugfs_add(dev);
	svan_dev_unblock_events(dev);
	svan_sriov_start(dev);
	return 0;

err_netdev_unregister:
	svan_netdev_unregister(dev);
	svan_netdev_free(dev);
err_sriov_exit:
	svan_sriov_exit(dev);
err_dev_stop:
	svan_dev_stop(dev);
err_free_memory:
	svan_free_memory(dev);
err_pci_exit:
	svan_pci_disable(dev);
err_free_dev:
	svan_dev_free(dev);
	return err;
}

static void svan_remove(struct pci_dev *pdev)
{
	struct svan_dev *dev = pci_get_drvdata(pdev);

	svan_sriov_stop(dev);
	svan_dev_block_events(dev);
	svan_debugfs_del(dev);
	svan_aux_del(dev);
	svan_netdev_unregister(dev);
	if (dev->started)
		svan_dev_stop(dev);
	svan_netdev_free(dev);
	svan_sriov_exit(dev);
	svan_free_memory(dev);
	svan_pci_disable(dev);
	svan_dev_free(dev);
}

/*
 * The device is reset, so it does no more DMA. Nothing is freed, since the kernel
 * that runs next starts afresh.
 */
static void svan_shutdown(struct pci_dev *pdev)
{
	struct svan_dev *dev = pci_get_drvdata(pdev);

	svan_dev_block_events(dev);
	svan_netdev_detach(dev);
	svan_dev_silence(dev);
	pci_clear_master(pdev);
}

static const struct pci_device_id svan_pci_ids[] = {
	{ PCI_DEVICE(SVAN_PCI_VENDOR_ID, SVAN_PCI_DEVICE_ID_PF) },
	{ PCI_DEVICE(SVAN_PCI_VENDOR_ID, SVAN_PCI_DEVICE_ID_VF) },
	{ }
};
MODULE_DEVICE_TABLE(pci, svan_pci_ids);

static struct pci_driver svan_pci_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= svan_pci_ids,
	.probe		= svan_probe,
	.remove		= svan_remove,
	.shutdown	= svan_shutdown,
	.sriov_configure = svan_sriov_configure,
	.err_handler	= &svan_err_handler,
	.driver.pm	= pm_sleep_ptr(&svan_pm_ops),
};

static int __init svan_module_init(void)
{
	int err;

	svan_debugfs_init();
	err = svan_sleep_init(&svan_pci_driver);
	if (err)
		goto err_debugfs_exit;
	err = pci_register_driver(&svan_pci_driver);
	if (err)
		goto err_sleep_exit;
	return 0;

err_sleep_exit:
	svan_sleep_exit();
err_debugfs_exit:
	svan_debugfs_exit();
	return err;
}
module_init(svan_module_init);

static void __exit svan_module_exit(void)
{
	pci_unregister_driver(&svan_pci_driver);
	svan_sleep_exit();
	svan_debugfs_exit();
}
module_exit(svan_module_exit);

MODULE_DESCRIPTION("Svan RDMA NIC, core and Ethernet");
MODULE_LICENSE("GPL");
