/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory keys and protection domains: life and death.
 */
#include <stdlib.h>
#include <string.h>

#include "memory/memory.h"

#define KEY_FLAGS       SVAN_CMD_KEY_INTERNAL
#define MIN_PAGE_SHIFT  12
#define MAX_PAGE_SHIFT  30

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_key.field)

/* Do the octets of [va, va + length) have a place in the tree? */
static bool fits_table(uint64_t va, uint64_t length, uint8_t page_shift,
                       uint8_t levels)
{
    uint64_t pages;

    if (levels == 0 || length == 0) {
        return true;
    }
    pages = ((va + length - 1) >> page_shift) - (va >> page_shift) + 1;
    return pages <= 1ull << (levels * SVAN_MTT_INDEX_BITS);
}

/* The capability that a kind of key needs; 0: none. */
static const uint64_t kind_features[] = {
    [SVAN_KEY_ONDEMAND] = SVAN_CAP_ONDEMAND_KEYS,
    [SVAN_KEY_PROCESS]  = SVAN_CAP_PROCESS_KEYS,
    [SVAN_KEY_DEVMEM]   = SVAN_CAP_DEVMEM_KEYS,
};

static uint32_t check_kind(const SvanFn *fn,
                           const struct svan_cmd_create_key *cmd)
{
    if (cmd->kind >= sizeof(kind_features) / sizeof(kind_features[0])) {
        return REFUSE(BAD_PARAM, kind);
    }
    if (kind_features[cmd->kind] & ~fn->features) {
        return REFUSE(NOT_SUPPORTED, kind);
    }
    /* INTERNAL keys are for rings, which cannot wait for absent pages. */
    if ((cmd->flags & ~KEY_FLAGS) ||
        ((cmd->flags & SVAN_CMD_KEY_INTERNAL) &&
         svan_key_is_pageable(cmd->kind))) {
        return REFUSE(BAD_PARAM, flags);
    }
    return SVAN_CMD_OK;
}

/* The addresses are those of a process, whose context leads to the page table. */
static uint32_t check_process(const SvanFn *fn,
                              const struct svan_cmd_create_key *cmd)
{
    uint64_t va = le64toh(cmd->va);
    uint64_t length = le64toh(cmd->length);
    uint32_t pasid = le32toh(cmd->pasid);

    if (cmd->page_shift != MIN_PAGE_SHIFT) {
        return REFUSE(BAD_PARAM, page_shift);
    }
    if (cmd->levels) {
        return REFUSE(BAD_PARAM, levels);
    }
    if (cmd->table) {
        return REFUSE(BAD_PARAM, table);
    }
    if (va > SVAN_MAX_PROCESS_KEY || length > SVAN_MAX_PROCESS_KEY - va) {
        return REFUSE(BAD_PARAM, length);
    }
    return pasid == 0 || pasid >= fn->memory->context_table.count ?
           REFUSE(BAD_PARAM, pasid) : SVAN_CMD_OK;
}

static uint32_t check_table(const struct svan_cmd_create_key *cmd)
{
    uint64_t va = le64toh(cmd->va);
    uint64_t length = le64toh(cmd->length);
    uint64_t table = le64toh(cmd->table);
    uint64_t start;

    if (cmd->page_shift < MIN_PAGE_SHIFT || cmd->page_shift > MAX_PAGE_SHIFT) {
        return REFUSE(BAD_PARAM, page_shift);
    }
    if (cmd->kind == SVAN_KEY_PHYS) {
        return SVAN_CMD_OK;
    }
    if (cmd->levels > SVAN_MTT_MAX_LEVELS ||
        (cmd->kind == SVAN_KEY_ONDEMAND && !cmd->levels)) {
        return REFUSE(BAD_PARAM, levels);
    }
    if (!fits_table(va, length, cmd->page_shift, cmd->levels)) {
        return REFUSE(BAD_PARAM, length);
    }
    if (cmd->levels) {
        return table & ~SVAN_MTT_ADDR_MASK ? REFUSE(BAD_PARAM, table) :
                                             SVAN_CMD_OK;
    }
    /* `table` is the region itself: aligned to the page size, and it does not wrap. */
    start = table + (va & ((1ull << cmd->page_shift) - 1));
    if ((table & ((1ull << cmd->page_shift) - 1)) || start < table ||
        (length && start + (length - 1) < start)) {
        return REFUSE(BAD_PARAM, table);
    }
    return SVAN_CMD_OK;
}

static uint32_t check_key(const SvanFn *fn,
                          const struct svan_cmd_create_key *cmd)
{
    uint64_t va = le64toh(cmd->va);
    uint64_t length = le64toh(cmd->length);
    uint32_t refusal = check_kind(fn, cmd);

    if (refusal) {
        return refusal;
    }
    if (le32toh(cmd->access) & ~SVAN_ACCESS_MASK) {
        return REFUSE(BAD_PARAM, access);
    }
    /* The alignment of a ring is checked by its address in the key. */
    if ((cmd->flags & SVAN_CMD_KEY_INTERNAL) &&
        (le32toh(cmd->access) & SVAN_ACCESS_ZERO_BASED)) {
        return REFUSE(BAD_PARAM, access);
    }
    if (length && va + (length - 1) < va) {
        return REFUSE(BAD_PARAM, length);
    }
    return cmd->kind == SVAN_KEY_PROCESS ? check_process(fn, cmd) :
                                           check_table(cmd);
}

