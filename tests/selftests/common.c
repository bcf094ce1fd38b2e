// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#define SOUND_SIZE	65536u

void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "# ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* ---- randomness ---- */

void rng_init(struct rng *rng, const char *test)
{
	const char *seed = getenv("SVAN_SEED");
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	rng->state = seed ? strtoull(seed, NULL, 0) :
			    (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	printf("# %s: SVAN_SEED=%llu\n", test, (unsigned long long)rng->state);
	fflush(stdout);
}

/* splitmix64 */
uint64_t rng_u64(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *rng, uint32_t limit)
{
	return rng_u64(rng) % limit;
}

/* ---- devices ---- */

static const struct {
	const char *dev_env, *gid_env, *name;
} devices[] = {
	[LOCAL] = { "SVAN_DEV", "SVAN_GID", "svan_0" },
	[PEER] = { "SVAN_PEER_DEV", "SVAN_PEER_GID", "svan_1" },
};

const char *device_name(enum which which)
{
	const char *name = getenv(devices[which].dev_env);

	return name ? name : devices[which].name;
}

static struct ibv_context *open_named(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = NULL;
	int i;

	for (i = 0; list && list[i]; i++) {
		if (!strcmp(ibv_get_device_name(list[i]), name))
			ctx = ibv_open_device(list[i]);
	}
	if (list)
		ibv_free_device_list(list);
	return ctx;
}

bool device_exists(enum which which)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	bool found = false;
	int i;

	for (i = 0; list && list[i]; i++)
		found |= !strcmp(ibv_get_device_name(list[i]),
				 device_name(which));
	if (list)
		ibv_free_device_list(list);
	return found;
}

bool gid_is_ipv4(const union ibv_gid *gid)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(gid->raw, mapped, sizeof(mapped));
}

int node_find_gid(struct node *node, bool ipv4, union ibv_gid *gid)
{
	struct ibv_gid_entry entry;
	int i;

	for (i = 0; i < node->port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(node->ctx, 1, i, &entry, 0) ||
		    entry.gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    gid_is_ipv4(&entry.gid) != ipv4)
			continue;
		*gid = entry.gid;
		return i;
	}
	complain("no RoCE v2 GID of an %s address: has the netdev one?",
		 ipv4 ? "IPv4" : "IPv6");
	return -ENOENT;
}

/* The RoCE v2 GID of the IPv4 address, unless another index is asked for. */
static int choose_gid(struct node *node, const char *env)
{
	const char *index = getenv(env);

	if (index) {
		node->gid_index = atoi(index);
		return ibv_query_gid(node->ctx, 1, node->gid_index, &node->gid);
	}
	node->gid_index = node_find_gid(node, true, &node->gid);
	return node->gid_index < 0 ? node->gid_index : 0;
}

int node_open(struct node *node, enum which which)
{
	memset(node, 0, sizeof(*node));
	node->ctx = open_named(device_name(which));
	if (!node->ctx) {
		complain("cannot open %s: %m", device_name(which));
		return -ENODEV;
	}
	if (ibv_query_device(node->ctx, &node->attr) ||
	    ibv_query_port(node->ctx, 1, &node->port)) {
		complain("cannot query %s: %m", device_name(which));
		goto err_close;
	}
	if (choose_gid(node, devices[which].gid_env))
		goto err_close;
	node->pd = ibv_alloc_pd(node->ctx);
	if (!node->pd) {
		complain("ibv_alloc_pd: %m");
		goto err_close;
	}
	return 0;

err_close:
	ibv_close_device(node->ctx);
	node->ctx = NULL;
	return -ENODEV;
}

void node_close(struct node *node)
{
	if (node->pd && ibv_dealloc_pd(node->pd))
		complain("ibv_dealloc_pd: %m");
	if (node->ctx && ibv_close_device(node->ctx))
		complain("ibv_close_device: %m");
	memset(node, 0, sizeof(*node));
}

/* ---- memory ---- */

