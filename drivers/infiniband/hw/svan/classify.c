// SPDX-License-Identifier: GPL-2.0-only
/*
 * Classification of absent pages: what a page waits for is found out from its page
 * table entry, its mapping and the page cache. What is read here may change at the
 * same time; the worst that follows is a wrong estimate. Only svan_next_mapped() may
 * wait for a lock.
 */

#include <kunit/visibility.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/kdev_t.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>

#include "estimate.h"
#include "svan_odp.h"

/* number of holes that are skipped before mmap_lock is released for a moment */
#define SVAN_HOLES_AT_ONCE	1024

static void svan_place_set(struct svan_place *place, u32 fault_class, u32 key)
{
	place->fault_class = fault_class;
	place->key = key;
}

static void svan_classify_swap(u32 type, struct svan_place *place)
{
	if (type < MAX_SWAPFILES)
		svan_place_set(place, SVAN_FAULT_SWAP_IN, type);
#ifdef CONFIG_MIGRATION
	else if (type == SWP_MIGRATION_READ ||
		 type == SWP_MIGRATION_READ_EXCLUSIVE ||
		 type == SWP_MIGRATION_WRITE)
		svan_place_set(place, SVAN_FAULT_MIGRATION, SVAN_EST_ANY);
#endif
	else if (type == SWP_PTE_MARKER)
		svan_place_set(place, SVAN_FAULT_USERFAULTFD, SVAN_EST_ANY);
	else
		svan_place_set(place, SVAN_FAULT_UNKNOWN, SVAN_EST_ANY);
}

/* Classify by the number of a word in the location table (svan/keys.h). */
void svan_classify_location(u32 location, struct svan_place *place)
{
	if (location >= SVAN_LOCATION_SWAP)
		svan_classify_swap(location - SVAN_LOCATION_SWAP, place);
	else if (location == SVAN_LOCATION_PROTNONE)
		/* Such an entry usually is a NUMA hint, and the page may migrate. */
		svan_place_set(place, SVAN_FAULT_MIGRATION, SVAN_EST_ANY);
	else
		svan_place_set(place, SVAN_FAULT_ZERO_FILL, SVAN_EST_ANY);
}
EXPORT_SYMBOL_IF_KUNIT(svan_classify_location);

/* Classify by nothing but the entry that the device has seen. */
void svan_classify_entry(const struct svan_page_req *req,
			 struct svan_place *place)
{
	if (req->flags & SVAN_PAGE_REQ_PROTECTED)
		svan_place_set(place, SVAN_FAULT_COPY_ON_WRITE, SVAN_EST_ANY);
	else if (!(req->flags & SVAN_PAGE_REQ_PROCESS))
		svan_place_set(place, svan_mtt_absent_class(req->entry),
			       SVAN_EST_ANY);
	else if (req->entry)
		svan_classify_location(svan_pte_location(req->entry), place);
	else
		svan_place_set(place, SVAN_FAULT_UNKNOWN, SVAN_EST_ANY);
}
EXPORT_SYMBOL_IF_KUNIT(svan_classify_entry);

/**
 * struct svan_peek - what the page table says of an address
 * @pte: the entry, of the size of 4 KiB or 2 MiB
 * @present: the entry is present, or one of 1 GiB is
 * @pmd_none: there is neither an entry of 2 MiB nor a table of entries of 4 KiB
 */
struct svan_peek {
	pte_t pte;
	bool present;
	bool pmd_none;
};

/*
 * Read the entry of an address without a lock. The upper tables exist as long as
 * mmap_lock is held, and the lowest ones are freed by RCU.
 */
static void svan_peek_pmd(pmd_t *pmdp, unsigned long addr,
			  struct svan_peek *peek)
{
	pmd_t pmd = pmdp_get_lockless(pmdp);

	if (pmd_none(pmd)) {
		peek->pmd_none = true;
	} else if (!pmd_present(pmd)) {
		peek->pte = __pte(pmd_val(pmd));
	} else if (pmd_leaf(pmd)) {
		peek->pte = __pte(pmd_val(pmd));
		peek->present = true;
	} else if (!pmd_bad(pmd)) {
		peek->pte = ptep_get_lockless(pte_offset_kernel(&pmd, addr));
		peek->present = pte_present(peek->pte);
	}
}

