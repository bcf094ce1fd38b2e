/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams that arrive (IBTA volume 1, 9.8.3, and annex A17): the receive buffer begins
 * with 40 octets of the network header, an IPv4 header being the last 20 of them.
 */
#include <string.h>

#include "transport/unreliable.h"

#define GRH_LEN         40u

/* The packet with the network header, which lies in `header`, before its payload. */
static void with_header(const SvanPkt *pkt, uint8_t *header, SvanPkt *whole)
{
    memcpy(whole, pkt, offsetof(SvanPkt, runs));
    whole->runs[0] = (SvanMem) { .host = header, .len = GRH_LEN };
    memcpy(&whole->runs[1], pkt->runs, pkt->num_runs * sizeof(pkt->runs[0]));
    whole->num_runs = pkt->num_runs + 1;
    whole->payload_len = pkt->payload_len + GRH_LEN;
    svan_pkt_network_header(pkt, header);
}

SvanStep svan_ud_take(SvanQp *qp, const SvanPkt *pkt)
{
    SvanAssembly *assembly = &svan_unreliable(qp)->recv.assembly;
    uint8_t header[GRH_LEN];
    SvanObstacle obstacle;
    SvanStep step;
    SvanPkt whole;

    if (pkt->num_runs >= SVAN_MAX_PKT_RUNS) {
        return svan_unreliable_lose(qp, pkt, &qp->fn->stats->rx_malformed,
                                    SVAN_DROP_MALFORMED);
    }
    with_header(pkt, header, &whole);
    step = svan_assemble(qp, assembly, &whole, &obstacle);
    return step == SVAN_STEP_ERROR ? svan_unreliable_obstacle(qp, pkt, &obstacle) : step;
}
