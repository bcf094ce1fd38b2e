/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Congestion control of RC queue pairs: packets that arrive marked are answered by CNPs,
 * and CNPs slow down what is sent (IBTA volume 1, annex A17; PRM "Congestion control").
 */
#include <stdlib.h>
#include <string.h>

#include "transport/rc.h"

#define DSCP_SHIFT      2

/* Schedule the CNP that a marked packet of the peer calls for, unless it is too soon. */
void svan_rc_marked(SvanQp *qp)
{
    SvanRc *rc = qp->priv;
    SvanCore *core = qp->fn->core;

    if (!rc->cnp_due && svan_congestion(core)->enabled &&
        svan_np_is_due(&rc->congestion.np, svan_now(core))) {
        rc->cnp_due = true;
        svan_qp_schedule(qp);
    }
}

SvanStep svan_rc_send_cnp(SvanQp *qp)
{
    SvanRc *rc = qp->priv;
    const SvanCongestion *congestion = svan_congestion(qp->fn->core);
    SvanStep step;
    SvanPkt pkt;

    svan_qp_packet(qp, &pkt, 0, 0);
    pkt.opcode = SVAN_OP_CNP;
    pkt.bth_flags = 0;
    pkt.becn = true;
    pkt.payload_len = SVAN_CNP_PAYLOAD;
    step = svan_qp_send_as(qp, congestion->cnp_dscp << DSCP_SHIFT, &pkt);
    if (step == SVAN_STEP_DONE) {
        rc->cnp_due = false;
        svan_np_sent(&rc->congestion.np, &congestion->params, svan_now(qp->fn->core));
        qp->fn->stats->cnps_sent++;
    }
    return step;
}

static SvanPace *pace_of(SvanQp *qp)
{
    SvanRcCongestion *cc = &((SvanRc *)qp->priv)->congestion;

    if (!cc->pace) {
        cc->pace = calloc(1, sizeof(*cc->pace));
        if (cc->pace) {
            svan_pace_init(cc->pace, qp->fn->core);
        }
    }
    return cc->pace;
}

bool svan_rc_notified(SvanQp *qp, const SvanPkt *pkt)
{
    SvanPace *pace;

    if (!svan_congestion(qp->fn->core)->enabled || !pkt->becn ||
        pkt->payload_len != SVAN_CNP_PAYLOAD) {
        return false;
    }
    pace = pace_of(qp);
    if (!pace) {
        return false;
    }
    svan_pace_notified(pace, &qp->egress);
    svan_trace(qp->fn, SVAN_TRACE_RATE, qp->qpn, svan_pace_rate(pace), pace->rp.target,
               pace->rp.alpha);
    return true;
}

bool svan_rc_limit(SvanQp *qp, uint32_t kbps)
{
    SvanPace *pace = pace_of(qp);

    if (pace) {
        svan_pace_limit(pace, &qp->egress, (uint64_t)kbps * SVAN_BPS_PER_KBPS);
    }
    return pace;
}

void svan_rc_congestion_forget(SvanQp *qp)
{
    SvanRc *rc = qp->priv;

    qp->egress.pace = NULL;
    free(rc->congestion.pace);
    memset(&rc->congestion, 0, sizeof(rc->congestion));
    rc->cnp_due = false;
}

void svan_rc_congestion_save(const SvanQp *qp, SvanWriter *writer)
{
    const SvanRc *rc = qp->priv;

    svan_put_u64(writer, rc->congestion.np.next);
    svan_put_u8(writer, rc->cnp_due);
    svan_put_u8(writer, rc->congestion.pace != NULL);
    if (rc->congestion.pace) {
        svan_pace_save(rc->congestion.pace, writer);
    }
}

bool svan_rc_congestion_load(SvanQp *qp, SvanReader *reader)
{
    SvanRc *rc = qp->priv;

    rc->congestion.np.next = svan_get_u64(reader);
    rc->cnp_due = svan_get_u8(reader);
    if (rc->cnp_due && !svan_qp_is_in_service(qp)) {
        return false;
    }
    return !svan_get_u8(reader) ||
           (pace_of(qp) && svan_pace_load(rc->congestion.pace, &qp->egress, reader));
}
