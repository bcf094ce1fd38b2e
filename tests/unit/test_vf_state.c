/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual functions in the midst of their transfers are saved and loaded: each transfer
 * is done in the new device, with its data.
 */
#include "vf_unit.h"

#define LENGTH          20000u  /* octets of a message, some packets */
#define MESSAGES        6u
#define STEPS           400u    /* runs after which the state is saved, at most */

/* All messages of one connection lie one behind the other. */
static uint64_t offset_of(uint32_t message)
{
    return (uint64_t)message * SVAN_PAGE_SIZE * 5;
}

static void map_all(Vf *vf)
{
    for (uint32_t page = 0; page < VF_PAGES; page++) {
        vf_map(vf, page);
    }
}

/* Between the two virtual functions: from memory that is there to pages of the other. */
typedef struct Pair {
    HostCq cq;
    HostQp from, to;
    Vf *source, *target;
} Pair;

static Pair pair_of(Vf *source, Vf *target)
{
    Pair pair = { .source = source, .target = target };

    pair.cq = host_cq(source->host, 6);
    pair.from = host_qp(source->host, &source->cq, &source->cq, NULL);
    pair.to = host_qp(target->host, &target->cq, &target->cq, NULL);
    host_connect(&pair.from, &pair.to);
    return pair;
}

static void post_all(Pair *pair)
{
    for (uint32_t i = 0; i < MESSAGES; i++) {
        HostSend send = {
            .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
            .addr = pair->source->buffer + 64 * i, .length = LENGTH,
            .remote = VF_VA + offset_of(i), .rkey = pair->target->key,
        };

        host_send(&pair->from, &send);
    }
    host_post(&pair->from);
}

static void check_all(Pair *pair)
{
    Fake *fake = pair->source->host->fake;

    for (uint32_t i = 0; i < MESSAGES; i++) {
        vf_done(&pair->source->cq, SVAN_CQE_SUCCESS);
        assert_memory_equal(fake_ram(fake, pair->target->pages + offset_of(i)),
                            fake_ram(fake, pair->source->buffer + 64 * i), LENGTH);
    }
    vf_nothing_done(&pair->source->cq);
    assert_int_equal(host_state(&pair->from), SVAN_QPS_RTS);
    assert_int_equal(host_state(&pair->to), SVAN_QPS_RTS);
}

/* Both answer what they are asked for, and time goes by. */
static void go_on_to_the_end(Vfs *vfs)
{
    for (uint32_t n = 0; n < 200; n++) {
        for (uint32_t i = 0; i < VFS; i++) {
            vf_resolve_all(&vfs->vf[i]);
        }
        fake_advance(vfs->fake, 10000000);
    }
}

/* Transfers in both directions, saved after so many runs of the device. */
static void save_after(Vfs *vfs, Pair *pairs, uint32_t runs)
{
    for (uint32_t i = 0; i < VFS; i++) {
        memset(fake_ram(vfs->fake, vfs->vf[i].pages), 0, VF_PAGES * SVAN_PAGE_SIZE);
        post_all(&pairs[i]);
    }
    while (runs--) {
        svan_run(vfs->fake->core);
    }
    assert_true(fake_restore(vfs->fake));
    go_on_to_the_end(vfs);
    for (uint32_t i = 0; i < VFS; i++) {
        check_all(&pairs[i]);
    }
}

static void transfers_between_functions_go_on(void **state)
{
    Vfs *vfs = *state;
    Pair pairs[VFS] = {
        pair_of(&vfs->vf[0], &vfs->vf[1]), pair_of(&vfs->vf[1], &vfs->vf[0]),
    };

    map_all(&vfs->vf[0]);
    map_all(&vfs->vf[1]);
    for (uint32_t runs = 0; runs < STEPS; runs += 1 + runs / 16) {
        save_after(vfs, pairs, runs);
    }
}

/* The same with all pages absent: requests are open, packets held or diverted. */
static void faults_of_two_functions_go_on(void **state)
{
    static const uint8_t modes[VFS] = { SVAN_FAULT_MODE_HOLD, SVAN_FAULT_MODE_DIVERT };
    Vfs *vfs = *state;
    Pair pairs[VFS] = {
        pair_of(&vfs->vf[0], &vfs->vf[1]), pair_of(&vfs->vf[1], &vfs->vf[0]),
    };

    for (uint32_t runs = 0; runs < STEPS; runs += 1 + runs / 16) {
        for (uint32_t i = 0; i < VFS; i++) {
            vf_unmap_all(&vfs->vf[i]);
            vf_set_mode(&vfs->vf[i], modes[i]);
        }
        save_after(vfs, pairs, runs);
    }
    for (uint32_t i = 0; i < VFS; i++) {
        assert_true(VF_STAT(&vfs->vf[i], page_requests) > STEPS / 16);
        assert_int_equal(svan_prq_open_requests(host_fn(vfs->vf[i].host)), 0);
    }
}

/* Packets that are held are not in the state: they come again. */
static SvanStats stats_of(Vfs *vfs, uint16_t fn)
{
    SvanStats stats;

    svan_stats(vfs->fake->core, fn, &stats);
    stats.held_bytes = 0;
    return stats;
}

static void what_each_has_counted_is_its_own(void **state)
{
    Vfs *vfs = *state;
    SvanStats before[1 + VFS], after;

    for (uint32_t i = 0; i < VFS; i++) {
        vf_set_mode(&vfs->vf[i], SVAN_FAULT_MODE_HOLD);
        for (uint32_t n = 0; n <= i; n++) {
            vf_be_written(&vfs->vf[i], n, LENGTH);
        }
    }
    fake_run(vfs->fake);
    for (uint32_t fn = 0; fn <= VFS; fn++) {
        before[fn] = stats_of(vfs, fn);
    }
    assert_int_equal(before[2].open_requests, 1);
    assert_true(fake_restore(vfs->fake));
    for (uint32_t fn = 0; fn <= VFS; fn++) {
        after = stats_of(vfs, fn);
        assert_memory_equal(&after, &before[fn], sizeof(after));
    }
    svan_reset(vfs->fake->core, 1);
    after = stats_of(vfs, 2);
    assert_memory_equal(&after, &before[2], sizeof(after));
    go_on_to_the_end(vfs);
    vf_done(&vfs->vf[1].pf_cq, SVAN_CQE_SUCCESS);
    vf_done(&vfs->vf[1].pf_cq, SVAN_CQE_SUCCESS);
    vf_check(&vfs->vf[1], 1, LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VFS_TEST(transfers_between_functions_go_on),
        VFS_TEST(faults_of_two_functions_go_on),
        VFS_TEST(what_each_has_counted_is_its_own),
    };

    return cmocka_run_group_tests_name("state of virtual functions", tests, NULL, NULL);
}
