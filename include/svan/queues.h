/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Work queues, completion queues, event queues and doorbell records
 * (PRM chapter "Queues"). All multi-octet fields are little-endian unless
 * they are __be; reserved fields are written as zero and not looked at.
 *
 * Ring buffers are powers of two. Producer and consumer indices run freely
 * modulo 2^32; an index is masked with the ring's size to find its slot.
 */
#ifndef SVAN_QUEUES_H
#define SVAN_QUEUES_H

#include "types.h"

/*
 * QPNs and CQNs have 24 bits: variant << SVAN_QN_INDEX_SHIFT | index. Two queue pairs,
 * or two CQs, that exist at the same time differ in their index; the variant counts,
 * modulo 256, how often the index was used.
 */
#define SVAN_QN_INDEX_SHIFT	16
#define SVAN_QN_INDEX_MASK	0xffffu

/* ---- send queue: WQEs of 1 to SVAN_WQE_MAX_BBS 64-byte blocks ---- */

#define SVAN_WQEBB_SHIFT	6
#define SVAN_WQEBB_SIZE		(1u << SVAN_WQEBB_SHIFT)
#define SVAN_WQE_MAX_BBS	9	/* 8 of data, and an address vector */
#define SVAN_MAX_SGE		30
#define SVAN_WQE_HEAD_SGES	2	/* in the first block */
#define SVAN_WQE_BB_SGES	4	/* in each later block */
#define SVAN_WQE_HEAD_INLINE	32
#define SVAN_MAX_INLINE		480

enum svan_wqe_opcode {
	SVAN_WQE_NOP			= 0x00,
	SVAN_WQE_SEND			= 0x01,
	SVAN_WQE_SEND_IMM		= 0x02,
	SVAN_WQE_SEND_INV		= 0x03,	/* reserved */
	SVAN_WQE_RDMA_WRITE		= 0x04,
	SVAN_WQE_RDMA_WRITE_IMM		= 0x05,
	SVAN_WQE_RDMA_READ		= 0x06,
	SVAN_WQE_ATOMIC_CMP_SWP		= 0x07,
	SVAN_WQE_ATOMIC_FETCH_ADD	= 0x08,
	SVAN_WQE_BIND			= 0x09,	/* reserved */
	SVAN_WQE_LOCAL_INV		= 0x0a,	/* reserved */
	SVAN_WQE_FLUSH			= 0x0b,	/* reserved */
	SVAN_WQE_ATOMIC_WRITE		= 0x0c,	/* reserved */
	SVAN_WQE_ETH_SEND		= 0x10,	/* Ethernet queues only */
};

#define SVAN_WQE_SIGNALED	0x01
#define SVAN_WQE_SOLICITED	0x02
#define SVAN_WQE_FENCE		0x04
#define SVAN_WQE_INLINE		0x08
#define SVAN_WQE_AV		0x10	/* the last block is struct svan_av; UD only */
/* Ethernet sends */
#define SVAN_WQE_ETH_CSUM	0x20	/* complete the checksum at csum_start */
#define SVAN_WQE_ETH_VLAN	0x40	/* reserved: insert vlan */
#define SVAN_WQE_ETH_TSO	0x80	/* reserved: cut at mss */

/* scatter/gather entry; one of length 0 is empty */
struct svan_sge {
	__le64	addr;
	__le32	length;
	__le32	lkey;
};

SVAN_ASSERT_SIZE(struct svan_sge, 16);

struct svan_wqe_ctrl {
	__u8	opcode;			/* enum svan_wqe_opcode */
	__u8	flags;			/* SVAN_WQE_* */
	__u8	num_bbs;		/* 1..SVAN_WQE_MAX_BBS */
	__u8	num_sge;		/* 0 with INLINE */
	__le32	inline_length;		/* bytes, with INLINE */
	union {
		__be32	imm;
		__le32	invalidate_key;	/* reserved */
	};
	__le32	reserved;
};

/* remote memory of RDMA and atomics */
struct svan_wqe_remote {
	__le64	addr;
	__le32	rkey;
	__le32	reserved;
};

/* atomics, in place of the head's scatter/gather entries */
struct svan_wqe_atomic {
	__le64	swap_add;
	__le64	compare;
	struct svan_sge	sge;		/* 8 bytes, receives the old value */
};

/* Ethernet sends, in place of struct svan_wqe_remote */
struct svan_wqe_eth {
	__le16	csum_start;		/* octets from the frame's first */
	__le16	csum_offset;		/* from csum_start, of the 16-bit field */
	__le16	mss;			/* reserved: TSO */
	__le16	header_length;		/* reserved: TSO */
	__le16	vlan;			/* reserved: insertion */
	__u8	reserved[6];
};

