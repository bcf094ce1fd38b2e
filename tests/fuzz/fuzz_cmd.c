/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands of any content, mixed with traffic, doorbells, misses and time.
 */
#include "fuzz.h"
#include "net/stations.h"

static const uint16_t opcodes[] = {
    SVAN_CMD_NOP, SVAN_CMD_QUERY_CAPS, SVAN_CMD_QUERY_STATS,
    SVAN_CMD_CREATE_EQ, SVAN_CMD_DESTROY_EQ, SVAN_CMD_ALLOC_UAR,
    SVAN_CMD_FREE_UAR, SVAN_CMD_ALLOC_PD, SVAN_CMD_FREE_PD,
    SVAN_CMD_CREATE_KEY, SVAN_CMD_DESTROY_KEY, SVAN_CMD_QUERY_KEY,
    SVAN_CMD_CREATE_CQ, SVAN_CMD_DESTROY_CQ, SVAN_CMD_MODERATE_CQ,
    SVAN_CMD_CREATE_QP, SVAN_CMD_DESTROY_QP, SVAN_CMD_MODIFY_QP,
    SVAN_CMD_QUERY_QP, SVAN_CMD_SET_GID, SVAN_CMD_CLEAR_GID,
    SVAN_CMD_ETH_SET_FILTER, SVAN_CMD_ETH_SET_MCAST,
    SVAN_CMD_SET_CONTEXT_TABLE, SVAN_CMD_CREATE_PRQ, SVAN_CMD_DESTROY_PRQ,
    SVAN_CMD_SET_FAULT_POLICY, SVAN_CMD_QUERY_FAULT_POLICY,
    SVAN_CMD_SET_SPARE_PAGES, SVAN_CMD_SET_PORT, SVAN_CMD_MODIFY_KEY,
    SVAN_CMD_CREATE_COUNTER, SVAN_CMD_DESTROY_COUNTER, SVAN_CMD_MODIFY_COUNTER,
    SVAN_CMD_ATTACH_COUNTER, SVAN_CMD_SET_FUNCTION, SVAN_CMD_QUERY_FUNCTION,
    SVAN_CMD_SET_CONGESTION, SVAN_CMD_QUERY_CONGESTION, SVAN_CMD_SET_ENFORCEMENT,
    SVAN_CMD_QUERY_ENFORCEMENT, SVAN_CMD_QUERY_FLOWS, SVAN_CMD_JUDGE_FLOW,
    SVAN_CMD_SET_RATE_GROUP, SVAN_CMD_ATTACH_MCAST, SVAN_CMD_DETACH_MCAST,
};

#define NUM_OPCODES     (sizeof(opcodes) / sizeof(opcodes[0]))

/* Addresses and keys that mean something, in place of what is all ones. */
static void make_meaningful(Stage *stage, struct svan_cmd *cmd)
{
    uint32_t words[SVAN_CMD_PAYLOAD / 4];
    const uint32_t meanings[] = {
        stage->host->ring_key, stage->host->all_key, stage->host->pd,
        stage->cq.cqn, stage->a.qpn, stage->b.qpn, stage->eth.qpn,
        stage->buffer, stage->ondemand, stage->process,
        stage_bus(stage, stage->table), stage_bus(stage, stage->contexts),
        stage_bus(stage, stage->prq.requests),
        stage_bus(stage, stage->prq.responses),
        stage->pages, STAGE_PRQ_LOG,
        stage->unreliable.uc[0].qpn, stage->unreliable.uc[1].qpn,
        stage->unreliable.ud[0].qpn, stage->unreliable.ud[1].qpn,
        stage->unreliable.gsi.qpn, stage->unreliable.cq.cqn,
        0xffff0000, 0x030201ef,         /* of the GID of a group */
    };

    memcpy(words, cmd->payload, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        uint32_t word = le32toh(words[i]);

        if (word >> 8 == 0xffffff) {
            words[i] = htole32(meanings[word % (sizeof(meanings) / sizeof(meanings[0]))]);
        }
    }
    memcpy(cmd->payload, words, sizeof(words));
}

static void one_command(Stage *stage, Input *input)
{
    uint8_t choice = input_number(input, 1);
    struct svan_cmd cmd = host_cmd_init(0);
    uint8_t len = input_number(input, 1);

    input_bytes(input, cmd.payload,
                len < SVAN_CMD_PAYLOAD ? len : SVAN_CMD_PAYLOAD);
    cmd.hdr.opcode = htole16(choice < 0xf0 ? opcodes[choice % NUM_OPCODES] :
                                             input_number(input, 2));
    cmd.hdr.flags = htole16(choice & SVAN_CMD_NOTIFY);
    make_meaningful(stage, &cmd);
    host_cmd_post(stage->host, &cmd);
    host_write(stage->host, SVAN_REG_CMDQ_DB, stage->host->cmd_pi);
}

