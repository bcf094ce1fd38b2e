/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clock, what is waited for, and the life of the switch.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"

#define NS_PER_S        1000000000ull
#define EVENTS          64

static uint64_t clock_now(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

Switch *switch_new(Error *error)
{
    Switch *sw = calloc(1, sizeof(*sw));

    if (!sw) {
        error_set(error, "no memory");
        return NULL;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    sw->started = clock_now(CLOCK_MONOTONIC);
    sw->seed = 1;
    sw->buffer = SWITCH_BUFFER;
    sw->timer_at = UINT64_MAX;
    sw->control_fd = -1;
    sw->bridge = net_bridge_new(&sw->schedule, 0, SWITCH_PORTS, sw->buffer, sw->seed);
    sw->epoll = epoll_create1(EPOLL_CLOEXEC);
    sw->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    for (uint32_t i = 0; i < SWITCH_CLIENTS; i++) {
        sw->clients[i].fd = -1;
    }
    if (!sw->bridge || sw->epoll < 0 || sw->timer < 0 ||
        !switch_watch(sw, sw->timer, NULL, EPOLLIN)) {
        error_set(error, "cannot start: %s", strerror(errno));
        return NULL;
    }
    for (uint32_t i = 0; i < SWITCH_PORTS; i++) {
        sw->bridge->ports[i].up = false;
    }
    return sw;
}

void switch_free(Switch *sw)
{
    net_schedule_fini(&sw->schedule);
    control_close(sw);
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        port_free(sw->ports[i]);
    }
    net_bridge_free(sw->bridge);
    close(sw->epoll);
    close(sw->timer);
    free(sw);
}

/* ---- what is waited for ---- */

bool switch_watch(Switch *sw, int fd, Handler *handler, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = handler };

    return !epoll_ctl(sw->epoll, EPOLL_CTL_ADD, fd, &event);
}

void switch_rewatch(Switch *sw, int fd, Handler *handler, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = handler };

    epoll_ctl(sw->epoll, handler ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, &event);
}

/* When something has to be done, if nothing comes before; the model's time. */
static uint64_t next_time(Switch *sw)
{
    uint64_t next = net_schedule_next(&sw->schedule);

    for (uint32_t i = 0; i < sw->num_ports; i++) {
        const Port *port = sw->ports[i];

        if (port->fd < 0 && port->kind->retry && port->retry_at < next) {
            next = port->retry_at;
        }
    }
    return next;
}

static void set_timer(Switch *sw)
{
    uint64_t next = next_time(sw);
    struct itimerspec spec = { 0 };

    if (next == sw->timer_at) {
        return;
    }
    sw->timer_at = next;
    if (next != UINT64_MAX) {
        next += sw->started;
        spec.it_value.tv_sec = next / NS_PER_S;
        spec.it_value.tv_nsec = next % NS_PER_S;
    }
    timerfd_settime(sw->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

void switch_catch_up(Switch *sw)
{
    uint64_t now = clock_now(CLOCK_MONOTONIC) - sw->started;
    uint64_t next = net_schedule_next(&sw->schedule);

    if (next <= now) {
        uint64_t late = now - next;

        sw->wakes++;
        sw->late_sum += late;
        sw->late_max = late > sw->late_max ? late : sw->late_max;
    }
    net_schedule_run(&sw->schedule, now);
}

void switch_step(Switch *sw)
{
    sigset_t none;
    struct epoll_event events[EVENTS];
    uint64_t expirations;
    bool wait = true;
    int num;

    switch_catch_up(sw);
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        wait &= port_turn(sw->ports[i]);
    }
    set_timer(sw);
    sigemptyset(&none);
    num = epoll_pwait(sw->epoll, events, EVENTS, wait ? -1 : 0, &none);
    switch_catch_up(sw);
    for (int i = 0; i < num; i++) {
        Handler *handler = events[i].data.ptr;

        if (handler) {
            handler->ready(handler->arg, events[i].events);
        } else if (read(sw->timer, &expirations, sizeof(expirations)) > 0) {
            sw->timer_at = UINT64_MAX;
        }
    }
}
