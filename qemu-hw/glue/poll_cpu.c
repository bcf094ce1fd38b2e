/*
 * Svan RDMA NIC: is a host core free for polling?
 *
 * A poller that takes the core of a vCPU delays the very thing it waits for
 * (Documentation/decisions, "engine thread"). So the iothread polls only as
 * long as there are more host cores than busy vCPUs and other engines. Short
 * changes do not count: a vCPU that wakes for a timer interrupt is no load.
 * Whoever has to stop, or notices that its core was taken by something that is
 * not ours, stays away for a while, and longer if that happens again soon.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "hw/core/cpu.h"
#include "glue.h"
#include "trace.h"

#define SVAN_SETTLE_NS      200000      /* a change that lasts so long counts */
#define SVAN_LOST_NS        100000      /* a gap that no epoch explains */
#define SVAN_PENALTY_MIN_NS 2000000
#define SVAN_PENALTY_MAX_NS 512000000

/* Iothreads of all devices that run an engine now; atomic. */
static unsigned svan_iothreads_running;

void svan_spare_init(SvanSpare *spare)
{
    spare->cores = g_get_num_processors();
    spare->penalty = SVAN_PENALTY_MIN_NS;
}

void svan_spare_begin(SvanSpare *spare)
{
    qatomic_inc(&svan_iothreads_running);
    spare->running = true;
    spare->last_look = 0;
}

void svan_spare_end(SvanSpare *spare)
{
    spare->running = false;
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

static bool svan_core_is_free(const SvanSpare *spare)
{
    unsigned others = qatomic_read(&svan_iothreads_running) - spare->running;

    return svan_busy_vcpus() + others + 1 <= spare->cores;
}

static void svan_spare_disallow(SvanSpare *spare, int64_t now, bool lost)
{
    if (now > spare->allowed_since + SVAN_PENALTY_MAX_NS / 8) {
        spare->penalty = SVAN_PENALTY_MIN_NS;
    }
    spare->penalty_end = now + spare->penalty;
    spare->penalty = MIN(2 * spare->penalty, SVAN_PENALTY_MAX_NS);
    spare->allowed = false;
    spare->differs_since = 0;
    trace_svan_spare(false, lost);
}

static void svan_spare_allow(SvanSpare *spare, int64_t now)
{
    spare->allowed = true;
    spare->allowed_since = now;
    spare->differs_since = 0;
    trace_svan_spare(true, false);
}

bool svan_spare_look(SvanSpare *spare, int64_t now, bool polling)
{
    int64_t gap = now - spare->last_look;

    if (polling && spare->last_look && gap > SVAN_LOST_NS) {
        svan_spare_disallow(spare, now, true);
    }
    spare->last_look = polling ? now : 0;
    if (now < spare->penalty_end) {
        return false;
    }
    if (svan_core_is_free(spare) == spare->allowed) {
        spare->differs_since = 0;
    } else if (!spare->differs_since) {
        spare->differs_since = now;
    } else if (now - spare->differs_since > SVAN_SETTLE_NS) {
        if (spare->allowed) {
            svan_spare_disallow(spare, now, false);
        } else {
            svan_spare_allow(spare, now);
        }
    }
    return spare->allowed;
}
