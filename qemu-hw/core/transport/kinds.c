/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kinds of queue pairs, and what differs between them (PRM "Queue pairs"; IBTA
 * volume 1, table 91 of 11.2.5.2).
 */
#include "transport/transport.h"

/* ---- states ---- */

#define A(name)         SVAN_QP_ATTR_##name
#define CONNECTED_INIT  (A(PKEY_INDEX) | A(PORT) | A(ACCESS))
#define RC_RTS          (A(TIMEOUT) | A(RETRY_CNT) | A(RNR_RETRY) | \
                         A(MAX_RD_ATOMIC))

#define TO_RESET_OR_ERR \
    [SVAN_QPS_RESET] = { true, 0, 0 }, [SVAN_QPS_ERR] = { true, 0, 0 }

static const SvanQpWays rc_ways = {
    [SVAN_QPS_RESET] = { TO_RESET_OR_ERR,
        [SVAN_QPS_INIT] = { true, CONNECTED_INIT, 0 } },
    [SVAN_QPS_INIT] = { TO_RESET_OR_ERR,
        [SVAN_QPS_INIT] = { true, 0, CONNECTED_INIT },
        [SVAN_QPS_RTR] = { true,
            A(AV) | A(MTU) | A(DEST_QPN) | A(RQ_PSN) |
            A(MAX_DEST_RD_ATOMIC) | A(MIN_RNR_TIMER),
            A(ACCESS) | A(PKEY_INDEX) } },
    [SVAN_QPS_RTR] = { TO_RESET_OR_ERR,
        [SVAN_QPS_RTS] = { true, RC_RTS | A(SQ_PSN),
            A(ACCESS) | A(MIN_RNR_TIMER) | A(RATE_LIMIT) } },
    [SVAN_QPS_RTS] = { TO_RESET_OR_ERR,
        [SVAN_QPS_RTS] = { true, 0, A(ACCESS) | A(MIN_RNR_TIMER) | A(RATE_LIMIT) },
        [SVAN_QPS_SQD] = { true, 0, A(SQD_NOTIFY) } },
    [SVAN_QPS_SQD] = { TO_RESET_OR_ERR,
        [SVAN_QPS_RTS] = { true, 0, A(ACCESS) | A(MIN_RNR_TIMER) | A(RATE_LIMIT) },
        [SVAN_QPS_SQD] = { true, 0,
            CONNECTED_INIT | RC_RTS | A(AV) | A(MAX_DEST_RD_ATOMIC) |
            A(MIN_RNR_TIMER) | A(RATE_LIMIT) } },
    [SVAN_QPS_SQE] = { TO_RESET_OR_ERR },
    [SVAN_QPS_ERR] = { TO_RESET_OR_ERR },
};

static const SvanQpWays uc_ways = {
    [SVAN_QPS_RESET] = { TO_RESET_OR_ERR,
        [SVAN_QPS_INIT] = { true, CONNECTED_INIT, 0 } },
    [SVAN_QPS_INIT] = { TO_RESET_OR_ERR,
        [SVAN_QPS_INIT] = { true, 0, CONNECTED_INIT },
        [SVAN_QPS_RTR] = { true, A(AV) | A(MTU) | A(DEST_QPN) | A(RQ_PSN),
            A(ACCESS) | A(PKEY_INDEX) } },
    [SVAN_QPS_RTR] = { TO_RESET_OR_ERR,
        [SVAN_QPS_RTS] = { true, A(SQ_PSN), A(ACCESS) } },
    [SVAN_QPS_RTS] = { TO_RESET_OR_ERR,
        [SVAN_QPS_RTS] = { true, 0, A(ACCESS) },
        [SVAN_QPS_SQD] = { true, 0, A(SQD_NOTIFY) } },
    [SVAN_QPS_SQD] = { TO_RESET_OR_ERR,
        [SVAN_QPS_RTS] = { true, 0, A(ACCESS) },
        [SVAN_QPS_SQD] = { true, 0, A(AV) | A(ACCESS) | A(PKEY_INDEX) } },
    [SVAN_QPS_SQE] = { TO_RESET_OR_ERR,
        [SVAN_QPS_RTS] = { true, 0, A(ACCESS) } },
    [SVAN_QPS_ERR] = { TO_RESET_OR_ERR },
};

