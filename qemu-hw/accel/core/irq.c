/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts. Each vector has so many of them at once, and one more each gap of time; an
 * interrupt beyond that is raised when its time has come, once for all that were asked for
 * until then. So a context that raises interrupts in a loop costs the host a bounded
 * number of them, and no interrupt is lost.
 */
#include "accel_inside.h"

#define BURST_NS    ((SVAN_ACCEL_IRQ_BURST - 1ull) * SVAN_ACCEL_IRQ_GAP_NS)

static_assert(SVAN_ACCEL_MSIX_COUNT <= 64, "a vector is a bit of irqs_due");

/* When the vector may be raised; irq_full is the time at which it has a whole burst. */
static uint64_t allowed_at(const Accel *accel, uint16_t vector)
{
    uint64_t full = accel->irq_full[vector];

    return full > BURST_NS ? full - BURST_NS : 0;
}

static void raise_now(Accel *accel, uint16_t vector, uint64_t now)
{
    uint64_t full = accel->irq_full[vector];

    accel->irq_full[vector] = accel_later(full > now ? full : now, SVAN_ACCEL_IRQ_GAP_NS);
    accel->stats.interrupts++;
    accel->ops.irq(accel->opaque, vector);
}

/* Outside of a run nobody has told the world of the new deadline yet: a run does. */
void accel_irq(Accel *accel, uint16_t vector)
{
    uint64_t now = accel_now(accel), at = allowed_at(accel, vector);
    bool due = accel->irqs_due >> vector & 1;

    if (!due && at <= now) {
        raise_now(accel, vector, now);
        return;
    }
    accel->stats.interrupts_merged += due;
    accel->irqs_due |= 1ull << vector;
    if (at < accel->next_irq) {
        accel->next_irq = at;
        if (!accel->running) {
            accel->ops.kick(accel->opaque);
        }
    }
}

void accel_irqs_due(Accel *accel, uint64_t now)
{
    if (now < accel->next_irq) {
        return;
    }
    accel->next_irq = ACCEL_NO_TIME;
    for (uint64_t due = accel->irqs_due; due; due &= due - 1) {
        uint16_t vector = __builtin_ctzll(due);
        uint64_t at = allowed_at(accel, vector);

        if (at <= now) {
            accel->irqs_due &= ~(1ull << vector);
            raise_now(accel, vector, now);
        } else if (at < accel->next_irq) {
            accel->next_irq = at;
        }
    }
}

/* What was raised until now still counts against the burst. */
void accel_irq_forget(Accel *accel, uint16_t vector)
{
    accel->irqs_due &= ~(1ull << vector);
    if (!accel->irqs_due) {
        accel->next_irq = ACCEL_NO_TIME;
    }
}

bool accel_irqs_load(Accel *accel, uint64_t due)
{
    if (due >> SVAN_ACCEL_MSIX_COUNT) {
        return false;
    }
    memset(accel->irq_full, 0, sizeof(accel->irq_full));
    accel->irqs_due = due;
    accel->next_irq = due ? 0 : ACCEL_NO_TIME;
    return true;
}
