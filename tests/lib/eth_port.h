/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An Ethernet queue pair of a function with rings of buffers, as a network driver has it.
 */
#ifndef TESTS_ETH_PORT_H
#define TESTS_ETH_PORT_H

#include "host.h"

#define ETH_PORT_LOG    8
#define ETH_PORT_BUFFER 2048u

typedef struct EthPort {
    HostCq send_cq, recv_cq;
    HostQp qp;
    uint64_t tx, rx;            /* bus addresses of buffers */
    uint32_t sent;              /* frames that were posted and not completed */
    bool taken;                 /* the buffer of the last frame is to be given back */
} EthPort;

/* For frames to its own MAC address. */
void eth_port_make(EthPort *port, Host *host);
/* The buffer of the next frame; NULL: none is free. It keeps what was written to it before. */
uint8_t *eth_port_begin(EthPort *port);
/* What eth_port_begin() returned has so many octets now, and leaves. */
void eth_port_send(EthPort *port, uint32_t len);
/* Frames that have left make room. false: none has. */
bool eth_port_completed(EthPort *port);
/* The next frame that has come, until the next call; NULL: none. */
const uint8_t *eth_port_receive(EthPort *port, uint32_t *len);

#endif /* TESTS_ETH_PORT_H */
