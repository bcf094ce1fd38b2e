/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue pairs: creation, attributes and states (PRM "Queue pairs"; IBTA volume
 * 1, 10.3 and table 91 of 11.2.5.2). What a queue pair does in a state is its
 * transport's business.
 */
#include <stdlib.h>
#include <string.h>

#include "transport/message.h"

#define QP_FLAGS        (SVAN_CMD_QP_PRIVILEGED | SVAN_CMD_QP_SIGNAL_ALL | \
                         SVAN_CMD_QP_RECV_NO_CQE | SVAN_CMD_QP_RQ_APART | \
                         SVAN_CMD_QP_DBR_APART)
#define QP_ACCESS       (SVAN_ACCESS_REMOTE_MASK | SVAN_ACCESS_LOCAL_WRITE)
#define RING_ALIGN      64u
#define MIN_LOG_MTU     8
#define MAX_LOG_MTU     12

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_qp.field)

/* ---- life ---- */

static uint32_t check_type(const SvanFn *fn,
                           const struct svan_cmd_create_qp *cmd)
{
    const SvanQpKind *kind;

    if (cmd->type >= SVAN_QP_KINDS || !fn->qps->kinds[cmd->type].feature) {
        return REFUSE(BAD_PARAM, type);
    }
    kind = &fn->qps->kinds[cmd->type];
    if (!kind->transport || !(fn->features & kind->feature)) {
        return REFUSE(NOT_SUPPORTED, type);
    }
    if (kind->is_kernels && !(cmd->flags & SVAN_CMD_QP_PRIVILEGED)) {
        return REFUSE(NOT_PERMITTED, type);
    }
    if (cmd->srq && !kind->can_share) {
        return REFUSE(NOT_SUPPORTED, srq);
    }
    return kind->qpn && svan_table_get(&fn->qps->table, kind->qpn) ?
           REFUSE(BUSY, type) : SVAN_CMD_OK;
}

static uint32_t check_sizes(const struct svan_cmd_create_qp *cmd)
{
    if (cmd->flags & ~QP_FLAGS) {
        return REFUSE(BAD_PARAM, flags);
    }
    if (cmd->log_sq_bbs > SVAN_SQ_MAX_LOG_BBS) {
        return REFUSE(BAD_PARAM, log_sq_bbs);
    }
    if (cmd->log_rq_size > SVAN_RQ_MAX_LOG_SIZE) {
        return REFUSE(BAD_PARAM, log_rq_size);
    }
    if (cmd->log_rq_stride && (cmd->srq || cmd->log_rq_stride < SVAN_RWQE_MIN_LOG_STRIDE ||
                               cmd->log_rq_stride > SVAN_RWQE_MAX_LOG_STRIDE)) {
        return REFUSE(BAD_PARAM, log_rq_stride);
    }
    return SVAN_CMD_OK;
}

static bool cq_belongs(SvanFn *fn, uint32_t cqn, uint32_t owner)
{
    return svan_uar_get(fn, svan_cq_get(fn, cqn)->uar)->owner == owner;
}

