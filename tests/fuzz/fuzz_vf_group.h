/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams beside a hostile function: a virtual function is in a multicast group, to which
 * the physical one sends, and another is in none. The hostile function may send to both, but
 * in its own name alone, and to the group it reaches the member alone.
 */
#ifndef TESTS_FUZZ_VF_GROUP_H
#define TESTS_FUZZ_VF_GROUP_H

#include "vf.h"

#define LISTEN_QKEY     0x1234u
#define LISTEN_LOG_RQ   4
#define LISTEN_ROOM     512u    /* octets of a receive */
#define LISTEN_GRH      40u
#define LISTEN_LENGTH   64u     /* of the datagrams of the physical function */
#define LISTEN_RUNS     2000u   /* in which one has come, or is lost */
#define LISTEN_TRIES    20u     /* others may have filled the receives */

static const uint8_t listen_group[16] = { [10] = 0xff, 0xff, 239, 1, 2, 3 };

typedef struct Listener {
    HostCq cq;                  /* of what it receives alone; holds as much as the queue */
    HostQp qp;
    bool member;
    uint64_t buffer;            /* bus address */
    uint32_t taken;             /* receives that were completed */
} Listener;

typedef struct Listeners {
    Vfs *vfs;
    HostCq cq;
    HostQp sender;              /* of the physical function */
    uint64_t data;
    Listener all[VFS];
    uint8_t round;
} Listeners;

static inline uint8_t *listen_at(const Listener *listener)
{
    uint32_t slot = listener->taken & ((1u << LISTEN_LOG_RQ) - 1);

    return fake_ram(listener->qp.host->fake, listener->buffer + slot * LISTEN_ROOM);
}

static inline void listen_post(Listener *listener)
{
    uint32_t slot = listener->qp.rq_pi & ((1u << LISTEN_LOG_RQ) - 1);
    uint64_t at = listener->buffer + slot * LISTEN_ROOM;

    memset(fake_ram(listener->qp.host->fake, at), 0, LISTEN_ROOM);
    host_recv(&listener->qp, at, LISTEN_ROOM);
}

static inline Listeners *listeners_new(Vfs *vfs)
{
    HostQpAttr attr = { .type = SVAN_QPT_UD, .log_rq = LISTEN_LOG_RQ };
    Listeners *listeners = fake_must(calloc(1, sizeof(*listeners)));

    listeners->vfs = vfs;
    listeners->cq = host_cq(vfs->pf, 6);
    listeners->sender = host_qp(vfs->pf, &listeners->cq, &listeners->cq, &attr);
    host_datagrams(&listeners->sender, LISTEN_QKEY);
    listeners->data = fake_alloc(vfs->fake, LISTEN_LENGTH, 64);
    for (uint32_t i = 0; i < VFS; i++) {
        Host *host = vfs->vf[i].host;
        Listener *listener = &listeners->all[i];

        listener->cq = host_cq(host, 6);
        listener->qp = host_qp(host, &vfs->vf[i].cq, &listener->cq, &attr);
        listener->buffer = fake_alloc(vfs->fake, LISTEN_ROOM << LISTEN_LOG_RQ, 64);
        host_datagrams(&listener->qp, LISTEN_QKEY);
        for (uint32_t n = 0; n < 1u << LISTEN_LOG_RQ; n++) {
            listen_post(listener);
        }
    }
    host_join(&listeners->all[0].qp, listen_group);
    listeners->all[0].member = true;
    return listeners;
}

/* Whether the datagram says that a function has sent it, by GID and MAC, which does no wrong. */
static inline bool is_of_good(const Listeners *listeners, const struct svan_cqe *cqe,
                              const uint8_t *header)
{
    const Host *hosts[] = {
        listeners->vfs->pf, listeners->vfs->vf[0].host, listeners->vfs->vf[1].host,
    };

    for (uint32_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        if (!memcmp(header + 32, hosts[i]->gids[0].gid + 12, 4) &&
            !memcmp(cqe->smac, hosts[i]->gids[0].smac, 6)) {
            return true;
        }
    }
    return false;
}

/* Is it the one that the physical function sends in this round? */
static inline bool is_of_round(const Listeners *listeners, const uint8_t *header)
{
    const uint8_t *data = fake_ram(listeners->vfs->fake, listeners->data);

    return !memcmp(header + LISTEN_GRH, data, LISTEN_LENGTH);
}

/* What has come to it may have come; how many datagrams of this round there are. */
static inline uint32_t listener_check(const Listeners *listeners, Listener *listener)
{
    uint32_t fn = listener->qp.host->fn, count = 0;
    struct svan_cqe cqe;

    while (host_cq_poll(&listener->cq, &cqe)) {
        const uint8_t *header = listen_at(listener);
        bool to_group = !memcmp(header + 36, listen_group + 12, 4);

        if (cqe.status != SVAN_CQE_SUCCESS || !(cqe.owner & SVAN_CQE_IPV4)) {
            fake_die("a datagram that function %u cannot have got", fn);
        }
        if (!to_group && memcmp(header + 36, listener->qp.host->gids[0].gid + 12, 4)) {
            fake_die("function %u gets what was sent to another", fn);
        }
        if (to_group && !listener->member) {
            fake_die("function %u is in no group, and gets what was sent to one", fn);
        }
        if (is_of_good(listeners, &cqe, header)) {
            if (!to_group || le32toh(cqe.src_qpn) != listeners->sender.qpn ||
                !is_of_round(listeners, header)) {
                fake_die("function %u gets what its sender has not sent", fn);
            }
            count++;
        }
        listener->taken++;
        listen_post(listener);
    }
    return count;
}

/* What nobody has been told of was not stored to. */
static inline void listener_check_rest(Listener *listener)
{
    static const uint8_t zeroes[LISTEN_ROOM];
    uint32_t taken = listener->taken;

    for (; listener->taken != listener->qp.rq_pi; listener->taken++) {
        if (memcmp(listen_at(listener), zeroes, LISTEN_ROOM)) {
            fake_die("memory of function %u was stored to", listener->qp.host->fn);
        }
    }
    listener->taken = taken;
}

static inline uint32_t listeners_check(Listeners *listeners)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < VFS; i++) {
        count += listener_check(listeners, &listeners->all[i]);
    }
    return count;
}

/* A datagram of the physical function reaches the member, once. */
static inline void listeners_exchange(Listeners *listeners)
{
    struct svan_av av = host_group_av(listen_group, LISTEN_QKEY);
    Fake *fake = listeners->vfs->fake;
    HostWr wr = {
        .opcode = SVAN_WQE_SEND, .num_sge = 1, .av = &av,
        .sge[0] = { listeners->data, LISTEN_LENGTH, listeners->vfs->pf->all_key },
    };

    listeners_check(listeners);
    memset(fake_ram(fake, listeners->data), 0x40 + listeners->round++ % 0x40, LISTEN_LENGTH);
    for (uint32_t n = 0; n < LISTEN_TRIES; n++) {
        uint32_t count = 0;

        host_write_wqe(&listeners->sender, &wr);
        host_post(&listeners->sender);
        for (uint32_t runs = 0; runs < LISTEN_RUNS && !count; runs++) {
            svan_run(fake->core);
            count = listeners_check(listeners);
        }
        if (count > 1) {
            fake_die("a datagram comes twice");
        }
        if (count) {
            listener_check_rest(&listeners->all[0]);
            listener_check_rest(&listeners->all[1]);
            return;
        }
    }
    fake_die("no datagram of the physical function comes to the group");
}

#endif /* TESTS_FUZZ_VF_GROUP_H */
