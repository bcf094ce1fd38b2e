/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings that are tried: for each way of handling faults as many. The
 * fixed modes know no estimates; what they have to be told is tried in all
 * combinations. AUTO has more to set than can be combined: of each setting all
 * values come up equally often, and with each other.
 */
#include <stdio.h>
#include <string.h>

#include "virtual.h"

const char *const family_names[FAMILIES] = {
    [FAMILY_HOLD] = "hold", [FAMILY_RNR] = "rnr", [FAMILY_DIVERT] = "divert",
    [FAMILY_DROP] = "drop", [FAMILY_AUTO] = "auto",
};

static const uint8_t modes[FAMILIES] = {
    [FAMILY_HOLD] = SVAN_FAULT_MODE_HOLD, [FAMILY_RNR] = SVAN_FAULT_MODE_RNR,
    [FAMILY_DIVERT] = SVAN_FAULT_MODE_DIVERT,
    [FAMILY_DROP] = SVAN_FAULT_MODE_DROP, [FAMILY_AUTO] = SVAN_FAULT_MODE_AUTO,
};

static const uint32_t bounds_us[4] = { 2000, 10000, 40000, 0 };
static const uint32_t hold_kib[4] = { 32, 128, 512, 2048 };
static const uint32_t spare_pages[4] = { 8, 32, 128, 256 };
static const uint32_t rnr_us[8] = {
    10, 40, 160, 640, 2560, 5120, 10240, 20480,
};
static const uint32_t drop_bounds_us[8] = {
    1000, 2000, 5000, 10000, 20000, 40000, 60000, 0,
};
static const uint32_t limits_us[4] = { 100, 500, 2000, 10000 };

/* hold, divert and drop end here and RNR begins, in steps of a limit */
typedef struct Limits {
    uint8_t divert, drop;       /* times the limit of the one before */
} Limits;

static const Limits limits[4] = { { 1, 1 }, { 1, 4 }, { 4, 1 }, { 4, 100 } };

static void set_auto(struct svan_fault_policy *policy, uint32_t row,
                     uint32_t column)
{
    uint32_t hold = limits_us[row];
    const Limits *next = &limits[column];

    policy->sources = SVAN_ESTIMATE_MASK;
    policy->hold_max_us = htole32(hold);
    policy->divert_max_us = htole32(hold * next->divert);
    policy->drop_max_us = htole32(hold * next->divert * next->drop);
    policy->hold_bytes = htole32(hold_kib[row ^ column] << 10);
    policy->bound_us = htole32(bounds_us[(row + column) % 4]);
}

static void set_fixed(struct svan_fault_policy *policy, Family family,
                      uint32_t index)
{
    policy->sources = 0;
    switch (family) {
    case FAMILY_HOLD:
        policy->hold_bytes = htole32(hold_kib[index / 4] << 10);
        policy->bound_us = htole32(bounds_us[index % 4]);
        break;
    case FAMILY_RNR:
        policy->unknown_us = htole32(rnr_us[index / 2]);
        policy->hold_bytes = htole32(hold_kib[index % 2 * 2] << 10);
        break;
    case FAMILY_DIVERT:
        policy->divert_pages = htole32(spare_pages[index / 4]);
        policy->bound_us = htole32(bounds_us[index % 4]);
        break;
    default:
        policy->bound_us = htole32(drop_bounds_us[index / 2]);
        policy->unknown_us = htole32(index % 2 ? 5000 : 100);
        break;
    }
}

Config grid_config(Family family, uint32_t index)
{
    Config config = { .min_rnr_timer = 1 };

    snprintf(config.name, sizeof(config.name), "%s-%u", family_names[family],
             index);
    svan_policy_default(&config.policy);
    config.policy.mode = modes[family];
    if (family == FAMILY_AUTO) {
        set_auto(&config.policy, index / 4, index % 4);
    } else {
        set_fixed(&config.policy, family, index);
    }
    return config;
}

Config grid_unlimited(void)
{
    Config config = { .name = "unlimited", .min_rnr_timer = 1 };

    svan_policy_default(&config.policy);
    config.policy.mode = SVAN_FAULT_MODE_HOLD;
    config.policy.sources = 0;
    config.policy.bound_us = 0;
    config.fault_buffer = 1u << 30;
    config.policy.hold_bytes = htole32(config.fault_buffer);
    return config;
}
