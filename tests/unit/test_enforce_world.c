/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enforcement in virtual time: virtual functions of two NICs send to a third by a link
 * that marks, each in its own way. The NICs are real cores, the links are the switch's
 * model. Nothing is configured but that the functions are policed.
 */
#include "net/enforcement.h"
#include "unit.h"

#include "model/link.h"

#define US              1000ull
#define MS              1000000ull
#define NODES           3u
#define SENDERS         2u
#define SINK            2u
#define MAX_QPS         16u
#define LINK            10000000000ull          /* bit/s */
#define MTU_LOG         10
#define MESSAGE         8192u
#define OUTSTANDING     4u
#define RAM             (4u << 20)
#define WARM_UP         (30 * MS)
#define MEASURED        (60 * MS)

typedef struct World World;

typedef struct Node {
    World *world;
    uint32_t id;
    NetNode net;
    Fake *fake;
    Host *pf, *vf;
    NetLink up, down;           /* to the switch, and from it */
    bool waits;                 /* the port is told when the link has room */
    bool running;
} Node;

/* What a function does. */
typedef struct Way {
    uint32_t qps;
    uint64_t hop;               /* ns, another queue pair each; 0: all at once */
    uint8_t traffic_class;
    bool deaf;                  /* its NIC has no native congestion control */
    bool two_peers;             /* half of them to each, behind the same link */
} Way;

typedef struct Sender {
    Node *node;
    Way way;
    HostCq cq;
    HostCq peer_cqs[2];
    HostQp qps[MAX_QPS], peers[MAX_QPS];
    uint32_t outstanding[MAX_QPS], current;
    uint64_t octets;
    bool stopped;
} Sender;

struct World {
    NetSchedule schedule;
    Node nodes[NODES];
    Sender senders[SENDERS];
};

/* ---- software ---- */

static void fill(Sender *sender, uint32_t i)
{
    HostQp *qp = &sender->qps[i];
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = sender->node->fake->bus, .length = MESSAGE,
        .remote = sender->peers[i].host->fake->bus,
        .rkey = sender->peers[i].host->all_key,
    };

    if (sender->stopped || (sender->way.hop && i != sender->current)) {
        return;
    }
    for (; sender->outstanding[i] < OUTSTANDING; sender->outstanding[i]++) {
        host_send(qp, &write);
    }
    host_post(qp);
}

/* Something was completed, and as much is posted again. */
static bool look(Sender *sender)
{
    struct svan_cqe cqe;
    bool any = false;

    while (host_cq_poll(&sender->cq, &cqe)) {
        uint32_t i = 0;

        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
        while (sender->qps[i].qpn != le32toh(cqe.qpn)) {
            i++;
        }
        sender->octets += MESSAGE;
        sender->outstanding[i]--;
        fill(sender, i);
        any = true;
    }
    return any;
}

static void settle(Node *node)
{
    bool more = true;

    if (node->running) {
        return;
    }
    node->running = true;
    while (more) {
        while (svan_run(node->fake->core) == SVAN_RUN_MORE) {
        }
        more = node->id < SENDERS && node->world->senders[node->id].node &&
               look(&node->world->senders[node->id]);
    }
    node->running = false;
}

/* ---- what cores do, and what happens to them ---- */

static void later(Node *node, uint64_t when, NetEventFn *fn)
{
    NetSchedule *schedule = &node->world->schedule;

    assert_true(net_schedule_add(schedule, node->net.id, &node->net, (NetEvent) {
        .kind = NET_EVENT_USER, .fn = fn, .arg = node,
        .time = when > schedule->now ? when : schedule->now,
    }));
}

static void ready(void *arg, NetFrame *frame)
{
    Node *node = arg;

    node->waits = false;
    svan_tx_ready(node->fake->core);
    settle(node);
}

static bool on_frame_out(void *arg, SvanFrame *frame)
{
    Node *node = arg;

    if (node->up.queued > 1000) {
        if (!node->waits) {
            node->waits = true;
            later(node, node->up.free_at + 1, ready);
        }
        return false;
    }
    net_link_send(&node->up, net_frame_new(frame->data, frame->len));
    svan_frame_free(frame);
    return true;
}

