// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "demand.h"

#define ZRAM_SIZE	"268435456"

/* ---- memory ---- */

static int mem_open(enum mem_kind kind, size_t length)
{
	char name[] = "/var/tmp/svan-demand-XXXXXX";
	int fd;

	if (kind == MEM_FILE) {
		fd = mkstemp(name);
		if (fd >= 0)
			unlink(name);
	} else {
		fd = memfd_create("demand", MFD_CLOEXEC);
	}
	if (fd >= 0 && !ftruncate(fd, length))
		return fd;
	complain("a file of %zu: %m", length);
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool mem_is_file(enum mem_kind kind)
{
	return kind == MEM_SHARED || kind == MEM_PRIVATE || kind == MEM_FILE;
}

/* At a boundary of huge pages, within more address space. */
static uint8_t *map_aligned(size_t length)
{
	uint8_t *map, *aligned;

	map = mmap(NULL, length + HUGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return map;
	aligned = (uint8_t *)(((uintptr_t)map + HUGE - 1) / HUGE * HUGE);
	if (aligned > map)
		munmap(map, aligned - map);
	if (map + HUGE > aligned)
		munmap(aligned + length, map + HUGE - aligned);
	return aligned;
}

int mem_map(struct mem *mem, enum mem_kind kind, size_t length)
{
	int flags = kind == MEM_SHARED || kind == MEM_FILE ? MAP_SHARED :
							     MAP_PRIVATE;
	size_t unit = kind == MEM_THP || kind == MEM_HUGETLB ? HUGE : PAGE;

	memset(mem, 0, sizeof(*mem));
	mem->kind = kind;
	mem->fd = -1;
	mem->length = (length + unit - 1) / unit * unit;
	if (mem_is_file(kind)) {
		mem->fd = mem_open(kind, mem->length);
		if (mem->fd < 0)
			return -EIO;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	if (kind == MEM_HUGETLB)
		flags |= MAP_HUGETLB;
	mem->map = kind == MEM_THP ? map_aligned(mem->length) :
		   mmap(NULL, mem->length, PROT_READ | PROT_WRITE, flags,
			mem->fd, 0);
	if (mem->map == MAP_FAILED) {
		mem->map = NULL;
		if (kind == MEM_HUGETLB)
			return -ENOENT;
		complain("mmap of %zu: %m", mem->length);
		mem_unmap(mem);
		return -ENOMEM;
	}
	if (kind == MEM_THP)
		madvise(mem->map, mem->length, MADV_HUGEPAGE);
	return 0;
}

void mem_unmap(struct mem *mem)
{
	if (mem->map)
		munmap(mem->map, mem->length);
	if (mem->fd >= 0)
		close(mem->fd);
	memset(mem, 0, sizeof(*mem));
	mem->fd = -1;
}

int mem_put(struct mem *mem, size_t at, const uint8_t *data, size_t length)
{
	if (!mem_is_file(mem->kind)) {
		memcpy(mem->map + at, data, length);
		return 0;
	}
	if (pwrite(mem->fd, data, length, at) == (ssize_t)length)
		return 0;
	complain("pwrite of %zu: %m", length);
	return -EIO;
}

bool swap_on(void)
{
	return !system("exec >/dev/null 2>&1; grep -q zram /proc/swaps && exit;"
		       "modprobe zram num_devices=1 &&"
		       "echo 1 >/sys/block/zram0/reset &&"
		       "echo " ZRAM_SIZE " >/sys/block/zram0/disksize &&"
		       "mkswap /dev/zram0 && swapon /dev/zram0");
}

void swap_off(void)
{
	if (system("swapoff /dev/zram0"))
		complain("swapoff: failed");
}

/* ---- keys ---- */

struct ibv_mr *demand_reg(struct ibv_pd *pd, void *addr, size_t length,
			  int access)
{
	return ibv_reg_mr(pd, addr, length, access | IBV_ACCESS_ON_DEMAND);
}

bool demand_supported(struct ibv_context *ctx, bool implicit)
{
	struct ibv_device_attr_ex attr;
	uint64_t caps;

	if (ibv_query_device_ex(ctx, NULL, &attr))
		return false;
	caps = attr.odp_caps.general_caps;
	return (caps & IBV_ODP_SUPPORT) &&
	       (!implicit || (caps & IBV_ODP_SUPPORT_IMPLICIT));
}

int implicit_open(struct pair *pair, size_t size, struct ibv_mr *all[2])
{
	int i, ret;

	ret = pair_open(pair, false, size);
	if (ret)
		return ret;
	for (i = 0; i < 2; i++) {
		all[i] = demand_reg(pair->node[i].pd, NULL, SIZE_MAX,
				    ACCESS_ALL);
		if (!all[i])
			return -errno;
	}
	return 0;
}

int implicit_close(struct pair *pair, struct ibv_mr *all[2])
{
	int ret = pair_sound(pair), i;

	pair_destroy(pair);
	for (i = 0; i < 2; i++)
		if (ibv_dereg_mr(all[i]) && !ret)
			ret = -EBUSY;
	pair_close(pair);
	return ret;
}

/* ---- one operation ---- */

bool op_is_send(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
}

static int op_post(struct ep *from, const struct op *op, struct ibv_sge *sge)
{
	struct ibv_send_wr wr = {
		.wr_id = (uintptr_t)op,
		.sg_list = sge,
		.num_sge = 1,
		.opcode = op->opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = 0x1234,
	};
	int ret;

	if (op->opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	    op->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = (uintptr_t)op->remote;
		wr.wr.atomic.rkey = op->rkey;
		wr.wr.atomic.compare_add = op->compare_add;
		wr.wr.atomic.swap = op->swap;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)op->remote;
		wr.wr.rdma.rkey = op->rkey;
	}
	ret = ep_post_send(from, &wr);
	if (ret)
		complain("ibv_post_send: %s", strerror(ret));
	return -ret;
}

/* What shows whether a transfer is slow, or stuck, and why. */
static const char *const progress_counters[] = {
	"page_faults", "page_faults_again", "page_requests",
	"local_ack_timeout_err", "packet_seq_err", "implied_nak_seq_err",
	"rnr_nak_retry_err", "roce_tx_packets",
};

#define NUM_PROGRESS	(sizeof(progress_counters) / sizeof(progress_counters[0]))

struct progress {
	uint64_t count[2][NUM_PROGRESS];
};

static void progress_read(struct progress *progress)
{
	unsigned int side, i;

	for (side = 0; side < 2; side++)
		for (i = 0; i < NUM_PROGRESS; i++)
			progress->count[side][i] =
				counter_of(side ? PEER : LOCAL,
					   progress_counters[i]);
}

static void complain_progress(const struct progress *before)
{
	struct progress now;
	unsigned int i;

	progress_read(&now);
	for (i = 0; i < NUM_PROGRESS; i++)
		complain("%s: +%llu, +%llu at the other device",
			 progress_counters[i],
			 (unsigned long long)(now.count[0][i] -
					      before->count[0][i]),
			 (unsigned long long)(now.count[1][i] -
					      before->count[1][i]));
}

/* It has not completed: what has been done, and what still is in some seconds. */
static void complain_stuck(struct ep *from, const struct op *op)
{
	static const struct progress nothing;
	struct progress then;
	struct ibv_wc wc;
	int ret;

	complain("opcode %d of %u does not complete; all so far:", op->opcode,
		 op->length);
	complain_progress(&nothing);
	progress_read(&then);
	ret = ep_wait(from, &wc, 5000);
	complain("5 s later: %s", ret ? "not yet" : "completed");
	complain_progress(&then);
}

int op_run(struct ep *from, struct ep *to, const struct op *op, int *received)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)op->local,
		.length = op->length,
		.lkey = op->lkey,
	}, into = {
		.addr = (uintptr_t)op->remote,
		.length = op->length,
		.lkey = op->rkey,
	};
	bool receives = op_is_send(op->opcode) ||
			op->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct ibv_wc wc;
	int ret, status;

	if (received)
		*received = -1;
	if (receives) {
		ret = ep_post_recv(to, ~(uintptr_t)op, &into,
				   op_is_send(op->opcode));
		if (ret)
			return ret;
	}
	ret = op_post(from, op, &sge);
	if (ret)
		return ret;
	ret = ep_wait(from, &wc, PATIENCE_MS);
	if (ret) {
		complain_stuck(from, op);
		return ret;
	}
	status = wc.status;
	if (!receives)
		return status;
	ret = ep_wait(to, &wc, status ? 200 : PATIENCE_MS);
	if (!ret && received)
		*received = wc.status;
	if (!status && (ret || wc.status || wc.byte_len != op->length)) {
		complain("opcode %d of %u: the receive %s", op->opcode,
			 op->length,
			 ret ? "does not come" : ibv_wc_status_str(wc.status));
		return -EIO;
	}
	return status;
}

