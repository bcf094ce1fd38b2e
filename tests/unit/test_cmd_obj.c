/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "refusal.h"

#define MISSING 0x777

static void event_queues(void **state)
{
    Host *host = *state;
    struct svan_cmd good = host_cmd_init(SVAN_CMD_CREATE_EQ);
    const Refusal bad[] = {
        BAD(create_eq.eqn, SVAN_MAX_EQS, BAD_PARAM),
        BAD(create_eq.eqn, UINT32_MAX, BAD_PARAM),
        BAD(create_eq.eqn, 1, BUSY),
        BAD(create_eq.vector, SVAN_PF_MSIX_COUNT, BAD_PARAM),
        BAD(create_eq.log_size, 3, BAD_PARAM),
        BAD(create_eq.log_size, SVAN_EQ_MAX_LOG_SIZE + 1, BAD_PARAM),
        BAD(create_eq.log_size, 255, BAD_PARAM),
        BAD(create_eq.ring, FAKE_RAM_BASE + 64, BAD_PARAM),
        BAD(create_eq.ring, ~0xfffull, OK),     /* its last page, whole */
        BAD(create_eq.eqn, 2, BUSY),
    };

    good.create_eq.ring = htole64(fake_alloc(host->fake, 4096, 4096));
    good.create_eq.eqn = htole32(2);
    good.create_eq.vector = htole16(SVAN_PF_MSIX_COUNT - 1);
    good.create_eq.log_size = 8;
    check_refusals(host, &good, bad, SIZE(bad));
    good.create_eq.eqn = htole32(3);
    good.create_eq.ring = htole64(~0xfffull);
    good.create_eq.log_size = 9;
    assert_int_equal(host_cmd(host, &good, NULL), SVAN_CMD_BAD_PARAM);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_EQ, 2), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_EQ, 2),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_EQ, SVAN_MAX_EQS),
                     SVAN_CMD_BAD_RESOURCE);
}

static void uar_pages(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ALLOC_UAR);

    for (uint32_t i = 1; i < SVAN_PF_UAR_COUNT; i++) {
        assert_int_equal(host_uar(host, i), i);
    }
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NO_RESOURCES);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_UAR, 7), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_UAR, 7),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_uar(host, 5), 7);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_UAR, 0),
                     SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_UAR, SVAN_PF_UAR_COUNT),
                     SVAN_CMD_BAD_RESOURCE);
    cmd.alloc_uar.owner = htole32(SVAN_NONE);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
}

static void protection_domains(void **state)
{
    Host *host = *state;
    uint32_t pd = host_pd(host);

    assert_int_not_equal(pd, host->pd);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, host->pd),
                     SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, host->all_key),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, host->pd),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, host->pd),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, MISSING),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, pd), SVAN_CMD_OK);
}

static struct svan_cmd good_key(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_KEY);

    cmd.create_key.kind = SVAN_KEY_PINNED;
    cmd.create_key.levels = 1;
    cmd.create_key.page_shift = 12;
    cmd.create_key.pd = htole32(host->pd);
    cmd.create_key.va = htole64(0x7000);
    cmd.create_key.length = htole64(0x3000);
    cmd.create_key.table = htole64(FAKE_RAM_BASE);
    return cmd;
}

static void keys(void **state)
{
    Host *host = *state;
    struct svan_cmd good = good_key(host);
    const Refusal bad[] = {
        BAD_AS(create_key.kind, SVAN_KEY_PROCESS, BAD_PARAM,
               create_key.levels),
        BAD(create_key.kind, SVAN_KEY_DEVMEM, NOT_SUPPORTED),
        BAD(create_key.kind, SVAN_KEY_DEVMEM + 1, BAD_PARAM),
        BAD(create_key.kind, 255, BAD_PARAM),
        BAD(create_key.flags, 2, BAD_PARAM),
        BAD(create_key.levels, SVAN_MTT_MAX_LEVELS + 1, BAD_PARAM),
        BAD(create_key.page_shift, 11, BAD_PARAM),
        BAD(create_key.page_shift, 31, BAD_PARAM),
        BAD(create_key.page_shift, 255, BAD_PARAM),
        BAD(create_key.access, SVAN_ACCESS_BIND, BAD_PARAM),
        BAD(create_key.access, 0x100, BAD_PARAM),
        BAD(create_key.access, SVAN_ACCESS_ZERO_BASED, OK),
        BAD(create_key.pd, MISSING, BAD_RESOURCE),
        BAD(create_key.length, UINT64_MAX - 0x6ffe, BAD_PARAM),
        BAD(create_key.length, UINT64_MAX, BAD_PARAM),
        BAD(create_key.length, 512 * 4096 + 1, BAD_PARAM),
        BAD(create_key.table, FAKE_RAM_BASE + 8, BAD_PARAM),
        BAD(create_key.table, 1ull << 52, BAD_PARAM),
        BAD(create_key.length, 512 * 4096, OK),
        BAD(create_key.length, 0, OK),
    };

    host_fn(host)->features &= ~SVAN_CAP_DEVMEM_KEYS;
    check_refusals(host, &good, bad, SIZE(bad));
}

