/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verdicts on what is about to leave a function: packets and frames, to the port, to
 * another function, and to the sender itself.
 */
#include "net/stations.h"
#include "hall.h"

#define MS              1000000ull
#define SENDER          1               /* function that is judged */
#define OTHER           2
#define MESSAGES        3
#define MAX_SEEN        64

typedef enum Way { TO_PORT, TO_OTHER, TO_SELF, WAYS } Way;

/* The judge of what SENDER sends; of packets, the requests alone. */
typedef struct Judge {
    Hall *hall;
    SvanVerdict answer;
    uint64_t until;             /* LATER: SEND from then on */
    uint32_t free;              /* units that go without a verdict */
    uint32_t seen[MAX_SEEN];    /* PSN, or the last octet of the frame */
    uint32_t num_seen;
} Judge;

typedef struct Court {
    Hall *hall;
    Judge judge;
    HostQp qps[WAYS], peers[WAYS];
    uint64_t memory;
} Court;

static SvanVerdict verdict(void *arg, const SvanFlowUnit *unit, uint64_t *when)
{
    Judge *judge = arg;

    assert_true(!unit->pkt != !unit->frame);
    if (unit->fn->id != SENDER ||
        (unit->pkt && !svan_op_info(unit->pkt->opcode)->request)) {
        return SVAN_VERDICT_SEND;
    }
    if (judge->free) {
        judge->free--;
        return SVAN_VERDICT_SEND;
    }
    assert_in_range(judge->num_seen, 0, MAX_SEEN - 1);
    judge->seen[judge->num_seen++] = unit->pkt ? unit->pkt->psn :
                                     unit->frame->data[unit->frame->len - 1];
    *when = judge->until;
    return judge->answer;
}

static const SvanFlowOps flow_ops = { .verdict = verdict };

static void answers(Court *court, SvanVerdict answer)
{
    court->judge.answer = answer;
    court->judge.num_seen = 0;
    svan_flow_watch(court->hall->fake->core, &flow_ops, &court->judge);
}

static SvanQp *inside(const HostQp *qp)
{
    return svan_qp_get(host_fn(qp->host), qp->qpn);
}

static int court_setup(void **state)
{
    Court *court = calloc(1, sizeof(*court));
    void *hall;

    hall_setup(&hall);
    court->hall = hall;
    trust_all(court->hall);
    court->judge.hall = hall;
    for (uint32_t way = 0; way < WAYS; way++) {
        Station *from = &court->hall->stations[SENDER];
        Station *to = &court->hall->stations[way == TO_SELF ? SENDER : OTHER];

        court->qps[way] = host_qp(from->host, &from->send_cq, &from->recv_cq,
                                  NULL);
        court->peers[way] = host_qp(to->host, &to->send_cq, &to->recv_cq,
                                    NULL);
        host_connect(&court->qps[way], &court->peers[way]);
        qp_new_av(inside(&court->qps[way]))->traffic_class = 2;     /* ECT(0) */
    }
    memcpy(qp_new_av(inside(&court->qps[TO_PORT]))->dmac, stranger_mac, 6);
    court->memory = fake_alloc(court->hall->fake, 4096, 4096);
    *state = court;
    return 0;
}

static int court_teardown(void **state)
{
    Court *court = *state;
    void *hall = court->hall;

    free(court);
    return hall_teardown(&hall);
}

#define COURT_TEST(name) \
    cmocka_unit_test_setup_teardown(name, court_setup, court_teardown)

static void post_write(Court *court, Way way, uint32_t number)
{
    HostQp *qp = &court->qps[way];
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = court->memory + number, .length = 1,
        .remote = court->memory + 2048 + way,
        .rkey = court->peers[way].host->all_key,
    };

    *(uint8_t *)fake_ram(court->hall->fake, court->memory + number) = number;
    host_send(qp, &write);
    host_post(qp);
}

