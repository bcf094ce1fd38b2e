/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Ethernet function: a netdev over one SVAN_QPT_ETH queue pair with a CQ
 * for each direction, served by one NAPI context.
 *
 * svan_eth_up() makes the queues and svan_eth_down() destroys them, both under
 * rtnl. In between, the transmit lock protects the producer's side of the send
 * queue, and NAPI alone uses everything else.
 */
#ifndef SVAN_ETH_H
#define SVAN_ETH_H

#include <linux/etherdevice.h>
#include <linux/skbuff.h>

#include "svan.h"

#define SVAN_ETH_MIN_LOG_SQ	6
#define SVAN_ETH_MAX_LOG_SQ	13
#define SVAN_ETH_DEF_LOG_SQ	10
#define SVAN_ETH_MIN_LOG_RQ	6
#define SVAN_ETH_MAX_LOG_RQ	13
#define SVAN_ETH_DEF_LOG_RQ	10

/* bytes of a frame beyond the MTU: the header and two VLAN tags */
#define SVAN_ETH_OVERHEAD	(ETH_HLEN + 2 * VLAN_HLEN)

/*
 * A receive buffer is one page fragment of at most 32 KiB, and has to hold the head
 * room and struct skb_shared_info beside the frame.
 */
#define SVAN_ETH_MAX_FRAME	(31 * 1024)

/* The driver's own counters. ethtool -S shows them after those of the device. */
#define SVAN_ETH_STATS(X) \
	X(tx_doorbells)		/* doorbells rung by MMIO */ \
	X(tx_doorbells_saved)	/* not rung, as the device was polling */ \
	X(tx_stopped)		/* times that the ring was full */ \
	X(tx_linearized)	/* packets of more fragments than the device takes */ \
	X(rx_alloc_failed)	/* times that there was no memory for a buffer */ \
	X(rx_csum_good)		/* frames whose checksum the device had checked */ \
	X(restarts)		/* times that the queues were rebuilt after an error */

/* Each field has one writer at a time: the transmit lock, NAPI or rtnl sees to that. */
struct svan_eth_stats {
#define SVAN_ETH_STAT_FIELD(name)	u64 name;
	SVAN_ETH_STATS(SVAN_ETH_STAT_FIELD)
#undef SVAN_ETH_STAT_FIELD
};

#define svan_eth_count(eth, name) \
	WRITE_ONCE((eth)->stats.name, (eth)->stats.name + 1)

/**
 * struct svan_mem - queue memory and the internal key that covers it
 * @addr: coherent memory
 * @dma: its bus address, which is also its address under @key
 * @size: number of bytes
 * @key: a key of SVAN_CMD_KEY_INTERNAL without a translation table
 */
struct svan_mem {
	void		*addr;
	dma_addr_t	dma;
	size_t		size;
	u32		key;
};

/**
 * struct svan_eth_cq - a completion queue of the netdev
 * @handler: schedules NAPI
 * @eth: the netdev it belongs to
 * @mem: memory of @ring and @dbr
 * @ring: entries, written by the device
 * @dbr: doorbell record, written by the driver
 * @cqn: number of the CQ
 * @log_size: log2 of the number of entries
 * @ci: consumer index, free-running; used by NAPI alone
 * @armed: the device will raise an event; set by NAPI, cleared by the event
 */
struct svan_eth_cq {
	struct svan_cq_handler	handler;
	struct svan_eth		*eth;
	struct svan_mem		mem;
	struct svan_cqe		*ring;
	struct svan_cq_dbr	*dbr;
	u32			cqn;
	u32			log_size;
	u32			ci;
	bool			armed;
};

struct svan_tx_map {
	dma_addr_t	addr;
	u32		length;
};

/**
 * struct svan_tx_block - what to undo when the WQE in a block of the ring is done
 * @map: mappings of the scatter/gather entries that lie in this block
 * @skb: the packet; this field and the next ones count in a WQE's first block only
 * @num_sge: number of scatter/gather entries of the WQE
 * @num_bbs: number of blocks of the WQE
 */
