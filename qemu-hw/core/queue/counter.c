/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion counters (PRM "Queues"): how many work requests have succeeded and how
 * many have failed, in memory that a program or another peripheral reads. The device
 * counts by values of its own and stores them; what stands in memory is never read.
 */
#include <stdlib.h>

#include "queue/queue.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_counter.field)

/* ---- life ---- */

static uint32_t word_syndrome(const SvanFn *fn, uint32_t key, uint64_t va)
{
    SvanAccess access = {
        .fn = (SvanFn *)fn, .key = key, .va = va, .len = sizeof(uint64_t),
        .access = SVAN_ACCESS_LOCAL_WRITE,
    };
    uint32_t syndrome;

    return svan_check_access(&access, &syndrome) == SVAN_STEP_DONE ?
           SVAN_SYN_NONE : syndrome;
}

static uint32_t check_counter(const SvanFn *fn,
                              const struct svan_cmd_create_counter *cmd)
{
    uint64_t success_va = le64toh(cmd->success_va);
    uint64_t error_va = le64toh(cmd->error_va);
    uint32_t syndrome;

    if (!(fn->features & SVAN_CAP_COMP_COUNTERS)) {
        return SVAN_REFUSAL(SVAN_CMD_NOT_SUPPORTED, hdr.opcode);
    }
    if (le32toh(cmd->owner) == SVAN_NONE) {
        return REFUSE(BAD_PARAM, owner);
    }
    syndrome = word_syndrome(fn, le32toh(cmd->success_key), success_va);
    if (success_va % sizeof(uint64_t) || syndrome == SVAN_SYN_KEY_BOUNDS) {
        return REFUSE(BAD_PARAM, success_va);
    }
    if (syndrome != SVAN_SYN_NONE) {
        return REFUSE(BAD_RESOURCE, success_key);
    }
    syndrome = word_syndrome(fn, le32toh(cmd->error_key), error_va);
    if (error_va % sizeof(uint64_t) || syndrome == SVAN_SYN_KEY_BOUNDS) {
        return REFUSE(BAD_PARAM, error_va);
    }
    return syndrome == SVAN_SYN_NONE ? SVAN_CMD_OK :
                                       REFUSE(BAD_RESOURCE, error_key);
}

/* A counter that no table and no key knows of yet. */
static void set_up(SvanCounter *counter, SvanFn *fn,
                   const struct svan_cmd_create_counter *cmd)
{
    *counter = (SvanCounter) {
        .fn = fn, .owner = le32toh(cmd->owner),
        .counts[SVAN_COUNT_SUCCESS] = {
            .key = svan_key_get(fn, le32toh(cmd->success_key)),
            .va = le64toh(cmd->success_va), .value = le64toh(cmd->success),
        },
        .counts[SVAN_COUNT_ERROR] = {
            .key = svan_key_get(fn, le32toh(cmd->error_key)),
            .va = le64toh(cmd->error_va), .value = le64toh(cmd->error),
        },
    };
}

SvanStep svan_counter_try(SvanFn *fn, const struct svan_cmd_create_counter *cmd,
                          SvanCounterSlot slots[SVAN_COUNTS], uint32_t *refusal)
{
    static const uint32_t unreachable[SVAN_COUNTS] = {
        REFUSE(DMA_ERROR, success_va), REFUSE(DMA_ERROR, error_va),
    };
    SvanStep step = SVAN_STEP_DONE;
    SvanCounter counter;

    *refusal = check_counter(fn, cmd);
    if (*refusal) {
        return SVAN_STEP_ERROR;
    }
    set_up(&counter, fn, cmd);
    for (uint32_t i = 0; i < SVAN_COUNTS && step == SVAN_STEP_DONE; i++) {
        step = svan_counter_reserve(&counter, i, &slots[i]);
        *refusal = step == SVAN_STEP_ERROR ? unreachable[i] : SVAN_CMD_OK;
    }
    return step;
}

uint32_t svan_counter_create(SvanFn *fn,
                             const struct svan_cmd_create_counter *cmd,
                             uint32_t id, SvanCounter **out)
{
    uint32_t refusal = check_counter(fn, cmd);
    SvanCounter *counter;

    if (refusal) {
        return refusal;
    }
    counter = malloc(sizeof(*counter));
    if (!counter) {
        return SVAN_CMD_NO_RESOURCES;
    }
    set_up(counter, fn, cmd);
    if (!svan_qn_insert(&fn->queues->counters, counter, id, &counter->id)) {
        free(counter);
        return SVAN_CMD_NO_RESOURCES;
    }
    for (uint32_t i = 0; i < SVAN_COUNTS; i++) {
        counter->counts[i].key->refs++;
    }
    *out = counter;
    return SVAN_CMD_OK;
}

void svan_counter_destroy(SvanCounter *counter)
{
    for (uint32_t i = 0; i < SVAN_COUNTS; i++) {
        counter->counts[i].key->refs--;
    }
    svan_table_remove(&counter->fn->queues->counters,
                      counter->id & SVAN_QN_INDEX_MASK);
    free(counter);
}

SvanCounter *svan_counter_get(SvanFn *fn, uint32_t id)
{
    SvanCounter *counter = svan_table_get(&fn->queues->counters,
                                          id & SVAN_QN_INDEX_MASK);

    return counter && counter->id == id ? counter : NULL;
}

/* ---- counting ---- */

SvanStep svan_counter_reserve(SvanCounter *counter, SvanCountKind kind,
                              SvanCounterSlot *slot)
{
    SvanCount *count = &counter->counts[kind];
    uint32_t syndrome;
    SvanStep step = svan_ring_access(count->key, count->va, sizeof(count->value),
                                     true, &slot->mem, &syndrome);

    slot->counter = counter;
    slot->kind = kind;
    if (step == SVAN_STEP_ERROR) {
        slot->mem.host = NULL;
    }
    return step;
}

void svan_counter_set(const SvanCounterSlot *slot, uint64_t value)
{
    SvanCounter *counter = slot->counter;

    counter->counts[slot->kind].value = value;
    if (!slot->mem.host) {
        return;
    }
    /*
     * Release: whoever sees the value, by a load with acquire order, sees the data, and
     * the CQE if there is one.
     */
    __atomic_store_n((uint64_t *)slot->mem.host, htole64(value),
                     __ATOMIC_RELEASE);
    svan_stored(counter->fn, &slot->mem);
    svan_trace(counter->fn, SVAN_TRACE_COUNTER, counter->id, slot->kind, value,
               0);
}

void svan_counter_add(const SvanCounterSlot *slot, uint64_t number)
{
    svan_counter_set(slot, slot->counter->counts[slot->kind].value + number);
}

/* ---- completions, by CQE and counter ---- */

SvanStep svan_completion_count(SvanCompletionSlot *slot, SvanCq *cq,
                               SvanCounter *counter, bool success)
{
    SvanStep step = SVAN_STEP_DONE, counted;

    slot->cq.cq = NULL;
    if (cq) {
        step = svan_cq_reserve(cq, &slot->cq);
        if (step == SVAN_STEP_MISS) {
            return step;
        }
    }
    counted = svan_counter_reserve(counter, success ? SVAN_COUNT_SUCCESS :
                                                      SVAN_COUNT_ERROR,
                                   &slot->count);
    return counted == SVAN_STEP_DONE ? step : counted;
}
