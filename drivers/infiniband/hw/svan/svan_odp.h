/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * svan_ib.ko: memory that is not pinned. Process contexts, on-demand keys, page
 * requests, and estimates of the time that pages take.
 *
 * Lifetimes: a page may never come (userfaultfd, a dead file server). Only a thread
 * of the process whose page it is may wait for it (server.c). So a fault must not
 * keep the device or a region from going away. It holds references that keep the
 * memory of the structures (svan_prq.ref, svan_odp.ref), while svan_prq.live and
 * svan_odp.gone tell whether the device and the region are still there. Whoever
 * removes a device or a region first sets this mark, and then makes the faults that
 * were for it fail (svan_servers_forget()).
 *
 * The order of locks is in svan_ib.h.
 */
#ifndef SVAN_ODP_H
#define SVAN_ODP_H

#include <linux/kref.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <rdma/uverbs_ioctl.h>

#include "svan_ib.h"

/* ---- process contexts: context.c ---- */

/**
 * struct svan_context - an mm whose page table the device walks
 * @notifier: notifier of @mm; its callbacks take no lock
 * @dev: the device
 * @mm: the mm, held by mm_count
 * @entry: element of the process context table; the device writes its `cached`
 * @pasid: index of @entry
 * @generation: tells this context from earlier ones of the same PASID
 * @gone: the mm has been released, or the context is being destroyed
 * @young_flush: jiffies of the last flush that was made for accessed bits
 * @invalidations: number of flushes that reached the device
 */
struct svan_context {
	struct mmu_notifier notifier;
	struct svan_ib_dev *dev;
	struct mm_struct *mm;
	struct svan_process_context *entry;
	u32 pasid;
	u32 generation;
	bool gone;
	unsigned long young_flush;
	atomic64_t invalidations;
};

#define SVAN_MAX_INVALIDATIONS	2

/* what one store to SVAN_REG_INV_CONTEXT invalidates */
struct svan_context_range {
	u64 addr;
	u32 log_pages;
};

int svan_contexts_init(struct svan_ib_dev *dev);
void svan_contexts_exit(struct svan_ib_dev *dev);
struct svan_context *svan_context_create(struct svan_ib_dev *dev,
					 struct mm_struct *mm);
void svan_context_destroy(struct svan_context *ctx);
struct mm_struct *svan_context_get_mm(struct svan_ib_dev *dev, u32 pasid,
				      u32 generation);
u64 svan_context_invalidations(struct svan_ib_dev *dev, u32 pasid);
bool svan_context_is_live(struct svan_ib_dev *dev, u32 pasid, u32 generation);
int svan_context_split(u64 start, u64 end, struct svan_context_range *ranges);

/* ---- translation tables of on-demand keys: radix.c ---- */

/**
 * struct svan_radix - translation table of an on-demand key
 * @dma_dev: the device that reads it
 * @levels: number of levels, at least 1
 * @tables: struct svan_radix_table by number, for each level; the tables of level 0
 *	hold the entries of pages
 * @root: bus address of the top table, which exists as long as the tree
 * @count: number of tables that exist
 */
struct svan_radix {
	struct device *dma_dev;
	u8 levels;
	struct xarray tables[SVAN_MTT_MAX_LEVELS];
	dma_addr_t root;
	u32 count;
};

int svan_radix_init(struct svan_radix *radix, struct device *dma_dev,
		    u64 pages);
void svan_radix_destroy(struct svan_radix *radix);
int svan_radix_grow(struct svan_radix *radix, u64 page);
void svan_radix_prune(struct svan_radix *radix, u64 page,
		      struct list_head *dead);
void svan_radix_bury(struct svan_radix *radix, struct list_head *dead);
void svan_radix_set(struct svan_radix *radix, u64 page, u64 entry);
u64 svan_radix_get(struct svan_radix *radix, u64 page);
bool svan_radix_clear(struct svan_radix *radix, u64 first, u64 last, u64 entry);

/* ---- regions: odp.c ---- */

/**
 * struct svan_odp - a registered region whose pages come and go
 * @ref: one reference for the memory region, one for each fault and each advice
 * @dev: the device; valid while @gone is false, or while the caller keeps it alive
 * @mm: the mm that the memory belongs to, held by mm_count
 * @pd: the protection domain, for comparison only; re-registration changes it
 * @kind: SVAN_KEY_ONDEMAND or SVAN_KEY_PROCESS
 * @implicit: the region is the whole address space, of either kind
 * @writable: the key grants local or remote stores; re-registration changes it
 * @key: the key, or 0 while there is none
 * @pasid: PASID of the process context; 0 if @kind is SVAN_KEY_ONDEMAND
 * @iova: address of the first byte as the device sees it
 * @start: address of the first byte in @mm
 * @length: number of bytes
 * @lock: protects @gone, @radix, @parts, @pfns and @trim_at; held while pages are
 *	entered
 * @gone: the region is deregistered, and pages are not entered any more
 * @radix: translation table, if @kind is SVAN_KEY_ONDEMAND; this and the fields down
 *	to @trim are used by that kind only
 * @parts: struct svan_odp_part by the number of its leaf table
 * @pfns: room for a snapshot of the page table entries of a part
 * @trim_at: number of tables at which parts without pages are dropped
 * @trim: drops the parts in whose range nothing is mapped
 * @faults: number of pages that were faulted in for the device
 * @invalidations: number of pages that the notifier took away
 * @prefetches: number of pages that were prefetched
 */
