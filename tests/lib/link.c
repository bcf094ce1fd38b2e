/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link model.
 */
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "link.h"

typedef struct Transit {
    void (*arrive)(void *to, SvanFrame *frame);
    void *to;
    SvanFrame *frame;
} Transit;

/* What becomes of a frame; drawn before anything is done to it. */
typedef struct Fate {
    bool corrupt;
    uint32_t bit;               /* the one that changes */
    uint64_t late;
} Fate;

static void arrive_event(void *arg)
{
    Transit *transit = arg;

    transit->arrive(transit->to, transit->frame);
    free(transit);
}

static void transit_drop(void *arg)
{
    Transit *transit = arg;

    svan_frame_free(transit->frame);
    free(transit);
}

void link_drop_all(EventQueue *events)
{
    events_drop(events, arrive_event, transit_drop);
}

/* By chance, and with leave. */
static bool disturbs(Link *link, const SvanFrame *frame, uint32_t chance)
{
    return rng_ppm(&link->rng, chance) &&
           (!link->may_disturb || link->may_disturb(link->arg, frame));
}

static Fate draw_fate(Link *link, const SvanFrame *frame)
{
    const LinkModel *model = link->model;
    Fate fate = { 0 };

    fate.corrupt = disturbs(link, frame, model->corrupt);
    if (fate.corrupt) {
        fate.bit = rng_below(&link->rng, frame->len * 8);
    }
    fate.late = rng_below(&link->rng, model->jitter + 1);
    if (disturbs(link, frame, model->reorder)) {
        fate.late += rng_below(&link->rng, model->reorder_delay + 1);
    }
    return fate;
}

static void carry(Link *link, void *to, SvanFrame *frame, const Fate *fate)
{
    Transit *transit = fake_must(malloc(sizeof(*transit)));

    *transit = (Transit) { link->arrive, to, frame };
    if (fate->corrupt) {
        frame->data[fate->bit / 8] ^= 1 << fate->bit % 8;
    }
    events_add(link->events, link->free_at + link->model->delay + fate->late,
               arrive_event, transit);
}

static SvanFrame *copy_of(const SvanFrame *frame)
{
    SvanFrame *copy = fake_must(svan_frame_alloc(frame->len));

    copy->len = frame->len;
    memcpy(copy->data, frame->data, frame->len);
    return copy;
}

uint64_t link_backlog(const Link *link)
{
    return link->free_at > *link->now ? link->free_at - *link->now : 0;
}

static bool is_full(const Link *link)
{
    const LinkModel *model = link->model;

    return model->queue_bytes &&
           link_backlog(link) * 1000 / model->ps_per_byte > model->queue_bytes;
}

void link_send(Link *link, void *to, SvanFrame *frame)
{
    const LinkModel *model = link->model;
    SvanFrame *again = NULL;
    Fate fate;

    if (!to || is_full(link) || disturbs(link, frame, model->loss)) {
        link->lost++;
        svan_frame_free(frame);
        return;
    }
    link->free_at = *link->now + link_backlog(link) +
                    (uint64_t)(frame->len + model->overhead) *
                    model->ps_per_byte / 1000;
    fate = draw_fate(link, frame);
    if (rng_ppm(&link->rng, model->duplicate)) {
        again = copy_of(frame);
    }
    carry(link, to, frame, &fate);
    if (again) {
        fate = draw_fate(link, again);
        carry(link, to, again, &fate);
    }
}
