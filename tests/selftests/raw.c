// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <dirent.h>
#include <emmintrin.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "raw.h"

#define SYSFS_UVERBS	"/sys/class/infiniband_verbs"
#define MAX_WORDS	128

static uint8_t *alloc_pages(size_t length)
{
	void *buf = mmap(NULL, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return buf == MAP_FAILED ? NULL : buf;
}

/* ---- commands ---- */

int raw_exec(struct raw *raw, const struct raw_cmd *cmd)
{
	uint32_t words[MAX_WORDS] = {};
	struct ib_uverbs_cmd_hdr *hdr = (void *)words;
	size_t size = sizeof(*hdr) + cmd->core_size + cmd->driver_size;
	uint64_t response = (uintptr_t)cmd->resp;

	if (size > sizeof(words))
		return -E2BIG;
	if (cmd->resp) {
		memset(cmd->resp, 0, cmd->resp_size);
		memcpy(cmd->core, &response, sizeof(response));
	}
	memcpy(hdr + 1, cmd->core, cmd->core_size);
	if (cmd->driver_size)
		memcpy((uint8_t *)(hdr + 1) + cmd->core_size, cmd->driver,
		       cmd->driver_size);
	hdr->command = cmd->command;
	hdr->in_words = size / 4;
	hdr->out_words = cmd->resp_size / 4;
	if (write(raw->fd, words, size) != (ssize_t)size)
		return -errno;
	return 0;
}

static int destroy_handle(struct raw *raw, uint32_t command, void *core,
			  size_t size)
{
	uint32_t resp[4];
	struct raw_cmd cmd = {
		.command = command,
		.core = core,
		.core_size = size,
		.resp = resp,
		.resp_size = command == IB_USER_VERBS_CMD_DESTROY_CQ ? 8 : 4,
	};

	return raw_exec(raw, &cmd);
}

/* ---- contexts ---- */

/* The character device whose ibdev is the one under test. */
static int open_uverbs(void)
{
	DIR *dir = opendir(SYSFS_UVERBS);
	struct dirent *entry;
	char path[512], name[64];
	FILE *file;
	int fd = -1;

	while (dir && fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), SYSFS_UVERBS "/%s/ibdev",
			 entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%63s", name) == 1 &&
		    !strcmp(name, device_name(LOCAL))) {
			snprintf(path, sizeof(path), "/dev/infiniband/%s",
				 entry->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
		fclose(file);
	}
	if (dir)
		closedir(dir);
	if (fd < 0)
		complain("cannot open the uverbs device of %s: %m",
			 device_name(LOCAL));
	return fd;
}

static int get_context(struct raw *raw)
{
	struct {
		struct ib_uverbs_get_context_resp core;
		struct svan_uresp_alloc_ucontext svan;
	} resp;
	struct ib_uverbs_get_context core = {};
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_GET_CONTEXT,
		.core = &core,
		.core_size = sizeof(core),
		.resp = &resp,
		.resp_size = sizeof(resp),
	};
	int ret = raw_exec(raw, &cmd);

	if (ret)
		return ret;
	raw->async_fd = resp.core.async_fd;
	raw->limits = resp.svan;
	raw->uar = mmap(NULL, resp.svan.uar_size, PROT_WRITE, MAP_SHARED,
			raw->fd, resp.svan.uar_mmap_offset);
	if (raw->uar == MAP_FAILED) {
		raw->uar = NULL;
		return -errno;
	}
	return 0;
}

static int alloc_pd(struct raw *raw)
{
	struct {
		struct ib_uverbs_alloc_pd_resp core;
		struct svan_uresp_alloc_pd svan;
	} resp;
	struct ib_uverbs_alloc_pd core = {};
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_ALLOC_PD,
		.core = &core,
		.core_size = sizeof(core),
		.resp = &resp,
		.resp_size = sizeof(resp),
	};
	int ret = raw_exec(raw, &cmd);

	raw->pd = resp.core.pd_handle;
	return ret;
}

static int reg_mr(struct raw *raw)
{
	struct ib_uverbs_reg_mr_resp resp;
	struct ib_uverbs_reg_mr core = {
		.start = (uintptr_t)raw->mem,
		.length = raw->mem_size,
		.hca_va = (uintptr_t)raw->mem,
		.pd_handle = raw->pd,
		.access_flags = ACCESS_ALL,
	};
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_REG_MR,
		.core = &core,
		.core_size = sizeof(core),
		.resp = &resp,
		.resp_size = sizeof(resp),
	};
	int ret = raw_exec(raw, &cmd);

	raw->lkey = resp.lkey;
	raw->rkey = resp.rkey;
	return ret;
}

