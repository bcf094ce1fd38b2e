/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A long READ into, or of, memory that nobody has touched: each time the requester
 * asks, more of it has come than before, however slow the pages are, and however
 * few of them stay.
 */
#include "unit.h"
#include "paging/paging.h"
#include "page_queue.h"
#include "transport/rc.h"

#define LOG             6
#define PAGES           2048u           /* 8 MiB */
#define LEAF            512u
#define LOCAL           0x7f0000000000ull
#define REMOTE          0x7e0000000000ull
#define MS              1000000ull

/* A key of the size, its pages one and the same: this is not about what is in them. */
typedef struct Region {
    uint64_t va;
    uint32_t key;
    uint64_t data;
    uint64_t *leaves[PAGES / LEAF];
    uint32_t asked[PAGES];
} Region;

typedef struct World {
    Fake *fake;
    Host *host;
    SvanFn *fn;
    HostCq cq;
    HostQp from, to;
    Region local, remote;
    PageQueue prq;
    uint64_t page_ns;           /* that a page takes */
    uint32_t limit;             /* pages that stay; 0: all */
    uint32_t recent[PAGES];     /* the last that came, as a ring */
    uint32_t came;
} World;

static void make_region(World *w, Region *region, uint64_t va, bool present)
{
    uint64_t root = fake_alloc(w->fake, 4096, 4096);
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 2, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(w->host->pd), .va = htole64(va), .table = htole64(root),
        .length = htole64((uint64_t)PAGES * SVAN_PAGE_SIZE),
    };
    uint64_t *tables = fake_ram(w->fake, root);

    region->va = va;
    region->data = fake_alloc(w->fake, SVAN_PAGE_SIZE, 4096);
    for (uint32_t i = 0; i < PAGES / LEAF; i++) {
        uint64_t leaf = fake_alloc(w->fake, 4096, 4096);

        tables[i] = htole64(svan_mtt_present(leaf, false));
        region->leaves[i] = fake_ram(w->fake, leaf);
        for (uint32_t k = 0; present && k < LEAF; k++) {
            region->leaves[i][k] =
                htole64(svan_mtt_present(region->data, true));
        }
    }
    region->key = host_key(w->host, &key);
}

static World *world_new(bool local, bool remote)
{
    World *w = calloc(1, sizeof(*w));

    w->fake = fake_create(NULL);
    w->host = host_create(w->fake, 0, 1);
    w->fn = host_fn(w->host);
    w->prq = page_queue(w->host, LOG);
    make_region(w, &w->local, LOCAL, local);
    make_region(w, &w->remote, REMOTE, remote);
    w->cq = host_cq(w->host, 4);
    w->from = host_qp(w->host, &w->cq, &w->cq, NULL);
    w->to = host_qp(w->host, &w->cq, &w->cq, NULL);
    host_connect(&w->from, &w->to);
    return w;
}

static void world_free(World *w)
{
    fake_destroy(w->fake);
    host_destroy(w->host);
    free(w);
}

static uint64_t *entry_of(Region *region, uint32_t page)
{
    return &region->leaves[page / LEAF][page % LEAF];
}

static void evict(World *w, Region *region, uint32_t page)
{
    *entry_of(region, page) = 0;
    host_invalidate_key(w->host, region->key, region->va + page * (uint64_t)SVAN_PAGE_SIZE,
                        SVAN_PAGE_SIZE);
}

/* The oldest makes room for it. */
static void bring(World *w, Region *region, uint32_t page)
{
    uint32_t slot = w->came % PAGES;

    if (w->limit && w->came >= w->limit) {
        evict(w, region, w->recent[(w->came - w->limit) % PAGES]);
    }
    w->recent[slot] = page;
    w->came++;
    *entry_of(region, page) = htole64(svan_mtt_present(region->data, true));
}

/* One request, answered when the page has taken its time. false: there is none. */
static bool serve(World *w)
{
    struct svan_page_request request;
    Region *region;
    uint32_t page;

    if (!page_queue_take(&w->prq, &request)) {
        return false;
    }
    region = le32toh(request.key) == w->local.key ? &w->local : &w->remote;
    page = (le64toh(request.addr) - region->va) / SVAN_PAGE_SIZE;
    region->asked[page]++;
    for (uint64_t ns = 0; ns < w->page_ns; ns += 20 * MS) {
        fake_advance(w->fake, 20 * MS);         /* timers fire in between */
    }
    bring(w, region, page);
    page_queue_consumed(&w->prq, false);
    page_queue_answer(&w->prq, &(struct svan_page_response) {
        .token = request.token, .status = SVAN_PAGE_RESOLVED,
    });
    fake_run(w->fake);
    return true;
}

static uint32_t reads_asked(const World *w)
{
    return w->fn->stats->rx_read_requests + w->fn->stats->duplicate_request;
}

