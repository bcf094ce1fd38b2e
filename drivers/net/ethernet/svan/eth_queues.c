// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making and destroying the netdev's queues: the queue pair, and with it the
 * completion queues and the two rings.
 */
#include "eth.h"

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

/*
 * The send queue, the receive queue and the doorbell record lie in one piece of
 * memory. The queue pair is brought to RTS.
 */
static int svan_eth_rings_create(struct svan_eth *eth)
{
	size_t sq_size = (size_t)SVAN_WQEBB_SIZE << eth->config.log_sq;
	size_t rq_size = 1ul << (eth->config.log_rq + SVAN_RWQE_MIN_LOG_STRIDE);
	int err;

	err = svan_eth_mem_alloc(eth->dev, &eth->qp_mem,
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
	svan_eth_mem_free(eth->dev, &eth->qp_mem);
	return err;
}

static void svan_eth_rings_destroy(struct svan_eth *eth)
{
	svan_eth_qp_destroy(eth);
	/* The device does not use the buffers any more. */
	svan_rxq_exit(eth);
	svan_txq_exit(eth);
	svan_eth_mem_free(eth->dev, &eth->qp_mem);
}

int svan_eth_queues_create(struct svan_eth *eth)
{
	int err;

	/* Each WQE has one completion, so a CQ of the queue's size cannot overrun. */
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
