/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion counters as objects, in saved state, and beside completion queues that nobody
 * polls. What they count is in test_counting.c.
 */
#include "counters.h"
#include "refusal.h"

/* ---- life ---- */

static void creation(void **state)
{
    Host *host = *state;
    uint64_t page = fake_alloc(host->fake, 4096, 4096);
    uint32_t small = host_key_flat(host, page, 64, SVAN_ACCESS_LOCAL_WRITE,
                                   SVAN_CMD_KEY_INTERNAL);
    uint32_t read_only = host_key_flat(host, page, 4096, 0,
                                       SVAN_CMD_KEY_INTERNAL);
    struct svan_cmd good = create(host, page, page + 56);
    const Refusal bad[] = {
        BAD(create_counter.success_va, page + 4, BAD_PARAM),
        BAD(create_counter.success_va, page + 64, BAD_PARAM),
        BAD(create_counter.success_va, UINT64_MAX & ~7ull, BAD_PARAM),
        BAD(create_counter.error_va, page + 1, BAD_PARAM),
        BAD(create_counter.error_va, page + 60, BAD_PARAM),
        BAD(create_counter.error_va, page - 8, BAD_PARAM),
        BAD(create_counter.success_key, host->all_key, BAD_RESOURCE),
        BAD(create_counter.success_key, read_only, BAD_RESOURCE),
        BAD(create_counter.success_key, MISSING, BAD_RESOURCE),
        BAD(create_counter.error_key, host->all_key, BAD_RESOURCE),
        BAD(create_counter.error_key, read_only, BAD_RESOURCE),
        BAD(create_counter.error_key, MISSING, BAD_RESOURCE),
        BAD(create_counter.owner, SVAN_NONE, BAD_PARAM),
    };
    uint32_t id;

    good.create_counter.success_key = htole32(small);
    good.create_counter.error_key = htole32(small);
    good.create_counter.success = htole64(0x123456789abcdef0);
    good.create_counter.error = htole64(7);
    check_refusals(host, &good, bad, SIZE(bad));
    assert_int_equal(word(host->fake, page), 0);
    id = host_must(host, &good);
    assert_true(word(host->fake, page) == 0x123456789abcdef0);
    assert_int_equal(word(host->fake, page + 56), 7);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, small),
                     SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_COUNTER, id + 1),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_COUNTER, id),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_COUNTER, id),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, small),
                     SVAN_CMD_OK);
}

/* No counter is made whose memory does not answer. */
static void creation_without_memory(void **state)
{
    Host *host = *state;
    uint64_t page = fake_alloc(host->fake, 8192, 4096);
    struct svan_cmd cmd = create(host, page, page + 4096);
    struct svan_cmd_resp resp;

    for (uint32_t i = 0; i < 2; i++) {
        host->fake->bad_page = page + i * 4096;
        assert_int_equal(host_cmd(host, &cmd, &resp), SVAN_CMD_DMA_ERROR);
        assert_int_equal(le32toh(resp.syndrome), i ?
                         offsetof(struct svan_cmd, create_counter.error_va) :
                         offsetof(struct svan_cmd, create_counter.success_va));
        assert_int_equal(host_fn(host)->queues->counters.used, 0);
    }
    host->fake->bad_page = 0;
    host_must(host, &cmd);
}

static void changes(void **state)
{
    Host *host = *state;
    Counter a = counter(host);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODIFY_COUNTER);
    const Refusal bad[] = {
        BAD(modify_counter.counter, MISSING, BAD_RESOURCE),
        BAD(modify_counter.mask, 8, BAD_PARAM),
    };

    cmd.modify_counter.counter = htole32(a.id);
    cmd.modify_counter.success = htole64(1000);
    cmd.modify_counter.error = htole64(50);
    cmd.modify_counter.mask = htole32(SVAN_MODIFY_COUNTER_SUCCESS);
    check_refusals(host, &cmd, bad, SIZE(bad));
    host_must(host, &cmd);
    assert_int_equal(word(host->fake, a.success), 1000);
    assert_int_equal(word(host->fake, a.error), 0);
    cmd.modify_counter.mask = htole32(SVAN_MODIFY_COUNTER_MASK);
    cmd.modify_counter.success = htole64(UINT64_MAX);
    host_must(host, &cmd);
    assert_int_equal(word(host->fake, a.success), 999);         /* around */
    assert_int_equal(word(host->fake, a.error), 50);
    cmd.modify_counter.mask = htole32(SVAN_MODIFY_COUNTER_ERROR);
    cmd.modify_counter.error = htole64(4);
    host_must(host, &cmd);
    assert_int_equal(word(host->fake, a.success), 999);
    assert_int_equal(word(host->fake, a.error), 4);
    /* both or none */
    host->fake->bad_page = a.error;
    cmd.modify_counter.mask = htole32(SVAN_MODIFY_COUNTER_MASK);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_DMA_ERROR);
    assert_int_equal(word(host->fake, a.success), 999);
}

