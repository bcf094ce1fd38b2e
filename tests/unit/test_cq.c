/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#define CQ_LOG  3

typedef struct Bench {
    Host *host;
    HostCq cq;
    SvanCq *core;
} Bench;

static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));

    bench->host = host_create(fake_create(NULL), 0, 1);
    bench->cq = host_cq(bench->host, CQ_LOG);
    bench->core = svan_cq_get(host_fn(bench->host), bench->cq.cqn);
    host_eq_arm(bench->host, 1);
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

static SvanStep complete(Bench *bench, uint32_t index, uint8_t status,
                         uint8_t flags)
{
    struct svan_cqe cqe = {
        .qpn = htole32(5), .wqe_index = htole32(index), .status = status,
        .owner = flags,
    };
    SvanCqSlot slot;
    SvanStep step = svan_cq_reserve(bench->core, &slot);

    if (step == SVAN_STEP_DONE) {
        svan_cq_commit(&slot, &cqe);
    }
    return step;
}

static uint32_t events(Bench *bench)
{
    struct svan_eqe eqe;
    uint32_t count = 0;

    fake_run(bench->host->fake);
    while (host_eq_poll(bench->host, 1, &eqe)) {
        assert_int_equal(eqe.type, SVAN_EVENT_COMPLETION);
        assert_int_equal(le32toh(eqe.qn), bench->cq.cqn);
        count++;
    }
    host_eq_arm(bench->host, 1);
    return count;
}

static void entries_and_phase(void **state)
{
    Bench *bench = *state;
    struct svan_cqe cqe;

    for (uint32_t i = 0; i < 100; i++) {
        assert_false(host_cq_poll(&bench->cq, &cqe));
        assert_int_equal(complete(bench, i, 0, SVAN_CQE_SOLICITED |
                                  SVAN_CQE_PHASE), SVAN_STEP_DONE);
        assert_true(host_cq_poll(&bench->cq, &cqe));
        assert_int_equal(le32toh(cqe.wqe_index), i);
        assert_int_equal(le32toh(cqe.qpn), 5);
        assert_int_equal(cqe.owner & ~SVAN_CQE_PHASE, SVAN_CQE_SOLICITED);
    }
}

static void an_overrun_is_an_error_once(void **state)
{
    Bench *bench = *state;
    struct svan_eqe eqe;
    struct svan_cqe cqe;

    for (uint32_t i = 0; i < 1u << CQ_LOG; i++) {
        assert_int_equal(complete(bench, i, 0, 0), SVAN_STEP_DONE);
    }
    assert_true(host_cq_poll(&bench->cq, &cqe));
    assert_int_equal(complete(bench, 8, 0, 0), SVAN_STEP_DONE);
    assert_int_equal(complete(bench, 9, 0, 0), SVAN_STEP_ERROR);
    assert_int_equal(complete(bench, 9, 0, 0), SVAN_STEP_ERROR);
    while (host_cq_poll(&bench->cq, &cqe)) {
        assert_true(le32toh(cqe.wqe_index) < 9);
    }
    /* there is room now, but what was lost is lost */
    assert_int_equal(complete(bench, 9, 0, 0), SVAN_STEP_ERROR);
    fake_run(bench->host->fake);
    assert_true(host_eq_poll(bench->host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_CQ_ERROR);
    assert_int_equal(le32toh(eqe.qn), bench->cq.cqn);
    assert_int_equal(le32toh(eqe.data), SVAN_SYN_CQ_OVERRUN);
    assert_false(host_eq_poll(bench->host, 0, &eqe));
    assert_int_equal(host_fn(bench->host)->stats->cq_overruns, 1);
}

static void a_consumer_index_from_the_future(void **state)
{
    Bench *bench = *state;
    struct svan_cq_dbr *dbr = fake_ram(bench->host->fake, bench->cq.dbr);

    dbr->ci = htole32(1000);
    for (uint32_t i = 0; i < 1u << CQ_LOG; i++) {
        assert_int_equal(complete(bench, i, 0, 0), SVAN_STEP_DONE);
    }
    assert_int_equal(complete(bench, 8, 0, 0), SVAN_STEP_ERROR);
}

static void unreachable_memory(void **state)
{
    Bench *bench = *state;
    struct svan_eqe eqe;

    bench->host->fake->bad_page = bench->cq.ring;
    assert_int_equal(complete(bench, 0, 0, 0), SVAN_STEP_ERROR);
    bench->host->fake->bad_page = 0;
    fake_run(bench->host->fake);
    assert_true(host_eq_poll(bench->host, 0, &eqe));
    assert_int_equal(le32toh(eqe.data), SVAN_SYN_RING);
    assert_int_equal(host_fn(bench->host)->stats->cq_overruns, 0);
}

/* Through such a key an aligned entry may lie across the end of a page. */
static void an_entry_is_never_stored_in_part(void **state)
{
    Bench *bench = *state;
    Host *host = bench->host;
    uint64_t page = fake_alloc(host->fake, 3 * 4096, 4096);
    uint8_t *behind = fake_ram(host->fake, page + 4096);
    struct svan_eqe eqe;
    SvanKey *key = bench->core->ring_key;
    SvanKey good = *key;

    key->va = page + 4096 - 32;
    key->length = 4096;
    key->direct_offset = key->origin = 0;
    bench->core->ring_va = 0;
    memset(behind, 0xee, 32);
    assert_int_equal(complete(bench, 0, 0, 0), SVAN_STEP_ERROR);
    assert_int_equal(behind[0], 0xee);
    *key = good;
    fake_run(host->fake);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_CQ_ERROR);
    assert_int_equal(le32toh(eqe.data), SVAN_SYN_RING);
}

