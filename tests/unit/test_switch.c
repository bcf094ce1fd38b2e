/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch: who has an address, among all functions.
 */
#include "net/stations.h"
#include "rng.h"
#include "unit.h"

#define NUM_VFS         64
#define FEW_MACS        40              /* so that functions have the same ones */
#define FEW_GIDS        400

typedef struct Board {
    Fake *fake;
    SvanCore *core;
} Board;

static int board_setup(void **state)
{
    Board *board = calloc(1, sizeof(*board));
    SvanConfig config = fake_config;

    config.num_vfs = NUM_VFS;
    board->fake = fake_create(&config);
    board->core = board->fake->core;
    *state = board;
    return 0;
}

static int board_teardown(void **state)
{
    Board *board = *state;

    fake_destroy(board->fake);
    free(board);
    return 0;
}

#define BOARD_TEST(name) \
    cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)

/* ---- the same question to each function in turn ---- */

static bool wants(const SvanFn *fn, const uint8_t *dmac)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    const SvanEthFilter *filter = &fn->net->eth;

    if (!filter->qpn) {
        return false;
    }
    if ((filter->flags & SVAN_CMD_ETH_PROMISC) ||
        !memcmp(dmac, filter->mac, 6) || !memcmp(dmac, broadcast, 6)) {
        return true;
    }
    if (!(dmac[0] & 1)) {
        return false;
    }
    for (uint32_t i = 0; i < filter->num_mcast; i++) {
        if (!memcmp(filter->mcast[i], dmac, 6)) {
            return true;
        }
    }
    return filter->flags & SVAN_CMD_ETH_ALLMULTI;
}

static SvanFn *owner_of(SvanCore *core, const SvanAddr *addr)
{
    for (uint32_t f = 0; f < core->num_fns; f++) {
        for (uint32_t i = 0; i < SVAN_MAX_GID; i++) {
            if (svan_is_for_gid(addr, &core->fns[f]->net->gids[i])) {
                return core->fns[f];
            }
        }
    }
    return NULL;
}

/* ---- random tables ---- */

static void some_mac(Rng *rng, uint8_t *mac)
{
    static const uint8_t first[] = { 0x02, 0x33, 0x52 };

    memset(mac, 0, 6);
    mac[0] = first[rng_below(rng, 3)];
    mac[5] = rng_below(rng, FEW_MACS);
    if (!rng_below(rng, 20)) {
        memset(mac, 255, 6);
    }
}

static void some_address(Rng *rng, SvanAddr *addr)
{
    memset(addr, 0, sizeof(*addr));
    addr->dgid[3] = 1;
    addr->dgid[15] = rng_below(rng, FEW_GIDS / 4);
    addr->dmac[0] = 2;
    addr->dmac[5] = rng_below(rng, 2);
    addr->has_vlan = rng_below(rng, 2);
    addr->vlan = rng_below(rng, 2) | rng_below(rng, 2) << 13;
}

static void set_gid(SvanFn *fn, Rng *rng)
{
    struct svan_cmd_set_gid cmd = { 0 };
    SvanAddr addr;

    some_address(rng, &addr);
    cmd.index = htole32(rng_below(rng, SVAN_MAX_GID));
    cmd.flags = addr.has_vlan ? SVAN_CMD_GID_VLAN : 0;
    cmd.vlan = htole16(addr.vlan);
    memcpy(cmd.gid, addr.dgid, 16);
    memcpy(cmd.smac, addr.dmac, 6);
    svan_gid_set(fn, &cmd);             /* refused, if it is another's */
}

static void set_filter(SvanFn *fn, Rng *rng)
{
    SvanEthFilter filter = {
        .qpn = rng_below(rng, 4), .num_mcast = rng_below(rng, 8),
    };

    some_mac(rng, filter.mac);
    filter.mac[0] = 2;
    filter.flags = rng_below(rng, 8) ? 0 : 1u << rng_below(rng, 2);
    for (uint32_t i = 0; i < filter.num_mcast; i++) {
        some_mac(rng, filter.mcast[i]);
    }
    assert_true(svan_filter_set(fn, &filter));
}

