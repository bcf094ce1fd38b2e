/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared receive queues (PRM "Queues"; IBTA volume 1, 10.2.9). Who takes an entry copies
 * it, so that entries may complete in another order than that in which they were taken.
 */
#include <stdlib.h>

#include "queue/queue.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_srq.field)
#define RING_ALIGN      64u

/* ---- life ---- */

static uint64_t record_va(const struct svan_cmd_create_srq *cmd)
{
    return le64toh(cmd->ring_va) + le32toh(cmd->dbr_offset);
}

static uint32_t check_ring(SvanFn *fn, const struct svan_cmd_create_srq *cmd)
{
    uint64_t ring_va = le64toh(cmd->ring_va);
    SvanAccess access = {
        .fn = fn, .key = le32toh(cmd->ring_key), .va = ring_va,
        .len = 1u << (cmd->log_size + cmd->log_stride),
    };
    uint32_t syndrome;

    if (ring_va % RING_ALIGN) {
        return REFUSE(BAD_PARAM, ring_va);
    }
    if (svan_check_access(&access, &syndrome) != SVAN_STEP_DONE) {
        return syndrome == SVAN_SYN_KEY_BOUNDS ? REFUSE(BAD_PARAM, ring_va) :
                                                 REFUSE(BAD_RESOURCE, ring_key);
    }
    access.va = record_va(cmd);
    access.len = sizeof(struct svan_srq_dbr);
    access.access = SVAN_ACCESS_LOCAL_WRITE;
    return access.va % RING_ALIGN || access.va < ring_va ||
           svan_check_access(&access, &syndrome) != SVAN_STEP_DONE ?
           REFUSE(BAD_PARAM, dbr_offset) : SVAN_CMD_OK;
}

static uint32_t check_srq(SvanFn *fn, const struct svan_cmd_create_srq *cmd)
{
    if (!(fn->features & SVAN_CAP_SRQ)) {
        return SVAN_REFUSAL(SVAN_CMD_NOT_SUPPORTED, hdr.opcode);
    }
    if (cmd->flags & ~SVAN_CMD_SRQ_PRIVILEGED) {
        return REFUSE(BAD_PARAM, flags);
    }
    if (cmd->log_size > SVAN_RQ_MAX_LOG_SIZE) {
        return REFUSE(BAD_PARAM, log_size);
    }
    if (cmd->log_stride < SVAN_RWQE_MIN_LOG_STRIDE ||
        cmd->log_stride > SVAN_RWQE_MAX_LOG_STRIDE) {
        return REFUSE(BAD_PARAM, log_stride);
    }
    if (!svan_table_get(&fn->memory->pds, le32toh(cmd->pd))) {
        return REFUSE(BAD_RESOURCE, pd);
    }
    if (le32toh(cmd->owner) == SVAN_NONE) {
        return REFUSE(BAD_PARAM, owner);
    }
    if ((cmd->flags & SVAN_CMD_SRQ_PRIVILEGED) && cmd->owner) {
        return REFUSE(NOT_PERMITTED, flags);
    }
    return check_ring(fn, cmd);
}

SvanStep svan_srq_map_record(SvanFn *fn, const struct svan_cmd_create_srq *cmd,
                             SvanMem *record, uint32_t *refusal)
{
    uint32_t syndrome;
    SvanStep step;

    *refusal = check_srq(fn, cmd);
    if (*refusal) {
        return SVAN_STEP_ERROR;
    }
    step = svan_ring_access(svan_key_get(fn, le32toh(cmd->ring_key)), record_va(cmd),
                            sizeof(struct svan_srq_dbr), true, record, &syndrome);
    *refusal = step == SVAN_STEP_ERROR ? REFUSE(DMA_ERROR, dbr_offset) : SVAN_CMD_OK;
    return step;
}

