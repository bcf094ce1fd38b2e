// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault policy of a QP. Its owner sets and reads it through methods that this driver
 * adds to the QP object (rdma/svan_user_ioctl_cmds.h).
 */

#include <linux/capability.h>
#include <rdma/svan_user_ioctl_cmds.h>
#include <rdma/uverbs_std_types.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

#define UVERBS_MODULE_NAME svan_ib
#include <rdma/uverbs_named_ioctl.h>

static void svan_policy_to_device(const struct svan_ib_fault_policy *policy,
				  struct svan_fault_policy *hw)
{
	hw->mode = policy->mode;
	hw->sources = policy->sources;
	hw->hold_max_us = cpu_to_le32(policy->hold_max_us);
	hw->divert_max_us = cpu_to_le32(policy->divert_max_us);
	hw->drop_max_us = cpu_to_le32(policy->drop_max_us);
	hw->bound_us = cpu_to_le32(policy->bound_us);
	hw->unknown_us = cpu_to_le32(policy->unknown_us);
	hw->hold_bytes = cpu_to_le32(policy->hold_bytes);
	hw->divert_pages = cpu_to_le32(policy->divert_pages);
}

static void svan_policy_from_device(const struct svan_fault_policy *hw,
				    struct svan_ib_fault_policy *policy)
{
	policy->mode = hw->mode;
	policy->sources = hw->sources;
	policy->hold_max_us = le32_to_cpu(hw->hold_max_us);
	policy->divert_max_us = le32_to_cpu(hw->divert_max_us);
	policy->drop_max_us = le32_to_cpu(hw->drop_max_us);
	policy->bound_us = le32_to_cpu(hw->bound_us);
	policy->unknown_us = le32_to_cpu(hw->unknown_us);
	policy->hold_bytes = le32_to_cpu(hw->hold_bytes);
	policy->divert_pages = le32_to_cpu(hw->divert_pages);
}

static int svan_policy_check(const struct svan_ib_fault_policy *policy)
{
	if (policy->mode >= SVAN_FAULT_MODE_COUNT ||
	    policy->mode == SVAN_FAULT_MODE_FAIL ||
	    policy->sources & ~SVAN_ESTIMATE_MASK || policy->reserved0)
		return -EINVAL;
	return 0;
}

static int UVERBS_HANDLER(SVAN_IB_METHOD_SET_FAULT_POLICY)(struct uverbs_attr_bundle *attrs)
{
	struct ib_qp *ibqp = uverbs_attr_get_obj(attrs,
						 SVAN_IB_ATTR_FAULT_POLICY_QP);
	struct svan_ib_dev *dev = to_svan_ib_dev(ibqp->device);
	struct svan_ib_fault_policy policy;
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_FAULT_POLICY),
		.fault_policy.qpn = cpu_to_le32(ibqp->qp_num),
	};
	int err;

	if (!dev->ondemand_keys)
		return -EOPNOTSUPP;
	err = uverbs_copy_from(&policy, attrs, SVAN_IB_ATTR_FAULT_POLICY);
	if (err)
		return err;
	err = svan_policy_check(&policy);
	if (err)
		return err;

	/* For users without this capability the function's limits apply. */
	if (capable(CAP_NET_ADMIN))
		cmd.fault_policy.flags =
			cpu_to_le32(SVAN_CMD_POLICY_PRIVILEGED);
	svan_policy_to_device(&policy, &cmd.fault_policy.policy);
	err = svan_cmd_exec(dev->sdev, &cmd, NULL);
	trace_svan_ib_fault_policy(&dev->ibdev, ibqp->qp_num, &policy, err);
	return err;
}

static int UVERBS_HANDLER(SVAN_IB_METHOD_QUERY_FAULT_POLICY)(struct uverbs_attr_bundle *attrs)
{
	struct ib_qp *ibqp = uverbs_attr_get_obj(attrs,
						 SVAN_IB_ATTR_FAULT_POLICY_QP);
	struct svan_ib_dev *dev = to_svan_ib_dev(ibqp->device);
	struct svan_ib_fault_policy policy = {};
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_QUERY_FAULT_POLICY),
		.object.id = cpu_to_le32(ibqp->qp_num),
	};
	struct svan_cmd_resp resp;
	int err;

	if (!dev->ondemand_keys)
		return -EOPNOTSUPP;
	err = svan_cmd_exec(dev->sdev, &cmd, &resp);
	if (err)
		return err;
	svan_policy_from_device(&resp.fault_policy, &policy);
	return uverbs_copy_to(attrs, SVAN_IB_ATTR_FAULT_POLICY, &policy,
			      sizeof(policy));
}

#define SVAN_IB_POLICY_QP(access)					\
	UVERBS_ATTR_IDR(SVAN_IB_ATTR_FAULT_POLICY_QP, UVERBS_OBJECT_QP,	\
			access, UA_MANDATORY)
#define SVAN_IB_POLICY_STRUCT						\
	UVERBS_ATTR_STRUCT(struct svan_ib_fault_policy, divert_pages)

DECLARE_UVERBS_NAMED_METHOD(SVAN_IB_METHOD_SET_FAULT_POLICY,
			    SVAN_IB_POLICY_QP(UVERBS_ACCESS_WRITE),
			    UVERBS_ATTR_PTR_IN(SVAN_IB_ATTR_FAULT_POLICY,
					       SVAN_IB_POLICY_STRUCT,
					       UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD(SVAN_IB_METHOD_QUERY_FAULT_POLICY,
			    SVAN_IB_POLICY_QP(UVERBS_ACCESS_READ),
			    UVERBS_ATTR_PTR_OUT(SVAN_IB_ATTR_FAULT_POLICY,
						SVAN_IB_POLICY_STRUCT,
						UA_MANDATORY));

ADD_UVERBS_METHODS(svan_ib_qp_methods, UVERBS_OBJECT_QP,
		   &UVERBS_METHOD(SVAN_IB_METHOD_SET_FAULT_POLICY),
		   &UVERBS_METHOD(SVAN_IB_METHOD_QUERY_FAULT_POLICY));

const struct uapi_definition svan_ib_uapi_defs[] = {
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_QP, &svan_ib_qp_methods),
	UAPI_DEF_CHAIN(svan_ib_uar_defs),
	UAPI_DEF_CHAIN(svan_ib_counter_defs),
	{}
};
