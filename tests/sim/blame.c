/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections of a plan: they post, they complete, and each is judged by what
 * the plan says of it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <svan/wire.h>

#include "blame.h"

#define RING_RAM        (6u << 20)
#define CQ_LOG          10
#define LOOK_NS         15000
#define LOG_RQ          4               /* all receives of an end */
#define OUTSTANDING     4
#define BTH_IPV4        42              /* offsets in a frame */
#define BTH_IPV6        62

#define ST(name)        (1u << SVAN_CQE_##name)

static World *world_of(const BlameEnd *end)
{
    return end->pair->blame->world;
}

static const PlanOp *oldest(const BlameEnd *end)
{
    return &end->plan->ops[end->completed];
}

static bool may_end(const BlameEnd *end)
{
    return end->plan->allowed != 0;
}

/* ---- verdicts ---- */

static void __attribute__((noreturn))
accuse(const BlameEnd *end, const char *why, uint64_t value)
{
    static const char *const fates[] = {
        [PLAN_LASTS] = "lasts", [PLAN_EXCUSED] = "excused",
        [PLAN_CLOSED] = "dies",
    };
    const PlanPair *plan = end->pair->plan;
    const PlanOp *op = oldest(end);

    world_fail(world_of(end), "node %u QP %06x of connection %u (%s; timeout %u, "
               "retries %u, RNR retries %u, losses %u; policy %u, bound %u us at "
               "the other end), operation %u (kind %u, pages %u of space %u, %u "
               "of space %u): %s %" PRIu64,
               end->space->plan->node, end->qp->qpn,
               (uint32_t)(end->pair - end->pair->blame->pairs),
               plan->late ? "heir" : fates[plan->fate],
               plan->timeout, plan->retry_cnt, plan->rnr_retry, plan->losses,
               end->peer->plan->policy.mode,
               svan_le32_to_cpu(end->peer->plan->policy.bound_us),
               end->completed, op->kind, op->local, end->plan->space,
               op->remote, end->peer->plan->space, why, value);
}

static uint32_t word_offset(const BlameEnd *end)
{
    return 8 * (2 * (end->pair - end->pair->blame->pairs) +
                (end - end->pair->ends));
}

/* Of each operation that is outstanding. */
static uint32_t result_offset(const BlameEnd *end, uint32_t op)
{
    return word_offset(end) * OUTSTANDING + op % OUTSTANDING * 8;
}

static void check_written(const BlameEnd *end, const BlameSpace *space,
                          const PlanOp *op)
{
    for (uint32_t i = op->offset; i < op->offset + op->length; i++) {
        if (*space_mem(space, op->remote, i) != octet_after(i)) {
            accuse(end, "not written is octet", i);
        }
    }
}

static void check_read(const BlameEnd *end, const PlanOp *op)
{
    for (uint32_t i = op->offset; i < op->offset + op->length; i++) {
        uint8_t octet = *space_mem(end->space, op->local, i);

        if (octet != octet_after(i) && octet != octet_before(i)) {
            accuse(end, "not read is octet", i);
        }
    }
}

/* Each adds one to a word of its own, once. */
static void check_added(BlameEnd *end)
{
    uint64_t found;

    memcpy(&found, space_mem(end->space, PLAN_RESULTS,
                             result_offset(end, end->completed)), 8);
    if (le64toh(found) != end->adds++) {
        accuse(end, "its word was", le64toh(found));
    }
}

static void check_result(BlameEnd *end, const PlanOp *op)
{
    switch (op->kind) {
    case PLAN_READ:
        check_read(end, op);
        break;
    case PLAN_FAA:
        check_added(end);
        break;
    default:
        check_written(end, end->peer->space, op);
        break;
    }
}

static void to_error(BlameEnd *end)
{
    struct svan_qp_attr attr;

    if (guest_qp_state(end->qp, SVAN_QPS_ERR, 0) != SVAN_CMD_OK &&
        (host_query(end->qp, &attr) != SVAN_CMD_OK ||
         attr.state != SVAN_QPS_ERR)) {
        accuse(end, "not to the error state", 0);
    }
}

