// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is not pinned: on-demand keys of a range, and process keys, which
 * are all of the process. Every operation, from and to memory of every kind,
 * that was touched or was not; what must be refused is; nothing goes to a page
 * that is no longer there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"

#define LIMIT		400
#define MAX_SIZE	(8u << 20)
#define AREA		65536u

static struct rng rng;
static struct text text;

/* ---- the fixture: two endpoints, and a process key for each ---- */

struct ends {
	struct pair pair;
	struct conn conn;
	struct ibv_mr *all[2];
};

static int ends_connect(struct ends *ends)
{
	int ret;

	pair_destroy(&ends->pair);
	ret = pair_create(&ends->pair, &ep_defaults);
	return ret ? ret : pair_connect(&ends->pair, &ends->conn);
}

static int ends_open(struct ends *ends, bool wire)
{
	int ret, i;

	ends->conn = conn_defaults;
	ret = pair_open(&ends->pair, wire, AREA);
	for (i = 0; i < 2 && !ret; i++) {
		ends->all[i] = demand_reg(ends->pair.node[i].pd, NULL, SIZE_MAX,
					  ACCESS_ALL);
		if (!ends->all[i]) {
			complain("an implicit region: %m");
			return -errno;
		}
	}
	return ret ? ret : ends_connect(ends);
}

static void ends_close(struct ends *ends)
{
	int i;

	pair_destroy(&ends->pair);
	for (i = 0; i < 2; i++)
		if (ends->all[i])
			ibv_dereg_mr(ends->all[i]);
	pair_close(&ends->pair);
}

/* An operation of ep[0] on the memory of ep[1], by the process keys. */
static int touch(struct ends *ends, enum ibv_wr_opcode opcode, void *local,
		 void *remote, uint32_t length)
{
	struct op op = {
		.opcode = opcode,
		.local = local,
		.lkey = ends->all[0]->lkey,
		.remote = remote,
		.rkey = ends->all[1]->rkey,
		.length = length,
	};

	return op_run(&ends->pair.ep[0], &ends->pair.ep[1], &op, NULL);
}

static int put(struct ends *ends, void *remote, void *local, uint32_t length)
{
	return touch(ends, IBV_WR_RDMA_WRITE, local, remote, length);
}

static int get(struct ends *ends, void *remote, void *local, uint32_t length)
{
	return touch(ends, IBV_WR_RDMA_READ, local, remote, length);
}

/* The same, which must fail in this way; new queue pairs for the next one. */
static int refused(struct ends *ends, enum ibv_wr_opcode opcode, void *local,
		   void *remote, uint32_t length, int wanted)
{
	int status = touch(ends, opcode, local, remote, length);

	if (status != wanted) {
		complain("opcode %d, %p to %p of %u: %s instead of %s", opcode,
			 local, remote, length,
			 status < 0 ? "nothing" : ibv_wc_status_str(status),
			 ibv_wc_status_str(wanted));
		return -EIO;
	}
	return ends_connect(ends);
}

/* ---- every operation, every size ---- */

FIXTURE(odp)
{
	struct ends ends;
};

FIXTURE_VARIANT(odp)
{
	bool wire;
	bool implicit;
};

FIXTURE_VARIANT_ADD(odp, explicit_loopback)
{
};

FIXTURE_VARIANT_ADD(odp, implicit_loopback)
{
	.implicit = true,
};

FIXTURE_VARIANT_ADD(odp, explicit_wire)
{
	.wire = true,
};

FIXTURE_VARIANT_ADD(odp, implicit_wire)
{
	.wire = true,
	.implicit = true,
};

FIXTURE_SETUP(odp)
{
	rng_init(&rng, "odp");
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, text_alloc(&text, MAX_SIZE + 65536, &rng));
	ASSERT_EQ(0, ends_open(&self->ends, variant->wire));
}

FIXTURE_TEARDOWN(odp)
{
	if (self->ends.all[1])
		EXPECT_EQ(0, pair_sound(&self->ends.pair));
	ends_close(&self->ends);
	text_free(&text);
}

/* One end of a transfer: fresh memory, and the key that reaches it. */
struct place {
	struct mem mem;
	uint8_t *at;
	struct ibv_mr *mr;	/* its own, or NULL */
	uint32_t key;
};

