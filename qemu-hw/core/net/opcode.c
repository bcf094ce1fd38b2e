/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The opcodes of the base transport header: what each carries, and which part of
 * which message it is (IBTA volume 1, table 38).
 */
#include "net/switch.h"

#define OP(class, name) [SVAN_BTH_##class | SVAN_OP_##name]

#define VALID   .valid = true
#define ONLY    .first = true, .last = true
#define FIRST   .first = true
#define LAST    .last = true
#define DATA    .payload = true
#define IMM     .immdt = true
#define REQUEST VALID, .request = true
#define SEND    REQUEST, .verb = SVAN_VERB_SEND, DATA
#define WRITE   REQUEST, .verb = SVAN_VERB_WRITE, DATA
#define READ    .verb = SVAN_VERB_READ
#define ATOMIC  .verb = SVAN_VERB_ATOMIC

/* Of any connection, reliable or not. */
#define CONNECTED(class) \
    OP(class, SEND_FIRST)       = { SEND, FIRST }, \
    OP(class, SEND_MIDDLE)      = { SEND }, \
    OP(class, SEND_LAST)        = { SEND, LAST }, \
    OP(class, SEND_LAST_IMM)    = { SEND, LAST, IMM }, \
    OP(class, SEND_ONLY)        = { SEND, ONLY }, \
    OP(class, SEND_ONLY_IMM)    = { SEND, ONLY, IMM }, \
    OP(class, WRITE_FIRST)      = { WRITE, FIRST, .reth = true }, \
    OP(class, WRITE_MIDDLE)     = { WRITE }, \
    OP(class, WRITE_LAST)       = { WRITE, LAST }, \
    OP(class, WRITE_LAST_IMM)   = { WRITE, LAST, IMM }, \
    OP(class, WRITE_ONLY)       = { WRITE, ONLY, .reth = true }, \
    OP(class, WRITE_ONLY_IMM)   = { WRITE, ONLY, .reth = true, IMM }

const SvanOpInfo svan_ops[256] = {
    CONNECTED(RC),
    OP(RC, READ_REQUEST)        = { REQUEST, READ, ONLY, .reth = true },
    OP(RC, READ_RESP_FIRST)     = { VALID, READ, FIRST, DATA, .aeth = true },
    OP(RC, READ_RESP_MIDDLE)    = { VALID, READ, DATA },
    OP(RC, READ_RESP_LAST)      = { VALID, READ, LAST, DATA, .aeth = true },
    OP(RC, READ_RESP_ONLY)      = { VALID, READ, ONLY, DATA, .aeth = true },
    OP(RC, ACK)                 = { VALID, ONLY, .aeth = true },
    OP(RC, ATOMIC_ACK)          = { VALID, ATOMIC, ONLY, .aeth = true,
                                    .atomic_ack = true },
    OP(RC, CMP_SWP)             = { REQUEST, ATOMIC, ONLY, .atomic_eth = true },
    OP(RC, FETCH_ADD)           = { REQUEST, ATOMIC, ONLY, .atomic_eth = true },
    OP(RC, SEND_LAST_INV)       = { SEND, LAST, .ieth = true },
    OP(RC, SEND_ONLY_INV)       = { SEND, ONLY, .ieth = true },
    /* Reserved opcodes are requests that the queue pair refuses (table 58). */
    [SVAN_OP_FETCH_ADD + 1]     = { REQUEST, ONLY, DATA },
    [SVAN_OP_SEND_ONLY_INV + 1 ... SVAN_BTH_OP_MASK] = { REQUEST, ONLY, DATA },

    CONNECTED(UC),

    OP(UD, SEND_ONLY)           = { SEND, ONLY, .deth = true },
    OP(UD, SEND_ONLY_IMM)       = { SEND, ONLY, IMM, .deth = true },

    [SVAN_OP_CNP]               = { VALID, ONLY, DATA },    /* 16 reserved octets */
};

const uint8_t svan_op_parts[SVAN_VERBS][8] = {
    [SVAN_VERB_SEND] = {
        [0] = SVAN_OP_SEND_MIDDLE, [SVAN_PART_IMM] = SVAN_OP_SEND_MIDDLE,
        [SVAN_PART_FIRST] = SVAN_OP_SEND_FIRST,
        [SVAN_PART_FIRST | SVAN_PART_IMM] = SVAN_OP_SEND_FIRST,
        [SVAN_PART_LAST] = SVAN_OP_SEND_LAST,
        [SVAN_PART_LAST | SVAN_PART_IMM] = SVAN_OP_SEND_LAST_IMM,
        [SVAN_PART_FIRST | SVAN_PART_LAST] = SVAN_OP_SEND_ONLY,
        [SVAN_PART_FIRST | SVAN_PART_LAST | SVAN_PART_IMM] = SVAN_OP_SEND_ONLY_IMM,
    },
    [SVAN_VERB_WRITE] = {
        [0] = SVAN_OP_WRITE_MIDDLE, [SVAN_PART_IMM] = SVAN_OP_WRITE_MIDDLE,
        [SVAN_PART_FIRST] = SVAN_OP_WRITE_FIRST,
        [SVAN_PART_FIRST | SVAN_PART_IMM] = SVAN_OP_WRITE_FIRST,
        [SVAN_PART_LAST] = SVAN_OP_WRITE_LAST,
        [SVAN_PART_LAST | SVAN_PART_IMM] = SVAN_OP_WRITE_LAST_IMM,
        [SVAN_PART_FIRST | SVAN_PART_LAST] = SVAN_OP_WRITE_ONLY,
        [SVAN_PART_FIRST | SVAN_PART_LAST | SVAN_PART_IMM] = SVAN_OP_WRITE_ONLY_IMM,
    },
    [SVAN_VERB_READ] = {
        [0] = SVAN_OP_READ_RESP_MIDDLE, [SVAN_PART_FIRST] = SVAN_OP_READ_RESP_FIRST,
        [SVAN_PART_LAST] = SVAN_OP_READ_RESP_LAST,
        [SVAN_PART_FIRST | SVAN_PART_LAST] = SVAN_OP_READ_RESP_ONLY,
    },
};
