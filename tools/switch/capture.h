/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng, with times in ns: what each direction of a port has carried, and, as comments,
 * what became of it.
 */
#ifndef SWITCH_CAPTURE_H
#define SWITCH_CAPTURE_H

#include "model/link.h"
#include "settings.h"

typedef struct Capture Capture;

/* epoch: what is added to the model's time, ns since 1970. NULL: see error. */
Capture *capture_open(const char *path, const char *port, uint64_t epoch, Error *error);
/* incoming: it goes to the switch; fate: NET_FATE_ bits. */
void capture_frame(Capture *capture, uint64_t time, const NetFrame *frame, bool incoming,
                   uint32_t fate);
/* Everything so far is in the file. */
void capture_flush(Capture *capture);
/* NULL does nothing. */
void capture_close(Capture *capture);

#endif /* SWITCH_CAPTURE_H */
