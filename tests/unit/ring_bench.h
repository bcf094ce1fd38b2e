/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svan-switch in this process, a step at a time, with two ports of rings in shared memory and
 * one of a stream. The test is their peers.
 */
#ifndef TESTS_UNIT_RING_BENCH_H
#define TESTS_UNIT_RING_BENCH_H

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"
#include "switch.h"
#include "unit.h"

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

/* Executes a statement in which @ is the bench's folder. */
static inline bool try_to_say(Bench *bench, const char *text, Error *error)
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

static inline Port *say(Bench *bench, const char *text)
{
    Error error = { "" };

    if (!try_to_say(bench, text, &error)) {
        fail_msg("%s: %s", text, error.text);
    }
    return bench->sw->ports[bench->sw->num_ports - 1];
}

static inline bool is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

/* Does the switch wait for somebody else? */
static inline bool is_idle(Bench *bench)
{
    bool idle = true;

    for (uint32_t i = 0; i < bench->sw->num_ports; i++) {
        idle &= port_turn(bench->sw->ports[i]);
    }
    return idle && net_schedule_next(&bench->sw->schedule) == UINT64_MAX &&
           !is_readable(bench->sw->epoll);
}

static inline void be_nudged(void *arg, uint32_t events)
{
    Bench *bench = arg;
    eventfd_t value;

    eventfd_read(bench->nudge, &value);
}

/* A step that does not wait. */
static inline void step(Bench *bench)
{
    eventfd_write(bench->nudge, 1);
    switch_step(bench->sw);
}

static inline void settle(Bench *bench)
{
    do {
        step(bench);
    } while (!is_idle(bench));
}

/* ---- peers ---- */

static inline const char *path_of(Bench *bench, const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    return path;
}

static inline void shake_hands(Bench *bench, Port *port, SvanWireLink *link)
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

static inline void join(Bench *bench, Port *port, SvanWireLink *link)
{
    svan_wire_open(link, svan_wire_connect(path_of(bench, port->name)), false, 0);
    shake_hands(bench, port, link);
}

static inline bool put(SvanWireLink *link, const void *data, uint32_t len, uint16_t flags)
{
    uint8_t *room = svan_ring_room(&link->tx, len);

    if (!room) {
        return false;
    }
    memcpy(room, data, len);
    svan_ring_put(&link->tx, len, flags);
    return true;
}

static inline void show(SvanWireLink *link)
{
    if (svan_ring_publish(&link->tx)) {
        svan_wire_wake(link);
    }
}

static inline void send_flagged(SvanWireLink *link, const void *data, uint32_t len, uint16_t flags)
{
    assert_true(put(link, data, len, flags));
    show(link);
}

static inline void send_by_stream(int fd, const void *data, uint32_t len)
{
    uint32_t head = htonl(len);

    assert_int_equal(send(fd, &head, sizeof(head), 0), sizeof(head));
    assert_int_equal(send(fd, data, len, 0), len);
}

/* The next frame; 0: none. */
static inline uint32_t take(SvanWireLink *link, uint8_t data[LONGEST])
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

static inline uint32_t take_from_stream(int fd, uint8_t data[LONGEST])
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

static inline void arrives(uint32_t got_len, const uint8_t *got, const uint8_t *data, uint32_t len)
{
    assert_int_equal(got_len, len);
    assert_memory_equal(got, data, len);
}

static inline void arrives_at_link(SvanWireLink *link, const uint8_t *data, uint32_t len)
{
    static uint8_t got[LONGEST];

    arrives(take(link, got), got, data, len);
}

static inline void arrives_at_stream(int fd, const uint8_t *data, uint32_t len)
{
    static uint8_t got[LONGEST];

    arrives(take_from_stream(fd, got), got, data, len);
}

/* A frame with a number; stations are 1 behind a, 2 behind b, 3 behind the stream. */
static inline const uint8_t *numbered(uint8_t to, uint8_t from, uint32_t number)
{
    static uint8_t data[LONGEST] = { 2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x88, 0xb5 };

    data[0] = to == GROUP ? 3 : 2;
    data[5] = to;
    data[11] = from;
    memcpy(data + 14, &number, sizeof(number));
    memset(data + 18, number, sizeof(data) - 18);
    return data;
}

static inline uint32_t number_of(const uint8_t *data)
{
    uint32_t number;

    memcpy(&number, data + 14, sizeof(number));
    return number;
}

/* ---- life ---- */

static inline void drain(Bench *bench)
{
    uint8_t data[LONGEST];

    settle(bench);
    while (take(&bench->a, data) || take(&bench->b, data) ||
           take_from_stream(bench->plain, data)) {
        settle(bench);
    }
}

/* Both rings are up, and the switch knows who is where. */
static inline void join_all(Bench *bench)
{
    join(bench, bench->port_a, &bench->a);
    join(bench, bench->port_b, &bench->b);
    send_flagged(&bench->a, numbered(GROUP, 1, 0), 60, 0);
    send_flagged(&bench->b, numbered(GROUP, 2, 0), 60, 0);
    send_by_stream(bench->plain, numbered(GROUP, 3, 0), 60);
    drain(bench);
}

static inline int bench_setup(void **state)
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

static inline int bench_teardown(void **state)
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

#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

#endif /* TESTS_UNIT_RING_BENCH_H */
