// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic to memory that is not there, under one fault policy, and how long each
 * transfer takes: CSV on stdout.
 *
 *   faults OPTION=VALUE...
 *
 * mode sources hold_max_us divert_max_us drop_max_us bound_us unknown_us
 * hold_bytes divert_pages: the policy of the targets' queue pairs, see svandv.h;
 * mode is a name. rnr_timer: their min_rnr_timer. memory, traffic: one kind, or
 * mix. load: full, or paced, where streams leave room. seconds, warm: measured, and
 * not measured before. seed. file: for cold mappings.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

const char *const memory_names[MEMORIES] = {
	[FRESH] = "fresh", [SWAP] = "swap", [COLD] = "cold",
};

const char *const traffic_names[TRAFFICS] = {
	[STREAM] = "stream", [RANDOM] = "random", [MESSAGE] = "send",
};

static const char *const mode_names[] = {
	[SVANDV_FAULT_AUTO] = "auto", [SVANDV_FAULT_HOLD] = "hold",
	[SVANDV_FAULT_RNR] = "rnr", [SVANDV_FAULT_DIVERT] = "divert",
	[SVANDV_FAULT_DROP] = "drop",
};

#define MODES	(sizeof(mode_names) / sizeof(mode_names[0]))

/* ---- what both sides use ---- */

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

uint32_t transfer_size(enum traffic traffic)
{
	return traffic == STREAM ? 128 * PAGE : PAGE;
}

unsigned int transfers_at_once(enum traffic traffic)
{
	return traffic == STREAM ? 2 : 4;
}

/* perftest's timers: what applications have as a rule */
void connection(const struct options *options, const struct node *node,
		struct conn *conn)
{
	*conn = (struct conn) {
		.mtu = node->port.active_mtu,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.min_rnr_timer = options->rnr_timer,
		.rd_atomic = 1,
		.access = ACCESS_REMOTE,
	};
}

int lane_connect(struct ep *ep, const struct lane_info *peer,
		 const struct conn *conn)
{
	struct ibv_qp qp = { .qp_num = peer->qpn };
	struct node node = { .gid = peer->gid };
	struct ep other = { .qp = &qp, .node = &node, .psn = peer->psn };

	if (ep_init(ep, conn) || ep_rtr(ep, &other, conn) || ep_rts(ep, conn))
		return -EINVAL;
	return 0;
}

/* ---- options ---- */

static int choose(bool *chosen, const char *const *names, unsigned int count,
		  const char *value)
{
	unsigned int i, found = 0;

	for (i = 0; i < count; i++) {
		chosen[i] = !strcmp(value, "mix") || !strcmp(value, names[i]);
		found += chosen[i];
	}
	return found ? 0 : -EINVAL;
}

static int set_mode(struct svandv_fault_policy *policy, const char *value)
{
	unsigned int i;

	for (i = 0; i < MODES; i++) {
		if (!strcmp(mode_names[i], value)) {
			policy->mode = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_number(struct options *options, const char *name,
		      const char *value)
{
	struct svandv_fault_policy *policy = &options->policy;
	const struct {
		const char *name;
		uint32_t *number, unit;
	} numbers[] = {
		{ "sources", &policy->sources, 1 },
		{ "hold_max_us", &policy->hold_max_us, 1 },
		{ "divert_max_us", &policy->divert_max_us, 1 },
		{ "drop_max_us", &policy->drop_max_us, 1 },
		{ "bound_us", &policy->bound_us, 1 },
		{ "unknown_us", &policy->unknown_us, 1 },
		{ "hold_bytes", &policy->hold_bytes, 1 },
		{ "divert_pages", &policy->divert_pages, 1 },
		{ "rnr_timer", &options->rnr_timer, 1 },
		{ "warm", &options->warm_ms, 1000 },
		{ "seconds", &options->ms, 1000 },
	};
	char *end;
	unsigned long number = strtoul(value, &end, 0);
	unsigned int i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!strcmp(numbers[i].name, name) && !*end && end != value) {
			*numbers[i].number = number * numbers[i].unit;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_option(struct options *options, const char *name,
		      const char *value)
{
	if (!strcmp(name, "mode"))
		return set_mode(&options->policy, value);
	if (!strcmp(name, "memory"))
		return choose(options->memories, memory_names, MEMORIES, value);
	if (!strcmp(name, "traffic"))
		return choose(options->traffics, traffic_names, TRAFFICS,
			      value);
	if (!strcmp(name, "load")) {
		options->paced = !strcmp(value, "paced");
		return options->paced || !strcmp(value, "full") ? 0 : -EINVAL;
	}
	if (!strcmp(name, "file")) {
		options->file = value;
		return 0;
	}
	if (!strcmp(name, "seed")) {
		options->seed = strtoull(value, NULL, 0);
		return 0;
	}
	return set_number(options, name, value);
}

static int parse(struct options *options, char **args)
{
	char *value;

	for (; *args; args++) {
		value = strchr(*args, '=');
		if (value)
			*value++ = 0;
		if (!value || set_option(options, *args, value)) {
			complain("what is '%s=%s'?", *args, value ? value : "");
			return -EINVAL;
		}
	}
	if (options->memories[COLD] && !options->file) {
		complain("cold mappings need file=PATH");
		return -EINVAL;
	}
	return 0;
}

/* ---- processes ---- */

static void close_all(int *socks)
{
	int i;

	for (i = 0; i < MEMORIES; i++) {
		if (socks[i] >= 0)
			close(socks[i]);
		socks[i] = -1;
	}
}

static int start_target(const struct options *options, enum memory memory,
			int *socks)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return -errno;
	pid = fork();
	if (!pid) {
		close_all(socks);
		close(pair[0]);
		_exit(target_main(options, memory, pair[1]) ? 1 : 0);
	}
	close(pair[1]);
	socks[memory] = pair[0];
	return pid < 0 ? -errno : 0;
}

static int start_targets(const struct options *options, int *socks)
{
	int i, ret = 0;

	for (i = 0; i < MEMORIES; i++)
		socks[i] = -1;
	for (i = 0; i < MEMORIES && !ret; i++)
		if (options->memories[i])
			ret = start_target(options, i, socks);
	return ret;
}

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct options options = {
		.policy = {
			.sources = 7, .hold_max_us = 1000,
			.divert_max_us = 4000, .drop_max_us = 8000,
			.bound_us = 20000, .unknown_us = 500,
			.hold_bytes = 1 << 20, .divert_pages = 256,
		},
		.memories = { true, true, true },
		.traffics = { true, true, true },
		.rnr_timer = 1, .warm_ms = 1000, .ms = 5000, .seed = 1,
	};
	int socks[MEMORIES], status, ret;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (parse(&options, argv + 1))
		return 2;
	ret = start_targets(&options, socks);
	if (!ret)
		ret = load_main(&options, socks);
	close_all(socks);
	while (wait(&status) > 0)
		if (status)
			ret = -ECHILD;
	return ret ? 1 : 0;
}
