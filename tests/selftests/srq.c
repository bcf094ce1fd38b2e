// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared receive queues (IBTA volume 1, 10.2.9): queue pairs of one device take the entries
 * of one queue. Each message says in its immediate where its data is from, so each
 * completion can be verified, whatever the order in which they come.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "demand.h"
#include "ud-lib.h"

#define LIMIT		120
#define SHORT_MS	50	/* in which what may not come would have come */

#define SENDERS		4u	/* each with a receiver of its own */
#define ENTRIES		32u
#define SLOT		2048u	/* what an entry has room for */
#define LONG		(1u << 20)
#define AREA		(SENDERS * LONG)
#define WRITTEN		(ENTRIES * SLOT)	/* where WRITEs go, behind the slots */
#define MAX_MESSAGE	900u	/* a datagram, too, with any MTU of these tests */
#define SGES		2
#define MANY		500	/* times to try what depends on the moment */
#define ID		0xabc00000000ull

static struct rng rng;

struct message {
	uint32_t from, length;	/* in the sender's area */
	bool write;
};

FIXTURE(srq)
{
	struct pair pair;
	struct ep from[SENDERS], to[SENDERS];
	struct ibv_ah *ah;
	struct ibv_srq *srq;
	uint32_t max_wr, max_sge;
	uint8_t *buffers;
	uint32_t lkey, slot;
	bool posted[ENTRIES];
	struct message sent[SENDERS];
};

FIXTURE_VARIANT(srq)
{
	enum ibv_qp_type type;
	bool wire;
	bool extended;
};

FIXTURE_VARIANT_ADD(srq, rc)
{
	.type = IBV_QPT_RC,
};

FIXTURE_VARIANT_ADD(srq, rc_wire)
{
	.type = IBV_QPT_RC,
	.wire = true,
};

FIXTURE_VARIANT_ADD(srq, rc_extended)
{
	.type = IBV_QPT_RC,
	.extended = true,
};

FIXTURE_VARIANT_ADD(srq, uc)
{
	.type = IBV_QPT_UC,
};

FIXTURE_VARIANT_ADD(srq, uc_wire)
{
	.type = IBV_QPT_UC,
	.wire = true,
};

FIXTURE_VARIANT_ADD(srq, ud)
{
	.type = IBV_QPT_UD,
};

FIXTURE_VARIANT_ADD(srq, ud_wire_extended)
{
	.type = IBV_QPT_UD,
	.wire = true,
	.extended = true,
};

static bool is_ud(const FIXTURE_DATA(srq) *self)
{
	return self->to[0].qp->qp_type == IBV_QPT_UD;
}

static bool is_rc(const FIXTURE_DATA(srq) *self)
{
	return self->to[0].qp->qp_type == IBV_QPT_RC;
}

/* ---- life ---- */

static struct ibv_srq *create_srq(struct ibv_pd *pd, uint32_t max_wr, uint32_t max_sge,
				  struct ibv_srq_init_attr *attr)
{
	*attr = (struct ibv_srq_init_attr){
		.attr = { .max_wr = max_wr, .max_sge = max_sge },
	};
	return ibv_create_srq(pd, attr);
}

static int connect_pair(FIXTURE_DATA(srq) *self, uint32_t i)
{
	if (is_ud(self))
		return ep_start_ud(&self->from[i], QKEY) ||
		       ep_start_ud(&self->to[i], QKEY) ? -EIO : 0;
	return connect_eps(&self->from[i], &self->to[i], &conn_defaults);
}

/* All receivers have the CQ of the first one. */
static int create_eps(FIXTURE_DATA(srq) *self, enum ibv_qp_type type, bool extended)
{
	struct ep_opts from = ep_defaults, to = ep_defaults;
	uint32_t i;

	from.qp_type = type;
	from.extended = extended;
	from.max_sge = SGES;
	to = from;
	to.srq = self->srq;
	for (i = 0; i < SENDERS; i++) {
		if (ep_create(&self->from[i], &self->pair.node[0], &from) ||
		    ep_create(&self->to[i], &self->pair.node[1], &to) ||
		    connect_pair(self, i))
			return -EIO;
		to.cq = self->to[0].cq;
		to.extended = false;
	}
	return 0;
}

