/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * svan_ib.ko: verbs on a Svan function.
 *
 * Locks, in the order in which they nest:
 *   svan_ib_qp.mutex	state and attributes of a QP; MODIFY_QP and QUERY_QP
 *   svan_ib_cq.lock	consumer side of a kernel CQ and of its QPs' queues
 *   svan_ib_wq.lock	producer side of a kernel work queue
 * svan_ib_dev.port_lock stands alone. Commands sleep: under a mutex at most.
 *
 * Of memory that is not pinned (svan_odp.h):
 *   svan_ib_ucontext.context_lock	process context and server of a verbs context
 *   svan_odp.lock	pages are entered into a region, tables and parts come
 *			and go, or the region does; allocates
 *   mm_struct.mmap_lock
 *   svan_odp_part.lock	entries of a leaf table; also taken by the kernel's
 *			reclaim, so nothing is allocated under it
 *   svan_prq.lock	answers, idle faults
 *   svan_learn.lock	the estimator
 *   svan_dev.inv_lock	(svan.ko)
 * The notifier of a process context takes none of them. Of threads (server.c):
 *   svan_servers_lock	servers by mm, and their users
 *   svan_server.lock	its threads and what they have to do
 *   svan_pins.lock	pages that are held for a moment; stands alone
 * Under the first two, nothing but the list of process contexts is looked at. What
 * the drain of page requests takes is taken with softirqs off: these two, the lists
 * of regions and process contexts, svan_prq.lock and svan_learn.lock.
 */
#ifndef SVAN_IB_H
#define SVAN_IB_H

#include <linux/idr.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <rdma/ib_umem.h>
#include <rdma/ib_verbs.h>
#include <rdma/svan-abi.h>

#include "estimate.h"
#include "svan_aux.h"

struct svan_context;
struct svan_odp;
struct svan_prq;
struct svan_server;
struct svan_spare;

#define SVAN_IB_PORT	1	/* the only one */

/**
 * struct svan_context_table - the process contexts of a device
 * @entries: the table itself, or NULL; the device reads it
 * @dma: its bus address
 * @count: elements, PASID 0 included
 * @pasids: those in use
 * @generations: of each PASID; who has it owns its element
 * @live: struct svan_context by PASID
 */
struct svan_context_table {
	struct svan_process_context *entries;
	dma_addr_t dma;
	u32 count;
	struct ida pasids;
	u32 *generations;
	struct xarray live;
};

/**
 * struct svan_learn - what the device has learned of the time pages take
 * @lock: @est
 * @est: the estimator
 * @refresh: brings @locations up to date
 * @locations: location table of all process contexts, or NULL; the device reads it
 * @locations_dma: its bus address
 */
struct svan_learn {
	spinlock_t lock;
	struct svan_estimator est;
	struct delayed_work refresh;
	__le64 *locations;
	dma_addr_t locations_dma;
};

/**
 * struct svan_ib_dev - the RDMA device of a function
 * @ibdev: first, as ib_alloc_device() wants it
 * @sdev: the function, valid while the auxiliary device is bound
 * @caps: what it can do; little-endian
 * @owners: ids of verbs contexts, SVAN_CMD_ALLOC_UAR; 0 is the kernel
 * @kernel_qps: QPs of the kernel by number, for svan_ib_poll_cq()
 * @user_qps: QPs of users by number; nothing holds them
 * @aux_nb: port and fatal events of the function
 * @netdev_nb: state of the netdev
 * @port_lock: @port_state, @fatal
 * @port_state: as last announced
 * @fatal: the function's death has been announced
 * @ondemand_keys: memory may be registered without pinning it, and the device
 *	asks for pages that are absent
 * @process_keys: the device walks page tables of processes; without
 *	@ondemand_keys it reaches only what is resident
 * @odps: struct svan_odp by key
 * @contexts: process contexts
 * @prq: page requests, or NULL
 * @learn: how long pages take
 * @spare: pages for diverted data, or NULL
 * @debugfs: our folder
 */
