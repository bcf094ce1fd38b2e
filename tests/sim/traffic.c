/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that post and poll, connections that break and are made again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"

#define RING_RAM        (3u << 20)
#define READABLE_BYTES  (64u << 10)
#define CQ_LOG          12
#define BURST           6
#define RECV_TARGET     12
#define BREAK_NS        400000          /* until both ends are told */
#define FORCE_NS        200000000       /* a defect that had no effect */
#define FORCE_PAGED_NS  1000000000      /* the same where it waits for pages */
#define QUIET_NS        6000000         /* longer than a packet lives */

TrafficNode *traffic_node(const End *end)
{
    return &end->pair->traffic->nodes[end->node->id];
}

/* ---- lists ---- */

static void ops_reset(End *end)
{
    end->ops = NULL;
    end->ops_tail = &end->ops;
    end->messages = NULL;
    end->messages_tail = &end->messages;
    end->recvs = NULL;
    end->recvs_tail = &end->recvs;
}

Op *pop_op(End *end)
{
    Op *op = end->ops;

    end->ops = op->next;
    if (!end->ops) {
        end->ops_tail = &end->ops;
    }
    return op;
}

Op *pop_message(End *end)
{
    Op *op = end->messages;

    end->messages = op->next_message;
    if (!end->messages) {
        end->messages_tail = &end->messages;
    }
    return op;
}

Recv *pop_recv(End *end)
{
    Recv *recv = end->recvs;

    end->recvs = recv->next;
    if (!end->recvs) {
        end->recvs_tail = &end->recvs;
    }
    return recv;
}

/* ---- breaking ---- */

void pair_break(Pair *pair)
{
    if (pair->state == PAIR_LIVE) {
        pair->state = PAIR_BREAKING;
        pair->since = pair->traffic->world->now;
        pair->traffic->counts.breaks++;
    }
}

/*
 * What may become of operations of both ends, beside what each is made for,
 * when one of `end` breaks the connection.
 */
static void defect_posted(End *end, Defect defect)
{
    Pair *pair = end->pair;

    pair_break(pair);
    pair->traffic->counts.by_defect[defect]++;
    end->doomed = true;
    end->peer->tolerated |= ST(WR_FLUSH_ERR) | ST(RETRY_EXC_ERR);
    if (defect_is_remote(defect) && pair->lossy) {
        /* the responder may be gone before its last words have arrived */
        end->tolerated |= ST(RETRY_EXC_ERR);
    }
}

static void must_state(End *end, uint8_t state)
{
    if (guest_qp_state(end->qp, state, 0) != SVAN_CMD_OK) {
        world_fail(end->node->world, "node %u QP %06x: not to state %u",
                   end->node->id, end->qp->qpn, state);
    }
}

static void to_error(End *end)
{
    if (!end->vanished) {
        end->tolerated |= ST(WR_FLUSH_ERR);
        must_state(end, SVAN_QPS_ERR);
    }
}

/* ---- posting ---- */

static bool want_signal(End *end, const Op *op)
{
    const TrafficModel *model = end->pair->traffic->model;
    Rng *rng = &traffic_node(end)->rng;

    end->since_signaled += op->bbs;
    if (end->posted + 1 < model->ops && rng_ppm(rng, model->unsignaled) &&
        end->since_signaled < 1u << (end->qp->log_sq - 2)) {
        return false;
    }
    end->since_signaled = 0;
    return true;
}

static void post(End *end, Op *op)
{
    if (want_signal(end, op)) {
        op->wr.flags |= SVAN_WQE_SIGNALED;
    }
    if (end->doomed) {
        op->allowed &= ~ST(SUCCESS);
    }
    if (op->defect) {
        defect_posted(end, op->defect);
    }
    op->index = host_write_wqe(end->qp, &op->wr);
    *end->ops_tail = op;
    end->ops_tail = &op->next;
    end->posted++;
    if (op_takes_recv(op)) {
        op->refs++;
        *end->peer->messages_tail = op;
        end->peer->messages_tail = &op->next_message;
    }
}

