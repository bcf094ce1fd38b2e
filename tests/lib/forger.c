/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forged CNPs and notifications, and frames that lie about the size of others.
 */
#include "forger.h"
#include "inside.h"
#include "net/notify.h"
#include "net/wire_ip.h"

#define TINY            60      /* octets of a frame */

/* Takes the frame. */
static void leave(ContestSender *forger, SvanFrame *frame)
{
    uint8_t *room = eth_port_begin(&forger->port);

    if (room) {
        memcpy(room, frame->data, frame->len);
        eth_port_send(&forger->port, frame->len);
    }
    svan_frame_free(frame);
}

static SvanAddr in_the_name_of(const Host *peer, const Host *victim)
{
    SvanAddr addr = { .ipv4 = true };

    memcpy(addr.smac, peer->gids[0].smac, 6);
    memcpy(addr.dmac, victim->gids[0].smac, 6);
    memcpy(addr.sgid, peer->gids[0].gid, 16);
    memcpy(addr.dgid, victim->gids[0].gid, 16);
    return addr;
}

static void forge_cnp(ContestSender *forger, const ContestSender *victim, const SvanAddr *addr)
{
    SvanPkt pkt = {
        .opcode = SVAN_OP_CNP, .pkey = SVAN_PKEY_DEFAULT, .becn = true, .addr = *addr,
        .dqpn = victim->qps[0].qpn, .payload_len = SVAN_CNP_PAYLOAD,
    };

    leave(forger, svan_pkt_encode(&pkt));
}

/* The flow is known, the witness is guessed. */
static void forge_notification(ContestSender *forger, const ContestSender *victim,
                               const SvanAddr *addr)
{
    uint64_t guess = ++forger->forged * 0x9e3779b97f4a7c15ull;
    bool tcp = victim->way.tcp;
    SvanNotice notice = {
        .kind = tcp ? SVAN_FLOW_TCP : SVAN_FLOW_RDMA, .sequence = forger->forged,
        .flow = tcp ? (uint32_t)victim->connections[0].port << 16 | TCP_PORT :
                      victim->peers[0].qpn,
        .witness = guess >> 32 & (tcp ? UINT32_MAX : SVAN_PSN_MASK),
        .packets = 100, .marks = 100, .octets = 100 * TINY,
    };

    leave(forger, svan_notice_encode(&notice, addr));
}

void forge(ContestSender *forger)
{
    Contest *contest = forger->nic->contest;

    eth_port_completed(&forger->port);
    for (uint32_t i = 0; i < CONTEST_SENDERS; i++) {
        const ContestSender *victim = &contest->senders[i];
        SvanAddr addr;

        if (!victim->nic || victim == forger) {
            continue;
        }
        addr = in_the_name_of(contest->sink.qp.host, victim->host);
        if ((forger->way.forges & CONTEST_FORGES_CNPS) && !victim->way.tcp) {
            forge_cnp(forger, victim, &addr);
        }
        if (forger->way.forges & CONTEST_FORGES_NOTIFICATIONS) {
            forge_notification(forger, victim, &addr);
        }
    }
}

void lie(ContestSender *liar)
{
    const Host *peer = liar->nic->contest->sink.qp.host;
    uint8_t frame[TINY] = {
        [12] = ETHERTYPE_IPV4 >> 8, [14] = 0x45, [17] = TINY - ETH_HLEN, [22] = 64,
        [23] = IPPROTO_UDP, [39] = TINY - ETH_HLEN - IPV4_HLEN,
    };

    memcpy(frame, peer->gids[0].smac, 6);
    frame[5] = CONTEST_ASIDE + 1;
    memcpy(frame + 6, liar->host->gids[0].smac, 6);
    memcpy(frame + 26, liar->host->gids[0].gid + 12, 4);
    memcpy(frame + 30, peer->gids[0].gid + 12, 4);
    eth_port_completed(&liar->port);
    for (uint32_t i = 0; i < liar->way.lies; i++) {
        uint8_t *room = eth_port_begin(&liar->port);

        if (room) {
            memcpy(room, frame, TINY);
            eth_port_send(&liar->port, TINY);
        }
    }
}
