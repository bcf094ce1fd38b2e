/*
 * Svan RDMA NIC: what is done about page faults, as the host wants it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qemu/units.h"
#include "glue.h"

static const char *const svan_fault_modes[] = {
    [SVAN_FAULT_MODE_AUTO] = "auto",
    [SVAN_FAULT_MODE_HOLD] = "hold",
    [SVAN_FAULT_MODE_RNR] = "rnr",
    [SVAN_FAULT_MODE_DIVERT] = "divert",
    [SVAN_FAULT_MODE_DROP] = "drop",
};

bool svan_configure_faults(SvanState *s, Error **errp)
{
    static const QEnumLookup modes = {
        svan_fault_modes, NULL, ARRAY_SIZE(svan_fault_modes)
    };
    int mode = SVAN_FAULT_MODE_AUTO;

    if (s->fault_mode) {
        mode = qapi_enum_parse(&modes, s->fault_mode, -1, errp);
        if (mode < 0) {
            return false;
        }
    }
    if (!s->fault_sources || s->fault_sources & ~SVAN_ESTIMATE_MASK) {
        error_setg(errp, "fault-sources is %u, but has to be a sum of 1, 2 and "
                   "4", s->fault_sources);
        return false;
    }
    s->config.fault_buffer = s->fault_buffer;
    s->config.policy = (struct svan_fault_policy) {
        .mode = mode,
        .sources = s->fault_sources,
        .hold_max_us = cpu_to_le32(s->fault_hold_us),
        .divert_max_us = cpu_to_le32(s->fault_divert_us),
        .drop_max_us = cpu_to_le32(s->fault_drop_us),
        .bound_us = cpu_to_le32(s->fault_bound_us),
        .unknown_us = cpu_to_le32(s->fault_unknown_us),
        .hold_bytes = cpu_to_le32(256 * KiB),
        .divert_pages = cpu_to_le32(64),
    };
    return true;
}
