/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net.h"

#include "net/switch.h"

#define PORTS           4u
#define GROUP           0xff

typedef struct Hall {
    NetSchedule schedule;
    NetBridge *bridge;
    Arrivals at[PORTS];
} Hall;

static int setup(void **state)
{
    Hall *hall = calloc(1, sizeof(*hall));

    hall->bridge = net_bridge_new(&hall->schedule, 9, PORTS, 30000, 1);
    for (uint32_t i = 0; i < PORTS; i++) {
        NetLink *out = &hall->bridge->ports[i].out;

        hall->at[i].schedule = &hall->schedule;
        out->to_node = 10 + i;
        out->arrive = keep;
        out->to = &hall->at[i];
    }
    *state = hall;
    return 0;
}

static int teardown(void **state)
{
    Hall *hall = *state;

    net_bridge_free(hall->bridge);
    net_schedule_fini(&hall->schedule);
    for (uint32_t i = 0; i < PORTS; i++) {
        net_frame_put(hall->at[i].kept);
    }
    free(hall);
    return 0;
}

static void put(Hall *hall, uint32_t port, uint32_t to, uint32_t from, uint32_t len)
{
    uint8_t data[NET_FRAME_MAX] = { 2, 0, 0, to >> 16, to >> 8, to,
                                    2, 0, 0, from >> 16, from >> 8, from };

    if (to == GROUP) {
        memset(data, 0xff, 6);
    }
    net_bridge_receive(&hall->bridge->ports[port], net_frame_new(data, len));
}

/* How many frames have arrived at each port since the last time, a digit each. */
static uint32_t arrived(Hall *hall)
{
    uint32_t digits = 0;

    net_schedule_run(&hall->schedule, hall->schedule.now + SECOND);
    for (uint32_t i = 0; i < PORTS; i++) {
        digits = digits * 10 + hall->at[i].count;
        hall->at[i].count = 0;
    }
    return digits;
}

static void it_learns(void **state)
{
    Hall *hall = *state;

    put(hall, 0, 2, 1, 64);
    assert_int_equal(arrived(hall), 111);
    put(hall, 1, 1, 2, 64);
    put(hall, 0, 2, 1, 64);
    assert_int_equal(arrived(hall), 1100);
    put(hall, 0, GROUP, 1, 64);
    assert_int_equal(arrived(hall), 111);
    /* behind the same port */
    put(hall, 0, 1, 3, 64);
    assert_int_equal(arrived(hall), 0);
    assert_int_equal(hall->bridge->ports[0].counts.filtered, 1);
    /* it has moved */
    put(hall, 2, 1, 2, 64);
    put(hall, 0, 2, 1, 64);
    assert_int_equal(arrived(hall), 1010);
    net_bridge_forget(&hall->bridge->ports[2]);
    hall->bridge->ports[3].up = false;
    put(hall, 0, 2, 1, 64);
    assert_int_equal(arrived(hall), 110);
}

static void it_forgets_with_age(void **state)
{
    Hall *hall = *state;

    put(hall, 1, 1, 2, 64);
    arrived(hall);
    net_schedule_run(&hall->schedule, hall->schedule.now + NET_ADDRESS_AGE);
    put(hall, 0, 2, 1, 64);
    assert_int_equal(arrived(hall), 111);
}

/* A port that makes up addresses forgets its own, nobody else's. */
static void a_flood_of_addresses(void **state)
{
    Hall *hall = *state;

    put(hall, 1, 1, 2, 64);
    for (uint32_t i = 0; i < 100000; i++) {
        put(hall, 0, 2, 1000 + i, 64);
        net_schedule_run(&hall->schedule, hall->schedule.now);
    }
    assert_int_equal(hall->bridge->ports[0].counts.forgotten, 100000 - NET_ADDRESSES);
    arrived(hall);
    put(hall, 2, 2, 3, 64);
    put(hall, 1, 1000 + 99999, 2, 64);
    put(hall, 1, 3, 2, 64);
    assert_int_equal(arrived(hall), 1110);
    put(hall, 1, 1000, 2, 64);
    assert_int_equal(arrived(hall), 1011);
}

static void pauses_go_no_further(void **state)
{
    static const uint8_t pfc[64] = { 1, 0x80, 0xc2, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x88, 0x08, 1, 1 };
    Hall *hall = *state;

    net_bridge_receive(&hall->bridge->ports[0], net_frame_new(pfc, sizeof(pfc)));
    assert_int_equal(arrived(hall), 0);
    assert_int_equal(hall->bridge->ports[0].counts.pauses, 1);
}

/* n congested ports share the buffer evenly, and one more still finds room. */
static void a_buffer_is_shared(void **state)
{
    Hall *hall = *state;

    for (uint32_t i = 0; i < PORTS; i++) {
        put(hall, i, GROUP, 1 + i, 14);
    }
    arrived(hall);
    for (uint32_t i = 0; i < PORTS; i++) {
        hall->bridge->ports[i].out.model.rate = NET_RATE_MIN;
    }
    assert_int_equal(hall->bridge->buffer.used, 0);
    for (uint32_t i = 0; i < 300; i++) {
        put(hall, 0, 2, 1, 100);
    }
    assert_in_range(hall->bridge->ports[1].out.queued, 14900, 15000);
    for (uint32_t i = 0; i < 300; i++) {
        put(hall, 0, 3, 1, 100);
    }
    assert_in_range(hall->bridge->ports[2].out.queued, 7400, 7500);
    put(hall, 0, 4, 1, 100);
    assert_int_equal(hall->bridge->ports[3].out.queued, 100);
    assert_int_equal(hall->bridge->buffer.used, 100 + hall->bridge->ports[1].out.queued +
                     hall->bridge->ports[2].out.queued);
}