static void attaching(void **state)
{
    Bench *bench = *state;
    Host *host = bench->host;
    HostQpAttr of_eth = { .type = SVAN_QPT_ETH };
    HostQp eth = host_qp(host, &bench->scq, &bench->scq, &of_eth);
    struct svan_cmd cmd = create(host, bench->src, bench->dst);
    uint32_t foreign;

    cmd.create_counter.owner = htole32(5);
    foreign = host_must(host, &cmd);
    cmd = host_cmd_init(SVAN_CMD_ATTACH_COUNTER);
    cmd.attach_counter.qpn = htole32(bench->a.qpn);
    cmd.attach_counter.counter = htole32(bench->sent.id);
    cmd.attach_counter.sides = htole32(SVAN_ATTACH_COUNTER_SEND);
    {
        const Refusal bad[] = {
            BAD(attach_counter.qpn, MISSING, BAD_RESOURCE),
            BAD(attach_counter.qpn, eth.qpn, NOT_SUPPORTED),
            BAD(attach_counter.counter, MISSING, BAD_RESOURCE),
            BAD(attach_counter.counter, foreign, NOT_PERMITTED),
            BAD(attach_counter.sides, 0, BAD_PARAM),
            BAD(attach_counter.sides, 4, BAD_PARAM),
            BAD(attach_counter.sides, SVAN_ATTACH_COUNTER_SEND, OK),
            BAD(attach_counter.sides, SVAN_ATTACH_COUNTER_SEND, BUSY),
            BAD(attach_counter.sides, SVAN_ATTACH_COUNTER_MASK, BUSY),
            BAD(attach_counter.sides, SVAN_ATTACH_COUNTER_RECV, OK),
            BAD(attach_counter.sides, SVAN_ATTACH_COUNTER_RECV, BUSY),
        };

        check_refusals(host, &cmd, bad, SIZE(bad));
    }
    host_connect(&bench->a, &bench->b);
    assert_int_equal(attach(&bench->b, bench->sent.id,
                            SVAN_ATTACH_COUNTER_SEND), SVAN_CMD_BAD_STATE);
}

static void destruction_while_attached(void **state)
{
    Bench *bench = *state;
    Host *host = bench->host;

    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_COUNTER,
                                 bench->sent.id), SVAN_CMD_BUSY);
    host_modify(&bench->a, SVAN_QPS_RESET, 0, NULL);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_COUNTER,
                                 bench->sent.id), SVAN_CMD_BUSY);
    host_object(host, SVAN_CMD_DESTROY_QP, bench->a.qpn);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_COUNTER,
                                 bench->sent.id), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_COUNTER,
                                 bench->received.id), SVAN_CMD_BUSY);
}

