// SPDX-License-Identifier: GPL-2.0-only
/*
 * Triggered work that ends without farewell: its process is killed at any moment, either
 * device is taken away or reset under it. Nobody hangs, no store comes to what is somebody
 * else's by then, and all is as before.
 *
 * SVAN_ALL=1 kills a hundred times, and takes devices away in every way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <svan/regs.h>

#include "kselftest_harness.h"
#include "trigger-lib.h"
#include "unserved.h"

#define LIMIT		300
#define KILLS_LIMIT	3000
#define KILLS		8
#define ALL_KILLS	100
#define WORK_US		30000
#define SHORT_MS	50		/* in which what may not come would have come */
#define WAITS_MS	3000		/* limit of waits for what never comes */
#define ACCEL_DRIVER	"/sys/bus/pci/drivers/svan_accel"
#define ACCEL_FOLDER	"/sys/class/accel/accel0/device"

static const char *const counts[] = {
	"contexts", "mappings", "pinned", "tables", "windows", "memory", "exports", "pins",
};

FIXTURE(trigger_ends)
{
	char accel[PATH_MAX];		/* of the bus */
	char nic[PATH_MAX];		/* the function */
	char aux[PATH_MAX];		/* svan_ib's device of it */
	char driver[PATH_MAX];		/* svan_ib */
	long counts[ARRAY_SIZE(counts)];
	char objects[512];
	uint32_t page;
};

/* What `rdma` counts of both devices. */
static void read_objects(char *text, size_t size)
{
	FILE *pipe = popen("rdma resource show | sed 's/^[0-9]*: //' | sort", "r");
	size_t length = pipe ? fread(text, 1, size - 1, pipe) : 0;

	text[length] = 0;
	if (!pipe || pclose(pipe) || !length)
		complain("rdma resource show: %m");
}

static int await_objects(const char *wanted)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	char text[512];

	for (;;) {
		read_objects(text, sizeof(text));
		if (!strcmp(text, wanted))
			return 0;
		if (now_ms() > deadline)
			break;
		usleep(50000);
	}
	complain("objects of the devices:\n%s# before:\n%s#", text, wanted);
	return -EIO;
}

/* The page that the next one to ask would get. */
static int next_page(uint32_t *page)
{
	struct svandv_uar *uar;
	struct node node;
	int ret = node_open(&node, LOCAL);

	if (ret)
		return ret;
	uar = svandv_alloc_uar(node.ctx);
	if (uar) {
		*page = uar->page_id;
		svandv_free_uar(uar);
	}
	node_close(&node);
	return uar ? 0 : -errno;
}

/* How far the loop has come, and what the queue pairs say of that. Errors alone complete. */
static void explain(struct triggered *t, int form)
{
	struct ibv_wc wc = {};

	complain("form %c: %llu were sent, %llu have come; queue pairs in states %d and %d", form,
		 (unsigned long long)*(volatile uint64_t *)t->local.map,
		 (unsigned long long)*(volatile uint64_t *)t->pair.in[1].data,
		 ep_query_state(&t->pair.ep[0]), ep_query_state(&t->pair.ep[1]));
	if (ibv_poll_cq(t->pair.ep[0].cq, 1, &wc) == 1)
		complain("a message ended with %s, detail 0x%x", ibv_wc_status_str(wc.status),
			 wc.vendor_err);
}

/* Triggered work in both forms, as new. */
static int all_is_sound(void)
{
	struct triggered *t = calloc(1, sizeof(*t));
	int form, ret = 0;

	for (form = 'a'; !ret && form <= 'b'; form++) {
		ret = triggered_open(t, device_exists(PEER));
		if (!ret)
			ret = triggered_post_loop(t, form, 100, TRIGGER_WAIT_NS);
		if (ret)
			break;
		accel_ring(&t->queue);
		ret = accel_await(&t->queue, WAIT_MS);
		if (!ret && *(volatile uint64_t *)t->pair.in[1].data != 100)
			ret = -EIO;
		if (ret)
			explain(t, form);
		if (triggered_close(t))
			ret = -EIO;
	}
	free(t);
	return ret;
}

