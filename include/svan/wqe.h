/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * WQE encoders, used unedited by the kernel driver, the provider and the
 * tests. They are pure: memory in, memory out, no barriers, no doorbells.
 *
 * The caller owns `ring` of 2^log_bbs blocks and has checked that there is room for
 * svan_wqe_sge_bbs() or svan_wqe_inline_bbs() blocks at `index` (free-running). A WQE
 * may wrap at the ring's end between any two of its blocks.
 */
#ifndef SVAN_WQE_H
#define SVAN_WQE_H

#include "queues.h"

struct svan_sq_ring {
	union svan_wqebb	*bbs;
	__u32			mask;	/* 2^log_bbs - 1 */
};

static inline union svan_wqebb *svan_sq_bb(const struct svan_sq_ring *ring,
					   __u32 index)
{
	return &ring->bbs[index & ring->mask];
}

/* blocks of a WQE with @num_sge entries, 0..SVAN_MAX_SGE */
static inline __u32 svan_wqe_sge_bbs(__u32 num_sge)
{
	if (num_sge <= SVAN_WQE_HEAD_SGES)
		return 1;
	return 1 + (num_sge - SVAN_WQE_HEAD_SGES + SVAN_WQE_BB_SGES - 1) /
	       SVAN_WQE_BB_SGES;
}

/* blocks of a WQE with @length bytes inline, 0..SVAN_MAX_INLINE */
static inline __u32 svan_wqe_inline_bbs(__u32 length)
{
	if (length <= SVAN_WQE_HEAD_INLINE)
		return 1;
	return 1 + (length - SVAN_WQE_HEAD_INLINE + SVAN_WQEBB_SIZE - 1) /
	       SVAN_WQEBB_SIZE;
}

static inline int svan_wqe_is_atomic(__u8 opcode)
{
	return opcode == SVAN_WQE_ATOMIC_CMP_SWP ||
	       opcode == SVAN_WQE_ATOMIC_FETCH_ADD;
}

static inline void svan_sge_set(struct svan_sge *sge, __u64 addr, __u32 length,
				__u32 lkey)
{
	sge->addr = svan_cpu_to_le64(addr);
	sge->length = svan_cpu_to_le32(length);
	sge->lkey = svan_cpu_to_le32(lkey);
}

/*
 * The flags of a WQE for a work request that asks for these. Only SENDs and RDMA
 * WRITEs can be solicited; for other opcodes @solicited is ignored, as verbs have it.
 */
static inline __u8 svan_wqe_flags(__u8 opcode, int signaled, int solicited,
				  int fence)
{
	__u8 flags = 0;

	if (signaled)
		flags |= SVAN_WQE_SIGNALED;
	if (solicited && opcode >= SVAN_WQE_SEND &&
	    opcode <= SVAN_WQE_RDMA_WRITE_IMM)
		flags |= SVAN_WQE_SOLICITED;
	if (fence)
		flags |= SVAN_WQE_FENCE;
	return flags;
}

/* Start a WQE at @index: control segment filled, the rest of the head zero. */
static inline struct svan_wqe_head *
svan_wqe_begin(const struct svan_sq_ring *ring, __u32 index, __u8 opcode,
	       __u8 flags, __be32 imm)
{
	struct svan_wqe_head *head = &svan_sq_bb(ring, index)->head;

	memset(head, 0, sizeof(*head));
	head->ctrl.opcode = opcode;
	head->ctrl.flags = flags;
	head->ctrl.num_bbs = 1;
	head->ctrl.imm = imm;
	return head;
}

static inline void svan_wqe_set_remote(struct svan_wqe_head *head, __u64 addr,
				       __u32 rkey)
{
	head->remote.addr = svan_cpu_to_le64(addr);
	head->remote.rkey = svan_cpu_to_le32(rkey);
}

/* Compare-and-swap, or fetch-and-add with @compare = 0. The sge is set by
 * svan_sge_set(&head->atomic.sge, ...), 8 bytes.
 */
