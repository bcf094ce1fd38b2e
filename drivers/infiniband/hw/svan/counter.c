// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion counters: how many work requests of queue pairs have succeeded and how many
 * have failed, in memory of the user or of another device.
 *
 * Each of the two counts has a key of its own, which covers its eight octets. Memory of
 * another device may be revoked; the key then leads nowhere, and the device takes a
 * queue pair to the error state when it should have counted there.
 *
 * A counter that is attached stays so until the queue pair is destroyed. ib_uverbs holds
 * the objects of a running method, so a counter is not destroyed while it is being
 * attached, and a queue pair neither.
 */

#include <linux/slab.h>
#include <rdma/svan_user_ioctl_cmds.h>
#include <rdma/uverbs_std_types.h>

#include "svan_ib_trace.h"

#define UVERBS_MODULE_NAME svan_ib
#include <rdma/uverbs_named_ioctl.h>

/**
 * struct svan_ib_counter - a completion counter
 * @dev: the device
 * @uctx: the verbs context
 * @success: memory of the count of successes
 * @error: memory of the count of errors
 * @id: number of the counter
 * @users: number of sides of QPs that it is attached to
 */
struct svan_ib_counter {
	struct svan_ib_dev *dev;
	struct svan_ib_ucontext *uctx;
	struct svan_ring success;
	struct svan_ring error;
	u32 id;
	atomic_t users;
};

static bool svan_counter_supported(struct svan_ib_dev *dev)
{
	return le64_to_cpu(dev->caps->features) & SVAN_CAP_COMP_COUNTERS;
}

/* ---- creation and destruction ---- */

/* A word of eight octets does not cross a page, since it is aligned. */
static int svan_counter_pin(struct svan_ib_counter *counter,
			    struct svan_ring *ring,
			    const struct svan_ib_memory_location *location)
{
	u32 owner = counter->uctx->owner;

	if (location->reserved || !IS_ALIGNED(location->address, sizeof(__le64)))
		return -EINVAL;

	switch (location->type) {
	case SVAN_IB_MEMORY_VA:
		if (location->fd)
			return -EINVAL;
		return svan_ring_pin(counter->dev, ring, location->address,
				     sizeof(__le64), owner);
	case SVAN_IB_MEMORY_DMABUF:
		return svan_ring_pin_dmabuf(counter->dev, ring, location->fd,
					    location->address, sizeof(__le64),
					    owner);
	default:
		return -EINVAL;
	}
}

static int svan_counter_create_hw(struct svan_ib_counter *counter)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_COUNTER),
		.create_counter = {
			.success_va = cpu_to_le64(counter->success.va),
			.success_key = cpu_to_le32(counter->success.key),
			.error_va = cpu_to_le64(counter->error.va),
			.error_key = cpu_to_le32(counter->error.key),
			.owner = cpu_to_le32(counter->uctx->owner),
		},
	};

	return svan_cmd_create_object(counter->dev->sdev, &cmd, &counter->id);
}

static int svan_counter_build(struct svan_ib_counter *counter,
			      const struct svan_ib_memory_location *success,
			      const struct svan_ib_memory_location *error)
{
	int err;

	err = svan_counter_pin(counter, &counter->success, success);
	if (err)
		return err;
	err = svan_counter_pin(counter, &counter->error, error);
	if (err)
		goto free_success;
	err = svan_counter_create_hw(counter);
	if (err)
		goto free_error;
	return 0;

free_error:
	svan_ring_free(counter->dev, &counter->error);
free_success:
	svan_ring_free(counter->dev, &counter->success);
	return err;
}

static int svan_counter_cleanup(struct ib_uobject *uobject,
				enum rdma_remove_reason why,
				struct uverbs_attr_bundle *attrs)
{
	struct svan_ib_counter *counter = uobject->object;
	struct svan_ib_dev *dev = counter->dev;

	if (atomic_read(&counter->users))
		return -EBUSY;
	trace_svan_ib_counter_destroy(&dev->ibdev, counter->uctx->owner,
				      counter->id, 0);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_COUNTER,
				counter->id);
	svan_ring_free(dev, &counter->error);
	svan_ring_free(dev, &counter->success);
	atomic_dec(&counter->uctx->num_counters);
	kfree(counter);
	return 0;
}

