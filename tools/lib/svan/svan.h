/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Objects of the provider.
 *
 * Locks: a CQ has svan_cq.lock, a QP has sq_lock and rq_lock, an SRQ has its lock, and
 * the table of QPs has qp_table_mutex. The provider itself waits for none of them while it
 * holds another. Its users make them nest. Between start_poll() and end_poll() a user
 * holds the lock of the CQ. It may post, arm, create QPs and change their states
 * there, but not destroy or reset a QP of that CQ, unless the CQ is
 * single-threaded and so has no lock. Between wr_start() and wr_complete() a user
 * holds sq_lock.
 */
#ifndef SVAN_H
#define SVAN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <infiniband/driver.h>
#include <util/udma_barrier.h>
#include <util/mmio.h>
#include <util/util.h>
#include <ccan/container_of.h>
#include <ccan/minmax.h>

#include <svan/caps.h>
#include <svan/regs.h>

#include "svan_qp_table.h"
#include "svan_queue.h"
#include "svan_trace.h"
#include "svandv.h"

struct svan_device {
	struct verbs_device vdev;
};

struct svan_context {
	struct verbs_context vctx;
	uint64_t features;		/* SVAN_CAP_* */
	struct svan_qp_limits qp_limits;
	uint32_t max_cqe;
	uint32_t max_comp_cntr;
	uint32_t max_uar;
	uint32_t max_context_uar;
	uint32_t max_context_comp_cntr;
	uint8_t *uar;			/* UAR page, mapped write-only */
	size_t uar_size;

	struct svan_qp_table qp_table;
	pthread_mutex_t qp_table_mutex;
};

struct svan_pd {
	struct ibv_pd pd;
	uint32_t pdn;
};

struct svan_ah {
	struct ibv_ah ah;
	struct svan_av av;		/* but for QPN and Q_Key */
};

struct svan_cq {
	struct verbs_cq vcq;
	uint32_t cqn;
	struct svan_cq_lock lock;	/* protects everything below */
	struct svan_cq_ring ring;
	struct svan_qp *last_qp;	/* QP of the entry taken last, or NULL */
	struct svan_cqe *cqe;		/* entry that read_*() functions read */
	unsigned int recv_flags;	/* svan_qp.recv_flags of its QP */
	void *buf;			/* NULL: memory of the user */
	size_t buf_length;
	bool foreign;			/* that of another device */
};

struct svan_qp {
	struct verbs_qp vqp;
	uint32_t qpn;
	bool sq_ready;			/* posting sends is permitted */
	bool rq_ready;
	bool signal_all;
	enum ibv_qp_type type;
	unsigned int recv_flags;	/* IBV_WC_* of all that it receives */
	uint8_t *sq_db;
	uint8_t *rq_db;
	struct svandv_uar *uar;		/* of the doorbells; NULL: the context's */
	struct svan_qp_dbr *dbr;

	pthread_spinlock_t sq_lock;
	struct svan_sq sq;
	/* WQEs built between wr_start() and wr_complete(); under sq_lock */
	struct {
		struct svan_wqe_head *head;
		uint32_t index;		/* of the WQE being built */
		uint32_t end;		/* index behind that WQE */
		uint32_t posted;	/* value for svan_sq.posted */
		int error;
		struct svan_av av;	/* UD: of that WQE, once it is set */
	} build;

	pthread_spinlock_t rq_lock;
	struct svan_rq rq;

	struct svan_qp_cap cap;
	struct svandv_memory_location sq_mem;
	struct svandv_memory_location rq_mem;
	struct svandv_memory_location dbr_mem;
	void *buf;			/* NULL: all of that is the user's */
	size_t buf_length;
};

struct svan_srq {
	struct ibv_srq srq;
	uint32_t srqn;
	pthread_spinlock_t lock;	/* protects ring */
	struct svan_srq_ring ring;
	void *buf;
	size_t buf_length;
};

