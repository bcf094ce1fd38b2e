/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fat trees of device cores, small ones, in one process.
 */
#include "unit.h"

#include "report.h"

#define MAX_STEPS       100000u

typedef struct Result {
    Report report;
    char json[8192];
} Result;

static FabricOptions small(FabricPattern pattern)
{
    FabricOptions options = fabric_defaults;

    options.hosts = 16;
    options.pattern = pattern;
    options.packets = 2000;
    options.fan_in = 3;
    options.message = 16 << 10;
    options.check = 1;
    return options;
}

static void run(const FabricOptions *options, Result *result)
{
    Ranks *ranks = ranks_start(NULL, NULL);
    Fabric *fabric = fabric_new(options, ranks);
    uint32_t steps = 0;
    FILE *file;

    while (fabric_step(fabric) && steps < MAX_STEPS) {
        steps++;
    }
    assert_true(steps < MAX_STEPS);
    report_make(&result->report, fabric);
    file = fmemopen(result->json, sizeof(result->json), "w");
    report_json(&result->report, fabric, file);
    fclose(file);
    if (report_fault(&result->report, fabric)) {
        fail_msg("%s", report_fault(&result->report, fabric));
    }
    fabric_free(fabric);
    ranks_end(ranks);
}

/* ---- the tree ---- */

/* The port that leads from one node to another one, which has one that leads back. */
static void assert_joined(const Tree *tree, uint32_t node, uint32_t behind)
{
    TreePlace place = tree_place(tree, behind);

    for (uint32_t i = 0; i < place.down + place.up; i++) {
        if (tree_behind(tree, &place, i) == node) {
            return;
        }
    }
    fail_msg("%u leads to %u, which does not lead back", node, behind);
}

static void links_lead_both_ways(void **state)
{
    static const uint32_t sizes[] = { 16, 17, 54, 100, 1000, 10000 };

    for (uint32_t i = 0; i < SIZE(sizes); i++) {
        Tree tree = tree_of(sizes[i]);

        assert_true(tree.pods * tree.half * tree.half >= sizes[i]);
        assert_true(tree.pods <= 2 * tree.half);
        for (uint32_t host = 0; host < tree.hosts; host++) {
            assert_joined(&tree, host, tree_edge_of_host(&tree, host));
        }
        for (uint32_t node = tree.hosts; node < tree.first[TREE_TIERS]; node++) {
            TreePlace place = tree_place(&tree, node);

            for (uint32_t port = 0; port < place.down + place.up; port++) {
                uint32_t behind = tree_behind(&tree, &place, port);

                if (behind >= tree.hosts && behind != UINT32_MAX) {
                    assert_true(behind < tree.first[TREE_TIERS]);
                    assert_joined(&tree, node, behind);
                }
            }
        }
    }
}

static void parts_cut_only_links_to_the_core(void **state)
{
    Tree tree = tree_of(1000);

    for (uint32_t ranks = 1; ranks <= 5; ranks++) {
        for (uint32_t node = 0; node < tree.first[TREE_CORE]; node++) {
            TreePlace place = tree_place(&tree, node);
            uint32_t pod = node < tree.hosts ? tree_pod_of_host(&tree, node) : place.pod;

            assert_true(tree_part(&tree, node, ranks) < ranks);
            assert_int_equal(tree_part(&tree, node, ranks),
                             tree_part(&tree, tree.first[TREE_EDGE] + pod * tree.half, ranks));
        }
        assert_int_equal(tree_part(&tree, tree.first[TREE_TIERS] - 1, ranks), ranks - 1);
    }
}

/* ---- traffic ---- */

static void each_pattern_delivers_what_was_sent(void **state)
{
    for (uint32_t i = 0; i < FABRIC_PATTERNS; i++) {
        FabricOptions options = small(i);
        Result result;

        run(&options, &result);
        assert_true(result.report.hosts.delivered >= options.packets);
        assert_int_equal(result.report.checked, result.report.hosts.delivered);
        assert_int_equal(result.report.hosts.sent, result.report.hosts.delivered);
        assert_int_equal(result.report.links[0].counts.frames,
                         result.report.links[5].counts.sent);
    }
}

/* A packet of 15 hosts each, over up to six links, and an ACK back; 10 us to begin. */
static void a_flow_takes_the_time_of_its_links(void **state)
{
    FabricOptions options = small(FABRIC_INCAST);
    uint64_t packet = (14 + 20 + 8 + 12 + 16 + 1024 + 4 + 24) * 8 / 100, hops;
    Result result;

    options.fan_in = 15;
    options.packets = 1;
    options.message = 1024;
    options.depth = 1;
    run(&options, &result);
    hops = 6 * (1000 + packet);
    assert_int_equal(result.report.done, 15);
    assert_true(result.report.time > 2 * 6 * 1000 + 6 * packet);
    assert_true(result.report.time < 2 * hops + 15 * packet + 10000);
}