static void tags_pass(void **state)
{
    Hall *hall = *state;
    uint8_t data[64] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0x60, 5, 0x08, 0 };

    net_bridge_receive(&hall->bridge->ports[0], net_frame_new(data, sizeof(data)));
    assert_int_equal(arrived(hall), 111);
    assert_memory_equal(hall->at[3].kept->data, data, sizeof(data));
}

/* ---- marks ---- */

static uint32_t sum_of(const uint8_t *header)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < 20; i += 2) {
        sum += header[i] << 8 | header[i + 1];
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Every traffic class, and words whose sums wrap: the checksum holds, nothing else changes. */
static void a_mark_keeps_the_checksum(void **state)
{
    for (uint32_t i = 0; i < 0x40000; i++) {
        uint8_t data[64] = { [12] = 0x08, [14] = 0x45, i, 0, 50, i >> 10, i >> 2,
                             [22] = 64, 17, [26] = 10, 77, 0, 1, 10, 77, 0, 2 };
        uint32_t sum = 0xffff - sum_of(data + 14);
        NetFrame *frame;

        data[24] = sum >> 8;
        data[25] = sum;
        frame = net_frame_new(data, sizeof(data));
        assert_int_equal(sum_of(frame->data + 14), 0xffff);
        if (net_ecn(frame) == NET_ECN_CAPABLE) {
            net_ecn_mark(frame);
            assert_int_equal(frame->data[15], data[15] | 3);
            assert_int_equal(sum_of(frame->data + 14), 0xffff);
            assert_int_equal(net_ecn(frame), NET_ECN_CE);
        } else {
            assert_int_equal(net_ecn(frame), (i & 3) == 3 ? NET_ECN_CE : NET_ECN_NONE);
        }
        net_frame_put(frame);
    }
}

static void what_is_capable(void **state)
{
    static const struct { uint8_t type[10]; uint32_t ip, len; NetEcn ecn; } rows[] = {
        { { 0x08, 0x00, 0x45, 0x01 }, 14, 34, NET_ECN_CAPABLE },
        { { 0x08, 0x00, 0x45, 0x01 }, 14, 33, NET_ECN_NONE },
        { { 0x08, 0x00, 0x65, 0x01 }, 14, 34, NET_ECN_NONE },
        { { 0x86, 0xdd, 0x60, 0x20 }, 14, 54, NET_ECN_CAPABLE },
        { { 0x86, 0xdd, 0x60, 0x30 }, 14, 54, NET_ECN_CE },
        { { 0x86, 0xdd, 0x60, 0x0f }, 14, 54, NET_ECN_NONE },
        { { 0x86, 0xdd, 0x60, 0x20 }, 14, 53, NET_ECN_NONE },
        { { 0x81, 0x00, 0, 5, 0x08, 0x00, 0x45, 0x02 }, 18, 38, NET_ECN_CAPABLE },
        { { 0x88, 0xa8, 0, 5, 0x86, 0xdd, 0x60, 0x10 }, 18, 58, NET_ECN_CAPABLE },
        { { 0x08, 0x06, 0x45, 0x01 }, 14, 60, NET_ECN_NONE },
        { { 0x81, 0x00 }, 14, 14, NET_ECN_NONE },
    };

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t data[64] = { 0 };
        NetFrame *frame;

        memcpy(data + 12, rows[i].type, sizeof(rows[i].type));
        frame = net_frame_new(data, rows[i].len);
        assert_int_equal(net_ecn(frame), rows[i].ecn);
        net_ecn_mark(frame);
        net_frame_put(frame);
    }
}

/* The invariant CRC of a RoCE packet leaves out what a mark changes. */
static void the_icrc_does_not_see_a_mark(void **state)
{
    static const uint8_t ip[2][4] = { { 0x08, 0x00, 0x45, 0x02 }, { 0x86, 0xdd, 0x60, 0x20 } };

    for (uint32_t v6 = 0; v6 < 2; v6++) {
        uint8_t data[128] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
        NetFrame *frame;
        uint32_t before;

        for (uint32_t i = 16; i < sizeof(data); i++) {
            data[i] = i;
        }
        memcpy(data + 12, ip[v6], 4);
        frame = net_frame_new(data, sizeof(data));
        before = svan_icrc(frame->data, 14, frame->len - 4);
        assert_int_equal(net_ecn(frame), NET_ECN_CAPABLE);
        net_ecn_mark(frame);
        assert_int_equal(net_ecn(frame), NET_ECN_CE);
        assert_int_equal(svan_icrc(frame->data, 14, frame->len - 4), before);
        net_frame_put(frame);
    }
}

int main(void)
{
#define HALL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        HALL(it_learns),
        HALL(it_forgets_with_age),
        HALL(a_flood_of_addresses),
        HALL(pauses_go_no_further),
        HALL(a_buffer_is_shared),
        HALL(tags_pass),
        cmocka_unit_test(a_mark_keeps_the_checksum),
        cmocka_unit_test(what_is_capable),
        cmocka_unit_test(the_icrc_does_not_see_a_mark),
    };

    return cmocka_run_group_tests_name("net_bridge", tests, NULL, NULL);
}