static uint32_t check_objects(SvanFn *fn, const struct svan_cmd_create_qp *cmd)
{
    uint32_t send_cq = le32toh(cmd->send_cq), recv_cq = le32toh(cmd->recv_cq);
    uint32_t srqn = le32toh(cmd->srq);
    const SvanSrq *srq = svan_srq_get(fn, srqn);
    const SvanUar *uar = svan_uar_get(fn, le32toh(cmd->uar));

    if ((cmd->pd || fn->qps->kinds[cmd->type].needs_pd) &&
        !svan_table_get(&fn->memory->pds, le32toh(cmd->pd))) {
        return REFUSE(BAD_RESOURCE, pd);
    }
    if (!uar) {
        return REFUSE(BAD_RESOURCE, uar);
    }
    if ((cmd->flags & SVAN_CMD_QP_PRIVILEGED) && uar->owner != 0) {
        return REFUSE(NOT_PERMITTED, flags);
    }
    if ((cmd->flags & SVAN_CMD_QP_RECV_NO_CQE) &&
        !(fn->features & SVAN_CAP_COMP_COUNTERS)) {
        return REFUSE(NOT_SUPPORTED, flags);
    }
    if (srqn && !srq) {
        return REFUSE(BAD_RESOURCE, srq);
    }
    if (srq && srq->user.owner != uar->owner) {
        return REFUSE(NOT_PERMITTED, srq);
    }
    if (!svan_cq_get(fn, send_cq)) {
        return REFUSE(BAD_RESOURCE, send_cq);
    }
    if (!svan_cq_get(fn, recv_cq)) {
        return REFUSE(BAD_RESOURCE, recv_cq);
    }
    if (!cq_belongs(fn, send_cq, uar->owner)) {
        return REFUSE(NOT_PERMITTED, send_cq);
    }
    if (!cq_belongs(fn, recv_cq, uar->owner)) {
        return REFUSE(NOT_PERMITTED, recv_cq);
    }
    return SVAN_CMD_OK;
}

/* The send queue, the receive queue, or the record: where the command puts it. */
typedef struct Piece {
    uint32_t key;
    uint64_t base;
    uint32_t offset;            /* from base */
} Piece;

static uint64_t piece_va(const Piece *piece)
{
    return piece->base + piece->offset;
}

static Piece sq_piece(const struct svan_cmd_create_qp *cmd)
{
    return (Piece) {
        le32toh(cmd->ring_key), le64toh(cmd->ring_va), le32toh(cmd->sq_offset),
    };
}

static Piece rq_piece(const struct svan_cmd_create_qp *cmd)
{
    bool apart = cmd->flags & SVAN_CMD_QP_RQ_APART;

    return (Piece) {
        le32toh(apart ? cmd->rq_key : cmd->ring_key),
        le64toh(apart ? cmd->rq_va : cmd->ring_va), le32toh(cmd->rq_offset),
    };
}

static Piece dbr_piece(const struct svan_cmd_create_qp *cmd)
{
    bool apart = cmd->flags & SVAN_CMD_QP_DBR_APART;

    return (Piece) {
        le32toh(apart ? cmd->dbr_key : cmd->ring_key),
        le64toh(apart ? cmd->dbr_va : cmd->ring_va), le32toh(cmd->dbr_offset),
    };
}

/* Which fields a refusal names. */
typedef struct PieceRefusals {
    uint32_t key, base, offset;
} PieceRefusals;

/* Check a piece, to which the device needs this right. */
static uint32_t check_piece(SvanFn *fn, const Piece *piece, uint32_t len,
                            uint8_t right, const PieceRefusals *refusals)
{
    SvanAccess access = {
        .fn = fn, .key = piece->key, .len = len, .access = right,
        .va = piece_va(piece),
    };
    uint32_t syndrome;

    if (piece->base % RING_ALIGN) {
        return refusals->base;
    }
    if (piece->offset % RING_ALIGN || access.va < piece->base) {
        return refusals->offset;
    }
    if (svan_check_access(&access, &syndrome) == SVAN_STEP_DONE) {
        return SVAN_CMD_OK;
    }
    return syndrome == SVAN_SYN_KEY_BOUNDS ? refusals->offset : refusals->key;
}

