// SPDX-License-Identifier: GPL-2.0-only
/* /sys/kernel/debug/accel/<pci address>/counts: what is in use. */
#include <drm/drm_debugfs.h>
#include <linux/seq_file.h>

#include "svan_accel.h"

#define SVAN_ACCEL_SHOW(s, dev, name) \
	seq_printf(s, #name " = %ld\n", atomic_long_read(&(dev)->counts.name))

static int svan_accel_counts_show(struct seq_file *s, void *unused)
{
	struct drm_debugfs_entry *entry = s->private;
	struct svan_accel_dev *dev = to_svan_accel_dev(entry->dev);

	seq_printf(s, "contexts = %u\n",
		   bitmap_weight(dev->numbers, SVAN_ACCEL_CONTEXTS));
	seq_printf(s, "memory = %llu\n", atomic64_read(&dev->memory_used));
	seq_printf(s, "resets = %u\n", READ_ONCE(dev->resets));
	SVAN_ACCEL_SHOW(s, dev, mappings);
	SVAN_ACCEL_SHOW(s, dev, pinned);
	SVAN_ACCEL_SHOW(s, dev, tables);
	SVAN_ACCEL_SHOW(s, dev, windows);
	SVAN_ACCEL_SHOW(s, dev, exports);
	SVAN_ACCEL_SHOW(s, dev, pins);
	return 0;
}

void svan_accel_debugfs_add(struct svan_accel_dev *dev)
{
	drm_debugfs_add_file(&dev->drm, "counts", svan_accel_counts_show, NULL);
}
