/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Svan accelerator: what the files of the driver share.
 *
 * An open file is one context of the device (struct svan_accel_ctx). What the device may
 * access is in the context's translation tables, and each mapping there holds what it
 * maps: a buffer, pinned pages of a process, or a doorbell window. A mapping is taken
 * out of the tables, the device is told, and a read of SVAN_ACCEL_REG_DRAIN has returned
 * before what it held is let go.
 *
 * Locks, in the order in which they are taken:
 *
 *	svan_accel_dev.contexts_lock
 *	svan_accel_dev.exports_lock
 *	reservation lock of a dma-buf or a buffer
 *	svan_accel_ctx.lock
 *	svan_accel_dev.memory_lock, svan_accel_slot.lock
 *
 * The reservation lock comes before a context's lock because svan_ib revokes a window
 * with the former held. And mmap_lock comes before reservation locks, so memory of a
 * process is pinned, copied or faulted in with none of these held.
 *
 * The device can go while files are open: what uses it runs between drm_dev_enter() and
 * drm_dev_exit(), and remove waits for that. What may wait for a process (pinning of its
 * memory) runs outside.
 */
#ifndef SVAN_ACCEL_DRIVER_H
#define SVAN_ACCEL_DRIVER_H

#include <drm/drm_device.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_mm.h>
#include <drm/svan_accel.h>
#include <linux/atomic.h>
#include <linux/dma-direction.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>
#include <svan/accel.h>

#define SVAN_ACCEL_TABLE_ENTRIES	512
#define SVAN_ACCEL_LEVELS		3	/* of each context: 512 GiB */

/* Pages that are given out: never the first ones, so that small addresses fault. */
#define SVAN_ACCEL_FIRST_PAGE		16ul
#define SVAN_ACCEL_END_PAGE		(1ul << (9 * SVAN_ACCEL_LEVELS))

#define SVAN_ACCEL_EVENTS		2	/* enum drm_svan_accel_event_kind */

struct dma_buf;
struct dma_buf_attachment;
struct eventfd_ctx;
struct svan_accel_dev;

/**
 * struct svan_accel_slot - what belongs to the number of a context
 * @dev: the device
 * @number: number of the context
 * @lock: protects @events and @told
 * @events: eventfds by enum drm_svan_accel_event_kind, or NULL
 * @told: the user was told of the fault that the context is in
 * @name: name of the interrupt
 */
struct svan_accel_slot {
	struct svan_accel_dev *dev;
	u32 number;
	spinlock_t lock;		/* protects events and told */
	struct eventfd_ctx *events[SVAN_ACCEL_EVENTS];
	bool told;
	char name[32];
};

/**
 * struct svan_accel_counts - what is in use, for debugfs
 * @mappings: mappings of all contexts
 * @pinned: pages of processes
 * @tables: translation tables
 * @windows: windows that are not revoked
 * @exports: dma-bufs of local memory
 * @pins: pins and mappings of these by other devices
 */
struct svan_accel_counts {
	atomic_long_t mappings;
	atomic_long_t pinned;
	atomic_long_t tables;
	atomic_long_t windows;
	atomic_long_t exports;
	atomic_long_t pins;
};

/**
 * struct svan_accel_dev - one accelerator
 * @drm: the DRM device; it outlives the binding while files or dma-bufs are open
 * @pdev: the PCI device
 * @regs: BAR 0
 * @local: BAR 4, the local memory
 * @local_phys: physical address of the local memory
 * @doorbells_phys: physical address of the pages of doorbells
 * @contexts_lock: protects @contexts and @numbers
 * @contexts: struct svan_accel_ctx, all of them
 * @numbers: which numbers of contexts are taken
 * @slots: by number of the context
 * @memory_lock: protects @memory and @user_memory
 * @memory: allocator of local memory, in octets
 * @user_memory: pages of local memory that a user has, by uid
 * @memory_size: octets of local memory
 * @memory_used: octets of it that are in buffers
 * @exports_lock: protects @exports
 * @exports: buffers with a dma-buf
 * @down: the device is being reset, or did not come back. What needs it fails with -EBUSY
 *	(not -EAGAIN, upon which libdrm calls again at once).
 * @resets: number of resets so far; it changes after @down was set
 * @counts: for debugfs
 */
struct svan_accel_dev {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *regs;
	void __iomem *local;
	phys_addr_t local_phys;
	phys_addr_t doorbells_phys;
	struct mutex contexts_lock;	/* protects contexts and numbers */
	struct list_head contexts;
	DECLARE_BITMAP(numbers, SVAN_ACCEL_CONTEXTS);
	struct svan_accel_slot slots[SVAN_ACCEL_CONTEXTS];
	struct mutex memory_lock;	/* protects memory and user_memory */
	struct drm_mm memory;
	struct xarray user_memory;
	u64 memory_size;
	atomic64_t memory_used;
	struct mutex exports_lock;	/* protects exports */
	struct list_head exports;
	bool down;
	unsigned int resets;
	struct svan_accel_counts counts;
};

