/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The congestion notification, which a receiving NIC sends to the sending one (PRM
 * chapter "Enforcement"). It is the payload of a UDP datagram of its own port, behind
 * IPv4 without options or IPv6 without extension headers. All fields are big-endian.
 */
#ifndef SVAN_NOTIFICATION_H
#define SVAN_NOTIFICATION_H

#include "types.h"

#define SVAN_NOTIFICATION_PORT		4793	/* not assigned to anybody */
#define SVAN_NOTIFICATION_MAGIC		0x53764e43u	/* "SvNC" */
#define SVAN_NOTIFICATION_VERSION	2
#define SVAN_NOTIFICATION_CLASSES	8	/* of packets: the upper 3 bits of their DSCP */

/* What tells a flow from others of the same two addresses and the same VLAN. */
enum svan_flow_kind {
	SVAN_FLOW_RDMA		= 1,	/* the destination QPN */
	SVAN_FLOW_TCP		= 2,	/* source port << 16 | destination port */
	SVAN_FLOW_UDP		= 3,	/* the same */
	SVAN_FLOW_IP		= 4,	/* the number of the protocol; fragments, too */
	SVAN_FLOW_ETHERNET	= 5,	/* the EtherType; MAC addresses in place of IP's */
};

struct svan_notification {
	__be32	magic;			/* SVAN_NOTIFICATION_MAGIC */
	__u8	version;		/* SVAN_NOTIFICATION_VERSION */
	__u8	kind;			/* enum svan_flow_kind, of the flow marked last */
	__u8	traffic_class;		/* 0..7, of the packet that was marked first */
	__u8	reserved;		/* zero */
	__be32	sequence;		/* from this address to that one, by one */
	__be32	flow;			/* which one, by kind */
	__be32	witness;		/* of a packet of this flow that was marked */
	__be32	packets;		/* of all flows of the path, since `interval` ns */
	__be32	marks;			/* those of them with CE; at least 1 */
	__be32	interval;		/* ns that are counted over */
	__be32	delay;			/* ns from the first of the marks until this was sent */
	__be32	octets;			/* of the marked packets, as frames without FCS */
};

SVAN_ASSERT_SIZE(struct svan_notification, 40);
SVAN_ASSERT_OFFSET(struct svan_notification, sequence, 8);
SVAN_ASSERT_OFFSET(struct svan_notification, packets, 20);

#endif /* SVAN_NOTIFICATION_H */
