// SPDX-License-Identifier: GPL-2.0-only
/* What is done to the slots while traffic runs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

const char *const act_names[ACT_COUNT] = {
	[ACT_MMAP_OVER] = "mmap_over",	[ACT_MUNMAP] = "munmap",
	[ACT_MREMAP] = "mremap",	[ACT_DONTNEED] = "dontneed",
	[ACT_REMOVE] = "remove",	[ACT_FREE] = "free",
	[ACT_STORE] = "store",		[ACT_PWRITE] = "pwrite",
	[ACT_PROT_NONE] = "prot_none",	[ACT_TWIN] = "twin",
	[ACT_PAGEOUT] = "pageout",	[ACT_COLD] = "cold",
	[ACT_HUGEPAGE] = "hugepage",	[ACT_COLLAPSE] = "collapse",
	[ACT_MERGEABLE] = "mergeable",	[ACT_COMPACT] = "compact",
	[ACT_DROP_CACHES] = "drop_caches", [ACT_READ_ONLY] = "read_only",
	[ACT_SOFT_DIRTY] = "soft_dirty", [ACT_PEEK] = "peek",
	[ACT_FORK] = "fork",		[ACT_HAMMER] = "hammer",
};

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = -1;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		ret = 0;
	close(fd);
	return ret;
}

uint64_t read_number(const char *path)
{
	unsigned long long value = 0;
	FILE *file = fopen(path, "re");

	if (!file || fscanf(file, "%llu", &value) != 1)
		value = 0;
	if (file)
		fclose(file);
	return value;
}

/* ---- traps and ghosts ---- */

static uint8_t poison(unsigned int n)
{
	return 0xd1 ^ n;
}

static int trap_check(struct torture *t, unsigned int n)
{
	struct trap *trap = &t->traps[n];
	size_t i;

	for (i = 0; i < trap->length; i++) {
		if (trap->map[i] == poison(n))
			continue;
		complain("a page that was free has been written: octet 0x%zx at %p is 0x%02x",
			 i, trap->map, trap->map[i]);
		torture_fail(t);
		return -EIO;
	}
	return 0;
}

/* Pages have just been freed: get them, and see whether they are left alone. */
static void trap_set(struct torture *t, size_t length)
{
	unsigned int n = t->next_trap++ % TRAPS;
	struct trap *trap = &t->traps[n];

	if (trap->map) {
		trap_check(t, n);
		munmap(trap->map, trap->length);
	}
	if (length > SLOT_SIZE)
		length = SLOT_SIZE;
	trap->length = length;
	trap->map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (trap->map == MAP_FAILED) {
		trap->map = NULL;
		trap->length = 0;
		return;
	}
	memset(trap->map, poison(n), length);
}

/* What was in a file when it was mapped last is what it keeps. */
static int ghost_lay(struct torture *t, unsigned int n)
{
	struct ghost *ghost = &t->ghosts[n];
	uint8_t *seen;
	int ret = 0;

	if (!ghost->data)
		return 0;
	seen = malloc(ghost->length);
	if (seen && pread(ghost->fd, seen, ghost->length, 0) ==
	    (ssize_t)ghost->length)
		ret = check_equal("a file that was mapped once", seen,
				  ghost->data, ghost->length);
	if (ret)
		torture_fail(t);
	free(seen);
	free(ghost->data);
	close(ghost->fd);
	memset(ghost, 0, sizeof(*ghost));
	return ret;
}

static void ghost_raise(struct torture *t, struct slot *slot)
{
	unsigned int n = t->next_ghost++ % GHOSTS;
	struct ghost *ghost = &t->ghosts[n];

	ghost_lay(t, n);
	ghost->fd = slot->mem.fd;
	ghost->length = slot->mem.length;
	ghost->data = malloc(ghost->length);
	if (ghost->data)
		memcpy(ghost->data, slot->shadow, ghost->length);
	else
		close(ghost->fd);
}

