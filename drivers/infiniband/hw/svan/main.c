// SPDX-License-Identifier: GPL-2.0-only
/* Binding to the auxiliary device of a function, and the events of its port. */

#include <linux/cc_platform.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/swiotlb.h>
#include <net/addrconf.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

static struct lock_class_key svan_bh_xa_key;

static const struct ib_device_ops svan_ib_ops = {
	.owner = THIS_MODULE,
	.driver_id = RDMA_DRIVER_UNKNOWN,
	.uverbs_abi_ver = SVAN_UVERBS_ABI_VERSION,

	.add_gid = svan_ib_add_gid,
	.advise_mr = svan_ib_advise_mr,
	.alloc_hw_port_stats = svan_ib_alloc_hw_port_stats,
	.alloc_pd = svan_ib_alloc_pd,
	.alloc_ucontext = svan_ib_alloc_ucontext,
	.attach_mcast = svan_ib_attach_mcast,
	.create_ah = svan_ib_create_ah,
	.create_cq = svan_ib_create_cq,
	.create_qp = svan_ib_create_qp,
	.create_srq = svan_ib_create_srq,
	.create_user_ah = svan_ib_create_ah,
	.dealloc_pd = svan_ib_dealloc_pd,
	.dealloc_ucontext = svan_ib_dealloc_ucontext,
	.del_gid = svan_ib_del_gid,
	.dereg_mr = svan_ib_dereg_mr,
	.destroy_ah = svan_ib_destroy_ah,
	.destroy_cq = svan_ib_destroy_cq,
	.destroy_qp = svan_ib_destroy_qp,
	.destroy_srq = svan_ib_destroy_srq,
	.detach_mcast = svan_ib_detach_mcast,
	.disassociate_ucontext = svan_ib_disassociate_ucontext,
	.fill_res_cq_entry = svan_ib_fill_res_cq,
	.fill_res_mr_entry = svan_ib_fill_res_mr,
	.fill_res_qp_entry = svan_ib_fill_res_qp,
	.fill_res_srq_entry = svan_ib_fill_res_srq,
	.fill_stat_mr_entry = svan_ib_fill_stat_mr,
	.get_dev_fw_str = svan_ib_get_fw_str,
	.get_dma_mr = svan_ib_get_dma_mr,
	.get_hw_stats = svan_ib_get_hw_stats,
	.get_link_layer = svan_ib_get_link_layer,
	.get_port_immutable = svan_ib_get_port_immutable,
	.mmap = svan_ib_mmap,
	.mmap_free = svan_ib_mmap_free,
	.modify_cq = svan_ib_modify_cq,
	.modify_qp = svan_ib_modify_qp,
	.modify_srq = svan_ib_modify_srq,
	.poll_cq = svan_ib_poll_cq,
	.post_recv = svan_ib_post_recv,
	.post_send = svan_ib_post_send,
	.post_srq_recv = svan_ib_post_srq_recv,
	.query_ah = svan_ib_query_ah,
	.query_device = svan_ib_query_device,
	.query_pkey = svan_ib_query_pkey,
	.query_port = svan_ib_query_port,
	.query_qp = svan_ib_query_qp,
	.query_srq = svan_ib_query_srq,
	.reg_user_mr = svan_ib_reg_user_mr,
	.reg_user_mr_dmabuf = svan_ib_reg_user_mr_dmabuf,
	.req_notify_cq = svan_ib_req_notify_cq,
	.rereg_user_mr = svan_ib_rereg_user_mr,

	INIT_RDMA_OBJ_SIZE(ib_ah, svan_ib_ah, ibah),
	INIT_RDMA_OBJ_SIZE(ib_cq, svan_ib_cq, ibcq),
	INIT_RDMA_OBJ_SIZE(ib_pd, svan_ib_pd, ibpd),
	INIT_RDMA_OBJ_SIZE(ib_qp, svan_ib_qp, ibqp),
	INIT_RDMA_OBJ_SIZE(ib_srq, svan_ib_srq, ibsrq),
	INIT_RDMA_OBJ_SIZE(ib_ucontext, svan_ib_ucontext, ibucontext),
};

