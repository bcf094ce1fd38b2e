/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device with two virtual functions that do no wrong, and a hostile third one. Each may
 * reach its own memory alone, as behind an IOMMU.
 */
#ifndef TESTS_FUZZ_VF_H
#define TESTS_FUZZ_VF_H

#include "fuzz_input.h"
#include "fuzz_vf_group.h"

#define HOSTILE_FN      (VFS + 1)
#define HOSTILE_BYTES   (512u << 10)
#define HOSTILE_BUFFER  16384u
#define GOOD_LENGTH     6000u   /* octets of a message, more than a packet */
#define GOOD_RUNS       4000u   /* in which an exchange is over */

typedef struct Hostile {
    Host *host;
    HostCq cq;
    HostQp qp, eth;             /* qp is its own peer */
    HostQp ud;
    Vf demand;                  /* of which it has the pages and their queue alone */
    uint64_t bus, buffer;       /* its memory, and a part of it */
} Hostile;

/* Who writes to a function's pages: the physical function, or the other virtual one. */
typedef struct Writer {
    Vf *to;
    HostQp *qp;
    HostCq *cq;
    uint64_t buffer;
} Writer;

typedef struct Ward {
    Fake *fake;
    Vfs *vfs;
    Listeners *listeners;
    Hostile hostile;
    HostCq cq;
    HostQp between[VFS];        /* the two virtual functions, each other's peer */
    uint8_t round;
} Ward;

/* Others reach all memory but the hostile function's, and that one no other. */
static inline bool ward_permits(void *arg, uint16_t fn, uint64_t bus, bool for_write)
{
    const Ward *ward = arg;
    bool is_hostile_s = bus - ward->hostile.bus < HOSTILE_BYTES;

    if (fn != HOSTILE_FN && is_hostile_s) {
        fake_die("function %u reaches for memory of another", fn);
    }
    return (fn == HOSTILE_FN) == is_hostile_s;
}

static inline void ward_init(Ward *ward)
{
    static const FakeHooks hooks = { .permits = ward_permits };
    SvanConfig config = fake_config;

    config.num_vfs = HOSTILE_FN;
    ward->fake = vfs_fake(&config, &hooks, ward);
}

/* The hostile function's driver begins anew: its memory is what it was before. */
static inline void hostile_set(Ward *ward)
{
    HostQpAttr eth = { .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED };
    HostQpAttr ud = { .type = SVAN_QPT_UD };
    Hostile *bad = &ward->hostile;
    Fake *fake = ward->fake;

    host_destroy(bad->host);
    fake->used = bad->bus - fake->bus;
    bad->host = host_create(fake, HOSTILE_FN, 9);
    bad->cq = host_cq(bad->host, 6);
    bad->qp = host_qp(bad->host, &bad->cq, &bad->cq, NULL);
    bad->eth = host_qp(bad->host, &bad->cq, &bad->cq, &eth);
    bad->ud = host_qp(bad->host, &bad->cq, &bad->cq, &ud);
    bad->buffer = fake_alloc(fake, HOSTILE_BUFFER, 4096);
    bad->demand = (Vf) {
        .host = bad->host, .prq = page_queue(bad->host, SVAN_PRQ_MIN_LOG_SIZE),
    };
    vf_make_key(&bad->demand);
    page_queue_lend(bad->host, 2);
    host_connect(&bad->qp, &bad->qp);
    host_eth_rts(&bad->eth);
    host_datagrams(&bad->ud, LISTEN_QKEY);
    for (uint32_t i = 0; i < 4; i++) {
        host_recv(&bad->qp, bad->buffer + i * 4096, 4096);
    }
    if (fake->used > bad->bus + HOSTILE_BYTES - fake->bus) {
        fake_die("the hostile function needs more memory than it has");
    }
    fake->used = bad->bus + HOSTILE_BYTES - fake->bus;
}