static uint32_t check_rings(SvanFn *fn, const struct svan_cmd_create_qp *cmd)
{
    bool rq_apart = cmd->flags & SVAN_CMD_QP_RQ_APART;
    bool dbr_apart = cmd->flags & SVAN_CMD_QP_DBR_APART;
    const PieceRefusals of_sq = {
        REFUSE(BAD_RESOURCE, ring_key), REFUSE(BAD_PARAM, ring_va),
        REFUSE(BAD_PARAM, sq_offset),
    };
    const PieceRefusals of_rq = {
        rq_apart ? REFUSE(BAD_RESOURCE, rq_key) : of_sq.key,
        rq_apart ? REFUSE(BAD_PARAM, rq_va) : of_sq.base,
        REFUSE(BAD_PARAM, rq_offset),
    };
    const PieceRefusals of_dbr = {
        dbr_apart ? REFUSE(BAD_RESOURCE, dbr_key) : of_sq.key,
        dbr_apart ? REFUSE(BAD_PARAM, dbr_va) : of_sq.base,
        REFUSE(BAD_PARAM, dbr_offset),
    };
    Piece sq = sq_piece(cmd), rq = rq_piece(cmd), dbr = dbr_piece(cmd);
    uint32_t refusal = check_piece(fn, &dbr, sizeof(struct svan_qp_dbr),
                                   SVAN_ACCESS_LOCAL_WRITE, &of_dbr);

    if (!refusal) {
        refusal = check_piece(fn, &sq, SVAN_WQEBB_SIZE << cmd->log_sq_bbs, 0, &of_sq);
    }
    if (!refusal && cmd->log_rq_stride) {
        refusal = check_piece(fn, &rq, 1u << (cmd->log_rq_size + cmd->log_rq_stride),
                              0, &of_rq);
    }
    return refusal;
}

static uint32_t check_qp(SvanFn *fn, const struct svan_cmd_create_qp *cmd)
{
    uint32_t refusal = check_type(fn, cmd);

    refusal = refusal ? refusal : check_sizes(cmd);
    refusal = refusal ? refusal : check_objects(fn, cmd);
    return refusal ? refusal : check_rings(fn, cmd);
}

static void set_rings(SvanQp *qp, const struct svan_cmd_create_qp *cmd)
{
    Piece sq = sq_piece(cmd), rq = rq_piece(cmd), dbr = dbr_piece(cmd);
    SvanKey *dbr_key = svan_key_get(qp->fn, dbr.key);

    qp->sq = (SvanSq) {
        .ring_key = svan_key_get(qp->fn, sq.key), .va = piece_va(&sq),
        .dbr_key = dbr_key, .dbr_va = piece_va(&dbr),
        .log_bbs = cmd->log_sq_bbs, .type = cmd->type,
        .signal_all = cmd->flags & SVAN_CMD_QP_SIGNAL_ALL, .work = &qp->work,
    };
    qp->rq = (SvanRq) {
        .ring_key = qp->sq.ring_key, .va = qp->sq.va, .log_size = cmd->log_rq_size,
        .dbr_key = dbr_key,
        .pi_va = qp->sq.dbr_va + offsetof(struct svan_qp_dbr, rq_pi),
        .log_stride = cmd->log_rq_stride,
    };
    if (cmd->log_rq_stride) {
        qp->rq.ring_key = svan_key_get(qp->fn, rq.key);
        qp->rq.va = piece_va(&rq);
    }
}

/*
 * A QP in RESET has no work: a doorbell that arrives then is from before the reset. Of
 * several that arrive before the QP looks the latest index counts, in whatever order
 * they were stored.
 */
static void qp_rung(SvanDbTarget *target, uint32_t word, uint32_t index)
{
    SvanQp *qp = svan_container(target, SvanQp, db);
    SvanProducer *producer = word == SVAN_DB_WORD_SQ ? &qp->sq.producer :
                                                       &qp->rq.producer;

    if (qp->state != SVAN_QPS_RESET) {
        if (!producer->rung || (int32_t)(index - producer->rung_pi) > 0) {
            producer->rung_pi = index;
        }
        producer->rung = true;
        svan_qp_schedule(qp);
    }
}

