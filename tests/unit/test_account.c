/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is charged for page requests and for kept packets: a process that takes all
 * it can get leaves a share to the next, however many there are of its kind.
 */
#include "unit.h"
#include "paging/paging.h"
#include "page_queue.h"
#include "transport/rc.h"

#define LOG             8               /* of the page request queue */
#define ENTRIES         (1u << LOG)
#define KEY_VA          0x7f0000000000ull
#define KEY_PAGES       512u
#define PAGE(n)         (KEY_VA + (n) * (uint64_t)SVAN_PAGE_SIZE)
#define ATTACKERS       64u
#define EACH            16u
#define MAX_REQUESTS    4096u

typedef struct World {
    Fake *fake;
    Host *host;
    SvanFn *fn;
    uint32_t key;
    uint64_t *table;
    uint64_t data, buffer;
    PageQueue prq;
    struct svan_page_request last;
    uint32_t tokens[MAX_REQUESTS];      /* in the order of asking */
    uint32_t asked;
    SvanPageWait *waits;
    uint32_t num_waits;
} World;

static int setup(void **state)
{
    SvanConfig config = {
        .mac = { 2 }, .link_mbps = 1000, .true_atomics = true, .max_qp = 512,
        .max_cq = 256, .max_key = 64,
    };
    World *w = calloc(1, sizeof(*w));
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 1, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .va = htole64(KEY_VA), .length = htole64(KEY_PAGES * SVAN_PAGE_SIZE),
    };
    uint64_t table;

    w->fake = fake_create(&config);
    w->host = host_create(w->fake, 0, 1);
    w->fn = host_fn(w->host);
    table = fake_alloc(w->fake, 4096, 4096);
    key.pd = htole32(w->host->pd);
    key.table = htole64(table);
    w->table = fake_ram(w->fake, table);
    w->data = fake_alloc(w->fake, SVAN_PAGE_SIZE, 4096);
    w->buffer = fake_alloc(w->fake, SVAN_PAGE_SIZE, 4096);
    w->key = host_key(w->host, &key);
    w->waits = calloc(MAX_REQUESTS, sizeof(*w->waits));
    w->prq = page_queue(w->host, LOG);
    *state = w;
    return 0;
}

static void leave_all(World *w)
{
    for (uint32_t i = 0; i < w->num_waits; i++) {
        svan_page_wait_leave(&w->waits[i]);
        svan_page_wait_forget(&w->waits[i]);
    }
    w->num_waits = 0;
}

static int teardown(void **state)
{
    World *w = *state;

    leave_all(w);
    fake_destroy(w->fake);
    host_destroy(w->host);
    free(w->waits);
    free(w);
    return 0;
}

#define WORLD_TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- processes ---- */

/* A verbs context with two queue pairs that talk to each other. */
typedef struct Owner {
    HostCq cq;
    HostQp from, to;
    SvanQp *core;               /* the one that answers */
} Owner;

static void owner_open(World *w, Owner *owner, uint32_t id, uint32_t process)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ALLOC_UAR);
    HostQpAttr attr = { 0 };

    cmd.alloc_uar.owner = htole32(id);
    cmd.alloc_uar.process = htole32(process);
    attr.uar = host_must(w->host, &cmd);
    owner->cq = host_cq_of(w->host, 4, attr.uar);
    owner->from = host_qp(w->host, &owner->cq, &owner->cq, &attr);
    owner->to = host_qp(w->host, &owner->cq, &owner->cq, &attr);
    host_connect(&owner->from, &owner->to);
    owner->core = svan_qp_get(w->fn, owner->to.qpn);
}

static void owner_close(World *w, Owner *owner)
{
    assert_int_equal(host_object(w->host, SVAN_CMD_DESTROY_QP, owner->from.qpn),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(w->host, SVAN_CMD_DESTROY_QP, owner->to.qpn),
                     SVAN_CMD_OK);
}

/* A peer writes to its page. */
static void write_to(World *w, Owner *owner, uint32_t page)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = w->buffer, .length = 100, .remote = PAGE(page), .rkey = w->key,
    };

    host_send(&owner->from, &send);
    host_post(&owner->from);
    fake_run(w->fake);
}

