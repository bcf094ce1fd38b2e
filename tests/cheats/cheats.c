/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cheats against congestion control, each beside two decent functions, in virtual time.
 *
 * usage: cheats_world MS [NAME...]
 *
 *   MS       to measure for where functions are policed, after the warm-up; elsewhere less
 *   NAME     of cases; without: all
 *
 * Prints CSV: case,bottlenecks,regime,what,key,value. Functions are "victim" (RDMA, honest),
 * "other" (TCP, honest) and "cheat"; what a cheat is to be compared with is the row "honest".
 * "one" bottleneck is the link that all share; of "two" the first is between the NIC of victim
 * and cheat and the switch.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contest.h"
#include "inside.h"
#include "net/enforcement.h"

#define MS              UINT64_C(1000000)
#define LINK            UINT64_C(10000000000)        /* bit/s */
#define IN_RATE         (LINK / 10 * 8)
#define WARM_UP         (50 * MS)
#define BRIEF           (100 * MS)
#define SAMPLE          (5 * MS)
#define RISE            50u             /* ms */
#define SIZE(array)     (sizeof(array) / sizeof((array)[0]))

enum { VICTIM, OTHER, CHEAT };

static const char *const who[CONTEST_SENDERS] = { "victim", "other", "cheat" };

#define RDMA    .traffic_class = 2
#define TCP     .tcp = true
#define CNPS            CONTEST_FORGES_CNPS
#define NOTIFICATIONS   CONTEST_FORGES_NOTIFICATIONS

static const ContestWay honest_rdma = { .flows = 1, RDMA };
static const ContestWay honest_tcp = { .flows = 1, TCP };

typedef struct Case {
    const char *name, *honest;
    ContestWay way;
} Case;

static const Case cases[] = {
    { "honest RDMA", NULL, { .flows = 1, RDMA } },
    { "honest TCP", NULL, { .flows = 1, TCP } },
    { "large packets", NULL, { .flows = 1, .log_mtu = 12, RDMA } },
    { "small packets", NULL, { .flows = 1, .log_mtu = 8, RDMA } },
    { "ECN and CNPs ignored", "honest RDMA", { .flows = 4, .deaf = true } },
    { "CNPs ignored", "honest RDMA", { .flows = 1, .deaf = true, RDMA } },
    { "CNPs ignored with large packets", "large packets",
      { .flows = 1, .log_mtu = 12, .deaf = true, RDMA } },
    { "CNPs ignored with large packets and tiny ones aside", "large packets",
      { .flows = 1, .log_mtu = 12, .deaf = true, .lies = 30, RDMA } },
    { "CNPs ignored with tiny packets aside", "honest RDMA",
      { .flows = 1, .deaf = true, .lies = 30, RDMA } },
    { "own rate limit raised", "honest RDMA",
      { .flows = 1, .deaf = true, .limit = 2 * LINK, RDMA } },
    { "16 queue pairs", "honest RDMA", { .flows = 16, RDMA } },
    { "another queue pair each ms", "honest RDMA", { .flows = 16, .hop = MS, RDMA } },
    { "another queue pair each second", "honest RDMA", { .flows = 16, .hop = 1000 * MS, RDMA } },
    { "16 queue pairs to 8 peers", "honest RDMA", { .flows = 16, .peers = 8, RDMA } },
    { "forged CNPs and notifications", "honest RDMA",
      { .flows = 1, .forges = CNPS | NOTIFICATIONS, RDMA } },
    { "forged notifications without spoof check", "honest RDMA",
      { .flows = 1, .forges = NOTIFICATIONS, .unchecked = true, RDMA } },
    { "TCP: losses and ECN ignored", "honest TCP", { .flows = 1, .deaf = true, TCP } },
    { "TCP: 16 connections", "honest TCP", { .flows = 16, TCP } },
    { "TCP: 16 and losses ignored", "honest TCP", { .flows = 16, .deaf = true, TCP } },
    { "TCP: another port each ms", "honest TCP", { .flows = 16, .hop = MS, .deaf = true, TCP } },
    { "TCP: another port each second", "honest TCP", { .flows = 16, .hop = 1000 * MS, TCP } },
    { "TCP: forged ECN echo", "honest TCP", { .flows = 1, .ecn = true, .silent = true, TCP } },
};

typedef struct Regime {
    const char *name;
    bool enforced, frozen;
} Regime;

enum { FREE, ENFORCED, FROZEN };

