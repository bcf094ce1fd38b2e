/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs on a machine of the simulation: a driver (host.h) whose memory is
 * scattered. Rings are mostly reached through a table, regions lie on pages from
 * anywhere, and events take their time.
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "host.h"
#include "region.h"

#define GUEST_MAX_CQS           64

typedef struct Guest Guest;

struct Guest {
    Node *node;
    Host *host;
    PagePool pool;              /* pages for regions and tables */
    Rng rng;
    HostCq *cqs[GUEST_MAX_CQS];
    uint32_t num_cqs;
    struct Pager *pager;        /* NULL: nothing is ever taken away */
    void (*async)(Guest *guest, uint8_t type, uint32_t qn, uint32_t data);
    void *user;
};

static inline Node *qp_node(const HostQp *qp)
{
    return ((Guest *)qp->host->user)->node;
}

static inline Node *cq_node(const HostCq *cq)
{
    return ((Guest *)cq->host->user)->node;
}

/* Resources live as long as the guest. */
Guest *guest_new(Node *node, uint32_t ram_for_rings);
void guest_free(Guest *guest);
void guest_irq(Node *node, uint32_t vector);

/* Zeroed and contiguous, from a page of its own on; the offset in RAM. */
uint32_t guest_ram(Guest *guest, uint32_t bytes);

/* It has to succeed; the id in the response. */
uint32_t guest_must(Guest *guest, struct svan_cmd *cmd, uint16_t opcode);

/* Events come with interrupts: HostCq.event, since it was armed. */
HostCq *guest_cq_new(Guest *guest, uint8_t log_size);
void guest_cq_arm(HostCq *cq);

/* A key for the whole of a region; region->key is set. */
void guest_register(Guest *guest, Region *region, uint32_t access);

HostQp *guest_qp_new(Guest *guest, HostCq *send_cq, HostCq *recv_cq,
                     const HostQpAttr *attr);
void guest_qp_free(HostQp *qp);
/* enum svan_cmd_status */
uint8_t guest_qp_state(HostQp *qp, uint8_t state, uint32_t mask);

#endif /* SIM_GUEST_H */
