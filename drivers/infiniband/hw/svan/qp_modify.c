// SPDX-License-Identifier: GPL-2.0-only
/*
 * State and attributes of queue pairs. The driver checks the values of a change, and
 * whether the specification allows it in the state that the driver knows. The device
 * checks again, because an error may have changed the state meanwhile.
 */

#include <linux/log2.h>
#include <rdma/ib_cache.h>

#include "svan_ib.h"
#include "svan_ib_trace.h"

/* The enumerations of the device and of verbs both follow the specification. */
static_assert((int)SVAN_QPS_RESET == (int)IB_QPS_RESET);
static_assert((int)SVAN_QPS_INIT == (int)IB_QPS_INIT);
static_assert((int)SVAN_QPS_RTR == (int)IB_QPS_RTR);
static_assert((int)SVAN_QPS_RTS == (int)IB_QPS_RTS);
static_assert((int)SVAN_QPS_SQD == (int)IB_QPS_SQD);
static_assert((int)SVAN_QPS_SQE == (int)IB_QPS_SQE);
static_assert((int)SVAN_QPS_ERR == (int)IB_QPS_ERR);

static const struct {
	int ib;
	u32 svan;
} svan_qp_masks[] = {
	{ IB_QP_ACCESS_FLAGS,		SVAN_QP_ATTR_ACCESS },
	{ IB_QP_PKEY_INDEX,		SVAN_QP_ATTR_PKEY_INDEX },
	{ IB_QP_PORT,			SVAN_QP_ATTR_PORT },
	{ IB_QP_AV,			SVAN_QP_ATTR_AV },
	{ IB_QP_PATH_MTU,		SVAN_QP_ATTR_MTU },
	{ IB_QP_DEST_QPN,		SVAN_QP_ATTR_DEST_QPN },
	{ IB_QP_RQ_PSN,			SVAN_QP_ATTR_RQ_PSN },
	{ IB_QP_SQ_PSN,			SVAN_QP_ATTR_SQ_PSN },
	{ IB_QP_MAX_QP_RD_ATOMIC,	SVAN_QP_ATTR_MAX_RD_ATOMIC },
	{ IB_QP_MAX_DEST_RD_ATOMIC,	SVAN_QP_ATTR_MAX_DEST_RD_ATOMIC },
	{ IB_QP_MIN_RNR_TIMER,		SVAN_QP_ATTR_MIN_RNR_TIMER },
	{ IB_QP_TIMEOUT,		SVAN_QP_ATTR_TIMEOUT },
	{ IB_QP_RETRY_CNT,		SVAN_QP_ATTR_RETRY_CNT },
	{ IB_QP_RNR_RETRY,		SVAN_QP_ATTR_RNR_RETRY },
	{ IB_QP_QKEY,			SVAN_QP_ATTR_QKEY },
	{ IB_QP_RATE_LIMIT,		SVAN_QP_ATTR_RATE_LIMIT },
};

static u32 svan_qp_mask(const struct ib_qp_attr *attr, int mask)
{
	u32 svan = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(svan_qp_masks); i++)
		if (mask & svan_qp_masks[i].ib)
			svan |= svan_qp_masks[i].svan;
	if (mask & IB_QP_EN_SQD_ASYNC_NOTIFY && attr->en_sqd_async_notify)
		svan |= SVAN_QP_ATTR_SQD_NOTIFY;
	return svan;
}

