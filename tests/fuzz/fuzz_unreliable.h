/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue pairs whose packets nobody acknowledges, beside those of a stage: a connection of
 * type UC, datagrams of types UD and GSI, and a multicast group.
 */
#ifndef TESTS_FUZZ_UNRELIABLE_H
#define TESTS_FUZZ_UNRELIABLE_H

#include <string.h>

#include "fuzz_input.h"
#include "inside.h"

#define UNRELIABLE_QKEY         0x1234u
#define UNRELIABLE_RECEIVES     2u

typedef struct Unreliable {
    HostCq cq;                          /* of all but datagrams that arrive */
    HostCq datagram_cq;
    HostQp uc[2], ud[2], gsi;           /* both of `ud` are in the first group */
} Unreliable;

/* The second one has no members at first. */
static const uint8_t unreliable_groups[2][16] = {
    { [10] = 0xff, 0xff, 239, 1, 2, 3 }, { [10] = 0xff, 0xff, 239, 1, 2, 4 },
};

/* Its receives are for memory at `buffer`, of a page for each queue pair. */
static inline Unreliable unreliable_set(Host *host, uint64_t buffer)
{
    static const HostQpAttr uc = { .type = SVAN_QPT_UC }, ud = { .type = SVAN_QPT_UD };
    static const HostQpAttr gsi = {
        .type = SVAN_QPT_GSI, .flags = SVAN_CMD_QP_PRIVILEGED,
    };
    Unreliable set = { .cq = host_cq(host, 6), .datagram_cq = host_cq(host, 6) };

    for (uint32_t i = 0; i < 2; i++) {
        set.uc[i] = host_qp(host, &set.cq, &set.cq, &uc);
        set.ud[i] = host_qp(host, &set.cq, &set.datagram_cq, &ud);
        host_datagrams(&set.ud[i], UNRELIABLE_QKEY);
        host_join(&set.ud[i], unreliable_groups[0]);
    }
    set.gsi = host_qp(host, &set.cq, &set.datagram_cq, &gsi);
    host_datagrams(&set.gsi, UNRELIABLE_QKEY);
    host_connect(&set.uc[0], &set.uc[1]);
    for (uint32_t i = 0; i < UNRELIABLE_RECEIVES; i++) {
        host_recv(&set.uc[1], buffer, 4096);
        host_recv(&set.ud[0], buffer + 4096, 4096);
        host_recv(&set.ud[1], buffer + 8192, 4096);
        host_recv(&set.gsi, buffer + 12288, 4096);
    }
    return set;
}

static inline HostQp *unreliable_qp(Unreliable *set, uint8_t n)
{
    HostQp *qps[] = { &set->uc[0], &set->uc[1], &set->ud[0], &set->ud[1], &set->gsi };

    return qps[n % (sizeof(qps) / sizeof(qps[0]))];
}

/* To one of the datagrams' queue pairs or to a group, and at times with something wrong. */
static inline struct svan_av near_av(Unreliable *set, Input *input)
{
    uint8_t bits = input_number(input, 1);
    uint32_t qkey = bits & 0x40 ? input_number(input, 4) : UNRELIABLE_QKEY;
    struct svan_av av = bits & 1 ? host_group_av(unreliable_groups[bits >> 1 & 1], qkey) :
                        host_av(unreliable_qp(set, 2 + (bits >> 1 & 3) % 3), qkey);

    if (bits & 0x80) {
        av.sgid_index = input_number(input, 1);
        av.traffic_class = input_number(input, 1);
        av.udp_sport = htole16(input_number(input, 2));
    }
    if (bits & 0x20) {
        av.dqpn = htole32(input_number(input, 3));
        input_bytes(input, av.dgid + (bits >> 3 & 3) * 4, 4);
    }
    return av;
}

/* A send that works if all is well, of whatever is named. */
static inline void unreliable_send(Unreliable *set, Input *input, uint64_t addr,
                                   uint32_t key, uint32_t length)
{
    static const uint8_t opcodes[] = {
        SVAN_WQE_SEND, SVAN_WQE_SEND_IMM, SVAN_WQE_RDMA_WRITE, SVAN_WQE_RDMA_WRITE_IMM,
    };
    uint8_t bits = input_number(input, 1);
    HostQp *qp = unreliable_qp(set, bits >> 4);
    bool datagram = qp->type != SVAN_QPT_UC;
    struct svan_av av;
    HostWr wr = {
        .opcode = opcodes[bits & (datagram ? 1 : 3)], .flags = bits & SVAN_WQE_SOLICITED,
        .remote = addr, .rkey = key, .num_sge = 1, .sge[0] = { addr, length, key },
    };

    if (datagram) {
        av = near_av(set, input);
        wr.av = &av;
    }
    if (bits & 8) {
        wr.flags |= SVAN_WQE_INLINE;
        wr.length = length % (SVAN_MAX_INLINE + 1);
        wr.data = fake_ram(qp->host->fake, qp->host->cmdq);
    }
    host_write_wqe(qp, &wr);
    host_post(qp);
}

#endif /* TESTS_FUZZ_UNRELIABLE_H */
