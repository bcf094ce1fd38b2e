// SPDX-License-Identifier: GPL-2.0-only
/*
 * Svan accelerator: PCI binding. Everything that is taken here goes with the binding;
 * the DRM device stays for as long as files or dma-bufs are open.
 */
#include <drm/drm_drv.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <svan/regs.h>

#include "svan_accel.h"

static void svan_accel_init_locks(struct svan_accel_dev *dev)
{
	mutex_init(&dev->contexts_lock);
	mutex_init(&dev->memory_lock);
	mutex_init(&dev->exports_lock);
	INIT_LIST_HEAD(&dev->contexts);
	INIT_LIST_HEAD(&dev->exports);
}

static int svan_accel_map_bars(struct svan_accel_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	struct device *device = &pdev->dev;

	if (pci_resource_len(pdev, SVAN_ACCEL_BAR_REGS) < SVAN_ACCEL_BAR_REGS_SIZE ||
	    pci_resource_len(pdev, SVAN_ACCEL_BAR_DB) <
		    SVAN_ACCEL_CONTEXTS << SVAN_ACCEL_DB_SHIFT)
		return dev_err_probe(device, -ENODEV, "BARs are too small\n");

	dev->regs = devm_ioremap(device, pci_resource_start(pdev, SVAN_ACCEL_BAR_REGS),
				 SVAN_ACCEL_REG_END);
	/*
	 * The mapping of all local memory also makes its mappings into processes
	 * write-combined: the kernel keeps the type of a page the same everywhere.
	 */
	dev->local = devm_ioremap_wc(device, pci_resource_start(pdev, SVAN_ACCEL_BAR_MEM),
				     pci_resource_len(pdev, SVAN_ACCEL_BAR_MEM));
	if (!dev->regs || !dev->local)
		return -ENOMEM;
	dev->local_phys = pci_resource_start(pdev, SVAN_ACCEL_BAR_MEM);
	dev->doorbells_phys = pci_resource_start(pdev, SVAN_ACCEL_BAR_DB);
	return 0;
}

static int svan_accel_pci_enable(struct svan_accel_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = pcim_request_all_regions(pdev, KBUILD_MODNAME);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
	if (err)
		return err;
	/* The length field of a scatter/gather entry has 32 bits. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	return svan_accel_map_bars(dev);
}

static int svan_accel_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct svan_accel_dev *dev;
	int err;

	dev = devm_drm_dev_alloc(&pdev->dev, &svan_accel_driver, struct svan_accel_dev,
				 drm);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev->pdev = pdev;
	svan_accel_init_locks(dev);
	pci_set_drvdata(pdev, dev);

	err = svan_accel_pci_enable(dev);
	if (err)
		return err;
	err = svan_accel_start(dev);
	if (err)
		return err;
	err = svan_accel_memory_init(dev);
	if (err)
		goto err_stop;
	err = svan_accel_irqs_request(dev);
	if (err)
		goto err_stop;
	svan_accel_debugfs_add(dev);
	err = drm_dev_register(&dev->drm, 0);
	if (err)
		goto err_stop;
	pci_save_state(pdev);
	return 0;

err_stop:
	svan_accel_stop(dev);
	return err;
}

/*
 * Files and dma-bufs may be open. When the contexts are torn down the device accesses no
 * memory of this host any more; when the exports are revoked no other device accesses
 * this one's.
 */
static void svan_accel_remove(struct pci_dev *pdev)
{
	struct svan_accel_dev *dev = pci_get_drvdata(pdev);
	struct svan_accel_ctx *ctx;

	drm_dev_unplug(&dev->drm);
	mutex_lock(&dev->contexts_lock);
	list_for_each_entry(ctx, &dev->contexts, link) {
		svan_accel_ctx_tear_down(ctx);
		svan_accel_event_signal(svan_accel_slot(ctx), DRM_SVAN_ACCEL_EVENT_FAULT);
	}
	mutex_unlock(&dev->contexts_lock);
	svan_accel_revoke_exports(dev);
	svan_accel_stop(dev);
}

/*
 * The device is reset, so it does no more DMA. Nothing is freed, since the kernel
 * that runs next starts afresh.
 */
static void svan_accel_shutdown(struct pci_dev *pdev)
{
	svan_accel_take_down(pci_get_drvdata(pdev));
}

static const struct pci_device_id svan_accel_pci_ids[] = {
	{ PCI_DEVICE(SVAN_PCI_VENDOR_ID, SVAN_PCI_DEVICE_ID_ACCEL) },
	{ }
};
MODULE_DEVICE_TABLE(pci, svan_accel_pci_ids);

static struct pci_driver svan_accel_pci_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= svan_accel_pci_ids,
	.probe		= svan_accel_probe,
	.remove		= svan_accel_remove,
	.shutdown	= svan_accel_shutdown,
	.err_handler	= &svan_accel_err_handler,
	.driver.pm	= pm_sleep_ptr(&svan_accel_pm_ops),
};
module_pci_driver(svan_accel_pci_driver);

MODULE_DESCRIPTION("Svan accelerator");
MODULE_LICENSE("GPL");
