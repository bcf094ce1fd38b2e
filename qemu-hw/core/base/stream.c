/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Octet streams of saved state: little-endian, errors are sticky.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static uint8_t *stream_room(SvanWriter *writer, size_t len)
{
    uint8_t *at;

    if (writer->failed) {
        return NULL;
    }
    if (len > writer->capacity - writer->len) {
        size_t capacity = 2 * writer->capacity + len + 256;
        uint8_t *data = realloc(writer->data, capacity);

        if (!data) {
            writer->failed = true;
            return NULL;
        }
        writer->data = data;
        writer->capacity = capacity;
    }
    at = writer->data + writer->len;
    writer->len += len;
    return at;
}

void svan_put_bytes(SvanWriter *writer, const void *bytes, size_t len)
{
    uint8_t *at = stream_room(writer, len);

    if (at && len) {
        memcpy(at, bytes, len);
    }
}

static void put(SvanWriter *writer, uint64_t value, size_t len)
{
    uint64_t le = htole64(value);

    svan_put_bytes(writer, &le, len);
}

void svan_put_u8(SvanWriter *writer, uint8_t value)
{
    put(writer, value, sizeof(value));
}

void svan_put_u16(SvanWriter *writer, uint16_t value)
{
    put(writer, value, sizeof(value));
}

void svan_put_u32(SvanWriter *writer, uint32_t value)
{
    put(writer, value, sizeof(value));
}

void svan_put_u64(SvanWriter *writer, uint64_t value)
{
    put(writer, value, sizeof(value));
}

void svan_get_bytes(SvanReader *reader, void *bytes, size_t len)
{
    if (!len) {
        return;                 /* bytes may be NULL */
    }
    if (reader->failed || len > reader->len - reader->pos) {
        reader->failed = true;
        memset(bytes, 0, len);
        return;
    }
    memcpy(bytes, reader->data + reader->pos, len);
    reader->pos += len;
}

static uint64_t get(SvanReader *reader, size_t len)
{
    uint64_t le = 0;

    svan_get_bytes(reader, &le, len);
    return le64toh(le);
}

uint8_t svan_get_u8(SvanReader *reader)
{
    return get(reader, sizeof(uint8_t));
}

uint16_t svan_get_u16(SvanReader *reader)
{
    return get(reader, sizeof(uint16_t));
}

uint32_t svan_get_u32(SvanReader *reader)
{
    return get(reader, sizeof(uint32_t));
}

uint64_t svan_get_u64(SvanReader *reader)
{
    return get(reader, sizeof(uint64_t));
}
