/*
 * Svan RDMA NIC: what is done about page faults, as the host wants it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qemu/cutils.h"
#include "qemu/keyval.h"
#include "qobject/qdict.h"
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
    struct svan_fault_policy *policy = &s->config.policy;
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
    if (!s->page_requests) {
        s->config.features_off |= SVAN_CAP_PAGE_REQUESTS;
    }
    s->config.fault_buffer = s->fault_buffer;
    svan_policy_default(policy);
    policy->mode = mode;
    policy->sources = s->fault_sources;
    policy->hold_max_us = cpu_to_le32(s->fault_hold_us);
    policy->divert_max_us = cpu_to_le32(s->fault_divert_us);
    policy->drop_max_us = cpu_to_le32(s->fault_drop_us);
    policy->bound_us = cpu_to_le32(s->fault_bound_us);
    policy->unknown_us = cpu_to_le32(s->fault_unknown_us);
    return true;
}

/* ---- injection: qom-set PATH inject-fault KEY=VALUE,... ---- */

static const char *const svan_fault_classes[] = {
    [SVAN_FAULT_UNKNOWN] = "unknown",
    [SVAN_FAULT_ZERO_FILL] = "zero-fill",
    [SVAN_FAULT_PAGE_CACHE] = "page-cache",
    [SVAN_FAULT_FILE_READ] = "file-read",
    [SVAN_FAULT_SWAP_IN] = "swap-in",
    [SVAN_FAULT_COPY_ON_WRITE] = "copy-on-write",
    [SVAN_FAULT_HUGE_PAGE] = "huge-page",
    [SVAN_FAULT_USERFAULTFD] = "userfaultfd",
    [SVAN_FAULT_MIGRATION] = "migration",
    [SVAN_FAULT_INVALIDATED] = "invalidated",
};

QEMU_BUILD_BUG_ON(ARRAY_SIZE(svan_fault_classes) != SVAN_FAULT_CLASS_COUNT);

/* A number that may be absent. What was read is taken out of the dictionary. */
static bool svan_take_number(QDict *dict, const char *name, uint64_t *value,
                             Error **errp)
{
    const char *text = qdict_get_try_str(dict, name);

    if (!text) {
        return true;
    }
    if (qemu_strtou64(text, NULL, 0, value)) {
        error_setg(errp, "inject-fault: %s is '%s', but has to be a number",
                   name, text);
        return false;
    }
    qdict_del(dict, name);
    return true;
}

static bool svan_take_choice(QDict *dict, const char *name,
                             const QEnumLookup *choices, int *value,
                             Error **errp)
{
    const char *text = qdict_get_try_str(dict, name);

    if (!text) {
        return true;
    }
    *value = qapi_enum_parse(choices, text, -1, errp);
    if (*value < 0) {
        return false;
    }
    qdict_del(dict, name);
    return true;
}

static bool svan_parse_injection(QDict *dict, SvanInjection *what, Error **errp)
{
    static const char *const outcomes[] = { "resolved", "failed" };
    static const QEnumLookup outcome_lookup = { outcomes, NULL, 2 };
    static const QEnumLookup class_lookup = {
        svan_fault_classes, NULL, SVAN_FAULT_CLASS_COUNT
    };
    uint64_t key = 0, addr = 0, length = 0, count = 0, chance = 1000000;
    uint64_t estimate = 0, delay = 0, seed = 1;
    int fault_class = SVAN_FAULT_UNKNOWN, outcome = 0;

    if (!svan_take_number(dict, "key", &key, errp) ||
        !svan_take_number(dict, "addr", &addr, errp) ||
        !svan_take_number(dict, "length", &length, errp) ||
        !svan_take_number(dict, "count", &count, errp) ||
        !svan_take_number(dict, "chance-ppm", &chance, errp) ||
        !svan_take_number(dict, "estimate-us", &estimate, errp) ||
        !svan_take_number(dict, "delay-us", &delay, errp) ||
        !svan_take_number(dict, "seed", &seed, errp) ||
        !svan_take_choice(dict, "class", &class_lookup, &fault_class, errp) ||
        !svan_take_choice(dict, "outcome", &outcome_lookup, &outcome, errp)) {
        return false;
    }
    if (qdict_size(dict)) {
        error_setg(errp, "inject-fault knows key, addr, length, class, "
                   "estimate-us, delay-us, outcome, count, chance-ppm and seed, "
                   "not '%s'", qdict_first(dict)->key);
        return false;
    }
    *what = (SvanInjection) {
        .key = key, .first = addr,
        .last = length ? addr + length - 1 : UINT64_MAX,
        .count = count, .chance_ppm = chance, .seed = seed,
        .fault_class = fault_class, .estimate_ns = estimate * 1000,
        .delay_ns = delay * 1000, .failure = outcome,
    };
    return true;
}

/* An empty string takes all injections back. */
static void svan_inject_fault(Object *obj, const char *value, Error **errp)
{
    SvanState *s = SVAN(obj);
    SvanEngine *e = &s->engine;
    g_autoptr(QDict) dict = NULL;
    SvanInjection what;
    bool done = true;

    if (!s->core) {
        error_setg(errp, "inject-fault needs a device that is realized");
        return;
    }
    if (*value) {
        dict = keyval_parse(value, NULL, NULL, errp);
        if (!dict || !svan_parse_injection(dict, &what, errp)) {
            return;
        }
    }
    svan_engine_lock(e);
    if (*value) {
        done = svan_inject(s->core, 0, &what);
    } else {
        svan_inject_nothing(s->core, 0);
    }
    svan_engine_unlock(e);
    if (!done) {
        error_setg(errp, "inject-fault: an address range that ends before it "
                   "begins, a chance above 1000000, or too many injections");
    }
}

void svan_fault_class_init(ObjectClass *klass)
{
    object_class_property_add_str(klass, "inject-fault", NULL,
                                  svan_inject_fault);
    object_class_property_set_description(klass, "inject-fault",
        "let RC transfers meet pages as if they were absent: key=KEY,addr=ADDR,"
        "length=BYTES,class=CLASS,estimate-us=N,delay-us=N,outcome=resolved|failed,"
        "count=N,chance-ppm=N,seed=N; empty: no more");
}
