/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * svan_ib.ko: verbs on a Svan function.
 *
 * Locks, in the order in which they nest:
 *   svan_ib_qp.mutex	state and attributes of a QP; MODIFY_QP and QUERY_QP
 *   svan_ib_cq.lock	consumer side of a kernel CQ and of its QPs' queues
 *   svan_ib_wq.lock	producer side of a kernel work queue
 *   svan_ib_srq.lock	producer side of a kernel shared receive queue
 * svan_ib_dev.port_lock nests with none of them. Commands sleep, so they run under a
 * mutex at most.
 *
 * Locks of memory that is not pinned (svan_odp.h), in the order in which they nest:
 *   svan_ib_ucontext.context_lock	process context and server of a verbs context
 *   svan_odp.lock	held while pages are entered into a region, and while its
 *			tables and parts are made or freed; memory is allocated
 *			under it
 *   mm_struct.mmap_lock
 *   svan_odp_part.lock	entries of a leaf table; reclaim takes it, through the
 *			notifier, so nothing is allocated under it
 *   svan_prq.lock	responses to page requests, list of idle faults
 *   svan_learn.lock	the estimator
 *   svan_dev.inv_lock	(in svan.ko)
 * The notifier of a process context takes none of them.
 *
 * Locks of threads (server.c), in the order in which they nest:
 *   svan_servers_lock	table of servers by mm, and the number of their users
 *   svan_server.lock	threads of a server, and the jobs in its queues
 *   the xarray lock of svan_context_table.live
 * svan_pins.lock, of pages that are pinned for a moment, nests with none of them.
 *
 * The drain of page requests runs in a softirq. All spin locks that it takes are
 * taken with softirqs disabled everywhere: the two of servers, those of the xarrays
 * of regions and of process contexts, svan_prq.lock and svan_learn.lock.
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
struct svan_ib_counter;
struct svan_ib_uar;

/* most UAR pages of one verbs context, beside its own */
#define SVAN_IB_MAX_UARS	64

/* most completion counters of one verbs context */
#define SVAN_IB_MAX_COUNTERS	1024

#define SVAN_IB_PORT	1	/* number of the only port */

/**
 * struct svan_context_table - the process contexts of a device
 * @entries: the table, read by the device; NULL if there is none
 * @dma: bus address of @entries
 * @count: number of elements, that of PASID 0 included
 * @pasids: the PASIDs in use
 * @generations: the last generation of each PASID; the owner of the PASID may
 *	access its element
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
 * @lock: protects @est
 * @est: the estimator
 * @refresh: copies the estimates to @locations
 * @locations: location table of all process contexts, read by the device; NULL if
 *	there is none
 * @locations_dma: bus address of @locations
 */
struct svan_learn {
	spinlock_t lock;		/* protects est */
	struct svan_estimator est;
	struct delayed_work refresh;
	__le64 *locations;
	dma_addr_t locations_dma;
};

/**
 * struct svan_ib_dev - the RDMA device of a function
 * @ibdev: first, as ib_alloc_device() wants it
 * @sdev: the function, valid while the auxiliary device is bound
 * @caps: capabilities of the function; little-endian
 * @owners: ids of verbs contexts for SVAN_CMD_ALLOC_UAR; 0 is that of the kernel
 * @uars_lock: protects @user_uars
 * @user_uars: number of UAR pages that a user has, by uid
 * @uars_wq: gives UAR pages back
 * @kernel_qps: QPs of the kernel by number, for svan_ib_poll_cq()
 * @user_qps: QPs of users by number; the entries hold no reference
 * @aux_nb: receives port and fatal events of the function
 * @netdev_nb: receives changes of the netdev's state
 * @port_lock: protects @port_state and @fatal
 * @port_state: state of the port as it was last announced
 * @fatal: the function's death has been announced
 * @ondemand_keys: memory can be registered without being pinned, and the device
 *	asks for absent pages
 * @process_keys: the device can walk the page tables of processes; without
 *	@ondemand_keys it reaches resident pages only
 * @odps: struct svan_odp by key
 * @contexts: the process contexts
 * @prq: the page request queue, or NULL
 * @learn: estimates of how long pages take
 * @spare: pages for diverted data, or NULL
 * @debugfs: debugfs folder of the device
 */
