/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What svan.ko offers to the auxiliary drivers of a function ("svan.rdma").
 *
 * Everything here may be called while the auxiliary device is bound; svan.ko
 * keeps struct svan_dev until its remove callback has returned.
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

/* Attributes of the function that never change while it is bound. */
struct pci_dev *svan_pdev(const struct svan_dev *dev);
const struct svan_caps *svan_caps(const struct svan_dev *dev);	/* little-endian */
struct net_device *svan_netdev(const struct svan_dev *dev);
u32 svan_num_comp_vectors(const struct svan_dev *dev);
/* EQ number of completion vector @vector, 0..svan_num_comp_vectors() - 1 */
u32 svan_comp_eqn(const struct svan_dev *dev, u32 vector);
/* Physical address of UAR page @uar, for mmap; kernel mapping of UAR 0. */
phys_addr_t svan_uar_phys(const struct svan_dev *dev, u32 uar);
void __iomem *svan_kernel_uar(const struct svan_dev *dev);
/* device clock, ns */
u64 svan_clock_ns(struct svan_dev *dev);

/**
 * svan_cmd_exec - run one admin command and wait for its response
 * @dev: the function
 * @cmd: the command; hdr.opcode and payload set by the caller, the rest by us
 * @resp: the response, written if 0 or -EREMOTEIO-class errors are returned
 *
 * May sleep. Return: 0 if the device answered SVAN_CMD_OK; -EINVAL, -ENOENT,
 * -EBUSY, -ENOMEM, -EFAULT, -EPERM, -EOPNOTSUPP as the status says; -ENODEV
 * after a reset, removal or fatal error (then nothing of the caller lives in
 * the device any more, and memory handed to it may be freed); never a time-out
 * without having reset the function first.
 */
int svan_cmd_exec(struct svan_dev *dev, struct svan_cmd *cmd,
		  struct svan_cmd_resp *resp);

/* Short forms over svan_cmd_exec(); destroy forms cannot fail for the caller. */
int svan_cmd_create_object(struct svan_dev *dev, struct svan_cmd *cmd, u32 *id);
void svan_cmd_destroy_object(struct svan_dev *dev, u16 opcode, u32 id);
int svan_read_stats(struct svan_dev *dev, struct svan_stats *stats);

/**
 * struct svan_cq_handler - who wants the events of a CQ
 * @complete: a completion event; hard interrupt context
 * @error: CQ error (enum svan_syndrome); hard interrupt context
 *
 * Embedded in the owner's CQ.
 */
struct svan_cq_handler {
	void (*complete)(struct svan_cq_handler *handler);
	void (*error)(struct svan_cq_handler *handler, u32 syndrome);
};

/* svan_cq_detach() returns when no handler of @cqn runs or will run. May sleep. */
int svan_cq_attach(struct svan_dev *dev, u32 cqn, struct svan_cq_handler *handler);
void svan_cq_detach(struct svan_dev *dev, u32 cqn);

/**
 * struct svan_qp_handler - who wants the asynchronous events of a QP
 * @event: enum svan_event; hard interrupt context
 */
struct svan_qp_handler {
	void (*event)(struct svan_qp_handler *handler, u8 event);
};

int svan_qp_attach(struct svan_dev *dev, u32 qpn, struct svan_qp_handler *handler);
void svan_qp_detach(struct svan_dev *dev, u32 qpn);

/**
 * struct svan_page_handler - who serves the page requests of the function
 * @request: there are requests in the queue; hard interrupt context, so it
 *	does no more than to queue work
 *
 * Embedded in the owner's page request queue. There is one at most.
 */
struct svan_page_handler {
	void (*request)(struct svan_page_handler *handler);
};

/* svan_page_detach() returns when the handler does not run and will not. May sleep. */
int svan_page_attach(struct svan_dev *dev, struct svan_page_handler *handler);
void svan_page_detach(struct svan_dev *dev);

/*
 * Doorbells of the page request queue, and invalidation of translations. All
 * of them only access registers, so they may be called in any context and
 * cannot hang, whatever state the device is in: one that is gone, or was reset,
 * ignores the store, answers a read with all ones and has no translations.
 */
void svan_prq_consumed(struct svan_dev *dev, u32 ci, bool arm);
void svan_prr_produced(struct svan_dev *dev, u32 pi);
void svan_inval_context(struct svan_dev *dev, u32 pasid, u64 addr,
			     u32 log_pages);
void svan_inval_wait(struct svan_dev *dev);
void svan_inval_key(struct svan_dev *dev, u32 key, u64 addr, u64 length);

/* Fatal error, reset and port events: a blocking notifier chain (process context). */
enum svan_notify {
	SVAN_NOTIFY_PORT,	/* data: SVAN_REG_PORT in a u32 * */
	SVAN_NOTIFY_FATAL,	/* the function is dead until it is bound again */
};

int svan_register_notifier(struct svan_dev *dev, struct notifier_block *nb);
void svan_unregister_notifier(struct svan_dev *dev, struct notifier_block *nb);

#endif /* SVAN_AUX_H */
