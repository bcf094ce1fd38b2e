// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making and destroying the netdev's queues: memory, keys, completion queues
 * and the queue pair.
 */
#include <linux/dma-mapping.h>
#include <linux/log2.h>

#include "eth.h"
#include "svan_trace.h"

/* Coherent memory, and an internal key by which queues may lie in it. */
static int svan_mem_alloc(struct svan_dev *dev, struct svan_mem *mem, size_t size)
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

static void svan_mem_free(struct svan_dev *dev, struct svan_mem *mem)
{
	svan_cmd_destroy_object(dev, SVAN_CMD_DESTROY_KEY, mem->key);
	dma_free_coherent(&dev->pdev->dev, mem->size, mem->addr, mem->dma);
}

/*
 * The device said something that cannot be: nothing it says is trusted any
 * more. NAPI context.
 */
void svan_eth_broken(struct svan_eth *eth, const char *what, u32 value)
{
	netdev_err(eth->netdev, "bad completion: %s %#x\n", what, value);
	schedule_work(&eth->dev->fatal_work);
}

/* ---- completion queues ---- */

/* Copies the next entry once; what is used afterwards is the copy. */
bool svan_eth_cq_next(struct svan_eth_cq *cq, struct svan_cqe *cqe)
{
	struct svan_cqe *entry = &cq->ring[cq->ci & (BIT(cq->log_size) - 1)];

	if (!svan_cqe_valid(READ_ONCE(entry->owner), cq->ci, cq->log_size))
		return false;
	/* owner before the rest; the device writes it last */
	dma_rmb();
	*cqe = *entry;
	cq->ci++;
	return true;
}

/* Tell the device which entries it may overwrite. */
void svan_eth_cq_release(struct svan_eth_cq *cq)
{
	/* our reads of the entries before they are given back */
	dma_mb();
	WRITE_ONCE(cq->dbr->ci, cpu_to_le32(cq->ci));
}

/*
 * One event for the next completion that is not yet consumed. A CQ whose event
 * is still to come needs none: an event that is on its way will schedule NAPI
 * again, which then finds @armed clear.
 */
void svan_eth_cq_arm(struct svan_eth_cq *cq)
{
	struct svan_dev *dev = cq->eth->dev;

	if (READ_ONCE(cq->armed))
		return;
	WRITE_ONCE(cq->armed, true);
	trace_svan_doorbell(dev, SVAN_UAR_CQ_DB, cq->cqn, cq->ci);
	/* writeq orders the record before the doorbell */
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

static int svan_eth_cq_create(struct svan_eth *eth, struct svan_eth_cq *cq,
			      u32 log_size)
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
	err = svan_mem_alloc(dev, &cq->mem, ring_size + sizeof(*cq->dbr));
	if (err)
		return err;
	cq->ring = cq->mem.addr;
	cq->dbr = cq->mem.addr + ring_size;
	cmd.create_cq.ring_va = cpu_to_le64(cq->mem.dma);
	cmd.create_cq.ring_key = cpu_to_le32(cq->mem.key);
	cmd.create_cq.dbr_offset = cpu_to_le32(ring_size);
	/* several functions spread over the CPUs */
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
	svan_mem_free(dev, &cq->mem);
	return err;
}

static void svan_eth_cq_destroy(struct svan_eth_cq *cq)
{
	struct svan_dev *dev = cq->eth->dev;

	svan_cq_detach(dev, cq->cqn);
	svan_cmd_destroy_object(dev, SVAN_CMD_DESTROY_CQ, cq->cqn);
	svan_mem_free(dev, &cq->mem);
}

/* ---- the queue pair ---- */

static void svan_eth_qp_event(struct svan_qp_handler *handler, u8 event)
{
	struct svan_eth *eth = container_of(handler, struct svan_eth, qp_handler);

	netdev_err(eth->netdev, "queue pair failed, event %#x\n", event);
	svan_eth_restart_later(eth, HZ);
}

static int svan_eth_qp_modify(struct svan_eth *eth, u8 state)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODIFY_QP),
		.modify_qp.qpn = cpu_to_le32(eth->qpn),
		.modify_qp.attr.state = state,
	};

	return svan_cmd_exec(eth->dev, &cmd, NULL);
}

