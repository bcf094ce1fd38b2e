/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a virtual function notices of another one that attacks what the two share, the
 * engine, in virtual time. An epoch costs EPOCH_NS, each access to guest memory ACCESS_NS,
 * each octet stored 1 ns / OCTETS_PER_NS, and the clock goes on within the epoch; what
 * programs do costs nothing, but they act a while after they could. The attacker asks for
 * more than the whole engine, all the time. The victim, which takes a part of it that is
 * printed, keeps its rate, and its latency.
 */
#include "unit.h"
#include "page_queue.h"

#define EPOCH_NS        100u
#define ACCESS_NS       30u
#define OCTETS_PER_NS   20u
#define COLD            5u              /* times as long take accesses that miss all caches */

#define RAM_SIZE        (64u << 20)
#define AREA            (1u << 20)
#define WRITE_SIZE      4096u
#define PAIRS           16u
#define MANY_PAIRS      500u
#define DEPTH           16u
#define DEMAND_PAGES    512u
#define DEMAND_VA       0x7f0000000000ull
#define LOG_PRQ         8
#define PAGE_NS         10000u          /* until the attacker's driver has a page */
#define DOORBELL_NS     100u            /* of a CPU's store to a page of doorbells */
#define ACT_NS          200u            /* between two looks of the attacker at its queues */
#define PERIOD_NS       5000u           /* of the victim's posts */
#define SPAN_NS         4000000u        /* of one measurement */
#define CONNECT_CMDS    (2 * (1 + HOST_CONNECT_CMDS))
#define MAX_SAMPLES     65536u
#define POLL_NS         1000000u        /* that a record is polled after there was work */

/* ---- a function and its queue pairs, which talk to each other ---- */

typedef struct Link {
    HostQp end[2];
    uint32_t posted[2];                 /* and not completed */
} Link;

typedef struct World World;

typedef struct Party {
    World *world;
    Host *host;
    HostCq cq;
    Link links[MANY_PAIRS];
    uint32_t num_links;
    uint64_t area[2];
    /* on demand; only the attacker's */
    uint32_t key;
    uint64_t *table, pages;
    PageQueue prq;
    uint32_t next_page;
    uint64_t next, again;               /* when it acts; when it posts again */
    uint32_t answered;                  /* commands */
    uint32_t uar;
    uint32_t created, created_at;       /* a key, and the command that makes one */
    uint16_t by_qpn[4096];              /* twice the link, and its end */
    /* links that errors have ended, how many were connected anew, how far the next is */
    uint32_t broken[PAIRS], num_broken, mended, connecting;
    struct svan_cmd connect[PAIRS][CONNECT_CMDS];
    struct svan_page_request requests[1u << LOG_PRQ];
    uint64_t asked_at[1u << LOG_PRQ];
    uint32_t asked, served;
} Party;

struct World {
    Fake *fake;
    Party attacker, victim;
    const struct Attack *attack;
    bool attacked;
    bool polls;                         /* the engine polls records */
    uint64_t busy;                      /* ns of epochs */
    bool in_epoch, fresh;               /* fresh: the epoch has not accessed memory yet */
    uint64_t written;                   /* octets whose time has passed */
    uint64_t access_ns[3];              /* of each function */
    uint32_t *samples;
    uint32_t num_samples;
};

static void party_open(World *w, Party *party, uint16_t fn)
{
    party->world = w;
    party->host = host_create(w->fake, fn, 1 + fn);
    party->host->brief = true;
    party->cq = host_cq(party->host, 14);
    party->area[0] = fake_alloc(w->fake, AREA, SVAN_PAGE_SIZE);
    party->area[1] = fake_alloc(w->fake, AREA, SVAN_PAGE_SIZE);
}

static void party_connect(Party *party, uint32_t links)
{
    HostQpAttr attr = { .log_sq = 6, .log_rq = 1 };

    for (; party->num_links < links; party->num_links++) {
        Link *link = &party->links[party->num_links];

        for (int end = 0; end < 2; end++) {
            link->end[end] = host_qp(party->host, &party->cq, &party->cq, &attr);
            party->by_qpn[link->end[end].qpn % SIZE(party->by_qpn)] =
                2 * party->num_links + end;
        }
        host_connect(&link->end[0], &link->end[1]);
    }
}