static int place_make(struct place *place, struct ends *ends, int end,
		      uint32_t size, bool implicit)
{
	static const enum mem_kind kinds[] = { MEM_ANON, MEM_SHARED,
					       MEM_PRIVATE, MEM_THP };
	uint32_t offset = rng_below(&rng, 2 * PAGE) & ~7u;
	int ret;

	if (rng_below(&rng, 2))
		offset = PAGE - 8;
	memset(place, 0, sizeof(*place));
	ret = mem_map(&place->mem, kinds[rng_below(&rng, 4)],
		      size + offset + PAGE);
	if (ret)
		return ret;
	place->at = place->mem.map + offset;
	place->key = ends->all[end]->lkey;
	if (implicit)
		return 0;
	/* all of it, or nothing but what is needed */
	place->mr = rng_below(&rng, 2) ?
		    demand_reg(ends->pair.node[end].pd, place->mem.map,
			       place->mem.length, ACCESS_ALL) :
		    demand_reg(ends->pair.node[end].pd, place->at, size,
			       ACCESS_ALL);
	if (!place->mr) {
		complain("registering %u on demand: %m", size);
		return -errno;
	}
	place->key = place->mr->lkey;
	return 0;
}

static void place_drop(struct place *place)
{
	if (place->mr && ibv_dereg_mr(place->mr))
		complain("ibv_dereg_mr: %m");
	if (place->mem.map)
		mem_unmap(&place->mem);
}

/* Zeroes around the data: nobody else has written there. */
static int check_around(const struct place *place, uint32_t size)
{
	const uint8_t *p = place->mem.map, *end = p + place->mem.length;

	for (; p < end; p++) {
		if (p == place->at)
			p += size;
		if (p < end && *p) {
			complain("octet %td beside %u is 0x%02x",
				 p - place->at, size, *p);
			return -EIO;
		}
	}
	return 0;
}

static int transfer(struct ends *ends, enum ibv_wr_opcode opcode, uint32_t size,
		    int dir, bool implicit)
{
	bool read = opcode == IBV_WR_RDMA_READ;
	struct place places[2], *source = &places[read], *sink = &places[!read];
	const uint8_t *data = text.plain + rng_below(&rng, 65536);
	struct op op = { .opcode = opcode, .length = size };
	int ret;

	memset(places, 0, sizeof(places));
	ret = place_make(&places[0], ends, dir, size, implicit);
	if (!ret)
		ret = place_make(&places[1], ends, !dir, size, implicit);
	if (ret)
		goto out;
	op.local = places[0].at;
	op.lkey = places[0].key;
	op.remote = places[1].at;
	op.rkey = places[1].key;
	ret = mem_put(&source->mem, source->at - source->mem.map, data, size);
	if (ret)
		goto out;
	ret = op_run(&ends->pair.ep[dir], &ends->pair.ep[!dir], &op, NULL);
	if (!ret)
		ret = check_equal("data", sink->at, data, size);
	if (!ret)
		ret = check_around(sink, size);
	if (!ret)
		ret = check_equal("source", source->at, data, size);
	if (ret)
		complain("opcode %d, %u octets, direction %d, kinds %d and %d: %d",
			 opcode, size, dir, places[0].mem.kind,
			 places[1].mem.kind, ret);
out:
	place_drop(&places[0]);
	place_drop(&places[1]);
	return ret;
}

static int all_sizes(struct ends *ends, enum ibv_wr_opcode opcode, bool implicit)
{
	const uint32_t sizes[] = {
		1, 7, 8, 9, 1023, 1025, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 5,
		16 * PAGE, 65537, 1 + rng_below(&rng, 300000), (1u << 20) + 3,
		MAX_SIZE,
	};
	unsigned int i;
	int dir, ret;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (dir = 0; dir < 2; dir++) {
			ret = transfer(ends, opcode, sizes[i], dir, implicit);
			if (ret)
				return ret;
		}
	}
	return 0;
}

TEST_F_TIMEOUT(odp, send, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->ends, IBV_WR_SEND, variant->implicit));
}

TEST_F_TIMEOUT(odp, write, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->ends, IBV_WR_RDMA_WRITE,
			       variant->implicit));
}

TEST_F_TIMEOUT(odp, write_imm, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->ends, IBV_WR_RDMA_WRITE_WITH_IMM,
			       variant->implicit));
}

TEST_F_TIMEOUT(odp, read, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->ends, IBV_WR_RDMA_READ,
			       variant->implicit));
}

/* ---- atomics on pages that nobody has touched ---- */

