/*
 * Svan: stores of devices, for those that wait for them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/thread.h"
#include "watch.h"

QEMU_BUILD_BUG_ON(SVAN_WATCH_BUCKETS != 1 << (64 - 56));

unsigned svan_watch_counts[SVAN_WATCH_BUCKETS];

/* Nothing is waited for with this lock held. It comes after engine locks. */
static QemuMutex svan_watch_lock;
static QLIST_HEAD(, SvanWatch) svan_watches[SVAN_WATCH_BUCKETS];

static void __attribute__((constructor)) svan_watch_init(void)
{
    qemu_mutex_init(&svan_watch_lock);
}

void svan_watch_begin(SvanWatch *watch, void *host)
{
    unsigned bucket;

    svan_watch_end(watch);
    watch->page = (uintptr_t)host & ~(uintptr_t)(SVAN_WATCH_PAGE - 1);
    bucket = svan_watch_bucket(watch->page);
    qemu_mutex_lock(&svan_watch_lock);
    QLIST_INSERT_HEAD(&svan_watches[bucket], watch, link);
    qatomic_inc(&svan_watch_counts[bucket]);
    qemu_mutex_unlock(&svan_watch_lock);
}

void svan_watch_end(SvanWatch *watch)
{
    if (!watch->page) {
        return;
    }
    qemu_mutex_lock(&svan_watch_lock);
    QLIST_REMOVE(watch, link);
    qatomic_dec(&svan_watch_counts[svan_watch_bucket(watch->page)]);
    qemu_mutex_unlock(&svan_watch_lock);
    watch->page = 0;
}

void svan_watch_tell(uintptr_t page)
{
    SvanWatch *watch;

    qemu_mutex_lock(&svan_watch_lock);
    QLIST_FOREACH(watch, &svan_watches[svan_watch_bucket(page)], link) {
        if (watch->page == page) {
            watch->stored(watch);
        }
    }
    qemu_mutex_unlock(&svan_watch_lock);
}
