/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue pairs, and what each kind of them does.
 */
#ifndef SVAN_TRANSPORT_H
#define SVAN_TRANSPORT_H

#include "paging/paging.h"

typedef struct SvanQp SvanQp;
typedef struct SvanRcShared SvanRcShared;
typedef struct SvanGroup SvanGroup;
typedef struct SvanSharing SvanSharing;         /* message.h */

/* The operations of a transport. */
typedef struct SvanTransport {
    const char *name;
    /* Private state in qp->priv. false: no memory. */
    bool (*create)(SvanQp *qp);
    void (*destroy)(SvanQp *qp);
    /* qp->state has just changed from old; attributes are already in place. */
    void (*enter)(SvanQp *qp, uint8_t old);
    /* One step. IDLE: the QP has no work, and gets no step until it is ready again. */
    SvanStep (*step)(SvanQp *qp);
    /*
     * Receive a packet for the QP; NULL: the transport takes none. DONE: it was
     * consumed, or dropped and counted. AGAIN, MISS: it comes again in another step.
     */
    SvanStep (*rx)(SvanQp *qp, const SvanPkt *pkt);
    /* The two of congestion control. NULL: there is none. */
    void (*marked)(SvanQp *qp);         /* a packet with CE has been received */
    /* A CNP of the peer; false: it is not valid, or not listened to. */
    bool (*notified)(SvanQp *qp, const SvanPkt *pkt);
    /* Send no faster from now on; kb/s, 0: no limit. false: no memory. NULL: never. */
    bool (*limit)(SvanQp *qp, uint32_t kbps);
    /* The oldest block of the send queue in use, for QUERY_QP. */
    uint32_t (*sq_ci)(const SvanQp *qp);
    void (*save)(const SvanQp *qp, SvanWriter *writer);
    bool (*load)(SvanQp *qp, SvanReader *reader);
} SvanTransport;

extern const SvanTransport svan_rc_transport;       /* rc.c */
extern const SvanTransport svan_uc_transport;       /* unreliable.c */
extern const SvanTransport svan_ud_transport;       /* unreliable.c */
extern const SvanTransport svan_eth_transport;      /* eth.c */

struct SvanQp {
    /* What each packet needs comes first, so that it lies in few cache lines. */
    SvanFn *fn;
    uint32_t qpn;
    uint8_t type;               /* enum svan_qp_type */
    uint8_t flags;              /* SVAN_CMD_QP_* */
    uint8_t state;              /* enum svan_qp_state */
    bool sq_draining;           /* SQD: set on entry, cleared by the transport */
    const struct SvanQpKind *kind;
    const SvanTransport *transport;     /* the kind's */
    void *priv;                 /* the transport's */
    SvanWork work;
    SvanUser user;
    SvanEgress egress;
    SvanHeading heading;        /* of av */
    SvanSq sq;
    SvanCq *send_cq, *recv_cq;
    SvanCounter *send_counter, *recv_counter;   /* NULL: none */

    /* attributes, host order, validated */
    uint8_t access, log_mtu, max_rd_atomic, max_dest_rd_atomic;
    uint8_t min_rnr_timer, timeout, retry_cnt, rnr_retry;
    SvanAv av;
    uint32_t dest_qpn, rq_psn, sq_psn, qkey;
    uint32_t attr_mask;         /* SVAN_QP_ATTR_*: set since RESET */
    uint8_t pkey_index, port;
    bool sqd_notify;
    struct svan_fault_policy policy;    /* checked */

    SvanRq rq;
    SvanSharing *share;           /* of a shared receive queue; NULL: it has none */
    SvanDbTarget db;
    SvanWaiter waiter;          /* for absent pages */
    SvanEvents events;
};

/*
 * Find the doorbell record that the command names, before the queue pair is created.
 * DONE, MISS, or ERROR: *refusal.
 */
SvanStep svan_qp_map_record(SvanFn *fn, const struct svan_cmd_create_qp *cmd,
                            SvanMem *record, uint32_t *refusal);
/* svan_qp_create() and svan_qp_modify() return SVAN_CMD_OK or a refusal (base.h). */
uint32_t svan_qp_create(SvanFn *fn, const struct svan_cmd_create_qp *cmd,
                        uint32_t id, SvanQp **out);
void svan_qp_destroy(SvanQp *qp);
uint32_t svan_qp_modify(SvanQp *qp, const struct svan_cmd_modify_qp *cmd);
void svan_qp_query(const SvanQp *qp, struct svan_qp_attr *attr);
/* Set the attributes that cmd->mask names, without a change of state. */
uint32_t svan_qp_set_attrs(SvanQp *qp, const struct svan_cmd_modify_qp *cmd);
/* Have all attributes been set that the QP's state needs? */
bool svan_qp_has_attrs(const SvanQp *qp);
/* Take over an address vector; its source GID is in range. */
void svan_av_decode(SvanAv *to, const struct svan_av *from);
/*
 * Have the counter count what the sides (SVAN_ATTACH_COUNTER_*) of the queue pair
 * complete. SVAN_CMD_OK or a refusal.
 */
uint32_t svan_qp_attach(SvanQp *qp, SvanCounter *counter, uint32_t sides);
/* The number of the shared receive queue; 0: it has none. */
uint32_t svan_qp_srqn(const SvanQp *qp);
/* NULL: there is no queue pair of this number. */
SvanQp *svan_qp_get(SvanFn *fn, uint32_t qpn);