static void due(void *arg, NetFrame *frame)
{
    Node *node = arg;

    if (node->fake->deadline <= node->world->schedule.now) {
        node->fake->deadline = UINT64_MAX;
        settle(node);
    }
}

static void on_deadline(void *arg, uint64_t when)
{
    if (when != UINT64_MAX) {
        later(arg, when, due);
    }
}

static const FakeHooks hooks = { .frame_out = on_frame_out, .deadline = on_deadline };

static void to_switch(void *arg, NetFrame *frame)
{
    World *world = ((Node *)arg)->world;

    assert_in_range(frame->data[5], 1, NODES);
    net_link_send(&world->nodes[frame->data[5] - 1].down, frame);
}

static void to_node(void *arg, NetFrame *frame)
{
    Node *node = arg;
    SvanFrame *copy = svan_frame_alloc(frame->len);

    memcpy(copy->data, frame->data, frame->len);
    copy->len = frame->len;
    net_frame_put(frame);
    assert_true(svan_frame_in(node->fake->core, copy));
    settle(node);
}

/* ---- life ---- */

static void enforce(Node *node, uint32_t fn, uint8_t flags)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_ENFORCEMENT);

    svan_enforcement_default(&cmd.set_enforcement.attr);
    cmd.set_enforcement.function = htole32(fn);
    cmd.set_enforcement.attr.flags = flags;
    cmd.set_enforcement.attr.burst = htole32(1000);
    cmd.set_enforcement.attr.interval = htole32(50000);
    for (uint32_t i = 0; i < SVAN_NOTIFICATION_CLASSES; i++) {
        cmd.set_enforcement.attr.delay[i] = htole16(1);
    }
    host_must(node->pf, &cmd);
}

static void make_node(World *world, uint32_t id, bool frozen)
{
    Node *node = &world->nodes[id];
    NetLink link = {
        .model = { .rate = LINK, .delay = US, .overhead = 24 },
        .schedule = &world->schedule, .from = &node->net,
    };
    FakeSetup setup = {
        .config = fake_config, .bus = 0x100000000ull * (id + 1), .ram_size = RAM,
        .clock = &world->schedule.now, .hooks = &hooks, .hooks_arg = node,
    };

    node->world = world;
    node->id = id;
    node->net.id = 1 + id;
    node->up = node->down = link;
    node->up.to_node = node->down.to_node = node->net.id;
    node->up.arrive = to_switch;
    node->down.arrive = to_node;
    node->up.to = node->down.to = node;
    node->up.key = net_link_key(1, id, 0);
    node->down.key = net_link_key(1, id, 1);
    node->down.model.queue = 400000;
    node->down.model.marking = NET_MARK_RED;
    node->down.model.kmin = 20000;
    node->down.model.kmax = 200000;
    node->down.model.pmax = 100000;
    memcpy(setup.config.mac, (uint8_t[]) { 2, 0, 0, 0, 0, id + 1 }, 6);
    setup.config.num_vfs = 1;
    setup.config.no_icrc = true;
    setup.config.link_mbps = LINK / 1000000;
    setup.config.frozen_estimates = frozen;
    node->fake = fake_create_as(&setup);
    node->pf = host_create(node->fake, 0, 10 * (id + 1));
    node->vf = host_create(node->fake, 1, 10 * (id + 1) + 1);
}

static void join(HostQp *a, HostQp *b, uint8_t traffic_class)
{
    HostConnection to_a = host_connection(a), to_b = host_connection(b);

    to_a.attr.log_mtu = to_b.attr.log_mtu = MTU_LOG;
    to_a.attr.timeout = to_b.attr.timeout = 10;
    host_connect_to(a, &to_b);
    host_connect_to(b, &to_a);
    svan_qp_get(host_fn(a->host), a->qpn)->av.traffic_class = traffic_class;
    svan_qp_get(host_fn(b->host), b->qpn)->av.traffic_class = traffic_class;
}

