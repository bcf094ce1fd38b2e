// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process keys and memory that is resident: the device walks the page table, asks
 * nobody, and does so while the owner is stopped. It holds with and without page
 * requests; without them what is absent fails at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"

#define LIMIT		300
#define AREA		65536u
#define PLACE		(5 * PAGE + 123)
#define PAGES_OF_PLACE	6

static uint8_t of_data[PLACE] = { 1 };
static const uint8_t of_rodata[PLACE] = { 'r', 'o', [PLACE - 1] = 'x' };

FIXTURE(resident)
{
	struct pair pair;
	struct ibv_mr *all[2];
	uint64_t walks, requests;
};

static int reconnect(FIXTURE_DATA(resident) *self)
{
	pair_destroy(&self->pair);
	return pair_create(&self->pair, &ep_defaults) ?:
	       pair_connect(&self->pair, &conn_defaults);
}

FIXTURE_SETUP(resident)
{
	ASSERT_EQ(0, implicit_open(&self->pair, AREA, self->all));
	ASSERT_EQ(0, reconnect(self));
}

FIXTURE_TEARDOWN(resident)
{
	EXPECT_EQ(0, implicit_close(&self->pair, self->all));
}

static bool device_asks(FIXTURE_DATA(resident) *self)
{
	return demand_supported(self->pair.node[0].ctx, false);
}

static void count(FIXTURE_DATA(resident) *self)
{
	self->walks = counter_of(LOCAL, "context_walks");
	self->requests = counter_of(LOCAL, "page_requests");
}

/* Since count() the device has walked for that many pages, and asked for none. */
static bool only_walked(FIXTURE_DATA(resident) *self, unsigned int pages)
{
	uint64_t walks = counter_of(LOCAL, "context_walks") - self->walks;
	uint64_t requests = counter_of(LOCAL, "page_requests") - self->requests;

	if (walks >= pages && !requests)
		return true;
	complain("%lu walks for %u pages, %lu page requests",
		 (unsigned long)walks, pages, (unsigned long)requests);
	return false;
}

/* ---- every place of a program, as source and target, near and far ---- */

/* An operation of ep[0] between its memory and that of ep[1]. */
static int run(FIXTURE_DATA(resident) *self, enum ibv_wr_opcode opcode,
	       void *local, uint32_t lkey, void *remote, uint32_t rkey,
	       uint32_t length)
{
	struct op op = {
		.opcode = opcode,
		.local = local, .lkey = lkey,
		.remote = remote, .rkey = rkey,
		.length = length,
	};
	int received, status;

	status = op_run(&self->pair.ep[0], &self->pair.ep[1], &op, &received);
	return status ?: received > 0 ? received : 0;
}

/* The place is read, by somebody else's request and by the owner's. */
static int read_place(FIXTURE_DATA(resident) *self, uint8_t *place)
{
	struct area *in = self->pair.in;

	memset(in[0].data, 0, PLACE);
	memset(in[1].data, 0, PLACE);
	if (run(self, IBV_WR_RDMA_READ, in[0].data, in[0].mr->lkey, place,
		self->all[1]->rkey, PLACE) ||
	    run(self, IBV_WR_RDMA_WRITE, place, self->all[0]->lkey, in[1].data,
		in[1].mr->rkey, PLACE))
		return -EIO;
	return check_equal("READ", in[0].data, place, PLACE) ?:
	       check_equal("WRITE from it", in[1].data, place, PLACE);
}

static void fill(uint8_t *at, uint8_t seed)
{
	unsigned int i;

	for (i = 0; i < PLACE; i++)
		at[i] = seed + i * 7 + i / 256;
}

/* The place is written, by each operation that can. */
static int write_place(FIXTURE_DATA(resident) *self, uint8_t *place)
{
	struct area *out = &self->pair.out[0], *in = &self->pair.in[1];

	fill(out->data, 1);
	if (run(self, IBV_WR_RDMA_WRITE, out->data, out->mr->lkey, place,
		self->all[1]->rkey, PLACE) ||
	    check_equal("WRITE", place, out->data, PLACE))
		return -EIO;
	fill(out->data, 2);
	if (run(self, IBV_WR_SEND, out->data, out->mr->lkey, place,
		self->all[1]->lkey, PLACE) ||
	    check_equal("receive", place, out->data, PLACE))
		return -EIO;
	fill(in->data, 3);
	if (run(self, IBV_WR_RDMA_READ, place, self->all[0]->lkey, in->data,
		in->mr->rkey, PLACE) ||
	    check_equal("READ into it", place, in->data, PLACE))
		return -EIO;
	return 0;
}

