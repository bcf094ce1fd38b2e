/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver of a virtual function that wrongs everybody: commands, registers, doorbells
 * and rings of any content, with numbers, keys and addresses of other functions, forged
 * packets, and resets in the midst. Two other virtual functions are sent data by the
 * physical one and by each other meanwhile, into pages that are absent: it arrives within
 * a bounded number of the device's runs, their other pages stay as they are, and the
 * device reaches for no memory in the name of one function that is another's. What is sent
 * to a multicast group reaches its members alone, and names its sender.
 */
#include "fuzz_vf.h"

#define PACKET_PAYLOAD  64u
#define FORGERY_RUNS    30u     /* in which a frame has left */

static const uint16_t opcodes[] = {
    SVAN_CMD_CREATE_EQ, SVAN_CMD_DESTROY_EQ, SVAN_CMD_ALLOC_UAR, SVAN_CMD_FREE_UAR,
    SVAN_CMD_ALLOC_PD, SVAN_CMD_FREE_PD, SVAN_CMD_CREATE_KEY, SVAN_CMD_DESTROY_KEY,
    SVAN_CMD_CREATE_CQ, SVAN_CMD_DESTROY_CQ, SVAN_CMD_CREATE_QP, SVAN_CMD_DESTROY_QP,
    SVAN_CMD_MODIFY_QP, SVAN_CMD_QUERY_QP, SVAN_CMD_SET_GID, SVAN_CMD_CLEAR_GID,
    SVAN_CMD_ETH_SET_FILTER, SVAN_CMD_ETH_SET_MCAST, SVAN_CMD_CREATE_PRQ,
    SVAN_CMD_DESTROY_PRQ, SVAN_CMD_SET_SPARE_PAGES, SVAN_CMD_SET_CONTEXT_TABLE,
    SVAN_CMD_MODIFY_KEY, SVAN_CMD_CREATE_COUNTER, SVAN_CMD_ATTACH_COUNTER,
    SVAN_CMD_SET_FAULT_POLICY, SVAN_CMD_SET_PORT, SVAN_CMD_QUERY_CAPS,
    SVAN_CMD_QUERY_STATS, SVAN_CMD_SET_FUNCTION, SVAN_CMD_QUERY_FUNCTION,
    SVAN_CMD_SET_CONGESTION, SVAN_CMD_QUERY_CONGESTION, SVAN_CMD_SET_ENFORCEMENT,
    SVAN_CMD_QUERY_ENFORCEMENT, SVAN_CMD_QUERY_FLOWS, SVAN_CMD_JUDGE_FLOW,
    SVAN_CMD_SET_RATE_GROUP, SVAN_CMD_ATTACH_MCAST, SVAN_CMD_DETACH_MCAST,
};

#define NUM_OPCODES     (sizeof(opcodes) / sizeof(opcodes[0]))

/* Words that are all ones but for the last octet become numbers that mean something. */
static void make_meaningful(Ward *ward, uint8_t *bytes, size_t len)
{
    const Hostile *bad = &ward->hostile;
    const Vf *good = &ward->vfs->vf[0];
    const uint64_t meanings[] = {
        bad->host->ring_key, bad->host->all_key, bad->host->pd, bad->cq.cqn,
        bad->qp.qpn, bad->eth.qpn, bad->buffer, bad->host->cmdq,
        good->host->ring_key, good->key, good->qp.qpn, good->cq.cqn,
        good->pages, good->qp.sq_bus, good->pf_qp.qpn, VF_VA,
        bad->ud.qpn, ward->listeners->all[0].qp.qpn, 0xffff0000, 0x030201ef,
    };

    for (size_t i = 0; i + 4 <= len; i += 4) {
        uint32_t word;
        uint64_t value;

        memcpy(&word, bytes + i, 4);
        if (le32toh(word) >> 8 == 0xffffff) {
            value = htole64(meanings[le32toh(word) % (sizeof(meanings) / sizeof(meanings[0]))]);
            memcpy(bytes + i, &value, i % 8 || i + 8 > len ? 4 : 8);
        }
    }
}

static void one_command(Ward *ward, Input *input)
{
    Host *host = ward->hostile.host;
    uint8_t choice = input_number(input, 1);
    uint8_t len = input_number(input, 1);
    struct svan_cmd cmd = host_cmd_init(0);

    input_bytes(input, cmd.payload, len < SVAN_CMD_PAYLOAD ? len : SVAN_CMD_PAYLOAD);
    cmd.hdr.opcode = htole16(choice < 0xf0 ? opcodes[choice % NUM_OPCODES] :
                                             input_number(input, 2));
    cmd.hdr.flags = htole16(choice & SVAN_CMD_NOTIFY);
    make_meaningful(ward, cmd.payload, sizeof(cmd.payload));
    host_cmd_post(host, &cmd);
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
}

