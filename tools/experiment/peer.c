// SPDX-License-Identifier: GPL-2.0-only
/*
 * One job: the accelerator computes a message, which is then written to the memory of a
 * peer; again, when the write is complete. Who submits it?
 *
 *   peer accel|sleep|poll|none idle|busy COUNT SECONDS
 *
 * accel: the accelerator; the CPU has prepared all of it and sleeps. sleep, poll: the CPU,
 * by ibv_post_send(); it sleeps until the accelerator interrupts, or polls its record. none:
 * nobody, for SECONDS, to compare with. busy: beside one process a CPU that computes.
 *
 * A job ends after COUNT messages, and one that the CPU drives after SECONDS at the latest.
 * Prints a line of CSV; `peer head` prints its head.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "side.h"

/* What is computed: words, each of which is the number of the message then. */
#define WORDS		131072u
#define MESSAGE		64u	/* octets of it */
#define MAX_CPUS	64
#define WARM_MS		100

/* What is added to the words, in the memory of a side. */
#define ONES		(WORDS * sizeof(uint64_t))
#define MEMORY		(2 * ONES)

enum driver { ACCEL, SLEEP, POLL, NONE, DRIVERS };

static const char *const driver_names[DRIVERS] = {
	[ACCEL] = "accel", [SLEEP] = "sleep", [POLL] = "poll", [NONE] = "none",
};

struct job {
	enum driver driver;
	bool busy;
	unsigned long count, seconds;
	struct side sides[2];
	/* of the commands: how many there are a message, and which one computes */
	unsigned int span, compute;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/*
 * A mark for those who count instructions from outside (insns.c): an instruction that does
 * nothing.
 */
#define MARK(n)	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t.long 0x5afe0000 + " #n \
				 ::: "memory")

/* ---- who computes meanwhile ---- */

/* One a CPU; each has a cache line to itself. */
struct spinner {
	pid_t pid;
	volatile uint64_t turns;
	uint8_t pad[48];
};

static struct spinner *spinners;
static long num_spinners;

static void spin(struct spinner *self, int cpu)
{
	volatile uint32_t x = 1;
	cpu_set_t set;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (;;) {
		for (i = 0; i < 1000; i++)
			x = x * 1664525 + 1013904223;
		self->turns++;
	}
}

static int spinners_start(void)
{
	struct timespec warm = { .tv_nsec = WARM_MS * 1000000 };
	long i, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t pid;

	spinners = mmap(NULL, MAX_CPUS * sizeof(*spinners), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (spinners == MAP_FAILED || cpus > MAX_CPUS)
		return -ENOMEM;
	for (i = 0; i < cpus; i++) {
		pid = fork();
		if (pid < 0)
			return -errno;
		if (!pid)
			spin(&spinners[i], i);
		spinners[num_spinners++].pid = pid;
	}
	nanosleep(&warm, NULL);
	return 0;
}

static void spinners_stop(void)
{
	while (num_spinners) {
		kill(spinners[--num_spinners].pid, SIGKILL);
		waitpid(spinners[num_spinners].pid, NULL, 0);
	}
}

/* ---- what a job costs ---- */

struct costs {
	uint64_t wall_ns, cpu_ns, sleeps, preemptions, interrupts, turns, spun_ns;
};

/* The interrupts of all Svan devices. */
static uint64_t interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	uint64_t sum = 0;
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strchr(line, ':'), *end;
		uint64_t n;

		if (!at || !strstr(line, "svan"))
			continue;
		for (at++; n = strtoull(at, &end, 10), end != at; at = end)
			sum += n;
	}
	if (file)
		fclose(file);
	return sum;
}

static struct costs costs_now(void)
{
	struct costs now = {};
	struct rusage usage;
	clockid_t clock;
	long i;

	for (i = 0; i < num_spinners; i++) {
		now.turns += spinners[i].turns;
		if (!clock_getcpuclockid(spinners[i].pid, &clock))
			now.spun_ns += clock_ns(clock);
	}
	getrusage(RUSAGE_SELF, &usage);
	now.sleeps = usage.ru_nvcsw;
	now.preemptions = usage.ru_nivcsw;
	now.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	now.wall_ns = clock_ns(CLOCK_MONOTONIC);
	return now;
}

