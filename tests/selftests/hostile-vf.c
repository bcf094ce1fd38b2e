// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver of a virtual function that wrongs everybody, in user space: commands with
 * numbers, keys and addresses of anybody, registers and doorbells of any content, rings
 * full of garbage, and resets in the midst. The function is bound to no driver; its BARs
 * are mapped from sysfs.
 *
 * hostile-vf SLOT SECONDS
 *
 * Nothing stands between the function and the guest's memory, so bus addresses are those
 * of its own pages: what is tested is that the function reaches no other one's queues,
 * not an IOMMU. Fails if commands were not executed, or none was refused.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <svan/cmd.h>
#include <svan/keys.h>
#include <svan/regs.h>

#include "common.h"

#define PAGE		4096u
#define PAGES		16u		/* command ring, responses, then what it likes */
#define LOG_RING	4
#define COMMANDS	64u		/* between two resets, at most */
#define UARS_SIZE	(SVAN_VF_UAR_COUNT * SVAN_UAR_SIZE)
#define COMMAND_MS	2000

struct vf {
	struct rng rng;
	volatile uint8_t *regs, *uars;
	uint8_t *page[PAGES];
	uint64_t bus[PAGES];
	uint32_t pi;
	uint32_t key;			/* INTERNAL, of a page; 0: none */
	unsigned long ok, refused, resets, doorbells;
};

/* ---- the function ---- */

static int write_file(const char *slot, const char *name, const void *data, size_t len,
		      off_t at)
{
	char path[128];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", slot, name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, data, len, at) != (ssize_t)len)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	if (ret)
		complain("%s: %s", path, strerror(-ret));
	return ret;
}