static struct svan_ib_counter *
svan_counter_create(struct svan_ib_dev *dev, struct svan_ib_ucontext *uctx,
		    const struct svan_ib_memory_location *success,
		    const struct svan_ib_memory_location *error)
{
	struct svan_ib_counter *counter;
	int err = -ENOSPC;

	if (atomic_inc_return(&uctx->num_counters) > SVAN_IB_MAX_COUNTERS)
		goto uncount;
	counter = kzalloc(sizeof(*counter), GFP_KERNEL_ACCOUNT);
	if (!counter) {
		err = -ENOMEM;
		goto uncount;
	}
	counter->dev = dev;
	counter->uctx = uctx;
	err = svan_counter_build(counter, success, error);
	trace_svan_ib_counter_create(&dev->ibdev, uctx->owner, counter->id, err);
	if (err)
		goto free_counter;
	return counter;

free_counter:
	kfree(counter);
uncount:
	atomic_dec(&uctx->num_counters);
	return ERR_PTR(err);
}

static int UVERBS_HANDLER(SVAN_IB_METHOD_COMP_CNTR_CREATE)(struct uverbs_attr_bundle *attrs)
{
	struct ib_uobject *uobject =
		uverbs_attr_get_uobject(attrs, SVAN_IB_ATTR_COMP_CNTR_CREATE_HANDLE);
	struct ib_ucontext *ibucontext = ib_uverbs_get_ucontext(attrs);
	struct svan_ib_memory_location success, error;
	struct svan_ib_counter *counter;
	struct svan_ib_dev *dev;
	int err;

	if (IS_ERR(ibucontext))
		return PTR_ERR(ibucontext);
	dev = to_svan_ib_dev(ibucontext->device);
	if (!svan_counter_supported(dev))
		return -EOPNOTSUPP;
	err = uverbs_copy_from(&success, attrs,
			       SVAN_IB_ATTR_COMP_CNTR_CREATE_SUCCESS);
	if (err)
		return err;
	err = uverbs_copy_from(&error, attrs,
			       SVAN_IB_ATTR_COMP_CNTR_CREATE_ERROR);
	if (err)
		return err;

	counter = svan_counter_create(dev, to_svan_ib_ucontext(ibucontext),
				      &success, &error);
	if (IS_ERR(counter))
		return PTR_ERR(counter);
	uobject->object = counter;
	uverbs_finalize_uobj_create(attrs, SVAN_IB_ATTR_COMP_CNTR_CREATE_HANDLE);
	return 0;
}

/* ---- changes ---- */

static int UVERBS_HANDLER(SVAN_IB_METHOD_COMP_CNTR_MODIFY)(struct uverbs_attr_bundle *attrs)
{
	struct svan_ib_counter *counter =
		uverbs_attr_get_obj(attrs, SVAN_IB_ATTR_COMP_CNTR_MODIFY_HANDLE);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODIFY_COUNTER),
		.modify_counter.counter = cpu_to_le32(counter->id),
	};
	struct svan_ib_modify_counter modify;
	int err;

	BUILD_BUG_ON(SVAN_IB_COUNTER_SUCCESS ^ SVAN_MODIFY_COUNTER_SUCCESS);
	BUILD_BUG_ON(SVAN_IB_COUNTER_ERROR ^ SVAN_MODIFY_COUNTER_ERROR);
	BUILD_BUG_ON(SVAN_IB_COUNTER_ADD ^ SVAN_MODIFY_COUNTER_ADD);

	err = uverbs_copy_from(&modify, attrs, SVAN_IB_ATTR_COMP_CNTR_MODIFY);
	if (err)
		return err;
	if (modify.reserved)
		return -EINVAL;
	cmd.modify_counter.mask = cpu_to_le32(modify.mask);
	cmd.modify_counter.success = cpu_to_le64(modify.success);
	cmd.modify_counter.error = cpu_to_le64(modify.error);
	err = svan_cmd_exec(counter->dev->sdev, &cmd, NULL);
	trace_svan_ib_counter_modify(&counter->dev->ibdev, counter->id, &modify,
				     err);
	return err;
}

static int svan_counter_attach_hw(struct svan_ib_counter *counter, u32 qpn,
				  u32 sides)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_ATTACH_COUNTER),
		.attach_counter = {
			.qpn = cpu_to_le32(qpn),
			.counter = cpu_to_le32(counter->id),
			.sides = cpu_to_le32(sides),
		},
	};

	return svan_cmd_exec(counter->dev->sdev, &cmd, NULL);
}

