/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How two processes join a pair of rings.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "link.h"

#define FEATURES        SVAN_WIRE_FEAT_NO_ICRC
/* Without these the peer could make a page disappear under us, which is a SIGBUS. */
#define SEALS           (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define MESSAGE_MAX     64
#define WAKES_AT_ONCE   16      /* taken by one call; the rest makes fd readable again */

/* ---- sockets ---- */

static bool address(struct sockaddr_un *sun, const char *path)
{
    memset(sun, 0, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(sun->sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(sun->sun_path, path);
    return true;
}

static int close_saving_errno(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
    return -1;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int svan_wire_connect(const char *path)
{
    struct sockaddr_un sun;
    int fd;

    if (!address(&sun, path)) {
        return -1;
    }
    fd = new_socket();
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
        struct stat st;

        close_saving_errno(fd);
        if (errno == ECONNREFUSED && !stat(path, &st) && !S_ISSOCK(st.st_mode)) {
            errno = ENOTSOCK;
        }
        return -1;
    }
    return fd;
}

/* Is there a socket at path that nobody listens at? */
static bool is_stale(const char *path)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    fd = svan_wire_connect(path);
    if (fd >= 0) {
        close(fd);
        return false;
    }
    return errno == ECONNREFUSED;
}

int svan_wire_listen(const char *path, const char **error)
{
    struct sockaddr_un sun;
    int fd;

    *error = "cannot listen there";
    if (!address(&sun, path)) {
        return -1;
    }
    fd = new_socket();
    if (fd < 0) {
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&sun, sizeof(sun))) {
        if (errno != EADDRINUSE) {
            return close_saving_errno(fd);
        }
        if (!is_stale(path)) {
            *error = "it exists, and is in use or no socket";
            errno = EADDRINUSE;
            return close_saving_errno(fd);
        }
        unlink(path);
        if (bind(fd, (struct sockaddr *)&sun, sizeof(sun))) {
            return close_saving_errno(fd);
        }
    }
    return listen(fd, 1) ? close_saving_errno(fd) : fd;
}

int svan_wire_accept(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* ---- messages ---- */

static bool tell(SvanWireLink *link, const void *message, size_t len, int passed)
{
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(sizeof(int))];
    } control = { .octets = { 0 } };
    struct iovec iov = { .iov_base = (void *)message, .iov_len = len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (passed >= 0) {
        struct cmsghdr *cmsg;

        msg.msg_control = control.octets;
        msg.msg_controllen = sizeof(control.octets);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &passed, sizeof(int));
    }
    return sendmsg(link->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/* The descriptor that came with a message; -1: none. All others are closed. */
static int take_descriptor(struct msghdr *msg)
{
    int taken = -1;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        size_t len = cmsg->cmsg_len - CMSG_LEN(0);

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i + sizeof(int) <= len; i += sizeof(int)) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i, sizeof(fd));
            if (taken < 0) {
                taken = fd;
            } else {
                close(fd);
            }
        }
    }
    return taken;
}

/*
 * Store to buffer, of len octets, the next message. *passed: the descriptor with it, which
 * is the caller's, or -1. The length of the message; 0 when the peer has gone, or has sent an
 * empty one; -1 if there is none.
 */
