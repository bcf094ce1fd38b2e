/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enforcement in virtual time: virtual functions of two NICs send to a third by a link
 * that marks, each in its own way (contest.h). Nothing is configured but that the functions
 * are policed.
 */
#include "net/enforcement.h"
#include "unit.h"

#include "contest.h"

#define MS              1000000ull
#define LINK            10000000000ull          /* bit/s */
#define SLOW_LINK       25000000ull
#define WARM_UP         (30 * MS)
#define MEASURED        (60 * MS)
#define LEAST_USED      0.9

/* Who is policed, and by what. */
typedef struct Regime {
    bool enforced, frozen;
    bool mute;                  /* the receiving NIC sends CNPs alone */
} Regime;

static Contest *race(const ContestWay *first, const ContestWay *second, Regime regime)
{
    ContestSetup setup = {
        .rate = LINK, .enforced = regime.enforced, .frozen = regime.frozen,
        .mute = regime.mute,
    };

    setup.senders[0].way = *first;
    setup.senders[1].way = *second;
    setup.senders[1].nic = 1;
    return contest_new(&setup);
}

/* ---- figures ---- */

typedef struct Figures {
    double jain;                /* of the functions that send */
    double used;                /* of the link */
    double rates[CONTEST_SENDERS];      /* Gbit/s of payload */
} Figures;

static Figures measure(Contest *contest, uint64_t ns)
{
    NetLink *link = &contest->nics[CONTEST_SINK].down;
    NetLinkCounts counts = link->counts;
    uint64_t before[CONTEST_SENDERS], octets;
    double sum = 0, squares = 0;
    uint32_t count = 0;
    Figures figures;

    for (uint32_t id = 0; id < CONTEST_SENDERS; id++) {
        before[id] = contest->senders[id].octets;
    }
    contest_go(contest, ns);
    for (uint32_t id = 0; id < CONTEST_SENDERS; id++) {
        figures.rates[id] = (contest->senders[id].octets - before[id]) * 8.0 / ns;
        sum += figures.rates[id];
        squares += figures.rates[id] * figures.rates[id];
        count += contest->setup.senders[id].way.flows > 0;
    }
    octets = link->counts.sent_bytes - counts.sent_bytes +
             (link->counts.sent - counts.sent) * link->model.overhead;
    figures.jain = squares ? sum * sum / (count * squares) : 0;
    figures.used = octets * 8e9 / ns / link->model.rate;
    return figures;
}

/* Congested paths rise more slowly if there are many, or if their packets are large. */
static uint32_t slowness(const ContestWay *way)
{
    return way->peers ? way->peers : way->log_mtu > 10 ? 1u << (way->log_mtu - 10) : 1;
}

static Figures share(const ContestWay *first, const ContestWay *second, Regime regime)
{
    Contest *contest = race(first, second, regime);
    Figures figures;

    contest_go(contest, WARM_UP * slowness(second));
    figures = measure(contest, MEASURED);
    contest_free(contest);
    return figures;
}

/* ---- tests ---- */

#define RDMA            .traffic_class = 2

static const ContestWay honest = { .flows = 1, RDMA }, nobody;

typedef struct Cheat {
    const char *name;
    ContestWay way;
    bool gains;                 /* if nobody polices */
    bool is_heard;              /* by CNPs, too */
} Cheat;

static const Cheat cheats[] = {
    { "none", { .flows = 1, RDMA }, false, true },
    { "16 queue pairs", { .flows = 16, RDMA }, true, true },
    { "another queue pair each ms", { .flows = 16, .hop = MS, RDMA }, false, true },
    { "deaf to CNPs", { .flows = 1, .deaf = true, RDMA }, true, true },
    { "deaf, Not-ECT, 4 queue pairs", { .flows = 4, .deaf = true }, false, true },
    { "4 peers", { .flows = 16, .peers = 4, RDMA }, true, false },
    { "large packets", { .flows = 1, .log_mtu = 12, RDMA }, true, false },
    { "large packets, tiny aside", { .flows = 1, .log_mtu = 12, .lies = 30, RDMA }, true, false },
    { "deaf, tiny packets aside", { .flows = 1, .lies = 30, .deaf = true, RDMA }, true, true },
    { "deaf, small packets", { .flows = 1, .log_mtu = 8, .deaf = true, RDMA }, false, false },
    { "forged notifications", { .flows = 1, .forges = CONTEST_FORGES_NOTIFICATIONS,
                                .unchecked = true, RDMA }, false, false },
    { "forged CNPs", { .flows = 1, .forges = CONTEST_FORGES_CNPS, RDMA }, false, false },
    { "TCP", { .flows = 1, .tcp = true }, false, false },
    { "TCP, 16 connections", { .flows = 16, .tcp = true }, true, false },
    { "TCP, deaf to losses", { .flows = 1, .tcp = true, .deaf = true }, false, false },
    { "TCP, another port each ms", { .flows = 16, .hop = MS, .tcp = true, .deaf = true },
      true, false },
    { "TCP with ECN", { .flows = 1, .tcp = true, .ecn = true }, false, false },
    { "TCP with ECN, 4 connections", { .flows = 4, .tcp = true, .ecn = true }, false, false },
    { "TCP, no ECN echo", { .flows = 1, .tcp = true, .ecn = true, .silent = true },
      true, false },
};

