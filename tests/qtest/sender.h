/*
 * An Ethernet queue pair of a device under test, all of whose WQEs are the same frame
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SVAN_TEST_SENDER_H
#define SVAN_TEST_SENDER_H

#include "nic.h"

#define FRAME           9000        /* octets, at NIC_BUFFER */

typedef struct Sender {
    Nic *nic;
    uint32_t qpn, pi;
    unsigned log_size;
} Sender;

/* Enables the device, too. */
Sender sender_new(Nic *nic, unsigned log_size);
void sender_post(Sender *sender, uint32_t count);
/* How many frames have been sent. */
uint32_t sender_ci(Sender *sender);
/* Until so many have been. */
void sender_await(Sender *sender, uint32_t ci);

#endif
