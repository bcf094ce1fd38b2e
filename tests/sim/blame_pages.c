/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages of a plan: requests are answered as it says, pages go when it says,
 * and a process dies while it waits for one, whose PASID is another's at once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "blame.h"

#define POLL_NS         3000
#define PASIDS          8
#define GENERATION      7u
#define LEVELS          4
#define SPARE_PAGES     6
#define TOKEN_INDEX     0xffffu
#define BASE_VA         0x7f0000000000ull

static uint8_t *ram_at(const BlameNode *node, uint32_t offset)
{
    return node->guest->node->fake->ram + offset;
}

static uint64_t bus_of(const BlameNode *node, uint32_t offset)
{
    return node->guest->node->fake->bus + offset;
}

static uint32_t zero_page(BlameNode *node)
{
    uint32_t offset = page_take(&node->guest->pool, node->guest->node);

    memset(ram_at(node, offset), 0, SIM_PAGE);
    return offset;
}

/* ---- contents ---- */

uint8_t octet_after(uint32_t offset)
{
    return (offset % SIM_PAGE * 131 >> 3) | 1;
}

uint8_t octet_before(uint32_t offset)
{
    return octet_after(offset) ^ 0xff;
}

uint8_t *space_mem(const BlameSpace *space, uint32_t page, uint32_t offset)
{
    page += offset / SIM_PAGE;
    return ram_at(space->node, space->frames[page]) + offset % SIM_PAGE;
}

uint64_t space_va(const BlameSpace *space, uint32_t page, uint32_t offset)
{
    return space->va + page * SIM_PAGE + offset;
}

static void fill(BlameSpace *space, uint32_t page)
{
    uint8_t *mem = space_mem(space, page, 0);

    for (uint32_t i = 0; i < SIM_PAGE; i++) {
        mem[i] = page < PLAN_SOURCES ? octet_after(i) :
                 page < PLAN_FIRST_LANDING ? octet_before(i) :
                 page < PLAN_WORDS ? octet_after(i) ^ 0x0f : 0;
    }
}

/* ---- entries ---- */

static __le64 *entry_of(const BlameSpace *space, uint32_t page)
{
    __le64 *leaf = (__le64 *)ram_at(space->node, space->leaf);

    return leaf + space->va / SIM_PAGE % SVAN_MTT_TABLE_ENTRIES + page;
}

/* It never takes a right away. */
static void set_present(BlameSpace *space, uint32_t page, bool writable)
{
    uint64_t entry = svan_le64_to_cpu(*entry_of(space, page));
    uint64_t bus = bus_of(space->node, space->frames[page]);
    uint64_t right = space->plan->pasid ? SVAN_PTE_WRITABLE : SVAN_MTT_WRITABLE;

    writable |= (entry & SVAN_PTE_PRESENT) && (entry & right);
    *entry_of(space, page) = svan_cpu_to_le64(
        space->plan->pasid ? bus | SVAN_PTE_PRESENT | SVAN_PTE_USER |
                             (writable ? SVAN_PTE_WRITABLE : 0) :
                             svan_mtt_present(bus, writable));
}

/* In a page table it says where the page is, one place for each page. */
static void set_absent(BlameSpace *space, uint32_t page)
{
    *entry_of(space, page) = svan_cpu_to_le64(
        space->plan->pasid ? (uint64_t)page << SVAN_PTE_SWAP_SHIFT | 0x200 :
        svan_mtt_absent(SVAN_FAULT_SWAP_IN,
                        space->plan->pages[page].entry_says));
}

static void invalidate(const BlameSpace *space)
{
    SvanCore *core = space->node->guest->node->fake->core;

    if (space->plan->pasid) {
        svan_reg_write(core, 0, SVAN_REG_INV_CONTEXT(space->plan->pasid),
                       SVAN_INV_CONTEXT_ALL, 8);
    } else {
        host_invalidate_key(space->node->guest->host, space->key, 0, 0);
    }
}

