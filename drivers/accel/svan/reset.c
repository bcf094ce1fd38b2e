// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting and stopping the device; resets from outside (FLR, error recovery) and sleep
 * of the system.
 *
 * A reset leaves the contexts off, with their mappings. Users are told by their event,
 * and bring their context back by DRM_IOCTL_SVAN_ACCEL_RESET_CONTEXT. The contents of
 * local memory may be lost, so other devices lose their mappings of it.
 */
#include <drm/drm_print.h>
#include <linux/pm.h>

#include "svan_accel.h"

#define SVAN_ACCEL_VERSION_MAJOR(version)	((version) >> 16)

static int svan_accel_identify(struct svan_accel_dev *dev)
{
	u32 magic = svan_accel_read(dev, SVAN_ACCEL_REG_MAGIC);
	u32 version = svan_accel_read(dev, SVAN_ACCEL_REG_VERSION);

	if (magic != SVAN_ACCEL_MAGIC) {
		drm_err(&dev->drm, "no Svan accelerator: magic %#010x\n", magic);
		return -ENODEV;
	}
	if (SVAN_ACCEL_VERSION_MAJOR(version) !=
	    SVAN_ACCEL_VERSION_MAJOR(SVAN_ACCEL_VERSION)) {
		drm_err(&dev->drm, "interface version %#010x, this driver knows %#010x\n",
			version, SVAN_ACCEL_VERSION);
		return -EOPNOTSUPP;
	}
	if (svan_accel_read(dev, SVAN_ACCEL_REG_CONTEXTS) < SVAN_ACCEL_CONTEXTS ||
	    svan_accel_read(dev, SVAN_ACCEL_REG_QUEUES) < SVAN_ACCEL_QUEUES) {
		drm_err(&dev->drm, "the device has too few contexts or queues\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* On return all contexts are off, and the device does no DMA. */
static void svan_accel_reset(struct svan_accel_dev *dev)
{
	svan_accel_put32(dev, SVAN_ACCEL_REG_CONTROL, SVAN_ACCEL_CONTROL_RESET);
	svan_accel_drain(dev);
}

/* Bring the device from any state to one with all contexts off. */
int svan_accel_start(struct svan_accel_dev *dev)
{
	int err;

	err = svan_accel_identify(dev);
	if (err)
		return err;
	svan_accel_reset(dev);
	/*
	 * Bus mastering waits for the reset: the system that ran before may have
	 * left the device with work to do.
	 */
	pci_set_master(dev->pdev);
	return 0;
}

void svan_accel_stop(struct svan_accel_dev *dev)
{
	svan_accel_reset(dev);
	pci_clear_master(dev->pdev);
}

/*
 * On return all contexts are off, and none is enabled before svan_accel_build_up(). The
 * locks of the contexts order that: who enables one looks at down under its lock.
 */
void svan_accel_take_down(struct svan_accel_dev *dev)
{
	struct svan_accel_ctx *ctx;

	WRITE_ONCE(dev->down, true);
	WRITE_ONCE(dev->resets, dev->resets + 1);
	mutex_lock(&dev->contexts_lock);
	list_for_each_entry(ctx, &dev->contexts, link) {
		mutex_lock(&ctx->lock);
		svan_accel_ctx_disable(ctx);
		mutex_unlock(&ctx->lock);
		svan_accel_event_signal(svan_accel_slot(ctx), DRM_SVAN_ACCEL_EVENT_FAULT);
	}
	mutex_unlock(&dev->contexts_lock);
	svan_accel_revoke_exports(dev);
	svan_accel_stop(dev);
}

void svan_accel_build_up(struct svan_accel_dev *dev, const char *after)
{
	int err = svan_accel_start(dev);

	if (err)
		drm_err(&dev->drm, "restart after %s failed (%d), unbind and bind the driver\n",
			after, err);
	else
		WRITE_ONCE(dev->down, false);
}

/* ---- resets from outside ---- */

static void svan_accel_reset_prepare(struct pci_dev *pdev)
{
	svan_accel_take_down(pci_get_drvdata(pdev));
}

static void svan_accel_reset_done(struct pci_dev *pdev)
{
	svan_accel_build_up(pci_get_drvdata(pdev), "a reset");
}

static pci_ers_result_t svan_accel_error_detected(struct pci_dev *pdev,
						  pci_channel_state_t state)
{
	svan_accel_reset_prepare(pdev);
	if (state == pci_channel_io_perm_failure)
		return PCI_ERS_RESULT_DISCONNECT;
	return PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t svan_accel_slot_reset(struct pci_dev *pdev)
{
	pci_restore_state(pdev);
	pci_save_state(pdev);
	return PCI_ERS_RESULT_RECOVERED;
}

const struct pci_error_handlers svan_accel_err_handler = {
	.error_detected	= svan_accel_error_detected,
	.slot_reset	= svan_accel_slot_reset,
	.resume		= svan_accel_reset_done,
	.reset_prepare	= svan_accel_reset_prepare,
	.reset_done	= svan_accel_reset_done,
};

/* ---- sleep ---- */

static int svan_accel_suspend(struct device *device)
{
	svan_accel_take_down(dev_get_drvdata(device));
	return 0;
}

/* If the device does not come back, that is logged: the rest of the system wakes up. */
static int svan_accel_resume(struct device *device)
{
	svan_accel_build_up(dev_get_drvdata(device), "a sleep");
	return 0;
}

DEFINE_SIMPLE_DEV_PM_OPS(svan_accel_pm_ops, svan_accel_suspend, svan_accel_resume);
