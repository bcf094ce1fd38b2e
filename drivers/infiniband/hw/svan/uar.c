// SPDX-License-Identifier: GPL-2.0-only
/*
 * UAR pages that are objects of their own, and the windows through which another
 * peripheral rings the doorbells in them.
 *
 * A page belongs to one QP, and is not given to anybody else before the QP is gone, all
 * windows are revoked, and the last mapping of a process is gone: SVAN_CMD_FREE_UAR is
 * issued when the entry of the mmap space is freed.
 *
 * A window is a dma-buf of the page's bus address. It must never become the target of
 * RDMA, nor be mapped by a process that was not given the page, so it has no mmap(),
 * and only the importer that has registered itself may attach to it.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <rdma/svan_user_ioctl_cmds.h>
#include <rdma/uverbs_std_types.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"
#include "svan_window.h"

#define UVERBS_MODULE_NAME svan_ib
#include <rdma/uverbs_named_ioctl.h>

MODULE_IMPORT_NS(DMA_BUF);

/**
 * struct svan_ib_uar - a UAR page that is an object
 * @ref: of this struct; held by the object and by each window
 * @dev: the device, valid while the object lives
 * @uctx: the verbs context, valid while the object lives
 * @entry: entry of the page in the mmap space
 * @phys: physical address of the page
 * @page: number of the page
 * @qps: number of QPs whose doorbells are in the page; xa_lock of svan_ib_ucontext.uars
 * @lock: protects @windows and @gone
 * @windows: struct svan_ib_window, until their release
 * @gone: the object is being destroyed: no window is made any more
 */
struct svan_ib_uar {
	struct kref ref;
	struct svan_ib_dev *dev;
	struct svan_ib_ucontext *uctx;
	struct svan_ib_mmap_entry *entry;
	phys_addr_t phys;
	u32 page;
	u32 qps;
	struct mutex lock;		/* protects windows and gone */
	struct list_head windows;
	bool gone;
};

/**
 * struct svan_ib_window - the dma-buf of a UAR page
 * @link: in svan_ib_uar.windows; svan_ib_uar.lock
 * @uar: the page; the reference keeps the struct, not the page
 * @dmabuf: the dma-buf, which owns this struct
 * @phys: physical address of the page
 * @revoked: the page is nobody's any more; changes under the reservation lock
 */
struct svan_ib_window {
	struct list_head link;
	struct svan_ib_uar *uar;
	struct dma_buf *dmabuf;
	phys_addr_t phys;
	bool revoked;
};

static void svan_uar_free(struct kref *ref)
{
	struct svan_ib_uar *uar = container_of(ref, struct svan_ib_uar, ref);

	mutex_destroy(&uar->lock);
	kfree(uar);
}

/* ---- who may attach to windows ---- */

static DECLARE_RWSEM(svan_window_importer_lock);
static const struct dma_buf_attach_ops *svan_window_importer;

/**
 * svan_ib_window_importer_register - let a driver attach to windows
 * @ops: the operations with which it attaches; they identify it
 *
 * There is one such driver at a time. It has detached from all windows before it
 * unregisters itself.
 *
 * Return: 0, or -EBUSY if there is another one.
 */
int svan_ib_window_importer_register(const struct dma_buf_attach_ops *ops)
{
	int err = 0;

	down_write(&svan_window_importer_lock);
	if (svan_window_importer)
		err = -EBUSY;
	else
		svan_window_importer = ops;
	up_write(&svan_window_importer_lock);
	return err;
}
EXPORT_SYMBOL_GPL(svan_ib_window_importer_register);

/**
 * svan_ib_window_importer_unregister - undo svan_ib_window_importer_register()
 * @ops: the operations that were registered
 */
void svan_ib_window_importer_unregister(const struct dma_buf_attach_ops *ops)
{
	down_write(&svan_window_importer_lock);
	if (!WARN_ON(svan_window_importer != ops))
		svan_window_importer = NULL;
	up_write(&svan_window_importer_lock);
}
EXPORT_SYMBOL_GPL(svan_ib_window_importer_unregister);

static bool svan_window_admits(const struct dma_buf_attachment *attach)
{
	bool admits;

	down_read(&svan_window_importer_lock);
	admits = attach->importer_ops && attach->peer2peer &&
		 attach->importer_ops == svan_window_importer;
	up_read(&svan_window_importer_lock);
	return admits;
}

/* ---- windows ---- */

