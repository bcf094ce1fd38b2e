/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A READ comes once more, and its page is gone: whether its requester waits for it,
 * or for what it has asked for behind it.
 */
#include "fault_peer.h"

#define MS      1000000ull

/*
 * The READ was answered, its page is gone, and it comes once more, late. Of what was
 * asked for behind it the requester hears all the same.
 */
static void meet_a_late_duplicate(Od *od)
{
    map_page(od, 3, true);
    send_read(od, PSN_IN, PAGE(3), MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN);
    unmap_page(od, 3, 0, 0);
    send_read(od, PSN_IN, PAGE(3), MTU);
    assert_true(requested(od));
}

/* By one retry, if not before. */
static bool is_told_of(Od *od, uint32_t psn)
{
    bool told = false;

    for (uint32_t i = 0; i < 2 && !told; i++) {
        write_page(od, psn, 4);
        while (rc_sent(od->rc)) {
            told |= od->rc->pkt.psn == (psn & SVAN_PSN_MASK);
        }
        fake_advance(od->rc->fake, 10 * MS);
        while (rc_sent(od->rc)) {
            told |= od->rc->pkt.psn == (psn & SVAN_PSN_MASK);
        }
    }
    return told;
}

static void a_write_behind_a_late_duplicate_waits(void **state)
{
    Od *od = *state;

    meet_a_late_duplicate(od);
    assert_true(is_told_of(od, PSN_IN + 1));
    assert_true(IS_RNR_NAK(od->rc->pkt));
}

static void a_write_behind_a_late_duplicate_is_done(void **state)
{
    Od *od = *state;

    meet_a_late_duplicate(od);
    map_page(od, 4, true);
    assert_true(is_told_of(od, PSN_IN + 1));
    check_page(od, 4);
}

/* It is no late one: the requester asks for it, and for what follows, each time. */
static void a_duplicate_that_is_waited_for_stays(void **state)
{
    Od *od = *state;

    meet_a_late_duplicate(od);
    for (uint32_t i = 0; i < 3; i++) {
        write_page(od, PSN_IN + 1, 4);
        assert_int_equal(rc_priv(od->rc)->resp.num_owed, 1);
        fake_advance(od->rc->fake, 100 * MS);
        send_read(od, PSN_IN, PAGE(3), MTU);
    }
    rc_skip_sent(od->rc);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN);
}

/* What the network has swapped or copied is no sign of the requester. */
static void copies_drop_no_duplicate_that_is_waited_for(void **state)
{
    Od *od = *state;

    meet_a_late_duplicate(od);
    map_page(od, 4, true);
    write_page(od, PSN_IN + 1, 4);
    write_page(od, PSN_IN + 2, 4);
    fake_advance(od->rc->fake, MS);
    write_page(od, PSN_IN + 3, 4);
    fake_advance(od->rc->fake, 20000);
    write_page(od, PSN_IN + 3, 4);
    write_page(od, PSN_IN + 1, 4);
    fake_advance(od->rc->fake, 20000);
    write_page(od, PSN_IN + 2, 4);
    assert_int_equal(rc_priv(od->rc)->resp.num_owed, 1);
    rc_skip_sent(od->rc);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN);
}

/* However short its timeouts are: what comes again late has not been copied. */
static void short_timeouts_drop_a_late_duplicate(void **state)
{
    Od *od = *state;

    meet_a_late_duplicate(od);
    map_page(od, 4, true);
    for (uint32_t i = 0; i < 8; i++) {
        write_page(od, PSN_IN + 1, 4);
        fake_advance(od->rc->fake, 4096ull << 1);
    }
    write_page(od, PSN_IN + 1, 4);
    assert_int_equal(rc_priv(od->rc)->resp.num_owed, 0);
}

/* What was heard before the load does not count: the next request is a new one. */
static void a_load_drops_no_duplicate_that_is_waited_for(void **state)
{
    Od *od = *state;

    meet_a_late_duplicate(od);
    assert_true(fake_restore(od->rc->fake));
    od->rc->core = svan_qp_get(host_fn(od->rc->host), od->rc->qp.qpn);
    fake_run(od->rc->fake);
    fake_advance(od->rc->fake, MS);
    write_page(od, PSN_IN + 1, 4);
    assert_int_equal(rc_priv(od->rc)->resp.num_owed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(a_write_behind_a_late_duplicate_waits),
        OD_TEST(a_write_behind_a_late_duplicate_is_done),
        OD_TEST(a_duplicate_that_is_waited_for_stays),
        OD_TEST(copies_drop_no_duplicate_that_is_waited_for),
        OD_TEST(short_timeouts_drop_a_late_duplicate),
        OD_TEST(a_load_drops_no_duplicate_that_is_waited_for),
    };

    return cmocka_run_group_tests_name("fault_late", tests, NULL, NULL);
}
