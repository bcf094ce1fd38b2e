/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access to remote memory, and packets, for queue pairs of all kinds.
 */
#include <string.h>

#include "transport/message.h"

SvanStep svan_qp_remote(SvanAccess *access, uint32_t len, SvanMem *runs,
                        uint32_t *num_runs, uint32_t *syndrome)
{
    *num_runs = 0;
    while (len) {
        SvanMem *run = &runs[*num_runs];
        SvanStep step = svan_access(access, run, syndrome);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
        run->len = run->len < len ? run->len : len;
        len -= run->len;
        access->va += run->len;
        access->len -= run->len;
        ++*num_runs;
    }
    return SVAN_STEP_DONE;
}

/*
 * Zeroes for a new packet. They are copied to what lies between the addresses, which
 * svan_pkt_send() fills in, and the runs of the payload. A copy is twice as fast as
 * memset(), which compilers turn into a string operation.
 */
static const SvanPkt nothing;

void svan_qp_packet(SvanQp *qp, SvanPkt *pkt, uint8_t op, uint32_t psn)
{
    memcpy(&pkt->opcode, &nothing.opcode,
           offsetof(SvanPkt, runs) - offsetof(SvanPkt, opcode));
    pkt->opcode = qp->kind->bth_class | op;
    pkt->bth_flags = SVAN_BTH_MIGREQ;
    pkt->pkey = SVAN_PKEY_DEFAULT;
    pkt->psn = psn & SVAN_PSN_MASK;
    if (qp->kind->addressing == SVAN_ADDRESS_OF_PEER) {
        pkt->dqpn = qp->dest_qpn;
    }
}

/* Differs between connections. */
static inline uint32_t entropy(const SvanQp *qp)
{
    return qp->qpn * 0x9e3779b1u ^ qp->dest_qpn * 0x85ebca6bu;
}

SvanStep svan_qp_send(SvanQp *qp, SvanPkt *pkt)
{
    return svan_pkt_send(&qp->egress, &qp->av, entropy(qp), &qp->heading, pkt);
}

SvanStep svan_qp_send_as(SvanQp *qp, uint8_t traffic_class, SvanPkt *pkt)
{
    SvanHeading heading = { .changes = 0 };
    SvanAv av = qp->av;

    av.traffic_class = traffic_class;
    return svan_pkt_send(&qp->egress, &av, entropy(qp), &heading, pkt);
}
