/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the selftests share: devices, memory with canaries, queue pairs and
 * their connections, posting and polling through either of verbs' interfaces.
 *
 * Functions return 0, or a negative errno after having said on stderr what
 * went wrong.
 */
#ifndef SVAN_SELFTEST_COMMON_H
#define SVAN_SELFTEST_COMMON_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct svandv_memory_location;
struct svandv_uar;

#define WAIT_MS		20000	/* for a completion, if nothing else is said */

#define ACCESS_ALL	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | \
			 IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)
#define ACCESS_REMOTE	(IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
			 IBV_ACCESS_REMOTE_ATOMIC)

void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- randomness that can be had again: SVAN_SEED ---- */

struct rng {
	uint64_t state;
};

/* Seeds from the environment or the clock, and prints the seed. */
void rng_init(struct rng *rng, const char *test);
uint64_t rng_u64(struct rng *rng);
uint32_t rng_below(struct rng *rng, uint32_t limit);

uint64_t now_ms(void);

/* ---- a device, opened ---- */

enum which {
	LOCAL,		/* SVAN_DEV, SVAN_GID; else svan_0 */
	PEER,		/* SVAN_PEER_DEV, SVAN_PEER_GID; else svan_1 */
};

struct node {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_device_attr attr;
	struct ibv_port_attr port;
	union ibv_gid gid;
	int gid_index;
};

const char *device_name(enum which which);
bool device_exists(enum which which);
int node_open(struct node *node, enum which which);
void node_close(struct node *node);
bool gid_is_ipv4(const union ibv_gid *gid);
/* A RoCE v2 GID that is an IPv4 address, or is none: its index, or -ENOENT. */
int node_find_gid(struct node *node, bool ipv4, union ibv_gid *gid);

/* ---- memory ---- */

#define MAX_SGE		30

#define MARGIN		8192u	/* canary in front of and behind the area */
#define CANARY		0xc9

/* A region: margin, area of `size` octets, margin. */
struct area {
	uint8_t *map;
	size_t size;
	uint8_t *data;		/* behind the first margin */
	struct ibv_mr *mr;
};

int area_alloc(struct area *area, struct ibv_pd *pd, size_t size, int access);
void area_free(struct area *area);
void area_fill_canary(struct area *area);
/* Are the octets [from, to) of the area canaries still? Margins count too. */
int area_check_canary(const struct area *area, ptrdiff_t from, ptrdiff_t to);

/* ---- data: a random text, and its complement to overwrite ---- */

struct text {
	uint8_t *plain;
	uint8_t *inverse;	/* no octet of it equals plain's */
	size_t size;
};

int text_alloc(struct text *text, size_t size, struct rng *rng);
void text_free(struct text *text);
int check_equal(const char *what, const uint8_t *seen, const uint8_t *wanted,
		size_t length);

/* ---- queue pairs ---- */

struct ep_opts {
	uint32_t max_send_wr;
	uint32_t max_recv_wr;
	uint32_t max_sge;
	uint32_t max_inline;
	uint32_t cqe;
	bool signal_all;
	bool extended;		/* ibv_wr_*() and ibv_start_poll() */
	enum ibv_qp_type qp_type;
	bool address_first;	/* extended, UD: the address is set before the data */
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;	/* use this one */
	struct ibv_srq *srq;	/* receive from this one */
	struct svandv_uar *uar;	/* doorbells in this page */
	bool recv_no_cqe;
	bool ignore_overrun;	/* of the CQ; extended */
	/* where parts of the QP, or the CQ, lie; NULL: in the provider's memory */
	const struct svandv_memory_location *sq_mem, *rq_mem, *dbr_mem, *cq_mem;
};

extern const struct ep_opts ep_defaults;

struct ep {
	struct node *node;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_cq_ex *cqx;	/* extended */
	struct ibv_qp *qp;
	struct ibv_qp_ex *qpx;	/* extended */
	struct ibv_qp_cap cap;
	uint32_t psn;
	bool own_cq;
	bool address_first;
};

int ep_create(struct ep *ep, struct node *node, const struct ep_opts *opts);
void ep_destroy(struct ep *ep);

