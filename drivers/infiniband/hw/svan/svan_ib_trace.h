/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of svan_ib.ko: each creation, change and destruction of an object, under
 * the number that the device uses, with the error if it failed; and every event.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM svan_ib

#if !defined(SVAN_IB_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SVAN_IB_TRACE_H

#include <linux/tracepoint.h>
#include <rdma/ib_cache.h>

#include <rdma/svan_user_ioctl_cmds.h>

#include "svan_odp.h"

#define svan_show_event(event) \
	__print_symbolic(event, \
		{ SVAN_EVENT_QP_FATAL,		"fatal" }, \
		{ SVAN_EVENT_QP_REQ_ERR,	"request error" }, \
		{ SVAN_EVENT_QP_ACCESS_ERR,	"access error" }, \
		{ SVAN_EVENT_QP_COMM_EST,	"communication established" }, \
		{ SVAN_EVENT_QP_SQ_DRAINED,	"send queue drained" }, \
		{ SVAN_EVENT_QP_LAST_WQE,	"last WQE reached" }, \
		{ SVAN_EVENT_SRQ_LIMIT,		"SRQ limit reached" }, \
		{ SVAN_EVENT_SRQ_ERROR,		"SRQ error" })

#define svan_show_qp_type(type) \
	__print_symbolic(type, \
		{ SVAN_QPT_RC,	"RC" }, { SVAN_QPT_UC, "UC" }, \
		{ SVAN_QPT_UD,	"UD" }, \
		{ SVAN_QPT_GSI,	"GSI" })

#define svan_show_qp_state(state) \
	__print_symbolic(state, \
		{ IB_QPS_RESET,	"RESET" }, { IB_QPS_INIT, "INIT" }, \
		{ IB_QPS_RTR,	"RTR" }, { IB_QPS_RTS, "RTS" }, \
		{ IB_QPS_SQD,	"SQD" }, { IB_QPS_SQE, "SQE" }, \
		{ IB_QPS_ERR,	"ERR" })

#define svan_show_fault_class(fault_class) \
	__print_symbolic(fault_class, \
		{ SVAN_FAULT_UNKNOWN,		"unknown" }, \
		{ SVAN_FAULT_ZERO_FILL,		"zero_fill" }, \
		{ SVAN_FAULT_PAGE_CACHE,	"page_cache" }, \
		{ SVAN_FAULT_FILE_READ,		"file_read" }, \
		{ SVAN_FAULT_SWAP_IN,		"swap_in" }, \
		{ SVAN_FAULT_COPY_ON_WRITE,	"copy_on_write" }, \
		{ SVAN_FAULT_HUGE_PAGE,		"huge_page" }, \
		{ SVAN_FAULT_USERFAULTFD,	"userfaultfd" }, \
		{ SVAN_FAULT_MIGRATION,		"migration" }, \
		{ SVAN_FAULT_INVALIDATED,	"invalidated" })

DECLARE_EVENT_CLASS(svan_ib_ucontext,
	TP_PROTO(const struct ib_device *ibdev, u32 owner, u32 uar),
	TP_ARGS(ibdev, owner, uar),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, owner)
		__field(u32, uar)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->owner = owner;
		__entry->uar = uar;
	),
	TP_printk("%s owner=%u uar=%u", __get_str(name), __entry->owner,
		  __entry->uar)
);

TRACE_EVENT(svan_ib_uar,
	TP_PROTO(const struct ib_device *ibdev, u32 owner, u32 page, bool create),
	TP_ARGS(ibdev, owner, page, create),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, owner)
		__field(u32, page)
		__field(bool, create)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->owner = owner;
		__entry->page = page;
		__entry->create = create;
	),
	TP_printk("%s owner=%u uar=%u %s", __get_str(name), __entry->owner,
		  __entry->page, __entry->create ? "created" : "destroyed")
);

DEFINE_EVENT(svan_ib_ucontext, svan_ib_ucontext_alloc,
	TP_PROTO(const struct ib_device *ibdev, u32 owner, u32 uar),
	TP_ARGS(ibdev, owner, uar)
);