/* Check that the values which the mask names fit into their fields. */
static int svan_qp_check_values(struct svan_ib_dev *dev,
				const struct ib_qp_attr *attr, int mask)
{
	u32 rd_atomic = le16_to_cpu(dev->caps->max_rd_atomic);

	if ((mask & IB_QP_PORT && attr->port_num != SVAN_IB_PORT) ||
	    (mask & IB_QP_PKEY_INDEX && attr->pkey_index) ||
	    (mask & IB_QP_DEST_QPN && attr->dest_qp_num > SVAN_DB_QN_MASK) ||
	    (mask & IB_QP_MAX_QP_RD_ATOMIC && attr->max_rd_atomic > rd_atomic) ||
	    (mask & IB_QP_MAX_DEST_RD_ATOMIC &&
	     attr->max_dest_rd_atomic > rd_atomic) ||
	    (mask & IB_QP_MIN_RNR_TIMER && attr->min_rnr_timer > 31) ||
	    (mask & IB_QP_TIMEOUT && attr->timeout > 31) ||
	    (mask & IB_QP_RETRY_CNT && attr->retry_cnt > 7) ||
	    (mask & IB_QP_RNR_RETRY && attr->rnr_retry > 7))
		return -EINVAL;

	if (mask & IB_QP_PATH_MTU &&
	    (attr->path_mtu < IB_MTU_256 || attr->path_mtu > IB_MTU_4096 ||
	     ib_mtu_enum_to_int(attr->path_mtu) >
	     le32_to_cpu(dev->caps->max_mtu)))
		return -EINVAL;

	if (mask & IB_QP_RATE_LIMIT && attr->rate_limit &&
	    (attr->rate_limit < SVAN_RATE_LIMIT_MIN ||
	     attr->rate_limit > SVAN_RATE_LIMIT_MAX))
		return -EINVAL;

	/* There are no alternate paths. */
	if (mask & IB_QP_ALT_PATH ||
	    (mask & IB_QP_PATH_MIG_STATE &&
	     attr->path_mig_state != IB_MIG_MIGRATED))
		return -EOPNOTSUPP;
	return 0;
}

static int svan_qp_fill_attr(struct svan_cmd_modify_qp *modify,
			     const struct ib_qp_attr *attr, int mask)
{
	struct svan_qp_attr *to = &modify->attr;

	to->access = svan_ib_qp_access(attr->qp_access_flags);
	if (mask & IB_QP_PATH_MTU)
		to->log_mtu = ilog2(ib_mtu_enum_to_int(attr->path_mtu));
	to->max_rd_atomic = attr->max_rd_atomic;
	to->max_dest_rd_atomic = attr->max_dest_rd_atomic;
	to->min_rnr_timer = attr->min_rnr_timer;
	to->timeout = attr->timeout;
	to->retry_cnt = attr->retry_cnt;
	to->rnr_retry = attr->rnr_retry;
	to->pkey_index = attr->pkey_index;
	to->port = attr->port_num;
	to->dest_qpn = cpu_to_le32(attr->dest_qp_num);
	to->rq_psn = cpu_to_le32(attr->rq_psn & 0xffffff);
	to->sq_psn = cpu_to_le32(attr->sq_psn & 0xffffff);
	to->qkey = cpu_to_le32(attr->qkey);
	modify->rate_limit = cpu_to_le32(attr->rate_limit);
	if (mask & IB_QP_AV)
		return svan_ib_fill_av(&modify->av, &attr->ah_attr);
	return 0;
}

/*
 * A datagram is one packet. Verbs have no attribute for its size, which is limited by the
 * MTU of the port.
 */
static void svan_qp_set_port_mtu(struct svan_ib_dev *dev,
				 struct svan_cmd_modify_qp *modify)
{
	modify->mask |= cpu_to_le32(SVAN_QP_ATTR_MTU);
	modify->attr.log_mtu = ilog2(ib_mtu_enum_to_int(svan_ib_active_mtu(dev)));
}

/* qp->mutex is held. */
static int svan_qp_change(struct svan_ib_dev *dev, struct svan_ib_qp *qp,
			  const struct ib_qp_attr *attr, int mask)
{
	enum ib_qp_state cur = mask & IB_QP_CUR_STATE ? attr->cur_qp_state :
							qp->state;
	enum ib_qp_state next = mask & IB_QP_STATE ? attr->qp_state : cur;
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODIFY_QP),
		.modify_qp = {
			.qpn = cpu_to_le32(qp->ibqp.qp_num),
			.mask = cpu_to_le32(svan_qp_mask(attr, mask)),
			.attr.state = next,
		},
	};
	int err;

	/* The core knows a rate limit of raw packets only; the device checks it. */
	if (!ib_modify_qp_is_ok(cur, next, qp->ibqp.qp_type,
				mask & ~IB_QP_RATE_LIMIT))
		return -EINVAL;
	err = svan_qp_fill_attr(&cmd.modify_qp, attr, mask);
	if (err)
		return err;
	if (svan_ib_is_datagram(qp) && cur == IB_QPS_INIT && next == IB_QPS_RTR)
		svan_qp_set_port_mtu(dev, &cmd.modify_qp);
	err = svan_cmd_exec(dev->sdev, &cmd, NULL);
	if (err)
		return err;

	if (mask & IB_QP_AV)
		qp->av = cmd.modify_qp.av;
	if (next == IB_QPS_RESET && qp->dbr)
		svan_ib_reset_kernel_queues(qp);
	WRITE_ONCE(qp->state, next);
	return 0;
}

