/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports of svan-switch that are rings in shared memory, and their peers: honest ones and others.
 */
#define _GNU_SOURCE
#include "ring_bench.h"

#include "net/wire_ip.h"

/* ---- frames ---- */

static void frames_go_everywhere(void **state)
{
    static const uint32_t lengths[] = { 14, 60, 1514, 9014, LONGEST };
    Bench *bench = *state;

    for (uint32_t i = 0; i < SIZE(lengths); i++) {
        const uint8_t *data = numbered(2, 1, i);

        send_flagged(&bench->a, data, lengths[i], 0);
        settle(bench);
        arrives_at_link(&bench->b, data, lengths[i]);
        data = numbered(3, 2, i);
        send_flagged(&bench->b, data, lengths[i], 0);
        settle(bench);
        arrives_at_stream(bench->plain, data, lengths[i]);
        data = numbered(1, 3, i);
        send_by_stream(bench->plain, data, lengths[i]);
        settle(bench);
        arrives_at_link(&bench->a, data, lengths[i]);
    }
    assert_int_equal(bench->port_a->counts.unsent, 0);
}

/* What is longer than a frame of the ring is dropped; what follows is not. */
static void too_long_for_a_ring(void **state)
{
    static uint8_t data[LONGEST + 1];
    Bench *bench = *state;

    memcpy(data, numbered(1, 3, 7), LONGEST);
    send_by_stream(bench->plain, data, sizeof(data));
    send_by_stream(bench->plain, data, LONGEST);
    settle(bench);
    arrives_at_link(&bench->a, data, LONGEST);
    assert_int_equal(bench->port_a->counts.unsent, 1);
    assert_int_equal(bench->port_a->counts.connections, 1);
}

/* ---- packets without an ICRC ---- */

static SvanPkt packet(bool ipv4, bool has_vlan, uint32_t payload_len)
{
    static uint8_t payload[LONGEST] = { 0x5a, 0xa5, 1, 2, 3 };
    SvanPkt pkt = {
        .addr = { .smac = { 2, 0, 0, 0, 0, 1 }, .dmac = { 3, 0, 0, 0, 0, GROUP },
                  .has_vlan = has_vlan, .vlan = 5, .ipv4 = ipv4, .hop_limit = 64,
                  .traffic_class = 2, .udp_sport = 49152 },
        .opcode = SVAN_OP_SEND_ONLY, .pkey = SVAN_PKEY_DEFAULT, .dqpn = 7, .psn = 9,
        .ack_req = true, .payload_len = payload_len, .num_runs = 1,
        .runs[0] = { .host = payload, .len = payload_len },
    };

    svan_gid_from_ipv4(pkt.addr.sgid, (const uint8_t [4]) { 10, 0, 0, 1 });
    svan_gid_from_ipv4(pkt.addr.dgid, (const uint8_t [4]) { 10, 0, 0, 2 });
    if (!ipv4) {
        memset(pkt.addr.sgid, 0xfd, 16);
        memset(pkt.addr.dgid, 0xfe, 16);
    }
    return pkt;
}

/* Everybody but the sender gets the frame, and so does a capture. */
static void reaches_all(Bench *bench, const SvanFrame *sent, uint16_t flags,
                        const SvanFrame *expected)
{
    char text[4096 + 512];
    size_t len;
    FILE *file;

    say(bench, "capture a @a.pcapng");
    send_flagged(&bench->a, sent->data, sent->len, flags);
    settle(bench);
    say(bench, "capture a off");
    arrives_at_link(&bench->b, expected->data, expected->len);
    arrives_at_stream(bench->plain, expected->data, expected->len);
    file = fopen(path_of(bench, "a.pcapng"), "rb");
    len = fread(text, 1, sizeof(text), file);
    fclose(file);
    unlink(path_of(bench, "a.pcapng"));
    assert_non_null(memmem(text, len, expected->data, expected->len));
}