DEFINE_EVENT(svan_ib_ucontext, svan_ib_ucontext_dealloc,
	TP_PROTO(const struct ib_device *ibdev, u32 owner, u32 uar),
	TP_ARGS(ibdev, owner, uar)
);

DECLARE_EVENT_CLASS(svan_ib_pd,
	TP_PROTO(const struct ib_device *ibdev, u32 pdn),
	TP_ARGS(ibdev, pdn),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, pdn)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->pdn = pdn;
	),
	TP_printk("%s pdn=%u", __get_str(name), __entry->pdn)
);

DEFINE_EVENT(svan_ib_pd, svan_ib_pd_alloc,
	TP_PROTO(const struct ib_device *ibdev, u32 pdn),
	TP_ARGS(ibdev, pdn)
);

DEFINE_EVENT(svan_ib_pd, svan_ib_pd_dealloc,
	TP_PROTO(const struct ib_device *ibdev, u32 pdn),
	TP_ARGS(ibdev, pdn)
);

TRACE_EVENT(svan_ib_mr_reg,
	TP_PROTO(const struct ib_device *ibdev, const struct svan_ib_mr *mr,
		 int err),
	TP_ARGS(ibdev, mr, err),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u64, iova)
		__field(u64, length)
		__field(u64, pages)
		__field(u32, key)
		__field(u32, access)
		__field(u8, page_shift)
		__field(u8, levels)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->iova = mr->ibmr.iova;
		__entry->length = mr->ibmr.length;
		__entry->pages = mr->mtt.layout.pages;
		__entry->key = mr->ibmr.lkey;
		__entry->access = mr->access;
		__entry->page_shift = mr->mtt.layout.page_shift;
		__entry->levels = mr->mtt.layout.levels;
		__entry->err = err;
	),
	TP_printk("%s key=%#x iova=%#llx length=%llu access=%#x pages=%llu page_shift=%u levels=%u err=%d",
		  __get_str(name), __entry->key, __entry->iova,
		  __entry->length, __entry->access, __entry->pages,
		  __entry->page_shift, __entry->levels, __entry->err)
);

DECLARE_EVENT_CLASS(svan_ib_key,
	TP_PROTO(const struct ib_device *ibdev, u32 key),
	TP_ARGS(ibdev, key),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, key)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->key = key;
	),
	TP_printk("%s key=%#x", __get_str(name), __entry->key)
);

DEFINE_EVENT(svan_ib_key, svan_ib_mr_dereg,
	TP_PROTO(const struct ib_device *ibdev, u32 key),
	TP_ARGS(ibdev, key)
);

DEFINE_EVENT(svan_ib_key, svan_ib_mr_revoke,
	TP_PROTO(const struct ib_device *ibdev, u32 key),
	TP_ARGS(ibdev, key)
);

DEFINE_EVENT(svan_ib_key, svan_ib_ring_revoke,
	TP_PROTO(const struct ib_device *ibdev, u32 key),
	TP_ARGS(ibdev, key)
);

DECLARE_EVENT_CLASS(svan_ib_counter,
	TP_PROTO(const struct ib_device *ibdev, u32 owner, u32 counter, int err),
	TP_ARGS(ibdev, owner, counter, err),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, owner)
		__field(u32, counter)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->owner = owner;
		__entry->counter = counter;
		__entry->err = err;
	),
	TP_printk("%s owner=%u counter=%#x err=%d", __get_str(name),
		  __entry->owner, __entry->counter, __entry->err)
);

DEFINE_EVENT(svan_ib_counter, svan_ib_counter_create,
	TP_PROTO(const struct ib_device *ibdev, u32 owner, u32 counter, int err),
	TP_ARGS(ibdev, owner, counter, err)
);

DEFINE_EVENT(svan_ib_counter, svan_ib_counter_destroy,
	TP_PROTO(const struct ib_device *ibdev, u32 owner, u32 counter, int err),
	TP_ARGS(ibdev, owner, counter, err)
);