/**
 * struct svan_accel_table - a translation table of a context
 * @entries: what the device reads
 * @dma: bus address of @entries
 * @below: the tables that @entries name, or NULL; an upper table only
 */
struct svan_accel_table {
	__le64 *entries;
	dma_addr_t dma;
	struct svan_accel_table *below[];
};

/**
 * struct svan_accel_ctx - a context
 * @dev: the device
 * @link: in svan_accel_dev.contexts
 * @number: of the context
 * @mm: mm of the process that opened it, held by mm_count; what is pinned is charged to it
 * @uid: user that opened it
 * @lock: protects the fields below, and the registers of the context
 * @on: it is enabled in the device. If not, the device does not access its memory.
 * @queues: which queues exist
 * @mappings: struct svan_accel_mapping by page number
 * @root: the root table; NULL once it was torn down
 */
struct svan_accel_ctx {
	struct svan_accel_dev *dev;
	struct list_head link;
	u32 number;
	struct mm_struct *mm;
	kuid_t uid;
	struct mutex lock;		/* protects the fields below */
	bool on;
	DECLARE_BITMAP(queues, SVAN_ACCEL_QUEUES);
	struct maple_tree mappings;
	struct svan_accel_table *root;
};

/* contexts that a user without CAP_SYS_ADMIN may have */
#define SVAN_ACCEL_USER_CONTEXTS	(SVAN_ACCEL_CONTEXTS / 4)

/* octets of local memory that a user without CAP_SYS_ADMIN may have */
static inline u64 svan_accel_user_memory(const struct svan_accel_dev *dev)
{
	return dev->memory_size / 2;
}

enum svan_accel_mapping_kind {
	SVAN_ACCEL_MAPS_LOCAL,
	SVAN_ACCEL_MAPS_HOST,
	SVAN_ACCEL_MAPS_USER,
	SVAN_ACCEL_MAPS_WINDOW,
};

/**
 * struct svan_accel_mapping - a part of the address space of a context
 * @ctx: the context
 * @link: in a list of mappings that are torn down together
 * @kind: what is mapped
 * @first: number of its first page
 * @pages: number of its pages
 * @flags: SVAN_ACCEL_PTE_* of its entries
 * @live: its entries are in the tables; under the context's lock
 * @gem: LOCAL, HOST: the buffer
 * @offset: LOCAL, HOST: octets of it in front of what is mapped
 * @sgt: HOST, USER: the pages, mapped for the device; WINDOW: its owner's, or NULL once
 *	it was revoked, under the reservation lock
 * @own_sgt: HOST, USER: what @sgt points to
 * @dir: HOST, USER: direction of the DMA mapping
 * @attach: WINDOW: the attachment to the dma-buf
 */
struct svan_accel_mapping {
	struct svan_accel_ctx *ctx;
	struct list_head link;
	enum svan_accel_mapping_kind kind;
	unsigned long first;
	unsigned long pages;
	u64 flags;
	bool live;
	struct drm_gem_object *gem;
	u64 offset;
	struct sg_table *sgt;
	struct sg_table own_sgt;
	enum dma_data_direction dir;
	struct dma_buf_attachment *attach;
};

/**
 * struct svan_accel_bo - a buffer of local memory
 * @gem: the GEM object
 * @node: where it lies
 * @uid: user who has created it, and is charged
 * @dmabuf: its dma-buf, or NULL; under svan_accel_dev.exports_lock
 * @export: in svan_accel_dev.exports
 */
struct svan_accel_bo {
	struct drm_gem_object gem;
	struct drm_mm_node node;
	kuid_t uid;
	struct dma_buf *dmabuf;
	struct list_head export;
};

static inline struct svan_accel_dev *to_svan_accel_dev(struct drm_device *drm)
{
	return container_of(drm, struct svan_accel_dev, drm);
}

static inline struct svan_accel_bo *to_svan_accel_bo(struct drm_gem_object *gem)
{
	return container_of(gem, struct svan_accel_bo, gem);
}

static inline struct svan_accel_slot *svan_accel_slot(struct svan_accel_ctx *ctx)
{
	return &ctx->dev->slots[ctx->number];
}

static inline u32 svan_accel_read(struct svan_accel_dev *dev, u32 reg)
{
	return readl(dev->regs + reg);
}

