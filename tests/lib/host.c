/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small driver for a function of a core in a Fake.
 */
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define UAR_ADDR(uar, reg)      (((uar) << SVAN_UAR_SHIFT) + (reg))
#define RC_ATTRS_INIT   (SVAN_QP_ATTR_PKEY_INDEX | SVAN_QP_ATTR_PORT | \
                         SVAN_QP_ATTR_ACCESS)
#define RC_ATTRS_RTR    (SVAN_QP_ATTR_AV | SVAN_QP_ATTR_MTU | \
                         SVAN_QP_ATTR_DEST_QPN | SVAN_QP_ATTR_RQ_PSN | \
                         SVAN_QP_ATTR_MAX_DEST_RD_ATOMIC | \
                         SVAN_QP_ATTR_MIN_RNR_TIMER)
#define RC_ATTRS_RTS    (SVAN_QP_ATTR_SQ_PSN | SVAN_QP_ATTR_TIMEOUT | \
                         SVAN_QP_ATTR_RETRY_CNT | SVAN_QP_ATTR_RNR_RETRY | \
                         SVAN_QP_ATTR_MAX_RD_ATOMIC)

/* ---- registers and commands ---- */

uint32_t host_read(Host *host, uint32_t reg)
{
    return svan_reg_read(host->fake->core, host->fn, reg, 4);
}

void host_write(Host *host, uint32_t reg, uint32_t value)
{
    svan_reg_write(host->fake->core, host->fn, reg, value, 4);
}

struct svan_cmd host_cmd_init(uint16_t opcode)
{
    struct svan_cmd cmd;

    memset(&cmd, 0, sizeof(cmd));
    cmd.hdr.opcode = htole16(opcode);
    return cmd;
}

void host_cmd_post(Host *host, const struct svan_cmd *cmd)
{
    uint32_t slot = host->cmd_pi & ((1u << HOST_CMDQ_LOG) - 1);
    struct svan_cmd *ring = fake_ram(host->fake, host->cmdq);

    ring[slot] = *cmd;
    ring[slot].hdr.tag = htole32(host->cmd_pi);
    host->cmd_pi++;
}

bool host_cmd_resp(Host *host, uint32_t index, struct svan_cmd_resp *resp)
{
    uint32_t slot = index & ((1u << HOST_CMDQ_LOG) - 1);
    const struct svan_cmd_resp *ring = fake_ram(host->fake, host->cmdr);

    if (!svan_cmd_resp_valid(ring[slot].phase, index, HOST_CMDQ_LOG)) {
        return false;
    }
    *resp = ring[slot];
    if (le32toh(resp->tag) != index) {
        fake_die("response %u carries tag %u", index, le32toh(resp->tag));
    }
    return true;
}

uint8_t host_cmd(Host *host, const struct svan_cmd *cmd,
                 struct svan_cmd_resp *resp)
{
    struct svan_cmd_resp local;

    host_cmd_post(host, cmd);
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    fake_run(host->fake);
    resp = resp ? resp : &local;
    if (!host_cmd_resp(host, host->cmd_pi - 1, resp)) {
        fake_die("command %#x is not answered, fatal code %u",
                 le16toh(cmd->hdr.opcode),
                 host_read(host, SVAN_REG_FATAL_CODE));
    }
    return resp->status;
}

uint32_t host_must(Host *host, const struct svan_cmd *cmd)
{
    struct svan_cmd_resp resp;
    uint8_t status = host_cmd(host, cmd, &resp);

    if (status != SVAN_CMD_OK) {
        fake_die("command %#x: status %u, offset %#x",
                 le16toh(cmd->hdr.opcode), status, le32toh(resp.syndrome));
    }
    return le32toh(resp.id.id);
}

uint8_t host_object(Host *host, uint16_t opcode, uint32_t id)
{
    struct svan_cmd cmd = host_cmd_init(opcode);

    cmd.object.id = htole32(id);
    return host_cmd(host, &cmd, NULL);
}

/* ---- event queues ---- */

uint32_t host_eq_create(Host *host, uint32_t eqn, uint16_t vector,
                        uint32_t log_size)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_EQ);
    HostEq *eq = &host->eqs[eqn];

    eq->log_size = log_size;
    eq->ci = 0;
    eq->ring = fake_alloc(host->fake, sizeof(struct svan_eqe) << log_size,
                          SVAN_PAGE_SIZE);
    cmd.create_eq.ring = htole64(eq->ring);
    cmd.create_eq.eqn = htole32(eqn);
    cmd.create_eq.vector = htole16(vector);
    cmd.create_eq.log_size = log_size;
    return host_must(host, &cmd);
}

