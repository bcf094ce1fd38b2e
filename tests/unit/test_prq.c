/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page request queue, what survives a reset or a save, injected faults, and
 * commands that are refused.
 */
#include "fault_peer.h"

static void responses_that_make_no_sense(void **state)
{
    Od *od = *state;

    answer(od, 0, SVAN_PAGE_RESOLVED, 0);
    answer(od, 0xffffffff, SVAN_PAGE_PENDING, 0);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, od->last.token, 77, 0);
    answer(od, od->last.token + 0x10000, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(OD_STAT(od, page_responses_bad), 4);
    resolve(od);
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(OD_STAT(od, page_responses_bad), 5);
    host_write(od->rc->host, SVAN_REG_PRR_DB, od->prq.pi + (2u << PRQ_LOG) + 1);
    host_write(od->rc->host, SVAN_REG_PRQ_DB, od->prq.ci + 1);
    assert_int_equal(OD_STAT(od, page_responses_bad), 7);
    check_page(od, 3);
}

/*
 * The driver has looked at the ring, a request is written, the driver arms: it hears
 * of the request, whether or not anything else happens.
 */
static void arming_behind_a_request(void **state)
{
    Od *od = *state;
    Fake *fake = od->rc->fake;
    struct svan_eqe eqe;
    uint32_t kicks;

    host_write(od->rc->host, SVAN_REG_PRQ_DB, SVAN_PRQ_DB_ARM);
    write_page(od, PSN_IN, 3);
    while (host_eq_poll(od->rc->host, 0, &eqe)) {
        /* it was not armed again */
    }
    write_page(od, PSN_IN + 1, 4);
    assert_false(host_eq_poll(od->rc->host, 0, &eqe));
    assert_int_equal(svan_run(fake->core), SVAN_RUN_IDLE);
    kicks = fake->kicks;
    svan_reg_write(fake->core, 0, SVAN_REG_PRQ_DB, SVAN_PRQ_DB_ARM, 4);
    assert_true(fake->kicks > kicks);
    fake_run(fake);
    assert_true(host_eq_poll(od->rc->host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_PAGE_REQUEST);
}

/* From the packet to the end, and the next page of the same packet by its own. */
static void a_fault_has_one_name(void **state)
{
    Od *od = *state;
    const SvanTrace *last = od->rc->fake->last;
    uint32_t first, second;

    write_at(od, PSN_IN, PAGE(4) - MTU / 2);
    assert_true(requested(od));
    first = le32toh(od->last.token);
    assert_int_equal(last[SVAN_TRACE_FAULT].a, first);
    assert_int_equal(last[SVAN_TRACE_PAGE_REQUEST].id, first);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 100000);
    assert_int_equal(last[SVAN_TRACE_FAULT_MODE].a, first);
    assert_int_equal(last[SVAN_TRACE_FAULT_MODE].b, SVAN_FAULT_MODE_HOLD);
    resolve(od);
    assert_true(requested(od));
    second = le32toh(od->last.token);
    assert_int_equal(last[SVAN_TRACE_FAULT_END].a, first);
    assert_int_equal(last[SVAN_TRACE_FAULT_END].b, SVAN_WAIT_PENDING);
    assert_int_not_equal(second, first);
    assert_int_equal(last[SVAN_TRACE_FAULT].a, second);
    assert_int_equal(last[SVAN_TRACE_FAULT].c, PAGE(4));
    resolve(od);
    assert_int_equal(last[SVAN_TRACE_FAULT_END].a, second);
    assert_int_equal(last[SVAN_TRACE_FAULT_END].b, SVAN_WAIT_OVER);
}

static void without_a_queue_a_page_never_comes(void **state)
{
    Od *od = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_DESTROY_PRQ);

    write_page(od, PSN_IN, 3);
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL),
                     SVAN_CMD_BAD_RESOURCE);
}

static void a_reset_forgets_what_was_kept(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 3);
    assert_true(requested(od));
    rc_modify(od->rc, SVAN_QPS_RESET, 0);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(OD_STAT(od, page_responses_bad), 0);
    rc_to(od->rc, SVAN_QPS_RTS);
    map_page(od, 3, true);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
}

