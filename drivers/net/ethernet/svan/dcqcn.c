// SPDX-License-Identifier: GPL-2.0-only
/*
 * devlink parameters of the congestion control of queue pairs (PRM chapter "Congestion
 * control"), which the device has as a whole. Their names are those that other RDMA NICs
 * give them; their units are the device's.
 */
#include "sriov.h"

/**
 * struct svan_dcqcn_param - a parameter
 * @name: of it
 * @offset: in struct svan_congestion_attr
 * @bytes: its size there
 * @mask: SVAN_SET_CONGESTION_*
 * @min: least value
 * @max: greatest value
 */
struct svan_dcqcn_param {
	const char	*name;
	u16		offset;
	u16		bytes;
	u32		mask;
	u32		min;
	u32		max;
};

#define SVAN_DCQCN_PARAM(_name, _field, _mask, _min, _max) { \
	.name = _name, \
	.offset = offsetof(struct svan_congestion_attr, _field), \
	.bytes = sizeof_field(struct svan_congestion_attr, _field), \
	.mask = SVAN_SET_CONGESTION_##_mask, .min = _min, .max = _max }

static const struct svan_dcqcn_param svan_dcqcn_table[SVAN_DCQCN_PARAMS] = {
	SVAN_DCQCN_PARAM("rp_max_rate", line_rate, LINE_RATE, 1000, 4000000000u),
	SVAN_DCQCN_PARAM("rp_min_rate", min_rate, MIN_RATE, 100, U32_MAX),
	SVAN_DCQCN_PARAM("rp_ai_rate", increase_additive, INCREASE_ADDITIVE, 100, U32_MAX),
	SVAN_DCQCN_PARAM("rp_hai_rate", increase_hyper, INCREASE_HYPER, 100, U32_MAX),
	SVAN_DCQCN_PARAM("rp_dce_tcp_rtt", alpha_interval, ALPHA_INTERVAL, 1000,
			 NSEC_PER_SEC),
	SVAN_DCQCN_PARAM("rp_time_reset", increase_interval, INCREASE_INTERVAL, 1000,
			 NSEC_PER_SEC),
	SVAN_DCQCN_PARAM("rp_rate_reduce_monitor_period", decrease_interval,
			 DECREASE_INTERVAL, 1000, NSEC_PER_SEC),
	SVAN_DCQCN_PARAM("np_min_time_between_cnps", cnp_interval, CNP_INTERVAL, 1000,
			 NSEC_PER_SEC),
	SVAN_DCQCN_PARAM("rp_byte_reset", byte_counter, BYTE_COUNTER, 1024, U32_MAX),
	SVAN_DCQCN_PARAM("rp_dce_tcp_g", alpha_shift_g, ALPHA_SHIFT_G, 0, 15),
	SVAN_DCQCN_PARAM("rp_threshold", fast_recovery, FAST_RECOVERY, 1, 31),
	SVAN_DCQCN_PARAM("np_cnp_dscp", cnp_dscp, CNP_DSCP, 0, 63),
	SVAN_DCQCN_PARAM("roce_cc_enable", enabled, ENABLED, 0, 1),
};

static const struct svan_dcqcn_param *svan_dcqcn_param(u32 id)
{
	return &svan_dcqcn_table[id - SVAN_DEVLINK_PARAM_ID_DCQCN];
}

static u32 svan_dcqcn_read(const struct svan_congestion_attr *attr,
			   const struct svan_dcqcn_param *param)
{
	const void *field = (const char *)attr + param->offset;

	return param->bytes == 1 ? *(const u8 *)field : le32_to_cpup(field);
}

static void svan_dcqcn_write(struct svan_congestion_attr *attr,
			     const struct svan_dcqcn_param *param, u32 value)
{
	void *field = (char *)attr + param->offset;

	if (param->bytes == 1)
		*(u8 *)field = value;
	else
		*(__le32 *)field = cpu_to_le32(value);
}

static int svan_dcqcn_send(struct svan_sriov *sriov, u32 mask,
			   const struct svan_congestion_attr *attr)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_CONGESTION),
		.set_congestion = { .mask = cpu_to_le32(mask), .attr = *attr },
	};

	return svan_cmd_exec(sriov->dev, &cmd, NULL);
}

static int svan_dcqcn_get(struct devlink *devlink, u32 id, struct devlink_param_gset_ctx *ctx)
{
	struct svan_sriov *sriov = devlink_priv(devlink);
	struct svan_cmd cmd = { .hdr.opcode = cpu_to_le16(SVAN_CMD_QUERY_CONGESTION) };
	struct svan_cmd_resp resp;
	int err;

	err = svan_cmd_exec(sriov->dev, &cmd, &resp);
	if (!err)
		ctx->val.vu32 = svan_dcqcn_read(&resp.query_congestion, svan_dcqcn_param(id));
	return err;
}

static int svan_dcqcn_set(struct devlink *devlink, u32 id, struct devlink_param_gset_ctx *ctx,
			  struct netlink_ext_ack *extack)
{
	const struct svan_dcqcn_param *param = svan_dcqcn_param(id);
	struct svan_sriov *sriov = devlink_priv(devlink);
	struct svan_congestion_attr attr;
	int err;

	mutex_lock(&sriov->lock);
	attr = sriov->congestion;
	svan_dcqcn_write(&attr, param, ctx->val.vu32);
	err = svan_dcqcn_send(sriov, param->mask, &attr);
	if (!err) {
		sriov->congestion = attr;
		sriov->congestion_mask |= param->mask;
	}
	mutex_unlock(&sriov->lock);
	if (err == -EINVAL)
		NL_SET_ERR_MSG_MOD(extack, "no rate may be above rp_max_rate");
	else if (err)
		NL_SET_ERR_MSG_MOD(extack, "the device has refused it");
	return err;
}

static int svan_dcqcn_validate(struct devlink *devlink, u32 id,
			       union devlink_param_value val, struct netlink_ext_ack *extack)
{
	const struct svan_dcqcn_param *param = svan_dcqcn_param(id);

	if (val.vu32 >= param->min && val.vu32 <= param->max)
		return 0;
	NL_SET_ERR_MSG_FMT_MOD(extack, "%s is from %u to %u", param->name, param->min,
			       param->max);
	return -ERANGE;
}

/* A reset of the whole device has ended what was set. The caller holds svan_sriov.lock. */
int svan_dcqcn_restore(struct svan_sriov *sriov)
{
	lockdep_assert_held(&sriov->lock);
	if (!sriov->congestion_mask)
		return 0;
	return svan_dcqcn_send(sriov, sriov->congestion_mask, &sriov->congestion);
}

int svan_dcqcn_register(struct svan_sriov *sriov)
{
	u32 n;

	for (n = 0; n < SVAN_DCQCN_PARAMS; n++)
		sriov->dcqcn_params[n] = (struct devlink_param)
			DEVLINK_PARAM_DRIVER(SVAN_DEVLINK_PARAM_ID_DCQCN + n,
					     svan_dcqcn_table[n].name,
					     DEVLINK_PARAM_TYPE_U32,
					     BIT(DEVLINK_PARAM_CMODE_RUNTIME),
					     svan_dcqcn_get, svan_dcqcn_set,
					     svan_dcqcn_validate);
	return devlink_params_register(priv_to_devlink(sriov), sriov->dcqcn_params,
				       SVAN_DCQCN_PARAMS);
}

void svan_dcqcn_unregister(struct svan_sriov *sriov)
{
	devlink_params_unregister(priv_to_devlink(sriov), sriov->dcqcn_params,
				  SVAN_DCQCN_PARAMS);
}
