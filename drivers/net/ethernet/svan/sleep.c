// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets from outside (FLR, error recovery) and sleep of the system: the function
 * is taken down and built up again, while its netdev stays registered.
 *
 * In both cases RDMA users lose their device and get a new one. Before the system
 * sleeps the RDMA device must go while processes still run, because the RDMA
 * driver may have to wait for a thread of a process, and frozen processes do not
 * move. A PM notifier therefore deletes the auxiliary device before processes are
 * frozen. The PM operations of the function delete it only if a suspend came
 * without that notice.
 */
#include <linux/pm.h>
#include <linux/suspend.h>

#include "svan.h"

/* True from the notice of a sleep to its end: no auxiliary device is added. */
static bool svan_asleep;

/* A PCI device is a Svan function if it is bound to this driver. */
static const struct pci_driver *svan_sleep_driver;

/* Whoever takes a function down or builds it up holds the device lock. */
static void svan_take_down(struct svan_dev *dev)
{
	svan_dev_block_events(dev);
	svan_aux_del(dev);
	svan_netdev_suspend(dev);
	if (dev->started)
		svan_dev_stop(dev);
}

/* Add the auxiliary device. If the system sleeps, svan_aux_wake() does it later. */
int svan_aux_add_awake(struct svan_dev *dev)
{
	return READ_ONCE(svan_asleep) || dev->aux ? 0 : svan_aux_add(dev);
}

static int svan_build_up(struct svan_dev *dev)
{
	int err;

	err = svan_dev_start(dev);
	if (err)
		return err;
	svan_sriov_restore(dev);
	svan_netdev_resume(dev);
	err = svan_aux_add_awake(dev);
	svan_dev_unblock_events(dev);
	return err;
}

static void svan_build_up_or_tell(struct svan_dev *dev, const char *after)
{
	int err = svan_build_up(dev);

	if (err)
		dev_err(&dev->pdev->dev,
			"restart after %s failed (%d), unbind and bind the driver\n",
			after, err);
}

/* ---- resets from outside ---- */

static void svan_reset_prepare(struct pci_dev *pdev)
{
	svan_take_down(pci_get_drvdata(pdev));
}

static void svan_reset_done(struct pci_dev *pdev)
{
	svan_build_up_or_tell(pci_get_drvdata(pdev), "a reset");
}

static pci_ers_result_t svan_error_detected(struct pci_dev *pdev,
					    pci_channel_state_t state)
{
	svan_reset_prepare(pdev);
	if (state == pci_channel_io_perm_failure)
		return PCI_ERS_RESULT_DISCONNECT;
	return PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t svan_slot_reset(struct pci_dev *pdev)
{
	pci_restore_state(pdev);
	pci_save_state(pdev);
	return PCI_ERS_RESULT_RECOVERED;
}

const struct pci_error_handlers svan_err_handler = {
	.error_detected	= svan_error_detected,
	.slot_reset	= svan_slot_reset,
	.resume		= svan_reset_done,
	.reset_prepare	= svan_reset_prepare,
	.reset_done	= svan_reset_done,
};

/* ---- sleep ---- */

static int svan_suspend(struct device *device)
{
	svan_take_down(dev_get_drvdata(device));
	return 0;
}

/*
 * The registers may have lost their contents. If the function does not come back,
 * that is logged, but 0 is returned: the rest of the system shall wake up.
 */
static int svan_resume(struct device *device)
{
	svan_build_up_or_tell(dev_get_drvdata(device), "a sleep");
	return 0;
}

/* Suspend and hibernation are the same: nothing of the function outlives them. */
DEFINE_SIMPLE_DEV_PM_OPS(svan_pm_ops, svan_suspend, svan_resume);

static void svan_aux_wake(struct svan_dev *dev)
{
	int err;

	if (!dev->started || dev->failed)
		return;
	err = svan_aux_add_awake(dev);
	if (err)
		dev_err(&dev->pdev->dev, "no RDMA device after a sleep: error %d\n",
			err);
}

/*
 * Call @act for each bound function, under its device lock. The PM notifier chain
 * is locked meanwhile, so the locks of other drivers' devices are left alone: such
 * a driver may register a PM notifier in its probe, under its device's lock.
 */
static void svan_call_bound(void (*act)(struct svan_dev *dev))
{
	struct pci_dev *pdev = NULL;

	/*
	 * svan_asleep is written before pdev->driver is read here. Of a device
	 * that is being probed, pdev->driver is written before the probe reads
	 * svan_asleep. So either the loop finds the device, or the probe sees the
	 * new value.
	 */
	smp_mb();
	for_each_pci_dev(pdev) {
		if (READ_ONCE(pdev->driver) != svan_sleep_driver)
			continue;
		device_lock(&pdev->dev);
		/* A probe holds the lock until it has succeeded or failed. */
		if (pdev->driver == svan_sleep_driver && pci_get_drvdata(pdev))
			act(pci_get_drvdata(pdev));
		device_unlock(&pdev->dev);
	}
}

static int svan_pm_event(struct notifier_block *nb, unsigned long event,
			 void *unused)
{
	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		WRITE_ONCE(svan_asleep, true);
		svan_call_bound(svan_aux_del);
		return NOTIFY_OK;
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		WRITE_ONCE(svan_asleep, false);
		svan_call_bound(svan_aux_wake);
		return NOTIFY_OK;
	default:
		return NOTIFY_DONE;
	}
}

static struct notifier_block svan_pm_nb = { .notifier_call = svan_pm_event };

/*
 * One notifier serves all functions. It takes device locks under the lock of the
 * PM chain, so it must not be registered under a device lock, as in a probe.
 */
int svan_sleep_init(const struct pci_driver *driver)
{
	svan_sleep_driver = driver;
	return register_pm_notifier(&svan_pm_nb);
}

void svan_sleep_exit(void)
{
	unregister_pm_notifier(&svan_pm_nb);
}