FIXTURE_SETUP(srq)
{
	struct ibv_srq_init_attr attr;
	uint64_t word;
	uint32_t i;

	rng_init(&rng, "srq");
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, AREA));
	self->srq = create_srq(self->pair.node[1].pd, ENTRIES - 3, SGES, &attr);
	ASSERT_NE(NULL, self->srq);
	self->max_wr = attr.attr.max_wr;
	self->max_sge = attr.attr.max_sge;
	ASSERT_EQ(ENTRIES, self->max_wr);
	ASSERT_LE(SGES, self->max_sge);
	ASSERT_EQ(0, create_eps(self, variant->type, variant->extended));
	self->ah = create_ah(&self->pair.node[0], self->pair.node[0].gid_index,
			     &self->pair.node[1].gid);
	ASSERT_NE(NULL, self->ah);
	self->buffers = self->pair.in[1].data;
	self->lkey = self->pair.in[1].mr->lkey;
	self->slot = SLOT;
	for (i = 0; i < AREA; i += sizeof(word)) {
		word = rng_u64(&rng);
		memcpy(self->pair.out[0].data + i, &word, sizeof(word));
	}
}

/* Whatever happened: a fresh pair of queue pairs works, and the queue can be destroyed. */
FIXTURE_TEARDOWN(srq)
{
	uint32_t i;

	for (i = SENDERS; i--;) {
		ep_destroy(&self->to[i]);
		ep_destroy(&self->from[i]);
	}
	if (self->ah) {
		EXPECT_EQ(0, ibv_destroy_ah(self->ah));
	}
	if (self->srq) {
		EXPECT_EQ(0, ibv_destroy_srq(self->srq));
	}
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- work ---- */

/* Post an entry for the slot of that number, in two pieces. errno. */
static int post_slot(FIXTURE_DATA(srq) *self, uint32_t slot)
{
	uint64_t addr = (uintptr_t)self->buffers + (uint64_t)slot * self->slot;
	struct ibv_sge sge[SGES] = {
		{ .addr = addr, .length = 333, .lkey = self->lkey },
		{ .addr = addr + 333, .length = self->slot - 333, .lkey = self->lkey },
	};
	struct ibv_recv_wr wr = { .wr_id = ID + slot, .sg_list = sge, .num_sge = SGES };
	struct ibv_recv_wr *bad_wr = NULL;
	int ret = ibv_post_srq_recv(self->srq, &wr, &bad_wr);

	if (!ret)
		self->posted[slot] = true;
	else if (bad_wr != &wr)
		complain("bad_wr is wrong");
	return ret;
}

static int post_slots(FIXTURE_DATA(srq) *self, uint32_t count)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		if (!self->posted[i])
			ret = post_slot(self, i);
	if (ret)
		complain("posting to the shared queue: %s", strerror(ret));
	return -ret;
}

/* From sender @i. It does not wait, and nobody else's message is that sender's meanwhile. */
static int send_message(FIXTURE_DATA(srq) *self, uint32_t i, struct message message)
{
	struct ibv_sge sge = area_sge(&self->pair.out[0], message.from, message.length);
	struct way way = { .to = &self->to[i], .ah = self->ah };
	struct ibv_send_wr wr = datagram(&way, &sge, 1);
	int ret;

	wr.opcode = message.write ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_SEND_WITH_IMM;
	wr.imm_data = htonl(message.from);
	wr.wr_id = i;
	if (!is_ud(self)) {
		wr.wr.rdma.remote_addr = (uintptr_t)self->pair.in[1].data +
					 WRITTEN + i * SLOT;
		wr.wr.rdma.rkey = self->pair.in[1].mr->rkey;
	}
	self->sent[i] = message;
	ret = ep_post_send(&self->from[i], &wr);
	if (ret)
		complain("sending from %u: %s", i, strerror(ret));
	return -ret;
}

static struct message some_message(const FIXTURE_DATA(srq) *self)
{
	return (struct message){
		.from = rng_below(&rng, AREA - MAX_MESSAGE),
		.length = rng_below(&rng, MAX_MESSAGE),
		.write = !is_ud(self) && rng_below(&rng, 4) == 0,
	};
}

