// SPDX-License-Identifier: GPL-2.0-only
/*
 * The admin command queue (PRM chapter "Commands").
 *
 * Several commands may be in flight. The device answers in order, so
 * svan_cmdq_reap() walks the response ring, copies each response once and hands it
 * to the issuer of the command in that entry. If a command is not answered in time
 * the function is given up (svan_cmdq.fail), because only a reset makes sure that
 * the device no longer uses the memory that the command has named.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <kunit/visibility.h>

#include "svan.h"
#include "svan_trace.h"

static unsigned int cmd_timeout_ms = 20000;
module_param(cmd_timeout_ms, uint, 0644);
MODULE_PARM_DESC(cmd_timeout_ms,
		 "Time a command may take before the function is reset, ms (default 20000)");

static const int svan_cmd_errnos[] = {
	[SVAN_CMD_OK]			= 0,
	[SVAN_CMD_BAD_OPCODE]		= -EOPNOTSUPP,
	[SVAN_CMD_BAD_PARAM]		= -EINVAL,
	[SVAN_CMD_BAD_RESOURCE]		= -ENOENT,
	[SVAN_CMD_BAD_STATE]		= -EINVAL,
	[SVAN_CMD_BUSY]			= -EBUSY,
	[SVAN_CMD_NO_RESOURCES]		= -ENOMEM,
	[SVAN_CMD_DMA_ERROR]		= -EFAULT,
	[SVAN_CMD_NOT_PERMITTED]	= -EPERM,
	[SVAN_CMD_NOT_SUPPORTED]	= -EOPNOTSUPP,
};

int svan_cmd_errno(u8 status)
{
	if (status < ARRAY_SIZE(svan_cmd_errnos))
		return svan_cmd_errnos[status];
	return -EREMOTEIO;
}
EXPORT_SYMBOL_IF_KUNIT(svan_cmd_errno);

/* Does the number of a new object fit into the fields that will name it? */
bool svan_cmd_id_valid(u16 opcode, u32 id, u32 uar_count)
{
	switch (opcode) {
	case SVAN_CMD_ALLOC_UAR:
		return id > 0 && id < uar_count;
	case SVAN_CMD_CREATE_KEY:
		/* index 0 is that of SVAN_KEY_LOCAL_DMA */
		return id >> SVAN_KEY_INDEX_SHIFT;
	case SVAN_CMD_CREATE_CQ:
	case SVAN_CMD_CREATE_QP:
		return id <= SVAN_DB_QN_MASK;
	default:
		return true;
	}
}
EXPORT_SYMBOL_IF_KUNIT(svan_cmd_id_valid);

int svan_cmdq_alloc(struct svan_dev *dev,
		    void (*fail)(struct svan_dev *dev, const char *why))
{
	struct svan_cmdq *q = &dev->cmdq;
	struct device *d = &dev->pdev->dev;

	BUILD_BUG_ON(SVAN_CMDQ_LOG_SIZE > SVAN_CMDQ_MAX_LOG_SIZE);
	spin_lock_init(&q->lock);
	sema_init(&q->credits, SVAN_CMDQ_SIZE);
	q->fail = fail;
	q->ring = dma_alloc_coherent(d, SVAN_CMDQ_SIZE * sizeof(*q->ring),
				     &q->ring_dma, GFP_KERNEL);
	if (!q->ring)
		return -ENOMEM;
	q->resps = dma_alloc_coherent(d, SVAN_CMDQ_SIZE * sizeof(*q->resps),
				      &q->resps_dma, GFP_KERNEL);
	if (!q->resps)
		goto err_free_ring;
	return 0;

err_free_ring:
	dma_free_coherent(d, SVAN_CMDQ_SIZE * sizeof(*q->ring), q->ring,
			  q->ring_dma);
	return -ENOMEM;
}

void svan_cmdq_free(struct svan_dev *dev)
{
	struct svan_cmdq *q = &dev->cmdq;
	struct device *d = &dev->pdev->dev;

	dma_free_coherent(d, SVAN_CMDQ_SIZE * sizeof(*q->resps), q->resps,
			  q->resps_dma);
	dma_free_coherent(d, SVAN_CMDQ_SIZE * sizeof(*q->ring), q->ring,
			  q->ring_dma);
}