TRACE_EVENT(svan_ib_counter_modify,
	TP_PROTO(const struct ib_device *ibdev, u32 counter,
		 const struct svan_ib_modify_counter *modify, int err),
	TP_ARGS(ibdev, counter, modify, err),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, counter)
		__field(u32, mask)
		__field(u64, success)
		__field(u64, error)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->counter = counter;
		__entry->mask = modify->mask;
		__entry->success = modify->success;
		__entry->error = modify->error;
		__entry->err = err;
	),
	TP_printk("%s counter=%#x mask=%#x success=%llu error=%llu err=%d",
		  __get_str(name), __entry->counter, __entry->mask,
		  __entry->success, __entry->error, __entry->err)
);

TRACE_EVENT(svan_ib_counter_attach,
	TP_PROTO(const struct svan_ib_qp *qp, u32 counter, u32 sides, int err),
	TP_ARGS(qp, counter, sides, err),
	TP_STRUCT__entry(
		__string(name, qp->ibqp.device->name)
		__field(u32, qpn)
		__field(u32, counter)
		__field(u32, sides)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qp->ibqp.qp_num;
		__entry->counter = counter;
		__entry->sides = sides;
		__entry->err = err;
	),
	TP_printk("%s qpn=%#x counter=%#x sides=%#x err=%d", __get_str(name),
		  __entry->qpn, __entry->counter, __entry->sides, __entry->err)
);

DECLARE_EVENT_CLASS(svan_ib_cq,
	TP_PROTO(const struct svan_ib_cq *cq, int err),
	TP_ARGS(cq, err),
	TP_STRUCT__entry(
		__string(name, cq->ibcq.device->name)
		__field(u32, cqn)
		__field(u32, eqn)
		__field(u32, ring_key)
		__field(u8, log_size)
		__field(bool, user)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->cqn = cq->cqn;
		__entry->eqn = cq->eqn;
		__entry->ring_key = cq->ring.key;
		__entry->log_size = cq->log_size;
		__entry->user = !cq->cqes;
		__entry->err = err;
	),
	TP_printk("%s cqn=%u eqn=%u log_size=%u ring_key=%#x user=%d err=%d",
		  __get_str(name), __entry->cqn, __entry->eqn,
		  __entry->log_size, __entry->ring_key, __entry->user,
		  __entry->err)
);

DEFINE_EVENT(svan_ib_cq, svan_ib_cq_create,
	TP_PROTO(const struct svan_ib_cq *cq, int err),
	TP_ARGS(cq, err)
);

DEFINE_EVENT(svan_ib_cq, svan_ib_cq_destroy,
	TP_PROTO(const struct svan_ib_cq *cq, int err),
	TP_ARGS(cq, err)
);

TRACE_EVENT(svan_ib_cq_modify,
	TP_PROTO(const struct svan_ib_cq *cq, u16 count, u16 period, int err),
	TP_ARGS(cq, count, period, err),
	TP_STRUCT__entry(
		__string(name, cq->ibcq.device->name)
		__field(u32, cqn)
		__field(u16, count)
		__field(u16, period)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->cqn = cq->cqn;
		__entry->count = count;
		__entry->period = period;
		__entry->err = err;
	),
	TP_printk("%s cqn=%u count=%u period=%u err=%d", __get_str(name),
		  __entry->cqn, __entry->count, __entry->period, __entry->err)
);

TRACE_EVENT(svan_ib_cq_error,
	TP_PROTO(const struct svan_ib_cq *cq, u32 syndrome),
	TP_ARGS(cq, syndrome),
	TP_STRUCT__entry(
		__string(name, cq->ibcq.device->name)
		__field(u32, cqn)
		__field(u32, syndrome)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->cqn = cq->cqn;
		__entry->syndrome = syndrome;
	),
	TP_printk("%s cqn=%u syndrome=%#x", __get_str(name), __entry->cqn,
		  __entry->syndrome)
);

