/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual functions (vf.h) as the subject of unit tests.
 */
#ifndef TESTS_VF_UNIT_H
#define TESTS_VF_UNIT_H

#include "unit.h"
#include "vf.h"

static inline int vfs_setup(void **state)
{
    SvanConfig config = fake_config;

    config.num_vfs = VFS;
    *state = vfs_new_in(vfs_fake(&config, NULL, NULL));
    return 0;
}

static inline int vfs_teardown(void **state)
{
    vfs_free(*state);
    return 0;
}

#define VFS_TEST(name)  cmocka_unit_test_setup_teardown(name, vfs_setup, vfs_teardown)

static inline void vf_answer(Vf *vf, uint8_t status, uint64_t ns)
{
    vf_say(vf, status, ns);
    fake_run(vf->host->fake);
}

/* The page of the last request comes. */
static inline void vf_resolve(Vf *vf)
{
    vf_say_resolved(vf);
    fake_run(vf->host->fake);
}

/* Until it asks for nothing more. */
static inline void vf_resolve_all(Vf *vf)
{
    while (vf_requested(vf)) {
        vf_resolve(vf);
    }
}

static inline void vf_check(Vf *vf, uint32_t page, uint32_t length)
{
    const void *at = fake_ram(vf->host->fake, vf->pages + page * SVAN_PAGE_SIZE);

    assert_memory_equal(at, fake_ram(vf->host->fake, vf->buffer), length);
}

/* The next completion of the queue has this status. */
static inline void vf_done(HostCq *cq, uint8_t status)
{
    struct svan_cqe cqe;

    assert_true(host_cq_poll(cq, &cqe));
    assert_int_equal(cqe.status, status);
}

static inline void vf_nothing_done(HostCq *cq)
{
    struct svan_cqe cqe;

    assert_false(host_cq_poll(cq, &cqe));
}

#endif /* TESTS_VF_UNIT_H */
