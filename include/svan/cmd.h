/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Admin commands (PRM chapter "Commands"). Command i of the ring at
 * SVAN_REG_CMDQ_BASE is answered in entry i of the ring at
 * SVAN_REG_CMDR_BASE; commands complete in order. A response is valid when
 * its phase octet's bit 0 differs from bit log_size of the free-running index.
 * SVAN_EVENT_CMD follows it on EQ 0, if that exists and SVAN_CMD_NOTIFY is set.
 */
#ifndef SVAN_CMD_H
#define SVAN_CMD_H

#include "faults.h"
#include "flows.h"
#include "keys.h"
#include "queues.h"

enum svan_cmd_opcode {
	SVAN_CMD_NOP			= 0x000,
	SVAN_CMD_QUERY_CAPS		= 0x001,
	SVAN_CMD_QUERY_STATS		= 0x002,

	SVAN_CMD_CREATE_EQ		= 0x010,
	SVAN_CMD_DESTROY_EQ		= 0x011,

	SVAN_CMD_ALLOC_UAR		= 0x020,
	SVAN_CMD_FREE_UAR		= 0x021,
	SVAN_CMD_ALLOC_PD		= 0x022,
	SVAN_CMD_FREE_PD		= 0x023,

	SVAN_CMD_CREATE_KEY		= 0x030,
	SVAN_CMD_DESTROY_KEY		= 0x031,
	SVAN_CMD_QUERY_KEY		= 0x032,
	SVAN_CMD_MODIFY_KEY		= 0x033,

	SVAN_CMD_CREATE_CQ		= 0x040,
	SVAN_CMD_DESTROY_CQ		= 0x041,
	SVAN_CMD_RESIZE_CQ		= 0x042,	/* reserved */
	SVAN_CMD_MODERATE_CQ		= 0x043,

	SVAN_CMD_CREATE_COUNTER		= 0x048,
	SVAN_CMD_DESTROY_COUNTER	= 0x049,
	SVAN_CMD_MODIFY_COUNTER		= 0x04a,

	SVAN_CMD_CREATE_QP		= 0x050,
	SVAN_CMD_DESTROY_QP		= 0x051,
	SVAN_CMD_MODIFY_QP		= 0x052,
	SVAN_CMD_QUERY_QP		= 0x053,
	SVAN_CMD_ATTACH_COUNTER		= 0x054,
	SVAN_CMD_ATTACH_MCAST		= 0x055,
	SVAN_CMD_DETACH_MCAST		= 0x056,

	SVAN_CMD_SET_GID		= 0x060,
	SVAN_CMD_CLEAR_GID		= 0x061,

	SVAN_CMD_ETH_SET_FILTER		= 0x070,
	SVAN_CMD_ETH_SET_MCAST		= 0x071,
	SVAN_CMD_SET_PORT		= 0x072,

	SVAN_CMD_CREATE_SRQ		= 0x080,
	SVAN_CMD_DESTROY_SRQ		= 0x081,
	SVAN_CMD_MODIFY_SRQ		= 0x082,
	SVAN_CMD_QUERY_SRQ		= 0x083,

	SVAN_CMD_CREATE_PRQ		= 0x090,
	SVAN_CMD_DESTROY_PRQ		= 0x091,
	SVAN_CMD_SET_FAULT_POLICY	= 0x092,
	SVAN_CMD_QUERY_FAULT_POLICY	= 0x093,
	SVAN_CMD_SET_SPARE_PAGES	= 0x094,
	SVAN_CMD_SET_CONTEXT_TABLE	= 0x0a0,
	SVAN_CMD_SET_FUNCTION		= 0x0b0,
	SVAN_CMD_QUERY_FUNCTION		= 0x0b1,
	SVAN_CMD_SET_CONGESTION		= 0x0b2,
	SVAN_CMD_QUERY_CONGESTION	= 0x0b3,
	SVAN_CMD_SET_ENFORCEMENT	= 0x0b4,
	SVAN_CMD_QUERY_ENFORCEMENT	= 0x0b5,
	SVAN_CMD_QUERY_FLOWS		= 0x0b6,
	SVAN_CMD_JUDGE_FLOW		= 0x0b7,
	SVAN_CMD_SET_RATE_GROUP		= 0x0b8,
};

enum svan_cmd_status {
	SVAN_CMD_OK			= 0x00,
	SVAN_CMD_BAD_OPCODE		= 0x01,
	SVAN_CMD_BAD_PARAM		= 0x02,
	SVAN_CMD_BAD_RESOURCE		= 0x03,	/* no such object */
	SVAN_CMD_BAD_STATE		= 0x04,
	SVAN_CMD_BUSY			= 0x05,	/* object is still referenced */
	SVAN_CMD_NO_RESOURCES		= 0x06,
	SVAN_CMD_DMA_ERROR		= 0x07,
	SVAN_CMD_NOT_PERMITTED		= 0x08,
	SVAN_CMD_NOT_SUPPORTED		= 0x09,
};

