/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "pager.h"

#define EQ_LOG          8

/* ---- memory ---- */

uint32_t guest_ram(Guest *guest, uint32_t bytes)
{
    return fake_alloc(guest->node->fake, bytes, SIM_PAGE) -
           guest->node->fake->bus;
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

uint32_t guest_must(Guest *guest, struct svan_cmd *cmd, uint16_t opcode)
{
    cmd->hdr.opcode = svan_cpu_to_le16(opcode);
    return host_must(guest->host, cmd);
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
    struct svan_eqe eqe;

    while (host_eq_poll(guest->host, vector, &eqe)) {
        if (eqe.type == SVAN_EVENT_COMPLETION) {
            completion_event(guest, svan_le32_to_cpu(eqe.qn));
        } else if (eqe.type == SVAN_EVENT_PAGE_REQUEST && guest->pager) {
            requests_event(guest->pager);
        } else if (guest->async) {
            guest->async(guest, eqe.type, svan_le32_to_cpu(eqe.qn),
                         svan_le32_to_cpu(eqe.data));
        }
    }
    host_eq_arm(guest->host, vector);
}

/* ---- keys ---- */

static uint64_t new_page(void *arg)
{
    Guest *guest = arg;
    uint32_t offset = page_take(&guest->pool, guest->node);

    memset(ram_at(guest, offset), 0, SIM_PAGE);
    return guest->node->fake->bus + offset;
}

/* Of pages in this order. */
static __le64 build_tables(Guest *guest, const uint32_t *pages, uint32_t count,
                           uint32_t levels)
{
    PageTable table = {
        .fake = guest->node->fake, .levels = levels, .new_page = new_page,
        .arg = guest,
    };

    page_table_init(&table);
    for (uint32_t i = 0; i < count; i++) {
        *page_table_make(&table, i, 1) = svan_cpu_to_le64(
            svan_mtt_present(guest->node->fake->bus + pages[i], true));
    }
    return svan_cpu_to_le64(table.root);
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
        .pd = svan_cpu_to_le32(guest->host->pd),
        .va = svan_cpu_to_le64(region->va),
        .length = svan_cpu_to_le64(region->length),
    };

    key.table = build_tables(guest, region->pages, region->num_pages, levels);
    region->key = host_key(guest->host, &key);
}

/* Contiguous; mostly through a table anyway. */
static HostRing new_ring(Host *host, uint32_t size)
{
    Guest *guest = host->user;
    uint32_t offset = guest_ram(guest, size);
    uint32_t num_pages = (size + SIM_PAGE - 1) / SIM_PAGE;
    uint32_t *pages = malloc(num_pages * sizeof(*pages));
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED,
        .flags = SVAN_CMD_KEY_INTERNAL,
        .levels = rng_below(&guest->rng, 4) ? 1 : 0,
        .page_shift = 12,
        .access = svan_cpu_to_le32(SVAN_ACCESS_LOCAL_WRITE),
        .va = svan_cpu_to_le64(offset),
        .length = svan_cpu_to_le64(size),
        .table = bus_of(guest, offset),
    };

    for (uint32_t i = 0; i < num_pages; i++) {
        pages[i] = offset + i * SIM_PAGE;
    }
    if (key.levels) {
        key.table = build_tables(guest, pages, num_pages, 1);
    }
    free(pages);
    return (HostRing) {
        .bus = svan_le64_to_cpu(bus_of(guest, offset)), .va = offset,
        .key = host_key(host, &key),
    };
}

/* ---- queues ---- */

HostCq *guest_cq_new(Guest *guest, uint8_t log_size)
{
    HostCq *cq = malloc(sizeof(*cq));

    *cq = host_cq(guest->host, log_size);
    guest->cqs[guest->num_cqs++] = cq;
    return cq;
}

void guest_cq_arm(HostCq *cq)
{
    cq->event = false;
    host_cq_arm(cq, false);
}

HostQp *guest_qp_new(Guest *guest, HostCq *send_cq, HostCq *recv_cq,
                     const HostQpAttr *attr)
{
    HostQp *qp = malloc(sizeof(*qp));

    *qp = host_qp(guest->host, send_cq, recv_cq, attr);
    return qp;
}

void guest_qp_free(HostQp *qp)
{
    free(qp);
}

uint8_t guest_qp_state(HostQp *qp, uint8_t state, uint32_t mask)
{
    uint8_t status = host_modify(qp, state, mask, NULL);

    if (state == SVAN_QPS_RESET) {
        qp->sq_pi = qp->sq_ci = qp->rq_pi = qp->rq_ci = 0;
        memset(host_dbr(qp), 0, sizeof(struct svan_qp_dbr));
    }
    return status;
}

/* ---- life ---- */

/* GID 0: IPv4 10.0.0.n, GID 1: IPv6 fd00::n */
static void set_gids(Guest *guest)
{
    uint8_t ipv4[16] = { [10] = 0xff, 0xff, 10 };
    uint8_t ipv6[16] = { 0xfd };

    ipv4[15] = ipv6[15] = guest->node->id + 1;
    host_set_gid(guest->host, 0, ipv4);
    host_set_gid(guest->host, 1, ipv6);
}

Guest *guest_new(Node *node, uint32_t ram_for_rings)
{
    Guest *guest = calloc(1, sizeof(*guest));

    guest->node = node;
    guest->rng = rng_make(node->world->seed, 300 + node->id);
    node->guest = guest;
    pages_init(&guest->pool, node, ram_for_rings, &guest->rng);
    guest->host = host_create_bare(node->fake, 0);
    guest->host->brief = true;
    guest->host->new_ring = new_ring;
    guest->host->user = guest;
    for (uint32_t eqn = 0; eqn < HOST_EQS; eqn++) {
        host_eq_create(guest->host, eqn, eqn, EQ_LOG);
        host_eq_arm(guest->host, eqn);
    }
    guest->host->pd = host_pd(guest->host);
    set_gids(guest);
    return guest;
}

void guest_free(Guest *guest)
{
    for (uint32_t i = 0; i < guest->num_cqs; i++) {
        free(guest->cqs[i]);
    }
    host_destroy(guest->host);
    pages_fini(&guest->pool);
    free(guest);
}
