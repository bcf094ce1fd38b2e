/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How faults are handled: the policy of a function, and of a queue pair.
 */
#include "paging/paging.h"

void svan_policy_default(struct svan_fault_policy *policy)
{
    *policy = (struct svan_fault_policy) {
        .mode = SVAN_FAULT_MODE_AUTO,
        .sources = SVAN_ESTIMATE_MASK,
        .hold_max_us = htole32(SVAN_DEFAULT_HOLD_US),
        .divert_max_us = htole32(SVAN_DEFAULT_DIVERT_US),
        .drop_max_us = htole32(SVAN_DEFAULT_DROP_US),
        .bound_us = htole32(SVAN_DEFAULT_BOUND_US),
        .unknown_us = htole32(SVAN_DEFAULT_UNKNOWN_US),
        .hold_bytes = htole32(SVAN_DEFAULT_HOLD_BYTES),
        .divert_pages = htole32(SVAN_DEFAULT_DIVERT_PAGES),
    };
}

bool svan_policy_ok(const struct svan_fault_policy *policy)
{
    return policy->mode < SVAN_FAULT_MODE_COUNT &&
           policy->mode != SVAN_FAULT_MODE_FAIL &&
           !(policy->sources & ~SVAN_ESTIMATE_MASK) && !policy->reserved0;
}

uint64_t svan_policy_time_left(const struct svan_fault_policy *policy,
                               const SvanEstimate *estimate, uint64_t now)
{
    if (!estimate->known) {
        return le32toh(policy->unknown_us) * 1000ull;
    }
    return estimate->at > now ? estimate->at - now : 0;
}

/* The first mode that is offered and whose limit covers the time, else RNR. */
static uint8_t by_time(const SvanChoice *choice, uint64_t us)
{
    const struct svan_fault_policy *policy = choice->policy;

    if (us <= le32toh(policy->hold_max_us) &&
        (choice->offered & SVAN_MODE_BIT(HOLD))) {
        return SVAN_FAULT_MODE_HOLD;
    }
    if (us <= le32toh(policy->divert_max_us) &&
        (choice->offered & SVAN_MODE_BIT(DIVERT))) {
        return SVAN_FAULT_MODE_DIVERT;
    }
    return us <= le32toh(policy->drop_max_us) &&
           (choice->offered & SVAN_MODE_BIT(DROP)) ? SVAN_FAULT_MODE_DROP :
                                                     SVAN_FAULT_MODE_RNR;
}

bool svan_policy_choose(const SvanChoice *choice, const SvanEstimate *estimate,
                        uint8_t *mode)
{
    const struct svan_fault_policy *policy = choice->policy;
    uint64_t ns = svan_policy_time_left(policy, estimate, choice->now);

    *mode = policy->mode;
    if (policy->mode == SVAN_FAULT_MODE_AUTO) {
        if (!estimate->known && !estimate->answered) {
            return false;
        }
        *mode = by_time(choice, ns / 1000);
    }
    if (!(choice->offered & 1u << *mode)) {
        *mode = SVAN_FAULT_MODE_DROP;
    }
    return true;
}

static void limit_to(__le32 *value, __le32 limit)
{
    if (le32toh(*value) > le32toh(limit)) {
        *value = limit;
    }
}

/* bound_us of 0 means no bound, so any other one is lower. */
void svan_policy_limit(struct svan_fault_policy *policy,
                       const struct svan_fault_policy *limit)
{
    limit_to(&policy->hold_bytes, limit->hold_bytes);
    limit_to(&policy->divert_pages, limit->divert_pages);
    if (!policy->bound_us) {
        policy->bound_us = limit->bound_us;
    } else if (limit->bound_us) {
        limit_to(&policy->bound_us, limit->bound_us);
    }
}