static void a_saved_suspension_is_taken_up_again(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    assert_true(fake_restore(od->rc->fake));
    od->rc->core = svan_qp_get(host_fn(od->rc->host), od->rc->qp.qpn);
    fake_run(od->rc->fake);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    write_page(od, PSN_IN, 3);          /* merged with what was asked before */
    assert_false(requested(od));
    resolve(od);
    check_page(od, 3);
    assert_int_equal(OD_STAT(od, page_responses_bad), 0);
}

static void restored(Od *od)
{
    assert_true(fake_restore(od->rc->fake));
    od->rc->core = svan_qp_get(host_fn(od->rc->host), od->rc->qp.qpn);
    fake_run(od->rc->fake);
}

/* It is asked to come again only if it has come since the RNR NAK. */
static void a_saved_suspension_after_an_rnr_nak(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    restored(od);
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    write_page(od, PSN_IN, 3);
    restored(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN, 3);
    restored(od);                       /* a second one would cost a retry */
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 9);
    assert_true(requested(od));
    resolve(od);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
}

/* Every map misses once: nothing is done twice, nothing is lost. */
static void misses_anywhere(void **state)
{
    Od *od = *state;

    od->rc->fake->miss_every = 1;
    set_mode(od, SVAN_FAULT_MODE_DIVERT);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 5);
    assert_true(requested(od));
    resolve(od);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    check_page(od, 5);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), 2 * MTU);
    assert_int_equal(rc_priv(od->rc)->resp.msn, 2);
}

static void a_full_table_of_faults_makes_wait(void **state)
{
    Od *od = *state;
    SvanFn *fn = host_fn(od->rc->host);
    SvanPageWait waits[(1u << PRQ_LOG) + 2];
    uint32_t n = sizeof(waits) / sizeof(waits[0]);

    memset(waits, 0, sizeof(waits));
    for (uint32_t i = 0; i < n; i++) {
        waits[i].waiter = &od->rc->core->waiter;
        svan_page_wait_forget(&waits[i]);
        fn->memory->miss = (SvanPageMiss) {
            .key = svan_key_get(fn, od->key), .va = (uint64_t)i << 12, .len = 1,
        };
        svan_page_wait(&waits[i], true);
    }
    assert_int_equal(OD_STAT(od, page_requests_stalled), 2);
    fake_run(od->rc->fake);
    for (uint32_t i = 0; i < 1u << PRQ_LOG; i++) {
        assert_true(requested(od));
    }
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(waits[n - 3].state, SVAN_WAIT_OVER);
    assert_int_equal(waits[n - 2].state, SVAN_WAIT_PENDING);
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), waits[n - 2].met->page);
    assert_int_equal(le32toh(od->last.token), waits[n - 2].token);
    assert_int_equal(waits[n - 1].state, SVAN_WAIT_PENDING);
    assert_null(waits[n - 1].met->fault);
    for (uint32_t i = 0; i < n; i++) {
        svan_page_wait_leave(&waits[i]);
        svan_page_wait_forget(&waits[i]);
    }
}

static void injected_faults_take_their_time(void **state)
{
    SvanInjection what = {
        .first = PAGE(3), .last = PAGE(4) - 1, .chance_ppm = 1000000, .count = 1,
        .fault_class = SVAN_FAULT_FILE_READ, .estimate_ns = 200000,
        .delay_ns = 300000,
    };
    Od *od = *state;
    SvanCore *core = od->rc->fake->core;

    map_page(od, 3, true);
    map_page(od, 4, true);
    assert_true(svan_inject(core, 0, &what));
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 4);
    assert_false(requested(od));
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_HOLD);
    fake_advance(od->rc->fake, 299000);
    assert_int_equal(page_mem(od, 3)[1], 0);
    fake_advance(od->rc->fake, 2000);
    check_page(od, 3);
    check_page(od, 4);
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
    write_page(od, PSN_IN + 2, 3);      /* each page once */
    RC_SENT_AETH(od->rc, PSN_IN + 2, ACKED);
    assert_int_equal(OD_STAT(od, page_faults_injected), 1);

    what.failure = true;
    what.key = od->key;
    assert_true(svan_inject(core, 0, &what));
    write_page(od, PSN_IN + 3, 3);
    fake_advance(od->rc->fake, 300000);
    RC_SENT_AETH(od->rc, PSN_IN + 3, NAK(REMOTE_ACCESS));
}

