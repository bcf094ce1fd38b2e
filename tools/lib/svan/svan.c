/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Device match and verbs contexts. */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "svan.h"
#include "svan_abi.h"

static void svan_free_context(struct ibv_context *ibctx);
static const struct verbs_device_ops svan_device_ops;

static const struct verbs_match_ent svan_match_table[] = {
	VERBS_PCI_MATCH(SVAN_PCI_VENDOR_ID, SVAN_PCI_DEVICE_ID_PF, NULL),
	VERBS_PCI_MATCH(SVAN_PCI_VENDOR_ID, SVAN_PCI_DEVICE_ID_VF, NULL),
	{},
};

static const struct verbs_context_ops svan_context_ops = {
	.advise_mr = svan_advise_mr,
	.alloc_pd = svan_alloc_pd,
	.attach_mcast = ibv_cmd_attach_mcast,
	.create_ah = svan_create_ah,
	.create_cq = svan_create_cq,
	.create_cq_ex = svan_create_cq_ex,
	.create_qp = svan_create_qp,
	.create_qp_ex = svan_create_qp_ex,
	.create_srq = svan_create_srq,
	.dealloc_pd = svan_dealloc_pd,
	.dereg_mr = svan_dereg_mr,
	.destroy_ah = svan_destroy_ah,
	.destroy_cq = svan_destroy_cq,
	.destroy_qp = svan_destroy_qp,
	.destroy_srq = svan_destroy_srq,
	.detach_mcast = ibv_cmd_detach_mcast,
	.free_context = svan_free_context,
	.modify_cq = svan_modify_cq,
	.modify_qp = svan_modify_qp,
	.modify_qp_rate_limit = svan_modify_qp_rate_limit,
	.modify_srq = svan_modify_srq,
	.poll_cq = svan_poll_cq,
	.post_recv = svan_post_recv,
	.post_send = svan_post_send,
	.post_srq_recv = svan_post_srq_recv,
	.query_device_ex = svan_query_device_ex,
	.query_port = svan_query_port,
	.query_qp = svan_query_qp,
	.query_srq = svan_query_srq,
	.reg_dmabuf_mr = svan_reg_dmabuf_mr,
	.reg_mr = svan_reg_mr,
	.req_notify_cq = svan_req_notify_cq,
	.rereg_mr = svan_rereg_mr,
};