/* Any page, met by a transfer that waits for nothing else. */
static SvanPageWait *meet(World *w, Owner *owner, uint32_t page)
{
    SvanPageWait *wait = &w->waits[w->num_waits++];

    memset(wait, 0, sizeof(*wait));
    wait->waiter = &owner->core->waiter;
    svan_page_wait_forget(wait);
    w->fn->memory->miss = (SvanPageMiss) {
        .key = svan_key_get(w->fn, w->key), .va = PAGE(page), .len = 1,
    };
    svan_page_wait(wait, true);
    return wait;
}

static void meet_many(World *w, Owner *owner, uint32_t page, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        meet(w, owner, page + i);
    }
    fake_run(w->fake);
}

/* ---- the driver ---- */

static bool requested(World *w)
{
    if (!page_queue_take(&w->prq, &w->last)) {
        return false;
    }
    w->tokens[w->asked++] = w->last.token;
    page_queue_consumed(&w->prq, false);
    fake_run(w->fake);
    return true;
}

static uint32_t drain(World *w)
{
    uint32_t n = 0;

    while (requested(w)) {
        n++;
    }
    return n;
}

static void answer(World *w, uint32_t token, uint8_t status)
{
    page_queue_answer(&w->prq, &(struct svan_page_response) {
        .token = token, .status = status,
    });
    fake_run(w->fake);
}

static bool is_served_at_once(World *w, Owner *victim, uint32_t page)
{
    struct svan_cqe cqe;

    write_to(w, victim, page);
    if (!requested(w) || le64toh(w->last.addr) != PAGE(page)) {
        return false;
    }
    w->table[page] = htole64(svan_mtt_present(w->data, true));
    answer(w, w->last.token, SVAN_PAGE_RESOLVED);
    return host_cq_poll(&victim->cq, &cqe) &&
           cqe.status == SVAN_CQE_SUCCESS;
}

/* ---- page requests ---- */

static void one_process_leaves_the_others_a_share(void **state)
{
    World *w = *state;
    Owner attacker, victim;

    owner_open(w, &attacker, 5, 0);
    owner_open(w, &victim, 6, 0);
    meet_many(w, &attacker, 1000, 2 * ENTRIES);
    assert_int_equal(drain(w), ENTRIES / 2);
    assert_int_equal(w->fn->stats->page_requests_stalled, 3 * ENTRIES / 2);
    for (uint32_t page = 0; page < 100; page++) {
        assert_true(is_served_at_once(w, &victim, page));
    }
}

static void many_processes_leave_the_next_a_share(void **state)
{
    World *w = *state;
    Owner *attackers = calloc(ATTACKERS, sizeof(*attackers));
    Owner victim;

    for (uint32_t i = 0; i < ATTACKERS; i++) {
        owner_open(w, &attackers[i], 100 + i, 0);
    }
    owner_open(w, &victim, 6, 0);
    for (uint32_t i = 0; i < EACH; i++) {
        for (uint32_t k = 0; k < ATTACKERS; k++) {
            meet(w, &attackers[k], 1000 + k * EACH + i);
        }
    }
    fake_run(w->fake);
    assert_true(drain(w) >= 3 * ATTACKERS);
    for (uint32_t page = 0; page < 100; page++) {
        assert_true(is_served_at_once(w, &victim, page));
    }
    leave_all(w);
    free(attackers);
}

/* Each takes all that it can get before the next one comes. */
static void greedy_processes_leave_the_next_a_share(void **state)
{
    World *w = *state;
    Owner *attackers = calloc(ATTACKERS, sizeof(*attackers));
    Owner victim;

    for (uint32_t i = 0; i < ATTACKERS; i++) {
        owner_open(w, &attackers[i], 100 + i, 0);
        for (uint32_t k = 0; k < EACH; k++) {
            meet(w, &attackers[i], 1000 + i * EACH + k);
        }
        fake_run(w->fake);
        assert_true(drain(w) >= 1);
    }
    owner_open(w, &victim, 6, 0);
    for (uint32_t page = 0; page < 100; page++) {
        assert_true(is_served_at_once(w, &victim, page));
    }
    leave_all(w);
    free(attackers);
}

