// SPDX-License-Identifier: GPL-2.0-only
/*
 * The function is taken down and built up again under a netdev that stays: for
 * resets from outside (FLR, error recovery) and while the system sleeps.
 *
 * RDMA users lose their device in both cases and get a new one. Before the
 * system sleeps they lose it while processes still run: what the RDMA driver has
 * to wait for may be a thread of a process, and no process would move once they
 * are frozen. A PM notifier sees to that; the PM operations of the function find
 * the auxiliary device gone already, or take it away where a suspend has come
 * without a notice.
 */
#include <linux/pm.h>
#include <linux/suspend.h>

#include "svan.h"

/* set from the notice of a sleep to its end: there are no auxiliary devices */
static bool svan_asleep;

/* whose functions are looked for */
static const struct pci_driver *svan_sleep_driver;

/* The device lock is held in all of these. */
static void svan_take_down(struct svan_dev *dev)
{
	svan_dev_block_events(dev);
	svan_aux_del(dev);
	svan_netdev_suspend(dev);
	if (dev->started)
		svan_dev_stop(dev);
}

/* The new device of the RDMA users; while the system sleeps it has to wait. */
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
 * The registers may have lost everything. A function that does not come back
 * says so; that is no reason for the rest of the system to sleep on.
 */
static int svan_resume(struct device *device)
{
	svan_build_up_or_tell(dev_get_drvdata(device), "a sleep");
	return 0;
}

/* Suspend and hibernation alike: nothing of the function outlives them. */
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
 * Only the locks of our own functions are taken, while the notifier's chain is
 * locked: another driver may register a notifier of its own in its probe.
 */
static void svan_call_bound(void (*act)(struct svan_dev *dev))
{
	struct pci_dev *pdev = NULL;

	/*
	 * svan_asleep before the drivers. A probe names its driver, and looks at
	 * svan_asleep much later: either it is met here, or it sees the flag.
	 */
	smp_mb();
	for_each_pci_dev(pdev) {
		if (READ_ONCE(pdev->driver) != svan_sleep_driver)
			continue;
		device_lock(&pdev->dev);
		/* still ours, and probed: a probe that is under way holds it */
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
 * Not for each function: the notifier takes device locks under the lock of its
 * chain, so nobody may register under a device lock.
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