DECLARE_EVENT_CLASS(svan_ib_srq,
	TP_PROTO(const struct svan_ib_srq *srq, u32 limit, int err),
	TP_ARGS(srq, limit, err),
	TP_STRUCT__entry(
		__string(name, srq->ibsrq.device->name)
		__field(u32, srqn)
		__field(u32, ring_key)
		__field(u32, limit)
		__field(u8, log_size)
		__field(u8, log_stride)
		__field(bool, user)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->srqn = srq->srqn;
		__entry->ring_key = srq->ring.key;
		__entry->limit = limit;
		__entry->log_size = srq->log_size;
		__entry->log_stride = srq->log_stride;
		__entry->user = !srq->dbr;
		__entry->err = err;
	),
	TP_printk("%s srqn=%u log_size=%u log_stride=%u limit=%u ring_key=%#x user=%d err=%d",
		  __get_str(name), __entry->srqn, __entry->log_size,
		  __entry->log_stride, __entry->limit, __entry->ring_key,
		  __entry->user, __entry->err)
);

DEFINE_EVENT(svan_ib_srq, svan_ib_srq_create,
	TP_PROTO(const struct svan_ib_srq *srq, u32 limit, int err),
	TP_ARGS(srq, limit, err)
);

DEFINE_EVENT(svan_ib_srq, svan_ib_srq_destroy,
	TP_PROTO(const struct svan_ib_srq *srq, u32 limit, int err),
	TP_ARGS(srq, limit, err)
);

DEFINE_EVENT(svan_ib_srq, svan_ib_srq_modify,
	TP_PROTO(const struct svan_ib_srq *srq, u32 limit, int err),
	TP_ARGS(srq, limit, err)
);

TRACE_EVENT(svan_ib_srq_event,
	TP_PROTO(const struct svan_ib_srq *srq, u8 event, u32 syndrome),
	TP_ARGS(srq, event, syndrome),
	TP_STRUCT__entry(
		__string(name, srq->ibsrq.device->name)
		__field(u32, srqn)
		__field(u32, syndrome)
		__field(u8, event)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->srqn = srq->srqn;
		__entry->syndrome = syndrome;
		__entry->event = event;
	),
	TP_printk("%s srqn=%u event=%#x (%s) syndrome=%#x", __get_str(name),
		  __entry->srqn, __entry->event,
		  svan_show_event(__entry->event), __entry->syndrome)
);

DECLARE_EVENT_CLASS(svan_ib_qp,
	TP_PROTO(const struct svan_ib_qp *qp, int err),
	TP_ARGS(qp, err),
	TP_STRUCT__entry(
		__string(name, qp->ibqp.device->name)
		__field(u32, qpn)
		__field(u32, srqn)
		__field(u32, ring_key)
		__field(u8, type)
		__field(u8, log_sq_bbs)
		__field(u8, log_rq_size)
		__field(u8, log_rq_stride)
		__field(bool, user)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qp->ibqp.qp_num;
		__entry->srqn = qp->ibqp.srq ? to_svan_ib_srq(qp->ibqp.srq)->srqn : 0;
		__entry->ring_key = qp->ring.key;
		__entry->type = qp->type;
		__entry->log_sq_bbs = qp->log_sq_bbs;
		__entry->log_rq_size = qp->log_rq_size;
		__entry->log_rq_stride = qp->log_rq_stride;
		__entry->user = !qp->dbr;
		__entry->err = err;
	),
	TP_printk("%s qpn=%u type=%s log_sq_bbs=%u log_rq_size=%u log_rq_stride=%u srqn=%u ring_key=%#x user=%d err=%d",
		  __get_str(name), __entry->qpn,
		  svan_show_qp_type(__entry->type), __entry->log_sq_bbs,
		  __entry->log_rq_size, __entry->log_rq_stride, __entry->srqn,
		  __entry->ring_key, __entry->user, __entry->err)
);

DEFINE_EVENT(svan_ib_qp, svan_ib_qp_create,
	TP_PROTO(const struct svan_ib_qp *qp, int err),
	TP_ARGS(qp, err)
);

DEFINE_EVENT(svan_ib_qp, svan_ib_qp_destroy,
	TP_PROTO(const struct svan_ib_qp *qp, int err),
	TP_ARGS(qp, err)
);

