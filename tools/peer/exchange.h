/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What two processes in two guests tell each other before their sides are connected, over
 * TCP. Functions return a negative errno after they have said on stderr what went wrong.
 */
#ifndef SVAN_PEER_EXCHANGE_H
#define SVAN_PEER_EXCHANGE_H

#include <stddef.h>

/*
 * A connection to the process that listens at @address, or, if that is NULL, from the
 * next one that comes; either waits for the other.
 */
int exchange_open(const char *address);
/* Tell, and be told: both processes the same number of octets. */
int exchange(int fd, const void *ours, void *theirs, size_t length);
/*
 * Both processes call it. Afterwards no packet of the connection is under way that would
 * interrupt a CPU.
 */
int exchange_close(int fd);

#endif /* SVAN_PEER_EXCHANGE_H */
