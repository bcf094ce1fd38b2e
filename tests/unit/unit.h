/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmocka, with what it wants included before it.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inside.h"

/* A fresh Fake and Host for each test, in *state. */
static inline int host_setup(void **state)
{
    *state = host_create(fake_create(NULL), 0, 1);
    return 0;
}

static inline int host_teardown(void **state)
{
    Host *host = *state;

    fake_destroy(host->fake);
    host_destroy(host);
    return 0;
}

#define HOST_TEST(name) \
    cmocka_unit_test_setup_teardown(name, host_setup, host_teardown)

#define SIZE(array)     (sizeof(array) / sizeof((array)[0]))

#endif /* TESTS_UNIT_H */