static Defect choose_defect(End *end)
{
    const TrafficModel *model = end->pair->traffic->model;
    Rng *rng = &traffic_node(end)->rng;

    if (end->pair->state != PAIR_LIVE || !rng_ppm(rng, model->defect)) {
        return DEFECT_NONE;
    }
    if (model->pager.whole && rng_below(rng, 2)) {
        /* a page that will never come */
        return rng_below(rng, 2) ? DEFECT_LOCAL_BOUNDS : DEFECT_REMOTE_BOUNDS;
    }
    return end->pair->fragile && rng_below(rng, 2) ? DEFECT_NO_RECV :
           rng_between(rng, 1, DEFECT_COUNT - 1);
}

static void vanish(End *end);

/* Defects that are no operation's. true: it was one of these. */
static bool do_defect(End *end, Defect defect)
{
    switch (defect) {
    case DEFECT_MODIFY_ERR:
        pair_break(end->pair);
        end->peer->tolerated |= ST(WR_FLUSH_ERR) | ST(RETRY_EXC_ERR);
        to_error(end);
        break;
    case DEFECT_VANISH:
        if (end->peer == end) {
            return true;
        }
        pair_break(end->pair);
        vanish(end);
        end->peer->tolerated |= ST(RETRY_EXC_ERR) | ST(WR_FLUSH_ERR);
        break;
    case DEFECT_RECV_SMALL:
        return end->peer == end;
    case DEFECT_NO_RECV:
        return !end->pair->fragile;
    default:
        return false;
    }
    end->pair->traffic->counts.by_defect[defect]++;
    return true;
}

static void post_ops(End *end)
{
    const TrafficModel *model = end->pair->traffic->model;
    Rng *rng = &traffic_node(end)->rng;
    uint32_t burst = rng_below(rng, BURST);
    uint32_t before = end->qp->sq_pi;

    /* an end of a breaking pair goes on for a bit, beyond its share */
    while (burst-- && !end->vanished &&
           (end->posted < model->ops || end->pair->state == PAIR_BREAKING) &&
           host_sq_room(end->qp) >= SVAN_WQE_MAX_BBS) {
        Defect defect = choose_defect(end);
        Op *op;

        if (do_defect(end, defect)) {
            continue;
        }
        op = op_new(end, defect);
        if (!op) {
            break;
        }
        post(end, op);
    }
    if (end->qp->sq_pi != before) {
        host_post(end->qp);
    }
}

static uint32_t count_recvs(const End *end)
{
    uint32_t count = 0;

    for (const Recv *recv = end->recvs; recv; recv = recv->next) {
        count++;
    }
    return count;
}

static void post_recvs(End *end)
{
    const TrafficModel *model = end->pair->traffic->model;
    Rng *rng = &traffic_node(end)->rng;
    uint32_t before = end->qp->rq_pi;

    if (end->pair->fragile || end->vanished || rng_ppm(rng, model->starve)) {
        return;
    }
    for (uint32_t n = count_recvs(end); n < RECV_TARGET &&
         host_rq_room(end->qp); n++) {
        Recv *recv = recv_new(end);

        if (!recv) {
            break;
        }
        recv->index = host_write_rwqe(end->qp, recv->sge, recv->num_sge);
        *end->recvs_tail = recv;
        end->recvs_tail = &recv->next;
    }
    if (end->qp->rq_pi != before) {
        host_post_recv(end->qp);
    }
}

/* ---- making connections ---- */

static void drain_cqs(TrafficNode *node)
{
    Traffic *traffic = node->guest->user;

    for (uint32_t i = 0; i < 3; i++) {
        traffic_drain(traffic, node->cqs[i]);
    }
}