static void icrc_is_computed(void **state)
{
    Bench *bench = *state;

    for (uint32_t i = 0; i < 8; i++) {
        SvanPkt pkt = packet(i & 1, i & 2, i & 4 ? 1023 : 0);
        SvanFrame *without = svan_pkt_encode_no_icrc(&pkt), *with = svan_pkt_encode(&pkt);

        assert_int_equal(svan_pkt_decode(without, &pkt), SVAN_DECODE_BAD_ICRC);
        assert_int_equal(svan_pkt_decode(with, &pkt), SVAN_DECODE_OK);
        reaches_all(bench, without, SVAN_RING_NO_ICRC, with);
        /* whoever says nothing about it has one, be it wrong */
        reaches_all(bench, without, 0, without);
        svan_frame_free(without);
        svan_frame_free(with);
    }
}

/* The flag of a frame that is no packet, or not a whole one, changes nothing. */
static void icrc_of_nonsense(void **state)
{
    SvanPkt pkt = packet(true, false, 0);
    SvanFrame *frame = svan_pkt_encode_no_icrc(&pkt);
    uint32_t whole = frame->len;
    Bench *bench = *state;

    for (frame->len = NET_FRAME_MIN; frame->len < whole; frame->len++) {
        reaches_all(bench, frame, SVAN_RING_NO_ICRC, frame);
    }
    frame->data[12] = 0x12;
    reaches_all(bench, frame, SVAN_RING_NO_ICRC, frame);
    svan_frame_free(frame);
}

/* ---- peers come and go ---- */

static void traffic_goes_on(Bench *bench)
{
    const uint8_t *data = numbered(3, 2, 77);

    send_flagged(&bench->b, data, 60, 0);
    settle(bench);
    arrives_at_stream(bench->plain, data, 60);
    data = numbered(2, 3, 78);
    send_by_stream(bench->plain, data, 60);
    settle(bench);
    arrives_at_link(&bench->b, data, 60);
}

static void comes_back(Bench *bench, SvanWireLink *link)
{
    const uint8_t *data = numbered(2, 1, 79);

    svan_wire_close(link);
    join(bench, bench->port_a, link);
    send_flagged(link, data, 60, 0);
    settle(bench);
    arrives_at_link(&bench->b, data, 60);
}

/* What it has left is taken, as far as a turn goes, and what is not is counted. */
static void peer_goes_and_comes_back(void **state)
{
    enum { FRAMES = 1000 };
    uint8_t data[LONGEST];
    uint32_t arrived = 0;
    Bench *bench = *state;

    for (uint32_t i = 0; i < FRAMES; i++) {
        assert_true(put(&bench->a, numbered(2, 1, i), 60, 0));
    }
    show(&bench->a);
    svan_wire_close(&bench->a);
    settle(bench);
    assert_int_equal(bench->port_a->fd, -1);
    assert_false(bench->port_a->bridge->up);
    while (take(&bench->b, data)) {
        assert_int_equal(number_of(data), arrived++);
    }
    assert_in_range(arrived, 1, FRAMES - 1);
    assert_int_equal(arrived + bench->port_a->counts.left, FRAMES);
    for (uint32_t i = 0; i < 3; i++) {
        traffic_goes_on(bench);
        comes_back(bench, &bench->a);
    }
    assert_int_equal(bench->port_a->counts.connections, 4);
    assert_int_equal(bench->port_a->counts.broken, 0);
}

/* What happens meanwhile, until somebody connects. */
static int accept_from(Bench *bench, int listener)
{
    struct pollfd p[] = {
        { .fd = listener, .events = POLLIN }, { .fd = bench->sw->epoll, .events = POLLIN },
    };

    for (;;) {
        int fd;

        settle(bench);
        fd = svan_wire_accept(listener);
        if (fd >= 0) {
            return fd;
        }
        poll(p, SIZE(p), -1);
    }
}

static int listen_at(Bench *bench, const char *name)
{
    const char *why;
    int fd = svan_wire_listen(path_of(bench, name), &why);

    assert_true(fd >= 0);
    return fd;
}

/* A port that connects does so when somebody listens, and again. */
static void port_connects(void **state)
{
    Bench *bench = *state;
    Port *port = say(bench, "port c ring-to:@c");
    int listener = listen_at(bench, "c");

    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t *data = numbered(GROUP, 4, i);
        SvanWireLink link;

        svan_wire_open(&link, accept_from(bench, listener), true, SVAN_RING_MIN_LOG);
        shake_hands(bench, port, &link);
        send_flagged(&link, data, 60, 0);
        settle(bench);
        arrives_at_link(&bench->a, data, 60);
        arrives_at_link(&bench->b, data, 60);
        arrives_at_stream(bench->plain, data, 60);
        data = numbered(4, 1, i);
        send_flagged(&bench->a, data, 1514, 0);
        settle(bench);
        arrives_at_link(&link, data, 1514);
        svan_wire_close(&link);
        settle(bench);
        assert_int_equal(port->fd, -1);
    }
    assert_int_equal(port->counts.connections, 2);
    close(listener);
    unlink(path_of(bench, "c"));
}

