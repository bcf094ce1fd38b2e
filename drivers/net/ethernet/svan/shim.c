// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shim's events and turns. What the interrupt handler does is to set a bit; a worker
 * looks at the functions whose bits are set, in turns that are limited in their number and
 * in what they do. So neither memory nor the command queue can be taken by a function that
 * makes events as fast as it can, nor by a device that does.
 */
#include <kunit/visibility.h>
#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "shim.h"

/* A turn is due as soon as the interval allows for it, whatever was planned before. */
static void svan_shim_queue(struct svan_shim *shim)
{
	unsigned long next = READ_ONCE(shim->next), now = jiffies;

	mod_delayed_work(shim->queue, &shim->work, time_after(next, now) ? next - now : 0);
}

void svan_shim_poke(struct svan_shim *shim, u32 function)
{
	if (function < shim->count && !test_and_set_bit(function, shim->pending))
		svan_shim_queue(shim);
}

/* The device may say anything: what is no function is counted, and that is all. */
void svan_shim_event(struct svan_shim *shim, u32 function)
{
	atomic64_inc(&shim->stats.events);
	if (function >= shim->count)
		atomic64_inc(&shim->stats.failures);
	else if (test_and_set_bit(function, shim->pending))
		atomic64_inc(&shim->stats.events_merged);
	else
		svan_shim_queue(shim);
}
EXPORT_SYMBOL_IF_KUNIT(svan_shim_event);

void svan_shim_defer(struct svan_shim *shim, u32 function)
{
	if (bitmap_empty(shim->again, shim->count))
		shim->again_at = jiffies + msecs_to_jiffies(SVAN_SHIM_AGAIN_MS);
	set_bit(function, shim->again);
}
EXPORT_SYMBOL_IF_KUNIT(svan_shim_defer);

static void svan_shim_take_deferred(struct svan_shim *shim)
{
	u32 function;

	if (time_before(jiffies, shim->again_at))
		return;
	for_each_set_bit(function, shim->again, shim->count) {
		clear_bit(function, shim->again);
		set_bit(function, shim->pending);
	}
}

/* The functions take turns, too: the next one begins behind the last that was looked at. */
static void svan_shim_look_at_some(struct svan_shim *shim)
{
	u32 commands = 0, n;

	for (n = 0; n < shim->count && commands < SVAN_SHIM_COMMANDS; n++) {
		shim->cursor = (shim->cursor + 1) % shim->count;
		if (!test_and_clear_bit(shim->cursor, shim->pending))
			continue;
		commands += shim->look(shim, shim->cursor);
		cond_resched();
	}
}

static void svan_shim_turn(struct work_struct *work)
{
	struct svan_shim *shim = container_of(to_delayed_work(work), struct svan_shim, work);

	WRITE_ONCE(shim->next, jiffies + msecs_to_jiffies(SVAN_SHIM_INTERVAL_MS));
	atomic64_inc(&shim->stats.turns);
	svan_shim_take_deferred(shim);
	svan_shim_look_at_some(shim);
	if (!bitmap_empty(shim->pending, shim->count))
		svan_shim_queue(shim);
	else if (!bitmap_empty(shim->again, shim->count))
		queue_delayed_work(shim->queue, &shim->work,
				   msecs_to_jiffies(SVAN_SHIM_AGAIN_MS));
}

int svan_shim_init(struct svan_shim *shim, u32 count, const char *name,
		   u32 (*look)(struct svan_shim *shim, u32 function))
{
	shim->count = count;
	shim->look = look;
	shim->next = jiffies;
	shim->again_at = jiffies;
	INIT_DELAYED_WORK(&shim->work, svan_shim_turn);
	disable_delayed_work(&shim->work);
	shim->pending = bitmap_zalloc(count, GFP_KERNEL);
	shim->again = bitmap_zalloc(count, GFP_KERNEL);
	/* It sleeps with the system, as the device does. */
	shim->queue = alloc_ordered_workqueue("svan-shim@%s", WQ_FREEZABLE, name);
	if (shim->pending && shim->again && shim->queue)
		return 0;
	svan_shim_exit(shim);
	return -ENOMEM;
}
EXPORT_SYMBOL_IF_KUNIT(svan_shim_init);

void svan_shim_exit(struct svan_shim *shim)
{
	if (shim->queue)
		destroy_workqueue(shim->queue);
	bitmap_free(shim->again);
	bitmap_free(shim->pending);
}
EXPORT_SYMBOL_IF_KUNIT(svan_shim_exit);

void svan_shim_start(struct svan_shim *shim)
{
	enable_delayed_work(&shim->work);
	if (!bitmap_empty(shim->pending, shim->count))
		svan_shim_queue(shim);
}
EXPORT_SYMBOL_IF_KUNIT(svan_shim_start);

void svan_shim_stop(struct svan_shim *shim)
{
	disable_delayed_work_sync(&shim->work);
}
EXPORT_SYMBOL_IF_KUNIT(svan_shim_stop);
