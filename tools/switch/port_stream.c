/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's `stream` netdev: each frame behind its length, 32 bits in network order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "address.h"
#include "switch.h"

#define HEAD            4u
#define BATCH           64u

/* ---- frames ---- */

/* Takes whole frames from what was received. false: it is no sequence of frames. */
static bool take_frames(Port *port)
{
    uint32_t at = 0, len;

    while (port_has_room(port) && port->received_len - at >= HEAD) {
        memcpy(&len, port->received + at, HEAD);
        len = ntohl(len);
        if (len > NET_FRAME_MAX) {
            port->counts.bad_length++;
            return false;
        }
        if (port->received_len - at - HEAD < len) {
            break;
        }
        port_take(port, port->received + at + HEAD, len);
        at += HEAD + len;
    }
    port->received_len -= at;
    memmove(port->received, port->received + at, port->received_len);
    return true;
}

static void receive(Port *port)
{
    ssize_t got;

    if (!take_frames(port)) {
        port_disconnect(port);
        return;
    }
    if (!port_has_room(port)) {
        return;
    }
    /* what is left is less than a frame, so there is room in the buffer */
    got = recv(port->fd, port->received + port->received_len,
               PORT_RECEIVE - port->received_len, MSG_DONTWAIT);
    if (got > 0) {
        port->received_len += got;
        if (take_frames(port)) {
            return;
        }
    } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    port_disconnect(port);
}

/* What has been written of the pending frames. */
static void wrote(Port *port, size_t len)
{
    len += port->written;
    while (port->num_pending && len >= HEAD + port->pending[port->head]->len) {
        len -= HEAD + port->pending[port->head]->len;
        port_pop(port);
    }
    port->written = len;
}

/* The pending frames behind their lengths, without what was written before. */
static uint32_t gather(const Port *port, uint32_t heads[BATCH], struct iovec iov[2 * BATCH])
{
    uint32_t num = port->num_pending < BATCH ? port->num_pending : BATCH;
    uint32_t skip = port->written;

    for (uint32_t i = 0; i < num; i++) {
        NetFrame *frame = port->pending[(port->head + i) % PORT_PENDING_FRAMES];

        heads[i] = htonl(frame->len);
        iov[2 * i] = (struct iovec) { &heads[i], HEAD };
        iov[2 * i + 1] = (struct iovec) { frame->data, frame->len };
    }
    for (uint32_t i = 0; i < 2 && skip; i++) {
        uint32_t part = skip < iov[i].iov_len ? skip : iov[i].iov_len;

        iov[i].iov_base = (char *)iov[i].iov_base + part;
        iov[i].iov_len -= part;
        skip -= part;
    }
    return 2 * num;
}

static void flush(Port *port)
{
    uint32_t heads[BATCH];
    struct iovec iov[2 * BATCH];

    while (port->num_pending) {
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = gather(port, heads, iov) };
        ssize_t sent = sendmsg(port->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent >= 0) {
            wrote(port, sent);
        } else if (errno == EAGAIN) {
            port->blocked = true;
            return;
        } else if (errno != EINTR) {
            port_disconnect(port);
            return;
        }
    }
}

/* ---- connections ---- */

static void set_options(int fd)
{
    int on = 1;
    unsigned int dead_after = 10000;    /* ms */

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    /* these fail on sockets that are not TCP's, which need none of them */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_after, sizeof(dead_after));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void accept_one(void *arg, uint32_t events)
{
    Port *port = arg;
    int fd = accept4(port->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    if (port->fd >= 0) {
        port->counts.refused++;
        close(fd);
        return;
    }
    set_options(fd);
    port_connected(port, fd);
}

static bool listen_on(Port *port, const Address *address, const char *text, Error *error)
{
    port->listen_fd = address_bind(address, SOCK_STREAM, text, error);
    port->listen_handler = (Handler) { accept_one, port };
    return port->listen_fd >= 0 &&
           (switch_watch(port->owner, port->listen_fd, &port->listen_handler, EPOLLIN) ||
            error_set(error, "%.100s: no memory", text));
}

static bool open_unix(Port *port, const char *path, Error *error)
{
    Address address;

    return address_of_path(path, &address, error) && listen_on(port, &address, path, error);
}

static bool open_tcp(Port *port, const char *text, Error *error)
{
    Address address;

    return address_of_host(text, &address, error) && listen_on(port, &address, text, error);
}

static bool open_fd(Port *port, const char *text, Error *error)
{
    uint64_t fd;

    if (!parse_number(text, 1 << 20, &fd, error)) {
        return false;
    }
    if (fcntl(fd, F_GETFD) < 0) {
        return error_set(error, "fd:%.20s is not open", text);
    }
    set_options(fd);
    port_connected(port, fd);
    return true;
}

/* ---- the one who connects ---- */

static void settle(Port *port, int fd, bool connected)
{
    port->listen_fd = -1;
    if (connected) {
        set_options(fd);
        port_connected(port, fd);
    } else {
        close(fd);
    }
}

static void connect_ended(void *arg, uint32_t events)
{
    Port *port = arg;
    int error = 0, fd = port->listen_fd;
    socklen_t len = sizeof(error);

    switch_rewatch(port->owner, fd, NULL, 0);
    settle(port, fd, !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) && !error);
}

static void try_to_connect(Port *port)
{
    int fd;

    if (port->listen_fd >= 0) {
        return;
    }
    fd = socket(port->peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return;
    }
    if (!connect(fd, (struct sockaddr *)&port->peer, port->peer_len)) {
        settle(port, fd, true);
        return;
    }
    port->listen_handler = (Handler) { connect_ended, port };
    if (errno != EINPROGRESS ||
        !switch_watch(port->owner, fd, &port->listen_handler, EPOLLOUT)) {
        close(fd);
        return;
    }
    port->listen_fd = fd;
}

static bool open_to(Port *port, const Address *address)
{
    port->peer = address->data;
    port->peer_len = address->len;
    try_to_connect(port);
    port->retry_at = port->owner->schedule.now + PORT_RETRY;
    return true;
}

static bool open_unix_to(Port *port, const char *path, Error *error)
{
    Address address;

    return address_of_path(path, &address, error) && open_to(port, &address);
}

static bool open_tcp_to(Port *port, const char *text, Error *error)
{
    Address address;

    return address_of_host(text, &address, error) && open_to(port, &address);
}

#define STREAM(address, open_it, try_again) \
    { .prefix = address, .connects = true, .open = open_it, .receive = receive, \
      .flush = flush, .retry = try_again }

const PortKind port_kinds_stream[] = {
    STREAM("unix:", open_unix, NULL),
    STREAM("unix-to:", open_unix_to, try_to_connect),
    STREAM("tcp:", open_tcp, NULL),
    STREAM("tcp-to:", open_tcp_to, try_to_connect),
    STREAM("fd:", open_fd, NULL),
    { .prefix = NULL },
};
