/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fat tree of switches with k ports: pods of k/2 edge and k/2 aggregation switches, k/2
 * hosts at each edge switch, (k/2)^2 core switches; pods without hosts are left out.
 *
 * Nodes are numbered: hosts first, then the switches from the edge to the core. A switch's
 * ports that lead down, to hosts or pods, come first.
 */
#ifndef FABRIC_TREE_H
#define FABRIC_TREE_H

#include <stdint.h>

#define TREE_TIERS      3

typedef enum TreeTier {
    TREE_EDGE, TREE_AGGREGATION, TREE_CORE,
} TreeTier;

typedef struct Tree {
    uint32_t half;              /* k/2 */
    uint32_t hosts, pods;
    uint32_t switches;
    uint32_t first[TREE_TIERS + 1];     /* node; the last one: their number */
} Tree;

/* A switch's place. */
typedef struct TreePlace {
    TreeTier tier;
    uint32_t pod;               /* none at the core */
    uint32_t index;             /* in its pod, or of the core */
    uint32_t down, up;          /* ports */
} TreePlace;

/* The smallest that has room for so many hosts. */
Tree tree_of(uint32_t hosts);
uint32_t tree_pod_of_host(const Tree *tree, uint32_t host);
uint32_t tree_edge_of_host(const Tree *tree, uint32_t host);
TreePlace tree_place(const Tree *tree, uint32_t node);
/* The node behind a port; UINT32_MAX: no host is there. */
uint32_t tree_behind(const Tree *tree, const TreePlace *place, uint32_t port);
/* Which of `ranks` parts a node belongs to. */
uint32_t tree_part(const Tree *tree, uint32_t node, uint32_t ranks);

#endif /* FABRIC_TREE_H */