struct svan_ib_dev {
	struct ib_device ibdev;
	struct svan_dev *sdev;
	const struct svan_caps *caps;
	struct ida owners;
	struct xarray kernel_qps;
	struct xarray user_qps;
	struct notifier_block aux_nb;
	struct notifier_block netdev_nb;
	struct mutex port_lock;		/* port_state, fatal */
	enum ib_port_state port_state;
	bool fatal;
	bool ondemand_keys;
	bool process_keys;
	struct xarray odps;
	struct svan_context_table contexts;
	struct svan_prq *prq;
	struct svan_learn learn;
	struct svan_spare *spare;
	struct dentry *debugfs;
};

/* A UAR page in the mmap space of a context; lives as long as a mapping. */
struct svan_ib_mmap_entry {
	struct rdma_user_mmap_entry rdma;
	phys_addr_t phys;
};

/**
 * struct svan_ib_ucontext - a verbs context
 * @ibucontext: first
 * @uar_entry: of the UAR page
 * @owner: our id of it
 * @uar: number of the UAR page
 * @mm: who opened it, for process keys; mm_count is held
 * @context_lock: what follows
 * @context: process context, made with the first process key
 * @server: threads of @mm, made with its first on-demand or process key
 */
struct svan_ib_ucontext {
	struct ib_ucontext ibucontext;
	struct svan_ib_mmap_entry *uar_entry;
	u32 owner;
	u32 uar;
	struct mm_struct *mm;
	struct mutex context_lock;	/* what follows */
	struct svan_context *context;
	struct svan_server *server;
};

struct svan_ib_pd {
	struct ib_pd ibpd;
	u32 pdn;
};

/**
 * struct svan_mtt_layout - shape of a translation table (svan/keys.h)
 * @pages: leaves of the tree
 * @num_tables: of all levels
 * @levels: 0 if one page covers the key
 * @page_shift: of the pages
 * @first: number of the first table of a level; level 0 holds the leaves.
 *	Tables are numbered level by level, the root is the last one.
 */
struct svan_mtt_layout {
	u64 pages;
	u32 num_tables;
	u8 levels;
	u8 page_shift;
	u32 first[SVAN_MTT_MAX_LEVELS];
};

struct svan_mtt_table {
	__le64 *entries;
	dma_addr_t dma;
};

struct svan_mtt {
	struct svan_mtt_layout layout;
	dma_addr_t root;
	struct svan_mtt_table *tables;	/* NULL: levels = 0 */
};

/**
 * struct svan_ring - memory of a queue and the internal key that covers it
 * @umem: pinned pages of a user's queue, or NULL
 * @mtt: their translation table
 * @addr: a kernel's queue, or NULL
 * @dma: its bus address
 * @va: where the device sees the first octet
 * @length: bytes
 * @key: SVAN_CMD_KEY_INTERNAL
 */
struct svan_ring {
	struct ib_umem *umem;
	struct svan_mtt mtt;
	void *addr;
	dma_addr_t dma;
	u64 va;
	u64 length;
	u32 key;
};

struct svan_ib_mr {
	struct ib_mr ibmr;
	struct ib_umem *umem;
	struct svan_mtt mtt;
	struct svan_odp *odp;		/* instead of both: not pinned */
	struct svan_server *server;	/* of its mm, or NULL: no page requests */
	u32 access;			/* SVAN_ACCESS_* */
	u32 owner;			/* verbs context, 0: the kernel */
};

struct svan_ib_cq {
	struct ib_cq ibcq;
	struct svan_cq_handler handler;
	struct svan_ring ring;
	u32 cqn;
	u32 eqn;
	u8 log_size;

	/* CQs of the kernel only */
	spinlock_t lock;		/* ci, consumer side of the QPs */
	struct svan_cqe *cqes;
	struct svan_cq_dbr *dbr;
	u32 ci;
};

/*
 * A work queue of the kernel. The poster owns pi, the poller ci; both own
 * what lies between: wr_ids are written before pi moves and read before ci does.
 */
struct svan_ib_wq {
	spinlock_t lock;		/* producer side */
	u64 *wr_ids;			/* by slot of the first block */
	u32 mask;
	u32 pi;
	u32 ci;
	u32 max_sge;
};

