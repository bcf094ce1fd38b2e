/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A function that would have others slowed down by what it sends in the name of their peer,
 * or that deceives its own NIC about its packets.
 */
#ifndef TESTS_FORGER_H
#define TESTS_FORGER_H

#include "contest.h"

/* One each to each of the other senders, with all that a stranger can guess. */
void forge(ContestSender *forger);
/* Tiny frames to the sink's IP address that do not take the link all share. */
void lie(ContestSender *liar);

#endif /* TESTS_FORGER_H */
