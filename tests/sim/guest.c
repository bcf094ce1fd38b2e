/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pager.h"

#define CMDQ_LOG        5
#define EQ_LOG          8
#define CMD_RUNS        100000

/* ---- memory ---- */

uint32_t guest_ram(Guest *guest, uint32_t bytes)
{
    uint32_t offset = guest->bump;

    guest->bump += (bytes + SIM_PAGE - 1) & ~(SIM_PAGE - 1);
    return offset;
}

static void *ram_at(const Guest *guest, uint32_t offset)
{
    return guest->node->fake->ram + offset;
}

static __le64 bus_of(const Guest *guest, uint32_t offset)
{
    return svan_cpu_to_le64(guest->node->fake->bus + offset);
}

/* ---- commands ---- */

uint8_t guest_cmd(Guest *guest, const struct svan_cmd *cmd,
                  struct svan_cmd_resp *resp)
{
    SvanCore *core = guest->node->fake->core;
    uint32_t index = guest->cmd_index++;
    uint32_t slot = index & ((1u << CMDQ_LOG) - 1);
    struct svan_cmd *cmds = ram_at(guest, guest->cmdq);
    const volatile struct svan_cmd_resp *resps = ram_at(guest, guest->cmdr);

    cmds[slot] = *cmd;
    svan_reg_write(core, 0, SVAN_REG_CMDQ_DB, guest->cmd_index, 4);
    for (uint32_t i = 0; i < CMD_RUNS; i++) {
        if (svan_cmd_resp_valid(resps[slot].phase, index, CMDQ_LOG)) {
            *resp = *(const struct svan_cmd_resp *)&resps[slot];
            return resp->status;
        }
        svan_run(core);
    }
    world_fail(guest->node->world, "node %u: command %03x is not answered",
               guest->node->id, svan_le16_to_cpu(cmd->hdr.opcode));
}

uint32_t guest_must(Guest *guest, struct svan_cmd *cmd, uint16_t opcode)
{
    struct svan_cmd_resp resp;

    cmd->hdr.opcode = svan_cpu_to_le16(opcode);
    if (guest_cmd(guest, cmd, &resp) != SVAN_CMD_OK) {
        world_fail(guest->node->world,
                   "node %u: command %03x: status %u, field at %u",
                   guest->node->id, opcode, resp.status,
                   svan_le32_to_cpu(resp.syndrome));
    }
    return svan_le32_to_cpu(resp.id.id);
}

/* ---- bring-up ---- */

static void start(Guest *guest)
{
    SvanCore *core = guest->node->fake->core;

    guest->cmdq = guest_ram(guest, sizeof(struct svan_cmd) << CMDQ_LOG);
    guest->cmdr = guest_ram(guest, sizeof(struct svan_cmd_resp) << CMDQ_LOG);
    svan_reg_write(core, 0, SVAN_REG_CMDQ_BASE, bus_of(guest, guest->cmdq), 8);
    svan_reg_write(core, 0, SVAN_REG_CMDR_BASE, bus_of(guest, guest->cmdr), 8);
    svan_reg_write(core, 0, SVAN_REG_CMDQ_LOG_SIZE, CMDQ_LOG, 4);
    svan_reg_write(core, 0, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE, 4);
}

static void arm_eq(Guest *guest, uint32_t eqn)
{
    svan_reg_write(guest->node->fake->core, 0, SVAN_REG_EQ_DB(eqn),
                   (guest->eq_ci[eqn] & SVAN_EQ_DB_CI_MASK) | SVAN_EQ_DB_ARM,
                   4);
}

static void create_eq(Guest *guest, uint32_t eqn)
{
    struct svan_cmd cmd = { 0 };

    guest->eqs[eqn] = guest_ram(guest, sizeof(struct svan_eqe) << EQ_LOG);
    cmd.create_eq.ring = bus_of(guest, guest->eqs[eqn]);
    cmd.create_eq.eqn = svan_cpu_to_le32(eqn);
    cmd.create_eq.vector = svan_cpu_to_le16(eqn);
    cmd.create_eq.log_size = EQ_LOG;
    guest_must(guest, &cmd, SVAN_CMD_CREATE_EQ);
    arm_eq(guest, eqn);
}

/* GID 0: IPv4 10.0.0.n, GID 1: IPv6 fd00::n */
static void gid_of(const Node *node, uint32_t index, uint8_t *gid)
{
    memset(gid, 0, 16);
    if (index == 0) {
        gid[10] = gid[11] = 0xff;
        gid[12] = 10;
    } else {
        gid[0] = 0xfd;
    }
    gid[15] = node->id + 1;
}

