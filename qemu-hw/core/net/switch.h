/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The net: packets and frames, the GID table, and the switch between functions and
 * the port.
 */
#ifndef SVAN_NET_SWITCH_H
#define SVAN_NET_SWITCH_H

#include <string.h>

#include "memory/memory.h"

typedef struct SvanSwitch SvanSwitch;

/* ---- packets ---- */

typedef struct SvanAv {
    uint8_t dgid[16];
    uint8_t dmac[6];
    uint8_t hop_limit;
    uint8_t traffic_class;
    uint32_t flow_label;
    uint16_t udp_sport;
    uint8_t sgid_index;
} SvanAv;

typedef struct SvanAddr {       /* who speaks to whom */
    uint8_t smac[6], dmac[6];
    uint8_t sgid[16], dgid[16]; /* IPv4: v4-mapped */
    uint16_t vlan;              /* TCI */
    bool has_vlan;
    bool ipv4;
    uint8_t traffic_class;      /* DSCP and ECN */
    uint8_t hop_limit;
    uint32_t flow_label;
    uint16_t ip_id;             /* IPv4 */
    uint16_t udp_sport;
} SvanAddr;

typedef struct SvanGid {
    bool valid, has_vlan;
    uint16_t vlan;
    uint8_t gid[16];
    uint8_t smac[6];
} SvanGid;

/* A decoded RoCE packet; which headers count is told by the opcode. */
typedef struct SvanPkt {
    SvanAddr addr;
    uint8_t opcode;             /* enum svan_bth_opcode */
    uint8_t bth_flags;          /* SE, MIGREQ; pad and version are the codec's */
    bool ack_req, fecn, becn;
    uint16_t pkey;
    uint32_t dqpn, psn;
    uint64_t va;                /* RETH, AtomicETH */
    uint32_t rkey, dma_len;
    uint64_t swap_add, compare; /* AtomicETH */
    uint64_t orig;              /* AtomicAckETH */
    uint8_t syndrome;           /* AETH */
    uint32_t msn;
    __be32 imm;
    uint32_t ieth_key;
    uint32_t qkey, sqpn;        /* DETH */
    uint32_t payload_len;       /* without padding */
    uint32_t num_runs;
    SvanMem runs[SVAN_MAX_PKT_RUNS];    /* payload by reference, this step */
} SvanPkt;

/* What a message does. */
typedef enum SvanVerb {
    SVAN_VERB_NONE,             /* acknowledgements, and what is reserved */
    SVAN_VERB_SEND,
    SVAN_VERB_WRITE,
    SVAN_VERB_READ,             /* the last two have responses of their own */
    SVAN_VERB_ATOMIC,
    SVAN_VERBS
} SvanVerb;

/* Which extended headers an opcode carries; .valid false: unknown opcode. */
typedef struct SvanOpInfo {
    bool valid, reth, atomic_eth, aeth, atomic_ack, immdt, ieth, deth, payload;
    bool first, last;           /* ONLY: both */
    bool request;
    uint8_t verb;               /* SvanVerb, of a request or its response */
} SvanOpInfo;

extern const SvanOpInfo svan_ops[256];      /* opcode.c */

static inline const SvanOpInfo *svan_op_info(uint8_t opcode)
{
    return &svan_ops[opcode];
}

#define SVAN_PART_FIRST         1
#define SVAN_PART_LAST          2
#define SVAN_PART_IMM           4       /* of a message with immediate data */

extern const uint8_t svan_op_parts[SVAN_VERBS][8];

/* SVAN_OP_*, without its class, of a part of a message; READ: of its response. */
static inline uint8_t svan_op_part(SvanVerb verb, bool first, bool last, bool imm)
{
    return svan_op_parts[verb][first * SVAN_PART_FIRST + last * SVAN_PART_LAST +
                               imm * SVAN_PART_IMM];
}

/*
 * Octets after decoding and before encoding, without Ethernet FCS.
 * svan_pkt_encode(): a new frame, ICRC included; NULL without memory.
 * svan_pkt_decode(): pkt->runs points into the frame. OK, or why not.
 */
typedef enum SvanDecode {
    SVAN_DECODE_OK,
    SVAN_DECODE_NOT_ROCE,
    SVAN_DECODE_MALFORMED,
    SVAN_DECODE_BAD_ICRC,
} SvanDecode;