static void set_up(SvanSrq *srq, SvanFn *fn, const struct svan_cmd_create_srq *cmd)
{
    uint64_t dbr_va = record_va(cmd);

    srq->fn = srq->events.fn = fn;
    srq->user = (SvanUser) {
        .fn = fn, .pd = le32toh(cmd->pd), .owner = le32toh(cmd->owner), .can_wait = true,
        .local_dma = cmd->flags & SVAN_CMD_SRQ_PRIVILEGED,
    };
    srq->rq = (SvanRq) {
        .ring_key = svan_key_get(fn, le32toh(cmd->ring_key)),
        .dbr_key = svan_key_get(fn, le32toh(cmd->ring_key)),
        .va = le64toh(cmd->ring_va), .pi_va = dbr_va + offsetof(struct svan_srq_dbr, pi),
        .log_size = cmd->log_size, .log_stride = cmd->log_stride,
    };
    srq->ci_va = dbr_va + offsetof(struct svan_srq_dbr, ci);
}

static void hold(SvanSrq *srq, int32_t refs)
{
    uint32_t *pd_refs = svan_table_get(&srq->fn->memory->pds, srq->user.pd);

    *pd_refs += refs;
    srq->rq.ring_key->refs += refs;
}

uint32_t svan_srq_create(SvanFn *fn, const struct svan_cmd_create_srq *cmd,
                         uint32_t id, SvanSrq **out)
{
    uint32_t refusal = check_srq(fn, cmd);
    SvanSrq *srq;

    if (refusal) {
        return refusal;
    }
    srq = calloc(1, sizeof(*srq));
    if (!srq) {
        return SVAN_CMD_NO_RESOURCES;
    }
    set_up(srq, fn, cmd);
    if (!svan_qn_insert(&fn->queues->srqs, srq, id, &srq->srqn)) {
        free(srq);
        return SVAN_CMD_NO_RESOURCES;
    }
    srq->events.qn = srq->srqn;
    hold(srq, 1);
    *out = srq;
    return SVAN_CMD_OK;
}

void svan_srq_destroy(SvanSrq *srq)
{
    svan_events_drop(&srq->events);
    hold(srq, -1);
    svan_table_remove(&srq->fn->queues->srqs, srq->srqn & SVAN_QN_INDEX_MASK);
    free(srq);
}

SvanSrq *svan_srq_get(SvanFn *fn, uint32_t srqn)
{
    SvanSrq *srq = svan_table_get(&fn->queues->srqs, srqn & SVAN_QN_INDEX_MASK);

    return srq && srq->srqn == srqn ? srq : NULL;
}

uint32_t svan_srq_modify(SvanSrq *srq, uint32_t limit)
{
    if (limit > 1u << srq->rq.log_size) {
        return SVAN_REFUSAL(SVAN_CMD_BAD_PARAM, modify_srq.limit);
    }
    srq->limit = limit;
    return SVAN_CMD_OK;
}

/* ---- taking entries ---- */

/* Put the queue into error. It sends one event, however often this happens. */
static SvanStep fail(SvanSrq *srq, uint32_t syndrome)
{
    if (!srq->error) {
        srq->error = true;
        svan_event(&srq->events, SVAN_EVENT_SRQ_ERROR, syndrome);
    }
    return SVAN_STEP_ERROR;
}

/* The record is read again only if what was read of it last is below the limit. */
static SvanStep see_limit(SvanSrq *srq, bool *reached, uint32_t *syndrome)
{
    SvanStep step;

    *reached = false;
    if (!srq->limit || srq->rq.producer.pi - srq->rq.ci > srq->limit) {
        return SVAN_STEP_DONE;
    }
    step = svan_rq_producer(&srq->rq, syndrome);
    *reached = srq->rq.producer.pi - srq->rq.ci <= srq->limit;
    return step;
}

