/*
 * A Svan device that sends more than its netdev takes, and what may happen
 * meanwhile: resets, migration, the unplug of another one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "sender.h"

/* More than all queues between the core and the netdev hold together. */
#define SOME            2000
#define BLOCKED_AT      500
/* First octets of frames: of an address that is nobody's, and to tell them. */
#define FIRST           0x02
#define LAST            0x04

/* Its port is one end of a socket; fds[0], the other, is the test's. */
static Nic *nic_on_wire(int fds[2])
{
    QTestState *qts;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    qts = qtest_initf(NIC_MACHINE "-netdev socket,id=net,fd=%d "
                      "-device svan,id=nic,addr=4,netdev=net,mac=" NIC_MAC,
                      fds[1]);
    return nic_find(qts, qpci_new_pc(qts, NULL), QPCI_DEVFN(NIC_SLOT, 0));
}

/* ---- a netdev that takes nothing ---- */

static void sender_await_block(Sender *sender)
{
    uint32_t ci;

    sender_await(sender, BLOCKED_AT);
    do {
        ci = sender_ci(sender);
        g_usleep(100000);
    } while (sender_ci(sender) != ci);
    g_assert_cmpuint(ci, <, SOME);
}

/* Saved while the wire is full, continued where it is not. */
static void test_migrate_blocked(void)
{
    QTestState *qts;
    int fds[2];
    Nic from, *nic;
    Sender sender;

    nic = nic_on_wire(fds);
    sender = sender_new(nic, 11);
    sender_post(&sender, SOME);
    sender_await_block(&sender);
    qts = nic_migrate(nic->qts, NIC_MACHINE NIC_DEVICE);
    from = *nic;
    nic_stop(nic);
    close(fds[0]);
    close(fds[1]);
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    from.qts = qts;
    sender.nic = &from;
    sender_await(&sender, SOME);
    qtest_quit(qts);
}

/* ---- resets ---- */

static void wire_read(int fd, void *buffer, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, buffer + done, len - done);

        g_assert_cmpint(n, >, 0);
        done += n;
    }
}

/* How many frames come before the one whose first octet is LAST. */
static uint32_t wire_count_to_last(int fd)
{
    struct timeval limit = { .tv_sec = NIC_WAIT_S };
    uint8_t frame[FRAME];
    uint32_t count = 0;

    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
                               sizeof(limit)), ==, 0);
    for (;;) {
        uint8_t len[4];

        wire_read(fd, len, sizeof(len));
        g_assert_cmpuint(ldl_be_p(len), ==, FRAME);
        wire_read(fd, frame, FRAME);
        if (frame[0] == LAST) {
            return count;
        }
        g_assert_cmphex(frame[0], ==, FIRST);
        count++;
    }
}

typedef struct ResetCase {
    const char *name;
    void (*reset)(Nic *nic);
    bool port_stays;
} ResetCase;

static void reset_register(Nic *nic)
{
    nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
}

static void reset_flr(Nic *nic)
{
    nic_flr(nic);
    nic_restore_config(nic);
}