static int svan_window_attach(struct dma_buf *dmabuf,
			      struct dma_buf_attachment *attach)
{
	struct svan_ib_window *window = dmabuf->priv;

	if (!svan_window_admits(attach))
		return -EOPNOTSUPP;
	return READ_ONCE(window->revoked) ? -ENODEV : 0;
}

/*
 * The page does not move. Without CONFIG_DMABUF_MOVE_NOTIFY the core calls this for each
 * dynamic importer that maps.
 */
static int svan_window_pin(struct dma_buf_attachment *attach)
{
	return 0;
}

static void svan_window_unpin(struct dma_buf_attachment *attach)
{
}

static struct sg_table *svan_window_map(struct dma_buf_attachment *attach,
					enum dma_data_direction dir)
{
	struct svan_ib_window *window = attach->dmabuf->priv;
	struct sg_table *sgt;
	dma_addr_t dma;
	int err;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (window->revoked)
		return ERR_PTR(-ENODEV);

	sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	err = sg_alloc_table(sgt, 1, GFP_KERNEL);
	if (err)
		goto free_sgt;
	dma = dma_map_resource(attach->dev, window->phys, PAGE_SIZE, dir,
			       DMA_ATTR_SKIP_CPU_SYNC);
	err = dma_mapping_error(attach->dev, dma);
	if (err)
		goto free_table;

	/* There is no struct page behind the address. */
	sg_set_page(sgt->sgl, NULL, PAGE_SIZE, 0);
	sg_dma_address(sgt->sgl) = dma;
	sg_dma_len(sgt->sgl) = PAGE_SIZE;
	return sgt;

free_table:
	sg_free_table(sgt);
free_sgt:
	kfree(sgt);
	return ERR_PTR(err);
}

static void svan_window_unmap(struct dma_buf_attachment *attach,
			      struct sg_table *sgt, enum dma_data_direction dir)
{
	dma_unmap_resource(attach->dev, sg_dma_address(sgt->sgl),
			   sg_dma_len(sgt->sgl), dir, DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(sgt);
	kfree(sgt);
}

static void svan_window_release(struct dma_buf *dmabuf)
{
	struct svan_ib_window *window = dmabuf->priv;

	mutex_lock(&window->uar->lock);
	list_del_init(&window->link);
	mutex_unlock(&window->uar->lock);
	kref_put(&window->uar->ref, svan_uar_free);
	kfree(window);
}

static const struct dma_buf_ops svan_window_ops = {
	.attach = svan_window_attach,
	.pin = svan_window_pin,
	.unpin = svan_window_unpin,
	.map_dma_buf = svan_window_map,
	.unmap_dma_buf = svan_window_unmap,
	.release = svan_window_release,
};

/*
 * On return nobody stores through a window of the page any more: the importer drops its
 * mapping, and waits for the accelerator, in its move_notify().
 *
 * A window in the list has a dma-buf, as its release takes it out under the lock. The
 * dma-buf's file may be gone before that, for a path to it (O_PATH) holds the dma-buf but
 * not the file; then it has no attachments, and there is no reference to be taken.
 */
static void svan_uar_revoke(struct svan_ib_uar *uar)
{
	struct svan_ib_window *window;

	mutex_lock(&uar->lock);
	uar->gone = true;
	list_for_each_entry(window, &uar->windows, link) {
		dma_resv_lock(window->dmabuf->resv, NULL);
		WRITE_ONCE(window->revoked, true);
		dma_buf_move_notify(window->dmabuf);
		dma_resv_unlock(window->dmabuf->resv);
	}
	mutex_unlock(&uar->lock);
}

/* The dma-buf owns the window, and with it a reference to the page's struct. */
static struct dma_buf *svan_window_export(struct svan_ib_uar *uar)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct svan_ib_window *window;
	struct dma_buf *dmabuf;

	window = kzalloc(sizeof(*window), GFP_KERNEL_ACCOUNT);
	if (!window)
		return ERR_PTR(-ENOMEM);
	window->uar = uar;
	window->phys = uar->phys;
	INIT_LIST_HEAD(&window->link);

	info.ops = &svan_window_ops;
	info.size = PAGE_SIZE;
	info.flags = O_CLOEXEC | O_RDWR;
	info.priv = window;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		kfree(window);
		return dmabuf;
	}
	window->dmabuf = dmabuf;
	kref_get(&uar->ref);
	return dmabuf;
}