static void choose_connection(Pair *pair)
{
    const TrafficModel *model = pair->traffic->model;
    Rng *rng = &pair->traffic->rng;
    bool local = pair->ends[0]->node == pair->ends[1]->node;
    uint32_t psn[2] = { rng_next(rng), rng_next(rng) };
    struct svan_qp_attr attr = {
        .log_mtu = model->log_mtu ? model->log_mtu : rng_between(rng, 8, 12),
        .min_rnr_timer = model->rnr_timer, .timeout = model->timeout,
        .retry_cnt = model->retry_cnt,
    };
    uint8_t gid = rng_below(rng, 2);

    pair->lossy = model->lossy && !local;
    pair->fragile = model->defect && rng_below(rng, 8) == 0;
    attr.rnr_retry = pair->fragile ? rng_below(rng, 4) : 7;
    attr.max_rd_atomic = rng_between(rng, 1, model->max_rd_atomic);
    attr.max_dest_rd_atomic = attr.max_rd_atomic;
    if (rng_below(rng, 3) == 0) {
        psn[0] = psn[1] = 0xfffff0;     /* soon around */
    }
    for (uint32_t i = 0; i < 2; i++) {
        End *end = pair->ends[i];
        uint32_t n = end->peer == end ? 0 : i;

        end->connection = (HostConnection) {
            .peer = end->peer->qp, .attr = attr, .gid = gid,
        };
        end->connection.attr.sq_psn = svan_cpu_to_le32(psn[n] & 0xffffff);
        end->connection.attr.rq_psn =
            svan_cpu_to_le32(psn[end->peer == end ? 0 : !n] & 0xffffff);
        end->denied = model->defect && rng_below(rng, 4) == 0 ?
                      2 << rng_below(rng, 3) : 0;
    }
    for (uint32_t i = 0; i < 2; i++) {
        End *end = pair->ends[i];

        end->connection.attr.access = SVAN_ACCESS_REMOTE_MASK &
                                      ~end->peer->denied;
    }
}

static void connect_end(End *end)
{
    host_connect_to(end->qp, &end->connection);
    if (traffic_node(end)->pager) {
        pager_set_policy(traffic_node(end)->pager, end->qp->qpn);
    }
    end->vanished = end->doomed = end->draining = false;
    end->sq_failed = end->rq_failed = false;
    end->since_signaled = 0;
    /* an absent page may cost one of those retries */
    end->tolerated = end->pair->fragile && traffic_node(end)->pager ?
                     ST(RNR_RETRY_EXC_ERR) : 0;
}

static void connect_pair(Pair *pair)
{
    choose_connection(pair);
    connect_end(pair->ends[0]);
    if (pair->ends[1] != pair->ends[0]) {
        connect_end(pair->ends[1]);
    }
    pair->state = PAIR_LIVE;
}

/* Into RESET without a word; what was completed before counts. */
static void vanish(End *end)
{
    drain_cqs(traffic_node(end));
    must_state(end, SVAN_QPS_RESET);
    drain_cqs(traffic_node(end));
    end->vanished = true;
    while (end->ops) {
        Op *op = pop_op(end);

        op->next = end->pair->failed;
        end->pair->failed = op;
        end->completed++;
    }
    while (end->recvs) {
        recv_undone(end->recvs);
        recv_free(pop_recv(end));
    }
}

static void forget_failed(Pair *pair)
{
    while (pair->failed) {
        Op *op = pair->failed;

        pair->failed = op->next;
        op_undone(op);
        op_put(op);
    }
    for (uint32_t i = 0; i < 2; i++) {
        while (pair->ends[i]->messages) {
            op_put(pop_message(pair->ends[i]));
        }
    }
}

static bool has_defect(const Pair *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        for (const Op *op = pair->ends[i]->ops; op; op = op->next) {
            if (op->defect) {
                return true;
            }
        }
    }
    return false;
}

static bool is_flushed(const End *end)
{
    return !end->ops && !end->recvs;
}