/* What the device reads for itself is always there. */
static void an_injection_spares_the_rings(void **state)
{
    SvanInjection what = {
        .last = UINT64_MAX, .chance_ppm = 1000000, .delay_ns = 1000,
    };
    Od *od = *state;

    rc_post(od->rc, SVAN_WQE_SEND, 0, MTU);
    assert_true(svan_inject(od->rc->fake->core, 0, &what));
    rc_go(od->rc);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, page_faults_injected), 1);
    fake_advance(od->rc->fake, 2000);
    RC_SENT(od->rc, SVAN_OP_SEND_ONLY, PSN_OUT);
}

static void bad_injections(void **state)
{
    SvanInjection what = { .first = 1, .last = 0 };
    Od *od = *state;
    SvanCore *core = od->rc->fake->core;
    uint32_t n = 0;

    assert_false(svan_inject(core, 0, &what));
    assert_false(svan_inject(core, 9, &what));
    what.last = UINT64_MAX;
    what.fault_class = SVAN_FAULT_CLASS_COUNT;
    assert_false(svan_inject(core, 0, &what));
    what.fault_class = 0;
    while (svan_inject(core, 0, &what)) {
        n++;
    }
    assert_int_equal(n, 16);
    svan_inject_nothing(core, 0);
    assert_true(svan_inject(core, 0, &what));
    map_page(od, 3, true);
    write_page(od, PSN_IN, 3);          /* no chance */
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/*
 * Who waits for a free fault has its turn; who needs none any more, or finds that
 * another has asked for the same page, leaves it to the next.
 */
static void a_free_fault_is_passed_on(void **state)
{
    Od *od = *state;
    SvanFn *fn = host_fn(od->rc->host);
    SvanPageWait waits[(1u << PRQ_LOG) + 4];
    uint32_t n = sizeof(waits) / sizeof(waits[0]);

    memset(waits, 0, sizeof(waits));
    for (uint32_t i = 0; i < n; i++) {
        waits[i].waiter = &od->rc->core->waiter;
        svan_page_wait_forget(&waits[i]);
        fn->memory->miss = (SvanPageMiss) {
            .key = svan_key_get(fn, od->key), .len = 1,
            /* of those without a fault, the first two want the same page */
            .va = (uint64_t)(i == n - 3 ? n - 4 : i) << 12,
        };
        svan_page_wait(&waits[i], true);
    }
    assert_int_equal(OD_STAT(od, page_requests_stalled), 4);
    fake_run(od->rc->fake);
    svan_page_wait_leave(&waits[n - 2]);    /* its page is there */
    for (uint32_t i = 0; i < 1u << PRQ_LOG; i++) {
        assert_true(requested(od));
    }
    answer(od, waits[0].token, SVAN_PAGE_RESOLVED, 0);
    assert_ptr_not_equal(waits[n - 4].met->fault, NULL);
    assert_null(waits[n - 3].met->fault);
    answer(od, waits[1].token, SVAN_PAGE_RESOLVED, 0);
    assert_ptr_equal(waits[n - 3].met->fault, waits[n - 4].met->fault);
    assert_ptr_not_equal(waits[n - 1].met->fault, NULL);
    assert_true(requested(od));
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), waits[n - 1].met->page);
    assert_false(requested(od));
    for (uint32_t i = 0; i < n; i++) {
        svan_page_wait_leave(&waits[i]);
        svan_page_wait_forget(&waits[i]);
    }
}

static void bad_commands(void **state)
{
    Od *od = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);
    struct svan_fault_policy policy;

    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BUSY);
    cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);
    svan_policy_default(&policy);
    policy.mode = SVAN_FAULT_MODE_FAIL;
    cmd.fault_policy.policy = policy;
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    cmd.fault_policy.qpn = htole32(0x123456);
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BAD_RESOURCE);
    cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);
    cmd.spare_pages.count = htole32(SVAN_MAX_SPARES + 1);
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    set_mode(od, SVAN_FAULT_MODE_DIVERT);
    write_page(od, PSN_IN, 3);
    cmd.spare_pages.count = 0;
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BUSY);
}

