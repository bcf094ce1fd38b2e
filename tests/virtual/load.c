/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the queue pairs do: a fixed number of operations each, the next one
 * posted when one completes, or a while later.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "virtual.h"

#define PAGE            SVAN_PAGE_SIZE
#define MAX_OUTSTANDING 4u
#define LOG_RECEIVES    3               /* more than are outstanding */
#define CQ_LOG          14
#define SOURCE          (1u << 20)
#define LINK_BYTES_NS   12.5

/* Operations of a queue pair at a time. */
static const uint32_t outstanding[OP_COUNT] = {
    [OP_RANDOM] = 4, [OP_STREAM] = 1, [OP_SEND] = 4,
};

/* Bytes of the largest; a stream is as long as that, a half or a quarter. */
static const uint32_t largest[OP_COUNT] = {
    [OP_RANDOM] = PAGE, [OP_STREAM] = SOURCE, [OP_SEND] = PAGE,
};

typedef struct LoadQp {
    HostQp a, b;                /* requester, responder */
    Op op;
    uint32_t head, tail;        /* of the operations under way, in order */
    struct {
        uint64_t start;
        uint32_t bytes;
    } ops[MAX_OUTSTANDING];
} LoadQp;

struct Load {
    World *world;
    Rng rng;
    HostCq scq, rcq_a, scq_b, rcq;
    uint64_t source;            /* bus address */
    uint32_t *by_qpn[NODES];    /* index of the QPN to ours */
    Result *result;             /* NULL: nothing is measured */
    uint64_t began;
    double think[OP_COUNT];     /* mean, ns */
    LoadQp qps[NUM_QPS];
};

/* ---- operations ---- */

static void post_receive(Load *load, LoadQp *qp)
{
    uint32_t slot = qp->b.rq_pi & ((1u << qp->b.log_rq) - 1);
    struct svan_rwqe *rwqe = fake_ram(qp->b.host->fake, qp->b.rq_bus +
                                      ((uint64_t)slot << qp->b.log_stride));
    Pager *pager = load->world->pager;

    host_recv(&qp->b, 0, PAGE);
    svan_sge_set(&rwqe->sge[0], pager_draw(pager, &load->rng, 1), PAGE,
                 pager_key(pager));
}

static uint32_t draw_bytes(Load *load, Op op)
{
    return op == OP_STREAM ? largest[op] >> rng_below(&load->rng, 3) :
                             largest[op];
}

static void post(World *world, uint64_t index)
{
    Load *load = world->load;
    LoadQp *qp = &load->qps[index];
    uint32_t bytes = draw_bytes(load, qp->op);
    HostSend send = {
        .opcode = qp->op == OP_SEND ? SVAN_WQE_SEND : SVAN_WQE_RDMA_WRITE,
        .flags = SVAN_WQE_SIGNALED, .addr = load->source, .length = bytes,
    };

    if (qp->op != OP_SEND) {
        send.remote = pager_draw(world->pager, &load->rng, bytes / PAGE);
        send.rkey = pager_key(world->pager);
    }
    qp->ops[qp->tail % MAX_OUTSTANDING].start = world->now;
    qp->ops[qp->tail++ % MAX_OUTSTANDING].bytes = bytes;
    host_send(&qp->a, &send);
    host_post(&qp->a);
    world_touch(world, REQUESTER);
}

/* Exponential, so that there is no beat. */
static void post_later(Load *load, uint32_t index)
{
    double u = (rng_next(&load->rng) >> 11) * 0x1p-53 + 0x1p-54;
    double mean = load->think[load->qps[index].op];

    world_after(load->world, -log(u) * mean, post, index);
}

/* ---- completions ---- */

static void count(Load *load, LoadQp *qp, uint64_t start, uint32_t bytes)
{
    Result *result = load->result;
    uint64_t since = load->world->now - load->began;

    hist_add(&result->ops[qp->op], load->world->now - start);
    result->bytes += bytes;
    if (since < result->span) {
        result->samples[since * SAMPLES / result->span] += bytes;
    }
}

static void complete(Load *load, const struct svan_cqe *cqe)
{
    uint32_t index = load->by_qpn[REQUESTER][le32toh(cqe->qpn) &
                                             (2 * NUM_QPS - 1)];
    LoadQp *qp = &load->qps[index];
    uint32_t slot = qp->head++ % MAX_OUTSTANDING;

    if (cqe->status != SVAN_CQE_SUCCESS) {
        return;                 /* it is counted; the queue pair is dead */
    }
    if (load->result) {
        count(load, qp, qp->ops[slot].start, qp->ops[slot].bytes);
    }
    if (load->think[qp->op] > 0) {
        post_later(load, index);
    } else {
        post(load->world, index);
    }
}