static void svan_ib_dispatch(struct svan_ib_dev *dev, enum ib_event_type type)
{
	struct ib_event event = {
		.device = &dev->ibdev,
		.element.port_num = SVAN_IB_PORT,
		.event = type,
	};

	trace_svan_ib_port_event(&dev->ibdev, type);
	ib_dispatch_event(&event);
}

/* Announce the state of the port if it has changed. */
static void svan_ib_port_changed(struct svan_ib_dev *dev)
{
	enum ib_port_state state;

	mutex_lock(&dev->port_lock);
	state = svan_ib_port_state(dev);
	if (state != dev->port_state) {
		dev->port_state = state;
		svan_ib_dispatch(dev, state == IB_PORT_ACTIVE ?
				 IB_EVENT_PORT_ACTIVE : IB_EVENT_PORT_ERR);
	}
	mutex_unlock(&dev->port_lock);
}

/* Announce the function's death once: this RDMA device does not recover from it. */
static void svan_ib_fatal(struct svan_ib_dev *dev)
{
	mutex_lock(&dev->port_lock);
	if (!dev->fatal) {
		dev->fatal = true;
		svan_ib_dispatch(dev, IB_EVENT_DEVICE_FATAL);
	}
	mutex_unlock(&dev->port_lock);
}

static int svan_ib_netdev_event(struct notifier_block *nb, unsigned long event,
				void *arg)
{
	struct svan_ib_dev *dev = container_of(nb, struct svan_ib_dev, netdev_nb);

	if (netdev_notifier_info_to_dev(arg) != svan_netdev(dev->sdev))
		return NOTIFY_DONE;

	switch (event) {
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		svan_ib_port_changed(dev);
		return NOTIFY_OK;
	default:
		return NOTIFY_DONE;
	}
}

static int svan_ib_aux_event(struct notifier_block *nb, unsigned long event,
			     void *arg)
{
	struct svan_ib_dev *dev = container_of(nb, struct svan_ib_dev, aux_nb);

	switch (event) {
	case SVAN_NOTIFY_PORT:
		svan_ib_port_changed(dev);
		return NOTIFY_OK;
	case SVAN_NOTIFY_FATAL:
		svan_ib_fatal(dev);
		return NOTIFY_OK;
	default:
		return NOTIFY_DONE;
	}
}

/*
 * Why implicit keys cannot be process keys; NULL if they can. The device uses the physical
 * addresses in page tables as bus addresses, so they must be the same.
 */
static const char *svan_ib_no_process_keys(struct svan_ib_dev *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(svan_ib_dma_device(dev));
	const struct svan_caps *caps = dev->caps;

	if (!(le64_to_cpu(caps->features) & SVAN_CAP_PROCESS_KEYS))
		return svan_cap_off_text(caps);
	if (!le32_to_cpu(caps->max_pasid))
		return "the device has no PASIDs";
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return "memory is encrypted";
	if (domain && domain->type != IOMMU_DOMAIN_IDENTITY)
		return "an IOMMU translates the device's addresses";
	return NULL;
}

/*
 * Choose the kinds of keys, from what the device can do and what the machine allows.
 * With bounce buffers the device cannot reach the memory of a process.
 */
static void svan_ib_choose_keys(struct svan_ib_dev *dev)
{
	struct device *dma_dev = svan_ib_dma_device(dev);
	u64 features = le64_to_cpu(dev->caps->features);
	const char *reason;

	if (is_swiotlb_force_bounce(dma_dev))
		return;

	/* On-demand keys need page requests: the driver fills their tables on request. */
	dev->ondemand_keys = features & SVAN_CAP_ONDEMAND_KEYS &&
			     features & SVAN_CAP_PAGE_REQUESTS &&
			     le32_to_cpu(dev->caps->max_page_requests) >=
			     BIT(SVAN_PRQ_MIN_LOG_SIZE);
	reason = svan_ib_no_process_keys(dev);
	dev->process_keys = !reason;
	if (dev->ondemand_keys && reason)
		dev_info(dma_dev, "process keys are served on demand: %s\n", reason);
}