FIXTURE_SETUP(trigger_ends)
{
	unsigned int i;

	ACCEL_REQUIRE();
	ASSERT_EQ(0, await_sound(device_exists(PEER)));
	ASSERT_EQ(0, all_is_sound());
	ASSERT_NE(NULL, realpath(ACCEL_FOLDER, self->accel));
	ASSERT_EQ(0, rdma_driver_find(LOCAL, self->aux, self->driver));
	snprintf(self->nic, sizeof(self->nic), "/sys/class/infiniband/%s/device",
		 device_name(LOCAL));
	ASSERT_NE(NULL, realpath(strdupa(self->nic), self->nic));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		self->counts[i] = accel_count(counts[i]);
		ASSERT_LE(0, self->counts[i]);
	}
	ASSERT_EQ(0, next_page(&self->page));
	read_objects(self->objects, sizeof(self->objects));
}

/* Nothing is left behind. */
FIXTURE_TEARDOWN(trigger_ends)
{
	uint32_t page = UINT32_MAX;
	unsigned int i;

	if (!accel_exists())
		return;
	EXPECT_EQ(0, await_sound(device_exists(PEER)));
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		EXPECT_EQ(0, accel_count_await(counts[i], self->counts[i], WAIT_MS));
	EXPECT_EQ(0, await_objects(self->objects));
	EXPECT_EQ(0, next_page(&page));
	EXPECT_EQ(self->page, page);
	EXPECT_EQ(0, all_is_sound());
}

/* ---- killed ---- */

struct plan {
	bool wire;
	char form;
	bool early;		/* killed while it sets up */
};

/* Triggered work, and writes of the NIC to the accelerator's memory, for ever. */
static void work_for_ever(void *arg, int fd)
{
	static struct triggered t;
	const struct plan *plan = arg;

	if (plan->early)
		child_say(fd);
	if (triggered_open(&t, plan->wire) ||
	    triggered_post_loop(&t, plan->form, UINT32_MAX, TRIGGER_WAIT_NS))
		return;
	accel_ring(&t.queue);
	if (triggered_write_back(&t, WAIT_MS))
		return;
	if (!plan->early)
		child_say(fd);
	while (!triggered_write_back(&t, WAIT_MS))
		;
}

/* Nothing is left out, however long it takes. */
static bool takes_all(void)
{
	const char *all = getenv("SVAN_ALL");

	return all && strcmp(all, "0");
}

TEST_F_TIMEOUT(trigger_ends, killed_at_any_moment, KILLS_LIMIT)
{
	int rounds = takes_all() ? ALL_KILLS : KILLS, i;
	bool wire = device_exists(PEER);
	uint64_t start, setup_us = 0;
	unsigned int moment;
	struct child child;
	struct plan plan;
	struct rng rng;

	rng_init(&rng, "killed_at_any_moment");
	ASSERT_EQ(0, share_a_cpu());
	for (i = 0; i < rounds; i++) {
		plan.wire = wire && rng_below(&rng, 2);
		plan.form = rng_below(&rng, 2) ? 'b' : 'a';
		plan.early = setup_us && !rng_below(&rng, 3);
		start = now_ms();
		ASSERT_EQ(0, child_start(&child, work_for_ever, &plan));
		if (!setup_us)
			setup_us = 1000 * (now_ms() - start + 1);
		moment = rng_below(&rng, plan.early ? setup_us : WORK_US);
		usleep(moment);
		ASSERT_EQ(0, child_kill_watching(&child))
			TH_LOG("round %d: wire %d, form %c, early %d, after %u us", i,
			       plan.wire, plan.form, plan.early, moment);
	}
	printf("# %d processes were killed, of which a set-up takes %llu ms\n", rounds,
	       (unsigned long long)setup_us / 1000);
}

/* ---- devices that go ---- */

