/*
 * Svan RDMA NIC: page faults that the host injects
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qemu/cutils.h"
#include "qemu/keyval.h"
#include "qobject/qdict.h"
#include "fault_injection.h"

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

/*
 * Read a number of at most max. One that is absent keeps its value; what was read
 * is taken out of the dictionary.
 */
static bool svan_take_number(QDict *dict, const char *name, uint64_t max,
                             uint64_t *value, Error **errp)
{
    const char *text = qdict_get_try_str(dict, name);

    if (!text) {
        return true;
    }
    if (qemu_strtou64(text, NULL, 0, value) || *value > max) {
        error_setg(errp, "inject-fault: %s is '%s', but has to be a number of "
                   "at most %" PRIu64, name, text, max);
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

/* Which function the fault is for, the physical one if none is named, and what. */
static bool svan_parse_injection(QDict *dict, uint64_t *fn, SvanInjection *what,
                                 Error **errp)
{
    static const char *const outcomes[] = { "resolved", "failed" };
    static const QEnumLookup outcome_lookup = { outcomes, NULL, 2 };
    static const QEnumLookup class_lookup = {
        svan_fault_classes, NULL, SVAN_FAULT_CLASS_COUNT
    };
    const uint64_t max_us = UINT64_MAX / 1000;
    uint64_t key = 0, addr = 0, length = 0, count = 0, chance = 1000000;
    uint64_t estimate = 0, delay = 0, seed = 1;
    int fault_class = SVAN_FAULT_UNKNOWN, outcome = 0;

    if (!svan_take_number(dict, "function", SVAN_MAX_VFS, fn, errp) ||
        !svan_take_number(dict, "key", UINT32_MAX, &key, errp) ||
        !svan_take_number(dict, "addr", UINT64_MAX, &addr, errp) ||
        !svan_take_number(dict, "length", UINT64_MAX, &length, errp) ||
        !svan_take_number(dict, "count", UINT32_MAX, &count, errp) ||
        !svan_take_number(dict, "chance-ppm", 1000000, &chance, errp) ||
        !svan_take_number(dict, "estimate-us", max_us, &estimate, errp) ||
        !svan_take_number(dict, "delay-us", max_us, &delay, errp) ||
        !svan_take_number(dict, "seed", UINT64_MAX, &seed, errp) ||
        !svan_take_choice(dict, "class", &class_lookup, &fault_class, errp) ||
        !svan_take_choice(dict, "outcome", &outcome_lookup, &outcome, errp)) {
        return false;
    }
    if (qdict_size(dict)) {
        error_setg(errp, "inject-fault knows function, key, addr, length, "
                   "class, estimate-us, delay-us, outcome, count, chance-ppm and "
                   "seed, not '%s'", qdict_first(dict)->key);
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

static void svan_inject_one(SvanNic *nic, const char *text, Error **errp)
{
    g_autoptr(QDict) dict = keyval_parse(text, NULL, NULL, errp);
    SvanInjection what;
    uint64_t fn = 0;
    bool done;

    if (!dict || !svan_parse_injection(dict, &fn, &what, errp)) {
        return;
    }
    if (fn > nic->config.num_vfs) {
        error_setg(errp, "inject-fault: function is %" PRIu64 ", but the device "
                   "has none above %u", fn, nic->config.num_vfs);
        return;
    }
    svan_engine_lock(&nic->engine);
    done = svan_inject(nic->core, fn, &what);
    svan_engine_unlock(&nic->engine);
    if (!done) {
        error_setg(errp, "inject-fault: an address range that ends before it "
                   "begins, or too many injections");
    }
}

static void svan_take_injections_back(SvanNic *nic)
{
    svan_engine_lock(&nic->engine);
    for (unsigned fn = 0; fn <= nic->config.num_vfs; fn++) {
        svan_inject_nothing(nic->core, fn);
    }
    svan_engine_unlock(&nic->engine);
}

void svan_inject_fault(SvanNic *nic, const char *text, Error **errp)
{
    if (!nic->core) {
        error_setg(errp, "inject-fault needs a device that is realized");
    } else if (*text) {
        svan_inject_one(nic, text, errp);
    } else {
        svan_take_injections_back(nic);
    }
}
