/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quotas. Whatever one function takes of a kind, it is refused at its quota, and
 * another function has what it had, and gets what it wants. So it is where the
 * device has no memory, allocation by allocation.
 */
#include <stdlib.h>

#include "transport/rc.h"
#include "unit.h"

#define CAPACITY        16u     /* of QPs, CQs and keys */
#define RINGS           1024u   /* distance of the pieces of a ring buffer */
#define DATA            10000u  /* octets of a message */
#define CROWD           64u     /* QPs that are busy together */

/* ---- memory that is refused ---- */

static int64_t allocations_left = INT64_MAX;
static bool refused;

void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

static bool refuse(void)
{
    refused |= allocations_left <= 0;
    return allocations_left-- <= 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuse() ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return refuse() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return refuse() ? NULL : __real_aligned_alloc(align, size);
}

/* So many more succeed. */
static void memory_for(int64_t count)
{
    allocations_left = count;
    refused = false;
}

static void memory_is_back(void)
{
    allocations_left = INT64_MAX;
}

/* ---- the functions ---- */

typedef struct Bench {
    Fake *fake;
    Host *a, *b;
    HostCq cqs[2];              /* theirs */
    uint64_t page;              /* that all rings may be in: nobody uses them */
    uint64_t data;              /* that b sends, and behind it receives */
    uint8_t errands;
} Bench;

static int make(void **state, uint32_t max_qp)
{
    SvanConfig config = {
        .num_vfs = 2, .max_qp = max_qp, .max_cq = CAPACITY,
        .max_key = CAPACITY, .true_atomics = true,
    };
    Bench *bench = calloc(1, sizeof(*bench));

    bench->fake = fake_create(&config);
    bench->a = host_create(bench->fake, 1, 1);
    bench->b = host_create(bench->fake, 2, 2);
    bench->cqs[0] = host_cq(bench->a, 4);
    bench->cqs[1] = host_cq(bench->b, 4);
    bench->page = fake_alloc(bench->fake, 4096, 4096);
    bench->data = fake_alloc(bench->fake, 2 * DATA, 4096);
    *state = bench;
    return 0;
}

static int setup(void **state)
{
    return make(state, CAPACITY);
}

static int setup_crowd(void **state)
{
    return make(state, 2 * CROWD);
}

static int teardown(void **state)
{
    Bench *bench = *state;

    memory_is_back();
    fake_destroy(bench->fake);
    host_destroy(bench->a);
    host_destroy(bench->b);
    free(bench);
    return 0;
}

/* What a function has. */
typedef struct Holdings {
    uint32_t eqs, uars, uar_room, pds, pd_room, keys, key_room, cqs, cq_room,
             counters, counter_room, qps, qp_room, gids, mcast, contexts;
    const void *prq, *spares;
} Holdings;

static Holdings holdings(Host *host)
{
    const SvanFn *fn = host_fn(host);
    Holdings all = {
        .uar_room = fn->queues->num_uars,
        .pds = fn->memory->pds.used, .pd_room = fn->memory->pds.size,
        .keys = fn->memory->keys.used, .key_room = fn->memory->keys.size,
        .cqs = fn->queues->cqs.used, .cq_room = fn->queues->cqs.size,
        .counters = fn->queues->counters.used,
        .counter_room = fn->queues->counters.size,
        .qps = fn->qps->table.used, .qp_room = fn->qps->table.size,
        .mcast = fn->net->eth.num_mcast,
        .contexts = fn->memory->context_table.count,
        .prq = fn->paging->prq, .spares = fn->paging->spares,
    };

    for (uint32_t i = 0; i < SVAN_MAX_EQS; i++) {
        all.eqs += fn->queues->eqs[i] != NULL;
    }
    for (uint32_t i = 0; i < fn->uar_count; i++) {
        all.uars += svan_uar_get(fn, i) != NULL;
    }
    for (uint32_t i = 0; i < fn->net->gid_limit; i++) {
        all.gids += fn->net->gids[i].valid;
    }
    return all;
}

/* ---- kinds: the i-th command that takes one more ---- */

static struct svan_cmd one_eq(const Bench *bench, const Host *host, uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_EQ);

    cmd.create_eq.ring = htole64(bench->page);
    cmd.create_eq.eqn = htole32(2 + i);
    cmd.create_eq.log_size = 4;
    return cmd;
}

