/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that speaks to ib_uverbs and to the device without libibverbs: its
 * rings, doorbell records and doorbell page are its own, to be filled with
 * whatever it likes. The layouts are the shared headers'.
 */
#ifndef SVAN_SELFTEST_RAW_H
#define SVAN_SELFTEST_RAW_H

#include <rdma/ib_user_verbs.h>
#include <rdma/svan-abi.h>
#include <stddef.h>
#include <stdint.h>
#include <svan/keys.h>
#include <svan/regs.h>
#include <svan/wqe.h>

#include "common.h"

/* A verbs context: file, doorbell page, protection domain, registered memory. */
struct raw {
	int fd;
	int async_fd;
	struct svan_uresp_alloc_ucontext limits;
	uint8_t *uar;
	uint32_t pd;			/* handle */
	uint8_t *mem;
	size_t mem_size;
	uint32_t lkey, rkey;
	union ibv_gid gid;
	uint32_t gid_index;
};

struct raw_cq {
	uint32_t handle;
	uint32_t cqn;
	uint8_t log_size;
	uint8_t *buf;
	size_t length;
	struct svan_cq_dbr *dbr;
	uint32_t ci;
};

struct raw_qp {
	uint32_t handle;
	uint32_t qpn;
	uint8_t *buf;
	size_t length;
	struct svan_sq_ring sq;
	uint32_t log_sq_bbs;
	uint8_t *rq;
	uint32_t log_rq_size, log_rq_stride;
	struct svan_qp_dbr *dbr;
	uint32_t sq_pi, rq_pi;
};

#define RAW_MEM_SIZE	65536u

/* Of the device of SVAN_DEV; @node has its GID. */
int raw_open(struct raw *raw, const struct node *node);
void raw_close(struct raw *raw);

/*
 * One write() command: the core's part, then the driver's; 0 or a negative
 * errno. The response of resp_size octets begins with the core's.
 */
struct raw_cmd {
	uint32_t command;		/* IB_USER_VERBS_CMD_* */
	void *core;			/* its first word: address of the response */
	size_t core_size;
	const void *driver;
	size_t driver_size;
	void *resp;
	size_t resp_size;
};

int raw_exec(struct raw *raw, const struct raw_cmd *cmd);

int raw_create_cq(struct raw *raw, struct raw_cq *cq, uint8_t log_size);
void raw_destroy_cq(struct raw *raw, struct raw_cq *cq);
/* As above, but with any request; nothing is filled in. */
int raw_try_cq(struct raw *raw, struct svan_ureq_create_cq *ureq, uint32_t cqe);

int raw_create_qp(struct raw *raw, struct raw_qp *qp, const struct raw_cq *cq);
/* The same for datagrams. */
int raw_create_ud(struct raw *raw, struct raw_qp *qp, const struct raw_cq *cq);
void raw_destroy_qp(struct raw *raw, struct raw_qp *qp);
int raw_try_qp(struct raw *raw, struct svan_ureq_create_qp *ureq,
	       const struct raw_cq *cq);
/* From any state to RESET, indices at 0. */
int raw_reset(struct raw *raw, struct raw_qp *qp);
/* From RESET to RTS, connected to the QP of that number. */
int raw_connect(struct raw *raw, struct raw_qp *qp, uint32_t dest_qpn);
/* From RESET to RTS, with this Q_Key. */
int raw_begin_ud(struct raw *raw, struct raw_qp *qp, uint32_t qkey);
int raw_state(struct raw *raw, struct raw_qp *qp);

/* The next entry, copied and taken; 1 if there was one within @ms. */
int raw_poll(struct raw_cq *cq, struct svan_cqe *cqe, unsigned int ms);

void raw_store(struct raw *raw, uint32_t offset, uint64_t value);
/* Everything before @pi is posted: record, fence, and the doorbell always. */
void raw_ring_sq(struct raw *raw, struct raw_qp *qp, uint32_t pi);
void raw_ring_rq(struct raw *raw, struct raw_qp *qp, uint32_t pi);
/* A WRITE of @len octets within the context's own memory, at the next index. */
struct svan_wqe_head *raw_build_write(struct raw *raw, struct raw_qp *qp,
				      uint32_t len);

/* A counter of the device (hw_counters), or 0. */
uint64_t device_counter(const char *name);

#endif /* SVAN_SELFTEST_RAW_H */