/* ---- a server of page faults ---- */

static void serve_page(struct server *server, uint64_t addr)
{
	static __thread uint8_t page[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = {
		.dst = addr / PAGE * PAGE,
		.src = (uintptr_t)page,
		.len = PAGE,
	};

	memset(page, server->fill, sizeof(page));
	usleep(server->jitter ? addr / PAGE * 7919 % (server->delay_ms * 1000) :
				server->delay_ms * 1000);
	while (ioctl(server->fd, UFFDIO_COPY, &copy) && errno == EAGAIN)
		copy.copy = 0;
	__atomic_add_fetch(&server->served, 1, __ATOMIC_RELAXED);
}

static void *server_main(void *arg)
{
	struct server *server = arg;
	struct pollfd fds[2] = {
		{ .fd = server->fd, .events = POLLIN },
		{ .fd = server->stop[0], .events = POLLIN },
	};
	struct uffd_msg msg;

	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		if (read(server->fd, &msg, sizeof(msg)) == sizeof(msg) &&
		    msg.event == UFFD_EVENT_PAGEFAULT)
			serve_page(server, msg.arg.pagefault.address);
	}
	return NULL;
}

int server_watch(struct server *server, void *addr, size_t length)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)addr, .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(server->fd, UFFDIO_REGISTER, &reg)) {
		complain("registering a userfaultfd: %m");
		return -errno;
	}
	return 0;
}

int server_start(struct server *server, void *addr, size_t length,
		 unsigned int delay_ms, uint8_t fill)
{
	struct uffdio_api api = { .api = UFFD_API };

	memset(server, 0, sizeof(*server));
	server->delay_ms = delay_ms;
	server->fill = fill;
	server->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (server->fd < 0)
		return errno == ENOSYS ? -ENOENT : -errno;
	if (pipe(server->stop) || ioctl(server->fd, UFFDIO_API, &api)) {
		complain("a userfaultfd: %m");
		return -EIO;
	}
	if (length && server_watch(server, addr, length))
		return -EIO;
	return -pthread_create(&server->thread, NULL, server_main, server);
}

void server_stop(struct server *server)
{
	if (write(server->stop[1], "x", 1) == 1)
		pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->stop[1]);
	close(server->fd);
}

/* ---- counters ---- */

uint64_t counter_of(enum which which, const char *name)
{
	unsigned long long value = 0;
	char path[256];
	FILE *file;

	/* the kernel keeps what it has read for some milliseconds */
	usleep(50000);
	snprintf(path, sizeof(path),
		 "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 device_name(which), name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%llu", &value) != 1)
		complain("no counter %s", name);
	if (file)
		fclose(file);
	return value;
}