static void *map_bar(const char *slot, int bar, size_t size)
{
	char path[128];
	void *map;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d", slot, bar);
	fd = open(path, O_RDWR);
	map = fd < 0 ? MAP_FAILED :
	      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		complain("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return map == MAP_FAILED ? NULL : map;
}

/* Pages that stay where they are, and where that is. */
static int own_pages(struct vf *vf)
{
	uint8_t *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned int i;
	uint64_t entry;

	if (map == MAP_FAILED || fd < 0)
		return -errno;
	for (i = 0; i < PAGES; i++) {
		vf->page[i] = map + i * PAGE;
		if (pread(fd, &entry, 8, (uintptr_t)vf->page[i] / PAGE * 8) != 8 ||
		    !(entry >> 63))
			return -EIO;
		vf->bus[i] = (entry & ((1ull << 55) - 1)) * PAGE;
	}
	close(fd);
	return vf->bus[0] ? 0 : -EPERM;
}

static int vf_open(struct vf *vf, const char *slot)
{
	static const uint16_t memory_and_master = 0x6;	/* little-endian, as the guest */
	int ret;

	ret = write_file(slot, "config", &memory_and_master, 2, 4);
	if (ret)
		return ret;
	vf->regs = map_bar(slot, SVAN_BAR_REGS, SVAN_BAR_REGS_SIZE);
	vf->uars = map_bar(slot, SVAN_BAR_UAR, UARS_SIZE);
	if (!vf->regs || !vf->uars)
		return -ENODEV;
	return own_pages(vf);
}

static void reg_write(struct vf *vf, uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(vf->regs + offset) = htole32(value);
}

static void reg_write64(struct vf *vf, uint32_t offset, uint64_t value)
{
	*(volatile uint64_t *)(vf->regs + offset) = htole64(value);
}

static uint32_t reg_read(struct vf *vf, uint32_t offset)
{
	return le32toh(*(volatile uint32_t *)(vf->regs + offset));
}

static void vf_begin(struct vf *vf)
{
	reg_write(vf, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
	memset(vf->page[1], 0, PAGE);
	reg_write64(vf, SVAN_REG_CMDQ_BASE, vf->bus[0]);
	reg_write64(vf, SVAN_REG_CMDR_BASE, vf->bus[1]);
	reg_write(vf, SVAN_REG_CMDQ_LOG_SIZE, LOG_RING);
	reg_write(vf, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
	vf->pi = 0;
	vf->key = 0;
	vf->resets++;
}

/* ---- commands ---- */

/* Numbers that others have, too: all functions count alike. */
static uint32_t some_id(struct vf *vf)
{
	uint32_t index = rng_below(&vf->rng, 12);

	switch (rng_below(&vf->rng, 4)) {
	case 0: return vf->key;
	case 1: return index << SVAN_KEY_INDEX_SHIFT | rng_below(&vf->rng, 4);
	case 2: return index | rng_below(&vf->rng, 4) << SVAN_QN_INDEX_SHIFT;
	default: return index;
	}
}

static uint64_t some_page(struct vf *vf)
{
	return vf->bus[2 + rng_below(&vf->rng, PAGES - 2)];
}

static void random_payload(struct vf *vf, struct svan_cmd *cmd)
{
	unsigned int i;

	for (i = 0; i < sizeof(cmd->payload); i++)
		cmd->payload[i] = rng_below(&vf->rng, 4) ? 0 : rng_u64(&vf->rng);
}

static void create_key(struct vf *vf, struct svan_cmd_create_key *key)
{
	*key = (struct svan_cmd_create_key) {
		.kind = SVAN_KEY_PINNED,
		.flags = rng_below(&vf->rng, 2) ? SVAN_CMD_KEY_INTERNAL : 0,
		.page_shift = 12,
		.access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
		.pd = htole32(some_id(vf)), .length = htole64(PAGE),
		.table = htole64(some_page(vf)),
	};
	if (key->flags)
		key->access = htole32(SVAN_ACCESS_LOCAL_WRITE);
}

static void create_queue(struct vf *vf, struct svan_cmd *cmd)
{
	if (rng_below(&vf->rng, 2)) {
		cmd->hdr.opcode = htole16(SVAN_CMD_CREATE_CQ);
		cmd->create_cq = (struct svan_cmd_create_cq) {
			.ring_key = htole32(rng_below(&vf->rng, 4) ? vf->key : some_id(vf)),
			.dbr_offset = htole32(2048), .eqn = htole32(1),
			.uar = htole32(rng_below(&vf->rng, 2)), .log_size = 4,
		};
		return;
	}
	cmd->hdr.opcode = htole16(SVAN_CMD_CREATE_QP);
	cmd->create_qp = (struct svan_cmd_create_qp) {
		.type = rng_below(&vf->rng, 2) ? SVAN_QPT_RC : SVAN_QPT_ETH,
		.flags = rng_below(&vf->rng, 8), .log_sq_bbs = 4, .log_rq_size = 2,
		.log_rq_stride = 5, .pd = htole32(some_id(vf)),
		.send_cq = htole32(some_id(vf)), .recv_cq = htole32(some_id(vf)),
		.ring_key = htole32(vf->key), .rq_offset = htole32(2048),
		.dbr_offset = htole32(3072),
	};
}

/* Addresses of the guest's functions (Documentation/testing/guest.rst), its own among them. */
static void pretend_to_be_another(struct vf *vf, struct svan_cmd *cmd)
{
	uint8_t fn = rng_below(&vf->rng, 5), host = fn ? 10 + fn : 1 + rng_below(&vf->rng, 2);
	const uint8_t mac[6] = { 0x52, 0x54, 0, 0x77, fn, fn ? 1 : host };
	const uint8_t gid[16] = { [10] = 0xff, 0xff, 10, 77, 0, host };

	if (rng_below(&vf->rng, 2)) {
		cmd->hdr.opcode = htole16(SVAN_CMD_SET_GID);
		cmd->set_gid.index = htole32(rng_below(&vf->rng, 4));
		memcpy(cmd->set_gid.gid, gid, sizeof(gid));
		memcpy(cmd->set_gid.smac, mac, sizeof(mac));
		return;
	}
	cmd->hdr.opcode = htole16(SVAN_CMD_ETH_SET_FILTER);
	cmd->eth_filter.qpn = htole32(some_id(vf));
	cmd->eth_filter.flags = rng_below(&vf->rng, 4);
	cmd->eth_filter.max_frame = htole32(1518);
	memcpy(cmd->eth_filter.mac, mac, sizeof(mac));
}

/* Those without a bus address, which may have any content. */
static const uint16_t harmless[] = {
	SVAN_CMD_NOP, SVAN_CMD_DESTROY_EQ, SVAN_CMD_ALLOC_UAR, SVAN_CMD_FREE_UAR,
	SVAN_CMD_ALLOC_PD, SVAN_CMD_FREE_PD, SVAN_CMD_DESTROY_KEY, SVAN_CMD_QUERY_KEY,
	SVAN_CMD_MODIFY_KEY, SVAN_CMD_DESTROY_CQ, SVAN_CMD_MODERATE_CQ,
	SVAN_CMD_DESTROY_COUNTER, SVAN_CMD_MODIFY_COUNTER, SVAN_CMD_DESTROY_QP,
	SVAN_CMD_MODIFY_QP, SVAN_CMD_QUERY_QP, SVAN_CMD_ATTACH_COUNTER, SVAN_CMD_SET_GID,
	SVAN_CMD_CLEAR_GID, SVAN_CMD_SET_PORT, SVAN_CMD_DESTROY_PRQ,
	SVAN_CMD_SET_FAULT_POLICY, SVAN_CMD_QUERY_FAULT_POLICY, SVAN_CMD_SET_FUNCTION,
	SVAN_CMD_QUERY_FUNCTION, SVAN_CMD_SET_RATE_GROUP, SVAN_CMD_SET_CONGESTION,
	SVAN_CMD_QUERY_CONGESTION, SVAN_CMD_SET_ENFORCEMENT, SVAN_CMD_QUERY_ENFORCEMENT,
	SVAN_CMD_JUDGE_FLOW, SVAN_CMD_ETH_SET_FILTER, 0xffff,
};

static void any_command(struct vf *vf, struct svan_cmd *cmd)
{
	random_payload(vf, cmd);
	cmd->hdr.opcode = htole16(harmless[rng_below(&vf->rng,
						     sizeof(harmless) / sizeof(harmless[0]))]);
	if (rng_below(&vf->rng, 2))
		cmd->object.id = htole32(some_id(vf));
}

static void some_command(struct vf *vf, struct svan_cmd *cmd)
{
	memset(cmd, 0, sizeof(*cmd));
	switch (rng_below(&vf->rng, 9)) {
	case 8:
		pretend_to_be_another(vf, cmd);
		break;
	case 0:
		cmd->hdr.opcode = htole16(SVAN_CMD_CREATE_KEY);
		create_key(vf, &cmd->create_key);
		break;
	case 1:
		cmd->hdr.opcode = htole16(SVAN_CMD_CREATE_EQ);
		cmd->create_eq.ring = htole64(some_page(vf));
		cmd->create_eq.eqn = htole32(rng_below(&vf->rng, 3));
		cmd->create_eq.log_size = 4;
		break;
	case 2:
		cmd->hdr.opcode = htole16(SVAN_CMD_CREATE_PRQ);
		cmd->create_prq.requests = htole64(some_page(vf));
		cmd->create_prq.responses = htole64(some_page(vf));
		cmd->create_prq.log_size = SVAN_PRQ_MIN_LOG_SIZE;
		break;
	case 3:
	case 4:
		create_queue(vf, cmd);
		break;
	default:
		any_command(vf, cmd);
	}
	cmd->hdr.flags = htole16(rng_below(&vf->rng, 2));
}

/* Execute one. A function that is out of service executes none. */
static void run_command(struct vf *vf)
{
	uint32_t slot = vf->pi & ((1u << LOG_RING) - 1);
	struct svan_cmd *cmd = (struct svan_cmd *)vf->page[0] + slot;
	struct svan_cmd_resp *resp = (struct svan_cmd_resp *)vf->page[1] + slot;
	uint64_t end = now_ms() + COMMAND_MS;

	some_command(vf, cmd);
	reg_write(vf, SVAN_REG_CMDQ_DB, ++vf->pi);
	while (reg_read(vf, SVAN_REG_CMDQ_HEAD) != vf->pi)
		if ((reg_read(vf, SVAN_REG_STATUS) & SVAN_STATUS_FATAL) || now_ms() > end)
			return;
	if (resp->status != SVAN_CMD_OK) {
		vf->refused++;
		return;
	}
	vf->ok++;
	if (le16toh(cmd->hdr.opcode) == SVAN_CMD_CREATE_KEY &&
	    (cmd->create_key.flags & SVAN_CMD_KEY_INTERNAL))
		vf->key = le32toh(resp->id.id);
}

/* ---- registers, doorbells, rings ---- */

/* Where a bus address, or the way to one, is set. */
static bool leads_to_memory(uint32_t offset)
{
	return (offset >= SVAN_REG_CMDQ_BASE && offset < SVAN_REG_CMDQ_LOG_SIZE + 4) ||
	       (offset >= SVAN_REG_TEST_DMA_ADDR && offset <= SVAN_REG_TEST_DMA_CTRL);
}

static void some_register(struct vf *vf)
{
	uint32_t offset = rng_below(&vf->rng, rng_below(&vf->rng, 2) ? 0x100 : SVAN_REG_END);

	offset &= ~3u;
	if (leads_to_memory(offset & ~7u) || leads_to_memory(offset))
		return;
	if (rng_below(&vf->rng, 2))
		reg_write(vf, offset, rng_u64(&vf->rng));
	else
		reg_write64(vf, offset & ~7u, rng_u64(&vf->rng));
	reg_read(vf, offset);
}

static void some_doorbells(struct vf *vf)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		uint32_t offset = rng_below(&vf->rng, UARS_SIZE) & ~7u;
		uint64_t value = rng_u64(&vf->rng);

		if (rng_below(&vf->rng, 2)) {
			offset = rng_below(&vf->rng, 4) << SVAN_UAR_SHIFT | (offset & 0x18);
			value = value << 32 | some_id(vf);
		}
		*(volatile uint64_t *)(vf->uars + offset) = htole64(value);
	}
	vf->doorbells += i;
}

static void some_garbage(struct vf *vf)
{
	uint8_t *page = vf->page[2 + rng_below(&vf->rng, PAGES - 2)];
	unsigned int i;

	for (i = 0; i < PAGE / 8; i++)
		((uint64_t *)page)[i] = rng_below(&vf->rng, 4) ? rng_u64(&vf->rng) :
								  some_id(vf);
}

static void wrong_everybody(struct vf *vf)
{
	unsigned int i;

	vf_begin(vf);
	for (i = 0; i < COMMANDS; i++) {
		run_command(vf);
		if (!rng_below(&vf->rng, 4))
			some_doorbells(vf);
		if (!rng_below(&vf->rng, 16))
			some_garbage(vf);
		if (!rng_below(&vf->rng, 16))
			some_register(vf);
		if (reg_read(vf, SVAN_REG_STATUS) != SVAN_STATUS_READY)
			break;
	}
}

int main(int argc, char **argv)
{
	struct vf vf = { 0 };
	uint64_t end;

	if (argc != 3) {
		fprintf(stderr, "usage: hostile-vf SLOT SECONDS\n");
		return 2;
	}
	rng_init(&vf.rng, "hostile-vf");
	if (vf_open(&vf, argv[1])) {
		complain("%s: no function to do wrong with", argv[1]);
		return 1;
	}
	for (end = now_ms() + 1000 * atoi(argv[2]); now_ms() < end;)
		wrong_everybody(&vf);
	reg_write(&vf, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
	printf("# %lu commands executed, %lu refused, %lu doorbells, %lu resets\n", vf.ok,
	       vf.refused, vf.doorbells, vf.resets);
	return vf.ok < 100 || vf.refused < 100 || vf.doorbells < 100;
}