#define SVAN_CMD_NOTIFY		0x0001	/* write SVAN_EVENT_CMD when done */

struct svan_cmd_hdr {
	__le16	opcode;			/* enum svan_cmd_opcode */
	__le16	flags;			/* SVAN_CMD_NOTIFY */
	__le32	tag;			/* returned in the response */
	__le64	reserved;
};

#define SVAN_CMD_SIZE		128
#define SVAN_CMD_PAYLOAD	112
#define SVAN_CMD_RESP_SIZE	64
#define SVAN_CMD_RESP_PAYLOAD	48

/* QUERY_CAPS, QUERY_STATS: the device writes struct svan_caps or svan_stats */
struct svan_cmd_query {
	__le64	addr;			/* bus address, 8-byte aligned */
	__le32	length;			/* bytes of room; what is longer is cut off */
	__le32	function;		/* QUERY_STATS of the PF: whose; 0: its own */
};

/* The EQ interrupts by MSI-X vector `vector`; EQ 0 carries all but completions. */
struct svan_cmd_create_eq {
	__le64	ring;			/* bus address, contiguous, 4096-aligned */
	__le32	eqn;			/* chosen by the driver, 0..max_eq - 1 */
	__le16	vector;
	__u8	log_size;		/* 4..SVAN_EQ_MAX_LOG_SIZE, 256 entries = 4096 */
	__u8	reserved;
};

/*
 * FREE_UAR, FREE_PD, DESTROY_EQ/KEY/CQ/COUNTER/QP/SRQ, QUERY_KEY/QP/SRQ/FUNCTION/ENFORCEMENT,
 * CLEAR_GID
 */
struct svan_cmd_object {
	__le32	id;			/* key: the whole 32-bit key */
	__le32	reserved;
};

/* UAR page 0 is the kernel driver's from the start; owner 0 means the kernel. */
struct svan_cmd_alloc_uar {
	__le32	owner;			/* driver's id of the verbs context */
	__le32	process;		/* driver's id of its process; 0: charged alone */
};

#define SVAN_CMD_KEY_INTERNAL	0x01	/* rings and counters only: no WQE may name it */

struct svan_cmd_create_key {
	__u8	kind;			/* enum svan_key_kind */
	__u8	flags;			/* SVAN_CMD_KEY_* */
	__u8	levels;			/* 0..SVAN_MTT_MAX_LEVELS */
	__u8	page_shift;		/* 12..30 */
	__le32	access;			/* SVAN_ACCESS_* */
	__le32	pd;			/* ignored with INTERNAL */
	__le32	pasid;			/* PROCESS */
	__le64	va;			/* of the first octet */
	__le64	length;			/* bytes; va + length does not wrap */
	__le64	table;			/* bus address, at least 4096-aligned */
	__le32	owner;			/* verbs context, as in ALLOC_UAR */
	__le32	generation;		/* PROCESS: of the process context */
	__u8	reserved[16];
};

SVAN_ASSERT_SIZE(struct svan_cmd_create_key, 64);
SVAN_ASSERT_OFFSET(struct svan_cmd_create_key, va, 16);

/* svan_cmd_modify_key.mask: which fields count */
#define SVAN_MODIFY_KEY_ACCESS	0x01
#define SVAN_MODIFY_KEY_PD	0x02
#define SVAN_MODIFY_KEY_MASK	0x03

/* Change a key's rights or PD; it stays valid and leads to the same memory. */
struct svan_cmd_modify_key {
	__le32	key;			/* the whole 32-bit key, not INTERNAL */
	__le32	mask;			/* SVAN_MODIFY_KEY_* */
	__le32	access;			/* SVAN_ACCESS_* */
	__le32	pd;
};

SVAN_ASSERT_SIZE(struct svan_cmd_modify_key, 16);

/* entries that were not consumed are overwritten; needs SVAN_CAP_COMP_COUNTERS */
#define SVAN_CMD_CQ_IGNORE_OVERRUN	0x01

/* The CQEs begin at ring_va; the doorbell record stands behind them. */
struct svan_cmd_create_cq {
	__le64	ring_va;		/* 64-byte aligned */
	__le32	ring_key;		/* INTERNAL key that covers ring and record */
	__le32	dbr_offset;		/* from ring_va, 64-byte aligned */
	__le32	eqn;
	__le32	uar;
	__u8	log_size;		/* 0..SVAN_CQ_MAX_LOG_SIZE */
	__u8	flags;			/* SVAN_CMD_CQ_* */
	__u8	reserved[6];
};