static const Regime regimes[] = {
    [FREE] = { "free", false, false }, [ENFORCED] = { "enforced", true, false },
    [FROZEN] = { "frozen", true, true },
};

typedef struct Run {
    const Case *of;
    bool in_row;
    const Regime *regime;
} Run;

static void print(const Run *run, const char *what, const char *key, double value)
{
    printf("%s,%s,%s,%s,%s,%.6g\n", run->of->name, run->in_row ? "two" : "one",
           run->regime->name, what, key, value);
}

/* ---- measuring ---- */

static uint64_t percentile(const ContestSender *sender, double part)
{
    uint64_t total = 0, seen = 0;

    for (uint32_t i = 0; i < CONTEST_LATENCIES; i++) {
        total += sender->latencies[i];
    }
    for (uint32_t i = 0; i < CONTEST_LATENCIES; i++) {
        seen += sender->latencies[i];
        if (seen && seen >= total * part) {
            return contest_latency_of(i);
        }
    }
    return 0;
}

static double jain(const double *rates, uint32_t count)
{
    double sum = 0, squares = 0;

    for (uint32_t i = 0; i < count; i++) {
        sum += rates[i];
        squares += rates[i] * rates[i];
    }
    return squares ? sum * sum / (count * squares) : 0;
}

static void sample(const Run *run, Contest *contest, uint64_t ns)
{
    uint64_t before[CONTEST_SENDERS], start = contest->schedule.now;
    char key[64];

    for (uint32_t i = 0; i < CONTEST_SENDERS; i++) {
        before[i] = contest->senders[i].octets;
    }
    contest_go(contest, ns);
    for (uint32_t i = 0; i < CONTEST_SENDERS; i++) {
        snprintf(key, sizeof(key), "%s %" PRIu64, who[i], start / MS);
        print(run, "gbit_s", key, (contest->senders[i].octets - before[i]) * 8.0 / ns);
    }
}

static void measure(const Run *run, Contest *contest, uint64_t ns)
{
    NetLink *link = &contest->nics[CONTEST_SINK].down;
    uint64_t before[CONTEST_SENDERS], frames = link->counts.sent, octets = link->counts.sent_bytes;
    double rates[CONTEST_SENDERS];

    for (uint32_t i = 0; i < CONTEST_SENDERS; i++) {
        before[i] = contest->senders[i].octets;
        memset(contest->senders[i].latencies, 0, sizeof(contest->senders[i].latencies));
    }
    for (uint64_t done = 0; done < ns; done += SAMPLE) {
        sample(run, contest, SAMPLE);
    }
    for (uint32_t i = 0; i < CONTEST_SENDERS; i++) {
        rates[i] = (contest->senders[i].octets - before[i]) * 8.0 / ns;
        print(run, "goodput", who[i], rates[i]);
    }
    print(run, "jain", "all", jain(rates, CONTEST_SENDERS));
    octets = link->counts.sent_bytes - octets;
    frames = link->counts.sent - frames;
    print(run, "used", "link", (octets + frames * link->model.overhead) * 8e9 / ns / LINK);
    print(run, "p50_us", who[VICTIM], percentile(&contest->senders[VICTIM], 0.5) / 1e3);
    print(run, "p99_us", who[VICTIM], percentile(&contest->senders[VICTIM], 0.99) / 1e3);
}

static ContestSetup setup_of(const Run *run)
{
    ContestSetup setup = {
        .rate = LINK, .in_rate = run->in_row ? IN_RATE : 0,
        .enforced = run->regime->enforced, .frozen = run->regime->frozen,
    };

    setup.senders[VICTIM].way = honest_rdma;
    setup.senders[OTHER].way = honest_tcp;
    setup.senders[CHEAT].way = run->of->way;
    setup.senders[run->in_row ? OTHER : CHEAT].nic = 1;
    return setup;
}

static void warm_up(const Run *run, Contest *contest)
{
    for (uint64_t done = 0; done < WARM_UP; done += SAMPLE) {
        sample(run, contest, SAMPLE);
    }
}

static void compete(const Run *run, uint64_t ns)
{
    ContestSetup setup = setup_of(run);
    Contest *contest = contest_new(&setup);

    warm_up(run, contest);
    measure(run, contest, ns);
    contest_free(contest);
    fflush(stdout);
}

