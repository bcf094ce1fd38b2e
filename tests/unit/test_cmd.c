/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

static void in_order_with_tags(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);
    uint32_t first = host->cmd_pi;
    struct svan_cmd_resp resp;

    for (uint32_t i = 0; i < 4; i++) {
        host_cmd_post(host, &cmd);
    }
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(host_cmd_resp(host, first + i, &resp));
        svan_run(host->fake->core);
        assert_true(host_cmd_resp(host, first + i, &resp));
        assert_int_equal(resp.status, SVAN_CMD_OK);
        assert_int_equal(host_read(host, SVAN_REG_CMDQ_HEAD), first + i + 1);
    }
}

/* Many rounds of the ring, so that the phase turns. */
static void the_phase_turns(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
    }
}

static void unknown_opcodes(void **state)
{
    static const uint16_t bad[] = { 3, 0x12, 0x73, 0x84, 0x1000, 0xffff };
    Host *host = *state;
    struct svan_cmd_resp resp;

    for (size_t i = 0; i < SIZE(bad); i++) {
        struct svan_cmd cmd = host_cmd_init(bad[i]);

        assert_int_equal(host_cmd(host, &cmd, &resp), SVAN_CMD_BAD_OPCODE);
        assert_int_equal(resp.syndrome, 0);
    }
    assert_int_equal(host_object(host, SVAN_CMD_RESIZE_CQ, 1),
                     SVAN_CMD_NOT_SUPPORTED);
    assert_int_equal(host_fn(host)->stats->commands_failed, SIZE(bad) + 1);
}

static void reserved_fields_are_not_looked_at(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd;

    memset(&cmd, 0xff, sizeof(cmd));
    cmd.hdr.opcode = htole16(SVAN_CMD_NOP);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
    cmd.hdr.opcode = htole16(SVAN_CMD_ALLOC_PD);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
}

static void notification(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);
    struct svan_eqe eqe;

    host_eq_arm(host, 0);
    host_cmd(host, &cmd, NULL);
    assert_false(host_eq_poll(host, 0, &eqe));
    cmd.hdr.flags = htole16(SVAN_CMD_NOTIFY);
    host_cmd(host, &cmd, NULL);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_CMD);
    assert_int_equal(host->fake->irqs[0][0], 1);
}

static void assert_fatal(Host *host, uint32_t code)
{
    assert_int_equal(host_read(host, SVAN_REG_STATUS), SVAN_STATUS_FATAL);
    assert_int_equal(host_read(host, SVAN_REG_FATAL_CODE), code);
}

static void an_index_too_far(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;
    uint32_t kicks;

    host_eq_arm(host, 0);
    fake_run(host->fake);
    kicks = host->fake->kicks;
    svan_reg_write(host->fake->core, 0, SVAN_REG_CMDQ_DB,
                   host->cmd_pi + (1u << HOST_CMDQ_LOG) + 1, 4);
    assert_fatal(host, SVAN_FATAL_CMDQ_INDEX);
    assert_true(host->fake->kicks > kicks);
    fake_run(host->fake);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_FATAL);
    assert_int_equal(le32toh(eqe.data), SVAN_FATAL_CMDQ_INDEX);
    assert_int_equal(host->fake->irqs[0][0], 1);
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    fake_run(host->fake);
    host_write(host, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
    assert_int_equal(host_read(host, SVAN_REG_STATUS), 0);
    assert_int_equal(host_read(host, SVAN_REG_FATAL_CODE), 0);
}

static void a_full_ring_is_fine(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    for (uint32_t i = 0; i < 1u << HOST_CMDQ_LOG; i++) {
        host_cmd_post(host, &cmd);
    }
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    fake_run(host->fake);
    assert_int_equal(host_read(host, SVAN_REG_STATUS), SVAN_STATUS_READY);
    assert_int_equal(host_read(host, SVAN_REG_CMDQ_HEAD), host->cmd_pi);
}

static void unreachable_rings(void **state)
{
    for (uint32_t which = 0; which < 2; which++) {
        Host *host = host_create(fake_create(NULL), 0, 1);
        struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

        host->fake->bad_page = which ? host->cmdr : host->cmdq;
        host_cmd_post(host, &cmd);
        host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
        fake_run(host->fake);
        assert_fatal(host, SVAN_FATAL_CMDQ_DMA);
        assert_int_equal(host_fn(host)->stats->dma_errors, 1);
        fake_destroy(host->fake);
        host_destroy(host);
    }
}