/* Whose completion is it? And is its wr_id one that was posted? -EIO: not so. */
static int whose(FIXTURE_DATA(srq) *self, const struct ibv_wc *wc)
{
	uint64_t slot = wc->wr_id - ID;
	uint32_t i;

	for (i = 0; i < SENDERS; i++)
		if (self->to[i].qp && self->to[i].qp->qp_num == wc->qp_num)
			break;
	if (i == SENDERS || slot >= ENTRIES || !self->posted[slot]) {
		complain("QP %u, work request 0x%llx: no such one", wc->qp_num,
			 (unsigned long long)wc->wr_id);
		return -EIO;
	}
	self->posted[slot] = false;
	return i;
}

static int verify(FIXTURE_DATA(srq) *self, const struct ibv_wc *wc, uint32_t i)
{
	const struct message *message = &self->sent[i];
	uint32_t head = is_ud(self) ? GRH : 0;
	const uint8_t *data = message->write ?
			      self->pair.in[1].data + WRITTEN + i * SLOT :
			      self->buffers + (wc->wr_id - ID) * self->slot + head;

	if (wc->status != IBV_WC_SUCCESS ||
	    wc->opcode != (message->write ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV) ||
	    ntohl(wc->imm_data) != message->from ||
	    wc->byte_len != message->length + head) {
		complain("receiver %u: %s, opcode %d, %u octets from 0x%x; wanted %u from 0x%x",
			 i, ibv_wc_status_str(wc->status), wc->opcode, wc->byte_len,
			 ntohl(wc->imm_data), message->length + head, message->from);
		return -EIO;
	}
	return check_equal("message", data, self->pair.out[0].data + message->from,
			   message->length);
}

/* The next message to arrive, verified, and its sender's completion; the sender. */
static int arrived(FIXTURE_DATA(srq) *self)
{
	struct ibv_wc wc;
	int i;

	if (ep_wait(&self->to[0], &wc, WAIT_MS)) {
		complain("nothing arrives");
		return -EIO;
	}
	i = whose(self, &wc);
	if (i < 0 || verify(self, &wc, i))
		return -EIO;
	return ep_expect(&self->from[i], i, IBV_WC_SUCCESS) ? -EIO : i;
}

/* One message from each of these senders, all at once. */
static int from_all(FIXTURE_DATA(srq) *self, uint32_t first)
{
	uint32_t i, seen = 0;
	int ret;

	for (i = first; i < SENDERS; i++)
		if (send_message(self, i, some_message(self)))
			return -EIO;
	for (i = first; i < SENDERS; i++) {
		ret = arrived(self);
		if (ret < 0 || ret < (int)first || seen & 1u << ret)
			return -EIO;
		seen |= 1u << ret;
	}
	return 0;
}

/* ---- what arrives ---- */

TEST_F_TIMEOUT(srq, many_rounds, LIMIT)
{
	int round;

	for (round = 0; round < 40 * (int)ENTRIES; round++) {
		ASSERT_EQ(0, post_slots(self, SENDERS + rng_below(&rng, ENTRIES - SENDERS)));
		ASSERT_EQ(0, from_all(self, 0));
	}
	ASSERT_EQ(0, ep_expect_none(&self->to[0], 1));
}

/* The first message takes long, and those of others can complete before it. */
TEST_F_TIMEOUT(srq, overtaking, LIMIT)
{
	int round, overtaken = 0, last = -1;
	uint32_t i;

	if (is_ud(self))
		SKIP(return, "a datagram is one packet");
	self->slot = LONG;
	for (round = 0; round < 20 || (!overtaken && round < MANY); round++) {
		ASSERT_EQ(0, post_slots(self, SENDERS));
		ASSERT_EQ(0, send_message(self, 0, (struct message){
						  .from = round, .length = LONG - 100 }));
		for (i = 1; i < SENDERS; i++) {
			ASSERT_EQ(0, send_message(self, i, (struct message){
							  .from = round + i * 999,
							  .length = 100 + i }));
		}
		for (i = 0; i < SENDERS; i++) {
			last = arrived(self);
			ASSERT_LE(0, last);
		}
		overtaken += last == 0;
	}
	printf("# overtaken %d times of %d\n", overtaken, round);
	ASSERT_LT(0, overtaken);
}

