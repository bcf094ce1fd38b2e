/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hosts.
 */
#include <stdlib.h>
#include <string.h>

#include "fabric.h"
#include "net/enforce.h"
#include "net/switch.h"

#define AT_ECN          15      /* the IPv4 header's octet of DSCP and ECN */
#define AT_BTH          42
#define HEADERS         (AT_BTH + 12)   /* up to the BTH, included */
#define ICRC            4u
#define PAD_SHIFT       4       /* in the BTH's second octet */
#define CE              3
#define ECT0            2
#define LINK_FRAMES     2u      /* that the core may have in the link's queue */
#define RX_FRAMES       1024u
#define BUS_BASE        0x100000000ull

/* ---- the engine ---- */

static void wake(FabricHost *host)
{
    if (!host->listed && !host->in_core) {
        host->listed = true;
        host->next = host->fabric->ready;
        host->fabric->ready = host;
    }
}

static void on_kick(void *arg)
{
    wake(arg);
}

static void deadline_event(void *arg, NetFrame *none)
{
    wake(arg);
}

static void on_deadline(void *arg, uint64_t when)
{
    FabricHost *host = arg;
    NetSchedule *schedule = &host->fabric->schedule;
    NetEvent event = {
        .kind = NET_EVENT_USER, .fn = deadline_event, .arg = host,
        .time = when > schedule->now ? when : schedule->now,
    };

    if (when != UINT64_MAX &&
        !net_schedule_add(schedule, host->node.id, &host->node, event)) {
        fake_die("out of memory");
    }
}

/* ---- memory ---- */

static bool is_due(const FabricHost *host, uint64_t count)
{
    return count % host->fabric->options->check == 0;
}

static void *on_outside(void *arg, uint64_t bus, bool for_write)
{
    FabricHost *host = arg;
    Payload *payload = &host->fabric->payload;

    return for_write ? payload_target(payload, bus, is_due(host, host->counts.delivered)) :
                       payload_source(payload, bus);
}

static void on_outside_written(void *arg, uint64_t bus, const void *memory, uint32_t len)
{
    FabricHost *host = arg;

    if (is_due(host, host->counts.delivered++)) {
        payload_check(&host->fabric->payload, bus, memory, len);
    }
    host->fabric->delivered++;
}

/* ---- the port ---- */

/* A packet that the core is about to fill in; packets of all hosts, one at a time. */
static uint8_t room[SVAN_PACKET_HEAD + SVAN_MAX_MTU];
static SvanLentPacket lent;

static uint8_t *on_room(void *arg, uint32_t len)
{
    FabricHost *host = arg;

    if (net_link_len(&host->out) >= LINK_FRAMES) {
        host->blocked = true;
        return NULL;
    }
    return len <= sizeof(room) ? room : NULL;
}

/* Octets of the headers behind the BTH. */
static uint32_t extension(const SvanOpInfo *info)
{
    return (info->deth ? 8 : 0) + (info->reth ? 16 : 0) + (info->atomic_eth ? 28 : 0) +
           (info->aeth ? 4 : 0) + (info->atomic_ack ? 8 : 0) + (info->immdt ? 4 : 0) +
           (info->ieth ? 4 : 0);
}

static void on_out(void *arg, uint32_t len)
{
    FabricHost *host = arg;
    const SvanOpInfo *info = svan_op_info(room[AT_BTH]);
    uint32_t begin = HEADERS + extension(info), pad = room[AT_BTH + 1] >> PAD_SHIFT & 3;
    uint64_t tag = PAYLOAD_NONE;

    if (info->payload && room[AT_BTH] != SVAN_OP_CNP && len > begin + pad + ICRC) {
        tag = payload_tag(&host->fabric->payload, room + begin, len - begin - pad - ICRC,
                          is_due(host, host->counts.sent++));
    }
    net_link_send(&host->out, fake_must(tag == PAYLOAD_NONE ? net_frame_new(room, len) :
                                        net_frame_head(room, begin, len, tag)));
}

