/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port, by which frames leave.
 */
#include "net/stations.h"

SvanStep svan_port_out(SvanCore *core, SvanFrame *frame)
{
    uint32_t len = frame->len;

    if (!core->ops.frame_out(core->opaque, frame)) {
        return SVAN_STEP_BLOCKED;
    }
    core->fns[0]->stats->port_tx_frames++;
    core->fns[0]->stats->port_tx_bytes += len;
    return SVAN_STEP_DONE;
}