static struct svan_cmd one_uar(const Bench *bench, const Host *host, uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ALLOC_UAR);

    cmd.alloc_uar.owner = htole32(i + 1);
    return cmd;
}

static struct svan_cmd one_pd(const Bench *bench, const Host *host, uint32_t i)
{
    return host_cmd_init(SVAN_CMD_ALLOC_PD);
}

static struct svan_cmd one_key(const Bench *bench, const Host *host, uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_KEY);

    cmd.create_key.kind = SVAN_KEY_PINNED;
    cmd.create_key.page_shift = 12;
    cmd.create_key.pd = htole32(host->pd);
    cmd.create_key.va = cmd.create_key.table = htole64(bench->page);
    cmd.create_key.length = htole64(4096);
    return cmd;
}

static struct svan_cmd one_cq(const Bench *bench, const Host *host, uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);

    cmd.create_cq.ring_va = htole64(bench->page);
    cmd.create_cq.ring_key = htole32(host->ring_key);
    cmd.create_cq.dbr_offset = htole32(RINGS);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.log_size = 4;
    return cmd;
}

static struct svan_cmd one_counter(const Bench *bench, const Host *host,
                                   uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_COUNTER);

    cmd.create_counter.success_va = htole64(bench->page + 3 * RINGS);
    cmd.create_counter.error_va = htole64(bench->page + 3 * RINGS + 8);
    cmd.create_counter.success_key = htole32(host->ring_key);
    cmd.create_counter.error_key = htole32(host->ring_key);
    return cmd;
}

static struct svan_cmd one_qp(const Bench *bench, const Host *host, uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_QP);

    cmd.create_qp.type = SVAN_QPT_RC;
    cmd.create_qp.log_sq_bbs = 4;
    cmd.create_qp.pd = htole32(host->pd);
    cmd.create_qp.send_cq = cmd.create_qp.recv_cq =
        htole32(bench->cqs[host->fn - 1].cqn);
    cmd.create_qp.ring_va = htole64(bench->page);
    cmd.create_qp.ring_key = htole32(host->ring_key);
    cmd.create_qp.dbr_offset = htole32(2 * RINGS);
    return cmd;
}

static struct svan_cmd one_gid(const Bench *bench, const Host *host, uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_GID);

    cmd.set_gid.index = htole32(HOST_GIDS + i);
    cmd.set_gid.gid[0] = 0xfd;
    cmd.set_gid.gid[1] = host->fn;
    cmd.set_gid.gid[15] = i;
    memcpy(cmd.set_gid.smac, host->gids[0].smac, 6);
    return cmd;
}

static struct svan_cmd more_mcast(const Bench *bench, const Host *host,
                                  uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_MCAST);

    cmd.eth_mcast.addr = htole64(bench->page);
    cmd.eth_mcast.count = htole32(i + 1);
    return cmd;
}

static struct svan_cmd one_prq(const Bench *bench, const Host *host, uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);

    cmd.create_prq.requests = cmd.create_prq.responses = htole64(bench->page);
    cmd.create_prq.log_size = SVAN_PRQ_MIN_LOG_SIZE;
    return cmd;
}

static struct svan_cmd large_prq(const Bench *bench, const Host *host,
                                 uint32_t i)
{
    struct svan_cmd cmd = one_prq(bench, host, i);

    cmd.create_prq.log_size = SVAN_PRQ_MAX_LOG_SIZE + 1;
    return cmd;
}

static struct svan_cmd more_spares(const Bench *bench, const Host *host,
                                   uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);

    cmd.spare_pages.addr = htole64(bench->page);
    cmd.spare_pages.count = htole32(i + 1);
    return cmd;
}

static struct svan_cmd more_contexts(const Bench *bench, const Host *host,
                                     uint32_t i)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_CONTEXT_TABLE);

    cmd.context_table.addr = htole64(bench->page);
    cmd.context_table.count = htole32(i + 1);
    return cmd;
}

typedef struct Kind {
    const char *name;
    struct svan_cmd (*command)(const Bench *bench, const Host *host, uint32_t i);
    uint32_t quota;             /* commands that succeed */
    uint8_t status;             /* of the next one */
} Kind;