static void set_gid(Guest *guest, uint32_t index)
{
    struct svan_cmd cmd = { 0 };

    cmd.set_gid.index = svan_cpu_to_le32(index);
    gid_of(guest->node, index, cmd.set_gid.gid);
    memcpy(cmd.set_gid.smac, guest->node->mac, 6);
    guest_must(guest, &cmd, SVAN_CMD_SET_GID);
}

Guest *guest_new(Node *node, uint32_t ram_for_rings)
{
    Guest *guest = calloc(1, sizeof(*guest));
    struct svan_cmd cmd = { 0 };

    guest->node = node;
    guest->rng = rng_make(node->world->seed, 300 + node->id);
    node->guest = guest;
    pages_init(&guest->pool, node, ram_for_rings, &guest->rng);
    start(guest);
    create_eq(guest, 0);
    create_eq(guest, 1);
    guest->pd = guest_must(guest, &cmd, SVAN_CMD_ALLOC_PD);
    set_gid(guest, 0);
    set_gid(guest, 1);
    return guest;
}

void guest_free(Guest *guest)
{
    for (uint32_t i = 0; i < guest->num_cqs; i++) {
        free(guest->cqs[i]);
    }
    pages_fini(&guest->pool);
    free(guest);
}

/* ---- events ---- */

static void completion_event(Guest *guest, uint32_t cqn)
{
    for (uint32_t i = 0; i < guest->num_cqs; i++) {
        if (guest->cqs[i]->cqn == cqn) {
            guest->cqs[i]->event = true;
            return;
        }
    }
    world_fail(guest->node->world, "node %u: event of CQ %06x, which is none",
               guest->node->id, cqn);
}

void guest_irq(Node *node, uint32_t vector)
{
    Guest *guest = node->guest;
    const struct svan_eqe *ring = ram_at(guest, guest->eqs[vector]);

    for (;;) {
        uint32_t ci = guest->eq_ci[vector];
        struct svan_eqe eqe = ring[ci & ((1u << EQ_LOG) - 1)];

        if (!svan_eqe_valid(eqe.owner, ci, EQ_LOG)) {
            break;
        }
        guest->eq_ci[vector]++;
        if (eqe.type == SVAN_EVENT_COMPLETION) {
            completion_event(guest, svan_le32_to_cpu(eqe.qn));
        } else if (eqe.type == SVAN_EVENT_PAGE_REQUEST && guest->pager) {
            requests_event(guest->pager);
        } else if (guest->async) {
            guest->async(guest, eqe.type, svan_le32_to_cpu(eqe.qn),
                         svan_le32_to_cpu(eqe.data));
        }
    }
    arm_eq(guest, vector);
}

/* ---- keys ---- */

/* A table of 512 entries, on a page of its own; entries are set by fill. */
static uint32_t new_table(Guest *guest)
{
    uint32_t table = page_take(&guest->pool, guest->node);

    memset(ram_at(guest, table), 0, SIM_PAGE);
    return table;
}

static uint32_t build_tables(Guest *guest, const uint32_t *pages,
                             uint32_t count, uint32_t levels)
{
    uint32_t table = new_table(guest);
    __le64 *entries = ram_at(guest, table);
    uint32_t span = 1;

    for (uint32_t i = 1; i < levels; i++) {
        span *= SVAN_MTT_TABLE_ENTRIES;
    }
    for (uint32_t i = 0; i * span < count; i++) {
        uint32_t n = count - i * span < span ? count - i * span : span;
        uint32_t below = levels == 1 ? pages[i] :
                         build_tables(guest, pages + i * span, n, levels - 1);

        entries[i] = svan_cpu_to_le64(
            svan_mtt_present(guest->node->fake->bus + below, levels == 1));
    }
    return table;
}

static uint32_t create_key(Guest *guest, struct svan_cmd_create_key *key)
{
    struct svan_cmd cmd = { .create_key = *key };

    return guest_must(guest, &cmd, SVAN_CMD_CREATE_KEY);
}

