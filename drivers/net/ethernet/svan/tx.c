// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transmit: each skb becomes a signaled SVAN_WQE_ETH_SEND work request, which names
 * bus addresses (SVAN_KEY_LOCAL_DMA).
 */
#include <linux/dma-mapping.h>
#include <net/netdev_queues.h>

#include "eth.h"
#include "svan_trace.h"

/* completions that one poll takes before others may run */
#define SVAN_TX_BUDGET	256

/* Room for the largest packet. If there is less, the stack is told to stop. */
static u32 svan_txq_stop_room(const struct svan_txq *txq)
{
	return svan_wqe_sge_bbs(txq->max_sge);
}

static u32 svan_txq_wake_room(const struct svan_txq *txq)
{
	return max(svan_txq_stop_room(txq), txq->size / 4);
}

int svan_txq_init(struct svan_eth *eth, void *ring)
{
	struct svan_txq *txq = &eth->txq;
	u32 sges = le16_to_cpu(eth->dev->caps.max_sge);

	BUILD_BUG_ON(MAX_SKB_FRAGS + 1 > SVAN_MAX_SGE);
	txq->size = BIT(eth->config.log_sq);
	txq->ring.bbs = ring;
	txq->ring.mask = txq->size - 1;
	txq->max_sge = min_t(u32, sges, MAX_SKB_FRAGS + 1);
	txq->max_frame = le32_to_cpu(eth->dev->caps.max_frame);
	txq->pi = 0;
	txq->published = 0;
	txq->ci = 0;
	txq->blocks = kvcalloc(txq->size, sizeof(*txq->blocks), GFP_KERNEL);
	return txq->blocks ? 0 : -ENOMEM;
}

static void svan_tx_unmap(struct svan_eth *eth, u32 index, u32 num_sge)
{
	struct device *d = &eth->dev->pdev->dev;
	struct svan_tx_map *map;
	u32 n;

	for (n = 0; n < num_sge; n++) {
		map = svan_tx_map_of(&eth->txq, index, n);
		if (n == 0)
			dma_unmap_single(d, map->addr, map->length, DMA_TO_DEVICE);
		else
			dma_unmap_page(d, map->addr, map->length, DMA_TO_DEVICE);
	}
}

/* Drop the packets in the queue. The QP is destroyed, and nobody transmits. */
void svan_txq_exit(struct svan_eth *eth)
{
	struct svan_txq *txq = &eth->txq;

	while (txq->ci != txq->pi) {
		struct svan_tx_block *block = &txq->blocks[txq->ci & txq->ring.mask];

		svan_tx_unmap(eth, txq->ci, block->num_sge);
		dev_kfree_skb_any(block->skb);
		txq->ci += block->num_bbs;
	}
	kvfree(txq->blocks);
	txq->blocks = NULL;
}

/*
 * Map the packet, and write its scatter/gather list at the producer index. Return
 * the number of its entries, or an error.
 */
static int svan_tx_map_skb(struct svan_eth *eth, struct sk_buff *skb)
{
	struct device *d = &eth->dev->pdev->dev;
	struct svan_txq *txq = &eth->txq;
	u32 n, num = skb_shinfo(skb)->nr_frags + 1;

	for (n = 0; n < num; n++) {
		struct svan_tx_map *map = svan_tx_map_of(txq, txq->pi, n);

		if (n == 0) {
			map->length = skb_headlen(skb);
			map->addr = dma_map_single(d, skb->data, map->length,
						   DMA_TO_DEVICE);
		} else {
			skb_frag_t *frag = &skb_shinfo(skb)->frags[n - 1];

			map->length = skb_frag_size(frag);
			map->addr = skb_frag_dma_map(d, frag, 0, map->length,
						     DMA_TO_DEVICE);
		}
		if (dma_mapping_error(d, map->addr)) {
			svan_tx_unmap(eth, txq->pi, n);
			return -ENOMEM;
		}
		svan_sge_set(svan_wqe_sge(&txq->ring, txq->pi, n), map->addr,
			     map->length, SVAN_KEY_LOCAL_DMA);
	}
	return num;
}