struct svan_odp {
	struct kref ref;
	struct svan_ib_dev *dev;
	struct mm_struct *mm;
	const struct ib_pd *pd;
	u8 kind;
	bool implicit;
	bool writable;
	u32 key;
	u32 pasid;
	u64 iova;
	u64 start;
	u64 length;
	struct mutex lock;		/* protects gone, the tables and the parts */
	bool gone;
	struct svan_radix radix;
	struct xarray parts;
	unsigned long *pfns;
	u32 trim_at;
	struct delayed_work trim;
	atomic64_t faults;
	atomic64_t invalidations;
	atomic64_t prefetches;
};

int svan_odp_check(struct svan_ib_dev *dev, const struct svan_ib_ucontext *uctx,
		   u64 start, u64 length, u64 virt);
int svan_odp_reg(struct svan_ib_mr *mr, struct svan_ib_ucontext *uctx, u64 start);
int svan_odp_modify_key(struct svan_odp *odp, struct svan_cmd *cmd,
			const struct ib_pd *pd, u32 access);
void svan_odp_dereg_mr(struct svan_ib_mr *mr);
struct svan_odp *svan_odp_get(struct svan_ib_dev *dev, u32 key);
void svan_odp_put(struct svan_odp *odp);
int svan_odp_enter(struct svan_odp *odp, u64 addr, u64 length, bool write,
		   u32 *entered);
bool svan_odp_contains(const struct svan_odp *odp, u64 addr, u64 length);
u64 svan_odp_next(struct svan_odp *odp, u64 addr, u64 end);
u64 svan_odp_invalidations(struct svan_odp *odp);

/* part.c */
#define SVAN_PART_BYTES	((u64)SVAN_MTT_TABLE_ENTRIES << PAGE_SHIFT)

int svan_odp_init_parts(struct svan_odp *odp);
void svan_odp_release_parts(struct svan_odp *odp);
int svan_odp_enter_part(struct svan_odp *odp, u64 start, u64 *end,
			u32 *entered);
struct mutex *svan_odp_lock_part(struct svan_odp *odp, u64 page);

/* refine.c */
void svan_odp_refine(struct svan_odp *odp, u64 addr);

/* The number that the page at @addr has in the table of the key. */
static inline u64 svan_odp_page(const struct svan_odp *odp, u64 addr)
{
	return (addr >> PAGE_SHIFT) - (odp->iova >> PAGE_SHIFT);
}

static inline unsigned long svan_odp_user_addr(const struct svan_odp *odp,
					       u64 addr)
{
	return addr - odp->iova + odp->start;
}

/* ---- pinning pages for a moment: pin.c ---- */

#define SVAN_PINS	64

/**
 * struct svan_pin - a page that is pinned
 * @page: the page
 * @until: time in jiffies at which it may be unpinned
 */
struct svan_pin {
	struct page *page;
	unsigned long until;
};

/**
 * struct svan_pins - pages of a process that are pinned
 * @lock: protects the fields below except @unpin
 * @first: index of the oldest page, free-running
 * @next: index that the next page will have, free-running
 * @ring: the pages, oldest first
 * @unpin: unpins the pages whose time is over
 */
struct svan_pins {
	spinlock_t lock;		/* protects the fields below except unpin */
	u32 first;
	u32 next;
	struct svan_pin ring[SVAN_PINS];
	struct delayed_work unpin;
};

struct page *svan_pin_get(unsigned long addr, bool write);
void svan_pin_keep(struct svan_pins *pins, struct page *page);
void svan_pins_init(struct svan_pins *pins);
void svan_pins_exit(struct svan_pins *pins);

/* ---- threads of a process: server.c ---- */

struct svan_job;
struct svan_server;
struct svan_thread;

/* Queues of jobs, in the order in which threads look at them. */
enum svan_queue {
	SVAN_QUEUE_QUICK,
	SVAN_QUEUE_WAIT,
	SVAN_QUEUE_ADVICE,
	SVAN_QUEUES,
};

