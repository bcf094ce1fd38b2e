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

static SvanStationKey key_of(const SvanGid *gid)
{
    return svan_station_gid(gid->gid, svan_vlan_id(gid->has_vlan, gid->vlan),
                            gid->smac);
}

static SvanStationKey claim_of(const SvanGid *gid)
{
    return svan_station_claim(gid->gid, svan_vlan_id(gid->has_vlan, gid->vlan));
}

/* The key stays the function's while another entry of its table has the same. */
static void forget_key(SvanFn *fn, const SvanStationKey *key,
                       SvanStationKey (*of)(const SvanGid *gid))
{
    for (uint32_t i = 0; i < fn->net->gid_limit; i++) {
        SvanStationKey other = of(&fn->net->gids[i]);

        if (fn->net->gids[i].valid && !memcmp(key, &other, sizeof(other))) {
            return;
        }
    }
    svan_station_remove(fn->core->sw, key, fn->id);
}

static void forget(SvanFn *fn, SvanGid *gid)
{
    SvanStationKey key = key_of(gid), claim = claim_of(gid);

    if (!gid->valid) {
        return;
    }
    /* Its stations may stay, and then do not tell that the entry is gone. */
    svan_addresses_changed(fn->core->sw);
    memset(gid, 0, sizeof(*gid));
    forget_key(fn, &key, key_of);
    forget_key(fn, &claim, claim_of);
}

/*
 * A function that is checked does not share a GID, whatever the MAC: a receiver may know
 * its peer by the GID alone.
 */
static bool is_claimed(const SvanFn *fn, const SvanGid *gid)
{
    SvanStationKey claim = claim_of(gid);
    const SvanFnSet *found = svan_stations_find(fn->core->sw, &claim);
    SvanFnSet others;

    if (!found || !(fn->net->vport.flags & SVAN_FUNCTION_SPOOF_CHECK)) {
        return false;
    }
    others = *found;
    svan_fn_set_remove(&others, fn->id);
    return !svan_fn_set_is_empty(&others);
}

/* An address belongs to one function, which may have it at several indices. */
static bool is_of_another(const SvanFn *fn, const SvanGid *gid)
{
    SvanStationKey key = key_of(gid);
    const SvanFnSet *owner = svan_stations_find(fn->core->sw, &key);

    return owner && svan_fn_set_next(owner, 0) != fn->id;
}

/* The entry that a command asks for, in the VLAN of the function. */
static SvanGid entry_of(const SvanFn *fn, const struct svan_cmd_set_gid *cmd)
{
    const SvanVport *vport = &fn->net->vport;
    SvanGid gid = {
        .valid = true, .given_vlan = vport->vlan,
        .has_vlan = vport->vlan || (cmd->flags & SVAN_CMD_GID_VLAN),
    };

    if (gid.given_vlan) {
        gid.vlan = svan_vport_tci(vport);
    } else if (gid.has_vlan) {
        gid.vlan = le16toh(cmd->vlan);
    }
    memcpy(gid.gid, cmd->gid, sizeof(gid.gid));
    memcpy(gid.smac, cmd->smac, sizeof(gid.smac));
    return gid;
}

/* There is room for them. */
static void add_stations(SvanFn *fn, const SvanGid *gid)
{
    SvanStationKey key = key_of(gid), claim = claim_of(gid);

    svan_station_add(fn->core->sw, &key, fn->id);
    svan_station_add(fn->core->sw, &claim, fn->id);
}

static void remember(SvanFn *fn, uint32_t index, const SvanGid *gid)
{
    forget(fn, &fn->net->gids[index]);
    fn->net->gids[index] = *gid;
    add_stations(fn, gid);
    if (fn->net->gid_limit <= index) {
        fn->net->gid_limit = index + 1;
    }
}