int svan_ib_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		      struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibqp->device);
	struct svan_ib_qp *qp = to_svan_ib_qp(ibqp);
	enum ib_qp_state old;
	int err;

	if (mask & ~(IB_QP_ATTR_STANDARD_BITS | IB_QP_RATE_LIMIT))
		return -EOPNOTSUPP;
	if (mask & IB_QP_RATE_LIMIT && ibqp->qp_type != IB_QPT_RC)
		return -EOPNOTSUPP;
	err = svan_ib_no_ureq(udata);
	if (err)
		return err;
	err = svan_qp_check_values(dev, attr, mask);
	if (err)
		return err;

	mutex_lock(&qp->mutex);
	old = qp->state;
	err = svan_qp_change(dev, qp, attr, mask);
	trace_svan_ib_qp_modify(qp, old, mask, err);
	mutex_unlock(&qp->mutex);
	return err;
}

static void svan_qp_read_attr(const struct svan_qp_attr *from,
			      struct ib_qp_attr *attr)
{
	attr->qp_state = from->state;
	attr->cur_qp_state = from->state;
	attr->path_mtu = from->log_mtu ?
			 ib_mtu_int_to_enum(1 << from->log_mtu) : IB_MTU_256;
	attr->path_mig_state = IB_MIG_MIGRATED;
	attr->qp_access_flags = svan_ib_from_qp_access(from->access);
	attr->max_rd_atomic = from->max_rd_atomic;
	attr->max_dest_rd_atomic = from->max_dest_rd_atomic;
	attr->min_rnr_timer = from->min_rnr_timer;
	attr->timeout = from->timeout;
	attr->retry_cnt = from->retry_cnt;
	attr->rnr_retry = from->rnr_retry;
	attr->pkey_index = from->pkey_index;
	attr->port_num = from->port;
	attr->sq_draining = from->sq_draining;
	attr->dest_qp_num = le32_to_cpu(from->dest_qpn);
	attr->rq_psn = le32_to_cpu(from->rq_psn);
	attr->sq_psn = le32_to_cpu(from->sq_psn);
	attr->qkey = le32_to_cpu(from->qkey);
}

int svan_ib_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		     struct ib_qp_init_attr *init_attr)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibqp->device);
	struct svan_ib_qp *qp = to_svan_ib_qp(ibqp);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_QUERY_QP),
		.object.id = cpu_to_le32(ibqp->qp_num),
	};
	struct svan_cmd_resp resp;
	int err;

	/* ib_uverbs copies the structures to user space, and does not clear them. */
	memset(attr, 0, sizeof(*attr));
	memset(init_attr, 0, sizeof(*init_attr));

	mutex_lock(&qp->mutex);
	err = svan_cmd_exec(dev->sdev, &cmd, &resp);
	if (!err) {
		svan_qp_read_attr(&resp.query_qp.attr, attr);
		attr->rate_limit = le32_to_cpu(resp.query_qp.rate_limit);
		svan_ib_read_av(&qp->av, &attr->ah_attr);
		/* The device may have put the QP into an error state. */
		WRITE_ONCE(qp->state, attr->qp_state);
	}
	mutex_unlock(&qp->mutex);
	if (err)
		return err;

	attr->cap = qp->cap;
	init_attr->cap = qp->cap;
	init_attr->event_handler = ibqp->event_handler;
	init_attr->qp_context = ibqp->qp_context;
	init_attr->send_cq = ibqp->send_cq;
	init_attr->recv_cq = ibqp->recv_cq;
	init_attr->srq = ibqp->srq;
	init_attr->qp_type = ibqp->qp_type;
	init_attr->sq_sig_type = qp->signal_all ? IB_SIGNAL_ALL_WR :
						  IB_SIGNAL_REQ_WR;
	return 0;
}