static int atomic_once(struct ends *ends, int dir, bool implicit, int i)
{
	struct place answer, word;
	struct op op = {
		.opcode = i & 1 ? IBV_WR_ATOMIC_FETCH_AND_ADD :
				  IBV_WR_ATOMIC_CMP_AND_SWP,
		.length = 8,
		.compare_add = i & 1 ? 0x1122334455667788ull : 0,
		.swap = 0xfedcba9876543210ull,
	};
	uint64_t after = i & 1 ? op.compare_add : op.swap, seen;
	int ret;

	memset(&word, 0, sizeof(word));
	ret = place_make(&answer, ends, dir, 8, implicit);
	if (!ret)
		ret = place_make(&word, ends, !dir, 8, implicit);
	if (ret)
		goto out;
	op.local = answer.at;
	op.lkey = answer.key;
	op.remote = word.at;
	op.rkey = word.key;
	ret = op_run(&ends->pair.ep[dir], &ends->pair.ep[!dir], &op, NULL);
	memcpy(&seen, word.at, 8);
	if (!ret && seen != after) {
		complain("the word is 0x%llx after an atomic",
			 (unsigned long long)seen);
		ret = -EIO;
	}
	/* again: now there is something to be seen, once */
	if (!ret)
		ret = op_run(&ends->pair.ep[dir], &ends->pair.ep[!dir], &op,
			     NULL);
	if (!ret)
		ret = check_equal("old value", answer.at, (uint8_t *)&after, 8);
	if (!ret)
		ret = check_around(&answer, 8) ?: check_around(&word, 8);
out:
	place_drop(&answer);
	place_drop(&word);
	return ret;
}

TEST_F_TIMEOUT(odp, atomics, LIMIT)
{
	int i;

	for (i = 0; i < 40; i++)
		ASSERT_EQ(0, atomic_once(&self->ends, i / 2 % 2,
					 variant->implicit, i));
}

/* ---- pages that a userfaultfd serves ---- */

static int served(struct ends *ends, enum ibv_wr_opcode opcode, bool implicit)
{
	struct place a, b;
	struct server server;
	uint8_t wanted[3 * PAGE];
	struct op op = { .opcode = opcode, .length = 2 * PAGE };
	int ret;

	memset(&b, 0, sizeof(b));
	ret = place_make(&a, ends, 0, op.length, implicit) ?:
	      place_make(&b, ends, 1, op.length, implicit);
	if (ret)
		goto out;
	ret = server_start(&server, b.mem.map, b.mem.length, 10, 0x5a);
	if (ret)
		goto out;
	op.local = a.at;
	op.lkey = a.key;
	op.remote = b.at;
	op.rkey = b.key;
	ret = op_run(&ends->pair.ep[0], &ends->pair.ep[1], &op, NULL);
	memset(wanted, opcode == IBV_WR_RDMA_READ ? 0x5a : 0, sizeof(wanted));
	if (!ret)
		ret = check_equal("served", a.at, wanted, op.length) ?:
		      check_equal("served", b.at, wanted, op.length);
	if (!ret && !server.served)
		ret = -ENODATA;
	server_stop(&server);
out:
	place_drop(&a);
	place_drop(&b);
	return ret;
}

TEST_F_TIMEOUT(odp, userfaultfd, LIMIT)
{
	int i, ret;

	for (i = 0; i < 4; i++) {
		ret = served(&self->ends, i & 1 ? IBV_WR_RDMA_READ :
			     IBV_WR_RDMA_WRITE, variant->implicit);
		if (ret == -ENOENT)
			SKIP(return, "there is no userfaultfd");
		ASSERT_EQ(0, ret);
	}
}

/* ---- what lies in a page table ---- */

FIXTURE(reach)
{
	struct ends ends;
	uint8_t *out, *in;	/* of ep[0], reached by its process key */
};

FIXTURE_SETUP(reach)
{
	rng_init(&rng, "odp");
	ASSERT_EQ(0, ends_open(&self->ends, false));
	self->out = self->ends.pair.out[0].data;
	self->in = self->ends.pair.in[0].data;
	memset(self->out, 0x77, AREA);
	memset(self->in, 0, AREA);
}

FIXTURE_TEARDOWN(reach)
{
	EXPECT_EQ(0, pair_sound(&self->ends.pair));
	ends_close(&self->ends);
}