/* Start the queue. The device has just been reset, and nothing else runs. */
int svan_cmdq_enable(struct svan_dev *dev)
{
	struct svan_cmdq *q = &dev->cmdq;
	u32 status;
	int err;

	memset(q->ring, 0, SVAN_CMDQ_SIZE * sizeof(*q->ring));
	memset(q->resps, 0, SVAN_CMDQ_SIZE * sizeof(*q->resps));
	q->pi = 0;
	q->ci = 0;
	svan_write64(dev, SVAN_REG_CMDQ_BASE, q->ring_dma);
	svan_write64(dev, SVAN_REG_CMDR_BASE, q->resps_dma);
	svan_write(dev, SVAN_REG_CMDQ_LOG_SIZE, SVAN_CMDQ_LOG_SIZE);
	svan_write(dev, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);

	err = read_poll_timeout(svan_read, status,
				status & (SVAN_STATUS_READY | SVAN_STATUS_FATAL),
				100, 5 * USEC_PER_SEC, false,
				dev, SVAN_REG_STATUS);
	if (err || (status & SVAN_STATUS_FATAL)) {
		dev_err(&dev->pdev->dev,
			"command queue does not start: status %#x, fatal code %u\n",
			status, svan_read(dev, SVAN_REG_FATAL_CODE));
		return -EIO;
	}
	spin_lock_irq(&q->lock);
	q->live = true;
	spin_unlock_irq(&q->lock);
	return 0;
}

/* Fail the commands in flight: the device has been reset and will not answer. */
void svan_cmdq_disable(struct svan_dev *dev)
{
	struct svan_cmdq *q = &dev->cmdq;

	spin_lock_irq(&q->lock);
	q->live = false;
	for (; q->ci != q->pi; q->ci++) {
		struct svan_cmd_wait *wait;

		wait = q->waiters[q->ci & (SVAN_CMDQ_SIZE - 1)];
		wait->err = -ENODEV;
		complete(&wait->done);
		up(&q->credits);
	}
	spin_unlock_irq(&q->lock);
}

void svan_cmdq_use_events(struct svan_dev *dev, bool on)
{
	spin_lock_irq(&dev->cmdq.lock);
	dev->cmdq.events = on;
	spin_unlock_irq(&dev->cmdq.lock);
}

/* Take one response, if the device has written it. cmdq.lock is held. */
static bool svan_cmdq_reap_one(struct svan_dev *dev)
{
	struct svan_cmdq *q = &dev->cmdq;
	u32 slot = q->ci & (SVAN_CMDQ_SIZE - 1);
	struct svan_cmd_wait *wait;

	lockdep_assert_held(&q->lock);
	if (q->ci == q->pi)
		return false;
	if (!svan_cmd_resp_valid(READ_ONCE(q->resps[slot].phase), q->ci,
				 SVAN_CMDQ_LOG_SIZE))
		return false;
	/* The phase is read before the rest, as the device writes it last. */
	dma_rmb();
	wait = q->waiters[slot];
	memcpy(&wait->resp, &q->resps[slot], sizeof(wait->resp));
	wait->err = le32_to_cpu(wait->resp.tag) == wait->tag ? 0 : -EPROTO;
	complete(&wait->done);
	q->ci++;
	up(&q->credits);
	return true;
}

/* Take all responses. May be called in hard interrupt or process context. */
void svan_cmdq_reap(struct svan_dev *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->cmdq.lock, flags);
	while (svan_cmdq_reap_one(dev))
		;
	spin_unlock_irqrestore(&dev->cmdq.lock, flags);
}

static int svan_cmdq_submit(struct svan_dev *dev, struct svan_cmd *cmd,
			    struct svan_cmd_wait *wait)
{
	struct svan_cmdq *q = &dev->cmdq;
	u32 slot;

	spin_lock_irq(&q->lock);
	if (!q->live) {
		spin_unlock_irq(&q->lock);
		return -ENODEV;
	}
	slot = q->pi & (SVAN_CMDQ_SIZE - 1);
	wait->tag = q->pi;
	wait->start = ktime_get();
	cmd->hdr.flags = cpu_to_le16(q->events ? SVAN_CMD_NOTIFY : 0);
	cmd->hdr.tag = cpu_to_le32(wait->tag);
	cmd->hdr.reserved = 0;
	q->waiters[slot] = wait;
	q->ring[slot] = *cmd;
	q->pi++;
	trace_svan_cmd(dev, wait->opcode, wait->tag);
	/* writel() orders the command before the doorbell. */
	svan_write(dev, SVAN_REG_CMDQ_DB, q->pi);
	spin_unlock_irq(&q->lock);
	return 0;
}

