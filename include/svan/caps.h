/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What a function can do, as SVAN_CMD_QUERY_CAPS writes it
 * (PRM chapter "Capabilities"). Limits are inclusive.
 */
#ifndef SVAN_CAPS_H
#define SVAN_CAPS_H

#include "types.h"

/* svan_caps.features: what the function can do; a clear bit is what it cannot do */
#define SVAN_CAP_RC			(1ull << 0)
#define SVAN_CAP_UC			(1ull << 1)
#define SVAN_CAP_UD			(1ull << 2)
#define SVAN_CAP_GSI			(1ull << 3)
#define SVAN_CAP_SRQ			(1ull << 4)
#define SVAN_CAP_ATOMIC			(1ull << 5)	/* HCA-wide atomicity */
#define SVAN_CAP_ATOMIC_GLOBAL		(1ull << 6)	/* atomic with the CPUs too */
#define SVAN_CAP_RESIZE_CQ		(1ull << 7)
#define SVAN_CAP_BIND			(1ull << 8)
#define SVAN_CAP_FLUSH			(1ull << 9)
#define SVAN_CAP_TIMESTAMP		(1ull << 10)
#define SVAN_CAP_COMP_COUNTERS		(1ull << 11)
#define SVAN_CAP_ONDEMAND_KEYS		(1ull << 16)
#define SVAN_CAP_PROCESS_KEYS		(1ull << 17)
#define SVAN_CAP_DEVMEM_KEYS		(1ull << 18)
#define SVAN_CAP_PAGE_REQUESTS		(1ull << 19)
#define SVAN_CAP_WINDOW_EXPORT		(1ull << 20)
#define SVAN_CAP_SRIOV			(1ull << 24)
#define SVAN_CAP_CONGESTION		(1ull << 25)
#define SVAN_CAP_ETH			(1ull << 32)
#define SVAN_CAP_ETH_TX_CSUM		(1ull << 33)
#define SVAN_CAP_ETH_RX_CSUM		(1ull << 34)
#define SVAN_CAP_ETH_TSO		(1ull << 35)
#define SVAN_CAP_ETH_RSS		(1ull << 36)
#define SVAN_CAP_ETH_VLAN		(1ull << 37)

/*
 * svan_caps.off_reason: why ATOMIC_GLOBAL or PROCESS_KEYS, which the device has in
 * principle, is off on this machine. It says nothing about other capabilities.
 */
enum svan_cap_off {
	SVAN_CAP_OFF_NONE		= 0,
	SVAN_CAP_OFF_NO_TRUE_ATOMICS	= 1,	/* one vCPU or one vCPU thread */
	SVAN_CAP_OFF_VIOMMU		= 2,	/* page tables hold no bus addresses */
	SVAN_CAP_OFF_DISABLED		= 3,	/* by a device property */
};

struct svan_caps {
	__le64	features;
	__le32	fw_version;		/* major << 16 | minor */
	__le32	off_reason;		/* enum svan_cap_off */
	__le32	max_qp;
	__le32	max_cq;
	__le32	max_pd;
	__le32	max_key;
	__le32	max_uar;
	__le32	max_eq;
	__le32	max_gid;
	__le32	max_srq;		/* 0: none */
	__le32	max_qp_wqebb;		/* SQ ring, 64-byte blocks */
	__le32	max_qp_rwqe;		/* RQ ring, entries */
	__le32	max_cqe;
	__le32	max_eqe;
	__le16	max_sge;		/* SQ and RQ */
	__le16	max_sge_rd;
	__le16	max_inline;		/* bytes */
	__le16	max_rd_atomic;		/* as initiator and as responder */
	__le32	max_msg_size;		/* bytes, 2^31 at most */
	__le32	max_mtu;		/* RoCE path MTU, bytes */
	__le32	max_frame;		/* Ethernet frame without FCS, bytes */
	__le32	page_size_cap;		/* bit n: pages of 2^n bytes in keys */
	__le64	max_key_length;		/* bytes */
	__le64	clock_khz;		/* of SVAN_REG_CLOCK and CQE timestamps */
	__le32	max_mcast_filters;
	__le32	max_pasid;		/* 0: no process keys */
	__le32	max_page_requests;	/* entries of the page request queue; 0: none */
	__le32	max_spare_pages;
	__le32	fault_buffer;		/* bytes, for held packets */
	__le32	max_counter;		/* completion counters; 0: none */
};

SVAN_ASSERT_SIZE(struct svan_caps, 128);
SVAN_ASSERT_OFFSET(struct svan_caps, max_sge, 64);
SVAN_ASSERT_OFFSET(struct svan_caps, max_key_length, 88);
SVAN_ASSERT_OFFSET(struct svan_caps, max_mcast_filters, 104);

#endif /* SVAN_CAPS_H */