/* One that says nothing holds its place for a while; one that talks nonsense does not. */
static void handshake_has_a_limit(void **state)
{
    Bench *bench = *state;
    Port *port = bench->port_a;
    int silent, second;

    svan_wire_close(&bench->a);
    settle(bench);
    silent = svan_wire_connect(path_of(bench, "a"));
    settle(bench);
    second = svan_wire_connect(path_of(bench, "a"));
    settle(bench);
    assert_true(is_readable(second));
    assert_int_equal(port->counts.refused, 1);
    assert_false(is_readable(silent));
    assert_in_range(port->retry_at - bench->sw->schedule.now, 1, 5000000000ull);
    port->retry_at = bench->sw->schedule.now;       /* that was the time */
    settle(bench);
    assert_true(is_readable(silent));
    assert_int_equal(port->counts.refused, 2);
    close(silent);
    close(second);
    silent = svan_wire_connect(path_of(bench, "a"));
    assert_int_equal(send(silent, "GET / HTTP/1.0", 14, 0), 14);
    settle(bench);
    assert_int_equal(port->counts.refused, 3);
    close(silent);
    traffic_goes_on(bench);
    comes_back(bench, &bench->a);
}

static void errors_are_told(void **state)
{
    static const char *const wrong[][2] = {
        { "port x ring:", "1 to 107 characters" },
        { "port x ring-to:", "1 to 107 characters" },
        { "port x ring:@a", "in use" },
        { "port x ring:@no/such/folder", "No such file" },
        { "port x ring-to:/dev/null", "non-socket" },
        { "port x rung:@x", "ring-to:" },
    };
    Bench *bench = *state;

    for (uint32_t i = 0; i < SIZE(wrong); i++) {
        Error error = { "" };

        assert_false(try_to_say(bench, wrong[i][0], &error));
        if (!strcasestr(error.text, wrong[i][1])) {
            fail_msg("%s: %s", wrong[i][0], error.text);
        }
    }
    traffic_goes_on(bench);
}

/* ---- hostile peers ---- */

typedef void Attack(SvanWireLink *link);

static struct svan_wire_control *words(SvanWireLink *link)
{
    return link->memory;
}

static void head_far_away(SvanWireLink *link)
{
    words(link)->to_listener.producer.head = svan_cpu_to_le32(link->tx.head + CELLS + 1);
}

static void head_goes_back(SvanWireLink *link)
{
    words(link)->to_listener.producer.head = svan_cpu_to_le32(link->tx.head - 1);
}

static void publish_record(SvanWireLink *link, uint32_t length, uint16_t flags)
{
    uint32_t cell = link->tx.head & (CELLS - 1);
    struct svan_ring_record record = {
        .length = svan_cpu_to_le32(length), .flags = svan_cpu_to_le16(flags),
    };

    memcpy(link->tx.cells + cell * SVAN_RING_CELL, &record, sizeof(record));
    words(link)->to_listener.producer.head = svan_cpu_to_le32(link->tx.head + 1);
}

static void no_length(SvanWireLink *link)
{
    publish_record(link, 0, 0);
}

static void runt(SvanWireLink *link)
{
    publish_record(link, NET_FRAME_MIN - 1, 0);
}

static void longer_than_published(SvanWireLink *link)
{
    publish_record(link, 1000, 0);
}

static void longer_than_any(SvanWireLink *link)
{
    publish_record(link, UINT32_MAX, 0);
}

static void flags_of_the_future(SvanWireLink *link)
{
    publish_record(link, 60, 0x8000);
}

static void pad_past_the_end(SvanWireLink *link)
{
    publish_record(link, 0, SVAN_RING_PAD);
}

static void says_something(SvanWireLink *link)
{
    assert_int_equal(send(link->fd, "hello", 5, 0), 5);
}