/* Both ends to the error state, then to RESET, then connected anew. */
static void mend(Pair *pair)
{
    World *world = pair->traffic->world;
    uint64_t age = world->now - pair->since;
    uint64_t force = pair->traffic->model->pager.evict ? FORCE_PAGED_NS :
                                                         FORCE_NS;
    bool failed = pair->ends[0]->sq_failed || pair->ends[1]->sq_failed ||
                  pair->ends[0]->rq_failed || pair->ends[1]->rq_failed;

    if (pair->state == PAIR_BREAKING && age > (failed ? BREAK_NS : force)) {
        if (!failed && has_defect(pair)) {
            world_fail(world, "QP %06x of node %u: what is wrong does not fail",
                       pair->ends[0]->qp->qpn, pair->ends[0]->node->id);
        }
        to_error(pair->ends[0]);
        to_error(pair->ends[1]);
        pair->state = PAIR_FLUSHING;
        pair->since = world->now;
    } else if (pair->state == PAIR_FLUSHING && age > QUIET_NS &&
               is_flushed(pair->ends[0]) && is_flushed(pair->ends[1])) {
        for (uint32_t i = 0; i < 2; i++) {
            vanish(pair->ends[i]);
        }
        forget_failed(pair);
        connect_pair(pair);
    }
}

/* ---- draining: SQD and back ---- */

static void drain(End *end)
{
    if (end->pair->state == PAIR_LIVE && !end->draining) {
        /* refused if the QP has just met an error that is not seen yet */
        end->draining = guest_qp_state(end->qp, SVAN_QPS_SQD,
                                       SVAN_QP_ATTR_SQD_NOTIFY) == SVAN_CMD_OK;
        end->pair->traffic->counts.drains += end->draining;
    }
}

static void drained(End *end)
{
    struct svan_qp_attr attr;

    if (!end->draining) {
        return;
    }
    end->draining = false;
    if (host_query(end->qp, &attr) != SVAN_CMD_OK || attr.sq_draining) {
        world_fail(end->node->world, "node %u QP %06x: said to be drained, "
                   "and is not", end->node->id, end->qp->qpn);
    }
    /* an error may come at any time, and be seen later */
    if (attr.state == SVAN_QPS_SQD &&
        guest_qp_state(end->qp, SVAN_QPS_RTS, 0) != SVAN_CMD_OK &&
        (host_query(end->qp, &attr) != SVAN_CMD_OK ||
         attr.state != SVAN_QPS_ERR)) {
        world_fail(end->node->world, "node %u QP %06x: not back to RTS",
                   end->node->id, end->qp->qpn);
    }
}

static void on_async(Guest *guest, uint8_t type, uint32_t qn, uint32_t data)
{
    Traffic *traffic = guest->user;
    End *end;

    switch (type) {
    case SVAN_EVENT_CMD: case SVAN_EVENT_PORT:
        return;
    case SVAN_EVENT_QP_COMM_EST:
        traffic_find_end(traffic, guest->node, qn);
        return;
    case SVAN_EVENT_QP_SQ_DRAINED:
        drained(traffic_find_end(traffic, guest->node, qn));
        return;
    case SVAN_EVENT_QP_REQ_ERR: case SVAN_EVENT_QP_ACCESS_ERR:
        end = traffic_find_end(traffic, guest->node, qn);
        if (end->pair->state != PAIR_LIVE) {
            return;
        }
        break;
    default:
        break;
    }
    world_fail(traffic->world, "node %u: event %02x for %06x, data %x",
               guest->node->id, type, qn, data);
}

/* ---- the guests' lives ---- */

static void look_at_cqs(TrafficNode *node)
{
    Traffic *traffic = node->guest->user;

    for (uint32_t i = 0; i < 3; i++) {
        HostCq *cq = node->cqs[i];

        if (!traffic->model->events) {
            traffic_drain(traffic, cq);
        } else if (cq->event) {
            traffic_drain(traffic, cq);
            guest_cq_arm(cq);
        }
    }
}

static void look_at_end(End *end)
{
    const TrafficModel *model = end->pair->traffic->model;
    Rng *rng = &traffic_node(end)->rng;

    if (end->pair->state != PAIR_LIVE && end == end->pair->ends[0]) {
        mend(end->pair);
    }
    /* now and then to a queue in the error state, too */
    if (end->pair->state != PAIR_FLUSHING || rng_below(rng, 64) == 0) {
        post_recvs(end);
        post_ops(end);
    }
    if (rng_ppm(rng, model->drain)) {
        drain(end);
    }
    if (rng_ppm(rng, model->pager.policy)) {
        pager_set_policy(traffic_node(end)->pager, end->qp->qpn);
    }
}

