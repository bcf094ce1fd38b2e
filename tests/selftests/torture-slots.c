// SPDX-License-Identifier: GPL-2.0-only
/* Slots: memory of every kind, and what must be in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

static const struct plan {
	enum mem_kind kind;
	unsigned int count;
	bool served, read_only;
} plans[] = {
	{ .kind = MEM_ANON, .count = 14 },
	{ .kind = MEM_SHARED, .count = 7 },
	{ .kind = MEM_PRIVATE, .count = 7 },
	{ .kind = MEM_FILE, .count = 4 },
	{ .kind = MEM_THP, .count = 3 },
	{ .kind = MEM_ANON, .count = 5, .served = true },
	{ .kind = MEM_PRIVATE, .count = 3, .read_only = true },
	{ .kind = MEM_HUGETLB, .count = 1 },
};

void torture_fail(struct torture *t)
{
	atomic_fetch_add(&t->failed, 1);
	atomic_store(&t->stop, true);
}

size_t slot_index(const struct torture *t, const struct slot *slot)
{
	return slot - t->slots;
}

/* ---- claims ---- */

bool slot_try(struct torture *t, struct slot *slot, bool write)
{
	bool taken;

	pthread_mutex_lock(&t->lock);
	taken = !slot->writer && !(write ? slot->readers || slot->read_only :
					   slot->undefined);
	if (taken && write)
		slot->writer = true;
	else if (taken)
		slot->readers++;
	pthread_mutex_unlock(&t->lock);
	return taken;
}

struct slot *slot_claim(struct torture *t, struct rng *rng, bool write)
{
	int tries;

	for (tries = 0; tries < 64; tries++) {
		struct slot *slot = &t->slots[rng_below(rng, t->num_slots)];

		if (slot_try(t, slot, write))
			return slot;
	}
	return NULL;
}

void slot_release(struct torture *t, struct slot *slot, bool write)
{
	pthread_mutex_lock(&t->lock);
	if (write)
		slot->writer = false;
	else
		slot->readers--;
	pthread_mutex_unlock(&t->lock);
}

/* ---- keys ---- */

uint32_t slot_key(struct torture *t, const struct slot *slot, int node,
		  struct rng *rng)
{
	return rng_below(rng, 2) ? t->all[node]->lkey : slot->mr[node]->lkey;
}

static void slot_unregister(struct torture *t, struct slot *slot)
{
	int i;

	for (i = 0; i < t->num_nodes; i++) {
		if (slot->mr[i] && ibv_dereg_mr(slot->mr[i]))
			complain("ibv_dereg_mr of a slot: %m");
		slot->mr[i] = NULL;
	}
}

int slot_register(struct torture *t, struct slot *slot)
{
	int access = slot->read_only ? IBV_ACCESS_REMOTE_READ : ACCESS_ALL, i;

	slot_unregister(t, slot);
	for (i = 0; i < t->num_nodes; i++) {
		slot->mr[i] = demand_reg(t->nodes[i].pd, slot->mem.map,
					 slot->mem.length, access);
		if (!slot->mr[i]) {
			complain("registering slot %zu: %m",
				 slot_index(t, slot));
			return -EIO;
		}
	}
	return 0;
}

/* ---- contents ---- */

static void draw(uint8_t *at, size_t length, struct rng *rng)
{
	uint64_t word = rng_u64(rng);
	size_t i;

	for (i = 0; i < length; i++)
		at[i] = (word >> i % 8 * 8) + i / 8 * 0x9d;
}

/* The shadow first: both are drawn from it. */
void slot_store(struct slot *slot, size_t at, size_t length, struct rng *rng)
{
	draw(slot->shadow + at, length, rng);
	memcpy(slot->mem.map + at, slot->shadow + at, length);
	if (!at && length == slot->mem.length)
		slot->undefined = false;
}

int slot_check(struct torture *t, const struct slot *slot, size_t at,
	       size_t length)
{
	const uint8_t *seen = slot->mem.map, *wanted = slot->shadow;
	size_t i, n = 0;

	if (slot->undefined || !memcmp(seen + at, wanted + at, length))
		return 0;
	for (i = at; i < at + length; i++) {
		if (seen[i] == wanted[i])
			continue;
		if (!n++)
			complain("slot %zu at %p, kind %d%s: octet 0x%zx is 0x%02x instead of 0x%02x",
				 slot_index(t, slot), seen, slot->mem.kind,
				 slot->served ? ", served" : "", i, seen[i],
				 wanted[i]);
	}
	complain("%zu of %zu octets from 0x%zx on are wrong", n, length, at);
	torture_fail(t);
	return -EIO;
}