static inline struct svan_context *to_svan_ctx(struct ibv_context *ibctx)
{
	return container_of(ibctx, struct svan_context, vctx.context);
}

static inline struct svan_pd *to_svan_pd(struct ibv_pd *ibpd)
{
	return container_of(ibpd, struct svan_pd, pd);
}

static inline struct svan_ah *to_svan_ah(struct ibv_ah *ibah)
{
	return container_of(ibah, struct svan_ah, ah);
}

static inline struct svan_cq *to_svan_cq(struct ibv_cq *ibcq)
{
	return container_of(ibcq, struct svan_cq, vcq.cq);
}

static inline struct svan_cq *to_svan_cq_ex(struct ibv_cq_ex *ibcq)
{
	return container_of(ibcq, struct svan_cq, vcq.cq_ex);
}

static inline struct svan_qp *to_svan_qp(struct ibv_qp *ibqp)
{
	return container_of(ibqp, struct svan_qp, vqp.qp);
}

static inline struct svan_qp *to_svan_qp_ex(struct ibv_qp_ex *ibqp)
{
	return container_of(ibqp, struct svan_qp, vqp.qp_ex);
}

static inline struct svan_srq *to_svan_srq(struct ibv_srq *ibsrq)
{
	return container_of(ibsrq, struct svan_srq, srq);
}

/* Write what an entry says of its buffers. All else in it is zero. */
static inline void svan_fill_rwqe(struct svan_rwqe *rwqe,
				  const struct ibv_recv_wr *wr)
{
	int i;

	memset(rwqe, 0, sizeof(*rwqe));
	rwqe->num_sge = htole32(wr->num_sge);
	for (i = 0; i < wr->num_sge; i++)
		svan_sge_set(&rwqe->sge[i], wr->sg_list[i].addr,
			     wr->sg_list[i].length, wr->sg_list[i].lkey);
}

/*
 * Store to the doorbell at @db. Earlier stores, such as that to the doorbell
 * record, reach memory first. The page may be mapped write-combining, so the
 * store is flushed.
 */
static inline void svan_ring(uint8_t *db, uint64_t value)
{
	udma_to_device_barrier();
	rdma_tracepoint(rdma_core_svan, doorbell, value);
	mmio_write64_le(db, htole64(value));
	mmio_flush_writes();
}

/* SVANDV_QP_CREATE_* */
static inline uint32_t
svan_create_flags(const struct svandv_qp_init_attr *attr)
{
	return attr->comp_mask & SVANDV_QP_INIT_ATTR_CREATE_FLAGS ?
		       attr->create_flags : 0;
}

struct svan_ib_buffer_desc;

/* Is nothing set that this provider does not know? */
bool svan_is_location(const struct svandv_memory_location *memory);
/* Describe memory of the user to the kernel. Return 0 or EINVAL. */
int svan_describe(const struct svandv_memory_location *memory, uint64_t length,
		  struct svan_ib_buffer_desc *desc);
bool svan_is_svan(const struct ibv_device *ibdev);
/* A buffer for queues: zeroed, page-aligned, not inherited by a child; or NULL. */
void *svan_alloc_buf(size_t length);
void svan_free_buf(void *buf, size_t length);

/* svan_verbs.c */
int svan_query_device_ex(struct ibv_context *ibctx,
			 const struct ibv_query_device_ex_input *input,
			 struct ibv_device_attr_ex *attr, size_t attr_size);
int svan_query_port(struct ibv_context *ibctx, uint8_t port,
		    struct ibv_port_attr *attr);
struct ibv_pd *svan_alloc_pd(struct ibv_context *ibctx);
int svan_dealloc_pd(struct ibv_pd *ibpd);
struct ibv_mr *svan_reg_mr(struct ibv_pd *ibpd, void *addr, size_t length,
			   uint64_t hca_va, int access);
struct ibv_mr *svan_reg_dmabuf_mr(struct ibv_pd *ibpd, uint64_t offset,
				  size_t length, uint64_t iova, int fd,
				  int access);
