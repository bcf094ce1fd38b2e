/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames, and which of them a function wants (PRM "Ethernet").
 */
#include <stdlib.h>
#include <string.h>

#include "net/switch.h"

SvanFrame *svan_frame_alloc(uint32_t capacity)
{
    SvanFrame *frame = malloc(sizeof(*frame) + capacity);

    if (frame) {
        frame->next = NULL;
        frame->len = 0;
        frame->capacity = capacity;
    }
    return frame;
}

void svan_frame_free(SvanFrame *frame)
{
    free(frame);
}

static bool is_multicast_wanted(const SvanEthFilter *filter,
                                const uint8_t *dmac)
{
    if (filter->flags & SVAN_CMD_ETH_ALLMULTI) {
        return true;
    }
    for (uint32_t i = 0; i < filter->num_mcast; i++) {
        if (!memcmp(filter->mcast[i], dmac, 6)) {
            return true;
        }
    }
    return false;
}

bool svan_eth_wants(const SvanFn *fn, const uint8_t *dmac)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    const SvanEthFilter *filter = &fn->net->eth;

    if (!filter->qpn) {
        return false;
    }
    return (filter->flags & SVAN_CMD_ETH_PROMISC) ||
           !memcmp(dmac, filter->mac, 6) || !memcmp(dmac, broadcast, 6) ||
           ((dmac[0] & 1) && is_multicast_wanted(filter, dmac));
}