SvanFrame *svan_pkt_encode(const SvanPkt *pkt);
SvanDecode svan_pkt_decode(const SvanFrame *frame, SvanPkt *pkt);
/* The same for SvanConfig.no_icrc: zero in its place, any value accepted. */
SvanFrame *svan_pkt_encode_no_icrc(const SvanPkt *pkt);
SvanDecode svan_pkt_decode_no_icrc(const SvanFrame *frame, SvanPkt *pkt);
/* The addresses alone; false: not a whole UDP datagram for RoCE's port. */
bool svan_pkt_peek(const SvanFrame *frame, SvanAddr *addr);
uint32_t svan_icrc(const uint8_t *frame, uint32_t l3_offset, uint32_t len);

/* The function that owns this destination, NULL: none of this device. */
SvanFn *svan_gid_owner(SvanCore *core, const SvanAddr *addr);
/* 0: none; a tag without one (802.1Q: priority-tagged) is as good as none. */
static inline uint16_t svan_vlan_id(bool has_vlan, uint16_t vlan)
{
    return has_vlan ? vlan & 0xfff : 0;
}

/* The destination is this entry of a GID table: address, VLAN and MAC. */
static inline bool svan_is_for_gid(const SvanAddr *addr, const SvanGid *gid)
{
    return gid->valid &&
           svan_vlan_id(gid->has_vlan, gid->vlan) ==
           svan_vlan_id(addr->has_vlan, addr->vlan) &&
           !memcmp(gid->gid, addr->dgid, 16) &&
           !memcmp(gid->smac, addr->dmac, 6);
}
/*
 * Fill addr from an address vector and the source GID that it names; entropy tells
 * flows apart, if the vector does not say the UDP source port. false: the GID is
 * gone, or of another version of IP than the destination.
 */
bool svan_gid_address(const SvanFn *fn, const SvanAv *av, uint32_t entropy,
                      SvanAddr *addr);
/* Something that sends, on its way out; part of what has the work. */
typedef struct SvanEgress {
    SvanWork *work;
    SvanTimer later;            /* runs while a verdict makes it wait */
    bool marked;                /* the packet that is on its way; counted when it has left */
} SvanEgress;

/* The timer is one of those that were reserved. */
void svan_egress_init(SvanEgress *egress, SvanWork *work);
void svan_egress_stop(SvanEgress *egress);      /* it waits no more */

static inline bool svan_egress_waits(const SvanEgress *egress)
{
    return egress->later.slot >= 0;
}

/*
 * The one way out for RoCE: to a function of this device by reference, else
 * encoded to the port. All but the address is filled in; that comes from av, so that
 * nobody speaks for another, and entropy (svan_gid_address()). DONE, AGAIN (receiver
 * made progress: same packet again), MISS, BLOCKED, LATER (same packet again, and
 * nothing of its flow before it). A packet that nobody takes, or whose source GID is
 * gone, is DONE, as on a wire.
 */
SvanStep svan_pkt_send(SvanEgress *egress, const SvanAv *av, uint32_t entropy,
                       SvanPkt *pkt);
/*
 * That for frames: takes the frame, unless it is BLOCKED or LATER. *sent: it has left the
 * function; else it was dropped. What is for functions of this device waits in the
 * receive queue.
 */
SvanStep svan_frame_send(SvanEgress *egress, SvanFrame *frame, bool *sent);
/* Counted and traced; reason: enum SvanDrop. Always DONE. */
SvanStep svan_pkt_drop(SvanFn *fn, const SvanPkt *pkt, uint64_t *counter,
                       uint32_t reason);
SvanStep svan_frame_drop(SvanFn *fn, const SvanFrame *frame, uint64_t *counter,
                         uint32_t reason);

/*
 * Where the switch leaves what is for a function. DONE: consumed, or dropped and
 * counted. AGAIN, MISS: the same again in another step.
 */
typedef struct SvanReceiver {
    SvanStep (*packet)(SvanFn *fn, const SvanPkt *pkt);
    /* One page a step; *offset is the caller's, 0 at first. */
    SvanStep (*frame)(SvanFn *fn, const SvanFrame *frame, uint32_t *offset);
} SvanReceiver;

extern const SvanReceiver svan_qp_receiver;         /* receive.c */
/* One step of the receive queue. IDLE when empty. */
SvanStep svan_rx_step(SvanCore *core);
void svan_rx_drop_head(SvanCore *core);
/* To the end of it; false: no room for one from there, it stays the caller's. */
bool svan_rx_put(SvanCore *core, SvanFrame *frame);