void load_look(World *world)
{
    Load *load = world->load;
    struct svan_cqe cqe;

    while (host_cq_poll(&load->scq, &cqe)) {
        complete(load, &cqe);
    }
    while (host_cq_poll(&load->rcq, &cqe)) {
        if (cqe.status == SVAN_CQE_SUCCESS) {
            post_receive(load, &load->qps[
                load->by_qpn[RESPONDER][le32toh(cqe.qpn) &
                                        (2 * NUM_QPS - 1)]]);
        }
    }
}

void load_measure(World *world, Result *result)
{
    world->load->result = result;
    world->load->began = world->now;
}

/* ---- life ---- */

static void connect(World *world, LoadQp *qp)
{
    SvanQp *core;

    host_connect(&qp->a, &qp->b);
    core = svan_qp_get(host_fn(qp->b.host), qp->b.qpn);
    core->min_rnr_timer = world->run->config->min_rnr_timer;
}

static void make_qp(World *world, uint32_t index)
{
    static const HostQpAttr attr_a = {
        .log_sq = 3, .log_rq = 1, .max_sge = 1,
    };
    static const HostQpAttr attr_b = {
        .log_sq = 1, .log_rq = LOG_RECEIVES, .max_sge = 1,
    };
    Load *load = world->load;
    LoadQp *qp = &load->qps[index];

    qp->a = host_qp(world->nodes[REQUESTER].host, &load->scq, &load->rcq_a,
                    &attr_a);
    qp->b = host_qp(world->nodes[RESPONDER].host, &load->scq_b, &load->rcq,
                    &attr_b);
    load->by_qpn[REQUESTER][qp->a.qpn & (2 * NUM_QPS - 1)] = index;
    load->by_qpn[RESPONDER][qp->b.qpn & (2 * NUM_QPS - 1)] = index;
    qp->op = world->run->workload == WORKLOAD_MIX ? index % OP_COUNT :
                                                    world->run->workload;
    connect(world, qp);
    if (qp->op == OP_SEND) {
        for (uint32_t i = 0; i < 1u << LOG_RECEIVES; i++) {
            post_receive(load, qp);
        }
    }
}

static void set_policy(World *world)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);

    cmd.fault_policy.policy = world->run->config->policy;
    host_must(world->nodes[RESPONDER].host, &cmd);
}

/* Think times that offer the link each operation's share of the load. */
static void set_think(Load *load)
{
    const Run *run = load->world->run;
    double rate = LINK_BYTES_NS * run->scenario->load_ppm / 1e6;

    for (uint32_t op = 0; op < OP_COUNT && rate > 0; op++) {
        double mean = op == OP_STREAM ? largest[op] * 7 / 12.0 : largest[op];

        load->think[op] = mean * outstanding[op] * NUM_QPS / rate;
    }
}

static void start(Load *load)
{
    for (uint32_t i = 0; i < NUM_QPS; i++) {
        for (uint32_t n = 0; n < outstanding[load->qps[i].op]; n++) {
            if (load->think[load->qps[i].op] > 0) {
                post_later(load, i);
            } else {
                world_after(load->world, rng_below(&load->rng, 100 * US), post,
                            i);
            }
        }
    }
}

Load *load_create(World *world)
{
    Load *load = must(calloc(1, sizeof(*load)));
    Host *a = world->nodes[REQUESTER].host, *b = world->nodes[RESPONDER].host;

    world->load = load;
    load->world = world;
    load->rng = rng_make(world->run->seed, 3);
    load->scq = host_cq(a, CQ_LOG);
    load->rcq_a = host_cq(a, 4);
    load->scq_b = host_cq(b, 4);
    load->rcq = host_cq(b, CQ_LOG);
    load->source = fake_alloc(a->fake, SOURCE, PAGE);
    for (uint32_t i = 0; i < NODES; i++) {
        load->by_qpn[i] = must(calloc(2 * NUM_QPS, sizeof(uint32_t)));
    }
    set_policy(world);
    set_think(load);
    for (uint32_t i = 0; i < NUM_QPS; i++) {
        make_qp(world, i);
    }
    start(load);
    return load;
}

void load_destroy(Load *load)
{
    free(load->by_qpn[REQUESTER]);
    free(load->by_qpn[RESPONDER]);
    free(load);
}
