/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch in real time: the model's clock follows the machine's, ports join it to
 * sockets.
 *
 *   model/       links and the switch itself, without a clock
 *   settings.h   numbers, units, settings of links
 *   port.h       a port: what joins a socket to the model
 *   capture.h    pcapng of a port
 *   switch.h     all of it together, statements, the loop (this file)
 */
#ifndef SWITCH_SWITCH_H
#define SWITCH_SWITCH_H

#include <stdio.h>

#include "port.h"

#define SWITCH_PORTS            64u
#define SWITCH_BUFFER           (4u << 20)
#define SWITCH_COURSE           256u            /* changes to come, at a time */
#define SWITCH_CLIENTS          8u              /* of the control socket, at a time */
#define STATEMENT_LEN           1024u
#define STATEMENT_WORDS         32u

/* A change of links in the future. */
typedef struct Change {
    Switch *owner;
    bool used;
    LinkChange change;
    uint64_t links;             /* a bit for each port: its outgoing link */
    uint64_t in_links;
    uint64_t length;            /* ns, after which it is undone; 0: never */
    LinkChange saved[2 * SWITCH_PORTS];
} Change;

/* One that talks to the control socket: a statement, its answer, the end. */
typedef struct Client {
    Handler handler;
    Switch *owner;
    int fd;                     /* -1: free */
    char line[STATEMENT_LEN];
    uint32_t len;
    char *answer;
    size_t answer_len, answered;
} Client;

struct Switch {
    NetSchedule schedule;
    NetBridge *bridge;
    uint64_t seed;
    uint64_t buffer;
    uint64_t started;           /* CLOCK_MONOTONIC, ns */
    int epoll, timer;
    uint64_t timer_at;          /* what the timer is set to; UINT64_MAX: nothing */
    Port *ports[SWITCH_PORTS];
    uint32_t num_ports;
    Change course[SWITCH_COURSE];
    Handler control;
    int control_fd;
    Client clients[SWITCH_CLIENTS];
    /* how late events have been */
    uint64_t wakes, late_sum, late_max;
};

Switch *switch_new(Error *error);
void switch_free(Switch *sw);
/* The model's time is the machine's. */
void switch_catch_up(Switch *sw);
/* Waits for what comes next, a signal perhaps, blocked or not, and lets it happen. */
void switch_step(Switch *sw);

/* epoll, level-triggered; events: EPOLLIN, EPOLLOUT, or 0. */
bool switch_watch(Switch *sw, int fd, Handler *handler, uint32_t events);
void switch_rewatch(Switch *sw, int fd, Handler *handler, uint32_t events);

/*
 * One statement, see Documentation/testing/switch.rst; what it has to show goes to out.
 * The line is changed.
 */
bool switch_execute(Switch *sw, char *line, FILE *out, Error *error);
/* Statements of a file. */
bool switch_execute_file(Switch *sw, const char *path, Error *error);

void switch_show(Switch *sw, FILE *out);
void switch_show_json(Switch *sw, FILE *out);

bool control_listen(Switch *sw, const char *path, Error *error);
void control_close(Switch *sw);
/* The client: the exit status. */
int control_call(const char *path, const char *line);

#endif /* SWITCH_SWITCH_H */
