/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

typedef struct Item {
    int value;
    SvanLink link;
} Item;

static void a_list_keeps_order(void **state)
{
    Item items[3] = { { .value = 0 }, { .value = 1 }, { .value = 2 } };
    SvanLink head;
    int next = 0;

    svan_list_init(&head);
    assert_true(svan_list_empty(&head));
    for (int i = 0; i < 3; i++) {
        svan_list_append(&head, &items[i].link);
    }
    assert_false(svan_list_empty(&head));
    for (SvanLink *link = head.next; link != &head; link = link->next) {
        assert_int_equal(svan_container(link, Item, link)->value, next++);
        assert_ptr_equal(link->next->prev, link);
    }
    assert_int_equal(next, 3);
}

static void removal_from_anywhere(void **state)
{
    for (int victim = 0; victim < 3; victim++) {
        Item items[3] = { 0 };
        SvanLink head;
        int left = 0;

        svan_list_init(&head);
        for (int i = 0; i < 3; i++) {
            svan_list_append(&head, &items[i].link);
        }
        svan_list_remove(&items[victim].link);
        assert_null(items[victim].link.next);
        for (SvanLink *link = head.next; link != &head; link = link->next) {
            assert_ptr_not_equal(link, &items[victim].link);
            left++;
        }
        assert_int_equal(left, 2);
    }
}

static void twice_is_once(void **state)
{
    Item item = { 0 };
    SvanLink head, other;

    svan_list_init(&head);
    svan_list_init(&other);
    svan_list_remove(&item.link);
    svan_list_append(&head, &item.link);
    svan_list_append(&head, &item.link);
    svan_list_append(&other, &item.link);
    assert_true(svan_list_empty(&other));
    svan_list_remove(&item.link);
    svan_list_remove(&item.link);
    assert_true(svan_list_empty(&head));
}

static void the_last_shall_be_first(void **state)
{
    Item items[3] = { { .value = 0 }, { .value = 1 }, { .value = 2 } };
    static const int order[] = { 0, 2, 1 };
    SvanLink head;
    int next = 0;

    svan_list_init(&head);
    svan_list_first(&head, &items[1].link);
    svan_list_append(&head, &items[0].link);
    svan_list_first(&head, &items[2].link);
    svan_list_first(&head, &items[0].link);
    svan_list_first(&head, &items[0].link);
    for (SvanLink *link = head.next; link != &head; link = link->next) {
        assert_int_equal(svan_container(link, Item, link)->value,
                         order[next++]);
        assert_ptr_equal(link->next->prev, link);
    }
    assert_int_equal(next, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_keeps_order),
        cmocka_unit_test(removal_from_anywhere),
        cmocka_unit_test(twice_is_once),
        cmocka_unit_test(the_last_shall_be_first),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
