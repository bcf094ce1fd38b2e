/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two processes join a wire in shared memory; and one of them is hostile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "unit.h"
#include "wire/link.h"

#define LIMIT_MS        10000

/* A folder for the socket, and how many descriptors are open beside. */
typedef struct Place {
    char folder[32], path[48];
    unsigned descriptors;
} Place;

static int setup(void **state)
{
    Place *place = calloc(1, sizeof(*place));

    strcpy(place->folder, "/tmp/svan-wire-XXXXXX");
    if (!mkdtemp(place->folder)) {
        return -1;
    }
    snprintf(place->path, sizeof(place->path), "%s/wire", place->folder);
    place->descriptors = count_descriptors();
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    Place *place = *state;
    unsigned left = count_descriptors();

    unlink(place->path);
    rmdir(place->folder);
    if (left != place->descriptors) {
        print_error("%u descriptors before, %u after\n", place->descriptors, left);
    }
    left -= place->descriptors;
    free(place);
    return left ? -1 : 0;
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void await_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
}

static int listen_at(Place *place)
{
    const char *error;
    int fd = svan_wire_listen(place->path, &error);

    assert_true(fd >= 0);
    return fd;
}

/* Open the link of a listener that somebody connects to. */
static void accept_link(SvanWireLink *link, int listener, unsigned log_cells)
{
    int fd;

    await_readable(listener);
    fd = svan_wire_accept(listener);
    assert_true(fd >= 0);
    svan_wire_open(link, fd, true, log_cells);
}

static SvanWireState handshake(SvanWireLink *link)
{
    while (link->state != SVAN_WIRE_UP && link->state != SVAN_WIRE_FAILED) {
        await_readable(link->fd);
        svan_wire_handshake(link);
    }
    return link->state;
}

/* ---- honest peers ---- */

/* Both ends in this process. */
static void join(Place *place, SvanWireLink *server, SvanWireLink *client)
{
    int listener = listen_at(place);

    svan_wire_open(client, svan_wire_connect(place->path), false, 0);
    accept_link(server, listener, SVAN_RING_MIN_LOG);
    svan_wire_handshake(server);
    assert_int_equal(handshake(client), SVAN_WIRE_UP);
    assert_int_equal(handshake(server), SVAN_WIRE_UP);
    close(listener);
}

static void pass_frame(SvanWireLink *from, SvanWireLink *to)
{
    SvanRingFrame frame;
    uint8_t *room;

    assert_true(svan_ring_sleep(&to->rx));
    room = svan_ring_room(&from->tx, 100);
    assert_non_null(room);
    memset(room, 0x55, 100);
    svan_ring_put(&from->tx, 100, SVAN_RING_NO_ICRC);
    assert_true(svan_ring_publish(&from->tx));
    svan_wire_wake(from);
    await_readable(to->fd);
    assert_true(svan_wire_hear(to));
    svan_ring_stay_awake(&to->rx);
    assert_true(svan_ring_next(&to->rx, &frame));
    assert_int_equal(frame.length, 100);
    assert_int_equal(frame.flags, SVAN_RING_NO_ICRC);
    assert_int_equal(frame.data[99], 0x55);
    svan_ring_take(&to->rx);
}

static void test_join(void **state)
{
    SvanWireLink server, client;

    join(*state, &server, &client);
    assert_int_equal(client.log_cells, SVAN_RING_MIN_LOG);
    pass_frame(&server, &client);
    pass_frame(&client, &server);
    svan_wire_close(&client);
    await_readable(server.fd);
    assert_false(svan_wire_hear(&server));
    svan_wire_wake(&server);                    /* nobody is there: no signal */
    svan_wire_close(&server);
}