void *svan_alloc_buf(size_t length)
{
	void *buf;

	buf = mmap(NULL, length, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		return NULL;
	if (ibv_dontfork_range(buf, length)) {
		munmap(buf, length);
		return NULL;
	}
	return buf;
}

void svan_free_buf(void *buf, size_t length)
{
	ibv_dofork_range(buf, length);
	munmap(buf, length);
}

/*
 * The response only grows: a driver that is older than this provider leaves
 * the end of it zero.
 */
static int svan_check_abi(struct svan_context *ctx,
			  const struct svan_get_context_resp *resp)
{
	if (resp->uar_size < SVAN_UAR_CQ_DB + sizeof(__le64) ||
	    !resp->max_qp_wqebb || !resp->max_cqe || !resp->max_sge) {
		verbs_err(&ctx->vctx,
			  "the kernel module svan_ib does not speak verbs ABI %u of this provider: load the one that was built with it\n",
			  SVAN_UVERBS_ABI_VERSION);
		return EPROTO;
	}
	if (!(resp->features & SVAN_CAP_RC)) {
		verbs_err(&ctx->vctx, "the device has no RC transport\n");
		return EOPNOTSUPP;
	}
	return 0;
}

static int svan_map_uar(struct svan_context *ctx, int cmd_fd,
			const struct svan_get_context_resp *resp)
{
	void *uar;

	uar = mmap(NULL, resp->uar_size, PROT_WRITE, MAP_SHARED, cmd_fd,
		   resp->uar_mmap_offset);
	if (uar == MAP_FAILED) {
		verbs_err(&ctx->vctx, "cannot map the doorbell page: %m\n");
		return errno;
	}
	ctx->uar = uar;
	ctx->uar_size = resp->uar_size;
	return 0;
}

static void svan_set_limits(struct svan_context *ctx,
			    const struct svan_get_context_resp *resp)
{
	ctx->features = resp->features;
	ctx->max_cqe = min_t(uint32_t, resp->max_cqe,
			     1u << SVAN_CQ_MAX_LOG_SIZE);
	ctx->max_comp_cntr = resp->max_comp_cntr;
	ctx->max_uar = resp->max_uar;
	ctx->max_context_uar = resp->max_context_uar;
	ctx->max_context_comp_cntr = resp->max_context_comp_cntr;
	ctx->qp_limits = (struct svan_qp_limits){
		.max_wqebb = min_t(uint32_t, resp->max_qp_wqebb,
				   1u << SVAN_SQ_MAX_LOG_BBS),
		.max_rwqe = min_t(uint32_t, resp->max_qp_rwqe,
				  1u << SVAN_RQ_MAX_LOG_SIZE),
		.max_sge = min_t(uint32_t, resp->max_sge, SVAN_MAX_SGE),
		.max_inline = min_t(uint32_t, resp->max_inline,
				    SVAN_MAX_INLINE),
	};
}

static struct verbs_context *svan_alloc_context(struct ibv_device *ibdev,
						int cmd_fd, void *private_data)
{
	struct svan_get_context_resp resp = {};
	struct ibv_get_context cmd = {};
	struct svan_context *ctx;
	int ret;

	ctx = verbs_init_and_alloc_context(ibdev, cmd_fd, ctx, vctx,
					   RDMA_DRIVER_UNKNOWN);
	if (!ctx)
		return NULL;

	ret = ibv_cmd_get_context(&ctx->vctx, &cmd, sizeof(cmd),
				  &resp.ibv_resp, sizeof(resp));
	if (ret)
		goto err_uninit;
	ret = svan_check_abi(ctx, &resp);
	if (ret)
		goto err_uninit;
	ret = svan_map_uar(ctx, cmd_fd, &resp);
	if (ret)
		goto err_uninit;

	svan_set_limits(ctx, &resp);
	pthread_mutex_init(&ctx->qp_table_mutex, NULL);
	verbs_set_ops(&ctx->vctx, &svan_context_ops);
	return &ctx->vctx;

err_uninit:
	verbs_uninit_context(&ctx->vctx);
	free(ctx);
	errno = ret;
	return NULL;
}

static void svan_free_context(struct ibv_context *ibctx)
{
	struct svan_context *ctx = to_svan_ctx(ibctx);

	svan_qp_table_free(&ctx->qp_table);
	pthread_mutex_destroy(&ctx->qp_table_mutex);
	munmap(ctx->uar, ctx->uar_size);
	verbs_uninit_context(&ctx->vctx);
	free(ctx);
}

static struct verbs_device *svan_device_alloc(struct verbs_sysfs_dev *sysfs_dev)
{
	struct svan_device *dev = calloc(1, sizeof(*dev));

	return dev ? &dev->vdev : NULL;
}

bool svan_is_svan(const struct ibv_device *ibdev)
{
	return verbs_get_device(ibdev)->ops == &svan_device_ops;
}

static void svan_device_free(struct verbs_device *vdev)
{
	free(container_of(vdev, struct svan_device, vdev));
}

static const struct verbs_device_ops svan_device_ops = {
	.name = "svan",
	.match_min_abi_version = SVAN_UVERBS_ABI_VERSION,
	.match_max_abi_version = SVAN_UVERBS_ABI_VERSION,
	.match_table = svan_match_table,
	.alloc_device = svan_device_alloc,
	.uninit_device = svan_device_free,
	.alloc_context = svan_alloc_context,
};

PROVIDER_DRIVER(svan, svan_device_ops);