static void peer_is_hostile(void **state)
{
    static const struct {
        Attack *attack;
        bool breaks;            /* the ring; else the socket */
    } rows[] = {
        { head_far_away, true }, { head_goes_back, true }, { no_length, true },
        { runt, true }, { longer_than_published, true }, { longer_than_any, true },
        { flags_of_the_future, true }, { pad_past_the_end, true }, { says_something, false },
    };
    Bench *bench = *state;
    uint64_t broken = 0;

    for (uint32_t i = 0; i < SIZE(rows); i++) {
        rows[i].attack(&bench->a);
        svan_wire_wake(&bench->a);
        settle(bench);
        broken += rows[i].breaks;
        assert_int_equal(bench->port_a->fd, -1);
        assert_int_equal(bench->port_a->counts.broken, broken);
        traffic_goes_on(bench);
        comes_back(bench, &bench->a);
    }
}

/* It takes nothing until the ring is full, and then says that it has taken what it has not. */
static void tail_far_away(void **state)
{
    Bench *bench = *state;

    while (!bench->port_a->blocked) {
        send_by_stream(bench->plain, numbered(1, 3, 0), 9014);
        settle(bench);
    }
    words(&bench->a)->to_connector.consumer.tail = svan_cpu_to_le32(2 * CELLS);
    svan_wire_wake(&bench->a);
    settle(bench);
    assert_int_equal(bench->port_a->fd, -1);
    assert_int_equal(bench->port_a->counts.broken, 1);
    assert_int_equal(bench->port_a->counts.unsent, 1);
    traffic_goes_on(bench);
    comes_back(bench, &bench->a);
}

/* Wakes without reason, and without end, as far as the socket takes them. */
static void wakes_without_reason(void **state)
{
    Bench *bench = *state;

    for (uint32_t i = 0; i < 10000; i++) {
        svan_wire_wake(&bench->a);
    }
    traffic_goes_on(bench);
    assert_true(bench->port_a->fd >= 0);
}

/* ---- full rings, sleep and wakes ---- */

/* A peer that takes nothing: its ring fills, then what the port holds for it. */
static void outgoing_ring_is_full(void **state)
{
    enum { FRAMES = 1000, LENGTH = 9014 };
    uint8_t data[LONGEST];
    uint32_t arrived = 0, last = 0;
    Bench *bench = *state;
    Port *port = bench->port_a;

    for (uint32_t i = 0; i < FRAMES; i++) {
        send_flagged(&bench->b, numbered(1, 2, i), LENGTH, 0);
        settle(bench);
    }
    assert_true(port->blocked);
    assert_in_range(port->counts.unsent, 1, FRAMES / 2);
    assert_in_range(port->num_pending, 1, PORT_PENDING / LENGTH);
    traffic_goes_on(bench);
    /* the port has asked for a wake; without it nothing moves */
    assert_int_equal(take(&bench->a, data), LENGTH);
    assert_int_equal(number_of(data), arrived++);
    assert_true(is_readable(bench->sw->epoll));
    settle(bench);
    while (take(&bench->a, data)) {
        last = number_of(data);
        assert_in_range(last, arrived, FRAMES - 1);
        arrived++;
        settle(bench);
    }
    assert_int_equal(port->num_pending, 0);
    assert_int_equal(arrived + port->counts.unsent, FRAMES);
    assert_in_range(last, FRAMES / 3, FRAMES - 1);
}

/* Steps that may wait; frames are lost at once, so nothing else makes the switch go on. */
static void more_than_a_turn_takes(void **state)
{
    enum { FRAMES = 1000 };
    Bench *bench = *state;

    say(bench, "a.in loss=100%");
    for (uint32_t i = 0; i < FRAMES; i++) {
        assert_true(put(&bench->a, numbered(2, 1, i), 60, 0));
    }
    show(&bench->a);
    while (bench->port_a->in.counts.lost < FRAMES / 2) {
        switch_step(bench->sw);
    }
}