/* The requests of remote peers are charged to whom they reach. */
static void peers_of_a_process_leave_the_others_a_share(void **state)
{
    const uint32_t n = ENTRIES / 2 + 20;
    World *w = *state;
    Owner *attackers = calloc(n, sizeof(*attackers));
    Owner victim;

    for (uint32_t i = 0; i < n; i++) {
        owner_open(w, &attackers[i], 100 + i, 7);
    }
    owner_open(w, &victim, 6, 8);
    for (uint32_t i = 0; i < n; i++) {
        write_to(w, &attackers[i], 100 + i);
    }
    assert_int_equal(drain(w), ENTRIES / 2);
    assert_true(is_served_at_once(w, &victim, 0));
    /* what waited has its turn when something is answered */
    answer(w, w->tokens[0], SVAN_PAGE_FAILED);
    assert_int_equal(drain(w), 1);
    free(attackers);
}

static void contexts_of_a_process_have_one_share(void **state)
{
    World *w = *state;
    Owner one, other, alone;

    owner_open(w, &one, 5, 1234);
    owner_open(w, &other, 6, 1234);
    owner_open(w, &alone, 7, 0);
    meet_many(w, &one, 1000, ENTRIES);
    assert_int_equal(drain(w), ENTRIES / 2);
    meet_many(w, &other, 2000, 1);
    assert_int_equal(drain(w), 0);
    meet_many(w, &alone, 3000, 1);
    assert_int_equal(drain(w), 1);
}

static uint32_t fault_count(World *w, uint32_t first, uint32_t count)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        n += w->waits[first + i].state == SVAN_WAIT_PENDING &&
             w->waits[first + i].met->fault;
    }
    return n;
}

/* Three have more to ask for than they may: what becomes free goes round. */
static void who_waits_is_served_in_turn(void **state)
{
    World *w = *state;
    Owner hog, a, b;
    uint32_t had_a, had_b;

    owner_open(w, &hog, 5, 0);
    owner_open(w, &a, 6, 0);
    owner_open(w, &b, 7, 0);
    meet_many(w, &hog, 1000, 200);
    meet_many(w, &a, 2000, 200);
    meet_many(w, &b, 3000, 200);
    drain(w);
    had_a = fault_count(w, 200, 200);
    had_b = fault_count(w, 400, 200);
    assert_true(had_a && had_b && had_a < 200 && had_b < 200);
    for (uint32_t i = 0; i < ENTRIES / 2; i++) {
        uint32_t now_a, now_b;

        answer(w, w->tokens[i], SVAN_PAGE_RESOLVED);    /* the hog's */
        now_a = fault_count(w, 200, 200);
        now_b = fault_count(w, 400, 200);
        assert_true(now_a >= had_a && now_b >= had_b);
        if (now_a > had_a + 1) {
            assert_true(now_b > had_b);
        }
    }
    assert_true(fault_count(w, 200, 200) > had_a);
    assert_true(fault_count(w, 400, 200) > had_b);
}

/*
 * Two of a process wait in its queue for one page. What the driver has said when
 * the second has its turn is news to it.
 */
static void who_joins_from_the_queue_hears_what_was_said(void **state)
{
    World *w = *state;
    Owner owner;
    SvanPageWait *second;
    uint32_t token;

    owner_open(w, &owner, 5, 0);
    meet_many(w, &owner, 1000, ENTRIES / 2);
    meet(w, &owner, 0);
    second = meet(w, &owner, 0);
    assert_int_equal(drain(w), ENTRIES / 2);
    answer(w, w->tokens[0], SVAN_PAGE_RESOLVED);
    assert_true(requested(w));
    token = w->last.token;
    assert_null(second->met->fault);
    second->news = false;               /* it has heard that nothing is known */
    answer(w, token, SVAN_PAGE_PENDING);
    assert_false(second->news);
    answer(w, w->tokens[1], SVAN_PAGE_RESOLVED);
    assert_non_null(second->met->fault);
    assert_int_equal(second->token, token);
    assert_true(second->news);
}

/* One request is free at a time: it goes round, whoever had it answered. */
static void a_single_request_goes_round(void **state)
{
    const uint32_t each = 5;
    World *w = *state;
    HostCq cq = host_cq(w->host, 4);
    HostQp qp = host_qp(w->host, &cq, &cq, NULL);
    Owner kernel = { .core = svan_qp_get(w->fn, qp.qpn) }, owners[3];

    meet_many(w, &kernel, 1000, ENTRIES);
    for (uint32_t i = 0; i < 3; i++) {
        owner_open(w, &owners[i], 5 + i, 0);
        meet_many(w, &owners[i], i * 100, each);
    }
    assert_int_equal(drain(w), ENTRIES);
    for (uint32_t i = 0; i < 3 * each; i++) {
        answer(w, w->tokens[w->asked - 1], SVAN_PAGE_RESOLVED);
        assert_int_equal(drain(w), 1);
        assert_int_equal(le64toh(w->last.addr), PAGE(i % 3 * 100 + i / 3));
    }
}

