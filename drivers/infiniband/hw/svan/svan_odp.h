/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * svan_ib.ko: memory that is not pinned. Process contexts, on-demand keys, page
 * requests, and what is known of the time pages take.
 *
 * Lifetimes: a page can take for ever (userfaultfd, a dead file server), and
 * nothing may wait for it but a thread of the process whose page it is (server.c).
 * What a fault needs is counted: the device (svan_prq.ref holds its memory,
 * svan_prq.live says that there is hardware) and the region (svan_odp.ref,
 * svan_odp.gone). Whoever takes one of them away marks it first and then has the
 * faults that were for it failed (svan_servers_forget()).
 *
 * Locks: see svan_ib.h.
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
 * @notifier: of the mm; its callbacks take no lock
 * @dev: the device
 * @mm: mm_count is held
 * @entry: in the process context table; the device writes `cached`
 * @pasid: its index
 * @generation: tells uses of the index apart
 * @gone: the mm has been released, or the context is being destroyed
 * @young_flush: jiffies of the last flush for the sake of accessed bits
 * @invalidations: flushes that reached the device
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

/* One store to SVAN_REG_INV_CONTEXT */
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

/* ---- tables that grow and shrink: radix.c ---- */

/**
 * struct svan_radix - translation table of an on-demand key
 * @dma_dev: who reads it
 * @levels: at least 1
 * @tables: struct svan_radix_table by number, of each level; 0 holds the leaves
 * @root: bus address of the top table, which stays
 * @count: tables there are
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
 * @ref: the region itself, faults and prefetches under way
 * @dev: the device, valid while @gone is false or the caller holds it otherwise
 * @mm: whose memory it is; mm_count is held
 * @pd: for comparison only; may change, as @writable
 * @kind: SVAN_KEY_ONDEMAND or SVAN_KEY_PROCESS
 * @implicit: the whole address space, however it is served
 * @writable: the key grants local or remote stores
 * @key: its key, 0 before it has one
 * @pasid: of the process context, or 0
 * @iova: address of the first octet as the device sees it
 * @start: the same in @mm
 * @length: bytes
 * @lock: held while pages are entered, and to set @gone
 * @gone: deregistered: no pages are entered any more
 * @radix: ONDEMAND: the table
 * @parts: ONDEMAND: struct svan_odp_part by leaf table, those that are used
 * @pfns: room for a snapshot of a part's page table entries
 * @trim_at: tables at which those without pages are looked for
 * @trim: drops the parts where nothing is mapped any more
 * @faults: pages that were faulted in for the device
 * @invalidations: pages that were taken away from it
 * @prefetches: pages that were prefetched
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
	struct mutex lock;		/* gone, tables and parts */
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

/* Number of the page of @addr in the key's table. */
static inline u64 svan_odp_page(const struct svan_odp *odp, u64 addr)
{
	return (addr >> PAGE_SHIFT) - (odp->iova >> PAGE_SHIFT);
}

static inline unsigned long svan_odp_user_addr(const struct svan_odp *odp,
					       u64 addr)
{
	return addr - odp->iova + odp->start;
}

/* ---- holding pages for a moment: pin.c ---- */

#define SVAN_PINS	64

/**
 * struct svan_pin - a page that is held
 * @page: the page
 * @until: jiffies
 */
struct svan_pin {
	struct page *page;
	unsigned long until;
};

/**
 * struct svan_pins - pages of a process that are held
 * @lock: what follows
 * @first: the oldest, free-running
 * @next: the next one, free-running
 * @ring: the pages
 * @unpin: lets go of them
 */
