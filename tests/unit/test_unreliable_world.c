/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that send each other datagrams and messages of unreliable connections, over links
 * that lose, double and delay packets, with engines that miss pages and are saved and loaded
 * in the midst. What arrives is what was sent, to whom it was sent, and whole; each WQE is
 * completed once, and in order.
 *
 * SVAN_UNRELIABLE_SEED=n runs this seed alone, SVAN_UNRELIABLE_COUNT=n so many.
 */
#include "unit.h"
#include "world.h"

#define NODES           3u
#define DATAGRAM_ENDS   9u              /* three of each node */
#define CONNECTIONS     4u
#define ENDS            (DATAGRAM_ENDS + 2 * CONNECTIONS)
#define MESSAGES        60u             /* of an end */
#define SLOTS           8u              /* messages of an end that are under way */
#define SLOT            4096u
#define LONGEST         3500u           /* octets of a message */
#define LOG_MTU         8u              /* of connections */
#define DATAGRAM        1024u           /* octets, at most */
#define GRH             40u
#define KEY             0x11223344u
#define PSN             0xffffe0u
#define PAUSE           4000u           /* ns between two looks of the software, at most */
#define RNG_HOST        300u

typedef struct End End;
typedef struct Party Party;

typedef struct Message {
    const End *from;
    const End *to;                      /* NULL: the group */
    uint8_t opcode;
    uint32_t length, qkey;
    uint8_t got[ENDS];                  /* how often each end has received it */
} Message;

struct End {
    Party *party;
    Node *node;
    Host *host;
    HostQp qp;
    HostCq send_cq, recv_cq;
    uint32_t index;                     /* among all ends */
    bool member;                        /* of the group */
    uint32_t qkey;
    End *peer;                          /* NULL: it has datagrams */
    uint64_t out, in;                   /* SLOTS each */
    uint64_t written;                   /* where its peer writes each of its messages to */
    uint32_t wqes[SLOTS];               /* of the messages in `out` */
    uint32_t sends, sent, recvs, received;
    uint32_t last;                      /* message that has arrived, + 1 */
};

typedef struct Scenario {
    const char *name;
    uint32_t starve;                    /* ppm: no receive is posted */
    bool disorder;                      /* messages overtake each other, or come twice */
    WorldModel world;
} Scenario;

struct Party {
    World *world;
    const Scenario *scenario;
    Host *hosts[NODES];
    Rng rng;
    End ends[ENDS];
    Message messages[ENDS * MESSAGES];
    uint32_t num_messages, arrivals;
    bool over;
};

static const uint8_t group[16] = { [10] = 0xff, 0xff, 239, 1, 2, 3 };

#define CHECK(end, what, text) \
    do { \
        if (!(what)) { \
            world_fail((end)->party->world, "%s, end %u: %s", \
                       (end)->party->scenario->name, (end)->index, text); \
        } \
    } while (0)

static uint8_t octet_of(uint32_t id, uint32_t i)
{
    return i < 4 ? id >> i * 8 : (id * 2654435761u >> i % 4 * 8) + i * 7 + i / 251;
}

static uint32_t chance(Party *party, uint32_t below)
{
    return rng_below(&party->rng, below);
}

/* ---- ends ---- */

static void end_init(Party *party, uint32_t index, uint32_t node, uint8_t type)
{
    HostQpAttr attr = { .type = type, .log_sq = 6, .log_rq = 3, .max_sge = 2 };
    End *end = &party->ends[index];
    Host *host = party->hosts[node];

    *end = (End) {
        .party = party, .node = &party->world->nodes[node], .host = host, .index = index,
        .send_cq = host_cq(host, 5), .recv_cq = host_cq(host, 5),
        .out = fake_alloc(host->fake, SLOTS * SLOT, 4096),
        .in = fake_alloc(host->fake, SLOTS * SLOT, 4096),
    };
    end->qp = host_qp(host, &end->send_cq, &end->recv_cq, &attr);
}

static void begin_datagrams(End *end, bool member, uint32_t qkey)
{
    end->qkey = qkey;
    end->member = member;
    host_datagrams(&end->qp, qkey);
    if (member) {
        host_join(&end->qp, group);
    }
}

static void begin_connection(End *end, End *peer)
{
    HostConnection to = host_connection(&peer->qp);

    end->peer = peer;
    end->written = fake_alloc(end->host->fake, MESSAGES * SLOT, 4096);
    to.attr.log_mtu = LOG_MTU;
    to.attr.rq_psn = to.attr.sq_psn = htole32(PSN);
    host_connect_to(&end->qp, &to);
}