int traps_check(struct torture *t)
{
	unsigned int n;
	int ret = 0;

	for (n = 0; n < TRAPS; n++) {
		if (!t->traps[n].map)
			continue;
		ret |= trap_check(t, n);
		munmap(t->traps[n].map, t->traps[n].length);
		t->traps[n].map = NULL;
	}
	for (n = 0; n < GHOSTS; n++)
		ret |= ghost_lay(t, n);
	return ret;
}

/* ---- as the writer of a slot ---- */

static bool is_shared(const struct slot *slot)
{
	return slot->mem.kind == MEM_SHARED || slot->mem.kind == MEM_FILE;
}

/* After its pages went: what is seen there then. */
static void forget(struct slot *slot, size_t at, size_t length)
{
	if (slot->served)
		memset(slot->shadow + at, FILL, length);
	else if (slot->base)
		memcpy(slot->shadow + at, slot->base + at, length);
	else if (!is_shared(slot))
		memset(slot->shadow + at, 0, length);
	if (!at && length == slot->mem.length)
		slot->undefined = false;
}

static int new_file(struct torture *t, struct slot *slot)
{
	int fd = memfd_create("torture", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, slot->mem.length)) {
		complain("memfd_create: %m");
		return -EIO;
	}
	ghost_raise(t, slot);
	slot->mem.fd = fd;
	memset(slot->shadow, 0, slot->mem.length);
	return 0;
}

static uint8_t *map_at(struct slot *slot, uint8_t *at, int flags)
{
	flags |= is_shared(slot) ? MAP_SHARED : MAP_PRIVATE;
	if (slot->mem.fd < 0)
		flags |= MAP_ANONYMOUS;
	return mmap(at, slot->mem.length, PROT_READ | PROT_WRITE, flags,
		    slot->mem.fd, 0);
}

static bool act_mmap_over(struct torture *t, struct slot *slot)
{
	if (slot->mem.kind == MEM_HUGETLB)
		return false;
	if (is_shared(slot) && new_file(t, slot))
		return false;
	if (map_at(slot, slot->mem.map, MAP_FIXED) != slot->mem.map) {
		complain("mmap over a slot: %m");
		torture_fail(t);
		return true;
	}
	trap_set(t, slot->mem.length);
	forget(slot, 0, slot->mem.length);
	if (slot->served && server_watch(&t->server, slot->mem.map,
					 slot->mem.length))
		torture_fail(t);
	return true;
}

/* Somebody else may have taken the place meanwhile. */
static bool act_munmap(struct torture *t, struct slot *slot)
{
	uint8_t *old = slot->mem.map;

	if (slot->mem.kind == MEM_HUGETLB || slot->mem.kind == MEM_THP ||
	    slot->served)
		return false;
	munmap(old, slot->mem.length);
	trap_set(t, slot->mem.length);
	slot->mem.map = map_at(slot, old, MAP_FIXED_NOREPLACE);
	if (slot->mem.map == MAP_FAILED)
		slot->mem.map = map_at(slot, NULL, 0);
	forget(slot, 0, slot->mem.length);
	if (slot->mem.map == MAP_FAILED ||
	    (slot->mem.map != old && slot_register(t, slot)))
		torture_fail(t);
	return true;
}

static bool act_mremap(struct torture *t, struct slot *slot)
{
	size_t length = slot->mem.length;
	uint8_t *to;

	if (slot->mem.kind == MEM_HUGETLB || slot->mem.kind == MEM_THP ||
	    slot->served)
		return false;
	to = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		return false;
	if (mremap(slot->mem.map, length, length, MREMAP_MAYMOVE |
		   MREMAP_FIXED, to) != to) {
		complain("mremap: %m");
		torture_fail(t);
		return true;
	}
	slot->mem.map = to;
	if (slot_register(t, slot))
		torture_fail(t);
	return true;
}

static void draw_range(struct slot *slot, struct rng *rng, size_t *at,
		       size_t *length)
{
	size_t pages = slot->mem.length / PAGE;

	*at = rng_below(rng, pages);
	*length = PAGE * (1 + rng_below(rng, pages - *at));
	*at *= PAGE;
	if (!rng_below(rng, 4)) {
		*at = 0;
		*length = slot->mem.length;
	}
}