struct svan_ib_qp {
	struct ib_qp ibqp;
	struct svan_qp_handler handler;
	struct svan_ring ring;
	struct mutex mutex;		/* state, av */
	enum ib_qp_state state;
	struct svan_av av;		/* as last set */
	struct ib_qp_cap cap;
	u8 log_sq_bbs;
	u8 log_rq_size;
	u8 log_rq_stride;
	bool signal_all;

	/* QPs of the kernel only */
	struct svan_ib_wq sq;
	struct svan_ib_wq rq;
	struct svan_sq_ring sq_ring;
	u8 *sq_bbs;			/* blocks of the WQE in a slot */
	u8 *rq_entries;
	struct svan_qp_dbr *dbr;
};

static inline struct svan_ib_dev *to_svan_ib_dev(struct ib_device *ibdev)
{
	return container_of(ibdev, struct svan_ib_dev, ibdev);
}

static inline struct svan_ib_ucontext *to_svan_ib_ucontext(struct ib_ucontext *ibucontext)
{
	return container_of(ibucontext, struct svan_ib_ucontext, ibucontext);
}

static inline struct svan_ib_pd *to_svan_ib_pd(struct ib_pd *ibpd)
{
	return container_of(ibpd, struct svan_ib_pd, ibpd);
}

static inline struct svan_ib_mr *to_svan_ib_mr(struct ib_mr *ibmr)
{
	return container_of(ibmr, struct svan_ib_mr, ibmr);
}

static inline struct svan_ib_cq *to_svan_ib_cq(struct ib_cq *ibcq)
{
	return container_of(ibcq, struct svan_ib_cq, ibcq);
}

static inline struct svan_ib_qp *to_svan_ib_qp(struct ib_qp *ibqp)
{
	return container_of(ibqp, struct svan_ib_qp, ibqp);
}

static inline struct device *svan_ib_dma_device(struct svan_ib_dev *dev)
{
	return &svan_pdev(dev->sdev)->dev;
}

/* query.c */
int svan_ib_query_device(struct ib_device *ibdev, struct ib_device_attr *attr,
			 struct ib_udata *udata);
int svan_ib_query_port(struct ib_device *ibdev, u32 port,
		       struct ib_port_attr *attr);
int svan_ib_get_port_immutable(struct ib_device *ibdev, u32 port,
			       struct ib_port_immutable *immutable);
int svan_ib_query_pkey(struct ib_device *ibdev, u32 port, u16 index, u16 *pkey);
enum rdma_link_layer svan_ib_get_link_layer(struct ib_device *ibdev, u32 port);
void svan_ib_get_fw_str(struct ib_device *ibdev, char *str);
enum ib_port_state svan_ib_port_state(struct svan_ib_dev *dev);

/* gid.c */
int svan_ib_add_gid(const struct ib_gid_attr *attr, void **context);
int svan_ib_del_gid(const struct ib_gid_attr *attr, void **context);

/* ucontext.c */
struct svan_ib_ucontext *svan_ib_udata_ucontext(struct ib_udata *udata);
int svan_ib_alloc_ucontext(struct ib_ucontext *ibucontext,
			   struct ib_udata *udata);
void svan_ib_dealloc_ucontext(struct ib_ucontext *ibucontext);
void svan_ib_disassociate_ucontext(struct ib_ucontext *ibucontext);
int svan_ib_mmap(struct ib_ucontext *ibucontext, struct vm_area_struct *vma);
void svan_ib_mmap_free(struct rdma_user_mmap_entry *entry);
int svan_ib_alloc_pd(struct ib_pd *ibpd, struct ib_udata *udata);
int svan_ib_dealloc_pd(struct ib_pd *ibpd, struct ib_udata *udata);

/* check.c: what users send, and how names of both worlds correspond */
int svan_ib_read_ureq(void *ureq, size_t size, struct ib_udata *udata);
int svan_ib_no_ureq(struct ib_udata *udata);
int svan_ib_write_uresp(struct ib_udata *udata, void *uresp, size_t size);
int svan_ib_check_cq_ureq(const struct svan_ureq_create_cq *ureq,
			  const struct svan_caps *caps, u32 cqe);
