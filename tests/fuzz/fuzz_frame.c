/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames into a device with live queue pairs: octets as they come, and packets
 * near enough to what is expected to reach deep, both with a right ICRC. Mixed
 * with traffic of the device's own, misses and time.
 */
#include "fuzz.h"
#include "rc.h"

/* The last four octets become the ICRC, if the frame has a place for it. */
static void patch_icrc(SvanFrame *frame)
{
    SvanAddr addr;
    uint32_t icrc, l3 = 14, at;

    if (frame->len < 62 || !svan_pkt_peek(frame, &addr)) {
        return;
    }
    l3 += addr.has_vlan ? 4 : 0;
    at = l3 + (addr.ipv4 ? frame->data[l3 + 2] << 8 | frame->data[l3 + 3] :
               40 + (frame->data[l3 + 4] << 8 | frame->data[l3 + 5])) - 4;
    if (at > l3 + 40 && at + 4 <= frame->len) {
        icrc = htole32(svan_icrc(frame->data, l3, at));
        memcpy(frame->data + at, &icrc, 4);
    }
}

static void deliver(Fake *fake, SvanFrame *frame)
{
    if (frame && !svan_frame_in(fake->core, frame)) {
        svan_frame_free(frame);
    }
}

static void raw_frame(Stage *stage, Input *input)
{
    uint8_t len = input_number(input, 1);
    SvanFrame *frame = svan_frame_alloc(256);

    frame->len = len;
    input_bytes(input, frame->data, len);
    if (len > 12) {
        memcpy(frame->data, host_fn(stage->host)->gids[0].smac, 6);
    }
    patch_icrc(frame);
    deliver(stage->host->fake, frame);
}

/* Both queue pairs have the same address, and each is the other's peer. */
static void set_address(Stage *stage, SvanPkt *pkt)
{
    const SvanGid *gid = &host_fn(stage->host)->gids[0];

    memcpy(pkt->addr.smac, gid->smac, 6);
    memcpy(pkt->addr.dmac, gid->smac, 6);
    memcpy(pkt->addr.sgid, gid->gid, 16);
    memcpy(pkt->addr.dgid, gid->gid, 16);
    pkt->addr.ipv4 = true;
    pkt->addr.hop_limit = 1;
    pkt->pkey = SVAN_PKEY_DEFAULT;
}

/* Lengths at and around what matters. */
static uint32_t length_of(Input *input)
{
    static const uint32_t lengths[] = {
        0, 1, 8, 4095, 4096, 4097, 8192, 8193, 16384, 0x7fffffff, 0x80000000,
        0x80000001, 0xffffffff,
    };
    uint8_t choice = input_number(input, 1);

    return choice < 0x80 ? choice :
           lengths[choice % (sizeof(lengths) / sizeof(lengths[0]))];
}

static void near_packet(Stage *stage, Input *input)
{
    static uint8_t payload[SVAN_MAX_MTU];
    uint8_t bits = input_number(input, 1);
    HostQp *to = bits & 1 ? &stage->a : &stage->b;
    SvanQp *qp = svan_qp_get(host_fn(stage->host), to->qpn);
    const SvanRc *rc = qp->priv;
    SvanPkt pkt;

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

static void one_action(Stage *stage, Input *input)
{
    Fake *fake = stage->host->fake;
    uint8_t action = input_number(input, 1);

    switch (action % 8) {
    case 0:
        raw_frame(stage, input);
        break;
    case 1:
    case 2:
    case 3:
        near_packet(stage, input);
        break;
    case 4:
        stage_send(stage, action >> 3 & 15, length_of(input) & 0xffff);
        break;
    case 5:
        fake->miss_every = action >> 3;
        break;
    case 6:
        fake->now += 1ull << (action >> 3);
        break;
    default:
        fake->out_full = action & 8;
        if (!fake->out_full) {
            svan_tx_ready(fake->core);
        }
        host_recv(action & 16 ? &stage->a : &stage->b, stage->buffer,
                  action << 6);
        break;
    }
    stage_run(fake, 1 + (action >> 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fake *fake;
    Input input = { data, size };
    Stage stage;

    if (!fake) {
        fake = fake_create(NULL);
    }
    stage = stage_set(fake);
    for (uint32_t n = 0; input.size && n < 128; n++) {
        one_action(&stage, &input);
    }
    stage_run(fake, 100);
    stage_reload(&stage);
    stage_run(fake, 20);
    stage_strike(&stage);
    fake_recycle(fake);
    return 0;
}
