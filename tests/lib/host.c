/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small driver for a function of a core in a Fake.
 */
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "page_table.h"

#define BRIEF_RUNS      100000
#define RD_ATOMIC       16u             /* the most that a device offers */
#define UAR_ADDR(uar, reg)      (((uar) << SVAN_UAR_SHIFT) + (reg))
#define ATTRS_INIT      (SVAN_QP_ATTR_PKEY_INDEX | SVAN_QP_ATTR_PORT | \
                         SVAN_QP_ATTR_ACCESS)
#define UC_ATTRS_RTR    (SVAN_QP_ATTR_AV | SVAN_QP_ATTR_MTU | \
                         SVAN_QP_ATTR_DEST_QPN | SVAN_QP_ATTR_RQ_PSN)
#define RC_ATTRS_RTR    (UC_ATTRS_RTR | SVAN_QP_ATTR_MAX_DEST_RD_ATOMIC | \
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

/* Until the last command is answered. */
static void run_briefly(Host *host, struct svan_cmd_resp *resp)
{
    svan_resolved(host->fake->core);
    for (uint32_t i = 0; i < BRIEF_RUNS; i++) {
        if (host_cmd_resp(host, host->cmd_pi - 1, resp)) {
            return;
        }
        svan_run(host->fake->core);
    }
}

uint8_t host_cmd(Host *host, const struct svan_cmd *cmd,
                 struct svan_cmd_resp *resp)
{
    struct svan_cmd_resp local;

    host_cmd_post(host, cmd);
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    resp = resp ? resp : &local;
    if (host->brief) {
        run_briefly(host, resp);
    } else {
        fake_run(host->fake);
    }
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

void host_set_gid(Host *host, uint32_t index, const uint8_t *gid)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_GID);
    uint64_t mac = htole64(host_read(host, SVAN_REG_MAC_LO) |
                           (uint64_t)host_read(host, SVAN_REG_MAC_HI) << 32);

    memcpy(host->gids[index].gid, gid, 16);
    memcpy(host->gids[index].smac, &mac, 6);
    cmd.set_gid.index = htole32(index);
    memcpy(cmd.set_gid.gid, host->gids[index].gid, 16);
    memcpy(cmd.set_gid.smac, host->gids[index].smac, 6);
    host_must(host, &cmd);
}

Host *host_create(Fake *fake, uint16_t fn, uint32_t id)
{
    const uint8_t gid[16] = {
        [10] = 0xff, 0xff, 10, id >> 16, id >> 8, id,
    };
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
    host_set_gid(host, 0, gid);
    return host;
}

void host_destroy(Host *host)
{
    free(host);
}

/* ---- objects ---- */

void host_invalidate_key(Host *host, uint32_t key, uint64_t va, uint64_t length)
{
    SvanCore *core = host->fake->core;

    host_write(host, SVAN_REG_INV_TARGET, key);
    svan_reg_write(core, host->fn, SVAN_REG_INV_ADDR, va, 8);
    svan_reg_write(core, host->fn, SVAN_REG_INV_LENGTH, length, 8);
    host_write(host, SVAN_REG_INV_GO, SVAN_INV_KEY);
}

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

void host_set_contexts(Host *host, uint64_t table, uint32_t count)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_CONTEXT_TABLE);

    cmd.context_table.addr = htole64(table);
    cmd.context_table.count = htole32(count);
    host_must(host, &cmd);
}

uint64_t host_mtt(Host *host, uint64_t bus, uint32_t pages, uint32_t levels,
                  uint32_t page_shift, bool writable)
{
    PageTable table = { .fake = host->fake, .levels = levels };

    page_table_init(&table);
    for (uint64_t i = 0; i < pages; i++) {
        *page_table_make(&table, i, 1) =
            htole64(svan_mtt_present(bus + (i << page_shift), writable));
    }
    return table.root;
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
        .table = htole64(bus & ~(uint64_t)(SVAN_PAGE_SIZE - 1)),
    };

    return host_key(host, &key);
}

static HostRing new_ring(Host *host, uint32_t size)
{
    HostRing ring = { .key = host->ring_key };

    if (host->new_ring) {
        return host->new_ring(host, size);
    }
    ring.bus = ring.va = fake_alloc(host->fake, size, 64);
    return ring;
}

/* ---- completion queues ---- */

HostCq host_cq_of(Host *host, uint32_t log_size, uint32_t uar)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);
    uint32_t size = sizeof(struct svan_cqe) << log_size;
    HostRing ring = new_ring(host, size + sizeof(struct svan_cq_dbr));
    HostCq cq = {
        .host = host, .log_size = log_size, .ring = ring.bus,
        .dbr = ring.bus + size, .uar = uar,
    };

    cmd.create_cq.ring_va = htole64(ring.va);
    cmd.create_cq.ring_key = htole32(ring.key);
    cmd.create_cq.dbr_offset = htole32(size);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.uar = htole32(uar);
    cmd.create_cq.log_size = log_size;
    cq.cqn = host_must(host, &cmd);
    return cq;
}

