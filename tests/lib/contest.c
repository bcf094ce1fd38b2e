/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions that compete for a link.
 */
#include <stdlib.h>
#include <string.h>

#include "contest.h"
#include "forger.h"
#include "inside.h"
#include "net/enforce.h"

#define US              1000ull
#define MTU_LOG         10
#define TIMEOUT         10      /* of queue pairs: 4 ms, with the usual patience */
#define RAM             (8u << 20)
#define USUAL_KMIN      20000u  /* octets, for 10 Gbit/s */
#define ROOM            1000u   /* octets that wait in the link of a NIC before it waits itself */
#define ETH_OCTET       5       /* of a MAC address, which says the NIC */

/* ---- RDMA ---- */

static void fill(ContestSender *sender, uint32_t i)
{
    HostQp *qp = &sender->qps[i], *peer = &sender->peers[i];
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = sender->nic->fake->bus, .length = CONTEST_MESSAGE,
        .remote = peer->host->fake->bus, .rkey = peer->host->all_key,
    };

    if (sender->stopped || (sender->way.hop && i != sender->current)) {
        return;
    }
    while (sender->posted[i] - sender->done[i] < CONTEST_OUTSTANDING) {
        sender->posted_at[i][sender->posted[i]++ % CONTEST_OUTSTANDING] =
            sender->nic->contest->schedule.now;
        host_send(qp, &write);
    }
    host_post(qp);
}

uint32_t contest_latency(uint64_t ns)
{
    uint32_t log = 63 - __builtin_clzll(ns | 16);
    uint32_t index = (log - 4) * 16 + (ns >> (log - 4));

    return index < CONTEST_LATENCIES ? index : CONTEST_LATENCIES - 1;
}

uint64_t contest_latency_of(uint32_t index)
{
    uint32_t shift = index < 32 ? 0 : index / 16 - 1;

    return ((uint64_t)(index - shift * 16 + 1) << shift) - 1;
}

/* Something was completed, and as much is posted again. */
static bool look_at_queues(ContestSender *sender)
{
    struct svan_cqe cqe;
    bool any = false;

    while (host_cq_poll(&sender->cq, &cqe)) {
        uint32_t i = 0;
        uint64_t posted_at;

        if (cqe.status != SVAN_CQE_SUCCESS) {
            fake_die("a message failed: status %u", cqe.status);
        }
        while (sender->qps[i].qpn != le32toh(cqe.qpn)) {
            i++;
        }
        posted_at = sender->posted_at[i][sender->done[i]++ % CONTEST_OUTSTANDING];
        sender->latencies[contest_latency(sender->nic->contest->schedule.now - posted_at)]++;
        sender->octets += CONTEST_MESSAGE;
        fill(sender, i);
        any = true;
    }
    return any;
}

/* ---- TCP ---- */

static void send_segments(ContestSender *sender, TcpSender *tcp)
{
    Contest *contest = sender->nic->contest;
    const uint8_t *to = contest->sink.qp.host->gids[0].gid + 12;
    TcpEnds ends = {
        .smac = sender->host->gids[0].smac, .dmac = contest->sink.qp.host->gids[0].smac,
        .sip = sender->host->gids[0].gid + 12, .dip = to,
    };
    TcpSegment segment;
    uint8_t *frame;

    while (!sender->stopped && (frame = eth_port_begin(&sender->port)) != NULL &&
           tcp_next(tcp, contest->schedule.now, &segment)) {
        tcp_write_segment(frame, &ends, &segment);
        eth_port_send(&sender->port, TCP_FRAME);
    }
}

static void send_more(ContestSender *sender)
{
    for (uint32_t i = 0; i < sender->way.flows; i++) {
        /* so that each has its turn to be the first */
        uint32_t flow = (i + sender->port.qp.sq_pi) % sender->way.flows;

        if (!sender->way.hop || flow == sender->current) {
            send_segments(sender, &sender->connections[flow]);
        }
    }
}

static void count(ContestSender *sender)
{
    sender->octets = 0;
    for (uint32_t i = 0; i < sender->way.flows; i++) {
        sender->octets += sender->ends[i].octets;
    }
}

static bool look_at_frames(ContestSender *sender)
{
    uint64_t now = sender->nic->contest->schedule.now;
    bool any = eth_port_completed(&sender->port);
    const uint8_t *frame;
    uint32_t len;
    TcpAck ack;

    while ((frame = eth_port_receive(&sender->port, &len)) != NULL) {
        if (tcp_read_ack(frame, len, &ack)) {
            uint32_t i = ack.port % CONTEST_MAX_FLOWS;

            tcp_acknowledged(&sender->connections[i], &ack, now);
        }
        any = true;
    }
    if (any) {
        count(sender);
        send_more(sender);
    }
    return any;
}