static void evict_event(void *arg)
{
    BlameEviction *eviction = arg;
    BlameSpace *space = eviction->space;

    if (!space->dead) {
        set_absent(space, eviction->page);
        invalidate(space);
        space->rounds[eviction->page] =
            space->plan->pages[eviction->page].rounds;
    }
}

static void has_come(BlameSpace *space, uint32_t page)
{
    uint64_t stays = space->plan->pages[page].stays;

    if (stays && !space->came[page]) {
        world_after(space->node->blame->world, stays, evict_event,
                    &space->evictions[page]);
    }
    space->came[page] = true;
}

/* ---- answers ---- */

typedef struct Answer {
    BlameNode *node;
    uint32_t token;
    uint8_t status;
    uint64_t says;
} Answer;

static void respond(BlameNode *node, const Answer *answer)
{
    page_queue_answer(&node->prq, &(struct svan_page_response) {
        .token = svan_cpu_to_le32(answer->token), .status = answer->status,
        .fault_class = rng_below(&node->rng, SVAN_FAULT_CLASS_COUNT),
        .time_ns = svan_cpu_to_le64(answer->says),
    });
}

static BlameWork *work_of(BlameNode *node, uint32_t token)
{
    BlameWork *work = &node->work[(token & TOKEN_INDEX) % BLAME_REQUESTS];

    return work->busy && work->token == token ? work : NULL;
}

/* RESOLVED, with the page or without; or FAILED. */
static uint8_t settle(BlameWork *work)
{
    const PlanPage *page = &work->space->plan->pages[work->page];
    bool writable = work->write || (!page->protects &&
                                    !page->fails[PLAN_FOR_WRITE]);

    if (work->space->dead || page->fails[work->write]) {
        work->space->node->blame->counts.blame_page_failed++;
        return SVAN_PAGE_FAILED;
    }
    if (work->space->rounds[work->page] > 1) {
        work->space->rounds[work->page]--;
    } else {
        set_present(work->space, work->page, writable);
        has_come(work->space, work->page);
    }
    return SVAN_PAGE_RESOLVED;
}

static void answer_event(void *arg)
{
    Answer *answer = arg;
    BlameWork *work = work_of(answer->node, answer->token);

    if (work) {
        if (answer->status != SVAN_PAGE_PENDING) {
            answer->status = settle(work);
            work->busy = false;
        }
        respond(answer->node, answer);
    }
    answer->node->blame->answers--;
    free(answer);
}

static void answer_after(BlameNode *node, uint64_t delay, const Answer *what)
{
    Answer *answer = malloc(sizeof(*answer));

    *answer = *what;
    answer->node = node;
    node->blame->answers++;
    world_after(node->blame->world, delay, answer_event, answer);
}

/* ---- the death of a process ---- */

static struct svan_process_context *context_of(const BlameSpace *space)
{
    return (struct svan_process_context *)
           ram_at(space->node, space->node->contexts) + space->plan->pasid;
}

static void poll_requests(BlameNode *node);

/* The driver goes on with what the dead process had asked for, to no avail. */
static void fail_later(BlameSpace *space)
{
    BlameNode *node = space->node;

    for (uint32_t i = 0; i < BLAME_REQUESTS; i++) {
        const BlameWork *work = &node->work[i];

        if (work->busy && work->space == space) {
            answer_after(node, node->blame->plan->failed_after,
                         &(Answer) { .token = work->token });
        }
    }
}

static void die_event(void *arg)
{
    BlameSpace *space = arg, *heir;
    Blame *blame = space->node->blame;
    struct svan_cmd cmd = { .object.id = svan_cpu_to_le32(space->key) };

    poll_requests(space->node);
    blame->counts.blame_deaths++;
    blame_close(blame);
    guest_must(space->node->guest, &cmd, SVAN_CMD_DESTROY_KEY);
    context_of(space)->flags = 0;
    invalidate(space);
    poll_requests(space->node);
    space->dead = true;
    fail_later(space);
    heir = &blame->spaces[blame->plan->num_spaces - 1];
    space_set(blame, heir);
    world_after(blame->world, blame->plan->heir_after, blame_inherit, blame);
}

