/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A function that would have others slowed down by what it sends in the name of their peer.
 */
#ifndef TESTS_FORGER_H
#define TESTS_FORGER_H

#include "contest.h"

/* One each to each of the other senders, with all that a stranger can guess. */
void forge(ContestSender *forger);

#endif /* TESTS_FORGER_H */
