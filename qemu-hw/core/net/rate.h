/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rates of functions, and of groups of functions, which the physical function sets (PRM
 * "Virtual functions", Link and rate). They survive resets of functions.
 */
#ifndef SVAN_NET_RATE_H
#define SVAN_NET_RATE_H

#include <svan/cmd.h>

#include "base/base.h"

/* All that was sent would have left by then at a certain rate. */
typedef struct SvanRateClock {
    uint64_t until;             /* ns, VM clock ... */
    uint64_t rest;              /* ... and these thousandths of a bit later, / rate */
} SvanRateClock;

/* Of a function or a group. */
typedef struct SvanRate {
    uint32_t tx_max;            /* Mb/s, 0: no limit */
    uint32_t tx_share;          /* Mb/s, 0: none */
    SvanRateClock max, share;
} SvanRate;

/* The part of a function's settings that is about its rate. */
typedef struct SvanFnRate {
    SvanRate own;
    SvanRate *group;            /* NULL: in no group */
    uint32_t octets_ahead;      /* sent, of which its turns have used up no part */
    bool is_limited;            /* by its own tx_max or its group's */
    bool counts;                /* there is a limit or a share */
} SvanFnRate;

/* The function comes to be in a group, 1..SVAN_RATE_GROUPS, or in none. */
void svan_rate_join(SvanFn *fn, uint8_t group);
uint8_t svan_rate_group(const SvanFn *fn);

void svan_rate_set_max(SvanFn *fn, uint32_t mbps);
void svan_rate_set_share(SvanFn *fn, uint32_t mbps);
/* SVAN_CMD_OK, or the refusal with nothing changed. */
uint32_t svan_rate_set_group(SvanCore *core, const struct svan_cmd_set_rate_group *cmd);

/* Before the functions' own settings are reset. */
void svan_rate_reset_groups(SvanCore *core);
void svan_rate_save_groups(const SvanCore *core, SvanWriter *writer);
bool svan_rate_load_groups(SvanCore *core, SvanReader *reader);

/* It has sent so many octets. */
void svan_rate_sent(SvanFn *fn, uint32_t len);
/* A function with a share has had a turn to send, whether or not it has sent anything. */
void svan_rate_turn(SvanFn *fn);

#endif /* SVAN_NET_RATE_H */