static inline u64 svan_accel_read64(struct svan_accel_dev *dev, u32 reg)
{
	return readq(dev->regs + reg);
}

static inline void svan_accel_put32(struct svan_accel_dev *dev, u32 reg, u32 value)
{
	writel(value, dev->regs + reg);
}

static inline void svan_accel_put64(struct svan_accel_dev *dev, u32 reg, u64 value)
{
	writeq(value, dev->regs + reg);
}

/*
 * On return no access of the device is open that began before. A device that is gone
 * answers at once, and has none.
 */
static inline void svan_accel_drain(struct svan_accel_dev *dev)
{
	svan_accel_read(dev, SVAN_ACCEL_REG_DRAIN);
}

/* file.c */
extern const struct drm_driver svan_accel_driver;

/* reset.c */
int svan_accel_start(struct svan_accel_dev *dev);
void svan_accel_stop(struct svan_accel_dev *dev);
void svan_accel_take_down(struct svan_accel_dev *dev);
void svan_accel_build_up(struct svan_accel_dev *dev, const char *after);
extern const struct pci_error_handlers svan_accel_err_handler;
extern const struct dev_pm_ops svan_accel_pm_ops;

/* context.c */
int svan_accel_ctx_open(struct drm_device *drm, struct drm_file *file);
void svan_accel_ctx_close(struct drm_device *drm, struct drm_file *file);
void svan_accel_ctx_disable(struct svan_accel_ctx *ctx);
void svan_accel_ctx_tear_down(struct svan_accel_ctx *ctx);
int svan_accel_reset_context_ioctl(struct drm_device *drm, void *data,
				   struct drm_file *file);
int svan_accel_fault_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* table.c */
struct svan_accel_table *svan_accel_table_create_root(struct svan_accel_dev *dev);
void svan_accel_table_destroy_root(struct svan_accel_dev *dev,
				   struct svan_accel_table *root);
int svan_accel_table_grow(struct svan_accel_ctx *ctx, unsigned long first,
			  unsigned long pages);
void svan_accel_table_set(struct svan_accel_ctx *ctx, unsigned long first,
			  unsigned long pages, u64 entry);
void svan_accel_table_clear(struct svan_accel_ctx *ctx, unsigned long first,
			    unsigned long pages);

/* mapping.c */
struct svan_accel_mapping *svan_accel_mapping_alloc(struct svan_accel_ctx *ctx,
						    enum svan_accel_mapping_kind kind,
						    u64 length, u64 flags);
void svan_accel_mapping_free(struct svan_accel_mapping *mapping);
int svan_accel_mapping_insert(struct svan_accel_mapping *mapping);
void svan_accel_mapping_withdraw(struct svan_accel_mapping *mapping);
void svan_accel_mapping_release(struct svan_accel_mapping *mapping);
int svan_accel_map_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int svan_accel_map_user_ioctl(struct drm_device *drm, void *data,
			      struct drm_file *file);
int svan_accel_unmap_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* window.c */
void svan_accel_window_release(struct svan_accel_mapping *mapping);
int svan_accel_import_window_ioctl(struct drm_device *drm, void *data,
				   struct drm_file *file);

/* memory.c */
extern const struct drm_gem_object_funcs svan_accel_bo_funcs;
int svan_accel_memory_init(struct svan_accel_dev *dev);
int svan_accel_bo_create_ioctl(struct drm_device *drm, void *data,
			       struct drm_file *file);
int svan_accel_bo_info_ioctl(struct drm_device *drm, void *data,
			     struct drm_file *file);

/* export.c */
struct dma_buf *svan_accel_bo_export(struct drm_gem_object *gem, int flags);
struct drm_gem_object *svan_accel_bo_import(struct drm_device *drm,
					    struct dma_buf *dmabuf);
void svan_accel_revoke_exports(struct svan_accel_dev *dev);

/* queue.c */
int svan_accel_queue_create_ioctl(struct drm_device *drm, void *data,
				  struct drm_file *file);
int svan_accel_queue_destroy_ioctl(struct drm_device *drm, void *data,
				   struct drm_file *file);

/* event.c */
int svan_accel_irqs_request(struct svan_accel_dev *dev);
void svan_accel_event_signal(struct svan_accel_slot *slot, u32 kind);
void svan_accel_events_clear(struct svan_accel_slot *slot);
int svan_accel_event_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* debugfs.c */
#ifdef CONFIG_DEBUG_FS
void svan_accel_debugfs_add(struct svan_accel_dev *dev);
#else
static inline void svan_accel_debugfs_add(struct svan_accel_dev *dev) {}
#endif

#endif /* SVAN_ACCEL_DRIVER_H */