int area_alloc(struct area *area, struct ibv_pd *pd, size_t size, int access)
{
	size_t length = (size + 4095) / 4096 * 4096 + 2 * MARGIN;

	area->map = mmap(NULL, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area->map == MAP_FAILED) {
		complain("mmap of %zu: %m", length);
		area->map = NULL;
		return -ENOMEM;
	}
	area->size = length - 2 * MARGIN;
	area->data = area->map + MARGIN;
	area_fill_canary(area);
	area->mr = ibv_reg_mr(pd, area->map, length, access);
	if (!area->mr) {
		complain("ibv_reg_mr of %zu, access 0x%x: %m", length, access);
		area_free(area);
		return -errno;
	}
	return 0;
}

void area_free(struct area *area)
{
	if (area->mr && ibv_dereg_mr(area->mr))
		complain("ibv_dereg_mr: %m");
	if (area->map)
		munmap(area->map, area->size + 2 * MARGIN);
	memset(area, 0, sizeof(*area));
}

void area_fill_canary(struct area *area)
{
	memset(area->map, CANARY, area->size + 2 * MARGIN);
}

int area_check_canary(const struct area *area, ptrdiff_t from, ptrdiff_t to)
{
	const uint8_t *octet = area->data + from;

	/* equal to itself, one octet on */
	if (from >= to || (*octet == CANARY &&
			   !memcmp(octet, octet + 1, to - from - 1)))
		return 0;
	while (*octet == CANARY)
		octet++;
	complain("octet %td, outside of the data, was overwritten: 0x%02x",
		 octet - area->data, *octet);
	return -EIO;
}

int text_alloc(struct text *text, size_t size, struct rng *rng)
{
	uint64_t word;
	size_t i;

	size = (size + 7) / 8 * 8;
	text->plain = malloc(size);
	text->inverse = malloc(size);
	if (!text->plain || !text->inverse)
		return -ENOMEM;
	for (i = 0; i < size; i += 8) {
		word = rng_u64(rng);
		memcpy(text->plain + i, &word, 8);
		word = ~word;
		memcpy(text->inverse + i, &word, 8);
	}
	text->size = size;
	return 0;
}

void text_free(struct text *text)
{
	free(text->plain);
	free(text->inverse);
	memset(text, 0, sizeof(*text));
}

int check_equal(const char *what, const uint8_t *seen, const uint8_t *wanted,
		size_t length)
{
	size_t i;

	if (!memcmp(seen, wanted, length))
		return 0;
	for (i = 0; seen[i] == wanted[i]; i++)
		;
	complain("%s: octet %zu of %zu is 0x%02x instead of 0x%02x", what, i,
		 length, seen[i], wanted[i]);
	return -EIO;
}

/* ---- work ---- */

struct ibv_sge area_sge(const struct area *area, size_t offset, uint32_t len)
{
	return (struct ibv_sge){
		.addr = (uintptr_t)(area->data + offset),
		.length = len,
		.lkey = area->mr->lkey,
	};
}

static void wr_op(struct ibv_qp_ex *qpx, const struct ibv_send_wr *wr)
{
	switch (wr->opcode) {
	case IBV_WR_SEND:
		ibv_wr_send(qpx);
		break;
	case IBV_WR_SEND_WITH_IMM:
		ibv_wr_send_imm(qpx, wr->imm_data);
		break;
	case IBV_WR_RDMA_WRITE:
		ibv_wr_rdma_write(qpx, wr->wr.rdma.rkey,
				  wr->wr.rdma.remote_addr);
		break;
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		ibv_wr_rdma_write_imm(qpx, wr->wr.rdma.rkey,
				      wr->wr.rdma.remote_addr, wr->imm_data);
		break;
	case IBV_WR_RDMA_READ:
		ibv_wr_rdma_read(qpx, wr->wr.rdma.rkey,
				 wr->wr.rdma.remote_addr);
		break;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		ibv_wr_atomic_cmp_swp(qpx, wr->wr.atomic.rkey,
				      wr->wr.atomic.remote_addr,
				      wr->wr.atomic.compare_add,
				      wr->wr.atomic.swap);
		break;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		ibv_wr_atomic_fetch_add(qpx, wr->wr.atomic.rkey,
					wr->wr.atomic.remote_addr,
					wr->wr.atomic.compare_add);
		break;
	default:
		complain("opcode %d is not for ibv_wr_*()", wr->opcode);
	}
}

#define MAX_BUFS	32