void guest_register(Guest *guest, Region *region, uint32_t access)
{
    uint32_t levels = region->num_pages > SVAN_MTT_TABLE_ENTRIES ? 2 :
                      1 + rng_below(&guest->rng, 2);
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED,
        .levels = levels,
        .page_shift = 12,
        .access = svan_cpu_to_le32(access),
        .pd = svan_cpu_to_le32(guest->pd),
        .va = svan_cpu_to_le64(region->va),
        .length = svan_cpu_to_le64(region->length),
    };

    key.table = bus_of(guest, build_tables(guest, region->pages,
                                           region->num_pages, levels));
    region->key = create_key(guest, &key);
}

static void destroy(Guest *guest, uint16_t opcode, uint32_t id)
{
    struct svan_cmd cmd = { .object.id = svan_cpu_to_le32(id) };

    guest_must(guest, &cmd, opcode);
}

void guest_deregister(Guest *guest, Region *region)
{
    destroy(guest, SVAN_CMD_DESTROY_KEY, region->key);
}

/* The ring buffer at offset, contiguous; mostly through a table anyway. */
static uint32_t ring_key(Guest *guest, uint32_t offset, uint32_t length)
{
    uint32_t num_pages = (length + SIM_PAGE - 1) / SIM_PAGE;
    uint32_t *pages = malloc(num_pages * sizeof(*pages));
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED,
        .flags = SVAN_CMD_KEY_INTERNAL,
        .levels = rng_below(&guest->rng, 4) ? 1 : 0,
        .page_shift = 12,
        .access = svan_cpu_to_le32(SVAN_ACCESS_LOCAL_WRITE),
        .va = svan_cpu_to_le64(offset),
        .length = svan_cpu_to_le64(length),
        .table = bus_of(guest, offset),
    };

    for (uint32_t i = 0; i < num_pages; i++) {
        pages[i] = offset + i * SIM_PAGE;
    }
    if (key.levels) {
        key.table = bus_of(guest, build_tables(guest, pages, num_pages, 1));
    }
    free(pages);
    return create_key(guest, &key);
}

/* ---- completion queues ---- */

GuestCq *guest_cq_new(Guest *guest, uint8_t log_size)
{
    uint32_t size = sizeof(struct svan_cqe) << log_size;
    GuestCq *cq = calloc(1, sizeof(*cq));
    struct svan_cmd cmd = { 0 };

    cq->guest = guest;
    cq->log_size = log_size;
    cq->ring = guest_ram(guest, size + sizeof(struct svan_cq_dbr));
    cmd.create_cq.ring_va = svan_cpu_to_le64(cq->ring);
    cmd.create_cq.ring_key = svan_cpu_to_le32(
        ring_key(guest, cq->ring, size + sizeof(struct svan_cq_dbr)));
    cmd.create_cq.dbr_offset = svan_cpu_to_le32(size);
    cmd.create_cq.eqn = svan_cpu_to_le32(1);
    cmd.create_cq.log_size = log_size;
    cq->cqn = guest_must(guest, &cmd, SVAN_CMD_CREATE_CQ);
    guest->cqs[guest->num_cqs++] = cq;
    return cq;
}

bool guest_cq_poll(GuestCq *cq, struct svan_cqe *cqe)
{
    const struct svan_cqe *ring = ram_at(cq->guest, cq->ring);
    struct svan_cq_dbr *dbr = ram_at(cq->guest, cq->ring +
                                     (sizeof(*ring) << cq->log_size));

    *cqe = ring[cq->ci & ((1u << cq->log_size) - 1)];
    if (!svan_cqe_valid(cqe->owner, cq->ci, cq->log_size)) {
        return false;
    }
    cq->ci++;
    dbr->ci = svan_cpu_to_le32(cq->ci);
    return true;
}

void guest_cq_arm(GuestCq *cq)
{
    cq->event = false;
    svan_doorbell(cq->guest->node->fake->core, 0, SVAN_UAR_CQ_DB,
                  svan_db_value(cq->cqn, cq->ci), 8);
}

/* ---- queue pairs ---- */

static uint32_t sq_bytes(const GuestQp *qp)
{
    return SVAN_WQEBB_SIZE << qp->log_bbs;
}

static uint32_t rq_bytes(const GuestQp *qp)
{
    return 1u << (qp->log_rq + qp->log_stride);
}

static struct svan_qp_dbr *record(const GuestQp *qp)
{
    return ram_at(qp->guest, qp->ring + sq_bytes(qp) + rq_bytes(qp));
}

