/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings of a function: address, VLAN, anti-spoofing, link, rate (PRM "Virtual
 * functions").
 */
#include <string.h>

#include "net/stations.h"

#define MCAST_OCTET     1               /* group bit of an address's first octet */
#define MAX_VLAN        4094
#define MAX_PRIORITY    7

/* What decides which addresses a function may have. */
#define OF_ADDRESSES    (SVAN_SET_FUNCTION_MAC | SVAN_SET_FUNCTION_VLAN | \
                         SVAN_SET_FUNCTION_SPOOF_CHECK | SVAN_SET_FUNCTION_TRUSTED)

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, set_function.field)

/* ---- settings ---- */

static void own_mac(const SvanFn *fn, uint8_t mac[6])
{
    memcpy(mac, fn->core->config.mac, 6);
    if (fn->id) {
        /* Neighbouring NICs often differ by the last octet alone. */
        mac[0] |= 2;                    /* locally administered */
        mac[4] += fn->id;
    }
}

/* Entries and filters that the function may not have any more go. */
static void apply(SvanFn *fn, uint8_t flags_before)
{
    uint8_t set = fn->net->vport.flags & ~flags_before;
    SvanEthFilter filter;

    if (!fn->net->gids) {
        return;                         /* it is disabled, and has none */
    }
    svan_gids_apply(fn, set & SVAN_FUNCTION_SPOOF_CHECK);
    filter = fn->net->eth;
    if (filter.qpn && (!svan_vport_owns_mac(fn, filter.mac) ||
                       !svan_filter_set(fn, &filter))) {
        svan_filter_off(fn);
    }
}

static void set_vlan(SvanFn *fn, uint16_t vlan, uint8_t priority)
{
    SvanSwitch *sw = fn->core->sw;

    if (!vlan != !fn->net->vport.vlan) {
        svan_rx_again(fn);              /* with the tag, or without, a frame is another */
    }
    fn->net->vport.vlan = vlan;
    fn->net->vport.priority = priority;
    if (vlan) {
        svan_fn_set_add(&sw->in_vlan, fn->id);
    } else {
        svan_fn_set_remove(&sw->in_vlan, fn->id);
    }
}

void svan_vport_reset(SvanFn *fn)
{
    uint8_t flags = fn->net->vport.flags;

    set_vlan(fn, 0, 0);
    fn->net->vport = (SvanVport) {
        .rules = fn->net->vport.rules + 1,
        .flags = fn->id ? SVAN_FUNCTION_SPOOF_CHECK : SVAN_FUNCTION_TRUSTED,
    };
    svan_rate_join(fn, 0);
    own_mac(fn, fn->net->vport.mac);
    apply(fn, flags);
}

static uint32_t check(uint32_t mask, const struct svan_function_attr *attr)
{
    uint16_t vlan = le16toh(attr->vlan);

    if ((mask & SVAN_SET_FUNCTION_MAC) && (attr->mac[0] & MCAST_OCTET)) {
        return REFUSE(BAD_PARAM, attr.mac);
    }
    if ((mask & SVAN_SET_FUNCTION_VLAN) && vlan > MAX_VLAN) {
        return REFUSE(BAD_PARAM, attr.vlan);
    }
    if ((mask & SVAN_SET_FUNCTION_VLAN) &&
        (attr->priority > MAX_PRIORITY || (attr->priority && !vlan))) {
        return REFUSE(BAD_PARAM, attr.priority);
    }
    if ((mask & SVAN_SET_FUNCTION_LINK) && attr->link > SVAN_FUNCTION_LINK_DOWN) {
        return REFUSE(BAD_PARAM, attr.link);
    }
    if ((mask & SVAN_SET_FUNCTION_GROUP) && attr->group > SVAN_RATE_GROUPS) {
        return REFUSE(BAD_PARAM, attr.group);
    }
    return SVAN_CMD_OK;
}

static void set_flag(SvanVport *vport, bool counts, uint8_t flag, uint8_t flags)
{
    if (counts) {
        vport->flags = (vport->flags & ~flag) | (flags & flag);
    }
}

uint32_t svan_vport_set(SvanFn *fn, uint32_t mask,
                        const struct svan_function_attr *attr)
{
    static const uint8_t none[6];
    SvanVport *vport = &fn->net->vport;
    uint8_t flags = vport->flags;
    uint32_t refusal = check(mask, attr);

    if (refusal) {
        return refusal;
    }
    if (mask & SVAN_SET_FUNCTION_MAC) {
        if (memcmp(attr->mac, none, sizeof(none))) {
            memcpy(vport->mac, attr->mac, sizeof(vport->mac));
        } else {
            own_mac(fn, vport->mac);
        }
    }
    if (mask & SVAN_SET_FUNCTION_VLAN) {
        set_vlan(fn, le16toh(attr->vlan), attr->priority);
    }
    set_flag(vport, mask & SVAN_SET_FUNCTION_SPOOF_CHECK, SVAN_FUNCTION_SPOOF_CHECK,
             attr->flags);
    set_flag(vport, mask & SVAN_SET_FUNCTION_TRUSTED, SVAN_FUNCTION_TRUSTED,
             attr->flags);
    if (mask & SVAN_SET_FUNCTION_LINK) {
        vport->link = attr->link;
    }
    if (mask & SVAN_SET_FUNCTION_TX_MAX) {
        svan_rate_set_max(fn, le32toh(attr->tx_max));
    }
    if (mask & SVAN_SET_FUNCTION_TX_SHARE) {
        svan_rate_set_share(fn, le32toh(attr->tx_share));
    }
    if (mask & SVAN_SET_FUNCTION_GROUP) {
        svan_rate_join(fn, attr->group);
    }
    if (mask & OF_ADDRESSES) {
        vport->rules++;
        apply(fn, flags);
    }
    return SVAN_CMD_OK;
}

void svan_vport_get(const SvanFn *fn, struct svan_function_attr *attr)
{
    const SvanVport *vport = &fn->net->vport;

    *attr = (struct svan_function_attr) {
        .vlan = htole16(vport->vlan), .priority = vport->priority,
        .flags = vport->flags, .link = vport->link,
        .group = svan_rate_group(fn), .tx_max = htole32(vport->rate.own.tx_max),
        .tx_share = htole32(vport->rate.own.tx_share),
    };
    memcpy(attr->mac, vport->mac, sizeof(attr->mac));
}

/* ---- the link ---- */

uint32_t svan_port_status(const SvanFn *fn)
{
    uint32_t speed = fn->core->config.link_mbps / 100;
    uint32_t max = SVAN_PORT_SPEED_MASK >> SVAN_PORT_SPEED_SHIFT;
    uint8_t link = fn->net->vport.link;
    bool up = link == SVAN_FUNCTION_LINK_AUTO ? fn->core->link_up :
                                                link == SVAN_FUNCTION_LINK_UP;

    return (up ? SVAN_PORT_LINK_UP : 0) |
           (speed < max ? speed : max) << SVAN_PORT_SPEED_SHIFT;
}
