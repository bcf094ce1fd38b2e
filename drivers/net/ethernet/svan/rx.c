// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receive: each entry of the receive queue names one buffer, a page fragment with
 * room for the frame and for what build_skb() puts around it. A buffer is unmapped
 * before the stack gets it, so that no packet in a socket holds a DMA mapping when
 * the driver is unbound.
 */
#include <linux/dma-mapping.h>

#include "eth.h"
#include "svan_trace.h"

#define SVAN_RX_HEADROOM	(NET_SKB_PAD + NET_IP_ALIGN)
/* Buffers are posted in batches of at least this many. */
#define SVAN_RX_BATCH		16

u32 svan_rx_buf_size(u32 frame_size)
{
	return SKB_DATA_ALIGN(SVAN_RX_HEADROOM + frame_size) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

int svan_rxq_init(struct svan_eth *eth, void *ring)
{
	struct svan_rxq *rxq = &eth->rxq;

	rxq->ring = ring;
	rxq->size = BIT(eth->config.log_rq);
	rxq->frame_size = eth->netdev->mtu + SVAN_ETH_OVERHEAD;
	rxq->buf_size = svan_rx_buf_size(rxq->frame_size);
	rxq->pi = 0;
	rxq->ci = 0;
	rxq->bufs = kvcalloc(rxq->size, sizeof(*rxq->bufs), GFP_KERNEL);
	return rxq->bufs ? 0 : -ENOMEM;
}

static struct svan_rx_buf *svan_rxq_buf(struct svan_rxq *rxq, u32 index)
{
	return &rxq->bufs[index & (rxq->size - 1)];
}

static void svan_rx_unmap(struct svan_eth *eth, struct svan_rx_buf *buf)
{
	dma_unmap_single(&eth->dev->pdev->dev, buf->dma, eth->rxq.frame_size,
			 DMA_FROM_DEVICE);
}

/* Free the buffers that were posted: the queue pair is destroyed, and NAPI is off. */
void svan_rxq_exit(struct svan_eth *eth)
{
	struct svan_rxq *rxq = &eth->rxq;

	for (; rxq->ci != rxq->pi; rxq->ci++) {
		struct svan_rx_buf *buf = svan_rxq_buf(rxq, rxq->ci);

		svan_rx_unmap(eth, buf);
		skb_free_frag(buf->va);
	}
	kvfree(rxq->bufs);
	rxq->bufs = NULL;
}

static bool svan_rx_fill_one(struct svan_eth *eth, u32 index)
{
	struct device *d = &eth->dev->pdev->dev;
	struct svan_rxq *rxq = &eth->rxq;
	struct svan_rx_buf *buf = svan_rxq_buf(rxq, index);
	struct svan_rwqe *rwqe = svan_rxq_entry(rxq, index);

	buf->va = netdev_alloc_frag(rxq->buf_size);
	if (!buf->va)
		goto err_count;
	buf->dma = dma_map_single(d, buf->va + SVAN_RX_HEADROOM, rxq->frame_size,
				  DMA_FROM_DEVICE);
	if (dma_mapping_error(d, buf->dma))
		goto err_free;
	memset(rwqe, 0, sizeof(*rwqe));
	rwqe->num_sge = cpu_to_le32(1);
	svan_sge_set(rwqe->sge, buf->dma, rxq->frame_size, SVAN_KEY_LOCAL_DMA);
	return true;

err_free:
	skb_free_frag(buf->va);
err_count:
	svan_eth_count(eth, rx_alloc_failed);
	return false;
}

/*
 * Tell the device of new buffers. It reads the doorbell record of a receive queue
 * when a frame arrives, so no doorbell is rung.
 */
static void svan_rxq_publish(struct svan_eth *eth, u32 pi)
{
	eth->rxq.pi = pi;
	/* The entries are written before the record. */
	dma_wmb();
	WRITE_ONCE(eth->dbr->rq_pi, cpu_to_le32(pi));
}

/**
 * svan_rxq_refill - post buffers for the entries that have been consumed
 * @eth: the netdev
 *
 * Called by NAPI, or before NAPI is enabled.
 *
 * Return: false if there was no memory and the device has few buffers left. The
 * caller must try again, even if no completions come.
 */
bool svan_rxq_refill(struct svan_eth *eth)
{
	struct svan_rxq *rxq = &eth->rxq;
	u32 limit = rxq->ci + rxq->size;
	u32 pi = rxq->pi;

	if (limit - pi < SVAN_RX_BATCH)
		return true;
	while (pi != limit && svan_rx_fill_one(eth, pi))
		pi++;
	if (pi != rxq->pi)
		svan_rxq_publish(eth, pi);
	return pi - rxq->ci >= SVAN_RX_BATCH;
}

static void svan_rx_deliver(struct svan_eth *eth, void *va, u32 length, u8 flags)
{
	struct net_device *netdev = eth->netdev;
	struct sk_buff *skb;

	skb = napi_build_skb(va, eth->rxq.buf_size);
	if (unlikely(!skb)) {
		skb_free_frag(va);
		DEV_STATS_INC(netdev, rx_dropped);
		return;
	}
	skb_reserve(skb, SVAN_RX_HEADROOM);
	__skb_put(skb, length);
	if (svan_rx_csum_good(flags, netdev->features)) {
		skb->ip_summed = CHECKSUM_UNNECESSARY;
		svan_eth_count(eth, rx_csum_good);
	}
	skb_record_rx_queue(skb, 0);
	skb->protocol = eth_type_trans(skb, netdev);
	dev_sw_netstats_rx_add(netdev, length);
	napi_gro_receive(&eth->napi, skb);
}

static bool svan_rx_complete(struct svan_eth *eth, const struct svan_cqe *cqe)
{
	u32 index = le32_to_cpu(cqe->wqe_index);
	u32 length = le32_to_cpu(cqe->byte_len);
	struct svan_rxq *rxq = &eth->rxq;
	struct svan_rx_buf *buf;

	trace_svan_rx(eth->dev, eth->qpn, cqe);
	/* Buffers complete in the order in which they were posted. */
	if (cqe->opcode != SVAN_CQE_ETH_RECV || index != rxq->ci ||
	    rxq->ci == rxq->pi) {
		svan_eth_broken(eth, "RX index", index);
		return false;
	}
	buf = svan_rxq_buf(rxq, index);
	svan_rx_unmap(eth, buf);
	rxq->ci++;
	if (unlikely(cqe->status != SVAN_CQE_SUCCESS ||
		     !svan_rx_length_ok(length, rxq->frame_size))) {
		skb_free_frag(buf->va);
		DEV_STATS_INC(eth->netdev, rx_errors);
		if (cqe->status != SVAN_CQE_SUCCESS)
			svan_eth_restart_later(eth, HZ);
		return true;
	}
	svan_rx_deliver(eth, buf->va, length, cqe->owner);
	return true;
}

/**
 * svan_rxq_poll - take received frames
 * @eth: the netdev
 * @budget: how many frames to take at most
 *
 * Return: the number of frames taken.
 */
int svan_rxq_poll(struct svan_eth *eth, int budget)
{
	struct svan_cqe cqe;
	int n = 0;

	while (n < budget && svan_eth_cq_next(&eth->rx_cq, &cqe)) {
		n++;
		if (!svan_rx_complete(eth, &cqe))
			break;
	}
	/* The CQ has room again before the receive queue gets buffers. */
	if (n)
		svan_eth_cq_release(&eth->rx_cq);
	return n;
}
