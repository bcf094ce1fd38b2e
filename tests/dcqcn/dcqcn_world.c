/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Senders, each a real core with one RC queue pair that always has data, and one receiver,
 * behind a switch whose port to the receiver is the bottleneck: DCQCN as it was published,
 * in virtual time. Every link has the same rate; the switch marks what leaves by RED, so that
 * marks do not wait behind the queue that they tell of.
 *
 * usage: dcqcn_world SENDERS MBPS LOOP_NS RUN_US STAGGER_US SEED MARKING OUT_PREFIX \
 *                    [CAPTURE_US [notify]]
 *
 *   MBPS         rate of the links
 *   LOOP_NS      from a mark to the effect of the sender's reaction at the switch, without
 *                what the frame waits there
 *   STAGGER_US   between the starts of two senders
 *   MARKING      red: by chance; even: by RED's fractions, without chance; ramp: the same, but
 *                RED's ramp goes on above Kmax, as linear models have it
 *   CAPTURE_US   of the receiver's link; frames have an ICRC then
 *   notify       the receiver's NIC notifies those of the senders, of which every other one
 *                sends in traffic class 3: SVAN_ENFORCE_NOTIFY with the delays of notify_delay()
 *
 * Writes OUT_PREFIX-queue.csv (us, octets), OUT_PREFIX-rates.csv (us, bit/s of each sender's
 * rate) and OUT_PREFIX.pcapng, and prints `key value` lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "host.h"
#include "inside.h"
#include "model/bridge.h"
#include "net/enforce.h"
#include "transport/rc.h"

#define US              UINT64_C(1000)
#define MBPS            UINT64_C(1000000)
#define KMIN            5000u
#define KMAX            200000u
#define PMAX            10000u          /* ppm */
#define RAMP_KMAX       (KMIN + 100 * (KMAX - KMIN))
#define RAMP_PMAX       (100 * PMAX)
#define MTU_LOG         10
#define FRAME           1082u           /* octets of a MIDDLE packet's frame */
#define MESSAGE         (512u << 10)
#define POSTED          8u              /* messages of a sender that are under way */
#define RAM_BYTES       (2u << 20)
#define BUS_BASE        UINT64_C(0x100000000)
#define BACKLOG         (2 * FRAME)     /* octets: more do not wait in a NIC */
#define QUEUE_EVERY     US
#define RATES_EVERY     (100 * US)
#define MAX_SENDERS     128u
#define OBSERVED_FROM   (100 * US)
#define NOTIFY_US       100u            /* between notifications to a sender */
#define OTHER_CLASS     3u
#define SWITCH          0xffffu
#define OBSERVER        0xfffeu

typedef struct Sim Sim;

typedef struct Machine {
    Sim *sim;
    NetNode node;
    NetLink out;
    NetBridgePort *port;
    Fake *fake;
    Host *host;
    HostCq cq;
    HostQp qp;
    bool in_core, woken, resting;
    uint64_t posted, done;      /* messages */
} Machine;

struct Sim {
    NetSchedule schedule;
    NetNode observer;
    NetBridge *bridge;
    Machine *machines;          /* senders, then the receiver */
    HostQp *ends;               /* the receiver's queue pairs */
    uint32_t senders;
    uint64_t rate, loop, run, stagger, seed, capture_until;
    const char *marking;
    uint64_t source, target;    /* bus addresses, the same on all machines */
    FILE *queue_csv, *rates_csv;
    Capture *capture;
    bool started, notify;
};

static Machine *receiver(Sim *sim)
{
    return &sim->machines[sim->senders];
}

static void at(Sim *sim, NetNode *node, uint64_t time, NetEventFn *fn, void *arg)
{
    NetEvent event = { .time = time, .kind = NET_EVENT_USER, .fn = fn, .arg = arg };

    if (!net_schedule_add(&sim->schedule, node->id, node, event)) {
        fake_die("out of memory");
    }
}

/* ---- engines: they take no time, but do not run ahead of their link ---- */

static void run(Machine *machine);

static void rested(void *arg, NetFrame *none)
{
    Machine *machine = arg;

    (void)none;
    machine->resting = false;
    run(machine);
}

static void look(Machine *machine);

static void run(Machine *machine)
{
    SvanRun result = SVAN_RUN_MORE;

    if (machine->resting || machine->in_core) {
        machine->woken = true;
        return;
    }
    do {
        machine->woken = false;
        machine->in_core = true;
        while (result == SVAN_RUN_MORE && machine->out.queued <= BACKLOG) {
            result = svan_run(machine->fake->core);
        }
        machine->in_core = false;
        if (result == SVAN_RUN_MORE) {
            machine->resting = true;
            at(machine->sim, &machine->node, machine->out.free_at, rested, machine);
            return;
        }
        look(machine);
        result = SVAN_RUN_MORE;
    } while (machine->woken);
}

