// SPDX-License-Identifier: GPL-2.0-only
/* What `rdma -dd resource show` tells in addition to what ib_core knows. */

#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

#include "svan_odp.h"

static struct nlattr *svan_res_begin(struct sk_buff *msg)
{
	return nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
}

static int svan_res_end(struct sk_buff *msg, struct nlattr *table, int err)
{
	if (err) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}

static int svan_fill_res_odp(struct sk_buff *msg, const struct svan_odp *odp)
{
	int err;

	err = rdma_nl_put_driver_string(msg, "odp", odp->implicit ? "implicit" :
								    "explicit");
	if (err)
		return err;
	if (odp->kind == SVAN_KEY_PROCESS)
		return rdma_nl_put_driver_u32(msg, "pasid", odp->pasid);
	return rdma_nl_put_driver_u32(msg, "levels", odp->radix.levels) ||
	       rdma_nl_put_driver_u32(msg, "tables",
				      READ_ONCE(odp->radix.count));
}

int svan_ib_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct svan_ib_mr *mr = to_svan_ib_mr(ibmr);
	struct svan_mtt_layout *layout = &mr->mtt.layout;
	struct nlattr *table = svan_res_begin(msg);
	int err;

	if (!table)
		return -EMSGSIZE;
	err = rdma_nl_put_driver_u32_hex(msg, "access", mr->access);
	if (!err && mr->odp)
		err = svan_fill_res_odp(msg, mr->odp);
	else if (!err)
		err = rdma_nl_put_driver_u32(msg, "page_shift",
					     layout->page_shift) ||
		      rdma_nl_put_driver_u32(msg, "levels", layout->levels) ||
		      rdma_nl_put_driver_u32(msg, "tables", layout->num_tables);
	return svan_res_end(msg, table, err);
}

/*
 * The counters have mlx5's names. For a process key, page_invalidations counts the
 * flushes of its process context.
 */
int svan_ib_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct svan_odp *odp = to_svan_ib_mr(ibmr)->odp;
	struct nlattr *table;
	int err;

	if (!odp)
		return 0;
	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!table)
		return -EMSGSIZE;
	err = rdma_nl_stat_hwcounter_entry(msg, "page_faults",
					   atomic64_read(&odp->faults)) ||
	      rdma_nl_stat_hwcounter_entry(msg, "page_invalidations",
					   svan_odp_invalidations(odp)) ||
	      rdma_nl_stat_hwcounter_entry(msg, "page_prefetch",
					   atomic64_read(&odp->prefetches));
	return svan_res_end(msg, table, err);
}

int svan_ib_fill_res_cq(struct sk_buff *msg, struct ib_cq *ibcq)
{
	struct svan_ib_cq *cq = to_svan_ib_cq(ibcq);
	struct nlattr *table = svan_res_begin(msg);
	int err;

	if (!table)
		return -EMSGSIZE;
	err = rdma_nl_put_driver_u32(msg, "hw_cqn", cq->cqn) ||
	      rdma_nl_put_driver_u32(msg, "eqn", cq->eqn) ||
	      rdma_nl_put_driver_u32(msg, "log_size", cq->log_size) ||
	      rdma_nl_put_driver_u32_hex(msg, "ring_key", cq->ring.key);
	return svan_res_end(msg, table, err);
}

int svan_ib_fill_res_srq(struct sk_buff *msg, struct ib_srq *ibsrq)
{
	struct svan_ib_srq *srq = to_svan_ib_srq(ibsrq);
	struct nlattr *table = svan_res_begin(msg);
	int err;

	if (!table)
		return -EMSGSIZE;
	err = rdma_nl_put_driver_u32(msg, "hw_srqn", srq->srqn) ||
	      rdma_nl_put_driver_u32(msg, "log_size", srq->log_size) ||
	      rdma_nl_put_driver_u32(msg, "log_stride", srq->log_stride) ||
	      rdma_nl_put_driver_u32_hex(msg, "ring_key", srq->ring.key);
	return svan_res_end(msg, table, err);
}

int svan_ib_fill_res_qp(struct sk_buff *msg, struct ib_qp *ibqp)
{
	struct svan_ib_qp *qp = to_svan_ib_qp(ibqp);
	struct nlattr *table = svan_res_begin(msg);
	int err;

	if (!table)
		return -EMSGSIZE;
	err = rdma_nl_put_driver_u32(msg, "log_sq_bbs", qp->log_sq_bbs) ||
	      rdma_nl_put_driver_u32(msg, "log_rq_size", qp->log_rq_size) ||
	      rdma_nl_put_driver_u32(msg, "log_rq_stride", qp->log_rq_stride) ||
	      rdma_nl_put_driver_u32_hex(msg, "ring_key", qp->ring.key);
	return svan_res_end(msg, table, err);
}