static void show(const char *name, const char *what, const Figures *figures)
{
    print_message("%-28s %-10s Jain %.3f, %.3g, %.3g, %.3g Gbit/s, used %.2f\n", name, what,
                  figures->jain, figures->rates[0], figures->rates[1], figures->rates[2],
                  figures->used);
}

static void nobody_gains_by_cheating(void **state)
{
    for (uint32_t i = 0; i < SIZE(cheats); i++) {
        const ContestWay *way = &cheats[i].way;
        Figures without = share(&honest, way, (Regime) { .enforced = false });
        Figures with = share(&honest, way, (Regime) { .enforced = true });

        show(cheats[i].name, "free", &without);
        show(cheats[i].name, "enforced", &with);
        /* What waits for a connection that is given up is the cheat's own loss. */
        assert_true(with.jain >= 0.98 || (way->tcp && way->hop && with.rates[1] < with.rates[0]));
        assert_true(with.used >= LEAST_USED);
        assert_true(!cheats[i].gains || without.jain < 0.95);
    }
}

/*
 * Where marks are rare, and queues longer than windows. What TCP does about congestion comes on
 * top of what its NIC does, and has to be little.
 */
static void slow_links_are_shared(void **state)
{
    /* What four queue pairs have under way fills the link. */
    static const ContestWay tcp = { .flows = 1, .tcp = true, .ecn = true };
    static const ContestWay rdma = { .flows = 4, RDMA };

    for (uint32_t i = 0; i < 4; i++) {
        bool many = i % 2, in_row = i / 2;
        ContestSetup setup = {
            .rate = 4 * SLOW_LINK, .out_rate = SLOW_LINK, .kmin = 65536, .log_patience = 8,
            .in_rate = in_row ? SLOW_LINK / 10 * 8 : 0,
            .enforced = true, .usual = true,
            .senders = { { 0, rdma }, { in_row, tcp }, { !in_row, rdma } },
        };
        Contest *contest;
        Figures figures;

        setup.senders[2].way.flows = many ? 16 : 4;
        contest = contest_new(&setup);
        contest_go(contest, 5000 * MS);
        figures = measure(contest, 20000 * MS);
        show(many ? "16 queue pairs" : "none", in_row ? "slow, two" : "slow", &figures);
        contest_free(contest);
        assert_true(figures.jain >= 0.98);
        assert_true(figures.used >= LEAST_USED);
        assert_true(figures.rates[1] >= 0.85 * figures.rates[0]);
        assert_true(figures.rates[0] >= 0.85 * figures.rates[1]);
    }
}

/* An adapter of others: its CNPs are heard by the NIC, if not by the queue pairs. */
static void a_peer_that_does_not_notify(void **state)
{
    for (uint32_t i = 0; i < SIZE(cheats); i++) {
        Figures with;

        if (cheats[i].is_heard) {
            with = share(&honest, &cheats[i].way, (Regime) { .enforced = true, .mute = true });
            show(cheats[i].name, "by CNPs", &with);
            assert_true(with.jain >= 0.96);
        }
    }
}

/* The estimates alone do it. */
static void frozen_estimates_let_them(void **state)
{
    Figures frozen = share(&honest, &cheats[1].way,
                           (Regime) { .enforced = true, .frozen = true });

    show(cheats[1].name, "frozen", &frozen);
    assert_true(frozen.jain < 0.9);
}

static void who_is_alone_has_the_link(void **state)
{
    Regime regime = { .enforced = true };
    Contest *contest = race(&honest, &nobody, regime);
    Figures figures = measure(contest, 10 * MS);

    show("alone", "at first", &figures);
    assert_true(figures.used >= LEAST_USED);
    assert_int_equal(host_fn(contest->senders[0].host)->stats->enforce_delays, 0);
    contest_free(contest);
    contest = race(&honest, &cheats[1].way, regime);
    contest_go(contest, WARM_UP);
    contest->senders[1].stopped = true;
    contest_go(contest, 30 * MS);
    figures = measure(contest, 10 * MS);
    show("alone", "again", &figures);
    assert_true(figures.used >= LEAST_USED);
    contest_free(contest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_gains_by_cheating),
        cmocka_unit_test(slow_links_are_shared),
        cmocka_unit_test(a_peer_that_does_not_notify),
        cmocka_unit_test(frozen_estimates_let_them),
        cmocka_unit_test(who_is_alone_has_the_link),
    };

    return cmocka_run_group_tests_name("enforce_world", tests, NULL, NULL);
}
