/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations: made up at random, verified when they have completed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"

static const struct {
    uint8_t opcode;
    uint8_t right;              /* that it needs at the responder */
    uint8_t weight;
} types[OP_TYPES] = {
    [OP_NOP]        = { SVAN_WQE_NOP, 0, 3 },
    [OP_SEND]       = { SVAN_WQE_SEND, 0, 20 },
    [OP_SEND_IMM]   = { SVAN_WQE_SEND_IMM, 0, 10 },
    [OP_WRITE]      = { SVAN_WQE_RDMA_WRITE, SVAN_ACCESS_REMOTE_WRITE, 30 },
    [OP_WRITE_IMM]  = { SVAN_WQE_RDMA_WRITE_IMM, SVAN_ACCESS_REMOTE_WRITE, 10 },
    [OP_READ]       = { SVAN_WQE_RDMA_READ, SVAN_ACCESS_REMOTE_READ, 25 },
    [OP_CAS]        = { SVAN_WQE_ATOMIC_CMP_SWP, SVAN_ACCESS_REMOTE_ATOMIC, 6 },
    [OP_FAA]        = { SVAN_WQE_ATOMIC_FETCH_ADD, SVAN_ACCESS_REMOTE_ATOMIC,
                        8 },
};

#define BEYOND          (3u << 20)      /* no page reaches so far */

#define T(name)         (1u << OP_##name)
#define RDMA            (T(WRITE) | T(WRITE_IMM) | T(READ))
#define ATOMIC          (T(CAS) | T(FAA))
#define TAKES_RECV      (T(SEND) | T(SEND_IMM) | T(WRITE_IMM))
#define SENDS           (T(SEND) | T(SEND_IMM))
#define DATA_OUT        (SENDS | T(WRITE) | T(WRITE_IMM))

/* Which operations can have each defect, and how it then ends. */
static const struct {
    uint32_t types;
    uint32_t status;
    bool remote;
} defects[DEFECT_COUNT] = {
    [DEFECT_NONE]           = { ~0u, ST(SUCCESS), false },
    [DEFECT_LKEY]           = { DATA_OUT | T(READ) | ATOMIC, ST(LOC_PROT_ERR),
                                false },
    [DEFECT_LOCAL_BOUNDS]   = { DATA_OUT | T(READ) | ATOMIC, ST(LOC_PROT_ERR),
                                false },
    [DEFECT_RKEY]           = { RDMA | ATOMIC, ST(REM_ACCESS_ERR), true },
    [DEFECT_REMOTE_BOUNDS]  = { RDMA | ATOMIC, ST(REM_ACCESS_ERR), true },
    [DEFECT_REMOTE_RIGHT]   = { T(WRITE) | T(WRITE_IMM) | ATOMIC,
                                ST(REM_ACCESS_ERR), true },
    [DEFECT_QP_RIGHT]       = { RDMA | ATOMIC, ST(REM_INV_REQ_ERR), true },
    [DEFECT_ALIGNMENT]      = { ATOMIC, ST(REM_INV_REQ_ERR), true },
    [DEFECT_RECV_SMALL]     = { SENDS, ST(REM_INV_REQ_ERR), true },
    [DEFECT_OPCODE]         = { ~0u, ST(LOC_QP_OP_ERR), false },
    [DEFECT_NO_RECV]        = { TAKES_RECV, ST(RNR_RETRY_EXC_ERR), true },
};

bool defect_is_remote(Defect defect)
{
    return defects[defect].remote;
}

bool op_takes_recv(const Op *op)
{
    return TAKES_RECV & 1u << op->type;
}

static bool is_in(OpType type, uint32_t set)
{
    return set & 1u << type;
}

/* ---- making up ---- */

static bool suits(const End *end, OpType type, Defect defect)
{
    bool denied = types[type].right & end->denied;

    if (!is_in(type, defects[defect].types) ||
        denied != (defect == DEFECT_QP_RIGHT)) {
        return false;
    }
    return !end->pair->fragile || !is_in(type, TAKES_RECV) ||
           defect == DEFECT_NO_RECV;
}

/* OP_TYPES: there is none */
static OpType choose_type(const End *end, Defect defect, Rng *rng)
{
    uint32_t total = 0;
    OpType type;

    for (type = 0; type < OP_TYPES; type++) {
        total += suits(end, type, defect) ? types[type].weight : 0;
    }
    if (!total) {
        return OP_TYPES;
    }
    total = rng_below(rng, total);
    for (type = 0; ; type++) {
        uint32_t weight = suits(end, type, defect) ? types[type].weight : 0;

        if (total < weight) {
            return type;
        }
        total -= weight;
    }
}