HostCq host_cq(Host *host, uint32_t log_size)
{
    return host_cq_of(host, log_size, 0);
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

/* Put the queues into memory: of one ring, or of three. */
static void place_queues(HostQp *qp, bool apart, struct svan_cmd_create_qp *cmd)
{
    Host *host = qp->host;
    uint32_t sq_size = SVAN_WQEBB_SIZE << qp->log_sq;
    uint32_t rq_size = 1u << (qp->log_rq + qp->log_stride);
    uint32_t dbr_size = sizeof(struct svan_qp_dbr);
    HostRing ring = new_ring(host, apart ? sq_size : sq_size + rq_size + dbr_size);

    cmd->ring_va = htole64(ring.va);
    cmd->ring_key = htole32(ring.key);
    qp->sq_bus = ring.bus;
    if (apart) {
        HostRing rq = new_ring(host, rq_size), dbr = new_ring(host, dbr_size);

        cmd->flags |= SVAN_CMD_QP_RQ_APART | SVAN_CMD_QP_DBR_APART;
        cmd->rq_va = htole64(rq.va);
        cmd->rq_key = htole32(rq.key);
        cmd->dbr_va = htole64(dbr.va);
        cmd->dbr_key = htole32(dbr.key);
        qp->rq_bus = rq.bus;
        qp->dbr = dbr.bus;
        return;
    }
    cmd->rq_offset = htole32(sq_size);
    cmd->dbr_offset = htole32(sq_size + rq_size);
    qp->rq_bus = qp->sq_bus + sq_size;
    qp->dbr = qp->rq_bus + rq_size;
}

HostQp host_qp(Host *host, HostCq *send_cq, HostCq *recv_cq,
               const HostQpAttr *attr)
{
    static const HostQpAttr none;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_QP);
    HostQp qp = { .host = host, .send_cq = send_cq, .recv_cq = recv_cq };

    attr = attr ? attr : &none;
    qp.log_sq = attr->log_sq ? attr->log_sq : 6;
    qp.type = attr->type ? attr->type : SVAN_QPT_RC;
    qp.uar = attr->uar;
    qp.log_rq = attr->log_rq ? attr->log_rq : 4;
    qp.log_stride = svan_rwqe_log_stride(attr->max_sge ? attr->max_sge : 2);
    cmd.create_qp.flags = attr->flags;
    place_queues(&qp, attr->apart, &cmd.create_qp);
    qp.sq.bbs = fake_ram(host->fake, qp.sq_bus);
    qp.sq.mask = (1u << qp.log_sq) - 1;
    cmd.create_qp.type = qp.type;
    cmd.create_qp.log_sq_bbs = qp.log_sq;
    cmd.create_qp.log_rq_size = qp.log_rq;
    cmd.create_qp.log_rq_stride = qp.log_stride;
    cmd.create_qp.pd = htole32(host->pd);
    cmd.create_qp.send_cq = htole32(send_cq->cqn);
    cmd.create_qp.recv_cq = htole32(recv_cq->cqn);
    cmd.create_qp.uar = htole32(qp.uar);
    qp.qpn = host_must(host, &cmd);
    return qp;
}

static struct svan_cmd modify_cmd(const HostQp *qp, uint8_t state, uint32_t mask,
                                  const struct svan_cmd_modify_qp *attrs)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODIFY_QP);

    if (attrs) {
        cmd.modify_qp = *attrs;
    }
    cmd.modify_qp.qpn = htole32(qp->qpn);
    cmd.modify_qp.mask = htole32(mask);
    cmd.modify_qp.attr.state = state;
    return cmd;
}

uint8_t host_modify(HostQp *qp, uint8_t state, uint32_t mask,
                    const struct svan_cmd_modify_qp *attrs)
{
    struct svan_cmd cmd = modify_cmd(qp, state, mask, attrs);

    return host_cmd(qp->host, &cmd, NULL);
}

static void must_modify(HostQp *qp, uint8_t state)
{
    uint8_t status = host_modify(qp, state, 0, NULL);

    if (status != SVAN_CMD_OK) {
        fake_die("QP %#x to state %u: status %u", qp->qpn, state, status);
    }
}

HostConnection host_connection(const HostQp *peer)
{
    return (HostConnection) {
        .peer = peer,
        .attr = {
            .access = SVAN_ACCESS_REMOTE_MASK, .log_mtu = 12,
            .rq_psn = htole32(0x100), .sq_psn = htole32(0x100),
            .max_rd_atomic = RD_ATOMIC,
            .max_dest_rd_atomic = RD_ATOMIC, .min_rnr_timer = 1,
            .timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
        },
    };
}