/* ---- the object ---- */

/**
 * svan_ib_uar_get - take a page for the doorbells of a QP
 * @uctx: the verbs context
 * @page: number of the page
 *
 * Return: the page, or NULL if the context has no such object, or another QP has it.
 */
struct svan_ib_uar *svan_ib_uar_get(struct svan_ib_ucontext *uctx, u32 page)
{
	struct svan_ib_uar *uar;

	xa_lock(&uctx->uars);
	uar = xa_load(&uctx->uars, page);
	if (uar && uar->qps)
		uar = NULL;
	if (uar)
		uar->qps++;
	xa_unlock(&uctx->uars);
	return uar;
}

/**
 * svan_ib_uar_put - the QP is gone
 * @uar: the page, or NULL
 */
void svan_ib_uar_put(struct svan_ib_uar *uar)
{
	if (!uar)
		return;
	xa_lock(&uar->uctx->uars);
	uar->qps--;
	xa_unlock(&uar->uctx->uars);
}

/*
 * Let QPs use the page. Its number can be guessed, so that is the last step of its
 * creation: an object that a QP uses could not be taken back. The number was reserved, so
 * there is no memory to be allocated, and no error.
 */
static void svan_uar_publish(struct svan_ib_uar *uar)
{
	xa_store(&uar->uctx->uars, uar->page, uar, GFP_KERNEL);
}

/* Take the page, published or not, out of the context, unless a QP uses it. */
static bool svan_uar_withdraw(struct svan_ib_uar *uar)
{
	struct xarray *uars = &uar->uctx->uars;
	bool idle;

	xa_lock(uars);
	idle = !uar->qps;
	if (idle)
		__xa_erase(uars, uar->page);
	xa_unlock(uars);
	return idle;
}

static int svan_uar_cleanup(struct ib_uobject *uobject,
			    enum rdma_remove_reason why,
			    struct uverbs_attr_bundle *attrs)
{
	struct svan_ib_uar *uar = uobject->object;

	if (!svan_uar_withdraw(uar))
		return -EBUSY;
	svan_uar_revoke(uar);
	trace_svan_ib_uar(&uar->dev->ibdev, uar->uctx->owner, uar->page, false);
	rdma_user_mmap_entry_remove(&uar->entry->rdma);
	kref_put(&uar->ref, svan_uar_free);
	return 0;
}

static struct svan_ib_uar *svan_uar_create(struct svan_ib_dev *dev,
					   struct svan_ib_ucontext *uctx)
{
	struct svan_ib_uar *uar;
	int err;

	uar = kzalloc(sizeof(*uar), GFP_KERNEL_ACCOUNT);
	if (!uar)
		return ERR_PTR(-ENOMEM);
	kref_init(&uar->ref);
	mutex_init(&uar->lock);
	INIT_LIST_HEAD(&uar->windows);
	uar->dev = dev;
	uar->uctx = uctx;
	uar->entry = svan_ib_alloc_uar(dev, uctx, &uar->page);
	if (IS_ERR(uar->entry)) {
		err = PTR_ERR(uar->entry);
		goto free_uar;
	}
	uar->phys = uar->entry->phys;
	err = xa_reserve(&uctx->uars, uar->page, GFP_KERNEL_ACCOUNT);
	if (err)
		goto remove_entry;
	return uar;

remove_entry:
	rdma_user_mmap_entry_remove(&uar->entry->rdma);
free_uar:
	kref_put(&uar->ref, svan_uar_free);
	return ERR_PTR(err);
}

