// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting and stopping a function, from a mapped BAR to running event queues:
 * identification, reset, command queue, capabilities, interrupts. And what happens
 * when the device fails.
 */
#include <linux/delay.h>
#include <linux/iopoll.h>

#include "svan.h"
#include "svan_trace.h"

#define SVAN_RESET_TIMEOUT_US	(5 * USEC_PER_SEC)

static int svan_dev_identify(struct svan_dev *dev)
{
	struct device *d = &dev->pdev->dev;
	u32 magic = svan_read(dev, SVAN_REG_MAGIC);
	u32 version = svan_read(dev, SVAN_REG_VERSION);
	u32 uars;

	if (magic != SVAN_MAGIC) {
		dev_err(d, "no Svan device: magic %#010x\n", magic);
		return -ENODEV;
	}
	if (FIELD_GET(SVAN_VERSION_MAJOR_MASK, version) != SVAN_VERSION_MAJOR) {
		dev_err(d, "interface version %u.%u, this driver knows %u.x\n",
			(u32)FIELD_GET(SVAN_VERSION_MAJOR_MASK, version),
			(u32)FIELD_GET(SVAN_VERSION_MINOR_MASK, version),
			SVAN_VERSION_MAJOR);
		return -EOPNOTSUPP;
	}
	uars = svan_read(dev, SVAN_REG_UAR_COUNT);
	dev->uar_count = min_t(u64, uars, pci_resource_len(dev->pdev, SVAN_BAR_UAR) >>
					  SVAN_UAR_SHIFT);
	if (!dev->uar_count) {
		dev_err(d, "device has no UAR page\n");
		return -ENODEV;
	}
	return 0;
}

/*
 * On return the device has dropped all its objects and does no DMA. May sleep.
 */