/* Whether the physical function lets it send no frames of another's. */
static inline void hostile_checked(Ward *ward, bool checked)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FUNCTION);

    cmd.set_function.function = htole32(HOSTILE_FN);
    cmd.set_function.mask = htole32(SVAN_SET_FUNCTION_SPOOF_CHECK);
    cmd.set_function.attr.flags = checked ? SVAN_FUNCTION_SPOOF_CHECK : 0;
    host_must(ward->vfs->pf, &cmd);
}

/* The memory of the others' keys shows what they were sent, and nothing else. */
static inline void ward_begin(Ward *ward)
{
    Vf *vf;

    ward->hostile = (Hostile) { 0 };
    ward->vfs = vfs_new_in(ward->fake);
    vf = ward->vfs->vf;
    ward->cq = host_cq(vf[0].host, 4);
    ward->between[0] = host_qp(vf[0].host, &ward->cq, &ward->cq, NULL);
    ward->between[1] = host_qp(vf[1].host, &vf[1].cq, &vf[1].cq, NULL);
    host_connect(&ward->between[0], &ward->between[1]);
    ward->listeners = listeners_new(ward->vfs);
    ward->hostile.bus = fake_alloc(ward->fake, 4096, 4096);
    ward->round = 0;
    hostile_set(ward);
}

static inline void ward_end(Ward *ward)
{
    host_destroy(ward->hostile.host);
    free(ward->listeners);
    vfs_drop(ward->vfs);
    fake_recycle(ward->fake);
}

static inline void ward_run(Ward *ward, uint32_t runs)
{
    while (runs--) {
        svan_run(ward->fake->core);
    }
}

/* A page that was not written is as it was: zero. */
static inline void good_check(Ward *ward, const Writer *writer)
{
    static const uint8_t zeroes[SVAN_PAGE_SIZE];
    const uint8_t *pages = fake_ram(ward->fake, writer->to->pages);
    uint32_t fn = writer->to->host->fn;

    if (memcmp(pages, fake_ram(ward->fake, writer->buffer), GOOD_LENGTH)) {
        fake_die("what function %u was sent did not arrive", fn);
    }
    for (uint32_t page = 2; page < VF_PAGES; page++) {
        if (memcmp(pages + page * SVAN_PAGE_SIZE, zeroes, SVAN_PAGE_SIZE)) {
            fake_die("page %u of function %u was stored to", page, fn);
        }
    }
}

/* Its pages are absent when it is written to. */
static inline void good_exchange(Ward *ward, const Writer *writer)
{
    Vf *vf = writer->to;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = writer->buffer, .length = GOOD_LENGTH, .remote = VF_VA, .rkey = vf->key,
    };
    struct svan_cqe cqe;
    uint32_t runs = 0;

    memset(fake_ram(ward->fake, writer->buffer), ++ward->round, GOOD_LENGTH);
    vf_unmap_all(vf);
    host_send(writer->qp, &send);
    host_post(writer->qp);
    while (!host_cq_poll(writer->cq, &cqe)) {
        svan_run(ward->fake->core);
        if (vf_requested(vf)) {
            vf_say_resolved(vf);
        }
        if (++runs == GOOD_RUNS) {
            fake_die("what function %u is sent does not come to an end", vf->host->fn);
        }
    }
    if (cqe.status != SVAN_CQE_SUCCESS) {
        fake_die("what function %u is sent ends with status %u", vf->host->fn,
                 cqe.status);
    }
    good_check(ward, writer);
}

static inline void ward_exchange(Ward *ward)
{
    Vf *vf = ward->vfs->vf;
    const Writer writers[] = {
        { &vf[0], &vf[0].pf_qp, &vf[0].pf_cq, vf[0].buffer },
        { &vf[1], &vf[1].pf_qp, &vf[1].pf_cq, vf[1].buffer },
        { &vf[1], &ward->between[0], &ward->cq, vf[0].buffer },
    };

    for (uint32_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        good_exchange(ward, &writers[i]);
    }
    listeners_exchange(ward->listeners);
    if (host_fn(vf[0].host)->fatal || host_fn(vf[1].host)->fatal ||
        host_fn(ward->vfs->pf)->fatal) {
        fake_die("a function that did no wrong is out of service");
    }
}

#endif /* TESTS_FUZZ_VF_H */
