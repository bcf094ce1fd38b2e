// SPDX-License-Identifier: GPL-2.0-only
/*
 * The completion queues of the netdev, and the memory of all its queues.
 */
#include <linux/dma-mapping.h>

#include "eth.h"
#include "svan_trace.h"

/* Allocate coherent memory, and a key under which the device finds queues in it. */
int svan_eth_mem_alloc(struct svan_dev *dev, struct svan_mem *mem, size_t size)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_KEY),
		.create_key = {
			.kind = SVAN_KEY_PINNED,
			.flags = SVAN_CMD_KEY_INTERNAL,
			.page_shift = PAGE_SHIFT,
			.access = cpu_to_le32(SVAN_ACCESS_LOCAL_WRITE),
		},
	};
	int err;

	mem->size = PAGE_ALIGN(size);
	mem->addr = dma_alloc_coherent(&dev->pdev->dev, mem->size, &mem->dma,
				       GFP_KERNEL);
	if (!mem->addr)
		return -ENOMEM;
	cmd.create_key.va = cpu_to_le64(mem->dma);
	cmd.create_key.table = cpu_to_le64(mem->dma);
	cmd.create_key.length = cpu_to_le64(mem->size);
	err = svan_cmd_create_object(dev, &cmd, &mem->key);
	if (err)
		dma_free_coherent(&dev->pdev->dev, mem->size, mem->addr, mem->dma);
	return err;
}

void svan_eth_mem_free(struct svan_dev *dev, struct svan_mem *mem)
{
	svan_cmd_destroy_object(dev, SVAN_CMD_DESTROY_KEY, mem->key);
	dma_free_coherent(&dev->pdev->dev, mem->size, mem->addr, mem->dma);
}

/*
 * The device has written a completion that cannot be right. Nothing that it writes is
 * trusted any more, so the function is given up. Called in NAPI context.
 */
void svan_eth_broken(struct svan_eth *eth, const char *what, u32 value)
{
	netdev_err(eth->netdev, "bad completion: %s %#x\n", what, value);
	schedule_work(&eth->dev->fatal_work);
}

/*
 * Take the next entry, if the device has written it. The caller uses the copy alone,
 * which the device cannot change.
 */
bool svan_eth_cq_next(struct svan_eth_cq *cq, struct svan_cqe *cqe)
{
	struct svan_cqe *entry = &cq->ring[cq->ci & (BIT(cq->log_size) - 1)];

	if (!svan_cqe_valid(READ_ONCE(entry->owner), cq->ci, cq->log_size))
		return false;
	/* The owner octet is read before the rest, as the device writes it last. */
	dma_rmb();
	*cqe = *entry;
	cq->ci++;
	return true;
}

/* Tell the device that it may overwrite the entries that were taken. */
void svan_eth_cq_release(struct svan_eth_cq *cq)
{
	/* The entries are read before they are given back. */
	dma_mb();
	WRITE_ONCE(cq->dbr->ci, cpu_to_le32(cq->ci));
}

/*
 * Ask for one event, which comes as soon as there is a completion that has not been
 * taken. If an event has been asked for and has not come yet, nothing needs to be done:
 * it will schedule NAPI, which then finds cq->armed clear.
 */
void svan_eth_cq_arm(struct svan_eth_cq *cq)
{
	struct svan_dev *dev = cq->eth->dev;

	if (READ_ONCE(cq->armed))
		return;
	WRITE_ONCE(cq->armed, true);
	trace_svan_doorbell(dev, SVAN_UAR_CQ_DB, cq->cqn, cq->ci);
	/* writeq() orders the doorbell record before the doorbell. */
	writeq(svan_db_value(cq->cqn, cq->ci), dev->uar + SVAN_UAR_CQ_DB);
}

static void svan_eth_cq_complete(struct svan_cq_handler *handler)
{
	struct svan_eth_cq *cq = container_of(handler, struct svan_eth_cq, handler);

	WRITE_ONCE(cq->armed, false);
	napi_schedule_irqoff(&cq->eth->napi);
}

static void svan_eth_cq_error(struct svan_cq_handler *handler, u32 syndrome)
{
	struct svan_eth_cq *cq = container_of(handler, struct svan_eth_cq, handler);

	netdev_err(cq->eth->netdev, "CQ %u failed, syndrome %#x\n", cq->cqn,
		   syndrome);
	svan_eth_restart_later(cq->eth, HZ);
}

int svan_eth_cq_create(struct svan_eth *eth, struct svan_eth_cq *cq, u32 log_size)
{
	struct svan_cmd cmd = { .hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_CQ) };
	size_t ring_size = sizeof(struct svan_cqe) << log_size;
	struct svan_dev *dev = eth->dev;
	int err;

	cq->eth = eth;
	cq->handler.complete = svan_eth_cq_complete;
	cq->handler.error = svan_eth_cq_error;
	cq->log_size = log_size;
	cq->ci = 0;
	cq->armed = false;
	err = svan_eth_mem_alloc(dev, &cq->mem, ring_size + sizeof(*cq->dbr));
	if (err)
		return err;
	cq->ring = cq->mem.addr;
	cq->dbr = cq->mem.addr + ring_size;
	cmd.create_cq.ring_va = cpu_to_le64(cq->mem.dma);
	cmd.create_cq.ring_key = cpu_to_le32(cq->mem.key);
	cmd.create_cq.dbr_offset = cpu_to_le32(ring_size);
	/* The CQs of several functions are spread over the vectors. */
	cmd.create_cq.eqn = cpu_to_le32(svan_comp_eqn(dev, dev->id));
	cmd.create_cq.log_size = log_size;
	err = svan_cmd_create_object(dev, &cmd, &cq->cqn);
	if (err)
		goto err_free_mem;
	err = svan_cq_attach(dev, cq->cqn, &cq->handler);
	if (err)
		goto err_destroy_cq;
	return 0;

err_destroy_cq:
	svan_cmd_destroy_object(dev, SVAN_CMD_DESTROY_CQ, cq->cqn);
err_free_mem:
	svan_eth_mem_free(dev, &cq->mem);
	return err;
}

void svan_eth_cq_destroy(struct svan_eth_cq *cq)
{
	struct svan_dev *dev = cq->eth->dev;

	svan_cq_detach(dev, cq->cqn);
	svan_cmd_destroy_object(dev, SVAN_CMD_DESTROY_CQ, cq->cqn);
	svan_eth_mem_free(dev, &cq->mem);
}