static void look(void *arg)
{
    TrafficNode *node = arg;
    Traffic *traffic = node->guest->user;
    uint32_t idle = traffic->model->idle;

    look_at_cqs(node);
    for (uint32_t i = 0; i < 2 * traffic->model->num_pairs; i++) {
        End *end = traffic->pairs[i / 2].ends[i % 2];

        if (end->node == node->guest->node &&
            (i % 2 == 0 || end->peer != end)) {
            look_at_end(end);
        }
    }
    world_after(traffic->world, rng_between(&node->rng, idle / 2, idle * 3 / 2),
                look, node);
}

/* ---- setting up ---- */

static Region *make_region(TrafficNode *node, uint64_t va, uint32_t length,
                           uint32_t access)
{
    Region *region;

    va += rng_below(&node->rng, SIM_PAGE);
    if (node->pager) {
        va = pager_choose_va(node->pager, va);
    }
    region = region_new(node->guest->node, &node->guest->pool, va, length,
                        &node->rng);
    if (node->pager) {
        pager_register(node->pager, region, access);
    } else {
        guest_register(node->guest, region, access);
    }
    return region;
}

static void node_new(Traffic *traffic, uint32_t id)
{
    const TrafficModel *model = traffic->model;
    TrafficNode *node = &traffic->nodes[id];
    Node *machine = &traffic->world->nodes[id];
    uint64_t va = 0x7f0000000000ull + id * 0x100000000ull;

    node->rng = rng_make(traffic->world->seed, 400 + id);
    node->guest = guest_new(machine, model->pager.evict ? PAGER_HUGE_END :
                                                          RING_RAM);
    node->guest->user = traffic;
    node->guest->async = on_async;
    if (model->pager.evict) {
        node->pager = pager_new(node->guest, &model->pager);
    }
    node->data = make_region(node, va, model->region_bytes,
                             SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK);
    node->readable = make_region(node, va + 0x80000000, READABLE_BYTES,
                                 SVAN_ACCESS_REMOTE_READ);
    for (uint32_t i = 0; i < SIM_WORDS; i++) {
        word_init(&node->words[i], node->data, i % 2 ? OP_CAS : OP_FAA,
                  &node->rng);
    }
    for (uint32_t i = 0; i < 3; i++) {
        node->cqs[i] = guest_cq_new(node->guest, CQ_LOG);
        guest_cq_arm(node->cqs[i]);
    }
    world_after(traffic->world, rng_below(&node->rng, 5000), look, node);
}

static End *end_new(Pair *pair, uint32_t id)
{
    TrafficNode *node = &pair->traffic->nodes[id];
    End *end = calloc(1, sizeof(*end));
    HostCq *send_cq = node->cqs[rng_below(&node->rng, 3)];
    HostCq *recv_cq = node->cqs[rng_below(&node->rng, 3)];
    HostQpAttr attr = {
        .log_sq = rng_between(&node->rng, 5, 8),
        .log_rq = rng_between(&node->rng, 1, 6), .max_sge = SVAN_MAX_SGE,
    };

    end->pair = pair;
    end->node = node->guest->node;
    end->qp = guest_qp_new(node->guest, send_cq, recv_cq, &attr);
    end->qp->mmio_only = rng_below(&node->rng, 4) == 0;
    if (end->qp->qpn & 1) {
        end_count(end);
    }
    ops_reset(end);
    return end;
}

