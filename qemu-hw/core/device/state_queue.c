/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State of event queues, completion queues, completion counters and queue pairs.
 */
#include <string.h>

#include "device/device.h"
#include "device/state.h"

/* ---- event queues ---- */

static void save_eq(const SvanEq *eq, SvanWriter *writer)
{
    struct svan_cmd_create_eq cmd = {
        .ring = htole64(eq->ring), .eqn = htole32(eq->eqn),
        .vector = htole16(eq->vector), .log_size = eq->log_size,
    };

    svan_put_u8(writer, 1);
    svan_put_bytes(writer, &cmd, sizeof(cmd));
    svan_put_u8(writer, eq->armed);
    svan_put_u8(writer, eq->stalled);
    svan_put_u32(writer, eq->pi);
    svan_put_u32(writer, eq->ci);
}

void svan_save_eqs(SvanFn *fn, SvanWriter *writer)
{
    for (uint32_t i = 0; i < SVAN_MAX_EQS; i++) {
        if (fn->queues->eqs[i]) {
            save_eq(fn->queues->eqs[i], writer);
        }
    }
    svan_put_u8(writer, 0);
}

static bool load_eq(SvanEq *eq, SvanReader *reader)
{
    eq->armed = svan_get_u8(reader);
    eq->stalled = svan_get_u8(reader);
    eq->pi = svan_get_u32(reader);
    eq->ci = svan_get_u32(reader);
    return !reader->failed && eq->pi - eq->ci <= 1u << eq->log_size;
}

bool svan_load_eqs(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_create_eq cmd;

    while (svan_get_u8(reader)) {
        svan_get_bytes(reader, &cmd, sizeof(cmd));
        if (reader->failed || svan_eq_create(fn, &cmd) != SVAN_CMD_OK ||
            !load_eq(fn->queues->eqs[le32toh(cmd.eqn)], reader)) {
            return false;
        }
    }
    return true;
}

/* ---- completion queues ---- */

#define CQ_ERROR        0x01
#define CQ_ARMED        0x02
#define CQ_SOLICITED    0x04

static void save_cq(const SvanCq *cq, SvanWriter *writer)
{
    struct svan_cmd_create_cq cmd = {
        .ring_va = htole64(cq->ring_va), .ring_key = htole32(cq->ring_key->key),
        .dbr_offset = htole32(cq->dbr_va - cq->ring_va),
        .eqn = htole32(cq->eq->eqn), .uar = htole32(cq->uar),
        .log_size = cq->log_size,
        .flags = cq->ignore_overrun ? SVAN_CMD_CQ_IGNORE_OVERRUN : 0,
    };

    svan_put_u32(writer, cq->cqn);
    svan_put_bytes(writer, &cmd, sizeof(cmd));
    svan_put_u8(writer, (cq->error ? CQ_ERROR : 0) |
                        (cq->armed ? CQ_ARMED : 0) |
                        (cq->armed_solicited ? CQ_SOLICITED : 0));
    svan_put_u32(writer, cq->pi);
    svan_put_u32(writer, cq->ci);
    svan_put_u32(writer, cq->solicited_pi);
    svan_put_u16(writer, cq->moderate_count);
    svan_put_u16(writer, cq->moderate_us);
    svan_put_u32(writer, cq->moderate_done);
    svan_timer_save(&cq->moderate_timer, writer);
}

/* The CQs whose events wait, in their order, one EQ after the other. */
static void save_waiting(const SvanFn *fn, SvanWriter *writer)
{
    for (uint32_t i = 0; i < SVAN_MAX_EQS; i++) {
        const SvanEq *eq = fn->queues->eqs[i];

        if (!eq) {
            continue;
        }
        for (SvanLink *link = eq->cqs.next; link != &eq->cqs;
             link = link->next) {
            svan_put_u32(writer, svan_container(link, SvanCq, link)->cqn);
        }
    }
    svan_put_u32(writer, 0);
}

void svan_save_cqs(SvanFn *fn, SvanWriter *writer)
{
    for (uint32_t i = 0; i < fn->queues->cqs.size; i++) {
        if (fn->queues->cqs.slots[i]) {
            save_cq(fn->queues->cqs.slots[i], writer);
        }
    }
    svan_put_u32(writer, 0);
    save_waiting(fn, writer);
}