static void a_ring_that_wraps_memory(void **state)
{
    Fake *fake = fake_create(NULL);

    svan_reg_write(fake->core, 0, SVAN_REG_CMDQ_BASE, UINT64_MAX, 8);
    svan_reg_write(fake->core, 0, SVAN_REG_CMDQ_LOG_SIZE, 1, 4);
    svan_reg_write(fake->core, 0, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE, 4);
    assert_int_equal(svan_reg_read(fake->core, 0, SVAN_REG_STATUS, 4),
                     SVAN_STATUS_FATAL);
    fake_destroy(fake);
}

static void a_disabled_function_is_deaf(void **state)
{
    Fake *fake = fake_create(NULL);

    svan_reg_write(fake->core, 0, SVAN_REG_CMDQ_DB, 1, 4);
    assert_int_equal(fake_run(fake), 1);
    assert_int_equal(fake->maps, 0);
    assert_int_equal(svan_reg_read(fake->core, 0, SVAN_REG_STATUS, 4), 0);
    fake_destroy(fake);
}

static void rings_are_latched(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    svan_reg_write(host->fake->core, 0, SVAN_REG_CMDQ_BASE, 0, 8);
    svan_reg_write(host->fake->core, 0, SVAN_REG_CMDR_BASE, 0, 8);
    host_write(host, SVAN_REG_CMDQ_LOG_SIZE, 8);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
    }
}

static uint8_t query(Host *host, uint16_t opcode, uint64_t addr,
                     uint32_t length, uint32_t *syndrome)
{
    struct svan_cmd cmd = host_cmd_init(opcode);
    struct svan_cmd_resp resp;
    uint8_t status;

    cmd.query.addr = htole64(addr);
    cmd.query.length = htole32(length);
    status = host_cmd(host, &cmd, &resp);
    *syndrome = le32toh(resp.syndrome);
    return status;
}

static void capabilities(void **state)
{
    Host *host = *state;
    uint64_t page = fake_alloc(host->fake, 4096, 4096);
    struct svan_caps *caps = fake_ram(host->fake, page);
    uint32_t syndrome;

    assert_int_equal(query(host, SVAN_CMD_QUERY_CAPS, page, 4096, &syndrome),
                     SVAN_CMD_OK);
    assert_int_equal(le64toh(caps->features),
                     SVAN_CAP_RC | SVAN_CAP_UC | SVAN_CAP_UD | SVAN_CAP_GSI |
                     SVAN_CAP_SRQ | SVAN_CAP_ATOMIC | SVAN_CAP_ATOMIC_GLOBAL |
                     SVAN_CAP_ONDEMAND_KEYS | SVAN_CAP_PROCESS_KEYS |
                     SVAN_CAP_PAGE_REQUESTS | SVAN_CAP_DEVMEM_KEYS |
                     SVAN_CAP_COMP_COUNTERS | SVAN_CAP_WINDOW_EXPORT | SVAN_CAP_CONGESTION |
                     SVAN_CAP_ETH | SVAN_CAP_ETH_TX_CSUM |
                     SVAN_CAP_ETH_RX_CSUM);
    assert_int_equal(le32toh(caps->off_reason), SVAN_CAP_OFF_NONE);
    assert_int_equal(le32toh(caps->max_qp), 62);
    assert_int_equal(le32toh(caps->max_cq), 63);
    assert_int_equal(le32toh(caps->max_counter), 63);
    assert_int_equal(le32toh(caps->max_key), 255);
    assert_int_equal(le32toh(caps->max_mtu), 4096);
    assert_int_equal(le32toh(caps->max_srq), 63);
    assert_int_equal(le16toh(caps->max_sge), SVAN_MAX_SGE);
    assert_int_equal(le64toh(caps->clock_khz), 1000000);
    assert_int_equal(le64toh(caps->max_key_length), 1ull << 56);
    assert_int_equal(le32toh(caps->max_pasid), SVAN_PASID_COUNT - 1);
    assert_int_equal(((uint8_t *)caps)[sizeof(*caps)], 0);
}

