// SPDX-License-Identifier: GPL-2.0-only
/*
 * devlink health reporter `congestion`: it reports that the shim cannot judge, and shows
 * how all functions are policed.
 */
#include "sriov.h"

#define SVAN_HEALTH_PERIOD_MS	10000	/* between two recoveries, at least */
#define SVAN_HEALTH_REPORT_MS	(SVAN_HEALTH_PERIOD_MS + 1000)

/* ---- diagnose ---- */

/* Paths of one function by their states. */
struct svan_census {
	u32	states[SVAN_CONGESTION_STATES];
	u32	limited;
	u32	total;
};

static int svan_take_census(struct svan_sriov *sriov, u32 function,
			    struct svan_census *census)
{
	u32 first = 0, got, n;
	int err;

	memset(census, 0, sizeof(*census));
	do {
		err = svan_query_flows(sriov->dev, function, true, first,
				       sriov->shim_entries, &got,
				       first ? NULL : &census->total);
		for (n = 0; n < got && !err; n++) {
			const struct svan_flow_entry *path = &sriov->shim_entries[n];

			if (path->state < SVAN_CONGESTION_STATES)
				census->states[path->state]++;
			census->limited += !!path->limit;
		}
		first += got;
	} while (!err && got && first < census->total);
	/* What this query has found changed makes no event. */
	svan_shim_poke(&sriov->shim, function);
	return err;
}

static void svan_census_show(struct devlink_fmsg *fmsg, const struct svan_census *census,
			     const struct svan_stats *stats)
{
	devlink_fmsg_u32_pair_put(fmsg, "paths", census->total);
	devlink_fmsg_u32_pair_put(fmsg, "suspect", census->states[SVAN_CONGESTION_SUSPECT]);
	devlink_fmsg_u32_pair_put(fmsg, "congesting",
				  census->states[SVAN_CONGESTION_CONGESTING]);
	devlink_fmsg_u32_pair_put(fmsg, "recovering",
				  census->states[SVAN_CONGESTION_RECOVERING]);
	devlink_fmsg_u32_pair_put(fmsg, "limited", census->limited);
#define SVAN_PUT(name) devlink_fmsg_u64_pair_put(fmsg, #name, le64_to_cpu(stats->name))
	SVAN_PUT(notifications_received);
	SVAN_PUT(enforce_delays);
	SVAN_PUT(enforce_marks);
	SVAN_PUT(enforce_drops);
	SVAN_PUT(enforce_echoes_hidden);
	SVAN_PUT(paths_overflowed);
	SVAN_PUT(flow_events);
	SVAN_PUT(flow_events_merged);
#undef SVAN_PUT
}

/* The caller holds svan_sriov.lock. */
static int svan_diagnose_vf(struct svan_vf *vf, struct devlink_fmsg *fmsg)
{
	struct svan_sriov *sriov = vf->sriov;
	struct svan_census census;
	struct svan_stats stats;
	int err;

	err = svan_take_census(sriov, vf->number + 1, &census);
	if (!err)
		err = svan_read_function_stats(sriov->dev, vf->number + 1, &stats);
	if (err)
		return err;
	devlink_fmsg_obj_nest_start(fmsg);
	devlink_fmsg_u32_pair_put(fmsg, "vf", vf->number);
	devlink_fmsg_string_pair_put(fmsg, "policy",
				     (vf->police.policy ?: sriov->policy)->name);
	svan_census_show(fmsg, &census, &stats);
	devlink_fmsg_obj_nest_end(fmsg);
	return 0;
}

static int svan_health_diagnose(struct devlink_health_reporter *reporter,
				struct devlink_fmsg *fmsg, struct netlink_ext_ack *extack)
{
	struct svan_sriov *sriov = devlink_health_reporter_priv(reporter);
	int err = 0;
	u32 n;

	mutex_lock(&sriov->lock);
	devlink_fmsg_bool_pair_put(fmsg, "enforcement", sriov->enforced);
	devlink_fmsg_arr_pair_nest_start(fmsg, "functions");
	for (n = 0; n < sriov->num_vfs && sriov->enforced && !err; n++)
		err = svan_diagnose_vf(&sriov->vfs[n], fmsg);
	devlink_fmsg_arr_pair_nest_end(fmsg);
	mutex_unlock(&sriov->lock);
	if (err)
		NL_SET_ERR_MSG_MOD(extack, "the device does not answer");
	return err;
}

/* ---- report and recover ---- */

/* What was set is set again, so the device tells of all paths that are not innocent. */
static int svan_health_recover(struct devlink_health_reporter *reporter, void *priv_ctx,
			       struct netlink_ext_ack *extack)
{
	struct svan_sriov *sriov = devlink_health_reporter_priv(reporter);
	int err;

	mutex_lock(&sriov->lock);
	err = svan_enforcement_apply(sriov);
	mutex_unlock(&sriov->lock);
	if (err)
		NL_SET_ERR_MSG_MOD(extack, "the device has refused the settings");
	return err;
}

static const struct devlink_health_reporter_ops svan_health_ops = {
	.name		= "congestion",
	.recover	= svan_health_recover,
	.diagnose	= svan_health_diagnose,
};

/*
 * Called by the shim's worker alone, and not under svan_sriov.lock: it takes the devlink
 * instance's. A report within the period of a recovery would end all recoveries until an
 * administrator asks for one, so there is none; failures are counted.
 */
void svan_health_failed(struct svan_sriov *sriov, u32 function, int err)
{
	struct svan_vf *vf = &sriov->vfs[function - 1];
	char text[64];

	sriov->num_failing += !vf->failing;
	vf->failing = true;
	if (time_before(jiffies, sriov->report_next))
		return;
	sriov->report_next = jiffies + msecs_to_jiffies(SVAN_HEALTH_REPORT_MS);
	snprintf(text, sizeof(text), "paths of function %u are not judged: error %d",
		 function, err);
	devlink_health_report(sriov->reporter, text, NULL);
}

/* A look at the function has succeeded: also the shim's worker. */
void svan_health_well(struct svan_sriov *sriov, u32 function)
{
	struct svan_vf *vf;

	if (!function || function > sriov->max_vfs)
		return;
	vf = &sriov->vfs[function - 1];
	if (!vf->failing)
		return;
	vf->failing = false;
	if (--sriov->num_failing)
		return;
	devlink_health_reporter_state_update(sriov->reporter,
					     DEVLINK_HEALTH_REPORTER_STATE_HEALTHY);
}

int svan_health_create(struct svan_sriov *sriov)
{
	sriov->report_next = jiffies;
	sriov->reporter = devlink_health_reporter_create(priv_to_devlink(sriov),
							 &svan_health_ops,
							 SVAN_HEALTH_PERIOD_MS, sriov);
	return PTR_ERR_OR_ZERO(sriov->reporter);
}

void svan_health_destroy(struct svan_sriov *sriov)
{
	devlink_health_reporter_destroy(sriov->reporter);
}