static void change(Board *board, Rng *rng)
{
    uint32_t id = rng_below(rng, board->core->num_fns);
    SvanFn *fn = board->core->fns[id];

    switch (rng_below(rng, 40)) {
    case 0:
        svan_reset(board->core, id);
        break;
    case 1:
        svan_fatal(fn, SVAN_FATAL_INTERNAL);
        break;
    case 2:
        svan_filter_off(fn);
        break;
    case 3 ... 8:
        svan_gid_clear(fn, rng_below(rng, SVAN_MAX_GID));
        break;
    case 9 ... 15:
        set_filter(fn, rng);
        break;
    default:
        set_gid(fn, rng);
        break;
    }
}

static void ask(Board *board, Rng *rng)
{
    SvanFnSet set;
    SvanAddr addr;
    uint8_t mac[6];

    some_address(rng, &addr);
    assert_ptr_equal(svan_gid_owner(board->core, &addr),
                     owner_of(board->core, &addr));
    some_mac(rng, mac);
    set = svan_frame_receivers(board->core, mac);
    for (uint32_t f = 0, next; f < board->core->num_fns; f++) {
        next = svan_fn_set_next(&set, f);
        assert_int_equal(next == f, wants(board->core->fns[f], mac));
    }
    assert_int_equal(svan_fn_set_next(&set, board->core->num_fns), SVAN_NONE);
}

static void every_function_is_found(void **state)
{
    Board *board = *state;
    Rng rng = rng_make(0x5eed, 0);

    for (uint32_t i = 0; i < 60000; i++) {
        change(board, &rng);
        ask(board, &rng);
    }
    for (uint32_t f = 0; f < board->core->num_fns; f++) {
        svan_reset(board->core, f);
    }
    assert_int_equal(board->core->sw->num_stations, 0);
}

/* ---- what a search costs ---- */

static uint32_t longest_chain(const SvanSwitch *sw)
{
    uint32_t longest = 0;

    for (uint32_t i = 0; i < 1u << sw->log_buckets; i++) {
        uint32_t n = 0;

        for (SvanStation *s = sw->buckets[i]; s; s = s->next) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* Full tables of neighbouring addresses in all functions. */
static void a_search_does_not_grow(void **state)
{
    Board *board = *state;
    SvanSwitch *sw = board->core->sw;
    uint32_t num_fns = board->core->num_fns;

    for (uint32_t f = 0; f < num_fns; f++) {
        SvanEthFilter filter = {
            .qpn = 2, .mac = { 2, 0, 0, 0, 0, f }, .num_mcast = SVAN_MAX_MCAST,
        };

        for (uint32_t i = 0; i < SVAN_MAX_GID; i++) {
            struct svan_cmd_set_gid cmd = {
                .index = htole32(i), .smac = { 2, 0, 0, 0, 0, f },
                .gid = { 0xfe, 0x80, [14] = i, [15] = f },
            };

            assert_int_equal(svan_gid_set(board->core->fns[f], &cmd),
                             SVAN_CMD_OK);
        }
        for (uint32_t i = 0; i < SVAN_MAX_MCAST; i++) {
            memcpy(filter.mcast[i], (uint8_t[]) { 0x33, 0x33, 0, 0, f, i }, 6);
        }
        assert_true(svan_filter_set(board->core->fns[f], &filter));
    }
    assert_int_equal(sw->num_stations,
                     num_fns * (SVAN_MAX_GID + SVAN_MAX_MCAST + 1));
    assert_in_range(1u << sw->log_buckets, sw->num_stations,
                    2 * sw->num_stations);
    assert_in_range(longest_chain(sw), 1, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOARD_TEST(every_function_is_found),
        BOARD_TEST(a_search_does_not_grow),
    };

    return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