void host_eq_arm(Host *host, uint32_t eqn)
{
    host_write(host, SVAN_REG_EQ_DB(eqn), SVAN_EQ_DB_ARM |
               (host->eqs[eqn].ci & SVAN_EQ_DB_CI_MASK));
}

bool host_eq_poll(Host *host, uint32_t eqn, struct svan_eqe *eqe)
{
    HostEq *eq = &host->eqs[eqn];
    struct svan_eqe *ring = fake_ram(host->fake, eq->ring);
    uint32_t slot = eq->ci & ((1u << eq->log_size) - 1);

    if (!svan_eqe_valid(ring[slot].owner, eq->ci, eq->log_size)) {
        return false;
    }
    *eqe = ring[slot];
    eq->ci++;
    return true;
}

/* ---- life ---- */

Host *host_create_bare(Fake *fake, uint16_t fn)
{
    Host *host = calloc(1, sizeof(*host));

    if (!host) {
        fake_die("out of memory");
    }
    host->fake = fake;
    host->fn = fn;
    host->cmdq = fake_alloc(fake, SVAN_CMD_SIZE << HOST_CMDQ_LOG,
                            SVAN_PAGE_SIZE);
    host->cmdr = fake_alloc(fake, SVAN_CMD_RESP_SIZE << HOST_CMDQ_LOG,
                            SVAN_PAGE_SIZE);
    svan_reg_write(fake->core, fn, SVAN_REG_CMDQ_BASE, host->cmdq, 8);
    svan_reg_write(fake->core, fn, SVAN_REG_CMDR_BASE, host->cmdr, 8);
    host_write(host, SVAN_REG_CMDQ_LOG_SIZE, HOST_CMDQ_LOG);
    host_write(host, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
    return host;
}

static void host_gid(Host *host, uint8_t id)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_GID);
    SvanFn *fn = host_fn(host);

    cmd.set_gid.gid[10] = cmd.set_gid.gid[11] = 0xff;
    cmd.set_gid.gid[12] = 10;
    cmd.set_gid.gid[15] = id;
    memcpy(cmd.set_gid.smac, fn->mac, 6);
    host_must(host, &cmd);
}

Host *host_create(Fake *fake, uint16_t fn, uint8_t id)
{
    Host *host = host_create_bare(fake, fn);
    uint32_t all = SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK;

    for (uint32_t eqn = 0; eqn < HOST_EQS; eqn++) {
        host_eq_create(host, eqn, eqn, HOST_EQ_LOG);
    }
    host->pd = host_pd(host);
    host->all_key = host_key_flat(host, fake->bus, fake->ram_size, all, 0);
    host->ring_key = host_key_flat(host, fake->bus, fake->ram_size,
                                   SVAN_ACCESS_LOCAL_WRITE,
                                   SVAN_CMD_KEY_INTERNAL);
    host_gid(host, id);
    return host;
}

void host_destroy(Host *host)
{
    free(host);
}

/* ---- objects ---- */

uint32_t host_uar(Host *host, uint32_t owner)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ALLOC_UAR);

    cmd.alloc_uar.owner = htole32(owner);
    return host_must(host, &cmd);
}

uint32_t host_pd(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ALLOC_PD);

    return host_must(host, &cmd);
}

static uint64_t mtt_table(Host *host, uint64_t bus, uint32_t first,
                          uint32_t pages, uint32_t level, uint32_t page_shift,
                          bool writable)
{
    uint32_t below = 1u << (level - 1) * SVAN_MTT_INDEX_BITS;
    uint64_t table = fake_alloc(host->fake, SVAN_MTT_TABLE_SIZE,
                                SVAN_MTT_TABLE_SIZE);
    uint64_t *entries = fake_ram(host->fake, table);

    for (uint32_t i = 0; i < SVAN_MTT_TABLE_ENTRIES && first < pages; i++) {
        uint64_t at = level > 1 ?
            mtt_table(host, bus, first, pages, level - 1, page_shift,
                      writable) :
            bus + ((uint64_t)first << page_shift);

        entries[i] = htole64(svan_mtt_present(at, level == 1 && writable));
        first += below;
    }
    return table;
}

uint64_t host_mtt(Host *host, uint64_t bus, uint32_t pages, uint32_t levels,
                  uint32_t page_shift, bool writable)
{
    return mtt_table(host, bus, 0, pages, levels, page_shift, writable);
}

uint32_t host_key(Host *host, const struct svan_cmd_create_key *key)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_KEY);

    cmd.create_key = *key;
    return host_must(host, &cmd);
}

