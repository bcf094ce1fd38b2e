/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The private parts of the verbs commands (include/uapi/rdma/svan-abi.h). */
#ifndef SVAN_ABI_H
#define SVAN_ABI_H

#include <infiniband/kern-abi.h>
#include <rdma/svan-abi.h>
#include <kernel-abi/svan-abi.h>

DECLARE_DRV_CMD(svan_get_context, IB_USER_VERBS_CMD_GET_CONTEXT, empty,
		svan_uresp_alloc_ucontext);
DECLARE_DRV_CMD(svan_alloc_pd, IB_USER_VERBS_CMD_ALLOC_PD, empty,
		svan_uresp_alloc_pd);
DECLARE_DRV_CMD(svan_create_cq_ex, IB_USER_VERBS_EX_CMD_CREATE_CQ,
		svan_ureq_create_cq, svan_uresp_create_cq);
DECLARE_DRV_CMD(svan_create_qp, IB_USER_VERBS_CMD_CREATE_QP,
		svan_ureq_create_qp, svan_uresp_create_qp);
DECLARE_DRV_CMD(svan_create_srq, IB_USER_VERBS_CMD_CREATE_SRQ,
		svan_ureq_create_srq, svan_uresp_create_srq);
DECLARE_DRV_CMD(svan_create_ah, IB_USER_VERBS_CMD_CREATE_AH, empty,
		svan_uresp_create_ah);

#endif /* SVAN_ABI_H */