int raw_open(struct raw *raw, const struct node *node)
{
	int ret;

	memset(raw, 0, sizeof(*raw));
	raw->gid = node->gid;
	raw->gid_index = node->gid_index;
	raw->async_fd = -1;
	raw->mem_size = RAW_MEM_SIZE;
	raw->mem = alloc_pages(raw->mem_size);
	raw->fd = open_uverbs();
	if (!raw->mem || raw->fd < 0)
		return -ENODEV;
	ret = get_context(raw);
	if (!ret)
		ret = alloc_pd(raw);
	if (!ret)
		ret = reg_mr(raw);
	if (ret) {
		complain("a context without libibverbs: %s", strerror(-ret));
		raw_close(raw);
	}
	return ret;
}

/* Closing the file destroys what is left of the context. */
void raw_close(struct raw *raw)
{
	if (raw->uar)
		munmap(raw->uar, raw->limits.uar_size);
	if (raw->async_fd >= 0)
		close(raw->async_fd);
	if (raw->fd >= 0)
		close(raw->fd);
	if (raw->mem)
		munmap(raw->mem, raw->mem_size);
	memset(raw, 0, sizeof(*raw));
	raw->fd = raw->async_fd = -1;
}

/* ---- completion queues ---- */

static int exec_create_cq(struct raw *raw, struct svan_ureq_create_cq *ureq,
			  uint32_t cqe, struct raw_cq *cq)
{
	struct {
		struct ib_uverbs_create_cq_resp core;
		struct svan_uresp_create_cq svan;
	} resp;
	struct ib_uverbs_create_cq core = { .cqe = cqe, .comp_channel = -1 };
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_CREATE_CQ,
		.core = &core,
		.core_size = sizeof(core),
		.driver = ureq,
		.driver_size = sizeof(*ureq),
		.resp = &resp,
		.resp_size = sizeof(resp),
	};
	int ret = raw_exec(raw, &cmd);

	cq->handle = resp.core.cq_handle;
	cq->cqn = resp.svan.cqn;
	return ret;
}

int raw_create_cq(struct raw *raw, struct raw_cq *cq, uint8_t log_size)
{
	uint32_t bytes = sizeof(struct svan_cqe) << log_size;
	struct svan_ureq_create_cq ureq;
	int ret;

	memset(cq, 0, sizeof(*cq));
	cq->log_size = log_size;
	cq->length = (bytes + sizeof(struct svan_cq_dbr) + 4095) & ~4095u;
	cq->buf = alloc_pages(cq->length);
	if (!cq->buf)
		return -ENOMEM;
	cq->dbr = (void *)(cq->buf + bytes);
	ureq = (struct svan_ureq_create_cq){
		.buf_va = (uintptr_t)cq->buf,
		.buf_length = cq->length,
		.dbr_offset = bytes,
		.log_size = log_size,
	};
	ret = exec_create_cq(raw, &ureq, 1u << log_size, cq);
	if (ret) {
		complain("creating a raw CQ: %s", strerror(-ret));
		munmap(cq->buf, cq->length);
		cq->buf = NULL;
	}
	return ret;
}

void raw_destroy_cq(struct raw *raw, struct raw_cq *cq)
{
	struct ib_uverbs_destroy_cq core = { .cq_handle = cq->handle };

	if (!cq->buf)
		return;
	if (destroy_handle(raw, IB_USER_VERBS_CMD_DESTROY_CQ, &core,
			   sizeof(core)))
		complain("destroying a raw CQ: %m");
	munmap(cq->buf, cq->length);
	memset(cq, 0, sizeof(*cq));
}

int raw_try_cq(struct raw *raw, struct svan_ureq_create_cq *ureq, uint32_t cqe)
{
	struct ib_uverbs_destroy_cq core = {};
	struct raw_cq cq;
	int ret = exec_create_cq(raw, ureq, cqe, &cq);

	core.cq_handle = cq.handle;
	if (!ret)
		destroy_handle(raw, IB_USER_VERBS_CMD_DESTROY_CQ, &core,
			       sizeof(core));
	return ret;
}

/* ---- queue pairs ---- */

static int exec_create_qp(struct raw *raw, struct svan_ureq_create_qp *ureq,
			  const struct raw_cq *cq, enum ibv_qp_type type,
			  struct raw_qp *qp)
{
	struct {
		struct ib_uverbs_create_qp_resp core;
		struct svan_uresp_create_qp svan;
	} resp;
	struct ib_uverbs_create_qp core = {
		.pd_handle = raw->pd,
		.send_cq_handle = cq->handle,
		.recv_cq_handle = cq->handle,
		.max_send_wr = 1,
		.max_recv_wr = 1,
		.max_send_sge = 1,
		.max_recv_sge = 1,
		.qp_type = type,
	};
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_CREATE_QP,
		.core = &core,
		.core_size = sizeof(core),
		.driver = ureq,
		.driver_size = sizeof(*ureq),
		.resp = &resp,
		.resp_size = sizeof(resp),
	};
	int ret = raw_exec(raw, &cmd);

	qp->handle = resp.core.qp_handle;
	qp->qpn = resp.svan.qpn;
	return ret;
}

