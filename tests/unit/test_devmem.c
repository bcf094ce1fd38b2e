/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys to device memory, which have a table as pinned ones have.
 */
#include "unit.h"

#define VA      0x7f0000001000ull
#define PAGES   8u

typedef struct Bench {
    Host *host;
    SvanUser user;
    uint64_t pages;
} Bench;

static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));

    bench->host = host_create(fake_create(NULL), 0, 1);
    bench->pages = fake_alloc(bench->host->fake, PAGES * 4096, 4096);
    bench->user.fn = host_fn(bench->host);
    bench->user.pd = bench->host->pd;
    bench->user.can_wait = true;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->host->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

static struct svan_cmd_create_key key_of(Bench *bench, uint64_t table,
                                         uint8_t levels)
{
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_DEVMEM, .levels = levels, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE),
        .pd = htole32(bench->host->pd), .va = htole64(VA),
        .length = htole64(PAGES * 4096), .table = htole64(table),
    };

    return key;
}

static void check_pages(Bench *bench, uint32_t key, uint32_t count)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        SvanAccess access = {
            .fn = bench->user.fn, .user = &bench->user, .key = key,
            .va = VA + i * 4096 + 10, .len = 4,
            .access = SVAN_ACCESS_LOCAL_WRITE,
        };
        uint32_t syndrome = 0;
        SvanMem mem;
        SvanStep step = svan_access(&access, &mem, &syndrome);

        if (i >= count) {
            assert_int_equal(step, SVAN_STEP_ERROR);
            assert_int_equal(syndrome, SVAN_SYN_TABLE);
            continue;
        }
        assert_int_equal(step, SVAN_STEP_DONE);
        assert_int_equal(mem.bus, bench->pages + i * 4096 + 10);
    }
}

static void without_the_feature_there_are_none(void **state)
{
    Bench *bench = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_KEY);

    bench->user.fn->features &= ~SVAN_CAP_DEVMEM_KEYS;
    cmd.create_key = key_of(bench, bench->pages, 0);
    assert_int_equal(host_cmd(bench->host, &cmd, NULL), SVAN_CMD_NOT_SUPPORTED);
}

/* What is not in the table is an error: nobody is asked for it. */
static void a_table_of_any_level(void **state)
{
    Bench *bench = *state;

    for (uint8_t level = 1; level <= SVAN_MTT_MAX_LEVELS; level++) {
        struct svan_cmd_create_key key =
            key_of(bench, host_mtt(bench->host, bench->pages, PAGES - 1, level,
                                   12, true), level);

        check_pages(bench, host_key(bench->host, &key), PAGES - 1);
    }
}

/*
 * The driver makes all entries absent and invalidates the key. Nothing that the device
 * has cached serves an access afterwards.
 */
static void memory_that_is_revoked(void **state)
{
    Bench *bench = *state;
    uint64_t table = host_mtt(bench->host, bench->pages, PAGES, 1, 12, true);
    struct svan_cmd_create_key key = key_of(bench, table, 1);
    uint32_t id = host_key(bench->host, &key);

    check_pages(bench, id, PAGES);
    memset(fake_ram(bench->host->fake, table), 0, PAGES * sizeof(uint64_t));
    check_pages(bench, id, PAGES);              /* cached */
    host_invalidate_key(bench->host, id, 0, 0);
    check_pages(bench, id, 0);
}

static void one_piece_without_a_table(void **state)
{
    Bench *bench = *state;
    struct svan_cmd_create_key key = key_of(bench, bench->pages, 0);

    check_pages(bench, host_key(bench->host, &key), PAGES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_the_feature_there_are_none),
        TEST(a_table_of_any_level),
        TEST(memory_that_is_revoked),
        TEST(one_piece_without_a_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
