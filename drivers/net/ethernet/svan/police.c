// SPDX-License-Identifier: GPL-2.0-only
/*
 * How each virtual function is policed: what the device is told of it, and the attributes
 * by which an administrator sets it, in the folder svan/vfN of the physical function's PCI
 * device. They are there before the virtual function is, and outlast it.
 */
#include <linux/string_helpers.h>
#include <linux/sysfs.h>

#include "sriov.h"
#include "svan_trace.h"

/* ---- the device's side ---- */

static int svan_enforce(struct svan_sriov *sriov, u32 function, u8 flags,
			const struct svan_police *police)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_ENFORCEMENT),
		.set_enforcement = {
			.function = cpu_to_le32(function),
			.attr = {
				.flags = flags,
				.action = police->action,
				.cap = cpu_to_le32(police->cap),
				.burst = cpu_to_le32(police->burst),
				.interval = cpu_to_le32(police->interval),
				.calm = cpu_to_le32(police->calm),
				.recovery = cpu_to_le32(police->recovery),
			},
		},
	};
	int n;

	lockdep_assert_held(&sriov->lock);
	/* Where the policies decide everything, the device's timer would be in their way. */
	if (!svan_police_decides(police, sriov->policy))
		cmd.set_enforcement.attr.suspect = cpu_to_le32(police->suspect);
	for (n = 0; n < SVAN_NOTIFICATION_CLASSES; n++)
		cmd.set_enforcement.attr.delay[n] = cpu_to_le16(police->delay[n]);
	return svan_cmd_exec(sriov->dev, &cmd, NULL);
}

/* What a virtual function sends is policed, and whoever sends to it is notified. */
static int svan_enforce_vf(struct svan_vf *vf)
{
	struct svan_sriov *sriov = vf->sriov;
	u8 flags = 0;

	if (sriov->enforced)
		flags = SVAN_ENFORCE_EGRESS | SVAN_ENFORCE_NOTIFY;
	if (flags && svan_police_judges(&vf->police, sriov->policy))
		flags |= SVAN_ENFORCE_EVENTS;
	return svan_enforce(sriov, vf->number + 1, flags, &vf->police);
}

/*
 * Whoever sends to the physical function is notified, too. If it fails for one function the
 * others are policed all the same. The caller holds the lock.
 */
int svan_enforcement_apply(struct svan_sriov *sriov)
{
	int ret, err;
	u32 n;

	ret = svan_enforce(sriov, 0, sriov->enforced ? SVAN_ENFORCE_NOTIFY : 0,
			   &svan_police_default);
	for (n = 0; n < sriov->num_vfs; n++) {
		err = svan_enforce_vf(&sriov->vfs[n]);
		ret = ret ?: err;
	}
	/* A device that cannot do it does not do it. */
	return ret == -EOPNOTSUPP && !sriov->enforced ? 0 : ret;
}

/* The caller holds the lock. */
static int svan_police_set(struct svan_vf *vf, const struct svan_police *police)
{
	struct svan_sriov *sriov = vf->sriov;
	struct svan_police before = vf->police;
	int err = 0;

	vf->police = *police;
	if (sriov->enforced && vf->number < sriov->num_vfs)
		err = svan_enforce_vf(vf);
	if (err)
		vf->police = before;
	else if (before.policy != police->policy)
		trace_svan_policy(sriov->dev, vf->number + 1,
				  (police->policy ?: sriov->policy)->name);
	return err;
}

/* ---- attributes ---- */

/**
 * struct svan_police_attribute - one of them
 * @attr: its name and mode
 * @show: writes the value
 * @store: changes a copy of the settings
 * @offset: of a number, in struct svan_police
 * @max: of a number
 */
struct svan_police_attribute {
	struct attribute	attr;
	ssize_t	(*show)(const struct svan_police_attribute *attribute,
			const struct svan_police *police, char *buf);
	int	(*store)(const struct svan_police_attribute *attribute,
			 struct svan_police *police, const char *buf);
	u32			offset;
	u32			max;
};

static ssize_t svan_number_show(const struct svan_police_attribute *attribute,
				const struct svan_police *police, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  *(const u32 *)((const char *)police + attribute->offset));
}

static int svan_number_store(const struct svan_police_attribute *attribute,
			     struct svan_police *police, const char *buf)
{
	u32 value;
	int err;

