/*
 * A Svan device whose port is a wire in shared memory, and a peer that is another QEMU, or
 * this program, which may be hostile
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/atomic.h"
#include "qobject/qdict.h"
#include "sender.h"
#include "svan/wire.h"
#include "wire/link.h"

#define MANY            2000u       /* more than a ring holds */
#define SOME            100u

#define NIC_ON_WIRE     NIC_MACHINE "-device svan,id=nic,addr=4,mac=" NIC_MAC \
                        ",wire=%s,wire-server=%s"

/* ---- the wire's place ---- */

typedef struct Place {
    char *folder, *path;
} Place;

static Place place_new(void)
{
    g_autoptr(GError) error = NULL;
    Place place = { .folder = g_dir_make_tmp("svan-qtest-XXXXXX", &error) };

    g_assert_no_error(error);
    place.path = g_build_filename(place.folder, "wire", NULL);
    return place;
}

static void place_free(Place *place)
{
    g_unlink(place->path);
    g_rmdir(place->folder);
    g_free(place->path);
    g_free(place->folder);
}

static Nic *nic_at(Place *place, bool server)
{
    QTestState *qts = qtest_initf(NIC_ON_WIRE,
                                  place->path, server ? "on" : "off");

    return nic_find(qts, qpci_new_pc(qts, NULL), QPCI_DEVFN(NIC_SLOT, 0));
}

static void await_link(Nic *nic, bool up)
{
    nic_await(nic, SVAN_REG_PORT, SVAN_PORT_LINK_UP, up ? SVAN_PORT_LINK_UP : 0);
}

static void await_received(Nic *nic, uint64_t frames)
{
    gint64 limit = g_get_monotonic_time() + NIC_WAIT_S * G_USEC_PER_SEC;
    struct svan_stats stats;

    do {
        nic_stats(nic, &stats);
        g_assert_cmpint(g_get_monotonic_time(), <, limit);
    } while (svan_le64_to_cpu(stats.port_rx_frames) < frames);
    g_assert_cmpuint(svan_le64_to_cpu(stats.port_rx_frames), ==, frames);
}

/* ---- two devices ---- */

/* More than the ring holds, so that the sender waits for room, too. */
static void pass_frames(Sender *from, Nic *to)
{
    struct svan_stats stats;

    nic_stats(to, &stats);
    qtest_memset(from->nic->qts, NIC_BUFFER, 0xff, FRAME);
    sender_post(from, MANY);
    sender_await(from, from->pi);
    await_received(to, svan_le64_to_cpu(stats.port_rx_frames) + MANY);
}

static void test_two(void)
{
    Place place = place_new();
    Nic *a = nic_at(&place, true), *b;
    Sender from_a, from_b;

    await_link(a, false);
    b = nic_at(&place, false);
    await_link(a, true);
    await_link(b, true);
    from_a = sender_new(a, 11);
    from_b = sender_new(b, 11);
    pass_frames(&from_a, b);
    pass_frames(&from_b, a);

    /* one leaves, another one comes */
    nic_stop(b);
    await_link(a, false);
    sender_post(&from_a, SOME);
    sender_await(&from_a, from_a.pi);           /* lost, as on a wire */
    b = nic_at(&place, false);
    await_link(a, true);
    from_b = sender_new(b, 11);
    pass_frames(&from_a, b);
    pass_frames(&from_b, a);
    nic_stop(a);
    nic_stop(b);
    place_free(&place);
}

/* The one that connects is there first. */
static void test_connect_first(void)
{
    Place place = place_new();
    Nic *b = nic_at(&place, false), *a;

    await_link(b, false);
    a = nic_at(&place, true);
    await_link(b, true);
    nic_stop(a);
    await_link(b, false);
    a = nic_at(&place, true);           /* in place of the socket that was left */
    await_link(b, true);
    nic_stop(b);
    nic_stop(a);
    place_free(&place);
}

/* ---- migration ---- */