/* Write the WQE of @skb at the producer index. The device is not told yet. */
static int svan_tx_write(struct svan_eth *eth, struct sk_buff *skb)
{
	struct svan_txq *txq = &eth->txq;
	struct svan_wqe_head *head;
	struct svan_tx_block *block;
	int num_sge;

	head = svan_wqe_begin(&txq->ring, txq->pi, SVAN_WQE_ETH_SEND,
			      SVAN_WQE_SIGNALED, 0);
	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		u32 start = skb_checksum_start_offset(skb);

		if (!svan_tx_csum_fits(start, skb->csum_offset, skb->len))
			return -EINVAL;
		head->ctrl.flags |= SVAN_WQE_ETH_CSUM;
		head->eth.csum_start = cpu_to_le16(start);
		head->eth.csum_offset = cpu_to_le16(skb->csum_offset);
	}
	num_sge = svan_tx_map_skb(eth, skb);
	if (num_sge < 0)
		return num_sge;
	svan_wqe_set_num_sge(head, num_sge);
	block = &txq->blocks[txq->pi & txq->ring.mask];
	block->skb = skb;
	block->num_sge = num_sge;
	block->num_bbs = svan_wqe_sge_bbs(num_sge);
	trace_svan_tx(eth->dev, eth->qpn, txq->pi, skb, head->ctrl.flags);
	/* svan_tx_complete() reads pi without the transmit lock. */
	WRITE_ONCE(txq->pi, txq->pi + block->num_bbs);
	return 0;
}

/*
 * Tell the device of the WQEs that were written (PRM chapter "Doorbells"):
 * first by the doorbell record, then, unless the device polls that record, by the
 * doorbell register. The device, before it sleeps, clears POLLING, executes a full
 * fence and reads the record again. The full fence here pairs with that one. It must
 * be an MFENCE: where the guest has a single CPU, an emulator runs a locked
 * instruction as a plain one, which orders nothing.
 */
static void svan_txq_publish(struct svan_eth *eth)
{
	struct svan_txq *txq = &eth->txq;

	if (txq->published == txq->pi)
		return;
	txq->published = txq->pi;
	/* The WQEs are written before the record. */
	dma_wmb();
	WRITE_ONCE(eth->dbr->sq_pi, cpu_to_le32(txq->pi));
	/* The record is written before the flags are read; see above for the pair. */
	mb();
	if (le32_to_cpu(READ_ONCE(eth->dbr->device_flags)) & SVAN_QP_DBR_POLLING) {
		svan_eth_count(eth, tx_doorbells_saved);
		return;
	}
	svan_eth_count(eth, tx_doorbells);
	trace_svan_doorbell(eth->dev, SVAN_UAR_SQ_DB, eth->qpn, txq->pi);
	writeq(svan_db_value(eth->qpn, txq->pi), eth->dev->uar + SVAN_UAR_SQ_DB);
}

/* Refuse a packet that the device would answer with an error; make others fit. */
static int svan_tx_prepare(struct svan_eth *eth, struct sk_buff *skb)
{
	if (skb->len < ETH_HLEN || skb->len > eth->txq.max_frame)
		return -EMSGSIZE;
	if (skb_shinfo(skb)->nr_frags + 1 > eth->txq.max_sge) {
		svan_eth_count(eth, tx_linearized);
		return skb_linearize(skb);
	}
	return 0;
}