static uint32_t *key_pd(const SvanFn *fn, const SvanKey *key)
{
    return key->flags & SVAN_CMD_KEY_INTERNAL ? NULL :
           svan_table_get(&fn->memory->pds, key->pd);
}

static SvanKey *key_alloc(SvanFn *fn, const struct svan_cmd_create_key *cmd)
{
    SvanKey *key = calloc(1, sizeof(*key));

    if (!key) {
        return NULL;
    }
    key->fn = fn;
    key->kind = cmd->kind;
    key->flags = cmd->flags;
    key->levels = cmd->kind == SVAN_KEY_PHYS ? 0 : cmd->levels;
    key->page_shift = cmd->page_shift;
    key->access = le32toh(cmd->access);
    key->pd = key->flags & SVAN_CMD_KEY_INTERNAL ? 0 : le32toh(cmd->pd);
    key->pasid = le32toh(cmd->pasid);
    key->owner = le32toh(cmd->owner);
    key->generation = le32toh(cmd->generation);
    key->va = le64toh(cmd->va);
    key->length = le64toh(cmd->length);
    key->table = le64toh(cmd->table);
    svan_key_prepare(key);
    return key;
}

/* Insert under the number `id`; SVAN_NONE: under one that the table chooses. */
static bool key_insert(SvanKey *key, uint32_t id)
{
    SvanTable *table = &key->fn->memory->keys;
    uint32_t index = id >> SVAN_KEY_INDEX_SHIFT;

    if (id == SVAN_NONE) {
        index = svan_table_insert(table, key);
        if (index == SVAN_NONE) {
            return false;
        }
    } else if (svan_table_variant(table, index) !=
               (id & SVAN_KEY_VARIANT_MASK) ||
               !svan_table_insert_at(table, index, key)) {
        return false;
    }
    key->key = index << SVAN_KEY_INDEX_SHIFT | table->variants[index];
    return true;
}

uint32_t svan_key_create(SvanFn *fn, const struct svan_cmd_create_key *cmd,
                         uint32_t id, SvanKey **out)
{
    uint32_t refusal = check_key(fn, cmd);
    uint32_t *pd_refs;
    SvanKey *key;

    if (refusal) {
        return refusal;
    }
    if (!(cmd->flags & SVAN_CMD_KEY_INTERNAL) &&
        !svan_table_get(&fn->memory->pds, le32toh(cmd->pd))) {
        return REFUSE(BAD_RESOURCE, pd);
    }
    key = key_alloc(fn, cmd);
    if (!key || !key_insert(key, id)) {
        free(key);
        return SVAN_CMD_NO_RESOURCES;
    }
    pd_refs = key_pd(fn, key);
    if (pd_refs) {
        ++*pd_refs;
    }
    fn->memory->process_keys += key->kind == SVAN_KEY_PROCESS;
    *out = key;
    return SVAN_CMD_OK;
}

static uint32_t check_modify(const SvanKey *key,
                             const struct svan_cmd_modify_key *cmd)
{
    uint32_t mask = le32toh(cmd->mask);

    if (key->flags & SVAN_CMD_KEY_INTERNAL) {
        return SVAN_REFUSAL(SVAN_CMD_NOT_PERMITTED, modify_key.key);
    }
    if (mask & ~SVAN_MODIFY_KEY_MASK) {
        return SVAN_REFUSAL(SVAN_CMD_BAD_PARAM, modify_key.mask);
    }
    if ((mask & SVAN_MODIFY_KEY_ACCESS) &&
        (le32toh(cmd->access) & ~SVAN_ACCESS_MASK)) {
        return SVAN_REFUSAL(SVAN_CMD_BAD_PARAM, modify_key.access);
    }
    if ((mask & SVAN_MODIFY_KEY_PD) &&
        !svan_table_get(&key->fn->memory->pds, le32toh(cmd->pd))) {
        return SVAN_REFUSAL(SVAN_CMD_BAD_RESOURCE, modify_key.pd);
    }
    return SVAN_CMD_OK;
}

/*
 * Each access checks rights and protection domain, so the new ones also concern
 * messages that are under way, from their next access on.
 */
uint32_t svan_key_modify(SvanKey *key, const struct svan_cmd_modify_key *cmd)
{
    uint32_t refusal = check_modify(key, cmd);
    uint32_t mask = le32toh(cmd->mask);

    if (refusal) {
        return refusal;
    }
    if (mask & SVAN_MODIFY_KEY_ACCESS) {
        key->access = le32toh(cmd->access);
        svan_key_prepare(key);
    }
    if (mask & SVAN_MODIFY_KEY_PD) {
        --*key_pd(key->fn, key);
        key->pd = le32toh(cmd->pd);
        ++*key_pd(key->fn, key);
    }
    return SVAN_CMD_OK;
}

void svan_key_destroy(SvanKey *key)
{
    SvanFn *fn = key->fn;
    uint32_t *pd_refs = key_pd(fn, key);

    if (pd_refs) {
        --*pd_refs;
    }
    fn->memory->process_keys -= key->kind == SVAN_KEY_PROCESS;
    svan_table_remove(&fn->memory->keys, key->key >> SVAN_KEY_INDEX_SHIFT);
    free(key);
}
