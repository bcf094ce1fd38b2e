// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest triggered send: the accelerator computes a page, has the NIC send it, and
 * waits until it has arrived, while the CPU sleeps. Documentation/triggered.rst goes
 * through it. With an argument, the accelerator's commands are written to that file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/svan_accel.h>
#include <infiniband/svandv.h>
#include <svan/accel.h>

#define PAGE		4096u
#define COMMANDS	16u
#define LE(x)		svan_cpu_to_le64(x)

/* What the accelerator reads and writes in this process: its commands, and its record. */
static struct {
	struct svan_accel_cmd ring[COMMANDS];
	struct svan_accel_record record;
} __attribute__((aligned(PAGE))) queue;

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "hello: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static void connect_to(struct ibv_qp *qp, uint32_t qpn, const union ibv_gid *gid, int index)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
	};

	errno = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					 IBV_QP_ACCESS_FLAGS);
	must(!errno, "INIT");
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_4096, .dest_qp_num = qpn,
		.max_dest_rd_atomic = 1, .min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1, .port_num = 1,
			.grh = { .dgid = *gid, .sgid_index = index, .hop_limit = 64 },
		},
	};
	errno = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
					 IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
					 IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	must(!errno, "RTR");
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS, .timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
		.max_rd_atomic = 1,
	};
	errno = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
					 IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
					 IBV_QP_MAX_QP_RD_ATOMIC);
	must(!errno, "RTS");
}

static struct ibv_context *open_nic(void)
{
	const char *name = getenv("SVAN_DEV") ?: "svan_0";
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;
	int i;

	for (i = 0; list && list[i] && !context; i++) {
		if (!strcmp(ibv_get_device_name(list[i]), name))
			context = ibv_open_device(list[i]);
	}
	must(context, name);
	return context;
}

/* 1: the sender's doorbells have a page of their own; the receiver needs none. */
static struct ibv_qp *create_qp(struct ibv_pd *pd, struct ibv_cq *cq, struct svandv_uar *uar)
{
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_RC, .send_cq = cq, .recv_cq = cq, .pd = pd,
		.cap = { .max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1,
			 .max_recv_sge = 1 },
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_RDMA_WRITE,
	};
	struct svandv_qp_init_attr svan = { .uar = uar };
	struct ibv_qp *qp = svandv_create_qp(pd->context, &attr, &svan);

	must(qp, "a queue pair");
	return qp;
}

/* 2: the page becomes a window, and the accelerator's driver maps it. */
static uint64_t import_window(int accel, struct svandv_uar *uar)
{
	struct drm_svan_accel_import_window import = {
		.fd = svandv_uar_export_dmabuf_fd(uar),
	};

	must(import.fd >= 0, "exporting the doorbells");
	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_IMPORT_WINDOW, &import), "the window");
	close(import.fd);
	return import.va;
}

struct memory {
	uint64_t va;		/* for the accelerator */
	uint8_t *map;		/* for this process */
	struct ibv_mr *mr;	/* for the NIC, from address 0 on */
};

/* 3: memory of the accelerator, for all three. */
static void create_memory(struct memory *memory, int accel, struct ibv_pd *pd, size_t size)
{
	struct drm_svan_accel_bo_create create = {
		.size = size, .kind = DRM_SVAN_ACCEL_BO_LOCAL,
	};
	struct drm_svan_accel_bo_info info = {};
	struct drm_svan_accel_map map = { .length = size, .flags = DRM_SVAN_ACCEL_WRITE };
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };

	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &create), "memory");
	map.handle = info.handle = prime.handle = create.handle;
	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_MAP, &map), "an address for commands");
	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_BO_INFO, &info), "BO_INFO");
	must(!ioctl(accel, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), "a dma-buf");
	memory->va = map.va;
	memory->map = mmap(NULL, size, PROT_READ, MAP_SHARED, accel, info.mmap_offset);
	must(memory->map != MAP_FAILED, "mmap of the memory");
	memory->mr = ibv_reg_dmabuf_mr(pd, 0, size, 0, prime.fd,
				       IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	must(memory->mr, "registering the memory");
	close(prime.fd);
}

/* 4: a work request that lies in the queue, from the first page to the second. */
static void prepare(struct ibv_qp *sender, const struct ibv_mr *mr,
		    struct svandv_trigger *trigger)
{
	struct ibv_qp_ex *qp = ibv_qp_to_qp_ex(sender);

	ibv_wr_start(qp);
	qp->wr_id = 1;
	qp->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write(qp, mr->rkey, PAGE);
	ibv_wr_set_sge(qp, mr->lkey, 0, PAGE);
	errno = svandv_prepare(qp, trigger);
	must(!errno, "svandv_prepare");
}

