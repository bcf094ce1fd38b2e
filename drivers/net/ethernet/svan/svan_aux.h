/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What svan.ko offers to the auxiliary drivers of a function ("svan.rdma").
 *
 * Everything here may be called while the auxiliary device is bound. struct svan_dev
 * exists until the remove callback of the auxiliary driver has returned.
 */
#ifndef SVAN_AUX_H
#define SVAN_AUX_H

#include <linux/auxiliary_bus.h>
#include <linux/netdevice.h>
#include <linux/pci.h>

#include <svan/caps.h>
#include <svan/cmd.h>
#include <svan/regs.h>
#include <svan/wqe.h>

#define SVAN_AUX_RDMA		"rdma"	/* matched as "svan.rdma" */

struct svan_dev;

/**
 * struct svan_aux - an auxiliary device of a Svan function
 * @adev: the auxiliary device; container_of() finds this struct
 * @dev: the function, valid while the driver is bound
 */
struct svan_aux {
	struct auxiliary_device adev;
	struct svan_dev *dev;
};

static inline struct svan_aux *to_svan_aux(struct auxiliary_device *adev)
{
	return container_of(adev, struct svan_aux, adev);
}

/* These attributes of the function do not change while the driver is bound. */
struct pci_dev *svan_pdev(const struct svan_dev *dev);
const struct svan_caps *svan_caps(const struct svan_dev *dev);	/* little-endian */
const char *svan_cap_off_text(const struct svan_caps *caps);
struct net_device *svan_netdev(const struct svan_dev *dev);
u32 svan_num_comp_vectors(const struct svan_dev *dev);
/* EQ number of completion vector @vector, 0..svan_num_comp_vectors() - 1 */
u32 svan_comp_eqn(const struct svan_dev *dev, u32 vector);
/* Physical address of UAR page @uar, for mmap. */
phys_addr_t svan_uar_phys(const struct svan_dev *dev, u32 uar);
/* Mapping of UAR page 0, in which the kernel rings. */
void __iomem *svan_kernel_uar(const struct svan_dev *dev);
/* The clock of the device in nanoseconds. */
u64 svan_clock_ns(struct svan_dev *dev);

/**
 * svan_cmd_exec - run one admin command and wait for its response
 * @dev: the function
 * @cmd: the command; the caller sets hdr.opcode and the payload, this function
 *	the rest of the header
 * @resp: where to copy the response to, or NULL; it is written whenever the
 *	device has answered, whatever the status
 *
 * May sleep. A command that the device does not answer in time makes this function
 * reset the device before it returns.
 *
 * Return: 0 if the device answered SVAN_CMD_OK; -EINVAL, -ENOENT, -EBUSY,
 * -ENOMEM, -EFAULT, -EPERM, -EOPNOTSUPP or -EREMOTEIO as its status says; -ENODEV
 * after a reset, a removal or a fatal error. After -ENODEV the device has dropped
 * all objects of the caller, so memory that was handed to it may be freed.
 */
int svan_cmd_exec(struct svan_dev *dev, struct svan_cmd *cmd,
		  struct svan_cmd_resp *resp);

/* These run one svan_cmd_exec() each. To destroy cannot fail for the caller. */
int svan_cmd_create_object(struct svan_dev *dev, struct svan_cmd *cmd, u32 *id);
void svan_cmd_destroy_object(struct svan_dev *dev, u16 opcode, u32 id);
int svan_read_stats(struct svan_dev *dev, struct svan_stats *stats);

/**
 * struct svan_cq_handler - receiver of the events of a CQ
 * @complete: called for a completion event, in hard interrupt context
 * @error: called for a CQ error (enum svan_syndrome), in hard interrupt context
 *
 * It is embedded in the CQ of the owner.
 */
struct svan_cq_handler {
	void (*complete)(struct svan_cq_handler *handler);
	void (*error)(struct svan_cq_handler *handler, u32 syndrome);
};

/* On return from svan_cq_detach() no handler of @cqn runs or will run. May sleep. */
int svan_cq_attach(struct svan_dev *dev, u32 cqn, struct svan_cq_handler *handler);
void svan_cq_detach(struct svan_dev *dev, u32 cqn);

/**
 * struct svan_qp_handler - receiver of the asynchronous events of a QP
 * @event: called with an enum svan_event, in hard interrupt context
 */
struct svan_qp_handler {
	void (*event)(struct svan_qp_handler *handler, u8 event);
};

int svan_qp_attach(struct svan_dev *dev, u32 qpn, struct svan_qp_handler *handler);
void svan_qp_detach(struct svan_dev *dev, u32 qpn);

/**
 * struct svan_srq_handler - receiver of the asynchronous events of a shared receive queue
 * @limit: called when fewer entries are left than its limit, in hard interrupt context
 * @error: called when it is in error (enum svan_syndrome), in hard interrupt context
 */
struct svan_srq_handler {
	void (*limit)(struct svan_srq_handler *handler);
	void (*error)(struct svan_srq_handler *handler, u32 syndrome);
};

int svan_srq_attach(struct svan_dev *dev, u32 srqn, struct svan_srq_handler *handler);
void svan_srq_detach(struct svan_dev *dev, u32 srqn);

/**
 * struct svan_page_handler - server of the page requests of the function
 * @request: called when there are requests in the queue; it runs in hard interrupt
 *	context, so it only queues work
 *
 * It is embedded in the page request queue of the owner. There is one at most.
 */
struct svan_page_handler {
	void (*request)(struct svan_page_handler *handler);
};

/* On return from svan_page_detach() the handler does not run and will not. May sleep. */
int svan_page_attach(struct svan_dev *dev, struct svan_page_handler *handler);
void svan_page_detach(struct svan_dev *dev);

/*
 * Doorbells of the page request queue, and invalidation of translations. They do
 * nothing but access registers, so they may be called in any context and cannot
 * hang, whatever the state of the device: one that is gone or was reset ignores
 * stores, answers reads with all ones, and holds no translations.
 */
void svan_prq_consumed(struct svan_dev *dev, u32 ci, bool arm);
void svan_prr_produced(struct svan_dev *dev, u32 pi);
void svan_inval_context(struct svan_dev *dev, u32 pasid, u64 addr,
			     u32 log_pages);
void svan_inval_wait(struct svan_dev *dev);
void svan_inval_key(struct svan_dev *dev, u32 key, u64 addr, u64 length);

/* What the blocking notifier chain of a function is called with. */
enum svan_notify {
	SVAN_NOTIFY_PORT,	/* the data points to a u32 with SVAN_REG_PORT */
	SVAN_NOTIFY_FATAL,	/* the function is dead until it is bound or reset again */
};

int svan_register_notifier(struct svan_dev *dev, struct notifier_block *nb);
void svan_unregister_notifier(struct svan_dev *dev, struct notifier_block *nb);

#endif /* SVAN_AUX_H */