/* A port whose incoming link is full hears that its peer has taken something. */
static void takes_while_it_is_held(Bench *bench)
{
    enum { LENGTH = 9014 };
    uint8_t data[LONGEST];
    uint32_t sent = 0, arrived = 0;
    Port *port = bench->port_a;

    for (; !port->blocked; sent++) {
        send_flagged(&bench->b, numbered(1, 2, sent), LENGTH, 0);
        step(bench);
        step(bench);
    }
    while (arrived < sent) {
        while (take(&bench->a, data)) {
            assert_int_equal(number_of(data), arrived++);
        }
        assert_true(port->waiting);
        step(bench);
    }
    assert_int_equal(port->counts.unsent, 0);
}

/* A port whose link has no room leaves frames where they are, and loses none. */
static void incoming_link_is_full(void **state)
{
    enum { FRAMES = 200, LENGTH = 1514 };
    uint8_t data[LONGEST];
    Bench *bench = *state;
    Port *port = bench->port_a;
    uint32_t taken, arrived = 0;

    say(bench, "a.in rate=10k");        /* a frame a second */
    for (uint32_t i = 0; i < FRAMES; i++) {
        assert_true(put(&bench->a, numbered(2, 1, i), LENGTH, 0));
    }
    show(&bench->a);
    while (!port->waiting) {
        switch_step(bench->sw);
    }
    taken = svan_le32_to_cpu(words(&bench->a)->to_listener.consumer.tail) /
            svan_ring_cells(LENGTH);
    assert_in_range(taken, PORT_BACKLOG / LENGTH, PORT_BACKLOG / LENGTH + 2);
    takes_while_it_is_held(bench);
    say(bench, "a.in rate=none");
    settle(bench);
    while (take(&bench->b, data)) {
        assert_int_equal(number_of(data), arrived++);
    }
    assert_int_equal(arrived, FRAMES);
    assert_int_equal(port->in.counts.frames, FRAMES + 1);       /* that of join_all() */
    assert_int_equal(port->in.counts.full, 0);
}

/* The switch sleeps until it is woken, and says so. */
static void switch_sleeps(void **state)
{
    const uint8_t *data = numbered(2, 1, 5);
    Bench *bench = *state;

    for (uint32_t i = 0; i < 3; i++) {
        assert_true(put(&bench->a, data, 60, 0));
        assert_true(svan_ring_publish(&bench->a.tx));
        assert_false(is_readable(bench->sw->epoll));
        svan_wire_wake(&bench->a);
        assert_true(is_readable(bench->sw->epoll));
        settle(bench);
        arrives_at_link(&bench->b, data, 60);
    }
}

/* A peer that sleeps is woken once, one that does not is left alone. */
static void peer_sleeps(void **state)
{
    const uint8_t *data = numbered(2, 1, 6);
    Bench *bench = *state;

    for (uint32_t i = 0; i < 3; i++) {
        uint8_t wakes[4];

        assert_true(svan_ring_sleep(&bench->b.rx));
        for (uint32_t n = 0; n < 2; n++) {
            send_flagged(&bench->a, data, 60, 0);
            settle(bench);
        }
        assert_int_equal(recv(bench->b.fd, wakes, sizeof(wakes), MSG_DONTWAIT), 1);
        assert_int_equal(recv(bench->b.fd, wakes, sizeof(wakes), MSG_DONTWAIT), -1);
        svan_ring_stay_awake(&bench->b.rx);
        send_flagged(&bench->a, data, 60, 0);
        settle(bench);
        assert_false(is_readable(bench->b.fd));
        for (uint32_t n = 0; n < 3; n++) {
            arrives_at_link(&bench->b, data, 60);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PORT_TEST(frames_go_everywhere),
        PORT_TEST(too_long_for_a_ring),
        PORT_TEST(icrc_is_computed),
        PORT_TEST(icrc_of_nonsense),
        PORT_TEST(peer_goes_and_comes_back),
        PORT_TEST(port_connects),
        PORT_TEST(handshake_has_a_limit),
        PORT_TEST(errors_are_told),
        PORT_TEST(peer_is_hostile),
        PORT_TEST(tail_far_away),
        PORT_TEST(wakes_without_reason),
        PORT_TEST(outgoing_ring_is_full),
        PORT_TEST(more_than_a_turn_takes),
        PORT_TEST(incoming_link_is_full),
        PORT_TEST(switch_sleeps),
        PORT_TEST(peer_sleeps),
    };

    return cmocka_run_group_tests_name("port_ring", tests, NULL, NULL);
}