void host_connect_cmds(const HostQp *qp, const HostConnection *to,
                       struct svan_cmd cmds[HOST_CONNECT_CMDS])
{
    const Host *peer = to->peer->host;
    bool reliable = qp->type != SVAN_QPT_UC;
    struct svan_cmd_modify_qp attrs = {
        .attr = to->attr,
        .av = {
            .hop_limit = 64, .sgid_index = to->gid, .traffic_class = to->traffic_class,
        },
    };

    attrs.attr.port = 1;
    attrs.attr.dest_qpn = htole32(to->peer->qpn);
    memcpy(attrs.av.dgid, peer->gids[to->gid].gid, 16);
    memcpy(attrs.av.dmac, peer->gids[to->gid].smac, 6);
    cmds[0] = modify_cmd(qp, SVAN_QPS_INIT, ATTRS_INIT, &attrs);
    cmds[1] = modify_cmd(qp, SVAN_QPS_RTR, reliable ? RC_ATTRS_RTR : UC_ATTRS_RTR, &attrs);
    cmds[2] = modify_cmd(qp, SVAN_QPS_RTS, reliable ? RC_ATTRS_RTS : SVAN_QP_ATTR_SQ_PSN,
                         &attrs);
}

void host_connect_to(HostQp *qp, const HostConnection *to)
{
    struct svan_cmd cmds[HOST_CONNECT_CMDS];

    host_connect_cmds(qp, to, cmds);
    for (uint32_t i = 0; i < HOST_CONNECT_CMDS; i++) {
        host_must(qp->host, &cmds[i]);
    }
}

void host_connect(HostQp *a, HostQp *b)
{
    HostConnection to_a = host_connection(a), to_b = host_connection(b);

    host_connect_to(a, &to_b);
    if (b != a) {
        host_connect_to(b, &to_a);
    }
}

void host_datagrams(HostQp *qp, uint32_t qkey)
{
    uint32_t port = qp->type == SVAN_QPT_GSI ? 0 : SVAN_QP_ATTR_PORT;
    struct svan_cmd_modify_qp attrs = { .attr = { .port = 1, .qkey = htole32(qkey) } };
    const struct svan_cmd cmds[] = {
        modify_cmd(qp, SVAN_QPS_INIT,
                   SVAN_QP_ATTR_PKEY_INDEX | SVAN_QP_ATTR_QKEY | port, &attrs),
        modify_cmd(qp, SVAN_QPS_RTR, 0, &attrs),
        modify_cmd(qp, SVAN_QPS_RTS, SVAN_QP_ATTR_SQ_PSN, &attrs),
    };

    for (uint32_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
        host_must(qp->host, &cmds[i]);
    }
}

void host_join(HostQp *qp, const uint8_t *gid)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ATTACH_MCAST);

    cmd.attach_mcast.qpn = htole32(qp->qpn);
    memcpy(cmd.attach_mcast.gid, gid, sizeof(cmd.attach_mcast.gid));
    host_must(qp->host, &cmd);
}

struct svan_av host_av(const HostQp *to, uint32_t qkey)
{
    struct svan_av av = {
        .hop_limit = 64, .dqpn = htole32(to->qpn), .qkey = htole32(qkey),
    };

    memcpy(av.dgid, to->host->gids[0].gid, sizeof(av.dgid));
    memcpy(av.dmac, to->host->gids[0].smac, sizeof(av.dmac));
    return av;
}

struct svan_av host_group_av(const uint8_t *gid, uint32_t qkey)
{
    struct svan_av av = {
        .hop_limit = 64, .dqpn = htole32(HOST_GROUP_QPN), .qkey = htole32(qkey),
        .dmac = { 1, 0, 0x5e, gid[13] & 0x7f, gid[14], gid[15] },
    };

    memcpy(av.dgid, gid, sizeof(av.dgid));
    return av;
}

void host_eth_rts(HostQp *qp)
{
    must_modify(qp, SVAN_QPS_INIT);
    must_modify(qp, SVAN_QPS_RTR);
    must_modify(qp, SVAN_QPS_RTS);
}

uint8_t host_query(HostQp *qp, struct svan_qp_attr *attr)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_QP);
    struct svan_cmd_resp resp;
    uint8_t status;

    cmd.object.id = htole32(qp->qpn);
    status = host_cmd(qp->host, &cmd, &resp);
    *attr = resp.query_qp.attr;
    return status;
}

uint8_t host_state(HostQp *qp)
{
    struct svan_qp_attr attr;

    if (host_query(qp, &attr) != SVAN_CMD_OK) {
        fake_die("QP %#x cannot be queried", qp->qpn);
    }
    return attr.state;
}