/* The CPU has stored to every page of it. */
static int check_writable(FIXTURE_DATA(resident) *self, uint8_t *place)
{
	fill(place, 4);
	count(self);
	if (read_place(self, place) || write_place(self, place))
		return -EIO;
	/* each of the two contexts by itself */
	return only_walked(self, 2 * PAGES_OF_PLACE) ? 0 : -EIO;
}

TEST_F_TIMEOUT(resident, heap, LIMIT)
{
	uint8_t *place = malloc(PLACE);

	ASSERT_NE(NULL, place);
	ASSERT_EQ(0, check_writable(self, place));
	free(place);
}

TEST_F_TIMEOUT(resident, stack, LIMIT)
{
	uint8_t place[PLACE];

	ASSERT_EQ(0, check_writable(self, place));
}

TEST_F_TIMEOUT(resident, data_segment, LIMIT)
{
	ASSERT_EQ(0, check_writable(self, of_data));
}

TEST_F_TIMEOUT(resident, file_mapping, LIMIT)
{
	struct mem mem;

	ASSERT_EQ(0, mem_map(&mem, MEM_FILE, PLACE));
	ASSERT_EQ(0, check_writable(self, mem.map));
	mem_unmap(&mem);
}

TEST_F_TIMEOUT(resident, read_only_data, LIMIT)
{
	uint8_t *place = (uint8_t *)of_rodata;
	unsigned int i;

	/* its pages are in the page table once it has been looked at */
	for (i = 0; i < PLACE; i += PAGE)
		ASSERT_LE(0, ((volatile uint8_t *)place)[i]);
	ASSERT_EQ('x', ((volatile uint8_t *)place)[PLACE - 1]);
	count(self);
	ASSERT_EQ(0, read_place(self, place));
	ASSERT_TRUE(only_walked(self, 2 * PAGES_OF_PLACE));
	ASSERT_EQ(IBV_WC_REM_ACCESS_ERR,
		  run(self, IBV_WR_RDMA_WRITE, self->pair.out[0].data,
		      self->pair.out[0].mr->lkey, place, self->all[1]->rkey,
		      PLACE));
	ASSERT_EQ(0, reconnect(self));
}

/* ---- without page requests ---- */

TEST_F_TIMEOUT(resident, capabilities, LIMIT)
{
	struct ibv_device_attr_ex attr;
	struct svandv_fault_policy policy;
	struct ibv_mr *mr;

	if (device_asks(self))
		SKIP(return, "the device asks for pages");
	ASSERT_EQ(0, ibv_query_device_ex(self->pair.node[0].ctx, NULL, &attr));
	EXPECT_EQ(IBV_ODP_SUPPORT_IMPLICIT, attr.odp_caps.general_caps);
	EXPECT_EQ(0, attr.odp_caps.per_transport_caps.rc_odp_caps);
	mr = demand_reg(self->pair.node[0].pd, of_data, PLACE, ACCESS_ALL);
	EXPECT_EQ(NULL, mr);
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(EOPNOTSUPP, svandv_query_fault_policy(self->pair.ep[0].qp,
							&policy));
}

/* An operation that must end in this way, soon: not by a requester's timeout. */
static int refused(FIXTURE_DATA(resident) *self, enum ibv_wr_opcode opcode,
		   void *local, void *remote, int wanted)
{
	struct area *out = &self->pair.out[0], *in = &self->pair.in[1];
	uint64_t begin = now_ms();
	int status;

	status = run(self, opcode, local ?: out->data,
		     local ? self->all[0]->lkey : out->mr->lkey,
		     remote ?: in->data,
		     remote ? self->all[1]->rkey : in->mr->rkey, PAGE);
	if (status == wanted && now_ms() - begin < 900)
		return reconnect(self);
	complain("opcode %d, %p to %p: status %d after %lu ms", opcode, local,
		 remote, status, (unsigned long)(now_ms() - begin));
	return -EIO;
}

