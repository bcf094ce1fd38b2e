/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ethernet frames, without their FCS, which the model passes on by reference. A frame
 * belongs to one thread at a time; whoever changes one that others hold copies it first.
 */
#ifndef SWITCH_MODEL_FRAME_H
#define SWITCH_MODEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_FRAME_MIN           14u
#define NET_FRAME_MAX           65535u

/*
 * A simulation may keep only the first octets of a frame, the headers, and say by a tag
 * what the others are. Only octets that are kept are damaged.
 */
typedef struct NetFrame {
    uint32_t refs;
    uint32_t len;               /* octets, NET_FRAME_MIN to NET_FRAME_MAX */
    uint32_t kept;              /* of them, in data */
    uint64_t tag;               /* whoever made the frame knows what it says */
    uint8_t data[];
} NetFrame;

/* One reference is the caller's. NULL: no memory. */
NetFrame *net_frame_new(const void *data, uint32_t len);
/* Of a frame of len octets the first `kept`. */
NetFrame *net_frame_head(const void *data, uint32_t kept, uint32_t len, uint64_t tag);
NetFrame *net_frame_ref(NetFrame *frame);
/* Takes a reference; NULL does nothing. */
void net_frame_put(NetFrame *frame);
/*
 * Takes the caller's reference and returns a frame that nobody else holds, with the
 * same octets. NULL: no memory, and the reference is gone.
 */
NetFrame *net_frame_own(NetFrame *frame);

/* What a frame says about congestion. */
typedef enum NetEcn {
    NET_ECN_NONE,               /* no IP packet, or one that is not ECN-capable */
    NET_ECN_CAPABLE,            /* ECT(0) or ECT(1) */
    NET_ECN_CE,                 /* congestion experienced */
} NetEcn;

/* IPv4 and IPv6, behind up to two VLAN tags. */
NetEcn net_ecn(const NetFrame *frame);
/*
 * Sets CE in a frame of which net_ecn() said CAPABLE, and corrects the checksum of an
 * IPv4 header. Nobody else holds the frame.
 */
void net_ecn_mark(NetFrame *frame);

#endif /* SWITCH_MODEL_FRAME_H */
