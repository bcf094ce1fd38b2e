/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual functions, as the driver of the physical function manages them.
 */
#ifndef SVAN_SRIOV_H
#define SVAN_SRIOV_H

#include <net/devlink.h>

#include "shim.h"
#include "svan.h"

#define SVAN_DCQCN_PARAMS	13

enum svan_devlink_param_id {
	SVAN_DEVLINK_PARAM_ID_BASE = DEVLINK_PARAM_GENERIC_ID_MAX,
	SVAN_DEVLINK_PARAM_ID_ENFORCEMENT,
	SVAN_DEVLINK_PARAM_ID_POLICY,
	SVAN_DEVLINK_PARAM_ID_DCQCN,	/* the first of SVAN_DCQCN_PARAMS */
};

/**
 * struct svan_vf - a virtual function
 * @sriov: what it belongs to
 * @number: its number on the bus, from 0; the device counts from 1
 * @attr: what was set for it; under svan_sriov.lock. A MAC address of zeros means the
 *	one that the device chooses
 * @police: how it is policed; under svan_sriov.lock
 * @folder: of its attributes in sysfs
 * @port: its devlink port; registered while the function exists
 * @failing: the shim's last look at its paths has failed; the shim's worker's alone
 */
struct svan_vf {
	struct svan_sriov		*sriov;
	u32				number;
	struct svan_function_attr	attr;
	struct svan_police		police;
	struct kobject			*folder;
	struct devlink_port		port;
	bool				failing;
};

/**
 * struct svan_rate_group - functions that have a limit and a share together
 * @used: it is a node of devlink
 * @tx_max: Mb/s, 0: no limit
 * @tx_share: Mb/s, 0: none
 */
struct svan_rate_group {
	bool	used;
	__le32	tx_max;
	__le32	tx_share;
};

/**
 * struct svan_sriov - what a physical function knows of its virtual ones
 * @dev: the physical function
 * @lock: protects the attributes, on both sides: in @vfs and in the device
 * @enforced: congestion control is enforced on the virtual functions; under @lock
 * @policy: of virtual functions that have none of their own; under @lock
 * @shim: judges what the device finds ambiguous
 * @shim_entries: paths that it looks at; under @lock
 * @folder: of attributes in sysfs
 * @reporter: devlink health reporter
 * @num_failing: functions at which the shim's last look has failed; its worker's alone
 * @report_next: when the next failure may be reported, jiffies; the shim's worker's alone
 * @congestion: parameters of DCQCN that were set; under @lock
 * @congestion_mask: which of them; under @lock
 * @dcqcn_params: their devlink parameters
 * @groups: by their number in the device, less 1; under @lock
 * @num_vfs: virtual functions that are enabled, or about to be; under @lock
 * @num_ports: devlink ports that are registered; under the devlink instance's lock
 * @max_vfs: number of entries in @vfs
 * @vfs: all virtual functions that there may be
 */
struct svan_sriov {
	struct svan_dev		*dev;
	struct mutex		lock;		/* protects the attributes */
	bool			enforced;
	const struct svan_policy *policy;
	struct svan_shim	shim;
	struct svan_flow_entry	*shim_entries;
	struct kobject		*folder;
	struct devlink_health_reporter *reporter;
	u32			num_failing;
	unsigned long		report_next;
	struct svan_congestion_attr congestion;
	u32			congestion_mask;
	struct devlink_param	dcqcn_params[SVAN_DCQCN_PARAMS];
	struct svan_rate_group	groups[SVAN_RATE_GROUPS];
	u32			num_vfs;
	u32			num_ports;
	u32			max_vfs;
	struct svan_vf		vfs[] __counted_by(max_vfs);
};

/* sriov.c */
int svan_vf_set(struct svan_vf *vf, u32 mask, const struct svan_function_attr *attr);
int svan_vf_query(struct svan_vf *vf, struct svan_function_attr *attr);

/* devlink.c */
struct svan_sriov *svan_devlink_alloc(struct svan_dev *dev, u32 max_vfs);
void svan_devlink_free(struct svan_sriov *sriov);
void svan_devlink_register(struct svan_sriov *sriov);
void svan_devlink_unregister(struct svan_sriov *sriov);
int svan_devlink_add_ports(struct svan_sriov *sriov, u32 count);
void svan_devlink_del_ports(struct svan_sriov *sriov);
void svan_devlink_del_groups(struct svan_sriov *sriov);

/* rate.c */
int svan_rate_leaf_tx_max_set(struct devlink_rate *rate, void *priv, u64 bytes,
			      struct netlink_ext_ack *extack);
int svan_rate_leaf_tx_share_set(struct devlink_rate *rate, void *priv, u64 bytes,
				struct netlink_ext_ack *extack);
int svan_rate_leaf_parent_set(struct devlink_rate *rate, struct devlink_rate *parent,
			      void *priv, void *priv_parent,
			      struct netlink_ext_ack *extack);
int svan_rate_node_tx_max_set(struct devlink_rate *rate, void *priv, u64 bytes,
			      struct netlink_ext_ack *extack);
int svan_rate_node_tx_share_set(struct devlink_rate *rate, void *priv, u64 bytes,
				struct netlink_ext_ack *extack);
int svan_rate_node_new(struct devlink_rate *rate, void **priv,
		       struct netlink_ext_ack *extack);
int svan_rate_node_del(struct devlink_rate *rate, void *priv,
		       struct netlink_ext_ack *extack);
int svan_rate_groups_restore(struct svan_sriov *sriov);

/* police.c */
int svan_enforcement_apply(struct svan_sriov *sriov);
int svan_police_files_add(struct svan_sriov *sriov);
void svan_police_files_del(struct svan_sriov *sriov);

/* dcqcn.c */
int svan_dcqcn_restore(struct svan_sriov *sriov);
int svan_dcqcn_register(struct svan_sriov *sriov);
void svan_dcqcn_unregister(struct svan_sriov *sriov);

/* health.c */
int svan_health_create(struct svan_sriov *sriov);
void svan_health_destroy(struct svan_sriov *sriov);
void svan_health_failed(struct svan_sriov *sriov, u32 function, int err);
void svan_health_well(struct svan_sriov *sriov, u32 function);

/* verdict.c */
u32 svan_shim_look(struct svan_shim *shim, u32 function);

/* congestion.c */
int svan_congestion_params_register(struct svan_sriov *sriov);
void svan_congestion_params_unregister(struct svan_sriov *sriov);
const struct file_operations *svan_flows_fops(void);

#endif /* SVAN_SRIOV_H */
