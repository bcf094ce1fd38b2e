/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The price of a function's steps. Steps are charged by what they cost, which is counted, and
 * the clock is read for one in about sixteen, to learn what a unit of that cost takes.
 */
#include "device/device.h"

#define EVERY_LEAST     8u      /* steps from one that is timed to the next */
#define EVERY_LOG       4       /* ... and fewer than 1 << EVERY_LOG more */
#define STEPS           16u     /* about so many are remembered */
#define DEARER          4u      /* times the price, of a step at most */
#define AT_FIRST        (STEPS * 1000u)         /* ns, as if that had been the cost */

void svan_price_init(SvanPrice *price)
{
    *price = (SvanPrice) { .price = SVAN_PRICE_ONE, .ns = AT_FIRST, .cost = AT_FIRST };
}

/*
 * Which steps are timed is not for a guest to know, or cheap ones could stand there. The price is
 * what steps took together by what they cost together: a mean of their prices would hide few
 * large ones among many small ones. A thread that loses its CPU in the middle of a step makes
 * that a long one, which is no fault of the function: so one step says little. Where a step takes
 * no time, as in a simulation, nothing is learned.
 */
void svan_price_learn(SvanCore *core, SvanPrice *price, uint64_t cost, uint64_t ns)
{
    uint64_t most = DEARER * svan_price_of(price, cost), seen;

    core->timing = core->timing * 1664525u + 1013904223u;
    price->untimed = EVERY_LEAST + (core->timing >> (32 - EVERY_LOG));
    if (!ns) {
        return;
    }
    price->ns += (ns < most ? ns : most) - price->ns / STEPS;
    price->cost += cost - price->cost / STEPS;
    seen = price->ns * SVAN_PRICE_ONE / price->cost;
    price->price = seen < SVAN_PRICE_LEAST ? SVAN_PRICE_LEAST :
                   seen > SVAN_PRICE_MOST ? SVAN_PRICE_MOST : seen;
}