static uint32_t choose_length(const Op *op, Rng *rng)
{
    const TrafficModel *model = op->end->pair->traffic->model;
    uint32_t max = is_in(op->type, SENDS) ? model->recv_length :
                                            model->max_length;
    uint32_t mtu = 1u << op->end->connection.attr.log_mtu;
    uint32_t length;

    switch (rng_below(rng, 10)) {
    case 0:
        length = 0;
        break;
    case 1: case 2: case 3: case 4:
        length = rng_between(rng, 1, 256);
        break;
    case 5: case 6:
        length = mtu * rng_between(rng, 1, 4) + rng_below(rng, 3) - 1;
        break;
    case 7: case 8:
        length = rng_between(rng, 1, max / 4);
        break;
    default:
        length = rng_between(rng, 1, max);
        break;
    }
    if (op->defect == DEFECT_RECV_SMALL) {
        return model->recv_length * 2 + length;
    }
    if (op->defect != DEFECT_NONE && !length) {
        length = 1;
    }
    return length < max ? length : max;
}

static bool add_sge(Op *op, uint32_t length, uint32_t align, Rng *rng)
{
    Region *region = traffic_node(op->end)->data;
    HostSge *sge = &op->wr.sge[op->wr.num_sge];

    *sge = (HostSge) { .va = rng_next(rng), .key = rng_next(rng) };
    if (length) {
        Extent *extent = extent_new(region, length, align, rng);

        if (!extent) {
            return false;
        }
        op->local[op->wr.num_sge] = extent;
        *sge = (HostSge) {
            .va = extent_va(extent), .length = length, .key = region->key,
        };
    }
    op->wr.num_sge++;
    return true;
}

static bool add_sges(Op *op, Rng *rng)
{
    uint32_t count = rng_below(rng, 3) ? 1 : rng_between(rng, 1, SVAN_MAX_SGE);
    uint32_t left = op->length;

    if (!left) {
        count = rng_below(rng, 3);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = i + 1 == count ? left :
                          rng_below(rng, 2 * left / (count - i) + 1);

        if (!add_sge(op, length < left ? length : left, 1, rng)) {
            return false;
        }
        left -= length < left ? length : left;
    }
    return true;
}

/* What the local entries hold, one after the other. */
static void local_want(const Op *op, uint8_t *bytes)
{
    for (uint32_t i = 0; i < op->wr.num_sge; i++) {
        if (op->local[i]) {
            extent_want(op->local[i], bytes);
            bytes += op->local[i]->length;
        }
    }
}

static bool make_payload(Op *op, Rng *rng)
{
    op->data = malloc(op->length + 1);
    if (op->length <= SVAN_MAX_INLINE && rng_below(rng, 4) == 0 &&
        op->defect != DEFECT_LKEY && op->defect != DEFECT_LOCAL_BOUNDS) {
        for (uint32_t i = 0; i < op->length; i++) {
            op->data[i] = rng_next(rng);
        }
        op->wr.flags |= SVAN_WQE_INLINE;
        op->wr.data = op->data;
        op->wr.length = op->length;
        return true;
    }
    if (!add_sges(op, rng)) {
        return false;
    }
    local_want(op, op->data);
    return true;
}

static const Op *last_posted(const End *end)
{
    const Op *op = end->ops;

    while (op && op->next) {
        op = op->next;
    }
    return op;
}

/*
 * Now and then the memory of the operation before: a READ sees what the WRITE
 * before it has written, and a fenced WRITE does not disturb the READ before
 * it (10.8.3.3).
 */
static bool share_remote(Op *op, Rng *rng)
{
    const Op *before = last_posted(op->end);
    bool read = op->type == OP_READ;

    if (!before || op->defect || before->defect || !before->remote ||
        before->remote->refs != 1 || rng_below(rng, 3) ||
        before->remote->region != traffic_node(op->end->peer)->data ||
        (read ? before->type != OP_WRITE && before->type != OP_WRITE_IMM :
                before->type != OP_READ)) {
        return false;
    }
    op->remote = extent_hold(before->remote);
    op->length = before->length;
    if (read) {
        op->data = malloc(op->length + 1);
        memcpy(op->data, before->data, op->length);
    } else {
        op->wr.flags |= SVAN_WQE_FENCE;
    }
    return true;
}