/* A socket that was left behind is replaced, but neither another file nor one in use. */
static void test_listen(void **state)
{
    Place *place = *state;
    const char *error = NULL;
    int first = listen_at(place), fd;

    assert_int_equal(svan_wire_listen(place->path, &error), -1);
    assert_int_equal(errno, EADDRINUSE);
    close(first);
    errno = 0;
    assert_int_equal(svan_wire_connect(place->path), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(listen_at(place));
    unlink(place->path);
    assert_int_equal(svan_wire_connect(place->path), -1);
    assert_int_equal(errno, ENOENT);
    fd = open(place->path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(svan_wire_listen(place->path, &error), -1);
    assert_int_equal(access(place->path, F_OK), 0);
    assert_int_equal(svan_wire_connect(place->path), -1);
    assert_int_equal(errno, ENOTSOCK);
    assert_int_equal(svan_wire_listen("/tmp/0123456789012345678901234567890123456789/"
                                      "0123456789012345678901234567890123456789012345"
                                      "67890123456789012345678901234567890", &error), -1);
    assert_int_equal(errno, ENAMETOOLONG);
}

/* ---- a hostile process that listens ---- */

typedef struct Hostile {
    const char *error;          /* what the connector says of it */
    int (*memory)(void);        /* what it passes; NULL: nothing */
    struct {
        uint32_t magic;
        uint16_t version, log_cells;
        uint64_t features, size;
    } setup;
    size_t len;                 /* octets of its message; 0: the structure */
    unsigned copies;            /* of the descriptor; 0: 1 */
} Hostile;

#define LOG     SVAN_RING_MIN_LOG
#define SETUP(version, log_cells, features, size) \
    { SVAN_WIRE_MAGIC, version, log_cells, features, size }
#define HONEST  SETUP(SVAN_WIRE_VERSION, LOG, SVAN_WIRE_FEAT_NO_ICRC, \
                      SVAN_WIRE_CELLS + 2 * (SVAN_RING_CELL << LOG))

static int memory_of(size_t size, int seals)
{
    int fd = memfd_create("hostile", MFD_ALLOW_SEALING);

    if (ftruncate(fd, size) || (seals && fcntl(fd, F_ADD_SEALS, seals))) {
        _exit(1);
    }
    return fd;
}

static int unsealed(void)
{
    return memory_of(svan_wire_size(LOG), 0);
}

static int shrinkable(void)
{
    return memory_of(svan_wire_size(LOG), F_SEAL_GROW | F_SEAL_SEAL);
}

static int resealable(void)
{
    return memory_of(svan_wire_size(LOG), F_SEAL_GROW | F_SEAL_SHRINK);
}

static int truncated(void)
{
    return memory_of(4096, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

static int read_only(void)
{
    return memory_of(svan_wire_size(LOG),
                     F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
}

static int sound(void)
{
    return memory_of(svan_wire_size(LOG), F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

static int no_memory(void)
{
    return open("/dev/null", O_RDWR);
}

static const char unsealed_text[] = "the peer's memory is not sealed against a change of its size";
static const char size_text[] = "the peer's rings have a size that is not possible";
static const char protocol_text[] = "the peer does not speak the protocol of a wire";

static const Hostile hostile[] = {
    { unsealed_text, unsealed, HONEST, 0, 0 },
    { unsealed_text, shrinkable, HONEST, 0, 0 },
    { unsealed_text, resealable, HONEST, 0, 0 },
    { unsealed_text, no_memory, HONEST, 0, 0 },
    { "the peer's memory has another size than it says", truncated, HONEST, 0, 0 },
    { "the memory cannot be mapped", read_only, HONEST, 0, 0 },
    { "the peer has passed no memory", NULL, HONEST, 0, 0 },
    { size_text, sound, SETUP(SVAN_WIRE_VERSION, LOG, 0, 4096), 0, 0 },
    { size_text, sound, SETUP(SVAN_WIRE_VERSION, 31, 0, SVAN_WIRE_CELLS), 0, 0 },
    { size_text, sound, SETUP(SVAN_WIRE_VERSION, 0, 0, SVAN_WIRE_CELLS + 128), 0, 0 },
    { "the peer speaks another version of the wire", sound,
      SETUP(SVAN_WIRE_VERSION + 1, LOG, 0, 0), 0, 0 },
    { "the peer uses a feature that is not known here", sound,
      SETUP(SVAN_WIRE_VERSION, LOG, 1ull << 40, 0), 0, 0 },
    { protocol_text, sound, { 0, SVAN_WIRE_VERSION, LOG, 0, 0 }, 0, 0 },
    { protocol_text, sound, HONEST, 1, 0 },
    { protocol_text, sound, HONEST, 64, 0 },
    { NULL, sound, HONEST, 0, 1 },
    { NULL, sound, HONEST, 0, 4 },
    { NULL, sound, HONEST, 0, 200 },
};

static void send_setup(int fd, const Hostile *h)
{
    char octets[64] = { 0 }, control[CMSG_SPACE(200 * sizeof(int))] = { 0 };
    struct svan_wire_setup setup = {
        .magic = svan_cpu_to_le32(h->setup.magic),
        .version = svan_cpu_to_le16(h->setup.version),
        .log_cells = svan_cpu_to_le16(h->setup.log_cells),
        .features = svan_cpu_to_le64(h->setup.features),
        .size = svan_cpu_to_le64(h->setup.size),
    };
    struct iovec iov = { octets, h->len ? h->len : sizeof(setup) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    unsigned copies = h->copies ? h->copies : 1;

    memcpy(octets, &setup, sizeof(setup));
    if (h->memory) {
        int memory = h->memory();
        struct cmsghdr *cmsg;

        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(copies * sizeof(int));
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(copies * sizeof(int));
        for (unsigned i = 0; i < copies; i++) {
            memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &memory, sizeof(int));
        }
    }
    sendmsg(fd, &msg, 0);
}

/* The process: greeted, it answers as h says, and waits for the end. */
static pid_t start_hostile(int listener, const Hostile *h)
{
    pid_t pid = fork();

    if (!pid) {
        char octets[64];
        int fd;

        alarm(LIMIT_MS / 1000);
        fcntl(listener, F_SETFL, 0);
        fd = accept(listener, NULL, NULL);
        if (recv(fd, octets, sizeof(octets), 0) > 0) {
            send_setup(fd, h);
        }
        while (recv(fd, octets, sizeof(octets), 0) > 0) {
        }
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static void test_hostile_listener(void **state)
{
    Place *place = *state;

    for (unsigned i = 0; i < SIZE(hostile); i++) {
        int listener = listen_at(place), status;
        pid_t pid = start_hostile(listener, &hostile[i]);
        SvanWireLink link;

        svan_wire_open(&link, svan_wire_connect(place->path), false, 0);
        handshake(&link);
        if (hostile[i].error) {
            assert_int_equal(link.state, SVAN_WIRE_FAILED);
            assert_string_equal(link.error, hostile[i].error);
        } else {
            assert_int_equal(link.state, SVAN_WIRE_UP);
        }
        svan_wire_close(&link);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        close(listener);
        unlink(place->path);
    }
}

/* ---- a hostile process that connects ---- */

typedef void HostileClient(int fd);

static void says_nothing_valid(int fd)
{
    char octets[64] = "GET / HTTP/1.0\r\n\r\n";

    send(fd, octets, sizeof(octets), 0);
}

static void leaves(int fd)
{
}

/* An empty message, which carries descriptors all the same. */
static void passes_descriptors_with_nothing(int fd)
{
    char control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
    struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(4 * sizeof(int));
    for (unsigned i = 0; i < 4; i++) {
        memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(int));
    }
    sendmsg(fd, &msg, 0);
}

static void has_other_version(int fd)
{
    struct svan_wire_hello hello = {
        .magic = svan_cpu_to_le32(SVAN_WIRE_MAGIC),
        .version_min = svan_cpu_to_le16(7), .version_max = svan_cpu_to_le16(9),
    };

    send(fd, &hello, sizeof(hello), 0);
}

static void test_hostile_connector(void **state)
{
    static HostileClient *const clients[] = {
        says_nothing_valid, leaves, passes_descriptors_with_nothing, has_other_version,
    };
    Place *place = *state;
    int listener = listen_at(place);

    for (unsigned i = 0; i < SIZE(clients); i++) {
        pid_t pid = fork();
        SvanWireLink link;
        int status;

        if (!pid) {
            clients[i](svan_wire_connect(place->path));
            _exit(0);
        }
        accept_link(&link, listener, LOG);
        assert_int_equal(handshake(&link), SVAN_WIRE_FAILED);
        assert_non_null(link.error);
        svan_wire_close(&link);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    close(listener);
}

/*
 * It joins, punches holes into the memory, makes its socket a blocking one, and floods the
 * listener with wakes: nothing blocks, nothing is fatal.
 */
static void attack(const char *path)
{
    SvanWireLink link;
    int fd = svan_wire_connect(path);

    alarm(LIMIT_MS / 1000);
    svan_wire_open(&link, fd, false, 0);
    while (svan_wire_handshake(&link) == SVAN_WIRE_SETUP) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        poll(&p, 1, LIMIT_MS);
    }
    madvise(link.memory, link.size, MADV_REMOVE);       /* punches holes */
    fcntl(fd, F_SETFL, 0);
    for (unsigned i = 0; i < 100000; i++) {
        svan_wire_wake(&link);
    }
    send(fd, "enough", 6, 0);
    _exit(0);
}

static void test_attack(void **state)
{
    Place *place = *state;
    int listener = listen_at(place), status;
    pid_t pid = fork();
    SvanWireLink link;
    unsigned heard = 0;

    if (!pid) {
        attack(place->path);
    }
    accept_link(&link, listener, LOG);
    assert_int_equal(handshake(&link), SVAN_WIRE_UP);
    do {
        svan_wire_wake(&link);
        while (svan_ring_room(&link.tx, 1000)) {
            svan_ring_put(&link.tx, 1000, 0);
        }
        svan_ring_publish(&link.tx);
        await_readable(link.fd);
        heard++;
    } while (svan_wire_hear(&link));
    assert_true(heard > 1);
    svan_wire_close(&link);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_join),
        LINK_TEST(test_listen),
        LINK_TEST(test_hostile_listener),
        LINK_TEST(test_hostile_connector),
        LINK_TEST(test_attack),
    };

    return cmocka_run_group_tests_name("wire_link", tests, NULL, NULL);
}
