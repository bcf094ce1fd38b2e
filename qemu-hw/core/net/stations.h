/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has an address: sets of functions by MAC, and by GID with VLAN and MAC. What a
 * search costs grows neither with the functions nor with the addresses.
 */
#ifndef SVAN_NET_STATIONS_H
#define SVAN_NET_STATIONS_H

#include <string.h>

#include "net/switch.h"

/* Functions by number. */
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

static inline bool svan_fn_set_is_empty(const SvanFnSet *set)
{
    return !(set->bits[0] | set->bits[1]);
}

/* The lowest member that is not below first, SVAN_NONE: there is none. */
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

/* An address, packed: GID (zero in a MAC alone), MAC, VLAN. */
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

/* 0xffff is no VLAN: a packet to no GID does not reach it. */
static inline SvanStationKey svan_station_mac(const uint8_t *mac)
{
    static const uint8_t none[16];

    return svan_station_gid(none, 0xffff, mac);
}

typedef struct SvanStation {
    struct SvanStation *next;   /* of the bucket, or of those in reserve */
    SvanStationKey key;
    SvanFnSet fns;              /* not empty */
} SvanStation;

struct SvanSwitch {
    SvanStation **buckets;      /* a power of two, not fewer than stations */
    uint32_t log_buckets, num_stations, num_reserve;
    /*
     * Guests choose the addresses, and do not know these: so they cannot choose
     * addresses that meet in a bucket.
     */
    uint64_t factors[3];
    SvanStation *reserve;
    /* functions that receive frames, and those that want more than their own */
    SvanFnSet receiving, allmulti, promisc;
    const SvanFlowOps *flow;    /* NULL: nobody watches */
    void *flow_arg;
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

/* Those who have the address, NULL: nobody. */
static inline const SvanFnSet *svan_stations_find(const SvanSwitch *sw,
                                                  const SvanStationKey *key)
{
    const SvanStation *station = *svan_station_bucket(sw, key);

    while (station && !svan_station_is(station, key)) {
        station = station->next;
    }
    return station ? &station->fns : NULL;
}

/* Make room for so many more addresses; false: no memory. */
bool svan_stations_reserve(SvanSwitch *sw, uint32_t count);
/* Nothing, if the function has it already. Room was made before. */
void svan_station_add(SvanSwitch *sw, const SvanStationKey *key, uint16_t id);
/* Nothing, if the function does not have it. */
void svan_station_remove(SvanSwitch *sw, const SvanStationKey *key,
                         uint16_t id);

/* Where a frame goes: not where it comes from. */
typedef struct SvanRoute {
    SvanFnSet fns;              /* that want it */
    bool port;                  /* for frames of functions */
} SvanRoute;

SvanRoute svan_frame_route(const SvanCore *core, const SvanFrame *frame);

/*
 * Ask who watches; there is somebody. The unit may have been marked. false: it does
 * not go, and *step says what becomes of it: LATER, or DONE, as it was dropped.
 */
bool svan_flow_passes(SvanEgress *egress, const SvanFlowUnit *unit,
                      SvanStep *step);

#endif /* SVAN_NET_STATIONS_H */