/* Before an access of the function, and for what was stored before it. */
static bool time_passes(void *arg, uint16_t fn, uint64_t bus, bool for_write)
{
    World *w = arg;

    if (w->in_epoch) {
        w->fake->now += w->access_ns[fn] + (w->fake->written - w->written) / OCTETS_PER_NS +
                        (w->fresh ? EPOCH_NS : 0);
        w->written = w->fake->written;
        w->fresh = false;
    }
    return true;
}

/* *state: the attack. */
static int setup(void **state)
{
    World *w = fake_must(calloc(1, sizeof(*w)));
    static const FakeHooks hooks = { .permits = time_passes };
    FakeSetup setup = {
        .config = fake_config, .bus = FAKE_RAM_BASE, .ram_size = RAM_SIZE,
        .hooks = &hooks, .hooks_arg = w,
    };

    setup.config.num_vfs = 2;
    setup.config.max_qp = 2048;
    setup.config.fault_buffer = 64 << 10;
    w->fake = fake_create_as(&setup);
    w->samples = fake_must(malloc(MAX_SAMPLES * sizeof(*w->samples)));
    party_open(w, &w->attacker, 1);
    party_open(w, &w->victim, 2);
    party_connect(&w->victim, 1);
    w->attack = *state;
    for (uint32_t fn = 0; fn < SIZE(w->access_ns); fn++) {
        w->access_ns[fn] = ACCESS_NS;
    }
    *state = w;
    return 0;
}

/* The attacker uses so much memory that nothing of it is in a cache. */
static int setup_cold(void **state)
{
    setup(state);
    ((World *)*state)->access_ns[1] = COLD * ACCESS_NS;
    return 0;
}

/* So that to look at a record of the attacker's takes long, too. */
static int setup_polling(void **state)
{
    World *w;

    setup_cold(state);
    w = *state;
    w->polls = true;
    svan_set_poll(w->fake->core, POLL_NS);
    return 0;
}

/* Another function has a share of what is sent, and sends nothing. */
static int setup_with_a_share(void **state)
{
    SvanFn *fn;

    setup(state);
    fn = svan_fn(((World *)*state)->fake->core, 0);
    fn->core->config.link_mbps = 100000;
    svan_rate_set_share(fn, 1000);
    assert_int_equal(fn->core->shares, 1);
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;

    fake_destroy(w->fake);
    host_destroy(w->attacker.host);
    host_destroy(w->victim.host);
    free(w->samples);
    free(w);
    return 0;
}

/* ---- what programs do ---- */

typedef struct Request {
    uint8_t opcode;
    uint32_t length;
    uint64_t addr;                      /* 0: in the area */
    uint32_t rkey;                      /* 0: all memory of the function */
} Request;

static void post(Party *party, uint32_t n, int end, const Request *request)
{
    Link *link = &party->links[n];
    uint64_t at = (2 * n + end) * 64 % (AREA - WRITE_SIZE);
    HostSend send = {
        .opcode = request->opcode, .flags = SVAN_WQE_SIGNALED, .addr = party->area[0] + at,
        .length = request->length, .rkey = request->rkey ? request->rkey : party->host->all_key,
        .remote = request->addr ? request->addr : party->area[1] + at,
    };
    HostWr atomic = {
        .opcode = request->opcode, .flags = SVAN_WQE_SIGNALED, .remote = send.remote,
        .rkey = send.rkey, .swap_add = 1, .num_sge = 1,
        .sge[0] = { .va = send.addr, .length = 8, .key = party->host->all_key },
    };

    if (request->opcode == SVAN_WQE_ATOMIC_FETCH_ADD) {
        host_write_wqe(&link->end[end], &atomic);
    } else {
        host_send(&link->end[end], &send);
    }
    host_post(&link->end[end]);
    link->posted[end]++;
}

/* One completion, successful or not; false: there is none. */
static bool reap(Party *party, struct svan_cqe *cqe)
{
    uint32_t n, qpn;
    Link *link;

    if (!host_cq_poll(&party->cq, cqe)) {
        return false;
    }
    qpn = le32toh(cqe->qpn);
    n = party->by_qpn[qpn % SIZE(party->by_qpn)];
    link = &party->links[n / 2];
    assert_int_equal(link->end[n % 2].qpn, qpn);
    link->posted[n % 2]--;
    return true;
}

