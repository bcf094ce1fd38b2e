// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of queues: pages of a user or memory of the kernel, under an internal key,
 * which work requests cannot use.
 */

#include <linux/dma-mapping.h>

#include "svan_ib.h"

static int svan_ring_create_key(struct svan_ib_dev *dev, struct svan_ring *ring,
				u32 owner)
{
	struct svan_mtt_layout *layout = &ring->mtt.layout;
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_KEY),
		.create_key = {
			.kind = SVAN_KEY_PINNED,
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
 * svan_ring_pin - use a buffer of a user as the memory of a queue
 * @dev: the device
 * @ring: the memory
 * @va: address of the buffer, page aligned; the device sees it at the same address
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
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_KEY, ring->key);
	if (ring->addr) {
		dma_free_coherent(svan_ib_dma_device(dev), ring->length,
				  ring->addr, ring->dma);
	} else {
		svan_mtt_destroy(dev, &ring->mtt);
		ib_umem_release(ring->umem);
	}
}