static SvanQp *qp_alloc(SvanFn *fn, const struct svan_cmd_create_qp *cmd)
{
    SvanQp *qp = calloc(1, sizeof(*qp));

    if (!qp) {
        return NULL;
    }
    qp->fn = fn;
    qp->work.fn = qp->events.fn = fn;
    qp->waiter.work = &qp->work;
    qp->policy = fn->paging->policy;
    qp->type = cmd->type;
    qp->flags = cmd->flags;
    qp->kind = &fn->qps->kinds[cmd->type];
    qp->transport = qp->kind->transport;
    qp->user = (SvanUser) {
        .fn = fn, .pd = le32toh(cmd->pd), .uar = le32toh(cmd->uar),
        .owner = svan_uar_get(fn, le32toh(cmd->uar))->owner,
        .local_dma = cmd->flags & SVAN_CMD_QP_PRIVILEGED,
        .can_wait = qp->kind->can_wait,
    };
    qp->send_cq = svan_cq_get(fn, le32toh(cmd->send_cq));
    qp->recv_cq = svan_cq_get(fn, le32toh(cmd->recv_cq));
    set_rings(qp, cmd);
    qp->share = cmd->srq ? calloc(1, sizeof(*qp->share)) : NULL;
    if (cmd->srq && !qp->share) {
        free(qp);
        return NULL;
    }
    if (qp->share) {
        qp->share->srq = svan_srq_get(fn, le32toh(cmd->srq));
    }
    return qp;
}

static void qp_hold(SvanQp *qp, int32_t refs)
{
    uint32_t *pd_refs = svan_table_get(&qp->fn->memory->pds, qp->user.pd);

    if (pd_refs) {
        *pd_refs += refs;
    }
    qp->send_cq->refs += refs;
    qp->recv_cq->refs += refs;
    qp->sq.ring_key->refs += refs;
    qp->sq.dbr_key->refs += refs;
    qp->rq.ring_key->refs += refs;
    if (qp->share) {
        qp->share->srq->refs += refs;
    }
    svan_uar_get(qp->fn, qp->user.uar)->refs += refs;
}

SvanStep svan_qp_map_record(SvanFn *fn, const struct svan_cmd_create_qp *cmd,
                            SvanMem *record, uint32_t *refusal)
{
    Piece dbr = dbr_piece(cmd);
    uint32_t syndrome;
    SvanStep step;

    *refusal = check_qp(fn, cmd);
    if (*refusal) {
        return SVAN_STEP_ERROR;
    }
    step = svan_ring_access(svan_key_get(fn, dbr.key), piece_va(&dbr),
                            sizeof(struct svan_qp_dbr), true, record, &syndrome);
    *refusal = step == SVAN_STEP_ERROR ? REFUSE(DMA_ERROR, dbr_offset) : SVAN_CMD_OK;
    return step;
}

/* Give the queue pair its number: `id`, or, with SVAN_NONE, one of the table's choice. */
static bool insert(SvanQp *qp, uint32_t id)
{
    SvanTable *table = &qp->fn->qps->table;
    uint32_t own = qp->kind->qpn;

    if (!own) {
        return svan_qn_insert(table, qp, id, &qp->qpn);
    }
    qp->qpn = own;
    return (id == SVAN_NONE || id == own) && svan_table_insert_below(table, own, qp);
}

uint32_t svan_qp_create(SvanFn *fn, const struct svan_cmd_create_qp *cmd,
                        uint32_t id, SvanQp **out)
{
    uint32_t refusal = check_qp(fn, cmd);
    SvanQp *qp;

    if (refusal) {
        return refusal;
    }
    qp = qp_alloc(fn, cmd);
    if (!qp) {
        return SVAN_CMD_NO_RESOURCES;
    }
    qp->waiter.account = svan_account_get(fn, svan_account_id(fn, qp->user.uar));
    if (!qp->waiter.account) {
        goto err_free;
    }
    if (!svan_timer_reserve(fn->core, 1)) {
        goto err_account;
    }
    svan_egress_init(&qp->egress, &qp->work);
    if (!insert(qp, id)) {
        goto err_timer;
    }
    qp->waiter.qpn = qp->events.qn = qp->sq.qpn = qp->db.qn = qp->qpn;
    qp->egress.qpn = qp->qpn;
    qp->db.rung = qp_rung;
    if (!qp->transport->create(qp)) {
        goto err_remove;
    }
    if (!svan_db_open(fn, SVAN_DB_OF_QP, qp->user.uar, &qp->db)) {
        goto err_destroy;
    }
    qp_hold(qp, 1);
    *out = qp;
    return SVAN_CMD_OK;

err_destroy:
    qp->transport->destroy(qp);
err_remove:
    svan_table_remove(&fn->qps->table, qp->qpn & SVAN_QN_INDEX_MASK);
err_timer:
    svan_timer_unreserve(fn->core, 1);
err_account:
    svan_account_put(fn, qp->waiter.account);
err_free:
    free(qp->share);
    free(qp);
    return SVAN_CMD_NO_RESOURCES;
}