static void keep_full(Party *party, int ends, uint32_t depth, const Request *request)
{
    struct svan_cqe cqe;

    while (reap(party, &cqe)) {
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
    }
    for (uint32_t n = 0; n < party->num_links; n++) {
        for (int end = 0; end < ends; end++) {
            while (party->links[n].posted[end] < depth) {
                post(party, n, end, request);
            }
        }
    }
}

/* ---- the attacks ---- */

typedef struct Attack {
    const char *name;
    uint32_t links;
    void (*begin)(Party *party);
    void (*act)(Party *party);
    double load;                        /* of the engine, at least, victim included */
    double least;                       /* of what a victim that wants all has alone; 0: 0.45 */
} Attack;

static void rnr(Party *party)
{
    keep_full(party, 2, 1, &(Request) { .opcode = SVAN_WQE_SEND, .length = WRITE_SIZE });
}

static void atomics(Party *party)
{
    keep_full(party, 2, DEPTH, &(Request) { .opcode = SVAN_WQE_ATOMIC_FETCH_ADD, .length = 8 });
}

static void tiny_writes(Party *party)
{
    keep_full(party, 2, DEPTH, &(Request) { .opcode = SVAN_WQE_RDMA_WRITE, .length = 1 });
}

static void large_writes(Party *party)
{
    keep_full(party, 2, DEPTH, &(Request) {
        .opcode = SVAN_WQE_RDMA_WRITE, .length = WRITE_SIZE,
    });
}

static void many(Party *party)
{
    keep_full(party, 1, 1, &(Request) { .opcode = SVAN_WQE_RDMA_WRITE, .length = 64 });
}

/* A few write all the time; the others as often as it takes to have their records polled. */
static void mostly_idle(Party *party)
{
    const Request small = { .opcode = SVAN_WQE_RDMA_WRITE, .length = 64 };
    uint64_t now = party->world->fake->now;
    uint32_t links = party->num_links;

    party->num_links = PAIRS;
    keep_full(party, 2, DEPTH, &small);
    party->num_links = links;
    if (party->again > now) {
        return;
    }
    party->again = now + POLL_NS / 2;
    for (uint32_t n = PAIRS; n < links; n++) {
        if (!party->links[n].posted[0]) {
            post(party, n, 0, &small);
        }
    }
}

static void begin_doorbells(Party *party)
{
    party->uar = host_uar(party->host, 0);
}

/* Of a queue pair that is not the page's: each is looked at, and refused. */
static void doorbells(Party *party)
{
    HostQp wrong = party->links[0].end[0];

    wrong.uar = party->uar;
    for (uint32_t i = 0; i < ACT_NS / DOORBELL_NS; i++) {
        host_ring(&wrong, SVAN_UAR_SQ_DB, i);
    }
}

/* As many commands as fit; those that are answered are forgotten. */
static bool may_command(Party *party)
{
    struct svan_cmd_resp resp;

    while (party->answered != party->host->cmd_pi &&
           host_cmd_resp(party->host, party->answered, &resp)) {
        party->answered++;
        if (resp.status == SVAN_CMD_OK && party->created_at == party->answered - 1) {
            party->created = le32toh(resp.id.id);
        }
    }
    return party->host->cmd_pi - party->answered < 1u << HOST_CMDQ_LOG;
}

static void command(Party *party, const struct svan_cmd *cmd)
{
    host_cmd_post(party->host, cmd);
    host_write(party->host, SVAN_REG_CMDQ_DB, party->host->cmd_pi);
}

/* A key, and away with it, and so on. */
static void registrations(Party *party)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_KEY);

    if (!may_command(party) || party->answered != party->host->cmd_pi) {
        return;
    }
    if (party->created) {
        cmd = host_cmd_init(SVAN_CMD_DESTROY_KEY);
        cmd.object.id = htole32(party->created);
        party->created = 0;
    } else {
        party->created_at = party->host->cmd_pi;
        cmd.create_key = (struct svan_cmd_create_key) {
            .kind = SVAN_KEY_PINNED, .page_shift = 12,
            .access = htole32(SVAN_ACCESS_REMOTE_MASK | SVAN_ACCESS_LOCAL_WRITE),
            .pd = htole32(party->host->pd), .va = htole64(party->area[0]),
            .length = htole64(AREA), .table = htole64(party->area[0]),
        };
    }
    command(party, &cmd);
}

