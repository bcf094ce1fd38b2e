/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses of sockets, as people write them.
 */
#ifndef SWITCH_ADDRESS_H
#define SWITCH_ADDRESS_H

#include <sys/socket.h>

#include "settings.h"

typedef struct Address {
    struct sockaddr_storage data;
    socklen_t len;
} Address;

/* HOST:PORT, [HOST]:PORT for IPv6; HOST is a number, or a name that resolves at once. */
bool address_of_host(const char *text, Address *address, Error *error);
bool address_of_path(const char *path, Address *address, Error *error);
/*
 * A socket of the address, bound to it; a path that nobody listens on is replaced. -1: see
 * error.
 */
int address_bind(const Address *address, int type, const char *text, Error *error);

#endif /* SWITCH_ADDRESS_H */