#undef REFUSE
#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, attach_counter.field)

uint32_t svan_qp_attach(SvanQp *qp, SvanCounter *counter, uint32_t sides)
{
    bool send = sides & SVAN_ATTACH_COUNTER_SEND;
    bool recv = sides & SVAN_ATTACH_COUNTER_RECV;

    if (!qp->kind->can_count) {
        return REFUSE(NOT_SUPPORTED, qpn);
    }
    if (counter->owner != qp->user.owner) {
        return REFUSE(NOT_PERMITTED, counter);
    }
    if (!sides || (sides & ~SVAN_ATTACH_COUNTER_MASK)) {
        return REFUSE(BAD_PARAM, sides);
    }
    if ((send && qp->send_counter) || (recv && qp->recv_counter)) {
        return REFUSE(BUSY, sides);
    }
    if (send) {
        qp->send_counter = counter;
        counter->refs++;
    }
    if (recv) {
        qp->recv_counter = counter;
        counter->refs++;
    }
    return SVAN_CMD_OK;
}

static void detach(SvanQp *qp)
{
    if (qp->send_counter) {
        qp->send_counter->refs--;
    }
    if (qp->recv_counter) {
        qp->recv_counter->refs--;
    }
}

static void qp_unlink(SvanQp *qp)
{
    svan_work_stop(&qp->work);
    svan_egress_stop(&qp->egress);
    svan_poll_end(&qp->sq);
    svan_events_drop(&qp->events);
}

void svan_qp_destroy(SvanQp *qp)
{
    SvanFn *fn = qp->fn;

    svan_db_close(&qp->db);
    svan_group_detach_all(qp);
    if (fn->net->eth.qpn == qp->qpn) {
        svan_filter_off(fn);
    }
    qp->transport->destroy(qp);
    qp_unlink(qp);
    svan_timer_unreserve(fn->core, 1);
    qp_hold(qp, -1);
    detach(qp);
    svan_account_put(fn, qp->waiter.account);
    svan_table_remove(&fn->qps->table, qp->qpn & SVAN_QN_INDEX_MASK);
    free(qp->share);
    free(qp);
}

uint32_t svan_qp_srqn(const SvanQp *qp)
{
    return qp->share ? qp->share->srq->srqn : 0;
}

SvanQp *svan_qp_get(SvanFn *fn, uint32_t qpn)
{
    SvanQp *qp = svan_table_get(&fn->qps->table, qpn & SVAN_QN_INDEX_MASK);

    return qp && qp->qpn == qpn ? qp : NULL;
}

/* ---- states ---- */

static void qp_forget(SvanQp *qp)
{
    qp_unlink(qp);
    svan_sq_forget(&qp->sq);
    svan_rq_forget(&qp->rq);
    if (qp->share) {
        qp->share->taken.is_taken = false;      /* whoever resets it loses it */
        qp->share->last_wqe_told = false;
    }
    qp->attr_mask = 0;
    qp->access = qp->log_mtu = 0;
    qp->max_rd_atomic = qp->max_dest_rd_atomic = 0;
    qp->min_rnr_timer = qp->timeout = qp->retry_cnt = qp->rnr_retry = 0;
    qp->pkey_index = qp->port = 0;
    qp->sqd_notify = false;
    qp->dest_qpn = qp->rq_psn = qp->sq_psn = qp->qkey = 0;
    memset(&qp->av, 0, sizeof(qp->av));
}