TRACE_EVENT(svan_ib_qp_modify,
	TP_PROTO(const struct svan_ib_qp *qp, enum ib_qp_state old, int mask,
		 int err),
	TP_ARGS(qp, old, mask, err),
	TP_STRUCT__entry(
		__string(name, qp->ibqp.device->name)
		__field(u32, qpn)
		__field(int, mask)
		__field(u8, old)
		__field(u8, new)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qp->ibqp.qp_num;
		__entry->mask = mask;
		__entry->old = old;
		__entry->new = qp->state;
		__entry->err = err;
	),
	TP_printk("%s qpn=%u %s -> %s mask=%#x err=%d", __get_str(name),
		  __entry->qpn, svan_show_qp_state(__entry->old),
		  svan_show_qp_state(__entry->new), __entry->mask,
		  __entry->err)
);

TRACE_EVENT(svan_ib_qp_event,
	TP_PROTO(const struct svan_ib_qp *qp, u8 event, int type),
	TP_ARGS(qp, event, type),
	TP_STRUCT__entry(
		__string(name, qp->ibqp.device->name)
		__field(u32, qpn)
		__field(u8, event)
		__field(int, type)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qp->ibqp.qp_num;
		__entry->event = event;
		__entry->type = type;
	),
	TP_printk("%s qpn=%u event=%#x (%s) ib_event=%d", __get_str(name),
		  __entry->qpn, __entry->event,
		  svan_show_event(__entry->event), __entry->type)
);

TRACE_EVENT(svan_ib_port_event,
	TP_PROTO(const struct ib_device *ibdev, enum ib_event_type type),
	TP_ARGS(ibdev, type),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(int, type)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->type = type;
	),
	TP_printk("%s %s", __get_str(name),
		  __print_symbolic(__entry->type,
			{ IB_EVENT_PORT_ACTIVE,		"port active" },
			{ IB_EVENT_PORT_ERR,		"port error" },
			{ IB_EVENT_DEVICE_FATAL,	"device fatal" }))
);

DECLARE_EVENT_CLASS(svan_ib_gid,
	TP_PROTO(const struct ib_gid_attr *attr, u16 vlan, int err),
	TP_ARGS(attr, vlan, err),
	TP_STRUCT__entry(
		__string(name, attr->device->name)
		__field(u32, index)
		__array(u8, gid, sizeof(union ib_gid))
		__field(u16, vlan)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->index = attr->index;
		memcpy(__entry->gid, attr->gid.raw, sizeof(union ib_gid));
		__entry->vlan = vlan;
		__entry->err = err;
	),
	TP_printk("%s index=%u gid=%pI6c vlan=%#x err=%d", __get_str(name),
		  __entry->index, __entry->gid, __entry->vlan, __entry->err)
);

DEFINE_EVENT(svan_ib_gid, svan_ib_gid_add,
	TP_PROTO(const struct ib_gid_attr *attr, u16 vlan, int err),
	TP_ARGS(attr, vlan, err)
);

DEFINE_EVENT(svan_ib_gid, svan_ib_gid_del,
	TP_PROTO(const struct ib_gid_attr *attr, u16 vlan, int err),
	TP_ARGS(attr, vlan, err)
);

DECLARE_EVENT_CLASS(svan_ib_ah,
	TP_PROTO(const struct svan_ib_ah *ah, int err),
	TP_ARGS(ah, err),
	TP_STRUCT__entry(
		__string(name, ah->ibah.device->name)
		__array(u8, dgid, sizeof(union ib_gid))
		__array(u8, dmac, ETH_ALEN)
		__field(u8, sgid_index)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		memcpy(__entry->dgid, ah->av.dgid, sizeof(union ib_gid));
		memcpy(__entry->dmac, ah->av.dmac, ETH_ALEN);
		__entry->sgid_index = ah->av.sgid_index;
		__entry->err = err;
	),
	TP_printk("%s dgid=%pI6c dmac=%pM sgid_index=%u err=%d",
		  __get_str(name), __entry->dgid, __entry->dmac,
		  __entry->sgid_index, __entry->err)
);

DEFINE_EVENT(svan_ib_ah, svan_ib_ah_create,
	TP_PROTO(const struct svan_ib_ah *ah, int err),
	TP_ARGS(ah, err)
);

DEFINE_EVENT(svan_ib_ah, svan_ib_ah_destroy,
	TP_PROTO(const struct svan_ib_ah *ah, int err),
	TP_ARGS(ah, err)
);