/* The same of the record of a CQ that seems full. */
static void a_record_is_never_read_in_part(void **state)
{
    Bench *bench = *state;
    SvanKey *key = bench->core->ring_key;
    SvanKey good = *key;

    for (uint32_t i = 0; i < 1u << CQ_LOG; i++) {
        assert_int_equal(complete(bench, i, 0, 0), SVAN_STEP_DONE);
    }
    key->va = fake_alloc(bench->host->fake, 3 * 4096, 4096) + 4096 - 2;
    key->length = 4096;
    key->direct_offset = key->origin = 0;
    bench->core->dbr_va = 0;
    assert_int_equal(complete(bench, 8, 0, 0), SVAN_STEP_ERROR);
    *key = good;
    assert_int_equal(host_fn(bench->host)->stats->cq_overruns, 0);
}

static void a_miss_changes_nothing(void **state)
{
    Bench *bench = *state;
    struct svan_cqe cqe;

    bench->host->fake->miss_at = bench->host->fake->maps + 1;
    assert_int_equal(complete(bench, 0, 0, 0), SVAN_STEP_MISS);
    assert_int_equal(bench->core->pi, 0);
    assert_int_equal(complete(bench, 0, 0, 0), SVAN_STEP_DONE);
    assert_true(host_cq_poll(&bench->cq, &cqe));
    for (uint32_t i = 1; i < 9; i++) {
        assert_int_equal(complete(bench, i, 0, 0), SVAN_STEP_DONE);
    }
    /* full: the first map is the record's */
    assert_true(host_cq_poll(&bench->cq, &cqe));
    bench->host->fake->miss_at = bench->host->fake->maps + 1;
    assert_int_equal(complete(bench, 9, 0, 0), SVAN_STEP_MISS);
    assert_int_equal(complete(bench, 9, 0, 0), SVAN_STEP_DONE);
    assert_false(bench->core->error);
}

static void an_event_for_each_arming(void **state)
{
    Bench *bench = *state;

    complete(bench, 0, 0, 0);
    assert_int_equal(events(bench), 0);
    bench->cq.ci = 1;
    host_cq_arm(&bench->cq, false);
    assert_int_equal(events(bench), 0);
    complete(bench, 1, 0, 0);
    complete(bench, 2, 0, 0);
    assert_int_equal(events(bench), 1);
    assert_int_equal(bench->host->fake->irqs[0][1], 1);
    complete(bench, 3, 0, 0);
    assert_int_equal(events(bench), 0);
}