/* The first error of a connection: its owner gives it up. */
static void pair_ends(BlamePair *pair)
{
    if (!pair->ended) {
        pair->ended = true;
        pair->blame->counts.blame_ended++;
        to_error(&pair->ends[0]);
        to_error(&pair->ends[1]);
    }
}

static void failed(BlameEnd *end, uint8_t status)
{
    uint32_t allowed = end->plan->allowed;

    if (end->pair->ended) {
        allowed |= ST(WR_FLUSH_ERR);
    }
    if (!(allowed & 1u << status)) {
        accuse(end, may_end(end) ? "ends by a status that it may not have," :
                    "was not wronged, and ends with status", status);
    }
    pair_ends(end->pair);
}

static void sq_completion(BlameEnd *end, const struct svan_cqe *cqe)
{
    const PlanOp *op = oldest(end);
    uint64_t now = world_of(end)->now;

    if (end->completed == end->posted ||
        svan_le32_to_cpu(cqe->wqe_index) != end->index[end->completed]) {
        accuse(end, "completes what is not its oldest WQE, but",
               svan_le32_to_cpu(cqe->wqe_index));
    }
    if (cqe->status != SVAN_CQE_SUCCESS) {
        failed(end, cqe->status);
    } else {
        if (op->must_fail) {
            accuse(end, "its page failed, and the status is", cqe->status);
        }
        check_result(end, op);
        end->losses = end->pair->plan->losses;
    }
    end->completed++;
    end->since = now;
    end->qp->sq_ci = end->completed == end->posted ?
                     end->qp->sq_pi : end->index[end->completed];
    end->pair->blame->counts.blame_operations++;
}

/* The SEND of the peer that this end is to receive as its n-th; NULL: none. */
static const PlanOp *nth_send(const BlameEnd *end, uint32_t n)
{
    for (uint32_t i = 0; i < end->peer->plan->num_ops; i++) {
        const PlanOp *op = &end->peer->plan->ops[i];

        if (op->kind == PLAN_SEND && !n--) {
            return op;
        }
    }
    return NULL;
}

static void rq_completion(BlameEnd *end, const struct svan_cqe *cqe)
{
    const PlanOp *op = nth_send(end, end->received);

    if (!op) {
        accuse(end, "received too much:", end->received);
    }
    if (cqe->status != SVAN_CQE_SUCCESS) {
        if (!may_end(end)) {
            accuse(end, "was not wronged, and a receive ends with status",
                   cqe->status);
        }
    } else {
        if (svan_le32_to_cpu(cqe->byte_len) != op->length) {
            accuse(end, "received octets:", svan_le32_to_cpu(cqe->byte_len));
        }
        check_written(end, end->space, op);
    }
    end->received++;
}

/* ---- looking ---- */

static BlameEnd *find_end(Blame *blame, const Node *node, uint32_t qpn)
{
    for (uint32_t i = 0; i < 2 * PLAN_PAIRS; i++) {
        BlameEnd *end = &blame->pairs[i / 2].ends[i % 2];

        if (end->qp && qp_node(end->qp) == node && end->qp->qpn == qpn) {
            return end;
        }
    }
    return NULL;
}

/* Its last completions may be seen when it is gone. */
static bool is_closed(const BlameNode *node, uint32_t qpn)
{
    for (uint32_t i = 0; i < 2 * PLAN_PAIRS; i++) {
        const BlameEnd *end = &node->blame->pairs[i / 2].ends[i % 2];

        if (!end->qp && end->space->node == node && end->closed_qpn == qpn) {
            return true;
        }
    }
    return false;
}

static void drain_cqs(BlameNode *node)
{
    struct svan_cqe cqe;

    for (uint32_t i = 0; i < BLAME_CQS; i++) {
        while (host_cq_poll(node->cqs[i], &cqe)) {
            uint32_t qpn = svan_le32_to_cpu(cqe.qpn);
            BlameEnd *end = find_end(node->blame, node->guest->node, qpn);

            if (!end && is_closed(node, qpn)) {
                continue;
            }
            if (!end) {
                world_fail(node->blame->world, "node %u: completion for QP %06x, "
                           "which is none", node->guest->node->id, qpn);
            }
            if (cqe.opcode == SVAN_CQE_SQ) {
                sq_completion(end, &cqe);
            } else {
                rq_completion(end, &cqe);
            }
        }
    }
}

