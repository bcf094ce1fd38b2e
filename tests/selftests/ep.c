// SPDX-License-Identifier: GPL-2.0-only
/* Queue pairs, their states, and pairs of them. */
#include <errno.h>
#include <string.h>

#include <infiniband/svandv.h>

#include "common.h"

const struct ep_opts ep_defaults = {
	.qp_type = IBV_QPT_RC,
	.max_send_wr = 64,
	.max_recv_wr = 64,
	.max_sge = 1,
	.cqe = 256,
};

const struct conn conn_defaults = {
	.mtu = IBV_MTU_1024,
	.timeout = 18,		/* 1 s: a busy machine is no lost packet */
	.retry_cnt = 7,
	.rnr_retry = 7,
	.min_rnr_timer = 1,
	.rd_atomic = 4,
	.access = ACCESS_REMOTE,
};

/* ---- creation ---- */

static int create_cq(struct ep *ep, const struct ep_opts *opts)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = opts->cqe,
		.channel = opts->channel,
		.wc_flags = IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_IMM |
			    IBV_WC_EX_WITH_QP_NUM | IBV_WC_EX_WITH_SRC_QP,
		.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS,
		.flags = opts->ignore_overrun ?
				 IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN : 0,
	};

	if (opts->cq) {
		ep->cq = opts->cq;
		return 0;
	}
	ep->own_cq = true;
	if (opts->cq_mem) {
		const struct svandv_cq_init_attr svan_attr = {
			.flags = SVANDV_CQ_INIT_FLAGS_EXT_MEM,
			.ext_mem = *opts->cq_mem,
			.ext_mem_length = UINT64_MAX,
		};

		ep->cqx = svandv_create_cq(ep->node->ctx, &attr, &svan_attr);
		ep->cq = ep->cqx ? ibv_cq_ex_to_cq(ep->cqx) : NULL;
	} else if (opts->extended) {
		ep->cqx = ibv_create_cq_ex(ep->node->ctx, &attr);
		ep->cq = ep->cqx ? ibv_cq_ex_to_cq(ep->cqx) : NULL;
	} else {
		ep->cq = ibv_create_cq(ep->node->ctx, opts->cqe, NULL,
				       opts->channel, 0);
	}
	if (!ep->cq) {
		complain("cannot create a CQ of %u: %m", opts->cqe);
		return -errno;
	}
	return 0;
}

#define UD_SEND_OPS	(IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM)

#define UC_SEND_OPS	(UD_SEND_OPS | IBV_QP_EX_WITH_RDMA_WRITE | \
			 IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM)

#define RC_SEND_OPS	(UC_SEND_OPS | IBV_QP_EX_WITH_RDMA_READ | \
			 IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP | \
			 IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD)

static uint64_t send_ops(enum ibv_qp_type type)
{
	return type == IBV_QPT_UD ? UD_SEND_OPS :
	       type == IBV_QPT_UC ? UC_SEND_OPS : RC_SEND_OPS;
}

static void add_memory(struct svandv_qp_init_attr *attr, const struct ep_opts *opts)
{
	if (opts->sq_mem) {
		attr->comp_mask |= SVANDV_QP_INIT_ATTR_SQ_MEM;
		attr->sq_mem = *opts->sq_mem;
	}
	if (opts->rq_mem) {
		attr->comp_mask |= SVANDV_QP_INIT_ATTR_RQ_MEM;
		attr->rq_mem = *opts->rq_mem;
	}
	if (opts->dbr_mem) {
		attr->comp_mask |= SVANDV_QP_INIT_ATTR_DBR_MEM;
		attr->dbr_mem = *opts->dbr_mem;
	}
}