DECLARE_EVENT_CLASS(svan_ib_mcast,
	TP_PROTO(const struct ib_qp *ibqp, const union ib_gid *gid, int err),
	TP_ARGS(ibqp, gid, err),
	TP_STRUCT__entry(
		__string(name, ibqp->device->name)
		__field(u32, qpn)
		__array(u8, gid, sizeof(union ib_gid))
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = ibqp->qp_num;
		memcpy(__entry->gid, gid->raw, sizeof(union ib_gid));
		__entry->err = err;
	),
	TP_printk("%s qpn=%u gid=%pI6c err=%d", __get_str(name), __entry->qpn,
		  __entry->gid, __entry->err)
);

DEFINE_EVENT(svan_ib_mcast, svan_ib_mcast_attach,
	TP_PROTO(const struct ib_qp *ibqp, const union ib_gid *gid, int err),
	TP_ARGS(ibqp, gid, err)
);

DEFINE_EVENT(svan_ib_mcast, svan_ib_mcast_detach,
	TP_PROTO(const struct ib_qp *ibqp, const union ib_gid *gid, int err),
	TP_ARGS(ibqp, gid, err)
);

/* ---- page requests; the token is the same in the traces of the device ---- */

DECLARE_EVENT_CLASS(svan_ib_fault,
	TP_PROTO(const struct svan_fault *fault),
	TP_ARGS(fault),
	TP_STRUCT__entry(
		__string(name, fault->prq->dev->ibdev.name)
		__field(u32, token)
		__field(u32, key)
		__field(u32, pasid)
		__field(u32, qpn)
		__field(u64, addr)
		__field(u64, entry)
		__field(u32, length)
		__field(u8, flags)
		__field(u8, level)
		__field(u8, attempt)
		__field(u32, fault_class)
		__field(u32, store)
		__field(u64, estimate)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->token = fault->req.token;
		__entry->key = fault->req.key;
		__entry->pasid = fault->req.pasid;
		__entry->qpn = fault->req.qpn;
		__entry->addr = fault->req.addr;
		__entry->entry = fault->req.entry;
		__entry->length = fault->req.length;
		__entry->flags = fault->req.flags;
		__entry->level = fault->req.level;
		__entry->attempt = fault->req.attempt;
		__entry->fault_class = fault->place.fault_class;
		__entry->store = fault->place.key;
		__entry->estimate = fault->estimate;
	),
	TP_printk("%s fault=%#x key=%#x pasid=%u qpn=%u addr=%#llx length=%u entry=%#llx level=%u %s%s%s%sattempt=%u class=%s store=%#x estimate=%llu",
		  __get_str(name), __entry->token, __entry->key,
		  __entry->pasid, __entry->qpn, __entry->addr, __entry->length,
		  __entry->entry, __entry->level,
		  __entry->flags & SVAN_PAGE_REQ_WRITE ? "write " : "",
		  __entry->flags & SVAN_PAGE_REQ_REMOTE ? "remote " : "",
		  __entry->flags & SVAN_PAGE_REQ_PROTECTED ? "protected " : "",
		  __entry->flags & SVAN_PAGE_REQ_PROCESS ? "process " : "",
		  __entry->attempt, svan_show_fault_class(__entry->fault_class),
		  __entry->store, __entry->estimate)
);

DEFINE_EVENT(svan_ib_fault, svan_ib_page_request,
	TP_PROTO(const struct svan_fault *fault),
	TP_ARGS(fault)
);

DEFINE_EVENT(svan_ib_fault, svan_ib_page_pending,
	TP_PROTO(const struct svan_fault *fault),
	TP_ARGS(fault)
);

