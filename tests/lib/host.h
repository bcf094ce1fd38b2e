/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small driver for a function of a core in a Fake, alone or in a world: command
 * ring, event queues, keys, completion queues and queue pairs. Setup that fails
 * ends the program; host_cmd() is there for commands that are meant to fail.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include "fake.h"

#define HOST_CMDQ_LOG   2
#define HOST_EQ_LOG     6
#define HOST_EQS        2               /* 0: asynchronous, 1: completions */

#define HOST_GIDS       2
#define HOST_GROUP_QPN  0xffffffu       /* in packets for multicast groups */

typedef struct HostEq {
    uint64_t ring;
    uint32_t ci, log_size;
} HostEq;

typedef struct Host Host;

/* Memory of a queue, and how the device reaches it. */
typedef struct HostRing {
    uint64_t bus;
    uint64_t va;                /* of its first octet, by the key */
    uint32_t key;               /* internal */
} HostRing;

struct Host {
    Fake *fake;
    uint16_t fn;
    uint64_t cmdq, cmdr;
    uint32_t cmd_pi;
    HostEq eqs[HOST_EQS];
    uint32_t pd;
    uint32_t all_key;           /* all of memory, all rights, va = bus address */
    uint32_t ring_key;          /* the same, internal */
    struct {
        uint8_t gid[16], smac[6];
    } gids[HOST_GIDS];          /* by index, as host_set_gid() has set them */
    /*
     * A command ends with its answer, the device goes on by itself; otherwise it
     * comes to rest first.
     */
    bool brief;
    /* NULL: from fake_alloc(), by ring_key */
    HostRing (*new_ring)(Host *host, uint32_t size);
    void *user;
};

/* Enable the function, create EQs, a PD, keys, and GID 0 (IPv4 10.0.0.0 + id). */
Host *host_create(Fake *fake, uint16_t fn, uint32_t id);
void host_destroy(Host *host);

/* Command ring and enable alone, for tests of what comes next. */
Host *host_create_bare(Fake *fake, uint16_t fn);

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
/* Take the next event; false: none. */
bool host_eq_poll(Host *host, uint32_t eqn, struct svan_eqe *eqe);

/* The index is below HOST_GIDS, the source MAC the function's. */
void host_set_gid(Host *host, uint32_t index, const uint8_t *gid);
/* Pages of a key: what is cached of their table is forgotten when it returns. */
void host_invalidate_key(Host *host, uint32_t key, uint64_t va, uint64_t length);
uint32_t host_uar(Host *host, uint32_t owner);
uint32_t host_pd(Host *host);

/* The table of process contexts. */
void host_set_contexts(Host *host, uint64_t table, uint32_t count);

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
    bool event;                 /* the user's: one has come */
} HostCq;

HostCq host_cq(Host *host, uint32_t log_size);
HostCq host_cq_of(Host *host, uint32_t log_size, uint32_t uar);
/* false: none. Writes the consumer index to the record. */
bool host_cq_poll(HostCq *cq, struct svan_cqe *cqe);
/* Any thread. */
void host_cq_arm(HostCq *cq, bool solicited);

typedef struct HostQp {
    Host *host;
    uint32_t qpn, uar;
    uint8_t type;
    HostCq *send_cq, *recv_cq;
    uint64_t dbr, sq_bus, rq_bus;
    struct svan_sq_ring sq;
    uint32_t log_sq, log_rq, log_stride;
    uint32_t sq_pi, rq_pi;
    uint32_t sq_ci, rq_ci;      /* the user's: what was given back */
    bool mmio_only;             /* the record's sq_pi is not used */
} HostQp;

typedef struct HostQpAttr {     /* zero: 64 blocks, 16 entries of 2, RC, UAR 0 */
    uint8_t type, flags;
    uint8_t log_sq, log_rq, max_sge;
    bool apart;                 /* both queues and the record in rings of their own */
    uint32_t uar;
} HostQpAttr;

HostQp host_qp(Host *host, HostCq *send_cq, HostCq *recv_cq,
               const HostQpAttr *attr);
uint8_t host_modify(HostQp *qp, uint8_t state, uint32_t mask,
                    const struct svan_cmd_modify_qp *attrs);
typedef struct HostConnection {
    const HostQp *peer;
    struct svan_qp_attr attr;   /* all but state, port and dest_qpn */
    uint8_t gid;                /* index, on both sides */
    uint8_t traffic_class;
} HostConnection;

/* To a peer, patiently. */
HostConnection host_connection(const HostQp *peer);
/* Through INIT, RTR and RTS. */
#define HOST_CONNECT_CMDS       3
void host_connect_cmds(const HostQp *qp, const HostConnection *to,
                       struct svan_cmd cmds[HOST_CONNECT_CMDS]);
void host_connect_to(HostQp *qp, const HostConnection *to);
/* Both to each other; may be the same. Of type RC or UC. */
void host_connect(HostQp *a, HostQp *b);
/* Through INIT, RTR and RTS, with this Q_Key; of type UD or GSI. */
void host_datagrams(HostQp *qp, uint32_t qkey);
/* To a multicast group of IPv4. */
void host_join(HostQp *qp, const uint8_t *gid);
/* From GID 0 to that of a queue pair's host, or to a group of IPv4. */
struct svan_av host_av(const HostQp *to, uint32_t qkey);
struct svan_av host_group_av(const uint8_t *gid, uint32_t qkey);
void host_eth_rts(HostQp *qp);
uint8_t host_query(HostQp *qp, struct svan_qp_attr *attr);
/* The same, must succeed. */
uint8_t host_state(HostQp *qp);

struct svan_qp_dbr *host_dbr(HostQp *qp);
/* Write the producer index to the record; ring if POLLING is clear. */
void host_post(HostQp *qp);
void host_post_recv(HostQp *qp);
void host_ring(HostQp *qp, uint32_t reg, uint32_t index);

typedef struct HostSge {
    uint64_t va;
    uint32_t length, key;
} HostSge;

typedef struct HostWr {
    uint8_t opcode;             /* enum svan_wqe_opcode */
    uint8_t flags;              /* SVAN_WQE_*, INLINE among them */
    __be32 imm;
    uint64_t remote;
    uint32_t rkey;
    uint64_t swap_add, compare;
    const uint8_t *data;        /* INLINE */
    uint32_t length;            /* of data */
    uint32_t num_sge;
    HostSge sge[SVAN_MAX_SGE];
    const struct svan_av *av;   /* NULL: none */
} HostWr;

/* Blocks that WQEs may still take, by sq_ci; entries, by rq_ci. */
uint32_t host_sq_room(const HostQp *qp);
uint32_t host_rq_room(const HostQp *qp);
uint32_t host_wr_bbs(const HostWr *wr);
/* Write a WQE, do not post it. Its index. */
uint32_t host_write_wqe(HostQp *qp, const HostWr *wr);
uint32_t host_write_rwqe(HostQp *qp, const HostSge *sge, uint32_t num_sge);

typedef struct HostSend {
    uint8_t opcode, flags;
    uint64_t addr;              /* local, in all_key; length 0: no entry */
    uint32_t length;
    uint64_t remote;
    uint32_t rkey;
    uint32_t lkey;              /* 0: all_key */
} HostSend;

/* Write a WQE with one ordinary entry whatever its opcode is, do not post it. */
void host_send(HostQp *qp, const HostSend *send);
/* Write a receive entry and publish it. */
void host_recv(HostQp *qp, uint64_t addr, uint32_t length);

#endif /* TESTS_HOST_H */
