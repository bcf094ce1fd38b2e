/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svan-switch: what a peer sends to a port's socket, or has in a ring, and statements. The
 * first octet says which; frames go through links that have everything done to them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch.h"

#define PORTS           3u

static Switch *sw;
static int peers[PORTS];

static void must(bool done)
{
    if (!done) {
        abort();
    }
}

static void execute(const char *text)
{
    char line[STATEMENT_LEN];
    Error error;

    snprintf(line, sizeof(line), "%s", text);
    must(switch_execute(sw, line, stderr, &error));
}

static void start(void)
{
    Error error;

    sw = switch_new(&error);
    must(sw);
    for (uint32_t i = 0; i < PORTS; i++) {
        char line[64];
        int pair[2];

        must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        peers[i] = pair[0];
        snprintf(line, sizeof(line), "port p%u fd:%d", i, pair[1]);
        execute(line);
    }
    execute("rate=1G delay=1us jitter=1us ecn=red:100:2000:50% loss=5% duplicate=20% "
            "reorder=20%:5us corrupt=10%");
    execute("p0.in rate=1G loss=1% corrupt=10%");
    execute("port ring ring-to:/nobody/listens/here");
}

static void stop(void)
{
    switch_free(sw);
    for (uint32_t i = 0; i < PORTS; i++) {
        close(peers[i]);
    }
}

/* The port has something; whatever it is, it is the port's harm alone. */
static void run(Port *port)
{
    for (uint32_t i = 0; i < 4 && port->fd >= 0; i++) {
        port->kind->receive(port);
        net_schedule_run(&sw->schedule, sw->schedule.now + 1000000);
        for (uint32_t n = 0; n < sw->num_ports; n++) {
            port_turn(sw->ports[n]);
        }
    }
    must(sw->bridge->buffer.used == 0);
    for (uint32_t n = 0; n < PORTS; n++) {
        must(sw->ports[n]->fd >= 0 || sw->ports[n] == port);
    }
}

static void send_to_port(const uint8_t *data, size_t size)
{
    if (size <= PORT_RECEIVE && send(peers[0], data, size, MSG_DONTWAIT) >= 0) {
        run(sw->ports[0]);
    }
}

/* A link that is up, of which somebody else has the other end. The peer's socket. */
static int join_ring(Port *port)
{
    SvanWireLink *link = &port->link;
    int pair[2];

    must(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    *link = (SvanWireLink) {
        .state = SVAN_WIRE_UP, .fd = pair[1], .listener = true, .log_cells = SVAN_RING_MIN_LOG,
        .size = svan_wire_size(SVAN_RING_MIN_LOG),
    };
    link->memory = mmap(NULL, link->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
    must(link->memory != MAP_FAILED);
    svan_rings_init(&link->tx, &link->rx, link->memory, link->log_cells, link->listener);
    port_connected(port, pair[1]);
    return pair[0];
}

/* The peer's indices for both rings, and then its records. */
static void fill_ring(const uint8_t *data, size_t size)
{
    Port *port = sw->ports[PORTS];
    SvanWireLink *link = &port->link;
    struct svan_wire_control *control;
    uint32_t indices[2];
    size_t room;
    int peer;

    if (size < sizeof(indices)) {
        return;
    }
    peer = join_ring(port);
    control = link->memory;
    room = (size_t)SVAN_RING_CELL << link->log_cells;
    memcpy(indices, data, sizeof(indices));
    data += sizeof(indices);
    size -= sizeof(indices);
    memcpy((uint8_t *)link->rx.cells, data, size < room ? size : room);
    control->to_listener.producer.head = indices[0];
    control->to_connector.consumer.tail = indices[1];
    run(port);
    close(peer);
}

/* Those that open files and sockets are left out. */
static void say(const uint8_t *data, size_t size)
{
    char line[STATEMENT_LEN], *shown = NULL;
    size_t len;
    FILE *out;
    Error error = { "" };

    size = size < sizeof(line) ? size : sizeof(line) - 1;
    memcpy(line, data, size);
    line[size] = '\0';
    if (strstr(line, "port") || strstr(line, "capture")) {
        return;
    }
    out = open_memstream(&shown, &len);
    must(out && (switch_execute(sw, line, out, &error) || error.text[0]));
    fclose(out);
    free(shown);
    net_schedule_run(&sw->schedule, sw->schedule.now + 3600000000000ull);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) {
        return 0;
    }
    start();
    if (data[0] & 1) {
        say(data + 1, size - 1);
    } else if (data[0] & 2) {
        fill_ring(data + 1, size - 1);
    } else {
        send_to_port(data + 1, size - 1);
    }
    stop();
    return 0;
}
