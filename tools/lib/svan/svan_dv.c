/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Direct verbs: methods of svan_ib.ko on standard objects. */

#include <errno.h>
#include <infiniband/cmd_ioctl.h>
#include <rdma/svan_user_ioctl_cmds.h>

#include "svan.h"
#include "svandv.h"

bool svandv_is_supported(struct ibv_device *device)
{
	return svan_is_svan(device);
}

int svandv_set_fault_policy(struct ibv_qp *qp,
			    const struct svandv_fault_policy *policy)
{
	struct svan_ib_fault_policy attr = {
		.mode = policy->mode,
		.sources = policy->sources,
		.hold_max_us = policy->hold_max_us,
		.divert_max_us = policy->divert_max_us,
		.drop_max_us = policy->drop_max_us,
		.bound_us = policy->bound_us,
		.unknown_us = policy->unknown_us,
		.hold_bytes = policy->hold_bytes,
		.divert_pages = policy->divert_pages,
	};
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_QP,
			       SVAN_IB_METHOD_SET_FAULT_POLICY, 2);

	if (!svan_is_svan(qp->context->device))
		return EOPNOTSUPP;
	if ((uint32_t)policy->mode > UINT8_MAX || policy->sources > UINT8_MAX)
		return EINVAL;

	fill_attr_in_obj(cmd, SVAN_IB_ATTR_FAULT_POLICY_QP, qp->handle);
	fill_attr_in(cmd, SVAN_IB_ATTR_FAULT_POLICY, &attr, sizeof(attr));
	return execute_ioctl(qp->context, cmd);
}

int svandv_query_fault_policy(struct ibv_qp *qp,
			      struct svandv_fault_policy *policy)
{
	struct svan_ib_fault_policy attr = {};
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_QP,
			       SVAN_IB_METHOD_QUERY_FAULT_POLICY, 2);
	int ret;

	if (!svan_is_svan(qp->context->device))
		return EOPNOTSUPP;

	fill_attr_in_obj(cmd, SVAN_IB_ATTR_FAULT_POLICY_QP, qp->handle);
	fill_attr_out(cmd, SVAN_IB_ATTR_FAULT_POLICY, &attr, sizeof(attr));
	ret = execute_ioctl(qp->context, cmd);
	if (ret)
		return ret;

	*policy = (struct svandv_fault_policy){
		.mode = attr.mode,
		.sources = attr.sources,
		.hold_max_us = attr.hold_max_us,
		.divert_max_us = attr.divert_max_us,
		.drop_max_us = attr.drop_max_us,
		.bound_us = attr.bound_us,
		.unknown_us = attr.unknown_us,
		.hold_bytes = attr.hold_bytes,
		.divert_pages = attr.divert_pages,
	};
	return 0;
}
