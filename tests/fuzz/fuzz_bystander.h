/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection beside the hostile one, with queues, a key and memory of its own, and a
 * queue pair that is the only member of a multicast group. Nobody wrongs them: what they
 * write and send arrives, before and after the hostile input.
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
#define BYSTANDER_QKEY          0x5ab1eu
#define BYSTANDER_DATAGRAM      200u
#define BYSTANDER_GRH           40u

static const uint8_t bystander_group[16] = { [10] = 0xff, 0xff, 239, 9, 9, 9 };

typedef struct Bystander {
    HostCq cq, heard_cq;
    HostQp from, to;
    HostQp member;              /* of bystander_group, to which it sends */
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
    by.heard_cq = host_cq(host, 5);
    by.member = host_qp(host, &by.cq, &by.heard_cq,
                        &(HostQpAttr) { .type = SVAN_QPT_UD });
    host_datagrams(&by.member, BYSTANDER_QKEY);
    host_join(&by.member, bystander_group);
    if (fake_alloc(host->fake, BYSTANDER_DISTANCE, 4096) >
        FAKE_RAM_BASE + BYSTANDER_END) {
        fake_die("the bystander is too large");
    }
    return by;
}

static inline bool is_bystander(const Bystander *by, uint32_t qpn)
{
    return qpn == by->from.qpn || qpn == by->to.qpn || qpn == by->member.qpn;
}

/* Others may have much to do, and have filled the queue of frames. */
static inline bool bystander_waits(Bystander *by, HostCq *cq, struct svan_cqe *cqe)
{
    Fake *fake = by->from.host->fake;

    for (uint32_t n = 0; n < 100; n++) {
        for (uint32_t i = 0; i < 200; i++) {
            svan_run(fake->core);
            if (host_cq_poll(cq, cqe)) {
                return true;
            }
        }
        fake->now += 10000000;
    }
    return false;
}

/*
 * A datagram to the group comes back, and whole. The queue of frames may be full, and then it is lost,
 * as it may be; and whoever guesses group and key may send to it, too.
 */
static inline void bystander_hears(Bystander *by)
{
    Fake *fake = by->member.host->fake;
    struct svan_av av = host_group_av(bystander_group, BYSTANDER_QKEY);
    HostWr wr = {
        .opcode = SVAN_WQE_SEND, .num_sge = 1, .av = &av,
        .sge[0] = { by->source, BYSTANDER_DATAGRAM, by->key },
    };
    uint64_t room = by->target + BYSTANDER_LENGTH + 0x100;
    HostSge sge = { room, BYSTANDER_GRH + BYSTANDER_DATAGRAM, by->key };
    struct svan_cqe cqe;

    for (uint32_t n = 0; n < 10; n++) {
        host_write_rwqe(&by->member, &sge, 1);
        host_post_recv(&by->member);
        host_write_wqe(&by->member, &wr);
        host_post(&by->member);
        if (bystander_waits(by, &by->heard_cq, &cqe) &&
            cqe.status == SVAN_CQE_SUCCESS && le32toh(cqe.src_qpn) == by->member.qpn &&
            !memcmp(fake_ram(fake, by->source), fake_ram(fake, room + BYSTANDER_GRH),
                    BYSTANDER_DATAGRAM)) {
            return;
        }
    }
    fake_die("nothing that a bystander sends to its group arrives");
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
    if (!bystander_waits(by, &by->cq, &cqe)) {
        fake_die("a bystander does not complete");
    }
    if (cqe.status != SVAN_CQE_SUCCESS) {
        fake_die("a bystander completes with status %u", cqe.status);
    }
    if (memcmp(source, fake_ram(fake, by->target), BYSTANDER_LENGTH)) {
        fake_die("what a bystander has written did not arrive");
    }
    bystander_hears(by);
}

#endif /* TESTS_FUZZ_BYSTANDER_H */