static uint8_t written(Court *court, Way way)
{
    return *(uint8_t *)fake_ram(court->hall->fake,
                                court->memory + 2048 + way);
}

static const uint8_t *mac_of(Court *court, Way way)
{
    return way == TO_PORT ? stranger_mac : court->hall->stations[OTHER].mac;
}

#define COURT_STAT(court, name) STAT((court)->hall, SENDER, name)

/* Frames that have left by the port; the last octet of each, or the PSN. */
static uint32_t port_frames(Court *court, uint32_t *numbers)
{
    uint32_t count = 0;
    SvanFrame *frame;
    SvanPkt pkt;

    while ((frame = fake_frame(court->hall->fake)) != NULL) {
        bool roce = svan_pkt_decode(frame, &pkt) == SVAN_DECODE_OK;

        assert_in_range(count, 0, MESSAGES - 1);
        numbers[count++] = roce ? pkt.psn : frame->data[frame->len - 1];
        svan_frame_free(frame);
    }
    return count;
}

/* ---- send, drop ---- */

static void what_may_go_goes(void **state)
{
    Court *court = *state;
    uint32_t numbers[MESSAGES];

    answers(court, SVAN_VERDICT_SEND);
    for (Way way = 0; way < WAYS; way++) {
        post_write(court, way, 7);
        fake_run(court->hall->fake);
        assert_int_equal(court->judge.num_seen, way + 1);
        assert_int_equal(written(court, way), way == TO_PORT ? 0 : 7);
    }
    assert_int_equal(port_frames(court, numbers), 1);
    assert_int_equal(completed(&court->hall->stations[SENDER].send_cq), 2);
    for (Way way = 0; way < TO_SELF; way++) {
        post_frame(court->hall, SENDER, mac_of(court, way), 1);
        fake_run(court->hall->fake);
        assert_int_equal(court->judge.num_seen, WAYS + way + 1);
    }
    assert_int_equal(port_frames(court, numbers), 1);
    assert_int_equal(completed(&court->hall->stations[OTHER].recv_cq), 1);
    assert_int_equal(completed(&court->hall->stations[SENDER].send_cq), 2);
}

/* A frame is lost; a packet is, too, and comes again. */
static void what_is_dropped_is_lost(void **state)
{
    Court *court = *state;

    for (Way way = 0; way < TO_SELF; way++) {
        answers(court, SVAN_VERDICT_DROP);
        post_frame(court->hall, SENDER, mac_of(court, way), 1);
        fake_run(court->hall->fake);
        assert_int_equal(completed(&court->hall->stations[SENDER].send_cq), 1);
        assert_int_equal(COURT_STAT(court, flow_drops), way + 1);
    }
    assert_int_equal(COURT_STAT(court, eth_tx_frames), 0);
    assert_int_equal(completed(&court->hall->stations[OTHER].recv_cq), 0);
    for (Way way = 0; way < WAYS; way++) {
        answers(court, SVAN_VERDICT_DROP);
        post_write(court, way, 9);
        fake_run(court->hall->fake);
        assert_int_equal(written(court, way), 0);
        assert_int_equal(COURT_STAT(court, flow_drops), TO_SELF + way + 1);
    }
    assert_false(left_by_the_port(court->hall));
    svan_flow_watch(court->hall->fake->core, NULL, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        fake_advance(court->hall->fake, 1ull << 33);
    }
    assert_int_equal(written(court, TO_OTHER), 9);
    assert_int_equal(written(court, TO_SELF), 9);
    svan_frame_free(fake_frame(court->hall->fake));
}

/* ---- mark ---- */