static void test_migrate(void)
{
    Place place = place_new(), other = place_new();
    Nic *a = nic_at(&place, true), *b = nic_at(&place, false), to;
    g_autofree char *args = g_strdup_printf(NIC_ON_WIRE, other.path, "on");
    Sender sender = sender_new(a, 11);
    QTestState *qts;

    await_link(a, true);
    qtest_qmp_assert_success(b->qts, "{ 'execute': 'stop' }");
    sender_post(&sender, MANY);                 /* some of them wait for room */
    sender_await(&sender, SOME);
    qts = nic_migrate(a->qts, args);
    to = *a;
    nic_stop(a);
    nic_stop(b);
    to.qts = qts;
    sender.nic = &to;
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    await_link(&to, false);
    sender_await(&sender, MANY);                /* nobody is there to take them */
    b = nic_at(&other, false);
    await_link(&to, true);
    sender = sender_new(b, 11);
    pass_frames(&sender, &to);
    nic_stop(b);
    qtest_quit(qts);
    place_free(&place);
    place_free(&other);
}

/* ---- this program is the peer ---- */

static void peer_join(SvanWireLink *link, Place *place)
{
    svan_wire_open(link, svan_wire_connect(place->path), false, 0);
    g_assert_cmpint(link->fd, >=, 0);
    while (link->state == SVAN_WIRE_SETUP) {
        GPollFD poll = { .fd = link->fd, .events = G_IO_IN };

        g_assert_cmpint(g_poll(&poll, 1, NIC_WAIT_S * 1000), ==, 1);
        svan_wire_handshake(link);
    }
    g_assert_cmpint(link->state, ==, SVAN_WIRE_UP);
}

static void peer_send(SvanWireLink *link, const void *data, uint32_t len, uint16_t flags)
{
    uint8_t *room = svan_ring_room(&link->tx, len);

    g_assert_nonnull(room);
    memcpy(room, data, len);
    svan_ring_put(&link->tx, len, flags);
    if (svan_ring_publish(&link->tx)) {
        svan_wire_wake(link);
    }
}

static struct svan_wire_control *control_of(SvanWireLink *link)
{
    return link->memory;
}

static void wild_head(SvanWireLink *link)
{
    control_of(link)->to_listener.producer.head = svan_cpu_to_le32(0x7fffffff);
}

static void wild_tail(SvanWireLink *link)
{
    control_of(link)->to_connector.consumer.tail = svan_cpu_to_le32(0x7fffffff);
}

static void wild_record(SvanWireLink *link)
{
    uint8_t frame[64] = { 0 };
    struct svan_ring_record record = { .length = svan_cpu_to_le32(0xffffff00) };

    peer_send(link, frame, sizeof(frame), 0);
    memcpy(link->tx.cells, &record, sizeof(record));
}

/* The link goes down, the device lives, and the next peer is welcome. */
static void test_broken(const void *opaque)
{
    void (*attack)(SvanWireLink *link) = opaque;
    Place place = place_new();
    Nic *nic = nic_at(&place, true);
    Sender sender = sender_new(nic, 11);
    SvanWireLink link;

    for (unsigned i = 0; i < 3; i++) {
        peer_join(&link, &place);
        await_link(nic, true);
        qtest_qmp_assert_success(nic->qts, "{ 'execute': 'stop' }");
        attack(&link);
        qtest_qmp_assert_success(nic->qts, "{ 'execute': 'cont' }");
        sender_post(&sender, MANY);             /* meets a wild tail */
        await_link(nic, false);
        sender_await(&sender, sender.pi);
        nic_assert_alive(nic);
        svan_wire_close(&link);
    }
    nic_stop(nic);
    place_free(&place);
}

/*
 * Give the room of one frame back, which is less than the device waits for, and wake it: it
 * asks for another wake.
 */
static void give_little_room(SvanWireLink *link)
{
    gint64 limit = g_get_monotonic_time() + NIC_WAIT_S * G_USEC_PER_SEC;
    const __le32 *waits = &control_of(link)->to_connector.producer.waits;
    SvanRingFrame frame;
    __le32 before;

    do {
        before = qatomic_read(waits);
        g_assert_cmpint(g_get_monotonic_time(), <, limit);
    } while (!(svan_le32_to_cpu(before) & 1));
    g_assert_true(svan_ring_next(&link->rx, &frame));
    svan_ring_take(&link->rx);
    g_assert_true(svan_ring_release(&link->rx));
    svan_wire_wake(link);
    while (qatomic_read(waits) == before) {
        g_assert_cmpint(g_get_monotonic_time(), <, limit);
    }
}

