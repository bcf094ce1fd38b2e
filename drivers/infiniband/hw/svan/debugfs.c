// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/svan_ib/<pci address>/:
 *
 *   estimates   what has been learned of each class of faults and each backing
 *               store; writing "reset" forgets it
 *   percentile  the percentile of the learned times that estimates give, 1..99
 */

#include <linux/debugfs.h>
#include <linux/kdev_t.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "svan_odp.h"

static struct dentry *svan_ib_debugfs_root;

static const char *const svan_class_names[SVAN_FAULT_CLASS_COUNT] = {
	[SVAN_FAULT_UNKNOWN]		= "unknown",
	[SVAN_FAULT_ZERO_FILL]		= "zero_fill",
	[SVAN_FAULT_PAGE_CACHE]		= "page_cache",
	[SVAN_FAULT_FILE_READ]		= "file_read",
	[SVAN_FAULT_SWAP_IN]		= "swap_in",
	[SVAN_FAULT_COPY_ON_WRITE]	= "copy_on_write",
	[SVAN_FAULT_HUGE_PAGE]		= "huge_page",
	[SVAN_FAULT_USERFAULTFD]	= "userfaultfd",
	[SVAN_FAULT_MIGRATION]		= "migration",
	[SVAN_FAULT_INVALIDATED]	= "invalidated",
};

/* Print the backing store: a file system's device, or the number of a swap area. */
static void svan_estimates_show_store(struct seq_file *s,
				      const struct svan_est_slot *slot)
{
	char store[24] = "-";

	if (slot->key == SVAN_EST_ANY)
		;
	else if (slot->fault_class == SVAN_FAULT_FILE_READ)
		snprintf(store, sizeof(store), "%u:%u", MAJOR(slot->key),
			 MINOR(slot->key));
	else
		snprintf(store, sizeof(store), "%u", slot->key);
	seq_printf(s, "%-14s %-8s", svan_class_names[slot->fault_class], store);
}

static void svan_estimates_show_slot(struct seq_file *s,
				     const struct svan_estimator *est,
				     const struct svan_est_slot *slot)
{
	svan_estimates_show_store(s, slot);
	seq_printf(s, " %10u %12llu %12llu %12llu %12llu %5u\n", slot->count,
		   svan_est_quantile(slot, est->percentile),
		   svan_est_quantile(slot, 50), svan_est_quantile(slot, 90),
		   slot->last,
		   slot->count ? (u32)(100ull * slot->near / slot->count) : 0);
}

/* The estimator is copied under its lock, and printed without it. */
static int estimates_show(struct seq_file *s, void *unused)
{
	struct svan_ib_dev *dev = s->private;
	struct svan_estimator *est;
	u32 i;

	est = kmalloc(sizeof(*est), GFP_KERNEL);
	if (!est)
		return -ENOMEM;
	spin_lock_bh(&dev->learn.lock);
	*est = dev->learn.est;
	spin_unlock_bh(&dev->learn.lock);

	seq_printf(s, "# percentile %u, times in ns\n", est->percentile);
	seq_puts(s, "# class        store         count     estimate          p50          p90         last within2x%\n");
	for (i = SVAN_FAULT_UNKNOWN + 1; i < SVAN_EST_SLOTS; i++)
		if (i < SVAN_FAULT_CLASS_COUNT || est->slots[i].count)
			svan_estimates_show_slot(s, est, &est->slots[i]);
	kfree(est);
	return 0;
}

static int estimates_open(struct inode *inode, struct file *file)
{
	return single_open(file, estimates_show, inode->i_private);
}

static ssize_t estimates_write(struct file *file, const char __user *from,
			       size_t size, loff_t *pos)
{
	struct seq_file *s = file->private_data;
	char text[8] = "";

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	if (!sysfs_streq(text, "reset"))
		return -EINVAL;
	svan_learn_reset(s->private);
	return size;
}

static const struct file_operations estimates_fops = {
	.owner = THIS_MODULE,
	.open = estimates_open,
	.read = seq_read,
	.write = estimates_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int percentile_get(void *data, u64 *value)
{
	struct svan_ib_dev *dev = data;

	*value = READ_ONCE(dev->learn.est.percentile);
	return 0;
}

static int percentile_set(void *data, u64 value)
{
	if (value < 1 || value > 99)
		return -EINVAL;
	svan_learn_set_percentile(data, value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(percentile_fops, percentile_get, percentile_set,
			 "%llu\n");

void svan_ib_debugfs_add(struct svan_ib_dev *dev)
{
	if (!dev->ondemand_keys)
		return;
	dev->debugfs = debugfs_create_dir(pci_name(svan_pdev(dev->sdev)),
					  svan_ib_debugfs_root);
	debugfs_create_file("estimates", 0600, dev->debugfs, dev,
			    &estimates_fops);
	debugfs_create_file_unsafe("percentile", 0600, dev->debugfs, dev,
				   &percentile_fops);
}

/* On return nobody reads or writes one of the files. */
void svan_ib_debugfs_del(struct svan_ib_dev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
	dev->debugfs = NULL;
}

void svan_ib_debugfs_init(void)
{
	svan_ib_debugfs_root = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

void svan_ib_debugfs_exit(void)
{
	debugfs_remove_recursive(svan_ib_debugfs_root);
}
