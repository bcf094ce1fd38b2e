/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The net: packets and frames, the GID table, and the switch between functions and
 * the port.
 */
#ifndef SVAN_NET_SWITCH_H
#define SVAN_NET_SWITCH_H

#include <string.h>

#include "memory/memory.h"
#include "net/pace.h"
#include "net/vport.h"

typedef struct SvanSwitch SvanSwitch;

/* ---- packets ---- */

/* Of the traffic class (RFC 3168). */
#define SVAN_CNP_PAYLOAD        16u     /* octets of a CNP, zeroes (annex A17) */

#define ECN_MASK                3
#define ECN_NONE                0
#define ECN_ECT0                2
#define ECN_CE                  3

typedef struct SvanAv {
    uint8_t dgid[16];
    uint8_t dmac[6];
    uint8_t hop_limit;
    uint8_t traffic_class;
    uint32_t flow_label;
    uint16_t udp_sport;
    uint8_t sgid_index;
} SvanAv;

typedef struct SvanAddr {       /* sender and receiver of a packet */
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
    bool given_vlan;            /* has_vlan and vlan are not its driver's, but the PF's */
    uint16_t vlan;
    uint8_t gid[16];
    uint8_t smac[6];
} SvanGid;

/* A decoded RoCE packet. The opcode says which extended headers' fields are valid. */
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
    SvanMem runs[SVAN_MAX_PKT_RUNS];    /* payload by reference, until the step ends */
} SvanPkt;