/* Nothing is taken: the sender waits, the device lives; then all of it comes. */
static void test_never_takes(void)
{
    Place place = place_new();
    Nic *nic = nic_at(&place, true);
    Sender sender = sender_new(nic, 11);
    uint32_t taken = 0;
    SvanWireLink link;

    peer_join(&link, &place);
    await_link(nic, true);
    qtest_memset(nic->qts, NIC_BUFFER, 0xff, FRAME);
    sender_post(&sender, MANY);
    sender_await(&sender, SOME);
    nic_assert_alive(nic);
    g_assert_cmpuint(sender_ci(&sender), <, MANY);
    give_little_room(&link);
    taken++;
    while (taken < MANY) {
        SvanRingFrame frame;

        if (svan_ring_next(&link.rx, &frame)) {
            g_assert_cmpuint(frame.length, ==, FRAME);
            g_assert_cmphex(frame.flags, ==, 0);
            svan_ring_take(&link.rx);
            taken++;
        } else if (svan_ring_release(&link.rx)) {
            svan_wire_wake(&link);
        } else if (svan_ring_sleep(&link.rx)) {
            GPollFD poll = { .fd = link.fd, .events = G_IO_IN };

            g_assert_cmpint(g_poll(&poll, 1, NIC_WAIT_S * 1000), ==, 1);
            g_assert_true(svan_wire_hear(&link));
        }
    }
    sender_await(&sender, MANY);
    svan_wire_close(&link);
    nic_stop(nic);
    place_free(&place);
}

/* Frames of noise, and of noise behind sound headers, which change while they are read. */
static void test_noise(void)
{
    static const uint8_t head[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x77, 0, 9, 0x08, 0,
        0x45, 0, 0x10, 0, 0, 0, 0x40, 0, 0x40, 17,
    };
    Place place = place_new();
    Nic *nic = nic_at(&place, true);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    SvanWireLink link;

    nic_enable(nic, 4);
    peer_join(&link, &place);
    await_link(nic, true);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t frame[5000];
        uint32_t len = g_rand_int_range(rand, SVAN_RING_MIN_FRAME, sizeof(frame));

        for (unsigned j = 0; j < MIN(len, 200); j++) {
            frame[j] = g_rand_int(rand);
        }
        if (i & 1) {
            memcpy(frame, head, MIN(len, sizeof(head)));
        }
        while (!svan_ring_room(&link.tx, sizeof(frame))) {
            g_usleep(100);
        }
        peer_send(&link, frame, len, i & 2 ? SVAN_RING_NO_ICRC : 0);
        link.tx.cells[g_rand_int_range(rand, 0, 1 << 20) | 8] ^= 0x55;      /* no record's head */
    }
    await_received(nic, 20000);
    nic_assert_alive(nic);
    svan_wire_close(&link);
    await_link(nic, false);
    nic_stop(nic);
    place_free(&place);
}

/* It connects, and says nothing; another one is turned away meanwhile. */
static void test_silent(void)
{
    Place place = place_new();
    Nic *nic = nic_at(&place, true);
    int silent = svan_wire_connect(place.path), second;
    SvanWireLink link;
    char c;

    g_assert_cmpint(silent, >=, 0);
    nic_assert_alive(nic);
    second = svan_wire_connect(place.path);
    g_assert_cmpint(second, >=, 0);
    fcntl(second, F_SETFL, 0);
    g_assert_cmpint(recv(second, &c, 1, 0), ==, 0);
    fcntl(silent, F_SETFL, 0);
    g_assert_cmpint(recv(silent, &c, 1, 0), ==, 0);     /* it has had its time */
    close(second);
    close(silent);
    peer_join(&link, &place);
    await_link(nic, true);
    svan_wire_close(&link);
    nic_stop(nic);
    place_free(&place);
}