struct svan_tx_block {
	struct svan_tx_map	map[SVAN_WQE_BB_SGES];
	struct sk_buff		*skb;
	u8			num_sge;
	u8			num_bbs;
};

/**
 * struct svan_txq - send queue
 * @ring: the blocks, read by the device
 * @blocks: the driver's notes on each block of @ring
 * @size: number of blocks
 * @max_sge: scatter/gather entries of the largest WQE that is written
 * @max_frame: length of the longest frame that the device takes
 * @pi: number of blocks written, free-running; under the transmit lock
 * @published: value of @pi that the device has been told; under the transmit lock
 * @ci: number of blocks completed, free-running; written by NAPI
 */
struct svan_txq {
	struct svan_sq_ring	ring;
	struct svan_tx_block	*blocks;
	u32			size;
	u32			max_sge;
	u32			max_frame;
	u32			pi;
	u32			published;
	u32			ci ____cacheline_aligned_in_smp;
};

struct svan_rx_buf {
	void		*va;
	dma_addr_t	dma;
};

/**
 * struct svan_rxq - receive queue, filled and emptied by NAPI
 * @ring: WQEs of one scatter/gather entry each, read by the device
 * @bufs: the buffer of each WQE
 * @size: number of WQEs
 * @buf_size: bytes of a buffer, with head room and struct skb_shared_info
 * @frame_size: bytes that the device may write into a buffer
 * @pi: number of WQEs posted, free-running
 * @ci: number of WQEs completed, free-running
 */
struct svan_rxq {
	void			*ring;
	struct svan_rx_buf	*bufs;
	u32			size;
	u32			buf_size;
	u32			frame_size;
	u32			pi;
	u32			ci;
};

/* What users may configure. A change rebuilds the queues. */
struct svan_eth_config {
	u8	log_sq;
	u8	log_rq;
};

/**
 * struct svan_eth - private data of the netdev
 * @dev: the function
 * @netdev: the netdev whose private data this is
 * @napi: serves both CQs
 * @tx_cq: completion queue of @txq
 * @rx_cq: completion queue of @rxq
 * @qp_mem: memory of the send queue, the receive queue and the doorbell record
 * @dbr: doorbell record in @qp_mem
 * @qp_handler: receives the errors of the queue pair
 * @qpn: number of the queue pair
 * @txq: send queue
 * @rxq: receive queue
 * @config: ring sizes; under rtnl
 * @filter_lock: serialises the commands of the receive filter; protects @up
 * @up: the queues exist; written under rtnl and @filter_lock
 * @rx_mode_work: programs the filter for ndo_set_rx_mode(), which may not sleep
 * @restart_work: rebuilds the queues after an error
 * @dev_nb: is told of port changes and of the function's death
 * @refill_timer: schedules NAPI again when there was no memory for receive buffers
 * @stats: the driver's counters
 */
struct svan_eth {
	struct svan_dev		*dev;
	struct net_device	*netdev;
	struct napi_struct	napi;
	struct svan_eth_cq	tx_cq;
	struct svan_eth_cq	rx_cq;
	struct svan_mem		qp_mem;
	struct svan_qp_dbr	*dbr;
	struct svan_qp_handler	qp_handler;
	u32			qpn;
	struct svan_txq		txq;
	struct svan_rxq		rxq;
	struct svan_eth_config	config;
	struct mutex		filter_lock;	/* protects the filter and up */
	bool			up;
	struct work_struct	rx_mode_work;
	struct delayed_work	restart_work;
	struct notifier_block	dev_nb;
	struct timer_list	refill_timer;
	struct svan_eth_stats	stats;
};

/* ---- pure logic, tested in svan_test.c ---- */

static inline u32 svan_txq_room(const struct svan_txq *txq)
{
	return txq->size - (READ_ONCE(txq->pi) - READ_ONCE(txq->ci));
}

/* Is @index the number of a block that has been posted and not yet completed? */
static inline bool svan_index_in_flight(u32 pi, u32 ci, u32 index)
{
	return index - ci < pi - ci;
}

/* Does the checksum field that the device shall fill in lie within the frame? */
static inline bool svan_tx_csum_fits(u32 start, u32 offset, u32 length)
{
	return start <= U16_MAX && offset <= U16_MAX &&
	       start + offset + sizeof(__sum16) <= length;
}