static void taken(SvanSrq *srq, const SvanMem *record, bool limit_reached)
{
    uint32_t ci = htole32(++srq->rq.ci);

    /* Release: the entry was copied before the host sees that it may be overwritten. */
    __atomic_store_n((uint32_t *)record->host, ci, __ATOMIC_RELEASE);
    svan_stored(srq->fn, record);
    if (limit_reached) {
        srq->limit = 0;
        svan_event(&srq->events, SVAN_EVENT_SRQ_LIMIT, 0);
    }
}

SvanStep svan_srq_take(SvanSrq *srq, SvanRwqe *rwqe, uint8_t *status,
                       uint32_t *syndrome)
{
    SvanStep step, fetched;
    bool limit_reached;
    SvanMem record;

    *status = SVAN_CQE_SUCCESS;
    *syndrome = SVAN_SYN_RING;
    if (srq->error) {
        return SVAN_STEP_ERROR;
    }
    step = svan_rq_find(&srq->rq, syndrome);
    if (step == SVAN_STEP_DONE) {
        step = see_limit(srq, &limit_reached, syndrome);
    }
    if (step == SVAN_STEP_DONE) {
        step = svan_ring_access(srq->rq.dbr_key, srq->ci_va, sizeof(uint32_t), true,
                                &record, syndrome);
    }
    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_ERROR ? fail(srq, *syndrome) : step;
    }
    fetched = svan_rwqe_fetch(&srq->rq, srq->rq.ci, rwqe, status, syndrome);
    if (fetched == SVAN_STEP_MISS) {
        return fetched;
    }
    taken(srq, &record, limit_reached);
    return fetched;
}

/* ---- state ---- */

static void save(const SvanSrq *srq, SvanWriter *writer)
{
    uint64_t dbr_va = srq->ci_va - offsetof(struct svan_srq_dbr, ci);
    struct svan_cmd_create_srq cmd = {
        .flags = srq->user.local_dma ? SVAN_CMD_SRQ_PRIVILEGED : 0,
        .log_size = srq->rq.log_size, .log_stride = srq->rq.log_stride,
        .pd = htole32(srq->user.pd), .ring_va = htole64(srq->rq.va),
        .ring_key = htole32(srq->rq.ring_key->key),
        .dbr_offset = htole32(dbr_va - srq->rq.va), .owner = htole32(srq->user.owner),
    };

    svan_put_u32(writer, srq->srqn);
    svan_put_bytes(writer, &cmd, sizeof(cmd));
    svan_put_u32(writer, srq->limit);
    svan_put_u8(writer, srq->error);
    svan_put_u32(writer, srq->rq.ci);
    svan_put_u32(writer, srq->rq.producer.pi);
    svan_put_u32(writer, srq->rq.producer.seen);
}

void svan_save_srqs(SvanFn *fn, SvanWriter *writer)
{
    for (uint32_t i = 0; i < fn->queues->srqs.size; i++) {
        if (fn->queues->srqs.slots[i]) {
            save(fn->queues->srqs.slots[i], writer);
        }
    }
    svan_put_u32(writer, 0);
}

static bool load(SvanSrq *srq, SvanReader *reader)
{
    srq->limit = svan_get_u32(reader);
    srq->error = svan_get_u8(reader);
    srq->rq.ci = svan_get_u32(reader);
    srq->rq.producer.pi = svan_get_u32(reader);
    srq->rq.producer.seen = svan_get_u32(reader);
    return srq->limit <= 1u << srq->rq.log_size &&
           srq->rq.producer.pi - srq->rq.ci <= 1u << srq->rq.log_size;
}

bool svan_load_srqs(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_create_srq cmd;
    uint32_t id;
    SvanSrq *srq;

    while ((id = svan_get_u32(reader)) != 0) {
        svan_get_bytes(reader, &cmd, sizeof(cmd));
        if (reader->failed || svan_srq_create(fn, &cmd, id, &srq) != SVAN_CMD_OK ||
            srq->srqn != id || !load(srq, reader)) {
            return false;
        }
    }
    return true;
}
