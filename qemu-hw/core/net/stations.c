/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash table of the addresses of all functions. Memory is asked for before anything
 * changes, so that a change of addresses happens as a whole or not at all.
 */
#include <stdlib.h>
#include <string.h>

#include "net/stations.h"

#define MIN_LOG_BUCKETS 4

/* The link that points to the station of the address, or is to point to a new one. */
static SvanStation **find(const SvanSwitch *sw, const SvanStationKey *key)
{
    SvanStation **link = svan_station_bucket(sw, key);

    while (*link && !svan_station_is(*link, key)) {
        link = &(*link)->next;
    }
    return link;
}

/* ---- room ---- */

static bool grow(SvanSwitch *sw, uint32_t log_buckets)
{
    SvanStation **old = sw->buckets;
    size_t num_old = old ? 1u << sw->log_buckets : 0;

    sw->buckets = calloc(1u << log_buckets, sizeof(sw->buckets[0]));
    if (!sw->buckets) {
        sw->buckets = old;
        return false;
    }
    sw->log_buckets = log_buckets;
    for (size_t i = 0; i < num_old; i++) {
        while (old[i]) {
            SvanStation *station = old[i];
            SvanStation **bucket = svan_station_bucket(sw, &station->key);

            old[i] = station->next;
            station->next = *bucket;
            *bucket = station;
        }
    }
    free(old);
    return true;
}

bool svan_stations_reserve(SvanSwitch *sw, uint32_t count)
{
    uint32_t log_buckets = sw->log_buckets;

    while (1u << log_buckets < sw->num_stations + count) {
        log_buckets++;
    }
    if (log_buckets != sw->log_buckets && !grow(sw, log_buckets)) {
        return false;
    }
    while (sw->num_reserve < count) {
        SvanStation *station = malloc(sizeof(*station));

        if (!station) {
            return false;
        }
        station->next = sw->reserve;
        sw->reserve = station;
        sw->num_reserve++;
    }
    return true;
}

/* ---- changes ---- */

static void add(SvanSwitch *sw, const SvanStationKey *key, uint16_t id)
{
    SvanStation **link = find(sw, key);
    SvanStation *station = *link;

    if (!station) {
        station = sw->reserve;
        sw->reserve = station->next;
        sw->num_reserve--;
        *station = (SvanStation) { .key = *key };
        *link = station;
        sw->num_stations++;
    }
    svan_fn_set_add(&station->fns, id);
}

static void take_out(SvanSwitch *sw, const SvanStationKey *key, uint16_t id)
{
    SvanStation **link = find(sw, key);
    SvanStation *station = *link;

    if (!station) {
        return;
    }
    svan_fn_set_remove(&station->fns, id);
    if (svan_fn_set_is_empty(&station->fns)) {
        *link = station->next;
        sw->num_stations--;
        free(station);
    }
}

void svan_station_add(SvanSwitch *sw, const SvanStationKey *key, uint16_t id)
{
    svan_addresses_changed(sw);
    add(sw, key, id);
}

void svan_station_remove(SvanSwitch *sw, const SvanStationKey *key,
                         uint16_t id)
{
    svan_addresses_changed(sw);
    take_out(sw, key, id);
}

/* Where a packet for a group is sent does not depend on who receives it. */
bool svan_group_join(SvanFn *fn, const uint8_t *gid)
{
    SvanStationKey key = svan_station_group(gid);

    if (!svan_stations_reserve(fn->core->sw, 1)) {
        return false;
    }
    add(fn->core->sw, &key, fn->id);
    return true;
}

void svan_group_leave(SvanFn *fn, const uint8_t *gid)
{
    SvanStationKey key = svan_station_group(gid);

    take_out(fn->core->sw, &key, fn->id);
}

/* ---- the switch ---- */

SvanSwitch *svan_switch_new(void)
{
    const uint64_t odd = 0x9e3779b97f4a7c15ull;
    SvanSwitch *sw = calloc(1, sizeof(*sw));
    uint64_t factor = (uintptr_t)sw;

    if (!sw) {
        return NULL;
    }
    for (uint32_t i = 0; i < 3; i++) {
        factor = (factor ^ factor >> 29) * odd + i;
        sw->factors[i] = factor | 1;
    }
    sw->changes = 1;
    svan_list_init(&sw->notices);
    svan_list_init(&sw->shaped);
    if (!grow(sw, MIN_LOG_BUCKETS)) {
        free(sw);
        return NULL;
    }
    return sw;
}

void svan_switch_free(SvanSwitch *sw)
{
    if (!sw) {
        return;
    }
    while (sw->reserve) {
        SvanStation *station = sw->reserve;

        sw->reserve = station->next;
        free(station);
    }
    free(sw->buckets);
    free(sw);
}