struct svan_wqe_head {
	struct svan_wqe_ctrl	ctrl;
	union {
		struct svan_wqe_remote	remote;
		struct svan_wqe_eth	eth;
	};
	union {
		struct svan_sge		sge[SVAN_WQE_HEAD_SGES];
		struct svan_wqe_atomic	atomic;
		__u8			data[SVAN_WQE_HEAD_INLINE];
	};
};

SVAN_ASSERT_SIZE(struct svan_wqe_ctrl, 16);
SVAN_ASSERT_SIZE(struct svan_wqe_remote, 16);
SVAN_ASSERT_SIZE(struct svan_wqe_atomic, 32);
SVAN_ASSERT_SIZE(struct svan_wqe_eth, 16);
SVAN_ASSERT_SIZE(struct svan_wqe_head, SVAN_WQEBB_SIZE);
SVAN_ASSERT_OFFSET(struct svan_wqe_ctrl, imm, 8);
SVAN_ASSERT_OFFSET(struct svan_wqe_head, remote, 16);
SVAN_ASSERT_OFFSET(struct svan_wqe_head, sge, 32);

/*
 * Address vector: in SVAN_CMD_MODIFY_QP for connected queues, in the last block of a
 * UD WQE (SVAN_WQE_AV). IPv4 addresses are v4-mapped.
 */
struct svan_av {
	__u8	dgid[16];
	__u8	dmac[6];
	__u8	hop_limit;
	__u8	traffic_class;		/* DSCP and ECN */
	__le32	flow_label;		/* 20 bits */
	__le16	udp_sport;		/* 0: the device derives it */
	__u8	sgid_index;
	__u8	sl;
	__le32	dqpn;			/* UD only */
	__le32	qkey;			/* UD only; with bit 31, the QP's is sent */
	__u8	reserved[24];
};

SVAN_ASSERT_SIZE(struct svan_av, 64);
SVAN_ASSERT_OFFSET(struct svan_av, flow_label, 24);
SVAN_ASSERT_OFFSET(struct svan_av, dqpn, 32);

union svan_wqebb {
	struct svan_wqe_head	head;
	struct svan_av		av;
	struct svan_sge		sge[SVAN_WQE_BB_SGES];
	__u8			data[SVAN_WQEBB_SIZE];
};

SVAN_ASSERT_SIZE(union svan_wqebb, SVAN_WQEBB_SIZE);

/* ---- receive queue: fixed stride, a head and its entries ---- */

struct svan_rwqe {
	__le32	num_sge;		/* 0..max of the queue */
	__le32	reserved;
	__le64	wr_id;			/* shared receive queue: returned in the CQE */
	struct svan_sge	sge[];
};

SVAN_ASSERT_SIZE(struct svan_rwqe, 16);

#define SVAN_RWQE_MIN_LOG_STRIDE	5	/* one entry */
#define SVAN_RWQE_MAX_LOG_STRIDE	9	/* 31 entries */

/*
 * Doorbell record of a QP, 64-byte aligned in the QP's ring buffer. The host
 * writes the first half, the device the second.
 *
 * Posting: write the WQEs; release barrier; write sq_pi; full fence (MFENCE,
 * not a LOCK prefix: PRM "Doorbells"); read device_flags; without POLLING
 * ring SVAN_UAR_SQ_DB. To stop polling, the device clears POLLING; full fence;
 * reads sq_pi again. It takes the later index of record and doorbell.
 */
#define SVAN_QP_DBR_POLLING	0x1

struct svan_qp_dbr {
	__le32	sq_pi;			/* in 64-byte blocks */
	__le32	rq_pi;			/* in entries */
	__u8	reserved0[24];
	__le32	device_flags;		/* SVAN_QP_DBR_* */
	__u8	reserved1[28];
};

SVAN_ASSERT_SIZE(struct svan_qp_dbr, 64);
SVAN_ASSERT_OFFSET(struct svan_qp_dbr, device_flags, 32);

/*
 * Doorbell record of a shared receive queue, 64-byte aligned. The host writes the first
 * half, the device the second. An entry before ci has been taken: its slot may be used
 * again, although it may complete later. There is no doorbell.
 */
struct svan_srq_dbr {
	__le32	pi;			/* in entries */
	__u8	reserved0[28];
	__le32	ci;			/* in entries */
	__u8	reserved1[28];
};

