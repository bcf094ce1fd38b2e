/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A path: all flows of one function to one peer, which is what gets a rate. A flow that is
 * new is governed by its path from its first packet on.
 */
#ifndef SVAN_NET_PATH_H
#define SVAN_NET_PATH_H

#include "net/dcqcn.h"
#include "net/estimate.h"
#include "net/flow_key.h"
#include "net/recognition.h"

/* Of the packets that have left, of those flows that are not numbered by the NIC. */
#define SVAN_WITNESSES          512u
/* Octets of frames for which the parameters of congestion control are meant. */
#define SVAN_PATH_SIZE          1082u
/* Octets that have left, and marks, of which the size of packets is the mean. */
#define SVAN_PATH_RECENT        (1u << 20)
#define SVAN_PATH_RECENT_MARKS  256u
/* Notifications are believed of packets that are no older than this, ns. */
#define SVAN_WITNESS_AGE        20000000ull

/* A ring in which each half remembers when it was begun. */
typedef struct SvanWitnesses {
    uint32_t marks[SVAN_WITNESSES];     /* of flow and witness */
    uint64_t begun[2];          /* ns */
    uint32_t next;
} SvanWitnesses;

void svan_witness_add(SvanWitnesses *witnesses, const SvanAgedKey *flow, uint32_t witness,
                      uint64_t now);
/*
 * May the packet have left lately? true, too, if so many have left that the ring does not
 * reach back far enough: who sends so fast does not escape by it.
 */
bool svan_witness_is_plausible(const SvanWitnesses *witnesses, const SvanAgedKey *flow,
                               uint32_t witness, uint64_t now);

typedef struct SvanPath {
    SvanAged aged;
    SvanFn *fn;
    uint32_t flows;             /* in the table that belong to it */
    SvanRp rp;
    SvanFlowEstimate estimate;
    SvanRecognition recognition;
    bool counted;               /* among SvanFlows.congested */
    bool peer_notifies;         /* its NIC has sent a notification that was accepted */
    uint32_t sequence;          /* of the last one, which came for this address */
    uint8_t notified[16], notifier[16];     /* that address, and whose NIC has sent it */
    uint32_t marked_octets;     /* below SVAN_PATH_SIZE: what marks are left over */
    uint64_t told_marks, told_octets;   /* of late: what notifications say of marked packets */
    uint64_t sent, sent_squares;        /* of late: octets, and sum of the squares of packets */
    uint64_t told_at;           /* ns: the last notification that was a sign */
    uint32_t told_cnps;         /* of those to come, that notifications have told already */
    uint64_t cut_at;            /* ns: the last decrease without a notification */
    uint64_t last_rtt;          /* ns: of the last sample, however old; 0: there was none */
    /* At its rate all that was sent would have left by then, ns, and this part of one. */
    uint64_t until;
    uint32_t until_part;        /* in 1/256 ns */
    bool behind;                /* something has waited, and it has not caught up yet */
    SvanLink waiters;           /* SvanEgress, whose turn comes in this order */
    SvanTimer turn;
    SvanFrame *held, **held_tail;       /* frames that wait for their turns */
    uint32_t held_octets;
    bool held_next;             /* the next turn is theirs */
    uint8_t classes;            /* bit n: class n has left since it became CLEAR */
    SvanLink due;               /* SvanSwitch.shaped */
    SvanWitnesses witnesses;
    uint64_t recognized_at;     /* ns: when its state was looked at */
    uint64_t packets, octets;
    uint32_t notifications;
} SvanPath;

void svan_path_init(SvanPath *path, SvanFn *fn, const SvanDcqcnParams *params,
                    void (*turn)(SvanTimer *turn));
/*
 * Octets of a packet that meets congestion. The peer's NIC tells it. Where that does not, it is
 * the mean of what is sent, each octet by the size of its packet: so tiny packets, which may
 * take another way, do not make large ones look small. SVAN_PATH_SIZE if nothing is known.
 */
uint32_t svan_path_size(const SvanPath *path);
/* The peer's NIC has seen so many marked packets, with so many octets. */
void svan_path_told(SvanPath *path, uint32_t marks, uint32_t octets);

/* A packet of so many octets has left. */
static inline void svan_path_count(SvanPath *path, uint32_t octets)
{
    path->sent += octets;
    path->sent_squares += (uint64_t)octets * octets;
    if (path->sent >= SVAN_PATH_RECENT) {
        path->sent /= 2;
        path->sent_squares /= 2;
    }
}

/* Nothing waits or is known that would be lost with it. */
bool svan_path_is_idle(const SvanPath *path, uint64_t now);

/*
 * May something leave now, at this rate (bit/s), if up to `burst` ns may be sent ahead? If
 * not: *when it may.
 */
bool svan_path_may_send(const SvanPath *path, uint64_t burst, uint64_t now, uint64_t *when);
void svan_path_charge(SvanPath *path, uint64_t rate, uint32_t octets, uint64_t now);

#endif /* SVAN_NET_PATH_H */