	err = kstrtou32(buf, 0, &value);
	if (err)
		return err;
	if (value > attribute->max)
		return -ERANGE;
	*(u32 *)((char *)police + attribute->offset) = value;
	return 0;
}

static const char *const svan_actions[SVAN_ENFORCE_ACTIONS] = {
	[SVAN_ENFORCE_PACE]	= "pace",
	[SVAN_ENFORCE_MARK]	= "mark",
	[SVAN_ENFORCE_DROP]	= "drop",
	[SVAN_ENFORCE_WATCH]	= "watch",
};

static ssize_t svan_action_show(const struct svan_police_attribute *attribute,
				const struct svan_police *police, char *buf)
{
	return sysfs_emit(buf, "%s\n", svan_actions[police->action]);
}

static int svan_action_store(const struct svan_police_attribute *attribute,
			     struct svan_police *police, const char *buf)
{
	int action = sysfs_match_string(svan_actions, buf);

	if (action < 0)
		return action;
	police->action = action;
	return 0;
}

/* One for all classes, or one for each. */
static ssize_t svan_delay_show(const struct svan_police_attribute *attribute,
			       const struct svan_police *police, char *buf)
{
	int at = 0, n;

	for (n = 0; n < SVAN_NOTIFICATION_CLASSES; n++)
		at += sysfs_emit_at(buf, at, "%u%c", police->delay[n],
				    n + 1 < SVAN_NOTIFICATION_CLASSES ? ' ' : '\n');
	return at;
}

static int svan_delay_store(const struct svan_police_attribute *attribute,
			    struct svan_police *police, const char *buf)
{
	u32 class, delay;
	char rest;

	if (sscanf(buf, "class %u %u %c", &class, &delay, &rest) == 2) {
		if (class >= SVAN_NOTIFICATION_CLASSES || delay > U16_MAX)
			return -ERANGE;
		police->delay[class] = delay;
		return 0;
	}
	if (kstrtou32(buf, 0, &delay))
		return -EINVAL;
	if (delay > U16_MAX)
		return -ERANGE;
	for (class = 0; class < SVAN_NOTIFICATION_CLASSES; class++)
		police->delay[class] = delay;
	return 0;
}

static ssize_t svan_policy_show(const struct svan_police_attribute *attribute,
				const struct svan_police *police, char *buf)
{
	int at, n;

	at = sysfs_emit(buf, "%s\n", police->policy ? police->policy->name : "default");
	for (n = 0; n < SVAN_NOTIFICATION_CLASSES; n++) {
		if (police->of_class[n])
			at += sysfs_emit_at(buf, at, "class %d %s\n", n,
					    police->of_class[n]->name);
	}
	return at;
}

static int svan_policy_store(const struct svan_police_attribute *attribute,
			     struct svan_police *police, const char *buf)
{
	const struct svan_policy **slot = &police->policy, *policy = NULL;
	char name[SVAN_POLICY_NAME_LEN], rest;
	u32 class;

	if (sscanf(buf, "class %u %15s %c", &class, name, &rest) == 2) {
		if (class >= SVAN_NOTIFICATION_CLASSES)
			return -ERANGE;
		slot = &police->of_class[class];
	} else if (sscanf(buf, "%15s %c", name, &rest) != 1) {
		return -EINVAL;
	}
	if (strcmp(name, "default")) {
		policy = svan_policy_find(name);
		if (!policy)
			return -EINVAL;
	}
	*slot = policy;
	return 0;
}

#define SVAN_ATTRIBUTE(_name, ...) \
	static const struct svan_police_attribute svan_attribute_##_name = { \
		.attr = { .name = #_name, .mode = 0600 }, __VA_ARGS__ \
	}
#define SVAN_NUMBER(_name, _field, _max) \
	SVAN_ATTRIBUTE(_name, .show = svan_number_show, .store = svan_number_store, \
		       .offset = offsetof(struct svan_police, _field), .max = _max)