/* Something is there, is read, is written, and is seen to be. */
static int reaches(struct ends *ends, uint8_t *at, uint32_t length)
{
	uint8_t *out = ends->pair.out[0].data, *in = ends->pair.in[0].data;
	uint32_t i;
	int ret;

	for (i = 0; i < length; i++)
		at[i] = i * 7 + 1;
	ret = get(ends, at, in, length);
	if (!ret)
		ret = check_equal("read", in, at, length);
	for (i = 0; i < length; i++)
		out[i] = i * 11 + 5;
	if (!ret)
		ret = put(ends, at, out, length);
	if (!ret)
		ret = check_equal("written", at, out, length);
	/* and as a local buffer */
	memset(at, 0, length);
	if (!ret)
		ret = get(ends, out, at, length);
	if (!ret)
		ret = check_equal("sink", at, out, length);
	memset(in, 0, length);
	if (!ret)
		ret = put(ends, in, at, length);
	return ret ? ret : check_equal("source", in, out, length);
}

static uint8_t data_segment[3 * PAGE] = { 1 };
static uint8_t bss_segment[3 * PAGE];
static const uint8_t rodata_segment[3 * PAGE] = { 'o', 'n', 'l', 'y', 1, 2, 3 };

TEST_F_TIMEOUT(reach, segments, LIMIT)
{
	uint8_t stack[2 * PAGE], *heap = malloc(5 * PAGE);

	ASSERT_EQ(0, reaches(&self->ends, heap + 13, 4 * PAGE));
	free(heap);
	ASSERT_EQ(0, reaches(&self->ends, stack, sizeof(stack)));
	ASSERT_EQ(0, reaches(&self->ends, data_segment + 5, 2 * PAGE));
	ASSERT_EQ(0, reaches(&self->ends, bss_segment + 5, 2 * PAGE));
}

TEST_F_TIMEOUT(reach, read_only_data, LIMIT)
{
	uint8_t *ro = (uint8_t *)rodata_segment, copy[64];

	memcpy(copy, ro, sizeof(copy));
	ASSERT_EQ(0, get(&self->ends, ro, self->in, sizeof(rodata_segment)));
	ASSERT_EQ(0, memcmp(self->in, ro, sizeof(rodata_segment)));
	ASSERT_EQ(0, put(&self->ends, self->in, ro, sizeof(rodata_segment)));
	ASSERT_EQ(0, refused(&self->ends, IBV_WR_RDMA_WRITE, self->out, ro, 64,
			     IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, refused(&self->ends, IBV_WR_RDMA_READ, ro, self->out, 64,
			     IBV_WC_LOC_PROT_ERR));
	ASSERT_EQ(0, refused(&self->ends, IBV_WR_ATOMIC_FETCH_AND_ADD,
			     self->in, ro + 64, 8, IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, refused(&self->ends, IBV_WR_SEND, self->out, ro, 64,
			     IBV_WC_REM_OP_ERR));
	ASSERT_EQ(0, memcmp(copy, ro, sizeof(copy)));
	/* code, too, can be read */
	ASSERT_EQ(0, get(&self->ends, (void *)reaches, self->in, 64));
	ASSERT_EQ(0, memcmp(self->in, (void *)reaches, 64));
}

TEST_F_TIMEOUT(reach, kinds_of_memory, LIMIT)
{
	struct mem mem;
	int kind, ret;

	for (kind = 0; kind < MEM_KINDS; kind++) {
		if (kind == MEM_HUGETLB &&
		    system("echo 4 >/proc/sys/vm/nr_hugepages"))
			TH_LOG("no pages for hugetlbfs");
		ret = mem_map(&mem, kind, HUGE + 3 * PAGE);
		if (ret == -ENOENT) {
			TH_LOG("no memory of kind %d", kind);
			continue;
		}
		ASSERT_EQ(0, ret);
		/* untouched, first by the device */
		ASSERT_EQ(0, put(&self->ends, mem.map + 33, self->out, 3 * PAGE));
		ASSERT_EQ(0, memcmp(mem.map + 33, self->out, 3 * PAGE));
		ASSERT_EQ(0, mem.map[32] | mem.map[33 + 3 * PAGE]);
		ASSERT_EQ(0, reaches(&self->ends, mem.map + HUGE - PAGE - 3,
				     4 * PAGE));
		if (kind == MEM_SHARED || kind == MEM_FILE) {
			uint8_t seen[64];

			ASSERT_EQ(64, pread(mem.fd, seen, 64, 33));
			ASSERT_EQ(0, memcmp(seen, self->out, 64))
				TH_LOG("the file of kind %d", kind);
		}
		mem_unmap(&mem);
	}
}

/* ---- rights that come and go ---- */

TEST_F_TIMEOUT(reach, mprotect, LIMIT)
{
	struct mem mem;
	int i;

	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, 4 * PAGE));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, put(&self->ends, mem.map, self->out, 3 * PAGE));
		memset(mem.map, 0x11, PAGE);
		ASSERT_EQ(0, mprotect(mem.map, PAGE, PROT_READ));
		ASSERT_EQ(0, get(&self->ends, mem.map, self->in, PAGE));
		ASSERT_EQ(0x11, self->in[17]);
		ASSERT_EQ(0, refused(&self->ends, IBV_WR_RDMA_WRITE, self->out,
				     mem.map, 64, IBV_WC_REM_ACCESS_ERR));
		ASSERT_EQ(0x11, mem.map[17]);
		ASSERT_EQ(0, mprotect(mem.map, PAGE, PROT_NONE));
		ASSERT_EQ(0, refused(&self->ends, IBV_WR_RDMA_READ, self->in,
				     mem.map, 64, IBV_WC_REM_ACCESS_ERR));
		ASSERT_EQ(0, mprotect(mem.map, PAGE, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0x11, mem.map[17]);
	}
	mem_unmap(&mem);
}