TEST_F_TIMEOUT(resident, absent, LIMIT)
{
	struct mem mem;
	uint8_t *at;

	if (device_asks(self))
		SKIP(return, "the device asks for pages");
	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, 8 * PAGE));
	at = mem.map + PAGE;
	count(self);
	ASSERT_EQ(0, refused(self, IBV_WR_RDMA_WRITE, NULL, at,
			     IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, refused(self, IBV_WR_RDMA_READ, NULL, at,
			     IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, refused(self, IBV_WR_SEND, NULL, at, IBV_WC_REM_OP_ERR));
	ASSERT_EQ(0, refused(self, IBV_WR_RDMA_WRITE, at, NULL,
			     IBV_WC_LOC_PROT_ERR));
	ASSERT_EQ(0, refused(self, IBV_WR_RDMA_READ, at, NULL,
			     IBV_WC_LOC_PROT_ERR));
	ASSERT_TRUE(only_walked(self, 5));
	/* there, but not to be written to: the page of zeros */
	ASSERT_EQ(0, ((volatile uint8_t *)at)[0]);
	ASSERT_EQ(0, refused(self, IBV_WR_RDMA_WRITE, NULL, at,
			     IBV_WC_REM_ACCESS_ERR));
	memset(at, 1, PAGE);
	memset(self->pair.out[0].data, 0x77, PAGE);
	ASSERT_EQ(0, run(self, IBV_WR_RDMA_WRITE, self->pair.out[0].data,
			 self->pair.out[0].mr->lkey, at, self->all[1]->rkey,
			 PAGE));
	EXPECT_EQ(0x77, at[PAGE - 1]);
	EXPECT_EQ(0, mem.map[0] | at[PAGE]);
	ASSERT_TRUE(only_walked(self, 7));
	mem_unmap(&mem);
}

/* ---- the owner is stopped ---- */

/* Quarters of the owner's memory. */
enum { WRITTEN, READ_FROM, RECEIVED, SENT, QUARTERS };

#define QUARTER		(AREA / QUARTERS)

/* What the two processes have to know of each other. */
struct card {
	uint32_t qpn, psn, rkey;
	union ibv_gid gid;
	uint64_t addr;
};

static int connect_card(struct ep *ep, const struct card *card)
{
	struct conn conn = conn_defaults;
	struct node node = { .gid = card->gid };
	struct ibv_qp qp = { .qp_num = card->qpn };
	struct ep peer = { .node = &node, .qp = &qp, .psn = card->psn };

	conn.min_rnr_timer = 18;	/* 5 ms */
	return ep_init(ep, &conn) ?: ep_rtr(ep, &peer, &conn) ?:
	       ep_rts(ep, &conn);
}

static int post_send(struct ep *ep, struct ibv_sge sge)
{
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	};

	return ep_post_send(ep, &wr);
}

static struct ibv_sge quarter(const struct card *card, int number)
{
	return (struct ibv_sge){ card->addr + number * QUARTER, QUARTER,
				 card->rkey };
}

static bool is_full_of(const uint8_t *at, uint8_t octet)
{
	unsigned int i;

	for (i = 0; i < QUARTER; i++)
		if (at[i] != octet)
			return false;
	return true;
}

/*
 * Offers its memory, posts a receive, and a SEND that nobody receives yet; is
 * stopped, and looks afterwards.
 */
