/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses of sockets.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"

bool address_of_host(const char *text, Address *address, Error *error)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    const char *colon = strrchr(text, ':');
    char host[256], *from = host;
    size_t len = colon ? (size_t)(colon - text) : 0;
    int why;

    if (!len || len >= sizeof(host) || !colon[1]) {
        return error_set(error, "%.80s is not HOST:PORT, for example 192.0.2.1:7001 or "
                         "[2001:db8::1]:7001", text);
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        from++;
    }
    why = getaddrinfo(from, colon + 1, &hints, &found);
    if (why) {
        return error_set(error, "%.80s: %s", text, gai_strerror(why));
    }
    memcpy(&address->data, found->ai_addr, found->ai_addrlen);
    address->len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

bool address_of_path(const char *path, Address *address, Error *error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->data;

    if (!*path || strlen(path) >= sizeof(un->sun_path)) {
        return error_set(error, "%.120s: a path of a socket has 1 to %zu characters", path,
                         sizeof(un->sun_path) - 1);
    }
    *un = (struct sockaddr_un) { .sun_family = AF_UNIX };
    strcpy(un->sun_path, path);
    address->len = sizeof(*un);
    return true;
}

/* A socket that a process has left behind; not one that somebody listens on. */
static void remove_left(const Address *address, int type)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->data;
    struct stat status;
    int fd;

    if (un->sun_family != AF_UNIX || lstat(un->sun_path, &status) || !S_ISSOCK(status.st_mode)) {
        return;
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)un, address->len) &&
        errno == ECONNREFUSED) {
        unlink(un->sun_path);
    }
    close(fd);
}

int address_bind(const Address *address, int type, const char *text, Error *error)
{
    const struct sockaddr *to = (const struct sockaddr *)&address->data;
    int on = 1, fd = socket(to->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    remove_left(address, type);
    if (fd >= 0 && to->sa_family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (fd < 0 || bind(fd, to, address->len) || (type == SOCK_STREAM && listen(fd, 8))) {
        error_set(error, "cannot take the address %.100s: %s", text, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
