/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames into a device with live queue pairs: octets as they come, and packets
 * near enough to what is expected to reach deep, both with right checksums. Mixed
 * with traffic of the device's own, misses and time.
 */
#include "fuzz_packet.h"
#include "net/wire_ip.h"

/* What IP says is what UDP says, and the checksum of IPv4 is right. */
static void patch_ip(uint8_t *ip, bool ipv4, uint32_t l4_len)
{
    uint8_t *udp = ip + (ipv4 ? IPV4_HLEN : IPV6_HLEN);
    uint16_t sum;

    udp[4] = l4_len >> 8;
    udp[5] = l4_len;
    if (ipv4) {
        ip[10] = ip[11] = 0;
        sum = svan_csum_fold(svan_csum_add(0, ip, IPV4_HLEN));
        ip[10] = sum >> 8;
        ip[11] = sum;
    }
}

/* The last four octets become the ICRC, if the frame has a place for it. */
static void patch_sums(SvanFrame *frame)
{
    SvanAddr addr;
    uint32_t icrc, l3 = ETH_HLEN, l4, at;

    if (frame->len < 62 || !svan_pkt_peek(frame, &addr)) {
        return;
    }
    l3 += addr.has_vlan ? VLAN_HLEN : 0;
    l4 = l3 + (addr.ipv4 ? IPV4_HLEN : IPV6_HLEN);
    at = addr.ipv4 ? l3 + (frame->data[l3 + 2] << 8 | frame->data[l3 + 3]) - 4 :
                     l4 + (frame->data[l3 + 4] << 8 | frame->data[l3 + 5]) - 4;
    if (at > l3 + 40 && at + 4 <= frame->len) {
        patch_ip(frame->data + l3, addr.ipv4, at + 4 - l4);
        icrc = htole32(svan_icrc(frame->data, l3, at));
        memcpy(frame->data + at, &icrc, 4);
    }
}

/* Who could send that would be its peer. */
static bool for_bystander(Stage *stage, SvanFrame *frame)
{
    SvanAddr addr;
    uint32_t at;

    if (frame->len < 62 || !svan_pkt_peek(frame, &addr)) {
        return false;
    }
    at = 14 + (addr.has_vlan ? 4 : 0) + (addr.ipv4 ? 20 : 40) + 8 + 5;
    return is_bystander(&stage->bystander, frame->data[at] << 16 |
                        frame->data[at + 1] << 8 | frame->data[at + 2]);
}

static void raw_frame(Stage *stage, Input *input)
{
    uint8_t len = input_number(input, 1);
    SvanFrame *frame = svan_frame_alloc(256);

    frame->len = len;
    input_bytes(input, frame->data, len);
    if (len > 12) {
        memcpy(frame->data, host_fn(stage->host)->net->gids[0].smac, 6);
    }
    patch_sums(frame);
    if (for_bystander(stage, frame)) {
        svan_frame_free(frame);
        return;
    }
    deliver(stage->host->fake, frame);
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
        if (action & 0x80) {
            stage_answer(stage, input_number(input, 1));
        } else if (action & 0x40) {
            unreliable_send(&stage->unreliable, input, stage->buffer, stage->host->all_key,
                            length_of(input) & 0xffff);
        } else {
            stage_send(stage, action >> 3 & 15, length_of(input) & 0xffff);
        }
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
        host_recv(stage_qp(stage, action >> 4), stage->buffer, action << 6);
        break;
    }
    stage_run(fake, 1 + (action >> 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    stage_play(data, size, 128, one_action, NULL);
    return 0;
}