static void pair_new(Traffic *traffic, uint32_t i)
{
    const TrafficModel *model = traffic->model;
    uint32_t nodes = traffic->world->model->num_nodes;
    Pair *pair = &traffic->pairs[i];
    uint32_t a = i % nodes, b = (i + 1 + i / nodes % (nodes - 1)) % nodes;

    if (i < model->local_pairs) {
        b = a;
    }
    pair->traffic = traffic;
    pair->ends[0] = end_new(pair, a);
    pair->ends[1] = i < model->self_pairs ? pair->ends[0] : end_new(pair, b);
    pair->ends[0]->peer = pair->ends[1];
    pair->ends[1]->peer = pair->ends[0];
    connect_pair(pair);
}

Traffic *traffic_new(World *world, const TrafficModel *model)
{
    Traffic *traffic = calloc(1, sizeof(*traffic));

    traffic->world = world;
    traffic->model = model;
    traffic->rng = rng_make(world->seed, 500);
    world->irq = guest_irq;
    world->mapped = model->pager.evict ? pager_watch : NULL;
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        node_new(traffic, i);
    }
    for (uint32_t i = 0; i < model->num_pairs; i++) {
        pair_new(traffic, i);
    }
    return traffic;
}

static bool end_done(const End *end)
{
    return end->posted >= end->pair->traffic->model->ops && !end->ops &&
           !end->messages && !end->draining;
}

bool traffic_done(const Traffic *traffic)
{
    for (uint32_t i = 0; i < 2 * traffic->model->num_pairs; i++) {
        const Pair *pair = &traffic->pairs[i / 2];

        if (pair->state != PAIR_LIVE || !end_done(pair->ends[i % 2])) {
            return false;
        }
    }
    return true;
}

void traffic_describe(const Traffic *traffic)
{
    for (uint32_t i = 0; i < 2 * traffic->model->num_pairs; i++) {
        const Pair *pair = &traffic->pairs[i / 2];
        const End *end = pair->ends[i % 2];

        if (pair->state != PAIR_LIVE || !end_done(end)) {
            fprintf(stderr, "node %u QP %06x, peer node %u QP %06x: pair state "
                    "%u, posted %u, completed %u%s%s%s%s%s\n", end->node->id,
                    end->qp->qpn, end->peer->node->id, end->peer->qp->qpn,
                    pair->state, end->posted, end->completed,
                    end->ops ? ", has operations" : "",
                    end->messages ? ", has messages" : "",
                    end->recvs ? ", has receives" : "",
                    end->draining ? ", draining" : "",
                    end->vanished ? ", vanished" : "");
        }
    }
}

/* ---- the end ---- */

static void check_region(const Traffic *traffic, const Region *region)
{
    int64_t at = region_check(region);

    if (at >= 0) {
        world_fail(traffic->world, "node %u: byte %" PRIx64 " was changed, and "
                   "no operation was to", region->node->id, region->va + at);
    }
}

void traffic_check(Traffic *traffic)
{
    for (uint32_t i = 0; i < traffic->world->model->num_nodes; i++) {
        TrafficNode *node = &traffic->nodes[i];

        for (uint32_t w = 0; w < SIM_WORDS; w++) {
            word_check(&node->words[w], traffic->world);
        }
        check_region(traffic, node->data);
        check_region(traffic, node->readable);
        if (node->pager) {
            pager_check(node->pager);
        }
    }
}

static void end_free(End *end)
{
    while (end->recvs) {
        recv_free(pop_recv(end));
    }
    guest_qp_free(end->qp);
    free(end);
}

void traffic_free(Traffic *traffic)
{
    for (uint32_t i = 0; i < traffic->model->num_pairs; i++) {
        Pair *pair = &traffic->pairs[i];

        forget_failed(pair);
        if (pair->ends[1] != pair->ends[0]) {
            end_free(pair->ends[1]);
        }
        end_free(pair->ends[0]);
    }
    for (uint32_t i = 0; i < traffic->world->model->num_nodes; i++) {
        TrafficNode *node = &traffic->nodes[i];

        for (uint32_t w = 0; w < SIM_WORDS; w++) {
            word_fini(&node->words[w]);
        }
        pager_free(node->pager);
        region_free(node->data);
        region_free(node->readable);
        guest_free(node->guest);
    }
    free(traffic);
}