static bool is_running(const BlameEnd *end)
{
    return end->qp && end->completed < end->plan->num_ops;
}

static void check_alive(const BlameEnd *end)
{
    uint64_t waits = world_of(end)->now - end->since;

    if (is_running(end) && end->pair->plan->fate != PLAN_CLOSED &&
        waits > oldest(end)->limit) {
        accuse(end, "is silent for us:", waits / 1000);
    }
}

static uint8_t opcode_of(PlanKind kind)
{
    static const uint8_t opcodes[PLAN_KINDS] = {
        [PLAN_WRITE] = SVAN_WQE_RDMA_WRITE, [PLAN_READ] = SVAN_WQE_RDMA_READ,
        [PLAN_SEND] = SVAN_WQE_SEND, [PLAN_FAA] = SVAN_WQE_ATOMIC_FETCH_ADD,
    };

    return opcodes[kind];
}

static void post(BlameEnd *end)
{
    const PlanOp *op = &end->plan->ops[end->posted];
    bool atomic = op->kind == PLAN_FAA;
    uint32_t here = atomic ? result_offset(end, end->posted) : op->offset;
    uint32_t there = atomic ? word_offset(end) : op->offset;
    HostWr wr = {
        .opcode = opcode_of(op->kind), .flags = SVAN_WQE_SIGNALED,
        .remote = space_va(end->peer->space, op->remote, there),
        .rkey = end->peer->space->key + (op->bad_key ? 1 : 0),
        .swap_add = 1, .num_sge = 1,
        .sge[0] = {
            .va = space_va(end->space, op->local, here),
            .length = op->length, .key = end->space->key,
        },
    };

    if (end->posted == end->completed) {
        end->since = world_of(end)->now;
    }
    end->index[end->posted++] = host_write_wqe(end->qp, &wr);
}

static void post_some(BlameEnd *end)
{
    uint32_t before = end->posted;

    while (end->posted < end->plan->num_ops &&
           end->posted - end->completed < OUTSTANDING &&
           host_sq_room(end->qp) >= SVAN_WQE_MAX_BBS) {
        post(end);
    }
    if (end->posted != before) {
        host_post(end->qp);
    }
}

static void look(void *arg)
{
    BlameNode *node = arg;
    Blame *blame = node->blame;

    drain_cqs(node);
    for (uint32_t i = 0; i < 2 * PLAN_PAIRS; i++) {
        BlameEnd *end = &blame->pairs[i / 2].ends[i % 2];

        if (end->qp && end->space->node == node) {
            post_some(end);
            check_alive(end);
        }
    }
    world_after(blame->world, rng_between(&node->rng, LOOK_NS / 2, LOOK_NS * 2),
                look, node);
}

/* ---- events ---- */

static void on_async(Guest *guest, uint8_t type, uint32_t qn, uint32_t data)
{
    Blame *blame = guest->user;
    const BlameEnd *end = find_end(blame, guest->node, qn);

    switch (type) {
    case SVAN_EVENT_PAGE_REQUEST:
        pages_event(&blame->nodes[guest->node->id]);
        return;
    case SVAN_EVENT_CMD: case SVAN_EVENT_PORT: case SVAN_EVENT_QP_COMM_EST:
        return;
    default:
        break;
    }
    if (end && (type == SVAN_EVENT_QP_REQ_ERR ||
                type == SVAN_EVENT_QP_ACCESS_ERR)) {
        if (!may_end(end)) {
            accuse(end, "was not wronged, and a request of the other end is "
                   "refused, syndrome", data);
        }
        return;
    }
    world_fail(blame->world, "node %u: event %02x for %06x, data %x",
               guest->node->id, type, qn, data);
}

/* ---- what the links may do ---- */

static bool is_response(uint8_t opcode)
{
    return opcode >= SVAN_OP_READ_RESP_FIRST && opcode <= SVAN_OP_ATOMIC_ACK;
}

