/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small driver for a function of a core in a Fake: command ring, event queues,
 * keys, completion queues and queue pairs. Setup that fails ends the program;
 * host_cmd() is there for commands that are meant to fail.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include "fake.h"

#define HOST_CMDQ_LOG   2
#define HOST_EQ_LOG     6
#define HOST_EQS        2               /* 0: asynchronous, 1: completions */

typedef struct HostEq {
    uint64_t ring;
    uint32_t ci, log_size;
} HostEq;

typedef struct Host {
    Fake *fake;
    uint16_t fn;
    uint64_t cmdq, cmdr;
    uint32_t cmd_pi;
    HostEq eqs[HOST_EQS];
    uint32_t pd;
    uint32_t all_key;           /* all of memory, all rights, va = bus address */
    uint32_t ring_key;          /* the same, internal */
    uint32_t gid_index;
} Host;

/* Enable the function, create EQs, a PD, keys, and GID 0 (IPv4 10.0.0.id). */
Host *host_create(Fake *fake, uint16_t fn, uint8_t id);
void host_destroy(Host *host);

/* Command ring and enable alone, for tests of what comes next. */
Host *host_create_bare(Fake *fake, uint16_t fn);

static inline SvanFn *host_fn(Host *host)
{
    return host->fake->core->fns[host->fn];
}

uint32_t host_read(Host *host, uint32_t reg);
void host_write(Host *host, uint32_t reg, uint32_t value);

/* Zeroed command of an opcode. */
struct svan_cmd host_cmd_init(uint16_t opcode);
/* Put it into the ring, without ringing or running. */
void host_cmd_post(Host *host, const struct svan_cmd *cmd);
/* The response to the command of a free-running index; false: not there yet. */
bool host_cmd_resp(Host *host, uint32_t index, struct svan_cmd_resp *resp);
/* Post, ring, run, wait. resp may be NULL. Returns enum svan_cmd_status. */
uint8_t host_cmd(Host *host, const struct svan_cmd *cmd,
                 struct svan_cmd_resp *resp);
/* The same, must succeed; returns resp.id.id. */
uint32_t host_must(Host *host, const struct svan_cmd *cmd);
uint8_t host_object(Host *host, uint16_t opcode, uint32_t id);

uint32_t host_eq_create(Host *host, uint32_t eqn, uint16_t vector,
                        uint32_t log_size);
void host_eq_arm(Host *host, uint32_t eqn);
/* As if the object had the event; nothing, if there is none that may have it. */
void host_event(Host *host, uint8_t type, uint32_t qn, uint32_t data);
/* Take the next event; false: none. */
bool host_eq_poll(Host *host, uint32_t eqn, struct svan_eqe *eqe);

uint32_t host_uar(Host *host, uint32_t owner);
uint32_t host_pd(Host *host);

/* Page table of a key over the pages [bus, ...); returns its root. */
uint64_t host_mtt(Host *host, uint64_t bus, uint32_t pages, uint32_t levels,
                  uint32_t page_shift, bool writable);
uint32_t host_key(Host *host, const struct svan_cmd_create_key *key);
/* A pinned key without a table, va = bus address. */
uint32_t host_key_flat(Host *host, uint64_t bus, uint64_t len, uint32_t access,
                       uint8_t flags);

typedef struct HostCq {
    Host *host;
    uint32_t cqn, uar, log_size;
    uint64_t ring, dbr;
    uint32_t ci;
} HostCq;

HostCq host_cq(Host *host, uint32_t log_size);
/* false: none. Writes the consumer index to the record. */
bool host_cq_poll(HostCq *cq, struct svan_cqe *cqe);
void host_cq_arm(HostCq *cq, bool solicited);

typedef struct HostQp {
    Host *host;
    uint32_t qpn, uar;
    uint8_t type;
    HostCq *send_cq, *recv_cq;
    uint64_t dbr, sq_bus, rq_bus;
    struct svan_sq_ring sq;
    uint32_t log_rq, log_stride;
    uint32_t sq_pi, rq_pi;
} HostQp;

typedef struct HostQpAttr {     /* zero: 64 blocks, 16 entries of 2, RC, UAR 0 */
    uint8_t type, flags;
    uint8_t log_sq, log_rq, max_sge;
    uint32_t uar;
} HostQpAttr;

HostQp host_qp(Host *host, HostCq *send_cq, HostCq *recv_cq,
               const HostQpAttr *attr);
uint8_t host_modify(HostQp *qp, uint8_t state, uint32_t mask,
                    const struct svan_cmd_modify_qp *attrs);
/* Through INIT, RTR and RTS, connected to each other; may be the same. */
void host_connect(HostQp *a, HostQp *b);
void host_eth_rts(HostQp *qp);
uint8_t host_state(HostQp *qp);

struct svan_qp_dbr *host_dbr(HostQp *qp);
/* Write sq_pi to the record; ring if POLLING is clear. */
void host_post(HostQp *qp);
void host_ring(HostQp *qp, uint32_t reg, uint32_t index);

typedef struct HostSend {
    uint8_t opcode, flags;
    uint64_t addr;              /* local, in all_key; length 0: no entry */
    uint32_t length;
    uint64_t remote;
    uint32_t rkey;
    uint32_t lkey;              /* 0: all_key */
} HostSend;

/* Write a WQE, do not post it. */
void host_send(HostQp *qp, const HostSend *send);
/* Write a receive entry and publish it. */
void host_recv(HostQp *qp, uint64_t addr, uint32_t length);

#endif /* TESTS_HOST_H */