/* An on-demand key asks for no more than its mapping grants. */
TEST_F_TIMEOUT(reach, read_only_mappings, LIMIT)
{
	struct ibv_pd *pd = self->ends.pair.node[1].pd;
	struct op op = { .local = self->in, .length = PAGE,
			 .lkey = self->ends.all[0]->lkey };
	struct ep *ep = self->ends.pair.ep;
	struct ibv_mr *mr;
	struct mem mem;
	int access;

	for (access = 0; access < 2; access++) {
		ASSERT_EQ(0, mem_map(&mem, MEM_PRIVATE, 4 * PAGE));
		ASSERT_EQ(0, mem_put(&mem, PAGE, self->out, PAGE));
		ASSERT_EQ(0, mprotect(mem.map, mem.length, PROT_READ));
		mr = demand_reg(pd, mem.map, mem.length,
				access ? ACCESS_ALL : IBV_ACCESS_REMOTE_READ);
		ASSERT_NE(NULL, mr) TH_LOG("access %d: %m", access);
		op.opcode = IBV_WR_RDMA_READ;
		op.local = self->in;
		op.remote = mem.map + PAGE;
		op.rkey = mr->rkey;
		ASSERT_EQ(0, op_run(&ep[0], &ep[1], &op, NULL));
		ASSERT_EQ(0, memcmp(self->in, self->out, PAGE));
		op.opcode = IBV_WR_RDMA_WRITE;
		op.local = self->out;
		op.remote = mem.map;
		ASSERT_EQ(IBV_WC_REM_ACCESS_ERR,
			  op_run(&ep[0], &ep[1], &op, NULL));
		ASSERT_EQ(0, mem.map[0]);
		ASSERT_EQ(0, ends_connect(&self->ends));
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		mem_unmap(&mem);
	}
}

/* ---- pages that go ---- */