/* It costs the requester whose request or response it is. */
static bool may_disturb(Node *node, const SvanFrame *frame)
{
    Blame *blame = node->world->user;
    uint32_t at = frame->data[12] == 0x08 ? BTH_IPV4 : BTH_IPV6;
    const uint8_t *bth = frame->data + at;
    uint32_t qpn = bth[5] << 16 | bth[6] << 8 | bth[7];
    BlameEnd *end = NULL;

    for (uint32_t i = 0; !end && i < blame->plan->num_nodes; i++) {
        if (!memcmp(blame->nodes[i].guest->node->mac, frame->data, 6)) {
            end = find_end(blame, blame->nodes[i].guest->node, qpn);
        }
    }
    if (!end) {
        return false;
    }
    end = is_response(bth[0]) ? end : end->peer;
    if (!end->losses) {
        return false;
    }
    end->losses--;
    blame->counts.blame_disturbed++;
    return true;
}

/* ---- making connections ---- */

static void set_policy(const BlameEnd *end)
{
    struct svan_cmd cmd = {
        .fault_policy = {
            .qpn = svan_cpu_to_le32(end->qp->qpn),
            .policy = end->plan->policy,
        },
    };

    guest_must(end->space->node->guest, &cmd, SVAN_CMD_SET_FAULT_POLICY);
}

static void end_open(BlameEnd *end)
{
    BlameNode *node = end->space->node;
    HostCq *send_cq = node->cqs[rng_below(&node->rng, BLAME_CQS)];
    HostCq *recv_cq = node->cqs[rng_below(&node->rng, BLAME_CQS)];
    HostQpAttr attr = {
        .log_sq = rng_between(&node->rng, 5, 7), .log_rq = LOG_RQ,
        .max_sge = SVAN_MAX_SGE,
    };

    end->qp = guest_qp_new(node->guest, send_cq, recv_cq, &attr);
    set_policy(end);
}

static void end_connect(BlameEnd *end, uint32_t sq_psn, uint32_t rq_psn)
{
    const PlanPair *plan = end->pair->plan;
    HostConnection connection = {
        .peer = end->peer->qp, .gid = plan->gid,
        .attr = {
            .log_mtu = plan->log_mtu, .timeout = plan->timeout,
            .retry_cnt = plan->retry_cnt, .rnr_retry = plan->rnr_retry,
            .min_rnr_timer = plan->min_rnr_timer,
            .max_rd_atomic = plan->max_rd_atomic,
            .max_dest_rd_atomic = plan->max_rd_atomic,
            .access = SVAN_ACCESS_REMOTE_MASK,
            .sq_psn = svan_cpu_to_le32(sq_psn),
            .rq_psn = svan_cpu_to_le32(rq_psn),
        },
    };
    const PlanOp *op;

    host_connect_to(end->qp, &connection);
    for (uint32_t i = 0; (op = nth_send(end, i)); i++) {
        HostSge sge = {
            .va = space_va(end->space, op->remote, op->offset),
            .length = op->length, .key = end->space->key,
        };

        host_write_rwqe(end->qp, &sge, 1);
    }
    host_post_recv(end->qp);
    end->losses = plan->losses;
    end->since = world_of(end)->now;
}

static void pair_open(BlamePair *pair)
{
    Rng *rng = &pair->blame->rng;
    uint32_t psn[2] = { rng_next(rng) & 0xffffff, rng_next(rng) & 0xffffff };

    end_open(&pair->ends[0]);
    end_open(&pair->ends[1]);
    end_connect(&pair->ends[0], psn[0], psn[1]);
    end_connect(&pair->ends[1], psn[1], psn[0]);
}

static void pair_set(Blame *blame, uint32_t i)
{
    BlamePair *pair = &blame->pairs[i];

    pair->plan = &blame->plan->pairs[i];
    pair->blame = blame;
    for (uint32_t n = 0; n < 2; n++) {
        BlameEnd *end = &pair->ends[n];

        end->plan = &pair->plan->ends[n];
        end->pair = pair;
        end->peer = &pair->ends[!n];
        end->space = &blame->spaces[end->plan->space];
    }
    blame->counts.blame_connections += pair->plan->fate != PLAN_CLOSED;
    blame->counts.blame_excused += pair->plan->fate == PLAN_EXCUSED;
    blame->counts.blame_closed += pair->plan->fate == PLAN_CLOSED;
    if (!pair->plan->late) {
        pair_open(pair);
    }
}