/* The end of the connections of all. */
static bool answer(Contest *contest)
{
    EthPort *port = &contest->sink;
    const uint8_t *frame;
    bool any = eth_port_completed(port);
    uint32_t len;

    while ((frame = eth_port_receive(port, &len)) != NULL) {
        TcpEnds back = { .smac = frame, .dmac = frame + 6, .sip = frame + 30, .dip = frame + 26 };
        uint8_t *room = eth_port_begin(port);
        TcpSegment segment;
        TcpAck ack;

        any = true;
        if (!room || !tcp_read_segment(frame, len, &segment)) {
            continue;
        }
        for (uint32_t i = 0; i < CONTEST_SENDERS; i++) {
            ContestSender *sender = &contest->senders[i];

            if (sender->host && !memcmp(sender->host->gids[0].smac, frame + 6, 6)) {
                ack = tcp_received(&sender->ends[segment.port % CONTEST_MAX_FLOWS], &segment);
                ack.echo &= !sender->way.silent;
                eth_port_send(port, tcp_write_ack(room, &back, &ack));
            }
        }
    }
    return any;
}

/* ---- the software of a NIC ---- */

static bool look(ContestNic *nic)
{
    Contest *contest = nic->contest;
    bool any = false;

    for (uint32_t i = 0; i < CONTEST_SENDERS; i++) {
        ContestSender *sender = &contest->senders[i];

        if (sender->nic == nic) {
            any |= sender->way.tcp ? look_at_frames(sender) : look_at_queues(sender);
        }
    }
    return nic->id == CONTEST_SINK ? answer(contest) : any;
}

static void settle(ContestNic *nic)
{
    if (nic->running) {
        return;
    }
    nic->running = true;
    do {
        while (svan_run(nic->fake->core) == SVAN_RUN_MORE) {
        }
    } while (look(nic));
    nic->running = false;
}

/* ---- what cores do, and what happens to them ---- */

static void later(ContestNic *nic, uint64_t when, NetEventFn *fn)
{
    NetSchedule *schedule = &nic->contest->schedule;
    NetEvent event = {
        .kind = NET_EVENT_USER, .fn = fn, .arg = nic,
        .time = when > schedule->now ? when : schedule->now,
    };

    if (!net_schedule_add(schedule, nic->net.id, &nic->net, event)) {
        fake_die("out of memory");
    }
}

static void ready(void *arg, NetFrame *frame)
{
    ContestNic *nic = arg;

    nic->waits = false;
    svan_tx_ready(nic->fake->core);
    settle(nic);
}

static bool on_frame_out(void *arg, SvanFrame *frame)
{
    ContestNic *nic = arg;

    if (nic->up.queued > ROOM) {
        if (!nic->waits) {
            nic->waits = true;
            later(nic, nic->up.free_at + 1, ready);
        }
        return false;
    }
    net_link_send(&nic->up, net_frame_new(frame->data, frame->len));
    svan_frame_free(frame);
    return true;
}

static void due(void *arg, NetFrame *frame)
{
    ContestNic *nic = arg;

    if (nic->fake->deadline <= nic->contest->schedule.now) {
        nic->fake->deadline = UINT64_MAX;
        settle(nic);
    }
}

static void on_deadline(void *arg, uint64_t when)
{
    if (when != UINT64_MAX) {
        later(arg, when, due);
    }
}

static const FakeHooks hooks = {
    .frame_out = on_frame_out, .deadline = on_deadline, .quiet = true,
};

static void forward(void *arg, NetFrame *frame)
{
    Contest *contest = ((ContestNic *)arg)->contest;
    uint32_t to = frame->data[ETH_OCTET] - 1;

    if (to >= CONTEST_NICS) {
        fake_die("a frame to nobody");
    }
    net_link_send(&contest->nics[to].down, frame);
}

static void to_switch(void *arg, NetFrame *frame)
{
    ContestNic *nic = arg;

    if (nic->id == 0 && nic->contest->setup.in_rate) {
        net_link_send(&nic->in, frame);
    } else {
        forward(nic, frame);
    }
}

static void to_nic(void *arg, NetFrame *frame)
{
    ContestNic *nic = arg;
    SvanFrame *copy = fake_must(svan_frame_alloc(frame->len));

    memcpy(copy->data, frame->data, frame->len);
    copy->len = frame->len;
    net_frame_put(frame);
    if (!svan_frame_in(nic->fake->core, copy)) {
        fake_die("a NIC did not take a frame");
    }
    settle(nic);
}

/* ---- life ---- */

