/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows: the dma-bufs of UAR pages (uar.c), for the driver of a peripheral that rings
 * doorbells.
 */
#ifndef SVAN_WINDOW_H
#define SVAN_WINDOW_H

struct dma_buf_attach_ops;

int svan_ib_window_importer_register(const struct dma_buf_attach_ops *ops);
void svan_ib_window_importer_unregister(const struct dma_buf_attach_ops *ops);

#endif /* SVAN_WINDOW_H */