static inline bool svan_rx_csum_good(u8 cqe_flags, netdev_features_t features)
{
	return (cqe_flags & SVAN_CQE_CSUM_L4_OK) && (features & NETIF_F_RXCSUM);
}

static inline bool svan_rx_length_ok(u32 length, u32 frame_size)
{
	return length >= ETH_HLEN && length <= frame_size;
}

/* SVAN_REG_PORT gives the speed in units of 100 Mb/s. */
static inline u32 svan_port_mbps(u32 port)
{
	return (port & SVAN_PORT_SPEED_MASK) / BIT(SVAN_PORT_SPEED_SHIFT) * 100;
}

/* The notes on entry @n of the WQE at @index, laid out as svan_wqe_sge() does it. */
static inline struct svan_tx_map *svan_tx_map_of(const struct svan_txq *txq,
						 u32 index, u32 n)
{
	if (n >= SVAN_WQE_HEAD_SGES) {
		n -= SVAN_WQE_HEAD_SGES;
		index += 1 + n / SVAN_WQE_BB_SGES;
		n %= SVAN_WQE_BB_SGES;
	}
	return &txq->blocks[index & txq->ring.mask].map[n];
}

static inline struct svan_rwqe *svan_rxq_entry(const struct svan_rxq *rxq,
					       u32 index)
{
	return rxq->ring + ((size_t)(index & (rxq->size - 1)) <<
			    SVAN_RWQE_MIN_LOG_STRIDE);
}

/* Rebuild the queues after @delay jiffies. May be called in any context. */
static inline void svan_eth_restart_later(struct svan_eth *eth,
					  unsigned long delay)
{
	schedule_delayed_work(&eth->restart_work, delay);
}

/* eth_cq.c */
int svan_eth_mem_alloc(struct svan_dev *dev, struct svan_mem *mem, size_t size);
void svan_eth_mem_free(struct svan_dev *dev, struct svan_mem *mem);
int svan_eth_cq_create(struct svan_eth *eth, struct svan_eth_cq *cq, u32 log_size);
void svan_eth_cq_destroy(struct svan_eth_cq *cq);
bool svan_eth_cq_next(struct svan_eth_cq *cq, struct svan_cqe *cqe);
void svan_eth_cq_release(struct svan_eth_cq *cq);
void svan_eth_cq_arm(struct svan_eth_cq *cq);
void svan_eth_broken(struct svan_eth *eth, const char *what, u32 value);

/* eth_queues.c */
int svan_eth_queues_create(struct svan_eth *eth);
void svan_eth_queues_destroy(struct svan_eth *eth);

/* tx.c */
int svan_txq_init(struct svan_eth *eth, void *ring);
void svan_txq_exit(struct svan_eth *eth);
netdev_tx_t svan_start_xmit(struct sk_buff *skb, struct net_device *netdev);
bool svan_txq_clean(struct svan_eth *eth, int budget);

/* rx.c */
int svan_rxq_init(struct svan_eth *eth, void *ring);
void svan_rxq_exit(struct svan_eth *eth);
int svan_rxq_poll(struct svan_eth *eth, int budget);
bool svan_rxq_refill(struct svan_eth *eth);
u32 svan_rx_buf_size(u32 frame_size);

/* eth_filter.c */
void svan_eth_filter_init(struct svan_eth *eth);
int svan_eth_set_filter(struct svan_eth *eth);
void svan_eth_clear_filter(struct svan_eth *eth);

/* eth.c */
void svan_eth_init(struct svan_eth *eth);
int svan_eth_open(struct svan_eth *eth);
void svan_eth_close(struct svan_eth *eth);
void svan_eth_update_carrier(struct svan_eth *eth);
void svan_eth_give_up(struct svan_eth *eth, int err);
int svan_eth_reconfigure(struct svan_eth *eth, const struct svan_eth_config *config,
			 unsigned int mtu);

/* ethtool.c */
extern const struct ethtool_ops svan_ethtool_ops;

#endif /* SVAN_ETH_H */
