/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue pair of any kind with a transport that does nothing.
 */
#ifndef TESTS_MUTE_KIND_H
#define TESTS_MUTE_KIND_H

#include "unit.h"

#define A(name)         SVAN_QP_ATTR_##name
#define OWN_QKEY        0x1234u

static uint32_t received;

static inline bool mute_create(SvanQp *qp)
{
    return true;
}

static inline void mute_destroy(SvanQp *qp)
{
}

static inline void mute_enter(SvanQp *qp, uint8_t old)
{
}

static inline SvanStep mute_step(SvanQp *qp)
{
    return SVAN_STEP_IDLE;
}

static inline SvanStep mute_rx(SvanQp *qp, const SvanPkt *pkt)
{
    received++;
    return SVAN_STEP_DONE;
}

static const SvanTransport mute = {
    .name = "mute", .create = mute_create, .destroy = mute_destroy,
    .enter = mute_enter, .step = mute_step, .rx = mute_rx,
};

typedef struct Bench {
    SvanQpKind kinds[SVAN_QP_KINDS];
    Host *host;
    HostCq cq;
    HostQp qp;
    SvanQp *core;
    struct svan_cmd_modify_qp attrs;
} Bench;

static inline Bench *bench_new(uint8_t type)
{
    Bench *bench = calloc(1, sizeof(*bench));
    HostQpAttr attr = {
        .type = type, .log_sq = 6, .log_rq = 4, .max_sge = 2,
        .flags = type == SVAN_QPT_GSI ? SVAN_CMD_QP_PRIVILEGED : 0,
    };
    SvanFn *fn;

    bench->host = host_create(fake_create(NULL), 0, 1);
    fn = host_fn(bench->host);
    memcpy(bench->kinds, svan_qp_kinds, sizeof(bench->kinds));
    bench->kinds[type].transport = &mute;
    fn->qps->kinds = bench->kinds;
    bench->cq = host_cq(bench->host, 4);
    bench->qp = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    bench->core = svan_qp_get(fn, bench->qp.qpn);
    bench->attrs.attr = (struct svan_qp_attr) {
        .port = 1, .log_mtu = 10, .dest_qpn = htole32(5),
        .qkey = htole32(OWN_QKEY),
    };
    bench->attrs.av.dgid[15] = 7;
    return bench;
}

static inline void bench_free(Bench *bench)
{
    fake_destroy(bench->host->fake);
    host_destroy(bench->host);
    free(bench);
}

static inline uint8_t move(Bench *bench, uint8_t to, uint32_t mask)
{
    return host_modify(&bench->qp, to, mask, &bench->attrs);
}

#endif /* TESTS_MUTE_KIND_H */