static void packets_are_marked(void **state)
{
    Court *court = *state;
    SvanCongestion congestion = *svan_congestion(court->hall->fake->core);
    SvanFrame *frame;
    SvanPkt pkt;

    answers(court, SVAN_VERDICT_MARK);
    for (Way way = 0; way < WAYS; way++) {
        post_write(court, way, 1);
        fake_run(court->hall->fake);
        assert_int_equal(COURT_STAT(court, flow_marks), way + 1);
    }
    frame = fake_frame(court->hall->fake);
    assert_int_equal(svan_pkt_decode(frame, &pkt), SVAN_DECODE_OK);
    assert_int_equal(pkt.addr.traffic_class, 3);
    svan_frame_free(frame);
    assert_int_equal(STAT(court->hall, OTHER, ecn_marked_roce_packets), 1);
    assert_int_equal(COURT_STAT(court, ecn_marked_roce_packets), 1);
    /* the receivers, of which one is the sender, say so */
    assert_int_equal(STAT(court->hall, OTHER, cnps_sent), 1);
    assert_int_equal(COURT_STAT(court, cnps_sent), 1);
    assert_int_equal(COURT_STAT(court, cnps_handled), 2);
    /* one that does not say that it can be */
    congestion.enabled = false;
    assert_true(svan_congestion_set(court->hall->fake->core, &congestion));
    qp_new_av(inside(&court->qps[TO_OTHER]))->traffic_class = 0;
    post_write(court, TO_OTHER, 2);
    fake_run(court->hall->fake);
    assert_int_equal(written(court, TO_OTHER), 2);
    assert_int_equal(STAT(court->hall, OTHER, ecn_marked_roce_packets), 1);
    assert_int_equal(COURT_STAT(court, flow_marks), WAYS);
}

/* The wire is full; the verdict is asked for again. */
static void a_mark_counts_once(void **state)
{
    Court *court = *state;
    Fake *fake = court->hall->fake;

    answers(court, SVAN_VERDICT_MARK);
    fake->out_full = true;
    post_write(court, TO_PORT, 1);
    fake_run(fake);
    svan_tx_ready(fake->core);
    fake_run(fake);
    assert_int_equal(COURT_STAT(court, flow_marks), 0);
    fake->out_full = false;
    svan_tx_ready(fake->core);
    fake_run(fake);
    assert_true(court->judge.num_seen > 2);
    assert_int_equal(COURT_STAT(court, flow_marks), 1);
    assert_true(left_by_the_port(court->hall));
}

typedef struct Header {
    uint32_t tags;
    uint8_t ecn;                /* as sent, and as it arrives */
    uint8_t marked;
    bool ipv6;
} Header;

static const Header headers[] = {
    { .ecn = 2, .marked = 3 }, { .ecn = 1, .marked = 3 },
    { .ecn = 0, .marked = 0 }, { .ecn = 3, .marked = 3 },
    { .ecn = 1, .marked = 3, .tags = 1 }, { .ecn = 2, .marked = 3, .tags = 2 },
    { .ecn = 2, .marked = 3, .ipv6 = true },
    { .ecn = 0, .marked = 0, .ipv6 = true },
    { .ecn = 1, .marked = 3, .ipv6 = true, .tags = 1 },
};

/* An IP header alone, its DSCP 46. */
static SvanFrame *ip_frame(const uint8_t *dmac, const Header *header)
{
    SvanFrame *frame = svan_frame_alloc(100);
    uint8_t *p = frame->data + 12, tos = 46 << 2 | header->ecn;
    uint16_t sum;

    memset(frame->data, 0, 100);
    memcpy(frame->data, dmac, 6);
    for (uint32_t i = 0; i < header->tags; i++) {
        memcpy(p, (uint8_t[]) { i + 1 < header->tags ? 0x88 : 0x81,
                                i + 1 < header->tags ? 0xa8 : 0, 0, 5 }, 4);
        p += 4;
    }
    frame->len = 100;
    if (header->ipv6) {
        memcpy(p, (uint8_t[]) { 0x86, 0xdd, 0x60 | tos >> 4, tos << 4 }, 4);
        return frame;
    }
    memcpy(p, (uint8_t[]) { 8, 0, 0x45, tos, 0, 20 }, 6);
    sum = 0xffff - ((0x4500 | tos) + 20);
    p[12] = sum >> 8;
    p[13] = sum;
    return frame;
}