static bool take_remote(Op *op, Rng *rng)
{
    TrafficNode *peer = traffic_node(op->end->peer);
    Region *region = op->type == OP_READ && rng_below(rng, 4) == 0 ?
                     peer->readable : peer->data;

    if (!op->length) {
        op->wr.remote = rng_next(rng);
        op->wr.rkey = rng_next(rng);
        return true;
    }
    if (!op->remote) {
        op->remote = extent_new(region, op->length, 1, rng);
    }
    if (!op->remote) {
        return false;
    }
    op->wr.remote = extent_va(op->remote);
    op->wr.rkey = op->remote->region->key;
    if (op->type == OP_READ && !op->data) {
        op->data = malloc(op->length + 1);
        extent_want(op->remote, op->data);
    }
    return true;
}

static bool make_rdma(Op *op, Rng *rng)
{
    share_remote(op, rng);
    if (!take_remote(op, rng)) {
        return false;
    }
    return op->type == OP_READ ? add_sges(op, rng) : make_payload(op, rng);
}

static bool make_atomic(Op *op, Rng *rng)
{
    TrafficNode *peer = traffic_node(op->end->peer);

    do {
        op->word = &peer->words[rng_below(rng, SIM_WORDS)];
    } while (op->word->kind != op->type);
    op->length = 8;
    op->wr.remote = extent_va(op->word->extent);
    op->wr.rkey = op->word->extent->region->key;
    word_choose(op->word, &op->wr, rng);
    return add_sge(op, 8, 1, rng);
}

static bool make(Op *op, Rng *rng)
{
    if (is_in(op->type, ATOMIC)) {
        return make_atomic(op, rng);
    }
    if (op->type == OP_NOP) {
        return true;
    }
    op->length = choose_length(op, rng);
    return is_in(op->type, RDMA) ? make_rdma(op, rng) : make_payload(op, rng);
}

/* The last entry with something in it, for defects of memory. */
static HostSge *some_sge(Op *op)
{
    uint32_t i = op->wr.num_sge - 1;

    while (!op->local[i]) {
        i--;
    }
    return &op->wr.sge[i];
}

/* None of the node's two. */
static uint32_t spoil_key(uint32_t key, const TrafficNode *node, Rng *rng)
{
    uint32_t spoilt;

    do {
        spoilt = key ^ 1u << rng_below(rng, 32);
    } while (spoilt == node->data->key || spoilt == node->readable->key);
    return spoilt;
}

/* Not all in the region; where its key covers more, nothing is there at all. */
static uint64_t out_of_bounds(const Region *region, uint32_t length)
{
    return region->whole ? (region->va + region->length + BEYOND) & ~7ull :
                           region->va + region->length - length + 1;
}

static void spoil(Op *op, Rng *rng)
{
    TrafficNode *node = traffic_node(op->end);
    TrafficNode *peer = traffic_node(op->end->peer);

    switch (op->defect) {
    case DEFECT_LKEY:
        some_sge(op)->key = spoil_key(some_sge(op)->key, node, rng);
        break;
    case DEFECT_LOCAL_BOUNDS:
        some_sge(op)->va = out_of_bounds(node->data, some_sge(op)->length);
        break;
    case DEFECT_RKEY:
        op->wr.rkey = spoil_key(op->wr.rkey, peer, rng);
        break;
    case DEFECT_REMOTE_BOUNDS:
        op->wr.remote = is_in(op->type, ATOMIC) && !peer->data->whole ?
                        (peer->data->va - 8) & ~7ull :
                        out_of_bounds(peer->data, op->length);
        break;
    case DEFECT_REMOTE_RIGHT:
        op->wr.rkey = peer->readable->key;
        op->wr.remote = (peer->readable->va + 15) & ~7ull;
        break;
    case DEFECT_ALIGNMENT:
        op->wr.remote += rng_between(rng, 1, 7);
        break;
    case DEFECT_OPCODE:
        op->wr.opcode = 0x20 + rng_below(rng, 0xe0);
        break;
    default:
        break;
    }
}

static void release(Op *op)
{
    for (uint32_t i = 0; i < SVAN_MAX_SGE; i++) {
        extent_put(op->local[i]);
    }
    extent_put(op->remote);
    free(op->data);
    free(op);
}

void op_put(Op *op)
{
    if (!--op->refs) {
        release(op);
    }
}

Op *op_new(End *end, Defect defect)
{
    Rng *rng = &traffic_node(end)->rng;
    Op *op = calloc(1, sizeof(*op));

    op->end = end;
    op->refs = 1;
    op->defect = defect;
    op->type = choose_type(end, defect, rng);
    op->allowed = defects[defect].status;
    if (op->type == OP_TYPES || !make(op, rng)) {
        release(op);
        return NULL;
    }
    op->wr.opcode = types[op->type].opcode;
    op->wr.imm = rng_next(rng);
    if (rng_below(rng, 16) == 0) {
        op->wr.flags |= SVAN_WQE_FENCE;
    }
    if (is_in(op->type, TAKES_RECV) && rng_below(rng, 4) == 0) {
        op->wr.flags |= SVAN_WQE_SOLICITED;
    }
    spoil(op, rng);
    op->bbs = host_wr_bbs(&op->wr);
    return op;
}