static int UVERBS_HANDLER(SVAN_IB_METHOD_UAR_ALLOC)(struct uverbs_attr_bundle *attrs)
{
	struct ib_uobject *uobject =
		uverbs_attr_get_uobject(attrs, SVAN_IB_ATTR_UAR_ALLOC_HANDLE);
	struct ib_ucontext *ibucontext = ib_uverbs_get_ucontext(attrs);
	struct svan_ib_ucontext *uctx;
	struct svan_ib_dev *dev;
	struct svan_ib_uar *uar;
	u64 offset;
	int err;

	if (IS_ERR(ibucontext))
		return PTR_ERR(ibucontext);
	uctx = to_svan_ib_ucontext(ibucontext);
	dev = to_svan_ib_dev(ibucontext->device);
	svan_ib_flush_uars(dev);
	if (atomic_inc_return(&uctx->num_uars) > SVAN_IB_MAX_UARS) {
		err = -ENOSPC;
		goto uncount;
	}
	uar = svan_uar_create(dev, uctx);
	if (IS_ERR(uar)) {
		err = PTR_ERR(uar);
		goto uncount;
	}
	/* The page counts until its last mapping is gone, which the context outlives. */
	uar->entry->count = &uctx->num_uars;
	trace_svan_ib_uar(&dev->ibdev, uctx->owner, uar->page, true);
	uobject->object = uar;
	/* An error from here on destroys the object by svan_uar_cleanup(). */
	uverbs_finalize_uobj_create(attrs, SVAN_IB_ATTR_UAR_ALLOC_HANDLE);

	offset = rdma_user_mmap_get_offset(&uar->entry->rdma);
	err = uverbs_copy_to(attrs, SVAN_IB_ATTR_UAR_ALLOC_PAGE, &uar->page,
			     sizeof(uar->page));
	if (err)
		return err;
	err = uverbs_copy_to(attrs, SVAN_IB_ATTR_UAR_ALLOC_OFFSET, &offset,
			     sizeof(offset));
	if (err)
		return err;
	svan_uar_publish(uar);
	return 0;

uncount:
	atomic_dec(&uctx->num_uars);
	return err;
}

static int UVERBS_HANDLER(SVAN_IB_METHOD_UAR_EXPORT_DMABUF)(struct uverbs_attr_bundle *attrs)
{
	struct svan_ib_uar *uar =
		uverbs_attr_get_obj(attrs, SVAN_IB_ATTR_UAR_EXPORT_HANDLE);
	struct svan_ib_window *window;
	struct dma_buf *dmabuf;
	int fd, err;

	dmabuf = svan_window_export(uar);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	window = dmabuf->priv;
	mutex_lock(&uar->lock);
	if (!uar->gone)
		list_add(&window->link, &uar->windows);
	else
		window->revoked = true;
	mutex_unlock(&uar->lock);

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto put_dmabuf;
	}
	err = uverbs_copy_to(attrs, SVAN_IB_ATTR_UAR_EXPORT_FD, &fd, sizeof(fd));
	if (err)
		goto put_fd;
	fd_install(fd, dmabuf->file);
	return 0;

put_fd:
	put_unused_fd(fd);
put_dmabuf:
	dma_buf_put(dmabuf);
	return err;
}

DECLARE_UVERBS_NAMED_METHOD(SVAN_IB_METHOD_UAR_ALLOC,
			    UVERBS_ATTR_IDR(SVAN_IB_ATTR_UAR_ALLOC_HANDLE,
					    SVAN_IB_OBJECT_UAR,
					    UVERBS_ACCESS_NEW, UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(SVAN_IB_ATTR_UAR_ALLOC_PAGE,
						UVERBS_ATTR_TYPE(u32),
						UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(SVAN_IB_ATTR_UAR_ALLOC_OFFSET,
						UVERBS_ATTR_TYPE(u64),
						UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD_DESTROY(SVAN_IB_METHOD_UAR_DESTROY,
				    UVERBS_ATTR_IDR(SVAN_IB_ATTR_UAR_DESTROY_HANDLE,
						    SVAN_IB_OBJECT_UAR,
						    UVERBS_ACCESS_DESTROY,
						    UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD(SVAN_IB_METHOD_UAR_EXPORT_DMABUF,
			    UVERBS_ATTR_IDR(SVAN_IB_ATTR_UAR_EXPORT_HANDLE,
					    SVAN_IB_OBJECT_UAR,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(SVAN_IB_ATTR_UAR_EXPORT_FD,
						UVERBS_ATTR_TYPE(s32),
						UA_MANDATORY));

DECLARE_UVERBS_NAMED_OBJECT(SVAN_IB_OBJECT_UAR,
			    UVERBS_TYPE_ALLOC_IDR(svan_uar_cleanup),
			    &UVERBS_METHOD(SVAN_IB_METHOD_UAR_ALLOC),
			    &UVERBS_METHOD(SVAN_IB_METHOD_UAR_DESTROY),
			    &UVERBS_METHOD(SVAN_IB_METHOD_UAR_EXPORT_DMABUF));

const struct uapi_definition svan_ib_uar_defs[] = {
	UAPI_DEF_CHAIN_OBJ_TREE_NAMED(SVAN_IB_OBJECT_UAR),
	{}
};