/* Transitions of datagram QPs; init: the attributes that RESET to INIT requires. */
#define DATAGRAM_WAYS(init) { \
    [SVAN_QPS_RESET] = { TO_RESET_OR_ERR, \
        [SVAN_QPS_INIT] = { true, init, 0 } }, \
    [SVAN_QPS_INIT] = { TO_RESET_OR_ERR, \
        [SVAN_QPS_INIT] = { true, 0, init }, \
        [SVAN_QPS_RTR] = { true, 0, A(PKEY_INDEX) | A(QKEY) | A(MTU) } }, \
    [SVAN_QPS_RTR] = { TO_RESET_OR_ERR, \
        [SVAN_QPS_RTS] = { true, A(SQ_PSN), A(QKEY) } }, \
    [SVAN_QPS_RTS] = { TO_RESET_OR_ERR, \
        [SVAN_QPS_RTS] = { true, 0, A(QKEY) }, \
        [SVAN_QPS_SQD] = { true, 0, A(SQD_NOTIFY) } }, \
    [SVAN_QPS_SQD] = { TO_RESET_OR_ERR, \
        [SVAN_QPS_RTS] = { true, 0, A(QKEY) }, \
        [SVAN_QPS_SQD] = { true, 0, A(PKEY_INDEX) | A(QKEY) } }, \
    [SVAN_QPS_SQE] = { TO_RESET_OR_ERR, \
        [SVAN_QPS_RTS] = { true, 0, A(QKEY) } }, \
    [SVAN_QPS_ERR] = { TO_RESET_OR_ERR }, \
}

static const SvanQpWays ud_ways = DATAGRAM_WAYS(A(PKEY_INDEX) | A(PORT) | A(QKEY));
static const SvanQpWays gsi_ways = DATAGRAM_WAYS(A(PKEY_INDEX) | A(QKEY));

static const SvanQpWays eth_ways = {
    [SVAN_QPS_RESET] = { TO_RESET_OR_ERR, [SVAN_QPS_INIT] = { true, 0, 0 } },
    [SVAN_QPS_INIT] = { TO_RESET_OR_ERR, [SVAN_QPS_RTR] = { true, 0, 0 } },
    [SVAN_QPS_RTR] = { TO_RESET_OR_ERR, [SVAN_QPS_RTS] = { true, 0, 0 } },
    [SVAN_QPS_RTS] = { TO_RESET_OR_ERR },
    [SVAN_QPS_SQD] = { TO_RESET_OR_ERR },
    [SVAN_QPS_SQE] = { TO_RESET_OR_ERR },
    [SVAN_QPS_ERR] = { TO_RESET_OR_ERR },
};

/* ---- the kinds ---- */

const SvanQpKind svan_qp_kinds[SVAN_QP_KINDS] = {
    [SVAN_QPT_RC] = {
        .transport = &svan_rc_transport, .feature = SVAN_CAP_RC,
        .needs_pd = true, .can_wait = true, .can_count = true,
        .can_share = true, .ways = &rc_ways,
        .bth_class = SVAN_BTH_RC, .addressing = SVAN_ADDRESS_OF_PEER,
        .completion = SVAN_COMPLETES_MESSAGE, .senders = SVAN_TAKES_PEERS,
    },
    [SVAN_QPT_UC] = {
        .transport = &svan_uc_transport, .feature = SVAN_CAP_UC,
        .needs_pd = true, .can_wait = true, .can_count = true,
        .can_share = true, .ways = &uc_ways,
        .bth_class = SVAN_BTH_UC, .addressing = SVAN_ADDRESS_OF_PEER,
        .completion = SVAN_COMPLETES_MESSAGE, .senders = SVAN_TAKES_PEERS,
    },
    [SVAN_QPT_UD] = {
        .transport = &svan_ud_transport, .feature = SVAN_CAP_UD,
        .needs_pd = true, .can_wait = true, .can_count = true,
        .can_share = true, .ways = &ud_ways,
        .bth_class = SVAN_BTH_UD, .addressing = SVAN_ADDRESS_OF_WQE,
        .completion = SVAN_COMPLETES_DATAGRAM, .senders = SVAN_TAKES_KEYS,
    },
    [SVAN_QPT_GSI] = {
        .transport = &svan_ud_transport, .feature = SVAN_CAP_GSI,
        .is_kernels = true, .qpn = 1,
        .needs_pd = true, .can_wait = true, .can_count = true,
        .ways = &gsi_ways,
        .bth_class = SVAN_BTH_UD, .addressing = SVAN_ADDRESS_OF_WQE,
        .completion = SVAN_COMPLETES_DATAGRAM, .senders = SVAN_TAKES_KEYS,
    },
    [SVAN_QPT_ETH] = {
        .transport = &svan_eth_transport, .feature = SVAN_CAP_ETH,
        .ways = &eth_ways, .addressing = SVAN_ADDRESS_OF_FRAME,
        .completion = SVAN_COMPLETES_FRAME,
    },
};