static void owner(int in, int out)
{
	struct card card, theirs;
	struct ibv_sge target;
	struct ibv_mr *mr;
	struct node node;
	struct ep ep;
	struct mem mem;
	char octet;

	if (node_open(&node, LOCAL) || ep_create(&ep, &node, &ep_defaults) ||
	    mem_map(&mem, MEM_ANON, AREA))
		_exit(1);
	mr = demand_reg(node.pd, NULL, SIZE_MAX, ACCESS_ALL);
	memset(mem.map, 0x3c, AREA);
	if (!mr)
		_exit(2);
	card = (struct card){ .qpn = ep.qp->qp_num, .psn = ep.psn,
			      .rkey = mr->rkey, .gid = node.gid,
			      .addr = (uintptr_t)mem.map };
	if (read(in, &theirs, sizeof(theirs)) != sizeof(theirs) ||
	    connect_card(&ep, &theirs) ||
	    write(out, &card, sizeof(card)) != sizeof(card))
		_exit(3);
	target = quarter(&card, RECEIVED);
	if (read(in, &octet, 1) != 1 || ep_post_recv(&ep, 1, &target, 1) ||
	    post_send(&ep, quarter(&card, SENT)) || write(out, "x", 1) != 1)
		_exit(4);
	if (read(in, &octet, 1) != 1)
		_exit(5);
	_exit(is_full_of(mem.map + WRITTEN * QUARTER, 0x4d) &&
	      is_full_of(mem.map + READ_FROM * QUARTER, 0x3c) &&
	      is_full_of(mem.map + RECEIVED * QUARTER, 0x5e) &&
	      is_full_of(mem.map + SENT * QUARTER, 0x3c) ? 0 : 6);
}

static int meet(FIXTURE_DATA(resident) *self, int to, int from,
		struct card *theirs)
{
	struct ep *ep = &self->pair.ep[0];
	struct card card = { .qpn = ep->qp->qp_num, .psn = ep->psn,
			     .gid = ep->node->gid };
	char octet;

	if (write(to, &card, sizeof(card)) != sizeof(card) ||
	    read(from, theirs, sizeof(*theirs)) != sizeof(*theirs) ||
	    connect_card(ep, theirs) || write(to, "x", 1) != 1 ||
	    read(from, &octet, 1) != 1)
		return -EIO;
	return 0;
}

/* Everything that reaches its memory: by its rkey, its receive, its SEND. */
static int use_memory(FIXTURE_DATA(resident) *self, const struct card *card)
{
	struct area *out = &self->pair.out[0], *in = &self->pair.in[0];
	struct ep *ep = &self->pair.ep[0];
	struct ibv_sge sge = area_sge(in, QUARTER, QUARTER);
	struct op op = { .rkey = card->rkey, .length = QUARTER };
	struct ibv_wc wc;

	memset(out->data, 0x4d, QUARTER);
	memset(out->data + QUARTER, 0x5e, QUARTER);
	op.opcode = IBV_WR_RDMA_WRITE;
	op.local = out->data;
	op.lkey = out->mr->lkey;
	op.remote = (void *)quarter(card, WRITTEN).addr;
	if (op_run(ep, NULL, &op, NULL))
		return -EIO;
	op.opcode = IBV_WR_RDMA_READ;
	op.local = in->data;
	op.lkey = in->mr->lkey;
	op.remote = (void *)quarter(card, READ_FROM).addr;
	if (op_run(ep, NULL, &op, NULL) || !is_full_of(in->data, 0x3c))
		return -EIO;
	if (post_send(ep, area_sge(out, QUARTER, QUARTER)) ||
	    ep_wait(ep, &wc, WAIT_MS) || wc.status)
		return -EIO;
	if (ep_post_recv(ep, 2, &sge, 1) || ep_wait(ep, &wc, WAIT_MS) ||
	    wc.status || !is_full_of(in->data + QUARTER, 0x3c))
		return -EIO;
	return 0;
}

TEST_F_TIMEOUT(resident, stopped_owner, LIMIT)
{
	int to[2], from[2], status;
	struct card card;
	pid_t pid;

	ASSERT_EQ(0, pipe(to) | pipe(from));
	pid = fork();
	if (!pid)
		owner(to[0], from[1]);
	pair_destroy(&self->pair);
	ASSERT_EQ(0, pair_create(&self->pair, &ep_defaults));
	ASSERT_EQ(0, meet(self, to[1], from[0], &card));
	ASSERT_EQ(0, kill(pid, SIGSTOP));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));

	count(self);
	EXPECT_EQ(0, use_memory(self, &card));
	/* the source of the SEND may have been looked up before */
	EXPECT_TRUE(only_walked(self, 3 * QUARTER / PAGE));

	ASSERT_EQ(0, kill(pid, SIGCONT));
	ASSERT_EQ(1, write(to[1], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