static void without_the_capability(void **state)
{
    SvanConfig config = fake_config;
    Fake *fake;
    Host *host;
    HostCq cq;
    struct svan_cmd cmd;
    uint64_t page;

    config.features_off = SVAN_CAP_COMP_COUNTERS;
    fake = fake_create(&config);
    host = host_create(fake, 0, 1);
    page = fake_alloc(fake, 8192, 4096);
    cmd = create(host, page, page + 8);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NOT_SUPPORTED);
    cq = host_cq(host, 4);
    cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);
    cmd.create_cq.ring_va = htole64(page);
    cmd.create_cq.ring_key = htole32(host->ring_key);
    cmd.create_cq.dbr_offset = htole32(4096);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.flags = SVAN_CMD_CQ_IGNORE_OVERRUN;
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NOT_SUPPORTED);
    cmd = host_cmd_init(SVAN_CMD_CREATE_QP);
    cmd.create_qp.type = SVAN_QPT_RC;
    cmd.create_qp.flags = SVAN_CMD_QP_RECV_NO_CQE;
    cmd.create_qp.pd = htole32(host->pd);
    cmd.create_qp.send_cq = cmd.create_qp.recv_cq = htole32(cq.cqn);
    cmd.create_qp.ring_va = htole64(page);
    cmd.create_qp.ring_key = htole32(host->ring_key);
    cmd.create_qp.dbr_offset = htole32(4096);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NOT_SUPPORTED);
    fake_destroy(fake);
    host_destroy(host);
}

/* As many as there may be are told, and no more can be had. */
static void the_quota_is_told(void **state)
{
    Host *host = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_CAPS);
    uint64_t page = fake_alloc(host->fake, 4096, 4096);
    const struct svan_caps *caps = fake_ram(host->fake, page);
    uint32_t count = 0;

    cmd.query.addr = htole64(page);
    cmd.query.length = htole32(4096);
    host_must(host, &cmd);
    assert_true(le64toh(caps->features) & SVAN_CAP_COMP_COUNTERS);
    cmd = create(host, page + 2048, page + 2056);
    while (host_cmd(host, &cmd, NULL) == SVAN_CMD_OK) {
        count++;
    }
    assert_int_equal(count, le32toh(caps->max_counter));
}

/* ---- saved state ---- */

static void the_counts_go_with_the_device(void **state)
{
    Bench *bench = *state;
    uint32_t restores = 0;
    SvanRun run;

    for (uint32_t i = 0; i < 6; i++) {
        host_recv(&bench->b, bench->dst, BUFFER);
        post(bench, SVAN_WQE_SEND, i & SVAN_WQE_SIGNALED, 20000);
    }
    do {
        assert_true(fake_restore(bench->fake));
        restores++;
        run = svan_run(bench->fake->core);
    } while (run == SVAN_RUN_MORE && restores < 1000);
    assert_in_range(restores, 20, 999);
    assert_int_equal(successes(bench, &bench->sent), 6);
    assert_int_equal(successes(bench, &bench->received), 6);
    /* a number is not given out twice */
    assert_int_not_equal(counter(bench->host).id, bench->sent.id);
    assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_COUNTER,
                                 bench->sent.id), SVAN_CMD_BUSY);
}

static bool loads_with_octet(Bench *bench, uint32_t from, uint32_t to,
                             uint32_t which)
{
    Fake *other = fake_create(&bench->fake->config);
    size_t len;
    uint8_t *stream = svan_save(bench->fake->core, &len);
    uint32_t want = htole32(from), put = htole32(to), found = 0;
    bool loaded;

    for (size_t at = 0; at + 4 <= len; at++) {
        if (!memcmp(stream + at, &want, 4) && found++ == which) {
            memcpy(stream + at, &put, 4);
        }
    }
    assert_true(found > which);
    loaded = svan_load(other->core, stream, len);
    free(stream);
    fake_destroy(other);
    return loaded;
}

/* Counters that are there twice, or not at all, or somebody else's. */
static void streams_that_are_not_true(void **state)
{
    Bench *bench = *state;
    SvanTable *table = &host_fn(bench->host)->queues->counters;
    SvanCounter *sent, *moved;
    uint32_t id = 0x23;         /* by which it is found in the stream */

    /* with the number of an index that is used nowhere else */
    sent = svan_counter_get(host_fn(bench->host), bench->sent.id);
    moved = sent;
    svan_table_remove(table, sent->id & SVAN_QN_INDEX_MASK);
    assert_true(svan_table_insert_at(table, id, moved));
    id |= svan_table_variant(table, id) << SVAN_QN_INDEX_SHIFT;
    moved->id = id;
    assert_true(loads_with_octet(bench, id, id, 0));
    /* of the counter itself; of the queue pair that it counts */
    assert_false(loads_with_octet(bench, id, id + 1, 0));
    assert_false(loads_with_octet(bench, id, id ^ 1 << SVAN_QN_INDEX_SHIFT, 0));
    assert_false(loads_with_octet(bench, id, bench->received.id, 0));
    assert_false(loads_with_octet(bench, id, id + 1, 1));
    assert_true(loads_with_octet(bench, id, bench->received.id, 1));
    assert_true(loads_with_octet(bench, id, 0, 1));
    moved->owner = 5;
    assert_false(loads_with_octet(bench, id, id, 0));
    moved->owner = 0;
    moved->counts[SVAN_COUNT_ERROR].va += 4;
    assert_false(loads_with_octet(bench, id, id, 0));
    moved->counts[SVAN_COUNT_ERROR].va -= 4;
    assert_true(fake_restore(bench->fake));
}