int svan_dev_reset(struct svan_dev *dev)
{
	u32 control;
	int err;

	svan_write(dev, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
	err = read_poll_timeout(svan_read, control,
				svan_gone(control) ||
				!(control & SVAN_CONTROL_RESET),
				100, SVAN_RESET_TIMEOUT_US, false,
				dev, SVAN_REG_CONTROL);
	trace_svan_reset(dev, svan_gone(control) ? -ENODEV : err);
	if (err) {
		dev_err(&dev->pdev->dev,
			"reset does not end, taking bus mastering away\n");
		pci_clear_master(dev->pdev);
		return err;
	}
	return svan_gone(control) ? -ENODEV : 0;
}

/* Reset the device and fail all commands. fail_lock is held. */
static void svan_dev_kill(struct svan_dev *dev)
{
	lockdep_assert_held(&dev->fail_lock);
	svan_dev_reset(dev);
	svan_cmdq_disable(dev);
	dev->failed = true;
}

/**
 * svan_dev_fail - give the function up until it is bound or reset again
 * @dev: the function
 * @why: for the log
 *
 * On return the device has been reset, so memory that it was given may be freed.
 * Every command in flight has failed with -ENODEV, and later ones will. A worker
 * tells the rest of the kernel. May sleep. A second call does nothing.
 */
void svan_dev_fail(struct svan_dev *dev, const char *why)
{
	mutex_lock(&dev->fail_lock);
	if (!dev->failed) {
		u32 status = svan_read(dev, SVAN_REG_STATUS);
		u32 code = svan_read(dev, SVAN_REG_FATAL_CODE);

		dev_err(&dev->pdev->dev,
			"function failed: %s (status %#x, fatal code %#x)\n",
			why, status, code);
		trace_svan_fatal(dev, status, code);
		svan_dev_kill(dev);
		schedule_work(&dev->fatal_work);
	}
	mutex_unlock(&dev->fail_lock);
}

/* Like svan_dev_fail(), but for an orderly end: nothing is logged, nobody is told. */
void svan_dev_silence(struct svan_dev *dev)
{
	mutex_lock(&dev->fail_lock);
	if (!dev->failed)
		svan_dev_kill(dev);
	mutex_unlock(&dev->fail_lock);
}

static void svan_fatal_work(struct work_struct *work)
{
	struct svan_dev *dev = container_of(work, struct svan_dev, fatal_work);

	svan_dev_fail(dev, "device reports a fatal error");
	blocking_notifier_call_chain(&dev->notifier, SVAN_NOTIFY_FATAL, NULL);
}

static void svan_port_work(struct work_struct *work)
{
	struct svan_dev *dev = container_of(work, struct svan_dev, port_work);
	u32 port = svan_read(dev, SVAN_REG_PORT);

	if (svan_gone(port))
		port = 0;
	blocking_notifier_call_chain(&dev->notifier, SVAN_NOTIFY_PORT, &port);
}

/* The workers begin disabled: there is nobody to tell until the probe is done. */
void svan_dev_init_events(struct svan_dev *dev)
{
	INIT_WORK(&dev->fatal_work, svan_fatal_work);
	INIT_WORK(&dev->port_work, svan_port_work);
	disable_work(&dev->fatal_work);
	disable_work(&dev->port_work);
	dev->events_blocked = true;
}

/* On return neither worker runs, and neither will until svan_dev_unblock_events(). */
void svan_dev_block_events(struct svan_dev *dev)
{
	if (dev->events_blocked)
		return;
	dev->events_blocked = true;
	disable_work_sync(&dev->port_work);
	disable_work_sync(&dev->fatal_work);
}

/* The workers look at once for what has happened while they were disabled. */
void svan_dev_unblock_events(struct svan_dev *dev)
{
	if (!dev->events_blocked)
		return;
	dev->events_blocked = false;
	enable_work(&dev->fatal_work);
	enable_work(&dev->port_work);
	if (dev->failed || svan_dev_is_dead(dev))
		schedule_work(&dev->fatal_work);
	schedule_work(&dev->port_work);
}

static int svan_dev_check_caps(struct svan_dev *dev)
{
	const struct svan_caps *caps = &dev->caps;
	struct device *d = &dev->pdev->dev;

	if (!(le64_to_cpu(caps->features) & SVAN_CAP_ETH)) {
		dev_err(d, "device has no Ethernet function\n");
		return -EOPNOTSUPP;
	}
	if (le32_to_cpu(caps->max_eq) < 2 || le32_to_cpu(caps->max_cq) < 2 ||
	    le32_to_cpu(caps->max_cqe) < 256 ||
	    le32_to_cpu(caps->max_eqe) < 256 || !le16_to_cpu(caps->max_sge) ||
	    le32_to_cpu(caps->max_frame) < SVAN_MIN_MAX_FRAME) {
		dev_err(d, "device limits are too small to work with\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int svan_dev_alloc_pd(struct svan_dev *dev)
{
	struct svan_cmd cmd = { .hdr.opcode = cpu_to_le16(SVAN_CMD_ALLOC_PD) };

	return svan_cmd_create_object(dev, &cmd, &dev->pd);
}

/* Bring a device in any state to running event queues. */
int svan_dev_start(struct svan_dev *dev)
{
	int err;

	err = svan_dev_identify(dev);
	if (err)
		return err;
	err = svan_dev_reset(dev);
	if (err)
		return err;
	/*
	 * Bus mastering waits for the reset: the system that ran before may have
	 * left the device with work to do.
	 */
	pci_set_master(dev->pdev);
	err = svan_cmdq_enable(dev);
	if (err)
		goto err_reset;
	dev->failed = false;
	err = svan_read_caps(dev, &dev->caps);
	if (err)
		goto err_reset;
	err = svan_dev_check_caps(dev);
	if (err)
		goto err_reset;
	/* A reset enables the port. It stays disabled until the interface is up. */
	err = svan_set_port_enabled(dev, false);
	if (err)
		goto err_reset;
	err = svan_vectors_alloc(dev);
	if (err)
		goto err_reset;
	err = svan_eqs_create(dev);
	if (err)
		goto err_free_vectors;
	err = svan_dev_alloc_pd(dev);
	if (err)
		goto err_destroy_eqs;
	dev->started = true;
	return 0;

err_destroy_eqs:
	svan_eqs_destroy(dev);
err_free_vectors:
	svan_vectors_free(dev);
err_reset:
	svan_dev_reset(dev);
	svan_cmdq_disable(dev);
	pci_clear_master(dev->pdev);
	return err;
}

void svan_dev_stop(struct svan_dev *dev)
{
	dev->started = false;
	svan_cmd_destroy_object(dev, SVAN_CMD_FREE_PD, dev->pd);
	svan_eqs_destroy(dev);
	svan_vectors_free(dev);
	svan_dev_reset(dev);
	svan_cmdq_disable(dev);
	pci_clear_master(dev->pdev);
}
