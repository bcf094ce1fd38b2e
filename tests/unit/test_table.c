/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#define CAPACITY        16u
#define FIRST           2u

static int object;

static void a_full_table_refuses(void **state)
{
    SvanTable table;

    svan_table_init(&table, CAPACITY, FIRST, 0);
    for (uint32_t i = FIRST; i < CAPACITY; i++) {
        assert_int_equal(svan_table_insert(&table, &object), i);
        assert_ptr_equal(svan_table_get(&table, i), &object);
    }
    assert_int_equal(svan_table_insert(&table, &object), SVAN_NONE);
    assert_null(svan_table_get(&table, 0));
    assert_null(svan_table_get(&table, CAPACITY));
    assert_null(svan_table_get(&table, SVAN_NONE));
    for (uint32_t i = FIRST; i < CAPACITY; i++) {
        svan_table_remove(&table, i);
    }
    assert_int_equal(table.used, 0);
    svan_table_fini(&table);
}

static void a_free_index_rests(void **state)
{
    SvanTable table;
    uint32_t index;

    svan_table_init(&table, CAPACITY, FIRST, 0);
    index = svan_table_insert(&table, &object);
    svan_table_remove(&table, index);
    for (uint32_t i = 1; i < CAPACITY - FIRST; i++) {
        assert_int_not_equal(svan_table_insert(&table, &object), index);
    }
    assert_int_equal(svan_table_insert(&table, &object), index);
    svan_table_fini(&table);
}

static void a_number_is_not_used_again(void **state)
{
    SvanTable table;
    uint32_t before = 0, qn;

    svan_table_init(&table, CAPACITY, FIRST, 0);
    for (uint32_t i = 0; i < 255 * (CAPACITY - FIRST); i++) {
        assert_true(svan_qn_insert(&table, &object, SVAN_NONE, &qn));
        assert_true(qn >= FIRST && qn < 1u << 24);
        assert_int_not_equal(qn, before);
        assert_int_equal(qn >> SVAN_QN_INDEX_SHIFT, i / (CAPACITY - FIRST));
        before = qn;
        svan_table_remove(&table, qn & SVAN_QN_INDEX_MASK);
    }
    svan_table_fini(&table);
}

static void a_wanted_number(void **state)
{
    SvanTable table;
    uint32_t qn;

    svan_table_init(&table, CAPACITY, FIRST, 0);
    assert_true(svan_table_grow(&table, CAPACITY));
    table.variants[5] = 7;
    assert_false(svan_qn_insert(&table, &object, 8 << 16 | 5, &qn));
    assert_false(svan_qn_insert(&table, &object, 0x107 << 16 | 5, &qn));
    assert_true(svan_qn_insert(&table, &object, 7 << 16 | 5, &qn));
    assert_int_equal(qn, 7 << 16 | 5);
    assert_false(svan_qn_insert(&table, &object, 7 << 16 | 5, &qn));
    assert_false(svan_qn_insert(&table, &object, FIRST - 1, &qn));
    assert_false(svan_qn_insert(&table, &object, CAPACITY, &qn));
    assert_int_equal(table.used, 1);
    svan_table_remove(&table, 5);
    assert_int_equal(table.variants[5], 8);
    svan_table_remove(&table, 5);
    assert_int_equal(table.variants[5], 8);
    svan_table_fini(&table);
}

/* 0xffffff is no queue pair's, neither given out nor asked for. */
static void the_number_of_multicast(void **state)
{
    SvanTable table;
    uint32_t qn;

    (void)state;
    svan_table_init(&table, SVAN_MAX_QN_CAPACITY, FIRST, 0);
    assert_true(svan_table_grow(&table, SVAN_MAX_QN_CAPACITY));
    table.next = SVAN_QN_INDEX_MASK;
    table.variants[SVAN_QN_INDEX_MASK] = 0xff;
    assert_false(svan_qn_insert(&table, &object, SVAN_QPN_MASK, &qn));
    assert_int_equal(table.used, 0);
    assert_true(svan_qn_insert(&table, &object, SVAN_NONE, &qn));
    assert_int_equal(qn, SVAN_QN_INDEX_MASK);
    svan_table_remove(&table, SVAN_QN_INDEX_MASK);
    assert_int_equal(table.variants[SVAN_QN_INDEX_MASK], 1);
    svan_table_fini(&table);
}

/* As far as it is used, and no further than its quota. */
static void a_table_grows(void **state)
{
    SvanTable table;

    (void)state;
    svan_table_init(&table, CAPACITY, FIRST, 9);
    assert_int_equal(table.size, 0);
    assert_null(svan_table_get(&table, FIRST));
    assert_int_equal(svan_table_variant(&table, CAPACITY - 1), 9);
    svan_table_insert(&table, &object);
    assert_in_range(table.size, FIRST + 1, CAPACITY / 2);
    assert_int_equal(svan_table_variant(&table, FIRST), 9);
    assert_true(svan_table_insert_at(&table, CAPACITY - 1, &object));
    assert_int_equal(table.size, CAPACITY);
    assert_ptr_equal(svan_table_get(&table, FIRST), &object);
    assert_null(svan_table_get(&table, FIRST + 1));
    assert_int_equal(svan_table_variant(&table, CAPACITY - 1), 9);
    assert_false(svan_table_insert_at(&table, CAPACITY, &object));
    assert_false(svan_table_insert_at(&table, UINT32_MAX, &object));
    assert_false(svan_table_grow(&table, CAPACITY + 1));
    assert_int_equal(table.size, CAPACITY);
    svan_table_fini(&table);
}

/* What a table has given out is not valid in the next one. */
static void the_variants_of_the_next_table(void **state)
{
    SvanTable table;
    uint32_t qn;

    (void)state;
    svan_table_init(&table, CAPACITY, FIRST, 250);
    assert_int_equal(svan_table_next_variant(&table), 250);
    for (uint32_t i = 0; i < 10 * CAPACITY; i++) {
        uint8_t next;

        assert_true(svan_qn_insert(&table, &object, SVAN_NONE, &qn));
        next = svan_table_next_variant(&table);
        assert_int_equal(next, (uint8_t)((qn >> SVAN_QN_INDEX_SHIFT) + 1));
        svan_table_remove(&table, qn & SVAN_QN_INDEX_MASK);
        assert_int_equal(svan_table_next_variant(&table), next);
    }
    svan_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_table_refuses),
        cmocka_unit_test(a_free_index_rests),
        cmocka_unit_test(a_number_is_not_used_again),
        cmocka_unit_test(a_wanted_number),
        cmocka_unit_test(the_number_of_multicast),
        cmocka_unit_test(a_table_grows),
        cmocka_unit_test(the_variants_of_the_next_table),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
