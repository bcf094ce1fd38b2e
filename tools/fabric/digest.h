/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * By which two runs are compared. What happens at a node is folded in the order in which
 * it happens there; nodes are added up, so that nobody needs to know an order of them.
 */
#ifndef FABRIC_DIGEST_H
#define FABRIC_DIGEST_H

#include <stdint.h>

static inline uint64_t digest_fold(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * 0x9e3779b97f4a7c15ull;
    return digest ^ digest >> 32;
}

#endif /* FABRIC_DIGEST_H */