static void svan_peek(struct mm_struct *mm, unsigned long addr,
		      struct svan_peek *peek)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	memset(peek, 0, sizeof(*peek));
	peek->pmd_none = true;
	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return;
	if (pud_leaf(*pud)) {
		peek->pmd_none = false;
		peek->present = true;
		return;
	}
	if (pud_bad(*pud))
		return;

	peek->pmd_none = false;
	rcu_read_lock();
	svan_peek_pmd(pmd_offset(pud, addr), addr, peek);
	rcu_read_unlock();
}

/* Classify a page of a file whose page table entry is empty. */
static void svan_classify_file(struct vm_area_struct *vma, unsigned long addr,
			       struct svan_place *place)
{
	struct address_space *mapping = vma->vm_file->f_mapping;
	pgoff_t index = linear_page_index(vma, addr);
	struct folio *folio;
	void *shadow;

	folio = __filemap_get_folio(mapping, index, 0, 0);
	if (!IS_ERR(folio)) {
		if (folio_test_uptodate(folio))
			svan_place_set(place, SVAN_FAULT_PAGE_CACHE,
				       SVAN_EST_ANY);
		else
			svan_place_set(place, SVAN_FAULT_FILE_READ,
				       mapping->host->i_sb->s_dev);
		folio_put(folio);
		return;
	}
	if (!shmem_mapping(mapping)) {
		svan_place_set(place, SVAN_FAULT_FILE_READ,
			       mapping->host->i_sb->s_dev);
		return;
	}
	shadow = xa_load(&mapping->i_pages, index);
	if (xa_is_value(shadow))
		svan_classify_swap(swp_type(radix_to_swp_entry(shadow)), place);
	else
		svan_place_set(place, SVAN_FAULT_ZERO_FILL, SVAN_EST_ANY);
}

/*
 * May the first access allocate a huge page? This is a guess, since the system's
 * settings for huge pages are not exported to modules.
 */
static bool svan_may_be_huge(struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long start = ALIGN_DOWN(addr, PMD_SIZE);

	return start >= vma->vm_start && start + PMD_SIZE <= vma->vm_end &&
	       !(vma->vm_flags & VM_NOHUGEPAGE) &&
	       !test_bit(MMF_DISABLE_THP, &vma->vm_mm->flags);
}

/*
 * The page is present, so if the access is allowed it only has to be entered into the
 * table of the key.
 */
static void svan_classify_present(struct vm_area_struct *vma, pte_t pte,
				  bool write, struct svan_place *place)
{
	u32 fault_class = SVAN_FAULT_PAGE_CACHE;

	if (write && userfaultfd_pte_wp(vma, pte))
		fault_class = SVAN_FAULT_USERFAULTFD;
	else if (write && !pte_write(pte))
		fault_class = SVAN_FAULT_COPY_ON_WRITE;
	svan_place_set(place, fault_class, SVAN_EST_ANY);
}

static void svan_classify_vma(struct vm_area_struct *vma, unsigned long addr,
			      bool write, struct svan_place *place)
{
	struct svan_peek peek;

	if (is_vm_hugetlb_page(vma)) {
		/* Page tables of hugetlb may be shared with, and freed by, others. */
		svan_place_set(place, SVAN_FAULT_HUGE_PAGE, SVAN_EST_ANY);
		return;
	}
	svan_peek(vma->vm_mm, addr, &peek);
	if (peek.present) {
		svan_classify_present(vma, peek.pte, write, place);
		return;
	}
	if (!peek.pmd_none && !pte_none(peek.pte)) {
		svan_classify_location(svan_pte_location(pte_val(peek.pte)),
				       place);
		return;
	}
	if (userfaultfd_missing(vma) || userfaultfd_minor(vma))
		svan_place_set(place, SVAN_FAULT_USERFAULTFD, SVAN_EST_ANY);
	else if (!vma_is_anonymous(vma) && vma->vm_file)
		svan_classify_file(vma, addr, place);
	else if (peek.pmd_none && svan_may_be_huge(vma, addr))
		svan_place_set(place, SVAN_FAULT_HUGE_PAGE, SVAN_EST_ANY);
	else
		svan_place_set(place, SVAN_FAULT_ZERO_FILL, SVAN_EST_ANY);
}

