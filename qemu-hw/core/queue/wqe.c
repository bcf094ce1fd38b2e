/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work queue entries: fetched once, validated, then used (PRM "Queues"), and
 * the runs of memory behind their scatter/gather entries.
 */
#include <string.h>

#include "queue/queue.h"

static SvanStep ring_read(const SvanKey *key, uint64_t va, void *to,
                          uint32_t len)
{
    SvanAccess access = {
        .fn = key->fn, .key = key->key, .va = va, .len = len,
    };
    uint32_t syndrome;
    uint8_t *dst = to;

    while (access.len) {
        SvanMem mem;
        SvanStep step = svan_access(&access, &mem, &syndrome);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
        memcpy(dst, mem.host, mem.len);
        /* What follows, which a poster has written last, comes while this is executed. */
        __builtin_prefetch(mem.host + mem.len);
        dst += mem.len;
        access.va += mem.len;
        access.len -= mem.len;
    }
    return SVAN_STEP_DONE;
}

static SvanStep read_bb(const SvanSq *sq, uint32_t index, union svan_wqebb *bb)
{
    uint32_t slot = index & ((1u << sq->log_bbs) - 1);

    return ring_read(sq->ring_key,
                     sq->va + ((uint64_t)slot << SVAN_WQEBB_SHIFT), bb,
                     sizeof(*bb));
}

#define ON(type)        (1u << SVAN_QPT_##type)
#define FLAGS_ALL       (SVAN_WQE_SIGNALED | SVAN_WQE_FENCE)
#define FLAGS_DATA      (FLAGS_ALL | SVAN_WQE_INLINE)
#define FLAGS_MESSAGE   (FLAGS_DATA | SVAN_WQE_SOLICITED)

#define CONNECTED       (ON(RC) | ON(UC))
#define DATAGRAM        (ON(UD) | ON(GSI))

#define MESSAGE(v)      .flags = FLAGS_MESSAGE, .max_sge = SVAN_MAX_SGE, \
                        .verb = SVAN_VERB_##v
#define REQUEST(v, op)  .types = ON(RC), .flags = FLAGS_ALL, \
                        .verb = SVAN_VERB_##v, .request = SVAN_OP_##op

const SvanWqeInfo svan_wqes[256] = {
    [SVAN_WQE_NOP]              = { .types = CONNECTED | DATAGRAM | ON(ETH),
                                    .flags = FLAGS_ALL },
    [SVAN_WQE_SEND]             = { MESSAGE(SEND), .types = CONNECTED | DATAGRAM },
    [SVAN_WQE_SEND_IMM]         = { MESSAGE(SEND), .types = CONNECTED | DATAGRAM,
                                    .imm = true },
    [SVAN_WQE_RDMA_WRITE]       = { MESSAGE(WRITE), .types = CONNECTED },
    [SVAN_WQE_RDMA_WRITE_IMM]   = { MESSAGE(WRITE), .types = CONNECTED, .imm = true },
    [SVAN_WQE_RDMA_READ]        = { REQUEST(READ, READ_REQUEST),
                                    .max_sge = SVAN_MAX_SGE },
    [SVAN_WQE_ATOMIC_CMP_SWP]   = { REQUEST(ATOMIC, CMP_SWP), .max_sge = 1 },
    [SVAN_WQE_ATOMIC_FETCH_ADD] = { REQUEST(ATOMIC, FETCH_ADD), .max_sge = 1 },
    [SVAN_WQE_ETH_SEND]         = { .types = ON(ETH),
                                    .flags = FLAGS_DATA | SVAN_WQE_ETH_CSUM,
                                    .max_sge = SVAN_MAX_SGE },
};

/* A message of a datagram queue has an address vector, and nothing else has one. */
static bool opcode_allowed(const SvanSq *sq, uint8_t opcode, uint8_t flags)
{
    const SvanWqeInfo *info = svan_wqe_info(opcode);
    bool addressed = (DATAGRAM & 1u << sq->type) && info->verb != SVAN_VERB_NONE;
    uint8_t av = addressed ? SVAN_WQE_AV : 0;

    return (info->types & 1u << sq->type) && (flags & SVAN_WQE_AV) == av &&
           !(flags & ~(info->flags | av));
}

