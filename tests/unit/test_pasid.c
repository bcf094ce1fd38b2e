/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page requests of a process: its keys share them, and no process of the same
 * PASID later has part in them.
 */
#include "process.h"
#include "paging/paging.h"
#include "page_queue.h"

#define PRQ_LOG         6
#define VA              0x123456789000ull

Trap trap;

typedef struct Paged {
    Process *process;
    PageQueue prq;
} Paged;

typedef struct Pair {
    HostCq cq;
    HostQp from, to;
} Pair;

static int setup(void **state)
{
    Paged *paged = calloc(1, sizeof(*paged));
    void *process;

    process_setup(&process);
    paged->process = process;
    paged->prq = page_queue(paged->process->host, PRQ_LOG);
    *state = paged;
    return 0;
}

static int teardown(void **state)
{
    Paged *paged = *state;
    void *process = paged->process;

    process_teardown(&process);
    free(paged);
    return 0;
}

#define PAGED_TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)

static void answer(Paged *paged, uint32_t token, uint8_t status)
{
    page_queue_answer(&paged->prq, &(struct svan_page_response) {
        .token = token, .status = status,
    });
    fake_run(paged->process->fake);
}

/* A key of the process in a generation, for queue pairs of the kernel. */
static uint32_t new_key(Paged *paged, uint32_t generation)
{
    struct svan_cmd_create_key key = process_key(paged->process);

    key.owner = 0;
    key.generation = htole32(generation);
    return host_key(paged->process->host, &key);
}

static void pair_up(Paged *paged, Pair *pair)
{
    Host *host = paged->process->host;

    pair->cq = host_cq(host, 4);
    pair->from = host_qp(host, &pair->cq, &pair->cq, NULL);
    pair->to = host_qp(host, &pair->cq, &pair->cq, NULL);
    host_connect(&pair->from, &pair->to);
}

static void write_by(Paged *paged, Pair *pair, uint32_t key)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = paged->process->pages + 4096, .length = 100, .remote = VA,
        .rkey = key,
    };

    host_send(&pair->from, &send);
    host_post(&pair->from);
    fake_run(paged->process->fake);
}

static void destroy_pair(Paged *paged, Pair *pair)
{
    Host *host = paged->process->host;

    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_QP, pair->from.qpn),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_QP, pair->to.qpn),
                     SVAN_CMD_OK);
}

/* The process of the PASID dies, and the next one has an empty page table. */
static void next_process(Paged *paged)
{
    Process *p = paged->process;

    invalidate_all(p);
    p->pt.root = fake_alloc(p->fake, 4096, 4096);
    p->context->root = htole64(p->pt.root);
    p->context->generation = htole32(GENERATION + 1);
}

static void a_dead_process_decides_for_nobody(void **state)
{
    Paged *paged = *state;
    Process *p = paged->process;
    uint32_t key = new_key(paged, GENERATION), token;
    Pair dead, alive;
    struct svan_cqe cqe;

    pair_up(paged, &dead);
    pair_up(paged, &alive);
    write_by(paged, &dead, key);
    token = paged->prq.requests[0].token;
    assert_int_equal(p->fn->stats->page_requests, 1);
    assert_int_equal(le32toh(paged->prq.requests[0].generation), GENERATION);
    destroy_pair(paged, &dead);
    assert_int_equal(host_object(p->host, SVAN_CMD_DESTROY_KEY, key),
                     SVAN_CMD_OK);
    next_process(paged);
    write_by(paged, &alive, new_key(paged, GENERATION + 1));
    assert_int_equal(p->fn->stats->page_requests, 2);
    assert_int_equal(le32toh(paged->prq.requests[1].generation), GENERATION + 1);
    answer(paged, token, SVAN_PAGE_FAILED);
    assert_int_equal(host_state(&alive.to), SVAN_QPS_RTS);
    assert_false(host_cq_poll(&alive.cq, &cqe));
    map_leaf(p, VA, 1, p->pages | P_RW | P_A | P_D);
    answer(paged, paged->prq.requests[1].token, SVAN_PAGE_RESOLVED);
    assert_true(host_cq_poll(&alive.cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
}

/* They share the request; what failed for the one, the other asks for itself. */
static void a_key_that_failed_decides_for_no_other(void **state)
{
    Paged *paged = *state;
    Process *p = paged->process;
    Pair one, other;
    struct svan_cqe cqe;

    pair_up(paged, &one);
    pair_up(paged, &other);
    write_by(paged, &one, new_key(paged, GENERATION));
    write_by(paged, &other, new_key(paged, GENERATION));
    assert_int_equal(p->fn->stats->page_requests, 1);
    assert_int_equal(p->fn->stats->page_requests_merged, 1);
    answer(paged, paged->prq.requests[0].token, SVAN_PAGE_FAILED);
    assert_true(host_cq_poll(&one.cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_REM_ACCESS_ERR);
    assert_int_equal(host_state(&other.to), SVAN_QPS_RTS);
    assert_int_equal(p->fn->stats->page_requests, 2);
    map_leaf(p, VA, 1, p->pages | P_RW | P_A | P_D);
    answer(paged, paged->prq.requests[1].token, SVAN_PAGE_RESOLVED);
    assert_true(host_cq_poll(&other.cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
}

/* The first who waited goes with its key: the others' request goes on. */
static void a_request_outlives_the_key_that_began_it(void **state)
{
    Paged *paged = *state;
    Process *p = paged->process;
    uint32_t key = new_key(paged, GENERATION);
    Pair one, other;
    struct svan_cqe cqe;

    pair_up(paged, &one);
    pair_up(paged, &other);
    write_by(paged, &one, key);
    write_by(paged, &other, new_key(paged, GENERATION));
    assert_int_equal(host_object(p->host, SVAN_CMD_DESTROY_KEY, key),
                     SVAN_CMD_OK);
    fake_run(p->fake);
    assert_true(host_cq_poll(&one.cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_REM_ACCESS_ERR);
    assert_int_equal(p->fn->stats->page_requests, 1);
    map_leaf(p, VA, 1, p->pages | P_RW | P_A | P_D);
    answer(paged, paged->prq.requests[0].token, SVAN_PAGE_RESOLVED);
    assert_true(host_cq_poll(&other.cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAGED_TEST(a_dead_process_decides_for_nobody),
        PAGED_TEST(a_key_that_failed_decides_for_no_other),
        PAGED_TEST(a_request_outlives_the_key_that_began_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