/* Their pages are in a table, and no ring may lie there. */
static void ondemand_keys(void **state)
{
    Host *host = *state;
    struct svan_cmd good = good_key(host);
    const Refusal bad[] = {
        BAD(create_key.flags, SVAN_CMD_KEY_INTERNAL, BAD_PARAM),
        BAD(create_key.levels, 0, BAD_PARAM),
        BAD(create_key.length, 512 * 4096 + 1, BAD_PARAM),
        BAD(create_key.table, FAKE_RAM_BASE + 8, BAD_PARAM),
        BAD(create_key.page_shift, 30, OK),
    };

    good.create_key.kind = SVAN_KEY_ONDEMAND;
    check_refusals(host, &good, bad, SIZE(bad));
}

/* Bounds of the tree: with an offset in the first page one page less fits. */
static void keys_that_just_fit(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = good_key(host);

    cmd.create_key.va = htole64(0x7001);
    cmd.create_key.length = htole64(512 * 4096 - 1);
    host_must(host, &cmd);
    cmd.create_key.length = htole64(512 * 4096);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    cmd.create_key.levels = 4;
    cmd.create_key.va = 0;
    cmd.create_key.length = htole64(1ull << 48);
    host_must(host, &cmd);
    cmd.create_key.length = htole64((1ull << 48) + 1);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    cmd.create_key.page_shift = 30;
    cmd.create_key.length = htole64(UINT64_MAX);
    host_must(host, &cmd);
    cmd.create_key.kind = SVAN_KEY_PHYS;
    cmd.create_key.levels = 9;
    host_must(host, &cmd);
}

/* Without a table the region must be aligned like a leaf, and end. */
static void keys_without_a_table(void **state)
{
    Host *host = *state;
    struct svan_cmd good = good_key(host);
    const Refusal bad[] = {
        BAD(create_key.table, 4096 * 511, BAD_PARAM),
        BAD(create_key.table, ~((1ull << 21) - 1), BAD_PARAM),
        BAD(create_key.table, 1ull << 21, OK),
    };

    good.create_key.levels = 0;
    good.create_key.page_shift = 21;
    good.create_key.length = htole64(4 << 20);
    check_refusals(host, &good, bad, SIZE(bad));
}

/* Rings are aligned by their addresses, which must be those of memory. */
static void internal_keys(void **state)
{
    Host *host = *state;
    struct svan_cmd good = good_key(host);
    const Refusal bad[] = {
        BAD(create_key.access, SVAN_ACCESS_ZERO_BASED, BAD_PARAM),
        BAD(create_key.access, SVAN_ACCESS_LOCAL_WRITE |
                               SVAN_ACCESS_ZERO_BASED, BAD_PARAM),
        BAD(create_key.access, SVAN_ACCESS_LOCAL_WRITE, OK),
        BAD(create_key.pd, MISSING, OK),
    };

    good.create_key.flags = SVAN_CMD_KEY_INTERNAL;
    check_refusals(host, &good, bad, SIZE(bad));
}

static void keys_are_queried_and_destroyed(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = good_key(host);
    struct svan_cmd_resp resp;
    uint32_t key;

    cmd.create_key.access = htole32(SVAN_ACCESS_REMOTE_READ);
    key = host_must(host, &cmd);
    cmd = host_cmd_init(SVAN_CMD_QUERY_KEY);
    cmd.object.id = htole32(key);
    assert_int_equal(host_cmd(host, &cmd, &resp), SVAN_CMD_OK);
    assert_int_equal(le64toh(resp.query_key.va), 0x7000);
    assert_int_equal(le64toh(resp.query_key.length), 0x3000);
    assert_int_equal(le32toh(resp.query_key.access), SVAN_ACCESS_REMOTE_READ);
    assert_int_equal(le32toh(resp.query_key.pd), host->pd);
    assert_int_equal(resp.query_key.kind, SVAN_KEY_PINNED);
    cmd.object.id = htole32(key ^ 1);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, key ^ 1),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, key), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, key),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY,
                                 SVAN_KEY_LOCAL_DMA), SVAN_CMD_BAD_RESOURCE);
}