static void frames_are_marked(void **state)
{
    Court *court = *state;
    uint32_t marks = 0;

    for (uint32_t i = 0; i < SIZE(headers); i++) {
        const Header *header = &headers[i];
        uint32_t ip = 14 + 4 * header->tags;
        uint8_t tos = 46 << 2 | header->marked;
        SvanFrame *frame;
        bool sent;

        answers(court, SVAN_VERDICT_MARK);
        svan_frame_send(egress_of(court->hall, SENDER),
                        ip_frame(stranger_mac, header), &sent);
        marks += header->marked != header->ecn;
        assert_int_equal(COURT_STAT(court, flow_marks), marks);
        frame = fake_frame(court->hall->fake);
        if (header->ipv6) {
            assert_int_equal(frame->data[ip], 0x60 | tos >> 4);
            assert_int_equal(frame->data[ip + 1], tos << 4 & 0xff);
        } else {
            uint32_t sum = 0;

            assert_int_equal(frame->data[ip + 1], tos);
            for (uint32_t n = 0; n < 20; n += 2) {
                sum += frame->data[ip + n] << 8 | frame->data[ip + n + 1];
            }
            assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
        }
        svan_frame_free(frame);
    }
    /* What is no IP is sent as it is. */
    post_frame(court->hall, SENDER, stranger_mac, 0x81);
    post_frame(court->hall, SENDER, court->hall->stations[OTHER].mac, 1);
    fake_run(court->hall->fake);
    assert_true(left_by_the_port(court->hall));
    assert_int_equal(completed(&court->hall->stations[OTHER].recv_cq), 1);
    assert_int_equal(COURT_STAT(court, flow_marks), marks);
}

/* ---- later ---- */

static void post_some(Court *court, Way way, bool frames)
{
    for (uint32_t i = 1; i <= MESSAGES; i++) {
        if (frames) {
            post_frame(court->hall, SENDER, mac_of(court, way), i);
        } else {
            post_write(court, way, i);
        }
    }
}

static SvanQp *sender_of(Court *court, Way way, bool frames)
{
    return inside(frames ? &court->hall->stations[SENDER].qp :
                           &court->qps[way]);
}

/* The first has been asked for, once or so, and rests without a step. */
static void it_waits(Court *court, Way way, bool frames)
{
    SvanQp *qp = sender_of(court, way, frames);
    const Judge *judge = &court->judge;

    assert_in_range(judge->num_seen, 1, 8);
    for (uint32_t i = 1; i < judge->num_seen; i++) {
        assert_int_equal(judge->seen[i], judge->seen[0]);
    }
    assert_true(svan_egress_waits(&qp->egress));
    assert_false(svan_work_is_ready(&qp->work));
    assert_null(qp->work.blocked.next);
    assert_in_range(court->hall->fake->deadline, court->hall->fake->now,
                    judge->until);
    assert_int_equal(completed(&court->hall->stations[SENDER].send_cq), 0);
}

/* In the order in which they were asked for. */
static void all_has_arrived(Court *court, Way way, bool frames)
{
    Judge *judge = &court->judge;
    Hall *hall = court->hall;
    uint32_t numbers[MESSAGES], next = 0;

    for (uint32_t i = 1; i < judge->num_seen; i++) {
        next += judge->seen[i] != judge->seen[i - 1];
        assert_int_equal(judge->seen[i], judge->seen[0] + next);
    }
    assert_int_equal(next, MESSAGES - 1);
    if (way == TO_PORT) {
        assert_int_equal(port_frames(court, numbers), MESSAGES);
        for (uint32_t i = 0; i < MESSAGES; i++) {
            assert_int_equal(numbers[i], judge->seen[0] + i);
        }
    } else if (frames) {
        assert_int_equal(completed(&hall->stations[OTHER].recv_cq), MESSAGES);
    } else {
        assert_int_equal(written(court, way), MESSAGES);
    }
    assert_int_equal(completed(&hall->stations[SENDER].send_cq),
                     frames || way != TO_PORT ? MESSAGES : 0);
}