/* ---- driven by the accelerator ---- */

static void post_compute(struct side *side)
{
	accel_post(&side->queue, accel_add_words(side_va(side, 0), side_va(side, ONES),
						 WORDS));
}

static int prepare(struct job *job)
{
	static const struct side_request message = { .length = MESSAGE, .tells = true };
	static const struct side_round round = { .requests = &message, .count = 1 };
	struct side *side = &job->sides[0];
	uint32_t first = side->queue.posted;
	int ret = side_prepare(side, &round, &round, 0);

	if (ret)
		return ret;
	job->compute = 0;
	post_compute(side);
	side_post_submit(side, 0, 1);
	side_post_sent(side);
	job->span = side->queue.posted - first;
	side_post_loop(side, first, job->count);
	return 0;
}

static int drive_by_accel(struct job *job)
{
	struct side *side = &job->sides[0];
	int ret;

	accel_ring(&side->queue);
	ret = accel_event_await(side->event, WAIT_MS + job->count);
	return ret ?: accel_await(&side->queue, WAIT_MS);
}

/* ---- driven by the CPU ---- */

/* Until the commands are done, or a long time has passed. */
static int poll_record(const struct accel_queue *queue)
{
	uint64_t deadline = 0;
	unsigned int turns;

	for (turns = 1; __atomic_load_n(&queue->record->head, __ATOMIC_ACQUIRE) !=
			svan_cpu_to_le32(queue->posted); turns++) {
		if (turns % 65536)
			continue;
		if (!deadline)
			deadline = now_ms() + WAIT_MS;
		if (now_ms() > deadline || accel_queue_status(queue))
			return -EIO;
	}
	return 0;
}

static int post_send(struct job *job)
{
	struct side *side = &job->sides[0];
	struct ibv_sge sge = {
		.addr = SIDE_IOVA, .length = MESSAGE, .lkey = side->mr->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.opcode = IBV_WR_RDMA_WRITE, .sg_list = &sge, .num_sge = 1,
		.wr.rdma = {
			.remote_addr = SIDE_IOVA, .rkey = job->sides[1].mr->rkey,
		},
	};

	return -ibv_post_send(side->out.ep.qp, &wr, &bad);
}

/* The accelerator waits for the last message, and computes the next one. */
static int send_one(struct job *job, uint64_t sent)
{
	static const struct svan_accel_cmd interrupt = { .opcode = SVAN_ACCEL_INTERRUPT };
	struct side *side = &job->sides[0];
	uint32_t first = side->queue.posted;
	int ret;

	*(volatile uint64_t *)side_word(side, SIDE_INDEX) = sent;
	side_post_sent(side);
	job->compute = side->queue.posted - first;
	post_compute(side);
	accel_post(&side->queue, accel_fence());
	if (job->driver == SLEEP)
		accel_post(&side->queue, interrupt);
	job->span = side->queue.posted - first;
	accel_ring(&side->queue);
	ret = job->driver == SLEEP ? accel_event_await(side->event, WAIT_MS) :
				     poll_record(&side->queue);
	if (!ret)
		ret = -svandv_retire_sends(side->out.ep.qp, sent);
	return ret ?: post_send(job);
}

static int drive_by_cpu(struct job *job)
{
	uint64_t end = now_ms() + job->seconds * 1000;
	unsigned long sent = 0;
	int ret = 0;

	while (!ret && sent < job->count && (sent % 64 || now_ms() < end)) {
		ret = send_one(job, sent);
		sent += !ret;
	}
	if (ret)
		complain("message %lu: %s", sent, strerror(-ret));
	job->count = sent;
	return ret;
}

/* ---- the job ---- */

static int sleep_on(struct job *job)
{
	struct timespec ts = { .tv_sec = job->seconds };

	job->count = 0;
	return nanosleep(&ts, NULL) ? -errno : 0;
}

static int drive(struct job *job)
{
	switch (job->driver) {
	case ACCEL:
		return drive_by_accel(job);
	case NONE:
		return sleep_on(job);
	default:
		return drive_by_cpu(job);
	}
}