/* ---- a device without the feature ---- */

static Fake *lesser(const Od *od)
{
    SvanConfig config = od->rc->fake->config;

    config.features_off = SVAN_CAP_PAGE_REQUESTS;
    return fake_create(&config);
}

static void without_the_feature(void **state)
{
    Od *od = *state;
    Fake *fake = lesser(od);
    Host *host = host_create(fake, 0, 1);
    uint64_t page = fake_alloc(fake, 4096, 4096);
    struct svan_caps *caps = fake_ram(fake, page);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_CAPS);

    cmd.query.addr = htole64(page);
    cmd.query.length = htole32(4096);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
    assert_int_equal(le64toh(caps->features),
                     host_fn(od->rc->host)->features & ~SVAN_CAP_PAGE_REQUESTS);
    assert_true(le64toh(caps->features) & SVAN_CAP_PROCESS_KEYS);
    assert_int_equal(le32toh(caps->max_page_requests), 0);
    assert_int_equal(le32toh(caps->max_spare_pages), 0);
    assert_int_equal(le32toh(caps->fault_buffer), 0);
    assert_int_equal(le32toh(caps->off_reason), SVAN_CAP_OFF_NONE);

    cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);
    cmd.create_prq.requests = htole64(page);
    cmd.create_prq.responses = htole64(page);
    cmd.create_prq.log_size = SVAN_PRQ_MIN_LOG_SIZE;
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NOT_SUPPORTED);
    cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NOT_SUPPORTED);
    host_destroy(host);
    fake_destroy(fake);
}

/* To make a large queue, and to destroy it, takes long, and is charged. */
static void a_large_queue_costs_more(void **state)
{
    Od *od = *state;
    Host *host = od->rc->host;
    SvanCore *core = od->rc->fake->core;
    struct svan_cmd create = host_cmd_init(SVAN_CMD_CREATE_PRQ);
    struct svan_cmd destroy = host_cmd_init(SVAN_CMD_DESTROY_PRQ);
    uint64_t cost;

    page_queue_lend(host, 0);
    host_must(host, &destroy);
    create.create_prq.requests = create.create_prq.responses = htole64(4096);
    create.create_prq.log_size = SVAN_PRQ_MAX_LOG_SIZE;
    cost = core->cost;
    host_must(host, &create);
    assert_true(core->cost - cost >= 1u << SVAN_PRQ_MAX_LOG_SIZE);
    cost = core->cost;
    host_must(host, &destroy);
    assert_true(core->cost - cost >= 1u << SVAN_PRQ_MAX_LOG_SIZE);
}

static bool loads_into(Fake *other, const Od *od)
{
    size_t len;
    void *stream = svan_save(od->rc->fake->core, &len);
    bool ok = svan_load(other->core, stream, len);

    free(stream);
    return ok;
}

/* A queue, or spare pages, that the other device does not know. */
static void streams_that_do_not_fit(void **state)
{
    Od *od = *state;
    Fake *other = lesser(od);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_DESTROY_PRQ);

    page_queue_lend(od->rc->host, 0);
    assert_false(loads_into(other, od));
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
    assert_true(loads_into(other, od));
    page_queue_lend(od->rc->host, 2);
    assert_false(loads_into(other, od));
    fake_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(responses_that_make_no_sense),
        OD_TEST(arming_behind_a_request),
        OD_TEST(a_fault_has_one_name),
        OD_TEST(without_a_queue_a_page_never_comes),
        OD_TEST(a_reset_forgets_what_was_kept),
        OD_TEST(a_saved_suspension_is_taken_up_again),
        OD_TEST(a_saved_suspension_after_an_rnr_nak),
        OD_TEST(misses_anywhere),
        OD_TEST(a_full_table_of_faults_makes_wait),
        OD_TEST(injected_faults_take_their_time),
        OD_TEST(an_injection_spares_the_rings),
        OD_TEST(bad_injections),
        OD_TEST(a_free_fault_is_passed_on),
        OD_TEST(bad_commands),
        OD_TEST(without_the_feature),
        OD_TEST(a_large_queue_costs_more),
        OD_TEST(streams_that_do_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