/* Two of a node are members of the group, or one; the last of each has another Q_Key. */
static void ends_init(Party *party)
{
    static const bool members[DATAGRAM_ENDS] = { [0] = true, true, [4] = true, true, [6] = true };
    static const uint8_t nodes[2 * CONNECTIONS] = { 0, 1, 1, 2, 2, 0, 0, 0 };
    End *ends = party->ends;

    for (uint32_t i = 0; i < DATAGRAM_ENDS; i++) {
        end_init(party, i, i / 3, SVAN_QPT_UD);
        begin_datagrams(&ends[i], members[i], KEY + i % 3 / 2);
    }
    for (uint32_t i = DATAGRAM_ENDS; i < ENDS; i++) {
        end_init(party, i, nodes[i - DATAGRAM_ENDS], SVAN_QPT_UC);
    }
    for (uint32_t i = DATAGRAM_ENDS; i < ENDS; i += 2) {
        begin_connection(&ends[i], &ends[i + 1]);
        begin_connection(&ends[i + 1], &ends[i]);
    }
}

/* ---- what is sent ---- */

static uint64_t place_of(const Party *party, const Message *message)
{
    uint32_t id = message - party->messages;

    return message->to->written + (uint64_t)(id % MESSAGES) * SLOT;
}

/* Of an end's own range, so that the numbers of its messages grow. */
static Message *new_message(End *end)
{
    static const uint8_t opcodes[] = {
        SVAN_WQE_SEND, SVAN_WQE_SEND_IMM, SVAN_WQE_RDMA_WRITE_IMM, SVAN_WQE_RDMA_WRITE,
    };
    Party *party = end->party;
    Message *message = &party->messages[end->index * MESSAGES + end->sends];

    *message = (Message) {
        .from = end, .to = end->peer, .opcode = opcodes[chance(party, end->peer ? 4 : 2)],
        .length = rng_between(&party->rng, 4, end->peer ? LONGEST : DATAGRAM),
    };
    if (!end->peer) {
        message->to = chance(party, 3) ? &party->ends[chance(party, DATAGRAM_ENDS)] : NULL;
        message->qkey = message->to ? message->to->qkey : KEY + chance(party, 2);
        message->qkey += chance(party, 10) ? 0 : 7;
    }
    return message;
}

static void send_one(End *end)
{
    Message *message = new_message(end);
    uint32_t id = message - end->party->messages, slot = end->sends % SLOTS;
    uint64_t from = end->out + slot * SLOT;
    uint8_t *data = fake_ram(end->host->fake, from);
    struct svan_av av;
    HostWr wr = {
        .opcode = message->opcode, .flags = SVAN_WQE_SIGNALED, .imm = htobe32(id), .num_sge = 2,
        .sge = {
            { from, message->length / 2, end->host->all_key },
            { from + message->length / 2, message->length - message->length / 2,
              end->host->all_key },
        },
    };

    for (uint32_t i = 0; i < message->length; i++) {
        data[i] = octet_of(id, i);
    }
    if (end->peer) {
        wr.remote = place_of(end->party, message);
        wr.rkey = end->peer->host->all_key;
    } else {
        av = message->to ? host_av(&message->to->qp, message->qkey) :
                           host_group_av(group, message->qkey);
        wr.av = &av;
    }
    end->wqes[slot] = host_write_wqe(&end->qp, &wr);
    end->sends++;
    host_post(&end->qp);
}

/* ---- what arrives ---- */

static void check_content(const End *end, uint32_t id, uint64_t at)
{
    const uint8_t *data = fake_ram(end->host->fake, at);

    for (uint32_t i = 0; i < end->party->messages[id].length; i++) {
        CHECK(end, data[i] == octet_of(id, i), "a message is not what was sent");
    }
}

/* It may have come twice if packets do, unless it has never left the machine. */
static void count_arrival(End *end, Message *message)
{
    bool twice = end->party->scenario->disorder && message->from->node != end->node;

    CHECK(end, ++message->got[end->index] <= 1 + twice, "a message comes too often");
    end->party->arrivals++;
}

