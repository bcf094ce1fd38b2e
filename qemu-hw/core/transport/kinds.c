/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kinds of queue pairs (PRM "Queue pairs").
 */
#include "transport/transport.h"

const SvanQpKind svan_qp_kinds[SVAN_QP_KINDS] = {
    [SVAN_QPT_RC]       = { &svan_rc_transport, SVAN_CAP_RC, true, true },
    [SVAN_QPT_UC]       = { NULL, SVAN_CAP_UC, true, true },
    [SVAN_QPT_UD]       = { NULL, SVAN_CAP_UD, true, true },
    [SVAN_QPT_GSI]      = { NULL, SVAN_CAP_GSI, true, true },
    [SVAN_QPT_ETH]      = { &svan_eth_transport, SVAN_CAP_ETH, false, false },
};