/* What connects a link anew: RESET of both ends, then the way to RTS. */
static void make_connect_cmds(Party *party, uint32_t n)
{
    struct svan_cmd *cmds = party->connect[n];

    for (int end = 0; end < 2; end++) {
        HostQp *qp = &party->links[n].end[end];
        HostConnection to = host_connection(&party->links[n].end[!end]);

        cmds[end] = host_cmd_init(SVAN_CMD_MODIFY_QP);
        cmds[end].modify_qp.qpn = htole32(qp->qpn);
        cmds[end].modify_qp.attr.state = SVAN_QPS_RESET;
        host_connect_cmds(qp, &to, cmds + 2 + end * HOST_CONNECT_CMDS);
    }
}

static void begin_errors(Party *party)
{
    for (uint32_t n = 0; n < party->num_links; n++) {
        make_connect_cmds(party, n);
        party->broken[party->num_broken++] = n;
    }
}

/* The queues of a queue pair that was reset are empty. */
static void restart(Link *link)
{
    for (int end = 0; end < 2; end++) {
        HostQp *qp = &link->end[end];

        qp->sq_pi = qp->rq_pi = 0;
        memset(host_dbr(qp), 0, sizeof(struct svan_qp_dbr));
    }
}

/* Each write is refused, and both ends are connected anew, link after link. */
static void errors(Party *party)
{
    const Request wrong = { .opcode = SVAN_WQE_RDMA_WRITE, .length = 64, .rkey = 0xfffffff0 };
    struct svan_cqe cqe;

    while (reap(party, &cqe)) {
        assert_int_not_equal(cqe.status, SVAN_CQE_SUCCESS);
        party->broken[party->num_broken++ % PAIRS] =
            party->by_qpn[le32toh(cqe.qpn) % SIZE(party->by_qpn)] / 2;
    }
    while (may_command(party) && party->mended != party->num_broken) {
        uint32_t n = party->broken[party->mended % PAIRS];
        bool is_step = party->connecting == 2 || party->connecting == CONNECT_CMDS;

        if (is_step && party->answered != party->host->cmd_pi) {
            return;
        }
        if (party->connecting == 2) {
            restart(&party->links[n]);
        }
        if (party->connecting < CONNECT_CMDS) {
            command(party, &party->connect[n][party->connecting++]);
            continue;
        }
        post(party, n, 0, &wrong);
        party->connecting = 0;
        party->mended++;
    }
}

static void begin_faults(Party *party)
{
    Fake *fake = party->world->fake;
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 1, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(party->host->pd), .va = htole64(DEMAND_VA),
        .length = htole64(DEMAND_PAGES * SVAN_PAGE_SIZE),
    };
    uint64_t table = fake_alloc(fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);

    key.table = htole64(table);
    party->table = fake_ram(fake, table);
    party->pages = fake_alloc(fake, DEMAND_PAGES * SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    party->key = host_key(party->host, &key);
    party->prq = page_queue(party->host, LOG_PRQ);
    page_queue_consumed(&party->prq, true);
}

static void take_pages_away(Party *party)
{
    for (uint32_t page = 0; page < DEMAND_PAGES; page++) {
        party->table[page] = htole64(svan_mtt_absent(SVAN_FAULT_SWAP_IN, 0));
    }
    host_invalidate_key(party->host, party->key, DEMAND_VA, DEMAND_PAGES * SVAN_PAGE_SIZE);
}

/* Its driver has pages PAGE_NS after they were asked for. */
static void serve_pages(Party *party)
{
    uint64_t now = party->world->fake->now;
    struct svan_page_request request;

    while (party->asked - party->served < SIZE(party->requests) &&
           page_queue_take(&party->prq, &request)) {
        party->requests[party->asked % SIZE(party->requests)] = request;
        party->asked_at[party->asked++ % SIZE(party->requests)] = now;
        page_queue_consumed(&party->prq, true);
    }
    while (party->served != party->asked &&
           party->asked_at[party->served % SIZE(party->requests)] + PAGE_NS <= now) {
        uint32_t slot = party->served++ % SIZE(party->requests);
        uint64_t page = (le64toh(party->requests[slot].addr) - DEMAND_VA) / SVAN_PAGE_SIZE;

        party->table[page] = htole64(svan_mtt_present(party->pages + page * SVAN_PAGE_SIZE,
                                                      true));
        page_queue_answer(&party->prq, &(struct svan_page_response) {
            .token = party->requests[slot].token, .status = SVAN_PAGE_RESOLVED,
            .fault_class = SVAN_FAULT_SWAP_IN,
        });
    }
}