static void what_is_lost_is_sent_again(void **state)
{
    FabricOptions options = small(FABRIC_PERMUTATION);
    Result result;

    options.link.loss = 1000;
    run(&options, &result);
    assert_true(result.report.hosts.retransmits > 0);
    assert_true(result.report.hosts.sent > result.report.hosts.delivered);
}

static void a_long_queue_marks(void **state)
{
    FabricOptions options = small(FABRIC_INCAST);
    Result result;

    options.fan_in = 15;
    options.packets = 20000;
    options.message = 64 << 10;
    run(&options, &result);
    assert_true(result.report.hosts.received_ce > 0);
    assert_true(result.report.links[5].longest > options.link.kmin);
}

/* ---- the same again ---- */

static void the_same_seed_gives_the_same_bytes(void **state)
{
    FabricOptions options = small(FABRIC_STORAGE);
    Result first, again, other;

    options.link.loss = 500;
    run(&options, &first);
    run(&options, &again);
    assert_string_equal(first.json, again.json);
    options.seed = 2;
    run(&options, &other);
    assert_true(first.report.digest != other.report.digest);
}

/* ---- payload ---- */

static void wrong_payload_is_found(void **state)
{
    static Payload payload;
    uint8_t packet[1024];
    void *page;

    payload_init(&payload, 1 << 16);
    memcpy(packet, payload.pattern + 2048, sizeof(packet));
    assert_int_equal(payload_tag(&payload, packet, sizeof(packet), true), 2048);
    packet[500] ^= 1;
    assert_int_equal(payload_tag(&payload, packet, sizeof(packet), false), 2048);
    assert_int_equal(payload.wrong, 0);
    assert_true(payload_tag(&payload, packet, sizeof(packet), true) == PAYLOAD_NONE);
    packet[0] ^= 1;
    assert_true(payload_tag(&payload, packet, sizeof(packet), false) == PAYLOAD_NONE);
    assert_int_equal(payload.wrong, 2);

    /* stored, stored elsewhere, and not stored at all */
    page = payload_target(&payload, PAYLOAD_BASE + 1024, true);
    memcpy(page, payload.pattern + 1024, 1024);
    payload_check(&payload, PAYLOAD_BASE + 1024, page, 1024);
    assert_int_equal(payload.wrong, 2);
    page = payload_target(&payload, PAYLOAD_BASE + 2048, true);
    memcpy(page, payload.pattern + 1024, 1024);
    payload_check(&payload, PAYLOAD_BASE + 2048, page, 1024);
    assert_int_equal(payload.wrong, 3);
    page = payload_target(&payload, PAYLOAD_BASE + 1024, true);
    payload_check(&payload, PAYLOAD_BASE + 1024, page, 1024);
    assert_int_equal(payload.wrong, 4);
    assert_int_equal(payload.checked, 3);
    assert_null(payload_target(&payload, PAYLOAD_BASE + payload.size, false));
    assert_null(payload_source(&payload, PAYLOAD_BASE - 1));
}

/* ---- the command line ---- */

static void assert_refused(const char *option, const char *value, const char *why)
{
    char name[] = "svan-fabric", first[64], second[64];
    char *argv[] = { name, first, second, NULL };
    FabricOptions options;
    Error error;

    snprintf(first, sizeof(first), "%s", option);
    snprintf(second, sizeof(second), "%s", value ? value : "");
    assert_int_equal(fabric_options(value ? 3 : 2, argv, &options, &error), FABRIC_WRONG);
    if (!strstr(error.text, why)) {
        fail_msg("%s %s: %s", option, second, error.text);
    }
}

static void wrong_options_are_explained(void **state)
{
    assert_refused("--hosts", "15", "--hosts: 15 is less than 16");
    assert_refused("--hosts", "many", "is not a number");
    assert_refused("--hosts", NULL, "has no value");
    assert_refused("--mtu", "1500", "no MTU of RoCE");
    assert_refused("--pattern", "chaos", "permutation, incast and storage");
    assert_refused("--message", "2M", "--message");
    assert_refused("--link", "rate=0", "have a rate");
    assert_refused("--link", "delay=1ns", "100ns");
    assert_refused("--link", "speed=1G", "no setting of a link");
    assert_refused("--colour", "red", "--help lists them");
    assert_refused("more", NULL, "--help lists them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_lead_both_ways),
        cmocka_unit_test(parts_cut_only_links_to_the_core),
        cmocka_unit_test(each_pattern_delivers_what_was_sent),
        cmocka_unit_test(a_flow_takes_the_time_of_its_links),
        cmocka_unit_test(what_is_lost_is_sent_again),
        cmocka_unit_test(a_long_queue_marks),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(wrong_payload_is_found),
        cmocka_unit_test(wrong_options_are_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