int svan_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *ibpd,
		  void *addr, size_t length, int access);
int svan_advise_mr(struct ibv_pd *ibpd, enum ibv_advise_mr_advice advice,
		   uint32_t flags, struct ibv_sge *sg_list, uint32_t num_sge);
int svan_dereg_mr(struct verbs_mr *vmr);

/* svan_ah.c */
struct ibv_ah *svan_create_ah(struct ibv_pd *ibpd, struct ibv_ah_attr *attr);
int svan_destroy_ah(struct ibv_ah *ibah);

/* svan_cq.c */
struct ibv_cq *svan_create_cq(struct ibv_context *ibctx, int cqe,
			      struct ibv_comp_channel *channel, int vector);
struct ibv_cq_ex *svan_create_cq_ex(struct ibv_context *ibctx,
				    struct ibv_cq_init_attr_ex *attr);
int svan_modify_cq(struct ibv_cq *ibcq, struct ibv_modify_cq_attr *attr);
int svan_destroy_cq(struct ibv_cq *ibcq);
int svan_poll_cq(struct ibv_cq *ibcq, int count, struct ibv_wc *wc);
int svan_req_notify_cq(struct ibv_cq *ibcq, int solicited_only);
/* @memory: of the user, large enough; NULL: the provider's. */
struct ibv_cq_ex *svan_make_cq_ex(struct ibv_context *ibctx,
				  struct ibv_cq_init_attr_ex *attr,
				  const struct svandv_memory_location *memory);
/* Remove the entries of @qpn. The caller holds the lock of the CQ. */
void svan_clean_cq(struct svan_cq *cq, uint32_t qpn);

/* svan_srq.c */
struct ibv_srq *svan_create_srq(struct ibv_pd *ibpd,
				struct ibv_srq_init_attr *attr);
int svan_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr,
		    int attr_mask);
int svan_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr);
int svan_destroy_srq(struct ibv_srq *ibsrq);
int svan_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad_wr);

/* svan_qp.c */
struct ibv_qp *svan_create_qp(struct ibv_pd *ibpd,
			      struct ibv_qp_init_attr *attr);
struct ibv_qp *svan_create_qp_ex(struct ibv_context *ibctx,
				 struct ibv_qp_init_attr_ex *attr);
int svan_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr,
		   int attr_mask);
int svan_modify_qp_rate_limit(struct ibv_qp *ibqp,
			      struct ibv_qp_rate_limit_attr *attr);
int svan_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int attr_mask,
		  struct ibv_qp_init_attr *init_attr);
int svan_destroy_qp(struct ibv_qp *ibqp);

int svan_choose_layout(struct svan_context *ctx, const struct ibv_qp_cap *cap,
		       bool ud, struct svan_qp_layout *layout);
struct ibv_qp *svan_make_qp(struct ibv_context *ibctx,
			    struct ibv_qp_init_attr_ex *attr,
			    const struct svandv_qp_init_attr *svan_attr);

/* svan_post.c */
/* In place of ibv_wr_complete(): do not submit. *@end: behind what is prepared. */
int svan_prepare_sends(struct svan_qp *qp, uint32_t *end);
/* The prepared work that is not complete will never be submitted. */
int svan_cancel_sends(struct svan_qp *qp);
/* As svan_post_recv(), but do not submit; all of them or, on an error, none. */
int svan_prepare_recvs(struct svan_qp *qp, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad_wr, uint32_t *first,
		       uint32_t *end);
int svan_cancel_recvs(struct svan_qp *qp);
int svan_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad_wr);
int svan_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr,
		   struct ibv_recv_wr **bad_wr);
/*
 * Set the ibv_wr_*() operations of a QP. Return 0, or EOPNOTSUPP if @send_ops
 * (IBV_QP_EX_WITH_*) names one that a QP of this type does not have.
 */
int svan_set_wr_ops(struct svan_qp *qp, uint64_t send_ops);

#endif /* SVAN_H */