struct svan_ib_dev {
	struct ib_device ibdev;
	struct svan_dev *sdev;
	const struct svan_caps *caps;
	struct ida owners;
	struct mutex uars_lock;		/* protects user_uars */
	struct xarray user_uars;
	struct workqueue_struct *uars_wq;
	struct xarray kernel_qps;
	struct xarray user_qps;
	struct notifier_block aux_nb;
	struct notifier_block netdev_nb;
	struct mutex port_lock;		/* protects port_state and fatal */
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

/* A UAR page in the mmap space of a verbs context; given back with the last mapping. */
struct svan_ib_mmap_entry {
	struct rdma_user_mmap_entry rdma;
	struct svan_ib_dev *dev;
	struct work_struct free;
	kuid_t uid;			/* user who is charged */
	phys_addr_t phys;
	u32 page;
	atomic_t *count;		/* of pages that counts this one, or NULL */
};

/**
 * struct svan_ib_ucontext - a verbs context
 * @ibucontext: first, as ib_core wants it
 * @uar_entry: entry of the UAR page in the mmap space
 * @owner: id of this context in svan_ib_dev.owners
 * @uar: number of the UAR page
 * @uars: pages that are objects of their own, struct svan_ib_uar by number
 * @num_uars: number of such pages, with those whose objects are gone but that are mapped
 * @num_counters: number of completion counters
 * @mm: mm of the process that opened the context, held by mm_count; process keys
 *	are of this process only
 * @context_lock: protects the fields below
 * @context: process context, made for the first process key
 * @server: threads of @mm, made for its first on-demand or process key
 */
struct svan_ib_ucontext {
	struct ib_ucontext ibucontext;
	struct svan_ib_mmap_entry *uar_entry;
	u32 owner;
	u32 uar;
	struct xarray uars;
	atomic_t num_uars;
	atomic_t num_counters;
	struct mm_struct *mm;
	struct mutex context_lock;	/* protects the fields below */
	struct svan_context *context;
	struct svan_server *server;
};

struct svan_ib_pd {
	struct ib_pd ibpd;
	u32 pdn;
};

/**
 * struct svan_mtt_layout - shape of a translation table (svan/keys.h)
 * @pages: number of pages, which are the leaves of the tree
 * @num_tables: number of tables of all levels
 * @levels: number of levels; 0 if one page covers the key
 * @page_shift: log2 of the size of the pages
 * @first: number of the first table of each level; level 0 points to the pages.
 *	Tables are numbered level by level, and the root comes last.
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
	struct svan_mtt_table *tables;	/* NULL if there are no levels */
};

/**
 * struct svan_ring - memory of a queue or a count, and the internal key that covers it
 * @dev: the device; of memory of another device only
 * @umem: pinned pages of a user or of another device, or NULL
 * @mtt: translation table of @umem
 * @addr: memory of a queue of the kernel, or NULL
 * @dma: bus address of @addr
 * @va: address of the first byte as the device sees it
 * @length: number of bytes
 * @key: the key, made with SVAN_CMD_KEY_INTERNAL
 */
struct svan_ring {
	struct svan_ib_dev *dev;
	struct ib_umem *umem;
	struct svan_mtt mtt;
	void *addr;
	dma_addr_t dma;
	u64 va;
	u64 length;
	u32 key;
};

struct svan_ib_ah {
	struct ib_ah ibah;
	struct svan_av av;		/* without the QPN and the Q_Key */
};

struct svan_ib_mr {
	struct ib_mr ibmr;
	struct ib_umem *umem;
	struct svan_mtt mtt;
	struct svan_odp *odp;		/* instead of umem and mtt, if not pinned */
	struct svan_server *server;	/* of odp's mm; NULL without page requests */
	u32 access;			/* SVAN_ACCESS_* */
	u32 owner;			/* id of the verbs context; 0 is the kernel */
};

struct svan_ib_cq {
	struct ib_cq ibcq;
	struct svan_cq_handler handler;
	struct svan_ring ring;
	u32 cqn;
	u32 eqn;
	u8 log_size;
	bool ignore_overrun;