static bool act_dontneed(struct torture *t, struct slot *slot, struct rng *rng)
{
	size_t at, length;

	if (slot->mem.kind == MEM_HUGETLB)
		return false;
	draw_range(slot, rng, &at, &length);
	if (madvise(slot->mem.map + at, length, MADV_DONTNEED))
		return false;
	if (!is_shared(slot))
		trap_set(t, length);
	forget(slot, at, length);
	return true;
}

static bool act_remove(struct torture *t, struct slot *slot, struct rng *rng)
{
	size_t at, length;

	if (!is_shared(slot))
		return false;
	draw_range(slot, rng, &at, &length);
	if (madvise(slot->mem.map + at, length, MADV_REMOVE))
		return false;
	trap_set(t, length);
	memset(slot->shadow + at, 0, length);
	return true;
}

/*
 * Whoever writes it next has to write all of it, and then it stays. Linux 6.12 itself
 * can lose the data of a child that shares the pages, so a slot is left alone while
 * such a child lives (Documentation/decisions/0006-torture-and-madv-free.rst).
 */
static bool act_free(struct slot *slot, struct rng *rng)
{
	if (slot->mem.kind != MEM_ANON || slot->served ||
	    atomic_load(&slot->children) ||
	    madvise(slot->mem.map, slot->mem.length, MADV_FREE))
		return false;
	slot->undefined = true;
	if (rng_below(rng, 2))
		slot_store(slot, 0, slot->mem.length, rng);
	return true;
}

static bool act_store(struct slot *slot, struct rng *rng)
{
	size_t at = rng_below(rng, slot->mem.length);
	size_t length = 1 + rng_below(rng, slot->mem.length - at);

	if (slot->undefined) {
		at = 0;
		length = slot->mem.length;
	}
	slot_store(slot, at, length, rng);
	return true;
}

static bool act_pwrite(struct torture *t, struct slot *slot, struct rng *rng)
{
	size_t at = rng_below(rng, slot->mem.length), i;
	size_t length = 1 + rng_below(rng, slot->mem.length - at);

	if (!is_shared(slot))
		return false;
	for (i = at; i < at + length; i++)
		slot->shadow[i] = slot->shadow[i] * 5 + i;
	if (mem_put(&slot->mem, at, slot->shadow + at, length))
		torture_fail(t);
	return true;
}

static bool act_prot_none(struct slot *slot)
{
	mprotect(slot->mem.map, slot->mem.length, PROT_NONE);
	sched_yield();
	mprotect(slot->mem.map, slot->mem.length, PROT_READ | PROT_WRITE);
	return true;
}

/* Pages that equal those of other slots, for KSM. */
static bool act_twin(struct slot *slot)
{
	if (slot->mem.kind != MEM_ANON)
		return false;
	memset(slot->shadow, 0x7e, slot->mem.length);
	memset(slot->mem.map, 0x7e, slot->mem.length);
	slot->undefined = false;
	madvise(slot->mem.map, slot->mem.length, MADV_MERGEABLE);
	return true;
}

static bool exclusive(struct torture *t, struct slot *slot, enum act act,
		      struct rng *rng)
{
	switch (act) {
	case ACT_MMAP_OVER:
		return act_mmap_over(t, slot);
	case ACT_MUNMAP:
		return act_munmap(t, slot);
	case ACT_MREMAP:
		return act_mremap(t, slot);
	case ACT_DONTNEED:
		return act_dontneed(t, slot, rng);
	case ACT_REMOVE:
		return act_remove(t, slot, rng);
	case ACT_FREE:
		return act_free(slot, rng);
	case ACT_STORE:
		return act_store(slot, rng);
	case ACT_PWRITE:
		return act_pwrite(t, slot, rng);
	case ACT_PROT_NONE:
		return act_prot_none(slot);
	default:
		return act_twin(slot);
	}
}

static void rng_fork(struct rng *rng, const struct torture *t, int n)
{
	*rng = (struct rng){ t->lanes[0].rng.state ^ n * 0x1234567ull };
	rng_u64(rng);
}