static void check_header(const End *end, const Message *message, const uint8_t *header)
{
    const uint8_t *to = message->to ? end->host->gids[0].gid : group;

    CHECK(end, !memcmp(header + 32, message->from->host->gids[0].gid + 12, 4),
          "the header has another source");
    CHECK(end, !memcmp(header + 36, to + 12, 4), "the header has another destination");
}

static Message *message_of(const End *end, uint32_t id)
{
    CHECK(end, id < ENDS * MESSAGES && end->party->messages[id].from,
          "a message comes that nobody has sent");
    return &end->party->messages[id];
}

static void datagram_came(End *end, const struct svan_cqe *cqe, uint64_t at)
{
    const uint8_t *data = fake_ram(end->host->fake, at);
    uint32_t id = data[GRH] | data[GRH + 1] << 8 | data[GRH + 2] << 16 | data[GRH + 3] << 24;
    Message *message = message_of(end, id);

    CHECK(end, message->to ? message->to == end : end->member, "it was sent to another");
    CHECK(end, message->qkey == end->qkey, "it comes with a wrong key");
    CHECK(end, le32toh(cqe->byte_len) == message->length + GRH, "it has another length");
    CHECK(end, le32toh(cqe->src_qpn) == message->from->qp.qpn, "it is of another sender");
    check_header(end, message, data);
    check_content(end, id, at + GRH);
    count_arrival(end, message);
}

static void message_came(End *end, const struct svan_cqe *cqe, uint64_t at)
{
    bool write = cqe->opcode == SVAN_CQE_RECV_WRITE_IMM;
    const uint8_t *data = fake_ram(end->host->fake, at);
    uint32_t id = write ? be32toh(cqe->imm) :
                          (uint32_t)(data[0] | data[1] << 8 | data[2] << 16 | data[3] << 24);
    Message *message = message_of(end, id);

    CHECK(end, message->from == end->peer, "it is of another connection");
    CHECK(end, write == (message->opcode == SVAN_WQE_RDMA_WRITE_IMM),
          "it is of another kind");
    CHECK(end, le32toh(cqe->byte_len) == message->length, "it has another length");
    CHECK(end, end->party->scenario->disorder || id >= end->last,
          "it comes behind one that was sent later");
    check_content(end, id, write ? place_of(end->party, message) : at);
    count_arrival(end, message);
    end->last = id + 1;
}

/* ---- the software of a machine ---- */

static void poll_sends(End *end)
{
    struct svan_cqe cqe;

    while (host_cq_poll(&end->send_cq, &cqe)) {
        CHECK(end, end->sent < end->sends, "a send is completed that was not posted");
        CHECK(end, cqe.status == SVAN_CQE_SUCCESS, "a send fails");
        CHECK(end, le32toh(cqe.wqe_index) == end->wqes[end->sent++ % SLOTS],
              "sends are not completed in order");
    }
}

static void poll_recvs(End *end, uint8_t status)
{
    struct svan_cqe cqe;

    while (host_cq_poll(&end->recv_cq, &cqe)) {
        uint64_t at = end->in + end->received % SLOTS * SLOT;

        CHECK(end, end->received < end->recvs, "a receive is completed that was not posted");
        CHECK(end, cqe.status == status, "a receive has another status");
        CHECK(end, le32toh(cqe.wqe_index) == end->received++,
              "receives are not completed in order");
        if (status != SVAN_CQE_SUCCESS) {
            continue;
        }
        if (end->peer) {
            message_came(end, &cqe, at);
        } else {
            datagram_came(end, &cqe, at);
        }
    }
}

static void post_recvs(End *end)
{
    while (end->recvs - end->received < SLOTS) {
        HostSge sge = {
            .va = end->in + end->recvs++ % SLOTS * SLOT, .length = SLOT,
            .key = end->host->all_key,
        };

        host_write_rwqe(&end->qp, &sge, 1);
    }
    host_post_recv(&end->qp);
}

static void act(void *arg)
{
    End *end = arg;
    Party *party = end->party;

    poll_sends(end);
    poll_recvs(end, SVAN_CQE_SUCCESS);
    if (party->over) {
        return;
    }
    if (!rng_ppm(&party->rng, party->scenario->starve)) {
        post_recvs(end);
    }
    for (uint32_t n = chance(party, 4);
         n && end->sends < MESSAGES && end->sends - end->sent < SLOTS; n--) {
        send_one(end);
    }
    world_after(party->world, chance(party, PAUSE), act, end);
}

/* ---- a world ---- */