static void enforce(ContestNic *nic, uint32_t fn, uint8_t flags)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_ENFORCEMENT);
    struct svan_enforcement_attr *attr = &cmd.set_enforcement.attr;

    svan_enforcement_default(attr);
    cmd.set_enforcement.function = htole32(fn);
    attr->flags = flags;
    if (!nic->contest->setup.usual) {
        attr->burst = htole32(1000);
        for (uint32_t i = 0; i < SVAN_NOTIFICATION_CLASSES; i++) {
            attr->delay[i] = htole16(1);
        }
    }
    host_must(nic->hosts[0], &cmd);
}

static void trust(ContestNic *nic, uint32_t fn)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FUNCTION);

    cmd.set_function.function = htole32(fn);
    cmd.set_function.mask = htole32(SVAN_SET_FUNCTION_SPOOF_CHECK);
    host_must(nic->hosts[0], &cmd);
}

static void make_links(ContestNic *nic)
{
    Contest *contest = nic->contest;
    uint32_t kmin = contest->setup.kmin ? contest->setup.kmin : USUAL_KMIN;
    NetLink link = {
        .model = { .rate = contest->setup.rate, .delay = US << contest->setup.log_patience,
                   .overhead = 24 },
        .schedule = &contest->schedule, .from = &nic->net, .to = nic,
        .to_node = nic->net.id,
    };

    nic->up = nic->in = nic->down = link;
    nic->up.arrive = to_switch;
    nic->in.arrive = forward;
    nic->down.arrive = to_nic;
    nic->up.key = net_link_key(1, nic->id, 0);
    nic->down.key = net_link_key(1, nic->id, 1);
    nic->in.key = net_link_key(1, nic->id, 2);
    nic->down.model.queue = 20 * kmin;
    nic->down.model.marking = NET_MARK_RED;
    nic->down.model.kmin = kmin;
    nic->down.model.kmax = 10 * kmin;
    nic->down.model.pmax = 100000;
    nic->in.model = nic->down.model;
    if (nic->id == CONTEST_SINK && contest->setup.out_rate) {
        nic->down.model.rate = contest->setup.out_rate;
    }
    nic->in.model.rate = contest->setup.in_rate;
}

static void make_nic(Contest *contest, uint32_t id)
{
    ContestNic *nic = &contest->nics[id];
    FakeSetup setup = {
        .config = fake_config, .bus = 0x100000000ull * (id + 1), .ram_size = RAM,
        .clock = &contest->schedule.now, .hooks = &hooks, .hooks_arg = nic,
    };

    nic->contest = contest;
    nic->id = id;
    nic->net.id = 1 + id;
    make_links(nic);
    memcpy(setup.config.mac, (uint8_t[]) { 2, 0, 0, 0, 0, id + 1 }, 6);
    setup.config.num_vfs = CONTEST_MAX_PEERS;
    setup.config.no_icrc = true;
    setup.config.link_mbps = contest->setup.rate / 1000000;
    setup.config.frozen_estimates = contest->setup.frozen;
    nic->fake = fake_create_as(&setup);
    for (uint32_t fn = 0; fn <= CONTEST_MAX_PEERS; fn++) {
        nic->hosts[fn] = host_create(nic->fake, fn, 10 * (id + 1) + fn);
    }
}

static void join(const ContestSender *sender, HostQp *a, HostQp *b)
{
    const ContestWay *way = &sender->way;
    HostConnection to_a = host_connection(a), to_b = host_connection(b);

    to_a.attr.log_mtu = to_b.attr.log_mtu = way->log_mtu ? way->log_mtu : MTU_LOG;
    to_a.attr.timeout = to_b.attr.timeout =
        TIMEOUT + sender->nic->contest->setup.log_patience;
    to_a.traffic_class = to_b.traffic_class = way->traffic_class;
    host_connect_to(a, &to_b);
    host_connect_to(b, &to_a);
}

static void make_queues(ContestSender *sender)
{
    Contest *contest = sender->nic->contest;
    const ContestWay *way = &sender->way;
    ContestNic *sink = &contest->nics[way->aside ? CONTEST_ASIDE : CONTEST_SINK];
    uint32_t peers = way->peers ? way->peers : 1;

    sender->cq = host_cq(sender->host, 10);
    for (uint32_t i = 0; i < peers; i++) {
        sender->peer_cqs[i] = host_cq(sink->hosts[i], 4);
    }
    for (uint32_t i = 0; i < way->flows; i++) {
        HostCq *cq = &sender->peer_cqs[i % peers];

        sender->qps[i] = host_qp(sender->host, &sender->cq, &sender->cq, NULL);
        sender->peers[i] = host_qp(sink->hosts[i % peers], cq, cq, NULL);
        join(sender, &sender->qps[i], &sender->peers[i]);
    }
}

static void be_deaf(ContestNic *nic)
{
    SvanCongestion off = *svan_congestion(nic->fake->core);

    off.enabled = false;
    svan_congestion_set(nic->fake->core, &off);
}

