// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verbs from several threads at once, completion channels, and a CQ that
 * nobody empties.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "common.h"
#include "kselftest_harness.h"

#define LIMIT		120
#define SHORT_LIMIT	60	/* of tests that hang when they fail */
#define THREADS		4
#define PER_THREAD	1500
#define SLOT		4096u
#define AREA		(THREADS * 8 * SLOT)
#define SHORT_MS	50

FIXTURE(threads)
{
	struct pair pair;
};

FIXTURE_VARIANT(threads)
{
	bool wire;
};

FIXTURE_VARIANT_ADD(threads, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(threads, wire)
{
	.wire = true,
};

FIXTURE_SETUP(threads)
{
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, AREA));
}

FIXTURE_TEARDOWN(threads)
{
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- one queue pair, many posters, many pollers ---- */

struct shared {
	struct pair *pair;
	struct ep *ep;
	pthread_barrier_t go;
	unsigned int done[THREADS];	/* completions of each poster's requests */
	unsigned int polled;
	int error;
};

struct worker {
	struct shared *shared;
	unsigned int id;
	pthread_t thread;
};

static void fail(struct shared *shared, int error)
{
	__atomic_store_n(&shared->error, error ? error : -EIO, __ATOMIC_RELAXED);
}

static bool stop(struct shared *shared)
{
	return __atomic_load_n(&shared->error, __ATOMIC_RELAXED);
}

static void make_write(struct pair *pair, struct worker *worker,
		       struct ibv_sge *sge, struct ibv_send_wr *wr)
{
	*sge = area_sge(&pair->out[0], worker->id * SLOT, SLOT);
	*wr = (struct ibv_send_wr){
		.wr_id = worker->id,
		.sg_list = sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)(pair->in[1].data +
						   worker->id * SLOT),
			.rkey = pair->in[1].mr->rkey,
		},
	};
}

static void *poster(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	uint64_t deadline = now_ms() + LIMIT * 500;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	int i, ret;

	make_write(shared->pair, worker, &sge, &wr);
	pthread_barrier_wait(&shared->go);
	for (i = 0; i < PER_THREAD && !stop(shared); i++) {
		while ((ret = ep_post_send(shared->ep, &wr)) == ENOMEM &&
		       !stop(shared) && now_ms() < deadline)
			sched_yield();
		if (ret) {
			complain("posting: %s", strerror(ret));
			fail(shared, -ret);
		}
	}
	return NULL;
}

