/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which functions have an address: sets of functions by MAC, and by GID with VLAN and
 * MAC. The cost of a search grows neither with the functions nor with the addresses.
 */
#ifndef SVAN_NET_STATIONS_H
#define SVAN_NET_STATIONS_H

#include <string.h>

#include "net/switch.h"

/* A set of functions, by number. */
typedef struct SvanFnSet {
    uint64_t bits[2];
} SvanFnSet;

_Static_assert(SVAN_MAX_VFS < 128, "a function has a bit");

static inline void svan_fn_set_add(SvanFnSet *set, uint16_t id)
{
    set->bits[id / 64] |= 1ull << id % 64;
}

static inline void svan_fn_set_remove(SvanFnSet *set, uint16_t id)
{
    set->bits[id / 64] &= ~(1ull << id % 64);
}

static inline void svan_fn_set_unite(SvanFnSet *set, const SvanFnSet *more)
{
    set->bits[0] |= more->bits[0];
    set->bits[1] |= more->bits[1];
}

static inline bool svan_fn_set_has(const SvanFnSet *set, uint16_t id)
{
    return set->bits[id / 64] >> id % 64 & 1;
}

static inline bool svan_fn_set_is_empty(const SvanFnSet *set)
{
    return !(set->bits[0] | set->bits[1]);
}

/* The lowest member from first on; SVAN_NONE: there is none. */
static inline uint32_t svan_fn_set_next(const SvanFnSet *set, uint32_t first)
{
    for (uint32_t word = first / 64; word < 2; word++) {
        uint64_t bits = set->bits[word];

        if (word == first / 64) {
            bits &= ~0ull << first % 64;
        }
        if (bits) {
            return word * 64 + __builtin_ctzll(bits);
        }
    }
    return SVAN_NONE;
}

/* An address, packed: GID (zero for a MAC address alone), MAC, VLAN. */
typedef struct SvanStationKey {
    uint64_t words[3];
} SvanStationKey;

static inline SvanStationKey svan_station_gid(const uint8_t *gid,
                                              uint16_t vlan,
                                              const uint8_t *mac)
{
    SvanStationKey key;
    uint32_t mac_low;
    uint16_t mac_high;

    memcpy(key.words, gid, 16);
    memcpy(&mac_low, mac, sizeof(mac_low));
    memcpy(&mac_high, mac + sizeof(mac_low), sizeof(mac_high));
    key.words[2] = mac_low | (uint64_t)mac_high << 32 | (uint64_t)vlan << 48;
    return key;
}

/* No packet has VLAN 0xffff, so one whose destination GID is zero does not match. */
static inline SvanStationKey svan_station_mac(const uint8_t *mac)
{
    static const uint8_t none[16];

    return svan_station_gid(none, 0xffff, mac);
}

/*
 * A GID with whatever MAC, as others must not claim it. The VLAN of no packet has this
 * bit, so none is addressed so.
 */
static inline SvanStationKey svan_station_claim(const uint8_t *gid, uint16_t vlan)
{
    static const uint8_t none[6];

    return svan_station_gid(gid, vlan | 0x8000, none);
}

/*
 * A multicast group, whose packets the functions receive. The VLAN of no packet, and of no
 * claim, is this one.
 */
static inline SvanStationKey svan_station_group(const uint8_t *gid)
{
    static const uint8_t none[6];

    return svan_station_gid(gid, 0x4000, none);
}

typedef struct SvanStation {
    struct SvanStation *next;   /* in its bucket, or in the reserve */
    SvanStationKey key;
    SvanFnSet fns;              /* not empty */
} SvanStation;

struct SvanSwitch {
    SvanStation **buckets;      /* a power of two, not fewer than stations */
    uint32_t log_buckets, num_stations, num_reserve;
    /*
     * Factors of the hash, which guests do not know: so they cannot choose addresses
     * that meet in one bucket.
     */
    uint64_t factors[3];
    SvanStation *reserve;
    /* functions that receive frames; those of them with ALLMULTI, with PROMISC */
    SvanFnSet receiving, allmulti, promisc;
    SvanFnSet in_vlan;          /* functions that the PF has put into a VLAN */
    SvanLink notices;           /* SvanArrival, whose notifications are due */
    SvanLink shaped;            /* SvanPath, whose turn it is to send a frame */
    bool shaper_next;           /* these come before notifications the next time */
    SvanRate groups[SVAN_RATE_GROUPS];
    const SvanFlowOps *flow;    /* NULL: nobody watches */
    void *flow_arg;
    SvanCongestion congestion;
    uint8_t ecn_kept, ecn_set;  /* of the traffic class of a RoCE packet */
    uint64_t changes;           /* of all that a SvanHeading depends on; never 0 */
    /* frames of each function that wait in the receive queue for others */
    uint8_t waiting[1 + SVAN_MAX_VFS];
};

static inline SvanStation **svan_station_bucket(const SvanSwitch *sw,
                                                const SvanStationKey *key)
{
    uint64_t hash = key->words[0] * sw->factors[0] +
                    key->words[1] * sw->factors[1] +
                    key->words[2] * sw->factors[2];

    return &sw->buckets[hash >> (64 - sw->log_buckets)];
}

