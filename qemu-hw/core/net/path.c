/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths: their rates, and what has left by them.
 */
#include "net/pace.h"
#include "net/path.h"

#define BITS_NS         (8 * 1000000000ull)     /* ns of an octet at 1 bit/s */
#define HALF            (SVAN_WITNESSES / 2)

/* ---- witnesses ---- */

static uint32_t witness_mark(const SvanAgedKey *flow, uint32_t witness)
{
    return (flow->words[4] * 0x9e3779b97f4a7c15ull >> 32) ^ witness;
}

void svan_witness_add(SvanWitnesses *witnesses, const SvanAgedKey *flow, uint32_t witness,
                      uint64_t now)
{
    uint32_t at = witnesses->next++ % SVAN_WITNESSES;

    if (at % HALF == 0) {
        witnesses->begun[at / HALF] = now;
    }
    witnesses->marks[at] = witness_mark(flow, witness);
}

/* The half that is not being written was begun before all of its marks left. */
bool svan_witness_is_plausible(const SvanWitnesses *witnesses, const SvanAgedKey *flow,
                               uint32_t witness, uint64_t now)
{
    uint32_t mark = witness_mark(flow, witness), count = witnesses->next;
    uint32_t older = !(count % SVAN_WITNESSES / HALF);

    if (count > SVAN_WITNESSES && now - witnesses->begun[older] < SVAN_WITNESS_AGE) {
        return true;
    }
    for (uint32_t i = 0; i < SVAN_WITNESSES && i < count; i++) {
        if (witnesses->marks[i] == mark) {
            return true;
        }
    }
    return false;
}

/* ---- paths ---- */

void svan_path_init(SvanPath *path, SvanFn *fn, const SvanDcqcnParams *params,
                    void (*turn)(SvanTimer *turn))
{
    path->fn = fn;
    svan_rp_init(&path->rp, params);
    svan_list_init(&path->waiters);
    svan_timer_init(&path->turn, turn);
}

bool svan_path_is_idle(const SvanPath *path, uint64_t now)
{
    return !path->flows && !svan_rp_is_limited(&path->rp) && path->until <= now &&
           path->recognition.state == SVAN_CONGESTION_CLEAR &&
           svan_list_empty(&path->waiters) && !path->held && path->turn.slot < 0;
}

uint32_t svan_path_size(const SvanPath *path)
{
    return path->told_marks ? path->told_octets / path->told_marks :
           path->sent ? path->sent_squares / path->sent : SVAN_PATH_SIZE;
}

void svan_path_told(SvanPath *path, uint32_t marks, uint32_t octets)
{
    path->told_marks += marks;
    path->told_octets += octets;
    while (path->told_marks >= SVAN_PATH_RECENT_MARKS) {
        path->told_marks /= 2;
        path->told_octets /= 2;
    }
}

bool svan_path_may_send(const SvanPath *path, uint64_t burst, uint64_t now, uint64_t *when)
{
    if (path->until <= now + burst) {
        return true;
    }
    *when = path->until - burst;
    return false;
}

void svan_path_charge(SvanPath *path, uint64_t rate, uint32_t octets, uint64_t now)
{
    uint64_t parts, late = svan_late(path->behind, path->until, now);

    if (path->until + late < now) {
        path->until = now - late;
        path->until_part = 0;
    }
    parts = octets * BITS_NS / rate * 256 + octets * BITS_NS % rate * 256 / rate +
            path->until_part;
    path->until += parts / 256;
    path->until_part = parts % 256;
    path->behind = path->behind && path->until < now;
}