	/* The fields below are of CQs of the kernel only. */
	spinlock_t lock;		/* ci, and the consumer side of the QPs */
	struct svan_cqe *cqes;
	struct svan_cq_dbr *dbr;
	u32 ci;
};

/*
 * A work queue of the kernel. Posting advances pi, polling advances ci. An element
 * of wr_ids is written before pi passes it, and read before ci passes it.
 */
struct svan_ib_wq {
	spinlock_t lock;		/* protects pi and the free slots */
	u64 *wr_ids;			/* by slot of a WQE's first block */
	u32 mask;
	u32 pi;
	u32 ci;
	u32 max_sge;
};

/*
 * A shared receive queue. The device gives the slots of entries back through the record,
 * and the wr_ids in the completions.
 */
struct svan_ib_srq {
	struct ib_srq ibsrq;
	struct svan_srq_handler handler;
	struct svan_ring ring;
	u32 srqn;
	u32 max_sge;
	u8 log_size;
	u8 log_stride;

	/* The fields below are of SRQs of the kernel only. */
	spinlock_t lock;		/* protects pi and the free slots */
	u8 *entries;
	struct svan_srq_dbr *dbr;
	u32 pi;
};

/* Parts of a QP of a user that may have memory of their own. */
enum svan_ib_qp_part {
	SVAN_IB_QP_SQ,
	SVAN_IB_QP_RQ,
	SVAN_IB_QP_DBR,
	SVAN_IB_QP_PARTS,
};

struct svan_ib_qp {
	struct ib_qp ibqp;
	struct svan_qp_handler handler;
	struct svan_ring ring;		/* of the parts that are not apart, if any */
	struct svan_ring apart[SVAN_IB_QP_PARTS];
	u8 apart_mask;			/* which of them are in use */
	u8 type;			/* enum svan_qp_type */
	struct mutex mutex;		/* protects state and av */
	enum ib_qp_state state;
	struct svan_av av;		/* address vector as it was last set */
	struct svan_ib_uar *uar;	/* its own page, or NULL */
	struct svan_ib_counter *counters[2];	/* of sends, of receives; or NULL */
	struct ib_qp_cap cap;
	u8 log_sq_bbs;
	u8 log_rq_size;
	u8 log_rq_stride;
	bool signal_all;

	/* The fields below are of QPs of the kernel only. */
	struct svan_ib_wq sq;
	struct svan_ib_wq rq;		/* not used if there is an SRQ */
	struct svan_sq_ring sq_ring;
	u8 *sq_bbs;			/* number of blocks of the WQE in each slot */
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

static inline struct svan_ib_ah *to_svan_ib_ah(struct ib_ah *ibah)
{
	return container_of(ibah, struct svan_ib_ah, ibah);
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

static inline struct svan_ib_srq *to_svan_ib_srq(struct ib_srq *ibsrq)
{
	return container_of(ibsrq, struct svan_ib_srq, ibsrq);
}

/* Each send of such a QP has an address of its own. */
static inline bool svan_ib_is_datagram(const struct svan_ib_qp *qp)
{
	return qp->type == SVAN_QPT_UD || qp->type == SVAN_QPT_GSI;
}

/*
 * Memory of another device is revoked before the key to it is destroyed, since the key's
 * number may be another's after. Other memory is not touched.
 */
static inline void svan_ib_revoke_umem(struct ib_umem *umem)
{
	if (umem && umem->is_dmabuf)
		ib_umem_dmabuf_revoke(to_ib_umem_dmabuf(umem));
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
enum ib_mtu svan_ib_active_mtu(struct svan_ib_dev *dev);

/* gid.c */
int svan_ib_add_gid(const struct ib_gid_attr *attr, void **context);
int svan_ib_del_gid(const struct ib_gid_attr *attr, void **context);

/* ah.c */
int svan_ib_fill_av(struct svan_av *av, const struct rdma_ah_attr *ah);
void svan_ib_read_av(const struct svan_av *av, struct rdma_ah_attr *ah);
int svan_ib_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *attr,
		      struct ib_udata *udata);
int svan_ib_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr);
int svan_ib_destroy_ah(struct ib_ah *ibah, u32 flags);
int svan_ib_attach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid);
int svan_ib_detach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid);

