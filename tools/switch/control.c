/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: a client sends a statement in a line, gets what it shows and a last
 * line, `ok` or `error: ...`, and the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "switch.h"

static void hang_up(Client *client)
{
    close(client->fd);
    client->fd = -1;
    free(client->answer);
    client->answer = NULL;
}

/* The answer, as far as the client takes it. */
static void say(Client *client)
{
    ssize_t sent = send(client->fd, client->answer + client->answered,
                        client->answer_len - client->answered, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent > 0) {
        client->answered += sent;
    }
    if (client->answered == client->answer_len || (sent < 0 && errno != EAGAIN)) {
        hang_up(client);
        return;
    }
    switch_rewatch(client->owner, client->fd, &client->handler, EPOLLOUT);
}

static void answer(Client *client)
{
    FILE *out = open_memstream(&client->answer, &client->answer_len);
    Error error;

    if (!out) {
        hang_up(client);
        return;
    }
    if (switch_execute(client->owner, client->line, out, &error)) {
        fprintf(out, "ok\n");
    } else {
        fprintf(out, "error: %s\n", error.text);
    }
    fclose(out);
    client->answered = 0;
    say(client);
}

static void client_ready(void *arg, uint32_t events)
{
    Client *client = arg;
    ssize_t got;

    if (client->fd < 0) {
        return;
    }
    if (client->answer) {
        say(client);
        return;
    }
    got = recv(client->fd, client->line + client->len, sizeof(client->line) - 1 - client->len,
               MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            hang_up(client);
        }
        return;
    }
    client->len += got;
    client->line[client->len] = '\0';
    if (strchr(client->line, '\n')) {
        answer(client);
    } else if (client->len == sizeof(client->line) - 1) {
        hang_up(client);
    }
}

/* With all places taken the one that came first goes: it may never say anything. */
static void accept_client(void *arg, uint32_t events)
{
    Switch *sw = arg;
    int fd = accept4(sw->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    Client *client = &sw->clients[0];

    if (fd < 0) {
        return;
    }
    for (uint32_t i = 0; i < SWITCH_CLIENTS; i++) {
        if (sw->clients[i].fd < 0) {
            client = &sw->clients[i];
            break;
        }
    }
    if (client->fd >= 0) {
        hang_up(client);
    }
    *client = (Client) { .handler = { client_ready, client }, .owner = sw, .fd = fd };
    if (!switch_watch(sw, fd, &client->handler, EPOLLIN)) {
        hang_up(client);
    }
}

bool control_listen(Switch *sw, const char *path, Error *error)
{
    mode_t mask = umask(0077);          /* who may connect may change everything */
    Address address;

    sw->control = (Handler) { accept_client, sw };
    sw->control_fd = address_of_path(path, &address, error) ?
                     address_bind(&address, SOCK_STREAM, path, error) : -1;
    umask(mask);
    return sw->control_fd >= 0 &&
           (switch_watch(sw, sw->control_fd, &sw->control, EPOLLIN) ||
            error_set(error, "no memory"));
}

void control_close(Switch *sw)
{
    for (uint32_t i = 0; i < SWITCH_CLIENTS; i++) {
        if (sw->clients[i].fd >= 0) {
            hang_up(&sw->clients[i]);
        }
    }
    if (sw->control_fd >= 0) {
        close(sw->control_fd);
    }
}

/* ---- the client ---- */

/* Prints what comes; the exit status by its last line. */
static int print_answer(FILE *in)
{
    static const char bad[] = "error: ";
    char *line = NULL;
    size_t size = 0;
    int status = 1;
    bool ended = false;

    while (getline(&line, &size, in) > 0) {
        if (!strcmp(line, "ok\n")) {
            status = 0;
            ended = true;
        } else if (!strncmp(line, bad, strlen(bad))) {
            fprintf(stderr, "svan-switch: %s", line + strlen(bad));
            ended = true;
        } else {
            fputs(line, stdout);
        }
    }
    free(line);
    if (!ended) {
        fprintf(stderr, "svan-switch: the switch has not answered\n");
    }
    return status;
}

int control_call(const char *path, const char *line)
{
    Address address;
    Error error;
    FILE *file;
    int fd = -1, status;

    if (!address_of_path(path, &address, &error)) {
        fprintf(stderr, "svan-switch: %s\n", error.text);
        return 2;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address.data, address.len)) {
        fprintf(stderr, "svan-switch: no switch listens on %s: %s\n", path, strerror(errno));
        return 2;
    }
    file = fdopen(fd, "r+");
    if (!file) {
        return 2;
    }
    fprintf(file, "%s\n", line);
    fflush(file);
    status = print_answer(file);
    fclose(file);
    return status;
}
