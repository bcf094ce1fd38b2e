/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of flows and paths: which flow a packet or a frame is of, how tables age, and
 * what becomes of flows without room.
 */
#include "net/flow_table.h"
#include "net/wire_ip.h"
#include "unit.h"

#define MS              1000000ull
#define MANY            10000u

/* ---- aged tables ---- */

static SvanAgedKey key_of(uint64_t n)
{
    return (SvanAgedKey) { .words = { n << 32, 0, 0, 0, n << 40 } };
}

static void a_table_is_bounded_and_has_an_order(void **state)
{
    SvanAged *entries[8], *entry = NULL;
    SvanAgedTable table;
    SvanAgedKey key;

    assert_true(svan_aged_init(&table, SIZE(entries), sizeof(SvanAged) + 8, 1));
    for (uint32_t i = 0; i < SIZE(entries); i++) {
        key = key_of(i);
        assert_null(svan_aged_find(&table, &key));
        entries[i] = svan_aged_add(&table, &key, i);
        assert_non_null(entries[i]);
        assert_ptr_equal(svan_aged_find(&table, &key), entries[i]);
    }
    key = key_of(99);
    assert_null(svan_aged_add(&table, &key, 99));
    svan_aged_touch(&table, entries[0], 100);
    svan_aged_touch(&table, entries[7], 101);
    svan_aged_touch(&table, entries[7], 102);
    for (uint32_t i = 0; i < SIZE(entries); i++) {
        static const uint8_t order[] = { 1, 2, 3, 4, 5, 6, 0, 7 };

        entry = svan_aged_next(&table, entry);
        assert_ptr_equal(entry, entries[order[i]]);
    }
    assert_null(svan_aged_next(&table, entry));
    svan_aged_remove(&table, entries[3]);
    assert_int_equal(table.count, 7);
    key = key_of(3);
    assert_null(svan_aged_find(&table, &key));
    key = key_of(99);
    assert_ptr_equal(svan_aged_add(&table, &key, 103), entries[3]);
    svan_aged_fini(&table);
}

/* Keys that differ in any of their parts, and with each seed, share no bucket in numbers. */
static void no_part_of_a_key_makes_chains_long(void **state)
{
    for (uint32_t shift = 0; shift < 64 * SVAN_AGED_WORDS; shift += 5) {
        SvanAgedTable table;
        uint32_t longest = 0;

        assert_true(svan_aged_init(&table, 512, sizeof(SvanAged), shift));
        for (uint64_t n = 0; n < 512; n++) {
            SvanAgedKey key = { { 0 } };

            key.words[shift / 64] = n << shift % 64;
            if (!svan_aged_find(&table, &key)) {
                svan_aged_add(&table, &key, 0);
            }
        }
        for (uint32_t i = 0; i < 1u << table.log_buckets; i++) {
            uint32_t length = 0;

            for (SvanAged *entry = table.buckets[i]; entry; entry = entry->chain) {
                length++;
            }
            longest = length > longest ? length : longest;
        }
        assert_in_range(longest, 1, 24);
        svan_aged_fini(&table);
    }
}

/* ---- which flow ---- */

static const uint8_t tcp_frame[] = {
    2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0xa0, 5, 8, 0,
    0x45, 0xb9, 0, 44, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    0x30, 0x39, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9,
};

static SvanFrame *frame_of(const uint8_t *data, uint32_t len)
{
    SvanFrame *frame = svan_frame_alloc(len);

    memcpy(frame->data, data, len);
    frame->len = len;
    return frame;
}

static void both_ends_see_the_same_flow(void **state)
{
    SvanFrame *frame = frame_of(tcp_frame, sizeof(tcp_frame));
    SvanFlowInfo out, in;

    svan_flow_of_frame(frame, SVAN_OUTGOING, &out);
    svan_flow_of_frame(frame, SVAN_INCOMING, &in);
    assert_int_equal(out.kind, SVAN_FLOW_TCP);
    assert_int_equal(svan_flow_kind(&out.key), SVAN_FLOW_TCP);
    assert_int_equal(svan_flow_number(&out.key), 12345 << 16 | 80);
    assert_int_equal(svan_flow_number(&in.key), 80 << 16 | 12345);
    assert_int_equal(svan_flow_vlan(&out.key), 5);
    assert_int_equal(out.traffic_class, 0xb9);
    assert_int_equal(out.witness, 0x01020304);
    assert_int_equal(out.payload, 4);
    assert_true(out.is_tcp_ack);
    assert_int_equal(out.ack, 0x05060708);
    assert_memory_equal(svan_flow_peer(&out.key) + 12, tcp_frame + 34, 4);
    assert_memory_equal(svan_flow_own(&out.key), svan_flow_peer(&in.key), 16);
    assert_memory_equal(svan_flow_peer(&out.key), svan_flow_own(&in.key), 16);
    svan_frame_free(frame);
}

