/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever a process may write into its rings and doorbell records, while the
 * device reads them, with two queue pairs that are each other's peer, and with
 * unreliable ones, whose WQEs may have address vectors.
 */
#include "fuzz.h"

/* Addresses and keys that mean something, in place of what is all ones. */
static void make_meaningful(Stage *stage, uint8_t *bytes, size_t len)
{
    const uint64_t meanings[] = {
        stage->host->all_key, stage->buffer, stage->buffer + 4090,
        stage->host->ring_key, stage->a.sq_bus, stage->b.dbr,
        stage->buffer + 8192, 4096, stage->ondemand, stage->process, STAGE_VA,
        STAGE_VA + 4096, STAGE_VA + 8190, stage->ondemand, stage->process, 8,
    };

    for (size_t i = 0; i + 4 <= len; i += 4) {
        uint32_t word;
        uint64_t value;

        memcpy(&word, bytes + i, 4);
        if (le32toh(word) >> 8 != 0xffffff) {
            continue;
        }
        value = htole64(meanings[le32toh(word) % 16]);
        memcpy(bytes + i, &value, i % 8 || i + 8 > len ? 4 : 8);
    }
}

/* What the block of an address vector would be behind the others, if there are any. */
static void with_address(Stage *stage, Input *input, HostQp *qp, union svan_wqebb *bb)
{
    uint32_t last = bb->head.ctrl.num_bbs - 1;
    struct svan_av av = near_av(&stage->unreliable, input);

    bb->head.ctrl.flags |= SVAN_WQE_AV;
    if (last && last < SVAN_WQE_MAX_BBS) {
        svan_sq_bb(&qp->sq, qp->sq_pi + last)->av = av;
    }
}

static void one_wqe(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1);
    HostQp *qp = stage_qp(stage, bits >> 5);
    uint32_t num_bbs = 1;
    union svan_wqebb bb;
    uint8_t len = input_number(input, 1) % (sizeof(bb) + 1);

    memset(&bb, 0, sizeof(bb));
    input_bytes(input, &bb, len);
    make_meaningful(stage, (uint8_t *)&bb, sizeof(bb));
    if (bits & 2) {
        bb.head.ctrl.opcode %= 0x10;
        bb.head.ctrl.num_bbs = bb.head.ctrl.num_bbs % SVAN_WQE_MAX_BBS + 1;
        bb.head.ctrl.num_sge %= 4;
        num_bbs = bits & 8 ? bb.head.ctrl.num_bbs : 1;
    }
    if (bits & 1) {
        with_address(stage, input, qp, &bb);
    }
    *svan_sq_bb(&qp->sq, qp->sq_pi) = bb;
    qp->sq_pi += num_bbs;
    if (!(bits & 4)) {
        host_post(qp);
    }
}

static void one_receive(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1);
    HostQp *qp = stage_qp(stage, input_number(input, 1));
    uint32_t slot = qp->rq_pi & ((1u << qp->log_rq) - 1);
    uint8_t *rwqe = fake_ram(stage->host->fake, qp->rq_bus +
                             ((uint64_t)slot << qp->log_stride));

    input_bytes(input, rwqe, bits % 49);
    make_meaningful(stage, rwqe, 48);
    host_dbr(qp)->rq_pi = htole32(++qp->rq_pi);
}

/* A WQE or a record is changed at any time, outstanding or not. */
static void one_scribble(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1);
    HostQp *qp = stage_qp(stage, bits >> 5);

    if (bits & 2) {
        struct svan_qp_dbr *dbr = host_dbr(qp);

        dbr->sq_pi = htole32(qp->sq_pi + (int8_t)input_number(input, 1));
        dbr->rq_pi = htole32(qp->rq_pi + (int8_t)input_number(input, 1));
    } else {
        union svan_wqebb *bb = svan_sq_bb(&qp->sq, input_number(input, 1));

        bb->data[input_number(input, 1) % sizeof(*bb)] =
            input_number(input, 1);
    }
}

static void one_state(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1), state = bits >> 3 & 15;
    struct svan_cqe cqe;

    stage->host->fake->miss_every = 0;
    host_modify(stage_qp(stage, bits), state < 8 ? state : SVAN_QPS_RTS, 0, NULL);
    while (host_cq_poll(&stage->cq, &cqe) || host_cq_poll(&stage->unreliable.cq, &cqe) ||
           host_cq_poll(&stage->unreliable.datagram_cq, &cqe)) {
    }
}

static void one_action(Stage *stage, Input *input)
{
    Fake *fake = stage->host->fake;
    uint8_t action = input_number(input, 1);

    switch (action % 8 == 4 ? action % 16 : action % 8) {
    case 0:
    case 1:
    case 2:
        one_wqe(stage, input);
        break;
    case 3:
        one_receive(stage, input);
        break;
    case 4:
        one_scribble(stage, input);
        break;
    case 5:
        fake->miss_every = action >> 3;
        break;
    case 6:
        fake->now += 1ull << (action >> 3);
        break;
    default:
        if (action & 8) {
            unreliable_send(&stage->unreliable, input, stage->buffer, stage->host->all_key,
                            input_number(input, 2));
        } else {
            one_state(stage, input);
        }
        break;
    case 4 + 8:
        stage_answer(stage, input_number(input, 1));
        break;
    }
    stage_run(fake, 1 + (action >> 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    stage_play(data, size, 128, one_action, NULL);
    return 0;
}