struct svan_pins {
	spinlock_t lock;		/* what follows */
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

/* What is in the first is done first. */
enum svan_queue {
	SVAN_QUEUE_QUICK,
	SVAN_QUEUE_WAIT,
	SVAN_QUEUE_ADVICE,
	SVAN_QUEUES,
};

/**
 * struct svan_job_ops - what a thread does for a job
 * @quick: of jobs in SVAN_QUEUE_QUICK: do it if it needs no wait; false: it does
 * @serve: do it, and wait for what it needs; false: a signal came first, it shall
 *	be called again
 * @wanted: is there still somebody whom it is for? svan_server.lock is held
 * @fail: it will not be done; waits for nothing of a process
 *
 * What may take long the first two do between svan_thread_lend() and
 * svan_thread_reclaim(). When the latter returns false, they return true at once.
 */
struct svan_job_ops {
	bool (*quick)(struct svan_thread *thread, struct svan_job *job);
	bool (*serve)(struct svan_thread *thread, struct svan_job *job);
	bool (*wanted)(const struct svan_job *job);
	void (*fail)(struct svan_job *job);
};

/**
 * struct svan_job - something that a thread of a process has to do
 * @entry: in a queue of its struct svan_server
 * @ops: what
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

/* struct svan_page_request, copied once, in host order */
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
 * struct svan_place - where an absent page is
 * @fault_class: enum svan_fault_class
 * @key: the store, or SVAN_EST_ANY
 */
struct svan_place {
	u32 fault_class;
	u32 key;
};

/**
 * struct svan_fault - a page request that is being served
 * @job: of a thread of the process; its entry is in svan_prq.free while idle
 * @prq: whose it is; counted while it is in use
 * @req: what was asked for
 * @place: where the page was found to be
 * @estimate: what was said of it, ns
 * @start: when the request was taken from the queue
 * @picked: when a thread began with it, the last one
 * @odp: the region, or NULL: a process key's may be gone
 * @mm: whose memory it is, or NULL; mm_count is held
 * @addr: the page in @mm
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
 * @ref: the device's, one for each fault in use and each advice
 * @dev: its memory is held, whether it is registered or not
 * @handler: of the event
 * @begin: takes up a request, in softirq context: it tells the device what the page
 *	waits for, and hands the fault on; false if the fault has been answered
 *	already, and nobody else has it
 * @drain: takes requests from the ring, in softirq context; the only user of @ci
 *	and @requests
 * @dispose: lets go of @refused
 * @lock: @live and what follows it
 * @log_size: of the request ring; that of the responses is twice as large
 * @ci: requests taken, free-running
 * @requests: the device writes them
 * @requests_dma: bus address of @requests
 * @responses_dma: bus address of @responses
 * @faults: all there are
 * @closing: no advice is followed any more
 * @live: the device may be told something
 * @starved: requests were left in the ring for want of a struct svan_fault
 * @pi: responses written, free-running
 * @responses: the device reads them
 * @busy: tokens whose final answer is not written yet
 * @free: faults that are idle
 * @refused: faults that the drain has answered
 */
struct svan_prq {
	struct kref ref;
	struct svan_ib_dev *dev;
	struct svan_page_handler handler;
	bool (*begin)(struct svan_fault *fault);
	struct work_struct drain;
	struct work_struct dispose;
	spinlock_t lock;		/* live and what follows it */
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

/* ---- serving them: fault.c ---- */

#define SVAN_IN_WRITE	BIT(0)	/* for a store */
#define SVAN_IN_TABLE	BIT(1)	/* for the table of a key: only what HMM takes */
#define SVAN_IN_NOWAIT	BIT(2)	/* neither for mmap_lock nor for data */
#define SVAN_IN_ANON	BIT(3)	/* no file's page, nor anything else's */
#define SVAN_IN_NO_USER	BIT(4)	/* not for a userfaultfd */
#define SVAN_IN_NO_ASK	BIT(5)	/* no file system is asked whether it may be written */

int svan_fault_in(unsigned long addr, u32 how);
bool svan_fault_begin(struct svan_fault *fault);

/* ---- what a page waits for: classify.c ---- */

void svan_classify(struct mm_struct *mm, unsigned long addr,
		   const struct svan_page_req *req, struct svan_place *place);
bool svan_classify_block(struct mm_struct *mm, unsigned long addr, u32 count,
			 struct svan_place *places);
unsigned long svan_next_mapped(struct mm_struct *mm, unsigned long addr,
			       unsigned long end);
void svan_classify_entry(const struct svan_page_req *req,
			 struct svan_place *place);
void svan_classify_location(u32 location, struct svan_place *place);

/* ---- what it takes: learn.c ---- */

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

/* ---- what a QP does with faults: policy.c ---- */

extern const struct uapi_definition svan_ib_uapi_defs[];

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