SVAN_ASSERT_SIZE(struct svan_cmd_create_cq, 32);

struct svan_cmd_moderate_cq {
	__le32	cqn;
	__le16	count;			/* an event after so many completions, 0/1: each */
	__le16	period_us;		/* or so long after the first; 0: no moderation */
};

/*
 * A completion counter: a count of successes and a count of errors, each a
 * little-endian number of 64 bits that the device stores when it changes.
 */
struct svan_cmd_create_counter {
	__le64	success_va;		/* 8-byte aligned */
	__le64	error_va;		/* 8-byte aligned */
	__le32	success_key;		/* INTERNAL key that covers success_va */
	__le32	error_key;		/* INTERNAL key that covers error_va */
	__le64	success;		/* the counts that it begins with; */
	__le64	error;			/* both are stored */
	__le32	owner;			/* verbs context, as in ALLOC_UAR */
	__le32	reserved;
};

SVAN_ASSERT_SIZE(struct svan_cmd_create_counter, 48);
SVAN_ASSERT_OFFSET(struct svan_cmd_create_counter, success, 24);

/* svan_cmd_modify_counter.mask: which counts change, and how */
#define SVAN_MODIFY_COUNTER_SUCCESS	0x01
#define SVAN_MODIFY_COUNTER_ERROR	0x02
#define SVAN_MODIFY_COUNTER_ADD		0x04	/* they grow by the values given */
#define SVAN_MODIFY_COUNTER_MASK	0x07

struct svan_cmd_modify_counter {
	__le32	counter;
	__le32	mask;			/* SVAN_MODIFY_COUNTER_* */
	__le64	success;
	__le64	error;
};

SVAN_ASSERT_SIZE(struct svan_cmd_modify_counter, 24);

/* svan_cmd_attach_counter.sides: whose completions are counted */
#define SVAN_ATTACH_COUNTER_SEND	0x01
#define SVAN_ATTACH_COUNTER_RECV	0x02
#define SVAN_ATTACH_COUNTER_MASK	0x03

/* For as long as the queue pair exists; it is in RESET or INIT. */
struct svan_cmd_attach_counter {
	__le32	qpn;
	__le32	counter;
	__le32	sides;			/* SVAN_ATTACH_COUNTER_* */
	__le32	reserved;
};

SVAN_ASSERT_SIZE(struct svan_cmd_attach_counter, 16);

#define SVAN_CMD_SRQ_PRIVILEGED	0x01	/* may use SVAN_KEY_LOCAL_DMA */

/* Entries and record lie in the INTERNAL key ring_key. Needs SVAN_CAP_SRQ. */
struct svan_cmd_create_srq {
	__u8	flags;			/* SVAN_CMD_SRQ_* */
	__u8	log_size;		/* 0..SVAN_RQ_MAX_LOG_SIZE */
	__u8	log_stride;		/* SVAN_RWQE_MIN/MAX_LOG_STRIDE */
	__u8	reserved0;
	__le32	pd;			/* of the memory that entries name */
	__le64	ring_va;		/* 64-byte aligned */
	__le32	ring_key;
	__le32	dbr_offset;		/* from ring_va, 64-byte aligned */
	__le32	owner;			/* verbs context, as in ALLOC_UAR */
	__le32	reserved1;
};

SVAN_ASSERT_SIZE(struct svan_cmd_create_srq, 32);

/* An event when fewer than `limit` entries are posted; 0: none. */
struct svan_cmd_modify_srq {
	__le32	srqn;
	__le32	limit;			/* 0..2^log_size */
};

SVAN_ASSERT_SIZE(struct svan_cmd_modify_srq, 8);

/*
 * ATTACH_MCAST, DETACH_MCAST: the queue pair, of type UD, receives the datagrams for a
 * multicast group, or does so no more.
 */
struct svan_cmd_attach_mcast {
	__le32	qpn;
	__le32	reserved;
	__u8	gid[16];		/* ff00::/8, or v4-mapped 224.0.0.0/4 */
};

SVAN_ASSERT_SIZE(struct svan_cmd_attach_mcast, 24);

#define SVAN_MAX_MCAST_GROUPS		256	/* of a function */
#define SVAN_MAX_MCAST_QPS		64	/* of a group, in a function */

enum svan_qp_type {
	SVAN_QPT_RC			= 1,
	SVAN_QPT_UC			= 2,	/* SVAN_CAP_UC */
	SVAN_QPT_UD			= 3,	/* SVAN_CAP_UD */
	SVAN_QPT_GSI			= 4,	/* SVAN_CAP_GSI; QPN 1, PRIVILEGED */
	SVAN_QPT_ETH			= 8,	/* the netdev's queue pair */
};