static void *poller(void *arg)
{
	struct worker *worker = arg;
	struct shared *shared = worker->shared;
	uint64_t deadline = now_ms() + LIMIT * 500;
	struct ibv_wc wc;
	int ret;

	pthread_barrier_wait(&shared->go);
	while (__atomic_load_n(&shared->polled, __ATOMIC_RELAXED) <
	       THREADS * PER_THREAD && !stop(shared)) {
		ret = ep_poll(shared->ep, &wc);
		if (ret == 0) {
			if (now_ms() > deadline)
				fail(shared, -ETIMEDOUT);
			sched_yield();
			continue;
		}
		if (ret < 0 || wc.status != IBV_WC_SUCCESS ||
		    wc.wr_id >= THREADS) {
			complain("completion of 0x%llx: %s",
				 (unsigned long long)wc.wr_id,
				 ibv_wc_status_str(wc.status));
			fail(shared, -EIO);
			break;
		}
		__atomic_add_fetch(&shared->done[wc.wr_id], 1,
				   __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->polled, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int run_workers(struct shared *shared, void *(*const *roles)(void *),
		       unsigned int count)
{
	struct worker workers[2 * THREADS];
	unsigned int i;

	pthread_barrier_init(&shared->go, NULL, count);
	for (i = 0; i < count; i++) {
		workers[i] = (struct worker){
			.shared = shared,
			.id = i % THREADS,
		};
		if (pthread_create(&workers[i].thread, NULL, roles[i],
				   &workers[i]))
			return -EAGAIN;
	}
	for (i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&shared->go);
	return shared->error;
}

static int shared_qp(struct pair *pair, bool extended)
{
	static void *(*const roles[])(void *) = {
		poster, poster, poster, poster, poller, poller,
	};
	struct ep_opts opts = ep_defaults;
	struct shared shared = { .pair = pair, .ep = &pair->ep[0] };
	unsigned int i;
	int ret;

	opts.extended = extended;
	opts.max_send_wr = 50;
	ret = pair_create(pair, &opts);
	if (!ret)
		ret = pair_connect(pair, &conn_defaults);
	if (ret)
		return ret;
	for (i = 0; i < THREADS; i++)
		memset(pair->out[0].data + i * SLOT, 0x40 + i, SLOT);
	ret = run_workers(&shared, roles, ARRAY_SIZE(roles));
	for (i = 0; i < THREADS && !ret; i++) {
		if (shared.done[i] != PER_THREAD) {
			complain("poster %u: %u completions", i,
				 shared.done[i]);
			ret = -EIO;
		}
	}
	if (!ret)
		ret = check_equal("all posters", pair->in[1].data,
				  pair->out[0].data, THREADS * SLOT);
	if (!ret)
		ret = area_check_canary(&pair->in[1], THREADS * SLOT, AREA);
	return ret;
}

TEST_F_TIMEOUT(threads, shared_qp, LIMIT)
{
	ASSERT_EQ(0, shared_qp(&self->pair, false));
}

TEST_F_TIMEOUT(threads, shared_qp_extended, LIMIT)
{
	ASSERT_EQ(0, shared_qp(&self->pair, true));
}

/* ---- queue pairs come and go on a CQ that others poll ---- */

struct churn {
	struct pair *pair;
	struct ibv_cq *cq;		/* of node 0, polled by one thread */
	unsigned int seen[THREADS];	/* sends that completed, by maker */
	bool over;
	int error;
};

struct maker {
	struct churn *churn;
	unsigned int id;
	pthread_t thread;
};

#define CHURN_ROUNDS	25
#define CHURN_SENDS	5

static int churn_send(struct maker *maker, struct ep *ep, unsigned int round)
{
	struct churn *churn = maker->churn;
	struct ibv_sge sge = area_sge(&churn->pair->out[0], maker->id * SLOT,
				      SLOT);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)(churn->pair->in[1].data +
						   maker->id * SLOT),
			.rkey = churn->pair->in[1].mr->rkey,
		},
	};
	unsigned int i;

	for (i = 0; i < CHURN_SENDS; i++) {
		wr.wr_id = maker->id << 16 | round;
		if (ep_post_send(ep, &wr))
			return -EIO;
	}
	return 0;
}

/* Every other queue pair is destroyed with its completions still to come. */
static int churn_round(struct maker *maker, unsigned int round)
{
	struct churn *churn = maker->churn;
	struct ep_opts opts = ep_defaults;
	unsigned int wanted = churn->seen[maker->id] + CHURN_SENDS;
	uint64_t deadline = now_ms() + WAIT_MS;
	struct ep a, b;
	int ret;

	ret = ep_create(&b, &churn->pair->node[1], &opts);
	if (ret)
		return ret;
	opts.cq = churn->cq;
	ret = ep_create(&a, &churn->pair->node[0], &opts);
	if (ret)
		goto out;
	ret = connect_eps(&a, &b, &conn_defaults);
	if (!ret)
		ret = churn_send(maker, &a, round);
	while (!ret && round % 2 &&
	       __atomic_load_n(&churn->seen[maker->id], __ATOMIC_RELAXED) <
	       wanted) {
		if (now_ms() > deadline)
			ret = -ETIMEDOUT;
		sched_yield();
	}
	ep_destroy(&a);
out:
	ep_destroy(&b);
	return ret;
}

static void *maker_main(void *arg)
{
	struct maker *maker = arg;
	unsigned int round;
	int ret = 0;

	for (round = 0; round < CHURN_ROUNDS && !ret; round++)
		ret = churn_round(maker, round);
	if (ret) {
		complain("maker %u: %s", maker->id, strerror(-ret));
		maker->churn->error = ret;
	}
	return NULL;
}