static uint8_t kind_of(const uint8_t *data, uint32_t len, uint32_t at, uint8_t value)
{
    SvanFrame *frame = frame_of(data, len);
    SvanFlowInfo info;

    frame->data[at] = value;
    svan_flow_of_frame(frame, SVAN_OUTGOING, &info);
    svan_frame_free(frame);
    return info.kind;
}

/* However little of a frame there is, or however wrong it is. */
static void each_frame_is_of_a_flow(void **state)
{
    assert_int_equal(kind_of(tcp_frame, sizeof(tcp_frame), 24, 0x20), SVAN_FLOW_IP);
    assert_int_equal(kind_of(tcp_frame, sizeof(tcp_frame), 27, 17), SVAN_FLOW_UDP);
    assert_int_equal(kind_of(tcp_frame, sizeof(tcp_frame), 27, 47), SVAN_FLOW_IP);
    assert_int_equal(kind_of(tcp_frame, sizeof(tcp_frame), 18, 0x4f), SVAN_FLOW_IP);
    assert_int_equal(kind_of(tcp_frame, sizeof(tcp_frame), 18, 0x41), SVAN_FLOW_ETHERNET);
    assert_int_equal(kind_of(tcp_frame, sizeof(tcp_frame), 17, 6), SVAN_FLOW_ETHERNET);
    for (uint32_t len = 14; len < sizeof(tcp_frame); len++) {
        SvanFrame *frame = frame_of(tcp_frame, len);
        SvanFlowInfo info;

        svan_flow_of_frame(frame, SVAN_OUTGOING, &info);
        assert_in_range(info.kind, SVAN_FLOW_TCP, SVAN_FLOW_ETHERNET);
        assert_int_equal(info.kind == SVAN_FLOW_TCP, len >= 58);
        svan_frame_free(frame);
    }
}

/* ---- flows ---- */

static SvanAgedKey rdma(uint32_t peer, uint32_t qpn)
{
    uint8_t gid[2][16] = { { 0 }, { 0 } };

    svan_gid_from_ipv4(gid[0], (uint8_t[]) { 10, peer >> 16, peer >> 8, peer });
    return svan_flow_key(gid[0], gid[1], 0, SVAN_FLOW_RDMA, qpn);
}

static int flows_setup(void **state)
{
    static SvanFlows flows;

    memset(&flows, 0, sizeof(flows));
    svan_dcqcn_default(&flows.params, 10000000000ull);
    flows.patience = (SvanPatience) { 5 * MS, MS, 10 * MS };
    assert_true(svan_flows_init(&flows, NULL, 7));
    *state = &flows;
    return 0;
}

static int flows_teardown(void **state)
{
    svan_flows_fini(*state);
    return 0;
}

#define FLOWS_TEST(name) \
    cmocka_unit_test_setup_teardown(name, flows_setup, flows_teardown)

static SvanFlow *get(SvanFlows *flows, uint32_t peer, uint32_t qpn, uint64_t now)
{
    SvanAgedKey key = rdma(peer, qpn);

    static uint16_t hint;

    return svan_flows_get(flows, &key, now, &hint);
}

static void flows_to_a_peer_share_a_path(void **state)
{
    SvanFlows *flows = *state;
    SvanFlow *a = get(flows, 1, 10, 1), *b = get(flows, 1, 11, 2), *c = get(flows, 2, 10, 3);

    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a->path, b->path);
    assert_ptr_not_equal(a->path, c->path);
    assert_ptr_equal(get(flows, 1, 10, 4), a);
    assert_ptr_equal(get(flows, 1, 10, 5), a);
    get(flows, 1, 10, SVAN_FLOW_GRAIN + 5);
    assert_int_equal(a->aged.used_at, SVAN_FLOW_GRAIN + 5);
    assert_int_equal(a->path->flows, 2);
}

