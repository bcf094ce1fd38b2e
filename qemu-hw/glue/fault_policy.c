/*
 * Svan RDMA NIC: the host's policy of page faults
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "svan/caps.h"
#include "fault_policy.h"

static const char *const svan_fault_modes[] = {
    [SVAN_FAULT_MODE_AUTO] = "auto",
    [SVAN_FAULT_MODE_HOLD] = "hold",
    [SVAN_FAULT_MODE_RNR] = "rnr",
    [SVAN_FAULT_MODE_DIVERT] = "divert",
    [SVAN_FAULT_MODE_DROP] = "drop",
};

bool svan_configure_faults(const SvanFaultProperties *properties,
                           SvanConfig *config, Error **errp)
{
    static const QEnumLookup modes = {
        svan_fault_modes, NULL, ARRAY_SIZE(svan_fault_modes)
    };
    struct svan_fault_policy *policy = &config->policy;
    int mode = SVAN_FAULT_MODE_AUTO;

    if (properties->mode) {
        mode = qapi_enum_parse(&modes, properties->mode, -1, errp);
        if (mode < 0) {
            return false;
        }
    }
    if (!properties->sources || properties->sources & ~SVAN_ESTIMATE_MASK) {
        error_setg(errp, "fault-sources is %u, but has to be a sum of 1, 2 and "
                   "4", properties->sources);
        return false;
    }
    if (!properties->page_requests) {
        config->features_off |= SVAN_CAP_PAGE_REQUESTS;
    }
    config->fault_buffer = properties->buffer;
    svan_policy_default(policy);
    policy->mode = mode;
    policy->sources = properties->sources;
    policy->hold_max_us = cpu_to_le32(properties->hold_us);
    policy->divert_max_us = cpu_to_le32(properties->divert_us);
    policy->drop_max_us = cpu_to_le32(properties->drop_us);
    policy->bound_us = cpu_to_le32(properties->bound_us);
    policy->unknown_us = cpu_to_le32(properties->unknown_us);
    return true;
}
