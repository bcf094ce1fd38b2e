// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies: what becomes of a path whose state the device finds ambiguous, as there are
 * losses or round trips that grow, but no mark that says why.
 */
#include <kunit/visibility.h>
#include <linux/math64.h>

#include "shim.h"

#define SVAN_FRACTION_ONE	65536	/* of svan_flow_entry.loss */

const struct svan_police svan_police_default = {
	.limits		= { .loss = 50, .cnps = 100, .rtt = 500 },
	.action		= SVAN_ENFORCE_PACE,
	.burst		= 50 * NSEC_PER_USEC,
	.interval	= 50 * NSEC_PER_USEC,
	.suspect	= 5 * USEC_PER_MSEC,
	.calm		= USEC_PER_MSEC,
	.recovery	= 10 * USEC_PER_MSEC,
	.delay		= { [0 ... SVAN_NOTIFICATION_CLASSES - 1] = 10 },
};
EXPORT_SYMBOL_IF_KUNIT(svan_police_default);

static enum svan_verdict svan_judge_nic(const struct svan_limits *limits,
					const struct svan_flow_entry *path)
{
	return SVAN_VERDICT_NONE;
}

static enum svan_verdict svan_judge_strict(const struct svan_limits *limits,
					   const struct svan_flow_entry *path)
{
	return SVAN_VERDICT_CONGESTING;
}

static enum svan_verdict svan_judge_lenient(const struct svan_limits *limits,
					    const struct svan_flow_entry *path)
{
	return SVAN_VERDICT_CLEAR;
}

static bool svan_exceeds(u32 value, u32 whole, u32 limit, u32 of)
{
	return limit && mul_u32_u32(value, of) > mul_u32_u32(whole, limit);
}

/*
 * An acquittal holds until the symptoms are over, however they grow. So what is below the
 * limits is not acquitted, but stays as it is, which limits nothing, and is looked at again.
 */
static enum svan_verdict svan_judge_threshold(const struct svan_limits *limits,
					      const struct svan_flow_entry *path)
{
	if (svan_exceeds(le32_to_cpu(path->loss), SVAN_FRACTION_ONE, limits->loss, 1000) ||
	    (limits->cnps && le32_to_cpu(path->cnps) > limits->cnps) ||
	    (path->rtt_min &&
	     svan_exceeds(le32_to_cpu(path->rtt), le32_to_cpu(path->rtt_min), limits->rtt,
			  100)))
		return SVAN_VERDICT_CONGESTING;
	return SVAN_VERDICT_LATER;
}

static const struct svan_policy svan_policies[] = {
	{ .name = "nic", .judge = svan_judge_nic },
	{ .name = "strict", .decides = true, .judge = svan_judge_strict },
	{ .name = "lenient", .decides = true, .judge = svan_judge_lenient },
	{ .name = "threshold", .decides = true, .judge = svan_judge_threshold },
};

const struct svan_policy *svan_policy_find(const char *name)
{
	u32 n;

	for (n = 0; n < ARRAY_SIZE(svan_policies); n++) {
		if (!strcmp(svan_policies[n].name, name))
			return &svan_policies[n];
	}
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(svan_policy_find);

static const struct svan_policy *svan_policy_of(const struct svan_police *police,
						const struct svan_policy *standard,
						u32 class)
{
	return police->of_class[class] ?: police->policy ?: standard;
}

bool svan_police_judges(const struct svan_police *police,
			const struct svan_policy *standard)
{
	bool judges = false;
	u32 class;

	for (class = 0; class < SVAN_NOTIFICATION_CLASSES; class++)
		judges |= svan_policy_of(police, standard, class)->decides;
	return judges;
}

bool svan_police_decides(const struct svan_police *police,
			 const struct svan_policy *standard)
{
	bool decides = true;
	u32 class;

	for (class = 0; class < SVAN_NOTIFICATION_CLASSES; class++)
		decides &= svan_policy_of(police, standard, class)->decides;
	return decides;
}

/*
 * The guest writes the classes into its packets. So the strictest policy counts, and nobody
 * gains by sending a few packets of a class that is treated with leniency.
 */
enum svan_verdict svan_police_judge(const struct svan_police *police,
				    const struct svan_policy *standard,
				    const struct svan_flow_entry *path)
{
	enum svan_verdict verdict = SVAN_VERDICT_CLEAR;
	unsigned long classes = path->classes;
	u32 class;

	if (!classes)
		classes = GENMASK(SVAN_NOTIFICATION_CLASSES - 1, 0);
	for_each_set_bit(class, &classes, SVAN_NOTIFICATION_CLASSES) {
		const struct svan_policy *policy = svan_policy_of(police, standard, class);

		verdict = max(verdict, policy->judge(&police->limits, path));
	}
	return verdict;
}
EXPORT_SYMBOL_IF_KUNIT(svan_police_judge);