/* ---- requests ---- */

static void __attribute__((noreturn))
bad_request(const BlameNode *node, const struct svan_page_request *request,
            const char *why)
{
    world_fail(node->blame->world, "node %u: page request %08x (%" PRIx64 ", "
               "key %x pasid %x flags %x): %s", node->guest->node->id,
               svan_le32_to_cpu(request->token),
               (uint64_t)svan_le64_to_cpu(request->addr),
               svan_le32_to_cpu(request->key),
               svan_le32_to_cpu(request->pasid), request->flags, why);
}

static BlameSpace *find_space(BlameNode *node, uint32_t key)
{
    for (uint32_t i = 0; i < node->blame->plan->num_spaces; i++) {
        BlameSpace *space = &node->blame->spaces[i];

        if (space->node == node && space->key == key && !space->dead) {
            return space;
        }
    }
    return NULL;
}

static void promise(BlameNode *node, const BlameWork *work)
{
    const PlanPage *page = &work->space->plan->pages[work->page];

    for (uint32_t i = 0; i < page->num_pending; i++) {
        if (page->pending[i].at < page->time) {
            answer_after(node, page->pending[i].at, &(Answer) {
                .token = work->token, .status = SVAN_PAGE_PENDING,
                .says = page->pending[i].says,
            });
        }
    }
    if (page->fatal) {
        if (!node->blame->dying) {
            node->blame->dying = true;
            world_after(node->blame->world, node->blame->plan->death_after,
                        die_event, work->space);
        }
        return;
    }
    answer_after(node, page->time, &(Answer) { .token = work->token });
}

static void begin(BlameNode *node, const struct svan_page_request *request)
{
    uint32_t token = svan_le32_to_cpu(request->token);
    BlameSpace *space = find_space(node, svan_le32_to_cpu(request->key));
    BlameWork *work = &node->work[(token & TOKEN_INDEX) % BLAME_REQUESTS];
    uint64_t page;

    if (!space) {
        bad_request(node, request, "nobody has this key");
    }
    page = (svan_le64_to_cpu(request->addr) - space->va) / SIM_PAGE;
    if (page >= PLAN_PAGES || work->busy) {
        bad_request(node, request, work->busy ? "its token is in use" :
                                                "nothing is there");
    }
    *work = (BlameWork) {
        .busy = true, .token = token, .page = page, .space = space,
        .write = request->flags & SVAN_PAGE_REQ_WRITE,
    };
    node->blame->counts.blame_page_requests++;
    promise(node, work);
}

static void poll_requests(BlameNode *node)
{
    struct svan_page_request request;

    while (page_queue_take(&node->prq, &request)) {
        begin(node, &request);
    }
    page_queue_consumed(&node->prq, true);
}

static void poll_event(void *arg)
{
    BlameNode *node = arg;

    node->polling = false;
    poll_requests(node);
}

void pages_event(BlameNode *node)
{
    if (!node->polling) {
        node->polling = true;
        world_after(node->blame->world, rng_below(&node->rng, POLL_NS),
                    poll_event, node);
    }
}

/* ---- setting up ---- */

static void make_tables(BlameSpace *space)
{
    uint32_t levels = space->plan->pasid ? LEVELS : 1;

    space->leaf = space->root = zero_page(space->node);
    for (uint32_t level = 2; level <= levels; level++) {
        uint32_t table = zero_page(space->node);
        uint64_t n = space->va >> (12 + 9 * (level - 1));

        ((__le64 *)ram_at(space->node, table))[n % SVAN_MTT_TABLE_ENTRIES] =
            svan_cpu_to_le64(bus_of(space->node, space->root) |
                             SVAN_PTE_PRESENT | SVAN_PTE_WRITABLE |
                             SVAN_PTE_USER);
        space->root = table;
    }
}