uint32_t host_key_flat(Host *host, uint64_t bus, uint64_t len, uint32_t access,
                       uint8_t flags)
{
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED, .flags = flags, .page_shift = 12,
        .access = htole32(access), .pd = htole32(host->pd),
        .va = htole64(bus), .length = htole64(len),
        .table = htole64(bus & ~(uint64_t)SVAN_PAGE_MASK),
    };

    return host_key(host, &key);
}

/* ---- completion queues ---- */

HostCq host_cq(Host *host, uint32_t log_size)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);
    uint32_t size = sizeof(struct svan_cqe) << log_size;
    HostCq cq = { .host = host, .log_size = log_size };

    cq.ring = fake_alloc(host->fake, size + sizeof(struct svan_cq_dbr), 64);
    cq.dbr = cq.ring + size;
    cmd.create_cq.ring_va = htole64(cq.ring);
    cmd.create_cq.ring_key = htole32(host->ring_key);
    cmd.create_cq.dbr_offset = htole32(size);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.log_size = log_size;
    cq.cqn = host_must(host, &cmd);
    return cq;
}

bool host_cq_poll(HostCq *cq, struct svan_cqe *cqe)
{
    struct svan_cqe *ring = fake_ram(cq->host->fake, cq->ring);
    struct svan_cq_dbr *dbr = fake_ram(cq->host->fake, cq->dbr);
    uint32_t slot = cq->ci & ((1u << cq->log_size) - 1);

    if (!svan_cqe_valid(ring[slot].owner, cq->ci, cq->log_size)) {
        return false;
    }
    *cqe = ring[slot];
    cq->ci++;
    dbr->ci = htole32(cq->ci);
    return true;
}

void host_cq_arm(HostCq *cq, bool solicited)
{
    Host *host = cq->host;

    svan_doorbell(host->fake->core, host->fn, UAR_ADDR(cq->uar, SVAN_UAR_CQ_DB),
                  svan_db_value(cq->cqn, cq->ci) |
                  (solicited ? SVAN_DB_CQ_SOLICITED : 0), 8);
}

/* ---- queue pairs ---- */

HostQp host_qp(Host *host, HostCq *send_cq, HostCq *recv_cq,
               const HostQpAttr *attr)
{
    static const HostQpAttr none;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_QP);
    HostQp qp = { .host = host, .send_cq = send_cq, .recv_cq = recv_cq };
    uint32_t log_sq, sq_size, rq_size;

    attr = attr ? attr : &none;
    log_sq = attr->log_sq ? attr->log_sq : 6;
    qp.type = attr->type ? attr->type : SVAN_QPT_RC;
    qp.uar = attr->uar;
    qp.log_rq = attr->log_rq ? attr->log_rq : 4;
    qp.log_stride = svan_rwqe_log_stride(attr->max_sge ? attr->max_sge : 2);
    sq_size = SVAN_WQEBB_SIZE << log_sq;
    rq_size = 1u << (qp.log_rq + qp.log_stride);
    qp.dbr = fake_alloc(host->fake, sizeof(struct svan_qp_dbr), 64);
    qp.sq_bus = fake_alloc(host->fake, sq_size, 64);
    qp.rq_bus = fake_alloc(host->fake, rq_size, 64);
    qp.sq.bbs = fake_ram(host->fake, qp.sq_bus);
    qp.sq.mask = (1u << log_sq) - 1;
    cmd.create_qp.type = qp.type;
    cmd.create_qp.flags = attr->flags;
    cmd.create_qp.log_sq_bbs = log_sq;
    cmd.create_qp.log_rq_size = qp.log_rq;
    cmd.create_qp.log_rq_stride = qp.log_stride;
    cmd.create_qp.pd = htole32(host->pd);
    cmd.create_qp.send_cq = htole32(send_cq->cqn);
    cmd.create_qp.recv_cq = htole32(recv_cq->cqn);
    cmd.create_qp.uar = htole32(qp.uar);
    cmd.create_qp.ring_va = htole64(qp.dbr);
    cmd.create_qp.ring_key = htole32(host->ring_key);
    cmd.create_qp.sq_offset = htole32(qp.sq_bus - qp.dbr);
    cmd.create_qp.rq_offset = htole32(qp.rq_bus - qp.dbr);
    qp.qpn = host_must(host, &cmd);
    return qp;
}

uint8_t host_modify(HostQp *qp, uint8_t state, uint32_t mask,
                    const struct svan_cmd_modify_qp *attrs)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODIFY_QP);

    if (attrs) {
        cmd.modify_qp = *attrs;
    }
    cmd.modify_qp.qpn = htole32(qp->qpn);
    cmd.modify_qp.mask = htole32(mask);
    cmd.modify_qp.attr.state = state;
    return host_cmd(qp->host, &cmd, NULL);
}