static int create_qp(struct ep *ep, const struct ep_opts *opts)
{
	struct ibv_qp_init_attr_ex attr = {
		.send_cq = ep->cq,
		.recv_cq = ep->cq,
		.srq = opts->srq,
		.cap = {
			.max_send_wr = opts->max_send_wr,
			.max_recv_wr = opts->max_recv_wr,
			.max_send_sge = opts->max_sge,
			.max_recv_sge = opts->max_sge,
			.max_inline_data = opts->max_inline,
		},
		.qp_type = opts->qp_type,
		.sq_sig_all = opts->signal_all,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
		.pd = ep->pd,
	};
	struct svandv_qp_init_attr svan_attr = {
		.comp_mask = SVANDV_QP_INIT_ATTR_CREATE_FLAGS,
		.uar = opts->uar,
		.create_flags = opts->recv_no_cqe ?
					SVANDV_QP_CREATE_RECV_NO_CQE : 0,
	};

	if (opts->extended) {
		attr.comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
		attr.send_ops_flags = send_ops(opts->qp_type);
	}
	add_memory(&svan_attr, opts);
	ep->qp = opts->uar || opts->recv_no_cqe || opts->sq_mem ||
				 opts->rq_mem || opts->dbr_mem ?
			 svandv_create_qp(ep->node->ctx, &attr, &svan_attr) :
			 ibv_create_qp_ex(ep->node->ctx, &attr);
	if (!ep->qp) {
		complain("cannot create a QP: %m");
		return -errno;
	}
	if (opts->extended)
		ep->qpx = ibv_qp_to_qp_ex(ep->qp);
	ep->cap = attr.cap;
	ep->address_first = opts->address_first;
	return 0;
}

int ep_create(struct ep *ep, struct node *node, const struct ep_opts *opts)
{
	int ret;

	memset(ep, 0, sizeof(*ep));
	ep->node = node;
	ep->pd = node->pd;
	ep->psn = (0xfffff0 + (uintptr_t)ep / 64) & 0xffffff;
	ret = create_cq(ep, opts);
	if (!ret)
		ret = create_qp(ep, opts);
	if (ret)
		ep_destroy(ep);
	return ret;
}

void ep_destroy(struct ep *ep)
{
	if (ep->qp && ibv_destroy_qp(ep->qp))
		complain("ibv_destroy_qp: %m");
	if (ep->cq && ep->own_cq && ibv_destroy_cq(ep->cq))
		complain("ibv_destroy_cq: %m");
	memset(ep, 0, sizeof(*ep));
}

/* ---- states ---- */

static int modify(struct ep *ep, struct ibv_qp_attr *attr, int mask)
{
	int ret = ibv_modify_qp(ep->qp, attr, mask);

	if (ret)
		complain("QP %u to state %d: %s", ep->qp->qp_num,
			 attr->qp_state, strerror(ret));
	return -ret;
}

int ep_init(struct ep *ep, const struct conn *conn)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = conn->access,
	};

	return modify(ep, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
				 IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

/* Attributes that only reliable connections have. */
static int of_rc(const struct ep *ep, int mask)
{
	return ep->qp->qp_type == IBV_QPT_RC ? mask : 0;
}

int ep_rtr(struct ep *ep, const struct ep *peer, const struct conn *conn)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = conn->mtu,
		.dest_qp_num = peer->qp->qp_num,
		.rq_psn = peer->psn,
		.max_dest_rd_atomic = conn->rd_atomic,
		.min_rnr_timer = conn->min_rnr_timer,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = {
				.dgid = peer->node->gid,
				.sgid_index = ep->node->gid_index,
				.hop_limit = 64,
			},
		},
	};

	return modify(ep, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				 IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				 of_rc(ep, IBV_QP_MAX_DEST_RD_ATOMIC |
					   IBV_QP_MIN_RNR_TIMER));
}

int ep_rts(struct ep *ep, const struct conn *conn)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = conn->timeout,
		.retry_cnt = conn->retry_cnt,
		.rnr_retry = conn->rnr_retry,
		.sq_psn = ep->psn,
		.max_rd_atomic = conn->rd_atomic,
	};

	return modify(ep, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN |
				 of_rc(ep, IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
					   IBV_QP_RNR_RETRY |
					   IBV_QP_MAX_QP_RD_ATOMIC));
}

int ep_state(struct ep *ep, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	return modify(ep, &attr, IBV_QP_STATE);
}

int ep_query_state(struct ep *ep)
{
	struct ibv_qp_init_attr init_attr;
	struct ibv_qp_attr attr;
	int ret;

	ret = ibv_query_qp(ep->qp, &attr, IBV_QP_STATE, &init_attr);
	return ret ? -ret : (int)attr.qp_state;
}

int expect_state(struct ep *ep, enum ibv_qp_state state)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int seen;

	do {
		seen = ep_query_state(ep);
	} while (seen != (int)state && now_ms() < deadline);
	if (seen == (int)state)
		return 0;
	complain("QP %u is in state %d, not %d", ep->qp->qp_num, seen, state);
	return -EIO;
}

