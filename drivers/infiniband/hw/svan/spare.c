// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spare pages: if the page that data is for is absent, the device writes the data into
 * a spare page, and copies it when the absent page has come (PRM chapter "Faults",
 * divert).
 */

#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "svan_odp.h"

static unsigned int spare_pages = 64;
module_param(spare_pages, uint, 0444);
MODULE_PARM_DESC(spare_pages,
		 "Pages given to each device for diverted data (default 64)");

/* largest number of spare pages: the list of their addresses is one page */
#define SVAN_SPARE_MAX	(PAGE_SIZE / sizeof(__le64))

/**
 * struct svan_spare - the spare pages of a device
 * @list: bus addresses of the pages; the device reads it during the command that
 *	gives it the pages
 * @list_dma: bus address of @list
 * @count: number of @pages
 * @pages: the pages, which are mapped for DMA
 */
struct svan_spare {
	__le64 *list;
	dma_addr_t list_dma;
	u32 count;
	struct page *pages[] __counted_by(count);
};

static int svan_spare_set(struct svan_ib_dev *dev, struct svan_spare *spare,
			  u32 count)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_SPARE_PAGES),
		.spare_pages.addr = cpu_to_le64(spare->list_dma),
		.spare_pages.count = cpu_to_le32(count),
	};

	return svan_cmd_exec(dev->sdev, &cmd, NULL);
}

static void svan_spare_free(struct svan_ib_dev *dev, struct svan_spare *spare)
{
	struct device *dma_dev = svan_ib_dma_device(dev);
	u32 i;

	for (i = 0; i < spare->count && spare->pages[i]; i++) {
		dma_unmap_page(dma_dev, le64_to_cpu(spare->list[i]), PAGE_SIZE,
			       DMA_BIDIRECTIONAL);
		__free_page(spare->pages[i]);
	}
	if (spare->list)
		dma_free_coherent(dma_dev, PAGE_SIZE, spare->list,
				  spare->list_dma);
	kvfree(spare);
}

static int svan_spare_fill(struct svan_ib_dev *dev, struct svan_spare *spare)
{
	struct device *dma_dev = svan_ib_dma_device(dev);
	struct page *page;
	dma_addr_t dma;
	u32 i;

	for (i = 0; i < spare->count; i++) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		dma = dma_map_page(dma_dev, page, 0, PAGE_SIZE,
				   DMA_BIDIRECTIONAL);
		if (dma_mapping_error(dma_dev, dma)) {
			__free_page(page);
			return -ENOMEM;
		}
		spare->list[i] = cpu_to_le64(dma);
		spare->pages[i] = page;
	}
	return 0;
}

static struct svan_spare *svan_spare_alloc(struct svan_ib_dev *dev, u32 count)
{
	struct svan_spare *spare;

	spare = kvzalloc(struct_size(spare, pages, count), GFP_KERNEL);
	if (!spare)
		return NULL;
	spare->count = count;
	spare->list = dma_alloc_coherent(svan_ib_dma_device(dev), PAGE_SIZE,
					 &spare->list_dma, GFP_KERNEL);
	if (!spare->list || svan_spare_fill(dev, spare)) {
		svan_spare_free(dev, spare);
		return NULL;
	}
	return spare;
}

/**
 * svan_spare_init - give the device pages for diverted data
 * @dev: the device
 *
 * Return: 0 or an error.
 */
int svan_spare_init(struct svan_ib_dev *dev)
{
	u32 count = min3(spare_pages, le32_to_cpu(dev->caps->max_spare_pages),
			 (u32)SVAN_SPARE_MAX);
	struct svan_spare *spare;
	int err;

	if (!dev->ondemand_keys || !count)
		return 0;
	spare = svan_spare_alloc(dev, count);
	if (!spare)
		return -ENOMEM;
	err = svan_spare_set(dev, spare, count);
	if (err) {
		svan_spare_free(dev, spare);
		return err;
	}
	dev->spare = spare;
	return 0;
}

/* Take the spare pages back. No QP exists any more, so none of them holds data. */
void svan_spare_exit(struct svan_ib_dev *dev)
{
	struct svan_spare *spare = dev->spare;
	int err;

	if (!spare)
		return;
	dev->spare = NULL;
	err = svan_spare_set(dev, spare, 0);
	if (err && err != -ENODEV) {
		dev_err(&dev->ibdev.dev,
			"the device keeps %u spare pages: error %d\n",
			spare->count, err);
		return;
	}
	svan_spare_free(dev, spare);
}
