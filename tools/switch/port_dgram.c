/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's `dgram` netdev: each frame is a datagram.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "switch.h"

#define BATCH           64u     /* datagrams taken at a time, for the others' sake */

static void receive(Port *port)
{
    for (uint32_t i = 0; i < BATCH && port_has_room(port); i++) {
        ssize_t len = recv(port->fd, port->received, PORT_RECEIVE, MSG_DONTWAIT);

        if (len > (ssize_t)NET_FRAME_MAX) {
            port->counts.bad_length++;
        } else if (len >= 0) {
            port_take(port, port->received, len);
        } else if (errno == EAGAIN) {
            return;
        }
        /* anything else tells that an earlier datagram found nobody */
    }
}

static void flush(Port *port)
{
    while (port->num_pending) {
        NetFrame *frame = port->pending[port->head];
        ssize_t sent = sendto(port->fd, frame->data, frame->len, MSG_DONTWAIT | MSG_NOSIGNAL,
                              port->peer_len ? (struct sockaddr *)&port->peer : NULL,
                              port->peer_len);

        if (sent < 0 && errno == EAGAIN) {
            port->blocked = true;
            return;
        }
        if (sent < 0) {
            port->counts.unsent++;
        }
        port_pop(port);
    }
}

/* LOCAL,REMOTE */
static bool open_pair(Port *port, const char *text,
                      bool (*parse)(const char *text, Address *address, Error *error),
                      Error *error)
{
    const char *comma = strchr(text, ',');
    Address local, remote;
    char first[256];
    int fd, size = 1 << 20;

    if (!comma || (size_t)(comma - text) >= sizeof(first)) {
        return error_set(error, "%.100s is not LOCAL,REMOTE: where the switch receives, and "
                         "where it sends to", text);
    }
    memcpy(first, text, comma - text);
    first[comma - text] = '\0';
    if (!parse(first, &local, error) || !parse(comma + 1, &remote, error)) {
        return false;
    }
    fd = address_bind(&local, SOCK_DGRAM, first, error);
    if (fd < 0) {
        return false;
    }
    /* the kernel gives as much as it allows */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (local.data.ss_family == AF_UNIX) {
        port->peer = remote.data;
        port->peer_len = remote.len;
    } else if (connect(fd, (struct sockaddr *)&remote.data, remote.len)) {
        close(fd);
        return error_set(error, "cannot reach %.100s: %s", comma + 1, strerror(errno));
    }
    port_connected(port, fd);
    return true;
}

static bool open_dgram(Port *port, const char *text, Error *error)
{
    return open_pair(port, text, address_of_path, error);
}

/* From others than REMOTE nothing is received. */
static bool open_udp(Port *port, const char *text, Error *error)
{
    return open_pair(port, text, address_of_host, error);
}

const PortKind port_kinds_dgram[] = {
    { .prefix = "dgram:", .open = open_dgram, .receive = receive, .flush = flush },
    { .prefix = "udp:", .open = open_udp, .receive = receive, .flush = flush },
    { .prefix = NULL },
};
