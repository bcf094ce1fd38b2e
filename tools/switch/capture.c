/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng (draft-ietf-opsawg-pcapng): a section, an interface, enhanced packets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

enum {
    BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6,
    OPTION_END = 0, OPTION_COMMENT = 1, OPTION_NAME = 2, OPTION_FLAGS = 2, OPTION_TSRESOL = 9,
    LINKTYPE_ETHERNET = 1, INBOUND = 1, OUTBOUND = 2,
};

struct Capture {
    FILE *file;
    uint64_t epoch;
};

/* A block as it grows. */
typedef struct Block {
    uint8_t data[NET_FRAME_MAX + 512];
    uint32_t len;
} Block;

static void put(Block *block, const void *data, uint32_t len)
{
    if (len) {
        memcpy(block->data + block->len, data, len);
    }
    block->len += len;
    while (block->len % 4) {
        block->data[block->len++] = 0;
    }
}

static void put32(Block *block, uint32_t value)
{
    put(block, &value, sizeof(value));
}

static void put_option(Block *block, uint16_t code, const void *data, uint16_t len)
{
    uint16_t head[2] = { code, len };

    put(block, head, sizeof(head));
    put(block, data, len);
}

static void begin(Block *block, uint32_t type)
{
    block->len = 0;
    put32(block, type);
    put32(block, 0);
}

static void write_block(Capture *capture, Block *block)
{
    uint32_t len = block->len + 4;

    put32(block, len);
    memcpy(block->data + 4, &len, sizeof(len));
    fwrite(block->data, 1, block->len, capture->file);
}

static void write_head(Capture *capture, const char *port)
{
    static const uint8_t nanoseconds = 9;
    Block block;

    begin(&block, BLOCK_SECTION);
    put32(&block, 0x1a2b3c4d);
    put32(&block, 1);                   /* version 1.0 */
    put32(&block, UINT32_MAX);          /* the section's length is not known */
    put32(&block, UINT32_MAX);
    write_block(capture, &block);
    begin(&block, BLOCK_INTERFACE);
    put32(&block, LINKTYPE_ETHERNET);
    put32(&block, 0);                   /* whole frames */
    put_option(&block, OPTION_NAME, port, strlen(port));
    put_option(&block, OPTION_TSRESOL, &nanoseconds, 1);
    put_option(&block, OPTION_END, NULL, 0);
    write_block(capture, &block);
}

Capture *capture_open(const char *path, const char *port, uint64_t epoch, Error *error)
{
    Capture *capture = calloc(1, sizeof(*capture));

    if (capture) {
        capture->file = fopen(path, "wb");
        capture->epoch = epoch;
    }
    if (!capture || !capture->file) {
        error_set(error, "cannot write %.150s: %s", path, strerror(errno));
        free(capture);
        return NULL;
    }
    write_head(capture, port);
    return capture;
}

static void put_comment(Block *block, uint32_t fate)
{
    static const char *const names[] = {
        "dropped: full", "dropped: early", "marked", "lost", "duplicate", "reordered",
        "corrupted", "dropped: no memory",
    };
    char text[128] = "";

    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (fate & 1u << i) {
            strcat(text, text[0] ? ", " : "");
            strcat(text, names[i]);
        }
    }
    put_option(block, OPTION_COMMENT, text, strlen(text));
}

void capture_frame(Capture *capture, uint64_t time, const NetFrame *frame, bool incoming,
                   uint32_t fate)
{
    uint32_t flags = incoming ? INBOUND : OUTBOUND;
    Block block;

    time += capture->epoch;
    begin(&block, BLOCK_PACKET);
    put32(&block, 0);                   /* the only interface */
    put32(&block, time >> 32);
    put32(&block, time);
    put32(&block, frame->len);
    put32(&block, frame->len);
    put(&block, frame->data, frame->len);
    if (fate) {
        put_comment(&block, fate);
    }
    put_option(&block, OPTION_FLAGS, &flags, sizeof(flags));
    put_option(&block, OPTION_END, NULL, 0);
    write_block(capture, &block);
}

void capture_flush(Capture *capture)
{
    fflush(capture->file);
}

void capture_close(Capture *capture)
{
    if (capture) {
        fclose(capture->file);
        free(capture);
    }
}