/* The NIC's function of the same number. */
static void make_sender(Contest *contest, uint32_t id)
{
    ContestSender *sender = &contest->senders[id];

    sender->way = contest->setup.senders[id].way;
    sender->nic = &contest->nics[contest->setup.senders[id].nic];
    sender->host = sender->nic->hosts[1 + id];
    if (sender->way.unchecked) {
        trust(sender->nic, 1 + id);
    }
    if (sender->way.deaf && !sender->way.tcp) {
        be_deaf(sender->nic);
    }
    if (sender->way.tcp || sender->way.forges || sender->way.lies) {
        eth_port_make(&sender->port, sender->host);
    }
    if (!sender->way.tcp) {
        make_queues(sender);
        return;
    }
    for (uint32_t i = 0; i < sender->way.flows; i++) {
        sender->connections[i].ecn = sender->way.ecn;
        sender->connections[i].deaf = sender->way.deaf;
        sender->connections[i].log_patience = contest->setup.log_patience;
        tcp_sender_init(&sender->connections[i], CONTEST_MAX_FLOWS + i, 0);
    }
}

Contest *contest_new(const ContestSetup *setup)
{
    Contest *contest = fake_must(calloc(1, sizeof(*contest)));

    contest->setup = *setup;
    for (uint32_t id = 0; id < CONTEST_NICS; id++) {
        make_nic(contest, id);
    }
    eth_port_make(&contest->sink, contest->nics[CONTEST_SINK].hosts[0]);
    for (uint32_t id = 0; id < CONTEST_SENDERS; id++) {
        if (setup->senders[id].way.flows) {
            make_sender(contest, id);
        }
        if (setup->enforced) {
            enforce(&contest->nics[setup->senders[id].nic], 1 + id, SVAN_ENFORCE_EGRESS);
        }
    }
    for (uint32_t fn = 0; fn <= CONTEST_MAX_PEERS; fn++) {
        if (setup->enforced && !setup->mute) {
            enforce(&contest->nics[CONTEST_SINK], fn, SVAN_ENFORCE_NOTIFY);
        }
    }
    return contest;
}

void contest_free(Contest *contest)
{
    for (uint32_t id = 0; id < CONTEST_NICS; id++) {
        ContestNic *nic = &contest->nics[id];

        net_link_fini(&nic->up);
        net_link_fini(&nic->in);
        net_link_fini(&nic->down);
        fake_destroy(nic->fake);
        for (uint32_t fn = 0; fn <= CONTEST_MAX_PEERS; fn++) {
            host_destroy(nic->hosts[fn]);
        }
    }
    net_schedule_fini(&contest->schedule);
    free(contest);
}

/* ---- time ---- */

static void refill(ContestSender *sender)
{
    if (sender->way.tcp) {
        send_more(sender);
    }
    for (uint32_t i = 0; i < sender->way.flows && !sender->way.tcp; i++) {
        fill(sender, i);
    }
    settle(sender->nic);
}

/* The one before is not heard of any more; a connection is a new one each time. */
static void hop(ContestSender *sender, uint64_t now)
{
    TcpSender *tcp;

    sender->current = (sender->current + 1) % sender->way.flows;
    if (sender->way.tcp) {
        tcp = &sender->connections[sender->current];
        tcp_sender_init(tcp, tcp->port + CONTEST_MAX_FLOWS, now);
    }
}

static void set_limits(ContestSender *sender)
{
    struct svan_cmd_modify_qp cmd = { .rate_limit = htole32(sender->way.limit / 1000) };

    for (uint32_t i = 0; i < sender->way.flows; i++) {
        if (host_modify(&sender->qps[i], SVAN_QPS_RTS, SVAN_QP_ATTR_RATE_LIMIT, &cmd)) {
            fake_die("no rate limit");
        }
    }
}

static void tick(ContestSender *sender)
{
    uint64_t now = sender->nic->contest->schedule.now;

    if (sender->way.hop && now / sender->way.hop != (now - CONTEST_TICK) / sender->way.hop) {
        hop(sender, now);
    }
    for (uint32_t i = 0; i < sender->way.flows && sender->way.tcp; i++) {
        tcp_look_at_clock(&sender->connections[i], now);
    }
    if (sender->way.limit) {
        set_limits(sender);
    }
    if (sender->way.forges) {
        forge(sender);
    }
    if (sender->way.lies) {
        lie(sender);
    }
    refill(sender);
}

void contest_go(Contest *contest, uint64_t ns)
{
    uint64_t end = contest->schedule.now + ns;

    while (contest->schedule.now < end) {
        uint64_t next = contest->schedule.now + CONTEST_TICK;

        for (uint32_t id = 0; id < CONTEST_SENDERS; id++) {
            if (contest->senders[id].nic) {
                tick(&contest->senders[id]);
            }
        }
        net_schedule_run(&contest->schedule, next < end ? next : end);
    }
}
