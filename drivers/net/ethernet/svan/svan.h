/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * svan.ko: one function (PF or VF) and what all its parts share.
 *
 * Lock order, outermost first:
 *	device_lock(pdev) > svan_dev.notifier > devlink's instance > rtnl >
 *	svan_sriov.lock > svan_eth.filter_lock > svan_dev.page_lock >
 *	svan_dev.fail_lock > svan_cmdq.lock (also taken in hard interrupts)
 * svan_dev.inv_lock is the innermost lock; its users may hold any other.
 */
#ifndef SVAN_H
#define SVAN_H

#include <linux/completion.h>
#include <linux/if_vlan.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "svan_aux.h"

#define SVAN_CMDQ_LOG_SIZE	6
#define SVAN_CMDQ_SIZE		(1u << SVAN_CMDQ_LOG_SIZE)

/* A device must take frames of the standard MTU with two VLAN tags. */
#define SVAN_MIN_MAX_FRAME	(1500 + ETH_HLEN + 2 * VLAN_HLEN)

/* size of svan_dev.page, which holds answers to queries and the multicast list */
#define SVAN_PAGE_BYTES		4096

/**
 * struct svan_cmd_wait - a command under way, on the stack of its issuer
 * @done: completed when @err and @resp are final; svan_cmdq_reap() does not touch
 *	this struct afterwards
 * @resp: copy of the device's response
 * @err: 0 if @resp is valid, else a negative error
 * @opcode: opcode of the command, for messages and traces
 * @tag: tag that the response must carry
 * @start: time at which the doorbell was rung
 */
struct svan_cmd_wait {
	struct completion	done;
	struct svan_cmd_resp	resp;
	int			err;
	u16			opcode;
	u32			tag;
	ktime_t			start;
};

/**
 * struct svan_cmdq - the admin command queue
 * @lock: protects all other fields except @credits and @fail; hard interrupts
 *	take it
 * @credits: free entries of the ring
 * @fail: resets a function that does not answer, or answers nonsense, for good;
 *	when it returns, every command in flight has failed
 * @live: commands may be submitted; false before the start and after a failure
 * @events: EQ 0 exists, so the device interrupts when it has completed a command
 * @pi: number of commands submitted, free-running
 * @ci: number of commands completed, free-running
 * @ring: command ring, read by the device
 * @resps: response ring, written by the device
 * @ring_dma: bus address of @ring
 * @resps_dma: bus address of @resps
 * @waiters: the issuer of the command in each entry of the ring
 */
struct svan_cmdq {
	spinlock_t		lock;		/* protects all but credits and fail */
	struct semaphore	credits;
	void			(*fail)(struct svan_dev *dev, const char *why);
	bool			live;
	bool			events;
	u32			pi;
	u32			ci;
	struct svan_cmd		*ring;
	struct svan_cmd_resp	*resps;
	dma_addr_t		ring_dma;
	dma_addr_t		resps_dma;
	struct svan_cmd_wait	*waiters[SVAN_CMDQ_SIZE];
};

/**
 * struct svan_eq - an event queue; its interrupt handler is the only consumer
 * @dev: the function
 * @ring: entries, written by the device
 * @ring_dma: bus address of @ring
 * @eqn: number of the queue, which is also its MSI-X vector
 * @log_size: log2 of the number of entries
 * @ci: consumer index, free-running; used by the interrupt handler alone
 * @irq: number of the Linux interrupt
 * @name: name of the interrupt
 */
struct svan_eq {
	struct svan_dev		*dev;
	struct svan_eqe		*ring;
	dma_addr_t		ring_dma;
	u32			eqn;
	u32			log_size;
	u32			ci;
	int			irq;
	char			name[32];
};