TRACE_EVENT(svan_ib_page_resolved,
	TP_PROTO(const struct svan_fault *fault, int err, u64 actual),
	TP_ARGS(fault, err, actual),
	TP_STRUCT__entry(
		__string(name, fault->prq->dev->ibdev.name)
		__field(u32, token)
		__field(u64, addr)
		__field(u32, fault_class)
		__field(u32, store)
		__field(u64, estimate)
		__field(u64, actual)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->token = fault->req.token;
		__entry->addr = fault->req.addr;
		__entry->fault_class = fault->place.fault_class;
		__entry->store = fault->place.key;
		__entry->estimate = fault->estimate;
		__entry->actual = actual;
		__entry->err = err;
	),
	TP_printk("%s fault=%#x addr=%#llx class=%s store=%#x estimate=%llu actual=%llu err=%d",
		  __get_str(name), __entry->token, __entry->addr,
		  svan_show_fault_class(__entry->fault_class), __entry->store,
		  __entry->estimate, __entry->actual, __entry->err)
);

TRACE_EVENT(svan_ib_odp_invalidate,
	TP_PROTO(const struct svan_odp *odp, u64 start, u64 end,
		 u32 fault_class, int pages),
	TP_ARGS(odp, start, end, fault_class, pages),
	TP_STRUCT__entry(
		__string(name, odp->dev->ibdev.name)
		__field(u32, key)
		__field(u64, start)
		__field(u64, end)
		__field(u32, fault_class)
		__field(int, pages)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->key = odp->key;
		__entry->start = start;
		__entry->end = end;
		__entry->fault_class = fault_class;
		__entry->pages = pages;
	),
	TP_printk("%s key=%#x start=%#llx end=%#llx class=%s pages=%d",
		  __get_str(name), __entry->key, __entry->start, __entry->end,
		  svan_show_fault_class(__entry->fault_class), __entry->pages)
);

TRACE_EVENT(svan_ib_fault_policy,
	TP_PROTO(const struct ib_device *ibdev, u32 qpn,
		 const struct svan_ib_fault_policy *policy, int err),
	TP_ARGS(ibdev, qpn, policy, err),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, qpn)
		__field(u8, mode)
		__field(u8, sources)
		__field(u32, hold_max_us)
		__field(u32, divert_max_us)
		__field(u32, drop_max_us)
		__field(u32, bound_us)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qpn;
		__entry->mode = policy->mode;
		__entry->sources = policy->sources;
		__entry->hold_max_us = policy->hold_max_us;
		__entry->divert_max_us = policy->divert_max_us;
		__entry->drop_max_us = policy->drop_max_us;
		__entry->bound_us = policy->bound_us;
		__entry->err = err;
	),
	TP_printk("%s qpn=%u mode=%u sources=%#x hold=%u divert=%u drop=%u bound=%u err=%d",
		  __get_str(name), __entry->qpn, __entry->mode,
		  __entry->sources, __entry->hold_max_us,
		  __entry->divert_max_us, __entry->drop_max_us,
		  __entry->bound_us, __entry->err)
);

/* ---- process contexts ---- */

TRACE_EVENT(svan_ib_context,
	TP_PROTO(const struct ib_device *ibdev, const struct svan_context *ctx,
		 bool create),
	TP_ARGS(ibdev, ctx, create),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, pasid)
		__field(u32, generation)
		__field(bool, create)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->pasid = ctx->pasid;
		__entry->generation = ctx->generation;
		__entry->create = create;
	),
	TP_printk("%s pasid=%u generation=%u %s", __get_str(name),
		  __entry->pasid, __entry->generation,
		  __entry->create ? "created" : "destroyed")
);

TRACE_EVENT(svan_ib_ctx_invalidate,
	TP_PROTO(const struct ib_device *ibdev, u32 pasid, u64 start, u64 end,
		 u32 log_pages),
	TP_ARGS(ibdev, pasid, start, end, log_pages),
	TP_STRUCT__entry(
		__string(name, ibdev->name)
		__field(u32, pasid)
		__field(u64, start)
		__field(u64, end)
		__field(u32, log_pages)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->pasid = pasid;
		__entry->start = start;
		__entry->end = end;
		__entry->log_pages = log_pages;
	),
	TP_printk("%s pasid=%u start=%#llx end=%#llx log_pages=%u",
		  __get_str(name), __entry->pasid, __entry->start, __entry->end,
		  __entry->log_pages)
);

#endif /* SVAN_IB_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE svan_ib_trace
#include <trace/define_trace.h>