TEST_F_TIMEOUT(reach, munmap, LIMIT)
{
	struct ends *ends = &self->ends;
	struct mem mem;

	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, 4 * PAGE));
	ASSERT_EQ(0, put(ends, mem.map, self->out, 4 * PAGE));
	ASSERT_EQ(0, put(ends, self->in, mem.map, 4 * PAGE));
	munmap(mem.map, mem.length);
	ASSERT_EQ(0, refused(ends, IBV_WR_RDMA_WRITE, self->out, mem.map, 64,
			     IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, refused(ends, IBV_WR_RDMA_READ, self->in, mem.map, 64,
			     IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, refused(ends, IBV_WR_RDMA_WRITE, mem.map, self->in, 64,
			     IBV_WC_LOC_PROT_ERR));
	ASSERT_EQ(0, refused(ends, IBV_WR_RDMA_READ, mem.map, self->out, 64,
			     IBV_WC_LOC_PROT_ERR));
	ASSERT_EQ(0, refused(ends, IBV_WR_SEND, self->out, mem.map, 64,
			     IBV_WC_REM_OP_ERR));
}

/*
 * What lazy deregistration gets wrong elsewhere: the region stays, the mapping
 * under it is replaced.
 */
static int replaced(struct ends *ends, struct ibv_mr *mr, uint8_t *at, int old_fd)
{
	uint8_t *out = ends->pair.out[0].data, *in = ends->pair.in[0].data;
	struct op op = { .local = in, .lkey = ends->all[0]->lkey, .remote = at,
			 .rkey = mr->rkey, .length = 4 * PAGE };
	struct ep *ep = ends->pair.ep;
	uint8_t seen[4 * PAGE];
	int ret;

	memset(at, 0x42, 4 * PAGE);
	memset(in, 0, 4 * PAGE);
	op.opcode = IBV_WR_RDMA_READ;
	ret = op_run(&ep[0], &ep[1], &op, NULL);
	if (!ret)
		ret = check_equal("new pages", in, at, 4 * PAGE);
	memset(out, 0x43, 4 * PAGE);
	op.opcode = IBV_WR_RDMA_WRITE;
	op.local = out;
	if (!ret)
		ret = op_run(&ep[0], &ep[1], &op, NULL);
	if (!ret)
		ret = check_equal("new pages", at, out, 4 * PAGE);
	memset(out, 0x41, 4 * PAGE);
	if (!ret && pread(old_fd, seen, sizeof(seen), 0) != sizeof(seen))
		ret = -EIO;
	return ret ? ret : check_equal("old pages", seen, out, 4 * PAGE);
}

TEST_F_TIMEOUT(reach, lazy_deregistration, LIMIT)
{
	struct ends *ends = &self->ends;
	struct ibv_mr *mr;
	struct mem mem;
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, mem_map(&mem, MEM_SHARED, 4 * PAGE));
		mr = i & 1 ? ends->all[1] :
		     demand_reg(ends->pair.node[1].pd, mem.map, mem.length,
				ACCESS_ALL);
		ASSERT_NE(NULL, mr);
		struct op op = { .opcode = IBV_WR_RDMA_WRITE,
				 .local = self->out, .length = 4 * PAGE,
				 .lkey = ends->all[0]->lkey,
				 .remote = mem.map, .rkey = mr->rkey };

		memset(self->out, 0x41, 4 * PAGE);
		ASSERT_EQ(0, op_run(&ends->pair.ep[0], &ends->pair.ep[1], &op,
				    NULL));
		if (i & 2)
			munmap(mem.map, mem.length);
		ASSERT_EQ(mem.map, mmap(mem.map, mem.length,
					PROT_READ | PROT_WRITE, MAP_PRIVATE |
					MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		ASSERT_EQ(0, replaced(ends, mr, mem.map, mem.fd));
		if (mr != ends->all[1])
			ASSERT_EQ(0, ibv_dereg_mr(mr));
		mem_unmap(&mem);
	}
}

/* ---- fork ---- */

static void child_looks(int fd, const uint8_t *at, uint8_t wanted)
{
	char octet;

	if (read(fd, &octet, 1) != 1)
		_exit(1);
	_exit(at[0] == wanted && at[2 * PAGE] == wanted ? 0 : 2);
}

/* The device's store breaks the sharing as the CPU's would. */
TEST_F_TIMEOUT(reach, copy_on_write, LIMIT)
{
	struct mem mem;
	int pipes[2], status, i;
	pid_t pid;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, mem_map(&mem, i & 1 ? MEM_THP : MEM_ANON,
				     4 * PAGE));
		memset(self->out, 0x66, 4 * PAGE);
		ASSERT_EQ(0, put(&self->ends, mem.map, self->out, 4 * PAGE));
		ASSERT_EQ(0, pipe(pipes));
		pid = fork();
		if (!pid)
			child_looks(pipes[0], mem.map, 0x66);
		memset(self->out, 0x99, 4 * PAGE);
		ASSERT_EQ(0, put(&self->ends, mem.map, self->out, 4 * PAGE));
		ASSERT_EQ(0, memcmp(mem.map, self->out, 4 * PAGE));
		ASSERT_EQ(1, write(pipes[1], "x", 1));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		close(pipes[0]);
		close(pipes[1]);
		mem_unmap(&mem);
	}
}

/* Another process has no use for this one's verbs context. */
TEST_F_TIMEOUT(reach, child_has_no_process_key, LIMIT)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct ibv_mr *mr = demand_reg(self->ends.pair.node[0].pd,
					       NULL, SIZE_MAX, ACCESS_ALL);

		_exit(mr ? 1 : errno == EPERM ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, put(&self->ends, self->in, self->out, 64));
}

TEST_HARNESS_MAIN