#define SVAN_CMD_QP_PRIVILEGED	0x01	/* may use SVAN_KEY_LOCAL_DMA */
#define SVAN_CMD_QP_SIGNAL_ALL	0x02	/* every WQE is signaled */
/*
 * A successful receive that a counter counts writes no CQE; needs
 * SVAN_CAP_COMP_COUNTERS
 */
#define SVAN_CMD_QP_RECV_NO_CQE	0x04
#define SVAN_CMD_QP_RQ_APART	0x08	/* the receive queue is not in ring_key */
#define SVAN_CMD_QP_DBR_APART	0x10	/* the record is not in ring_key */

/*
 * Rings and record, at their offsets from ring_va, lie in the INTERNAL key ring_key. With
 * RQ_APART and DBR_APART they lie in keys of their own, at their offsets from rq_va
 * and dbr_va.
 */
struct svan_cmd_create_qp {
	__u8	type;			/* enum svan_qp_type */
	__u8	flags;			/* SVAN_CMD_QP_* */
	__u8	log_sq_bbs;		/* 0..SVAN_SQ_MAX_LOG_BBS */
	__u8	log_rq_size;		/* 0..SVAN_RQ_MAX_LOG_SIZE */
	__u8	log_rq_stride;		/* SVAN_RWQE_MIN/MAX_LOG_STRIDE; 0: no RQ */
	__u8	reserved0[3];
	__le32	pd;			/* ETH: 0 = none */
	__le32	send_cq;
	__le32	recv_cq;
	__le32	uar;
	__le64	ring_va;		/* 64-byte aligned */
	__le32	ring_key;
	__le32	sq_offset;		/* 64-byte aligned */
	__le32	rq_offset;		/* 64-byte aligned */
	__le32	dbr_offset;		/* 64-byte aligned */
	__le32	srq;			/* 0: none; then there is an own RQ, or none */
	__le32	rq_key;			/* RQ_APART: INTERNAL key */
	__le32	dbr_key;		/* DBR_APART: INTERNAL key */
	__le32	reserved1;
	__le64	rq_va;			/* RQ_APART: 64-byte aligned */
	__le64	dbr_va;			/* DBR_APART: 64-byte aligned */
};

SVAN_ASSERT_SIZE(struct svan_cmd_create_qp, 80);
SVAN_ASSERT_OFFSET(struct svan_cmd_create_qp, ring_va, 24);

enum svan_qp_state {
	SVAN_QPS_RESET			= 0,
	SVAN_QPS_INIT			= 1,
	SVAN_QPS_RTR			= 2,
	SVAN_QPS_RTS			= 3,
	SVAN_QPS_SQD			= 4,
	SVAN_QPS_SQE			= 5,
	SVAN_QPS_ERR			= 6,
};

/* svan_cmd_modify_qp.mask: which fields count beside the state */
#define SVAN_QP_ATTR_ACCESS		0x0001
#define SVAN_QP_ATTR_PKEY_INDEX		0x0002
#define SVAN_QP_ATTR_PORT		0x0004
#define SVAN_QP_ATTR_AV			0x0008
#define SVAN_QP_ATTR_MTU		0x0010
#define SVAN_QP_ATTR_DEST_QPN		0x0020
#define SVAN_QP_ATTR_RQ_PSN		0x0040
#define SVAN_QP_ATTR_SQ_PSN		0x0080
#define SVAN_QP_ATTR_MAX_RD_ATOMIC	0x0100
#define SVAN_QP_ATTR_MAX_DEST_RD_ATOMIC	0x0200
#define SVAN_QP_ATTR_MIN_RNR_TIMER	0x0400
#define SVAN_QP_ATTR_TIMEOUT		0x0800
#define SVAN_QP_ATTR_RETRY_CNT		0x1000
#define SVAN_QP_ATTR_RNR_RETRY		0x2000
#define SVAN_QP_ATTR_QKEY		0x4000
#define SVAN_QP_ATTR_SQD_NOTIFY		0x8000
#define SVAN_QP_ATTR_RATE_LIMIT		0x10000	/* RC */

/*
 * Attributes of a QP without its address vector: in MODIFY_QP behind (qpn, mask), and
 * in the response of QUERY_QP.
 */
