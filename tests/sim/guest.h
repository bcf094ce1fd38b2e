/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs on a machine of the simulation: a driver in small. Commands are
 * carried out at once; everything else takes its time.
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include <svan/cmd.h>
#include <svan/queues.h>
#include <svan/regs.h>
#include <svan/wqe.h>

#include "region.h"

#define GUEST_MAX_CQS           64
#define GUEST_MAX_SGE           SVAN_MAX_SGE

typedef struct Guest Guest;

typedef struct GuestCq {
    Guest *guest;
    uint32_t cqn;
    uint32_t ring;              /* offset in RAM */
    uint8_t log_size;
    uint32_t ci;
    bool event;                 /* an event came since guest_cq_arm() */
} GuestCq;

typedef struct GuestQp {
    Guest *guest;
    uint32_t qpn;
    GuestCq *send_cq, *recv_cq;
    uint32_t ring;              /* offset in RAM: SQ, then RQ, then record */
    uint8_t log_bbs, log_rq, log_stride;
    uint32_t sq_pi, sq_ci;      /* ci: blocks that were given back */
    uint32_t rq_pi, rq_ci;
    bool mmio_only;             /* the record's sq_pi is not used */
} GuestQp;

struct Guest {
    Node *node;
    uint32_t bump;              /* RAM that was given out, from 0 on */
    PagePool pool;              /* pages for regions and tables */
    Rng rng;
    uint32_t cmdq, cmdr, cmd_index;
    uint32_t eqs[2], eq_ci[2];
    uint32_t pd;
    GuestCq *cqs[GUEST_MAX_CQS];
    uint32_t num_cqs;
    struct Pager *pager;        /* NULL: nothing is ever taken away */
    void (*async)(Guest *guest, uint8_t type, uint32_t qn, uint32_t data);
    void *user;
};

typedef struct GuestSge {
    uint64_t va;
    uint32_t length, key;
} GuestSge;

typedef struct GuestWr {
    uint8_t opcode;             /* enum svan_wqe_opcode */
    uint8_t flags;              /* SVAN_WQE_*, INLINE among them */
    __be32 imm;
    uint64_t remote;
    uint32_t rkey;
    uint64_t swap_add, compare;
    const uint8_t *data;        /* INLINE */
    uint32_t length;
    uint32_t num_sge;
    GuestSge sge[GUEST_MAX_SGE];
} GuestWr;

/* Resources live as long as the guest. */
Guest *guest_new(Node *node, uint32_t ram_for_rings);
void guest_free(Guest *guest);
void guest_irq(Node *node, uint32_t vector);

/* Zeroed and contiguous, from a page of its own on; the offset in RAM. */
uint32_t guest_ram(Guest *guest, uint32_t bytes);

/* enum svan_cmd_status */
uint8_t guest_cmd(Guest *guest, const struct svan_cmd *cmd,
                  struct svan_cmd_resp *resp);
/* It has to succeed; the id in the response. */
uint32_t guest_must(Guest *guest, struct svan_cmd *cmd, uint16_t opcode);

GuestCq *guest_cq_new(Guest *guest, uint8_t log_size);
bool guest_cq_poll(GuestCq *cq, struct svan_cqe *cqe);
void guest_cq_arm(GuestCq *cq);

/* A key for the whole of a region; region->key is set. */
void guest_register(Guest *guest, Region *region, uint32_t access);
void guest_deregister(Guest *guest, Region *region);

typedef struct GuestQpInit {
    GuestCq *send_cq, *recv_cq;
    uint8_t log_bbs, log_rq;
    uint8_t flags;              /* SVAN_CMD_QP_* */
} GuestQpInit;

GuestQp *guest_qp_new(Guest *guest, const GuestQpInit *init);
void guest_qp_free(GuestQp *qp);

typedef struct GuestConnection {
    const GuestQp *peer;
    struct svan_qp_attr attr;   /* all but state and dest_qpn */
    uint8_t gid;                /* index, on both sides */
} GuestConnection;

/* RESET to RTS. */
void guest_connect(GuestQp *qp, const GuestConnection *to);
/* enum svan_cmd_status */
uint8_t guest_qp_state(GuestQp *qp, uint8_t state, uint32_t mask);
uint8_t guest_qp_query(GuestQp *qp, struct svan_qp_attr *attr);

/* Blocks that WQEs may still take. */
uint32_t guest_sq_room(const GuestQp *qp);
uint32_t guest_wr_bbs(const GuestWr *wr);
/* The WQE's index. Nothing is told to the device before guest_ring(). */
uint32_t guest_post(GuestQp *qp, const GuestWr *wr);
void guest_ring(GuestQp *qp);
uint32_t guest_rq_room(const GuestQp *qp);
uint32_t guest_post_recv(GuestQp *qp, const GuestSge *sge, uint32_t num_sge);
void guest_ring_recv(GuestQp *qp);

#endif /* SIM_GUEST_H */