/* However fast one hops: memory is bounded, and the path stays. */
static void who_hops_gains_nothing(void **state)
{
    SvanFlows *flows = *state;
    SvanPath *path = get(flows, 1, 0, 1)->path;
    uint32_t overflowed = 0;

    for (uint32_t i = 1; i < MANY; i++) {
        SvanFlow *flow = get(flows, 1, i, 1 + i);

        assert_ptr_equal(flow->path, path);
        overflowed += svan_flow_is_overflow(flows, flow);
    }
    assert_int_equal(flows->flows.count, SVAN_MAX_FLOWS);
    assert_int_equal(overflowed, MANY - SVAN_MAX_FLOWS);
    /* Those that are silent make room. */
    assert_false(svan_flow_is_overflow(flows, get(flows, 1, MANY, SVAN_FLOW_IDLE + MANY)));
    get(flows, 1, MANY + 1, 10 * SVAN_FLOW_OLD);
    get(flows, 1, MANY + 2, 10 * SVAN_FLOW_OLD);
    assert_in_range(flows->flows.count, 1, SVAN_MAX_FLOWS - 8);
    assert_int_equal(path->flows, flows->flows.count);
}

static void peers_without_room_share_a_path(void **state)
{
    SvanFlows *flows = *state;

    for (uint32_t i = 0; i < 2 * SVAN_MAX_PATHS; i++) {
        SvanFlow *flow = get(flows, i, 1, 1 + i);

        assert_int_equal(flow->path == &flows->other, i >= SVAN_MAX_PATHS);
    }
    /* A path whose flows are forgotten makes room; one with a rate does not. */
    svan_rp_notified(&((SvanPath *)svan_aged_next(&flows->paths, NULL))->rp, &flows->params,
                     3 * SVAN_FLOW_OLD);
    for (uint32_t i = 0; i < 64; i++) {
        assert_ptr_not_equal(get(flows, MANY + i, 1, 3 * SVAN_FLOW_OLD)->path,
                             &flows->other);
    }
    assert_true(svan_rp_is_limited(&svan_flows_path(flows, &(SvanAgedKey) {
        .words = { rdma(0, 1).words[0], rdma(0, 1).words[1] } })->rp));
}

/* Though nothing more is sent by it: it would slow down all others for ever. */
static void their_path_recovers_too(void **state)
{
    SvanFlows *flows = *state;

    for (uint32_t i = 0; i <= SVAN_MAX_PATHS; i++) {
        get(flows, i, 1, 1);
    }
    svan_estimate_marks(&flows->other.estimate, 4, 4, 1);
    svan_flows_step(flows, &flows->other, 1);
    assert_int_equal(flows->congested, 1);
    for (uint64_t now = MS; now < 60 * MS; now += MS) {
        svan_flows_step_all(flows, now);
    }
    assert_int_equal(flows->congested, 0);
    assert_int_equal(flows->other.recognition.state, SVAN_CONGESTION_CLEAR);
}

static SvanPath *changed;

static void note_change(SvanPath *path)
{
    changed = path;
}

/* However many there are, all of them together have about the least rate of one. */
static void the_least_rate_is_shared_as_far_as_it_goes(void **state)
{
    SvanFlows *flows = *state;

    flows->congested = 50;
    assert_int_equal(svan_flows_params(flows, &flows->other).min_rate,
                     flows->params.min_rate / 50);
    flows->congested = flows->params.min_rate / SVAN_DCQCN_LEAST_RATE + 1;
    assert_int_equal(svan_flows_params(flows, &flows->other).min_rate, SVAN_DCQCN_LEAST_RATE);
    flows->congested = 0;
}

/* Who goes round many peers finds none of them forgotten before the round is over. */
static void a_path_with_a_rate_counts_for_long(void **state)
{
    SvanFlows *flows = *state;
    SvanPath *path = get(flows, 1, 1, 1)->path;
    uint64_t now = 1;

    svan_estimate_marks(&path->estimate, 4, 4, now);
    svan_flows_step(flows, path, now);
    svan_rp_notified(&path->rp, &flows->params, now);
    for (uint32_t ms = 0; ms < 500; ms++) {
        now += MS;
        svan_rp_hold(&path->rp, now + 2 * MS);      /* nothing is sent, and it does not rise */
        svan_flows_step(flows, path, now);
    }
    assert_int_equal(path->recognition.state, SVAN_CONGESTION_RECOVERING);
    assert_int_equal(flows->congested, 1);
}