void *exclusive_main(void *arg)
{
	struct torture *t = arg;
	struct rng rng;

	rng_fork(&rng, t, 1);
	while (!atomic_load(&t->stop)) {
		enum act act = rng_below(&rng, ACT_EXCLUSIVE_COUNT);
		struct slot *slot = slot_claim(t, &rng, true);

		if (!slot)
			continue;
		if (!rng_below(&rng, 4))
			slot_check(t, slot, 0, slot->mem.length);
		if (exclusive(t, slot, act, &rng))
			atomic_fetch_add(&t->done[act], 1);
		slot_release(t, slot, true);
		usleep(rng_below(&rng, 4000));
	}
	return NULL;
}

/* ---- what leaves the contents alone ---- */

static bool advise(struct slot *slot, int advice)
{
	return !madvise(slot->mem.map, slot->mem.length, advice);
}

/* A source may lose its right to be written, for a while. */
static bool act_read_only(struct torture *t, struct slot *slot)
{
	int prot = slot->read_only ? PROT_READ : PROT_READ | PROT_WRITE;

	if (!slot_try(t, slot, false))
		return false;
	mprotect(slot->mem.map, slot->mem.length, PROT_READ);
	usleep(2000);
	mprotect(slot->mem.map, slot->mem.length, prot);
	slot_release(t, slot, false);
	return true;
}

static bool act_peek(struct torture *t, struct slot *slot, struct rng *rng)
{
	if (!slot_try(t, slot, false))
		return false;
	slot_check(t, slot, rng_below(rng, slot->mem.length / PAGE) * PAGE,
		   PAGE);
	slot_release(t, slot, false);
	return true;
}