/**
 * struct svan_job_ops - operations of a job
 * @quick: do the job without waiting; return false if it would have to wait. Only
 *	jobs of SVAN_QUEUE_QUICK need this operation.
 * @serve: do the job, and wait for what it needs; return false if a signal came
 *	before it was done, so that this operation must be called again later
 * @wanted: does anybody still want the job to be done? svan_server.lock is held.
 * @fail: called if the job will not be done; must not wait for a process
 *
 * @quick and @serve do whatever may take long between svan_thread_lend() and
 * svan_thread_reclaim(). If the latter returns false, the job is not theirs any more,
 * and they return true at once.
 */
struct svan_job_ops {
	bool (*quick)(struct svan_thread *thread, struct svan_job *job);
	bool (*serve)(struct svan_thread *thread, struct svan_job *job);
	bool (*wanted)(const struct svan_job *job);
	void (*fail)(struct svan_job *job);
};

/**
 * struct svan_job - something that a thread of a process has to do
 * @entry: link in a queue of a struct svan_server
 * @ops: its operations
 */
struct svan_job {
	struct list_head entry;
	const struct svan_job_ops *ops;
};

int svan_servers_init(void);
void svan_servers_exit(void);
void svan_servers_forget(const struct mm_struct *mm);
struct svan_server *svan_server_get(void);
struct svan_server *svan_server_again(struct svan_server *server);
void svan_server_put(struct svan_server *server);
int svan_server_submit(const struct mm_struct *mm, struct svan_job *job,
		       enum svan_queue queue);
struct svan_server *svan_server_charge(const struct mm_struct *mm, u64 bytes);
void svan_server_uncharge(struct svan_server *server, u64 bytes);
bool svan_thread_lend(struct svan_thread *thread, struct svan_job *job);
bool svan_thread_reclaim(struct svan_thread *thread);
bool svan_thread_is_lent(const struct svan_thread *thread);
struct svan_pins *svan_thread_pins(struct svan_thread *thread);

/* ---- page requests: prq.c ---- */

/* a copy of a struct svan_page_request in host byte order */
struct svan_page_req {
	u64 addr;
	u64 entry;
	u32 length;
	u32 token;
	u32 key;
	u32 pasid;
	u32 generation;
	u32 qpn;
	u8 flags;
	u8 level;
	u8 attempt;
};

/**
 * struct svan_place - where an absent page is, on which depends how long it takes
 * @fault_class: enum svan_fault_class
 * @key: the backing store (struct svan_est_slot), or SVAN_EST_ANY
 */
struct svan_place {
	u32 fault_class;
	u32 key;
};

/**
 * struct svan_fault - a page request that is being served
 * @job: job of a thread of the process; while the fault is idle, its entry is in
 *	svan_prq.free
 * @prq: the queue; a fault in use holds a reference to it
 * @req: the request
 * @place: where the page was found to be
 * @estimate: time in ns that the device was told
 * @start: time at which the request was taken from the queue
 * @picked: time at which a thread last took the fault up
 * @odp: the region, with a reference; NULL if it is gone, in which case only a
 *	request for a process key can still be served
 * @mm: the mm that the memory belongs to, held by mm_count, or NULL
 * @addr: address of the page in @mm
 */
struct svan_fault {
	struct svan_job job;
	struct svan_prq *prq;
	struct svan_page_req req;
	struct svan_place place;
	u64 estimate;
	ktime_t start;
	ktime_t picked;
	struct svan_odp *odp;
	struct mm_struct *mm;
	unsigned long addr;
};

/**
 * struct svan_prq - the page request queue of a function
 * @ref: one reference for the device, one for each fault in use and each advice
 * @dev: the device; a reference keeps its memory after it is unregistered
 * @handler: receives the event of page requests
 * @begin: called in softirq context for each request; tells the device what the page
 *	waits for, and hands the fault to a thread. Returns false if it has written
 *	the final answer instead; then the fault is still the caller's.
 * @drain: takes requests from the ring, in softirq context; nothing else uses @ci
 *	and @requests
 * @dispose: releases the faults in @refused
 * @lock: protects @live and the fields below it
 * @log_size: log2 of the size of the request ring; the ring of responses is twice as
 *	large
 * @ci: number of requests taken, free-running
 * @requests: ring of requests, written by the device
 * @requests_dma: bus address of @requests
 * @responses_dma: bus address of @responses
 * @faults: array of all faults, one for each entry of @requests
 * @closing: advice is not followed any more
 * @live: the queue exists in the device, and responses may be written
 * @starved: requests were left in the ring because no fault was idle
 * @pi: number of responses written, free-running
 * @responses: ring of responses, read by the device
 * @busy: set of the tokens whose final answer is not written yet
 * @free: list of the idle faults
 * @refused: list of faults that @begin has answered, and that hold references still
 */