struct user {
	bool wire;
	char form;
	enum triggered_end end;
};

static void bereaved(void *arg, int fd)
{
	static struct triggered t;
	const struct user *user = arg;

	_exit(triggered_open(&t, user->wire) ||
	      triggered_outlive(&t, user->form, user->end, fd));
}

/* It has ended by itself, and is content. */
static int child_end(struct child *child)
{
	uint64_t deadline = now_ms() + 3 * WAIT_MS;
	int status;

	while (!waitpid(child->pid, &status, WNOHANG)) {
		if (now_ms() > deadline) {
			complain("the user does not end");
			child_kill(child);
			return -ETIMEDOUT;
		}
		usleep(5000);
	}
	close(child->fd);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/* The i-th of four ways to work. */
static struct user user_of(int i, enum triggered_end end)
{
	return (struct user){
		.wire = i / 2 % 2 && device_exists(PEER), .form = "ab"[i % 2], .end = end,
	};
}

/*
 * The NIC's driver goes, or the NIC is reset, while the accelerator rings it. If not all is asked
 * for, half of the ways are taken: they have both forms and both paths for either end.
 */
TEST_F_TIMEOUT(trigger_ends, the_nic_goes, LIMIT)
{
	struct child child;
	struct user user;
	int i;

	for (i = 0; i < 8; i += (takes_all() || i % 4) ? 1 : 3) {
		user = user_of(i, NIC_GOES);
		ASSERT_EQ(0, child_start(&child, bereaved, &user));
		if (i < 4) {
			ASSERT_EQ(0, driver_bind(self->driver, self->aux, false));
			EXPECT_EQ(0, child_end(&child));
			ASSERT_EQ(0, driver_bind(self->driver, self->aux, true));
		} else {
			ASSERT_EQ(0, write_to(self->nic, "reset", "1"));
			EXPECT_EQ(0, child_end(&child));
		}
		ASSERT_EQ(0, await_sound(user.wire));
	}
}

/* ---- the NIC fails ---- */

/* A command queue whose index is nonsense is fatal to a function. */
static int make_fatal(const char *nic)
{
	char path[PATH_MAX + 16];
	volatile uint32_t *regs;
	int fd;

	snprintf(path, sizeof(path), "%s/resource0", nic);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	regs = mmap(NULL, ACCEL_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (regs == MAP_FAILED) {
		complain("%s: %m; the guest is to be started with APPEND=iomem=relaxed", path);
		return -errno;
	}
	regs[SVAN_REG_CMDQ_DB / 4] = svan_cpu_to_le32(0x7fffffff);
	munmap((void *)regs, ACCEL_PAGE);
	return 0;
}

/* Until the count of successes reaches what it never does, or one of errors comes. */
static int post_endless_wait(struct triggered *t, struct accel_queue *queue)
{
	struct svan_accel_cmd wait;
	int ret = accel_queue_create(queue, &t->accel, 2);

	if (ret)
		return ret;
	*word_at(t, STATUS) = 1ull << 62;
	wait = accel_wait(t->num_sent, word_va(t, STATUS), WAITS_MS * 1000000ull);
	wait.wait.errors = svan_cpu_to_le64(t->num_sent + 8);
	accel_post(queue, wait);
	accel_ring(queue);
	return 0;
}

/* It has stopped by its limit, or with the context; or the error was counted. */
static int has_stopped(struct accel_queue *queue)
{
	int ret = accel_await(queue, WAIT_MS);
	uint32_t status = ret == -EIO ? accel_queue_status(queue) : 0;

	if (status == SVAN_ACCEL_TIMEOUT || status == SVAN_ACCEL_ERROR_COUNT ||
	    status == SVAN_ACCEL_NOT_MAPPED || status == SVAN_ACCEL_CONTEXT)
		return 0;
	complain("a queue that waits for a NIC that has failed: %d, status %u", ret, status);
	return -EIO;
}

/* The function stands still: its doorbells can be stored to, and nothing comes of it. */
static int ring_goes_nowhere(struct triggered *t, struct accel_queue *other)
{
	volatile uint64_t *come = (volatile uint64_t *)t->pair.in[1].data;
	uint64_t before = *come;
	int ret;

	*(volatile uint64_t *)t->local.map = before + 1;
	accel_post(other, accel_store(t->window + SVAN_UAR_SQ_DB,
				      svan_db_value(t->queues.qp_num, before + 1), 0));
	ret = accel_do(other, accel_fence());
	usleep(SHORT_MS * 1000);
	if (!ret && *come == before)
		return 0;
	complain("a doorbell of a function that has failed: %d, %llu has come after %llu",
		 ret, (unsigned long long)*come, (unsigned long long)before);
	return -EIO;
}

struct failing {
	bool fatal;		/* else it is reset */
};

static void waits_and_rings(void *arg, int fd)
{
	static struct triggered t;
	const struct failing *how = arg;
	volatile uint64_t *come;
	struct accel_queue waits, other;
	uint64_t deadline = now_ms() + WAIT_MS;

	if (triggered_open(&t, false) || post_endless_wait(&t, &waits) ||
	    accel_queue_create(&other, &t.accel, 4) ||
	    triggered_post_loop(&t, 'a', UINT32_MAX, WAITS_MS * 1000000ull))
		return;
	come = (volatile uint64_t *)t.pair.in[1].data;
	accel_ring(&t.queue);
	while (*come < 10 && now_ms() < deadline)
		;
	if (*come < 10 || accel_queue_status(&waits))
		return;
	child_say(fd);
	if (how->fatal && expect_async(&t.pair.node[0], IBV_EVENT_DEVICE_FATAL, WAIT_MS))
		return;
	if (has_stopped(&waits) || has_stopped(&t.queue) ||
	    (how->fatal && ring_goes_nowhere(&t, &other)))
		return;
	_exit(0);
}

/*
 * The NIC goes to its fatal state, or is reset, while the accelerator waits for one of its
 * counters and rings it. Waits end, nobody hangs, and a reset brings everything back.
 */
TEST_F_TIMEOUT(trigger_ends, the_nic_fails, LIMIT)
{
	struct failing how;
	struct child child;
	int i, ret;

	for (i = 0; i < (takes_all() ? 4 : 2); i++) {
		how.fatal = i % 2 == 0;
		ASSERT_EQ(0, child_start(&child, waits_and_rings, &how));
		ret = how.fatal ? make_fatal(self->nic) : write_to(self->nic, "reset", "1");
		ASSERT_EQ(0, ret);
		EXPECT_EQ(0, child_end(&child));
		if (how.fatal)
			ASSERT_EQ(0, write_to(self->nic, "reset", "1"));
		ASSERT_EQ(0, await_sound(false));
	}
}

/* The accelerator's driver goes while the NIC writes to the accelerator's memory. */
TEST_F_TIMEOUT(trigger_ends, the_accelerator_goes, LIMIT)
{
	struct child child;
	struct user user;
	int i;

	for (i = 0; i < 4; i++) {
		user = user_of(i, ACCEL_GOES);
		ASSERT_EQ(0, child_start(&child, bereaved, &user));
		ASSERT_EQ(0, driver_bind(ACCEL_DRIVER, self->accel, false));
		EXPECT_EQ(0, child_end(&child));
		ASSERT_EQ(0, driver_bind(ACCEL_DRIVER, self->accel, true));
	}
}

TEST_F_TIMEOUT(trigger_ends, the_accelerator_is_reset, LIMIT)
{
	struct child child;
	struct user user;
	int i;

	for (i = 0; i < 4; i++) {
		user = user_of(i, ACCEL_RESETS);
		ASSERT_EQ(0, child_start(&child, bereaved, &user));
		ASSERT_EQ(0, write_to(self->accel, "reset", "1"));
		EXPECT_EQ(0, child_end(&child));
	}
}

TEST_HARNESS_MAIN