/* The last message comes a little after the last command. */
static int check(const struct job *job)
{
	const uint64_t *number = side_at(&job->sides[1], MESSAGE - 8);
	uint64_t deadline = now_ms() + WAIT_MS;

	while (__atomic_load_n(number, __ATOMIC_ACQUIRE) != job->count) {
		if (now_ms() > deadline) {
			complain("the last message is number %llu instead of %lu",
				 (unsigned long long)*number, job->count);
			return -EIO;
		}
	}
	return 0;
}

static void print(const struct job *job, const struct costs *from, const struct costs *to)
{
	printf("%s,%s,%s,%lu,%u,%u,%llu,%llu,%llu,%llu,%llu,%llu,%llu\n",
	       device_exists(PEER) ? "wire" : "loopback", job->busy ? "busy" : "idle",
	       driver_names[job->driver], job->count, job->span, job->compute,
	       (unsigned long long)(to->wall_ns - from->wall_ns),
	       (unsigned long long)(to->cpu_ns - from->cpu_ns),
	       (unsigned long long)(to->sleeps - from->sleeps),
	       (unsigned long long)(to->preemptions - from->preemptions),
	       (unsigned long long)(to->interrupts - from->interrupts),
	       (unsigned long long)(to->turns - from->turns),
	       (unsigned long long)(to->spun_ns - from->spun_ns));
}

/* What takes time is done outside of what is timed. */
static int measure(struct job *job, struct costs *from, struct costs *to)
{
	uint64_t before = interrupts();
	int ret;

	*from = costs_now();
	MARK(1);
	ret = drive(job);
	MARK(2);
	*to = costs_now();
	from->interrupts = before;
	to->interrupts = interrupts();
	return ret;
}

static int open_sides(struct side *sides)
{
	static const struct side_options options = { .form = 'a' };
	static const struct side_size size = { .memory = MEMORY, .log_commands = 6 };
	struct side_address addresses[2];
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < 2; i++) {
		sides[i].number = i;
		sides[i].options = &options;
		ret = side_open(&sides[i], &size, !i);
		if (!ret)
			side_tell(&sides[i], &addresses[i]);
	}
	for (i = 0; !ret && i < 2; i++)
		ret = side_connect(&sides[i], &addresses[!i], &addresses[!i]);
	return ret;
}

static int run(struct job *job)
{
	struct costs from, to;
	int ret = open_sides(job->sides);
	unsigned int i;

	if (ret)
		return ret;
	for (i = 0; i < WORDS; i++)
		((uint64_t *)side_at(&job->sides[0], ONES))[i] = 1;
	if (job->driver == ACCEL)
		ret = prepare(job);
	if (!ret && job->busy)
		ret = spinners_start();
	if (!ret)
		ret = measure(job, &from, &to);
	spinners_stop();
	if (!ret)
		ret = check(job);
	if (!ret)
		print(job, &from, &to);
	return ret;
}

static int parse(struct job *job, char **argv)
{
	int driver;

	job->driver = DRIVERS;
	for (driver = 0; driver < DRIVERS; driver++) {
		if (!strcmp(argv[1], driver_names[driver]))
			job->driver = driver;
	}
	job->busy = !strcmp(argv[2], "busy");
	job->count = strtoul(argv[3], NULL, 0);
	job->seconds = strtoul(argv[4], NULL, 0);
	return job->driver == DRIVERS || !job->count || job->count >= 1u << 30 ||
	       !job->seconds;
}

int main(int argc, char **argv)
{
	static struct job job;

	if (argc == 2 && !strcmp(argv[1], "head")) {
		puts("path,load,driver,count,span,compute,wall_ns,cpu_ns,sleeps,preemptions,"
		     "interrupts,turns,spun_ns");
		return 0;
	}
	if (argc != 5 || parse(&job, argv)) {
		fputs("usage: peer accel|sleep|poll|none idle|busy COUNT SECONDS\n", stderr);
		return 2;
	}
	/* The process ends, and takes everything along. */
	return run(&job) ? 1 : 0;
}
