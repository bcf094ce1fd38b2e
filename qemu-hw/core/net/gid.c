/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The GID table of a function: its addresses, as source and as destination.
 */
#include <string.h>

#include "net/stations.h"
#include "net/wire_ip.h"

#define SPORT_FIRST     0xc000u         /* annex A17: flow entropy */
#define MCAST_OCTET     1               /* group bit of an address's first octet */

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

SvanFn *svan_gid_owner(SvanCore *core, const SvanAddr *addr)
{
    SvanStationKey key = svan_station_gid(addr->dgid,
                                          svan_vlan_id(addr->has_vlan,
                                                       addr->vlan), addr->dmac);
    const SvanFnSet *owner = svan_stations_find(core->sw, &key);

    return owner ? core->fns[svan_fn_set_next(owner, 0)] : NULL;
}

bool svan_gid_address(const SvanFn *fn, const SvanAv *av, uint32_t entropy,
                      SvanAddr *addr)
{
    const SvanGid *gid = &fn->net->gids[av->sgid_index];

    if (!gid->valid ||
        svan_gid_is_ipv4(gid->gid) != svan_gid_is_ipv4(av->dgid)) {
        return false;
    }
    memcpy(addr->smac, gid->smac, 6);
    memcpy(addr->dmac, av->dmac, 6);
    memcpy(addr->sgid, gid->gid, 16);
    memcpy(addr->dgid, av->dgid, 16);
    addr->has_vlan = gid->has_vlan;
    addr->vlan = gid->vlan;
    addr->ipv4 = svan_gid_is_ipv4(av->dgid);
    addr->traffic_class = av->traffic_class;
    addr->hop_limit = av->hop_limit;
    addr->flow_label = av->flow_label;
    addr->ip_id = 0;
    addr->udp_sport = av->udp_sport ? av->udp_sport :
                      SPORT_FIRST | (entropy >> 18);
    return true;
}

/* ---- the table ---- */

/* An address belongs to one function, which may have it at several indices. */
static bool is_of_another(const SvanFn *fn, const struct svan_cmd_set_gid *cmd)
{
    SvanAddr addr = {
        .has_vlan = cmd->flags & SVAN_CMD_GID_VLAN, .vlan = le16toh(cmd->vlan),
    };
    const SvanFn *owner;

    memcpy(addr.dgid, cmd->gid, sizeof(addr.dgid));
    memcpy(addr.dmac, cmd->smac, sizeof(addr.dmac));
    owner = svan_gid_owner(fn->core, &addr);
    return owner && owner != fn;
}

static SvanStationKey key_of(const SvanGid *gid)
{
    return svan_station_gid(gid->gid, svan_vlan_id(gid->has_vlan, gid->vlan),
                            gid->smac);
}

/* The address stays the function's while another entry of its table holds it. */
static void forget(SvanFn *fn, SvanGid *gid)
{
    SvanStationKey key = key_of(gid);

    if (!gid->valid) {
        return;
    }
    memset(gid, 0, sizeof(*gid));
    for (uint32_t i = 0; i < fn->net->gid_limit; i++) {
        SvanStationKey other = key_of(&fn->net->gids[i]);

        if (fn->net->gids[i].valid && !memcmp(&key, &other, sizeof(key))) {
            return;
        }
    }
    svan_station_remove(fn->core->sw, &key, fn->id);
}

uint32_t svan_gid_set(SvanFn *fn, const struct svan_cmd_set_gid *cmd)
{
    static const uint8_t none[16];
    uint32_t index = le32toh(cmd->index);
    SvanStationKey key;
    SvanGid *gid;

    if (index >= SVAN_MAX_GID) {
        return REFUSE(BAD_PARAM, set_gid.index);
    }
    if (cmd->flags & ~SVAN_CMD_GID_VLAN) {
        return REFUSE(BAD_PARAM, set_gid.flags);
    }
    if (!memcmp(cmd->gid, none, sizeof(none))) {
        return REFUSE(BAD_PARAM, set_gid.gid);
    }
    if (cmd->smac[0] & MCAST_OCTET) {
        return REFUSE(BAD_PARAM, set_gid.smac);
    }
    if (is_of_another(fn, cmd)) {
        return REFUSE(NOT_PERMITTED, set_gid.gid);
    }
    if (!svan_stations_reserve(fn->core->sw, 1)) {
        return SVAN_CMD_NO_RESOURCES;
    }
    gid = &fn->net->gids[index];
    forget(fn, gid);
    gid->valid = true;
    gid->has_vlan = cmd->flags & SVAN_CMD_GID_VLAN;
    gid->vlan = gid->has_vlan ? le16toh(cmd->vlan) : 0;
    memcpy(gid->gid, cmd->gid, sizeof(gid->gid));
    memcpy(gid->smac, cmd->smac, sizeof(gid->smac));
    key = key_of(gid);
    svan_station_add(fn->core->sw, &key, fn->id);
    if (fn->net->gid_limit <= index) {
        fn->net->gid_limit = index + 1;
    }
    return SVAN_CMD_OK;
}

uint32_t svan_gid_clear(SvanFn *fn, uint32_t index)
{
    if (index >= SVAN_MAX_GID || !fn->net->gids[index].valid) {
        return REFUSE(BAD_RESOURCE, object.id);
    }
    forget(fn, &fn->net->gids[index]);
    while (fn->net->gid_limit && !fn->net->gids[fn->net->gid_limit - 1].valid) {
        fn->net->gid_limit--;
    }
    return SVAN_CMD_OK;
}

void svan_gids_clear(SvanFn *fn)
{
    while (fn->net->gid_limit) {
        svan_gid_clear(fn, fn->net->gid_limit - 1);
    }
}