/* A reliable connection waits for an entry; what is unreliable is lost. */
TEST_F_TIMEOUT(srq, empty, LIMIT)
{
	uint32_t i;
	int round;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < SENDERS; i++) {
			ASSERT_EQ(0, send_message(self, i, some_message(self)));
			if (!is_rc(self)) {
				ASSERT_EQ(0, ep_expect(&self->from[i], i, IBV_WC_SUCCESS));
			}
		}
		ASSERT_EQ(0, ep_expect_none(&self->to[0], SHORT_MS));
		ASSERT_EQ(0, post_slots(self, is_rc(self) ? SENDERS - 1 : SENDERS));
		for (i = 1; i < SENDERS && is_rc(self); i++) {
			ASSERT_LE(0, arrived(self));
		}
		if (is_rc(self)) {
			ASSERT_EQ(0, ep_expect_none(&self->to[0], SHORT_MS));
			ASSERT_EQ(0, post_slots(self, 1));
			ASSERT_LE(0, arrived(self));
		}
		ASSERT_EQ(0, post_slots(self, SENDERS));
		ASSERT_EQ(0, from_all(self, 0));
	}
}

/* Memory that was never touched, and is not there when the message comes. */
TEST_F_TIMEOUT(srq, absent_pages, LIMIT)
{
	size_t size = ENTRIES * SLOT;
	struct ibv_mr *mr;
	int round;

	if (!demand_supported(self->pair.node[1].ctx, false))
		SKIP(return, "no memory on demand");
	self->buffers = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buffers);
	mr = demand_reg(self->pair.node[1].pd, self->buffers, size, IBV_ACCESS_LOCAL_WRITE);
	ASSERT_NE(NULL, mr);
	self->lkey = mr->lkey;
	for (round = 0; round < 100; round++) {
		ASSERT_EQ(0, post_slots(self, ENTRIES));
		ASSERT_EQ(0, from_all(self, 0));
		ASSERT_EQ(0, madvise(self->buffers, size, MADV_DONTNEED));
	}
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(0, munmap(self->buffers, size));
}

TEST_F_TIMEOUT(srq, claims_absent_pages, LIMIT)
{
	struct ibv_device_attr_ex attr;

	ASSERT_EQ(0, ibv_query_device_ex(self->pair.node[1].ctx, NULL, &attr));
	if (!(attr.odp_caps.general_caps & IBV_ODP_SUPPORT))
		SKIP(return, "no memory on demand");
	ASSERT_NE(0, attr.odp_caps.per_transport_caps.rc_odp_caps &
		     IBV_ODP_SUPPORT_SRQ_RECV);
}

/* ---- limit ---- */

static int set_limit(FIXTURE_DATA(srq) *self, uint32_t limit)
{
	struct ibv_srq_attr attr = { .srq_limit = limit };

	return ibv_modify_srq(self->srq, &attr, IBV_SRQ_LIMIT);
}

static int limit_of(FIXTURE_DATA(srq) *self)
{
	struct ibv_srq_attr attr;

	if (ibv_query_srq(self->srq, &attr) || attr.max_wr != self->max_wr ||
	    attr.max_sge != self->max_sge)
		return -EIO;
	return attr.srq_limit;
}

/* One message, from any sender. */
static int one_message(FIXTURE_DATA(srq) *self)
{
	uint32_t i = rng_below(&rng, SENDERS);

	return send_message(self, i, some_message(self)) || arrived(self) != (int)i ?
	       -EIO : 0;
}

TEST_F_TIMEOUT(srq, limit, LIMIT)
{
	struct node *node = &self->pair.node[1];
	struct ibv_async_event event;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, post_slots(self, 10));
		ASSERT_EQ(0, set_limit(self, 8));
		ASSERT_EQ(8, limit_of(self));
		ASSERT_EQ(0, one_message(self));
		ASSERT_EQ(0, one_message(self));
		ASSERT_EQ(-ETIMEDOUT, get_async(node, SHORT_MS, &event));
		ASSERT_EQ(8, limit_of(self));
		ASSERT_EQ(0, one_message(self));
		ASSERT_EQ(0, get_async(node, WAIT_MS, &event));
		ASSERT_EQ(IBV_EVENT_SRQ_LIMIT_REACHED, event.event_type);
		ASSERT_EQ(self->srq, event.element.srq);
		ibv_ack_async_event(&event);
		ASSERT_EQ(0, limit_of(self));
		ASSERT_EQ(0, one_message(self));
		ASSERT_EQ(-ETIMEDOUT, get_async(node, SHORT_MS, &event));
	}
}