static void one_register(Ward *ward, Input *input)
{
    static const unsigned sizes[] = { 4, 8 };
    SvanCore *core = ward->fake->core;
    uint8_t bits = input_number(input, 1);
    uint32_t offset = input_number(input, 2);
    uint64_t value = input_number(input, bits & 0x40 ? 8 : 2);

    if (bits & 0x80) {
        offset = (offset & 0x7ff) << 2;
    }
    svan_reg_write(core, HOSTILE_FN, offset, value, sizes[bits & 1]);
    svan_reg_read(core, HOSTILE_FN, offset, sizes[bits >> 1 & 1]);
}

/* At any page of its own BAR, and beyond, with numbers of anybody's queues. */
static void one_doorbell(Ward *ward, Input *input)
{
    const Vf *good = &ward->vfs->vf[1];
    const uint32_t numbers[] = {
        ward->hostile.qp.qpn, ward->hostile.cq.cqn, ward->hostile.eth.qpn,
        good->qp.qpn, good->cq.cqn, good->pf_qp.qpn,
    };
    uint8_t bits = input_number(input, 1);
    uint32_t offset = input_number(input, 2) << 3;
    uint64_t value = input_number(input, 8);

    if (bits & 1) {
        value = svan_db_value(numbers[(bits >> 1) % 6], value);
        offset = (offset & 0x18) | (bits >> 5) << SVAN_UAR_SHIFT;
    }
    svan_doorbell(ward->fake->core, HOSTILE_FN, offset, value, 8);
}

/* Into its rings, records and tables, at any time. */
static void one_scribble(Ward *ward, Input *input)
{
    Hostile *bad = &ward->hostile;
    uint8_t bits = input_number(input, 1);
    uint32_t at = input_number(input, 3) % (HOSTILE_BYTES - sizeof(union svan_wqebb));
    HostQp *qp = bits & 2 ? &bad->qp : &bad->eth;
    union svan_wqebb bb;

    memset(&bb, 0, sizeof(bb));
    input_bytes(input, &bb, (bits >> 2) + 1);
    make_meaningful(ward, (uint8_t *)&bb, sizeof(bb));
    if (bits & 1) {
        *svan_sq_bb(&qp->sq, qp->sq_pi++) = bb;
        host_post(qp);
    } else {
        memcpy(fake_ram(ward->fake, bad->bus + at), &bb, sizeof(bb));
    }
}

/* A work request that reaches for what is another's, otherwise well formed. */
static void one_request(Ward *ward, Input *input)
{
    static const uint8_t ops[] = {
        SVAN_WQE_RDMA_WRITE, SVAN_WQE_RDMA_READ, SVAN_WQE_SEND,
        SVAN_WQE_ATOMIC_FETCH_ADD,
    };
    Hostile *bad = &ward->hostile;
    Vf *good = &ward->vfs->vf[0];
    uint8_t bits = input_number(input, 1);
    HostSend send = {
        .opcode = ops[bits & 3], .flags = SVAN_WQE_SIGNALED,
        .addr = bits & 4 ? good->pages : bad->buffer, .lkey = bits & 8 ? good->key : 0,
        .length = (bits & 3) == 3 ? 8 : 1 + (bits >> 6) * 3000, .remote = good->pages,
        .rkey = bits & 16 ? good->key : good->host->all_key,
    };

    host_send(&bad->qp, &send);
    host_post(&bad->qp);
}

/* Its own pages, which are absent. */
static void one_fault(Ward *ward, Input *input)
{
    Hostile *bad = &ward->hostile;
    uint8_t bits = input_number(input, 1);
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE + (bits & 1), .addr = bad->buffer,
        .length = 1 + (bits >> 4) * 500, .remote = VF_PAGE(bits >> 1 & 7),
        .rkey = bad->demand.key,
    };

    host_send(&bad->qp, &send);
    host_post(&bad->qp);
}

/* To what it was asked for, or to a request that may be another's: the tokens are alike. */
static void one_answer(Ward *ward, Input *input)
{
    Vf *vf = &ward->hostile.demand;
    uint8_t bits = input_number(input, 1);

    if (!vf_requested(vf) || bits & 1) {
        vf->last.token = htole32((bits >> 4) << 16 | (bits >> 1 & 7));
    } else if (bits & 2) {
        vf_say_resolved(vf);
        return;
    }
    vf_say(vf, bits >> 2, 1ull << (bits >> 2));
}

/* By its own queue pair: it may join the group, and reach listeners, from its own GIDs. */
static void one_datagram(Ward *ward, Input *input)
{
    Hostile *bad = &ward->hostile;
    uint8_t bits = input_number(input, 1);
    const Listener *to = &ward->listeners->all[bits & 1];
    struct svan_av av = bits & 2 ? host_group_av(listen_group, LISTEN_QKEY) :
                                   host_av(&to->qp, LISTEN_QKEY);
    HostWr wr = {
        .opcode = SVAN_WQE_SEND + (bits >> 2 & 1), .num_sge = 1, .av = &av,
        .sge[0] = { bad->buffer, (bits >> 4) * 40, bad->host->all_key },
    };

    if (bits & 8) {
        av.sgid_index = input_number(input, 1);
        av.dqpn = htole32(input_number(input, 3));
        memcpy(av.dgid + 12, bad->host->gids[0].gid + 12, bits >> 5);
    }
    host_write_wqe(&bad->ud, &wr);
    host_post(&bad->ud);
}