static int svan_eth_qp_create(struct svan_eth *eth, size_t sq_size, size_t rq_size)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_QP),
		.create_qp = {
			.type = SVAN_QPT_ETH,
			.flags = SVAN_CMD_QP_PRIVILEGED,
			.log_sq_bbs = eth->config.log_sq,
			.log_rq_size = eth->config.log_rq,
			.log_rq_stride = SVAN_RWQE_MIN_LOG_STRIDE,
			.pd = cpu_to_le32(eth->dev->pd),
			.send_cq = cpu_to_le32(eth->tx_cq.cqn),
			.recv_cq = cpu_to_le32(eth->rx_cq.cqn),
			.ring_va = cpu_to_le64(eth->qp_mem.dma),
			.ring_key = cpu_to_le32(eth->qp_mem.key),
			.sq_offset = 0,
			.rq_offset = cpu_to_le32(sq_size),
			.dbr_offset = cpu_to_le32(sq_size + rq_size),
		},
	};
	static const u8 states[] = { SVAN_QPS_INIT, SVAN_QPS_RTR, SVAN_QPS_RTS };
	int err, i;

	err = svan_cmd_create_object(eth->dev, &cmd, &eth->qpn);
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		err = svan_eth_qp_modify(eth, states[i]);
		if (err)
			goto err_destroy;
	}
	eth->qp_handler.event = svan_eth_qp_event;
	err = svan_qp_attach(eth->dev, eth->qpn, &eth->qp_handler);
	if (err)
		goto err_destroy;
	return 0;

err_destroy:
	svan_cmd_destroy_object(eth->dev, SVAN_CMD_DESTROY_QP, eth->qpn);
	return err;
}

static void svan_eth_qp_destroy(struct svan_eth *eth)
{
	svan_qp_detach(eth->dev, eth->qpn);
	svan_cmd_destroy_object(eth->dev, SVAN_CMD_DESTROY_QP, eth->qpn);
}

/* SQ, RQ and doorbell record in one piece of memory, the queue pair in RTS */
static int svan_eth_rings_create(struct svan_eth *eth)
{
	size_t sq_size = (size_t)SVAN_WQEBB_SIZE << eth->config.log_sq;
	size_t rq_size = 1ul << (eth->config.log_rq + SVAN_RWQE_MIN_LOG_STRIDE);
	int err;

	err = svan_mem_alloc(eth->dev, &eth->qp_mem,
			     sq_size + rq_size + sizeof(*eth->dbr));
	if (err)
		return err;
	eth->dbr = eth->qp_mem.addr + sq_size + rq_size;
	err = svan_txq_init(eth, eth->qp_mem.addr);
	if (err)
		goto err_free_mem;
	err = svan_rxq_init(eth, eth->qp_mem.addr + sq_size);
	if (err)
		goto err_txq_exit;
	err = svan_eth_qp_create(eth, sq_size, rq_size);
	if (err)
		goto err_rxq_exit;
	return 0;

err_rxq_exit:
	svan_rxq_exit(eth);
err_txq_exit:
	svan_txq_exit(eth);
err_free_mem:
	svan_mem_free(eth->dev, &eth->qp_mem);
	return err;
}

static void svan_eth_rings_destroy(struct svan_eth *eth)
{
	svan_eth_qp_destroy(eth);
	/* the device has let go of the buffers */
	svan_rxq_exit(eth);
	svan_txq_exit(eth);
	svan_mem_free(eth->dev, &eth->qp_mem);
}

int svan_eth_queues_create(struct svan_eth *eth)
{
	int err;

	/* each WQE completes: a CQ as large as its queue cannot overrun */
	err = svan_eth_cq_create(eth, &eth->tx_cq, eth->config.log_sq);
	if (err)
		return err;
	err = svan_eth_cq_create(eth, &eth->rx_cq, eth->config.log_rq);
	if (err)
		goto err_destroy_tx_cq;
	err = svan_eth_rings_create(eth);
	if (err)
		goto err_destroy_rx_cq;
	return 0;

err_destroy_rx_cq:
	svan_eth_cq_destroy(&eth->rx_cq);
err_destroy_tx_cq:
	svan_eth_cq_destroy(&eth->tx_cq);
	return err;
}

void svan_eth_queues_destroy(struct svan_eth *eth)
{
	svan_eth_rings_destroy(eth);
	svan_eth_cq_destroy(&eth->rx_cq);
	svan_eth_cq_destroy(&eth->tx_cq);
}
