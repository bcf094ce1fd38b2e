/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The captured frames, in `frames`. Whoever includes it defines GOLDEN_DIR.
 */
#ifndef TESTS_GOLDEN_CAPTURE_H
#define TESTS_GOLDEN_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "device/device.h"

#define MAX_FRAMES      1024

static SvanFrame *frames[MAX_FRAMES];
static uint32_t num_frames;

static int load_capture(void **state)
{
    char why[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline(GOLDEN_DIR "/rxe.pcap", why);
    struct pcap_pkthdr *header;
    const u_char *data;

    (void)state;
    if (!pcap) {
        print_error("rxe.pcap: %s\n", why);
        return -1;
    }
    while (num_frames < MAX_FRAMES && pcap_next_ex(pcap, &header, &data) == 1) {
        SvanFrame *frame = svan_frame_alloc(header->caplen);

        assert_int_equal(header->caplen, header->len);
        memcpy(frame->data, data, header->caplen);
        frame->len = header->caplen;
        frames[num_frames++] = frame;
    }
    pcap_close(pcap);
    return 0;
}

static int free_capture(void **state)
{
    (void)state;
    while (num_frames) {
        svan_frame_free(frames[--num_frames]);
    }
    return 0;
}

#endif /* TESTS_GOLDEN_CAPTURE_H */
