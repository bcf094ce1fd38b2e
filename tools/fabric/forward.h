/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A switch of the fat tree: store and forward. What goes up takes one of the equal paths,
 * by a hash of its flow (addresses and source port of UDP) that differs from switch to
 * switch; its outgoing links share a buffer.
 */
#ifndef FABRIC_FORWARD_H
#define FABRIC_FORWARD_H

#include "model/link.h"
#include "tree.h"

typedef struct Fabric Fabric;

typedef struct FabricSwitch {
    NetNode node;
    Fabric *fabric;
    TreePlace place;
    NetBuffer buffer;
    NetLink *ports;             /* place.down + place.up */
    uint64_t key;               /* of the hash */
    uint64_t strays;            /* frames for nobody here; discarded */
} FabricSwitch;

FabricSwitch *forward_new(Fabric *fabric, uint32_t node);
void forward_free(FabricSwitch *sw);
/* A NetEventFn of a FabricSwitch. */
void forward_receive(void *sw, NetFrame *frame);
/* A link as the options ask for it, from the port of a node to another one. */
void forward_link(Fabric *fabric, NetLink *link, NetNode *from, uint32_t port);

#endif /* FABRIC_FORWARD_H */