static void reset_system(Nic *nic)
{
    qtest_qmp_assert_success(nic->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(nic->qts, "RESET");
    nic_restore_config(nic);
}

static const ResetCase reset_cases[] = {
    { "register", reset_register, true },
    { "flr", reset_flr, true },
    { "system", reset_system, false },
};

/*
 * What a function has sent is the port's: it leaves the device, whatever becomes
 * of the function. Only with the whole device the port forgets it.
 */
static void test_reset_blocked(const void *opaque)
{
    const ResetCase *reset_case = opaque;
    uint32_t sent, count;
    QTestState *qts;
    Sender sender;
    int fds[2];
    Nic *nic;

    nic = nic_on_wire(fds);
    qts = nic->qts;
    qtest_memset(qts, NIC_BUFFER, FIRST, FRAME);
    sender = sender_new(nic, 11);
    sender_post(&sender, SOME);
    sender_await_block(&sender);
    sent = sender_ci(&sender);

    reset_case->reset(nic);
    qtest_memset(qts, NIC_BUFFER, LAST, FRAME);
    sender = sender_new(nic, 4);
    sender_post(&sender, 1);
    count = wire_count_to_last(fds[0]);
    if (reset_case->port_stays) {
        g_assert_cmpuint(count, ==, sent);
    } else {
        g_assert_cmpuint(count, <, BLOCKED_AT);
    }
    sender_await(&sender, 1);
    nic_stop(nic);
    close(fds[0]);
    close(fds[1]);
}

/* ---- frames that come in ---- */

static void wire_write(int fd, uint32_t len)
{
    g_autofree uint8_t *stream = g_malloc0(4 + len);
    size_t done = 0;

    stl_be_p(stream, len);
    memset(stream + 4, 0xff, 6);
    while (done < 4 + len) {
        ssize_t n = write(fd, stream + done, 4 + len - done);

        g_assert_cmpint(n, >, 0);
        done += n;
    }
}

/* Longer than any frame: the device never sees it, but counts it. */
static void test_lost_frames(void)
{
    gint64 limit = g_get_monotonic_time() + NIC_WAIT_S * G_USEC_PER_SEC;
    struct svan_stats stats;
    int fds[2];
    Nic *nic = nic_on_wire(fds);

    nic_enable(nic, 4);
    wire_write(fds[0], 20000);
    wire_write(fds[0], 100);
    wire_write(fds[0], 20000);
    do {
        nic_stats(nic, &stats);
        g_assert_cmpint(g_get_monotonic_time(), <, limit);
    } while (svan_le64_to_cpu(stats.rx_queue_drops) < 2);
    g_assert_cmpuint(svan_le64_to_cpu(stats.rx_queue_drops), ==, 2);
    g_assert_cmpuint(svan_le64_to_cpu(stats.port_rx_frames), ==, 1);
    nic_stop(nic);
    close(fds[0]);
    close(fds[1]);
}

/* ---- two devices, one iothread ---- */

/* Plugged and unplugged while the other one keeps thread and big lock busy. */
static void test_shared_iothread(void)
{
    QTestState *qts = qtest_init(
        NIC_MACHINE "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
        "-device pcie-root-port,id=rp,chassis=1,addr=6 -object iothread,id=io "
        "-device svan,id=nic,addr=4,iothread=io,mac=" NIC_MAC);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    Nic *nic = nic_find(qts, bus, QPCI_DEVFN(NIC_SLOT, 0));
    QPCIDevice *port = qpci_device_find(bus, QPCI_DEVFN(6, 0));
    Sender sender = sender_new(nic, SVAN_SQ_MAX_LOG_BBS);
    uint32_t busy = 0;

    g_assert_nonnull(port);
    for (unsigned i = 0; i < 4; i++) {
        qtest_qmp_device_add(qts, "svan", "hot", "{ 'bus': 'rp', "
                             "'iothread': 'io' }");
        nic_port_power(port, true);
        sender_post(&sender, 1u << sender.log_size);
        qtest_qmp_device_del_send(qts, "hot");
        nic_port_power(port, false);
        qtest_qmp_eventwait(qts, "DEVICE_DELETED");
        busy += sender_ci(&sender) != sender.pi;
        sender_await(&sender, sender.pi);
    }
    g_assert_cmpuint(busy, >, 0);
    g_free(port);
    nic_stop(nic);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svan/port/migrate-blocked", test_migrate_blocked);
    for (unsigned i = 0; i < G_N_ELEMENTS(reset_cases); i++) {
        g_autofree char *path = g_strdup_printf("/svan/port/reset-blocked/%s",
                                                reset_cases[i].name);

        qtest_add_data_func(path, &reset_cases[i], test_reset_blocked);
    }
    qtest_add_func("/svan/port/lost-frames", test_lost_frames);
    qtest_add_func("/svan/port/shared-iothread", test_shared_iothread);
    return g_test_run();
}