/* Called before anybody can register memory. After an error svan_ib_exit_faults() cleans up. */
static int svan_ib_init_faults(struct svan_ib_dev *dev)
{
	int err;

	err = svan_contexts_init(dev);
	if (err)
		return err;
	err = svan_ib_prq_create(dev, svan_fault_begin);
	if (err)
		return err;
	return svan_spare_init(dev);
}

/* Parts that have not been created are skipped. */
static void svan_ib_exit_faults(struct svan_ib_dev *dev)
{
	svan_spare_exit(dev);
	svan_ib_prq_destroy(dev);
	svan_learn_exit(dev);
	svan_contexts_exit(dev);
	WARN_ON(!xa_empty(&dev->odps));
	xa_destroy(&dev->odps);
}

/* ib_dealloc_device() calls this once, when no operation can run any more. */
static void svan_ib_dealloc_driver(struct ib_device *ibdev)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibdev);

	destroy_workqueue(dev->uars_wq);
	svan_ib_exit_faults(dev);
	WARN_ON(!xa_empty(&dev->user_uars));
	WARN_ON(!xa_empty(&dev->kernel_qps) || !xa_empty(&dev->user_qps));
	xa_destroy(&dev->user_qps);
	xa_destroy(&dev->kernel_qps);
	xa_destroy(&dev->user_uars);
	ida_destroy(&dev->owners);
	mutex_destroy(&dev->uars_lock);
	mutex_destroy(&dev->port_lock);
}

static struct svan_ib_dev *svan_ib_alloc(struct svan_dev *sdev)
{
	static const struct ib_device_ops dealloc_ops = {
		.dealloc_driver = svan_ib_dealloc_driver,
	};
	struct net_device *netdev = svan_netdev(sdev);
	struct svan_ib_dev *dev;
	struct ib_device *ibdev;

	dev = ib_alloc_device(svan_ib_dev, ibdev);
	if (!dev)
		return NULL;
	dev->uars_wq = alloc_workqueue("svan_uars", WQ_UNBOUND, 0);
	if (!dev->uars_wq) {
		ib_dealloc_device(&dev->ibdev);
		return NULL;
	}

	dev->sdev = sdev;
	dev->caps = svan_caps(sdev);
	dev->aux_nb.notifier_call = svan_ib_aux_event;
	dev->netdev_nb.notifier_call = svan_ib_netdev_event;
	dev->port_state = IB_PORT_DOWN;
	mutex_init(&dev->port_lock);
	mutex_init(&dev->uars_lock);
	ida_init(&dev->owners);
	xa_init(&dev->user_uars);
	xa_init(&dev->kernel_qps);
	xa_init(&dev->user_qps);
	xa_init_flags(&dev->odps, XA_FLAGS_LOCK_BH);
	xa_init_flags(&dev->contexts.live, XA_FLAGS_LOCK_BH);
	/*
	 * xa_init() gives all xarrays the same lock class, but the locks of these
	 * two are taken in softirqs.
	 */
	lockdep_set_class(&dev->odps.xa_lock, &svan_bh_xa_key);
	lockdep_set_class(&dev->contexts.live.xa_lock, &svan_bh_xa_key);
	ida_init(&dev->contexts.pasids);
	svan_learn_init(dev);
	svan_ib_choose_keys(dev);

	ibdev = &dev->ibdev;
	ibdev->node_type = RDMA_NODE_IB_CA;
	ibdev->phys_port_cnt = 1;
	ibdev->num_comp_vectors = svan_num_comp_vectors(sdev);
	ibdev->local_dma_lkey = SVAN_KEY_LOCAL_DMA;
	/* libibverbs chooses the provider by the ids of the PCI device. */
	ibdev->dev.parent = &svan_pdev(sdev)->dev;
	strscpy(ibdev->node_desc, "svan", sizeof(ibdev->node_desc));
	addrconf_addr_eui48((u8 *)&ibdev->node_guid, netdev->dev_addr);
	ib_set_device_ops(ibdev, &svan_ib_ops);
	ib_set_device_ops(ibdev, &dealloc_ops);
	ibdev->driver_def = svan_ib_uapi_defs;
	return dev;
}