/* It receives packets, and may answer them. */
static inline bool svan_qp_is_in_service(const SvanQp *qp)
{
    return qp->state >= SVAN_QPS_RTR && qp->state != SVAN_QPS_ERR;
}

/* The limit that it was given, kb/s; 0: none. */
static inline uint32_t svan_qp_rate_limit(const SvanQp *qp)
{
    return qp->egress.pace ? qp->egress.pace->limit / SVAN_BPS_PER_KBPS : 0;
}

static inline void svan_qp_schedule(SvanQp *qp)
{
    svan_work_ready(&qp->work);
}

/*
 * svan_qp_error() takes the QP to SVAN_QPS_ERR and sends an event (enum svan_event; 0:
 * none); it does nothing if the QP is in that state already. svan_qp_set_state() calls
 * transport->enter() even if the state stays the same and only attributes have changed.
 */
void svan_qp_error(SvanQp *qp, uint8_t event, uint32_t syndrome);
void svan_qp_set_state(SvanQp *qp, uint8_t state, uint32_t syndrome);

extern const SvanReceiver svan_qp_receiver;         /* receive.c */

/* What was taken of the shared receive queue, of a queue pair that has one. */
void svan_save_taken(const SvanQp *qp, SvanWriter *writer);
bool svan_load_taken(SvanQp *qp, SvanReader *reader);

/* ---- group.c: multicast ---- */

/* SVAN_CMD_OK or a refusal. */
uint32_t svan_group_attach(SvanQp *qp, const uint8_t *gid);
uint32_t svan_group_detach(SvanQp *qp, const uint8_t *gid);
void svan_group_detach_all(SvanQp *qp);
/*
 * Hand a packet for a group to each of its queue pairs by `one`, whose results are those of
 * SvanTransport.rx. DONE: all have had it; AGAIN, MISS: it comes again in another step.
 */
SvanStep svan_group_receive(SvanFn *fn, const SvanPkt *pkt,
                            SvanStep (*one)(SvanQp *qp, const SvanPkt *pkt));
void svan_save_groups(SvanFn *fn, SvanWriter *writer);
bool svan_load_groups(SvanFn *fn, SvanReader *reader);

/*
 * Deliver a frame to the Ethernet queue pair of fn, one page a step. *offset is kept by
 * the caller, and 0 at first. DONE: the frame was delivered, or dropped and counted.
 * AGAIN, MISS: it comes again in another step.
 */
SvanStep svan_eth_rx(SvanFn *fn, const SvanFrame *frame, uint32_t *offset);

/* ---- kinds: what differs between types of QPs ---- */

#define SVAN_QP_STATES          (SVAN_QPS_ERR + 1)

/* A transition between two states, and the attributes that it requires and allows. */
typedef struct SvanQpWay {
    bool legal;
    uint32_t required, optional;        /* SVAN_QP_ATTR_* */
} SvanQpWay;

typedef SvanQpWay SvanQpWays[SVAN_QP_STATES][SVAN_QP_STATES];   /* from, to */

/* Where the address of a packet that is sent comes from. */
typedef enum SvanQpAddressing {
    SVAN_ADDRESS_OF_FRAME,      /* the host writes it into the frame */
    SVAN_ADDRESS_OF_PEER,       /* an attribute, which is set on the way to RTR */
    SVAN_ADDRESS_OF_WQE,        /* each WQE has one */
} SvanQpAddressing;

/* Whose packets a queue pair takes. */
typedef enum SvanQpSenders {
    SVAN_TAKES_NO_PACKETS,
    SVAN_TAKES_PEERS,           /* its peer's alone */
    SVAN_TAKES_KEYS,            /* those of any sender that knows the Q_Key */
} SvanQpSenders;

/* What the completion of a receive WQE says. */
typedef enum SvanQpCompletion {
    SVAN_COMPLETES_FRAME,       /* its length and checksums */
    SVAN_COMPLETES_MESSAGE,     /* a message of the peer, with its immediate data */
    SVAN_COMPLETES_DATAGRAM,    /* the same, but the packet names the sender */
} SvanQpCompletion;

/* What differs between types of queue pairs. */
typedef struct SvanQpKind {
    const SvanTransport *transport;     /* NULL: the device does not support it */
    uint64_t feature;           /* SVAN_CAP_* that it needs; 0: there is no such kind */
    bool needs_pd;              /* false: PD 0 means none */
    bool can_wait;              /* for absent pages */
    bool can_count;             /* completions, by counters */
    bool can_share;             /* a receive queue with others */
    bool is_kernels;            /* only PRIVILEGED queue pairs are of this kind */
    uint32_t qpn;               /* of the only one that there may be; 0: there are many */
    const SvanQpWays *ways;
    uint8_t bth_class;          /* SVAN_BTH_*, of its packets */
    SvanQpAddressing addressing;
    SvanQpCompletion completion;
    SvanQpSenders senders;
} SvanQpKind;

#define SVAN_QP_KINDS           (SVAN_QPT_ETH + 1)

/* By enum svan_qp_type. */
extern const SvanQpKind svan_qp_kinds[SVAN_QP_KINDS];

/* ---- the part of a function ---- */

typedef struct SvanQps {
    SvanTable table;
    const SvanQpKind *kinds;
    SvanRcShared *rc;
    SvanGroup *groups;
    uint32_t num_groups;
} SvanQps;

/* NULL: no memory. */
SvanRcShared *svan_rc_shared_make(void);
void svan_rc_shared_free(SvanRcShared *shared);     /* no RC queue pair is left */

#endif /* SVAN_TRANSPORT_H */