/* However fast a hog asks again, nobody waits for longer than the queue is. */
static void nobody_starves(void **state)
{
    World *w = *state;
    Owner hog, victim;
    SvanPageWait *last;
    uint32_t answered = 0;

    owner_open(w, &hog, 5, 0);
    owner_open(w, &victim, 6, 0);
    meet_many(w, &hog, 1000, 2 * ENTRIES);
    meet_many(w, &victim, 0, ENTRIES / 2);
    last = &w->waits[w->num_waits - 1];
    drain(w);
    while (last->state == SVAN_WAIT_PENDING) {
        answer(w, w->tokens[answered], SVAN_PAGE_RESOLVED);
        meet_many(w, &hog, 4000 + answered++, 1);
        drain(w);
        assert_true(answered < 3 * ENTRIES);
    }
}

static void the_kernel_is_not_bounded(void **state)
{
    World *w = *state;
    Owner kernel = { 0 };
    HostCq cq = host_cq(w->host, 4);
    HostQp qp = host_qp(w->host, &cq, &cq, NULL);

    kernel.core = svan_qp_get(w->fn, qp.qpn);
    meet_many(w, &kernel, 1000, ENTRIES + 1);
    assert_int_equal(drain(w), ENTRIES);
}

/* ---- ends ---- */

static void a_process_that_dies_leaves_its_queue(void **state)
{
    World *w = *state;
    Owner attacker, next;

    owner_open(w, &attacker, 5, 0);
    meet_many(w, &attacker, 1000, ENTRIES);
    assert_int_equal(drain(w), ENTRIES / 2);
    leave_all(w);
    owner_close(w, &attacker);
    fake_run(w->fake);
    assert_int_equal(drain(w), 0);
    /* what it asked for is outstanding until the answers come, and charged to it */
    owner_open(w, &next, 6, 0);
    meet_many(w, &next, 1000, ENTRIES);
    assert_true(drain(w) < ENTRIES / 4);
    for (uint32_t i = 0; i < ENTRIES / 2; i++) {
        answer(w, w->tokens[i], SVAN_PAGE_FAILED);
    }
    assert_true(fault_count(w, 0, ENTRIES) == ENTRIES / 2);
}

static void who_waits_for_a_key_that_goes_leaves_the_queue(void **state)
{
    World *w = *state;
    Owner attacker;

    owner_open(w, &attacker, 5, 0);
    meet_many(w, &attacker, 1000, ENTRIES);
    drain(w);
    assert_int_equal(host_object(w->host, SVAN_CMD_DESTROY_KEY, w->key),
                     SVAN_CMD_OK);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(w->waits[i].state, SVAN_WAIT_OVER);
    }
    answer(w, w->tokens[0], SVAN_PAGE_RESOLVED);
    assert_int_equal(drain(w), 0);
    assert_int_equal(w->fn->stats->page_responses_bad, 0);
}

static void with_the_queue_every_wait_fails(void **state)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_DESTROY_PRQ);
    World *w = *state;
    Owner attacker;

    owner_open(w, &attacker, 5, 0);
    meet_many(w, &attacker, 1000, ENTRIES);
    drain(w);
    host_must(w->host, &cmd);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(w->waits[i].state, SVAN_WAIT_FAILED);
    }
    leave_all(w);
    w->prq = page_queue(w->host, LOG);
    meet_many(w, &attacker, 1000, ENTRIES);
    assert_int_equal(drain(w), ENTRIES / 2);
}

/* A fault that the host injected ends by a timer, be the function out of service. */
static void nobody_is_asked_out_of_service(void **state)
{
    SvanInjection what = {
        .first = PAGE(0), .last = PAGE(1) - 1, .chance_ppm = 1000000,
        .estimate_ns = 1000, .delay_ns = 1000,
    };
    World *w = *state;
    Owner owner;

    owner_open(w, &owner, 5, 0);
    w->table[0] = htole64(svan_mtt_present(w->data, true));
    assert_true(svan_inject(w->fake->core, 0, &what));
    write_to(w, &owner, 0);
    meet_many(w, &owner, 1000, ENTRIES);
    assert_int_equal(drain(w), ENTRIES / 2 - 1);
    svan_fatal(w->fn, SVAN_FATAL_EQ_DMA);
    fake_advance(w->fake, 1000000);
    assert_false(requested(w));
}

