/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DCQCN packet by packet, written from the publications alone, in floating point: the same
 * bottleneck as dcqcn_world.c, without a device, a switch or a protocol. It shares no code with
 * them.
 *
 * usage: dcqcn_reference SENDERS LOOP_US RUN_MS STAGGER_US SEED red|even|ramp PACKET_OCTETS
 *
 * Prints the mean of the queue over the last half of the run (octets), and its standard
 * deviation as a fraction of that.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE            40e9            /* bit/s */
#define KMIN            5e3
#define KMAX            200e3
#define PMAX            0.01
#define G               (1 / 256.0)
#define ADDITIVE        40e6
#define HYPER           400e6
#define TIMER           55e-6
#define BYTES           10e6
#define FAST            5
#define INTERVAL        50e-6           /* of CNPs, and of decreases */
#define PENDING         64              /* CNPs on their way to one sender */
#define NEVER           1e18
#define ROOM            (1u << 17)      /* packets that wait */

typedef struct Flow {
    double next;                /* its next packet, s */
    double current, target, alpha, sent;
    double increase_at, alpha_at, decrease_at, cnp_from;
    double cnps[PENDING];       /* when they arrive */
    unsigned head, tail;
    int times, bytes;           /* stages */
    bool limited, notified, due;
} Flow;

typedef struct Run {
    Flow *flows;
    int senders;
    double loop, packet;
    bool evenly, ramp;
    Flow **queue;               /* whose packet waits where; a ring */
    unsigned head, tail;
    double leaves;              /* when the first of them has left; NEVER: there is none */
    double marks_due;
    double looked_at, sum, squares, samples;
} Run;

static void increase(Flow *flow)
{
    if (flow->times > FAST || flow->bytes > FAST) {
        flow->target += flow->times > FAST && flow->bytes > FAST ? HYPER : ADDITIVE;
    }
    flow->target = fmin(flow->target, RATE);
    flow->current = (flow->current + flow->target) / 2;
}

static void decrease(Flow *flow, double now)
{
    flow->target = flow->current;
    flow->current *= 1 - flow->alpha / 2;
    flow->times = flow->bytes = 0;
    flow->sent = 0;
    flow->due = false;
    flow->increase_at = now + TIMER;
    flow->decrease_at = now + INTERVAL;
}

static void notified(Flow *flow, double now)
{
    flow->head++;
    if (!flow->limited) {
        flow->limited = true;
        flow->alpha_at = now + TIMER;
    }
    flow->notified = true;
    if (now >= flow->decrease_at) {
        decrease(flow, now);
    } else {
        flow->due = true;
    }
}

/* What happens to the flow next, before `until`. false: nothing. */
static bool happens(Flow *flow, double until)
{
    double cnp = flow->head != flow->tail ? flow->cnps[flow->head % PENDING] : NEVER;
    double alpha = flow->limited ? flow->alpha_at : NEVER;
    double rise = flow->limited ? flow->increase_at : NEVER;
    double fall = flow->due ? flow->decrease_at : NEVER;
    double first = fmin(fmin(cnp, alpha), fmin(rise, fall));

    if (first > until) {
        return false;
    }
    if (first == cnp) {
        notified(flow, cnp);
    } else if (first == alpha) {
        flow->alpha += flow->notified ? (1 - flow->alpha) * G : -flow->alpha * G;
        flow->notified = false;
        flow->alpha_at += TIMER;
    } else if (first == fall) {
        decrease(flow, fall);
    } else {
        flow->times++;
        flow->increase_at += TIMER;
        increase(flow);
    }
    return true;
}

static double octets(const Run *run)
{
    return (run->tail - run->head) * run->packet;
}