/* What a message does. */
typedef enum SvanVerb {
    SVAN_VERB_NONE,             /* acknowledgements, and reserved opcodes */
    SVAN_VERB_SEND,
    SVAN_VERB_WRITE,
    SVAN_VERB_READ,             /* READs and atomics have responses of their own */
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

/* SVAN_OP_*, without the transport, of a packet of a message; READ: of a response. */
static inline uint8_t svan_op_part(SvanVerb verb, bool first, bool last, bool imm)
{
    return svan_op_parts[verb][first * SVAN_PART_FIRST + last * SVAN_PART_LAST +
                               imm * SVAN_PART_IMM];
}

/*
 * Packets to frames, without Ethernet FCS, and back. svan_pkt_encode() returns a new
 * frame, ICRC included; NULL without memory. After svan_pkt_decode() pkt->runs points
 * into the frame.
 */
typedef enum SvanDecode {
    SVAN_DECODE_OK,
    SVAN_DECODE_NOT_ROCE,
    SVAN_DECODE_MALFORMED,
    SVAN_DECODE_BAD_ICRC,
} SvanDecode;

SvanFrame *svan_pkt_encode(const SvanPkt *pkt);
SvanDecode svan_pkt_decode(const SvanFrame *frame, SvanPkt *pkt);
/* The same for SvanConfig.no_icrc: zero is sent in place of it, any value accepted. */
SvanFrame *svan_pkt_encode_no_icrc(const SvanPkt *pkt);
SvanDecode svan_pkt_decode_no_icrc(const SvanFrame *frame, SvanPkt *pkt);
/*
 * The same in place: svan_pkt_len() octets, zero in place of the ICRC. What is stored is not
 * read again, so others may change it meanwhile.
 */
uint32_t svan_pkt_len(const SvanPkt *pkt);
void svan_pkt_encode_in(const SvanPkt *pkt, uint8_t *frame);
SvanDecode svan_pkt_decode_lent(const SvanLentPacket *lent, SvanPkt *pkt);
/* Store the ICRC of a frame of a RoCE packet, which has none; others stay as they are. */
void svan_pkt_add_icrc(uint8_t *frame, uint32_t len);
/* A frame with the packet and its ICRC; NULL: no memory. */
SvanFrame *svan_frame_of_lent(const SvanLentPacket *lent);
/*
 * The header of IP as it is on the wire, in 40 octets: IPv6, or 20 zeroes and IPv4. It is
 * what a datagram's receiver gets as its GRH (annex A17).
 */
void svan_pkt_network_header(const SvanPkt *pkt, uint8_t *header);
/* Decode the addresses alone; false: not a whole UDP datagram for RoCE's port. */
bool svan_pkt_peek(const SvanFrame *frame, SvanAddr *addr);
uint32_t svan_icrc(const uint8_t *frame, uint32_t l3_offset, uint32_t len);

/* The function that has the destination in its GID table; NULL: none of this device. */
SvanFn *svan_gid_owner(SvanCore *core, const SvanAddr *addr);
/* The VLAN ID. 0: there is no tag, or one that carries a priority only (802.1Q). */
static inline uint16_t svan_vlan_id(bool has_vlan, uint16_t vlan)
{
    return has_vlan ? vlan & 0xfff : 0;
}

/* Is the destination that of this GID table entry, by GID, VLAN and MAC? */
static inline bool svan_is_for_gid(const SvanAddr *addr, const SvanGid *gid)
{
    return gid->valid &&
           svan_vlan_id(gid->has_vlan, gid->vlan) ==
           svan_vlan_id(addr->has_vlan, addr->vlan) &&
           !memcmp(gid->gid, addr->dgid, 16) &&
           !memcmp(gid->smac, addr->dmac, 6);
}
/*
 * Fill addr from an address vector and the source GID that it names. If the vector has
 * no UDP source port, that is derived from entropy, which differs between flows. false:
 * the source GID is gone, or of another version of IP than the destination.
 */
bool svan_gid_address(const SvanFn *fn, const SvanAv *av, uint32_t entropy,
                      SvanAddr *addr);

#define SVAN_TO_PORT            0xffffu
#define SVAN_TO_GROUP           0xfffeu

/*
 * Where the packets of a sender go while its address vector and entropy are the same. It is
 * found again after any function's addresses, or the marking of packets, have changed.
 */
typedef struct SvanHeading {
    SvanAddr addr;              /* of its packets */
    /* function that has it; SVAN_TO_PORT: none of this device; SVAN_TO_GROUP: it is multicast */
    uint16_t to;
    uint64_t changes;           /* SvanSwitch.changes when it was found; 0: it was not */
} SvanHeading;

/* To be called when the address vector or the entropy is another one. */
static inline void svan_heading_forget(SvanHeading *heading)
{
    heading->changes = 0;
}

/* The sending side of an object that has work; part of that object. */
struct SvanEgress {
    SvanWork *work;
    SvanPace *pace;             /* NULL: not limited */
    SvanTimer later;            /* runs while a verdict makes the sender wait */
    SvanLink turn;              /* SvanPath.waiters */
    uint32_t qpn;               /* of the queue pair that it is part of */
    uint16_t flow_hint;         /* below SVAN_MAX_FLOWS: where its flow was found last */
    bool marked;                /* the packet being sent is; counted when it has left */
    bool called;                /* its turn has come (enforcement) */
};

/* The caller has reserved the timer: svan_timer_reserve(). */
void svan_egress_init(SvanEgress *egress, SvanWork *work);
void svan_egress_stop(SvanEgress *egress);      /* it does not wait any more */

static inline bool svan_egress_waits(const SvanEgress *egress)
{
    return egress->later.slot >= 0 || egress->turn.next;
}

/*
 * Send a RoCE packet: to a function of this device by reference, else encoded to the
 * port. The caller fills in all but pkt->addr, which is made from av and entropy
 * (svan_gid_address()), so that no function sends from another's GID. heading, zeroed
 * at first, is that of these two: see svan_heading_forget(). DONE, AGAIN (the
 * receiver has executed a part: send the same packet again), MISS, BLOCKED, LATER (send
 * the same packet again, and nothing of its flow before it). A packet that is lost,
 * because nobody takes it or its source GID is gone, is DONE, as on a wire.
 */
SvanStep svan_pkt_send(SvanEgress *egress, const SvanAv *av, uint32_t entropy,
                       SvanHeading *heading, SvanPkt *pkt);
/*
 * Send an Ethernet frame, whose capacity leaves room for a tag. DONE: the frame is not
 * the caller's any more; *sent says whether it has left the function or was dropped.
 * BLOCKED, LATER: it stays the caller's, to be sent again. Frames for functions of this
 * device wait in the receive queue.
 */
SvanStep svan_frame_send(SvanEgress *egress, SvanFrame *frame, bool *sent);
/* Count and trace a drop; reason: enum SvanDrop. Always DONE. Nothing is freed. */
SvanStep svan_pkt_drop(SvanFn *fn, const SvanPkt *pkt, uint64_t *counter,
                       uint32_t reason);
SvanStep svan_frame_drop(SvanFn *fn, const SvanFrame *frame, uint64_t *counter,
                         uint32_t reason);

/*
 * Receive what is sent to a multicast group, besides what is sent to the function's GIDs,
 * in the VLANs of those. false: no memory. To join twice, or to leave what was not joined,
 * does nothing.
 */
bool svan_group_join(SvanFn *fn, const uint8_t *gid);
void svan_group_leave(SvanFn *fn, const uint8_t *gid);

/*
 * How the switch hands a function what it receives. DONE: it was consumed, or dropped
 * and counted. AGAIN, MISS: it is handed over again in another step.
 */
typedef struct SvanReceiver {
    SvanStep (*packet)(SvanFn *fn, const SvanPkt *pkt);
    /* At most one page a step; *offset, 0 at first, is kept for the next step. */
    SvanStep (*frame)(SvanFn *fn, const SvanFrame *frame, uint32_t *offset);
    /* The QPN of the queue pair's peer; 0: it has none. */
    uint32_t (*peer_qpn)(SvanFn *fn, uint32_t qpn);
} SvanReceiver;

/* One step of the receive queue. IDLE: the queue is empty. */
SvanStep svan_rx_step(SvanCore *core);
void svan_rx_drop_head(SvanCore *core);
/* What the function has received of the head is gone: it begins anew. */
void svan_rx_again(SvanFn *fn);
/* Append. false: no room for frames of its sender; the frame stays the caller's. */
bool svan_rx_put(SvanCore *core, SvanFrame *frame);

/* The reason that SVAN_TRACE_PKT_DROP and SVAN_TRACE_FRAME_DROP give. */
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
    SVAN_DROP_NOTIFICATION,
} SvanDrop;