GuestQp *guest_qp_new(Guest *guest, const GuestQpInit *init)
{
    GuestQp *qp = calloc(1, sizeof(*qp));
    struct svan_cmd cmd = { 0 };
    uint32_t size;

    qp->guest = guest;
    qp->send_cq = init->send_cq;
    qp->recv_cq = init->recv_cq;
    qp->log_bbs = init->log_bbs;
    qp->log_rq = init->log_rq;
    qp->log_stride = svan_rwqe_log_stride(GUEST_MAX_SGE);
    size = sq_bytes(qp) + rq_bytes(qp) + sizeof(struct svan_qp_dbr);
    qp->ring = guest_ram(guest, size);
    cmd.create_qp = (struct svan_cmd_create_qp) {
        .type = SVAN_QPT_RC,
        .flags = init->flags,
        .log_sq_bbs = qp->log_bbs,
        .log_rq_size = qp->log_rq,
        .log_rq_stride = qp->log_stride,
        .pd = svan_cpu_to_le32(guest->pd),
        .send_cq = svan_cpu_to_le32(qp->send_cq->cqn),
        .recv_cq = svan_cpu_to_le32(qp->recv_cq->cqn),
        .ring_va = svan_cpu_to_le64(qp->ring),
        .ring_key = svan_cpu_to_le32(ring_key(guest, qp->ring, size)),
        .rq_offset = svan_cpu_to_le32(sq_bytes(qp)),
        .dbr_offset = svan_cpu_to_le32(sq_bytes(qp) + rq_bytes(qp)),
    };
    qp->qpn = guest_must(guest, &cmd, SVAN_CMD_CREATE_QP);
    return qp;
}

void guest_qp_free(GuestQp *qp)
{
    free(qp);
}

uint8_t guest_qp_state(GuestQp *qp, uint8_t state, uint32_t mask)
{
    struct svan_cmd cmd = {
        .hdr.opcode = svan_cpu_to_le16(SVAN_CMD_MODIFY_QP),
        .modify_qp = {
            .qpn = svan_cpu_to_le32(qp->qpn), .mask = svan_cpu_to_le32(mask),
            .attr.state = state,
        },
    };
    struct svan_cmd_resp resp;
    uint8_t status = guest_cmd(qp->guest, &cmd, &resp);

    if (state == SVAN_QPS_RESET) {
        qp->sq_pi = qp->sq_ci = qp->rq_pi = qp->rq_ci = 0;
        memset(record(qp), 0, sizeof(struct svan_qp_dbr));
    }
    return status;
}

#define ATTR(name)      SVAN_QP_ATTR_##name

void guest_connect(GuestQp *qp, const GuestConnection *to)
{
    static const struct {
        uint8_t state;
        uint32_t mask;
    } path[] = {
        { SVAN_QPS_INIT, ATTR(PKEY_INDEX) | ATTR(PORT) | ATTR(ACCESS) },
        { SVAN_QPS_RTR, ATTR(AV) | ATTR(MTU) | ATTR(DEST_QPN) | ATTR(RQ_PSN) |
                        ATTR(MAX_DEST_RD_ATOMIC) | ATTR(MIN_RNR_TIMER) },
        { SVAN_QPS_RTS, ATTR(TIMEOUT) | ATTR(RETRY_CNT) | ATTR(RNR_RETRY) |
                        ATTR(MAX_RD_ATOMIC) | ATTR(SQ_PSN) },
    };
    const Node *peer = to->peer->guest->node;

    for (uint32_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
        struct svan_cmd cmd = {
            .modify_qp = {
                .qpn = svan_cpu_to_le32(qp->qpn),
                .mask = svan_cpu_to_le32(path[i].mask),
                .attr = to->attr,
                .av.hop_limit = 64, .av.sgid_index = to->gid,
            },
        };

        cmd.modify_qp.attr.state = path[i].state;
        cmd.modify_qp.attr.dest_qpn = svan_cpu_to_le32(to->peer->qpn);
        cmd.modify_qp.attr.port = 1;
        memcpy(cmd.modify_qp.av.dmac, peer->mac, 6);
        gid_of(peer, to->gid, cmd.modify_qp.av.dgid);
        guest_must(qp->guest, &cmd, SVAN_CMD_MODIFY_QP);
    }
}

uint8_t guest_qp_query(GuestQp *qp, struct svan_qp_attr *attr)
{
    struct svan_cmd cmd = {
        .hdr.opcode = svan_cpu_to_le16(SVAN_CMD_QUERY_QP),
        .object.id = svan_cpu_to_le32(qp->qpn),
    };
    struct svan_cmd_resp resp;
    uint8_t status = guest_cmd(qp->guest, &cmd, &resp);

    *attr = resp.query_qp.attr;
    return status;
}