SVAN_ASSERT_SIZE(struct svan_srq_dbr, 64);
SVAN_ASSERT_OFFSET(struct svan_srq_dbr, ci, 32);

/* ---- completion queue ---- */

enum svan_cqe_opcode {
	SVAN_CQE_SQ		= 0,	/* a WQE of the send queue */
	SVAN_CQE_RECV		= 1,
	SVAN_CQE_RECV_IMM	= 2,
	SVAN_CQE_RECV_INV	= 3,	/* reserved */
	SVAN_CQE_RECV_WRITE_IMM	= 4,
	SVAN_CQE_ETH_RECV	= 5,
};

/* completion status; the order is that of the specification's list */
enum svan_cqe_status {
	SVAN_CQE_SUCCESS		= 0,
	SVAN_CQE_LOC_LEN_ERR		= 1,
	SVAN_CQE_LOC_QP_OP_ERR		= 2,
	SVAN_CQE_LOC_PROT_ERR		= 3,
	SVAN_CQE_WR_FLUSH_ERR		= 4,
	SVAN_CQE_MW_BIND_ERR		= 5,
	SVAN_CQE_BAD_RESP_ERR		= 6,
	SVAN_CQE_LOC_ACCESS_ERR		= 7,
	SVAN_CQE_REM_INV_REQ_ERR	= 8,
	SVAN_CQE_REM_ACCESS_ERR		= 9,
	SVAN_CQE_REM_OP_ERR		= 10,
	SVAN_CQE_RETRY_EXC_ERR		= 11,
	SVAN_CQE_RNR_RETRY_EXC_ERR	= 12,
	SVAN_CQE_REM_ABORT_ERR		= 13,
	SVAN_CQE_FATAL_ERR		= 14,
	SVAN_CQE_GENERAL_ERR		= 15,
};

#define SVAN_CQE_PHASE		0x01	/* 1 in the first pass over the ring */
#define SVAN_CQE_SOLICITED	0x02
#define SVAN_CQE_IPV4		0x04	/* UD: octets 20 to 39 of the buffer are an IPv4 header */
#define SVAN_CQE_CSUM_IP_OK	0x10	/* Ethernet: IP header checked, right */
#define SVAN_CQE_CSUM_L4_OK	0x20	/* Ethernet: TCP or UDP checked, right */
#define SVAN_CQE_VLAN		0x40	/* UD: vlan is set. Ethernet: reserved */
#define SVAN_CQE_RSS		0x80	/* reserved: rss_hash is set */

/*
 * The owner octet is written last. The entry of index i is valid when its
 * PHASE differs from bit log_size of i.
 */
struct svan_cqe {
	__le32	qpn;
	__le32	wqe_index;		/* SQ: of the WQE's first block; RQ: entry */
	__le32	byte_len;
	__be32	imm;
	__le64	timestamp;		/* reserved: SVAN_CAP_TIMESTAMP */
	__le32	src_qpn;		/* UD */
	__le32	rss_hash;		/* reserved */
	__le16	vlan;			/* UD: TCI of the packet, with CQE_VLAN */
	__le16	pkey_index;
	__u8	smac[6];		/* UD */
	__u8	reserved0[6];
	__le64	wr_id;			/* shared receive queue: the entry's */
	__le32	vendor_err;		/* enum svan_syndrome, for diagnosis */
	__u8	opcode;			/* enum svan_cqe_opcode */
	__u8	wqe_opcode;		/* enum svan_wqe_opcode, opcode SQ */
	__u8	status;			/* enum svan_cqe_status */
	__u8	owner;			/* flags, PHASE among them */
};

SVAN_ASSERT_SIZE(struct svan_cqe, 64);
SVAN_ASSERT_OFFSET(struct svan_cqe, timestamp, 16);
SVAN_ASSERT_OFFSET(struct svan_cqe, wr_id, 48);
SVAN_ASSERT_OFFSET(struct svan_cqe, vendor_err, 56);
SVAN_ASSERT_OFFSET(struct svan_cqe, owner, 63);

