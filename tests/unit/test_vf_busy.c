/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A function that is always busy, by whatever means, delays another by a bounded number
 * of runs of the device. Each kind of business is kept up run by run, as by a driver that
 * is faster than the device.
 */
#include "vf_unit.h"

#define LENGTH          3000u
#define CROWD           600u    /* queues that are rung all the time */
#define SHARE           3u      /* how often as many runs the other may need */
#define SLACK           (2 * CROWD / 64)       /* and how many beside: doorbells */
#define HUGE_SHIFT      21u
#define HUGE_PAGES      ((64u << SVAN_CQ_MAX_LOG_SIZE >> HUGE_SHIFT) + 1)

typedef struct Bench {
    Vfs *vfs;
    Fake *fake;
    Vf *busy, *other;
    HostQp crowd[CROWD];
    uint32_t crowd_size;
    HostQp eth;
    uint64_t misses_at;         /* a page that is never translated */
} Bench;

typedef struct Business {
    const char *name;
    void (*begin)(Bench *bench);
    void (*go_on)(Bench *bench);
    uint64_t (*count)(Bench *bench);    /* of what was done for it */
} Business;

#define COUNT(name) \
    static uint64_t count_##name(Bench *bench) \
    { \
        return VF_STAT(bench->busy, name); \
    }

COUNT(commands)
COUNT(page_responses_bad)
COUNT(page_requests)
COUNT(eth_tx_bytes)

static uint64_t count_doorbells(Bench *bench)
{
    return atomic_load(&host_fn(bench->busy->host)->doorbells);
}

static uint64_t count_misses(Bench *bench)
{
    return bench->fake->misses;
}

static uint64_t count_octets(Bench *bench)
{
    return bench->fake->written;
}

static bool misses(void *arg, uint64_t bus)
{
    Bench *bench = arg;

    return bench->misses_at && bus >> 12 == bench->misses_at >> 12;
}

static const FakeHooks hooks = { .misses = misses };

/* ---- kinds of business ---- */

static void do_nothing(Bench *bench)
{
}

static uint64_t count_nothing(Bench *bench)
{
    return 0;
}

static const Business nothing = { "nothing", NULL, do_nothing, count_nothing };

/* The command ring is never empty; go_on posts what begin has put into it. */
static void ring_commands(Bench *bench)
{
    Host *host = bench->busy->host;
    uint32_t size = 1u << HOST_CMDQ_LOG;
    uint32_t done = host_read(host, SVAN_REG_CMDQ_HEAD);

    host->cmd_pi = done + size;
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
}

static void fill_command_ring(Bench *bench, const struct svan_cmd *cmd)
{
    for (uint32_t i = 0; i < 1u << HOST_CMDQ_LOG; i++) {
        host_cmd_post(bench->busy->host, cmd);
    }
}

static void begin_nops(Bench *bench)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    fill_command_ring(bench, &cmd);
}

/* The largest completion queue, in a ring whose pages are all the same one. */
static void begin_large_cqs(Bench *bench)
{
    Host *host = bench->busy->host;
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED, .levels = 1, .page_shift = HUGE_SHIFT,
        .flags = SVAN_CMD_KEY_INTERNAL, .access = htole32(SVAN_ACCESS_LOCAL_WRITE),
        .length = htole64((uint64_t)HUGE_PAGES << HUGE_SHIFT),
    };
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);
    uint64_t table = fake_alloc(bench->fake, 4096, 4096);
    uint64_t page = fake_alloc(bench->fake, 1u << HUGE_SHIFT, 1u << HUGE_SHIFT);

    for (uint32_t i = 0; i < HUGE_PAGES; i++) {
        ((uint64_t *)fake_ram(bench->fake, table))[i] =
            htole64(svan_mtt_present(page, true));
    }
    key.table = htole64(table);
    cmd.create_cq.ring_key = htole32(host_key(host, &key));
    cmd.create_cq.dbr_offset = htole32(64u << SVAN_CQ_MAX_LOG_SIZE);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.log_size = SVAN_CQ_MAX_LOG_SIZE;
    fill_command_ring(bench, &cmd);
}

static void make_crowd(Bench *bench, uint32_t size)
{
    HostQpAttr attr = { .log_sq = 4, .log_rq = 2 };
    Vf *vf = bench->busy;

    for (; bench->crowd_size < size; bench->crowd_size++) {
        HostQp *qp = &bench->crowd[bench->crowd_size];

        *qp = host_qp(vf->host, &vf->cq, &vf->cq, &attr);
        host_connect(qp, qp);
    }
}

static void begin_doorbells(Bench *bench)
{
    make_crowd(bench, CROWD);
}

static void ring_all(Bench *bench)
{
    for (uint32_t i = 0; i < bench->crowd_size; i++) {
        host_ring(&bench->crowd[i], SVAN_UAR_SQ_DB, 0);
        host_ring(&bench->crowd[i], SVAN_UAR_RQ_DB, 0);
    }
}

/* Its command ring lies where nothing is translated, however often it is asked for. */
static void begin_misses(Bench *bench)
{
    begin_nops(bench);
    bench->misses_at = bench->busy->host->cmdq;
}