/* All that the transition may need, for any type of queue pair, or most of it. */
static uint32_t attributes_for(uint8_t type, uint8_t state)
{
    bool datagram = type == SVAN_QPT_UD || type == SVAN_QPT_GSI;

    switch (state) {
    case SVAN_QPS_INIT:
        return SVAN_QP_ATTR_PKEY_INDEX | (type == SVAN_QPT_GSI ? 0 : SVAN_QP_ATTR_PORT) |
               (datagram ? SVAN_QP_ATTR_QKEY : SVAN_QP_ATTR_ACCESS);
    case SVAN_QPS_RTR:
        return datagram ? SVAN_QP_ATTR_MTU :
               SVAN_QP_ATTR_AV | SVAN_QP_ATTR_MTU | SVAN_QP_ATTR_DEST_QPN |
               SVAN_QP_ATTR_RQ_PSN;
    case SVAN_QPS_RTS:
        return SVAN_QP_ATTR_SQ_PSN;
    default:
        return 0;
    }
}

static void one_transition(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODIFY_QP);
    HostQp *qp = stage_qp(stage, bits);
    uint32_t mask = attributes_for(qp->type, bits >> 3 & 7);

    cmd.modify_qp.qpn = htole32(qp->qpn);
    cmd.modify_qp.attr = (struct svan_qp_attr) {
        .state = bits >> 3 & 7, .port = 1, .log_mtu = 8 + (bits >> 6),
        .qkey = htole32(UNRELIABLE_QKEY), .access = SVAN_ACCESS_REMOTE_MASK,
        .dest_qpn = htole32(qp->qpn),
    };
    memcpy(cmd.modify_qp.av.dgid, stage->host->gids[0].gid, 16);
    memcpy(cmd.modify_qp.av.dmac, stage->host->gids[0].smac, 6);
    cmd.modify_qp.mask = htole32(bits & 0x80 ? mask ^ 1u << (input_number(input, 1) & 31) :
                                               bits & 0x40 ? mask : 0);
    host_cmd_post(stage->host, &cmd);
    host_write(stage->host, SVAN_REG_CMDQ_DB, stage->host->cmd_pi);
}

static void one_membership(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1);
    struct svan_cmd cmd = host_cmd_init(bits & 0x80 ? SVAN_CMD_DETACH_MCAST :
                                                      SVAN_CMD_ATTACH_MCAST);

    cmd.attach_mcast.qpn = htole32(stage_qp(stage, bits)->qpn);
    memcpy(cmd.attach_mcast.gid, unreliable_groups[bits >> 3 & 1], 16);
    if (bits & 0x10) {
        cmd.attach_mcast.gid[input_number(input, 1) & 15] = input_number(input, 1);
    }
    host_cmd_post(stage->host, &cmd);
    host_write(stage->host, SVAN_REG_CMDQ_DB, stage->host->cmd_pi);
}

static void one_action(Stage *stage, Input *input)
{
    Fake *fake = stage->host->fake;
    uint8_t action = input_number(input, 1);

    switch (action % 8) {
    case 0:
    case 1:
    case 2:
        if (action < 0xa0 || action % 8 == 0) {
            one_command(stage, input);
        } else if (action % 8 == 1) {
            one_transition(stage, input);
        } else {
            one_membership(stage, input);
        }
        break;
    case 3:
        if (action >= 0xc0) {
            unreliable_send(&stage->unreliable, input, stage->buffer,
                            stage->host->all_key, 3000);
        } else if (action & 0x80) {
            stage_send_paged(stage, SVAN_WQE_RDMA_WRITE + (action >> 5 & 3),
                             3000, action);
        } else {
            stage_send(stage, action >> 3 & 15, 3000);
        }
        break;
    case 4:
        svan_doorbell(fake->core, 0, input_number(input, 2) << 3,
                      input_number(input, 8), 8);
        break;
    case 5:
        fake->miss_every = action >> 3;
        break;
    case 6:
        fake->now += 1ull << (action >> 3);
        break;
    default:
        host_eq_arm(stage->host, action >> 7);
        stage_answer(stage, action);
        break;
    }
    stage_run(fake, 1 + (action >> 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fake *fake;
    Input input = { data, size };
    Stage stage;

    if (!fake) {
        fake = stage_fake();
    }
    stage = stage_set(fake);
    for (uint32_t n = 0; input.size && n < 64; n++) {
        one_action(&stage, &input);
    }
    stage_run(fake, 100);
    svan_reset(fake->core, 0);
    if (fake->core->heap_reserved) {
        fake_die("room for %u timers is left over",
                 fake->core->heap_reserved);
    }
    for (uint32_t i = 0; i < 2; i++) {
        SvanStationKey key = svan_station_group(unreliable_groups[i]);

        if (svan_stations_find(fake->core->sw, &key)) {
            fake_die("a function that was reset is a member of a group");
        }
    }
    stage_strike(&stage);
    fake_recycle(fake);
    return 0;
}