/* ucontext.c */
struct svan_ib_ucontext *svan_ib_udata_ucontext(struct ib_udata *udata);
struct svan_ib_mmap_entry *svan_ib_alloc_uar(struct svan_ib_dev *dev,
					     struct svan_ib_ucontext *uctx,
					     u32 *page);
void svan_ib_flush_uars(struct svan_ib_dev *dev);
int svan_ib_alloc_ucontext(struct ib_ucontext *ibucontext,
			   struct ib_udata *udata);
void svan_ib_dealloc_ucontext(struct ib_ucontext *ibucontext);
void svan_ib_disassociate_ucontext(struct ib_ucontext *ibucontext);
int svan_ib_mmap(struct ib_ucontext *ibucontext, struct vm_area_struct *vma);
void svan_ib_mmap_free(struct rdma_user_mmap_entry *entry);
int svan_ib_alloc_pd(struct ib_pd *ibpd, struct ib_udata *udata);
int svan_ib_dealloc_pd(struct ib_pd *ibpd, struct ib_udata *udata);

/* uar.c */
struct svan_ib_uar *svan_ib_uar_get(struct svan_ib_ucontext *uctx, u32 page);
void svan_ib_uar_put(struct svan_ib_uar *uar);

/* counter.c */
void svan_ib_counters_put(struct svan_ib_qp *qp);

/* check.c: checks of what users send; conversion of values of verbs and device */
int svan_ib_read_ureq(void *ureq, size_t size, struct ib_udata *udata);
int svan_ib_no_ureq(struct ib_udata *udata);
int svan_ib_write_uresp(struct ib_udata *udata, void *uresp, size_t size);
int svan_ib_check_cq_ureq(const struct svan_ureq_create_cq *ureq,
			  const struct svan_caps *caps, u32 cqe);
int svan_ib_check_srq_ureq(const struct svan_ureq_create_srq *ureq,
			   const struct svan_caps *caps,
			   const struct ib_srq_attr *attr);
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
void svan_mtt_revoke(struct svan_ib_dev *dev, struct svan_mtt *mtt);
void svan_mtt_destroy(struct svan_ib_dev *dev, struct svan_mtt *mtt);

/* ring.c */
int svan_ring_pin(struct svan_ib_dev *dev, struct svan_ring *ring, u64 va,
		  u64 length, u32 owner);
int svan_ring_pin_dmabuf(struct svan_ib_dev *dev, struct svan_ring *ring,
			 int fd, u64 offset, u64 length, u32 owner);
int svan_ring_pin_desc(struct svan_ib_dev *dev, struct svan_ring *ring,
		       const struct svan_ib_buffer_desc *desc, u32 owner);
int svan_ring_alloc(struct svan_ib_dev *dev, struct svan_ring *ring, u64 length);
void svan_ring_free(struct svan_ib_dev *dev, struct svan_ring *ring);

/* mr.c */
struct ib_mr *svan_ib_get_dma_mr(struct ib_pd *ibpd, int ib_access);
struct ib_mr *svan_ib_reg_user_mr(struct ib_pd *ibpd, u64 start, u64 length,
				  u64 virt, int ib_access,
				  struct ib_udata *udata);
struct ib_mr *svan_ib_reg_user_mr_dmabuf(struct ib_pd *ibpd, u64 offset,
					 u64 length, u64 virt, int fd,
					 int ib_access,
					 struct uverbs_attr_bundle *attrs);
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

/* srq.c */
int svan_ib_create_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *attr,
		       struct ib_udata *udata);
int svan_ib_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata);
int svan_ib_modify_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr,
		       enum ib_srq_attr_mask mask, struct ib_udata *udata);
int svan_ib_query_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr);
int svan_ib_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
			  const struct ib_recv_wr **bad_wr);

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
void svan_ib_write_rwqe(struct svan_rwqe *rwqe, const struct ib_recv_wr *wr);
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
int svan_ib_fill_res_srq(struct sk_buff *msg, struct ib_srq *ibsrq);

#endif /* SVAN_IB_H */
