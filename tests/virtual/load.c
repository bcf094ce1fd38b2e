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
    Load *load;
    HostQp a, b;                /* requester, responder */
    Op op;
    uint32_t head, tail;        /* of the operations under way, in order */
    struct {
        uint64_t start;
        uint32_t bytes;
    } ops[MAX_OUTSTANDING];
} LoadQp;

struct Load {
    Trial *trial;
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
    Pager *pager = load->trial->pager;
    HostSge sge = {
        .va = pager_draw(pager, &load->rng, 1), .length = PAGE,
        .key = pager_key(pager),
    };

    host_write_rwqe(&qp->b, &sge, 1);
    host_post_recv(&qp->b);
}

static uint32_t draw_bytes(Load *load, Op op)
{
    return op == OP_STREAM ? largest[op] >> rng_below(&load->rng, 3) :
                             largest[op];
}

static void post(void *arg)
{
    LoadQp *qp = arg;
    Load *load = qp->load;
    Trial *trial = load->trial;
    uint32_t bytes = draw_bytes(load, qp->op);
    HostSend send = {
        .opcode = qp->op == OP_SEND ? SVAN_WQE_SEND : SVAN_WQE_RDMA_WRITE,
        .flags = SVAN_WQE_SIGNALED, .addr = load->source, .length = bytes,
    };

    if (qp->op != OP_SEND) {
        send.remote = pager_draw(trial->pager, &load->rng, bytes / PAGE);
        send.rkey = pager_key(trial->pager);
    }
    qp->ops[qp->tail % MAX_OUTSTANDING].start = trial->world->now;
    qp->ops[qp->tail++ % MAX_OUTSTANDING].bytes = bytes;
    host_send(&qp->a, &send);
    host_post(&qp->a);
}

/* Exponential, so that there is no beat. */
static void post_later(LoadQp *qp)
{
    Load *load = qp->load;
    double u = (rng_next(&load->rng) >> 11) * 0x1p-53 + 0x1p-54;
    double mean = load->think[qp->op];

    world_after(load->trial->world, -log(u) * mean, post, qp);
}

/* ---- completions ---- */

static void count(Load *load, LoadQp *qp, uint64_t start, uint32_t bytes)
{
    Result *result = load->result;
    uint64_t since = load->trial->world->now - load->began;

    hist_add(&result->ops[qp->op], load->trial->world->now - start);
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
        post_later(qp);
    } else {
        post(qp);
    }
}

void load_look(Trial *trial)
{
    Load *load = trial->load;
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

void load_measure(Trial *trial, Result *result)
{
    trial->load->result = result;
    trial->load->began = trial->world->now;
}

/* ---- life ---- */

static void connect(Trial *trial, LoadQp *qp)
{
    HostConnection to_a = host_connection(&qp->a);
    HostConnection to_b = host_connection(&qp->b);

    to_a.attr.min_rnr_timer = trial->run->config->min_rnr_timer;
    host_connect_to(&qp->a, &to_b);
    host_connect_to(&qp->b, &to_a);
}

static void make_qp(Load *load, uint32_t index)
{
    static const HostQpAttr attr_a = {
        .log_sq = 3, .log_rq = 1, .max_sge = 1,
    };
    static const HostQpAttr attr_b = {
        .log_sq = 1, .log_rq = LOG_RECEIVES, .max_sge = 1,
    };
    Trial *trial = load->trial;
    LoadQp *qp = &load->qps[index];

    qp->load = load;
    qp->a = host_qp(trial->hosts[REQUESTER], &load->scq, &load->rcq_a,
                    &attr_a);
    qp->b = host_qp(trial->hosts[RESPONDER], &load->scq_b, &load->rcq,
                    &attr_b);
    load->by_qpn[REQUESTER][qp->a.qpn & (2 * NUM_QPS - 1)] = index;
    load->by_qpn[RESPONDER][qp->b.qpn & (2 * NUM_QPS - 1)] = index;
    qp->op = trial->run->workload == WORKLOAD_MIX ? index % OP_COUNT :
                                                    trial->run->workload;
    connect(trial, qp);
    if (qp->op == OP_SEND) {
        for (uint32_t i = 0; i < 1u << LOG_RECEIVES; i++) {
            post_receive(load, qp);
        }
    }
}

static void set_policy(Trial *trial)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);

    cmd.fault_policy.policy = trial->run->config->policy;
    host_must(trial->hosts[RESPONDER], &cmd);
}

/* Think times that offer the link each operation's share of the load. */
static void set_think(Load *load)
{
    const Run *run = load->trial->run;
    double rate = LINK_BYTES_NS * run->scenario->load_ppm / 1e6;

    for (uint32_t op = 0; op < OP_COUNT && rate > 0; op++) {
        double mean = op == OP_STREAM ? largest[op] * 7 / 12.0 : largest[op];

        load->think[op] = mean * outstanding[op] * NUM_QPS / rate;
    }
}

static void start(Load *load)
{
    for (uint32_t i = 0; i < NUM_QPS; i++) {
        LoadQp *qp = &load->qps[i];

        for (uint32_t n = 0; n < outstanding[qp->op]; n++) {
            if (load->think[qp->op] > 0) {
                post_later(qp);
            } else {
                world_after(load->trial->world,
                            rng_below(&load->rng, 100 * US), post, qp);
            }
        }
    }
}

Load *load_create(Trial *trial)
{
    Load *load = fake_must(calloc(1, sizeof(*load)));
    Host *a = trial->hosts[REQUESTER], *b = trial->hosts[RESPONDER];

    load->trial = trial;
    load->rng = rng_make(trial->run->seed, 3);
    load->scq = host_cq(a, CQ_LOG);
    load->rcq_a = host_cq(a, 4);
    load->scq_b = host_cq(b, 4);
    load->rcq = host_cq(b, CQ_LOG);
    load->source = fake_alloc(a->fake, SOURCE, PAGE);
    for (uint32_t i = 0; i < NODES; i++) {
        load->by_qpn[i] = fake_must(calloc(2 * NUM_QPS, sizeof(uint32_t)));
    }
    set_policy(trial);
    set_think(load);
    for (uint32_t i = 0; i < NUM_QPS; i++) {
        make_qp(load, i);
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