/* ---- work requests ---- */

struct svan_qp_dbr *host_dbr(HostQp *qp)
{
    return fake_ram(qp->host->fake, qp->dbr);
}

void host_ring(HostQp *qp, uint32_t reg, uint32_t index)
{
    svan_doorbell(qp->host->fake->core, qp->host->fn, UAR_ADDR(qp->uar, reg),
                  svan_db_value(qp->qpn, index), 8);
}

static bool is_polling(HostQp *qp)
{
    atomic_thread_fence(memory_order_seq_cst);
    return le32toh(__atomic_load_n(&host_dbr(qp)->device_flags,
                                   __ATOMIC_RELAXED)) & SVAN_QP_DBR_POLLING;
}

void host_post(HostQp *qp)
{
    if (!qp->mmio_only) {
        __atomic_store_n(&host_dbr(qp)->sq_pi, htole32(qp->sq_pi),
                         __ATOMIC_RELEASE);
    }
    if (qp->mmio_only || !is_polling(qp)) {
        host_ring(qp, SVAN_UAR_SQ_DB, qp->sq_pi);
    }
}

static void publish_recv(HostQp *qp)
{
    __atomic_store_n(&host_dbr(qp)->rq_pi, htole32(qp->rq_pi),
                     __ATOMIC_RELEASE);
}

/* As the provider does it: no doorbell while the device looks by itself. */
void host_post_recv(HostQp *qp)
{
    publish_recv(qp);
    if (!is_polling(qp)) {
        host_ring(qp, SVAN_UAR_RQ_DB, qp->rq_pi);
    }
}

uint32_t host_sq_room(const HostQp *qp)
{
    return (1u << qp->log_sq) - (qp->sq_pi - qp->sq_ci);
}

uint32_t host_rq_room(const HostQp *qp)
{
    return (1u << qp->log_rq) - (qp->rq_pi - qp->rq_ci);
}

static bool is_atomic(const HostWr *wr)
{
    return wr->opcode == SVAN_WQE_ATOMIC_CMP_SWP ||
           wr->opcode == SVAN_WQE_ATOMIC_FETCH_ADD;
}

uint32_t host_wr_bbs(const HostWr *wr)
{
    uint32_t data = wr->flags & SVAN_WQE_INLINE ? svan_wqe_inline_bbs(wr->length) :
                    is_atomic(wr) ? 1 : svan_wqe_sge_bbs(wr->num_sge);

    return data + (wr->av ? 1 : 0);
}

uint32_t host_write_wqe(HostQp *qp, const HostWr *wr)
{
    uint32_t index = qp->sq_pi;
    struct svan_wqe_head *head = svan_wqe_begin(&qp->sq, index, wr->opcode,
                                                wr->flags, wr->imm);

    svan_wqe_set_remote(head, wr->remote, wr->rkey);
    if (is_atomic(wr)) {
        svan_wqe_set_atomic(head, wr->swap_add, wr->compare);
        svan_sge_set(&head->atomic.sge, wr->sge[0].va, wr->sge[0].length,
                     wr->sge[0].key);
    } else if (wr->flags & SVAN_WQE_INLINE) {
        svan_wqe_put_inline(&qp->sq, index, 0, wr->data, wr->length);
        svan_wqe_set_inline(head, wr->length);
    } else {
        svan_wqe_set_num_sge(head, wr->num_sge);
        for (uint32_t i = 0; i < wr->num_sge; i++) {
            svan_sge_set(svan_wqe_sge(&qp->sq, index, i), wr->sge[i].va,
                         wr->sge[i].length, wr->sge[i].key);
        }
    }
    if (wr->av) {
        svan_wqe_set_av(&qp->sq, index, head, wr->av);
    }
    qp->sq_pi += head->ctrl.num_bbs;
    return index;
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

uint32_t host_write_rwqe(HostQp *qp, const HostSge *sge, uint32_t num_sge)
{
    uint32_t slot = qp->rq_pi & ((1u << qp->log_rq) - 1);
    struct svan_rwqe *rwqe = fake_ram(qp->host->fake, qp->rq_bus +
                                      ((uint64_t)slot << qp->log_stride));

    rwqe->num_sge = htole32(num_sge);
    for (uint32_t i = 0; i < num_sge; i++) {
        svan_sge_set(&rwqe->sge[i], sge[i].va, sge[i].length, sge[i].key);
    }
    return qp->rq_pi++;
}

void host_recv(HostQp *qp, uint64_t addr, uint32_t length)
{
    HostSge sge = { .va = addr, .length = length, .key = qp->host->all_key };

    host_write_rwqe(qp, &sge, 1);
    publish_recv(qp);
}