/**
 * svan_classify - find out what a page waits for
 * @mm: the mm that the page belongs to
 * @addr: address of the page
 * @req: the request of the device
 * @place: the result
 *
 * Does not wait for a lock. If mmap_lock is not free, the entry that the device has
 * seen is all that is looked at.
 */
void svan_classify(struct mm_struct *mm, unsigned long addr,
		   const struct svan_page_req *req, struct svan_place *place)
{
	struct vm_area_struct *vma;

	svan_classify_entry(req, place);
	if (!mmget_not_zero(mm))
		return;
	if (mmap_read_trylock(mm)) {
		vma = vma_lookup(mm, addr);
		if (vma)
			svan_classify_vma(vma, addr,
					  req->flags & SVAN_PAGE_REQ_WRITE,
					  place);
		mmap_read_unlock(mm);
	}
	mmput_async(mm);
}

/**
 * svan_classify_block - find out what several pages wait for
 * @mm: the mm that the pages belong to
 * @addr: address of the first page
 * @count: number of pages
 * @places: the results; the class is UNKNOWN where nothing is mapped
 *
 * Return: false if that cannot be found out without waiting.
 */
bool svan_classify_block(struct mm_struct *mm, unsigned long addr, u32 count,
			 struct svan_place *places)
{
	struct vm_area_struct *vma;
	bool done = false;
	u32 i;

	if (!mmget_not_zero(mm))
		return false;
	if (mmap_read_trylock(mm)) {
		for (i = 0; i < count; i++, addr += PAGE_SIZE) {
			svan_place_set(&places[i], SVAN_FAULT_UNKNOWN,
				       SVAN_EST_ANY);
			vma = vma_lookup(mm, addr);
			if (vma)
				svan_classify_vma(vma, addr, false, &places[i]);
		}
		mmap_read_unlock(mm);
		done = true;
	}
	mmput_async(mm);
	return done;
}

/* Size of the hole around @addr that a missing table makes; 0 if no table is missing. */
static unsigned long svan_hole_size(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return PGDIR_SIZE;
	if (pgd_bad(*pgd))
		return 0;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return P4D_SIZE;
	if (p4d_bad(*p4d))
		return 0;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return PUD_SIZE;
	if (pud_leaf(*pud) || pud_bad(*pud))
		return 0;
	return pmd_none(pmdp_get_lockless(pmd_offset(pud, addr))) ? PMD_SIZE : 0;
}

/* Skip some holes. mmap_lock is held. Return false if there may be more of them. */
static bool svan_skip_holes(struct mm_struct *mm, unsigned long *addr,
			    unsigned long end)
{
	struct vm_area_struct *vma;
	unsigned long size;
	u32 i;

	for (i = 0; i < SVAN_HOLES_AT_ONCE; i++) {
		vma = find_vma(mm, *addr);
		*addr = vma ? max(*addr, vma->vm_start) : end;
		/* Page tables of hugetlb may be shared with, and freed by, others. */
		if (*addr >= end || is_vm_hugetlb_page(vma))
			return true;
		size = svan_hole_size(mm, *addr);
		if (!size)
			return true;
		*addr = ALIGN_DOWN(*addr, size) + size;
	}
	return false;
}

/**
 * svan_next_mapped - skip addresses that have no pages
 * @mm: the mm; mm_users is held
 * @addr: address to begin at
 * @end: address to stop at
 *
 * Only mappings and the upper levels of the page table are read, so large holes take
 * little time. May wait for mmap_lock.
 *
 * Return: the first address that may have a page, or @end. If SIGKILL is pending, it
 * may be an earlier address.
 */
unsigned long svan_next_mapped(struct mm_struct *mm, unsigned long addr,
			       unsigned long end)
{
	bool done = false;

	while (!done && addr < end && !mmap_read_lock_killable(mm)) {
		done = svan_skip_holes(mm, &addr, end);
		mmap_read_unlock(mm);
		cond_resched();
		if (fatal_signal_pending(current))
			break;
	}
	return min(addr, end);
}