static int UVERBS_HANDLER(SVAN_IB_METHOD_QP_ATTACH_COMP_CNTR)(struct uverbs_attr_bundle *attrs)
{
	struct svan_ib_counter *counter =
		uverbs_attr_get_obj(attrs, SVAN_IB_ATTR_ATTACH_COMP_CNTR_HANDLE);
	struct svan_ib_qp *qp =
		to_svan_ib_qp(uverbs_attr_get_obj(attrs,
						  SVAN_IB_ATTR_ATTACH_COMP_CNTR_QP));
	u32 sides;
	int err, i;

	BUILD_BUG_ON(SVAN_IB_COUNT_SEND ^ SVAN_ATTACH_COUNTER_SEND);
	BUILD_BUG_ON(SVAN_IB_COUNT_RECV ^ SVAN_ATTACH_COUNTER_RECV);

	err = uverbs_get_flags32(&sides, attrs,
				 SVAN_IB_ATTR_ATTACH_COMP_CNTR_SIDES,
				 SVAN_IB_COUNT_SEND | SVAN_IB_COUNT_RECV);
	if (err)
		return err;
	err = svan_counter_attach_hw(counter, qp->ibqp.qp_num, sides);
	trace_svan_ib_counter_attach(qp, counter->id, sides, err);
	if (err)
		return err;

	for (i = 0; i < ARRAY_SIZE(qp->counters); i++) {
		if (!(sides & BIT(i)))
			continue;
		qp->counters[i] = counter;
		atomic_inc(&counter->users);
	}
	return 0;
}

/**
 * svan_ib_counters_put - the QP has been destroyed in the device
 * @qp: the QP, whose counters it detaches
 */
void svan_ib_counters_put(struct svan_ib_qp *qp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(qp->counters); i++)
		if (qp->counters[i])
			atomic_dec(&qp->counters[i]->users);
}

#define SVAN_IB_LOCATION						\
	UVERBS_ATTR_STRUCT(struct svan_ib_memory_location, reserved)

DECLARE_UVERBS_NAMED_METHOD(SVAN_IB_METHOD_COMP_CNTR_CREATE,
			    UVERBS_ATTR_IDR(SVAN_IB_ATTR_COMP_CNTR_CREATE_HANDLE,
					    SVAN_IB_OBJECT_COMP_CNTR,
					    UVERBS_ACCESS_NEW, UA_MANDATORY),
			    UVERBS_ATTR_PTR_IN(SVAN_IB_ATTR_COMP_CNTR_CREATE_SUCCESS,
					       SVAN_IB_LOCATION, UA_MANDATORY),
			    UVERBS_ATTR_PTR_IN(SVAN_IB_ATTR_COMP_CNTR_CREATE_ERROR,
					       SVAN_IB_LOCATION, UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD_DESTROY(SVAN_IB_METHOD_COMP_CNTR_DESTROY,
				    UVERBS_ATTR_IDR(SVAN_IB_ATTR_COMP_CNTR_DESTROY_HANDLE,
						    SVAN_IB_OBJECT_COMP_CNTR,
						    UVERBS_ACCESS_DESTROY,
						    UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD(SVAN_IB_METHOD_COMP_CNTR_MODIFY,
			    UVERBS_ATTR_IDR(SVAN_IB_ATTR_COMP_CNTR_MODIFY_HANDLE,
					    SVAN_IB_OBJECT_COMP_CNTR,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_PTR_IN(SVAN_IB_ATTR_COMP_CNTR_MODIFY,
					       UVERBS_ATTR_STRUCT(struct svan_ib_modify_counter,
								  reserved),
					       UA_MANDATORY));

DECLARE_UVERBS_NAMED_OBJECT(SVAN_IB_OBJECT_COMP_CNTR,
			    UVERBS_TYPE_ALLOC_IDR(svan_counter_cleanup),
			    &UVERBS_METHOD(SVAN_IB_METHOD_COMP_CNTR_CREATE),
			    &UVERBS_METHOD(SVAN_IB_METHOD_COMP_CNTR_DESTROY),
			    &UVERBS_METHOD(SVAN_IB_METHOD_COMP_CNTR_MODIFY));

/* WRITE: one attachment at a time, and not while the QP is being destroyed. */
DECLARE_UVERBS_NAMED_METHOD(SVAN_IB_METHOD_QP_ATTACH_COMP_CNTR,
			    UVERBS_ATTR_IDR(SVAN_IB_ATTR_ATTACH_COMP_CNTR_QP,
					    UVERBS_OBJECT_QP,
					    UVERBS_ACCESS_WRITE, UA_MANDATORY),
			    UVERBS_ATTR_IDR(SVAN_IB_ATTR_ATTACH_COMP_CNTR_HANDLE,
					    SVAN_IB_OBJECT_COMP_CNTR,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_FLAGS_IN(SVAN_IB_ATTR_ATTACH_COMP_CNTR_SIDES,
						 enum svan_ib_counter_sides));

ADD_UVERBS_METHODS(svan_ib_counter_qp_methods, UVERBS_OBJECT_QP,
		   &UVERBS_METHOD(SVAN_IB_METHOD_QP_ATTACH_COMP_CNTR));

const struct uapi_definition svan_ib_counter_defs[] = {
	UAPI_DEF_CHAIN_OBJ_TREE_NAMED(SVAN_IB_OBJECT_COMP_CNTR),
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_QP, &svan_ib_counter_qp_methods),
	{}
};