void svan_qp_set_state(SvanQp *qp, uint8_t state, uint32_t syndrome)
{
    uint8_t old = qp->state;

    qp->state = state;
    qp->sq.flushing = state == SVAN_QPS_ERR;
    if (old == SVAN_QPS_RESET) {
        svan_db_forget(&qp->db);
    }
    if (state == SVAN_QPS_RESET) {
        qp_forget(qp);
    }
    if (state != SVAN_QPS_SQD || old != SVAN_QPS_SQD) {
        qp->sq_draining = state == SVAN_QPS_SQD;
    }
    if ((state == SVAN_QPS_RTS && old == SVAN_QPS_RTR) ||
        state == SVAN_QPS_ERR) {
        /* POLLING may be left over from before RESET, or from a parked QP. */
        svan_poll_begin(&qp->sq);
    }
    svan_trace(qp->fn, SVAN_TRACE_QP_STATE, qp->qpn, old, state, syndrome);
    if (state == SVAN_QPS_ERR) {
        svan_list_remove(&qp->work.blocked);    /* flushing needs no wire */
        svan_egress_stop(&qp->egress);
    }
    qp->transport->enter(qp, old);
}

void svan_qp_error(SvanQp *qp, uint8_t event, uint32_t syndrome)
{
    if (qp->state == SVAN_QPS_ERR) {
        return;
    }
    svan_qp_set_state(qp, SVAN_QPS_ERR, syndrome);
    if (event) {
        svan_event(&qp->events, event, syndrome);
    }
}

/* ---- attributes ---- */

#define A(name)         SVAN_QP_ATTR_##name

#undef REFUSE
#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, modify_qp.field)

static uint32_t check_transition(const SvanQp *qp,
                                 const struct svan_cmd_modify_qp *cmd)
{
    uint32_t mask = le32toh(cmd->mask);
    const SvanQpWay *way;

    if (cmd->attr.state >= SVAN_QP_STATES) {
        return REFUSE(BAD_PARAM, attr.state);
    }
    way = &(*qp->kind->ways)[qp->state][cmd->attr.state];
    if (!way->legal) {
        return REFUSE(BAD_STATE, attr.state);
    }
    if ((mask & way->required) != way->required ||
        (mask & ~(way->required | way->optional))) {
        return REFUSE(BAD_PARAM, mask);
    }
    return SVAN_CMD_OK;
}

/* The range of an attribute that is a number. */
typedef struct AttrRange {
    uint32_t bit;
    uint32_t min, max;
    uint32_t (*get)(const struct svan_qp_attr *attr);
    uint32_t refusal;
} AttrRange;

