/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enforcement: what the functions send is estimated and policed, and senders of what
 * arrives with marks are notified, whatever the guests do (PRM "Enforcement"). What is
 * set, and what is known, survives resets of functions.
 */
#ifndef SVAN_NET_ENFORCE_H
#define SVAN_NET_ENFORCE_H

#include "base/base.h"

/* Is the attribute set for the function? SVAN_CMD_OK or a refusal; nothing has changed. */
uint32_t svan_enforcement_set(SvanFn *fn, const struct svan_enforcement_attr *attr);
/* All zeroes if there is none. */
void svan_enforcement_get(const SvanFn *fn, struct svan_enforcement_attr *attr);
void svan_enforcement_default(struct svan_enforcement_attr *attr);
void svan_enforcement_end(SvanFn *fn);
/* The parameters of DCQCN have changed: paths of all functions follow. */
void svan_enforcement_follow(SvanCore *core);
/* The function is reset: what it has sent and still waits is lost. */
void svan_enforcement_reset(SvanFn *fn);
/* A verdict on a path that is SUSPECT. false: the function has none to that peer. */
bool svan_enforcement_judge(SvanFn *fn, const uint8_t *peer, uint16_t vlan,
                            bool congesting);
/* Which of the flows, or paths, of a function: from `first` on, and at most so many. */
typedef struct SvanFlowQuery {
    bool paths;
    uint32_t first, max;
} SvanFlowQuery;

/*
 * Fill in entries; how many. *total: what there is. Flows begin with the one that was used
 * longest ago. Paths do not change their order.
 */
uint32_t svan_enforcement_entries(SvanFn *fn, const SvanFlowQuery *query,
                                  struct svan_flow_entry *entries, uint32_t *total);

/* One step: send a notification, or a frame that has waited. IDLE: none is due. */
SvanStep svan_notify_step(SvanCore *core);

#endif /* SVAN_NET_ENFORCE_H */