struct conn {
	enum ibv_mtu mtu;
	uint8_t timeout;
	uint8_t retry_cnt;
	uint8_t rnr_retry;
	uint8_t min_rnr_timer;
	uint8_t rd_atomic;
	int access;		/* IBV_ACCESS_REMOTE_* of the QPs */
};

extern const struct conn conn_defaults;

int ep_init(struct ep *ep, const struct conn *conn);
int ep_rtr(struct ep *ep, const struct ep *peer, const struct conn *conn);
int ep_rts(struct ep *ep, const struct conn *conn);
int ep_state(struct ep *ep, enum ibv_qp_state state);	/* RESET or ERR */
int ep_query_state(struct ep *ep);
/* The state is this one, or soon becomes it. */
int expect_state(struct ep *ep, enum ibv_qp_state state);
/* UD: from RESET to RTS */
int ep_start_ud(struct ep *ep, uint32_t qkey);
/* Both from RESET to RTS. */
int connect_eps(struct ep *a, struct ep *b, const struct conn *conn);

/* A pair of endpoints and what they are made of. */
struct pair {
	struct node node[2];
	struct ep ep[2];
	struct area out[2];	/* what is sent from */
	struct area in[2];	/* what is written to */
};

/* Nodes and areas; local and peer device, or the local one twice. */
int pair_open(struct pair *pair, bool wire, size_t size);
void pair_close(struct pair *pair);
int pair_create(struct pair *pair, const struct ep_opts *opts);
int pair_connect(struct pair *pair, const struct conn *conn);
void pair_destroy(struct pair *pair);
/*
 * SENDs in both directions over a new pair of queue pairs: whatever came
 * before, the devices work.
 */
int pair_sound(struct pair *pair);
/* Until the devices are there, with their GIDs; they work. */
int await_sound(bool wire);

/* ---- work ---- */

struct ibv_sge area_sge(const struct area *area, size_t offset, uint32_t len);
/* errno of ibv_post_send() or ibv_wr_complete() */
int ep_post_send(struct ep *ep, struct ibv_send_wr *wr);
int ep_post_recv(struct ep *ep, uint64_t wr_id, struct ibv_sge *sge, int n);
/* 1 if there was a completion, 0 if not */
int ep_poll(struct ep *ep, struct ibv_wc *wc);
/* ibv_post_send() refuses it as invalid. */
int ep_expect_refusal(struct ep *ep, struct ibv_send_wr *wr);
/* -ETIMEDOUT after that many milliseconds */
int ep_wait(struct ep *ep, struct ibv_wc *wc, unsigned int ms);
/* One completion, which must be this one. */
int ep_expect(struct ep *ep, uint64_t wr_id, enum ibv_wc_status status);
/* No completion for that long. */
int ep_expect_none(struct ep *ep, unsigned int ms);

/* RDMA WRITE from out[0] to anywhere, and its completion. */
int pair_write(struct pair *pair, const struct ibv_mr *mr, void *to,
	       uint32_t length);

/* The next asynchronous event, which the caller acknowledges; or -ETIMEDOUT. */
int get_async(struct node *node, unsigned int ms, struct ibv_async_event *event);
/* The next asynchronous event, acknowledged; its type, or -ETIMEDOUT. */
int wait_async(struct node *node, unsigned int ms);
/* Until an event of this type comes; others are passed by. */
int expect_async(struct node *node, enum ibv_event_type type, unsigned int ms);

/* Write text to a file of sysfs, which lies in that folder. */
int write_to(const char *folder, const char *file, const char *text);
/* Bind a device to a driver, or unbind it; both are folders of sysfs. */
int driver_bind(const char *driver, const char *device, bool bind);
/* The device that svan_ib is bound to, and svan_ib; both of PATH_MAX. */
int rdma_driver_find(enum which which, char *device, char *driver);

/* A dma-buf of the whole of a memfd that is sealed against shrinking; -1 and errno. */
int udmabuf_create(int memfd, size_t size);

#endif /* SVAN_SELFTEST_COMMON_H */
