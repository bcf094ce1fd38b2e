// SPDX-License-Identifier: GPL-2.0-only
/*
 * Congestion control that the NIC enforces on virtual functions, whatever their stacks do
 * (PRM chapter "Enforcement"): devlink parameters switch it on and choose the policy, and
 * debugfs shows the flows.
 */
#include <linux/seq_file.h>

#include "sriov.h"
#include "svan_trace.h"

/* ---- on and off, and the standard policy ---- */

static int svan_enforcement_set(struct svan_sriov *sriov, bool enforced)
{
	bool before;
	int err;

	mutex_lock(&sriov->lock);
	before = sriov->enforced;
	sriov->enforced = enforced;
	err = svan_enforcement_apply(sriov);
	if (err) {
		sriov->enforced = before;
		svan_enforcement_apply(sriov);
	}
	mutex_unlock(&sriov->lock);
	return err;
}

static int svan_standard_policy_set(struct svan_sriov *sriov, const struct svan_policy *policy)
{
	const struct svan_policy *before;
	int err = 0;

	mutex_lock(&sriov->lock);
	before = sriov->policy;
	sriov->policy = policy;
	if (sriov->enforced)
		err = svan_enforcement_apply(sriov);
	if (err) {
		sriov->policy = before;
		svan_enforcement_apply(sriov);
	} else {
		trace_svan_policy(sriov->dev, 0, policy->name);
	}
	mutex_unlock(&sriov->lock);
	return err;
}

/* ---- devlink dev param ---- */

static int svan_param_enforcement_get(struct devlink *devlink, u32 id,
				      struct devlink_param_gset_ctx *ctx)
{
	struct svan_sriov *sriov = devlink_priv(devlink);

	ctx->val.vbool = READ_ONCE(sriov->enforced);
	return 0;
}

static int svan_param_enforcement_set(struct devlink *devlink, u32 id,
				      struct devlink_param_gset_ctx *ctx,
				      struct netlink_ext_ack *extack)
{
	int err = svan_enforcement_set(devlink_priv(devlink), ctx->val.vbool);

	if (err)
		NL_SET_ERR_MSG_MOD(extack, "the device has refused it");
	return err;
}

static int svan_param_policy_get(struct devlink *devlink, u32 id,
				 struct devlink_param_gset_ctx *ctx)
{
	struct svan_sriov *sriov = devlink_priv(devlink);

	strscpy(ctx->val.vstr, READ_ONCE(sriov->policy)->name, sizeof(ctx->val.vstr));
	return 0;
}

static int svan_param_policy_set(struct devlink *devlink, u32 id,
				 struct devlink_param_gset_ctx *ctx,
				 struct netlink_ext_ack *extack)
{
	int err = svan_standard_policy_set(devlink_priv(devlink),
					   svan_policy_find(ctx->val.vstr));

	if (err)
		NL_SET_ERR_MSG_MOD(extack, "the device has refused it");
	return err;
}

static int svan_param_policy_validate(struct devlink *devlink, u32 id,
				      union devlink_param_value val,
				      struct netlink_ext_ack *extack)
{
	if (svan_policy_find(val.vstr))
		return 0;
	NL_SET_ERR_MSG_MOD(extack, "policies are " SVAN_POLICY_NAMES);
	return -EINVAL;
}

static const struct devlink_param svan_devlink_params[] = {
	DEVLINK_PARAM_DRIVER(SVAN_DEVLINK_PARAM_ID_ENFORCEMENT, "enforcement",
			     DEVLINK_PARAM_TYPE_BOOL, BIT(DEVLINK_PARAM_CMODE_RUNTIME),
			     svan_param_enforcement_get, svan_param_enforcement_set, NULL),
	DEVLINK_PARAM_DRIVER(SVAN_DEVLINK_PARAM_ID_POLICY, "enforcement_policy",
			     DEVLINK_PARAM_TYPE_STRING, BIT(DEVLINK_PARAM_CMODE_RUNTIME),
			     svan_param_policy_get, svan_param_policy_set,
			     svan_param_policy_validate),
};

int svan_congestion_params_register(struct svan_sriov *sriov)
{
	return devlink_params_register(priv_to_devlink(sriov), svan_devlink_params,
				       ARRAY_SIZE(svan_devlink_params));
}