struct svan_qp_attr {
	__u8	state;			/* enum svan_qp_state */
	__u8	access;			/* SVAN_ACCESS_REMOTE_* */
	__u8	log_mtu;		/* 8..12: 256..4096 bytes */
	__u8	max_rd_atomic;
	__u8	max_dest_rd_atomic;
	__u8	min_rnr_timer;		/* 5-bit code of the specification */
	__u8	timeout;		/* 4.096 us * 2^n, 0 = never, 5 bits */
	__u8	retry_cnt;		/* 0..7 */
	__u8	rnr_retry;		/* 0..7, 7 = for ever */
	__u8	pkey_index;		/* 0 */
	__u8	port;			/* 1 */
	__u8	sq_draining;		/* response only */
	__le32	dest_qpn;
	__le32	rq_psn;			/* 24 bits */
	__le32	sq_psn;			/* 24 bits */
	__le32	qkey;
};

SVAN_ASSERT_SIZE(struct svan_qp_attr, 28);

struct svan_cmd_modify_qp {
	__le32	qpn;
	__le32	mask;			/* SVAN_QP_ATTR_* */
	struct svan_qp_attr attr;
	__le32	rate_limit;		/* kb/s, 0: none */
	struct svan_av av;
};

SVAN_ASSERT_SIZE(struct svan_cmd_modify_qp, 104);
SVAN_ASSERT_OFFSET(struct svan_cmd_modify_qp, av, 40);

/*
 * GID table entry, for RoCE v2 only. RoCE packets to `gid` go to the function's queue
 * pairs. A GID may stand at several indices (with other VLANs). IPv4: v4-mapped.
 */
#define SVAN_CMD_GID_VLAN	0x01

struct svan_cmd_set_gid {
	__le32	index;			/* 0..max_gid - 1 */
	__u8	flags;
	__u8	reserved0;
	__le16	vlan;			/* TCI with SVAN_CMD_GID_VLAN */
	__u8	gid[16];
	__u8	smac[6];
	__u8	reserved1[2];
};

SVAN_ASSERT_SIZE(struct svan_cmd_set_gid, 32);

/*
 * Ethernet receive filter. qpn 0 switches reception off. A frame passes if its
 * destination is `mac`, broadcast, or in the multicast list, or by the flags.
 */
#define SVAN_CMD_ETH_PROMISC	0x01
#define SVAN_CMD_ETH_ALLMULTI	0x02

struct svan_cmd_eth_filter {
	__le32	qpn;			/* an SVAN_QPT_ETH queue pair in RTS */
	__u8	mac[6];
	__u8	flags;			/* SVAN_CMD_ETH_* */
	__u8	reserved0;
	__le32	max_frame;		/* without FCS, 64..caps.max_frame */
	__u8	reserved1[16];		/* for RSS */
};

SVAN_ASSERT_SIZE(struct svan_cmd_eth_filter, 32);

/* ETH_SET_MCAST replaces the list by `count` addresses of 6 octets, one in each 8 */
struct svan_cmd_eth_mcast {
	__le64	addr;			/* bus address, within one page */
	__le32	count;			/* 0..caps.max_mcast_filters */
	__le32	reserved;
};

/*
 * Whether the function takes part in the traffic of the port, Ethernet and RDMA,
 * loopback included. After a reset it does.
 */
struct svan_cmd_port {
	__u8	enabled;		/* 0 or 1 */
	__u8	reserved[7];
};

/* svan_function_attr.flags */
#define SVAN_FUNCTION_SPOOF_CHECK	0x01	/* sends in its own name only */
#define SVAN_FUNCTION_TRUSTED		0x02	/* may choose what it receives */

enum svan_function_link {
	SVAN_FUNCTION_LINK_AUTO		= 0,	/* as the port's */
	SVAN_FUNCTION_LINK_UP		= 1,
	SVAN_FUNCTION_LINK_DOWN		= 2,	/* no traffic at all */
};

/* What the physical function sets for a virtual function, which does not see it. */
struct svan_function_attr {
	__u8	mac[6];			/* SET: all zeros for the device's choice */
	__le16	vlan;			/* 1..4094, of all its traffic; 0: none is set */
	__u8	priority;		/* 0..7, of the tags */
	__u8	flags;			/* SVAN_FUNCTION_* */
	__u8	link;			/* enum svan_function_link */
	__u8	group;			/* 1..SVAN_RATE_GROUPS, 0: none */
	__le32	tx_max;			/* Mb/s, 0: no limit */
	__le32	tx_share;		/* Mb/s, 0: none */
};

SVAN_ASSERT_SIZE(struct svan_function_attr, 20);

/* svan_cmd_set_function.mask: which fields count */
#define SVAN_SET_FUNCTION_MAC		0x01
#define SVAN_SET_FUNCTION_VLAN		0x02	/* vlan and priority */
#define SVAN_SET_FUNCTION_SPOOF_CHECK	0x04	/* this bit of flags */
#define SVAN_SET_FUNCTION_TRUSTED	0x08	/* this bit of flags */
#define SVAN_SET_FUNCTION_LINK		0x10
#define SVAN_SET_FUNCTION_TX_MAX	0x20
#define SVAN_SET_FUNCTION_TX_SHARE	0x40
#define SVAN_SET_FUNCTION_GROUP		0x80
#define SVAN_SET_FUNCTION_MASK		0xff