/* They take n times as long to rise by the n-th part. */
static void congested_paths_share_the_increase(void **state)
{
    SvanFlows *flows = *state;
    SvanPath *paths[4];

    flows->changed = note_change;
    for (uint32_t i = 0; i < SIZE(paths); i++) {
        paths[i] = get(flows, i, 1, 1)->path;
        svan_estimate_marks(&paths[i]->estimate, 4, 4, 1);
        svan_flows_step(flows, paths[i], 1);
        assert_ptr_equal(changed, paths[i]);
        assert_int_equal(flows->congested, i + 1);
    }
    assert_int_equal(svan_flows_params(flows, paths[0]).increase_additive,
                     flows->params.increase_additive / 4 + 1);
    assert_int_equal(svan_flows_params(flows, paths[0]).min_rate, flows->params.min_rate / 4);
    assert_int_equal(svan_flows_params(flows, paths[0]).increase_interval,
                     flows->params.increase_interval * 4);
    assert_int_equal(svan_flows_params(flows, paths[0]).byte_counter,
                     flows->params.byte_counter);
    for (uint64_t now = MS; now < 60 * MS; now += MS) {
        for (uint32_t i = 0; i < SIZE(paths); i++) {
            svan_flows_step(flows, paths[i], now);
        }
    }
    assert_int_equal(flows->congested, 0);
}

/* What is tiny makes nothing look small that is large, though there is more of it. */
static void sizes_are_what_most_octets_have(void **state)
{
    SvanFlows *flows = *state;
    SvanPath *path = get(flows, 0, 1, 1)->path;

    assert_int_equal(svan_path_size(path), SVAN_PATH_SIZE);
    for (uint32_t i = 0; i < 10000; i++) {
        svan_path_count(path, i % 4 ? 60 : 4 * SVAN_PATH_SIZE);
    }
    assert_in_range(svan_path_size(path), 4 * SVAN_PATH_SIZE * 9 / 10, 4 * SVAN_PATH_SIZE);
    /* Whoever has seen the marks knows better. */
    svan_path_told(path, 3, 3 * 700);
    svan_path_told(path, 1, 1100);
    assert_int_equal(svan_path_size(path), 800);
    for (uint32_t i = 0; i < 1000; i++) {
        svan_path_told(path, 10, 10 * 2000);
    }
    assert_in_range(svan_path_size(path), 1999, 2000);
    svan_path_told(path, UINT32_MAX, UINT32_MAX);
    assert_int_equal(svan_path_size(path), 1);
}

/* They are marked more rarely, so all takes longer; small ones change nothing. */
static void large_packets_take_their_time(void **state)
{
    SvanFlows *flows = *state;
    SvanPath *path = get(flows, 0, 1, 1)->path;
    SvanDcqcnParams params;

    svan_path_count(path, 4 * SVAN_PATH_SIZE);
    params = svan_flows_params(flows, path);
    assert_int_equal(params.increase_interval, flows->params.increase_interval * 4);
    assert_int_equal(params.alpha_interval, flows->params.alpha_interval * 4);
    assert_int_equal(params.byte_counter, flows->params.byte_counter * 4);
    assert_int_equal(params.min_rate, flows->params.min_rate);
    svan_path_told(path, 1, 64);
    params = svan_flows_params(flows, path);
    assert_memory_equal(&params, &flows->params, sizeof(params));
}

/* One that is silent has no steps of its own. */
static void silent_paths_do_not_count_for_ever(void **state)
{
    SvanFlows *flows = *state;
    SvanPath *paths[4];

    for (uint32_t i = 0; i < SIZE(paths); i++) {
        paths[i] = get(flows, i, 1, 1)->path;
        svan_estimate_marks(&paths[i]->estimate, 4, 4, 1);
        svan_flows_step(flows, paths[i], 1);
    }
    for (uint64_t now = MS; now < 60 * MS; now += MS) {
        svan_estimate_marks(&paths[0]->estimate, 4, 4, now);
        svan_flows_step(flows, paths[0], now);
        svan_flows_step_another(flows, now);
    }
    assert_int_equal(flows->congested, 1);
    assert_int_equal(paths[0]->recognition.state, SVAN_CONGESTION_CONGESTING);
}

/* ---- numbers and witnesses ---- */

static void numbers_that_go_on(void **state)
{
    SvanSeries series = { .high = 0 };

    assert_false(svan_series_is_plausible(&series, 5, 100, 1));
    assert_false(svan_series_sent(&series, 0xfffffff0, 32, 100, 1));
    assert_true(svan_series_is_plausible(&series, 0xfffffff0, 100, 1));
    assert_true(svan_series_is_plausible(&series, 0x0f, 100, 1));
    assert_false(svan_series_is_plausible(&series, 0x10, 100, 1));
    assert_false(svan_series_is_plausible(&series, 0x10 - 101, 100, 1));
    assert_true(svan_series_sent(&series, 0xfffffff0, 32, 100, 2));
    assert_false(svan_series_sent(&series, 0x10, 1, 100, 3));
    /* Who jumps about is believed to have sent anything, for a while. */
    assert_false(svan_series_sent(&series, 5000, 1, 100, 4));
    assert_true(svan_series_is_plausible(&series, 77777777, 100, 5));
    assert_false(svan_series_is_plausible(&series, 77777777, 100, SVAN_WITNESS_AGE + 5));
}