static int create_qp(struct raw *raw, struct raw_qp *qp,
		     const struct raw_cq *cq, enum ibv_qp_type type)
{
	struct svan_ureq_create_qp ureq;
	uint32_t sq, rq;
	int ret;

	memset(qp, 0, sizeof(*qp));
	qp->log_sq_bbs = 6;
	qp->log_rq_size = 4;
	qp->log_rq_stride = 7;
	sq = SVAN_WQEBB_SIZE << qp->log_sq_bbs;
	rq = 1u << (qp->log_rq_size + qp->log_rq_stride);
	qp->length = (sq + rq + sizeof(struct svan_qp_dbr) + 4095) & ~4095u;
	qp->buf = alloc_pages(qp->length);
	if (!qp->buf)
		return -ENOMEM;
	qp->sq.bbs = (void *)qp->buf;
	qp->sq.mask = (1u << qp->log_sq_bbs) - 1;
	qp->rq = qp->buf + sq;
	qp->dbr = (void *)(qp->buf + sq + rq);
	ureq = (struct svan_ureq_create_qp){
		.buf_va = (uintptr_t)qp->buf,
		.buf_length = qp->length,
		.rq_offset = sq,
		.dbr_offset = sq + rq,
		.log_sq_bbs = qp->log_sq_bbs,
		.log_rq_size = qp->log_rq_size,
		.log_rq_stride = qp->log_rq_stride,
	};
	ret = exec_create_qp(raw, &ureq, cq, type, qp);
	if (ret) {
		complain("creating a raw QP: %s", strerror(-ret));
		munmap(qp->buf, qp->length);
		qp->buf = NULL;
	}
	return ret;
}

int raw_create_qp(struct raw *raw, struct raw_qp *qp, const struct raw_cq *cq)
{
	return create_qp(raw, qp, cq, IBV_QPT_RC);
}

int raw_create_ud(struct raw *raw, struct raw_qp *qp, const struct raw_cq *cq)
{
	return create_qp(raw, qp, cq, IBV_QPT_UD);
}

void raw_destroy_qp(struct raw *raw, struct raw_qp *qp)
{
	struct ib_uverbs_destroy_qp core = { .qp_handle = qp->handle };

	if (!qp->buf)
		return;
	if (destroy_handle(raw, IB_USER_VERBS_CMD_DESTROY_QP, &core,
			   sizeof(core)))
		complain("destroying a raw QP: %m");
	munmap(qp->buf, qp->length);
	memset(qp, 0, sizeof(*qp));
}

int raw_try_qp(struct raw *raw, struct svan_ureq_create_qp *ureq,
	       const struct raw_cq *cq)
{
	struct ib_uverbs_destroy_qp core = {};
	struct raw_qp qp;
	int ret = exec_create_qp(raw, ureq, cq, IBV_QPT_RC, &qp);

	core.qp_handle = qp.handle;
	if (!ret)
		destroy_handle(raw, IB_USER_VERBS_CMD_DESTROY_QP, &core,
			       sizeof(core));
	return ret;
}

/* ---- states ---- */

static int modify(struct raw *raw, struct raw_qp *qp,
		  struct ib_uverbs_modify_qp *core, enum ibv_qp_state state,
		  uint32_t mask)
{
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_MODIFY_QP,
		.core = core,
		.core_size = sizeof(*core),
	};
	int ret;

	core->qp_handle = qp->handle;
	core->qp_state = state;
	core->attr_mask = mask | IBV_QP_STATE;
	ret = raw_exec(raw, &cmd);
	if (ret)
		complain("raw QP %u to state %d: %s", qp->qpn, state,
			 strerror(-ret));
	return ret;
}

int raw_reset(struct raw *raw, struct raw_qp *qp)
{
	struct ib_uverbs_modify_qp core = {};
	int ret = modify(raw, qp, &core, IBV_QPS_RESET, 0);

	qp->sq_pi = qp->rq_pi = 0;
	qp->dbr->sq_pi = qp->dbr->rq_pi = 0;
	memset(qp->buf, 0, (uint8_t *)qp->dbr - qp->buf);
	return ret;
}