/* ---- software: it always has messages under way ---- */

static void post(Machine *machine)
{
    Sim *sim = machine->sim;
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = sim->source, .length = MESSAGE, .remote = sim->target,
        .rkey = receiver(sim)->host->all_key,
    };

    while (machine->posted - machine->done < POSTED) {
        host_send(&machine->qp, &write);
        machine->posted++;
        host_post(&machine->qp);
    }
}

static void look(Machine *machine)
{
    struct svan_cqe cqe;

    if (!machine->sim->started || machine == receiver(machine->sim)) {
        return;
    }
    while (host_cq_poll(&machine->cq, &cqe)) {
        if (cqe.status != SVAN_CQE_SUCCESS) {
            fake_die("a WRITE has failed with status %u", cqe.status);
        }
        machine->done++;
        machine->qp.sq_ci = le32toh(cqe.wqe_index) + 1;
        post(machine);
    }
}

static void start(void *arg, NetFrame *none)
{
    (void)none;
    post(arg);
    run(arg);
}

/* ---- what the cores do ---- */

static bool on_frame_out(void *arg, SvanFrame *frame)
{
    Machine *machine = arg;
    NetFrame *copy = fake_must(net_frame_new(frame->data, frame->len));

    svan_frame_free(frame);
    net_link_send(&machine->out, copy);
    return true;
}

static void deadline(void *arg, NetFrame *none)
{
    Machine *machine = arg;

    (void)none;
    if (machine->fake->deadline <= machine->sim->schedule.now) {
        machine->fake->deadline = UINT64_MAX;
        run(machine);
    }
}

static void on_deadline(void *arg, uint64_t when)
{
    Machine *machine = arg;
    uint64_t now = machine->sim->schedule.now;

    if (when != UINT64_MAX) {
        at(machine->sim, &machine->node, when > now ? when : now, deadline, machine);
    }
}

static void on_kick(void *arg)
{
    Machine *machine = arg;

    machine->woken = true;
}

static const FakeHooks hooks = {
    .frame_out = on_frame_out, .deadline = on_deadline, .kick = on_kick,
};

/* ---- the network ---- */

static void arrive(void *arg, NetFrame *frame)
{
    Machine *machine = arg;
    SvanFrame *copy = fake_must(svan_frame_alloc(frame->len));

    copy->len = frame->len;
    memcpy(copy->data, frame->data, frame->len);
    net_frame_put(frame);
    if (!svan_frame_in(machine->fake->core, copy)) {
        fake_die("the receive queue is full");
    }
    run(machine);
}

static void capture(Sim *sim, const NetFrame *frame, bool incoming, uint32_t fate)
{
    uint64_t now = sim->schedule.now;

    if (sim->capture && now < sim->capture_until) {
        capture_frame(sim->capture, now, frame, incoming, fate);
    }
}

/* At the receiver: what arrives, when it does; what leaves, when it has left. */
static void arrive_captured(void *arg, NetFrame *frame)
{
    capture(((Machine *)arg)->sim, frame, false, 0);
    arrive(arg, frame);
}

static void on_left(void *arg, const NetFrame *frame, uint32_t fate)
{
    capture(arg, frame, true, fate);
}

static void set_marking(const Sim *sim, NetLinkModel *model)
{
    bool ramp = !strcmp(sim->marking, "ramp");

    model->marking = NET_MARK_RED;
    model->kmin = KMIN;
    model->kmax = ramp ? RAMP_KMAX : KMAX;
    model->pmax = ramp ? RAMP_PMAX : PMAX;
    model->leaving = true;
    model->evenly = strcmp(sim->marking, "red");
}

static void join(Machine *machine, uint32_t index)
{
    Sim *sim = machine->sim;
    NetLinkModel model = { .rate = sim->rate, .delay = sim->loop / 4 };
    bool is_receiver = index == sim->senders;

    machine->port = &sim->bridge->ports[index];
    machine->out = (NetLink) {
        .model = model, .schedule = &sim->schedule, .from = &machine->node,
        .to_node = SWITCH, .arrive = net_bridge_receive, .to = machine->port,
        .key = net_link_key(sim->seed, index, 0),
    };
    machine->port->out.model = model;
    machine->port->out.to_node = index;
    machine->port->out.arrive = is_receiver ? arrive_captured : arrive;
    machine->port->out.to = machine;
    if (is_receiver) {
        set_marking(sim, &machine->port->out.model);
        machine->out.tap = on_left;
        machine->out.tap_arg = sim;
    }
}

