/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State of a function: registers, tables, UAR pages, process contexts, keys, GIDs,
 * port, filters, counters.
 */
#include <stdlib.h>
#include <string.h>

#include "device/device.h"
#include "device/state.h"

/* ---- registers and the command ring ---- */

void svan_save_registers(SvanFn *fn, SvanWriter *writer)
{
    svan_put_u8(writer, fn->regs->enabled);
    svan_put_u8(writer, fn->regs->variant);
    svan_put_u32(writer, fn->fatal);
    svan_put_u32(writer, fn->generation);
    svan_put_u64(writer, fn->regs->cmdq_base);
    svan_put_u64(writer, fn->regs->cmdr_base);
    svan_put_u32(writer, fn->regs->cmdq_log_size);
    svan_put_u32(writer, fn->regs->scratch);
    svan_put_u32(writer, fn->regs->test_dma_size);
    svan_put_u32(writer, fn->regs->test_dma_ctrl);
    svan_put_u64(writer, fn->regs->test_dma_addr);
    svan_put_u32(writer, fn->regs->inv_target);
    svan_put_u64(writer, fn->regs->inv_addr);
    svan_put_u64(writer, fn->regs->inv_length);
    svan_put_u64(writer, fn->regs->clock_latch);
    svan_put_u64(writer, fn->regs->cmdq.ring);
    svan_put_u64(writer, fn->regs->cmdq.resp);
    svan_put_u32(writer, fn->regs->cmdq.log_size);
    svan_put_u32(writer, fn->regs->cmdq.pi);
    svan_put_u32(writer, fn->regs->cmdq.ci);
}

static bool is_ring(uint64_t base, uint32_t log_size, uint32_t entry)
{
    uint64_t last = ((1ull << log_size) - 1) * entry;

    return base % entry == 0 && base + last >= base;
}

static bool load_cmdq(SvanFn *fn, SvanReader *reader)
{
    fn->regs->cmdq.ring = svan_get_u64(reader);
    fn->regs->cmdq.resp = svan_get_u64(reader);
    fn->regs->cmdq.log_size = svan_get_u32(reader);
    fn->regs->cmdq.pi = svan_get_u32(reader);
    fn->regs->cmdq.ci = svan_get_u32(reader);
    if (fn->regs->cmdq_log_size > SVAN_CMDQ_MAX_LOG_SIZE ||
        fn->regs->cmdq.log_size > SVAN_CMDQ_MAX_LOG_SIZE ||
        fn->regs->cmdq.pi - fn->regs->cmdq.ci > 1u << fn->regs->cmdq.log_size ||
        (fn->regs->cmdq.pi != fn->regs->cmdq.ci && (!fn->regs->enabled || fn->fatal))) {
        return false;
    }
    /* An unusable ring makes its function fatal, so that of a fatal one is not checked. */
    return fn->fatal ||
           (is_ring(fn->regs->cmdq.ring, fn->regs->cmdq.log_size, SVAN_CMD_SIZE) &&
            is_ring(fn->regs->cmdq.resp, fn->regs->cmdq.log_size, SVAN_CMD_RESP_SIZE));
}

bool svan_load_registers(SvanFn *fn, SvanReader *reader)
{
    bool enabled = svan_get_u8(reader);

    fn->regs->variant = svan_get_u8(reader);
    if (enabled && !svan_parts_make(fn)) {
        return false;
    }
    svan_fn_set_enabled(fn, enabled);
    fn->fatal = svan_get_u32(reader);
    fn->generation = svan_get_u32(reader);
    fn->regs->cmdq_base = svan_get_u64(reader);
    fn->regs->cmdr_base = svan_get_u64(reader);
    fn->regs->cmdq_log_size = svan_get_u32(reader);
    fn->regs->scratch = svan_get_u32(reader);
    fn->regs->test_dma_size = svan_get_u32(reader);
    fn->regs->test_dma_ctrl = svan_get_u32(reader);
    fn->regs->test_dma_addr = svan_get_u64(reader);
    fn->regs->inv_target = svan_get_u32(reader);
    fn->regs->inv_addr = svan_get_u64(reader);
    fn->regs->inv_length = svan_get_u64(reader);
    fn->regs->clock_latch = svan_get_u64(reader);
    if (!load_cmdq(fn, reader) || reader->failed ||
        fn->regs->cmdq_base % SVAN_CMD_SIZE || fn->regs->cmdr_base % SVAN_CMD_RESP_SIZE) {
        return false;
    }
    if (fn->regs->cmdq.pi != fn->regs->cmdq.ci ||
        (fn->regs->test_dma_ctrl & SVAN_TEST_DMA_BUSY)) {
        svan_turn_join(fn, SVAN_TURN_CMD, &fn->regs->cmd_link);
    }
    return true;
}

/* ---- tables: variants up to the last that was used, and the next index ---- */

#define NUM_TABLES      6