static bool load_cq(SvanCq *cq, SvanReader *reader)
{
    uint8_t flags = svan_get_u8(reader);

    cq->error = flags & CQ_ERROR;
    cq->armed = flags & CQ_ARMED;
    cq->armed_solicited = flags & CQ_SOLICITED;
    cq->pi = svan_get_u32(reader);
    cq->ci = svan_get_u32(reader);
    cq->solicited_pi = svan_get_u32(reader);
    cq->moderate_count = svan_get_u16(reader);
    cq->moderate_us = svan_get_u16(reader);
    cq->moderate_done = svan_get_u32(reader);
    svan_timer_load(cq->fn->core, &cq->moderate_timer, reader);
    return !reader->failed;
}

static bool load_waiting(SvanFn *fn, SvanReader *reader)
{
    uint32_t cqn;

    while ((cqn = svan_get_u32(reader)) != 0) {
        SvanCq *cq = svan_cq_get(fn, cqn);

        if (!cq || cq->event_pending) {
            return false;
        }
        cq->event_pending = true;
        svan_list_append(&cq->eq->cqs, &cq->link);
        svan_eq_schedule(cq->eq);
    }
    return true;
}

bool svan_load_cqs(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_create_cq cmd;
    uint32_t id;
    SvanCq *cq;

    while ((id = svan_get_u32(reader)) != 0) {
        svan_get_bytes(reader, &cmd, sizeof(cmd));
        if (reader->failed ||
            svan_cq_create(fn, &cmd, id, &cq) != SVAN_CMD_OK ||
            cq->cqn != id || !load_cq(cq, reader)) {
            return false;
        }
    }
    return load_waiting(fn, reader);
}

/* ---- completion counters ---- */

/* It is created again with the counts that it has; they stand in memory already. */
static void save_counter(const SvanCounter *counter, SvanWriter *writer)
{
    const SvanCount *success = &counter->counts[SVAN_COUNT_SUCCESS];
    const SvanCount *error = &counter->counts[SVAN_COUNT_ERROR];
    struct svan_cmd_create_counter cmd = {
        .success_va = htole64(success->va), .error_va = htole64(error->va),
        .success_key = htole32(success->key->key),
        .error_key = htole32(error->key->key),
        .success = htole64(success->value), .error = htole64(error->value),
        .owner = htole32(counter->owner),
    };

    svan_put_u32(writer, counter->id);
    svan_put_bytes(writer, &cmd, sizeof(cmd));
}

void svan_save_counters(SvanFn *fn, SvanWriter *writer)
{
    const SvanTable *table = &fn->queues->counters;

    for (uint32_t i = 0; i < table->size; i++) {
        if (table->slots[i]) {
            save_counter(table->slots[i], writer);
        }
    }
    svan_put_u32(writer, 0);
}

bool svan_load_counters(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_create_counter cmd;
    SvanCounter *counter;
    uint32_t id;

    while ((id = svan_get_u32(reader)) != 0) {
        svan_get_bytes(reader, &cmd, sizeof(cmd));
        if (reader->failed ||
            svan_counter_create(fn, &cmd, id, &counter) != SVAN_CMD_OK) {
            return false;
        }
    }
    return true;
}

/* ---- queue pairs ---- */

static void save_creation(const SvanQp *qp, SvanWriter *writer)
{
    struct svan_cmd_create_qp cmd = {
        .type = qp->type, .log_sq_bbs = qp->sq.log_bbs,
        .flags = qp->flags | SVAN_CMD_QP_RQ_APART | SVAN_CMD_QP_DBR_APART,
        .log_rq_size = qp->rq.log_size, .log_rq_stride = qp->rq.log_stride,
        .pd = htole32(qp->user.pd), .send_cq = htole32(qp->send_cq->cqn),
        .recv_cq = htole32(qp->recv_cq->cqn), .uar = htole32(qp->user.uar),
        .ring_key = htole32(qp->sq.ring_key->key), .ring_va = htole64(qp->sq.va),
        .rq_key = htole32(qp->rq.ring_key->key), .rq_va = htole64(qp->rq.va),
        .dbr_key = htole32(qp->sq.dbr_key->key),
        .dbr_va = htole64(qp->sq.dbr_va), .srq = htole32(svan_qp_srqn(qp)),
    };

    svan_put_bytes(writer, &cmd, sizeof(cmd));
}