/* At 100 Gbit/s 4 MiB are a third of a millisecond. */
static void what_was_sent_lately_is_believed_at_any_rate(void **state)
{
    static SvanSeries series;
    uint32_t number = 0xf0000000;
    uint64_t now = 1;

    for (uint32_t i = 0; i < 100000; i++, now += 1000) {
        svan_series_sent(&series, number += 12500, 12500, 1 << 22, now);
    }
    assert_true(svan_series_is_plausible(&series, number - 19 * 12500000, 1 << 22, now));
    assert_false(svan_series_is_plausible(&series, number - 45 * 12500000, 1 << 22, now));
    assert_false(svan_series_is_plausible(&series, number + 12501, 1 << 22, now));
}

static void witnesses_are_remembered(void **state)
{
    SvanWitnesses witnesses = { .next = 0 };
    SvanAgedKey flow = rdma(1, 1), other = rdma(1, 2);

    assert_false(svan_witness_is_plausible(&witnesses, &flow, 0, 1));
    for (uint32_t i = 0; i < 3 * SVAN_WITNESSES; i++) {
        svan_witness_add(&witnesses, &flow, i, i * SVAN_WITNESS_AGE * 4 / SVAN_WITNESSES);
    }
    for (uint32_t i = 0; i < 3 * SVAN_WITNESSES; i++) {
        assert_int_equal(svan_witness_is_plausible(&witnesses, &flow, i,
                                                   12 * SVAN_WITNESS_AGE),
                         i >= 2 * SVAN_WITNESSES);
    }
    assert_false(svan_witness_is_plausible(&witnesses, &other, 3 * SVAN_WITNESSES - 1,
                                           12 * SVAN_WITNESS_AGE));
    /* Who sends so fast that the ring does not reach back does not escape by that. */
    for (uint32_t i = 0; i < 3 * SVAN_WITNESSES; i++) {
        svan_witness_add(&witnesses, &flow, i, 13 * SVAN_WITNESS_AGE + i);
    }
    assert_true(svan_witness_is_plausible(&witnesses, &other, 1,
                                          13 * SVAN_WITNESS_AGE + 4 * SVAN_WITNESSES));
}

static void a_rate_is_exact(void **state)
{
    SvanPath path = { .until = 0 };
    uint64_t when = 0;

    /* 1,000 octets at 3 Gbit/s: 2,666 2/3 ns */
    for (uint32_t i = 0; i < 3000; i++) {
        svan_path_charge(&path, 3000000000ull, 1000, 1);
    }
    assert_in_range(path.until, 8000000 - 20, 8000001);
    assert_false(svan_path_may_send(&path, 1000, 0, &when));
    assert_int_equal(when, path.until - 1000);
    assert_true(svan_path_may_send(&path, 1000, when, &when));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_bounded_and_has_an_order),
        cmocka_unit_test(no_part_of_a_key_makes_chains_long),
        cmocka_unit_test(both_ends_see_the_same_flow),
        cmocka_unit_test(each_frame_is_of_a_flow),
        FLOWS_TEST(flows_to_a_peer_share_a_path),
        FLOWS_TEST(who_hops_gains_nothing),
        FLOWS_TEST(peers_without_room_share_a_path),
        FLOWS_TEST(their_path_recovers_too),
        FLOWS_TEST(the_least_rate_is_shared_as_far_as_it_goes),
        FLOWS_TEST(a_path_with_a_rate_counts_for_long),
        FLOWS_TEST(congested_paths_share_the_increase),
        FLOWS_TEST(sizes_are_what_most_octets_have),
        FLOWS_TEST(large_packets_take_their_time),
        FLOWS_TEST(silent_paths_do_not_count_for_ever),
        cmocka_unit_test(numbers_that_go_on),
        cmocka_unit_test(what_was_sent_lately_is_believed_at_any_rate),
        cmocka_unit_test(witnesses_are_remembered),
        cmocka_unit_test(a_rate_is_exact),
    };

    return cmocka_run_group_tests_name("flow_table", tests, NULL, NULL);
}