/**
 * struct svan_dev - one PCI function
 * @pdev: the PCI device
 * @id: number of this instance: names the auxiliary device, and spreads the CQs
 *	of several functions over the vectors
 * @regs: BAR 0
 * @uar: UAR page 0
 * @uar_phys: physical address of BAR 2
 * @uar_count: number of UAR pages in BAR 2
 * @pd: the kernel's protection domain
 * @caps: capabilities of the device; written only while nothing else runs
 * @cmdq: command queue
 * @eqs: event queues; EQ 0 carries asynchronous events
 * @num_eqs: number of event queues that exist
 * @num_vectors: number of MSI-X vectors that were granted, one for each EQ
 * @cqs: struct svan_cq_handler by CQ number
 * @qps: struct svan_qp_handler by QP number
 * @srqs: struct svan_srq_handler by SRQ number
 * @page_handler: handler of page requests, or NULL
 * @shim: hears of flows, or NULL
 * @inv_lock: serialises writers of SVAN_REG_INV_TARGET, _ADDR, _LENGTH and _GO,
 *	which together describe one invalidation
 * @netdev: the network device
 * @aux: the auxiliary device, or NULL while there is none
 * @notifier: chain that is called with enum svan_notify
 * @fail_lock: serialises svan_dev_fail() and svan_dev_silence()
 * @failed: the function has been reset for good; set under @fail_lock
 * @page_lock: protects the contents of @page
 * @page: coherent memory for answers to queries and for lists
 * @page_dma: bus address of @page
 * @fatal_work: calls @notifier with SVAN_NOTIFY_FATAL
 * @port_work: calls @notifier with SVAN_NOTIFY_PORT
 * @events_blocked: @fatal_work and @port_work are disabled; under the device lock
 * @started: svan_dev_start() has succeeded; under the device lock
 * @debugfs: debugfs folder of the function
 * @sriov: its virtual functions; NULL: it cannot have any
 */
struct svan_dev {
	struct pci_dev		*pdev;
	int			id;
	void __iomem		*regs;
	void __iomem		*uar;
	phys_addr_t		uar_phys;
	u32			uar_count;
	u32			pd;
	struct svan_caps	caps;
	struct svan_cmdq	cmdq;
	struct svan_eq		*eqs;
	u32			num_eqs;
	u32			num_vectors;
	struct xarray		cqs;
	struct xarray		qps;
	struct xarray		srqs;
	struct svan_page_handler *page_handler;
	struct svan_shim	*shim;
	spinlock_t		inv_lock;	/* protects the registers of an invalidation */
	struct net_device	*netdev;
	struct svan_aux		*aux;
	struct blocking_notifier_head notifier;
	struct mutex		fail_lock;	/* serialises giving the function up */
	bool			failed;
	struct mutex		page_lock;	/* protects what page points to */
	void			*page;
	dma_addr_t		page_dma;
	struct work_struct	fatal_work;
	struct work_struct	port_work;
	bool			events_blocked;
	bool			started;
	struct dentry		*debugfs;
	struct svan_sriov	*sriov;
};

static inline u32 svan_read(const struct svan_dev *dev, u32 reg)
{
	return readl(dev->regs + reg);
}

static inline void svan_write(struct svan_dev *dev, u32 reg, u32 value)
{
	writel(value, dev->regs + reg);
}

static inline void svan_write64(struct svan_dev *dev, u32 reg, u64 value)
{
	writeq(value, dev->regs + reg);
}

/* Reads from a function that is gone, or in FLR, return all ones. */
static inline bool svan_gone(u32 value)
{
	return value == ~0u;
}

/*
 * Has a started function ceased to answer commands, because it met a fatal error
 * or somebody else has reset it? A device that is gone reads as all ones, or as
 * zeroes on hosts that complete such reads themselves; both count as dead.
 */
static inline bool svan_dev_is_dead(const struct svan_dev *dev)
{
	u32 status = svan_read(dev, SVAN_REG_STATUS);

	return (status & (SVAN_STATUS_READY | SVAN_STATUS_FATAL)) !=
	       SVAN_STATUS_READY;
}

static inline const char *svan_name(const struct svan_dev *dev)
{
	return pci_name(dev->pdev);
}

/* dev.c */
int svan_dev_start(struct svan_dev *dev);
void svan_dev_stop(struct svan_dev *dev);
int svan_dev_reset(struct svan_dev *dev);
void svan_dev_fail(struct svan_dev *dev, const char *why);
void svan_dev_silence(struct svan_dev *dev);
void svan_dev_init_events(struct svan_dev *dev);
void svan_dev_block_events(struct svan_dev *dev);
void svan_dev_unblock_events(struct svan_dev *dev);