/* what exactly was wrong, in addition to the status */
enum svan_syndrome {
	SVAN_SYN_NONE			= 0x00,
	SVAN_SYN_OPCODE			= 0x01,	/* unknown or not for this queue */
	SVAN_SYN_NUM_BBS		= 0x02,
	SVAN_SYN_NUM_SGE		= 0x03,
	SVAN_SYN_INLINE			= 0x04,
	SVAN_SYN_LENGTH			= 0x05,	/* message too long, or wraps */
	SVAN_SYN_ALIGNMENT		= 0x06,
	SVAN_SYN_AV			= 0x07,	/* address vector: source GID */
	SVAN_SYN_KEY_INVALID		= 0x10,
	SVAN_SYN_KEY_PD			= 0x11,
	SVAN_SYN_KEY_ACCESS		= 0x12,
	SVAN_SYN_KEY_BOUNDS		= 0x13,
	SVAN_SYN_TABLE			= 0x14,	/* translation table entry is bad */
	SVAN_SYN_DMA			= 0x15,	/* memory did not answer, or is none */
	SVAN_SYN_RING			= 0x16,	/* queue memory not reachable */
	SVAN_SYN_INDEX			= 0x17,	/* producer index out of the ring */
	SVAN_SYN_KEY_OWNER		= 0x18,	/* process key of another verbs context */
	SVAN_SYN_CONTEXT		= 0x19,	/* process context is gone or bad */
	SVAN_SYN_PAGE			= 0x1a,	/* the page never comes */
	SVAN_SYN_ADDRESS		= 0x1b,	/* no address of user space */
	SVAN_SYN_NAK			= 0x20,	/* remote end refused */
	SVAN_SYN_TIMEOUT		= 0x21,
	SVAN_SYN_RNR			= 0x22,
	SVAN_SYN_BAD_RESPONSE		= 0x23,
	SVAN_SYN_CQ_OVERRUN		= 0x24,
	SVAN_SYN_RECV_TOO_SMALL		= 0x25,
	SVAN_SYN_COUNTER		= 0x26,	/* completion counter not reachable */
};

/*
 * Doorbell record of a CQ, 64-byte aligned in the CQ's ring buffer. Entries before
 * ci may be overwritten. SVAN_UAR_CQ_DB arms the CQ: the next completion at or after
 * the doorbell's consumer index (with SVAN_DB_CQ_SOLICITED the next one that is
 * solicited or an error) writes one EQE.
 */
struct svan_cq_dbr {
	__le32	ci;
	__u8	reserved[60];
};

SVAN_ASSERT_SIZE(struct svan_cq_dbr, 64);

/* ---- event queue ---- */

enum svan_event {
	SVAN_EVENT_COMPLETION		= 0x01,	/* qn: CQ */
	SVAN_EVENT_CMD			= 0x02,	/* commands have completed */
	SVAN_EVENT_PORT			= 0x03,	/* data: SVAN_REG_PORT */
	SVAN_EVENT_CQ_ERROR		= 0x10,	/* qn: CQ; data: enum svan_syndrome */
	SVAN_EVENT_QP_FATAL		= 0x11,	/* qn: QP */
	SVAN_EVENT_QP_REQ_ERR		= 0x12,
	SVAN_EVENT_QP_ACCESS_ERR	= 0x13,
	SVAN_EVENT_QP_COMM_EST		= 0x14,
	SVAN_EVENT_QP_SQ_DRAINED	= 0x15,
	SVAN_EVENT_SRQ_LIMIT		= 0x16,	/* qn: SRQ; the limit is 0 from then on */
	SVAN_EVENT_QP_LAST_WQE		= 0x17,	/* takes no more of its SRQ */
	SVAN_EVENT_SRQ_ERROR		= 0x18,	/* qn: SRQ; data: enum svan_syndrome */
	SVAN_EVENT_PAGE_REQUEST		= 0x20,	/* faults.h */
	SVAN_EVENT_FLOW			= 0x21,	/* qn: function, flows.h; of the PF alone */
	SVAN_EVENT_FATAL		= 0x3f,	/* data: enum svan_fatal */
};

#define SVAN_EQE_PHASE		0x80	/* 1 in the first pass over the ring */

/* The owner octet is written last; validity as for a CQE. */
struct svan_eqe {
	__le32	qn;
	__le32	data;
	__le32	reserved0;
	__u8	type;			/* enum svan_event */
	__u8	reserved1[2];
	__u8	owner;			/* SVAN_EQE_PHASE */
};

SVAN_ASSERT_SIZE(struct svan_eqe, 16);
SVAN_ASSERT_OFFSET(struct svan_eqe, owner, 15);

#define SVAN_CQ_MAX_LOG_SIZE	22
#define SVAN_EQ_MAX_LOG_SIZE	16
#define SVAN_SQ_MAX_LOG_BBS	17
#define SVAN_RQ_MAX_LOG_SIZE	15

/* What a queue pair may be limited to, kb/s. */
#define SVAN_RATE_LIMIT_MIN	100u
#define SVAN_RATE_LIMIT_MAX	4000000000u

#endif /* SVAN_QUEUES_H */