/* At or after the doorbell's index: what stands there already counts. */
static void arming_behind(void **state)
{
    Bench *bench = *state;

    complete(bench, 0, 0, 0);
    complete(bench, 1, 0, 0);
    bench->cq.ci = 2;
    host_cq_arm(&bench->cq, false);
    assert_int_equal(events(bench), 0);
    bench->cq.ci = 1;
    host_cq_arm(&bench->cq, false);
    assert_int_equal(events(bench), 1);
    bench->cq.ci = 0;
    host_cq_arm(&bench->cq, true);
    assert_int_equal(events(bench), 0);
}

static void solicited_events(void **state)
{
    Bench *bench = *state;

    host_cq_arm(&bench->cq, true);
    complete(bench, 0, 0, 0);
    assert_int_equal(events(bench), 0);
    complete(bench, 1, 0, SVAN_CQE_SOLICITED);
    assert_int_equal(events(bench), 1);
    bench->cq.ci = 2;
    host_cq_arm(&bench->cq, true);
    complete(bench, 2, SVAN_CQE_WR_FLUSH_ERR, 0);
    assert_int_equal(events(bench), 1);
    complete(bench, 3, 0, 0);
    bench->cq.ci = 2;
    host_cq_arm(&bench->cq, true);      /* 2 was an error */
    assert_int_equal(events(bench), 1);
    bench->cq.ci = 3;
    host_cq_arm(&bench->cq, true);
    assert_int_equal(events(bench), 0);
}

/* Both kinds may be rung before the engine looks; neither is lost. */
static void the_wider_arming_wins(void **state)
{
    Bench *bench = *state;

    host_cq_arm(&bench->cq, false);
    host_cq_arm(&bench->cq, true);
    fake_run(bench->host->fake);
    complete(bench, 0, 0, 0);
    assert_int_equal(events(bench), 1);
    assert_false(bench->core->armed_solicited);
}

static void indices_wrap(void **state)
{
    Bench *bench = *state;
    struct svan_cq_dbr *dbr = fake_ram(bench->host->fake, bench->cq.dbr);

    bench->core->pi = bench->core->ci = bench->cq.ci = 0xfffffffe;
    bench->core->solicited_pi = 0xfffffffe;
    dbr->ci = htole32(bench->cq.ci);
    host_cq_arm(&bench->cq, false);
    assert_int_equal(events(bench), 0);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(complete(bench, i, 0, SVAN_CQE_SOLICITED),
                         SVAN_STEP_DONE);
    }
    assert_int_equal(events(bench), 1);
    bench->cq.ci = 5;
    host_cq_arm(&bench->cq, true);
    assert_int_equal(events(bench), 1);
    assert_int_equal(complete(bench, 8, 0, 0), SVAN_STEP_ERROR);
}

static void moderate(Bench *bench, uint16_t count, uint16_t us)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODERATE_CQ);

    cmd.moderate_cq.cqn = htole32(bench->cq.cqn);
    cmd.moderate_cq.count = htole16(count);
    cmd.moderate_cq.period_us = htole16(us);
    host_must(bench->host, &cmd);
}

static void moderated_by_count(void **state)
{
    Bench *bench = *state;

    moderate(bench, 3, 50);
    host_cq_arm(&bench->cq, false);
    fake_run(bench->host->fake);
    complete(bench, 0, 0, 0);
    complete(bench, 1, 0, 0);
    assert_int_equal(events(bench), 0);
    complete(bench, 2, 0, 0);
    assert_int_equal(events(bench), 1);
    fake_advance(bench->host->fake, 1000000);
    assert_int_equal(events(bench), 0);
}

