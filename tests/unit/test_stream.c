/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

static void what_is_put_is_got(void **state)
{
    SvanWriter writer = { 0 };
    SvanReader reader;
    char bytes[3];

    svan_put_u8(&writer, 0x12);
    svan_put_u16(&writer, 0x3456);
    svan_put_u32(&writer, 0x789abcde);
    svan_put_u64(&writer, 0xf0123456789abcde);
    svan_put_bytes(&writer, "abc", 3);
    svan_put_bytes(&writer, NULL, 0);
    assert_false(writer.failed);
    assert_int_equal(writer.len, 18);
    assert_memory_equal(writer.data, "\x12\x56\x34\xde\xbc\x9a\x78", 7);
    reader = (SvanReader) { .data = writer.data, .len = writer.len };
    assert_int_equal(svan_get_u8(&reader), 0x12);
    assert_int_equal(svan_get_u16(&reader), 0x3456);
    assert_int_equal(svan_get_u32(&reader), 0x789abcde);
    assert_int_equal(svan_get_u64(&reader), 0xf0123456789abcde);
    svan_get_bytes(&reader, bytes, 3);
    assert_memory_equal(bytes, "abc", 3);
    assert_false(reader.failed);
    assert_int_equal(reader.pos, reader.len);
    free(writer.data);
}

static void an_end_is_an_end(void **state)
{
    static const uint8_t data[] = { 1, 2, 3, 4, 5 };
    SvanReader reader = { .data = data, .len = sizeof(data) };
    uint8_t bytes[8];

    assert_int_equal(svan_get_u32(&reader), 0x04030201);
    assert_int_equal(svan_get_u32(&reader), 0);
    assert_true(reader.failed);
    /* also for what would still fit */
    assert_int_equal(svan_get_u8(&reader), 0);
    memset(bytes, 7, sizeof(bytes));
    svan_get_bytes(&reader, bytes, sizeof(bytes));
    assert_int_equal(bytes[7], 0);
}

static void it_grows(void **state)
{
    SvanWriter writer = { 0 };
    SvanReader reader;

    for (uint32_t i = 0; i < 100000; i++) {
        svan_put_u32(&writer, i);
    }
    reader = (SvanReader) { .data = writer.data, .len = writer.len };
    for (uint32_t i = 0; i < 100000; i++) {
        assert_int_equal(svan_get_u32(&reader), i);
    }
    free(writer.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got),
        cmocka_unit_test(an_end_is_an_end),
        cmocka_unit_test(it_grows),
    };

    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