TEST_F_TIMEOUT(srq, bad_changes, LIMIT)
{
	struct ibv_srq_attr attr = { .max_wr = 2 * ENTRIES };

	ASSERT_EQ(EOPNOTSUPP, ibv_modify_srq(self->srq, &attr, IBV_SRQ_MAX_WR));
	ASSERT_EQ(EOPNOTSUPP, ibv_modify_srq(self->srq, &attr,
					     IBV_SRQ_MAX_WR | IBV_SRQ_LIMIT));
	ASSERT_EQ(EINVAL, set_limit(self, ENTRIES + 1));
	ASSERT_EQ(0, limit_of(self));
	ASSERT_EQ(0, set_limit(self, ENTRIES));
	ASSERT_EQ(0, set_limit(self, 0));
}

/* ---- errors ---- */

static int expect_last_wqe(FIXTURE_DATA(srq) *self, struct ep *ep)
{
	struct ibv_async_event event;
	int ret, good;

	do {
		ret = get_async(&self->pair.node[1], WAIT_MS, &event);
		if (ret) {
			complain("no last WQE: %s", strerror(-ret));
			return ret;
		}
		good = event.event_type == IBV_EVENT_QP_LAST_WQE_REACHED &&
		       event.element.qp == ep->qp;
		ibv_ack_async_event(&event);
	} while (!good);
	return 0;
}

static int again(FIXTURE_DATA(srq) *self, uint32_t i)
{
	if (ep_state(&self->from[i], IBV_QPS_RESET) ||
	    ep_state(&self->to[i], IBV_QPS_RESET))
		return -EIO;
	return connect_pair(self, i);
}

/* Two pages from there, of which the second one is awaited; until some of it has come. */
static int send_half(FIXTURE_DATA(srq) *self, uint8_t *pages, uint32_t lkey)
{
	struct ibv_sge sge = { .addr = (uintptr_t)pages, .length = 2 * PAGE, .lkey = lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND };
	const volatile uint8_t *first = self->buffers;
	uint64_t end = now_ms() + WAIT_MS;

	memset(pages, 0xa7, PAGE);
	self->buffers[0] = 0;
	if (ep_post_send(&self->from[0], &wr))
		return -EIO;
	while (*first != 0xa7 && now_ms() < end)
		;
	return *first == 0xa7 ? 0 : -ETIMEDOUT;
}

/*
 * A receiver goes to the error state in the midst of a message. What it had taken is
 * flushed, once, and the rest is left to the others.
 */
TEST_F_TIMEOUT(srq, error_in_the_midst, LIMIT)
{
	struct server server;
	struct ibv_mr *mr;
	struct ibv_wc wc;
	uint8_t *pages;
	int ret;

	if (is_ud(self))
		SKIP(return, "a datagram is one packet");
	if (!demand_supported(self->pair.node[0].ctx, false))
		SKIP(return, "no memory on demand");
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	ret = server_start(&server, pages + PAGE, PAGE, 1000, 0);
	if (ret == -ENOENT)
		SKIP(return, "there is no userfaultfd");
	ASSERT_EQ(0, ret);
	mr = demand_reg(self->pair.node[0].pd, pages, 2 * PAGE, 0);
	ASSERT_NE(NULL, mr);

	self->slot = LONG;
	ASSERT_EQ(0, post_slots(self, SENDERS));
	ASSERT_EQ(0, send_half(self, pages, mr->lkey));
	ASSERT_EQ(0, ep_state(&self->to[0], IBV_QPS_ERR));
	ASSERT_EQ(0, ep_wait(&self->to[0], &wc, WAIT_MS));
	ASSERT_EQ(IBV_WC_WR_FLUSH_ERR, wc.status);
	ASSERT_EQ(ID, wc.wr_id);
	ASSERT_EQ(0, whose(self, &wc));
	ASSERT_EQ(0, expect_last_wqe(self, &self->to[0]));
	ASSERT_EQ(0, from_all(self, 1));
	ASSERT_EQ(0, ep_expect_none(&self->to[0], SHORT_MS));
	ASSERT_EQ(0, again(self, 0));
	server_stop(&server);
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(0, munmap(pages, 2 * PAGE));
	ASSERT_EQ(0, post_slots(self, SENDERS));
	ASSERT_EQ(0, from_all(self, 0));
}