/* The hosts have two EQs, a UAR page, a PD, two keys and a CQ already. */
static const Kind kinds[] = {
    { "EQ", one_eq, SVAN_MAX_EQS - 2, SVAN_CMD_BAD_PARAM },
    { "UAR", one_uar, SVAN_VF_UAR_COUNT - 1, SVAN_CMD_NO_RESOURCES },
    { "PD", one_pd, 16384 - 1 - 1, SVAN_CMD_NO_RESOURCES },
    { "key", one_key, CAPACITY - 1 - 2, SVAN_CMD_NO_RESOURCES },
    { "CQ", one_cq, CAPACITY - SVAN_FIRST_CQ - 1, SVAN_CMD_NO_RESOURCES },
    { "counter", one_counter, CAPACITY - 1, SVAN_CMD_NO_RESOURCES },
    { "QP", one_qp, CAPACITY - SVAN_FIRST_QP, SVAN_CMD_NO_RESOURCES },
    { "GID", one_gid, SVAN_MAX_GID - HOST_GIDS, SVAN_CMD_BAD_PARAM },
    { "multicast", more_mcast, SVAN_MAX_MCAST, SVAN_CMD_BAD_PARAM },
    { "page requests", large_prq, 0, SVAN_CMD_BAD_PARAM },
    { "PRQ", one_prq, 1, SVAN_CMD_BUSY },
    { "spare pages", more_spares, SVAN_MAX_SPARES, SVAN_CMD_BAD_PARAM },
    { "contexts", more_contexts, SVAN_PASID_COUNT, SVAN_CMD_BAD_PARAM },
};

/* Until it is refused; returns how often it succeeded. */
static uint32_t take_all(Bench *bench, const Kind *kind, Holdings *full, uint8_t *status)
{
    uint32_t taken = 0;

    for (*status = SVAN_CMD_OK; *status == SVAN_CMD_OK;) {
        struct svan_cmd cmd = kind->command(bench, bench->a, taken);

        *full = holdings(bench->a);
        *status = host_cmd(bench->a, &cmd, NULL);
        taken += *status == SVAN_CMD_OK;
    }
    return taken;
}

static void each_quota_is_its_function_s(void **state)
{
    Bench *bench = *state;

    for (size_t k = 0; k < SIZE(kinds); k++) {
        const Kind *kind = &kinds[k];
        Holdings before = holdings(bench->b), after, full;
        uint8_t status;
        uint32_t taken = take_all(bench, kind, &full, &status);

        if (taken != kind->quota || status != kind->status) {
            fail_msg("%s: status %u after %u instead of %u after %u",
                     kind->name, status, taken, kind->status, kind->quota);
        }
        after = holdings(bench->a);
        assert_memory_equal(&full, &after, sizeof(full));
        after = holdings(bench->b);
        assert_memory_equal(&before, &after, sizeof(before));
    }
    /* the other one gets as many */
    for (size_t k = 0; k < SIZE(kinds); k++) {
        for (uint32_t i = 0; i < kinds[k].quota; i++) {
            struct svan_cmd cmd = kinds[k].command(bench, bench->b, i);

            assert_int_equal(host_cmd(bench->b, &cmd, NULL), SVAN_CMD_OK);
        }
    }
}

/* Queues and a key are made, data is sent and received, and all is gone again. */
static void errand(Bench *bench)
{
    uint32_t used = bench->fake->used;  /* so that all errands have the same addresses */
    struct svan_cqe cqe;
    struct svan_cmd cmd = one_key(bench, bench->b, 0);
    uint32_t key = host_must(bench->b, &cmd);
    HostCq cq = host_cq(bench->b, 4);
    HostQp qp = host_qp(bench->b, &cq, &cq, NULL);
    HostSend send = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED, .addr = bench->data,
        .lkey = bench->b->all_key, .length = DATA,
    };
    uint8_t *data = fake_ram(bench->fake, bench->data);

    memset(data, ++bench->errands, DATA);
    host_connect(&qp, &qp);
    host_recv(&qp, bench->data + DATA, DATA);
    host_send(&qp, &send);
    host_post(&qp);
    fake_run(bench->fake);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(host_cq_poll(&cq, &cqe));
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
    }
    assert_memory_equal(data, data + DATA, DATA);
    assert_int_equal(host_object(bench->b, SVAN_CMD_DESTROY_QP, qp.qpn), SVAN_CMD_OK);
    assert_int_equal(host_object(bench->b, SVAN_CMD_DESTROY_CQ, cq.cqn), SVAN_CMD_OK);
    assert_int_equal(host_object(bench->b, SVAN_CMD_DESTROY_KEY, key), SVAN_CMD_OK);
    bench->fake->used = used;
}