static void moderated_by_time(void **state)
{
    Bench *bench = *state;

    moderate(bench, 100, 50);
    host_cq_arm(&bench->cq, false);
    fake_run(bench->host->fake);
    complete(bench, 0, 0, 0);
    fake_advance(bench->host->fake, 30000);
    complete(bench, 1, 0, 0);
    fake_advance(bench->host->fake, 19999);
    assert_int_equal(events(bench), 0);
    fake_advance(bench->host->fake, 1);
    assert_int_equal(events(bench), 1);
    moderate(bench, 0, 50);
    bench->cq.ci = 2;
    host_cq_arm(&bench->cq, false);
    fake_run(bench->host->fake);
    complete(bench, 2, 0, 0);
    assert_int_equal(events(bench), 1);
}

/* An event that waits follows the values that count from then on. */
static void moderation_changes_under_an_event(void **state)
{
    Bench *bench = *state;

    moderate(bench, 100, 50000);
    host_cq_arm(&bench->cq, false);
    fake_run(bench->host->fake);
    complete(bench, 0, 0, 0);
    complete(bench, 1, 0, 0);
    fake_advance(bench->host->fake, 30000);
    moderate(bench, 3, 50000);
    assert_int_equal(events(bench), 0);
    moderate(bench, 100, 40);           /* since the first: 10 are left */
    fake_advance(bench->host->fake, 9999);
    assert_int_equal(events(bench), 0);
    fake_advance(bench->host->fake, 1);
    assert_int_equal(events(bench), 1);

    moderate(bench, 100, 50000);
    bench->cq.ci = 2;
    host_cq_arm(&bench->cq, false);
    fake_run(bench->host->fake);
    complete(bench, 2, 0, 0);
    complete(bench, 3, 0, 0);
    moderate(bench, 2, 50000);
    assert_int_equal(events(bench), 1);
    fake_advance(bench->host->fake, 100000000);
    assert_int_equal(events(bench), 0);
}

/* Each value alone puts an end to waiting, and neither makes an event. */
static void moderation_ends(void **state)
{
    static const uint16_t values[][2] = { { 0, 0 }, { 1, 50 }, { 100, 0 } };
    Bench *bench = *state;

    for (uint32_t i = 0; i < SIZE(values); i++) {
        moderate(bench, values[i][0], values[i][1]);
        assert_int_equal(events(bench), 0);
        moderate(bench, 100, 50000);
        bench->cq.ci = i;
        host_cq_arm(&bench->cq, false);
        fake_run(bench->host->fake);
        complete(bench, i, 0, 0);
        assert_int_equal(events(bench), 0);
        moderate(bench, values[i][0], values[i][1]);
        assert_int_equal(events(bench), 1);
    }
}

static void destruction_with_events_on_their_way(void **state)
{
    Bench *bench = *state;

    moderate(bench, 100, 50);
    host_cq_arm(&bench->cq, false);
    fake_run(bench->host->fake);
    complete(bench, 0, 0, 0);
    assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_CQ,
                                 bench->cq.cqn), SVAN_CMD_OK);
    host_cq_arm(&bench->cq, false);
    fake_advance(bench->host->fake, 1000000);
    assert_int_equal(events(bench), 0);
    bench->cq = host_cq(bench->host, CQ_LOG);
    bench->core = svan_cq_get(host_fn(bench->host), bench->cq.cqn);
    host_cq_arm(&bench->cq, false);
    svan_db_collect(bench->host->fake->core);
    complete(bench, 0, 0, 0);
    assert_true(bench->core->event_pending);
    svan_cq_destroy(bench->core);
    assert_int_equal(events(bench), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(entries_and_phase),
        TEST(an_overrun_is_an_error_once),
        TEST(a_consumer_index_from_the_future),
        TEST(unreachable_memory),
        TEST(an_entry_is_never_stored_in_part),
        TEST(a_record_is_never_read_in_part),
        TEST(a_miss_changes_nothing),
        TEST(an_event_for_each_arming),
        TEST(arming_behind),
        TEST(solicited_events),
        TEST(the_wider_arming_wins),
        TEST(indices_wrap),
        TEST(moderated_by_count),
        TEST(moderated_by_time),
        TEST(moderation_changes_under_an_event),
        TEST(moderation_ends),
        TEST(destruction_with_events_on_their_way),
    };

    return cmocka_run_group_tests_name("cq", tests, NULL, NULL);
}