static uint32_t done_packets(World *w)
{
    const SvanRc *rc = svan_qp_get(w->fn, w->from.qpn)->priv;

    return rc->req.una - 0x100;
}

/*
 * READ so many pages. Between one time of asking and the next something has come;
 * with memory for few pages, between one and the one after `tries` more.
 */
static void read_pages(World *w, uint32_t pages, uint32_t tries)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_READ, .flags = SVAN_WQE_SIGNALED,
        .addr = LOCAL, .length = pages * SVAN_PAGE_SIZE, .lkey = w->local.key,
        .remote = REMOTE, .rkey = w->remote.key,
    };
    uint32_t asked = 0, done = 0;
    struct svan_cqe cqe;

    host_send(&w->from, &send);
    host_post(&w->from);
    fake_run(w->fake);
    for (uint32_t i = 0; !host_cq_poll(&w->cq, &cqe); i++) {
        assert_true(i < 100 * PAGES);
        if (!serve(w)) {
            fake_advance(w->fake, MS);
        }
        if (reads_asked(w) > asked + tries) {
            assert_true(!asked || done_packets(w) > done);
            asked = reads_asked(w);
            done = done_packets(w);
        }
    }
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
    assert_int_equal(host_state(&w->to), SVAN_QPS_RTS);
}

static uint32_t most(const uint32_t *asked, uint32_t *sum)
{
    uint32_t max = 0;

    *sum = 0;
    for (uint32_t i = 0; i < PAGES; i++) {
        max = asked[i] > max ? asked[i] : max;
        *sum += asked[i];
    }
    return max;
}

/* Each page is asked for once, the rest of the READ a few times. */
static void into_pages_slower_than_every_timer(void **state)
{
    World *w = world_new(false, true);
    uint32_t sum;

    w->page_ns = 3000 * MS;
    read_pages(w, PAGES, 1);
    assert_int_equal(most(w->local.asked, &sum), 1);
    assert_int_equal(sum, PAGES);
    assert_true(reads_asked(w) < 10);
    world_free(w);
}

static void of_pages_slower_than_every_timer(void **state)
{
    World *w = world_new(true, false);
    uint32_t sum;

    w->page_ns = 3000 * MS;
    read_pages(w, 256, 4);
    assert_int_equal(most(w->remote.asked, &sum), 1);
    assert_int_equal(sum, 256);
    world_free(w);
}

/* Of the targets that were touched before the request left, few are still there. */
static void into_memory_that_keeps_few_pages(void **state)
{
    static const uint32_t limits[] = { 100, 16, 3, 1 };

    for (uint32_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        World *w = world_new(false, true);
        uint32_t sum;

        w->page_ns = MS;
        w->limit = limits[i];
        read_pages(w, 300, 12);
        assert_true(most(w->local.asked, &sum) < 12);
        assert_true(sum < 300 * 5);
        world_free(w);
    }
}

/* So that the driver can bring in one go what is easy. */
static void the_request_names_what_is_wanted_behind(void **state)
{
    static const uint8_t opcodes[] = { SVAN_WQE_RDMA_READ, SVAN_WQE_RDMA_WRITE };

    for (uint32_t i = 0; i < sizeof(opcodes); i++) {
        World *w = world_new(false, true);
        HostSend send = {
            .opcode = opcodes[i], .flags = SVAN_WQE_SIGNALED,
            .addr = LOCAL + 100, .length = 8 * SVAN_PAGE_SIZE,
            .lkey = w->local.key, .remote = REMOTE, .rkey = w->remote.key,
        };

        host_send(&w->from, &send);
        host_post(&w->from);
        fake_run(w->fake);
        for (uint32_t page = 0; page < 9; page++) {
            assert_int_equal(le64toh(w->prq.requests[page].addr),
                             LOCAL + page * SVAN_PAGE_SIZE);
            assert_int_equal(le32toh(w->prq.requests[page].length),
                             (8 - page) * SVAN_PAGE_SIZE + 100);
            assert_true(serve(w));
        }
        assert_false(serve(w));
        world_free(w);
    }
}

/* Whether the rest of it may be reached is looked at when it is its turn. */
static void the_request_ends_with_the_key(void **state)
{
    World *w = world_new(false, true);
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = LOCAL + (PAGES - 2) * (uint64_t)SVAN_PAGE_SIZE,
        .length = 8 * SVAN_PAGE_SIZE, .lkey = w->local.key,
        .remote = REMOTE, .rkey = w->remote.key,
    };

    host_send(&w->from, &send);
    host_post(&w->from);
    fake_run(w->fake);
    assert_int_equal(le32toh(w->prq.requests[0].length), 2 * SVAN_PAGE_SIZE);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(into_pages_slower_than_every_timer),
        cmocka_unit_test(of_pages_slower_than_every_timer),
        cmocka_unit_test(into_memory_that_keeps_few_pages),
        cmocka_unit_test(the_request_names_what_is_wanted_behind),
        cmocka_unit_test(the_request_ends_with_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