/* ---- work requests ---- */

static struct svan_sq_ring sq_of(const GuestQp *qp)
{
    return (struct svan_sq_ring) {
        .bbs = ram_at(qp->guest, qp->ring), .mask = (1u << qp->log_bbs) - 1,
    };
}

uint32_t guest_sq_room(const GuestQp *qp)
{
    return (1u << qp->log_bbs) - (qp->sq_pi - qp->sq_ci);
}

static bool is_atomic(const GuestWr *wr)
{
    return wr->opcode == SVAN_WQE_ATOMIC_CMP_SWP ||
           wr->opcode == SVAN_WQE_ATOMIC_FETCH_ADD;
}

uint32_t guest_wr_bbs(const GuestWr *wr)
{
    return wr->flags & SVAN_WQE_INLINE ? svan_wqe_inline_bbs(wr->length) :
           is_atomic(wr) ? 1 : svan_wqe_sge_bbs(wr->num_sge);
}

uint32_t guest_post(GuestQp *qp, const GuestWr *wr)
{
    struct svan_sq_ring sq = sq_of(qp);
    uint32_t index = qp->sq_pi;
    struct svan_wqe_head *head = svan_wqe_begin(&sq, index, wr->opcode,
                                                wr->flags, wr->imm);

    svan_wqe_set_remote(head, wr->remote, wr->rkey);
    if (is_atomic(wr)) {
        svan_wqe_set_atomic(head, wr->swap_add, wr->compare);
        svan_sge_set(&head->atomic.sge, wr->sge[0].va, wr->sge[0].length,
                     wr->sge[0].key);
    } else if (wr->flags & SVAN_WQE_INLINE) {
        svan_wqe_put_inline(&sq, index, 0, wr->data, wr->length);
        svan_wqe_set_inline(head, wr->length);
    } else {
        svan_wqe_set_num_sge(head, wr->num_sge);
        for (uint32_t i = 0; i < wr->num_sge; i++) {
            svan_sge_set(svan_wqe_sge(&sq, index, i), wr->sge[i].va,
                         wr->sge[i].length, wr->sge[i].key);
        }
    }
    qp->sq_pi += head->ctrl.num_bbs;
    return index;
}

void guest_ring(GuestQp *qp)
{
    struct svan_qp_dbr *dbr = record(qp);
    bool polling = false;

    if (!qp->mmio_only) {
        dbr->sq_pi = svan_cpu_to_le32(qp->sq_pi);
        atomic_thread_fence(memory_order_seq_cst);
        polling = dbr->device_flags & svan_cpu_to_le32(SVAN_QP_DBR_POLLING);
    }
    if (!polling) {
        svan_doorbell(qp->guest->node->fake->core, 0, SVAN_UAR_SQ_DB,
                      svan_db_value(qp->qpn, qp->sq_pi), 8);
    }
}

uint32_t guest_rq_room(const GuestQp *qp)
{
    return (1u << qp->log_rq) - (qp->rq_pi - qp->rq_ci);
}

uint32_t guest_post_recv(GuestQp *qp, const GuestSge *sge, uint32_t num_sge)
{
    uint32_t slot = qp->rq_pi & ((1u << qp->log_rq) - 1);
    struct svan_rwqe *rwqe = ram_at(qp->guest, qp->ring + sq_bytes(qp) +
                                    (slot << qp->log_stride));

    rwqe->num_sge = svan_cpu_to_le32(num_sge);
    for (uint32_t i = 0; i < num_sge; i++) {
        svan_sge_set(&rwqe->sge[i], sge[i].va, sge[i].length, sge[i].key);
    }
    return qp->rq_pi++;
}

/* As the provider does it: no doorbell while the device looks by itself. */
void guest_ring_recv(GuestQp *qp)
{
    struct svan_qp_dbr *dbr = record(qp);

    dbr->rq_pi = svan_cpu_to_le32(qp->rq_pi);
    atomic_thread_fence(memory_order_seq_cst);
    if (!(dbr->device_flags & svan_cpu_to_le32(SVAN_QP_DBR_POLLING))) {
        svan_doorbell(qp->guest->node->fake->core, 0, SVAN_UAR_RQ_DB,
                      svan_db_value(qp->qpn, qp->rq_pi), 8);
    }
}