/* ---- flows ---- */

/*
 * A packet or frame that is about to leave a function, for the port or for functions of
 * this device, the sender included.
 */
typedef struct SvanFlowUnit {
    SvanFn *fn;                 /* the sender */
    SvanPkt *pkt;               /* complete; NULL: the unit is a frame */
    SvanFrame *frame;           /* NULL: the unit is a packet */
    bool is_local;              /* a packet for a function of this device */
} SvanFlowUnit;

typedef enum SvanVerdict {
    SVAN_VERDICT_SEND,
    SVAN_VERDICT_LATER,         /* wait until *when (ns); send, if that is past */
    SVAN_VERDICT_MARK,          /* send with ECN CE, if the unit is ECN-capable */
    SVAN_VERDICT_DROP,          /* lose it, as on a wire */
} SvanVerdict;

typedef struct SvanFlowOps {
    /*
     * Called for each unit, and again for one that could not leave at once. It does
     * not change the unit.
     */
    SvanVerdict (*verdict)(void *arg, const SvanFlowUnit *unit,
                           uint64_t *when);
} SvanFlowOps;

/* ops NULL, as at first: everything is sent. *ops has to stay valid while it is set. */
void svan_flow_watch(SvanCore *core, const SvanFlowOps *ops, void *arg);

/* ---- Ethernet ---- */

typedef struct SvanEthFilter {
    uint32_t qpn;               /* 0: reception is off */
    uint8_t mac[6];
    uint8_t flags;
    uint32_t max_frame;
    uint32_t num_mcast;
    /* in SvanNet: room for SVAN_MAX_MCAST; NULL while the function is disabled */
    uint8_t (*mcast)[6];
} SvanEthFilter;

/* Copy the filter, which the command has checked, and apply it. false: no memory. */
bool svan_filter_set(SvanFn *fn, const SvanEthFilter *filter);
/* Receive nothing any more; all of the filter but qpn stays. */
void svan_filter_off(SvanFn *fn);

