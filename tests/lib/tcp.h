/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least of TCP for simulations: one direction of a connection that stands already, by
 * the rules of Reno (RFC 5681) with selective acknowledgements of one segment each, and of
 * ECN (RFC 3168). All segments have the same length, and there are always more. A sender
 * may also be one that does not care about congestion.
 *
 * Both ends are state machines without clock, timer or frames of their own.
 */
#ifndef TESTS_TCP_H
#define TESTS_TCP_H

#include <stdbool.h>
#include <stdint.h>

#define TCP_MSS         1448u
#define TCP_FRAME       (14u + 20 + 20 + TCP_MSS)
#define TCP_WINDOW      512u            /* segments, what the receiver has room for */
#define TCP_TIMEOUT     10000000ull     /* ns, of those that care */
#define TCP_IMPATIENCE  1000000ull      /* of those that do not */

typedef struct TcpSegment {
    uint32_t number;            /* of its first octet */
    uint16_t port;              /* of the sender; the other one is TCP_PORT */
    bool capable, marked;       /* ECT(0), CE */
    bool reduced;               /* CWR */
} TcpSegment;

typedef struct TcpAck {
    uint32_t number;            /* the first octet that is missing */
    uint32_t received;          /* the number of the segment that is acknowledged by this */
    uint16_t port;              /* of the sender of segments */
    bool echo;                  /* ECE */
} TcpAck;

typedef struct TcpSender {
    /* as it was set up */
    uint16_t port;
    bool ecn;                   /* it has been negotiated */
    bool deaf;                  /* its window is always the same */
    uint32_t log_patience;      /* its timeouts are 2^n times as long as usual */
    /* octets: acknowledged, sent next, not sent yet */
    uint32_t first, next, end;
    uint32_t window, threshold; /* octets */
    uint32_t recovered;         /* a recovery, or a reduction, ends with this octet */
    bool recovering, reduced_once, tell_reduced;
    bool again;                 /* one that is missing may be sent again */
    uint32_t resent;            /* up to there that was done in this recovery */
    uint64_t resent_at;         /* ns: when it began */
    uint32_t latest;            /* the end of the latest segment that was received */
    uint32_t duplicates;
    uint8_t have[TCP_WINDOW];   /* the receiver: segments from `first` on, a ring */
    uint32_t head;              /* where it begins */
    uint64_t progress;          /* ns: when `first` changed, or something was sent anew */
    uint64_t timeout;           /* ns */
} TcpSender;

typedef struct TcpReceiver {
    uint16_t port;
    uint32_t next;
    bool echo;
    uint8_t have[TCP_WINDOW];   /* segments from `next` on, a ring */
    uint32_t head;
    uint64_t octets;            /* that were received, of all its connections */
} TcpReceiver;

void tcp_sender_init(TcpSender *sender, uint16_t port, uint64_t now);
/* The next segment that may leave now; false: none. */
bool tcp_next(TcpSender *sender, uint64_t now, TcpSegment *segment);
void tcp_acknowledged(TcpSender *sender, const TcpAck *ack, uint64_t now);
/* To be called now and then. */
void tcp_look_at_clock(TcpSender *sender, uint64_t now);

/* A segment of another port than before begins a new connection. */
TcpAck tcp_received(TcpReceiver *receiver, const TcpSegment *segment);

/* ---- frames: IPv4, no payload but zeroes ---- */

#define TCP_PORT        5001

typedef struct TcpEnds {
    const uint8_t *smac, *dmac;
    const uint8_t *sip, *dip;   /* 4 octets each */
} TcpEnds;

/* Into a buffer whose payload is there already; the frame has TCP_FRAME octets. */
void tcp_write_segment(uint8_t *frame, const TcpEnds *ends, const TcpSegment *segment);
/* Octets of the frame. */
uint32_t tcp_write_ack(uint8_t *frame, const TcpEnds *ends, const TcpAck *ack);
/* false: the frame is something else. */
bool tcp_read_segment(const uint8_t *frame, uint32_t len, TcpSegment *segment);
bool tcp_read_ack(const uint8_t *frame, uint32_t len, TcpAck *ack);

#endif /* TESTS_TCP_H */