/* As many responses as the ring holds, of tokens that nobody has. */
static void answer_nonsense(Bench *bench)
{
    host_write(bench->busy->host, SVAN_REG_PRR_DB,
               VF_STAT(bench->busy, page_responses_bad) + (2u << VF_PRQ_LOG));
}

/* Sources that never come, though its driver says so. */
static void begin_faults(Bench *bench)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .lkey = bench->busy->key, .length = LENGTH,
        .remote = bench->busy->buffer, .rkey = bench->busy->host->all_key,
    };

    make_crowd(bench, VF_PAGES);
    for (uint32_t i = 0; i < VF_PAGES; i++) {
        send.addr = VF_PAGE(i);
        host_send(&bench->crowd[i], &send);
        host_post(&bench->crowd[i]);
    }
}

static void fault_on(Bench *bench)
{
    Vf *vf = bench->busy;

    while (vf_requested(vf)) {
        vf_say(vf, SVAN_PAGE_RESOLVED, 0);
    }
}

/* Frames of the largest size to all functions. */
static void begin_frames(Bench *bench)
{
    HostQpAttr attr = {
        .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED, .log_sq = 6,
    };
    Vf *vf = bench->busy;

    bench->eth = host_qp(vf->host, &vf->cq, &vf->cq, &attr);
    host_eth_rts(&bench->eth);
    memset(fake_ram(bench->fake, vf->buffer), 0xff, 6);
    memcpy(fake_ram(bench->fake, vf->buffer + 6), vf->host->gids[0].smac, 6);
    bench->fake->out_full = false;
}

static void send_frames(Bench *bench)
{
    HostSend send = {
        .opcode = SVAN_WQE_ETH_SEND, .addr = bench->busy->buffer,
        .flags = SVAN_WQE_SIGNALED, .length = SVAN_MAX_FRAME,
    };
    struct svan_cqe cqe;

    while (host_cq_poll(&bench->busy->cq, &cqe)) {
        bench->eth.sq_ci++;
    }
    if (bench->eth.sq_pi - bench->eth.sq_ci < 32) {
        host_send(&bench->eth, &send);
        host_post(&bench->eth);
    }
    svan_frame_free(fake_frame(bench->fake));
}

static const Business all_business[] = {
    { "commands", begin_nops, ring_commands, count_commands },
    { "octets of the largest completion queue", begin_large_cqs, ring_commands,
      count_octets },
    { "doorbells", begin_doorbells, ring_all, count_doorbells },
    { "misses", begin_misses, ring_commands, count_misses },
    { "page responses", do_nothing, answer_nonsense, count_page_responses_bad },
    { "page requests", begin_faults, fault_on, count_page_requests },
    { "octets of frames", begin_frames, send_frames, count_eth_tx_bytes },
};

/* ---- what the other one does meanwhile ---- */

static uint32_t runs_until(Bench *bench, const Business *business,
                           bool (*is_done)(Bench *bench))
{
    uint32_t runs = 0;

    while (!is_done(bench)) {
        business->go_on(bench);
        if (svan_run(bench->fake->core) == SVAN_RUN_MISS) {
            svan_set_aside(bench->fake->core);
            svan_resolved(bench->fake->core);
        }
        bench->fake->now += 10000;
        if (++runs == 100000) {
            fail_msg("%s: in vain", business->name);
        }
    }
    return runs;
}

static bool commanded(Bench *bench)
{
    struct svan_cmd_resp resp;

    return host_cmd_resp(bench->other->host, bench->other->host->cmd_pi - 1, &resp);
}

static bool completed(Bench *bench)
{
    struct svan_cqe cqe;

    return host_cq_poll(&bench->other->pf_cq, &cqe) && cqe.status == SVAN_CQE_SUCCESS;
}

static bool requested(Bench *bench)
{
    return vf_requested(bench->other);
}

/* A command, and a write to a page that has to be asked for. */
static uint32_t errand(Bench *bench, const Business *business, uint32_t page)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_KEY);
    Vf *vf = bench->other;
    uint32_t runs;

    cmd.object.id = htole32(vf->key);
    host_cmd_post(vf->host, &cmd);
    host_write(vf->host, SVAN_REG_CMDQ_DB, vf->host->cmd_pi);
    runs = runs_until(bench, business, commanded);
    vf_be_written(vf, page, LENGTH);
    runs += runs_until(bench, business, requested);
    vf_say_resolved(vf);
    runs += runs_until(bench, business, completed);
    vf_check(vf, page, LENGTH);
    return runs;
}

static Bench *bench_new(void)
{
    Bench *bench = fake_must(calloc(1, sizeof(*bench)));
    SvanConfig config = fake_config;

    config.max_qp = 1024;
    config.max_cq = 1024;
    config.num_vfs = VFS;
    bench->vfs = vfs_new_in(vfs_fake(&config, &hooks, bench));
    bench->fake = bench->vfs->fake;
    bench->busy = &bench->vfs->vf[0];
    bench->other = &bench->vfs->vf[1];
    return bench;
}