static void what_waits_keeps_its_order(void **state)
{
    Court *court = *state;
    Fake *fake = court->hall->fake;
    uint32_t delays = 0;

    for (uint32_t i = 0; i < WAYS + TO_SELF; i++) {
        bool frames = i >= WAYS;
        Way way = frames ? i - WAYS : i;

        court->judge.until = fake->now + 2 * MS;
        answers(court, SVAN_VERDICT_LATER);
        post_some(court, way, frames);
        fake_run(fake);
        it_waits(court, way, frames);
        fake_advance(fake, MS);
        it_waits(court, way, frames);
        assert_int_equal(COURT_STAT(court, flow_delays), ++delays);
        fake_advance(fake, MS);
        all_has_arrived(court, way, frames);
        assert_false(svan_egress_waits(&sender_of(court, way, frames)->egress));
    }
    assert_int_equal(COURT_STAT(court, flow_delays), delays);
}

/* A queue pair that several things wait in comes back for the earliest. */
static void the_earliest_counts(void **state)
{
    static const uint32_t times[][2] = { { 5, 5 }, { 2, 2 }, { 9, 2 } };
    Court *court = *state;
    SvanEgress *egress = egress_of(court->hall, SENDER);
    SvanFrame *frame = ip_frame(stranger_mac, &headers[0]);
    bool sent;

    answers(court, SVAN_VERDICT_LATER);
    for (uint32_t i = 0; i < SIZE(times); i++) {
        court->judge.until = times[i][0] * MS;
        assert_int_equal(svan_frame_send(egress, frame, &sent),
                         SVAN_STEP_LATER);
        assert_int_equal(egress->later.deadline, times[i][1] * MS);
    }
    assert_int_equal(COURT_STAT(court, flow_delays), 1);
    svan_frame_free(frame);
}

/* What comes while requests wait is answered, and others send. */
static void who_waits_still_answers(void **state)
{
    Court *court = *state;
    Hall *hall = court->hall;
    HostQp *peer = &court->peers[TO_OTHER];
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = court->memory, .length = 8, .remote = court->memory + 512,
        .rkey = hall->stations[SENDER].host->all_key,
    };

    court->judge.until = hall->fake->now + 100 * MS;
    answers(court, SVAN_VERDICT_LATER);
    post_some(court, TO_OTHER, false);
    fake_run(hall->fake);
    for (uint32_t i = 1; i < 4; i++) {
        host_send(peer, &write);
        host_post(peer);
        fake_run(hall->fake);
        assert_int_equal(completed(&hall->stations[OTHER].send_cq), 1);
        it_waits(court, TO_OTHER, false);
    }
    assert_int_equal(COURT_STAT(court, flow_delays), 1);
}

/* So does one whose turn it was to send first. */
static void in_mid_message_it_answers_as_well(void **state)
{
    Court *court = *state;
    Hall *hall = court->hall;
    HostQp *qp = &court->qps[TO_OTHER], *peer = &court->peers[TO_OTHER];
    HostSend big = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = fake_alloc(hall->fake, 16384, 4096), .length = 16384,
        .remote = fake_alloc(hall->fake, 16384, 4096),
        .rkey = hall->stations[OTHER].host->all_key,
    };
    HostSend small = big;

    small.length = 8;
    small.rkey = hall->stations[SENDER].host->all_key;
    court->judge.until = hall->fake->now + 2 * MS;
    for (uint32_t free = 1; free < 4; free++) {
        answers(court, SVAN_VERDICT_LATER);
        court->judge.free = free;
        host_send(qp, &big);
        host_post(qp);
        fake_run(hall->fake);
        it_waits(court, TO_OTHER, false);
        host_send(peer, &small);
        host_post(peer);
        fake_run(hall->fake);
        assert_int_equal(completed(&hall->stations[OTHER].send_cq), 1);
        fake_advance(hall->fake, 2 * MS);
        assert_int_equal(completed(&hall->stations[SENDER].send_cq), 1);
        court->judge.until = hall->fake->now + 2 * MS;
    }
}

