/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames and a link of the switch's model, whose other end keeps what arrives.
 */
#ifndef TESTS_UNIT_NET_H
#define TESTS_UNIT_NET_H

#include "unit.h"

#include "model/bridge.h"

#define US              1000ull
#define MS              1000000ull
#define SECOND          1000000000ull

typedef struct Arrivals {
    NetSchedule *schedule;
    uint64_t count, octets;
    uint64_t first, last;       /* ns */
    uint64_t hash;              /* of times and octets */
    uint64_t overtaken;         /* arrived after one with a higher number */
    uint32_t highest;
    NetFrame *kept;             /* the last one */
} Arrivals;

/* A frame that carries a number behind its addresses and its type. */
static inline NetFrame *numbered(uint32_t len, uint32_t number)
{
    uint8_t data[NET_FRAME_MAX] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

    memcpy(data + 14, &number, sizeof(number));
    return net_frame_new(data, len);
}

static inline void keep(void *arg, NetFrame *frame)
{
    Arrivals *to = arg;
    uint32_t number = 0;

    if (!to->count++) {
        to->first = to->schedule->now;
    }
    to->last = to->schedule->now;
    to->octets += frame->len;
    if (frame->len >= 18) {
        memcpy(&number, frame->data + 14, sizeof(number));
    }
    to->overtaken += number < to->highest;
    to->highest = number > to->highest ? number : to->highest;
    to->hash = (to->hash ^ to->last) * 0x100000001b3ull;
    for (uint32_t i = 0; i < frame->len; i++) {
        to->hash = (to->hash ^ frame->data[i]) * 0x100000001b3ull;
    }
    net_frame_put(to->kept);
    to->kept = frame;
}

typedef struct Line {
    NetSchedule schedule;
    NetNode from;
    NetLink link;
    Arrivals to;
} Line;

static inline Line *line_new(NetLinkModel model, uint64_t seed)
{
    Line *line = calloc(1, sizeof(*line));

    line->from.id = 1;
    line->to.schedule = &line->schedule;
    line->link = (NetLink) {
        .model = model, .schedule = &line->schedule, .from = &line->from, .to_node = 2,
        .arrive = keep, .to = &line->to, .key = net_link_key(seed, 1, 0),
    };
    return line;
}

static inline void line_free(Line *line)
{
    net_link_fini(&line->link);
    net_schedule_fini(&line->schedule);
    net_frame_put(line->to.kept);
    free(line);
}

/* Frames, one each `gap`; then all of them arrive. */
static inline void line_carry(Line *line, uint32_t frames, uint32_t len, uint64_t gap)
{
    for (uint32_t i = 0; i < frames; i++) {
        net_link_send(&line->link, numbered(len, i));
        net_schedule_run(&line->schedule, line->schedule.now + gap);
    }
    net_schedule_run(&line->schedule, line->schedule.now + 100 * SECOND);
}

#endif /* TESTS_UNIT_NET_H */