static ssize_t receive(SvanWireLink *link, void *buffer, size_t len, int *passed)
{
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = buffer, .iov_len = len };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control.octets, .msg_controllen = sizeof(control.octets),
    };
    ssize_t n;

    do {
        n = recvmsg(link->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    *passed = n >= 0 ? take_descriptor(&msg) : -1;      /* an empty message may have one */
    if (n < 0) {
        return errno == EAGAIN ? -1 : 0;
    }
    return n;
}

/* ---- the memory ---- */

static SvanWireState fail(SvanWireLink *link, const char *error)
{
    link->error = error;
    link->state = SVAN_WIRE_FAILED;
    return link->state;
}

/* Map fd, whoever made it. */
static bool map(SvanWireLink *link, int fd)
{
    struct statfs fs;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    link->size = svan_wire_size(link->log_cells);
    if (seals < 0 || (seals & SEALS) != SEALS) {
        link->error = "the peer's memory is not sealed against a change of its size";
    } else if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC) {
        /* A huge page of a hole that the peer punches may be missing: SIGBUS. */
        link->error = "the peer's memory is of another kind than memfd_create()'s";
    } else if (fstat(fd, &st) || st.st_size != (off_t)link->size) {
        link->error = "the peer's memory has another size than it says";
    } else {
        void *memory = mmap(NULL, link->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (memory != MAP_FAILED) {
            link->memory = memory;
            svan_rings_init(&link->tx, &link->rx, memory, link->log_cells, link->listener);
            return true;
        }
        link->error = "the memory cannot be mapped";
    }
    return false;
}

static int make_memory(const SvanWireLink *link)
{
    int fd = memfd_create("svan-wire", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (ftruncate(fd, svan_wire_size(link->log_cells)) ||
                    fcntl(fd, F_ADD_SEALS, SEALS))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- the handshake ---- */

static SvanWireState hear_hello(SvanWireLink *link, const struct svan_wire_hello *hello)
{
    struct svan_wire_setup setup = {
        .magic = svan_cpu_to_le32(SVAN_WIRE_MAGIC),
        .version = svan_cpu_to_le16(SVAN_WIRE_VERSION),
        .log_cells = svan_cpu_to_le16(link->log_cells),
        .features = svan_cpu_to_le64(FEATURES),
        .size = svan_cpu_to_le64(svan_wire_size(link->log_cells)),
    };
    bool told;
    int fd;

    if (svan_le16_to_cpu(hello->version_min) > SVAN_WIRE_VERSION ||
        svan_le16_to_cpu(hello->version_max) < SVAN_WIRE_VERSION) {
        return fail(link, "the peer speaks other versions of the wire");
    }
    if (FEATURES & ~svan_le64_to_cpu(hello->features)) {
        return fail(link, "the peer lacks a feature");
    }
    fd = make_memory(link);
    if (fd < 0) {
        return fail(link, "there is no memory for the rings");
    }
    told = map(link, fd) && tell(link, &setup, sizeof(setup), fd);
    close(fd);
    if (!told) {
        return fail(link, link->error ? link->error : "the peer has gone");
    }
    link->state = SVAN_WIRE_READY;
    return link->state;
}

static SvanWireState hear_setup(SvanWireLink *link, const struct svan_wire_setup *setup,
                                int fd)
{
    struct svan_wire_ready ready = { .magic = svan_cpu_to_le32(SVAN_WIRE_MAGIC) };

    link->log_cells = svan_le16_to_cpu(setup->log_cells);
    if (svan_le16_to_cpu(setup->version) != SVAN_WIRE_VERSION) {
        return fail(link, "the peer speaks another version of the wire");
    }
    if (svan_le64_to_cpu(setup->features) & ~(uint64_t)FEATURES) {
        return fail(link, "the peer uses a feature that is not known here");
    }
    if (link->log_cells < SVAN_RING_MIN_LOG || link->log_cells > SVAN_RING_MAX_LOG ||
        svan_le64_to_cpu(setup->size) != svan_wire_size(link->log_cells)) {
        return fail(link, "the peer's rings have a size that is not possible");
    }
    if (fd < 0) {
        return fail(link, "the peer has passed no memory");
    }
    if (!map(link, fd)) {
        return fail(link, link->error);
    }
    if (!tell(link, &ready, sizeof(ready), -1)) {
        return fail(link, "the peer has gone");
    }
    link->state = SVAN_WIRE_UP;
    return link->state;
}

/* How long the message is that each state awaits. */
static const size_t awaited[] = {
    [SVAN_WIRE_HELLO] = sizeof(struct svan_wire_hello),
    [SVAN_WIRE_SETUP] = sizeof(struct svan_wire_setup),
    [SVAN_WIRE_READY] = sizeof(struct svan_wire_ready),
};

SvanWireState svan_wire_handshake(SvanWireLink *link)
{
    union {
        __le32 magic;
        struct svan_wire_hello hello;
        struct svan_wire_setup setup;
        char octets[MESSAGE_MAX];
    } message;
    int fd;
    ssize_t n = receive(link, &message, sizeof(message), &fd);

    if (n < 0) {
        return link->state;
    }
    if (!n) {
        fail(link, "the peer has gone, or has another one already");
    } else if ((size_t)n != awaited[link->state] ||
               svan_le32_to_cpu(message.magic) != SVAN_WIRE_MAGIC) {
        fail(link, "the peer does not speak the protocol of a wire");
    } else if (link->state == SVAN_WIRE_HELLO) {
        hear_hello(link, &message.hello);
    } else if (link->state == SVAN_WIRE_SETUP) {
        hear_setup(link, &message.setup, fd);
    } else {
        link->state = SVAN_WIRE_UP;
    }
    if (fd >= 0) {
        close(fd);
    }
    return link->state;
}

void svan_wire_open(SvanWireLink *link, int fd, bool listener, unsigned log_cells)
{
    struct svan_wire_hello hello = {
        .magic = svan_cpu_to_le32(SVAN_WIRE_MAGIC),
        .version_min = svan_cpu_to_le16(SVAN_WIRE_VERSION),
        .version_max = svan_cpu_to_le16(SVAN_WIRE_VERSION),
        .features = svan_cpu_to_le64(FEATURES),
    };

    *link = (SvanWireLink) {
        .state = listener ? SVAN_WIRE_HELLO : SVAN_WIRE_SETUP,
        .fd = fd, .listener = listener, .log_cells = log_cells,
    };
    /* If that fails the peer has gone, which the handshake finds out. */
    if (!listener) {
        tell(link, &hello, sizeof(hello), -1);
    }
}

void svan_wire_close(SvanWireLink *link)
{
    if (link->memory) {
        munmap(link->memory, link->size);
    }
    if (link->fd >= 0) {
        close(link->fd);
    }
    *link = (SvanWireLink) { .fd = -1 };
}

/* ---- wakes ---- */

/*
 * Were the socket full, the peer would have wakes enough. An eventfd would cost less, but
 * its descriptor is shared, so the peer could make it a blocking one.
 */
void svan_wire_wake(SvanWireLink *link)
{
    static const char wake = SVAN_WIRE_WAKE;

    send(link->fd, &wake, sizeof(wake), MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool svan_wire_hear(SvanWireLink *link)
{
    for (unsigned i = 0; i < WAKES_AT_ONCE; i++) {
        char message[MESSAGE_MAX];
        int fd;
        ssize_t n = receive(link, message, sizeof(message), &fd);

        if (fd >= 0) {
            close(fd);
        }
        if (n < 0) {
            return true;
        }
        if (n != 1 || message[0] != SVAN_WIRE_WAKE) {
            return false;
        }
    }
    return true;
}
