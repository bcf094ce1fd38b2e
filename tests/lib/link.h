/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A link: what a sender gives it arrives later, at the link's rate, unless it is
 * lost, and perhaps twice, late or damaged. It carries frames one way, to
 * whomever the sender names with each of them.
 */
#ifndef TESTS_LINK_H
#define TESTS_LINK_H

#include "events.h"
#include "rng.h"
#include "svan_core.h"

/* Times in ns, chances in ppm. Zeroes: nothing is done to a frame. */
typedef struct LinkModel {
    uint32_t delay, jitter;     /* after the last octet has left */
    uint32_t ps_per_byte;
    uint32_t overhead;          /* octets of a frame: preamble, FCS, gap */
    uint32_t queue_bytes;       /* what does not fit is lost; 0: no bound */
    uint32_t loss, duplicate, reorder, corrupt;
    uint32_t reorder_delay;
} LinkModel;

typedef struct Link {
    const LinkModel *model;
    EventQueue *events;
    const uint64_t *now;
    Rng rng;
    uint64_t free_at;           /* when it has sent what it has */
    uint64_t lost;              /* frames */
    /* takes the frame */
    void (*arrive)(void *to, SvanFrame *frame);
    /* NULL: any frame may be lost, late or damaged, as the model says */
    bool (*may_disturb)(void *arg, const SvanFrame *frame);
    void *arg;
} Link;

/* Takes the frame. to NULL: it is for nobody, and lost. */
void link_send(Link *link, void *to, SvanFrame *frame);
/* Until what it has is sent, ns. */
uint64_t link_backlog(const Link *link);
/* At the end: frees all frames that are under way. */
void link_drop_all(EventQueue *events);

#endif /* TESTS_LINK_H */