#define SVAN_ETH_HLEN           14u
#define SVAN_VLAN_HLEN          4u
#define SVAN_FROM_PORT          0xffffu         /* SvanFrame.from */

SvanFrame *svan_frame_copy(const SvanFrame *frame);     /* NULL: no memory */

/* SVAN_CQE_CSUM_* of a received frame */
uint8_t svan_frame_csum(const SvanFrame *frame);
/* Complete the checksum: its field holds the pseudo header's. false: out of bounds. */
bool svan_frame_complete_csum(SvanFrame *frame, const struct svan_wqe_eth *eth);

/* ---- the part of a function, and of the core ---- */

typedef struct SvanNet {
    const SvanReceiver *receiver;
    SvanVport vport;
    struct SvanEnforcement *enforcement;        /* NULL: none is set */
    bool port_enabled;          /* SVAN_CMD_SET_PORT */
    SvanGid *gids;              /* SVAN_MAX_GID; NULL: the function is disabled */
    uint32_t gid_limit;         /* one above the highest valid index */
    SvanEthFilter eth;
} SvanNet;

/* Does the function take part in the port's traffic, by its driver and by the PF's? */
static inline bool svan_port_is_open(const SvanFn *fn)
{
    return fn->net->port_enabled &&
           fn->net->vport.link != SVAN_FUNCTION_LINK_DOWN;
}

/* Frames from the port and from functions, which wait for their receivers. */
typedef struct SvanIngress {
    SvanFrame *head, **tail;
    SvanFrame *untagged;        /* the head as functions of its VLAN get it, or NULL */
    uint32_t frames;            /* that came from the port */
    uint32_t offset;            /* octets of the head that fn has received */
    uint32_t fn;                /* functions below it are done with the head */
    uint32_t qpn;               /* QP of fn that has begun to receive it; 0: none */
    uint32_t member;            /* of a group: functions below it are done with the head */
    bool known;                 /* of a group: the head's ICRC is right */
    uint64_t heads;             /* that are gone: tells one head from another */
    bool packets_next;          /* packets that are lent have the next turn */
    uint16_t from;              /* whose frame the last step was of; SVAN_FROM_PORT */
} SvanIngress;

/* The function that has sent what the last step received; NULL: it came by the port. */
SvanFn *svan_rx_sender(const SvanCore *core);

/* All that the commands check is checked here. SVAN_CMD_OK, or the refusal. */
uint32_t svan_gid_set(SvanFn *fn, const struct svan_cmd_set_gid *cmd);
/*
 * The same for an entry that the function had: what allowed it then, such as its filter, or
 * that it was the first to have the GID, cannot be asked for any more.
 */
uint32_t svan_gid_load(SvanFn *fn, const struct svan_cmd_set_gid *cmd);
uint32_t svan_gid_clear(SvanFn *fn, uint32_t index);
/* The command by which the function's driver has set a valid entry. */
void svan_gid_command(const SvanFn *fn, uint32_t index, struct svan_cmd_set_gid *cmd);
/*
 * Settings of the function have changed: entries that it may not have any more go. One whose
 * GID others have had from then on, too, stays, unless the function is checked anew for that.
 */
void svan_gids_apply(SvanFn *fn, bool is_checked_anew);
void svan_gids_clear(SvanFn *fn);
/* ff00::/8, or v4-mapped 224.0.0.0/4 */
bool svan_gid_is_multicast(const uint8_t *gid);
/* Has the function a GID in this VLAN; 0: without one? */
bool svan_gid_has_vlan(const SvanFn *fn, uint16_t vlan);

/* The port has room again: what waits for it at the switch itself goes on. */
void svan_switch_tx_ready(SvanCore *core);
/* The switch between the functions of a core and the port; opaque outside of net/. */
SvanSwitch *svan_switch_new(void);              /* NULL: no memory */
void svan_switch_free(SvanSwitch *sw);          /* after all functions */

/* What is enforced on functions. */
#include "net/enforce.h"

#endif /* SVAN_NET_SWITCH_H */