static int svan_ib_register_notifiers(struct svan_ib_dev *dev)
{
	int err;

	err = svan_register_notifier(dev->sdev, &dev->aux_nb);
	if (err)
		return err;

	/* This calls the notifier for each netdev that is up, which announces the port. */
	err = register_netdevice_notifier(&dev->netdev_nb);
	if (err)
		svan_unregister_notifier(dev->sdev, &dev->aux_nb);
	return err;
}

static void svan_ib_unregister_notifiers(struct svan_ib_dev *dev)
{
	unregister_netdevice_notifier(&dev->netdev_nb);
	svan_unregister_notifier(dev->sdev, &dev->aux_nb);
}

static int svan_ib_probe(struct auxiliary_device *adev,
			 const struct auxiliary_device_id *id)
{
	struct svan_dev *sdev = to_svan_aux(adev)->dev;
	struct svan_ib_dev *dev;
	int err;

	if (!(le64_to_cpu(svan_caps(sdev)->features) & SVAN_CAP_RC)) {
		dev_err(&adev->dev, "the device has no reliable connections\n");
		return -EOPNOTSUPP;
	}

	dev = svan_ib_alloc(sdev);
	if (!dev)
		return -ENOMEM;

	err = svan_ib_init_faults(dev);
	if (err)
		goto dealloc;

	/* The netdev is set before the registration, which fills the GID table. */
	err = ib_device_set_netdev(&dev->ibdev, svan_netdev(sdev), SVAN_IB_PORT);
	if (err)
		goto dealloc;

	err = ib_register_device(&dev->ibdev, "svan_%d", &svan_pdev(sdev)->dev);
	if (err)
		goto dealloc;

	err = svan_ib_register_notifiers(dev);
	if (err)
		goto unregister;

	svan_ib_debugfs_add(dev);
	auxiliary_set_drvdata(adev, dev);
	return 0;

unregister:
	svan_ib_prq_close(dev);
	ib_unregister_device(&dev->ibdev);	/* it also frees the device */
	return err;
dealloc:
	ib_dealloc_device(&dev->ibdev);
	return err;
}

/*
 * Verbs contexts may be open. ib_unregister_device() destroys their objects, and
 * replaces their mappings by a dummy page (disassociate_ucontext).
 */
static void svan_ib_remove(struct auxiliary_device *adev)
{
	struct svan_ib_dev *dev = auxiliary_get_drvdata(adev);

	svan_ib_debugfs_del(dev);
	svan_ib_unregister_notifiers(dev);
	svan_ib_prq_close(dev);
	svan_ib_flush_user_qps(dev);
	ib_unregister_device(&dev->ibdev);
}

static const struct auxiliary_device_id svan_ib_ids[] = {
	{ .name = "svan." SVAN_AUX_RDMA },
	{}
};
MODULE_DEVICE_TABLE(auxiliary, svan_ib_ids);

static struct auxiliary_driver svan_ib_driver = {
	.name = SVAN_AUX_RDMA,
	.probe = svan_ib_probe,
	.remove = svan_ib_remove,
	.id_table = svan_ib_ids,
};

static int __init svan_ib_init(void)
{
	int err;

	err = svan_servers_init();
	if (err)
		return err;
	svan_ib_debugfs_init();
	err = auxiliary_driver_register(&svan_ib_driver);
	if (err) {
		svan_ib_debugfs_exit();
		svan_servers_exit();
	}
	return err;
}
module_init(svan_ib_init);

static void __exit svan_ib_exit(void)
{
	auxiliary_driver_unregister(&svan_ib_driver);
	svan_ib_debugfs_exit();
	svan_servers_exit();
}
module_exit(svan_ib_exit);

MODULE_DESCRIPTION("Svan RDMA NIC: verbs");
MODULE_LICENSE("GPL");