/* For the physical function alone; QUERY_FUNCTION answers with the attributes. */
struct svan_cmd_set_function {
	__le32	function;		/* 1..number of virtual functions */
	__le32	mask;			/* SVAN_SET_FUNCTION_* */
	struct svan_function_attr attr;
	__le32	reserved;
};

SVAN_ASSERT_SIZE(struct svan_cmd_set_function, 32);

#define SVAN_RATE_GROUPS		64

/* For the physical function alone: rates of the functions of a group together. */
struct svan_cmd_set_rate_group {
	__le32	group;			/* 1..SVAN_RATE_GROUPS */
	__le32	tx_max;			/* Mb/s, 0: no limit */
	__le32	tx_share;		/* Mb/s, 0: none */
	__le32	reserved;
};

SVAN_ASSERT_SIZE(struct svan_cmd_set_rate_group, 16);

/* Congestion control of the whole device (PRM "Congestion control"). */
struct svan_congestion_attr {
	__le32	line_rate;		/* kb/s */
	__le32	min_rate;		/* kb/s */
	__le32	increase_additive;	/* kb/s */
	__le32	increase_hyper;		/* kb/s */
	__le32	alpha_interval;		/* ns */
	__le32	increase_interval;	/* ns */
	__le32	decrease_interval;	/* ns */
	__le32	cnp_interval;		/* ns */
	__le32	byte_counter;		/* octets */
	__u8	alpha_shift_g;		/* g = 2^-n */
	__u8	fast_recovery;
	__u8	cnp_dscp;
	__u8	enabled;		/* 0 or 1 */
};

SVAN_ASSERT_SIZE(struct svan_congestion_attr, 40);

/* svan_cmd_set_congestion.mask: which fields count */
#define SVAN_SET_CONGESTION_LINE_RATE		0x0001
#define SVAN_SET_CONGESTION_MIN_RATE		0x0002
#define SVAN_SET_CONGESTION_INCREASE_ADDITIVE	0x0004
#define SVAN_SET_CONGESTION_INCREASE_HYPER	0x0008
#define SVAN_SET_CONGESTION_ALPHA_INTERVAL	0x0010
#define SVAN_SET_CONGESTION_INCREASE_INTERVAL	0x0020
#define SVAN_SET_CONGESTION_DECREASE_INTERVAL	0x0040
#define SVAN_SET_CONGESTION_CNP_INTERVAL	0x0080
#define SVAN_SET_CONGESTION_BYTE_COUNTER	0x0100
#define SVAN_SET_CONGESTION_ALPHA_SHIFT_G	0x0200
#define SVAN_SET_CONGESTION_FAST_RECOVERY	0x0400
#define SVAN_SET_CONGESTION_CNP_DSCP		0x0800
#define SVAN_SET_CONGESTION_ENABLED		0x1000
#define SVAN_SET_CONGESTION_MASK		0x1fff

/* For the physical function alone; QUERY_CONGESTION answers with the attributes. */
struct svan_cmd_set_congestion {
	__le32	mask;			/* SVAN_SET_CONGESTION_* */
	__le32	reserved;
	struct svan_congestion_attr attr;
};

SVAN_ASSERT_SIZE(struct svan_cmd_set_congestion, 48);

/*
 * The function's page request queue: 2^log_size requests, and twice as many
 * responses, so that a request can be answered PENDING and then finally.
 * SVAN_EVENT_PAGE_REQUEST says that there are requests.
 */
struct svan_cmd_create_prq {
	__le64	requests;		/* bus address, contiguous, 4096-aligned */
	__le64	responses;		/* the same */
	__u8	log_size;		/* 6..SVAN_PRQ_MAX_LOG_SIZE */
	__u8	reserved[7];
};

SVAN_ASSERT_SIZE(struct svan_cmd_create_prq, 24);

#define SVAN_CMD_POLICY_PRIVILEGED 0x01	/* the function's limits do not count */

/* qpn 0: the function's policy, for the queue pairs that are created from then on */
struct svan_cmd_fault_policy {
	__le32	qpn;
	__le32	flags;			/* SVAN_CMD_POLICY_* */
	struct svan_fault_policy policy;
};

SVAN_ASSERT_SIZE(struct svan_cmd_fault_policy, 40);

/*
 * Spare pages, lent to the device until the next SET_SPARE_PAGES. At `addr` stand
 * `count` bus addresses of 64 bits. BUSY while one of the old pages holds data.
 */