/* The same at any moment of a message that does not stop. */
TEST_F_TIMEOUT(srq, error_at_any_moment, LIMIT)
{
	struct ibv_wc wc;
	int round;

	if (!is_rc(self))
		SKIP(return, "nobody would wait for the rest of the message");
	self->slot = LONG;
	for (round = 0; round < 30; round++) {
		ASSERT_EQ(0, post_slots(self, SENDERS));
		ASSERT_EQ(0, send_message(self, 0, (struct message){ .length = LONG }));
		usleep(rng_below(&rng, 1000));
		ASSERT_EQ(0, ep_state(&self->to[0], IBV_QPS_ERR));
		ASSERT_EQ(0, expect_last_wqe(self, &self->to[0]));
		if (ep_wait(&self->to[0], &wc, SHORT_MS) == 0) {
			ASSERT_EQ(0, whose(self, &wc));
			ASSERT_EQ(true, wc.status == IBV_WC_SUCCESS ||
					wc.status == IBV_WC_WR_FLUSH_ERR);
			ASSERT_EQ(0, ep_expect_none(&self->to[0], 1));
		}
		ASSERT_EQ(0, from_all(self, 1));
		ASSERT_EQ(0, again(self, 0));
	}
}

/* A message too long for its entry: the entry is completed in error. */
TEST_F_TIMEOUT(srq, too_long, LIMIT)
{
	struct ibv_wc wc;
	int round;

	if (!is_rc(self))
		SKIP(return, "it would be dropped");
	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, post_slots(self, ENTRIES));
		ASSERT_EQ(0, send_message(self, 0, (struct message){ .length = SLOT + 1 }));
		ASSERT_EQ(0, ep_wait(&self->to[0], &wc, WAIT_MS));
		ASSERT_EQ(IBV_WC_LOC_LEN_ERR, wc.status);
		ASSERT_EQ(0, whose(self, &wc));
		ASSERT_EQ(0, expect_last_wqe(self, &self->to[0]));
		ASSERT_EQ(0, expect_state(&self->to[0], IBV_QPS_ERR));
		ASSERT_EQ(0, ep_expect_none(&self->to[0], 1));
		ASSERT_EQ(0, from_all(self, 1));
		ASSERT_EQ(0, again(self, 0));
		ASSERT_EQ(0, from_all(self, 0));
	}
}

/* In the error state with nothing taken: the event alone. */
TEST_F_TIMEOUT(srq, idle_error, LIMIT)
{
	int round;

	for (round = 0; round < 10; round++) {
		ASSERT_EQ(0, post_slots(self, ENTRIES));
		ASSERT_EQ(0, ep_state(&self->to[0], IBV_QPS_ERR));
		ASSERT_EQ(0, expect_last_wqe(self, &self->to[0]));
		ASSERT_EQ(0, ep_expect_none(&self->to[0], 1));
		ASSERT_EQ(0, from_all(self, 1));
		ASSERT_EQ(0, again(self, 0));
		ASSERT_EQ(0, from_all(self, 0));
	}
}

/* ---- posting ---- */

TEST_F_TIMEOUT(srq, full, LIMIT)
{
	struct ibv_recv_wr wr[3] = {}, *bad_wr = NULL;
	uint32_t i;
	int round;

	for (i = 0; i < 3; i++)
		wr[i] = (struct ibv_recv_wr){
			.wr_id = ID + i, .next = i < 2 ? &wr[i + 1] : NULL,
		};
	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, post_slots(self, ENTRIES));
		ASSERT_EQ(ENOMEM, post_slot(self, 0));
		ASSERT_EQ(0, from_all(self, 0));
		ASSERT_EQ(0, post_slots(self, ENTRIES));
		ASSERT_EQ(ENOMEM, post_slot(self, 0));
	}
	ASSERT_EQ(0, one_message(self));
	ASSERT_EQ(0, one_message(self));
	/* There is room for two of the three. */
	ASSERT_EQ(ENOMEM, ibv_post_srq_recv(self->srq, wr, &bad_wr));
	ASSERT_EQ(&wr[2], bad_wr);
	ASSERT_EQ(ENOMEM, ibv_post_srq_recv(self->srq, wr, &bad_wr));
	ASSERT_EQ(&wr[0], bad_wr);
}