static uint64_t features(bool true_atomics, uint64_t off, uint32_t *reason)
{
    SvanConfig config = {
        .max_qp = 16, .max_cq = 16, .max_key = 16, .features_off = off,
        .true_atomics = true_atomics,
    };
    Fake *fake = fake_create(&config);
    uint64_t all = fake->core->fns[0]->features;

    *reason = fake->core->fns[0]->regs->off_reason;
    fake_destroy(fake);
    return all;
}

static void features_that_are_off(void **state)
{
    uint32_t reason;

    assert_false(features(false, 0, &reason) & SVAN_CAP_ATOMIC_GLOBAL);
    assert_int_equal(reason, SVAN_CAP_OFF_NO_TRUE_ATOMICS);
    assert_false(features(true, SVAN_CAP_ATOMIC_GLOBAL | SVAN_CAP_ETH,
                          &reason) & (SVAN_CAP_ATOMIC_GLOBAL | SVAN_CAP_ETH));
    assert_int_equal(reason, SVAN_CAP_OFF_DISABLED);
}

static void queries_across_pages(void **state)
{
    Host *host = *state;
    uint64_t pages = fake_alloc(host->fake, 8192, 4096);
    struct svan_stats *whole = fake_ram(host->fake, pages);
    struct svan_stats *cut = fake_ram(host->fake, pages + 4096 - 64);
    uint32_t syndrome;

    assert_int_equal(query(host, SVAN_CMD_QUERY_STATS, pages, 4096, &syndrome),
                     SVAN_CMD_OK);
    assert_int_equal(le64toh(whole->commands), host_fn(host)->stats->commands - 1);
    assert_int_equal(query(host, SVAN_CMD_QUERY_STATS, pages + 4096 - 64,
                           sizeof(*cut), &syndrome), SVAN_CMD_OK);
    assert_int_equal(le64toh(cut->commands), le64toh(whole->commands) + 1);
    cut->commands = cut->commands_failed = 0;
    assert_int_equal(query(host, SVAN_CMD_QUERY_STATS, pages + 4096 - 64,
                           offsetof(struct svan_stats, commands_failed),
                           &syndrome), SVAN_CMD_OK);
    assert_int_equal(le64toh(cut->commands), le64toh(whole->commands) + 2);
    assert_int_equal(cut->commands_failed, 0);
}

static void bad_queries(void **state)
{
    Host *host = *state;
    uint64_t pages = fake_alloc(host->fake, 8192, 4096);
    uint8_t *second = fake_ram(host->fake, pages + 4096);
    uint8_t *first = fake_ram(host->fake, pages + 4096 - 64);
    uint32_t addr = offsetof(struct svan_cmd, query.addr), syndrome;
    uint16_t caps = SVAN_CMD_QUERY_CAPS;

    assert_int_equal(query(host, caps, pages + 4, 64, &syndrome),
                     SVAN_CMD_BAD_PARAM);
    assert_int_equal(syndrome, addr);
    assert_int_equal(query(host, caps, 0, 64, &syndrome), SVAN_CMD_DMA_ERROR);
    assert_int_equal(syndrome, addr);
    assert_int_equal(query(host, caps, UINT64_MAX - 7, 64, &syndrome),
                     SVAN_CMD_BAD_PARAM);
    host->fake->bad_page = pages + 4096;
    assert_int_equal(query(host, caps, pages + 4096 - 64, 128, &syndrome),
                     SVAN_CMD_DMA_ERROR);
    assert_int_equal(first[0] | second[0], 0);
    assert_int_equal(query(host, caps, pages, 0, &syndrome), SVAN_CMD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(in_order_with_tags),
        HOST_TEST(the_phase_turns),
        HOST_TEST(unknown_opcodes),
        HOST_TEST(reserved_fields_are_not_looked_at),
        HOST_TEST(notification),
        HOST_TEST(an_index_too_far),
        HOST_TEST(a_full_ring_is_fine),
        cmocka_unit_test(unreachable_rings),
        cmocka_unit_test(a_ring_that_wraps_memory),
        cmocka_unit_test(a_disabled_function_is_deaf),
        HOST_TEST(rings_are_latched),
        HOST_TEST(capabilities),
        cmocka_unit_test(features_that_are_off),
        HOST_TEST(queries_across_pages),
        HOST_TEST(bad_queries),
    };

    return cmocka_run_group_tests_name("cmd", tests, NULL, NULL);
}