/* What is no packet of a queue pair: notifications of NICs. */
static bool on_frame_out(void *arg, SvanFrame *frame)
{
    FabricHost *host = arg;

    if (net_link_len(&host->out) >= LINK_FRAMES) {
        host->blocked = true;
        return false;
    }
    host->counts.notifications++;
    net_link_send(&host->out, fake_must(net_frame_new(frame->data, frame->len)));
    svan_frame_free(frame);
    return true;
}

static const SvanLentPacket *on_next(void *arg)
{
    FabricHost *host = arg;
    NetFrame *frame;
    uint32_t head;

    if (!host->rx_len) {
        return NULL;
    }
    frame = host->rx[host->rx_head];
    head = frame->kept < SVAN_PACKET_HEAD ? frame->kept : SVAN_PACKET_HEAD;
    memcpy(lent.head, frame->data, head);
    lent.len = frame->len;
    lent.data = frame->kept == frame->len ? frame->data :
                host->fabric->payload.pattern + frame->tag - frame->kept;
    return &lent;
}

static void on_done(void *arg)
{
    FabricHost *host = arg;

    net_frame_put(host->rx[host->rx_head]);
    host->rx_head = (host->rx_head + 1) % host->rx_capacity;
    host->rx_len--;
}

/* The link has sent a frame. */
static void on_departure(void *arg, const NetFrame *frame, uint32_t fate)
{
    FabricHost *host = arg;

    if (host->blocked) {
        host->blocked = false;
        host->unblocked = true;
        wake(host);
    }
}

static void rx_grow(FabricHost *host)
{
    uint32_t capacity = host->rx_capacity ? 2 * host->rx_capacity : 4;
    NetFrame **rx = fake_must(malloc(capacity * sizeof(rx[0])));

    for (uint32_t i = 0; i < host->rx_len; i++) {
        rx[i] = host->rx[(host->rx_head + i) % host->rx_capacity];
    }
    free(host->rx);
    host->rx = rx;
    host->rx_head = 0;
    host->rx_capacity = capacity;
}

