/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The rings as the provider keeps them: sizes, indices, wr_ids, doorbell
 * records. Nothing here knows libibverbs, so that all of it can be tested by itself.
 *
 * Who owns what: the producer side of a queue (pi, posted, slots being written)
 * belongs to the holder of that queue's lock, the consumer side (ci, completed)
 * to the holder of the lock of the queue's CQ. The poster only reads the
 * consumer side, which moves forward; a stale value makes it see less room.
 */
#ifndef SVAN_QUEUE_H
#define SVAN_QUEUE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

#include <svan/queues.h>
#include <svan/wqe.h>

#define SVAN_RING_ALIGN		4096u	/* buffers begin and end on pages */

/* ---- sizes ---- */

/* What the user asks for, as in struct ibv_qp_cap. */
struct svan_qp_cap {
	uint32_t max_send_wr;
	uint32_t max_recv_wr;
	uint32_t max_send_sge;
	uint32_t max_recv_sge;
	uint32_t max_inline;
};

/* What the device allows. */
struct svan_qp_limits {
	uint32_t max_wqebb;
	uint32_t max_rwqe;
	uint32_t max_sge;
	uint32_t max_inline;
};

/* The buffer of a QP: send queue, receive queue, doorbell record. */
struct svan_qp_layout {
	uint8_t log_sq_bbs;
	uint8_t log_rq_size;
	uint8_t log_rq_stride;		/* 0: no receive queue */
	uint32_t sq_offset;
	uint32_t rq_offset;
	uint32_t dbr_offset;
	size_t length;
	struct svan_qp_cap cap;		/* what there is room for */
};

/* The buffer of a shared receive queue: entries, doorbell record. */
struct svan_srq_layout {
	uint8_t log_size;
	uint8_t log_stride;
	uint32_t max_sge;		/* what there is room for */
	uint32_t dbr_offset;
	size_t length;
};

struct svan_cq_layout {
	uint8_t log_size;
	uint32_t dbr_offset;
	size_t length;
};