int ep_start_ud(struct ep *ep, uint32_t qkey)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qkey = qkey,
		.sq_psn = ep->psn,
	};
	int ret;

	ret = modify(ep, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
				IBV_QP_PORT | IBV_QP_QKEY);
	attr.qp_state = IBV_QPS_RTR;
	if (!ret)
		ret = modify(ep, &attr, IBV_QP_STATE);
	attr.qp_state = IBV_QPS_RTS;
	return ret ? ret : modify(ep, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN);
}

int connect_eps(struct ep *a, struct ep *b, const struct conn *conn)
{
	if (ep_init(a, conn) || ep_init(b, conn) || ep_rtr(a, b, conn) ||
	    ep_rtr(b, a, conn) || ep_rts(a, conn) || ep_rts(b, conn))
		return -EINVAL;
	return 0;
}

/* ---- pairs ---- */

int pair_open(struct pair *pair, bool wire, size_t size)
{
	int i, ret;

	memset(pair, 0, sizeof(*pair));
	for (i = 0; i < 2; i++) {
		ret = node_open(&pair->node[i], i && wire ? PEER : LOCAL);
		if (!ret)
			ret = area_alloc(&pair->out[i], pair->node[i].pd, size,
					 ACCESS_ALL);
		if (!ret)
			ret = area_alloc(&pair->in[i], pair->node[i].pd, size,
					 ACCESS_ALL);
		if (ret) {
			pair_close(pair);
			return ret;
		}
	}
	return 0;
}

void pair_close(struct pair *pair)
{
	int i;

	pair_destroy(pair);
	for (i = 0; i < 2; i++) {
		area_free(&pair->in[i]);
		area_free(&pair->out[i]);
		node_close(&pair->node[i]);
	}
}

int pair_create(struct pair *pair, const struct ep_opts *opts)
{
	int i, ret;

	for (i = 0; i < 2; i++) {
		ret = ep_create(&pair->ep[i], &pair->node[i], opts);
		if (ret) {
			pair_destroy(pair);
			return ret;
		}
	}
	return 0;
}

int pair_connect(struct pair *pair, const struct conn *conn)
{
	return connect_eps(&pair->ep[0], &pair->ep[1], conn);
}

void pair_destroy(struct pair *pair)
{
	ep_destroy(&pair->ep[0]);
	ep_destroy(&pair->ep[1]);
}

#define SOUND_SIZE	6000

static int send_once(struct pair *pair, struct ep *from, struct ep *to, int dir)
{
	struct ibv_sge src = area_sge(&pair->out[dir], 0, SOUND_SIZE);
	struct ibv_sge dst = area_sge(&pair->in[!dir], 0, SOUND_SIZE);
	struct ibv_send_wr wr = {
		.wr_id = 0x50 + dir,
		.sg_list = &src,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	};
	int ret;

	memset(pair->out[dir].data, 0x30 + dir, SOUND_SIZE);
	memset(pair->in[!dir].data, 0, SOUND_SIZE);
	if (ep_post_recv(to, 0x70 + dir, &dst, 1))
		return -EIO;
	ret = ep_post_send(from, &wr);
	if (ret) {
		complain("posting on a fresh QP: %s", strerror(ret));
		return -ret;
	}
	if (ep_expect(from, 0x50 + dir, IBV_WC_SUCCESS) ||
	    ep_expect(to, 0x70 + dir, IBV_WC_SUCCESS))
		return -EIO;
	return check_equal("fresh QP", pair->in[!dir].data, pair->out[dir].data,
			   SOUND_SIZE);
}

int pair_sound(struct pair *pair)
{
	struct ep a, b;
	int ret;

	ret = ep_create(&a, &pair->node[0], &ep_defaults);
	if (ret)
		return ret;
	ret = ep_create(&b, &pair->node[1], &ep_defaults);
	if (ret)
		goto out;
	ret = connect_eps(&a, &b, &conn_defaults);
	if (!ret)
		ret = send_once(pair, &a, &b, 0);
	if (!ret)
		ret = send_once(pair, &b, &a, 1);
	ep_destroy(&b);
out:
	ep_destroy(&a);
	return ret;
}

int pair_write(struct pair *pair, const struct ibv_mr *mr, void *to,
	       uint32_t length)
{
	struct ibv_sge sge = area_sge(&pair->out[0], 0, length);
	struct ibv_send_wr wr = {
		.wr_id = 1,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)to, .rkey = mr->rkey },
	};
	int ret = ep_post_send(&pair->ep[0], &wr);

	return ret ? -ret : ep_expect(&pair->ep[0], 1, IBV_WC_SUCCESS);
}
