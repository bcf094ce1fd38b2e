/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of frames.
 */
#include <stdlib.h>
#include <string.h>

#include "net/switch.h"

SvanFrame *svan_frame_alloc(uint32_t capacity)
{
    SvanFrame *frame = malloc(sizeof(*frame) + capacity);

    if (frame) {
        frame->next = NULL;
        frame->len = 0;
        frame->capacity = capacity;
        frame->from = SVAN_FROM_PORT;
        frame->rules = 0;
    }
    return frame;
}

SvanFrame *svan_frame_copy(const SvanFrame *frame)
{
    SvanFrame *copy = svan_frame_alloc(frame->len);

    if (copy) {
        memcpy(copy->data, frame->data, frame->len);
        copy->len = frame->len;
    }
    return copy;
}

void svan_frame_free(SvanFrame *frame)
{
    free(frame);
}