TEST_F_TIMEOUT(srq, bad_requests, LIMIT)
{
	struct ibv_recv_wr good = { .wr_id = 1 }, bad = {}, *bad_wr = NULL;
	struct ibv_sge sge[MAX_SGE + 1] = {};

	bad.sg_list = sge;
	bad.num_sge = self->max_sge + 1;
	good.next = &bad;
	ASSERT_EQ(EINVAL, ibv_post_srq_recv(self->srq, &good, &bad_wr));
	ASSERT_EQ(&bad, bad_wr);
	bad.num_sge = -1;
	ASSERT_EQ(EINVAL, ibv_post_srq_recv(self->srq, &bad, &bad_wr));
	/* a queue pair has no queue of its own */
	ASSERT_EQ(-EINVAL, ep_post_recv(&self->to[1], 1, sge, 1));
}

TEST_F_TIMEOUT(srq, attributes, LIMIT)
{
	struct ibv_qp_init_attr init_attr;
	struct ibv_qp_attr attr;

	ASSERT_EQ(0, self->to[0].cap.max_recv_wr);
	ASSERT_EQ(0, self->to[0].cap.max_recv_sge);
	ASSERT_EQ(0, ibv_query_qp(self->to[0].qp, &attr, IBV_QP_CAP, &init_attr));
	ASSERT_EQ(self->srq, init_attr.srq);
	ASSERT_EQ(0, init_attr.cap.max_recv_wr);
	ASSERT_EQ(0, attr.cap.max_recv_sge);
	ASSERT_EQ(0, ibv_query_qp(self->from[0].qp, &attr, IBV_QP_CAP, &init_attr));
	ASSERT_EQ(NULL, init_attr.srq);
}

/* ---- creation and destruction ---- */

static int refused(struct ibv_pd *pd, uint32_t max_wr, uint32_t max_sge)
{
	struct ibv_srq_init_attr attr;
	struct ibv_srq *srq = create_srq(pd, max_wr, max_sge, &attr);

	if (!srq)
		return errno;
	ibv_destroy_srq(srq);
	return 0;
}

TEST_F_TIMEOUT(srq, sizes, LIMIT)
{
	struct node *node = &self->pair.node[1];
	struct ibv_srq_init_attr_ex attr = {
		.attr = { .max_wr = 1, .max_sge = 1 },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD,
		.srq_type = IBV_SRQT_XRC,
		.pd = node->pd,
	};
	uint32_t wr = node->attr.max_srq_wr, sge = node->attr.max_srq_sge;
	struct ibv_srq *srq;

	ASSERT_LT(0, node->attr.max_srq);
	ASSERT_EQ(0, refused(node->pd, wr, 1));
	ASSERT_EQ(0, refused(node->pd, 1, sge));
	ASSERT_EQ(0, refused(node->pd, 1, 0));
	ASSERT_EQ(EINVAL, refused(node->pd, wr + 1, 1));
	ASSERT_EQ(EINVAL, refused(node->pd, 1, sge + 1));
	ASSERT_EQ(EINVAL, refused(node->pd, 0, 1));
	ASSERT_EQ(NULL, ibv_create_srq_ex(node->ctx, &attr));
	ASSERT_EQ(EOPNOTSUPP, errno);
	attr.srq_type = IBV_SRQT_BASIC;
	srq = ibv_create_srq_ex(node->ctx, &attr);
	ASSERT_NE(NULL, srq);
	ASSERT_EQ(0, ibv_destroy_srq(srq));
}

TEST_F_TIMEOUT(srq, destroyed_in_use, LIMIT)
{
	ASSERT_EQ(EBUSY, ibv_destroy_srq(self->srq));
	ASSERT_EQ(0, post_slots(self, ENTRIES));
	ASSERT_EQ(0, from_all(self, 0));
}

/* Completions of a queue pair that is gone are gone, too; others are not. */
TEST_F_TIMEOUT(srq, destroyed_queue_pair, LIMIT)
{
	if (!is_rc(self))
		SKIP(return, "nobody knows when a message has come");
	ASSERT_EQ(0, post_slots(self, ENTRIES));
	ASSERT_EQ(0, send_message(self, 3, some_message(self)));
	ASSERT_EQ(0, ep_expect(&self->from[3], 3, IBV_WC_SUCCESS));
	ASSERT_EQ(0, send_message(self, 1, some_message(self)));
	ep_destroy(&self->to[3]);
	ASSERT_EQ(1, arrived(self));
	ASSERT_EQ(0, ep_expect_none(&self->to[0], SHORT_MS));
	ASSERT_EQ(0, send_message(self, 2, some_message(self)));
	ASSERT_EQ(2, arrived(self));
}

TEST_HARNESS_MAIN