/* What an errand costs the device, and what it counts. */
typedef struct Cost {
    SvanFnStats stats;
    uint64_t maps, written;
} Cost;

static Cost cost_of_errand(Bench *bench)
{
    Cost cost = { .maps = bench->fake->maps, .written = bench->fake->written };
    SvanFnStats before = *host_fn(bench->b)->stats;

    errand(bench);
    cost.maps = bench->fake->maps - cost.maps;
    cost.written = bench->fake->written - cost.written;
#define COUNTED(name) \
    cost.stats.name = host_fn(bench->b)->stats->name - before.name;
    SVAN_STATS(COUNTED)
#undef COUNTED
    return cost;
}

/* Tables that are full cost nobody else a step, or an access to memory. */
static void a_full_function_costs_another_nothing(void **state)
{
    Bench *bench = *state;
    Cost before, after;
    Holdings full;
    uint8_t status;

    cost_of_errand(bench);              /* its tables grow now, if at all */
    before = cost_of_errand(bench);
    for (size_t k = 0; k < SIZE(kinds); k++) {
        take_all(bench, &kinds[k], &full, &status);
    }
    for (uint32_t i = 0; i < CAPACITY; i++) {
        after = cost_of_errand(bench);
        assert_memory_equal(&before, &after, sizeof(before));
    }
}

/* Objects that need memory say so, leave nothing behind, and can be had later. */
static void no_memory_is_a_status(void **state)
{
    Bench *bench = *state;

    for (size_t k = 0; k < SIZE(kinds); k++) {
        struct svan_cmd cmd = kinds[k].command(bench, bench->a, 0);
        Holdings before = holdings(bench->a), after;
        uint8_t status = SVAN_CMD_NO_RESOURCES;

        for (uint32_t i = 0; status == SVAN_CMD_NO_RESOURCES; i++) {
            memory_for(i);
            status = host_cmd(bench->a, &cmd, NULL);
            memory_is_back();
            assert_true(refused == (status == SVAN_CMD_NO_RESOURCES));
            if (status == SVAN_CMD_NO_RESOURCES) {
                after = holdings(bench->a);
                after.uar_room = before.uar_room;       /* may stay */
                after.pd_room = before.pd_room;
                after.key_room = before.key_room;
                after.cq_room = before.cq_room;
                after.counter_room = before.counter_room;
                after.qp_room = before.qp_room;
                assert_memory_equal(&before, &after, sizeof(before));
            }
        }
        assert_int_equal(status, kinds[k].quota ? SVAN_CMD_OK :
                                                  kinds[k].status);
    }
}

/* CONTROL.ENABLE stays 0, and may be tried again. */
static void a_function_without_memory_is_not_enabled(void **state)
{
    Bench *bench = *state;
    SvanCore *core = bench->fake->core;
    uint32_t tries = 0;

    svan_reg_write(core, 0, SVAN_REG_CONTROL, SVAN_CONTROL_RESET, 4);
    do {
        assert_int_equal(svan_reg_read(core, 0, SVAN_REG_CONTROL, 4), 0);
        assert_int_equal(svan_reg_read(core, 0, SVAN_REG_STATUS, 4), 0);
        assert_null(core->fns[0]->memory);
        assert_null(core->fns[0]->queues);
        assert_null(core->fns[0]->paging);
        assert_null(core->fns[0]->qps);
        memory_for(tries++);
        svan_reg_write(core, 0, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE, 4);
        memory_is_back();
    } while (refused);
    assert_in_range(tries, 5, 20);
    assert_int_equal(svan_reg_read(core, 0, SVAN_REG_STATUS, 4),
                     SVAN_STATUS_READY);
}

/* ---- a connection without memory ---- */