static void wr_data(struct ibv_qp_ex *qpx, const struct ibv_send_wr *wr)
{
	struct ibv_data_buf bufs[MAX_BUFS];
	int i;

	if (!(wr->send_flags & IBV_SEND_INLINE)) {
		ibv_wr_set_sge_list(qpx, wr->num_sge, wr->sg_list);
		return;
	}
	for (i = 0; i < wr->num_sge && i < MAX_BUFS; i++) {
		bufs[i].addr = (void *)(uintptr_t)wr->sg_list[i].addr;
		bufs[i].length = wr->sg_list[i].length;
	}
	ibv_wr_set_inline_data_list(qpx, i, bufs);
}

static void wr_address(struct ibv_qp_ex *qpx, const struct ibv_send_wr *wr)
{
	ibv_wr_set_ud_addr(qpx, wr->wr.ud.ah, wr->wr.ud.remote_qpn,
			   wr->wr.ud.remote_qkey);
}

static int post_extended(struct ep *ep, const struct ibv_send_wr *wr)
{
	bool ud = ep->qp->qp_type == IBV_QPT_UD;

	ibv_wr_start(ep->qpx);
	for (; wr; wr = wr->next) {
		ep->qpx->wr_id = wr->wr_id;
		ep->qpx->wr_flags = wr->send_flags & ~IBV_SEND_INLINE;
		wr_op(ep->qpx, wr);
		if (ud && ep->address_first)
			wr_address(ep->qpx, wr);
		wr_data(ep->qpx, wr);
		if (ud && !ep->address_first)
			wr_address(ep->qpx, wr);
	}
	return ibv_wr_complete(ep->qpx);
}

int ep_post_send(struct ep *ep, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad_wr = NULL;

	if (ep->qpx)
		return post_extended(ep, wr);
	return ibv_post_send(ep->qp, wr, &bad_wr);
}

int ep_expect_refusal(struct ep *ep, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad_wr = NULL;
	int ret = ibv_post_send(ep->qp, wr, &bad_wr);

	if (ret == EINVAL && bad_wr == wr)
		return 0;
	complain("posting opcode %d: %s", wr->opcode, strerror(ret));
	return -EIO;
}

int ep_post_recv(struct ep *ep, uint64_t wr_id, struct ibv_sge *sge, int n)
{
	struct ibv_recv_wr *bad_wr = NULL, wr = {
		.wr_id = wr_id,
		.sg_list = sge,
		.num_sge = n,
	};
	int ret;

	ret = ibv_post_recv(ep->qp, &wr, &bad_wr);
	if (ret)
		complain("ibv_post_recv: %s", strerror(ret));
	return -ret;
}

static int poll_extended(struct ep *ep, struct ibv_wc *wc)
{
	struct ibv_poll_cq_attr attr = {};
	int ret;

	ret = ibv_start_poll(ep->cqx, &attr);
	if (ret == ENOENT)
		return 0;
	if (ret) {
		complain("ibv_start_poll: %s", strerror(ret));
		return -ret;
	}
	memset(wc, 0, sizeof(*wc));
	wc->wr_id = ep->cqx->wr_id;
	wc->status = ep->cqx->status;
	wc->vendor_err = ibv_wc_read_vendor_err(ep->cqx);
	wc->qp_num = ibv_wc_read_qp_num(ep->cqx);
	wc->opcode = ibv_wc_read_opcode(ep->cqx);
	wc->byte_len = ibv_wc_read_byte_len(ep->cqx);
	wc->src_qp = ibv_wc_read_src_qp(ep->cqx);
	wc->wc_flags = ibv_wc_read_wc_flags(ep->cqx);
	if (wc->wc_flags & IBV_WC_WITH_IMM)
		wc->imm_data = ibv_wc_read_imm_data(ep->cqx);
	ibv_end_poll(ep->cqx);
	return 1;
}

int ep_poll(struct ep *ep, struct ibv_wc *wc)
{
	int ret;

	if (ep->cqx)
		return poll_extended(ep, wc);
	ret = ibv_poll_cq(ep->cq, 1, wc);
	if (ret < 0)
		complain("ibv_poll_cq: %d", ret);
	return ret;
}