SVAN_ATTRIBUTE(policy, .show = svan_policy_show, .store = svan_policy_store);
SVAN_ATTRIBUTE(action, .show = svan_action_show, .store = svan_action_store);
SVAN_ATTRIBUTE(delay, .show = svan_delay_show, .store = svan_delay_store);
SVAN_NUMBER(cap, cap, SVAN_ENFORCE_MAX_CAP);
SVAN_NUMBER(burst, burst, SVAN_ENFORCE_MAX_NS);
SVAN_NUMBER(interval, interval, SVAN_ENFORCE_MAX_NS);
SVAN_NUMBER(suspect, suspect, U32_MAX);
SVAN_NUMBER(calm, calm, U32_MAX);
SVAN_NUMBER(recovery, recovery, U32_MAX);
SVAN_NUMBER(threshold_loss, limits.loss, 1000);
SVAN_NUMBER(threshold_cnps, limits.cnps, U32_MAX);
SVAN_NUMBER(threshold_rtt, limits.rtt, 1000000);

static const struct attribute *svan_police_attributes[] = {
	&svan_attribute_policy.attr,
	&svan_attribute_action.attr,
	&svan_attribute_delay.attr,
	&svan_attribute_cap.attr,
	&svan_attribute_burst.attr,
	&svan_attribute_interval.attr,
	&svan_attribute_suspect.attr,
	&svan_attribute_calm.attr,
	&svan_attribute_recovery.attr,
	&svan_attribute_threshold_loss.attr,
	&svan_attribute_threshold_cnps.attr,
	&svan_attribute_threshold_rtt.attr,
	NULL
};

/* ---- the folder of a virtual function ---- */

struct svan_vf_folder {
	struct kobject	kobj;
	struct svan_vf	*vf;
};

static ssize_t svan_vf_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	const struct svan_police_attribute *attribute =
		container_of(attr, struct svan_police_attribute, attr);
	struct svan_vf *vf = container_of(kobj, struct svan_vf_folder, kobj)->vf;
	ssize_t length;

	mutex_lock(&vf->sriov->lock);
	length = attribute->show(attribute, &vf->police, buf);
	mutex_unlock(&vf->sriov->lock);
	return length;
}

static ssize_t svan_vf_store(struct kobject *kobj, struct attribute *attr, const char *buf,
			     size_t count)
{
	const struct svan_police_attribute *attribute =
		container_of(attr, struct svan_police_attribute, attr);
	struct svan_vf *vf = container_of(kobj, struct svan_vf_folder, kobj)->vf;
	struct svan_police police;
	int err;

	mutex_lock(&vf->sriov->lock);
	police = vf->police;
	err = attribute->store(attribute, &police, buf);
	if (!err)
		err = svan_police_set(vf, &police);
	mutex_unlock(&vf->sriov->lock);
	return err ? err : count;
}

static const struct sysfs_ops svan_vf_sysfs_ops = {
	.show	= svan_vf_show,
	.store	= svan_vf_store,
};

static void svan_vf_folder_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct svan_vf_folder, kobj));
}

static const struct kobj_type svan_vf_ktype = {
	.release	= svan_vf_folder_release,
	.sysfs_ops	= &svan_vf_sysfs_ops,
};

static int svan_vf_folder_add(struct svan_vf *vf)
{
	struct svan_vf_folder *folder = kzalloc(sizeof(*folder), GFP_KERNEL);
	int err;

	if (!folder)
		return -ENOMEM;
	folder->vf = vf;
	err = kobject_init_and_add(&folder->kobj, &svan_vf_ktype, vf->sriov->folder, "vf%u",
				   vf->number);
	if (!err)
		err = sysfs_create_files(&folder->kobj, svan_police_attributes);
	if (err) {
		kobject_put(&folder->kobj);
		return err;
	}
	vf->folder = &folder->kobj;
	return 0;
}

/* On return nobody reads or writes them any more. */
void svan_police_files_del(struct svan_sriov *sriov)
{
	u32 n;

	for (n = 0; n < sriov->max_vfs && sriov->vfs[n].folder; n++) {
		kobject_del(sriov->vfs[n].folder);
		kobject_put(sriov->vfs[n].folder);
		sriov->vfs[n].folder = NULL;
	}
	kobject_put(sriov->folder);
	sriov->folder = NULL;
}

int svan_police_files_add(struct svan_sriov *sriov)
{
	int err = 0;
	u32 n;

	sriov->folder = kobject_create_and_add("svan", &sriov->dev->pdev->dev.kobj);
	if (!sriov->folder)
		return -ENOMEM;
	for (n = 0; n < sriov->max_vfs && !err; n++)
		err = svan_vf_folder_add(&sriov->vfs[n]);
	if (err)
		svan_police_files_del(sriov);
	return err;
}