static void make_sender(World *world, uint32_t id, const Way *way)
{
    Sender *sender = &world->senders[id];
    Node *sink = &world->nodes[SINK];

    sender->node = &world->nodes[id];
    if (way->deaf) {
        SvanCongestion off = *svan_congestion(sender->node->fake->core);

        off.enabled = false;
        assert_true(svan_congestion_set(sender->node->fake->core, &off));
    }
    sender->way = *way;
    sender->cq = host_cq(sender->node->vf, 10);
    sender->peer_cqs[0] = host_cq(sink->pf, 4);
    sender->peer_cqs[1] = host_cq(sink->vf, 4);
    for (uint32_t i = 0; i < way->qps; i++) {
        sender->qps[i] = host_qp(sender->node->vf, &sender->cq, &sender->cq, NULL);
        sender->peers[i] = host_qp(way->two_peers && i % 2 ? sink->vf : sink->pf,
                                   &sender->peer_cqs[way->two_peers && i % 2],
                                   &sender->peer_cqs[way->two_peers && i % 2], NULL);
        join(&sender->qps[i], &sender->peers[i], way->traffic_class);
    }
}

/* Who is policed, and by what. */
typedef struct Regime {
    bool enforced, frozen;
    bool mute;                  /* the receiving NIC sends CNPs alone */
} Regime;

static World *world_new(const Way *ways, Regime regime)
{
    World *world = calloc(1, sizeof(*world));

    for (uint32_t id = 0; id < NODES; id++) {
        make_node(world, id, regime.frozen);
    }
    for (uint32_t id = 0; id < SENDERS; id++) {
        if (ways[id].qps) {
            make_sender(world, id, &ways[id]);
        }
        if (regime.enforced) {
            enforce(&world->nodes[id], 1, SVAN_ENFORCE_EGRESS);
        }
    }
    if (regime.enforced && !regime.mute) {
        enforce(&world->nodes[SINK], 0, SVAN_ENFORCE_NOTIFY);
        enforce(&world->nodes[SINK], 1, SVAN_ENFORCE_NOTIFY);
    }
    return world;
}

static void world_free(World *world)
{
    for (uint32_t id = 0; id < NODES; id++) {
        Node *node = &world->nodes[id];

        net_link_fini(&node->up);
        net_link_fini(&node->down);
        fake_destroy(node->fake);
        host_destroy(node->pf);
        host_destroy(node->vf);
    }
    net_schedule_fini(&world->schedule);
    free(world);
}

static void refill(Sender *sender)
{
    for (uint32_t i = 0; i < sender->way.qps; i++) {
        fill(sender, i);
    }
    settle(sender->node);
}

/* Up to a time from now; those who hop do so. */
static void go_on(World *world, uint64_t ns)
{
    uint64_t end = world->schedule.now + ns, hop = MS;

    for (uint32_t id = 0; id < SENDERS; id++) {
        if (world->senders[id].node) {
            refill(&world->senders[id]);
        }
    }
    while (world->schedule.now < end) {
        uint64_t next = world->schedule.now + hop;

        net_schedule_run(&world->schedule, next < end ? next : end);
        for (uint32_t id = 0; id < SENDERS; id++) {
            Sender *sender = &world->senders[id];

            if (sender->node && sender->way.hop) {
                sender->current = (sender->current + 1) % sender->way.qps;
                refill(sender);
            }
        }
    }
}

/* ---- figures ---- */

typedef struct Figures {
    double jain, used;          /* of the functions; of the link, payload */
    double rates[SENDERS];      /* Gbit/s */
} Figures;

static Figures measure(World *world, uint64_t ns)
{
    uint64_t before[SENDERS];
    double sum = 0, squares = 0;
    Figures figures;

    for (uint32_t id = 0; id < SENDERS; id++) {
        before[id] = world->senders[id].octets;
    }
    go_on(world, ns);
    for (uint32_t id = 0; id < SENDERS; id++) {
        figures.rates[id] = (world->senders[id].octets - before[id]) * 8.0 / ns;
        sum += figures.rates[id];
        squares += figures.rates[id] * figures.rates[id];
    }
    figures.jain = squares ? sum * sum / (SENDERS * squares) : 0;
    figures.used = sum * 1e9 / LINK;
    return figures;
}