int ep_wait(struct ep *ep, struct ibv_wc *wc, unsigned int ms)
{
	uint64_t deadline = 0;
	unsigned int spins = 0;
	int ret;

	for (;;) {
		ret = ep_poll(ep, wc);
		if (ret)
			return ret < 0 ? -EIO : 0;
		if (++spins % 64)
			continue;
		if (!deadline)
			deadline = now_ms() + ms;
		else if (now_ms() > deadline)
			return -ETIMEDOUT;
		sched_yield();
	}
}

int ep_expect(struct ep *ep, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc;

	if (ep_wait(ep, &wc, WAIT_MS)) {
		complain("no completion of work request 0x%llx (%s) came",
			 (unsigned long long)wr_id, ibv_wc_status_str(status));
		return -ETIMEDOUT;
	}
	if (wc.wr_id == wr_id && wc.status == status &&
	    wc.qp_num == ep->qp->qp_num)
		return 0;
	complain("QP %u, work request 0x%llx: %s, vendor 0x%x; wanted QP %u, 0x%llx: %s",
		 wc.qp_num, (unsigned long long)wc.wr_id,
		 ibv_wc_status_str(wc.status), wc.vendor_err, ep->qp->qp_num,
		 (unsigned long long)wr_id, ibv_wc_status_str(status));
	return -EIO;
}

int ep_expect_none(struct ep *ep, unsigned int ms)
{
	struct ibv_wc wc;

	if (ep_wait(ep, &wc, ms))
		return 0;
	complain("a completion that nobody asked for: work request 0x%llx, %s",
		 (unsigned long long)wc.wr_id, ibv_wc_status_str(wc.status));
	return -EIO;
}

int get_async(struct node *node, unsigned int ms, struct ibv_async_event *event)
{
	struct pollfd pfd = { .fd = node->ctx->async_fd, .events = POLLIN };

	if (poll(&pfd, 1, ms) != 1)
		return -ETIMEDOUT;
	return ibv_get_async_event(node->ctx, event) ? -errno : 0;
}

int wait_async(struct node *node, unsigned int ms)
{
	struct ibv_async_event event;
	int ret = get_async(node, ms, &event);

	if (ret)
		return ret;
	ibv_ack_async_event(&event);
	return event.event_type;
}

int expect_async(struct node *node, enum ibv_event_type type, unsigned int ms)
{
	uint64_t deadline = now_ms() + ms;
	int seen;

	do {
		uint64_t now = now_ms();

		seen = wait_async(node, now < deadline ? deadline - now : 0);
		if (seen == (int)type)
			return 0;
		if (seen >= 0)
			complain("passed by: %s", ibv_event_type_str(seen));
	} while (seen >= 0);
	complain("no event '%s' came", ibv_event_type_str(type));
	return seen;
}

int write_to(const char *folder, const char *file, const char *text)
{
	char path[PATH_MAX + 16];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		complain("writing %s to %s: %m", text, path);
		ret = -errno;
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int await_sound(bool wire)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	struct pair pair;
	int ret;

	while (!device_exists(LOCAL) || (wire && !device_exists(PEER))) {
		if (now_ms() > deadline) {
			complain("the device does not come back");
			return -ENODEV;
		}
		usleep(10000);
	}
	/* GIDs are filled in by a work queue */
	while ((ret = pair_open(&pair, wire, SOUND_SIZE)) && now_ms() < deadline)
		usleep(50000);
	if (ret)
		return ret;
	ret = pair_sound(&pair);
	pair_close(&pair);
	return ret;
}

int driver_bind(const char *driver, const char *device, bool bind)
{
	return write_to(driver, bind ? "bind" : "unbind", strrchr(device, '/') + 1);
}

int rdma_driver_find(enum which which, char *device, char *driver)
{
	char path[PATH_MAX + 32];
	glob_t found;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/device/svan.rdma.*",
		 device_name(which));
	if (glob(path, 0, NULL, &found)) {
		complain("no auxiliary device %s", path);
		return -ENOENT;
	}
	if (!realpath(found.gl_pathv[0], device))
		return -errno;
	globfree(&found);
	snprintf(path, sizeof(path), "%s/driver", device);
	return realpath(path, driver) ? 0 : -errno;
}

int udmabuf_create(int memfd, size_t size)
{
	struct udmabuf_create create = {
		.memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size,
	};
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd;

	if (dev < 0)
		return -1;
	fd = ioctl(dev, UDMABUF_CREATE, &create);
	close(dev);
	return fd;
}