/* SVAN_TRACE_PKT_DROP, SVAN_TRACE_FRAME_DROP: reason */
typedef enum SvanDrop {
    SVAN_DROP_NO_QP = 1,
    SVAN_DROP_WRONG_PEER,
    SVAN_DROP_WRONG_STATE,
    SVAN_DROP_MALFORMED,
    SVAN_DROP_NO_BUFFER,
    SVAN_DROP_TOO_LONG,
    SVAN_DROP_FILTERED,
    SVAN_DROP_DUPLICATE,
    SVAN_DROP_OUT_OF_SEQUENCE,
    SVAN_DROP_PAGE_ABSENT,
    SVAN_DROP_PORT_DISABLED,
    SVAN_DROP_SOURCE,
    SVAN_DROP_FLOW,
} SvanDrop;

/* ---- flows ---- */

/*
 * What is about to leave a function, for the port or for functions of this device,
 * itself included.
 */
typedef struct SvanFlowUnit {
    SvanFn *fn;                 /* the sender */
    SvanPkt *pkt;               /* complete; NULL: a frame */
    SvanFrame *frame;           /* NULL: a packet */
} SvanFlowUnit;

typedef enum SvanVerdict {
    SVAN_VERDICT_SEND,
    SVAN_VERDICT_LATER,         /* the sender waits until *when, if that is to come */
    SVAN_VERDICT_MARK,          /* send; congestion experienced, if it can say so */
    SVAN_VERDICT_DROP,          /* as on a wire */
} SvanVerdict;

typedef struct SvanFlowOps {
    /*
     * Called for each unit, and again for one that could not leave at once. Only
     * looks at it.
     */
    SvanVerdict (*verdict)(void *arg, const SvanFlowUnit *unit,
                           uint64_t *when);
} SvanFlowOps;

/* ops NULL, as it is at first: everything is sent. ops stay the caller's. */
void svan_flow_watch(SvanCore *core, const SvanFlowOps *ops, void *arg);

/* ---- Ethernet ---- */

typedef struct SvanEthFilter {
    uint32_t qpn;               /* 0: reception is off */
    uint8_t mac[6];
    uint8_t flags;
    uint32_t max_frame;
    uint32_t num_mcast;
    /* a function's has room for SVAN_MAX_MCAST, and is NULL while that is disabled */
    uint8_t (*mcast)[6];
} SvanEthFilter;

/* A copy of all of the filter, which is as the commands allow. false: no memory. */
bool svan_filter_set(SvanFn *fn, const SvanEthFilter *filter);
/* Nothing is received any more; the rest of the filter stays. */
void svan_filter_off(SvanFn *fn);

#define SVAN_ETH_HLEN           14u
#define SVAN_FROM_PORT          0xffffu         /* SvanFrame.from */

SvanFrame *svan_frame_copy(const SvanFrame *frame);     /* NULL: no memory */

/* SVAN_CQE_CSUM_* of a received frame */
uint8_t svan_frame_csum(const SvanFrame *frame);
/* The field holds the pseudo header's sum: complete it. false: out of bounds. */
bool svan_frame_complete_csum(SvanFrame *frame, const struct svan_wqe_eth *eth);

/* ---- the part of a function, and of the core ---- */

typedef struct SvanNet {
    const SvanReceiver *receiver;
    bool port_enabled;          /* SVAN_CMD_SET_PORT */
    SvanGid *gids;              /* SVAN_MAX_GID; NULL while it is disabled */
    uint32_t gid_limit;         /* one above the highest valid index */
    SvanEthFilter eth;
} SvanNet;

/* Frames from the port and from functions, which wait for their receivers. */
typedef struct SvanIngress {
    SvanFrame *head, **tail;
    uint32_t frames;            /* from the port */
    uint32_t offset;            /* progress of the frame at the head */
    uint32_t fn;                /* function that receives it now */
    uint32_t qpn;               /* its QP that has begun to, 0: none */
} SvanIngress;

/* The checks are those of the commands. */
uint32_t svan_gid_set(SvanFn *fn, const struct svan_cmd_set_gid *cmd);
uint32_t svan_gid_clear(SvanFn *fn, uint32_t index);
void svan_gids_clear(SvanFn *fn);

/* Where the functions of a core meet, and the port; opaque elsewhere. */
SvanSwitch *svan_switch_new(void);              /* NULL: no memory */
void svan_switch_free(SvanSwitch *sw);          /* functions are gone */

#endif /* SVAN_NET_SWITCH_H */