/* Nobody comes back for what is gone. */
static void who_waits_can_be_ended(void **state)
{
    Court *court = *state;
    Hall *hall = court->hall;
    const struct svan_cmd_modify_qp none = { 0 };
    SvanCore *core = hall->fake->core;

    court->judge.until = hall->fake->now + 2 * MS;
    answers(court, SVAN_VERDICT_LATER);
    for (Way way = 0; way < WAYS; way++) {
        post_write(court, way, 1);
    }
    post_frame(hall, SENDER, stranger_mac, 1);
    fake_run(hall->fake);
    assert_int_equal(core->heap_len, 4);
    host_modify(&court->qps[TO_PORT], SVAN_QPS_ERR, 0, &none);
    assert_int_equal(core->heap_len, 3);
    host_modify(&court->qps[TO_OTHER], SVAN_QPS_RESET, 0, &none);
    assert_int_equal(core->heap_len, 2);
    assert_int_equal(host_object(hall->stations[SENDER].host,
                                 SVAN_CMD_DESTROY_QP,
                                 court->qps[TO_SELF].qpn), SVAN_CMD_OK);
    assert_int_equal(core->heap_len, 1);
    svan_reset(core, SENDER);
    assert_int_equal(core->heap_len, 0);
    fake_advance(hall->fake, 4 * MS);
    assert_false(left_by_the_port(hall));
}

/* The judge is asked at once, by whoever loads; here there is none any more. */
static void who_waits_is_tried_again_when_restored(void **state)
{
    Court *court = *state;
    Hall *hall = court->hall;
    uint32_t numbers[MESSAGES];

    court->judge.until = hall->fake->now + 2 * MS;
    answers(court, SVAN_VERDICT_LATER);
    post_write(court, TO_OTHER, 5);
    post_frame(hall, SENDER, stranger_mac, 6);
    fake_run(hall->fake);
    assert_true(fake_restore(hall->fake));
    fake_run(hall->fake);
    assert_int_equal(written(court, TO_OTHER), 5);
    assert_int_equal(port_frames(court, numbers), 1);
    assert_int_equal(numbers[0], 6);
    assert_int_equal(completed(&hall->stations[SENDER].send_cq), 2);
}

static void a_time_that_has_passed_is_no_reason(void **state)
{
    Court *court = *state;

    fake_advance(court->hall->fake, 3 * MS);
    court->judge.until = court->hall->fake->now;
    answers(court, SVAN_VERDICT_LATER);
    post_some(court, TO_OTHER, false);
    fake_run(court->hall->fake);
    all_has_arrived(court, TO_OTHER, false);
    assert_int_equal(COURT_STAT(court, flow_delays), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COURT_TEST(what_may_go_goes),
        COURT_TEST(what_is_dropped_is_lost),
        COURT_TEST(packets_are_marked),
        COURT_TEST(a_mark_counts_once),
        COURT_TEST(frames_are_marked),
        COURT_TEST(what_waits_keeps_its_order),
        COURT_TEST(who_waits_still_answers),
        COURT_TEST(the_earliest_counts),
        COURT_TEST(in_mid_message_it_answers_as_well),
        COURT_TEST(who_waits_can_be_ended),
        COURT_TEST(who_waits_is_tried_again_when_restored),
        COURT_TEST(a_time_that_has_passed_is_no_reason),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