/* What is outstanding is charged after the load as before. */
static void shares_are_saved(void **state)
{
    World *w = *state;
    Owner attacker, victim;

    owner_open(w, &attacker, 5, 1234);
    owner_open(w, &victim, 6, 0);
    meet_many(w, &attacker, 1000, 2 * ENTRIES);
    assert_int_equal(drain(w), ENTRIES / 2);
    leave_all(w);
    assert_true(fake_restore(w->fake));
    w->fn = host_fn(w->host);
    attacker.core = svan_qp_get(w->fn, attacker.to.qpn);
    meet_many(w, &attacker, 2000, 10);
    assert_int_equal(drain(w), 0);
    assert_true(is_served_at_once(w, &victim, 0));
    answer(w, w->tokens[0], SVAN_PAGE_RESOLVED);
    assert_int_equal(drain(w), 1);
    assert_int_equal(w->fn->stats->page_responses_bad, 0);
}

/* ---- memory for packets ---- */

static void set_room(World *w, Owner *owner, uint8_t mode)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);

    cmd.fault_policy.qpn = htole32(owner->to.qpn);
    svan_policy_default(&cmd.fault_policy.policy);
    cmd.fault_policy.policy.mode = mode;
    assert_int_equal(host_cmd(w->host, &cmd, NULL), SVAN_CMD_OK);
}

#define HOLDERS         100u

static void the_fault_buffer_is_shared(void **state)
{
    World *w = *state;
    Owner *attackers = calloc(HOLDERS, sizeof(*attackers));
    Owner victim;
    uint32_t before;

    w->fn->core->config.fault_buffer = 40 * (100 + SVAN_HELD_OVERHEAD);
    for (uint32_t i = 0; i < HOLDERS; i++) {
        owner_open(w, &attackers[i], 100 + i, 7);
        set_room(w, &attackers[i], SVAN_FAULT_MODE_HOLD);
        write_to(w, &attackers[i], i);
    }
    before = w->fn->paging->held_bytes;
    assert_true(before >= w->fn->core->config.fault_buffer / 2);
    owner_open(w, &victim, 6, 8);
    set_room(w, &victim, SVAN_FAULT_MODE_HOLD);
    write_to(w, &victim, 200);
    assert_int_equal(w->fn->paging->held_bytes, before + 100 + SVAN_HELD_OVERHEAD);
    owner_close(w, &victim);
    for (uint32_t i = 0; i < HOLDERS; i++) {
        owner_close(w, &attackers[i]);
    }
    assert_int_equal(w->fn->paging->held_bytes, 0);
    free(attackers);
}

static void spare_pages_are_shared(void **state)
{
    World *w = *state;
    Owner attackers[20], victim;
    uint64_t diverted;

    page_queue_lend(w->host, 8);
    for (uint32_t i = 0; i < 20; i++) {
        owner_open(w, &attackers[i], 100 + i, 7);
        set_room(w, &attackers[i], SVAN_FAULT_MODE_DIVERT);
        write_to(w, &attackers[i], i);
    }
    diverted = w->fn->stats->fault_diverted_bytes;
    assert_true(diverted >= 400 && diverted < 800);
    owner_open(w, &victim, 6, 8);
    set_room(w, &victim, SVAN_FAULT_MODE_DIVERT);
    write_to(w, &victim, 200);
    assert_int_equal(w->fn->stats->fault_diverted_bytes, diverted + 100);
    owner_close(w, &victim);
    for (uint32_t i = 0; i < 20; i++) {
        owner_close(w, &attackers[i]);
    }
    assert_false(svan_spares_in_use(w->fn));
}

/* ---- what a process may ask for ---- */

static struct svan_fault_policy policy_after(World *w, uint32_t qpn,
                                             uint32_t flags,
                                             const struct svan_fault_policy *set)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);
    struct svan_cmd_resp resp;

    cmd.fault_policy.qpn = htole32(qpn);
    cmd.fault_policy.flags = htole32(flags);
    cmd.fault_policy.policy = *set;
    assert_int_equal(host_cmd(w->host, &cmd, NULL), SVAN_CMD_OK);
    cmd.hdr.opcode = htole16(SVAN_CMD_QUERY_FAULT_POLICY);
    assert_int_equal(host_cmd(w->host, &cmd, &resp), SVAN_CMD_OK);
    return resp.fault_policy;
}

