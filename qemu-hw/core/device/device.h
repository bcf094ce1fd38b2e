/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device: its functions with their registers and commands, the scheduler, and
 * the state of all of it.
 */
#ifndef SVAN_DEVICE_H
#define SVAN_DEVICE_H

#include "transport/transport.h"

/* ---- prices: device/price.c ---- */

#define SVAN_PRICE_ONE          256u
#define SVAN_PRICE_LEAST        (SVAN_PRICE_ONE / 4)
#define SVAN_PRICE_MOST         (SVAN_PRICE_ONE * 64)

void svan_price_init(SvanPrice *price);
/* A step that was timed has cost that, more than 0, and has taken ns. */
void svan_price_learn(SvanCore *core, SvanPrice *price, uint64_t cost, uint64_t ns);

/* Is the next step to be timed? */
static inline bool svan_price_is_due(SvanPrice *price)
{
    return !price->untimed || !--price->untimed;
}

/* ns that a step of that cost has taken, by the price. */
static inline uint64_t svan_price_of(const SvanPrice *price, uint64_t cost)
{
    return cost * price->price / SVAN_PRICE_ONE;
}

/* ---- commands ---- */

/* What a handler works on: a copy of the command, and the response that it fills in. */
typedef struct SvanCmdCtx {
    SvanFn *fn;
    const struct svan_cmd *cmd;
    struct svan_cmd_resp *resp;
} SvanCmdCtx;

/* DONE: resp is complete; MISS, or AGAIN: it is called again with the same command. */
typedef SvanStep SvanCmdHandler(SvanCmdCtx *ctx);

/*
 * Fill in status and syndrome of the response: SVAN_CMD_OK or a refusal. Always DONE.
 */
SvanStep svan_cmd_answer(SvanCmdCtx *ctx, uint32_t refusal);
/* Write what a query is answered with to where it asks for it, and answer it. DONE, MISS. */
SvanStep svan_cmd_query_answer(SvanCmdCtx *ctx, const void *data, uint32_t size);

SvanCmdHandler svan_cmd_query_caps, svan_cmd_query_stats;
SvanCmdHandler svan_cmd_create_eq, svan_cmd_destroy_eq;
SvanCmdHandler svan_cmd_alloc_uar, svan_cmd_free_uar;
SvanCmdHandler svan_cmd_alloc_pd, svan_cmd_free_pd;
SvanCmdHandler svan_cmd_create_key, svan_cmd_destroy_key, svan_cmd_query_key;
SvanCmdHandler svan_cmd_modify_key;
SvanCmdHandler svan_cmd_create_cq, svan_cmd_destroy_cq, svan_cmd_moderate_cq;
SvanCmdHandler svan_cmd_create_counter, svan_cmd_destroy_counter;
SvanCmdHandler svan_cmd_modify_counter, svan_cmd_attach_counter;
SvanCmdHandler svan_cmd_create_qp, svan_cmd_destroy_qp;
SvanCmdHandler svan_cmd_modify_qp, svan_cmd_query_qp;
SvanCmdHandler svan_cmd_attach_mcast, svan_cmd_detach_mcast;
SvanCmdHandler svan_cmd_create_srq, svan_cmd_destroy_srq;
SvanCmdHandler svan_cmd_modify_srq, svan_cmd_query_srq;
SvanCmdHandler svan_cmd_set_gid, svan_cmd_clear_gid;
SvanCmdHandler svan_cmd_eth_set_filter, svan_cmd_eth_set_mcast;
SvanCmdHandler svan_cmd_set_port;
SvanCmdHandler svan_cmd_create_prq, svan_cmd_destroy_prq;
SvanCmdHandler svan_cmd_set_fault_policy, svan_cmd_query_fault_policy;
SvanCmdHandler svan_cmd_set_spare_pages;
SvanCmdHandler svan_cmd_set_context_table;
SvanCmdHandler svan_cmd_set_function, svan_cmd_query_function, svan_cmd_set_rate_group;
SvanCmdHandler svan_cmd_set_congestion, svan_cmd_query_congestion;
SvanCmdHandler svan_cmd_set_enforcement, svan_cmd_query_enforcement;
SvanCmdHandler svan_cmd_query_flows, svan_cmd_judge_flow;

/* CONTROL.ENABLE: latch the registers of the command queue. */
void svan_cmdq_start(SvanFn *fn);
/* Commands that were not executed yet are dropped. */
void svan_cmdq_stop(SvanFn *fn);
void svan_cmdq_doorbell(SvanFn *fn, uint32_t pi);
/* Execute one command, or a part of it, or the DMA test. DONE, AGAIN, MISS. */
SvanStep svan_cmd_step(SvanFn *fn);
/* Do the registers make sense for this operation (SVAN_TEST_DMA_*)? */
bool svan_test_dma_is_sane(const SvanFn *fn, uint32_t op);
/* Execute the DMA test that SVAN_REG_TEST_DMA_CTRL has started. DONE, MISS. */
SvanStep svan_test_dma_step(SvanFn *fn);

/* SVAN_CMD_OK or a refusal. */
uint32_t svan_eth_filter_set(SvanFn *fn, const struct svan_cmd_eth_filter *cmd);

/* No function is set aside any more, and steps that missed are to be run again. */
void svan_misses_resume(SvanCore *core);

/* ---- the parts of a function ---- */

/*
 * Make what a function has only while it is enabled. false: no memory, and nothing has
 * changed.
 */
bool svan_parts_make(SvanFn *fn);
/* The parts are there, or are going to be freed. */
void svan_fn_set_enabled(SvanFn *fn, bool enabled);
/* Make the counters, if there are none yet. false: no memory. */
bool svan_fn_stats_make(SvanFn *fn);
/* Free the parts, if there are any. Their objects have been destroyed before. */
void svan_parts_free(SvanFn *fn);

typedef struct SvanRegs {
    SvanFn *fn;
    bool enabled;               /* the other parts are there */
    uint8_t variant;            /* of the first numbers when it is enabled next */
    uint32_t off_reason;
    /* as written; regs.c */
    uint64_t cmdq_base, cmdr_base;
    uint32_t cmdq_log_size;
    uint32_t scratch, test_dma_size, test_dma_ctrl;
    uint64_t test_dma_addr;
    uint32_t inv_target;
    uint64_t inv_addr, inv_length;
    uint64_t clock_latch;       /* at the last read of the low half */

    /* command queue, latched by CONTROL.ENABLE; cmd.c */
    struct {
        uint64_t ring, resp;
        uint32_t log_size, pi, ci;
        uint64_t cleared;       /* octets of the ring that CREATE_CQ is clearing */
    } cmdq;
    SvanLink cmd_link;          /* fn->work[SVAN_TURN_CMD]: commands, or the DMA test */
} SvanRegs;

/* ---- cmd_congestion.c ---- */

void svan_congestion_get_attr(const SvanCore *core, struct svan_congestion_attr *attr);
/* Set the attributes of mask (SVAN_SET_CONGESTION_*). false: out of range, none is set. */
bool svan_congestion_set_attr(SvanCore *core, uint32_t mask,
                              const struct svan_congestion_attr *attr);

/* ---- the scheduler ---- */

/* The clock may be set to another time, for a state that is loaded. */
void svan_clock_reset(SvanCore *core);

#endif /* SVAN_DEVICE_H */
