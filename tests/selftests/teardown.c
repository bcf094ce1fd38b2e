// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends without farewell: processes killed under traffic, files closed in odd
 * orders, contexts that leave everything behind. Who is left notices what the
 * specification says, and the device and its driver are as new.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "kselftest_harness.h"

#define LIMIT		400	/* thousands of commands, 10 ms each where all share a CPU */
#define AREA		(1u << 20)
#define BURST		16

static struct rng rng;

FIXTURE(teardown)
{
	struct pair pair;	/* the survivor's */
};

FIXTURE_VARIANT(teardown)
{
	bool wire;
};

FIXTURE_VARIANT_ADD(teardown, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(teardown, wire)
{
	.wire = true,
};

FIXTURE_SETUP(teardown)
{
	rng_init(&rng, "teardown");
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, AREA));
}

FIXTURE_TEARDOWN(teardown)
{
	EXPECT_EQ(0, area_check_canary(&self->pair.in[0], 6000, AREA));
	EXPECT_EQ(0, area_check_canary(&self->pair.in[1], 6000, AREA));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- children ---- */

/* Runs until it is killed; says one octet when it is in the middle of it. */
static pid_t spawn(void (*body)(bool wire, int said), bool wire)
{
	struct pollfd pfd = { .events = POLLIN };
	int pipes[2];
	char octet;
	pid_t pid;

	if (pipe(pipes))
		return -1;
	pid = fork();
	if (!pid) {
		close(pipes[0]);
		body(wire, pipes[1]);
		_exit(1);
	}
	close(pipes[1]);
	pfd.fd = pipes[0];
	if (pid > 0 && (poll(&pfd, 1, WAIT_MS) != 1 ||
			read(pipes[0], &octet, 1) != 1)) {
		complain("the child did not come so far");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(pipes[0]);
	return pid;
}

static int reap(pid_t pid, int sig)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (sig ? WIFSIGNALED(status) && WTERMSIG(status) == sig :
		  WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	complain("the child's status is 0x%x", status);
	return -EIO;
}

static void say(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(2);
}

static struct ibv_send_wr burst_wr(struct pair *pair, struct ibv_sge *sge,
				   int i)
{
	*sge = area_sge(&pair->out[0], 0, AREA / BURST);
	return (struct ibv_send_wr){
		.wr_id = i,
		.sg_list = sge,
		.num_sge = 1,
		.opcode = i % 2 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)pair->in[1].data +
				       AREA / BURST * (i % BURST),
			.rkey = pair->in[1].mr->rkey,
		},
	};
}

/* Keeps many WRITEs and READs in flight over queue pairs of its own. */
static void traffic(bool wire, int said)
{
	struct pair pair;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct ibv_wc wc;
	int i, posted = 0, done = 0;

	if (pair_open(&pair, wire, AREA) || pair_create(&pair, &ep_defaults) ||
	    pair_connect(&pair, &conn_defaults))
		return;
	for (i = 0; ; i++) {
		wr = burst_wr(&pair, &sge, i);
		if (ep_post_send(&pair.ep[0], &wr))
			return;
		posted++;
		while (posted - done >= BURST) {
			if (ep_wait(&pair.ep[0], &wc, WAIT_MS) ||
			    wc.status != IBV_WC_SUCCESS)
				return;
			if (++done == 2 * BURST)
				say(said);
		}
	}
}

TEST_F_TIMEOUT(teardown, killed_in_traffic, LIMIT)
{
	pid_t pid;
	int i;

	for (i = 0; i < 12; i++) {
		pid = spawn(traffic, variant->wire);
		ASSERT_LT(0, pid);
		usleep(rng_below(&rng, 20000));	/* at any moment of it */
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(0, reap(pid, SIGKILL));
	}
}

TEST_F_TIMEOUT(teardown, killed_together, LIMIT)
{
	pid_t pids[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = spawn(traffic, variant->wire);
		ASSERT_LT(0, pids[i]);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		ASSERT_EQ(0, kill(pids[i], SIGKILL));
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		ASSERT_EQ(0, reap(pids[i], SIGKILL));
	}
}

/* ---- the peer's process is gone ---- */

/* What two processes tell each other to connect. */
struct address {
	uint32_t qpn, psn, rkey;
	uint64_t addr;
	union ibv_gid gid;
};

static struct address address_of(const struct ep *ep, const struct area *area)
{
	return (struct address){
		.qpn = ep->qp->qp_num,
		.psn = ep->psn,
		.rkey = area->mr->rkey,
		.addr = (uintptr_t)area->data,
		.gid = ep->node->gid,
	};
}