static void set_context(BlameSpace *space)
{
    struct svan_process_context *context = context_of(space);
    uint32_t table = zero_page(space->node);
    __le64 *places = (__le64 *)ram_at(space->node, table);

    for (uint32_t i = 0; i < PLAN_PAGES; i++) {
        places[SVAN_LOCATION_SWAP + i] = svan_cpu_to_le64(
            svan_mtt_absent(SVAN_FAULT_SWAP_IN,
                            space->plan->pages[i].entry_says));
    }
    page_table_to_context(&(PageTable) {
        .levels = LEVELS, .root = bus_of(space->node, space->root),
    }, context);
    context->generation = svan_cpu_to_le32(GENERATION + space->plan->life);
    context->location_table = svan_cpu_to_le64(bus_of(space->node, table));
    context->location_entries = svan_cpu_to_le32(SVAN_LOCATION_COUNT);
}

static void make_key(BlameSpace *space)
{
    Guest *guest = space->node->guest;
    struct svan_cmd cmd = {
        .create_key = {
            .kind = space->plan->pasid ? SVAN_KEY_PROCESS : SVAN_KEY_ONDEMAND,
            .page_shift = 12,
            .access = svan_cpu_to_le32(SVAN_ACCESS_LOCAL_WRITE |
                                       SVAN_ACCESS_REMOTE_MASK),
            .pd = svan_cpu_to_le32(guest->host->pd),
            .va = svan_cpu_to_le64(space->va),
            .length = svan_cpu_to_le64(PLAN_PAGES * SIM_PAGE),
        },
    };

    if (space->plan->pasid) {
        cmd.create_key.pasid = svan_cpu_to_le32(space->plan->pasid);
        cmd.create_key.generation = svan_cpu_to_le32(GENERATION +
                                                     space->plan->life);
    } else {
        cmd.create_key.levels = 1;
        cmd.create_key.table = svan_cpu_to_le64(bus_of(space->node,
                                                       space->root));
    }
    space->key = guest_must(guest, &cmd, SVAN_CMD_CREATE_KEY);
}

/* A key's table begins at its first address; a process has all of them. */
void space_set(Blame *blame, BlameSpace *space)
{
    space->plan = &blame->plan->spaces[space - blame->spaces];
    space->node = &blame->nodes[space->plan->node];
    space->va = BASE_VA;
    make_tables(space);
    for (uint32_t i = 0; i < PLAN_PAGES; i++) {
        const PlanPage *page = &space->plan->pages[i];

        space->frames[i] = page_take(&space->node->guest->pool,
                                     space->node->guest->node);
        fill(space, i);
        space->rounds[i] = page->rounds;
        space->evictions[i] = (BlameEviction) { space, i };
        if (page->present) {
            set_present(space, i, page->writable);
        } else {
            set_absent(space, i);
        }
        for (uint32_t n = page->stays ? 1 : 0; n < page->evictions; n++) {
            world_after(blame->world, page->evict_at[n], evict_event,
                        &space->evictions[i]);
        }
    }
    if (space->plan->pasid) {
        set_context(space);
    }
    make_key(space);
}

static void lend_spares(BlameNode *node)
{
    uint64_t pages[SPARE_PAGES];

    for (uint32_t i = 0; i < SPARE_PAGES; i++) {
        pages[i] = bus_of(node, zero_page(node));
    }
    page_queue_lend_pages(node->guest->host, pages, SPARE_PAGES);
}

void pages_set(BlameNode *node)
{
    node->prq = page_queue(node->guest->host, BLAME_PRQ_LOG);
    node->contexts = guest_ram(node->guest, SIM_PAGE);
    host_set_contexts(node->guest->host, bus_of(node, node->contexts), PASIDS);
    lend_spares(node);
    poll_requests(node);
}