static Figures share(const Way *ways, Regime regime)
{
    World *world = world_new(ways, regime);
    Figures figures;

    go_on(world, WARM_UP);
    figures = measure(world, MEASURED);
    world_free(world);
    return figures;
}

/* ---- tests ---- */

static const Way honest = { .qps = 1, .traffic_class = 2 };

typedef struct Cheat {
    const char *name;
    Way way;
    bool gains;                 /* if nobody polices */
} Cheat;

static const Cheat cheats[] = {
    { "none", { .qps = 1, .traffic_class = 2 }, false },
    { "16 queue pairs", { .qps = 16, .traffic_class = 2 }, true },
    { "another queue pair each ms", { .qps = 16, .traffic_class = 2, .hop = MS }, false },
    { "deaf to CNPs", { .qps = 1, .traffic_class = 2, .deaf = true }, true },
    { "deaf, Not-ECT, 4 queue pairs", { .qps = 4, .deaf = true }, false },
    { "two peers", { .qps = 16, .traffic_class = 2, .two_peers = true }, true },
};

static void show(const char *name, const char *what, const Figures *figures)
{
    print_message("%-28s %-10s Jain %.3f, %.2f and %.2f Gbit/s, used %.2f\n", name, what,
                  figures->jain, figures->rates[0], figures->rates[1], figures->used);
}

static void nobody_gains_by_cheating(void **state)
{
    for (uint32_t i = 0; i < SIZE(cheats); i++) {
        const Way ways[SENDERS] = { honest, cheats[i].way };
        Figures without = share(ways, (Regime) { .enforced = false });
        Figures with = share(ways, (Regime) { .enforced = true });

        show(cheats[i].name, "free", &without);
        show(cheats[i].name, "enforced", &with);
        assert_true(with.jain >= 0.98);
        assert_true(with.used >= 0.8);
        assert_true(!cheats[i].gains || without.jain < 0.9);
    }
}

/* An adapter of others: its CNPs are heard by the NIC, if not by the queue pairs. */
static void a_peer_that_does_not_notify(void **state)
{
    for (uint32_t i = 0; i < SIZE(cheats); i++) {
        const Way ways[SENDERS] = { honest, cheats[i].way };
        Figures with = share(ways, (Regime) { .enforced = true, .mute = true });

        show(cheats[i].name, "by CNPs", &with);
        assert_true(with.jain >= 0.96);
    }
}

/* The estimates alone do it. */
static void frozen_estimates_let_them(void **state)
{
    const Way ways[SENDERS] = { honest, cheats[1].way };
    Figures frozen = share(ways, (Regime) { .enforced = true, .frozen = true });

    show(cheats[1].name, "frozen", &frozen);
    assert_true(frozen.jain < 0.9);
}

static void who_is_alone_has_the_link(void **state)
{
    const Way alone[SENDERS] = { honest }, two[SENDERS] = { honest, cheats[1].way };
    Regime regime = { .enforced = true };
    World *world = world_new(alone, regime);
    Figures figures = measure(world, 10 * MS);

    show("alone", "at first", &figures);
    assert_true(figures.used >= 0.9 * 1024 / 1106);
    assert_int_equal(host_fn(world->nodes[0].vf)->stats->enforce_delays, 0);
    world_free(world);
    world = world_new(two, regime);
    go_on(world, WARM_UP);
    world->senders[1].stopped = true;
    go_on(world, 30 * MS);
    figures = measure(world, 10 * MS);
    show("alone", "again", &figures);
    assert_true(figures.used >= 0.9 * 1024 / 1106);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_gains_by_cheating),
        cmocka_unit_test(a_peer_that_does_not_notify),
        cmocka_unit_test(frozen_estimates_let_them),
        cmocka_unit_test(who_is_alone_has_the_link),
    };

    return cmocka_run_group_tests_name("enforce_world", tests, NULL, NULL);
}
