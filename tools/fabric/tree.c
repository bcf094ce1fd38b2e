/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is joined to whom.
 */
#include "tree.h"

static uint32_t pod_hosts(const Tree *tree)
{
    return tree->half * tree->half;
}

Tree tree_of(uint32_t hosts)
{
    Tree tree = { .half = 1, .hosts = hosts };

    while (2 * tree.half * pod_hosts(&tree) < hosts) {
        tree.half++;
    }
    tree.pods = (hosts + pod_hosts(&tree) - 1) / pod_hosts(&tree);
    tree.first[TREE_EDGE] = hosts;
    tree.first[TREE_AGGREGATION] = tree.first[TREE_EDGE] + tree.pods * tree.half;
    tree.first[TREE_CORE] = tree.first[TREE_AGGREGATION] + tree.pods * tree.half;
    tree.first[TREE_TIERS] = tree.first[TREE_CORE] + pod_hosts(&tree);
    tree.switches = tree.first[TREE_TIERS] - hosts;
    return tree;
}

uint32_t tree_pod_of_host(const Tree *tree, uint32_t host)
{
    return host / pod_hosts(tree);
}

uint32_t tree_edge_of_host(const Tree *tree, uint32_t host)
{
    return tree->first[TREE_EDGE] + host / tree->half;
}

TreePlace tree_place(const Tree *tree, uint32_t node)
{
    TreePlace place = { .down = tree->half, .up = tree->half };

    if (node >= tree->first[TREE_CORE]) {
        return (TreePlace) {
            .tier = TREE_CORE, .index = node - tree->first[TREE_CORE], .down = tree->pods,
        };
    }
    place.tier = node < tree->first[TREE_AGGREGATION] ? TREE_EDGE : TREE_AGGREGATION;
    place.pod = (node - tree->first[place.tier]) / tree->half;
    place.index = (node - tree->first[place.tier]) % tree->half;
    return place;
}

static uint32_t in_pod(const Tree *tree, TreeTier tier, uint32_t pod, uint32_t index)
{
    return tree->first[tier] + pod * tree->half + index;
}

uint32_t tree_behind(const Tree *tree, const TreePlace *place, uint32_t port)
{
    uint32_t up = port - tree->half, host;

    switch (place->tier) {
    case TREE_EDGE:
        if (port >= tree->half) {
            return in_pod(tree, TREE_AGGREGATION, place->pod, up);
        }
        host = (place->pod * tree->half + place->index) * tree->half + port;
        return host < tree->hosts ? host : UINT32_MAX;
    case TREE_AGGREGATION:
        return port < tree->half ? in_pod(tree, TREE_EDGE, place->pod, port) :
               tree->first[TREE_CORE] + place->index * tree->half + up;
    default:
        return in_pod(tree, TREE_AGGREGATION, port, place->index / tree->half);
    }
}

uint32_t tree_part(const Tree *tree, uint32_t node, uint32_t ranks)
{
    uint32_t pod;

    if (node >= tree->first[TREE_CORE]) {
        return (uint64_t)(node - tree->first[TREE_CORE]) * ranks / pod_hosts(tree);
    }
    pod = node < tree->hosts ? tree_pod_of_host(tree, node) : tree_place(tree, node).pod;
    return (uint64_t)pod * ranks / tree->pods;
}