static uint64_t word_at(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

/* When it has arrived, from whom, which packet of which queue pair. */
static void note(FabricHost *host, const NetFrame *frame)
{
    uint64_t ecn = frame->data[AT_ECN];

    host->digest = digest_fold(host->digest, host->fabric->schedule.now);
    host->digest = digest_fold(host->digest, (uint64_t)frame->len << 8 | ecn);
    if (frame->kept >= HEADERS) {
        host->digest = digest_fold(host->digest, word_at(frame->data + 26));
        host->digest = digest_fold(host->digest, word_at(frame->data + AT_BTH + 4));
    }
    host->counts.received++;
    host->counts.received_ce += (ecn & CE) == CE;
}

void nic_receive(void *arg, NetFrame *frame)
{
    FabricHost *host = arg;

    note(host, frame);
    if (host->rx_len == RX_FRAMES) {
        host->counts.refused++;
        net_frame_put(frame);
        return;
    }
    if (host->rx_len == host->rx_capacity) {
        rx_grow(host);
    }
    host->rx[(host->rx_head + host->rx_len++) % host->rx_capacity] = frame;
    svan_packets_ready(host->fake->core);
    wake(host);
}

/* ---- the software ---- */

static void post(FabricHost *host, FabricEnd *end)
{
    FabricFlow *flow = end->flow;
    const FabricOptions *options = host->fabric->options;
    uint64_t address = payload_address(flow->id, flow->posted, options->log_mtu);

    host_send(&end->qp, &(HostSend) {
        .opcode = flow->read ? SVAN_WQE_RDMA_READ : SVAN_WQE_RDMA_WRITE,
        .flags = SVAN_WQE_SIGNALED, .addr = address, .remote = address,
        .length = options->message, .rkey = host->key, .lkey = host->key,
    });
    flow->posted++;
}

static void start_event(void *arg, NetFrame *none)
{
    FabricEnd *end = arg;
    FabricFlow *flow = end->flow;
    Fabric *fabric = end->qp.host->user;
    FabricHost *host = fabric->hosts[flow->source];

    while (flow->posted < flow->messages && flow->posted < fabric->options->depth) {
        post(host, end);
    }
    host_post(&end->qp);
}

static void ended(Fabric *fabric, FabricFlow *flow)
{
    flow->end = fabric->schedule.now;
    fabric->done++;
}

static void complete(FabricHost *host, const struct svan_cqe *cqe)
{
    uint32_t index = (le32toh(cqe->qpn) & SVAN_QN_INDEX_MASK) - SVAN_FIRST_QP;
    FabricEnd *end = &host->ends[index];
    FabricFlow *flow = end->flow;

    flow->done++;
    if (flow->end) {
        return;                 /* it has failed, and its work requests are flushed */
    }
    flow->failed = cqe->status != SVAN_CQE_SUCCESS;
    if (flow->failed || flow->done == flow->messages) {
        ended(host->fabric, flow);
    } else if (flow->posted < flow->messages) {
        post(host, end);
        host_post(&end->qp);
    }
}

/* false: nothing has completed. The queue is looked at only if something was written. */
static bool poll(FabricHost *host)
{
    struct svan_cqe cqe;
    bool any = false;

    if (host->fake->written == host->written) {
        return false;
    }
    host->written = host->fake->written;

    while (host_cq_poll(&host->cq, &cqe)) {
        complete(host, &cqe);
        any = true;
    }
    return any;
}

void nic_run(FabricHost *host)
{
    SvanCore *core = host->fake->core;
    SvanRun run;

    host->in_core = true;
    if (host->unblocked) {
        host->unblocked = false;
        svan_tx_ready(core);
    }
    do {
        do {
            run = svan_run(core);
            host->counts.runs++;
        } while (run == SVAN_RUN_MORE);
    } while (poll(host));
    host->in_core = false;
    if (run == SVAN_RUN_MISS) {
        fake_die("host %u: the core waits for a translation", host->node.id);
    }
}

static void start_at(FabricHost *host, FabricEnd *end)
{
    NetEvent event = {
        .kind = NET_EVENT_USER, .fn = start_event, .arg = end, .time = end->flow->start,
    };

    if (!net_schedule_add(&host->fabric->schedule, host->node.id, &host->node, event)) {
        fake_die("out of memory");
    }
}

/* ---- life ---- */

static const FakePort port = {
    .room = on_room, .out = on_out, .next = on_next, .done = on_done,
};

static const FakeHooks hooks = {
    .quiet = true,
    .outside = on_outside,
    .outside_written = on_outside_written,
    .deadline = on_deadline,
    .kick = on_kick,
    .frame_out = on_frame_out,
    .port = &port,
};

static uint32_t log_of(uint32_t at_least, uint32_t value)
{
    uint32_t log = at_least;

    while (1u << log < value) {
        log++;
    }
    return log;
}

/* How many completions there may be at a time, as a power of two. */
static uint32_t cq_log(const FabricHost *host)
{
    return log_of(4, host->num_ends * host->fabric->options->depth + 1);
}

/* A message is one block of a send queue. */
static HostQpAttr attributes(const FabricHost *host)
{
    return (HostQpAttr) {
        .log_sq = log_of(1, 2 * host->fabric->options->depth), .log_rq = 1, .max_sge = 1,
    };
}

/* Of the rings of the driver and of the queue pairs, with room to align them. */
static uint32_t ram_size(const FabricHost *host)
{
    HostQpAttr attr = attributes(host);
    uint32_t qp = (64u << attr.log_sq) + 256;
    uint32_t size = 6 * SVAN_PAGE_SIZE + (64u << cq_log(host)) + host->num_ends * qp;

    return (size + SVAN_PAGE_SIZE) & ~(SVAN_PAGE_SIZE - 1);
}

static SvanConfig config_of(const FabricHost *host)
{
    uint32_t id = host->node.id + 1;

    return (SvanConfig) {
        .mac = { 0x02, 0x53, 0x56, id >> 16, id >> 8, id },
        .link_mbps = host->fabric->options->link.rate / 1000000,
        .true_atomics = true, .no_icrc = true,
        .max_qp = 1u << log_of(4, host->num_ends + SVAN_FIRST_QP), .max_cq = 16, .max_key = 16,
    };
}

static void set_congestion(FabricHost *host)
{
    SvanCongestion congestion = *svan_congestion(host->fake->core);

    struct svan_enforcement_attr attr;

    congestion.enabled = host->fabric->options->dcqcn;
    svan_enforcement_default(&attr);
    attr.flags = host->fabric->options->enforce ? SVAN_ENFORCE_FLAGS : 0;
    if (!svan_congestion_set(host->fake->core, &congestion) ||
        svan_enforcement_set(svan_fn(host->fake->core, 0), &attr) != SVAN_CMD_OK) {
        fake_die("host %u: wrong parameters of congestion control", host->node.id);
    }
}

FabricHost *nic_new(Fabric *fabric, uint32_t id)
{
    FabricHost *host = fake_must(calloc(1, sizeof(*host)));
    FakeSetup setup = {
        .bus = BUS_BASE, .clock = &fabric->schedule.now, .hooks = &hooks, .hooks_arg = host,
    };

    host->node.id = id;
    host->fabric = fabric;
    host->num_ends = fabric->traffic.ends[id];
    setup.config = config_of(host);
    setup.ram_size = ram_size(host);
    host->fake = fake_create_as(&setup);
    set_congestion(host);
    host->driver = host_create(host->fake, 0, id);
    host->driver->brief = true;
    host->driver->user = fabric;
    host->key = host_key_flat(host->driver, PAYLOAD_BASE, fabric->payload.size,
                              SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK, 0);
    host->ends = fake_must(calloc(host->num_ends + 1, sizeof(host->ends[0])));
    host->cq = host_cq(host->driver, cq_log(host));
    forward_link(fabric, &host->out, &host->node, 0);
    host->out.to_node = tree_edge_of_host(&fabric->tree, id);
    host->out.arrive = forward_receive;
    host->out.tap = on_departure;
    host->out.tap_arg = host;
    return host;
}

/* The other end, as far as a connection needs to know it; it may be another rank's. */
static void stand_in(uint32_t id, uint32_t end, Host *driver, HostQp *qp)
{
    const uint8_t gid[16] = { [10] = 0xff, 0xff, 10, id >> 16, id >> 8, id };
    const uint8_t mac[6] = { 0x02, 0x53, 0x56, (id + 1) >> 16, (id + 1) >> 8, id + 1 };

    memset(driver, 0, sizeof(*driver));
    memcpy(driver->gids[0].gid, gid, sizeof(gid));
    memcpy(driver->gids[0].smac, mac, sizeof(mac));
    *qp = (HostQp) { .host = driver, .qpn = SVAN_FIRST_QP + end };
}

static void connect(FabricHost *host, FabricEnd *end, uint32_t peer, uint32_t peer_end)
{
    const FabricOptions *options = host->fabric->options;
    HostConnection connection;
    Host driver;
    HostQp qp;

    stand_in(peer, peer_end, &driver, &qp);
    connection = host_connection(&qp);
    connection.attr.log_mtu = options->log_mtu;
    connection.attr.timeout = options->timeout;
    connection.traffic_class = ECT0;
    host_connect_to(&end->qp, &connection);
}

void nic_connect(FabricHost *host, FabricFlow *flow, bool is_source)
{
    uint32_t index = is_source ? flow->source_end : flow->target_end;
    HostQpAttr attr = attributes(host);
    FabricEnd *end = &host->ends[index];

    end->flow = flow;
    if (!is_source) {
        attr.log_sq = 1;
    }
    end->qp = host_qp(host->driver, &host->cq, &host->cq, &attr);
    if (end->qp.qpn != SVAN_FIRST_QP + index) {
        fake_die("host %u: queue pair %u has number %#x", host->node.id, index, end->qp.qpn);
    }
    connect(host, end, is_source ? flow->target : flow->source,
            is_source ? flow->target_end : flow->source_end);
    if (is_source) {
        start_at(host, end);
    }
}

void nic_free(FabricHost *host)
{
    while (host->rx_len) {
        on_done(host);
    }
    net_link_fini(&host->out);
    host_destroy(host->driver);
    fake_destroy(host->fake);
    free(host->rx);
    free(host->ends);
    free(host);
}