struct svan_cmd_spare_pages {
	__le64	addr;			/* bus address, within one page */
	__le32	count;			/* 0..caps.max_spare_pages */
	__le32	reserved;
};

SVAN_ASSERT_SIZE(struct svan_cmd_spare_pages, 16);

/* Set the array of struct svan_process_context. BUSY while process keys exist. */
struct svan_cmd_context_table {
	__le64	addr;			/* bus address, contiguous, 4096-aligned */
	__le32	count;			/* 0: none; PASIDs 1..count - 1 count */
	__le32	reserved;
};

SVAN_ASSERT_SIZE(struct svan_cmd_context_table, 16);

struct svan_cmd {
	struct svan_cmd_hdr hdr;
	union {
		struct svan_cmd_query		query;
		struct svan_cmd_create_eq	create_eq;
		struct svan_cmd_object		object;
		struct svan_cmd_alloc_uar	alloc_uar;
		struct svan_cmd_create_key	create_key;
		struct svan_cmd_modify_key	modify_key;
		struct svan_cmd_create_cq	create_cq;
		struct svan_cmd_moderate_cq	moderate_cq;
		struct svan_cmd_create_counter	create_counter;
		struct svan_cmd_modify_counter	modify_counter;
		struct svan_cmd_attach_counter	attach_counter;
		struct svan_cmd_attach_mcast	attach_mcast;
		struct svan_cmd_create_srq	create_srq;
		struct svan_cmd_modify_srq	modify_srq;
		struct svan_cmd_create_qp	create_qp;
		struct svan_cmd_modify_qp	modify_qp;
		struct svan_cmd_set_gid		set_gid;
		struct svan_cmd_eth_filter	eth_filter;
		struct svan_cmd_eth_mcast	eth_mcast;
		struct svan_cmd_port		port;
		struct svan_cmd_create_prq	create_prq;
		struct svan_cmd_fault_policy	fault_policy;
		struct svan_cmd_spare_pages	spare_pages;
		struct svan_cmd_context_table	context_table;
		struct svan_cmd_set_function	set_function;
		struct svan_cmd_set_rate_group	set_rate_group;
		struct svan_cmd_set_congestion	set_congestion;
		struct svan_cmd_set_enforcement	set_enforcement;
		struct svan_cmd_query_flows	query_flows;
		struct svan_cmd_judge_flow	judge_flow;
		__u8				payload[SVAN_CMD_PAYLOAD];
	};
};

SVAN_ASSERT_SIZE(struct svan_cmd_hdr, 16);
SVAN_ASSERT_SIZE(struct svan_cmd_query, 16);
SVAN_ASSERT_SIZE(struct svan_cmd_create_eq, 16);
SVAN_ASSERT_SIZE(struct svan_cmd_object, 8);
SVAN_ASSERT_SIZE(struct svan_cmd_alloc_uar, 8);
SVAN_ASSERT_SIZE(struct svan_cmd_moderate_cq, 8);
SVAN_ASSERT_SIZE(struct svan_cmd_eth_mcast, 16);
SVAN_ASSERT_SIZE(struct svan_cmd_port, 8);
SVAN_ASSERT_SIZE(struct svan_cmd, SVAN_CMD_SIZE);

/* ALLOC_UAR, ALLOC_PD, CREATE_KEY/CQ/COUNTER/QP/SRQ */
struct svan_cmd_id_resp {
	__le32	id;
	__le32	reserved;
};

struct svan_cmd_query_key_resp {
	__le64	va;
	__le64	length;
	__le32	access;
	__le32	pd;
	__u8	kind;
	__u8	reserved[7];
};

struct svan_cmd_query_qp_resp {
	struct svan_qp_attr attr;
	__le32	sq_ci;
	__le32	rq_ci;
	__le32	rate_limit;		/* kb/s, 0: none */
	__le32	reserved[2];
};

struct svan_cmd_query_srq_resp {
	__le32	limit;			/* 0: there is none, or its event was sent */
	__le32	ci;			/* oldest entry that was not taken */
};

struct svan_cmd_resp {
	__le32	tag;
	__u8	status;			/* enum svan_cmd_status */
	__u8	reserved0[3];
	__le32	syndrome;		/* offset of the refused field in the command */
	__u8	reserved1[3];
	__u8	phase;			/* written last */
	union {
		struct svan_cmd_id_resp		id;
		struct svan_cmd_query_key_resp	query_key;
		struct svan_cmd_query_qp_resp	query_qp;
		struct svan_cmd_query_srq_resp	query_srq;
		struct svan_fault_policy	fault_policy;
		struct svan_function_attr	query_function;
		struct svan_congestion_attr	query_congestion;
		struct svan_enforcement_attr	query_enforcement;
		struct svan_cmd_query_flows_resp query_flows;
		__u8				payload[SVAN_CMD_RESP_PAYLOAD];
	};
};