/* A datagram to the group, in place of the packet. */
static void forge_datagram(Ward *ward, uint8_t bits, SvanPkt *pkt)
{
    const Listener *to = &ward->listeners->all[bits >> 4 & 1];
    struct svan_av av = bits & 8 ? host_group_av(listen_group, LISTEN_QKEY) :
                                   host_av(&to->qp, LISTEN_QKEY);

    pkt->opcode = SVAN_BTH_UD | SVAN_OP_SEND_ONLY;
    pkt->dqpn = le32toh(av.dqpn);
    pkt->qkey = LISTEN_QKEY;
    pkt->sqpn = ward->listeners->sender.qpn;
    memcpy(pkt->addr.dmac, av.dmac, 6);
    memcpy(pkt->addr.dgid, av.dgid, 16);
}

/*
 * A packet as the physical function would send it to the other virtual function, or that
 * one to the physical function, but by the hostile one's Ethernet queue. It leaves if the
 * physical function has not yet forbidden that.
 */
static void one_forgery(Ward *ward, Input *input)
{
    static uint8_t payload[PACKET_PAYLOAD];
    Hostile *bad = &ward->hostile;
    Vf *good = &ward->vfs->vf[0];
    uint8_t bits = input_number(input, 1);
    const Host *from = bits & 1 ? good->host : ward->vfs->pf;
    const Host *to = bits & 1 ? ward->vfs->pf : good->host;
    SvanPkt pkt = {
        .opcode = input_number(input, 1) % 0x18, .pkey = SVAN_PKEY_DEFAULT,
        .dqpn = bits & 1 ? good->pf_qp.qpn : good->qp.qpn,
        .psn = 0x100 + input_number(input, 1), .rkey = good->key, .va = VF_PAGE(4),
        .dma_len = PACKET_PAYLOAD, .syndrome = input_number(input, 1), .num_runs = 1,
        .addr = { .ipv4 = true, .hop_limit = 64 },
        .runs[0] = { .host = payload, .len = PACKET_PAYLOAD },
    };
    HostSend send = { .opcode = SVAN_WQE_ETH_SEND, .addr = bad->buffer };
    SvanFrame *frame;

    memset(payload, 0xbd, sizeof(payload));
    memcpy(pkt.addr.smac, bits & 2 ? bad->host->gids[0].smac : from->gids[0].smac, 6);
    memcpy(pkt.addr.sgid, bits & 4 ? bad->host->gids[0].gid : from->gids[0].gid, 16);
    memcpy(pkt.addr.dmac, to->gids[0].smac, 6);
    memcpy(pkt.addr.dgid, to->gids[0].gid, 16);
    if (bits & 0x80) {
        forge_datagram(ward, bits, &pkt);
    }
    pkt.payload_len = svan_op_info(pkt.opcode)->payload ? PACKET_PAYLOAD : 0;
    frame = svan_pkt_encode(&pkt);
    memcpy(fake_ram(ward->fake, bad->buffer), frame->data, frame->len);
    send.length = frame->len;
    svan_frame_free(frame);
    if (bits & 0x40) {
        hostile_checked(ward, false);
    }
    host_send(&bad->eth, &send);
    host_post(&bad->eth);
    if (bits & 0x40) {
        ward_run(ward, FORGERY_RUNS);
        hostile_checked(ward, true);
    }
}

static void one_action(Ward *ward, Input *input)
{
    uint8_t action = input_number(input, 1);

    switch (action % 16) {
    case 3:
        one_fault(ward, input);
        break;
    case 5:
    case 6:
        one_register(ward, input);
        break;
    case 4:
        one_answer(ward, input);
        break;
    case 7:
    case 8:
        one_doorbell(ward, input);
        break;
    case 9:
    case 10:
        one_scribble(ward, input);
        break;
    case 11:
        if (action & 0x80) {
            one_datagram(ward, input);
        } else {
            one_request(ward, input);
        }
        break;
    case 12:
        one_forgery(ward, input);
        break;
    case 13:
        svan_reset(ward->fake->core, HOSTILE_FN);
        hostile_set(ward);
        break;
    case 14:
        ward_exchange(ward);
        break;
    case 15:
        ward->fake->now += 1ull << (action >> 4);
        break;
    default:
        one_command(ward, input);
        break;
    }
    ward_run(ward, 1 + (action >> 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Ward ward;
    Input input = { data, size };

    if (!ward.fake) {
        ward_init(&ward);
    }
    ward_begin(&ward);
    for (uint32_t n = 0; input.size && n < 96; n++) {
        one_action(&ward, &input);
    }
    ward_exchange(&ward);
    svan_reset(ward.fake->core, HOSTILE_FN);
    ward_exchange(&ward);
    ward_end(&ward);
    return 0;
}