#define U8_ATTR(name, field, min, max) \
    { A(name), min, max, get_##field, REFUSE(BAD_PARAM, attr.field) }

#define GETTER(field, convert) \
    static uint32_t get_##field(const struct svan_qp_attr *attr) \
    { \
        return convert(attr->field); \
    }

GETTER(log_mtu, )
GETTER(max_rd_atomic, )
GETTER(max_dest_rd_atomic, )
GETTER(min_rnr_timer, )
GETTER(timeout, )
GETTER(retry_cnt, )
GETTER(rnr_retry, )
GETTER(pkey_index, )
GETTER(port, )
GETTER(dest_qpn, le32toh)
GETTER(rq_psn, le32toh)
GETTER(sq_psn, le32toh)

static const AttrRange attr_ranges[] = {
    U8_ATTR(MTU, log_mtu, MIN_LOG_MTU, MAX_LOG_MTU),
    U8_ATTR(MAX_RD_ATOMIC, max_rd_atomic, 0, SVAN_MAX_RD_ATOMIC),
    U8_ATTR(MAX_DEST_RD_ATOMIC, max_dest_rd_atomic, 0, SVAN_MAX_RD_ATOMIC),
    U8_ATTR(MIN_RNR_TIMER, min_rnr_timer, 0, 31),
    U8_ATTR(TIMEOUT, timeout, 0, 31),
    U8_ATTR(RETRY_CNT, retry_cnt, 0, 7),
    U8_ATTR(RNR_RETRY, rnr_retry, 0, 7),
    U8_ATTR(PKEY_INDEX, pkey_index, 0, 0),
    U8_ATTR(PORT, port, 1, 1),
    U8_ATTR(DEST_QPN, dest_qpn, 0, SVAN_QPN_MASK),
    U8_ATTR(RQ_PSN, rq_psn, 0, SVAN_PSN_MASK),
    U8_ATTR(SQ_PSN, sq_psn, 0, SVAN_PSN_MASK),
};

static uint32_t check_attrs(const struct svan_cmd_modify_qp *cmd)
{
    uint32_t mask = le32toh(cmd->mask);

    for (size_t i = 0; i < sizeof(attr_ranges) / sizeof(attr_ranges[0]); i++) {
        const AttrRange *range = &attr_ranges[i];
        uint32_t value = range->get(&cmd->attr);

        if ((mask & range->bit) &&
            (value < range->min || value > range->max)) {
            return range->refusal;
        }
    }
    if ((mask & A(ACCESS)) && (cmd->attr.access & ~QP_ACCESS)) {
        return REFUSE(BAD_PARAM, attr.access);
    }
    if ((mask & A(RATE_LIMIT)) && cmd->rate_limit &&
        (le32toh(cmd->rate_limit) < SVAN_RATE_LIMIT_MIN ||
         le32toh(cmd->rate_limit) > SVAN_RATE_LIMIT_MAX)) {
        return REFUSE(BAD_PARAM, rate_limit);
    }
    if ((mask & A(AV)) && svan_gid_is_multicast(cmd->av.dgid)) {
        return REFUSE(BAD_PARAM, av.dgid);
    }
    if ((mask & A(AV)) && cmd->av.sgid_index >= SVAN_MAX_GID) {
        return REFUSE(BAD_PARAM, av.sgid_index);
    }
    return SVAN_CMD_OK;
}

void svan_av_decode(SvanAv *to, const struct svan_av *from)
{
    memcpy(to->dgid, from->dgid, sizeof(to->dgid));
    memcpy(to->dmac, from->dmac, sizeof(to->dmac));
    to->hop_limit = from->hop_limit;
    to->traffic_class = from->traffic_class;
    to->flow_label = le32toh(from->flow_label) & 0xfffff;
    to->udp_sport = le16toh(from->udp_sport);
    to->sgid_index = from->sgid_index;
}

#define SET(name, field, value) \
    do { \
        if (mask & A(name)) { \
            qp->field = value; \
        } \
    } while (0)

/* SVAN_CMD_OK, or NO_RESOURCES, with nothing changed. */
static uint32_t apply_attrs(SvanQp *qp, const struct svan_cmd_modify_qp *cmd)
{
    const struct svan_qp_attr *attr = &cmd->attr;
    uint32_t mask = le32toh(cmd->mask);

    /* A stream that is loaded may name it for a kind that has none. */
    if ((mask & A(RATE_LIMIT)) && qp->transport->limit &&
        !qp->transport->limit(qp, le32toh(cmd->rate_limit))) {
        return SVAN_CMD_NO_RESOURCES;
    }
    SET(ACCESS, access, attr->access);
    SET(PKEY_INDEX, pkey_index, attr->pkey_index);
    SET(PORT, port, attr->port);
    SET(MTU, log_mtu, attr->log_mtu);
    SET(DEST_QPN, dest_qpn, le32toh(attr->dest_qpn));
    SET(RQ_PSN, rq_psn, le32toh(attr->rq_psn));
    SET(SQ_PSN, sq_psn, le32toh(attr->sq_psn));
    SET(MAX_RD_ATOMIC, max_rd_atomic, attr->max_rd_atomic);
    SET(MAX_DEST_RD_ATOMIC, max_dest_rd_atomic, attr->max_dest_rd_atomic);
    SET(MIN_RNR_TIMER, min_rnr_timer, attr->min_rnr_timer);
    SET(TIMEOUT, timeout, attr->timeout);
    SET(RETRY_CNT, retry_cnt, attr->retry_cnt);
    SET(RNR_RETRY, rnr_retry, attr->rnr_retry);
    SET(QKEY, qkey, le32toh(attr->qkey));
    SET(SQD_NOTIFY, sqd_notify, true);
    if (mask & A(AV)) {
        svan_av_decode(&qp->av, &cmd->av);
    }
    svan_heading_forget(&qp->heading);
    qp->attr_mask |= mask;
    return SVAN_CMD_OK;
}

uint32_t svan_qp_set_attrs(SvanQp *qp, const struct svan_cmd_modify_qp *cmd)
{
    uint32_t refusal = check_attrs(cmd);

    return refusal ? refusal : apply_attrs(qp, cmd);
}

/* The transitions to RESET and ERR require nothing, so nothing can be missing there. */
bool svan_qp_has_attrs(const SvanQp *qp)
{
    const SvanQpWays *ways = qp->kind->ways;
    uint32_t need = 0;

    if (qp->state == SVAN_QPS_RESET || qp->state == SVAN_QPS_ERR) {
        return true;
    }
    need |= (*ways)[SVAN_QPS_RESET][SVAN_QPS_INIT].required;
    if (qp->state >= SVAN_QPS_RTR) {
        need |= (*ways)[SVAN_QPS_INIT][SVAN_QPS_RTR].required;
    }
    if (qp->state >= SVAN_QPS_RTS) {
        need |= (*ways)[SVAN_QPS_RTR][SVAN_QPS_RTS].required;
    }
    return (qp->attr_mask & need) == need;
}

uint32_t svan_qp_modify(SvanQp *qp, const struct svan_cmd_modify_qp *cmd)
{
    uint32_t refusal = check_transition(qp, cmd);
    uint32_t mask = le32toh(cmd->mask);

    refusal = refusal ? refusal : check_attrs(cmd);
    if (!refusal && (mask & A(AV)) &&
        !qp->fn->net->gids[cmd->av.sgid_index].valid) {
        refusal = REFUSE(BAD_RESOURCE, av.sgid_index);
    }
    if (refusal) {
        return refusal;
    }
    refusal = apply_attrs(qp, cmd);
    if (refusal) {
        return refusal;
    }
    if (cmd->attr.state == SVAN_QPS_SQD && qp->state != SVAN_QPS_SQD) {
        qp->sqd_notify = mask & A(SQD_NOTIFY);
    }
    svan_qp_set_state(qp, cmd->attr.state, SVAN_SYN_NONE);
    return SVAN_CMD_OK;
}

void svan_qp_query(const SvanQp *qp, struct svan_qp_attr *attr)
{
    attr->state = qp->state;
    attr->access = qp->access;
    attr->log_mtu = qp->log_mtu;
    attr->max_rd_atomic = qp->max_rd_atomic;
    attr->max_dest_rd_atomic = qp->max_dest_rd_atomic;
    attr->min_rnr_timer = qp->min_rnr_timer;
    attr->timeout = qp->timeout;
    attr->retry_cnt = qp->retry_cnt;
    attr->rnr_retry = qp->rnr_retry;
    attr->pkey_index = qp->pkey_index;
    attr->port = qp->port;
    attr->sq_draining = qp->sq_draining;
    attr->dest_qpn = htole32(qp->dest_qpn);
    attr->rq_psn = htole32(qp->rq_psn);
    attr->sq_psn = htole32(qp->sq_psn);
    attr->qkey = htole32(qp->qkey);
}
