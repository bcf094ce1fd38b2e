/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual functions of one device, each with memory on demand, the driver's half of its
 * page requests, and a connection with the physical function. All have the same
 * addresses, and the numbers of their keys, queue pairs and page requests are alike.
 */
#ifndef TESTS_VF_H
#define TESTS_VF_H

#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "page_queue.h"

#define VFS             2
#define VF_PAGES        32u
#define VF_VA           0x7f0000000000ull
#define VF_PAGE(n)      (VF_VA + (n) * SVAN_PAGE_SIZE)
#define VF_SPARES       4u
#define VF_BUFFER       65536u
#define VF_FAULT_BUFFER (64u << 10)
#define VF_PRQ_LOG      6
#define VF_RAM          (16u << 20)

typedef struct Vf {
    Host *host;
    HostCq cq, pf_cq;
    HostQp qp, pf_qp;           /* each other's peer */
    PageQueue prq;
    uint64_t *table;            /* leaves of its key */
    uint64_t pages;             /* bus address */
    uint32_t key;
    uint64_t buffer;            /* bus address; memory that is always there */
    struct svan_page_request last;
} Vf;

typedef struct Vfs {
    Fake *fake;
    Host *pf;
    Vf vf[VFS];
} Vfs;

#define VF_STAT(vf, name)       (host_fn((vf)->host)->stats->name)

static inline uint8_t vf_octet(const Vf *vf, uint32_t i)
{
    return i * 7 + i / 251 + vf->host->fn * 31;
}

static inline void vf_make_key(Vf *vf)
{
    Fake *fake = vf->host->fake;
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 1, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(vf->host->pd), .va = htole64(VF_VA),
        .length = htole64(VF_PAGES * SVAN_PAGE_SIZE),
    };
    uint64_t table = fake_alloc(fake, 4096, 4096);

    key.table = htole64(table);
    vf->table = fake_ram(fake, table);
    vf->pages = fake_alloc(fake, VF_PAGES * SVAN_PAGE_SIZE, 4096);
    vf->key = host_key(vf->host, &key);
}

static inline void vf_make(Vfs *vfs, uint16_t fn)
{
    Vf *vf = &vfs->vf[fn - 1];
    Host *host = host_create(vfs->fake, fn, 1 + fn);

    vf->host = host;
    vf->cq = host_cq(host, 6);
    vf->pf_cq = host_cq(vfs->pf, 6);
    vf->qp = host_qp(host, &vf->cq, &vf->cq, NULL);
    vf->pf_qp = host_qp(vfs->pf, &vf->pf_cq, &vf->pf_cq, NULL);
    host_connect(&vf->qp, &vf->pf_qp);
    vf_make_key(vf);
    vf->prq = page_queue(host, VF_PRQ_LOG);
    page_queue_consumed(&vf->prq, true);
    page_queue_lend(host, VF_SPARES);
    vf->buffer = fake_alloc(vfs->fake, VF_BUFFER, 4096);
    for (uint32_t i = 0; i < VF_BUFFER; i++) {
        *(uint8_t *)fake_ram(vfs->fake, vf->buffer + i) = vf_octet(vf, i);
    }
}

/* A machine for them; config: but for the fault buffer. hooks NULL: none. */
static inline Fake *vfs_fake(const SvanConfig *config, const FakeHooks *hooks, void *arg)
{
    FakeSetup setup = {
        .config = *config, .bus = FAKE_RAM_BASE, .ram_size = VF_RAM, .hooks = hooks,
        .hooks_arg = arg,
    };

    setup.config.fault_buffer = VF_FAULT_BUFFER;
    return fake_create_as(&setup);
}

/* In a machine that is new, and has so many virtual functions at least. */
static inline Vfs *vfs_new_in(Fake *fake)
{
    Vfs *vfs = fake_must(calloc(1, sizeof(*vfs)));

    vfs->fake = fake;
    vfs->pf = host_create(vfs->fake, 0, 1);
    for (uint16_t fn = 1; fn <= VFS; fn++) {
        vf_make(vfs, fn);
    }
    return vfs;
}

/* All but the machine. */
static inline void vfs_drop(Vfs *vfs)
{
    for (uint32_t i = 0; i < VFS; i++) {
        host_destroy(vfs->vf[i].host);
    }
    host_destroy(vfs->pf);
    free(vfs);
}

static inline void vfs_free(Vfs *vfs)
{
    fake_destroy(vfs->fake);
    vfs_drop(vfs);
}

/* ---- its driver ---- */

static inline void vf_map(Vf *vf, uint32_t page)
{
    vf->table[page] = htole64(svan_mtt_present(vf->pages + page * SVAN_PAGE_SIZE, true));
}

/* The next request; false: none. */
static inline bool vf_requested(Vf *vf)
{
    if (!page_queue_take(&vf->prq, &vf->last)) {
        return false;
    }
    page_queue_consumed(&vf->prq, true);
    return true;
}

/* Answer the last request; the device has not run since. */
static inline void vf_say(Vf *vf, uint8_t status, uint64_t ns)
{
    page_queue_answer(&vf->prq, &(struct svan_page_response) {
        .token = vf->last.token, .status = status, .time_ns = htole64(ns),
        .fault_class = SVAN_FAULT_SWAP_IN,
    });
}

/* The page of the last request comes; the device has not run since. */
static inline void vf_say_resolved(Vf *vf)
{
    vf_map(vf, (le64toh(vf->last.addr) - VF_VA) / SVAN_PAGE_SIZE);
    vf_say(vf, SVAN_PAGE_RESOLVED, 0);
}

/* None of its pages is there any more. */
static inline void vf_unmap_all(Vf *vf)
{
    for (uint32_t page = 0; page < VF_PAGES; page++) {
        vf->table[page] = htole64(svan_mtt_absent(SVAN_FAULT_SWAP_IN, 0));
    }
    host_invalidate_key(vf->host, vf->key, VF_VA, VF_PAGES * SVAN_PAGE_SIZE);
}

/* ---- transfers ---- */

/* From memory that is there to its page, by the physical function; posted. */
static inline void vf_be_written(Vf *vf, uint32_t page, uint32_t length)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = vf->buffer, .length = length, .remote = VF_PAGE(page),
        .rkey = vf->key,
    };

    host_send(&vf->pf_qp, &send);
    host_post(&vf->pf_qp);
}

static inline void vf_set_mode(Vf *vf, uint8_t mode)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);

    cmd.fault_policy.qpn = htole32(vf->qp.qpn);
    svan_policy_default(&cmd.fault_policy.policy);
    cmd.fault_policy.policy.mode = mode;
    host_must(vf->host, &cmd);
}

static inline const SvanPaging *vf_paging(Vf *vf)
{
    return host_fn(vf->host)->paging;
}

#endif /* TESTS_VF_H */