/* Each write is to a page that was just taken away. */
static void faults(Party *party)
{
    struct svan_cqe cqe;

    serve_pages(party);
    while (reap(party, &cqe)) {
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
    }
    for (uint32_t n = 0; n < party->num_links; n++) {
        while (party->links[n].posted[0] < DEPTH) {
            uint32_t page = party->next_page++ % DEMAND_PAGES;

            if (!page) {
                take_pages_away(party);
            }
            post(party, n, 0, &(Request) {
                .opcode = SVAN_WQE_RDMA_WRITE, .length = 64, .rkey = party->key,
                .addr = DEMAND_VA + page * SVAN_PAGE_SIZE,
            });
        }
    }
}

static const Attack attacks[] = {
    { .name = "large writes", .links = PAIRS, .act = large_writes, .load = 0.8 },
    { .name = "rnr", .links = MANY_PAIRS, .act = rnr, .load = 0.8 },
    { .name = "errors", .links = PAIRS, .begin = begin_errors, .act = errors, .load = 0.8 },
    { .name = "atomics", .links = PAIRS, .act = atomics, .load = 0.8 },
    { .name = "tiny writes", .links = PAIRS, .act = tiny_writes, .load = 0.8 },
    { .name = "doorbells", .links = 1, .begin = begin_doorbells, .act = doorbells },
    { .name = "registrations", .links = 1, .act = registrations, .load = 0.8 },
    { .name = "queue pairs", .links = MANY_PAIRS, .act = many, .load = 0.8 },
    { .name = "idle pairs", .links = MANY_PAIRS, .act = mostly_idle, .load = 0.8,
      .least = 0.48 },
    { .name = "faults", .links = PAIRS, .begin = begin_faults, .act = faults, .load = 0.8 },
};

/* ---- time ---- */

static void epoch(World *w)
{
    Fake *fake = w->fake;
    uint64_t before = fake->now;

    w->in_epoch = w->fresh = true;
    w->written = fake->written;
    svan_run(fake->core);
    w->in_epoch = false;
    fake->now += (fake->written - w->written) / OCTETS_PER_NS + (w->fresh ? EPOCH_NS : 0);
    w->busy += fake->now - before;
}

/* Until the time, or the victim's next completion: then true. */
static bool run_until(World *w, uint64_t end, struct svan_cqe *cqe)
{
    Fake *fake = w->fake;

    for (;;) {
        uint64_t next = end < fake->deadline ? end : fake->deadline;

        if (reap(&w->victim, cqe)) {
            return true;
        }
        if (w->attacked && w->attacker.next <= fake->now) {
            w->attack->act(&w->attacker);
            w->attacker.next = fake->now + ACT_NS;
        }
        if (fake->now >= end) {
            return false;
        }
        if (svan_has_work(fake->core) || fake->deadline <= fake->now ||
            (w->polls && fake->core->ready)) {
            epoch(w);
            continue;
        }
        next = w->attacked && w->attacker.next < next ? w->attacker.next : next;
        fake->now = next > fake->now ? next : fake->now + 1;
    }
}

/* ---- the victim ---- */

typedef struct Figures {
    double mb_s, load;                  /* load: of the engine, by all */
    uint32_t p99;                       /* ns */
} Figures;