/* ---- unplugging ---- */

/* The peer is busy meanwhile; what it learns is that nobody is there any more. */
static void unplug(QTestState *qts, QPCIDevice *port, Place *place)
{
    static const uint8_t frame[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    GPollFD poll = { .events = G_IO_IN };
    SvanWireLink link;

    peer_join(&link, place);
    for (unsigned i = 0; i < 200; i++) {
        peer_send(&link, frame, sizeof(frame), 0);
        svan_wire_wake(&link);
    }
    nic_port_power(port, true);
    qtest_qmp_device_del_send(qts, "hot");
    nic_port_power(port, false);
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    poll.fd = link.fd;
    g_assert_cmpint(g_poll(&poll, 1, NIC_WAIT_S * 1000), ==, 1);
    g_assert_false(svan_wire_hear(&link));
    svan_wire_close(&link);
    g_assert_cmpint(g_access(place->path, F_OK), ==, -1);
}

static void test_unplug(void)
{
    Place place = place_new();
    QTestState *qts = qtest_init(
        NIC_MACHINE "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
        "-device pcie-root-port,id=rp,chassis=1,addr=6 -object iothread,id=io");
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *port = qpci_device_find(bus, QPCI_DEVFN(6, 0));

    g_assert_nonnull(port);
    for (unsigned i = 0; i < 4; i++) {
        qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', 'arguments': { "
                                 "'driver': 'svan', 'id': 'hot', 'bus': 'rp', 'wire': %s, "
                                 "'wire-server': true } }", place.path);
        unplug(qts, port, &place);
        qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', 'arguments': { "
                                 "'driver': 'svan', 'id': 'hot', 'bus': 'rp', 'wire': %s, "
                                 "'wire-server': true, 'iothread': 'io' } }", place.path);
        unplug(qts, port, &place);
    }
    g_free(port);
    qpci_free_pc(bus);
    qtest_quit(qts);
    place_free(&place);
}

/* ---- options ---- */

static void test_options(void)
{
    static const struct {
        const char *properties, *error;
    } wrong[] = {
        { "'wire': ''", "wire= is empty" },
        { "'wire-server': true", "wire-server needs wire=PATH" },
        { "'wire': '/dev/null'", "cannot connect to it" },
        { "'wire': '/dev/null', 'wire-server': true", "in use or no socket" },
        { "'wire': '/nonexistent/x', 'wire-server': true", "No such file" },
        { "'wire': '/tmp/x', 'netdev': 'net'", "either netdev or wire" },
    };
    QTestState *qts = qtest_init(NIC_MACHINE "-device pcie-root-port,id=rp,chassis=1,addr=6 "
                                 "-netdev hubport,id=net,hubid=0");

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *command = g_strdup_printf(
            "{ 'execute': 'device_add', 'arguments': { 'driver': 'svan', 'id': 'x', "
            "'bus': 'rp', %s } }", wrong[i].properties);
        QDict *answer = qtest_qmp(qts, command, NULL), *error = qdict_get_qdict(answer, "error");

        g_assert_nonnull(error);
        if (!strstr(qdict_get_str(error, "desc"), wrong[i].error)) {
            g_error("%s: %s", wrong[i].properties, qdict_get_str(error, "desc"));
        }
        qobject_unref(answer);
    }
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svan/wire/two", test_two);
    qtest_add_func("/svan/wire/connect-first", test_connect_first);
    qtest_add_func("/svan/wire/migrate", test_migrate);
    qtest_add_data_func("/svan/wire/wild-head", wild_head, test_broken);
    qtest_add_data_func("/svan/wire/wild-tail", wild_tail, test_broken);
    qtest_add_data_func("/svan/wire/wild-record", wild_record, test_broken);
    qtest_add_func("/svan/wire/never-takes", test_never_takes);
    qtest_add_func("/svan/wire/noise", test_noise);
    qtest_add_func("/svan/wire/silent", test_silent);
    qtest_add_func("/svan/wire/unplug", test_unplug);
    qtest_add_func("/svan/wire/options", test_options);
    return g_test_run();
}