static uint32_t set(SvanFn *fn, const struct svan_cmd_set_gid *cmd, bool is_new)
{
    static const uint8_t none[16];
    uint32_t index = le32toh(cmd->index);
    SvanGid gid;

    if (index >= SVAN_MAX_GID) {
        return REFUSE(BAD_PARAM, set_gid.index);
    }
    if (cmd->flags & ~SVAN_CMD_GID_VLAN) {
        return REFUSE(BAD_PARAM, set_gid.flags);
    }
    if (!memcmp(cmd->gid, none, sizeof(none)) || svan_gid_is_multicast(cmd->gid)) {
        return REFUSE(BAD_PARAM, set_gid.gid);
    }
    if (cmd->smac[0] & MCAST_OCTET) {
        return REFUSE(BAD_PARAM, set_gid.smac);
    }
    if (is_new && !svan_vport_allows_gid(fn, cmd)) {
        return REFUSE(NOT_PERMITTED, set_gid.smac);
    }
    gid = entry_of(fn, cmd);
    if (is_of_another(fn, &gid) || (is_new && is_claimed(fn, &gid))) {
        return REFUSE(NOT_PERMITTED, set_gid.gid);
    }
    if (!svan_stations_reserve(fn->core->sw, 2)) {
        return SVAN_CMD_NO_RESOURCES;
    }
    remember(fn, index, &gid);
    return SVAN_CMD_OK;
}

uint32_t svan_gid_set(SvanFn *fn, const struct svan_cmd_set_gid *cmd)
{
    return set(fn, cmd, true);
}

uint32_t svan_gid_load(SvanFn *fn, const struct svan_cmd_set_gid *cmd)
{
    return set(fn, cmd, false);
}

void svan_gid_command(const SvanFn *fn, uint32_t index, struct svan_cmd_set_gid *cmd)
{
    const SvanGid *gid = &fn->net->gids[index];
    bool own_vlan = gid->has_vlan && !gid->given_vlan;

    *cmd = (struct svan_cmd_set_gid) {
        .index = htole32(index), .vlan = htole16(own_vlan ? gid->vlan : 0),
        .flags = own_vlan ? SVAN_CMD_GID_VLAN : 0,
    };
    memcpy(cmd->gid, gid->gid, sizeof(cmd->gid));
    memcpy(cmd->smac, gid->smac, sizeof(cmd->smac));
}

/* Of all entries, several of which may have the same. */
static void forget_stations(SvanFn *fn)
{
    for (uint32_t i = 0; i < fn->net->gid_limit; i++) {
        const SvanGid *gid = &fn->net->gids[i];
        SvanStationKey key = key_of(gid), claim = claim_of(gid);

        if (gid->valid) {
            svan_station_remove(fn->core->sw, &key, fn->id);
            svan_station_remove(fn->core->sw, &claim, fn->id);
        }
    }
}

/* The entry as it is under the settings of now, none of whose stations is the function's. */
static bool may_keep(const SvanFn *fn, const struct svan_cmd_set_gid *cmd,
                     const SvanGid *before, const SvanGid *now, bool is_checked_anew)
{
    SvanStationKey old = claim_of(before), new = claim_of(now);
    bool is_new = is_checked_anew || memcmp(&old, &new, sizeof(new));

    return svan_vport_allows_gid(fn, cmd) && !is_of_another(fn, now) &&
           !(is_new && is_claimed(fn, now));
}

void svan_gids_apply(SvanFn *fn, bool is_checked_anew)
{
    uint32_t limit = fn->net->gid_limit;
    struct svan_cmd_set_gid cmd;
    SvanGid before;
    bool has_room;

    forget_stations(fn);
    has_room = svan_stations_reserve(fn->core->sw, 2 * limit);
    fn->net->gid_limit = 0;
    for (uint32_t i = 0; i < limit; i++) {
        SvanGid *gid = &fn->net->gids[i];

        if (!gid->valid) {
            continue;
        }
        before = *gid;
        svan_gid_command(fn, i, &cmd);
        *gid = entry_of(fn, &cmd);
        if (has_room && may_keep(fn, &cmd, &before, gid, is_checked_anew)) {
            add_stations(fn, gid);
            fn->net->gid_limit = i + 1;
        } else {
            memset(gid, 0, sizeof(*gid));
        }
    }
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
    if (fn->net->gid_limit) {
        forget_stations(fn);
        memset(fn->net->gids, 0, fn->net->gid_limit * sizeof(fn->net->gids[0]));
        fn->net->gid_limit = 0;
    }
}

bool svan_gid_is_multicast(const uint8_t *gid)
{
    return gid[0] == 0xff || (svan_gid_is_ipv4(gid) && gid[12] >> 4 == 14);
}

bool svan_gid_has_vlan(const SvanFn *fn, uint16_t vlan)
{
    for (uint32_t i = 0; i < fn->net->gid_limit; i++) {
        const SvanGid *gid = &fn->net->gids[i];

        if (gid->valid && svan_vlan_id(gid->has_vlan, gid->vlan) == vlan) {
            return true;
        }
    }
    return false;
}