static int by_time(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * Writes of a size, of which one completes before the next is posted, REST_NS after: what
 * the victim asks for is the same with and without an attacker.
 */
static Figures measure(World *w, uint32_t size)
{
    const Request request = { .opcode = SVAN_WQE_RDMA_WRITE, .length = size };
    uint64_t begin = w->fake->now, due = begin;
    struct svan_cqe cqe;
    uint32_t count = 0;

    w->busy = 0;
    while (due < begin + SPAN_NS) {
        post(&w->victim, 0, 0, &request);
        assert_true(run_until(w, UINT64_MAX, &cqe));
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
        assert_true(count < MAX_SAMPLES);
        w->samples[count++] = w->fake->now - due;
        due = due + PERIOD_NS > w->fake->now ? due + PERIOD_NS : w->fake->now;
        assert_false(run_until(w, due, &cqe));
    }
    qsort(w->samples, count, sizeof(*w->samples), by_time);
    return (Figures) {
        .mb_s = (double)count * size * 1000 / (w->fake->now - begin),
        .load = (double)w->busy / (w->fake->now - begin), .p99 = w->samples[count * 99ull / 100],
    };
}

/* The attacker has all that it needs, and has begun. */
static void begin(World *w)
{
    uint64_t until = w->fake->now + SPAN_NS / 10;
    Party *party = &w->attacker;
    struct svan_cqe cqe;

    party_connect(party, w->attack->links);
    if (w->attack->begin) {
        w->attack->begin(party);
    }
    party->answered = party->host->cmd_pi;
    w->attacked = true;
    while (run_until(w, until, &cqe)) {
    }
}

static void who_asks_for_little_gets_it(void **state)
{
    static const uint32_t sizes[] = { WRITE_SIZE, 64 };
    Figures alone[SIZE(sizes)], beside;
    World *w = *state;

    for (uint32_t i = 0; i < SIZE(sizes); i++) {
        alone[i] = measure(w, sizes[i]);
    }
    begin(w);
    for (uint32_t i = 0; i < SIZE(sizes); i++) {
        beside = measure(w, sizes[i]);
        print_message("%-13s %4u octets: load %.2f, then %.2f; rate kept %.2f; p99 %u, then %u ns "
                      "(%.2f)\n", w->attack->name, sizes[i], alone[i].load, beside.load,
                      beside.mb_s / alone[i].mb_s, alone[i].p99, beside.p99,
                      (double)beside.p99 / alone[i].p99);
        assert_true(beside.load >= w->attack->load);
        assert_true(beside.mb_s >= 0.95 * alone[i].mb_s);
        assert_true(beside.p99 <= 2 * alone[i].p99);
    }
}

/* Octets of large writes, of which there are always enough, in SPAN_NS. */
static uint64_t greedy(World *w)
{
    uint64_t before = host_fn(w->victim.host)->stats->roce_tx_bytes;
    uint64_t end = w->fake->now + SPAN_NS;
    struct svan_cqe cqe;

    while (w->fake->now < end) {
        large_writes(&w->victim);
        if (run_until(w, w->fake->now + ACT_NS, &cqe)) {
            assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
        }
    }
    return host_fn(w->victim.host)->stats->roce_tx_bytes - before;
}

/* Whatever the steps of the other function cost, and however long they take for that. */
static void who_asks_for_all_gets_half(void **state)
{
    World *w = *state;
    uint64_t alone = greedy(w), beside;

    begin(w);
    beside = greedy(w);
    print_message("%-13s rate kept %.2f\n", w->attack->name, (double)beside / alone);
    assert_true(beside >= (w->attack->least ? w->attack->least : 0.45) * alone);
}

int main(void)
{
    struct CMUnitTest tests[5 * SIZE(attacks)], *test = tests;

    for (uint32_t i = 0; i < SIZE(attacks); i++) {
        *test++ = (struct CMUnitTest) {
            "who_asks_for_little_gets_it", who_asks_for_little_gets_it, setup, teardown,
            (void *)&attacks[i],
        };
        *test++ = (struct CMUnitTest) {
            "who_asks_for_little_gets_it_beside_a_share", who_asks_for_little_gets_it,
            setup_with_a_share, teardown, (void *)&attacks[i],
        };
        *test++ = (struct CMUnitTest) {
            "who_asks_for_all_gets_half", who_asks_for_all_gets_half, setup, teardown,
            (void *)&attacks[i],
        };
        *test++ = (struct CMUnitTest) {
            "who_asks_for_all_gets_half_beside_cold_memory", who_asks_for_all_gets_half,
            setup_cold, teardown, (void *)&attacks[i],
        };
        *test++ = (struct CMUnitTest) {
            "who_asks_for_all_gets_half_beside_polling", who_asks_for_all_gets_half,
            setup_polling, teardown, (void *)&attacks[i],
        };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
