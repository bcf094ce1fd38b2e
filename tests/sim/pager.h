/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that come and go: what a kernel does behind the back of a device. Each
 * node has a pager. It takes pages away at any time, in the order that the
 * manual asks for (entry, invalidation, then the page), answers page requests
 * late, and watches every page that the device maps: never one that was taken
 * back, never one whose entry forbids it, and no store to a page whose entry is
 * not dirty. What it has taken back is poisoned and looked at before it is used
 * again.
 */
#ifndef SIM_PAGER_H
#define SIM_PAGER_H

#include <svan/faults.h>

#include "guest.h"
#include "page_queue.h"
#include "page_table.h"

#define PAGER_REGIONS   2
#define PAGER_PRQ_LOG   SVAN_PRQ_MIN_LOG_SIZE
#define PAGER_REQUESTS  (1u << PAGER_PRQ_LOG)
#define PAGER_PROCESSES 2

/* Times in ns, chances in ppm. */
typedef struct PagerModel {
    uint32_t evict;             /* time between two evictions; 0: no pager */
    uint32_t batch;             /* pages of an eviction, at most */
    uint32_t slow;              /* a page takes up to 30 ms, else up to 4 */
    uint32_t again;             /* it goes before the device has looked */
    uint32_t policy;            /* a look changes the policy of a queue pair */
    uint32_t whole;             /* a key covers all of its process */
} PagerModel;

/*
 * What it has done; `spared`: invalidations that were not needed, by `cached`;
 * `dirty`, `clean`: pages that were found so, and were so.
 */
#define PAGER_COUNTS(X) \
    X(evicted) X(protected) X(cleaned) X(moved) X(pruned) X(invalidated) \
    X(spared) X(requests) X(pending) X(failed) X(again) X(dirty) X(clean) \
    X(split)

typedef struct PagerCounts {
#define PAGER_COUNT(name) uint64_t name;
    PAGER_COUNTS(PAGER_COUNT)
#undef PAGER_COUNT
} PagerCounts;

/* What a page of the machine is used for. */
typedef enum FrameUse {
    FRAME_OTHER,                /* none of the pager's business */
    FRAME_DATA,                 /* of `region`, mapped or not */
    FRAME_FREE,                 /* poisoned */
} FrameUse;

typedef struct Pager Pager;
typedef struct Paged Paged;

typedef struct Frame {
    FrameUse use;
    Paged *paged;               /* DATA */
    uint32_t index;             /* of the page in the region */
} Frame;

/* The tables by which the device finds the pages of a key or of a process. */
typedef struct Space {
    Pager *pager;
    PageTable table;
} Space;

typedef struct Process {
    Space space;
    uint32_t pasid;             /* 0: not there */
} Process;

typedef struct PageState {
    bool mapped, writable;
    bool watched;               /* `clean` holds what it was when clean */
} PageState;

/* A region whose pages come and go. */
struct Paged {
    Region *region;
    Space *space, own;
    Process *process;           /* NULL: on-demand key */
    bool huge;                  /* all of it in one page, writable or not */
    PageState *pages;
    uint8_t *clean;
};

/* A request that waits for its answer. */
typedef struct PageWork {
    Pager *pager;
    bool busy;
    struct svan_page_request request;
    Paged *paged;               /* NULL: nothing is there */
    uint32_t index;             /* of the page */
} PageWork;

struct Pager {
    Guest *guest;
    Node *node;
    const PagerModel *model;
    Rng rng;
    Frame *frames;              /* by page of RAM */
    uint32_t *free;             /* a ring of offsets */
    uint32_t free_head, free_count;
    Paged paged[PAGER_REGIONS];
    uint32_t num_paged;
    Process processes[PAGER_PROCESSES];
    uint32_t contexts, locations;       /* tables, offsets in RAM */
    PageQueue prq;
    bool polling, huge_used;
    uint32_t mean;              /* time between two evictions */
    PageWork work[PAGER_REQUESTS];
    PagerCounts counts;
};

Pager *pager_new(Guest *guest, const PagerModel *model);
void pager_free(Pager *pager);
/* Where a region may lie; to be asked before it is made. */
uint64_t pager_choose_va(Pager *pager, uint64_t va);
/* In place of guest_register(), once for each; any kind of key. */
void pager_register(Pager *pager, Region *region, uint32_t access);
/* At random. */
void pager_set_policy(Pager *pager, uint32_t qpn);
/* The device maps a page of RAM. */
void pager_watch(Node *node, uint32_t page, bool for_write);
/* At the end: what was given back is as it was left. */
void pager_check(Pager *pager);

/* ---- pager.c ---- */

/* Zeroed; it is FRAME_OTHER. */
uint32_t frame_take(Pager *pager);
/* The device has been told. */
void frame_give(Pager *pager, uint32_t offset);
/* Present, and if asked for writable. */
void page_map(Paged *paged, uint32_t index, bool write);
void page_evict(Paged *paged, uint32_t index, uint32_t count);
/* Entries have changed: whoever may hold the old ones is told. */
void page_invalidate(Paged *paged, uint32_t index, uint32_t count);
/* The page is clean: this is what it has to be until it is dirty. */
void page_remember(Paged *paged, uint32_t index);
/* It was mapped by this entry: is it as that says? */
void page_check_clean(Paged *paged, uint32_t index, uint64_t entry);

/* ---- huge.c ---- */

/* Where that page lies in RAM. */
#define PAGER_HUGE_OFFSET       (4u << 20)
#define PAGER_HUGE_END          (6u << 20)

/* Into the page, if that is free and holds all of the region. */
void huge_adopt(Paged *paged);
void huge_split(Paged *paged);
void huge_disturb(Paged *paged);
void huge_unprotect(Paged *paged);

/* ---- space.c ---- */

void space_init(Space *space, Pager *pager, bool process, uint8_t levels,
                uint64_t first);
/* The entry of a page by its number, or of the absent or huge one above it. */
__le64 *space_leaf(Space *space, uint64_t page, uint8_t *level);
__le64 *space_make(Space *space, uint64_t page);
__le64 *space_make_huge(Space *space, uint64_t page);
/*
 * Without its last table a page is absent; `entry` takes the table's place. The
 * table's offset in RAM, to be given back; 0: there is none but the root.
 */
uint32_t space_prune(Space *space, uint64_t page, uint64_t entry);
uint64_t space_present(const Space *space, uint64_t bus, bool writable);
uint64_t space_absent(const Space *space, Rng *rng);

/* ---- requests.c ---- */

void requests_init(Pager *pager);
/* SVAN_EVENT_PAGE_REQUEST */
void requests_event(Pager *pager);
uint64_t random_time(Rng *rng, bool slow);

#endif /* SIM_PAGER_H */