int raw_connect(struct raw *raw, struct raw_qp *qp, uint32_t dest_qpn)
{
	struct ib_uverbs_modify_qp core = {
		.port_num = 1,
		.qp_access_flags = ACCESS_REMOTE,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = dest_qpn,
		.max_dest_rd_atomic = 4,
		.max_rd_atomic = 4,
		.min_rnr_timer = 1,
		.timeout = 12,
		.retry_cnt = 1,
		.rnr_retry = 1,
		.dest = {
			.is_global = 1,
			.port_num = 1,
			.sgid_index = raw->gid_index,
			.hop_limit = 64,
		},
	};
	int ret;

	memcpy(core.dest.dgid, &raw->gid, 16);
	ret = modify(raw, qp, &core, IBV_QPS_INIT,
		     IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	if (!ret)
		ret = modify(raw, qp, &core, IBV_QPS_RTR,
			     IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			     IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
			     IBV_QP_MIN_RNR_TIMER);
	if (!ret)
		ret = modify(raw, qp, &core, IBV_QPS_RTS,
			     IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
			     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			     IBV_QP_MAX_QP_RD_ATOMIC);
	return ret;
}

int raw_begin_ud(struct raw *raw, struct raw_qp *qp, uint32_t qkey)
{
	struct ib_uverbs_modify_qp core = { .port_num = 1, .qkey = qkey };
	int ret;

	ret = modify(raw, qp, &core, IBV_QPS_INIT,
		     IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);
	if (!ret)
		ret = modify(raw, qp, &core, IBV_QPS_RTR, 0);
	if (!ret)
		ret = modify(raw, qp, &core, IBV_QPS_RTS, IBV_QP_SQ_PSN);
	return ret;
}

int raw_state(struct raw *raw, struct raw_qp *qp)
{
	struct ib_uverbs_query_qp_resp resp;
	struct ib_uverbs_query_qp core = {
		.qp_handle = qp->handle,
		.attr_mask = IBV_QP_STATE,
	};
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_QUERY_QP,
		.core = &core,
		.core_size = sizeof(core),
		.resp = &resp,
		.resp_size = sizeof(resp),
	};
	int ret = raw_exec(raw, &cmd);

	return ret ? ret : resp.qp_state;
}

/* ---- rings ---- */

int raw_poll(struct raw_cq *cq, struct svan_cqe *cqe, unsigned int ms)
{
	const struct svan_cqe *entry = (struct svan_cqe *)cq->buf +
				       (cq->ci & ((1u << cq->log_size) - 1));
	const volatile uint8_t *owner = &entry->owner;
	uint64_t deadline = now_ms() + ms;

	while (!svan_cqe_valid(*owner, cq->ci, cq->log_size)) {
		if (now_ms() > deadline)
			return 0;
		sched_yield();
	}
	_mm_mfence();
	*cqe = *entry;
	cq->ci++;
	cq->dbr->ci = svan_cpu_to_le32(cq->ci);
	return 1;
}

void raw_store(struct raw *raw, uint32_t offset, uint64_t value)
{
	_mm_mfence();
	*(volatile uint64_t *)(raw->uar + offset) = htole64(value);
	_mm_mfence();
}

void raw_ring_sq(struct raw *raw, struct raw_qp *qp, uint32_t pi)
{
	qp->sq_pi = pi;
	qp->dbr->sq_pi = svan_cpu_to_le32(pi);
	raw_store(raw, SVAN_UAR_SQ_DB, svan_db_value(qp->qpn, pi));
}

void raw_ring_rq(struct raw *raw, struct raw_qp *qp, uint32_t pi)
{
	qp->rq_pi = pi;
	qp->dbr->rq_pi = svan_cpu_to_le32(pi);
	raw_store(raw, SVAN_UAR_RQ_DB, svan_db_value(qp->qpn, pi));
}

struct svan_wqe_head *raw_build_write(struct raw *raw, struct raw_qp *qp,
				      uint32_t len)
{
	struct svan_wqe_head *head;

	head = svan_wqe_begin(&qp->sq, qp->sq_pi, SVAN_WQE_RDMA_WRITE,
			      SVAN_WQE_SIGNALED, 0);
	svan_wqe_set_remote(head, (uintptr_t)raw->mem + raw->mem_size / 2,
			    raw->rkey);
	svan_sge_set(&head->sge[0], (uintptr_t)raw->mem, len, raw->lkey);
	svan_wqe_set_num_sge(head, 1);
	return head;
}

uint64_t device_counter(const char *name)
{
	unsigned long long value = 0;
	char path[256];
	FILE *file;

	/* the kernel keeps what it has read for some milliseconds */
	usleep(50000);
	snprintf(path, sizeof(path),
		 "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 device_name(LOCAL), name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%llu", &value) != 1)
		complain("no counter %s", name);
	if (file)
		fclose(file);
	return value;
}