/* To RTS, towards an endpoint of which only the address is known. */
static int connect_to(struct ep *ep, const struct address *address,
		      const struct conn *conn)
{
	struct ibv_qp qp = { .qp_num = address->qpn };
	struct node node = { .gid = address->gid };
	struct ep peer = { .qp = &qp, .node = &node, .psn = address->psn };

	if (ep_init(ep, conn) || ep_rtr(ep, &peer, conn) || ep_rts(ep, conn))
		return -EINVAL;
	return 0;
}

static void serve(bool wire, int socket)
{
	struct address mine, theirs;
	struct node node;
	struct area area;
	struct ep ep;

	if (node_open(&node, wire ? PEER : LOCAL) ||
	    area_alloc(&area, node.pd, AREA, ACCESS_ALL) ||
	    ep_create(&ep, &node, &ep_defaults))
		_exit(1);
	mine = address_of(&ep, &area);
	if (write(socket, &mine, sizeof(mine)) != sizeof(mine) ||
	    read(socket, &theirs, sizeof(theirs)) != sizeof(theirs) ||
	    connect_to(&ep, &theirs, &conn_defaults) ||
	    write(socket, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static pid_t connect_child(struct pair *pair, bool wire, struct address *peer)
{
	struct conn conn = conn_defaults;
	struct address mine;
	int sockets[2];
	char octet;
	pid_t pid;

	conn.timeout = 13;
	conn.retry_cnt = 2;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) ||
	    ep_create(&pair->ep[0], &pair->node[0], &ep_defaults))
		return -1;
	pid = fork();
	if (!pid) {
		close(sockets[0]);
		serve(wire, sockets[1]);
	}
	close(sockets[1]);
	mine = address_of(&pair->ep[0], &pair->in[0]);
	if (read(sockets[0], peer, sizeof(*peer)) != sizeof(*peer) ||
	    connect_to(&pair->ep[0], peer, &conn) ||
	    write(sockets[0], &mine, sizeof(mine)) != sizeof(mine) ||
	    read(sockets[0], &octet, 1) != 1) {
		complain("the child did not connect");
		kill(pid, SIGKILL);
		pid = -1;
	}
	close(sockets[0]);
	return pid;
}

TEST_F_TIMEOUT(teardown, peer_killed, LIMIT)
{
	struct ibv_sge sge = area_sge(&self->pair.out[0], 0, 4096);
	struct ep *ep = &self->pair.ep[0];
	struct address peer;
	struct ibv_send_wr wr = {
		.wr_id = 5,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
	};
	pid_t pid;
	int i;

	for (i = 0; i < 3; i++) {
		pid = connect_child(&self->pair, variant->wire, &peer);
		ASSERT_LT(0, pid);
		wr.wr.rdma.remote_addr = peer.addr;
		wr.wr.rdma.rkey = peer.rkey;
		ASSERT_EQ(0, ep_post_send(ep, &wr));
		ASSERT_EQ(0, ep_expect(ep, 5, IBV_WC_SUCCESS));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(0, reap(pid, SIGKILL));
		ASSERT_EQ(0, ep_post_send(ep, &wr));
		ASSERT_EQ(0, ep_expect(ep, 5, IBV_WC_RETRY_EXC_ERR));
		ep_destroy(ep);
	}
}

/* ---- nothing is destroyed ---- */

static void leave_everything(bool wire, int said)
{
	struct ibv_comp_channel *channel;
	struct ep_opts opts = ep_defaults;
	struct pair pairs[3];
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	int i, j;

	for (i = 0; i < 3; i++) {
		if (pair_open(&pairs[i], wire, AREA))
			return;
		channel = ibv_create_comp_channel(pairs[i].node[0].ctx);
		opts.channel = i ? channel : NULL;
		if (!channel ||
		    ep_create(&pairs[i].ep[0], &pairs[i].node[0], &opts) ||
		    ep_create(&pairs[i].ep[1], &pairs[i].node[1],
			      &ep_defaults) ||
		    pair_connect(&pairs[i], &conn_defaults) ||
		    ibv_req_notify_cq(pairs[i].ep[0].cq, 0))
			return;
		for (j = 0; j < BURST; j++) {
			wr = burst_wr(&pairs[i], &sge, j);
			if (ep_post_send(&pairs[i].ep[0], &wr))
				return;
		}
	}
	say(said);
	_exit(0);
}

TEST_F_TIMEOUT(teardown, exit_with_everything, LIMIT)
{
	pid_t pid;
	int i;

	for (i = 0; i < 8; i++) {
		pid = spawn(leave_everything, variant->wire);
		ASSERT_LT(0, pid);
		ASSERT_EQ(0, reap(pid, 0));
	}
}

/* ---- files closed beneath their owner ---- */

enum order {
	COMMAND_FIRST,
	ASYNC_FIRST,
	CHANNEL_FIRST,
	EVERY_FILE,
	ORDERS
};

/* The context's files in some order, in the middle of its work. */
static void close_files(enum order order, struct ibv_context *ctx,
			struct ibv_comp_channel *channel)
{
	switch (order) {
	case COMMAND_FIRST:
		close(ctx->cmd_fd);
		close(ctx->async_fd);
		close(channel->fd);
		break;
	case ASYNC_FIRST:
		close(ctx->async_fd);
		close(channel->fd);
		close(ctx->cmd_fd);
		break;
	case CHANNEL_FIRST:
		close(channel->fd);
		close(ctx->cmd_fd);
		close(ctx->async_fd);
		break;
	default:
		/* every file, whatever it is */
		close_range(3, ~0u, 0);
	}
}

static void odd_order(enum order order, bool wire)
{
	struct ep_opts opts = ep_defaults;
	struct ibv_comp_channel *channel;
	struct ibv_send_wr wr;
	struct pair pair;
	struct ibv_sge sge;
	int i;

	if (pair_open(&pair, wire, AREA))
		_exit(1);
	channel = ibv_create_comp_channel(pair.node[0].ctx);
	opts.channel = channel;
	if (!channel || ep_create(&pair.ep[0], &pair.node[0], &opts) ||
	    ep_create(&pair.ep[1], &pair.node[1], &ep_defaults) ||
	    pair_connect(&pair, &conn_defaults))
		_exit(1);
	ibv_req_notify_cq(pair.ep[0].cq, 0);
	for (i = 0; i < BURST; i++) {
		wr = burst_wr(&pair, &sge, i);
		if (ep_post_send(&pair.ep[0], &wr))
			_exit(1);
	}
	close_files(order, pair.node[0].ctx, channel);
	/* the doorbell page may be mapped still, or gone: nobody minds */
	close_files(order, pair.node[1].ctx, channel);
	_exit(0);
}

TEST_F_TIMEOUT(teardown, odd_orders, LIMIT)
{
	int round, order;
	pid_t pid;

	for (round = 0; round < 3; round++) {
		for (order = 0; order < ORDERS; order++) {
			pid = fork();
			if (!pid)
				odd_order(order, variant->wire);
			ASSERT_LT(0, pid);
			ASSERT_EQ(0, reap(pid, 0)) {
				TH_LOG("order %d", order);
			}
		}
	}
}

/* The context lives as long as one process has its file; then it is gone. */
TEST_F_TIMEOUT(teardown, inherited_file, LIMIT)
{
	struct ibv_sge sge;
	struct ibv_send_wr wr;
	int pipes[2], i;
	char octet;
	pid_t pid, heir;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	if (!pid) {
		struct pair pair;

		if (pair_open(&pair, variant->wire, AREA) ||
		    pair_create(&pair, &ep_defaults) ||
		    pair_connect(&pair, &conn_defaults))
			_exit(1);
		heir = fork();
		if (!heir) {
			/* holds the files, has none of the memory */
			close(pipes[1]);
			if (read(pipes[0], &octet, 1) != 0)
				_exit(1);
			_exit(0);
		}
		for (i = 0; i < BURST; i++) {
			wr = burst_wr(&pair, &sge, i);
			if (ep_post_send(&pair.ep[0], &wr))
				_exit(1);
		}
		_exit(heir > 0 ? 0 : 1);
	}
	close(pipes[0]);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, reap(pid, 0));
	ASSERT_EQ(0, pair_sound(&self->pair));
	close(pipes[1]);
}

/* ---- nothing leaks ---- */

TEST_F_TIMEOUT(teardown, many_contexts, LIMIT)
{
	struct node node;
	int i;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, node_open(&node, LOCAL)) {
			TH_LOG("context %d", i);
		}
		node_close(&node);
	}
}

/* More than there can be at once, had each left something behind. */
TEST_F_TIMEOUT(teardown, many_queue_pairs, LIMIT)
{
	struct ep_opts opts = ep_defaults;
	struct ep eps[64];
	unsigned int round, i;

	opts.max_send_wr = opts.max_recv_wr = 4;
	opts.cqe = 8;
	for (round = 0; round < 40; round++) {
		for (i = 0; i < ARRAY_SIZE(eps); i++) {
			ASSERT_EQ(0, ep_create(&eps[i], &self->pair.node[0],
					       &opts)) {
				TH_LOG("queue pair %u of round %u", i, round);
			}
		}
		for (i = 0; i < ARRAY_SIZE(eps); i++) {
			ep_destroy(&eps[i]);
		}
	}
}

TEST_HARNESS_MAIN