static bool act_drop_caches(struct torture *t)
{
	int i;

	for (i = 0; i < t->num_slots; i++) {
		if (!t->slots[i].read_only)
			continue;
		advise(&t->slots[i], MADV_DONTNEED);
		posix_fadvise(t->slots[i].mem.fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	return !write_file("/proc/sys/vm/drop_caches", "1");
}

static bool act_mergeable(struct torture *t, struct slot *slot, struct rng *rng)
{
	uint64_t now = read_number("/sys/kernel/mm/ksm/pages_sharing");

	if (now > t->merged_pages)
		t->merged_pages = now;
	return advise(slot, rng_below(rng, 4) ? MADV_MERGEABLE :
						MADV_UNMERGEABLE);
}

static bool quiet(struct torture *t, struct slot *slot, enum act act,
		  struct rng *rng)
{
	switch (act) {
	case ACT_PAGEOUT:
		return advise(slot, MADV_PAGEOUT);
	case ACT_COLD:
		return advise(slot, MADV_COLD);
	case ACT_HUGEPAGE:
		return advise(slot, rng_below(rng, 3) ? MADV_HUGEPAGE :
							MADV_NOHUGEPAGE);
	case ACT_COLLAPSE:
		return slot->mem.kind == MEM_THP &&
		       advise(slot, MADV_HUGEPAGE) &&
		       advise(slot, MADV_COLLAPSE);
	case ACT_MERGEABLE:
		return act_mergeable(t, slot, rng);
	case ACT_COMPACT:
		return !write_file("/proc/sys/vm/compact_memory", "1");
	case ACT_DROP_CACHES:
		return act_drop_caches(t);
	case ACT_READ_ONLY:
		return act_read_only(t, slot);
	case ACT_SOFT_DIRTY:
		return !write_file("/proc/self/clear_refs",
				   rng_below(rng, 2) ? "4" : "1");
	default:
		return act_peek(t, slot, rng);
	}
}

/* How often, of a hundred; what is dear is rare. */
static enum act draw_quiet(struct rng *rng)
{
	uint32_t n = rng_below(rng, 100);

	if (n < 45)
		return ACT_PAGEOUT;
	if (n < 47)
		return ACT_COMPACT;
	if (n < 50)
		return ACT_DROP_CACHES;
	if (n < 53)
		return ACT_SOFT_DIRTY;
	if (n < 60)
		return ACT_COLLAPSE;
	if (n < 68)
		return ACT_READ_ONLY;
	if (n < 80)
		return ACT_MERGEABLE;
	if (n < 86)
		return ACT_HUGEPAGE;
	return n < 92 ? ACT_COLD : ACT_PEEK;
}

void *quiet_main(void *arg)
{
	struct torture *t = arg;
	struct rng rng;

	rng_fork(&rng, t, 2);
	while (!atomic_load(&t->stop)) {
		enum act act = draw_quiet(&rng);
		struct slot *slot;

		do {
			slot = &t->slots[rng_below(&rng, t->num_slots)];
		} while (act == ACT_COLLAPSE && slot->mem.kind != MEM_THP);
		if (quiet(t, slot, act, &rng))
			atomic_fetch_add(&t->done[act], 1);
		usleep(rng_below(&rng, 3000));
	}
	return NULL;
}

/* ---- fork: the child sees what was, and what it writes stays its own ---- */

#define HELD	6

static bool child_sees(const struct torture *t, const struct slot *slot)
{
	size_t at;

	for (at = 0; at < slot->mem.length; at++)
		if (slot->mem.map[at] != slot->shadow[at]) {
			fprintf(stderr, "# the child sees 0x%02x instead of 0x%02x, octet 0x%zx of slot %zu\n",
				slot->mem.map[at], slot->shadow[at], at,
				(size_t)(slot - t->slots));
			return false;
		}
	return true;
}

static void child_main(struct torture *t, struct slot **held, unsigned int n)
{
	unsigned int i;
	size_t at;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	usleep(3000);
	for (i = 0; i < n; i++)
		if (!child_sees(t, held[i]))
			_exit(10 + (held[i] - t->slots));
	for (i = 0; i < n; i++) {
		mprotect(held[i]->mem.map, held[i]->mem.length,
			 PROT_READ | PROT_WRITE);
		for (at = 0; at < held[i]->mem.length; at += PAGE / 2)
			held[i]->mem.map[at] ^= 0xff;
	}
	usleep(3000);
	_exit(0);
}

static void fork_once(struct torture *t, struct rng *rng)
{
	struct slot *held[HELD];
	unsigned int n = 0, i;
	int status = 0;
	pid_t pid;

	for (i = 0; i < HELD; i++) {
		held[n] = slot_claim(t, rng, false);
		if (!held[n])
			continue;
		if (is_shared(held[n]) || held[n]->read_only ||
		    held[n]->served || held[n]->mem.kind >= MEM_FILE)
			slot_release(t, held[n], false);
		else
			n++;
	}
	for (i = 0; i < n; i++)
		atomic_fetch_add(&held[i]->children, 1);
	pid = fork();
	if (!pid)
		child_main(t, held, n);
	for (i = 0; i < n; i++)
		slot_release(t, held[i], false);
	if (pid > 0)
		waitpid(pid, &status, 0);
	for (i = 0; i < n; i++)
		atomic_fetch_sub(&held[i]->children, 1);
	if (pid < 0)
		return;
	if (status) {
		complain("the child's status is 0x%x%s", status,
			 WIFEXITED(status) ? ": slot + 10" : "");
		torture_fail(t);
	}
	atomic_fetch_add(&t->done[ACT_FORK], 1);
}

void *fork_main(void *arg)
{
	struct torture *t = arg;
	struct rng rng;

	rng_fork(&rng, t, 3);
	while (!atomic_load(&t->stop)) {
		fork_once(t, &rng);
		usleep(20000 + rng_below(&rng, 60000));
	}
	return NULL;
}

/* ---- pages go all the time ---- */

void *hammer_main(void *arg)
{
	struct torture *t = arg;
	struct rng rng;

	rng_fork(&rng, t, 4);
	while (!atomic_load(&t->stop)) {
		bool idle;

		pthread_mutex_lock(&t->hammer_lock);
		idle = !t->hammered;
		if (!idle)
			madvise(t->hammered->mem.map, t->hammered->mem.length,
				MADV_DONTNEED);
		pthread_mutex_unlock(&t->hammer_lock);
		/* the device has to get a chance */
		usleep(idle || !rng_below(&rng, 8) ? 10000 :
						     rng_below(&rng, 500));
	}
	return NULL;
}
