// SPDX-License-Identifier: GPL-2.0-only
/*
 * The auxiliary device "svan.rdma", and those functions of svan_aux.h that concern
 * neither commands (cmd.c) nor events (eq.c) nor translations (inval.c).
 */
#include <linux/slab.h>

#include "svan.h"

static void svan_aux_release(struct device *device)
{
	kfree(to_svan_aux(to_auxiliary_dev(device)));
}

int svan_aux_add(struct svan_dev *dev)
{
	struct svan_aux *aux;
	int err;

	aux = kzalloc(sizeof(*aux), GFP_KERNEL);
	if (!aux)
		return -ENOMEM;
	aux->dev = dev;
	aux->adev.name = SVAN_AUX_RDMA;
	aux->adev.id = dev->id;
	aux->adev.dev.parent = &dev->pdev->dev;
	aux->adev.dev.release = svan_aux_release;
	err = auxiliary_device_init(&aux->adev);
	if (err) {
		kfree(aux);
		return err;
	}
	err = auxiliary_device_add(&aux->adev);
	if (err) {
		auxiliary_device_uninit(&aux->adev);
		return err;
	}
	dev->aux = aux;
	return 0;
}

/* On return the auxiliary driver has been unbound and calls nothing any more. */
void svan_aux_del(struct svan_dev *dev)
{
	if (!dev->aux)
		return;
	auxiliary_device_delete(&dev->aux->adev);
	auxiliary_device_uninit(&dev->aux->adev);
	dev->aux = NULL;
}

/**
 * svan_pdev - the PCI device of a function
 * @dev: the function
 *
 * Return: the PCI device, for the DMA API among others.
 */
struct pci_dev *svan_pdev(const struct svan_dev *dev)
{
	return dev->pdev;
}
EXPORT_SYMBOL_GPL(svan_pdev);

/**
 * svan_caps - the capabilities of a function
 * @dev: the function
 *
 * Return: the capabilities, little-endian.
 */
const struct svan_caps *svan_caps(const struct svan_dev *dev)
{
	return &dev->caps;
}
EXPORT_SYMBOL_GPL(svan_caps);

/**
 * svan_cap_off_text - why ATOMIC_GLOBAL or PROCESS_KEYS is off
 * @caps: the capabilities of a function
 *
 * Return: the reason as text for people.
 */
const char *svan_cap_off_text(const struct svan_caps *caps)
{
	switch (le32_to_cpu(caps->off_reason)) {
	case SVAN_CAP_OFF_NONE:
		return "nothing is off";
	case SVAN_CAP_OFF_NO_TRUE_ATOMICS:
		return "one CPU, or one thread for all of them, has no atomic operations";
	case SVAN_CAP_OFF_VIOMMU:
		return "the device is behind an IOMMU";
	case SVAN_CAP_OFF_DISABLED:
		return "a property of the device says so";
	default:
		return "unknown";
	}
}
EXPORT_SYMBOL_GPL(svan_cap_off_text);

/**
 * svan_netdev - the Ethernet interface of a function
 * @dev: the function
 *
 * Return: the network device; no reference is taken.
 */
struct net_device *svan_netdev(const struct svan_dev *dev)
{
	return dev->netdev;
}
EXPORT_SYMBOL_GPL(svan_netdev);

/**
 * svan_num_comp_vectors - number of completion vectors
 * @dev: the function
 *
 * Return: at least 1.
 */
u32 svan_num_comp_vectors(const struct svan_dev *dev)
{
	return dev->num_eqs - 1;
}
EXPORT_SYMBOL_GPL(svan_num_comp_vectors);

/**
 * svan_comp_eqn - EQ of a completion vector
 * @dev: the function
 * @vector: taken modulo the number of vectors
 *
 * Return: the EQ number for SVAN_CMD_CREATE_CQ.
 */
u32 svan_comp_eqn(const struct svan_dev *dev, u32 vector)
{
	return 1 + vector % svan_num_comp_vectors(dev);
}
EXPORT_SYMBOL_GPL(svan_comp_eqn);

/**
 * svan_uar_phys - physical address of a UAR page, for mmap
 * @dev: the function
 * @uar: number of the page, from SVAN_CMD_ALLOC_UAR
 *
 * Return: the CPU's physical address.
 */
phys_addr_t svan_uar_phys(const struct svan_dev *dev, u32 uar)
{
	return dev->uar_phys + ((phys_addr_t)uar << SVAN_UAR_SHIFT);
}
EXPORT_SYMBOL_GPL(svan_uar_phys);

/**
 * svan_kernel_uar - the kernel's doorbell page
 * @dev: the function
 *
 * Return: the mapping of UAR page 0.
 */
void __iomem *svan_kernel_uar(const struct svan_dev *dev)
{
	return dev->uar;
}
EXPORT_SYMBOL_GPL(svan_kernel_uar);

/**
 * svan_clock_ns - read the device's clock
 * @dev: the function
 *
 * Return: nanoseconds of VM time; all ones if the device is gone.
 */
u64 svan_clock_ns(struct svan_dev *dev)
{
	return readq(dev->regs + SVAN_REG_CLOCK);
}
EXPORT_SYMBOL_GPL(svan_clock_ns);

/**
 * svan_register_notifier - be told of port changes and of the function's death
 * @dev: the function
 * @nb: called in process context with enum svan_notify
 *
 * Return: 0 or a negative error.
 */
int svan_register_notifier(struct svan_dev *dev, struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&dev->notifier, nb);
}
EXPORT_SYMBOL_GPL(svan_register_notifier);

/**
 * svan_unregister_notifier - undo svan_register_notifier()
 * @dev: the function
 * @nb: the same block; on return it is not called any more
 */
void svan_unregister_notifier(struct svan_dev *dev, struct notifier_block *nb)
{
	blocking_notifier_chain_unregister(&dev->notifier, nb);
}
EXPORT_SYMBOL_GPL(svan_unregister_notifier);