static bool is_marked(Run *run)
{
    double queue = octets(run);
    double p = queue <= KMIN ? 0 : queue > KMAX && !run->ramp ? 1 :
               fmin((queue - KMIN) / (KMAX - KMIN) * PMAX, 1);

    if (!run->evenly) {
        return drand48() < p;
    }
    run->marks_due += p;
    if (run->marks_due < 1) {
        return false;
    }
    run->marks_due = p < 1 ? run->marks_due - 1 : 0;
    return true;
}

/* The queue is looked at each microsecond of the last half of the run. */
static void look(Run *run, double now)
{
    for (; run->looked_at < now; run->looked_at += 1e-6) {
        run->sum += octets(run);
        run->squares += octets(run) * octets(run);
        run->samples++;
    }
}

/* It is marked as it leaves, by what waits behind it. */
static void leave(Run *run)
{
    Flow *flow = run->queue[run->head++ % ROOM];
    double arrival = run->leaves + run->loop / 2;

    if (is_marked(run) && arrival >= flow->cnp_from && flow->tail - flow->head < PENDING) {
        flow->cnp_from = arrival + INTERVAL;
        flow->cnps[flow->tail++ % PENDING] = arrival + run->loop / 2;
    }
    run->leaves = run->head == run->tail ? NEVER : run->leaves + run->packet * 8 / RATE;
}

static void send_packet(Run *run, Flow *flow)
{
    double now = flow->next;

    while (happens(flow, now)) {
    }
    flow->sent += run->packet;
    if (flow->sent >= BYTES) {
        flow->sent -= BYTES;
        flow->bytes++;
        increase(flow);
    }
    if (run->tail - run->head == ROOM) {
        fprintf(stderr, "the queue is too long\n");
        exit(1);
    }
    run->leaves = run->head == run->tail ? now + run->packet * 8 / RATE : run->leaves;
    run->queue[run->tail++ % ROOM] = flow;
    flow->next = now + run->packet * 8 / flow->current;
}

static Flow *first_to_send(const Run *run)
{
    Flow *first = run->flows;

    for (int i = 1; i < run->senders; i++) {
        first = run->flows[i].next < first->next ? &run->flows[i] : first;
    }
    return first;
}

static void go_on(Run *run, double end)
{
    for (;;) {
        Flow *flow = first_to_send(run);
        double now = fmin(flow->next, run->leaves);

        if (now >= end) {
            return;
        }
        look(run, now);
        if (run->leaves <= flow->next) {
            leave(run);
        } else {
            send_packet(run, flow);
        }
    }
}

int main(int argc, char **argv)
{
    Run run = { .senders = argc > 1 ? atoi(argv[1]) : 0 };
    double end, mean;

    if (argc != 8 || run.senders < 1 || run.senders > 1000) {
        fprintf(stderr, "usage: dcqcn_reference SENDERS LOOP_US RUN_MS STAGGER_US SEED "
                "red|even|ramp PACKET_OCTETS\n");
        return 2;
    }
    run.loop = atof(argv[2]) * 1e-6;
    end = atof(argv[3]) * 1e-3;
    srand48(atol(argv[5]));
    run.ramp = !strcmp(argv[6], "ramp");
    run.evenly = strcmp(argv[6], "red");
    run.packet = atof(argv[7]);
    run.flows = calloc(run.senders, sizeof(*run.flows));
    run.queue = calloc(ROOM, sizeof(*run.queue));
    run.leaves = NEVER;
    run.looked_at = end / 2;
    if (!run.flows || !run.queue) {
        return 1;
    }
    for (int i = 0; i < run.senders; i++) {
        run.flows[i] = (Flow) {
            .next = 50e-6 + i * (atof(argv[4]) * 1e-6 + 1e-7), .current = RATE, .target = RATE,
            .alpha = 1,
        };
    }
    go_on(&run, end);
    mean = run.sum / run.samples;
    printf("%.0f %.4f\n", mean, sqrt(fmax(run.squares / run.samples - mean * mean, 0)) / mean);
    free(run.flows);
    free(run.queue);
    return 0;
}