/* cmd.c */
int svan_cmdq_alloc(struct svan_dev *dev,
		    void (*fail)(struct svan_dev *dev, const char *why));
void svan_cmdq_free(struct svan_dev *dev);
int svan_cmdq_enable(struct svan_dev *dev);
void svan_cmdq_disable(struct svan_dev *dev);
void svan_cmdq_use_events(struct svan_dev *dev, bool on);
void svan_cmdq_reap(struct svan_dev *dev);
int svan_set_port_enabled(struct svan_dev *dev, bool enabled);
int svan_read_caps(struct svan_dev *dev, struct svan_caps *caps);
int svan_query_flows(struct svan_dev *dev, u32 function, bool paths, u32 first,
		     struct svan_flow_entry *entries, u32 *got, u32 *total);
int svan_read_function_stats(struct svan_dev *dev, u32 function,
			     struct svan_stats *stats);
int svan_cmd_errno(u8 status);
bool svan_cmd_id_valid(u16 opcode, u32 id, u32 uar_count);

/* eq.c */
int svan_eqs_create(struct svan_dev *dev);
void svan_eqs_destroy(struct svan_dev *dev);
int svan_vectors_alloc(struct svan_dev *dev);
void svan_vectors_free(struct svan_dev *dev);
void svan_shim_attach(struct svan_dev *dev, struct svan_shim *shim);
void svan_shim_detach(struct svan_dev *dev);

/* sleep.c */
extern const struct pci_error_handlers svan_err_handler;
extern const struct dev_pm_ops svan_pm_ops;
int svan_sleep_init(const struct pci_driver *driver);
void svan_sleep_exit(void);
int svan_aux_add_awake(struct svan_dev *dev);

/* auxdev.c */
int svan_aux_add(struct svan_dev *dev);
void svan_aux_del(struct svan_dev *dev);

/* sriov.c */
int svan_sriov_init(struct svan_dev *dev);
void svan_sriov_exit(struct svan_dev *dev);
void svan_sriov_start(struct svan_dev *dev);
void svan_sriov_stop(struct svan_dev *dev);
void svan_sriov_restore(struct svan_dev *dev);
int svan_sriov_configure(struct pci_dev *pdev, int count);
int svan_set_vf_mac(struct net_device *netdev, int number, u8 *mac);
int svan_set_vf_vlan(struct net_device *netdev, int number, u16 vlan, u8 qos,
		     __be16 proto);
int svan_set_vf_rate(struct net_device *netdev, int number, int min_rate,
		     int max_rate);
int svan_set_vf_spoofchk(struct net_device *netdev, int number, bool on);
int svan_set_vf_trust(struct net_device *netdev, int number, bool on);
int svan_set_vf_link_state(struct net_device *netdev, int number, int state);
int svan_get_vf_config(struct net_device *netdev, int number,
		       struct ifla_vf_info *info);
int svan_get_vf_stats(struct net_device *netdev, int number,
		      struct ifla_vf_stats *to);

/* netdev.c */
int svan_netdev_create(struct svan_dev *dev);
void svan_netdev_unregister(struct svan_dev *dev);
void svan_netdev_free(struct svan_dev *dev);
void svan_netdev_suspend(struct svan_dev *dev);
void svan_netdev_resume(struct svan_dev *dev);
void svan_netdev_detach(struct svan_dev *dev);

/* debugfs.c */
#ifdef CONFIG_DEBUG_FS
void svan_debugfs_init(void);
void svan_debugfs_exit(void);
void svan_debugfs_add(struct svan_dev *dev);
void svan_debugfs_del(struct svan_dev *dev);
#else
static inline void svan_debugfs_init(void) {}
static inline void svan_debugfs_exit(void) {}
static inline void svan_debugfs_add(struct svan_dev *dev) {}
static inline void svan_debugfs_del(struct svan_dev *dev) {}
#endif

#endif /* SVAN_H */
