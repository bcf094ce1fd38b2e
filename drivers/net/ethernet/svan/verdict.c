// SPDX-License-Identifier: GPL-2.0-only
/*
 * A look at a function's paths: those that the device finds ambiguous are judged by the
 * policy of the function.
 */
#include "sriov.h"
#include "svan_trace.h"

static struct svan_sriov *svan_shim_sriov(struct svan_shim *shim)
{
	return container_of(shim, struct svan_sriov, shim);
}

/* One look. */
struct svan_look {
	struct svan_sriov	*sriov;
	u32			function;
	const struct svan_police *police;
	u32			queries;
	u32			verdicts;
	bool			deferred;	/* a path stays ambiguous for now */
	bool			unfinished;	/* there is more than one look may do */
};

static int svan_judge_flow(struct svan_look *look, const struct svan_flow_entry *path,
			   bool congesting)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_JUDGE_FLOW),
		.judge_flow = {
			.function = cpu_to_le32(look->function),
			.vlan = path->vlan,
			.congesting = congesting,
		},
	};
	int err;

	memcpy(cmd.judge_flow.peer, path->peer, sizeof(cmd.judge_flow.peer));
	err = svan_cmd_exec(look->sriov->dev, &cmd, NULL);
	/* The path may have gone in the meantime. */
	return err == -ENOENT ? 0 : err;
}

static int svan_look_at_path(struct svan_look *look, const struct svan_flow_entry *path)
{
	struct svan_shim_stats *stats = &look->sriov->shim.stats;
	enum svan_verdict verdict;
	bool congesting;

	if (path->state != SVAN_CONGESTION_SUSPECT)
		return 0;
	verdict = svan_police_judge(look->police, look->sriov->policy, path);
	trace_svan_verdict(look->sriov->dev, look->function, path, verdict);
	if (verdict == SVAN_VERDICT_NONE)
		return 0;
	if (verdict == SVAN_VERDICT_LATER) {
		look->deferred = true;
		atomic64_inc(&stats->verdicts_deferred);
		return 0;
	}
	if (look->verdicts == SVAN_SHIM_VERDICTS) {
		look->unfinished = true;
		return 0;
	}
	look->verdicts++;
	congesting = verdict == SVAN_VERDICT_CONGESTING;
	atomic64_inc(congesting ? &stats->verdicts_congesting : &stats->verdicts_clear);
	return svan_judge_flow(look, path, congesting);
}

static int svan_look_at_paths(struct svan_look *look)
{
	struct svan_sriov *sriov = look->sriov;
	u32 first = 0, got, total = 0, n;
	int err;

	do {
		err = svan_query_flows(sriov->dev, look->function, true, first,
				       sriov->shim_entries, &got, first ? NULL : &total);
		look->queries++;
		atomic64_inc(&sriov->shim.stats.queries);
		for (n = 0; n < got && !err; n++)
			err = svan_look_at_path(look, &sriov->shim_entries[n]);
		first += got;
	} while (!err && got && first < total && look->queries < SVAN_SHIM_QUERIES);
	return err;
}

/* Called in a turn of the shim. */
u32 svan_shim_look(struct svan_shim *shim, u32 function)
{
	struct svan_look look = { .sriov = svan_shim_sriov(shim), .function = function };
	struct svan_sriov *sriov = look.sriov;
	int err = 0;

	mutex_lock(&sriov->lock);
	if (sriov->enforced && function && function <= sriov->num_vfs) {
		look.police = &sriov->vfs[function - 1].police;
		err = svan_look_at_paths(&look);
	}
	mutex_unlock(&sriov->lock);
	/* A function that is reset or gone is no failure: it will be set up anew. */
	if (err && err != -ENODEV) {
		atomic64_inc(&shim->stats.failures);
		svan_health_failed(sriov, function, err);
		/* There may be no event: the device was not looked at to the end. */
		svan_shim_defer(shim, function);
	} else {
		svan_health_well(sriov, function);
		if (look.unfinished)
			svan_shim_poke(shim, function);
		else if (look.deferred)
			svan_shim_defer(shim, function);
	}
	return look.queries + look.verdicts;
}
