/*
 * Svan RDMA NIC: the host's policy of page faults
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_FAULT_POLICY_H
#define HW_SVAN_FAULT_POLICY_H

#include "hw/qdev-properties.h"
#include "../core/svan_core.h"

typedef struct SvanFaultProperties {
    bool page_requests;
    char *mode;
    uint32_t hold_us, divert_us, drop_us, bound_us, unknown_us;
    uint32_t buffer;
    uint8_t sources;
} SvanFaultProperties;

#define DEFINE_SVAN_FAULT_PROPERTIES(_state, _field) \
    DEFINE_PROP_BOOL("page-requests", _state, _field.page_requests, true), \
    DEFINE_PROP_STRING("fault-mode", _state, _field.mode), \
    DEFINE_PROP_UINT32("fault-hold-us", _state, _field.hold_us, \
                       SVAN_DEFAULT_HOLD_US), \
    DEFINE_PROP_UINT32("fault-divert-us", _state, _field.divert_us, \
                       SVAN_DEFAULT_DIVERT_US), \
    DEFINE_PROP_UINT32("fault-drop-us", _state, _field.drop_us, \
                       SVAN_DEFAULT_DROP_US), \
    DEFINE_PROP_UINT32("fault-bound-us", _state, _field.bound_us, \
                       SVAN_DEFAULT_BOUND_US), \
    DEFINE_PROP_UINT32("fault-unknown-us", _state, _field.unknown_us, \
                       SVAN_DEFAULT_UNKNOWN_US), \
    DEFINE_PROP_UINT8("fault-sources", _state, _field.sources, \
                      SVAN_ESTIMATE_MASK), \
    DEFINE_PROP_UINT32("fault-buffer", _state, _field.buffer, 0)

/* Set in config what the properties ask for. false: they make no sense. */
bool svan_configure_faults(const SvanFaultProperties *properties,
                           SvanConfig *config, Error **errp);

#endif /* HW_SVAN_FAULT_POLICY_H */
