/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svan-switch: what a peer sends to a port's socket, and statements. The first octet says
 * which; frames go through links that have everything done to them.
 */
#include <stdlib.h>
#include <string.h>
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
}

static void stop(void)
{
    switch_free(sw);
    for (uint32_t i = 0; i < PORTS; i++) {
        close(peers[i]);
    }
}

static void send_to_port(const uint8_t *data, size_t size)
{
    Port *port = sw->ports[0];

    if (size > PORT_RECEIVE || send(peers[0], data, size, MSG_DONTWAIT) < 0) {
        return;
    }
    for (uint32_t i = 0; i < 4 && port->fd >= 0; i++) {
        port->kind->receive(port);
        net_schedule_run(&sw->schedule, sw->schedule.now + 1000000);
        for (uint32_t n = 0; n < PORTS; n++) {
            port_turn(sw->ports[n]);
        }
    }
    must(sw->bridge->buffer.used == 0);
    for (uint32_t n = 1; n < PORTS; n++) {
        must(sw->ports[n]->fd >= 0);
    }
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
    } else {
        send_to_port(data + 1, size - 1);
    }
    stop();
    return 0;
}