/* ---- machines ---- */

static void machine_init(Sim *sim, uint32_t index)
{
    Machine *machine = &sim->machines[index];
    FakeSetup setup = {
        .config = {
            .mac = { 2, 0x53, 0x56, 0, index >> 8, index + 1 }, .link_mbps = sim->rate / MBPS,
            .true_atomics = true, .max_qp = 256, .max_cq = 256, .max_key = 256,
            .no_icrc = !sim->capture,
        },
        .bus = BUS_BASE, .ram_size = RAM_BYTES, .clock = &sim->schedule.now,
        .hooks = &hooks, .hooks_arg = machine,
    };

    machine->sim = sim;
    machine->node.id = index;
    machine->fake = fake_create_as(&setup);
    machine->host = host_create(machine->fake, 0, index + 1);
    machine->cq = host_cq(machine->host, 8);
    sim->source = sim->target = fake_alloc(machine->fake, MESSAGE, SVAN_PAGE_SIZE);
    join(machine, index);
}

static HostQp new_qp(Machine *machine)
{
    static const HostQpAttr attr = { .log_sq = 6, .log_rq = 2, .max_sge = 1 };

    return host_qp(machine->host, &machine->cq, &machine->cq, &attr);
}

static void connect_qps(HostQp *a, HostQp *b, uint8_t traffic_class)
{
    HostConnection to_a = host_connection(a), to_b = host_connection(b);

    to_a.traffic_class = to_b.traffic_class = traffic_class;
    to_a.attr.log_mtu = to_b.attr.log_mtu = MTU_LOG;
    host_connect_to(a, &to_b);
    host_connect_to(b, &to_a);
}

/* us from a mark to its notification, which is not sent before. */
static uint16_t notify_delay(uint32_t traffic_class)
{
    return traffic_class == OTHER_CLASS ? 40 : 10;
}

static void notify(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_ENFORCEMENT);
    struct svan_enforcement_attr *attr = &cmd.set_enforcement.attr;

    svan_enforcement_default(attr);
    attr->flags = SVAN_ENFORCE_NOTIFY;
    attr->interval = htole32(NOTIFY_US * US);
    for (uint32_t i = 0; i < SVAN_NOTIFICATION_CLASSES; i++) {
        attr->delay[i] = htole16(notify_delay(i));
    }
    host_must(host, &cmd);
}

