/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection beside the hostile one, with queues, a key and memory of its own.
 * Nobody wrongs it: what it writes arrives, before and after the hostile input.
 */
#ifndef TESTS_FUZZ_BYSTANDER_H
#define TESTS_FUZZ_BYSTANDER_H

#include <string.h>

#include "inside.h"

/*
 * It lies at the bottom of memory. What the others do goes upwards from their own
 * memory, or begins below it by so much at most; a large page of theirs shows what
 * lies at STAGE_VA from the bottom on.
 */
#define BYSTANDER_DISTANCE      (64u << 10)
#define BYSTANDER_END           (64u << 10)
#define BYSTANDER_LENGTH        6000u   /* octets, more than a packet */

typedef struct Bystander {
    HostCq cq;
    HostQp from, to;
    uint32_t key;
    uint64_t source, target;
    uint8_t round;
} Bystander;

static inline Bystander bystander_set(Host *host)
{
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(host->pd), .length = htole64(4 * 4096),
    };
    Bystander by = { 0 };

    by.cq = host_cq(host, 4);
    by.from = host_qp(host, &by.cq, &by.cq, NULL);
    by.to = host_qp(host, &by.cq, &by.cq, NULL);
    by.source = fake_alloc(host->fake, 4 * 4096, 4096);
    by.target = by.source + 2 * 4096;
    key.table = key.va = htole64(by.source);
    by.key = host_key(host, &key);
    host_connect(&by.from, &by.to);
    if (fake_alloc(host->fake, BYSTANDER_DISTANCE, 4096) >
        FAKE_RAM_BASE + BYSTANDER_END) {
        fake_die("the bystander is too large");
    }
    return by;
}

static inline bool is_bystander(const Bystander *by, uint32_t qpn)
{
    return qpn == by->from.qpn || qpn == by->to.qpn;
}

/* Others may have much to do, and have filled the queue of frames. */
static inline bool bystander_waits(Bystander *by, struct svan_cqe *cqe)
{
    Fake *fake = by->from.host->fake;

    for (uint32_t n = 0; n < 100; n++) {
        for (uint32_t i = 0; i < 200; i++) {
            svan_run(fake->core);
            if (host_cq_poll(&by->cq, cqe)) {
                return true;
            }
        }
        fake->now += 10000000;
    }
    return false;
}

/* A function that is out of service has wronged everybody. */
static inline void bystander_check(Bystander *by)
{
    Fake *fake = by->from.host->fake;
    uint8_t *source = fake_ram(fake, by->source);
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = by->source, .lkey = by->key, .length = BYSTANDER_LENGTH,
        .remote = by->target, .rkey = by->key,
    };
    struct svan_cqe cqe;

    if (host_fn(by->from.host)->fatal) {
        return;
    }
    fake->miss_every = 0;
    fake->out_full = false;
    svan_tx_ready(fake->core);
    memset(source, ++by->round, BYSTANDER_LENGTH);
    host_send(&by->from, &send);
    host_post(&by->from);
    if (!bystander_waits(by, &cqe)) {
        fake_die("a bystander does not complete");
    }
    if (cqe.status != SVAN_CQE_SUCCESS) {
        fake_die("a bystander completes with status %u", cqe.status);
    }
    if (memcmp(source, fake_ram(fake, by->target), BYSTANDER_LENGTH)) {
        fake_die("what a bystander has written did not arrive");
    }
}

#endif /* TESTS_FUZZ_BYSTANDER_H */
