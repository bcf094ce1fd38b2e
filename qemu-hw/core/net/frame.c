/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames, which of them a function receives, and where they go (PRM "Ethernet").
 */
#include <stdlib.h>
#include <string.h>

#include "net/stations.h"

#define MCAST_OCTET     1               /* group bit of an address's first octet */

SvanFrame *svan_frame_alloc(uint32_t capacity)
{
    SvanFrame *frame = malloc(sizeof(*frame) + capacity);

    if (frame) {
        frame->next = NULL;
        frame->len = 0;
        frame->capacity = capacity;
        frame->from = SVAN_FROM_PORT;
    }
    return frame;
}

SvanFrame *svan_frame_copy(const SvanFrame *frame)
{
    SvanFrame *copy = svan_frame_alloc(frame->len);

    if (copy) {
        memcpy(copy->data, frame->data, frame->len);
        copy->len = frame->len;
    }
    return copy;
}

void svan_frame_free(SvanFrame *frame)
{
    free(frame);
}

/* ---- filters ---- */

static void each_address(SvanFn *fn,
                         void (*change)(SvanSwitch *sw,
                                        const SvanStationKey *key, uint16_t id))
{
    const SvanEthFilter *filter = &fn->net->eth;
    SvanStationKey key = svan_station_mac(filter->mac);

    change(fn->core->sw, &key, fn->id);
    for (uint32_t i = 0; i < filter->num_mcast; i++) {
        /* The list gives a function no further unicast addresses. */
        if (filter->mcast[i][0] & MCAST_OCTET) {
            key = svan_station_mac(filter->mcast[i]);
            change(fn->core->sw, &key, fn->id);
        }
    }
}

void svan_filter_off(SvanFn *fn)
{
    SvanSwitch *sw = fn->core->sw;

    if (fn->net->eth.qpn) {
        each_address(fn, svan_station_remove);
        svan_fn_set_remove(&sw->receiving, fn->id);
        svan_fn_set_remove(&sw->allmulti, fn->id);
        svan_fn_set_remove(&sw->promisc, fn->id);
        fn->net->eth.qpn = 0;
    }
}

bool svan_filter_set(SvanFn *fn, const SvanEthFilter *filter)
{
    uint8_t (*mcast)[6] = fn->net->eth.mcast;
    SvanSwitch *sw = fn->core->sw;

    if (filter->qpn && !svan_stations_reserve(sw, 1 + filter->num_mcast)) {
        return false;
    }
    svan_filter_off(fn);
    fn->net->eth = *filter;
    fn->net->eth.mcast = mcast;
    if (filter->num_mcast) {
        memmove(mcast, filter->mcast, filter->num_mcast * sizeof(mcast[0]));
    }
    if (!filter->qpn) {
        return true;
    }
    each_address(fn, svan_station_add);
    svan_fn_set_add(&sw->receiving, fn->id);
    if (filter->flags & SVAN_CMD_ETH_ALLMULTI) {
        svan_fn_set_add(&sw->allmulti, fn->id);
    }
    if (filter->flags & SVAN_CMD_ETH_PROMISC) {
        svan_fn_set_add(&sw->promisc, fn->id);
    }
    return true;
}

/* Does a function other than id have the address? */
static bool has_other(const SvanFnSet *owners, uint16_t id)
{
    SvanFnSet others = *owners;

    svan_fn_set_remove(&others, id);
    return !svan_fn_set_is_empty(&others);
}

SvanRoute svan_frame_route(const SvanCore *core, const SvanFrame *frame)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    const SvanSwitch *sw = core->sw;
    SvanStationKey key = svan_station_mac(frame->data);
    const SvanFnSet *owners = svan_stations_find(sw, &key);
    bool is_group = frame->data[0] & MCAST_OCTET;
    SvanRoute route = { .fns = sw->promisc, .port = true };

    if (!memcmp(frame->data, broadcast, 6)) {
        route.fns = sw->receiving;
    } else if (is_group) {
        svan_fn_set_unite(&route.fns, &sw->allmulti);
    }
    if (owners) {
        svan_fn_set_unite(&route.fns, owners);
    }
    if (frame->from != SVAN_FROM_PORT) {
        svan_fn_set_remove(&route.fns, frame->from);
        route.port = is_group || !owners || !has_other(owners, frame->from);
    }
    return route;
}
