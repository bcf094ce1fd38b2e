/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue pairs whose packets nobody acknowledges in the state stream. Decoded WQEs are not
 * part of it: they are fetched again. Packets that wait for a page are lost; who waits for
 * a page to send meets it again.
 */
#include "transport/unreliable.h"

void svan_unreliable_default_mtu(SvanQp *qp)
{
    if (!qp->log_mtu) {
        qp->log_mtu = __builtin_ctz(SVAN_MAX_MTU);
    }
}

/*
 * A WQE all of whose packets have left is completed after the load; one that has failed
 * meets what it met again.
 */
void svan_unreliable_save(const SvanQp *qp, SvanWriter *writer)
{
    const SvanUnreliable *unreliable = svan_unreliable(qp);

    svan_put_u32(writer, unreliable->send.sq_ci);
    svan_put_u32(writer, unreliable->send.sent);
    svan_put_u32(writer, unreliable->send.psn);
    svan_put_u8(writer, unreliable->send.wait.state != SVAN_WAIT_NONE);
    svan_put_u32(writer, unreliable->recv.epsn);
    svan_put_u8(writer, unreliable->recv.established);
    svan_put_u8(writer, unreliable->recv.failure);
    svan_put_u32(writer, unreliable->recv.syndrome);
    svan_assembly_save(&unreliable->recv.assembly, writer);
}

bool svan_unreliable_load(SvanQp *qp, SvanReader *reader)
{
    SvanUnreliable *unreliable = svan_unreliable(qp);

    unreliable->send.sq_ci = svan_get_u32(reader);
    unreliable->send.sent = svan_get_u32(reader);
    unreliable->send.psn = svan_get_u32(reader) & SVAN_PSN_MASK;
    if (svan_get_u8(reader) && !qp->fn->fatal) {
        svan_qp_schedule(qp);
    }
    unreliable->recv.epsn = svan_get_u32(reader) & SVAN_PSN_MASK;
    unreliable->recv.established = svan_get_u8(reader);
    unreliable->recv.failure = svan_get_u8(reader);
    unreliable->recv.syndrome = svan_get_u32(reader);
    if (qp->state >= SVAN_QPS_RTR) {
        svan_unreliable_default_mtu(qp);
    }
    return svan_assembly_load(&unreliable->recv.assembly, reader) &&
           unreliable->recv.failure <= SVAN_CQE_GENERAL_ERR;
}