static void the_key_table_fills(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = good_key(host);

    for (uint32_t i = 2; i < 255; i++) {
        host_must(host, &cmd);
    }
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NO_RESOURCES);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, host->all_key),
                     SVAN_CMD_OK);
    assert_int_equal(host_must(host, &cmd),
                     (host->all_key & ~SVAN_KEY_VARIANT_MASK) | 1);
}

static struct svan_cmd good_cq(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);

    cmd.create_cq.ring_va = htole64(fake_alloc(host->fake, 4096, 4096));
    cmd.create_cq.ring_key = htole32(host->ring_key);
    cmd.create_cq.dbr_offset = htole32(1024);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.log_size = 4;
    return cmd;
}

static void completion_queues(void **state)
{
    Host *host = *state;
    struct svan_cmd good = good_cq(host);
    uint32_t readonly = host_key_flat(host, FAKE_RAM_BASE, FAKE_RAM_SIZE, 0,
                                      SVAN_CMD_KEY_INTERNAL);
    uint64_t end = FAKE_RAM_BASE + FAKE_RAM_SIZE;
    const Refusal bad[] = {
        BAD(create_cq.log_size, SVAN_CQ_MAX_LOG_SIZE + 1, BAD_PARAM),
        BAD(create_cq.log_size, 255, BAD_PARAM),
        BAD(create_cq.eqn, 0, BAD_PARAM),
        BAD(create_cq.eqn, 5, BAD_RESOURCE),
        BAD(create_cq.eqn, UINT32_MAX, BAD_RESOURCE),
        BAD(create_cq.uar, 5, BAD_RESOURCE),
        BAD(create_cq.uar, UINT32_MAX, BAD_RESOURCE),
        BAD(create_cq.ring_key, host->all_key, BAD_RESOURCE),
        BAD(create_cq.ring_key, host->ring_key ^ 1, BAD_RESOURCE),
        BAD(create_cq.ring_key, readonly, BAD_RESOURCE),
        BAD(create_cq.ring_key, SVAN_KEY_LOCAL_DMA, BAD_RESOURCE),
        BAD(create_cq.ring_va, FAKE_RAM_BASE + 32, BAD_PARAM),
        BAD(create_cq.ring_va, end - 512, BAD_PARAM),
        BAD(create_cq.ring_va, FAKE_RAM_BASE - 64, BAD_PARAM),
        BAD(create_cq.ring_va, 0ull - 64, BAD_PARAM),
        BAD_AS(create_cq.ring_va, end - 1024, BAD_PARAM, create_cq.dbr_offset),
        BAD(create_cq.dbr_offset, 1024 + 32, BAD_PARAM),
        BAD(create_cq.dbr_offset, 960, BAD_PARAM),
        BAD(create_cq.dbr_offset, FAKE_RAM_SIZE, BAD_PARAM),
        BAD(create_cq.dbr_offset, 0xffffffc0, BAD_PARAM),
        BAD_AS(create_cq.log_size, SVAN_CQ_MAX_LOG_SIZE, BAD_PARAM,
               create_cq.ring_va),
    };

    check_refusals(host, &good, bad, SIZE(bad));
    assert_int_equal(host_fn(host)->queues->cqs.used, 0);
    host_must(host, &good);
}

static void what_a_cq_holds(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = good_cq(host);
    uint32_t uar = host_uar(host, 3), cqn;

    cmd.create_cq.uar = htole32(uar);
    cqn = host_must(host, &cmd);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_EQ, 1), SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_UAR, uar), SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, host->ring_key),
                     SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_CQ, cqn + (1 << 16)),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_CQ, cqn), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_CQ, cqn),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_EQ, 1), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_UAR, uar), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, host->ring_key),
                     SVAN_CMD_OK);
    assert_int_equal(host->fake->core->heap_reserved, 0);
}

static void moderation(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODERATE_CQ);
    HostCq cq = host_cq(host, 4);

    cmd.moderate_cq.cqn = htole32(cq.cqn + 1);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_BAD_RESOURCE);
    cmd.moderate_cq.cqn = htole32(cq.cqn);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(event_queues),
        HOST_TEST(uar_pages),
        HOST_TEST(protection_domains),
        HOST_TEST(keys),
        HOST_TEST(ondemand_keys),
        HOST_TEST(keys_that_just_fit),
        HOST_TEST(keys_without_a_table),
        HOST_TEST(internal_keys),
        HOST_TEST(keys_are_queried_and_destroyed),
        HOST_TEST(the_key_table_fills),
        HOST_TEST(completion_queues),
        HOST_TEST(what_a_cq_holds),
        HOST_TEST(moderation),
    };

    return cmocka_run_group_tests_name("cmd_obj", tests, NULL, NULL);
}
