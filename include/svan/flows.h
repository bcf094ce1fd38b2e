/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Flows, their congestion, and what is enforced on functions (PRM chapter
 * "Enforcement"). The commands are the physical function's alone.
 */
#ifndef SVAN_FLOWS_H
#define SVAN_FLOWS_H

#include "notification.h"

/* What a flow or a path is recognized as. */
enum svan_congestion {
	SVAN_CONGESTION_CLEAR		= 0,
	SVAN_CONGESTION_SUSPECT		= 1,	/* ambiguous: there may be other causes */
	SVAN_CONGESTION_CONGESTING	= 2,
	SVAN_CONGESTION_RECOVERING	= 3,
	SVAN_CONGESTION_STATES		= 4,
};

/* What becomes of that which a congesting path sends above its rate. */
enum svan_enforcement_action {
	SVAN_ENFORCE_PACE	= 0,		/* it waits for its turn */
	SVAN_ENFORCE_MARK	= 1,		/* it leaves with CE */
	SVAN_ENFORCE_DROP	= 2,		/* it is lost */
	SVAN_ENFORCE_WATCH	= 3,		/* it leaves: nothing is enforced */
	SVAN_ENFORCE_ACTIONS	= 4,
};

/* svan_enforcement_attr.flags */
#define SVAN_ENFORCE_EGRESS	0x01	/* what the function sends is estimated and policed */
#define SVAN_ENFORCE_NOTIFY	0x02	/* who sends marked packets to it is notified */
#define SVAN_ENFORCE_EVENTS	0x04	/* SVAN_EVENT_FLOW when a path of it changes its state */
#define SVAN_ENFORCE_FLAGS	0x07

#define SVAN_ENFORCE_MAX_NS	1000000000
#define SVAN_ENFORCE_MAX_CAP	4000000

/* Of one function; SET with flags 0 ends it, and forgets its flows. */
struct svan_enforcement_attr {
	__u8	flags;			/* SVAN_ENFORCE_* */
	__u8	action;			/* enum svan_enforcement_action */
	__le16	reserved;
	__le32	cap;			/* Mb/s of a congesting path at most, 0: no limit */
	__le32	burst;			/* ns that a paced path may send ahead of its rate */
	__le32	interval;		/* ns between notifications to a path at least */
	__le32	suspect;		/* us of SUSPECT until it is CONGESTING; 0: never */
	__le32	calm;			/* us without a symptom after which congestion is over */
	__le32	recovery;		/* us more, after which it is CLEAR */
	__le16	delay[SVAN_NOTIFICATION_CLASSES]; /* us from a mark to its notification */
	__le32	reserved2;
};

SVAN_ASSERT_SIZE(struct svan_enforcement_attr, 48);

struct svan_cmd_set_enforcement {
	__le32	function;		/* 0..number of virtual functions */
	__le32	reserved;
	struct svan_enforcement_attr attr;
};

/* The device writes struct svan_flow_entry, one for each. */
struct svan_cmd_query_flows {
	__le64	addr;			/* bus address, 8-byte aligned */
	__le32	length;			/* bytes of room, SVAN_QUERY_FLOWS_MAX at most */
	__le32	function;
	__le32	first;			/* those before are skipped */
	__u8	paths;			/* 1: paths; 0: flows */
	__u8	reserved[3];
};

#define SVAN_QUERY_FLOWS_MAX	4096
#define SVAN_MAX_PATHS		128	/* of a function */

struct svan_cmd_query_flows_resp {
	__le32	written;		/* entries */
	__le32	total;			/* that the function has now */
};

/* In place of a VLAN: the path of all peers that have no room for one of their own. */
#define SVAN_PATH_OTHERS	0xffff
/* the same: all that nobody can tell the marks of */
#define SVAN_PATH_BLIND		0xfffe

/* A verdict on a path that is SUSPECT; on others it has no effect. */
struct svan_cmd_judge_flow {
	__le32	function;
	__le16	vlan;
	__u8	congesting;		/* 1: it counts as CONGESTING; 0: as CLEAR */
	__u8	reserved;
	__u8	peer[16];
};

/* A flow, or a path, whose kind, flow, own and qpn are zero. Addresses as in a GID. */
struct svan_flow_entry {
	__u8	peer[16];
	__u8	own[16];
	__le32	flow;			/* as in svan_notification */
	__le32	qpn;			/* of the function, by which it was sent last */
	__le16	vlan;			/* 0: none; SVAN_PATH_OTHERS, SVAN_PATH_BLIND */
	__u8	kind;			/* enum svan_flow_kind */
	__u8	state;			/* enum svan_congestion */
	__le32	ce;			/* marked packets, in 1 / 65536 */
	__le32	loss;			/* packets sent again, in 1 / 65536 */
	__le32	cnps;			/* received in a second */
	__le32	rtt;			/* ns, 0: not known */
	__le32	rtt_min;
	__le32	rtt_gradient;		/* signed, in 1 / 65536 of rtt_min */
	__le32	notifications;		/* accepted; of a path */
	__le64	rate;			/* bit/s that were sent */
	__le64	limit;			/* bit/s; 0: none; of a path */
	__le64	packets;
	__le64	octets;
	__u8	classes;		/* bit n: class n was sent since CLEAR; of a path */
	__u8	reserved[7];
};

SVAN_ASSERT_SIZE(struct svan_flow_entry, 112);
SVAN_ASSERT_OFFSET(struct svan_flow_entry, rate, 72);

#endif /* SVAN_FLOWS_H */
