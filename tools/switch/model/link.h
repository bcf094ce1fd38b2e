/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One direction of a link: a queue, a transmitter of a given rate, and a wire that takes
 * its time and may lose, repeat, delay or damage what it carries.
 *
 * A frame that finds no room is dropped (tail drop); what waits may be marked or dropped
 * as it comes (RED or a step). Departures are exact: the fraction of a nanosecond that a
 * frame takes is carried over to the next. What chance does to the n-th frame that
 * departs depends on the seed, the link and n alone, not on time and not on other chances.
 *
 * The model has no clock, no thread and no global state, and computes with integers.
 */
#ifndef SWITCH_MODEL_LINK_H
#define SWITCH_MODEL_LINK_H

#include "schedule.h"

#define NET_PPM                 1000000u
#define NET_RATE_MIN            1000u                   /* bit/s */
#define NET_RATE_MAX            1000000000000ull
#define NET_DELAY_MAX           10000000000ull          /* ns */
#define NET_BYTES_MAX           (1u << 30)
#define NET_OVERHEAD_MAX        1024u

typedef enum NetMarking {
    NET_MARK_OFF,
    NET_MARK_RED,
    NET_MARK_STEP,
} NetMarking;

/* Zeroes: what is sent arrives at once. Chances are in ppm, of each frame. */
typedef struct NetLinkModel {
    uint64_t rate;              /* bit/s, NET_RATE_MIN to NET_RATE_MAX; 0: not limited */
    uint64_t delay;             /* ns, up to NET_DELAY_MAX, after the last octet has left */
    uint64_t jitter;            /* ns, uniform, 0 to this, of each frame; may reorder */
    uint32_t overhead;          /* octets of a frame: preamble, FCS, gap */
    uint32_t queue;             /* octets that may wait; 0: as many as the buffer admits */
    /*
     * By the octets that wait when a frame comes. RED: none up to kmin, from there to kmax
     * a chance that rises from 0 to pmax, above kmax all; a frame that is not ECN-capable
     * is dropped instead. Step: all ECN-capable ones above kmax, the others pass.
     */
    NetMarking marking;
    uint32_t kmin, kmax, pmax;
    bool leaving;               /* by the octets that wait when the frame has left instead */
    bool evenly;                /* RED: as many as the chances add up to, without chance */
    uint32_t loss, duplicate, reorder, corrupt;
    uint64_t reorder_delay;     /* ns that a reordered frame is late */
} NetLinkModel;

#define NET_LINK_COUNTS(x) \
    x(frames)           /* offered to the link */ \
    x(bytes) \
    x(full)             /* dropped: no room in the queue or the buffer */ \
    x(early)            /* dropped: RED, not ECN-capable */ \
    x(marked)           /* CE set */ \
    x(lost)             /* by chance, after they have departed */ \
    x(duplicated) \
    x(reordered)        /* held back by reorder_delay */ \
    x(corrupted)        /* one bit */ \
    x(no_memory)        /* dropped: no memory, or too much under way */ \
    x(sent)             /* on their way to the other end, duplicates included */ \
    x(sent_bytes)

typedef struct NetLinkCounts {
#define NET_COUNT(name) uint64_t name;
    NET_LINK_COUNTS(NET_COUNT)
#undef NET_COUNT
} NetLinkCounts;

/* A buffer that links share: see net_buffer_admits(). Zeroes: there is no bound. */
typedef struct NetBuffer {
    uint64_t size, used;        /* octets */
} NetBuffer;

/* What became of a frame; several may be true. */
enum {
    NET_FATE_FULL       = 1 << 0,
    NET_FATE_EARLY      = 1 << 1,
    NET_FATE_MARKED     = 1 << 2,
    NET_FATE_LOST       = 1 << 3,
    NET_FATE_DUPLICATE  = 1 << 4,
    NET_FATE_REORDERED  = 1 << 5,
    NET_FATE_CORRUPTED  = 1 << 6,
    NET_FATE_NO_MEMORY  = 1 << 7,
};

typedef struct NetWaiting {
    NetFrame *frame;            /* not looked at while it waits: that would miss the cache */
    uint32_t len;               /* its octets */
    uint32_t fate;
} NetWaiting;

typedef struct NetLink {
    /*
     * The link's own. What each frame needs comes first, so that it lies in few lines of
     * the cache: a world may have many thousands of links.
     */
    NetWaiting first;           /* is being transmitted, while busy */
    NetWaiting *queue;          /* a ring: those behind it */
    uint32_t head, waiting, capacity;
    bool busy;
    uint64_t queued;            /* octets, of the first one and those that wait */
    uint64_t free_at;           /* ns: when the transmitter has sent, or has sent, its frame */
    uint64_t remainder;         /* of a nanosecond, in 1/rate */
    uint64_t departures;
    uint64_t marks_due;         /* model.evenly: the chances since the last mark, in 2^-32 */
    uint64_t longest;           /* octets: the most that were queued */
    uint64_t under_way;
    /* Set by the user; the model may change at any time and holds from the next frame. */
    NetSchedule *schedule;
    NetNode *from;              /* the sending end */
    NetEventFn *arrive;         /* takes the frame at the other end */
    void *to;
    NetBuffer *buffer;          /* of the sending end; NULL: its own queue only */
    uint32_t to_node;           /* the other end's number */
    /*
     * The sender waits for the link, whatever the clock says: an idle link starts the next
     * frame where it stopped, up to burst ns ago. For real time, in which the clock jumps;
     * in virtual time both are 0.
     */
    bool held;
    uint64_t burst;
    NetLinkModel model;
    uint64_t key;               /* net_link_key() */
    /*
     * Octets that may be under way; 0: no bound. With a bound the two ends belong to one
     * thread.
     */
    uint64_t under_way_max;
    /* NULL, or sees every frame when its fate is known; the frame stays the link's. */
    void (*tap)(void *arg, const NetFrame *frame, uint32_t fate);
    void *tap_arg;
    NetLinkCounts counts;       /* the link's */
} NetLink;

/* Frames in the queue, with the one that is being transmitted. */
static inline uint32_t net_link_len(const NetLink *link)
{
    return link->busy + link->waiting;
}

/* Of the port of a node: the stream of chances of its link. */
uint64_t net_link_key(uint64_t seed, uint32_t node, uint32_t port);
/* Takes the frame, at schedule->now. */
void net_link_send(NetLink *link, NetFrame *frame);
/* Gives up what waits; what is under way belongs to the schedule. */
void net_link_fini(NetLink *link);

/*
 * Whether one of the sharers, which holds `held` octets, may take so many more: nobody may
 * hold more than what is left free (a dynamic threshold with alpha 1). n congested ones
 * end at size / (n + 1) each, and whatever they do, one that was idle finds room.
 */
bool net_buffer_admits(const NetBuffer *buffer, uint64_t held, uint32_t more);

#endif /* SWITCH_MODEL_LINK_H */