/* Sleep for a while, or until the command is done. Return true if it is. */
static bool svan_cmdq_wait_some(struct svan_dev *dev, struct svan_cmd_wait *wait)
{
	if (READ_ONCE(dev->cmdq.events)) {
		if (wait_for_completion_timeout(&wait->done, HZ))
			return true;
	} else {
		usleep_range(10, 50);
	}
	/* There are no interrupts yet, or one has been lost. */
	svan_cmdq_reap(dev);
	return try_wait_for_completion(&wait->done);
}

/* Wait until the device has answered or has been reset. */
static void svan_cmdq_wait(struct svan_dev *dev, struct svan_cmd_wait *wait)
{
	unsigned long limit = jiffies + msecs_to_jiffies(cmd_timeout_ms);

	while (!svan_cmdq_wait_some(dev, wait)) {
		if (svan_dev_is_dead(dev)) {
			dev->cmdq.fail(dev, "device is gone, reset or in a fatal state");
		} else if (time_after(jiffies, limit)) {
			dev_err(&dev->pdev->dev,
				"command %#05x: no answer in %u ms\n",
				wait->opcode, cmd_timeout_ms);
			dev->cmdq.fail(dev, "command timed out");
		}
	}
}

int svan_cmd_exec(struct svan_dev *dev, struct svan_cmd *cmd,
		  struct svan_cmd_resp *resp)
{
	struct svan_cmd_wait wait = {
		.opcode = le16_to_cpu(cmd->hdr.opcode),
	};
	int err;

	might_sleep();
	init_completion(&wait.done);
	down(&dev->cmdq.credits);
	err = svan_cmdq_submit(dev, cmd, &wait);
	if (err) {
		up(&dev->cmdq.credits);
		return err;
	}
	svan_cmdq_wait(dev, &wait);
	if (wait.err == -EPROTO) {
		dev->cmdq.fail(dev, "response carries a wrong tag");
		wait.err = -ENODEV;
	}
	if (wait.err)
		goto out;
	err = svan_cmd_errno(wait.resp.status);
	if (err)
		dev_dbg(&dev->pdev->dev, "command %#05x: status %u, syndrome %u\n",
			wait.opcode, wait.resp.status,
			le32_to_cpu(wait.resp.syndrome));
	if (resp)
		*resp = wait.resp;
out:
	trace_svan_cmd_done(dev, &wait);
	return wait.err ?: err;
}
EXPORT_SYMBOL_GPL(svan_cmd_exec);

/**
 * svan_cmd_create_object - run a command that makes an object
 * @dev: the function
 * @cmd: ALLOC_UAR, ALLOC_PD, CREATE_KEY, CREATE_CQ or CREATE_QP
 * @id: where to write the number or key of the object
 *
 * A device that answers with an impossible number is reset, as its object could not be
 * destroyed.
 *
 * Return: as svan_cmd_exec().
 */
int svan_cmd_create_object(struct svan_dev *dev, struct svan_cmd *cmd, u32 *id)
{
	u16 opcode = le16_to_cpu(cmd->hdr.opcode);
	struct svan_cmd_resp resp;
	int err;

	err = svan_cmd_exec(dev, cmd, &resp);
	if (err)
		return err;
	*id = le32_to_cpu(resp.id.id);
	if (!svan_cmd_id_valid(opcode, *id, dev->uar_count)) {
		dev_err(&dev->pdev->dev, "command %#05x: impossible id %#x\n",
			opcode, *id);
		dev->cmdq.fail(dev, "response is not valid");
		return -ENODEV;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(svan_cmd_create_object);

/* Does the device access memory through the object? */
static bool svan_cmd_frees_memory(u16 opcode)
{
	return opcode != SVAN_CMD_FREE_UAR && opcode != SVAN_CMD_FREE_PD;
}

/**
 * svan_cmd_destroy_object - run a command that destroys an object
 * @dev: the function
 * @opcode: FREE_UAR, FREE_PD, CLEAR_GID, DESTROY_EQ, DESTROY_KEY, DESTROY_CQ, DESTROY_QP
 * @id: the object's number or key
 *
 * On return the device does not use the object's memory any more. If it refuses to
 * destroy the object, the function is reset.
 */
void svan_cmd_destroy_object(struct svan_dev *dev, u16 opcode, u32 id)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(opcode),
		.object.id = cpu_to_le32(id),
	};
	int err;

	err = svan_cmd_exec(dev, &cmd, NULL);
	if (!err || err == -ENODEV)
		return;
	/* The hypervisor may have taken an entry of the GID table away. */
	if (err == -ENOENT && opcode == SVAN_CMD_CLEAR_GID)
		return;
	dev_err(&dev->pdev->dev, "command %#05x of object %#x: error %d\n",
		opcode, id, err);
	if (svan_cmd_frees_memory(opcode) && err != -ENOENT)
		dev->cmdq.fail(dev, "object cannot be destroyed");
}
EXPORT_SYMBOL_GPL(svan_cmd_destroy_object);

