/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ethernet queue pairs and their buffers.
 */
#include "eth_port.h"

#define BUFFERS         (1u << ETH_PORT_LOG)
#define MAX_FRAME       1536u

static void give(EthPort *port, uint32_t index)
{
    HostSge sge = {
        .va = port->rx + index % BUFFERS * ETH_PORT_BUFFER, .length = ETH_PORT_BUFFER,
        .key = SVAN_KEY_LOCAL_DMA,
    };

    host_write_rwqe(&port->qp, &sge, 1);
}

static void set_filter(EthPort *port)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);

    cmd.eth_filter.qpn = htole32(port->qp.qpn);
    memcpy(cmd.eth_filter.mac, port->qp.host->gids[0].smac, 6);
    cmd.eth_filter.max_frame = htole32(MAX_FRAME);
    host_must(port->qp.host, &cmd);
}

void eth_port_make(EthPort *port, Host *host)
{
    HostQpAttr attr = {
        .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED,
        .log_sq = ETH_PORT_LOG, .log_rq = ETH_PORT_LOG,
    };

    port->send_cq = host_cq(host, ETH_PORT_LOG);
    port->recv_cq = host_cq(host, ETH_PORT_LOG);
    port->qp = host_qp(host, &port->send_cq, &port->recv_cq, &attr);
    port->tx = fake_alloc(host->fake, BUFFERS * ETH_PORT_BUFFER, SVAN_PAGE_SIZE);
    port->rx = fake_alloc(host->fake, BUFFERS * ETH_PORT_BUFFER, SVAN_PAGE_SIZE);
    host_eth_rts(&port->qp);
    set_filter(port);
    for (uint32_t i = 0; i < BUFFERS; i++) {
        give(port, i);
    }
    host_post_recv(&port->qp);
}

static uint64_t next_buffer(const EthPort *port)
{
    return port->tx + port->qp.sq_pi % BUFFERS * ETH_PORT_BUFFER;
}

uint8_t *eth_port_begin(EthPort *port)
{
    return port->sent < BUFFERS ? fake_ram(port->qp.host->fake, next_buffer(port)) : NULL;
}

void eth_port_send(EthPort *port, uint32_t len)
{
    HostSend send = {
        .opcode = SVAN_WQE_ETH_SEND, .flags = SVAN_WQE_SIGNALED,
        .addr = next_buffer(port), .length = len, .lkey = SVAN_KEY_LOCAL_DMA,
    };

    host_send(&port->qp, &send);
    port->sent++;
    host_post(&port->qp);
}

static void must_be_good(const struct svan_cqe *cqe)
{
    if (cqe->status != SVAN_CQE_SUCCESS) {
        fake_die("a frame failed: status %u", cqe->status);
    }
}

bool eth_port_completed(EthPort *port)
{
    struct svan_cqe cqe;
    bool any = false;

    while (host_cq_poll(&port->send_cq, &cqe)) {
        must_be_good(&cqe);
        port->sent--;
        any = true;
    }
    return any;
}

const uint8_t *eth_port_receive(EthPort *port, uint32_t *len)
{
    struct svan_cqe cqe;
    uint64_t bus;

    if (port->taken) {
        give(port, port->qp.rq_pi);
        host_post_recv(&port->qp);
        port->taken = false;
    }
    bus = port->rx + port->recv_cq.ci % BUFFERS * ETH_PORT_BUFFER;
    if (!host_cq_poll(&port->recv_cq, &cqe)) {
        return NULL;
    }
    must_be_good(&cqe);
    *len = le32toh(cqe.byte_len);
    port->taken = true;
    return fake_ram(port->qp.host->fake, bus);
}