static void fn_tables(SvanFn *fn, SvanTable *tables[NUM_TABLES])
{
    tables[0] = &fn->memory->pds;
    tables[1] = &fn->memory->keys;
    tables[2] = &fn->queues->cqs;
    tables[3] = &fn->qps->table;
    tables[4] = &fn->queues->counters;
    tables[5] = &fn->queues->srqs;
}

void svan_save_tables(SvanFn *fn, SvanWriter *writer)
{
    SvanTable *tables[NUM_TABLES];

    fn_tables(fn, tables);
    for (uint32_t i = 0; i < NUM_TABLES; i++) {
        uint32_t count = tables[i]->size;

        while (count && tables[i]->variants[count - 1] == tables[i]->variant) {
            count--;
        }
        svan_put_u32(writer, tables[i]->next);
        svan_put_u32(writer, count);
        svan_put_bytes(writer, tables[i]->variants, count);
    }
}

bool svan_load_tables(SvanFn *fn, SvanReader *reader)
{
    SvanTable *tables[NUM_TABLES];

    fn_tables(fn, tables);
    for (uint32_t i = 0; i < NUM_TABLES; i++) {
        SvanTable *table = tables[i];
        uint32_t next = svan_get_u32(reader);
        uint32_t count = svan_get_u32(reader);

        if (next < table->first || next >= table->capacity ||
            !svan_table_grow(table, count)) {
            return false;
        }
        svan_get_bytes(reader, table->variants, count);
        table->next = next;
    }
    return !reader->failed;
}

/* ---- UAR pages and protection domains ---- */

void svan_save_uars(SvanFn *fn, SvanWriter *writer)
{
    for (uint32_t i = 1; i < fn->queues->num_uars; i++) {
        const SvanUar *uar = svan_uar_get(fn, i);

        if (uar) {
            svan_put_u32(writer, i);
            svan_put_u32(writer, uar->owner);
            svan_put_u32(writer, uar->process);
        }
    }
    svan_put_u32(writer, 0);
    for (uint32_t pd = fn->memory->pds.first; pd < fn->memory->pds.size; pd++) {
        if (fn->memory->pds.slots[pd]) {
            svan_put_u32(writer, pd);
        }
    }
    svan_put_u32(writer, 0);
}

static bool load_pds(SvanFn *fn, SvanReader *reader)
{
    for (;;) {
        uint32_t pd = svan_get_u32(reader);
        uint32_t *refs;

        if (!pd) {
            return !reader->failed;
        }
        refs = calloc(1, sizeof(*refs));
        if (!refs || !svan_table_insert_at(&fn->memory->pds, pd, refs)) {
            free(refs);
            return false;
        }
    }
}

bool svan_load_uars(SvanFn *fn, SvanReader *reader)
{
    uint32_t uar;

    while ((uar = svan_get_u32(reader)) != 0) {
        uint32_t owner = svan_get_u32(reader);

        if (!svan_uar_take(fn, uar, owner, svan_get_u32(reader))) {
            return false;
        }
    }
    return load_pds(fn, reader);
}

/* ---- process contexts: where they are; nothing of them is cached ---- */

void svan_save_contexts(SvanFn *fn, SvanWriter *writer)
{
    svan_put_u64(writer, fn->memory->context_table.addr);
    svan_put_u32(writer, fn->memory->context_table.count);
}

bool svan_load_contexts(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_context_table cmd = { 0 };

    cmd.addr = htole64(svan_get_u64(reader));
    cmd.count = htole32(svan_get_u32(reader));
    return (!cmd.count || (fn->features & SVAN_CAP_PROCESS_KEYS)) &&
           svan_context_table_set(fn, &cmd) == SVAN_CMD_OK;
}

/* ---- keys ---- */

static void save_key(const SvanKey *key, SvanWriter *writer)
{
    struct svan_cmd_create_key cmd = {
        .kind = key->kind, .flags = key->flags, .levels = key->levels,
        .page_shift = key->page_shift, .access = htole32(key->access),
        .pd = htole32(key->pd), .pasid = htole32(key->pasid),
        .va = htole64(key->va), .length = htole64(key->length),
        .table = htole64(key->table), .owner = htole32(key->owner),
        .generation = htole32(key->generation),
    };

    svan_put_u32(writer, key->key);
    svan_put_bytes(writer, &cmd, sizeof(cmd));
}

void svan_save_keys(SvanFn *fn, SvanWriter *writer)
{
    for (uint32_t i = 0; i < fn->memory->keys.size; i++) {
        if (fn->memory->keys.slots[i]) {
            save_key(fn->memory->keys.slots[i], writer);
        }
    }
    svan_put_u32(writer, 0);
}

bool svan_load_keys(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_create_key cmd;
    uint32_t id;
    SvanKey *key;

    while ((id = svan_get_u32(reader)) != 0) {
        svan_get_bytes(reader, &cmd, sizeof(cmd));
        if (reader->failed ||
            svan_key_create(fn, &cmd, id, &key) != SVAN_CMD_OK) {
            return false;
        }
    }
    return true;
}

/* ---- what the PF has set ---- */