static void encode_av(const SvanAv *from, struct svan_av *to)
{
    memcpy(to->dgid, from->dgid, sizeof(to->dgid));
    memcpy(to->dmac, from->dmac, sizeof(to->dmac));
    to->hop_limit = from->hop_limit;
    to->traffic_class = from->traffic_class;
    to->flow_label = htole32(from->flow_label);
    to->udp_sport = htole16(from->udp_sport);
    to->sgid_index = from->sgid_index;
}

/* An address vector that came with a WQE is no attribute. */
static void save_attrs(const SvanQp *qp, SvanWriter *writer)
{
    struct svan_cmd_modify_qp cmd = {
        .qpn = htole32(qp->qpn), .mask = htole32(qp->attr_mask),
        .rate_limit = htole32(svan_qp_rate_limit(qp)),
    };

    svan_qp_query(qp, &cmd.attr);
    if (qp->attr_mask & SVAN_QP_ATTR_AV) {
        encode_av(&qp->av, &cmd.av);
    }
    svan_put_bytes(writer, &cmd, sizeof(cmd));
    svan_put_u8(writer, qp->sqd_notify);
    svan_put_u8(writer, qp->sq_draining);
}

static void save_counters_of(const SvanQp *qp, SvanWriter *writer)
{
    svan_put_u32(writer, qp->send_counter ? qp->send_counter->id : 0);
    svan_put_u32(writer, qp->recv_counter ? qp->recv_counter->id : 0);
}

static void save_qp(const SvanQp *qp, SvanWriter *writer)
{
    svan_put_u32(writer, qp->qpn);
    save_creation(qp, writer);
    save_counters_of(qp, writer);
    save_attrs(qp, writer);
    svan_put_u32(writer, qp->sq.producer.pi);
    svan_put_u32(writer, qp->rq.producer.pi);
    svan_put_u32(writer, qp->sq.producer.seen);
    svan_put_u32(writer, qp->rq.producer.seen);
    svan_put_u32(writer, qp->sq.pi_polled);
    svan_put_u32(writer, qp->sq.producer.rung_pi);
    svan_put_u32(writer, qp->rq.producer.rung_pi);
    svan_put_u8(writer, qp->sq.producer.rung);
    svan_put_u8(writer, qp->rq.producer.rung);
    svan_put_u8(writer, qp->sq.poll_parked);
    svan_put_u8(writer, svan_egress_waits(&qp->egress));
    svan_put_u64(writer, qp->sq.last_active);
    svan_put_bytes(writer, &qp->policy, sizeof(qp->policy));
    qp->transport->save(qp, writer);
    if (qp->share) {
        svan_save_taken(qp, writer);
    }
}

/* The objects whose asynchronous events wait, in their order. */
static void save_sources(const SvanFn *fn, SvanWriter *writer)
{
    const SvanEq *eq = fn->queues->eqs[0];

    for (SvanLink *link = eq ? eq->sources.next : NULL;
         link && link != &eq->sources; link = link->next) {
        const SvanEvents *events = svan_container(link, SvanEvents, link);

        svan_put_u64(writer, events->types);
        svan_put_u32(writer, events->qn);
        svan_put_u32(writer, events->syndrome);
    }
    svan_put_u64(writer, 0);
}

void svan_save_qps(SvanFn *fn, SvanWriter *writer)
{
    for (uint32_t i = 0; i < fn->qps->table.size; i++) {
        if (fn->qps->table.slots[i]) {
            save_qp(fn->qps->table.slots[i], writer);
        }
    }
    svan_put_u32(writer, 0);
    save_sources(fn, writer);
}

/* Only some kinds of queue pairs come to SQE. */
static bool has_state(const SvanQp *qp, uint8_t state)
{
    return state != SVAN_QPS_SQE || (*qp->kind->ways)[SVAN_QPS_SQE][SVAN_QPS_RTS].legal;
}

static bool load_attrs(SvanQp *qp, SvanReader *reader)
{
    struct svan_cmd_modify_qp cmd;

    svan_get_bytes(reader, &cmd, sizeof(cmd));
    if (reader->failed || cmd.attr.state > SVAN_QPS_ERR ||
        !has_state(qp, cmd.attr.state) ||
        svan_qp_set_attrs(qp, &cmd) != SVAN_CMD_OK) {
        return false;
    }
    qp->state = cmd.attr.state;
    qp->sq.flushing = qp->state == SVAN_QPS_ERR;
    qp->sqd_notify = svan_get_u8(reader);
    qp->sq_draining = svan_get_u8(reader);
    return svan_qp_has_attrs(qp) &&
           (!qp->sq_draining || qp->state == SVAN_QPS_SQD);
}

