// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process whose pages never come, beside one whose pages do: the second does
 * not notice, and the first can be killed at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"
#include "unserved.h"

#define LIMIT		280
#define TOUCHES		8
#define APART		(1u << 20)	/* not read in one go */

struct attack {
	enum which from, to;
	unsigned int count;	/* faults, or calls */
};

/* ---- what attackers do; they end by being killed ---- */

static void never_served(void *arg, int fd)
{
	const struct attack *attack = arg;
	struct unserved unserved;
	struct crowd crowd;
	struct ibv_mr *mr;

	if (unserved_map(&unserved, attack->count * PAGE) ||
	    crowd_open(&crowd, attack->from, attack->to, attack->count))
		return;
	mr = demand_reg(crowd.node[1].pd, unserved.map, unserved.length,
			ACCESS_ALL);
	if (!mr || crowd_post(&crowd, mr, unserved.map, PAGE) ||
	    unserved_await(&unserved) < 0)
		return;
	child_say(fd);
	for (;;)
		pause();
}

/* As many as are accepted. */
static int advise_all(struct ibv_mr *mr, struct stuck *stuck,
		      unsigned int count)
{
	struct ibv_sge sge = { .length = PAGE, .lkey = mr->lkey };
	unsigned int i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++) {
		sge.addr = (uintptr_t)stuck->map + i * PAGE;
		ret = ibv_advise_mr(mr->pd, IBV_ADVISE_MR_ADVICE_PREFETCH, 0,
				    &sge, 1);
	}
	return ret == EAGAIN ? 0 : ret;
}

static void never_followed(void *arg, int fd)
{
	const struct attack *attack = arg;
	struct stuck stuck;
	struct node node;
	struct ibv_mr *mr;

	if (stuck_map(&stuck, attack->count * PAGE) ||
	    node_open(&node, attack->to))
		return;
	mr = demand_reg(node.pd, stuck.map, stuck.length, ACCESS_ALL);
	if (!mr || advise_all(mr, &stuck, attack->count) ||
	    stuck_await(&stuck))
		return;
	child_say(fd);
	for (;;)
		pause();
}

/*
 * Regions and connections that go while their pages are waited for, so that
 * nobody wants these any more, but for a file system that keeps the pages.
 */
static void never_forgotten(void *arg, int fd)
{
	const struct attack *attack = arg;
	struct stuck stuck;
	struct crowd crowd;
	struct ibv_mr *mr;
	unsigned int i;

	if (stuck_map(&stuck, attack->count * APART))
		return;
	for (i = 0; i < attack->count; i += 16) {
		if (crowd_open(&crowd, attack->from, attack->to, 16))
			return;
		mr = demand_reg(crowd.node[1].pd, stuck.map, stuck.length,
				ACCESS_ALL);
		if (!mr || crowd_post(&crowd, mr, stuck.map + i * APART,
				      APART) ||
		    stuck_await(&stuck) || ibv_dereg_mr(mr))
			return;
		crowd_close(&crowd);
	}
	child_say(fd);
	for (;;)
		pause();
}

/* ---- attackers, and somebody beside them ---- */

FIXTURE(neighbours)
{
	struct child children[64];
	unsigned int count;
};

FIXTURE_VARIANT(neighbours)
{
	unsigned int processes;	/* for each of the attacks */
	void (*body)(void *arg, int fd);
	struct attack attacks[2];
};

/* Twice of what a device may ask for. */
FIXTURE_VARIANT_ADD(neighbours, one_process)
{
	.processes = 1,
	.body = never_served,
	.attacks = { { LOCAL, LOCAL, 512 } },
};

FIXTURE_VARIANT_ADD(neighbours, many_processes)
{
	.processes = 64,
	.body = never_served,
	.attacks = { { LOCAL, LOCAL, 8 } },
};

FIXTURE_VARIANT_ADD(neighbours, some_processes)
{
	.processes = 16,
	.body = never_served,
	.attacks = { { LOCAL, LOCAL, 32 } },
};

FIXTURE_VARIANT_ADD(neighbours, remote)
{
	.processes = 1,
	.body = never_served,
	.attacks = { { PEER, LOCAL, 512 } },
};

FIXTURE_VARIANT_ADD(neighbours, two_devices)
{
	.processes = 1,
	.body = never_served,
	.attacks = { { LOCAL, LOCAL, 512 }, { PEER, PEER, 512 } },
};

FIXTURE_VARIANT_ADD(neighbours, advice)
{
	.processes = 1,
	.body = never_followed,
	.attacks = { { LOCAL, LOCAL, 700 } },
};

FIXTURE_VARIANT_ADD(neighbours, forgotten)
{
	.processes = 1,
	.body = never_forgotten,
	.attacks = { { LOCAL, LOCAL, 320 } },
};

FIXTURE_SETUP(neighbours)
{
	struct ibv_context *ctx;
	struct node node;

	if (!device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, node_open(&node, LOCAL));
	ctx = node.ctx;
	if (!demand_supported(ctx, false))
		SKIP(return, "no memory on demand");
	node_close(&node);
}

FIXTURE_TEARDOWN(neighbours)
{
	struct pair pair;

	while (self->count--) {
		EXPECT_EQ(0, child_kill(&self->children[self->count]));
	}
	ASSERT_EQ(0, pair_open(&pair, true, PAGE));
	EXPECT_EQ(0, pair_sound(&pair));
	pair_close(&pair);
	EXPECT_EQ(0, touch_fresh(LOCAL, TOUCHES));
	EXPECT_EQ(0, touch_fresh(PEER, TOUCHES));
}

TEST_F_TIMEOUT(neighbours, notice_nothing, LIMIT)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(variant->attacks); i++) {
		struct attack attack = variant->attacks[i];

		for (j = 0; attack.count && j < variant->processes; j++) {
			ASSERT_EQ(0, child_start(&self->children[self->count],
						 variant->body, &attack));
			self->count++;
		}
	}
	EXPECT_EQ(0, touch_fresh(LOCAL, TOUCHES));
	EXPECT_EQ(0, touch_fresh(PEER, TOUCHES));
}

TEST_HARNESS_MAIN