static void *churn_poller(void *arg)
{
	struct churn *churn = arg;
	struct ibv_wc wc;
	int ret;

	while (!__atomic_load_n(&churn->over, __ATOMIC_RELAXED)) {
		ret = ibv_poll_cq(churn->cq, 1, &wc);
		if (!ret) {
			sched_yield();
			continue;
		}
		if (ret < 0 || wc.status != IBV_WC_SUCCESS ||
		    wc.wr_id >> 16 >= THREADS ||
		    (wc.wr_id & 0xffff) >= CHURN_ROUNDS) {
			complain("completion of 0x%llx: %s",
				 (unsigned long long)wc.wr_id,
				 ibv_wc_status_str(wc.status));
			churn->error = -EIO;
			break;
		}
		__atomic_add_fetch(&churn->seen[wc.wr_id >> 16], 1,
				   __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, churn, LIMIT)
{
	struct churn churn = { .pair = &self->pair };
	struct maker makers[THREADS];
	struct ibv_wc wc;
	pthread_t thread;
	int i;

	churn.cq = ibv_create_cq(self->pair.node[0].ctx, 256, NULL, NULL, 0);
	ASSERT_NE(NULL, churn.cq);
	ASSERT_EQ(0, pthread_create(&thread, NULL, churn_poller, &churn));
	for (i = 0; i < THREADS; i++) {
		makers[i] = (struct maker){ .churn = &churn, .id = i };
		ASSERT_EQ(0, pthread_create(&makers[i].thread, NULL,
					    maker_main, &makers[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(makers[i].thread, NULL);
	__atomic_store_n(&churn.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, churn.error);
	/* nothing is left of queue pairs that are gone */
	ASSERT_EQ(0, ibv_poll_cq(churn.cq, 1, &wc));
	ASSERT_EQ(0, ibv_destroy_cq(churn.cq));
}

/* ---- completion channels ---- */

struct channel {
	struct ibv_comp_channel *channel;
	struct ep a, b;			/* b's CQ tells the channel */
	struct pair *pair;
};

static int channel_open(struct channel *ch, struct pair *pair, bool extended)
{
	struct ep_opts opts = ep_defaults;
	int ret;

	memset(ch, 0, sizeof(*ch));
	ch->pair = pair;
	ch->channel = ibv_create_comp_channel(pair->node[1].ctx);
	if (!ch->channel)
		return -errno;
	ret = ep_create(&ch->a, &pair->node[0], &opts);
	if (ret)
		return ret;
	opts.channel = ch->channel;
	opts.extended = extended;
	ret = ep_create(&ch->b, &pair->node[1], &opts);
	if (ret)
		return ret;
	return connect_eps(&ch->a, &ch->b, &conn_defaults);
}

static int channel_close(struct channel *ch)
{
	ep_destroy(&ch->b);
	ep_destroy(&ch->a);
	return ibv_destroy_comp_channel(ch->channel);
}

static bool channel_ready(struct channel *ch, int ms)
{
	struct pollfd pfd = { .fd = ch->channel->fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

static int take_event(struct channel *ch, unsigned int ms)
{
	struct ibv_cq *cq;
	void *context;

	if (!channel_ready(ch, ms))
		return -ETIMEDOUT;
	if (ibv_get_cq_event(ch->channel, &cq, &context) || cq != ch->b.cq)
		return -EIO;
	ibv_ack_cq_events(cq, 1);
	return 0;
}

/* A message from a to b, its completion at a awaited. */
static int message(struct channel *ch, unsigned int flags)
{
	struct ibv_sge src = area_sge(&ch->pair->out[0], 0, 64);
	struct ibv_sge dst = area_sge(&ch->pair->in[1], 0, 64);
	struct ibv_send_wr wr = {
		.wr_id = 1,
		.sg_list = &src,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED | flags,
	};

	if (ep_post_recv(&ch->b, 2, &dst, 1) || ep_post_send(&ch->a, &wr))
		return -EIO;
	return ep_expect(&ch->a, 1, IBV_WC_SUCCESS);
}

TEST_F_TIMEOUT(threads, events, LIMIT)
{
	struct channel ch;
	int i;

	ASSERT_EQ(0, channel_open(&ch, &self->pair, false));
	/* not armed: nothing */
	ASSERT_EQ(0, message(&ch, 0));
	ASSERT_FALSE(channel_ready(&ch, SHORT_MS));
	ASSERT_EQ(0, ep_expect(&ch.b, 2, IBV_WC_SUCCESS));
	for (i = 0; i < 50; i++) {
		/* armed: one event, for the first completion */
		ASSERT_EQ(0, ibv_req_notify_cq(ch.b.cq, 0));
		ASSERT_EQ(0, message(&ch, 0));
		ASSERT_EQ(0, message(&ch, 0));
		ASSERT_EQ(0, take_event(&ch, WAIT_MS));
		ASSERT_EQ(0, ep_expect(&ch.b, 2, IBV_WC_SUCCESS));
		ASSERT_EQ(0, ep_expect(&ch.b, 2, IBV_WC_SUCCESS));
	}
	ASSERT_FALSE(channel_ready(&ch, SHORT_MS));
	ASSERT_EQ(0, channel_close(&ch));
}

TEST_F_TIMEOUT(threads, solicited, LIMIT)
{
	struct channel ch;
	int i;

	ASSERT_EQ(0, channel_open(&ch, &self->pair, false));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ibv_req_notify_cq(ch.b.cq, 1));
		ASSERT_EQ(0, message(&ch, 0));
		ASSERT_FALSE(channel_ready(&ch, i ? 1 : SHORT_MS));
		ASSERT_EQ(0, message(&ch, IBV_SEND_SOLICITED));
		ASSERT_EQ(0, take_event(&ch, WAIT_MS));
		ASSERT_EQ(0, ep_expect(&ch.b, 2, IBV_WC_SUCCESS));
		ASSERT_EQ(0, ep_expect(&ch.b, 2, IBV_WC_SUCCESS));
	}
	ASSERT_EQ(0, channel_close(&ch));
}

/* 11.4.2.2: an error wakes who waits for solicited completions */
TEST_F_TIMEOUT(threads, error_is_solicited, LIMIT)
{
	struct ibv_sge sge = area_sge(&self->pair.in[1], 0, 64);
	struct channel ch;

	ASSERT_EQ(0, channel_open(&ch, &self->pair, false));
	ASSERT_EQ(0, ibv_req_notify_cq(ch.b.cq, 1));
	ASSERT_EQ(0, ep_post_recv(&ch.b, 3, &sge, 1));
	ASSERT_EQ(0, ep_state(&ch.b, IBV_QPS_ERR));
	ASSERT_EQ(0, take_event(&ch, WAIT_MS));
	ASSERT_EQ(0, ep_expect(&ch.b, 3, IBV_WC_WR_FLUSH_ERR));
	ASSERT_EQ(0, channel_close(&ch));
}

/*
 * The usual loop: arm, look again, sleep. Neither side ever sleeps for good,
 * whatever falls between.
 */
struct sleeper {
	struct channel *ch;
	unsigned int seen;
	int error;
};

#define WAKES	2000

static void *sleeper_main(void *arg)
{
	struct sleeper *sleeper = arg;
	struct channel *ch = sleeper->ch;
	struct ibv_wc wc;

	while (sleeper->seen < WAKES && !sleeper->error) {
		if (ibv_req_notify_cq(ch->b.cq, 0))
			sleeper->error = -EIO;
		while (ep_poll(&ch->b, &wc) > 0) {
			if (wc.status != IBV_WC_SUCCESS)
				sleeper->error = -EIO;
			__atomic_add_fetch(&sleeper->seen, 1, __ATOMIC_RELAXED);
		}
		if (sleeper->seen < WAKES && take_event(ch, WAIT_MS)) {
			complain("asleep after %u completions", sleeper->seen);
			sleeper->error = -ETIMEDOUT;
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, no_lost_wakeup, LIMIT)
{
	struct sleeper sleeper = {};
	uint64_t deadline = now_ms() + WAIT_MS * 4;
	struct channel ch;
	pthread_t thread;
	unsigned int i;

	ASSERT_EQ(0, channel_open(&ch, &self->pair, false));
	sleeper.ch = &ch;
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleeper_main, &sleeper));
	for (i = 0; i < WAKES; i++) {
		/* in step, or running ahead by up to 32 */
		while (i - __atomic_load_n(&sleeper.seen, __ATOMIC_RELAXED) >=
		       1 + i % 32 && now_ms() < deadline) {
			sched_yield();
		}
		ASSERT_EQ(0, message(&ch, 0));
	}
	pthread_join(thread, NULL);
	ASSERT_EQ(0, sleeper.error);
	while (channel_ready(&ch, 0)) {
		ASSERT_EQ(0, take_event(&ch, 0));
	}
	ASSERT_EQ(0, channel_close(&ch));
}

/* ---- between ibv_start_poll() and ibv_end_poll() ---- */

/* The completion of a message, taken but not yet given back. */
static int message_in_hand(struct channel *ch)
{
	struct ibv_poll_cq_attr attr = {};

	if (message(ch, 0) || ibv_start_poll(ch->b.cqx, &attr) ||
	    ch->b.cqx->status != IBV_WC_SUCCESS)
		return -EIO;
	return 0;
}

/* What has been taken is no reason for an event, what comes next is. */
TEST_F_TIMEOUT(threads, arm_within_poll, SHORT_LIMIT)
{
	struct channel ch;
	int i;

	ASSERT_EQ(0, channel_open(&ch, &self->pair, true));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, message_in_hand(&ch));
		ASSERT_EQ(0, ibv_req_notify_cq(ch.b.cq, 0));
		ASSERT_EQ(ENOENT, ibv_next_poll(ch.b.cqx));
		ibv_end_poll(ch.b.cqx);
		ASSERT_FALSE(channel_ready(&ch, i ? 1 : SHORT_MS));
		ASSERT_EQ(0, message(&ch, 0));
		ASSERT_EQ(0, take_event(&ch, WAIT_MS));
		ASSERT_EQ(0, ep_expect(&ch.b, 2, IBV_WC_SUCCESS));
	}
	ASSERT_EQ(0, channel_close(&ch));
}

/* Another thread makes and destroys queue pairs of the same CQ. */
struct neighbour {
	struct channel *ch;
	unsigned int made;
	bool over;
	int error;
};

static int make_on_cq(struct channel *ch, struct ep *ep)
{
	struct ep_opts opts = ep_defaults;

	opts.cq = ch->b.cq;
	return ep_create(ep, ch->b.node, &opts);
}

static void *neighbour_main(void *arg)
{
	struct neighbour *neighbour = arg;
	struct ep ep;

	while (!__atomic_load_n(&neighbour->over, __ATOMIC_RELAXED) &&
	       !neighbour->error) {
		neighbour->error = make_on_cq(neighbour->ch, &ep);
		if (!neighbour->error)
			ep_destroy(&ep);
		__atomic_add_fetch(&neighbour->made, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, create_within_poll, SHORT_LIMIT)
{
	struct neighbour neighbour = {};
	struct channel ch;
	pthread_t thread;
	struct ep ep;
	int i;

	ASSERT_EQ(0, channel_open(&ch, &self->pair, true));
	neighbour.ch = &ch;
	ASSERT_EQ(0, pthread_create(&thread, NULL, neighbour_main, &neighbour));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, message_in_hand(&ch));
		ASSERT_EQ(0, make_on_cq(&ch, &ep));
		ibv_end_poll(ch.b.cqx);
		ep_destroy(&ep);
	}
	__atomic_store_n(&neighbour.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, neighbour.error);
	ASSERT_LT(0, neighbour.made);
	ASSERT_EQ(0, channel_close(&ch));
}

/* One thread keeps the queue full from its poll loop, another one resets it. */
struct refill {
	struct pair *pair;
	unsigned int seen;
	bool over;
	int error;
};

#define REFILL_ROUNDS	30
#define REFILL_DEPTH	16

static int refill_post(struct refill *refill)
{
	struct ibv_sge sge = area_sge(&refill->pair->out[0], 0, 256);
	struct ibv_send_wr wr = {
		.wr_id = 0x2f,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)refill->pair->in[1].data,
			.rkey = refill->pair->in[1].mr->rkey,
		},
	};

	return ep_post_send(&refill->pair->ep[0], &wr);
}

/* No more than fit into the CQ, where they stay until ibv_end_poll(). */
static void refill_batch(struct refill *refill, struct ibv_cq_ex *cqx)
{
	int n = 0, ret;

	do {
		if (cqx->wr_id != 0x2f || cqx->status != IBV_WC_SUCCESS) {
			complain("completion of 0x%llx: %s",
				 (unsigned long long)cqx->wr_id,
				 ibv_wc_status_str(cqx->status));
			refill->error = -EIO;
		}
		__atomic_add_fetch(&refill->seen, 1, __ATOMIC_RELAXED);
		ret = refill_post(refill);
		/* refused while it is reset; full while the other side fills it */
		if (ret && ret != EINVAL && ret != ENOMEM)
			refill->error = -ret;
	} while (++n < REFILL_DEPTH && !ibv_next_poll(cqx));
}

static void *refill_main(void *arg)
{
	struct refill *refill = arg;
	struct ibv_cq_ex *cqx = refill->pair->ep[0].cqx;
	struct ibv_poll_cq_attr attr = {};

	while (!__atomic_load_n(&refill->over, __ATOMIC_RELAXED)) {
		if (ibv_start_poll(cqx, &attr)) {
			sched_yield();
			continue;
		}
		refill_batch(refill, cqx);
		ibv_end_poll(cqx);
	}
	return NULL;
}

/* From RESET to work, of which some is seen, and back. */
static int refill_round(struct refill *refill, unsigned int round)
{
	unsigned int begin = __atomic_load_n(&refill->seen, __ATOMIC_RELAXED);
	uint64_t deadline = now_ms() + WAIT_MS;
	int i, ret = pair_connect(refill->pair, &conn_defaults);

	for (i = 0; i < REFILL_DEPTH && !ret; i++)
		ret = -refill_post(refill);
	while (!ret && __atomic_load_n(&refill->seen, __ATOMIC_RELAXED) -
	       begin < 40 + round) {
		if (now_ms() > deadline)
			ret = -ETIMEDOUT;
		sched_yield();
	}
	if (!ret)
		ret = ep_state(&refill->pair->ep[0], IBV_QPS_RESET);
	if (!ret)
		ret = ep_state(&refill->pair->ep[1], IBV_QPS_RESET);
	return ret ? ret : refill->error;
}

TEST_F_TIMEOUT(threads, reset_under_poll, SHORT_LIMIT)
{
	struct refill refill = { .pair = &self->pair };
	struct ep_opts opts = ep_defaults;
	unsigned int round;
	pthread_t thread;

	opts.extended = true;
	ASSERT_EQ(0, pair_create(&self->pair, &opts));
	ASSERT_EQ(0, pthread_create(&thread, NULL, refill_main, &refill));
	for (round = 0; round < REFILL_ROUNDS; round++) {
		ASSERT_EQ(0, refill_round(&refill, round));
	}
	__atomic_store_n(&refill.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, refill.error);
}

/* ---- a CQ that nobody empties ---- */

TEST_F_TIMEOUT(threads, cq_overrun, LIMIT)
{
	struct ibv_sge sge = area_sge(&self->pair.out[0], 0, 64);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)self->pair.in[1].data,
			.rkey = self->pair.in[1].mr->rkey,
		},
	};
	struct ep_opts opts = ep_defaults;
	uint64_t deadline;
	int i, room;

	opts.cqe = 4;
	ASSERT_EQ(0, pair_create(&self->pair, &opts));
	ASSERT_EQ(0, pair_connect(&self->pair, &conn_defaults));
	room = self->pair.ep[0].cq->cqe;
	ASSERT_LE(4, room);
	ASSERT_GT(60, room);
	for (i = 0; i < room + 2; i++) {
		ASSERT_EQ(0, ep_post_send(&self->pair.ep[0], &wr));
	}
	ASSERT_EQ(0, expect_async(&self->pair.node[0], IBV_EVENT_CQ_ERR,
				  WAIT_MS));
	deadline = now_ms() + WAIT_MS;
	while (ep_query_state(&self->pair.ep[0]) != IBV_QPS_ERR &&
	       now_ms() < deadline) {
		;
	}
	ASSERT_EQ(IBV_QPS_ERR, ep_query_state(&self->pair.ep[0]));
	/* other QPs of the device are as they were */
	ASSERT_EQ(IBV_QPS_RTS, ep_query_state(&self->pair.ep[1]));
}

TEST_HARNESS_MAIN