static void end_close(BlameEnd *end)
{
    struct svan_cmd cmd = { .object.id = svan_cpu_to_le32(end->qp->qpn) };

    guest_must(end->space->node->guest, &cmd, SVAN_CMD_DESTROY_QP);
    end->closed_qpn = end->qp->qpn;
    guest_qp_free(end->qp);
    end->qp = NULL;
}

void blame_close(Blame *blame)
{
    for (uint32_t i = 0; i < blame->plan->num_nodes; i++) {
        drain_cqs(&blame->nodes[i]);
    }
    for (uint32_t i = 0; i < PLAN_PAIRS; i++) {
        if (blame->pairs[i].plan->fate == PLAN_CLOSED) {
            blame->pairs[i].closed = true;
            end_close(&blame->pairs[i].ends[0]);
            end_close(&blame->pairs[i].ends[1]);
        }
    }
}

void blame_inherit(void *arg)
{
    Blame *blame = arg;

    for (uint32_t i = 0; i < PLAN_PAIRS; i++) {
        if (blame->pairs[i].plan->late) {
            pair_open(&blame->pairs[i]);
        }
    }
}

/* ---- all of it ---- */

static void node_set(Blame *blame, uint32_t id)
{
    BlameNode *node = &blame->nodes[id];

    node->blame = blame;
    node->rng = rng_make(blame->world->seed, 800 + id);
    node->guest = guest_new(&blame->world->nodes[id], RING_RAM);
    node->guest->user = blame;
    node->guest->async = on_async;
    pages_set(node);
    for (uint32_t i = 0; i < BLAME_CQS; i++) {
        node->cqs[i] = guest_cq_new(node->guest, CQ_LOG);
    }
    world_after(blame->world, rng_below(&node->rng, LOOK_NS), look, node);
}

Blame *blame_new(World *world, const PlanModel *model)
{
    Blame *blame = calloc(1, sizeof(*blame));

    blame->world = world;
    blame->rng = rng_make(world->seed, 900);
    blame->plan = plan_new(model, world->model->num_nodes, world->seed);
    world->irq = guest_irq;
    world->may_disturb = may_disturb;
    world->user = blame;
    for (uint32_t i = 0; i < blame->plan->num_nodes; i++) {
        node_set(blame, i);
    }
    for (uint32_t i = 0; i < blame->plan->num_spaces; i++) {
        if (!blame->plan->spaces[i].life) {
            space_set(blame, &blame->spaces[i]);
        }
    }
    for (uint32_t i = 0; i < PLAN_PAIRS; i++) {
        pair_set(blame, i);
    }
    return blame;
}

static bool pair_done(const BlamePair *pair)
{
    if (pair->plan->fate == PLAN_CLOSED) {
        return pair->closed;
    }
    return pair->ends[0].qp && !is_running(&pair->ends[0]) &&
           !is_running(&pair->ends[1]);
}

bool blame_done(Blame *blame)
{
    bool done = !blame->answers;

    for (uint32_t i = 0; done && i < PLAN_PAIRS; i++) {
        done = pair_done(&blame->pairs[i]);
    }
    if (!done && blame->world->now > blame->plan->limit) {
        world_fail(blame->world, "it does not come to an end");
    }
    return done;
}

void blame_free(Blame *blame)
{
    for (uint32_t i = 0; i < 2 * PLAN_PAIRS; i++) {
        BlameEnd *end = &blame->pairs[i / 2].ends[i % 2];

        if (end->qp) {
            guest_qp_free(end->qp);
        }
    }
    for (uint32_t i = 0; i < blame->plan->num_nodes; i++) {
        guest_free(blame->nodes[i].guest);
    }
    plan_free(blame->plan);
    free(blame);
}