static inline size_t svan_align(size_t value, size_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static inline uint8_t svan_log2_roundup(uint64_t value)
{
	uint8_t log = 0;

	while ((1ull << log) < value)
		log++;
	return log;
}

static inline uint32_t svan_max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline uint32_t svan_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* @ud: each WQE ends with an address vector, which takes one block. */
static inline int svan_sq_layout(const struct svan_qp_cap *want,
				 const struct svan_qp_limits *limits, bool ud,
				 struct svan_qp_layout *layout)
{
	uint32_t data_bbs, wqe_bbs, bbs;

	if (want->max_send_sge > limits->max_sge ||
	    want->max_inline > limits->max_inline ||
	    want->max_send_wr > limits->max_wqebb)
		return EINVAL;

	data_bbs = svan_max(svan_wqe_sge_bbs(want->max_send_sge),
			    svan_wqe_inline_bbs(want->max_inline));
	wqe_bbs = data_bbs + ud;
	layout->log_sq_bbs =
		svan_log2_roundup((uint64_t)wqe_bbs * want->max_send_wr);
	bbs = 1u << layout->log_sq_bbs;
	if (bbs > limits->max_wqebb)
		return EINVAL;

	layout->cap.max_send_wr = want->max_send_wr ? bbs / wqe_bbs : 0;
	layout->cap.max_send_sge =
		svan_min(limits->max_sge, SVAN_WQE_HEAD_SGES +
			 (data_bbs - 1) * SVAN_WQE_BB_SGES);
	layout->cap.max_inline =
		svan_min(limits->max_inline, SVAN_WQE_HEAD_INLINE +
			 (data_bbs - 1) * SVAN_WQEBB_SIZE);
	return 0;
}

/* Entries of a receive queue, own or shared, and how many pieces they have room for. */
static inline int svan_recv_sizes(uint32_t max_wr, uint32_t max_sge,
				  const struct svan_qp_limits *limits,
				  uint8_t *log_size, uint8_t *log_stride,
				  uint32_t *sge_room)
{
	uint32_t room;

	if (max_sge > limits->max_sge || max_wr > limits->max_rwqe)
		return EINVAL;
	*log_size = svan_log2_roundup(max_wr);
	*log_stride = svan_rwqe_log_stride(max_sge);
	if ((1u << *log_size) > limits->max_rwqe)
		return EINVAL;
	room = ((1u << *log_stride) - sizeof(struct svan_rwqe)) /
	       sizeof(struct svan_sge);
	*sge_room = svan_min(limits->max_sge, room);
	return 0;
}

static inline int svan_rq_layout(const struct svan_qp_cap *want,
				 const struct svan_qp_limits *limits,
				 struct svan_qp_layout *layout)
{
	int ret;

	layout->log_rq_size = 0;
	layout->log_rq_stride = 0;
	layout->cap.max_recv_wr = 0;
	layout->cap.max_recv_sge = 0;
	if (!want->max_recv_wr)
		return 0;
	ret = svan_recv_sizes(want->max_recv_wr, want->max_recv_sge, limits,
			      &layout->log_rq_size, &layout->log_rq_stride,
			      &layout->cap.max_recv_sge);
	if (ret)
		return ret;
	layout->cap.max_recv_wr = 1u << layout->log_rq_size;
	return 0;
}

/* Parts of a QP that have memory of their own. */
#define SVAN_APART_SQ	1u
#define SVAN_APART_RQ	2u
#define SVAN_APART_DBR	4u

static inline size_t svan_sq_bytes(const struct svan_qp_layout *layout)
{
	return (size_t)SVAN_WQEBB_SIZE << layout->log_sq_bbs;
}

static inline size_t svan_rq_bytes(const struct svan_qp_layout *layout)
{
	return layout->log_rq_stride ? (size_t)1 << (layout->log_rq_size +
						     layout->log_rq_stride) : 0;
}

/* Leave these parts out of the buffer. If none is left, there is no buffer: length 0. */
static inline void svan_qp_layout_apart(struct svan_qp_layout *layout,
					uint32_t apart)
{
	size_t end = 0;

	layout->sq_offset = 0;
	layout->rq_offset = 0;
	layout->dbr_offset = 0;
	if (!(apart & SVAN_APART_SQ))
		end += svan_sq_bytes(layout);
	if (!(apart & SVAN_APART_RQ) && layout->log_rq_stride) {
		layout->rq_offset = end;
		end += svan_rq_bytes(layout);
	}
	end = svan_align(end, SVAN_WQEBB_SIZE);
	if (!(apart & SVAN_APART_DBR)) {
		layout->dbr_offset = end;
		end += sizeof(struct svan_qp_dbr);
	}
	layout->length = svan_align(end, SVAN_RING_ALIGN);
}

/* Return 0, or EINVAL if the device allows no queues of these sizes. */
static inline int svan_qp_layout(const struct svan_qp_cap *want,
				 const struct svan_qp_limits *limits, bool ud,
				 struct svan_qp_layout *layout)
{
	int ret;

	ret = svan_sq_layout(want, limits, ud, layout);
	if (ret)
		return ret;
	ret = svan_rq_layout(want, limits, layout);
	if (ret)
		return ret;

	svan_qp_layout_apart(layout, 0);
	return 0;
}

static inline int svan_srq_layout(uint32_t max_wr, uint32_t max_sge,
				  const struct svan_qp_limits *limits,
				  struct svan_srq_layout *layout)
{
	int ret;

	if (!max_wr)
		return EINVAL;
	ret = svan_recv_sizes(max_wr, max_sge, limits, &layout->log_size,
			      &layout->log_stride, &layout->max_sge);
	if (ret)
		return ret;
	layout->dbr_offset = svan_align((size_t)1 << (layout->log_size +
						      layout->log_stride),
					SVAN_WQEBB_SIZE);
	layout->length = svan_align(layout->dbr_offset +
				    sizeof(struct svan_srq_dbr),
				    SVAN_RING_ALIGN);
	return 0;
}

static inline int svan_cq_layout(uint32_t cqe, uint32_t max_cqe,
				 struct svan_cq_layout *layout)
{
	if (!cqe || cqe > max_cqe)
		return EINVAL;

	layout->log_size = svan_log2_roundup(cqe);
	layout->dbr_offset = sizeof(struct svan_cqe) << layout->log_size;
	layout->length = svan_align(layout->dbr_offset +
				    sizeof(struct svan_cq_dbr),
				    SVAN_RING_ALIGN);
	return 0;
}

/* ---- doorbell records ---- */

/*
 * Order the store of a producer index before the load of the device's flags. The
 * fence pairs with that of the device between clearing POLLING and reading the
 * index again. It is an MFENCE, because a single-threaded TCG runs locked
 * instructions as plain ones (PRM "Doorbells").
 */
static inline void svan_full_fence(void)
{
#ifdef __x86_64__
	_mm_mfence();
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static inline void svan_store_le32(__le32 *record, uint32_t value)
{
	__atomic_store_n((uint32_t SVAN_FORCE *)record,
			 (uint32_t SVAN_FORCE)svan_cpu_to_le32(value),
			 __ATOMIC_RELEASE);
}

static inline uint32_t svan_load_le32(const __le32 *record)
{
	return svan_le32_to_cpu((__le32 SVAN_FORCE)__atomic_load_n(
		(const uint32_t SVAN_FORCE *)record, __ATOMIC_RELAXED));
}

/*
 * Tell the device of everything before @index through the record; @record is
 * one of @dbr's producer indices. Return true if the device does not poll the
 * record: then the doorbell has to be rung as well.
 */
static inline bool svan_dbr_publish(struct svan_qp_dbr *dbr, __le32 *record,
				    uint32_t index)
{
	svan_store_le32(record, index);
	svan_full_fence();
	return !(svan_load_le32(&dbr->device_flags) & SVAN_QP_DBR_POLLING);
}

/* ---- send queue ---- */

/* What is remembered of a WQE, in the slot of its first block. */
struct svan_sq_slot {
	uint64_t wr_id;
	uint32_t end;		/* index behind the WQE */
	uint32_t posted;	/* number of work requests, this one included */
};

struct svan_sq {
	struct svan_sq_ring ring;
	struct svan_sq_slot *slots;
	uint32_t pi;		/* blocks */
	uint32_t posted;	/* work requests */
	/* What is prepared begins there; another peripheral submits it. */
	struct {
		bool any;
		uint32_t pi;
		uint32_t posted;
	} prepared;
	uint32_t ci;		/* blocks given back; atomic, see above */
	uint32_t completed;	/* work requests given back; atomic */
	uint32_t max_wr;
	uint32_t max_sge;
	uint32_t max_inline;
};

static inline uint32_t svan_load_index(const uint32_t *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static inline void svan_store_index(uint32_t *index, uint32_t value)
{
	__atomic_store_n(index, value, __ATOMIC_RELEASE);
}

/* Is there room for one more work request whose WQE ends before @end? */
static inline bool svan_sq_has_room(const struct svan_sq *sq, uint32_t end,
				    uint32_t posted)
{
	return end - svan_load_index(&sq->ci) <= sq->ring.mask + 1 &&
	       posted - svan_load_index(&sq->completed) < sq->max_wr;
}

/* Remember the WQE of blocks [@index, @end), the @posted-th work request. */
static inline void svan_sq_record(struct svan_sq *sq, uint32_t index,
				  uint32_t end, uint32_t posted, uint64_t wr_id)
{
	struct svan_sq_slot *slot = &sq->slots[index & sq->ring.mask];

	slot->wr_id = wr_id;
	slot->end = end;
	slot->posted = posted;
}

/*
 * Take a completion of the WQE at @index: this WQE and all before it are done.
 * Return its wr_id; or 0 if it was given back before, since its slot may be another
 * WQE's then.
 */
static inline uint64_t svan_sq_complete(struct svan_sq *sq, uint32_t index)
{
	const struct svan_sq_slot *slot = &sq->slots[index & sq->ring.mask];
	uint64_t wr_id = slot->wr_id;

	if (index - sq->ci > INT32_MAX)
		return 0;
	svan_store_index(&sq->completed, slot->posted);
	svan_store_index(&sq->ci, slot->end);
	return wr_id;
}

/*
 * Give back the first @count work requests since the queue began, of which @posted were
 * posted; fewer than were given back before are none. Return 0, or EINVAL if @count is
 * more than were posted. The caller has the consumer side, which may be ahead of @posted:
 * others have posted and polled since the caller read it.
 */
static inline int svan_sq_retire(struct svan_sq *sq, uint32_t count,
				 uint32_t posted)
{
	uint32_t ci = sq->ci;
	uint32_t completed = sq->completed;

	if (count - completed > INT32_MAX)
		return 0;
	if ((int32_t)(count - posted) > 0)
		return EINVAL;
	for (; completed != count; completed++)
		ci = sq->slots[ci & sq->ring.mask].end;
	svan_store_index(&sq->completed, completed);
	svan_store_index(&sq->ci, ci);
	return 0;
}

/*
 * Is prepared work not complete yet? As long as this is so nothing can be posted behind
 * it, because an index submits all that lies before it.
 */
static inline bool svan_sq_has_prepared(struct svan_sq *sq)
{
	if (sq->prepared.any && svan_load_index(&sq->ci) == sq->pi)
		sq->prepared.any = false;
	return sq->prepared.any;
}

/* Blocks before @end, and work requests before @posted, are prepared. */
static inline void svan_sq_prepare(struct svan_sq *sq, uint32_t end,
				   uint32_t posted)
{
	if (!svan_sq_has_prepared(sq)) {
		sq->prepared.any = true;
		sq->prepared.pi = sq->pi;
		sq->prepared.posted = sq->posted;
	}
	sq->pi = end;
	sq->posted = posted;
}

/*
 * Take back all that is prepared. Return false, and do nothing, if some of it is
 * complete, since then it has been submitted.
 */
static inline bool svan_sq_cancel(struct svan_sq *sq)
{
	if (!svan_sq_has_prepared(sq))
		return true;
	if ((int32_t)(svan_load_index(&sq->ci) - sq->prepared.pi) > 0)
		return false;
	sq->pi = sq->prepared.pi;
	sq->posted = sq->prepared.posted;
	sq->prepared.any = false;
	return true;
}

/* When a queue begins anew, the owner of each side resets that side. */
static inline void svan_sq_reset_producer(struct svan_sq *sq)
{
	sq->pi = 0;
	sq->posted = 0;
	sq->prepared.any = false;
}

static inline void svan_sq_reset_consumer(struct svan_sq *sq)
{
	svan_store_index(&sq->ci, 0);
	svan_store_index(&sq->completed, 0);
}

/* ---- receive queue ---- */

struct svan_rq {
	uint8_t *buf;
	uint64_t *wr_ids;
	uint32_t mask;
	uint32_t log_stride;
	uint32_t pi;
	uint32_t ci;		/* atomic, see above */
	/* What is prepared begins there; another peripheral submits it. */
	struct {
		bool any;
		uint32_t pi;
	} prepared;
	uint32_t max_wr;	/* 0: no receive queue */
	bool counted;		/* successes write no CQE: svan_rq_retire_counted() */
	uint32_t max_sge;
};

static inline bool svan_rq_has_room(const struct svan_rq *rq, uint32_t pi)
{
	return pi - svan_load_index(&rq->ci) < rq->max_wr;
}

static inline struct svan_rwqe *svan_rq_entry(const struct svan_rq *rq,
					      uint32_t index)
{
	return (struct svan_rwqe *)(rq->buf + ((size_t)(index & rq->mask) <<
					       rq->log_stride));
}

/*
 * Take the completion of the entry at @index. Receives complete in order, so it is the
 * oldest one, unless the queue is counted: then completions give nothing back, and the
 * wr_id is 0 if the entry was given back before, as with svan_sq_complete().
 */
static inline uint64_t svan_rq_retire(struct svan_rq *rq, uint32_t index)
{
	uint64_t wr_id = rq->wr_ids[index & rq->mask];

	if (rq->counted)
		return index - rq->ci > INT32_MAX ? 0 : wr_id;
	svan_store_index(&rq->ci, rq->ci + 1);
	return wr_id;
}

/* As svan_sq_retire(), for a counted queue. */
static inline int svan_rq_retire_counted(struct svan_rq *rq, uint32_t count,
					 uint32_t posted)
{
	if (count - rq->ci > INT32_MAX)
		return 0;
	if ((int32_t)(count - posted) > 0)
		return EINVAL;
	svan_store_index(&rq->ci, count);
	return 0;
}

/* As for sends: nothing can be posted behind what is prepared and not complete. */
static inline bool svan_rq_has_prepared(struct svan_rq *rq)
{
	if (rq->prepared.any && svan_load_index(&rq->ci) == rq->pi)
		rq->prepared.any = false;
	return rq->prepared.any;
}

/* The entries before @pi are prepared. */
static inline void svan_rq_prepare(struct svan_rq *rq, uint32_t pi)
{
	if (!svan_rq_has_prepared(rq)) {
		rq->prepared.any = true;
		rq->prepared.pi = rq->pi;
	}
	rq->pi = pi;
}

/* As svan_sq_cancel(). */
static inline bool svan_rq_cancel(struct svan_rq *rq)
{
	if (!svan_rq_has_prepared(rq))
		return true;
	if ((int32_t)(svan_load_index(&rq->ci) - rq->prepared.pi) > 0)
		return false;
	rq->pi = rq->prepared.pi;
	rq->prepared.any = false;
	return true;
}

static inline void svan_rq_reset_producer(struct svan_rq *rq)
{
	rq->pi = 0;
	rq->prepared.any = false;
}

static inline void svan_rq_reset_consumer(struct svan_rq *rq)
{
	svan_store_index(&rq->ci, 0);
}

/* ---- shared receive queue; all of it belongs to the holder of its lock ---- */

struct svan_srq_ring {
	uint8_t *entries;
	struct svan_srq_dbr *dbr;
	uint32_t mask;
	uint32_t log_stride;
	uint32_t max_sge;
	uint32_t pi;
	uint32_t ci;		/* as it was read last */
};

/*
 * Is there room for the entry at @pi? The device copies what it takes, and moves the
 * record's ci then, whatever completes when. The record is read only if what was read
 * of it leaves no room. Acquire: the slot is not written before that.
 */
static inline bool svan_srq_has_room(struct svan_srq_ring *ring, uint32_t pi)
{
	if (pi - ring->ci <= ring->mask)
		return true;
	ring->ci = svan_le32_to_cpu((__le32 SVAN_FORCE)__atomic_load_n(
		(const uint32_t SVAN_FORCE *)&ring->dbr->ci, __ATOMIC_ACQUIRE));
	return pi - ring->ci <= ring->mask;
}

static inline struct svan_rwqe *svan_srq_entry(const struct svan_srq_ring *ring,
					       uint32_t index)
{
	return (struct svan_rwqe *)(ring->entries +
				    ((size_t)(index & ring->mask) <<
				     ring->log_stride));
}

/* The device looks at the record whenever it has taken all that it knows of. */
static inline void svan_srq_publish(struct svan_srq_ring *ring, uint32_t pi)
{
	ring->pi = pi;
	svan_store_le32(&ring->dbr->pi, pi);
}

/* ---- the lock of a CQ ---- */

/* A single-threaded CQ is not locked: its user lets one thread at a time use it. */
struct svan_cq_lock {
	pthread_spinlock_t spin;
	bool single_threaded;
};

static inline int svan_cq_lock_init(struct svan_cq_lock *lock,
				    bool single_threaded)
{
	lock->single_threaded = single_threaded;
	return pthread_spin_init(&lock->spin, PTHREAD_PROCESS_PRIVATE);
}

static inline void svan_cq_lock_destroy(struct svan_cq_lock *lock)
{
	pthread_spin_destroy(&lock->spin);
}

static inline void svan_cq_lock(struct svan_cq_lock *lock)
{
	if (!lock->single_threaded)
		pthread_spin_lock(&lock->spin);
}

static inline void svan_cq_unlock(struct svan_cq_lock *lock)
{
	if (!lock->single_threaded)
		pthread_spin_unlock(&lock->spin);
}

/* ---- completion queue; all but reading ci is done under the CQ's lock ---- */

struct svan_cq_ring {
	struct svan_cqe *cqes;
	struct svan_cq_dbr *dbr;
	uint32_t ci;		/* atomic: arming reads it without the lock */
	uint8_t log_size;
	bool batch;		/* the user still reads the entry before ci */
};

static inline struct svan_cqe *svan_cq_entry(const struct svan_cq_ring *ring,
					     uint32_t index)
{
	return &ring->cqes[index & ((1u << ring->log_size) - 1)];
}

/* The entry of @index if the device has written it, else NULL. */
static inline struct svan_cqe *svan_cq_valid_entry(
	const struct svan_cq_ring *ring, uint32_t index)
{
	struct svan_cqe *cqe = svan_cq_entry(ring, index);
	uint8_t owner = __atomic_load_n(&cqe->owner, __ATOMIC_ACQUIRE);

	return svan_cqe_valid(owner, index, ring->log_size) ? cqe : NULL;
}

/* Take @count entries. The device may not overwrite them yet. */
static inline void svan_cq_advance(struct svan_cq_ring *ring, uint32_t count)
{
	svan_store_index(&ring->ci, ring->ci + count);
}

/*
 * Let the device overwrite the entries before ci. Nothing is done in a batch, whose
 * user is still reading the last one of them; svan_cq_end_batch() makes up for it.
 */
static inline void svan_cq_publish(struct svan_cq_ring *ring)
{
	if (!ring->batch)
		svan_store_le32(&ring->dbr->ci, ring->ci);
}

static inline void svan_cq_begin_batch(struct svan_cq_ring *ring)
{
	ring->batch = true;
}

static inline void svan_cq_end_batch(struct svan_cq_ring *ring)
{
	ring->batch = false;
	svan_cq_publish(ring);
}

/*
 * Remove the entries of @qpn. The others move up towards the producer, each
 * taking the phase of its new place. Return the number of entries removed.
 */
static inline uint32_t svan_cq_clean(struct svan_cq_ring *ring, uint32_t qpn)
{
	uint32_t index = ring->ci, size = 1u << ring->log_size, freed = 0;

	while (index - ring->ci < size && svan_cq_valid_entry(ring, index))
		index++;

	while (index-- != ring->ci) {
		struct svan_cqe *cqe = svan_cq_entry(ring, index);
		struct svan_cqe *dest;
		uint8_t owner;

		if (svan_le32_to_cpu(cqe->qpn) == qpn) {
			freed++;
		} else if (freed) {
			dest = svan_cq_entry(ring, index + freed);
			owner = (cqe->owner & ~SVAN_CQE_PHASE) |
				(dest->owner & SVAN_CQE_PHASE);
			memcpy(dest, cqe, sizeof(*dest));
			dest->owner = owner;
		}
	}

	if (freed) {
		svan_cq_advance(ring, freed);
		svan_cq_publish(ring);
	}
	return freed;
}

#endif /* SVAN_QUEUE_H */