/* 5: compute, fence, store the trigger; then wait for what arrives. */
static unsigned int post(uint64_t memory, uint64_t doorbell, uint64_t trigger, uint64_t pattern)
{
	const struct svan_accel_cmd commands[] = {
		{ .opcode = SVAN_ACCEL_FILL,
		  .fill = { LE(memory), LE(PAGE), LE(pattern) } },
		{ .opcode = SVAN_ACCEL_FENCE },
		{ .opcode = SVAN_ACCEL_WRITE, .width = 8,
		  .write = { LE(doorbell), LE(trigger) } },
		{ .opcode = SVAN_ACCEL_WAIT, .width = 8, .condition = SVAN_ACCEL_EQUAL,
		  .wait = { .addr = LE(memory + 2 * PAGE - 8), .value = LE(pattern),
			    .mask = LE(~0ull), .limit_ns = LE(5000000000ull) } },
		{ .opcode = SVAN_ACCEL_INTERRUPT },
	};

	memcpy(queue.ring, commands, sizeof(commands));
	return sizeof(commands) / sizeof(commands[0]);
}

/* The context's queue, and its doorbell. */
static volatile uint64_t *create_queue(int accel)
{
	struct drm_svan_accel_map_user map = {
		.addr = (uintptr_t)&queue, .length = sizeof(queue),
		.flags = DRM_SVAN_ACCEL_WRITE,
	};
	struct drm_svan_accel_queue_create create = { .log_size = 4 };
	struct drm_svan_accel_info info;
	volatile uint64_t *doorbells;

	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_MAP_USER, &map), "mapping the commands");
	create.ring = map.va;
	create.record = map.va + sizeof(queue.ring);
	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE, &create), "a queue");
	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_INFO, &info), "INFO");
	doorbells = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, accel, info.doorbell_offset);
	must(doorbells != MAP_FAILED, "mmap of the doorbells");
	return &doorbells[SVAN_ACCEL_DB(create.queue) / 8];
}

/* Ring the accelerator once, and sleep until its interrupt. */
static void run(int accel, volatile uint64_t *doorbell, unsigned int commands)
{
	struct drm_svan_accel_event event = {
		.kind = DRM_SVAN_ACCEL_EVENT_QUEUE, .fd = eventfd(0, EFD_CLOEXEC),
	};
	struct pollfd poll_fd = { .fd = event.fd, .events = POLLIN };

	must(!ioctl(accel, DRM_IOCTL_SVAN_ACCEL_EVENT, &event), "the event");
	__sync_synchronize();	/* the commands come before the doorbell */
	*doorbell = commands;
	errno = ETIMEDOUT;
	must(poll(&poll_fd, 1, 10000) == 1, "the interrupt");
	if (svan_le32_to_cpu(queue.record.state) == SVAN_ACCEL_QUEUE_STOPPED) {
		fprintf(stderr, "hello: stopped at command %u, status %u\n",
			svan_le32_to_cpu(queue.record.head),
			svan_le32_to_cpu(queue.record.status));
		exit(1);
	}
}

static void check(struct ibv_cq *cq, const struct memory *memory)
{
	const char *seen = (const char *)memory->map + PAGE;
	struct ibv_wc wc;

	while (!ibv_poll_cq(cq, 1, &wc))
		;
	errno = EIO;
	must(wc.status == IBV_WC_SUCCESS, ibv_wc_status_str(wc.status));
	must(!memcmp(seen, memory->map, PAGE), "what has arrived");
	printf("%u octets have arrived: %.16s...\n", PAGE, seen);
}

static void save(const char *name)
{
	FILE *file = fopen(name, "w");

	must(file && fwrite(queue.ring, sizeof(queue.ring), 1, file) == 1 && !fclose(file), name);
}

int main(int argc, char **argv)
{
	struct ibv_context *nic = open_nic();
	struct svandv_uar *uar = svandv_alloc_uar(nic);
	struct ibv_pd *pd = ibv_alloc_pd(nic);
	struct ibv_cq *cq = ibv_create_cq(nic, 8, NULL, NULL, 0);
	int accel = open("/dev/accel/accel0", O_RDWR | O_CLOEXEC);
	int index = atoi(getenv("SVAN_GID") ?: "1");
	struct ibv_qp *sender, *receiver;
	struct svandv_trigger trigger;
	struct memory memory;
	union ibv_gid gid;
	uint64_t pattern;

	must(accel >= 0, "/dev/accel/accel0: start the guest with PEERDEV=1");
	must(uar && pd && cq && !ibv_query_gid(nic, 1, index, &gid), "the NIC");
	sender = create_qp(pd, cq, uar);
	receiver = create_qp(pd, cq, svandv_alloc_uar(nic));
	connect_to(sender, receiver->qp_num, &gid, index);
	connect_to(receiver, sender->qp_num, &gid, index);
	create_memory(&memory, accel, pd, 2 * PAGE);
	prepare(sender, memory.mr, &trigger);
	memcpy(&pattern, "hello!! ", sizeof(pattern));
	run(accel, create_queue(accel),
	    post(memory.va, import_window(accel, uar) + trigger.offset, trigger.value, pattern));
	check(cq, &memory);
	if (argc > 1)
		save(argv[1]);
	return 0;	/* the process ends, and takes everything along */
}