struct svan_prq {
	struct kref ref;
	struct svan_ib_dev *dev;
	struct svan_page_handler handler;
	bool (*begin)(struct svan_fault *fault);
	struct work_struct drain;
	struct work_struct dispose;
	spinlock_t lock;		/* protects live and the fields below it */
	u8 log_size;
	u32 ci;
	struct svan_page_request *requests;
	dma_addr_t requests_dma;
	dma_addr_t responses_dma;
	struct svan_fault *faults;
	bool closing;

	bool live;
	bool starved;
	u32 pi;
	struct svan_page_response *responses;
	unsigned long *busy;
	struct list_head free;
	struct list_head refused;
};

int svan_ib_prq_create(struct svan_ib_dev *dev,
		    bool (*begin)(struct svan_fault *fault));
void svan_ib_prq_destroy(struct svan_ib_dev *dev);
void svan_prq_put(struct svan_prq *prq);
void svan_prq_pending(struct svan_fault *fault);
void svan_prq_finish(struct svan_fault *fault, bool resolved);
void svan_prq_release(struct svan_fault *fault);
void svan_ib_prq_close(struct svan_ib_dev *dev);

/* ---- serving page requests: fault.c ---- */

/* How a page is faulted in: flags for svan_fault_in(). */
#define SVAN_IN_WRITE	BIT(0)	/* the page will be written */
#define SVAN_IN_TABLE	BIT(1)	/* it will be entered into a key's table through HMM */
#define SVAN_IN_NOWAIT	BIT(2)	/* do not wait, neither for mmap_lock nor for data */
#define SVAN_IN_ANON	BIT(3)	/* fail unless the memory is anonymous */
#define SVAN_IN_NO_USER	BIT(4)	/* fail if a userfaultfd would have to serve it */
#define SVAN_IN_NO_ASK	BIT(5)	/* fail if a file system must allow the store first */

int svan_fault_in(unsigned long addr, u32 how);
bool svan_fault_begin(struct svan_fault *fault);

/* ---- classification of absent pages: classify.c ---- */

void svan_classify(struct mm_struct *mm, unsigned long addr,
		   const struct svan_page_req *req, struct svan_place *place);
bool svan_classify_block(struct mm_struct *mm, unsigned long addr, u32 count,
			 struct svan_place *places);
unsigned long svan_next_mapped(struct mm_struct *mm, unsigned long addr,
			       unsigned long end);
void svan_classify_entry(const struct svan_page_req *req,
			 struct svan_place *place);
void svan_classify_location(u32 location, struct svan_place *place);

/* ---- estimates of the time that pages take: learn.c ---- */

void svan_learn_init(struct svan_ib_dev *dev);
void svan_learn_exit(struct svan_ib_dev *dev);
void svan_learn_reset(struct svan_ib_dev *dev);
u64 svan_learn_get(struct svan_ib_dev *dev, const struct svan_place *place);
void svan_learn_add(struct svan_ib_dev *dev, const struct svan_place *place,
		    u64 estimate, u64 actual);
u64 svan_learn_absent(struct svan_ib_dev *dev, u32 fault_class);
int svan_learn_add_locations(struct svan_ib_dev *dev);
void svan_learn_free_locations(struct svan_ib_dev *dev);
void svan_learn_set_percentile(struct svan_ib_dev *dev, u32 percentile);

/* ---- ibv_advise_mr(): advise.c ---- */

int svan_ib_advise_mr(struct ib_pd *pd, enum ib_uverbs_advise_mr_advice kind,
		      u32 flags, struct ib_sge *sg_list, u32 num_sge,
		      struct uverbs_attr_bundle *attrs);

/* ---- pages for diverted data: spare.c ---- */

int svan_spare_init(struct svan_ib_dev *dev);
void svan_spare_exit(struct svan_ib_dev *dev);

/* ---- fault policy of a QP: policy.c ---- */

extern const struct uapi_definition svan_ib_uapi_defs[];
extern const struct uapi_definition svan_ib_uar_defs[];
extern const struct uapi_definition svan_ib_counter_defs[];

/* ---- debugfs.c ---- */

#ifdef CONFIG_DEBUG_FS
void svan_ib_debugfs_init(void);
void svan_ib_debugfs_exit(void);
void svan_ib_debugfs_add(struct svan_ib_dev *dev);
void svan_ib_debugfs_del(struct svan_ib_dev *dev);
#else
static inline void svan_ib_debugfs_init(void) {}
static inline void svan_ib_debugfs_exit(void) {}
static inline void svan_ib_debugfs_add(struct svan_ib_dev *dev) {}
static inline void svan_ib_debugfs_del(struct svan_ib_dev *dev) {}
#endif

#endif /* SVAN_ODP_H */