static void bench_free(Bench *bench)
{
    vfs_free(bench->vfs);
    free(bench);
}

/* It has the engine for itself. */
static void go_on(Bench *bench, const Business *business)
{
    for (uint32_t i = 0; i < 100; i++) {
        business->go_on(bench);
        svan_run(bench->fake->core);
    }
}

/* The most that one of several errands takes; the business goes on meanwhile, and after them. */
static uint32_t runs_beside(const Business *business)
{
    Bench *bench = bench_new();
    uint32_t runs = 0;
    uint64_t before;

    if (business->begin) {
        business->begin(bench);
    }
    go_on(bench, business);
    before = business->count(bench);
    for (uint32_t page = 0; page < 8; page++) {
        uint32_t more = errand(bench, business, page);

        runs = more > runs ? more : runs;
    }
    assert_true(business->count(bench) > before || !business->begin);
    go_on(bench, business);
    before = business->count(bench) - before;
    print_message("%u runs beside %llu %s\n", runs, (unsigned long long)before,
                  business->name);
    assert_true(before > runs || !business->begin);
    bench_free(bench);
    return runs;
}

static void the_other_is_not_starved(void **state)
{
    uint32_t alone = runs_beside(&nothing);

    for (uint32_t i = 0; i < SIZE(all_business); i++) {
        uint32_t runs = runs_beside(&all_business[i]);

        assert_true(runs <= SHARE * alone + SLACK);
    }
}

/*
 * The most that an errand takes while nobody else has work, whichever of the two that take part
 * in it has had more of the engine before.
 */
static uint32_t runs_alone(void)
{
    Bench *bench = bench_new();
    SvanFn *pf = svan_fn(bench->fake->core, 0), *vf = host_fn(bench->other->host);
    uint32_t runs = 0;

    for (uint32_t ahead = 0; ahead <= 2 * SVAN_CREDIT; ahead += 50) {
        uint32_t more;

        pf->served = vf->served + SVAN_CREDIT;
        vf->served += ahead;
        more = errand(bench, &nothing, ahead / 50 % VF_PAGES);
        vf_unmap_all(bench->other);
        runs = more > runs ? more : runs;
    }
    bench_free(bench);
    return runs;
}

/* As many as the device has; those that it has no room for wait. Nobody takes any. */
static void fill_page_requests(Bench *bench)
{
    Vf *vf = bench->busy, other_key = *vf;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .lkey = vf->key, .length = LENGTH,
        .remote = vf->buffer, .rkey = vf->host->all_key,
    };
    uint32_t size = 1u << VF_PRQ_LOG;

    make_crowd(bench, size + VF_PAGES);
    for (uint32_t i = 0; i < bench->crowd_size; i++) {
        if (i && i % VF_PAGES == 0) {
            vf_make_key(&other_key);
            send.lkey = other_key.key;
        }
        send.addr = VF_PAGE(i % VF_PAGES);
        host_send(&bench->crowd[i], &send);
        host_post(&bench->crowd[i]);
    }
    fake_run(bench->fake);
    assert_int_equal(svan_prq_open_requests(host_fn(vf->host)), size);
}

static void a_full_request_queue_costs_the_other_nothing(void **state)
{
    uint32_t alone = runs_alone();
    Bench *bench = bench_new();

    print_message("%u runs alone\n", alone);
    fill_page_requests(bench);
    for (uint32_t page = 0; page < 8; page++) {
        assert_true(errand(bench, &nothing, page) <= alone);
    }
    assert_int_equal(VF_STAT(bench->busy, page_requests), 1u << VF_PRQ_LOG);
    bench_free(bench);
}

/* Each of a crowd that waits for one page is told: that costs, and ends the step. */
static void an_answer_to_a_crowd_is_charged(void **state)
{
    Bench *bench = bench_new();
    Vf *vf = bench->busy;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .lkey = vf->key, .length = 8, .addr = VF_PAGE(0),
        .remote = vf->buffer, .rkey = vf->host->all_key,
    };
    uint64_t cost;

    (void)state;
    make_crowd(bench, CROWD);
    for (uint32_t i = 0; i < CROWD; i++) {
        host_send(&bench->crowd[i], &send);
        host_post(&bench->crowd[i]);
    }
    fake_run(bench->fake);
    assert_true(vf_requested(vf));
    fake_run(bench->fake);
    vf_say(vf, SVAN_PAGE_PENDING, 1000000);
    vf_say(vf, SVAN_PAGE_PENDING, 1000000);
    cost = bench->fake->core->cost;
    svan_run(bench->fake->core);
    cost = bench->fake->core->cost - cost;
    assert_in_range(cost, CROWD * SVAN_COST_ACCESS, (CROWD + 100) * SVAN_COST_ACCESS);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_is_not_starved),
        cmocka_unit_test(a_full_request_queue_costs_the_other_nothing),
        cmocka_unit_test(an_answer_to_a_crowd_is_charged),
    };

    return cmocka_run_group_tests_name("a busy virtual function", tests, NULL, NULL);
}
