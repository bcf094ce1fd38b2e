/*
 * An Ethernet queue pair of a device under test, all of whose WQEs are the same frame
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "sender.h"
#include "svan/wqe.h"

#define EQ_RING         0x2000000
#define CQ_RING         0x2010000
#define SQ_RECORD       0x2020000
#define SQ_RING         0x2021000
#define RINGS_END       (SQ_RING + (SVAN_WQEBB_SIZE << SVAN_SQ_MAX_LOG_BBS))
#define CQ_LOG_SIZE     4

static uint32_t create(Nic *nic, struct svan_cmd *cmd, uint16_t opcode)
{
    struct svan_cmd_resp resp;

    g_assert_cmphex(nic_command(nic, cmd, opcode, &resp), ==, SVAN_CMD_OK);
    return svan_le32_to_cpu(resp.id.id);
}

static uint32_t create_cq(Nic *nic, uint32_t key)
{
    struct svan_cmd eq = {
        .create_eq = {
            .ring = svan_cpu_to_le64(EQ_RING), .eqn = svan_cpu_to_le32(1),
            .log_size = 4,
        },
    };
    struct svan_cmd cq = {
        .create_cq = {
            .ring_va = svan_cpu_to_le64(CQ_RING),
            .ring_key = svan_cpu_to_le32(key),
            .dbr_offset = svan_cpu_to_le32(sizeof(struct svan_cqe)
                                           << CQ_LOG_SIZE),
            .eqn = svan_cpu_to_le32(1),
            .log_size = CQ_LOG_SIZE,
        },
    };

    create(nic, &eq, SVAN_CMD_CREATE_EQ);
    return create(nic, &cq, SVAN_CMD_CREATE_CQ);
}

static uint32_t create_ring_key(Nic *nic)
{
    struct svan_cmd cmd = {
        .create_key = {
            .kind = SVAN_KEY_PINNED, .flags = SVAN_CMD_KEY_INTERNAL,
            .page_shift = 12,
            .access = svan_cpu_to_le32(SVAN_ACCESS_LOCAL_WRITE),
            .va = svan_cpu_to_le64(EQ_RING),
            .length = svan_cpu_to_le64(RINGS_END - EQ_RING),
            .table = svan_cpu_to_le64(EQ_RING),
        },
    };

    return create(nic, &cmd, SVAN_CMD_CREATE_KEY);
}

static uint32_t create_qp(Nic *nic, unsigned log_size)
{
    uint32_t key = create_ring_key(nic);
    uint32_t cqn = create_cq(nic, key), qpn;
    struct svan_cmd cmd = {
        .create_qp = {
            .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED,
            .log_sq_bbs = log_size,
            .send_cq = svan_cpu_to_le32(cqn), .recv_cq = svan_cpu_to_le32(cqn),
            .ring_va = svan_cpu_to_le64(SQ_RECORD),
            .ring_key = svan_cpu_to_le32(key),
            .sq_offset = svan_cpu_to_le32(SQ_RING - SQ_RECORD),
        },
    };

    qpn = create(nic, &cmd, SVAN_CMD_CREATE_QP);
    for (unsigned state = SVAN_QPS_INIT; state <= SVAN_QPS_RTS; state++) {
        cmd = (struct svan_cmd) {
            .modify_qp = {
                .qpn = svan_cpu_to_le32(qpn), .attr.state = state,
            },
        };
        create(nic, &cmd, SVAN_CMD_MODIFY_QP);
    }
    return qpn;
}

Sender sender_new(Nic *nic, unsigned log_size)
{
    size_t len = SVAN_WQEBB_SIZE << log_size;
    g_autofree union svan_wqebb *bbs = g_malloc0(len);
    struct svan_sq_ring ring = { bbs, (1u << log_size) - 1 };
    Sender sender = { .nic = nic, .log_size = log_size };

    nic_enable(nic, 4);
    qtest_memset(nic->qts, SQ_RECORD, 0, sizeof(struct svan_qp_dbr));
    sender.qpn = create_qp(nic, log_size);
    for (unsigned i = 0; i <= ring.mask; i++) {
        svan_wqe_set_num_sge(svan_wqe_begin(&ring, i, SVAN_WQE_ETH_SEND, 0, 0),
                             1);
        svan_sge_set(svan_wqe_sge(&ring, i, 0), NIC_BUFFER, FRAME,
                     SVAN_KEY_LOCAL_DMA);
    }
    qtest_bufwrite(nic->qts, SQ_RING, bbs, len);
    return sender;
}

void sender_post(Sender *sender, uint32_t count)
{
    sender->pi += count;
    qtest_writeq(sender->nic->qts, sender->nic->uars.addr + SVAN_UAR_SQ_DB,
                 svan_db_value(sender->qpn, sender->pi));
}

uint32_t sender_ci(Sender *sender)
{
    struct svan_cmd cmd = { .object.id = svan_cpu_to_le32(sender->qpn) };
    struct svan_cmd_resp resp;

    g_assert_cmphex(nic_command(sender->nic, &cmd, SVAN_CMD_QUERY_QP, &resp),
                    ==, SVAN_CMD_OK);
    return svan_le32_to_cpu(resp.query_qp.sq_ci);
}

void sender_await(Sender *sender, uint32_t ci)
{
    gint64 limit = g_get_monotonic_time() + NIC_WAIT_S * G_USEC_PER_SEC;

    while (sender_ci(sender) < ci && g_get_monotonic_time() < limit) {
        g_usleep(1000);
    }
    g_assert_cmpuint(sender_ci(sender), >=, ci);
}