static inline bool svan_station_is(const SvanStation *station,
                                   const SvanStationKey *key)
{
    return !((station->key.words[0] ^ key->words[0]) |
             (station->key.words[1] ^ key->words[1]) |
             (station->key.words[2] ^ key->words[2]));
}

/* GIDs, whose they are, or how packets are marked: every SvanHeading is found again. */
static inline void svan_addresses_changed(SvanSwitch *sw)
{
    sw->changes++;
}

/* The functions that have the address; NULL: none. */
static inline const SvanFnSet *svan_stations_find(const SvanSwitch *sw,
                                                  const SvanStationKey *key)
{
    const SvanStation *station = *svan_station_bucket(sw, key);

    while (station && !svan_station_is(station, key)) {
        station = station->next;
    }
    return station ? &station->fns : NULL;
}

/* Make room for `count` more addresses; false: no memory. */
bool svan_stations_reserve(SvanSwitch *sw, uint32_t count);
/* Does nothing if the function has the address already. Room was reserved before. */
void svan_station_add(SvanSwitch *sw, const SvanStationKey *key, uint16_t id);
/* Does nothing if the function does not have the address. */
void svan_station_remove(SvanSwitch *sw, const SvanStationKey *key,
                         uint16_t id);

/* Where a frame goes, which is never where it has come from. */
typedef struct SvanRoute {
    SvanFnSet fns;              /* the functions that receive it */
    bool port;                  /* to the port too; counts if a function has sent it */
} SvanRoute;

SvanRoute svan_frame_route(const SvanCore *core, const SvanFrame *frame);

bool svan_frame_is_tagged(const SvanFrame *frame);
/* A copy of a tagged frame, without its tag. NULL: no memory. */
SvanFrame *svan_frame_untag(const SvanFrame *frame);
/*
 * Where the header behind Ethernet and at most two tags begins, 0: nowhere. *type: its
 * type.
 */
uint32_t svan_frame_l3(const SvanFrame *frame, uint32_t *type);
/*
 * Is it a RoCE packet, or a notification between NICs, for anybody who looks into it, or
 * can that not be told?
 */
bool svan_frame_may_be_roce(const SvanFrame *frame);

/* ---- what the PF has set for a function ---- */

/* May the function have a GID with this MAC and VLAN? */
bool svan_vport_allows_gid(const SvanFn *fn, const struct svan_cmd_set_gid *cmd);
/*
 * Before a frame leaves: check it, and give it the tag of the function's VLAN, for which
 * there is room. false: it was dropped, counted, and is still the caller's to free.
 */
bool svan_vport_admits(SvanFn *fn, SvanFrame *frame);
/* Is the function, which has a limit, within it? false: *step is LATER. */
bool svan_rate_may_send(SvanEgress *egress, SvanStep *step);
/* When its limit, or that of its group, lets the function send; 0: it has none, or at once. */
uint64_t svan_rate_opens(const SvanFn *fn);

/* ---- senders that are paced ---- */

/* egress->pace is not NULL. May the packet leave? false: *step is LATER. */
bool svan_pace_may_send(SvanEgress *egress, const SvanPkt *pkt, SvanStep *step);
/* The packet has left; egress->pace is not NULL. */
void svan_pace_sent(SvanEgress *egress, const SvanPkt *pkt);

/* ---- verdicts ---- */

/* The counters of the function; of a VF that is not enabled, the PF's. */
static inline SvanFnStats *svan_fn_stats(const SvanFn *fn)
{
    return fn->stats ? fn->stats : fn->core->fns[0]->stats;
}

/*
 * Set CE, if the unit is ECN-capable. *counter counts frames. true: a packet was marked, which
 * the caller counts when it has left.
 */
bool svan_unit_mark(const SvanFlowUnit *unit, uint64_t *counter);
/* If the unit is an IP packet that is not ECN-capable, make it one. Has it changed? */
bool svan_unit_set_ect(const SvanFlowUnit *unit);
/* Lose the unit. Always DONE; a frame stays the caller's. */
SvanStep svan_unit_drop(const SvanFlowUnit *unit, uint64_t *counter);
/* A frame of the function that has waited. BLOCKED: it stays the caller's; else DONE. */
SvanStep svan_frame_release(SvanFn *fn, SvanFrame *frame);
/* BLOCKED: the frame stays the caller's; else DONE, and it is the port's. */
SvanStep svan_port_out(SvanCore *core, SvanFrame *frame);

/*
 * Wait until `when`, or until an earlier unit of the same sender may leave. Always
 * LATER; *counter counts units that begin to wait.
 */
SvanStep svan_egress_wait(SvanEgress *egress, uint64_t when, uint64_t *counter);
/*
 * Ask sw->flow, which is not NULL, for its verdict, and carry it out; that may mark the
 * unit. false: the unit does not leave. Then *step is LATER, or DONE if it was dropped.
 */
bool svan_flow_passes(SvanEgress *egress, const SvanFlowUnit *unit,
                      SvanStep *step);

#endif /* SVAN_NET_STATIONS_H */
