/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An input of a fuzz target, which is eaten from its front.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

typedef struct Input {
    const uint8_t *data;
    size_t size;
} Input;

/* Zeroes behind the end. */
static inline void input_bytes(Input *input, void *to, size_t len)
{
    size_t n = len < input->size ? len : input->size;

    memset(to, 0, len);
    if (n) {
        memcpy(to, input->data, n);
    }
    input->data += n;
    input->size -= n;
}

static inline uint64_t input_number(Input *input, size_t len)
{
    uint64_t value = 0;

    input_bytes(input, &value, len);
    return le64toh(value);
}

#endif /* TESTS_FUZZ_INPUT_H */
