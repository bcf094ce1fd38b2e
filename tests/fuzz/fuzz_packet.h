/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets near enough to what is expected to reach deep.
 */
#ifndef TESTS_FUZZ_PACKET_H
#define TESTS_FUZZ_PACKET_H

#include "fuzz.h"
#include "transport/rc.h"
#include "transport/unreliable.h"

static inline void deliver(Fake *fake, SvanFrame *frame)
{
    if (frame && !svan_frame_in(fake->core, frame)) {
        svan_frame_free(frame);
    }
}

/* Both queue pairs have the same address, and each is the other's peer. */
static inline void set_address(Stage *stage, SvanPkt *pkt)
{
    const SvanGid *gid = &host_fn(stage->host)->net->gids[0];

    memcpy(pkt->addr.smac, gid->smac, 6);
    memcpy(pkt->addr.dmac, gid->smac, 6);
    memcpy(pkt->addr.sgid, gid->gid, 16);
    memcpy(pkt->addr.dgid, gid->gid, 16);
    pkt->addr.ipv4 = true;
    pkt->addr.hop_limit = 1;
    pkt->pkey = SVAN_PKEY_DEFAULT;
}

/* Lengths at and around what matters. */
static inline uint32_t length_of(Input *input)
{
    static const uint32_t lengths[] = {
        0, 1, 8, 4095, 4096, 4097, 8192, 8193, 16384, 0x7fffffff, 0x80000000,
        0x80000001, 0xffffffff,
    };
    uint8_t choice = input_number(input, 1);

    return choice < 0x80 ? choice :
           lengths[choice % (sizeof(lengths) / sizeof(lengths[0]))];
}

/* Of a message of the connection, or a datagram to a queue pair or a group. */
static inline void near_header(Stage *stage, Input *input, SvanPkt *pkt)
{
    uint8_t bits = input_number(input, 1);
    HostQp *to = unreliable_qp(&stage->unreliable, bits & 7);
    const SvanQp *qp = svan_qp_get(host_fn(stage->host), to->qpn);

    pkt->dqpn = to->qpn;
    pkt->sqpn = stage->a.qpn;
    if (to->type == SVAN_QPT_UC) {
        pkt->opcode = SVAN_BTH_UC | (input_number(input, 1) % 0x0c);
        pkt->psn = svan_unreliable(qp)->recv.epsn + (bits & 0xc0 ? 0 : (int8_t)(bits << 2) / 8);
        pkt->psn &= SVAN_PSN_MASK;
        return;
    }
    pkt->opcode = SVAN_BTH_UD | (bits & 8 ? SVAN_OP_SEND_ONLY : SVAN_OP_SEND_ONLY_IMM);
    pkt->qkey = bits & 0x80 ? input_number(input, 4) : UNRELIABLE_QKEY;
    if (bits & 0x10) {
        struct svan_av av = host_group_av(unreliable_groups[bits >> 5 & 1], 0);

        memcpy(pkt->addr.dgid, av.dgid, 16);
        memcpy(pkt->addr.dmac, av.dmac, 6);
    }
    if ((bits & 0x50) == 0x10 || (bits & 0x50) == 0x40) {
        pkt->dqpn = HOST_GROUP_QPN;
    }
}

/* To a queue pair whose packets nobody acknowledges. */
static inline void near_unreliable(Stage *stage, Input *input, uint8_t bits)
{
    static uint8_t payload[SVAN_MAX_MTU];
    SvanPkt pkt;

    memset(&pkt, 0, sizeof(pkt));
    set_address(stage, &pkt);
    near_header(stage, input, &pkt);
    pkt.bth_flags = bits & 4 ? SVAN_BTH_SE : 0;
    pkt.rkey = bits & 8 ? stage->ondemand : stage->host->all_key;
    pkt.va = (bits & 8 ? STAGE_VA : stage->buffer) + (int16_t)input_number(input, 2);
    pkt.dma_len = length_of(input);
    pkt.payload_len = length_of(input);
    if (pkt.payload_len > sizeof(payload) || bits & 2) {
        pkt.payload_len = bits & 2 ? sizeof(payload) : 0;
    }
    pkt.num_runs = 1;
    pkt.runs[0] = (SvanMem) { .host = payload, .len = pkt.payload_len };
    deliver(stage->host->fake, svan_pkt_encode(&pkt));
}

static inline void near_packet(Stage *stage, Input *input)
{
    static uint8_t payload[SVAN_MAX_MTU];
    uint8_t bits = input_number(input, 1);
    HostQp *to = bits & 1 ? &stage->a : &stage->b;
    SvanQp *qp = svan_qp_get(host_fn(stage->host), to->qpn);
    const SvanRc *rc = qp->priv;
    SvanPkt pkt;

    if (bits >= 0xa0) {
        near_unreliable(stage, input, bits);
        return;
    }
    memset(&pkt, 0, sizeof(pkt));
    set_address(stage, &pkt);
    pkt.dqpn = to->qpn;
    pkt.ack_req = bits & 2;
    pkt.bth_flags = bits & 4 ? SVAN_BTH_SE : 0;
    pkt.opcode = input_number(input, 1) % 0x18;
    pkt.psn = (int8_t)input_number(input, 1) / 16 +
              (svan_op_info(pkt.opcode)->request ? rc->resp.epsn :
                                                   rc->req.una);
    pkt.psn &= SVAN_PSN_MASK;
    pkt.rkey = bits & 8 ? input_number(input, 4) : stage->host->all_key;
    pkt.va = stage->buffer + (int16_t)input_number(input, 2);
    if (bits & 0x10) {
        pkt.rkey = bits & 0x20 ? stage->ondemand : stage->process;
        pkt.va += STAGE_VA - stage->buffer;
    }
    pkt.dma_len = length_of(input);
    pkt.payload_len = length_of(input);
    pkt.syndrome = input_number(input, 1);
    if (pkt.payload_len > sizeof(payload) ||
        !svan_op_info(pkt.opcode)->payload) {
        pkt.payload_len = 0;
    }
    pkt.num_runs = 1;
    pkt.runs[0] = (SvanMem) { .host = payload, .len = pkt.payload_len };
    deliver(stage->host->fake, svan_pkt_encode(&pkt));
}

#endif /* TESTS_FUZZ_PACKET_H */