static void decode_sge(const struct svan_sge *from, SvanSge *to)
{
    to->addr = le64toh(from->addr);
    to->length = le32toh(from->length);
    to->lkey = le32toh(from->lkey);
}

static bool decode_sges(const union svan_wqebb *bbs, SvanWqe *wqe)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < wqe->num_sge; i++) {
        uint32_t n = i - SVAN_WQE_HEAD_SGES;
        const struct svan_sge *sge = i < SVAN_WQE_HEAD_SGES ?
            &bbs[0].head.sge[i] :
            &bbs[1 + n / SVAN_WQE_BB_SGES].sge[n % SVAN_WQE_BB_SGES];

        decode_sge(sge, &wqe->sge[i]);
        total += wqe->sge[i].length;
    }
    wqe->length = total > SVAN_MAX_MSG ? 0 : total;
    return total <= SVAN_MAX_MSG;
}

static void decode_inline(const union svan_wqebb *bbs, SvanWqe *wqe)
{
    uint32_t head = wqe->length < SVAN_WQE_HEAD_INLINE ?
                    wqe->length : SVAN_WQE_HEAD_INLINE;

    memcpy(wqe->data, bbs[0].head.data, head);
    memcpy(wqe->data + head, &bbs[1], wqe->length - head);
}

/* num_bbs: blocks of data. Returns the syndrome. */
static uint32_t decode_data(const union svan_wqebb *bbs, uint32_t num_bbs, SvanWqe *wqe)
{
    const struct svan_wqe_head *head = &bbs[0].head;

    if (wqe->flags & SVAN_WQE_INLINE) {
        wqe->length = le32toh(head->ctrl.inline_length);
        if (wqe->length > SVAN_MAX_INLINE || head->ctrl.num_sge ||
            num_bbs < svan_wqe_inline_bbs(wqe->length)) {
            wqe->length = 0;
            return SVAN_SYN_INLINE;
        }
        decode_inline(bbs, wqe);
        return SVAN_SYN_NONE;
    }
    wqe->num_sge = head->ctrl.num_sge;
    if (wqe->num_sge > svan_wqe_info(wqe->opcode)->max_sge) {
        return SVAN_SYN_NUM_SGE;
    }
    if (svan_wqe_info(wqe->opcode)->verb == SVAN_VERB_ATOMIC) {
        wqe->swap_add = le64toh(head->atomic.swap_add);
        wqe->compare = le64toh(head->atomic.compare);
        decode_sge(&head->atomic.sge, &wqe->sge[0]);
        wqe->length = 8;
        return wqe->num_sge == 1 && wqe->sge[0].length == 8 ?
               SVAN_SYN_NONE : SVAN_SYN_LENGTH;
    }
    if (num_bbs < svan_wqe_sge_bbs(wqe->num_sge)) {
        return SVAN_SYN_NUM_BBS;
    }
    return decode_sges(bbs, wqe) ? SVAN_SYN_NONE : SVAN_SYN_LENGTH;
}

static uint32_t decode(const SvanSq *sq, const union svan_wqebb *bbs, SvanWqe *wqe)
{
    const struct svan_wqe_head *head = &bbs[0].head;
    uint32_t num_bbs = wqe->num_bbs;

    if (!opcode_allowed(sq, wqe->opcode, wqe->flags)) {
        return SVAN_SYN_OPCODE;
    }
    if (wqe->flags & SVAN_WQE_AV) {
        if (--num_bbs == 0) {
            return SVAN_SYN_NUM_BBS;
        }
        wqe->av = bbs[num_bbs].av;
        if (wqe->av.sgid_index >= SVAN_MAX_GID) {
            return SVAN_SYN_AV;
        }
    }
    wqe->imm = head->ctrl.imm;
    if (sq->type == SVAN_QPT_ETH) {
        wqe->eth = head->eth;
    } else {
        wqe->remote = le64toh(head->remote.addr);
        wqe->rkey = le32toh(head->remote.rkey);
    }
    return decode_data(bbs, num_bbs, wqe);
}