/* A case in all that is to be seen of it. Those who are not policed are soon understood. */
static void show(const Case *of, uint64_t ns)
{
    uint64_t brief = ns < BRIEF ? ns : BRIEF;

    if (of->honest) {
        printf("%s,,,honest,%s,0\n", of->name, of->honest);
    }
    compete(&(Run) { .of = of, .regime = &regimes[FREE] }, brief);
    compete(&(Run) { .of = of, .regime = &regimes[ENFORCED] }, ns);
    if (of->honest) {
        compete(&(Run) { .of = of, .regime = &regimes[FROZEN] }, brief);
    }
    /* Whoever shares its NIC is as deaf as it is. */
    if (!of->way.deaf || of->way.tcp) {
        compete(&(Run) { .of = of, .in_row = true, .regime = &regimes[FREE] }, brief);
        compete(&(Run) { .of = of, .in_row = true, .regime = &regimes[ENFORCED] }, ns);
    }
}

/* ---- who is alone, and who is innocent ---- */

static double used(Contest *contest, uint32_t nic, uint64_t ns)
{
    NetLink *link = &contest->nics[nic].down;
    NetLinkCounts before = link->counts;
    uint64_t octets;

    contest_go(contest, ns);
    octets = link->counts.sent_bytes - before.sent_bytes +
             (link->counts.sent - before.sent) * link->model.overhead;
    return octets * 8e9 / ns / LINK;
}

/* When it first uses 0.9 of the link, in ms of its own; 0: never. */
static void rise(const Run *run, Contest *contest, const char *what)
{
    uint64_t start = contest->schedule.now;

    for (uint32_t ms = 1; ms <= RISE; ms++) {
        if (used(contest, CONTEST_SINK, MS) >= 0.9) {
            print(run, what, "ms", (contest->schedule.now - start) / MS);
            return;
        }
    }
    print(run, what, "ms", 0);
}

static void be_alone(const Case *of)
{
    static const Case cheat = { "", NULL, { .flows = 16, RDMA } };
    Run run = { .of = of, .regime = &regimes[ENFORCED] };
    ContestSetup setup = setup_of(&run);
    Contest *contest;

    setup.senders[VICTIM].way = of->way;
    setup.senders[OTHER].way = setup.senders[CHEAT].way = (ContestWay) { .flows = 0 };
    contest = contest_new(&setup);
    rise(&run, contest, "alone_at_first");
    contest_free(contest);

    setup.senders[CHEAT].way = cheat.way;
    contest = contest_new(&setup);
    warm_up(&run, contest);
    contest->senders[CHEAT].stopped = true;
    contest_go(contest, 1000 * MS);
    rise(&run, contest, "alone_again");
    contest_free(contest);
}

/* One on the cheat's NIC whose peer's link nobody else uses, while the others are policed. */
static void be_innocent(const Case *of)
{
    Run run = { .of = of, .regime = &regimes[ENFORCED] };
    ContestSetup setup = setup_of(&run);
    SvanFnStats stats;
    Contest *contest;

    setup.senders[VICTIM].nic = 1;
    setup.senders[CHEAT].nic = 0;
    setup.senders[OTHER].way = of->way;
    setup.senders[OTHER].way.aside = true;
    setup.senders[CHEAT].way = (ContestWay) { .flows = 16, RDMA };
    contest = contest_new(&setup);
    warm_up(&run, contest);
    print(&run, "innocent", "used", used(contest, CONTEST_ASIDE, BRIEF));
    stats = *host_fn(contest->senders[OTHER].host)->stats;
    print(&run, "innocent", "delays", stats.enforce_delays + stats.enforce_drops);
    stats = *host_fn(contest->senders[CHEAT].host)->stats;
    print(&run, "guilty", "delays", stats.enforce_delays + stats.enforce_drops);
    contest_free(contest);
}

static bool is_chosen(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (!strcmp(names[i], name)) {
            return true;
        }
    }
    return !count;
}

int main(int argc, char **argv)
{
    uint64_t ms = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;

    if (!ms) {
        fprintf(stderr, "usage: cheats_world MS [NAME...]\n");
        return 2;
    }
    for (uint32_t i = 0; i < SIZE(cases); i++) {
        if (is_chosen(cases[i].name, argc - 2, argv + 2)) {
            fprintf(stderr, "# case %u of %zu: %s\n", i + 1, SIZE(cases), cases[i].name);
            show(&cases[i], ms * MS);
        }
    }
    be_alone(&cases[0]);
    be_alone(&cases[1]);
    be_innocent(&cases[0]);
    return 0;
}
