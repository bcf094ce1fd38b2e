/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports of svan-switch that are rings in shared memory. The switch runs in this process, a
 * step at a time; the tests are its peers, honest ones and others.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "net/wire_ip.h"
#include "switch.h"

#define LIMIT           20      /* seconds, after which a test is killed */
#define LONGEST         SVAN_RING_MAX_FRAME
#define CELLS           (1u << SVAN_WIRE_LOG_CELLS)
#define GROUP           0xff

typedef struct Bench {
    char folder[32];
    unsigned descriptors;
    Switch *sw;
    Port *port_a, *port_b, *port_plain;
    SvanWireLink a, b;          /* peers of the ports of rings */
    int plain;                  /* the peer of a port of a stream */
    int nudge;                  /* an eventfd: the switch does not wait */
    Handler nudged;
} Bench;

/* ---- the switch ---- */

static unsigned count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

/* Executes a statement in which @ is the bench's folder. */
static bool try_to_say(Bench *bench, const char *text, Error *error)
{
    const char *at = strchr(text, '@');
    char line[STATEMENT_LEN];

    if (at) {
        snprintf(line, sizeof(line), "%.*s%s/%s", (int)(at - text), text, bench->folder, at + 1);
    } else {
        snprintf(line, sizeof(line), "%s", text);
    }
    return switch_execute(bench->sw, line, stderr, error);
}

static Port *say(Bench *bench, const char *text)
{
    Error error = { "" };

    if (!try_to_say(bench, text, &error)) {
        fail_msg("%s: %s", text, error.text);
    }
    return bench->sw->ports[bench->sw->num_ports - 1];
}

static bool is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

/* Does the switch wait for somebody else? */
static bool is_idle(Bench *bench)
{
    bool idle = true;

    for (uint32_t i = 0; i < bench->sw->num_ports; i++) {
        idle &= port_turn(bench->sw->ports[i]);
    }
    return idle && net_schedule_next(&bench->sw->schedule) == UINT64_MAX &&
           !is_readable(bench->sw->epoll);
}

static void be_nudged(void *arg, uint32_t events)
{
    Bench *bench = arg;
    eventfd_t value;

    eventfd_read(bench->nudge, &value);
}

/* A step that does not wait. */
static void step(Bench *bench)
{
    eventfd_write(bench->nudge, 1);
    switch_step(bench->sw);
}

