// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of queues and counts: pages of a user, of another device or of the kernel, under
 * an internal key, which work requests cannot use.
 */

#include <linux/dma-mapping.h>
#include <linux/overflow.h>

#include "svan_ib_trace.h"

static int svan_ring_create_key(struct svan_ib_dev *dev, struct svan_ring *ring,
				u32 owner)
{
	bool foreign = ring->umem && ring->umem->is_dmabuf;
	struct svan_mtt_layout *layout = &ring->mtt.layout;
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_KEY),
		.create_key = {
			.kind = foreign ? SVAN_KEY_DEVMEM : SVAN_KEY_PINNED,
			.flags = SVAN_CMD_KEY_INTERNAL,
			.levels = layout->levels,
			.page_shift = layout->page_shift,
			.access = cpu_to_le32(SVAN_ACCESS_LOCAL_WRITE),
			.va = cpu_to_le64(ring->va),
			.length = cpu_to_le64(ring->length),
			.table = cpu_to_le64(ring->mtt.root),
			.owner = cpu_to_le32(owner),
		},
	};

	return svan_cmd_create_object(dev->sdev, &cmd, &ring->key);
}

/**
 * svan_ring_pin - use memory of a user for a queue or a count
 * @dev: the device
 * @ring: the memory
 * @va: its address, at which the device sees it, too
 * @length: size of the buffer; the caller has checked that @va + @length does not
 *	overflow
 * @owner: id of the verbs context
 *
 * Return: 0 or an error.
 */
int svan_ring_pin(struct svan_ib_dev *dev, struct svan_ring *ring, u64 va,
		  u64 length, u32 owner)
{
	int err;

	ring->va = va;
	ring->length = length;
	ring->umem = ib_umem_get(&dev->ibdev, va, length, IB_ACCESS_LOCAL_WRITE);
	if (IS_ERR(ring->umem))
		return PTR_ERR(ring->umem);

	err = svan_mtt_create(dev, &ring->mtt, ring->umem, va);
	if (err)
		goto release_umem;

	err = svan_ring_create_key(dev, ring, owner);
	if (err)
		goto destroy_mtt;
	return 0;

destroy_mtt:
	svan_mtt_destroy(dev, &ring->mtt);
release_umem:
	ib_umem_release(ring->umem);
	return err;
}

/*
 * The exporter takes the memory back, or it is released. On return the device does not
 * access it any more; the key stays, and leads nowhere.
 */
static void svan_ring_revoke(void *priv)
{
	struct svan_ring *ring = priv;

	svan_mtt_revoke(ring->dev, &ring->mtt);
	svan_inval_key(ring->dev->sdev, ring->key, 0, 0);
	trace_svan_ib_ring_revoke(&ring->dev->ibdev, ring->key);
}

/* Called with the reservation lock of the dma-buf, as svan_ring_revoke() is. */
static int svan_ring_attach(struct svan_ib_dev *dev, struct svan_ring *ring,
			    struct ib_umem_dmabuf *memory, u32 owner)
{
	int err;

	err = svan_mtt_create(dev, &ring->mtt, &memory->umem, ring->va);
	if (err)
		return err;
	ring->umem = &memory->umem;
	err = svan_ring_create_key(dev, ring, owner);
	if (err) {
		svan_mtt_destroy(dev, &ring->mtt);
		return err;
	}
	ib_umem_dmabuf_set_revoke_locked(memory, svan_ring_revoke, ring);
	return 0;
}

/**
 * svan_ring_pin_dmabuf - use memory of another device for a queue or a count
 * @dev: the device
 * @ring: the memory; it is not moved until it is freed
 * @fd: file descriptor of the dma-buf
 * @offset: of the memory in the dma-buf; the device sees it at this address
 * @length: size of the memory
 * @owner: id of the verbs context
 *
 * The exporter may revoke the memory at any time. Accesses of the device fail then.
 *
 * Return: 0 or an error.
 */
int svan_ring_pin_dmabuf(struct svan_ib_dev *dev, struct svan_ring *ring,
			 int fd, u64 offset, u64 length, u32 owner)
{
	struct ib_umem_dmabuf *memory;
	u64 end;
	int err;

	if (!(le64_to_cpu(dev->caps->features) & SVAN_CAP_DEVMEM_KEYS))
		return -EOPNOTSUPP;
	if (check_add_overflow(offset, length, &end))
		return -EINVAL;
	ring->dev = dev;
	ring->va = offset;
	ring->length = length;
	memory = ib_umem_dmabuf_get_pinned_revocable_and_lock(&dev->ibdev,
							      offset, length, fd,
							      IB_ACCESS_LOCAL_WRITE);
	if (IS_ERR(memory))
		return PTR_ERR(memory);
	err = svan_ring_attach(dev, ring, memory, owner);
	ib_umem_dmabuf_revoke_unlock(memory);
	if (err)
		ib_umem_release(&memory->umem);
	return err;
}

/**
 * svan_ring_pin_desc - use memory that a user has described for a queue
 * @dev: the device
 * @ring: the memory
 * @desc: where it lies; it was checked
 * @owner: id of the verbs context
 *
 * Return: 0 or an error.
 */
int svan_ring_pin_desc(struct svan_ib_dev *dev, struct svan_ring *ring,
		       const struct svan_ib_buffer_desc *desc, u32 owner)
{
	if (desc->type == SVAN_IB_BUFFER_TYPE_VA)
		return svan_ring_pin(dev, ring, desc->addr, desc->length, owner);
	return svan_ring_pin_dmabuf(dev, ring, desc->fd, desc->addr,
				    desc->length, owner);
}

/* Allocate zeroed memory for a queue of the kernel. It is contiguous: no table. */
int svan_ring_alloc(struct svan_ib_dev *dev, struct svan_ring *ring, u64 length)
{
	int err;

	ring->length = PAGE_ALIGN(length);
	ring->addr = dma_alloc_coherent(svan_ib_dma_device(dev), ring->length,
					&ring->dma, GFP_KERNEL | __GFP_NOWARN);
	if (!ring->addr)
		return -ENOMEM;

	ring->va = ring->dma;
	ring->mtt.layout.page_shift = PAGE_SHIFT;
	ring->mtt.root = ring->dma;
	err = svan_ring_create_key(dev, ring, 0);
	if (err)
		dma_free_coherent(svan_ib_dma_device(dev), ring->length,
				  ring->addr, ring->dma);
	return err;
}

/* The queue has been destroyed in the device. The key goes before the memory. */
void svan_ring_free(struct svan_ib_dev *dev, struct svan_ring *ring)
{
	svan_ib_revoke_umem(ring->umem);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_KEY, ring->key);
	if (ring->addr) {
		dma_free_coherent(svan_ib_dma_device(dev), ring->length,
				  ring->addr, ring->dma);
	} else {
		ib_umem_release(ring->umem);
		svan_mtt_destroy(dev, &ring->mtt);
	}
}
