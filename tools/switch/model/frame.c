/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames, and the ECN field of the packets in them (RFC 3168).
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define TYPE_IPV4       0x0800u
#define TYPE_IPV6       0x86ddu
#define TYPE_CVLAN      0x8100u
#define TYPE_SVLAN      0x88a8u

NetFrame *net_frame_head(const void *data, uint32_t kept, uint32_t len, uint64_t tag)
{
    NetFrame *frame = malloc(sizeof(*frame) + kept);

    if (!frame) {
        return NULL;
    }
    frame->refs = 1;
    frame->len = len;
    frame->kept = kept;
    frame->tag = tag;
    memcpy(frame->data, data, kept);
    return frame;
}

NetFrame *net_frame_new(const void *data, uint32_t len)
{
    return net_frame_head(data, len, len, 0);
}

NetFrame *net_frame_ref(NetFrame *frame)
{
    frame->refs++;
    return frame;
}

void net_frame_put(NetFrame *frame)
{
    if (frame && !--frame->refs) {
        free(frame);
    }
}

NetFrame *net_frame_own(NetFrame *frame)
{
    NetFrame *copy;

    if (frame->refs == 1) {
        return frame;
    }
    copy = net_frame_head(frame->data, frame->kept, frame->len, frame->tag);
    net_frame_put(frame);
    return copy;
}

static uint32_t get16(const uint8_t *at)
{
    return at[0] << 8 | at[1];
}

/* Where the IP header starts, and of which type it is; 0: there is none. */
static uint32_t find_ip(const NetFrame *frame, uint32_t *type)
{
    uint32_t at = 12;

    for (uint32_t tags = 0; tags <= 2; tags++) {
        if (at + 2 > frame->kept) {
            return 0;
        }
        *type = get16(frame->data + at);
        if (*type != TYPE_CVLAN && *type != TYPE_SVLAN) {
            break;
        }
        at += 4;
    }
    at += 2;
    if (*type == TYPE_IPV4) {
        return at + 20 <= frame->kept && frame->data[at] >> 4 == 4 ? at : 0;
    }
    if (*type == TYPE_IPV6) {
        return at + 40 <= frame->kept && frame->data[at] >> 4 == 6 ? at : 0;
    }
    return 0;
}

NetEcn net_ecn(const NetFrame *frame)
{
    uint32_t type, at = find_ip(frame, &type), bits;

    if (!at) {
        return NET_ECN_NONE;
    }
    bits = type == TYPE_IPV4 ? frame->data[at + 1] & 3 : frame->data[at + 1] >> 4 & 3;
    return bits == 3 ? NET_ECN_CE : bits ? NET_ECN_CAPABLE : NET_ECN_NONE;
}

/* RFC 1624: HC' = ~(~HC + ~m + m'). */
static void fix_checksum(uint8_t *header, uint32_t old_word)
{
    uint32_t sum = (uint16_t)~get16(header + 10) + (uint16_t)~old_word + get16(header);

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    header[10] = (uint8_t)(~sum >> 8);
    header[11] = (uint8_t)~sum;
}

void net_ecn_mark(NetFrame *frame)
{
    uint32_t type, at = find_ip(frame, &type), old_word;

    if (!at) {
        return;
    }
    if (type == TYPE_IPV6) {
        frame->data[at + 1] |= 0x30;
        return;
    }
    old_word = get16(frame->data + at);
    frame->data[at + 1] |= 3;
    fix_checksum(frame->data + at, old_word);
}