SvanStep svan_wqe_fetch(const SvanSq *sq, uint32_t index, SvanWqe *wqe,
                        uint8_t *status, uint32_t *syndrome)
{
    union svan_wqebb bbs[SVAN_WQE_MAX_BBS];
    SvanStep step = read_bb(sq, index, &bbs[0]);
    uint32_t num_bbs;

    wqe->index = index;
    wqe->opcode = SVAN_WQE_NOP;
    wqe->flags = SVAN_WQE_SIGNALED;
    wqe->num_bbs = 1;
    wqe->num_sge = 0;
    wqe->length = 0;
    *status = SVAN_CQE_LOC_QP_OP_ERR;
    *syndrome = SVAN_SYN_RING;
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    wqe->opcode = bbs[0].head.ctrl.opcode;
    wqe->flags = bbs[0].head.ctrl.flags;
    num_bbs = bbs[0].head.ctrl.num_bbs;
    if (num_bbs < 1 || num_bbs > SVAN_WQE_MAX_BBS ||
        num_bbs > sq->producer.pi - index) {
        *syndrome = SVAN_SYN_NUM_BBS;
        return SVAN_STEP_ERROR;
    }
    for (uint32_t i = 1; i < num_bbs; i++) {
        step = read_bb(sq, index + i, &bbs[i]);
        if (step != SVAN_STEP_DONE) {
            return step;
        }
    }
    wqe->num_bbs = num_bbs;
    *syndrome = decode(sq, bbs, wqe);
    if (*syndrome != SVAN_SYN_NONE) {
        wqe->num_sge = 0;
        wqe->length = 0;
        if (*syndrome == SVAN_SYN_LENGTH) {
            *status = SVAN_CQE_LOC_LEN_ERR;
        }
        return SVAN_STEP_ERROR;
    }
    if (sq->signal_all) {
        wqe->flags |= SVAN_WQE_SIGNALED;
    }
    *status = SVAN_CQE_SUCCESS;
    return SVAN_STEP_DONE;
}

static SvanStep decode_rwqe(const struct svan_sge *sges, uint32_t num_sge,
                            SvanRwqe *rwqe)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < num_sge; i++) {
        decode_sge(&sges[i], &rwqe->sge[i]);
        total += rwqe->sge[i].length;
    }
    rwqe->num_sge = num_sge;
    /* A larger buffer than any message holds every message. */
    rwqe->length = total > SVAN_MAX_MSG ? SVAN_MAX_MSG : total;
    return SVAN_STEP_DONE;
}

SvanStep svan_rwqe_fetch(const SvanRq *rq, uint32_t index, SvanRwqe *rwqe,
                         uint8_t *status, uint32_t *syndrome)
{
    uint64_t slot = index & ((1u << rq->log_size) - 1);
    uint64_t va = rq->va + (slot << rq->log_stride);
    uint32_t max = ((1u << rq->log_stride) - sizeof(struct svan_rwqe)) /
                   sizeof(struct svan_sge);
    struct svan_sge sges[SVAN_MAX_SGE];
    struct svan_rwqe head;
    uint32_t num_sge;
    SvanStep step = ring_read(rq->ring_key, va, &head, sizeof(head));

    rwqe->index = index;
    rwqe->wr_id = 0;
    rwqe->num_sge = 0;
    rwqe->length = 0;
    *status = SVAN_CQE_LOC_QP_OP_ERR;
    *syndrome = SVAN_SYN_RING;
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    rwqe->wr_id = le64toh(head.wr_id);
    num_sge = le32toh(head.num_sge);
    if (num_sge > SVAN_MAX_SGE || num_sge > max) {
        *syndrome = SVAN_SYN_NUM_SGE;
        return SVAN_STEP_ERROR;
    }
    step = ring_read(rq->ring_key, va + sizeof(head), sges, num_sge * sizeof(sges[0]));
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    *status = SVAN_CQE_SUCCESS;
    *syndrome = SVAN_SYN_NONE;
    return decode_rwqe(sges, num_sge, rwqe);
}

