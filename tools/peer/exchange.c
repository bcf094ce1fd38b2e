// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

#define PORT		18600
#define RETRY_US	20000
#define SETTLE_US	50000

static int failed(const char *what)
{
	int ret = -errno;

	complain("%s the other process: %s", what, strerror(-ret));
	return ret;
}

/* It may not listen yet, and a connection that was refused tells nobody when it will. */
static int call(const struct sockaddr_in *address)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int fd;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return failed("a socket for");
		if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
			return fd;
		close(fd);
		if (errno != ECONNREFUSED || now_ms() > deadline)
			return failed("connecting to");
		usleep(RETRY_US);
	}
}

static int be_called(const struct sockaddr_in *address)
{
	struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, fd;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (bind(listener, (const struct sockaddr *)address, sizeof(*address)) ||
	    listen(listener, 1))
		fd = failed("listening for");
	else
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd == -1)
		fd = failed("waiting for");
	close(listener);
	return fd;
}

int exchange_open(const char *address)
{
	struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd;

	if (address && inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		complain("%s is no IPv4 address", address);
		return -EINVAL;
	}
	fd = address ? call(&in) : be_called(&in);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

int exchange(int fd, const void *ours, void *theirs, size_t length)
{
	if (send(fd, ours, length, MSG_NOSIGNAL) != (ssize_t)length)
		return failed("telling");
	if (recv(fd, theirs, length, MSG_WAITALL) == (ssize_t)length)
		return 0;
	complain("the other process has told nothing");
	return -ECONNRESET;
}

/*
 * Each has seen the other's FIN before it closes, and close() waits until its own is
 * acknowledged. What remains is the NIC's interrupt for our last packet, of which nothing
 * tells a process.
 */
int exchange_close(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = WAIT_MS / 1000 };
	char octet;
	int ret = 0;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (shutdown(fd, SHUT_WR) || recv(fd, &octet, 1, 0))
		ret = failed("parting from");
	close(fd);
	usleep(SETTLE_US);
	return ret;
}
