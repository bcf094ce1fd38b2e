/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A data centre in virtual time: a fat tree whose hosts are device cores, with switches
 * and links of tools/switch/model. It runs in one process, or divided by pod among
 * several (ranks.h); the result is the same to the octet.
 *
 *   options.h   what is simulated
 *   tree.h      which node is joined to which
 *   forward.h   a switch: equal-cost multipath
 *   payload.h   what the packets carry, by reference
 *   nic.h       a host: core, driver, software
 *   traffic.h   who sends to whom
 *   ranks.h     several processes
 *   report.h    what came of it
 *   fabric.h    all of it together (this file)
 *
 * Nothing but the options decides what happens: all is computed with integers, each node
 * has its own random numbers and its own sequence of events, and no counter is shared.
 */
#ifndef FABRIC_FABRIC_H
#define FABRIC_FABRIC_H

#include "forward.h"
#include "nic.h"
#include "options.h"
#include "payload.h"
#include "ranks.h"
#include "traffic.h"
#include "tree.h"

/* What all ranks know of each other at the end of a window. */
typedef struct FabricState {
    uint64_t next;              /* ns: the first event; UINT64_MAX: none */
    uint64_t done;              /* flows that have ended */
    uint64_t delivered;         /* data packets */
    uint64_t events;
} FabricState;

struct Fabric {
    const FabricOptions *options;
    Tree tree;
    Ranks *ranks;
    NetSchedule schedule;
    /* By node; NULL: another rank's. */
    FabricHost **hosts;
    FabricSwitch **switches;    /* by node - tree.hosts */
    RanksBuffer crossed;        /* NetFrame *: copied for another rank in this window */
    uint64_t crossed_next;      /* ns: the first of their arrivals; UINT64_MAX: none */
    FabricHost *ready;          /* hosts whose engine has something to do */
    Traffic traffic;
    Payload payload;
    uint64_t done, delivered, events;   /* of this rank */
    FabricState all;            /* of all ranks, at the end of the last window */
    uint64_t windows;
};

/* Ends the program if there is no memory, as everything here does. */
Fabric *fabric_new(const FabricOptions *options, Ranks *ranks);
void fabric_free(Fabric *fabric);
/*
 * One window: whatever happens within the least delay of a link between pods. false:
 * all flows have ended, or the time is up, or nothing will ever happen again.
 */
bool fabric_step(Fabric *fabric);

#endif /* FABRIC_FABRIC_H */
