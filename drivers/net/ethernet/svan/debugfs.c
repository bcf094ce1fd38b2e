// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/svan/<pci address>/: registers and capabilities.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "sriov.h"

static struct dentry *svan_debugfs_root;

#define SVAN_SHOW_REG(reg)	{ #reg, SVAN_REG_##reg }

/* Registers that tell about the state of the device. No read has a side effect. */
static const struct debugfs_reg32 svan_debugfs_regs[] = {
	SVAN_SHOW_REG(MAGIC),
	SVAN_SHOW_REG(VERSION),
	SVAN_SHOW_REG(FUNCTION),
	SVAN_SHOW_REG(UAR_COUNT),
	SVAN_SHOW_REG(MSIX_COUNT),
	SVAN_SHOW_REG(PORT),
	SVAN_SHOW_REG(MAC_LO),
	SVAN_SHOW_REG(MAC_HI),
	SVAN_SHOW_REG(CONTROL),
	SVAN_SHOW_REG(STATUS),
	SVAN_SHOW_REG(FATAL_CODE),
	SVAN_SHOW_REG(GENERATION),
	SVAN_SHOW_REG(CMDQ_BASE),
	{ "CMDQ_BASE_HI", SVAN_REG_CMDQ_BASE + 4 },
	SVAN_SHOW_REG(CMDR_BASE),
	{ "CMDR_BASE_HI", SVAN_REG_CMDR_BASE + 4 },
	SVAN_SHOW_REG(CMDQ_LOG_SIZE),
	SVAN_SHOW_REG(CMDQ_HEAD),
	SVAN_SHOW_REG(CLOCK),
	{ "CLOCK_HI", SVAN_REG_CLOCK + 4 },
};

static int regs_show(struct seq_file *s, void *unused)
{
	struct svan_dev *dev = s->private;

	debugfs_print_regs32(s, svan_debugfs_regs, ARRAY_SIZE(svan_debugfs_regs),
			     dev->regs, "");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(regs);

#define SVAN_SHOW_CAP(s, caps, bits, member) \
	seq_printf(s, #member " = %llu\n", \
		   (unsigned long long)le##bits##_to_cpu((caps)->member))

static int caps_show(struct seq_file *s, void *unused)
{
	struct svan_dev *dev = s->private;
	const struct svan_caps *caps = &dev->caps;

	seq_printf(s, "features = %#018llx\n", le64_to_cpu(caps->features));
	seq_printf(s, "fw_version = %#010x\n", le32_to_cpu(caps->fw_version));
	seq_printf(s, "off_reason = %u (%s)\n", le32_to_cpu(caps->off_reason),
		   svan_cap_off_text(caps));
	SVAN_SHOW_CAP(s, caps, 32, max_qp);
	SVAN_SHOW_CAP(s, caps, 32, max_cq);
	SVAN_SHOW_CAP(s, caps, 32, max_pd);
	SVAN_SHOW_CAP(s, caps, 32, max_key);
	SVAN_SHOW_CAP(s, caps, 32, max_uar);
	SVAN_SHOW_CAP(s, caps, 32, max_eq);
	SVAN_SHOW_CAP(s, caps, 32, max_gid);
	SVAN_SHOW_CAP(s, caps, 32, max_srq);
	SVAN_SHOW_CAP(s, caps, 32, max_qp_wqebb);
	SVAN_SHOW_CAP(s, caps, 32, max_qp_rwqe);
	SVAN_SHOW_CAP(s, caps, 32, max_cqe);
	SVAN_SHOW_CAP(s, caps, 32, max_eqe);
	SVAN_SHOW_CAP(s, caps, 16, max_sge);
	SVAN_SHOW_CAP(s, caps, 16, max_sge_rd);
	SVAN_SHOW_CAP(s, caps, 16, max_inline);
	SVAN_SHOW_CAP(s, caps, 16, max_rd_atomic);
	SVAN_SHOW_CAP(s, caps, 32, max_msg_size);
	SVAN_SHOW_CAP(s, caps, 32, max_mtu);
	SVAN_SHOW_CAP(s, caps, 32, max_frame);
	seq_printf(s, "page_size_cap = %#010x\n", le32_to_cpu(caps->page_size_cap));
	SVAN_SHOW_CAP(s, caps, 64, max_key_length);
	SVAN_SHOW_CAP(s, caps, 64, clock_khz);
	SVAN_SHOW_CAP(s, caps, 32, max_mcast_filters);
	SVAN_SHOW_CAP(s, caps, 32, max_pasid);
	SVAN_SHOW_CAP(s, caps, 32, max_page_requests);
	SVAN_SHOW_CAP(s, caps, 32, max_spare_pages);
	SVAN_SHOW_CAP(s, caps, 32, fault_buffer);
	SVAN_SHOW_CAP(s, caps, 32, max_counter);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(caps);

/* svan_remove() deletes these files before it unmaps the registers. */
void svan_debugfs_add(struct svan_dev *dev)
{
	dev->debugfs = debugfs_create_dir(svan_name(dev), svan_debugfs_root);
	debugfs_create_file("regs", 0400, dev->debugfs, dev, &regs_fops);
	debugfs_create_file("caps", 0400, dev->debugfs, dev, &caps_fops);
	if (dev->sriov)
		debugfs_create_file("flows", 0400, dev->debugfs, dev->sriov,
				    svan_flows_fops());
}

void svan_debugfs_del(struct svan_dev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
}

void svan_debugfs_init(void)
{
	svan_debugfs_root = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

void svan_debugfs_exit(void)
{
	debugfs_remove_recursive(svan_debugfs_root);
}