void svan_congestion_params_unregister(struct svan_sriov *sriov)
{
	devlink_params_unregister(priv_to_devlink(sriov), svan_devlink_params,
				  ARRAY_SIZE(svan_devlink_params));
}

/* ---- flows ---- */

static const char *svan_congestion_name(u8 state)
{
	static const char *const names[] = {
		[SVAN_CONGESTION_CLEAR]		= "clear",
		[SVAN_CONGESTION_SUSPECT]	= "suspect",
		[SVAN_CONGESTION_CONGESTING]	= "congesting",
		[SVAN_CONGESTION_RECOVERING]	= "recovering",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static const char *svan_flow_name(const struct svan_flow_entry *entry)
{
	static const char *const names[] = {
		[0]			= "path",
		[SVAN_FLOW_RDMA]	= "rdma",
		[SVAN_FLOW_TCP]		= "tcp",
		[SVAN_FLOW_UDP]		= "udp",
		[SVAN_FLOW_IP]		= "ip",
		[SVAN_FLOW_ETHERNET]	= "ethernet",
	};

	if (le16_to_cpu(entry->vlan) == SVAN_PATH_OTHERS)
		return "others";
	if (le16_to_cpu(entry->vlan) == SVAN_PATH_BLIND)
		return "blind";
	return entry->kind < ARRAY_SIZE(names) ? names[entry->kind] : "unknown";
}

static void svan_flow_show(struct seq_file *s, u32 function,
			   const struct svan_flow_entry *entry)
{
	seq_printf(s, "{\"function\": %u, \"kind\": \"%s\", \"peer\": \"%pI6c\", ", function,
		   svan_flow_name(entry), entry->peer);
	seq_printf(s, "\"own\": \"%pI6c\", \"flow\": %u, \"qpn\": %u, \"vlan\": %u, ",
		   entry->own, le32_to_cpu(entry->flow), le32_to_cpu(entry->qpn),
		   le16_to_cpu(entry->vlan));
	seq_printf(s, "\"state\": \"%s\", \"ce\": %u, \"loss\": %u, \"cnps\": %u, ",
		   svan_congestion_name(entry->state), le32_to_cpu(entry->ce),
		   le32_to_cpu(entry->loss), le32_to_cpu(entry->cnps));
	seq_printf(s, "\"rtt\": %u, \"rtt_min\": %u, \"rtt_gradient\": %d, ",
		   le32_to_cpu(entry->rtt), le32_to_cpu(entry->rtt_min),
		   (s32)le32_to_cpu(entry->rtt_gradient));
	seq_printf(s, "\"notifications\": %u, \"rate\": %llu, \"limit\": %llu, ",
		   le32_to_cpu(entry->notifications), le64_to_cpu(entry->rate),
		   le64_to_cpu(entry->limit));
	seq_printf(s, "\"packets\": %llu, \"octets\": %llu}\n", le64_to_cpu(entry->packets),
		   le64_to_cpu(entry->octets));
}

/* All paths, or flows, of a function: as many as there were at the first look. */
static int svan_flows_show_function(struct seq_file *s, struct svan_sriov *sriov,
				    u32 function, bool paths)
{
	struct svan_flow_entry *entries;
	u32 first = 0, got, total = 0, n;
	int err = 0;

	entries = kmalloc(SVAN_QUERY_FLOWS_MAX, GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	do {
		err = svan_query_flows(sriov->dev, function, paths, first, entries, &got,
				       first ? NULL : &total);
		for (n = 0; n < got && !err; n++)
			svan_flow_show(s, function, &entries[n]);
		/* What this query has found changed makes no event. */
		if (paths)
			svan_shim_poke(&sriov->shim, function);
		first += got;
	} while (!err && got && first < total);
	kfree(entries);
	return err;
}

/* An object of JSON for each, one a line. */
static int flows_show(struct seq_file *s, void *unused)
{
	struct svan_sriov *sriov = s->private;
	u32 function, count = READ_ONCE(sriov->num_vfs);
	int err = 0;

	for (function = 0; function <= count && !err; function++) {
		err = svan_flows_show_function(s, sriov, function, true);
		if (!err)
			err = svan_flows_show_function(s, sriov, function, false);
	}
	return err;
}
DEFINE_SHOW_ATTRIBUTE(flows);

const struct file_operations *svan_flows_fops(void)
{
	return &flows_fops;
}