SVAN_ASSERT_SIZE(struct svan_cmd_id_resp, 8);
SVAN_ASSERT_SIZE(struct svan_cmd_query_key_resp, 32);
SVAN_ASSERT_SIZE(struct svan_cmd_query_qp_resp, 48);
SVAN_ASSERT_SIZE(struct svan_cmd_resp, SVAN_CMD_RESP_SIZE);
SVAN_ASSERT_OFFSET(struct svan_cmd_resp, phase, 15);

static inline int svan_cmd_resp_valid(__u8 phase, __u32 index, __u32 log_size)
{
	return (phase & 1) != ((index >> log_size) & 1);
}

/* Counters, all from the last reset on. The list only grows at its end. */
#define SVAN_STATS(X) \
	X(port_tx_frames)	X(port_tx_bytes) \
	X(port_rx_frames)	X(port_rx_bytes) \
	X(eth_tx_frames)	X(eth_tx_bytes) \
	X(eth_rx_frames)	X(eth_rx_bytes) \
	X(eth_rx_no_buffer)	X(eth_rx_filtered) \
	X(eth_rx_too_long)	X(eth_tx_errors) \
	X(roce_tx_packets)	X(roce_tx_bytes) \
	X(roce_rx_packets)	X(roce_rx_bytes) \
	X(roce_local_packets)	X(roce_local_bytes) \
	X(rx_icrc_errors)	X(rx_malformed) \
	X(rx_no_qp)		X(rx_wrong_state) \
	X(rx_wrong_peer)	X(rx_queue_drops) \
	X(duplicate_request)	X(out_of_sequence) \
	X(packet_seq_err)	X(implied_nak_seq_err) \
	X(rnr_nak_retry_err)	X(local_ack_timeout_err) \
	X(out_of_buffer)	X(rnr_nak_sent) \
	X(req_remote_access_errors) X(req_remote_invalid_request) \
	X(resp_remote_access_errors) X(resp_local_length_error) \
	X(req_cqe_error)	X(resp_cqe_error) \
	X(req_cqe_flush_error)	X(resp_cqe_flush_error) \
	X(rx_write_requests)	X(rx_read_requests) \
	X(rx_atomic_requests)	X(retransmits) \
	X(doorbells)		X(doorbells_refused) \
	X(doorbells_bad_access)	X(commands) \
	X(commands_failed)	X(tlb_hits) \
	X(tlb_misses)		X(cq_overruns) \
	X(eq_overruns)		X(ecn_marked_roce_packets) \
	X(dma_errors)		X(context_walks) \
	X(invalidations)	X(page_requests) \
	X(page_requests_merged)	X(page_requests_stalled) \
	X(page_responses_bad)	X(page_faults) \
	X(page_faults_again)	X(page_faults_injected) \
	X(page_faults_requester) X(page_faults_estimated) \
	X(fault_hold)		X(fault_rnr) \
	X(fault_divert)		X(fault_drop) \
	X(fault_fail)		X(fault_fallback) \
	X(fault_held_bytes)	X(fault_diverted_bytes) \
	X(fault_dropped_bytes)	X(fault_dropped_packets) \
	X(port_disabled_drops)	X(source_drops) \
	X(eth_local_frames)	X(eth_local_bytes) \
	X(eth_local_drops)	X(flow_delays) \
	X(flow_marks)		X(flow_drops) \
	X(spoof_mac_drops)	X(spoof_vlan_drops) \
	X(spoof_roce_drops)	X(promisc_refused) \
	X(rate_delays)		X(cnps_ignored) \
	X(cnps_sent)		X(cnps_handled) \
	X(qp_rate_delays) \
	SVAN_STATS_ENFORCEMENT(X)

/* A virtual function reads zero for these of its own. */
#define SVAN_STATS_ENFORCEMENT(X) \
	X(enforce_delays)	X(enforce_marks) \
	X(enforce_drops)	X(enforce_ect_set) \
	X(flows_overflowed)	X(paths_overflowed) \
	X(paths_congesting)	X(paths_suspect) \
	X(notifications_sent)	X(notifications_received) \
	X(notifications_ignored) X(notifications_no_room) \
	X(flow_events)		X(flow_events_merged) \
	X(enforce_echoes_hidden)

struct svan_stats {
#define SVAN_STAT_FIELD(name)	__le64 name;
	SVAN_STATS(SVAN_STAT_FIELD)
#undef SVAN_STAT_FIELD
};

SVAN_ASSERT_SIZE(struct svan_stats, 8 * 108);

#endif /* SVAN_CMD_H */
