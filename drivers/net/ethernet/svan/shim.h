/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shim: the hypervisor's part in congestion control of its virtual functions. The
 * device says which function has paths that have changed; the shim looks at them, and
 * judges those that the device finds ambiguous, by the policy of the function. No process
 * takes part.
 */
#ifndef SVAN_SHIM_H
#define SVAN_SHIM_H

#include <linux/atomic.h>
#include <linux/workqueue.h>

#include <svan/flows.h>

/* ---- events and turns (shim.c) ---- */

/* A function that toggles its paths has the shim use no more of the command queue. */
#define SVAN_SHIM_INTERVAL_MS	10	/* between the beginnings of two turns, at least */
#define SVAN_SHIM_COMMANDS	64	/* a turn; then the next functions have to wait */
#define SVAN_SHIM_QUERIES	8	/* for one function in a turn */
#define SVAN_SHIM_VERDICTS	16	/* likewise */
#define SVAN_SHIM_AGAIN_MS	100	/* until what was left open is looked at again */

#define SVAN_SHIM_STATS(X) \
	X(events)		X(events_merged) \
	X(turns)		X(queries) \
	X(verdicts_congesting)	X(verdicts_clear) \
	X(verdicts_deferred)	X(failures)

/* Counters of the shim. */
struct svan_shim_stats {
#define SVAN_SHIM_STAT(name)	atomic64_t name;
	SVAN_SHIM_STATS(SVAN_SHIM_STAT)
#undef SVAN_SHIM_STAT
};

/**
 * struct svan_shim - which functions there are news of, and when they are looked at
 * @queue: on which @work runs
 * @work: a turn
 * @pending: bit n: function n is to be looked at
 * @again: bit n: function n is to be looked at when it is @again_at
 * @count: number of functions
 * @cursor: the function that was looked at last; of @work alone
 * @next: jiffies before which no turn begins
 * @again_at: jiffies; of @work alone
 * @look: looks at a function, on @queue; returns how many commands that has taken
 * @stats: counters
 *
 * Whatever comes, it is kept in two bits for each function.
 */
struct svan_shim {
	struct workqueue_struct	*queue;
	struct delayed_work	work;
	unsigned long		*pending;
	unsigned long		*again;
	u32			count;
	u32			cursor;
	unsigned long		next;
	unsigned long		again_at;
	u32			(*look)(struct svan_shim *shim, u32 function);
	struct svan_shim_stats	stats;
};

/* No turn begins before svan_shim_start(), nor after svan_shim_stop(). These may sleep. */
int svan_shim_init(struct svan_shim *shim, u32 count, const char *name,
		   u32 (*look)(struct svan_shim *shim, u32 function));
void svan_shim_exit(struct svan_shim *shim);
void svan_shim_start(struct svan_shim *shim);
void svan_shim_stop(struct svan_shim *shim);
/* There are news of the function. Any context. */
void svan_shim_event(struct svan_shim *shim, u32 function);
/* Nobody has told, but it is to be looked at. Any context. */
void svan_shim_poke(struct svan_shim *shim, u32 function);
/* From @look: the function is to be looked at in a while. */
void svan_shim_defer(struct svan_shim *shim, u32 function);

/* ---- policies (policy.c) ---- */

/* What becomes of a path whose state is ambiguous; the strictest comes last. */
enum svan_verdict {
	SVAN_VERDICT_CLEAR,		/* it does not count, until the symptoms are over */
	SVAN_VERDICT_LATER,		/* it stays ambiguous, and is looked at again */
	SVAN_VERDICT_NONE,		/* the device decides, by its timer */
	SVAN_VERDICT_CONGESTING,
};

/* Limits of the policy `threshold`. 0: the symptom does not count. */
struct svan_limits {
	u32 loss;			/* of 1000 packets */
	u32 cnps;			/* in a second */
	u32 rtt;			/* per cent of the least one */
};

/**
 * struct svan_policy - a program that judges a path which the device finds ambiguous
 * @name: by which it is chosen
 * @decides: every verdict is its own, so the device's timer does not run
 * @judge: says what becomes of the path
 */
struct svan_policy {
	const char		*name;
	bool			decides;
	enum svan_verdict	(*judge)(const struct svan_limits *limits,
					 const struct svan_flow_entry *path);
};

#define SVAN_POLICY_NAMES	"nic, strict, lenient, threshold"
#define SVAN_POLICY_NAME_LEN	16

/**
 * struct svan_police - how a function is policed
 * @policy: its policy; NULL: the standard one
 * @of_class: policies of traffic classes; NULL: that of the function
 * @limits: of the policy `threshold`
 * @action: enum svan_enforcement_action
 * @cap: as in struct svan_enforcement_attr, like all that follow
 * @burst: likewise
 * @interval: likewise
 * @suspect: likewise
 * @calm: likewise
 * @recovery: likewise
 * @delay: likewise
 */
struct svan_police {
	const struct svan_policy *policy;
	const struct svan_policy *of_class[SVAN_NOTIFICATION_CLASSES];
	struct svan_limits	limits;
	u32			action;
	u32			cap;
	u32			burst;
	u32			interval;
	u32			suspect;
	u32			calm;
	u32			recovery;
	u32			delay[SVAN_NOTIFICATION_CLASSES];
};

extern const struct svan_police svan_police_default;

/* NULL: there is none of that name. */
const struct svan_policy *svan_policy_find(const char *name);
/* Does any of its policies judge, and leaves none it to the device? */
bool svan_police_judges(const struct svan_police *police,
			const struct svan_policy *standard);
bool svan_police_decides(const struct svan_police *police,
			 const struct svan_policy *standard);
/* The strictest verdict of the policies of all classes that the path was used by. */
enum svan_verdict svan_police_judge(const struct svan_police *police,
				    const struct svan_policy *standard,
				    const struct svan_flow_entry *path);

#endif /* SVAN_SHIM_H */