#define SAME_POLICY(a, b)       assert_memory_equal(&(a), &(b), sizeof(a))

static void a_process_keeps_to_the_limits(void **state)
{
    World *w = *state;
    struct svan_fault_policy usual = w->fn->paging->policy, large = usual, got;
    Owner owner;
    HostCq cq = host_cq(w->host, 4);
    HostQp kernel = host_qp(w->host, &cq, &cq, NULL);

    owner_open(w, &owner, 5, 1234);
    large.mode = SVAN_FAULT_MODE_HOLD;
    large.hold_bytes = large.divert_pages = htole32(UINT32_MAX);
    large.bound_us = 0;
    got = policy_after(w, owner.to.qpn, 0, &large);
    usual.mode = SVAN_FAULT_MODE_HOLD;
    SAME_POLICY(got, usual);
    SAME_POLICY(owner.core->policy, usual);
    large.bound_us = htole32(UINT32_MAX);
    got = policy_after(w, owner.to.qpn, 0, &large);
    SAME_POLICY(got, usual);
    /* less is granted, and more to who may */
    usual.hold_bytes = usual.divert_pages = 0;
    usual.bound_us = htole32(1);
    got = policy_after(w, owner.to.qpn, 0, &usual);
    SAME_POLICY(got, usual);
    large.bound_us = 0;
    got = policy_after(w, owner.to.qpn, SVAN_CMD_POLICY_PRIVILEGED, &large);
    SAME_POLICY(got, large);
    got = policy_after(w, kernel.qpn, 0, &large);
    SAME_POLICY(got, large);
}

/* The driver's limits count, be they none. */
static void the_limits_are_the_functions(void **state)
{
    World *w = *state;
    struct svan_fault_policy narrow = w->fn->paging->policy, never, got;
    Owner owner;

    owner_open(w, &owner, 5, 1234);
    narrow.hold_bytes = htole32(100);
    narrow.divert_pages = htole32(1);
    narrow.bound_us = htole32(77);
    got = policy_after(w, 0, 0, &narrow);
    SAME_POLICY(got, narrow);
    never = narrow;
    never.bound_us = 0;
    got = policy_after(w, owner.to.qpn, 0, &never);
    SAME_POLICY(got, narrow);
    got = policy_after(w, 0, 0, &never);
    SAME_POLICY(got, never);
    got = policy_after(w, owner.to.qpn, 0, &never);
    SAME_POLICY(got, never);
    got = policy_after(w, owner.to.qpn, 0, &narrow);
    SAME_POLICY(got, narrow);
}

static void flags_that_do_not_exist(void **state)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);
    World *w = *state;

    cmd.fault_policy.policy = w->fn->paging->policy;
    cmd.fault_policy.flags = htole32(2);
    assert_int_equal(host_cmd(w->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(one_process_leaves_the_others_a_share),
        WORLD_TEST(many_processes_leave_the_next_a_share),
        WORLD_TEST(greedy_processes_leave_the_next_a_share),
        WORLD_TEST(peers_of_a_process_leave_the_others_a_share),
        WORLD_TEST(contexts_of_a_process_have_one_share),
        WORLD_TEST(who_waits_is_served_in_turn),
        WORLD_TEST(who_joins_from_the_queue_hears_what_was_said),
        WORLD_TEST(a_single_request_goes_round),
        WORLD_TEST(nobody_starves),
        WORLD_TEST(the_kernel_is_not_bounded),
        WORLD_TEST(a_process_that_dies_leaves_its_queue),
        WORLD_TEST(who_waits_for_a_key_that_goes_leaves_the_queue),
        WORLD_TEST(with_the_queue_every_wait_fails),
        WORLD_TEST(nobody_is_asked_out_of_service),
        WORLD_TEST(shares_are_saved),
        WORLD_TEST(the_fault_buffer_is_shared),
        WORLD_TEST(spare_pages_are_shared),
        WORLD_TEST(a_process_keeps_to_the_limits),
        WORLD_TEST(the_limits_are_the_functions),
        WORLD_TEST(flags_that_do_not_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