int svan_ib_check_qp_ureq(const struct svan_ureq_create_qp *ureq,
			  const struct svan_caps *caps);
int svan_ib_check_qp_cap(const struct ib_qp_cap *cap,
			 const struct svan_caps *caps);
int svan_ib_mr_access(int ib_access, u32 *access);
int svan_ib_from_mr_access(u32 access);
u32 svan_ib_qp_access(int ib_access);
int svan_ib_from_qp_access(u32 access);
enum ib_wc_status svan_ib_wc_status(u8 status);
enum ib_wc_opcode svan_ib_wc_send_opcode(u8 wqe_opcode);
int svan_ib_event_type(u8 event);

/* mtt.c */
int svan_mtt_layout_init(struct svan_mtt_layout *layout, u64 va, u64 length,
			 u8 page_shift);
u32 svan_mtt_parent(const struct svan_mtt_layout *layout, u32 table, u32 *slot);
int svan_mtt_create(struct svan_ib_dev *dev, struct svan_mtt *mtt,
		    struct ib_umem *umem, u64 va);
void svan_mtt_destroy(struct svan_ib_dev *dev, struct svan_mtt *mtt);

/* ring.c */
int svan_ring_pin(struct svan_ib_dev *dev, struct svan_ring *ring, u64 va,
		  u64 length, u32 owner);
int svan_ring_alloc(struct svan_ib_dev *dev, struct svan_ring *ring, u64 length);
void svan_ring_free(struct svan_ib_dev *dev, struct svan_ring *ring);

/* mr.c */
struct ib_mr *svan_ib_get_dma_mr(struct ib_pd *ibpd, int ib_access);
struct ib_mr *svan_ib_reg_user_mr(struct ib_pd *ibpd, u64 start, u64 length,
				  u64 virt, int ib_access,
				  struct ib_udata *udata);
struct ib_mr *svan_ib_rereg_user_mr(struct ib_mr *ibmr, int flags, u64 start,
				    u64 length, u64 virt, int ib_access,
				    struct ib_pd *new_pd,
				    struct ib_udata *udata);
int svan_ib_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata);

/* cq.c */
int svan_ib_create_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
		      struct uverbs_attr_bundle *attrs);
int svan_ib_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata);
int svan_ib_modify_cq(struct ib_cq *ibcq, u16 count, u16 period);

/* poll.c */
int svan_ib_poll_cq(struct ib_cq *ibcq, int num_entries, struct ib_wc *wc);
int svan_ib_req_notify_cq(struct ib_cq *ibcq, enum ib_cq_notify_flags flags);
void svan_ib_cq_purge(struct svan_ib_cq *cq, u32 qpn);

/* qp.c */
int svan_ib_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *attr,
		      struct ib_udata *udata);
int svan_ib_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata);
void svan_ib_flush_user_qps(struct svan_ib_dev *dev);

/* qp_modify.c */
int svan_ib_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		      struct ib_udata *udata);
int svan_ib_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		     struct ib_qp_init_attr *init_attr);

/* post.c */
int svan_ib_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr,
		      const struct ib_send_wr **bad_wr);
int svan_ib_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad_wr);
int svan_ib_init_kernel_queues(struct svan_ib_qp *qp);
void svan_ib_free_kernel_queues(struct svan_ib_qp *qp);
void svan_ib_reset_kernel_queues(struct svan_ib_qp *qp);

/* counters.c */
struct rdma_hw_stats *svan_ib_alloc_hw_port_stats(struct ib_device *ibdev,
						  u32 port);
int svan_ib_get_hw_stats(struct ib_device *ibdev, struct rdma_hw_stats *stats,
			 u32 port, int index);

/* restrack.c */
int svan_ib_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr);
int svan_ib_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr);
int svan_ib_fill_res_cq(struct sk_buff *msg, struct ib_cq *ibcq);
int svan_ib_fill_res_qp(struct sk_buff *msg, struct ib_qp *ibqp);

#endif /* SVAN_IB_H */
