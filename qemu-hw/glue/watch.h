/*
 * Svan: stores of devices, for those that wait for them
 *
 * A store of a device to RAM traps nowhere. So the devices tell of their stores
 * by page, and whoever waits for a value in a page is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_WATCH_H
#define HW_SVAN_WATCH_H

#include "qemu/queue.h"

#define SVAN_WATCH_BUCKETS  256         /* a power of two */
#define SVAN_WATCH_PAGE     4096

typedef struct SvanWatch {
    uintptr_t page;                     /* address on the host; 0: not watching */
    /* A device has stored there. Any thread; it must not block. */
    void (*stored)(struct SvanWatch *watch);
    QLIST_ENTRY(SvanWatch) link;
} SvanWatch;

/* How many watch a page of the bucket; atomic. */
extern unsigned svan_watch_counts[SVAN_WATCH_BUCKETS];

static inline unsigned svan_watch_bucket(uintptr_t page)
{
    return page / SVAN_WATCH_PAGE * 0x9e3779b97f4a7c15ull >> 56;
}

/*
 * Begin to watch the page of host. Stores that have come before are not told:
 * the caller looks at the value once more. Any thread, for each watch one at a
 * time.
 */
void svan_watch_begin(SvanWatch *watch, void *host);
/* Does nothing if the watch is not watching. stored() is not called afterwards. */
void svan_watch_end(SvanWatch *watch);

void svan_watch_tell(uintptr_t page);

/* The caller has stored to host, within one page. Any thread. */
static inline void svan_watch_stored(void *host)
{
    uintptr_t page = (uintptr_t)host & ~(uintptr_t)(SVAN_WATCH_PAGE - 1);

    if (unlikely(qatomic_read(&svan_watch_counts[svan_watch_bucket(page)]))) {
        svan_watch_tell(page);
    }
}

#endif /* HW_SVAN_WATCH_H */