static void a_reset_takes_them_away(void **state)
{
    Bench *bench = *state;
    uint32_t id = bench->sent.id;

    svan_reset(bench->fake->core, 0);
    assert_null(host_fn(bench->host)->queues);
    host_destroy(bench->host);
    bench->host = host_create(bench->fake, 0, 1);
    assert_null(svan_counter_get(host_fn(bench->host), id));
    assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_COUNTER, id),
                     SVAN_CMD_BAD_RESOURCE);
    /* an old number is no new one's */
    assert_int_not_equal(counter(bench->host).id, id);
}

/* ---- completion queues that nobody polls ---- */

static HostCq deaf_cq(Host *host, uint32_t log_size)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);
    uint32_t size = sizeof(struct svan_cqe) << log_size;
    HostCq cq = {
        .host = host, .log_size = log_size,
        .ring = fake_alloc(host->fake, size + 64, 4096),
    };

    cq.dbr = cq.ring + size;
    cmd.create_cq.ring_va = htole64(cq.ring);
    cmd.create_cq.ring_key = htole32(host->ring_key);
    cmd.create_cq.dbr_offset = htole32(size);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.log_size = log_size;
    cmd.create_cq.flags = 2;
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    cmd.create_cq.flags = SVAN_CMD_CQ_IGNORE_OVERRUN;
    cq.cqn = host_must(host, &cmd);
    return cq;
}

/* The oldest entries are overwritten, and a count tells what they would have told. */
static void nobody_polls(void **state)
{
    Bench *bench = *state;
    HostCq cq = deaf_cq(bench->host, 2);
    HostQp a = host_qp(bench->host, &cq, &cq, NULL);
    const struct svan_cqe *ring = fake_ram(bench->fake, cq.ring);
    struct svan_eqe eqe;

    assert_int_equal(attach(&a, bench->sent.id, SVAN_ATTACH_COUNTER_SEND),
                     SVAN_CMD_OK);
    host_connect(&a, &bench->b);
    bench->a = a;
    for (uint32_t i = 0; i < 30; i++) {
        post(bench, SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED, 100);
        fake_run(bench->fake);
        if (i == 10) {
            assert_true(fake_restore(bench->fake));
        }
    }
    assert_int_equal(successes(bench, &bench->sent), 30);
    assert_int_equal(host_state(&bench->a), SVAN_QPS_RTS);
    assert_false(host_eq_poll(bench->host, 0, &eqe));
    assert_int_equal(host_fn(bench->host)->stats->cq_overruns, 0);
    for (uint32_t i = 26; i < 30; i++) {
        assert_int_equal(le32toh(ring[i % 4].wqe_index), i);
        assert_int_equal(ring[i % 4].owner & SVAN_CQE_PHASE, ~(i / 4) & 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(creation),
        HOST_TEST(creation_without_memory),
        HOST_TEST(changes),
        UNCONNECTED_TEST(attaching),
        COUNTERS_TEST(destruction_while_attached),
        cmocka_unit_test(without_the_capability),
        HOST_TEST(the_quota_is_told),
        COUNTERS_TEST(the_counts_go_with_the_device),
        COUNTERS_TEST(streams_that_are_not_true),
        COUNTERS_TEST(a_reset_takes_them_away),
        UNCONNECTED_TEST(nobody_polls),
    };

    return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