/* ---- verifying ---- */

static void check_extent(const Op *op, const Extent *extent, const char *what)
{
    int64_t at = extent_check(extent);

    if (at >= 0) {
        world_fail(op->end->node->world,
                   "QP %06x of node %u, WQE %u (opcode %u, %u bytes): byte %"
                   PRId64 " of %s is wrong", op->end->qp->qpn,
                   op->end->node->id, op->index, types[op->type].opcode,
                   op->length, at - extent->offset, what);
    }
}

/* Bytes have come into the local entries. */
static void local_expect(Op *op, const uint8_t *bytes)
{
    for (uint32_t i = 0; i < op->wr.num_sge; i++) {
        if (op->local[i]) {
            extent_expect(op->local[i], 0, bytes, op->local[i]->length);
            bytes += op->local[i]->length;
            check_extent(op, op->local[i], "what was read");
        }
    }
}

static void atomic_done(Op *op)
{
    uint64_t orig;

    extent_learn(op->local[0]);
    extent_want(op->local[0], (uint8_t *)&orig);
    word_result(op->word, &op->wr, true, le64toh(orig));
}

void op_check_placed(const Op *op)
{
    if (is_in(op->type, T(WRITE) | T(WRITE_IMM)) && op->remote &&
        op->defect == DEFECT_NONE) {
        extent_expect(op->remote, 0, op->data, op->length);
        check_extent(op, op->remote, "what was written");
    }
}

void op_done(Op *op)
{
    op_check_placed(op);
    if (op->type == OP_READ && op->length) {
        local_expect(op, op->data);
    } else if (op->word) {
        atomic_done(op);
    }
    if (is_in(op->type, DATA_OUT)) {
        for (uint32_t i = 0; i < op->wr.num_sge; i++) {
            if (op->local[i]) {
                check_extent(op, op->local[i], "its source");
            }
        }
    }
}

void op_undone(Op *op)
{
    for (uint32_t i = 0; i < op->wr.num_sge; i++) {
        if (op->local[i]) {
            extent_learn(op->local[i]);
        }
    }
    if (op->remote) {
        extent_learn(op->remote);
    }
    if (op->word && op->defect == DEFECT_NONE) {
        word_result(op->word, &op->wr, false, 0);
    }
}

/* ---- receives ---- */

Recv *recv_new(End *end)
{
    const TrafficModel *model = end->pair->traffic->model;
    TrafficNode *node = traffic_node(end);
    Recv *recv = calloc(1, sizeof(*recv));
    uint32_t left = model->recv_length + rng_below(&node->rng, 64);

    recv->num_sge = rng_below(&node->rng, 3) ? 1 :
                    rng_between(&node->rng, 1, SVAN_MAX_SGE);
    for (uint32_t i = 0; i < recv->num_sge; i++) {
        uint32_t length = i + 1 == recv->num_sge ? left :
                          rng_below(&node->rng, 2 * left /
                                    (recv->num_sge - i) + 1);

        length = length < left ? length : left;
        if (!length) {
            continue;
        }
        recv->local[i] = extent_new(node->data, length, 1, &node->rng);
        if (!recv->local[i]) {
            recv_free(recv);
            return NULL;
        }
        recv->sge[i] = (HostSge) {
            .va = extent_va(recv->local[i]), .length = length,
            .key = node->data->key,
        };
        recv->length += length;
        left -= length;
    }
    return recv;
}

void recv_free(Recv *recv)
{
    for (uint32_t i = 0; i < recv->num_sge; i++) {
        extent_put(recv->local[i]);
    }
    free(recv);
}

void recv_done(Recv *recv, const Op *message)
{
    const uint8_t *bytes = message->data;
    uint32_t left = message->length;

    if (!is_in(message->type, SENDS)) {
        return;
    }
    for (uint32_t i = 0; i < recv->num_sge && left; i++) {
        Extent *extent = recv->local[i];
        uint32_t n;

        if (!extent) {
            continue;
        }
        n = left < extent->length ? left : extent->length;
        extent_expect(extent, 0, bytes, n);
        check_extent(message, extent, "what was received");
        bytes += n;
        left -= n;
    }
}

void recv_undone(Recv *recv)
{
    for (uint32_t i = 0; i < recv->num_sge; i++) {
        if (recv->local[i]) {
            extent_learn(recv->local[i]);
        }
    }
}