static void must_modify(HostQp *qp, uint8_t state, uint32_t mask,
                        const struct svan_cmd_modify_qp *attrs)
{
    uint8_t status = host_modify(qp, state, mask, attrs);

    if (status != SVAN_CMD_OK) {
        fake_die("QP %#x to state %u: status %u", qp->qpn, state, status);
    }
}

static void connect_to(HostQp *qp, HostQp *peer)
{
    SvanFn *fn = host_fn(peer->host);
    struct svan_cmd_modify_qp attrs = {
        .attr = {
            .access = SVAN_ACCESS_REMOTE_MASK, .port = 1, .log_mtu = 12,
            .dest_qpn = htole32(peer->qpn), .rq_psn = htole32(0x100),
            .sq_psn = htole32(0x100), .max_rd_atomic = SVAN_MAX_RD_ATOMIC,
            .max_dest_rd_atomic = SVAN_MAX_RD_ATOMIC, .min_rnr_timer = 1,
            .timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
        },
        .av = { .hop_limit = 64 },
    };

    memcpy(attrs.av.dgid, fn->gids[0].gid, 16);
    memcpy(attrs.av.dmac, fn->gids[0].smac, 6);
    must_modify(qp, SVAN_QPS_INIT, RC_ATTRS_INIT, &attrs);
    must_modify(qp, SVAN_QPS_RTR, RC_ATTRS_RTR, &attrs);
    must_modify(qp, SVAN_QPS_RTS, RC_ATTRS_RTS, &attrs);
}

void host_connect(HostQp *a, HostQp *b)
{
    connect_to(a, b);
    if (b != a) {
        connect_to(b, a);
    }
}

void host_eth_rts(HostQp *qp)
{
    must_modify(qp, SVAN_QPS_INIT, 0, NULL);
    must_modify(qp, SVAN_QPS_RTR, 0, NULL);
    must_modify(qp, SVAN_QPS_RTS, 0, NULL);
}

uint8_t host_state(HostQp *qp)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_QP);
    struct svan_cmd_resp resp;

    cmd.object.id = htole32(qp->qpn);
    if (host_cmd(qp->host, &cmd, &resp) != SVAN_CMD_OK) {
        fake_die("QP %#x cannot be queried", qp->qpn);
    }
    return resp.query_qp.attr.state;
}

struct svan_qp_dbr *host_dbr(HostQp *qp)
{
    return fake_ram(qp->host->fake, qp->dbr);
}

void host_ring(HostQp *qp, uint32_t reg, uint32_t index)
{
    svan_doorbell(qp->host->fake->core, qp->host->fn, UAR_ADDR(qp->uar, reg),
                  svan_db_value(qp->qpn, index), 8);
}

void host_post(HostQp *qp)
{
    struct svan_qp_dbr *dbr = host_dbr(qp);

    __atomic_store_n(&dbr->sq_pi, htole32(qp->sq_pi), __ATOMIC_RELEASE);
    atomic_thread_fence(memory_order_seq_cst);
    if (!(le32toh(__atomic_load_n(&dbr->device_flags, __ATOMIC_RELAXED)) &
          SVAN_QP_DBR_POLLING)) {
        host_ring(qp, SVAN_UAR_SQ_DB, qp->sq_pi);
    }
}

void host_send(HostQp *qp, const HostSend *send)
{
    uint32_t lkey = send->lkey ? send->lkey : qp->host->all_key;
    struct svan_wqe_head *head = svan_wqe_begin(&qp->sq, qp->sq_pi,
                                                send->opcode, send->flags, 0);

    if (qp->type != SVAN_QPT_ETH) {
        svan_wqe_set_remote(head, send->remote, send->rkey);
    }
    if (send->length) {
        svan_wqe_set_num_sge(head, 1);
        svan_sge_set(svan_wqe_sge(&qp->sq, qp->sq_pi, 0), send->addr,
                     send->length, lkey);
    }
    qp->sq_pi += head->ctrl.num_bbs;
}

void host_recv(HostQp *qp, uint64_t addr, uint32_t length)
{
    uint32_t slot = qp->rq_pi & ((1u << qp->log_rq) - 1);
    struct svan_rwqe *rwqe = fake_ram(qp->host->fake, qp->rq_bus +
                                      ((uint64_t)slot << qp->log_stride));

    rwqe->num_sge = htole32(1);
    svan_sge_set(&rwqe->sge[0], addr, length, qp->host->all_key);
    qp->rq_pi++;
    __atomic_store_n(&host_dbr(qp)->rq_pi, htole32(qp->rq_pi),
                     __ATOMIC_RELEASE);
}