static void post(Bench *bench, HostQp *qp, uint8_t opcode)
{
    HostWr wr = {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED, .num_sge = 1,
        .remote = bench->page + 2048, .rkey = bench->b->all_key,
        .sge[0] = {
            .va = bench->page, .length = 8, .key = bench->a->all_key,
        },
    };

    host_write_wqe(qp, &wr);
    host_post(qp);
}

static uint32_t completed(Bench *bench)
{
    struct svan_cqe cqe;
    uint32_t count = 0;

    while (host_cq_poll(&bench->cqs[0], &cqe)) {
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
        count++;
    }
    return count;
}

static uint32_t completed_within(Bench *bench, uint64_t ns)
{
    uint64_t end = bench->fake->now + ns;
    uint32_t count = 0;

    do {
        fake_run(bench->fake);
        count += completed(bench);
        bench->fake->now += ns / 100;
    } while (bench->fake->now < end);
    return count;
}

/* It sends a few at a time, and waits with what needs a record at the other end. */
static void a_connection_goes_on_without_memory(void **state)
{
    static const uint8_t owed[] = {
        SVAN_WQE_RDMA_READ, SVAN_WQE_ATOMIC_FETCH_ADD,
    };
    Bench *bench = *state;
    HostQp a = host_qp(bench->a, &bench->cqs[0], &bench->cqs[0], NULL);
    HostQp b = host_qp(bench->b, &bench->cqs[1], &bench->cqs[1], NULL);

    host_connect(&a, &b);
    fake_run(bench->fake);
    memory_for(0);
    for (uint32_t i = 0; i < 6; i++) {
        post(bench, &a, SVAN_WQE_RDMA_WRITE);
    }
    fake_run(bench->fake);
    memory_is_back();
    assert_true(refused);
    assert_int_equal(completed(bench), 6);
    for (size_t i = 0; i < SIZE(owed); i++) {
        memory_for(0);
        post(bench, &a, owed[i]);
        fake_run(bench->fake);
        memory_is_back();
        assert_true(refused);
        assert_int_equal(completed(bench), 0);
        assert_int_equal(completed_within(bench, 10000000), 1);
    }
    assert_int_equal(host_state(&a), SVAN_QPS_RTS);
    assert_int_equal(host_state(&b), SVAN_QPS_RTS);
}

/* Their windows stay while they take turns, and go when most of them rest. */
static void a_crowd_keeps_its_windows(void **state)
{
    Bench *bench = *state;
    SvanRcShared *shared = host_fn(bench->a)->qps->rc;
    HostQpAttr attr = { .log_sq = 4, .log_rq = 2 };
    SvanQp *qps[CROWD];

    for (uint32_t i = 0; i < CROWD; i++) {
        HostQp qp = host_qp(bench->a, &bench->cqs[0], &bench->cqs[0], &attr);

        qps[i] = svan_qp_get(host_fn(bench->a), qp.qpn);
        assert_true(svan_rc_widen(qps[i]));
    }
    for (uint32_t i = 0; i < CROWD / 2; i++) {
        svan_rc_narrow(qps[i]);
    }
    memory_for(0);
    for (uint32_t i = 0; i < CROWD / 2; i++) {
        assert_true(svan_rc_widen(qps[i]));
    }
    memory_is_back();
    assert_int_equal(shared->some.num_used, CROWD);
    assert_true(svan_rc_widen(qps[0]));
    assert_false(svan_rc_widen(qps[0]));
    assert_int_equal(shared->some.num_used, CROWD - 1);
    assert_int_equal(shared->full.num_used, 1);
    for (uint32_t i = 0; i < CROWD; i++) {
        svan_rc_narrow(qps[i]);
    }
    assert_int_equal(shared->some.num_used, 0);
    assert_int_equal(shared->some.num_spare, SVAN_RC_SPARE_WINDOWS);
    assert_int_equal(shared->full.num_used, 0);
    assert_int_equal(shared->full.num_spare, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_quota_is_its_function_s),
        TEST(a_full_function_costs_another_nothing),
        TEST(no_memory_is_a_status),
        TEST(a_function_without_memory_is_not_enabled),
        TEST(a_connection_goes_on_without_memory),
        cmocka_unit_test_setup_teardown(a_crowd_keeps_its_windows, setup_crowd, teardown),
    };

    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