/* The physical function's section has the groups' rates. */
void svan_save_vport(SvanFn *fn, SvanWriter *writer)
{
    struct svan_function_attr attr;

    if (fn->id) {
        svan_vport_get(fn, &attr);
        svan_put_bytes(writer, &attr, sizeof(attr));
        return;
    }
    svan_rate_save_groups(fn->core, writer);
}

bool svan_load_vport(SvanFn *fn, SvanReader *reader)
{
    struct svan_function_attr attr;

    if (!fn->id) {
        return svan_rate_load_groups(fn->core, reader);
    }
    svan_get_bytes(reader, &attr, sizeof(attr));
    return !reader->failed &&
           svan_vport_set(fn, SVAN_SET_FUNCTION_MASK, &attr) == SVAN_CMD_OK;
}

/* What is enforced; what is known of flows is learned anew. */
void svan_save_enforcement(SvanFn *fn, SvanWriter *writer)
{
    struct svan_enforcement_attr attr;

    svan_enforcement_get(fn, &attr);
    svan_put_bytes(writer, &attr, sizeof(attr));
}

bool svan_load_enforcement(SvanFn *fn, SvanReader *reader)
{
    struct svan_enforcement_attr attr;

    svan_get_bytes(reader, &attr, sizeof(attr));
    return !reader->failed && svan_enforcement_set(fn, &attr) == SVAN_CMD_OK;
}

/* ---- GIDs, port and filters ---- */

void svan_save_net(SvanFn *fn, SvanWriter *writer)
{
    const SvanEthFilter *eth = &fn->net->eth;
    struct svan_cmd_set_gid cmd;

    for (uint32_t i = 0; i < fn->net->gid_limit; i++) {
        if (fn->net->gids[i].valid) {
            svan_gid_command(fn, i, &cmd);
            svan_put_u8(writer, 1);
            svan_put_bytes(writer, &cmd, sizeof(cmd));
        }
    }
    svan_put_u8(writer, 0);
    svan_put_u8(writer, fn->net->port_enabled);
    svan_put_u32(writer, eth->qpn);
    svan_put_bytes(writer, eth->mac, sizeof(eth->mac));
    svan_put_u8(writer, eth->flags);
    svan_put_u32(writer, eth->max_frame);
    svan_put_u32(writer, eth->num_mcast);
    svan_put_bytes(writer, eth->mcast, eth->num_mcast * sizeof(eth->mcast[0]));
}

/* The filter's queue pair may have left RTS since the filter was set. */
static bool load_filter(SvanFn *fn, SvanReader *reader)
{
    uint8_t mcast[SVAN_MAX_MCAST][6];
    SvanEthFilter filter = { .mcast = mcast };
    const SvanQp *qp;

    filter.qpn = svan_get_u32(reader);
    svan_get_bytes(reader, filter.mac, sizeof(filter.mac));
    filter.flags = svan_get_u8(reader);
    filter.max_frame = svan_get_u32(reader);
    filter.num_mcast = svan_get_u32(reader);
    qp = svan_qp_get(fn, filter.qpn);
    if (filter.num_mcast > SVAN_MAX_MCAST || filter.max_frame > SVAN_MAX_FRAME ||
        (filter.qpn && (!qp || qp->type != SVAN_QPT_ETH ||
                        !svan_vport_owns_mac(fn, filter.mac)))) {
        return false;
    }
    svan_get_bytes(reader, mcast, filter.num_mcast * sizeof(mcast[0]));
    return svan_filter_set(fn, &filter);
}

bool svan_load_net(SvanFn *fn, SvanReader *reader)
{
    struct svan_cmd_set_gid cmd;

    while (svan_get_u8(reader)) {
        svan_get_bytes(reader, &cmd, sizeof(cmd));
        if (reader->failed || svan_gid_load(fn, &cmd) != SVAN_CMD_OK) {
            return false;
        }
    }
    fn->net->port_enabled = svan_get_u8(reader);
    return load_filter(fn, reader);
}

/* ---- counters ---- */

void svan_save_stats(SvanFn *fn, SvanWriter *writer)
{
    svan_put_u64(writer, atomic_load(&fn->doorbells));
    svan_put_u64(writer, atomic_load(&fn->doorbells_refused));
    svan_put_u64(writer, atomic_load(&fn->doorbells_bad_access));
    if (!fn->stats) {
        return;
    }
#define PUT_STAT(name) svan_put_u64(writer, fn->stats->name);
    SVAN_STATS(PUT_STAT)
#undef PUT_STAT
}

bool svan_load_stats(SvanFn *fn, SvanReader *reader)
{
    atomic_store(&fn->doorbells, svan_get_u64(reader));
    atomic_store(&fn->doorbells_refused, svan_get_u64(reader));
    atomic_store(&fn->doorbells_bad_access, svan_get_u64(reader));
    if (!fn->stats) {
        return true;
    }
#define GET_STAT(name) fn->stats->name = svan_get_u64(reader);
    SVAN_STATS(GET_STAT)
#undef GET_STAT
    return true;
}