static inline void svan_wqe_set_atomic(struct svan_wqe_head *head,
				       __u64 swap_add, __u64 compare)
{
	head->atomic.swap_add = svan_cpu_to_le64(swap_add);
	head->atomic.compare = svan_cpu_to_le64(compare);
	head->ctrl.num_sge = 1;
}

/* Slot of entry @n (0..SVAN_MAX_SGE - 1) of the WQE that begins at @index. */
static inline struct svan_sge *svan_wqe_sge(const struct svan_sq_ring *ring,
					    __u32 index, __u32 n)
{
	if (n < SVAN_WQE_HEAD_SGES)
		return &svan_sq_bb(ring, index)->head.sge[n];
	n -= SVAN_WQE_HEAD_SGES;
	return &svan_sq_bb(ring, index + 1 + n / SVAN_WQE_BB_SGES)
			->sge[n % SVAN_WQE_BB_SGES];
}

static inline void svan_wqe_set_num_sge(struct svan_wqe_head *head,
					__u32 num_sge)
{
	head->ctrl.num_sge = num_sge;
	head->ctrl.num_bbs = svan_wqe_sge_bbs(num_sge);
}

/*
 * Append @length bytes at offset @offset of the inline data. The caller keeps
 * offset + length <= SVAN_MAX_INLINE and ends with svan_wqe_set_inline().
 */
static inline void svan_wqe_put_inline(const struct svan_sq_ring *ring,
				       __u32 index, __u32 offset,
				       const void *data, __u32 length)
{
	const __u8 *src = (const __u8 *)data;

	while (length) {
		__u32 room, n;
		__u8 *dst;

		if (offset < SVAN_WQE_HEAD_INLINE) {
			dst = &svan_sq_bb(ring, index)->head.data[offset];
			room = SVAN_WQE_HEAD_INLINE - offset;
		} else {
			__u32 o = offset - SVAN_WQE_HEAD_INLINE;

			dst = &svan_sq_bb(ring, index + 1 + o / SVAN_WQEBB_SIZE)
				       ->data[o % SVAN_WQEBB_SIZE];
			room = SVAN_WQEBB_SIZE - o % SVAN_WQEBB_SIZE;
		}
		n = length < room ? length : room;
		memcpy(dst, src, n);
		src += n;
		offset += n;
		length -= n;
	}
}

static inline void svan_wqe_set_inline(struct svan_wqe_head *head, __u32 length)
{
	head->ctrl.flags |= SVAN_WQE_INLINE;
	head->ctrl.inline_length = svan_cpu_to_le32(length);
	head->ctrl.num_sge = 0;
	head->ctrl.num_bbs = svan_wqe_inline_bbs(length);
}

/*
 * Append an address vector to a WQE whose data is set: one block more, for which the
 * caller has checked that there is room.
 */
static inline void svan_wqe_set_av(const struct svan_sq_ring *ring, __u32 index,
				   struct svan_wqe_head *head,
				   const struct svan_av *av)
{
	svan_sq_bb(ring, index + head->ctrl.num_bbs)->av = *av;
	head->ctrl.flags |= SVAN_WQE_AV;
	head->ctrl.num_bbs++;
}

/* smallest log2 stride of an RQ whose entries hold @max_sge, 0..SVAN_MAX_SGE */
static inline __u32 svan_rwqe_log_stride(__u32 max_sge)
{
	__u32 log = SVAN_RWQE_MIN_LOG_STRIDE;

	while ((1u << log) < sizeof(struct svan_rwqe) +
			     max_sge * sizeof(struct svan_sge))
		log++;
	return log;
}

/* 1 if the entry whose owner octet is @owner is that of the free-running @index */
static inline int svan_cqe_valid(__u8 owner, __u32 index, __u32 log_size)
{
	return !!(owner & SVAN_CQE_PHASE) != ((index >> log_size) & 1);
}

static inline int svan_eqe_valid(__u8 owner, __u32 index, __u32 log_size)
{
	return !!(owner & SVAN_EQE_PHASE) != ((index >> log_size) & 1);
}

#endif /* SVAN_WQE_H */