/*
 * Run a command whose answer the device writes to dev->page, and copy it out. A
 * @function other than 0 is a virtual one of this physical function.
 */
static int svan_cmd_query(struct svan_dev *dev, u16 opcode, u32 function, void *to,
			  u32 length)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(opcode),
		.query.addr = cpu_to_le64(dev->page_dma),
		.query.length = cpu_to_le32(length),
		.query.function = cpu_to_le32(function),
	};
	int err;

	BUILD_BUG_ON(sizeof(struct svan_stats) > SVAN_PAGE_BYTES);
	mutex_lock(&dev->page_lock);
	/* An older device writes a shorter answer. */
	memset(dev->page, 0, length);
	err = svan_cmd_exec(dev, &cmd, NULL);
	if (!err)
		memcpy(to, dev->page, length);
	mutex_unlock(&dev->page_lock);
	return err;
}

/*
 * What the device knows of the flows, or paths, of a function, from number @first on:
 * @got entries, SVAN_QUERY_FLOWS_MAX octets at most. @total, unless it is NULL, is how many
 * there are.
 */
int svan_query_flows(struct svan_dev *dev, u32 function, bool paths, u32 first,
		     struct svan_flow_entry *entries, u32 *got, u32 *total)
{
	const u32 room = SVAN_QUERY_FLOWS_MAX / sizeof(*entries);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_QUERY_FLOWS),
		.query_flows = {
			.addr = cpu_to_le64(dev->page_dma),
			.length = cpu_to_le32(SVAN_QUERY_FLOWS_MAX),
			.function = cpu_to_le32(function),
			.first = cpu_to_le32(first),
			.paths = paths,
		},
	};
	struct svan_cmd_resp resp;
	int err;

	BUILD_BUG_ON(SVAN_QUERY_FLOWS_MAX > SVAN_PAGE_BYTES);
	*got = 0;
	mutex_lock(&dev->page_lock);
	err = svan_cmd_exec(dev, &cmd, &resp);
	if (!err) {
		*got = min(le32_to_cpu(resp.query_flows.written), room);
		memcpy(entries, dev->page, *got * sizeof(*entries));
		if (total)
			*total = le32_to_cpu(resp.query_flows.total);
	}
	mutex_unlock(&dev->page_lock);
	return err;
}

/* Let the function take part in the traffic of its port, RDMA included, or not. */
int svan_set_port_enabled(struct svan_dev *dev, bool enabled)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_PORT),
		.port.enabled = enabled,
	};

	return svan_cmd_exec(dev, &cmd, NULL);
}

int svan_read_caps(struct svan_dev *dev, struct svan_caps *caps)
{
	return svan_cmd_query(dev, SVAN_CMD_QUERY_CAPS, 0, caps, sizeof(*caps));
}

/* The counters of a virtual function, or with 0 of @dev itself. */
int svan_read_function_stats(struct svan_dev *dev, u32 function,
			     struct svan_stats *stats)
{
	return svan_cmd_query(dev, SVAN_CMD_QUERY_STATS, function, stats,
			      sizeof(*stats));
}

/**
 * svan_read_stats - read the function's counters
 * @dev: the function
 * @stats: where to write them, little-endian; 0 for those the device does not have
 *
 * May sleep.
 *
 * Return: as svan_cmd_exec().
 */
int svan_read_stats(struct svan_dev *dev, struct svan_stats *stats)
{
	return svan_read_function_stats(dev, 0, stats);
}
EXPORT_SYMBOL_GPL(svan_read_stats);