/* ---- creation ---- */

/* A part of a large file of the root; nobody runs it here. */
static int slot_map_root(struct slot *slot, unsigned int n)
{
	struct mem *mem = &slot->mem;
	off_t at = (n + 1) * (1u << 20);

	memset(mem, 0, sizeof(*mem));
	mem->kind = MEM_PRIVATE;
	mem->length = SLOT_SIZE;
	mem->fd = open("/usr/bin/python3", O_RDONLY | O_CLOEXEC);
	if (mem->fd < 0 || lseek(mem->fd, 0, SEEK_END) < at + SLOT_SIZE) {
		if (mem->fd >= 0)
			close(mem->fd);
		mem->fd = -1;
		return -ENOENT;
	}
	mem->map = mmap(NULL, mem->length, PROT_READ, MAP_PRIVATE, mem->fd, at);
	if (mem->map == MAP_FAILED)
		return -ENOMEM;
	posix_fadvise(mem->fd, 0, 0, POSIX_FADV_RANDOM);
	if (pread(mem->fd, slot->shadow, mem->length, at) != SLOT_SIZE)
		return -EIO;
	return 0;
}

static int slot_map(struct torture *t, struct slot *slot,
		    const struct plan *plan, unsigned int n)
{
	size_t size = plan->kind == MEM_THP || plan->kind == MEM_HUGETLB ?
		      HUGE : SLOT_SIZE;
	int ret;

	slot->read_only = plan->read_only;
	slot->served = plan->served && t->has_server;
	slot->shadow = calloc(1, size);
	slot->base = plan->kind == MEM_PRIVATE ? calloc(1, size) : NULL;
	if (!slot->shadow || (plan->kind == MEM_PRIVATE && !slot->base))
		return -ENOMEM;
	if (plan->read_only)
		return slot_map_root(slot, n);
	ret = mem_map(&slot->mem, plan->kind, size);
	if (!ret && slot->served) {
		ret = server_watch(&t->server, slot->mem.map, size);
		memset(slot->shadow, FILL, size);
	}
	return ret;
}

static void slot_unmap(struct slot *slot)
{
	if (slot->mem.map)
		mem_unmap(&slot->mem);
	free(slot->shadow);
	free(slot->base);
	slot->shadow = NULL;
	slot->base = NULL;
}

static int slot_fill(struct slot *slot, struct rng *rng)
{
	if (slot->base) {
		draw(slot->base, slot->mem.length, rng);
		memcpy(slot->shadow, slot->base, slot->mem.length);
		return mem_put(&slot->mem, 0, slot->base, slot->mem.length);
	}
	if (!slot->served)
		slot_store(slot, 0, slot->mem.length, rng);
	return 0;
}

int slots_make(struct torture *t, struct rng *rng)
{
	unsigned int p, n;
	int ret;

	for (p = 0; p < sizeof(plans) / sizeof(plans[0]); p++) {
		for (n = 0; n < plans[p].count; n++) {
			struct slot *slot = &t->slots[t->num_slots];

			ret = slot_map(t, slot, &plans[p], n);
			if (ret == -ENOENT) {
				slot_unmap(slot);
				complain("skipped: slots of plan %u", p);
				break;
			}
			if (!ret && !slot->read_only)
				ret = slot_fill(slot, rng);
			if (!ret)
				ret = slot_register(t, slot);
			if (ret)
				return ret;
			t->num_slots++;
		}
	}
	return 0;
}

void slots_drop(struct torture *t)
{
	int i;

	for (i = 0; i < t->num_slots; i++) {
		slot_unregister(t, &t->slots[i]);
		slot_unmap(&t->slots[i]);
	}
	t->num_slots = 0;
}

int slots_check(struct torture *t)
{
	int i, ret = 0;

	for (i = 0; i < t->num_slots; i++) {
		struct slot *slot = &t->slots[i];

		if (slot->readers || slot->writer) {
			complain("slot %d is claimed still", i);
			ret = -EBUSY;
		}
		if (slot_check(t, slot, 0, slot->mem.length))
			ret = -EIO;
	}
	return ret;
}