static void settle(Bench *bench)
{
    do {
        step(bench);
    } while (!is_idle(bench));
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

/* ---- peers ---- */

static const char *path_of(Bench *bench, const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    return path;
}

static void shake_hands(Bench *bench, Port *port, SvanWireLink *link)
{
    while (link->state != SVAN_WIRE_UP || port->fd < 0) {
        if (link->state != SVAN_WIRE_UP) {
            if (svan_wire_handshake(link) == SVAN_WIRE_FAILED) {
                fail_msg("%s: %s", port->name, link->error);
            }
        }
        settle(bench);
    }
}

static void join(Bench *bench, Port *port, SvanWireLink *link)
{
    svan_wire_open(link, svan_wire_connect(path_of(bench, port->name)), false, 0);
    shake_hands(bench, port, link);
}

static bool put(SvanWireLink *link, const void *data, uint32_t len, uint16_t flags)
{
    uint8_t *room = svan_ring_room(&link->tx, len);

    if (!room) {
        return false;
    }
    memcpy(room, data, len);
    svan_ring_put(&link->tx, len, flags);
    return true;
}

static void show(SvanWireLink *link)
{
    if (svan_ring_publish(&link->tx)) {
        svan_wire_wake(link);
    }
}

static void send_flagged(SvanWireLink *link, const void *data, uint32_t len, uint16_t flags)
{
    assert_true(put(link, data, len, flags));
    show(link);
}

static void send_by_stream(int fd, const void *data, uint32_t len)
{
    uint32_t head = htonl(len);

    assert_int_equal(send(fd, &head, sizeof(head), 0), sizeof(head));
    assert_int_equal(send(fd, data, len, 0), len);
}

/* The next frame; 0: none. */
static uint32_t take(SvanWireLink *link, uint8_t data[LONGEST])
{
    SvanRingFrame frame;

    if (!svan_ring_next(&link->rx, &frame)) {
        assert_false(link->rx.broken);
        return 0;
    }
    assert_int_equal(frame.flags, 0);
    memcpy(data, frame.data, frame.length);
    svan_ring_take(&link->rx);
    if (svan_ring_release(&link->rx)) {
        svan_wire_wake(link);
    }
    return frame.length;
}

static uint32_t take_from_stream(int fd, uint8_t data[LONGEST])
{
    uint32_t len;

    if (recv(fd, &len, sizeof(len), MSG_DONTWAIT) != sizeof(len)) {
        return 0;
    }
    len = ntohl(len);
    assert_in_range(len, NET_FRAME_MIN, LONGEST);
    assert_int_equal(recv(fd, data, len, MSG_WAITALL), len);
    return len;
}

static void arrives(uint32_t got_len, const uint8_t *got, const uint8_t *data, uint32_t len)
{
    assert_int_equal(got_len, len);
    assert_memory_equal(got, data, len);
}

static void arrives_at_link(SvanWireLink *link, const uint8_t *data, uint32_t len)
{
    static uint8_t got[LONGEST];

    arrives(take(link, got), got, data, len);
}

static void arrives_at_stream(int fd, const uint8_t *data, uint32_t len)
{
    static uint8_t got[LONGEST];

    arrives(take_from_stream(fd, got), got, data, len);
}

/* A frame with a number; stations are 1 behind a, 2 behind b, 3 behind the stream. */
static const uint8_t *numbered(uint8_t to, uint8_t from, uint32_t number)
{
    static uint8_t data[LONGEST] = { 2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x88, 0xb5 };

    data[0] = to == GROUP ? 3 : 2;
    data[5] = to;
    data[11] = from;
    memcpy(data + 14, &number, sizeof(number));
    memset(data + 18, number, sizeof(data) - 18);
    return data;
}

static uint32_t number_of(const uint8_t *data)
{
    uint32_t number;

    memcpy(&number, data + 14, sizeof(number));
    return number;
}

/* ---- life ---- */

static void drain(Bench *bench)
{
    uint8_t data[LONGEST];

    settle(bench);
    while (take(&bench->a, data) || take(&bench->b, data) ||
           take_from_stream(bench->plain, data)) {
        settle(bench);
    }
}

/* Both rings are up, and the switch knows who is where. */
static void join_all(Bench *bench)
{
    join(bench, bench->port_a, &bench->a);
    join(bench, bench->port_b, &bench->b);
    send_flagged(&bench->a, numbered(GROUP, 1, 0), 60, 0);
    send_flagged(&bench->b, numbered(GROUP, 2, 0), 60, 0);
    send_by_stream(bench->plain, numbered(GROUP, 3, 0), 60);
    drain(bench);
}

static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));
    char text[32];
    int pair[2];
    Error error;

    alarm(LIMIT);
    strcpy(bench->folder, "/tmp/svan-port-XXXXXX");
    bench->descriptors = count_descriptors();
    bench->sw = switch_new(&error);
    bench->a.fd = bench->b.fd = -1;
    if (!mkdtemp(bench->folder) || !bench->sw || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
        return -1;
    }
    bench->nudge = eventfd(0, 0);
    bench->nudged = (Handler) { be_nudged, bench };
    switch_watch(bench->sw, bench->nudge, &bench->nudged, EPOLLIN);
    bench->plain = pair[0];
    snprintf(text, sizeof(text), "port plain fd:%d", pair[1]);
    bench->port_plain = say(bench, text);
    bench->port_a = say(bench, "port a ring:@a");
    bench->port_b = say(bench, "port b ring:@b");
    join_all(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;
    unsigned left, before = bench->descriptors;

    svan_wire_close(&bench->a);
    svan_wire_close(&bench->b);
    close(bench->plain);
    close(bench->nudge);
    switch_free(bench->sw);
    left = count_descriptors();
    unlink(path_of(bench, "a"));
    unlink(path_of(bench, "b"));
    rmdir(bench->folder);
    free(bench);
    alarm(0);
    if (left != before) {
        print_error("%u descriptors before, %u after\n", before, left);
    }
    return left == before ? 0 : -1;
}

#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