static Party *party_begin(const Scenario *scenario, uint64_t seed)
{
    Party *party = fake_must(calloc(1, sizeof(*party)));

    party->scenario = scenario;
    party->world = world_create(&scenario->world, seed);
    party->rng = rng_make(seed, RNG_HOST);
    for (uint32_t i = 0; i < NODES; i++) {
        party->hosts[i] = host_create(party->world->nodes[i].fake, 0, i + 1);
    }
    ends_init(party);
    for (uint32_t i = 0; i < ENDS; i++) {
        post_recvs(&party->ends[i]);
        world_after(party->world, chance(party, PAUSE), act, &party->ends[i]);
    }
    return party;
}

/* All has been sent; each receive that was posted and not used is flushed. */
static void party_end(Party *party)
{
    for (uint32_t i = 0; i < ENDS; i++) {
        End *end = &party->ends[i];

        CHECK(end, end->sent == MESSAGES, "a send is not completed");
        CHECK(end, host_modify(&end->qp, SVAN_QPS_ERR, 0, NULL) == SVAN_CMD_OK,
              "a queue pair cannot be stopped");
        poll_recvs(end, SVAN_CQE_WR_FLUSH_ERR);
        CHECK(end, end->received == end->recvs, "a receive is lost");
    }
    CHECK(&party->ends[0], party->arrivals > ENDS * MESSAGES / 4, "little has arrived");
    world_destroy(party->world);
    for (uint32_t i = 0; i < NODES; i++) {
        host_destroy(party->hosts[i]);
    }
    free(party);
}

static void run_world(const Scenario *scenario, uint64_t seed)
{
    Party *party = party_begin(scenario, seed);

    world_run(party->world, 3000000);
    party->over = true;
    world_run(party->world, 4000000);
    for (uint32_t i = 0; i < ENDS; i++) {
        act(&party->ends[i]);
    }
    party_end(party);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void run_seeds(const Scenario *scenario)
{
    uint64_t first = number_of("SVAN_UNRELIABLE_SEED", 1);
    uint64_t count = number_of("SVAN_UNRELIABLE_COUNT", getenv("SVAN_UNRELIABLE_SEED") ? 1 : 8);

    for (uint64_t seed = first; seed < first + count; seed++) {
        run_world(scenario, seed);
    }
}

#define WORLD(...) \
    { .num_nodes = NODES, .ram_bytes = 16u << 20, .replay = "SVAN_UNRELIABLE_SEED", \
      .core = { .link_mbps = 100000, .max_qp = 64, .max_cq = 64, .max_key = 256 }, \
      .link.delay = 1000, .link.ps_per_byte = 80, .link.overhead = 24, \
      .engine.run_cost = 150, __VA_ARGS__ }

static void nothing_is_lost_by_a_calm_world(void **state)
{
    run_seeds(&(Scenario) { .name = "calm", .world = WORLD() });
}

static void losses_cost_whole_messages(void **state)
{
    run_seeds(&(Scenario) {
        .name = "loss", .starve = 500000,
        .world = WORLD(.link.loss = 30000, .link.corrupt = 10000, .refuse = 10000),
    });
}

static void packets_come_late_and_twice(void **state)
{
    run_seeds(&(Scenario) {
        .name = "storm", .starve = 300000, .disorder = true,
        .world = WORLD(.link.loss = 10000, .link.duplicate = 50000, .link.reorder = 50000,
                       .link.reorder_delay = 10000, .link.jitter = 300, .refuse = 10000),
    });
}

static void engines_miss_pages(void **state)
{
    run_seeds(&(Scenario) {
        .name = "missing", .starve = 300000,
        .world = WORLD(.link.loss = 5000, .engine.miss = 300000, .engine.forget = 50000,
                       .engine.invalidate = 5000),
    });
}

static void engines_are_saved_and_loaded(void **state)
{
    run_seeds(&(Scenario) {
        .name = "restored", .starve = 300000,
        .world = WORLD(.link.loss = 5000, .refuse = 20000, .engine.miss = 20000,
                       .engine.forget = 20000, .engine.restore = 20000),
    });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_by_a_calm_world),
        cmocka_unit_test(losses_cost_whole_messages),
        cmocka_unit_test(packets_come_late_and_twice),
        cmocka_unit_test(engines_miss_pages),
        cmocka_unit_test(engines_are_saved_and_loaded),
    };

    return cmocka_run_group_tests_name("unreliable_world", tests, NULL, NULL);
}
