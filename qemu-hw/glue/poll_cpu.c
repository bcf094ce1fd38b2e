/*
 * Svan RDMA NIC: is a host CPU free for polling?
 *
 * A poller that takes the CPU of a vCPU delays the very thing it waits for
 * (Documentation/decisions, "engine thread"). So the iothread polls only as
 * long as there are more host CPUs than busy vCPUs and other engines. If the peer
 * is another process, there have to be more than threads of the whole host that
 * want one. Short changes do not count: a vCPU that wakes for a timer interrupt is no load. An
 * iothread that has to stop polling, or notices that another thread of the
 * host took its CPU, does not poll for a while, and for longer if that happens
 * again soon.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "hw/core/cpu.h"
#include "poll_cpu.h"
#include "trace.h"

#define SVAN_SETTLE_NS      200000      /* a change that lasts so long counts */
#define SVAN_LOST_NS        100000      /* a gap longer than any epoch */
#define SVAN_HOST_LOOK_NS   1000000     /* between two looks at the host */
#define SVAN_HOST_LOOKS     3           /* that find it busy, one after the other */
#define SVAN_PENALTY_MIN_NS 2000000
#define SVAN_PENALTY_MAX_NS 512000000

/* How many iothreads, of all devices, run an engine at this moment; atomic. */
static unsigned svan_iothreads_running;

void svan_poll_cpu_init(SvanPollCpu *poll, bool whole_host)
{
    poll->whole_host = whole_host;
    poll->cpus = g_get_num_processors();
    poll->host_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    poll->penalty = SVAN_PENALTY_MIN_NS;
}

void svan_poll_cpu_begin(SvanPollCpu *poll)
{
    qatomic_inc(&svan_iothreads_running);
    poll->running = true;
    poll->last_look = 0;
}

void svan_poll_cpu_end(SvanPollCpu *poll)
{
    poll->running = false;
    qatomic_dec(&svan_iothreads_running);
}

/* With KVM a vCPU that the kernel holds halted counts as busy. */
static unsigned svan_busy_vcpus(void)
{
    unsigned busy = 0;
    CPUState *cpu;

    RCU_READ_LOCK_GUARD();
    CPU_FOREACH(cpu) {
        busy += !qatomic_read(&cpu->halted);
    }
    return busy;
}

/*
 * How many threads of the host want a CPU at this moment, this one included.
 * 0: that cannot be found out.
 */
static unsigned svan_host_runnable(void)
{
    static gsize once;      /* the descriptor and 1, which is kept open */
    unsigned runnable = 0;
    char text[128];
    ssize_t n;

    if (g_once_init_enter(&once)) {
        int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);

        g_once_init_leave(&once, fd < 0 ? G_MAXINT : fd + 1);
    }
    n = pread((int)once - 1, text, sizeof(text) - 1, 0);
    if (n > 0) {
        text[n] = 0;
        if (sscanf(text, "%*s %*s %*s %u/", &runnable) != 1) {
            return 0;
        }
    }
    return runnable;
}

/* A poller that does not run yet would be one more that wants a CPU. */
static bool svan_host_is_free(SvanPollCpu *poll, int64_t now)
{
    if (poll->whole_host && now - poll->host_look > SVAN_HOST_LOOK_NS) {
        bool busy = svan_host_runnable() + !poll->running > poll->host_cpus;

        poll->host_look = now;
        poll->host_busy = busy ? MIN(poll->host_busy + 1, SVAN_HOST_LOOKS) : 0;
    }
    return poll->host_busy < SVAN_HOST_LOOKS;
}

static bool svan_cpu_is_free(const SvanPollCpu *poll)
{
    unsigned others = qatomic_read(&svan_iothreads_running) - poll->running;

    return svan_busy_vcpus() + others + 1 <= poll->cpus;
}

static void svan_poll_cpu_disallow(SvanPollCpu *poll, int64_t now, bool lost)
{
    if (now > poll->allowed_since + SVAN_PENALTY_MAX_NS / 8) {
        poll->penalty = SVAN_PENALTY_MIN_NS;
    }
    poll->penalty_end = now + poll->penalty;
    poll->penalty = MIN(2 * poll->penalty, SVAN_PENALTY_MAX_NS);
    poll->allowed = false;
    poll->differs_since = 0;
    trace_svan_poll_cpu(false, lost);
}

static void svan_poll_cpu_allow(SvanPollCpu *poll, int64_t now)
{
    poll->allowed = true;
    poll->allowed_since = now;
    poll->differs_since = 0;
    trace_svan_poll_cpu(true, false);
}

bool svan_poll_cpu_look(SvanPollCpu *poll, int64_t now, bool polling)
{
    int64_t gap = now - poll->last_look;
    bool free;

    if (polling && poll->last_look && gap > SVAN_LOST_NS) {
        svan_poll_cpu_disallow(poll, now, true);
    }
    poll->last_look = polling ? now : 0;
    if (now < poll->penalty_end) {
        return false;
    }
    free = svan_cpu_is_free(poll) && svan_host_is_free(poll, now);
    if (free == poll->allowed) {
        poll->differs_since = 0;
    } else if (!poll->differs_since) {
        poll->differs_since = now;
    } else if (now - poll->differs_since > SVAN_SETTLE_NS) {
        if (poll->allowed) {
            svan_poll_cpu_disallow(poll, now, false);
        } else {
            svan_poll_cpu_allow(poll, now);
        }
    }
    return poll->allowed;
}