/* So that the switch knows behind which port each machine is. */
static void announce(Machine *machine)
{
    uint8_t data[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    memcpy(data + 6, machine->fake->config.mac, 6);
    data[12] = 0x88;
    data[13] = 0xb5;
    net_bridge_receive(machine->port, fake_must(net_frame_new(data, sizeof(data))));
}

static void build(Sim *sim)
{
    sim->bridge = fake_must(net_bridge_new(&sim->schedule, SWITCH, sim->senders + 1, 0,
                                           sim->seed));
    sim->machines = fake_must(calloc(sim->senders + 1, sizeof(sim->machines[0])));
    sim->ends = fake_must(calloc(sim->senders, sizeof(sim->ends[0])));
    for (uint32_t i = 0; i <= sim->senders; i++) {
        machine_init(sim, i);
    }
    for (uint32_t i = 0; i < sim->senders; i++) {
        sim->machines[i].qp = new_qp(&sim->machines[i]);
        sim->ends[i] = new_qp(receiver(sim));
        connect_qps(&sim->machines[i].qp, &sim->ends[i], i % 2 && sim->notify ?
                    OTHER_CLASS << 5 : 0);
    }
    if (sim->notify) {
        notify(receiver(sim)->host);
    }
    for (uint32_t i = 0; i <= sim->senders; i++) {
        announce(&sim->machines[i]);
    }
    sim->started = true;
    for (uint32_t i = 0; i < sim->senders; i++) {
        at(sim, &sim->machines[i].node, 50 * US + i * sim->stagger, start, &sim->machines[i]);
    }
}

static void take_down(Sim *sim)
{
    for (uint32_t i = 0; i <= sim->senders; i++) {
        host_destroy(sim->machines[i].host);
        fake_destroy(sim->machines[i].fake);
        net_link_fini(&sim->machines[i].out);
    }
    net_bridge_free(sim->bridge);
    net_schedule_fini(&sim->schedule);
    free(sim->machines);
    free(sim->ends);
}

/* ---- what is observed ---- */

static void observe_queue(void *arg, NetFrame *none)
{
    Sim *sim = arg;

    fprintf(sim->queue_csv, "%" PRIu64 ",%" PRIu64 "\n", sim->schedule.now / US,
            receiver(sim)->port->out.queued);
    at(sim, &sim->observer, sim->schedule.now + QUEUE_EVERY, observe_queue, sim);
}

static uint64_t rate_of(const Machine *machine)
{
    const SvanQp *qp = svan_qp_get(host_fn(machine->host), machine->qp.qpn);
    const SvanPace *pace = ((const SvanRc *)qp->priv)->congestion.pace;
    uint64_t rate = pace ? svan_pace_rate(pace) : 0;

    return rate ? rate : machine->sim->rate;
}

static void observe_rates(void *arg, NetFrame *none)
{
    Sim *sim = arg;

    fprintf(sim->rates_csv, "%" PRIu64, sim->schedule.now / US);
    for (uint32_t i = 0; i < sim->senders; i++) {
        fprintf(sim->rates_csv, ",%" PRIu64, sim->machines[i].posted ?
                rate_of(&sim->machines[i]) : 0);
    }
    fputc('\n', sim->rates_csv);
    at(sim, &sim->observer, sim->schedule.now + RATES_EVERY, observe_rates, sim);
}

static void report(const Sim *sim)
{
    const NetLinkCounts *bottleneck = &sim->machines[sim->senders].port->out.counts;
    SvanStats stats, sum = { 0 };

    for (uint32_t i = 0; i < sim->senders; i++) {
        svan_stats(sim->machines[i].fake->core, 0, &stats);
        sum.retransmits += stats.retransmits;
        sum.cnps_handled += stats.cnps_handled;
        sum.cnps_ignored += stats.cnps_ignored;
    }
    svan_stats(sim->machines[sim->senders].fake->core, 0, &stats);
    printf("frame_octets %u\nframes %" PRIu64 "\nmarked %" PRIu64 "\ndropped %" PRIu64 "\n",
           FRAME, bottleneck->frames, bottleneck->marked,
           bottleneck->early + bottleneck->full);
    printf("octets %" PRIu64 "\nmarked_received %" PRIu64 "\ncnps_sent %" PRIu64 "\n",
           bottleneck->sent_bytes, stats.ecn_marked_roce_packets, stats.cnps_sent);
    printf("cnps_handled %" PRIu64 "\ncnps_ignored %" PRIu64 "\nretransmits %" PRIu64 "\n",
           sum.cnps_handled, sum.cnps_ignored, sum.retransmits);
}

static FILE *open_csv(const char *prefix, const char *what)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s-%s.csv", prefix, what);
    file = fopen(path, "w");
    if (!file) {
        fake_die("cannot write %s", path);
    }
    return file;
}

static void open_capture(Sim *sim, const char *prefix, uint64_t us)
{
    char path[512];
    Error error;

    snprintf(path, sizeof(path), "%s.pcapng", prefix);
    sim->capture = capture_open(path, "receiver", 0, &error);
    if (!sim->capture) {
        fake_die("%s", error.text);
    }
    sim->capture_until = us * US;
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (*end || end == text || value > max) {
        fake_die("not a number up to %" PRIu64 ": %s", max, text);
    }
    return value;
}

int main(int argc, char **argv)
{
    Sim sim = { .observer = { .id = OBSERVER } };

    if (argc < 9 || argc > 11) {
        fprintf(stderr, "usage: dcqcn_world SENDERS MBPS LOOP_NS RUN_US STAGGER_US "
                "SEED red|even|ramp OUT_PREFIX [CAPTURE_US [notify]]\n");
        return 2;
    }
    sim.senders = number(argv[1], MAX_SENDERS);
    sim.rate = number(argv[2], 1000000) * MBPS;
    sim.loop = number(argv[3], 1000000000);
    sim.run = number(argv[4], 100000000) * US;
    sim.stagger = number(argv[5], 100000000) * US;
    sim.seed = number(argv[6], UINT64_MAX);
    sim.marking = argv[7];
    sim.queue_csv = open_csv(argv[8], "queue");
    sim.rates_csv = open_csv(argv[8], "rates");
    sim.notify = argc == 11;
    if (argc >= 10) {
        open_capture(&sim, argv[8], number(argv[9], 1000000));
    }
    build(&sim);
    at(&sim, &sim.observer, OBSERVED_FROM, observe_queue, &sim);
    at(&sim, &sim.observer, OBSERVED_FROM, observe_rates, &sim);
    net_schedule_run(&sim.schedule, sim.run);
    report(&sim);
    take_down(&sim);
    fclose(sim.queue_csv);
    fclose(sim.rates_csv);
    capture_close(sim.capture);
    return 0;
}