static SvanStep gather_entry(SvanAccess *access, SvanMem *runs,
                             uint32_t *num_runs, uint32_t *syndrome)
{
    while (access->len) {
        SvanStep step;

        if (*num_runs == SVAN_MAX_PKT_RUNS) {
            *syndrome = SVAN_SYN_NUM_SGE;
            return SVAN_STEP_ERROR;
        }
        step = svan_access(access, &runs[*num_runs], syndrome);
        if (step != SVAN_STEP_DONE) {
            return step;
        }
        access->va += runs[*num_runs].len;
        access->len -= runs[*num_runs].len;
        ++*num_runs;
    }
    return SVAN_STEP_DONE;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/*
 * A page of an entry is absent. `looked_at` octets of the wanted ones lie before the
 * address `end`. The page miss is extended behind `end` by the rest, as far as that
 * lies in the entry; and in the key, against which this part has not been checked.
 */
static void want_behind(const SvanGather *gather, const SvanSge *sge,
                        uint64_t end, uint32_t looked_at)
{
    SvanPageMiss *absent = &gather->user->fn->memory->miss;
    uint64_t in_key = absent->key->length - (absent->va - absent->key->va);
    uint64_t in_entry = sge->addr + sge->length - end;
    uint64_t more = gather->wanted > looked_at ? gather->wanted - looked_at : 0;

    absent->len = min_u64(absent->len + min_u64(more, in_entry), in_key);
}

SvanStep svan_gather(const SvanGather *gather, uint32_t offset, uint32_t len,
                     SvanMem *runs, uint32_t *num_runs, uint32_t *syndrome)
{
    uint32_t whole = len;

    *num_runs = 0;
    for (uint32_t i = 0; i < gather->num_sge && len; i++) {
        const SvanSge *sge = &gather->sge[i];
        SvanAccess access = {
            .fn = gather->user->fn, .user = gather->user, .key = sge->lkey,
            .va = sge->addr + offset, .access = gather->access,
        };
        SvanStep step;
        uint64_t end;

        if (offset >= sge->length) {
            offset -= sge->length;
            continue;
        }
        if (access.va < sge->addr) {
            *syndrome = SVAN_SYN_KEY_BOUNDS;
            return SVAN_STEP_ERROR;
        }
        access.len = sge->length - offset < len ? sge->length - offset : len;
        offset = 0;
        len -= access.len;
        end = access.va + access.len;
        step = gather_entry(&access, runs, num_runs, syndrome);
        if (step == SVAN_STEP_FAULT) {
            want_behind(gather, sge, end, whole - len);
        }
        if (step != SVAN_STEP_DONE) {
            return step;
        }
    }
    if (len) {
        *syndrome = SVAN_SYN_LENGTH;
        return SVAN_STEP_ERROR;
    }
    return SVAN_STEP_DONE;
}

void svan_scatter(SvanFn *fn, const SvanMem *dst, uint32_t num_dst,
                  const SvanMem *src, uint32_t num_src, uint32_t len)
{
    uint32_t s = 0, s_off = 0;

    for (uint32_t d = 0; d < num_dst && len; d++) {
        SvanMem stored = dst[d];
        uint32_t d_off = 0;

        while (d_off < dst[d].len && s < num_src && len) {
            uint32_t n = dst[d].len - d_off;

            n = src[s].len - s_off < n ? src[s].len - s_off : n;
            n = len < n ? len : n;
            memmove(dst[d].host + d_off, src[s].host + s_off, n);
            d_off += n;
            s_off += n;
            len -= n;
            if (s_off == src[s].len) {
                s++;
                s_off = 0;
            }
        }
        stored.len = d_off;
        if (d_off) {
            svan_stored(fn, &stored);
        }
    }
}