/* Of one side; 0: it has none. */
static bool load_counter_of(SvanQp *qp, uint32_t side, SvanReader *reader)
{
    uint32_t id = svan_get_u32(reader);
    SvanCounter *counter = svan_counter_get(qp->fn, id);

    return !id || (counter && svan_qp_attach(qp, counter, side) == SVAN_CMD_OK);
}

static bool load_qp(SvanQp *qp, SvanReader *reader)
{
    if (!load_counter_of(qp, SVAN_ATTACH_COUNTER_SEND, reader) ||
        !load_counter_of(qp, SVAN_ATTACH_COUNTER_RECV, reader) ||
        !load_attrs(qp, reader)) {
        return false;
    }
    qp->sq.producer.pi = svan_get_u32(reader);
    qp->rq.producer.pi = svan_get_u32(reader);
    qp->sq.producer.seen = svan_get_u32(reader);
    qp->rq.producer.seen = svan_get_u32(reader);
    qp->sq.pi_polled = svan_get_u32(reader);
    qp->sq.producer.rung_pi = svan_get_u32(reader);
    qp->rq.producer.rung_pi = svan_get_u32(reader);
    qp->sq.producer.rung = svan_get_u8(reader);
    qp->rq.producer.rung = svan_get_u8(reader);
    qp->sq.poll_parked = svan_get_u8(reader);
    if (svan_get_u8(reader)) {
        svan_qp_schedule(qp);           /* the verdict on its flow is asked for again */
    }
    qp->sq.last_active = svan_get_u64(reader);
    svan_get_bytes(reader, &qp->policy, sizeof(qp->policy));
    return !reader->failed && svan_policy_ok(&qp->policy) &&
           qp->transport->load(qp, reader) && !reader->failed &&
           (!qp->share || svan_load_taken(qp, reader)) &&
           qp->sq.producer.pi - qp->transport->sq_ci(qp) <= 1u << qp->sq.log_bbs &&
           qp->rq.producer.pi - qp->rq.ci <= 1u << qp->rq.log_size;
}

static bool are_of(uint64_t types, uint64_t all)
{
    return types && !(types & ~all);
}

SvanEvents *svan_events_of(SvanFn *fn, uint64_t types, uint32_t qn)
{
    SvanCq *cq = are_of(types, SVAN_EVENTS_CQ) ? svan_cq_get(fn, qn) : NULL;
    SvanQp *qp = are_of(types, SVAN_EVENTS_QP) ? svan_qp_get(fn, qn) : NULL;
    SvanSrq *srq = are_of(types, SVAN_EVENTS_SRQ) ? svan_srq_get(fn, qn) : NULL;

    if (are_of(types, SVAN_EVENTS_FLOW)) {
        return fn->queues->flows && qn < fn->core->num_fns ? &fn->queues->flows[qn] : NULL;
    }
    return cq ? &cq->events : qp ? &qp->events : srq ? &srq->events :
           are_of(types, SVAN_EVENTS_FN) && !qn ? &fn->queues->events : NULL;
}

bool svan_events_restore(SvanFn *fn, uint32_t qn, uint64_t types,
                         uint32_t syndrome)
{
    SvanEvents *events = svan_events_of(fn, types, qn);

    return events && svan_events_load(events, types, syndrome);
}

static bool load_sources(SvanFn *fn, SvanReader *reader)
{
    uint64_t types;

    while ((types = svan_get_u64(reader)) != 0) {
        uint32_t qn = svan_get_u32(reader);
        uint32_t syndrome = svan_get_u32(reader);

        if (!svan_events_restore(fn, qn, types, syndrome)) {
            return false;
        }
    }
    return true;
}

bool svan_load_qps(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_create_qp cmd;
    uint32_t id;
    SvanQp *qp;

    while ((id = svan_get_u32(reader)) != 0) {
        svan_get_bytes(reader, &cmd, sizeof(cmd));
        if (reader->failed ||
            svan_qp_create(fn, &cmd, id, &qp) != SVAN_CMD_OK ||
            qp->qpn != id || !load_qp(qp, reader)) {
            return false;
        }
    }
    return load_sources(fn, reader);
}