netdev_tx_t svan_start_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	struct netdev_queue *queue = netdev_get_tx_queue(netdev, 0);
	struct svan_eth *eth = netdev_priv(netdev);
	struct svan_txq *txq = &eth->txq;
	u32 length;

	/*
	 * The queue should have been stopped earlier (net/netdev_queues.h). It is
	 * stopped here, and its room is read again: the last completion may have
	 * come in between, and then nothing would wake the queue.
	 */
	if (unlikely(svan_txq_room(txq) < svan_txq_stop_room(txq)) &&
	    netif_txq_try_stop(queue, svan_txq_room(txq),
			       svan_txq_wake_room(txq)) == 0) {
		svan_txq_publish(eth);
		return NETDEV_TX_BUSY;
	}
	if (svan_tx_prepare(eth, skb))
		goto err_drop;
	length = skb->len;
	skb_tx_timestamp(skb);
	if (svan_tx_write(eth, skb))
		goto err_drop;
	/* Once its WQE is published the packet may be freed at any time. */
	if (netif_txq_maybe_stop(queue, svan_txq_room(txq), svan_txq_stop_room(txq),
				 svan_txq_wake_room(txq)) == 0)
		svan_eth_count(eth, tx_stopped);
	if (__netdev_tx_sent_queue(queue, length, netdev_xmit_more()))
		svan_txq_publish(eth);
	return NETDEV_TX_OK;

err_drop:
	dev_kfree_skb_any(skb);
	DEV_STATS_INC(netdev, tx_dropped);
	if (!netdev_xmit_more())
		svan_txq_publish(eth);
	return NETDEV_TX_OK;
}

struct svan_tx_done {
	u32	ci;
	u32	packets;
	u32	bytes;
};

/* Free the packets up to the one at @index, all of which have completed. */
static void svan_txq_free_until(struct svan_eth *eth, u32 index, int budget,
				struct svan_tx_done *done)
{
	struct svan_txq *txq = &eth->txq;

	while ((s32)(index - done->ci) >= 0) {
		struct svan_tx_block *block = &txq->blocks[done->ci & txq->ring.mask];

		svan_tx_unmap(eth, done->ci, block->num_sge);
		done->packets++;
		done->bytes += block->skb->len;
		done->ci += block->num_bbs;
		napi_consume_skb(block->skb, budget);
		block->skb = NULL;
	}
}

static bool svan_tx_complete(struct svan_eth *eth, const struct svan_cqe *cqe,
			     int budget, struct svan_tx_done *done)
{
	u32 index = le32_to_cpu(cqe->wqe_index);

	trace_svan_tx_done(eth->dev, eth->qpn, index, cqe->status);
	if (cqe->opcode != SVAN_CQE_SQ ||
	    !svan_index_in_flight(READ_ONCE(eth->txq.pi), done->ci, index)) {
		svan_eth_broken(eth, "TX index", index);
		return false;
	}
	if (cqe->status != SVAN_CQE_SUCCESS) {
		netdev_err(eth->netdev, "TX completion status %u, syndrome %#x\n",
			   cqe->status, le32_to_cpu(cqe->vendor_err));
		DEV_STATS_INC(eth->netdev, tx_errors);
		svan_eth_restart_later(eth, HZ);
	}
	svan_txq_free_until(eth, index, budget, done);
	return true;
}

/**
 * svan_txq_clean - take transmit completions
 * @eth: the netdev
 * @budget: the budget that NAPI was called with
 *
 * Return: true if there may be more of them.
 */
bool svan_txq_clean(struct svan_eth *eth, int budget)
{
	struct svan_tx_done done = { .ci = eth->txq.ci };
	struct svan_txq *txq = &eth->txq;
	struct svan_cqe cqe;
	u32 n = 0;

	while (n < SVAN_TX_BUDGET && svan_eth_cq_next(&eth->tx_cq, &cqe)) {
		n++;
		if (!svan_tx_complete(eth, &cqe, budget, &done))
			break;
	}
	if (!n)
		return false;
	/* The CQ has room again before the send queue has. */
	svan_eth_cq_release(&eth->tx_cq);
	WRITE_ONCE(txq->ci, done.ci);
	dev_sw_netstats_tx_add(eth->netdev, done.packets, done.bytes);
	netif_txq_completed_wake(netdev_get_tx_queue(eth->netdev, 0), done.packets,
				 done.bytes, svan_txq_room(txq),
				 svan_txq_wake_room(txq));
	return n == SVAN_TX_BUDGET;
}
