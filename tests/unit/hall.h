/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Four functions of one device, each with an Ethernet queue pair, a MAC of its own
 * and buffers.
 */
#ifndef TESTS_HALL_H
#define TESTS_HALL_H

#include "unit.h"

#define NUM_STATIONS    4
#define BUFFER          2048u
#define BUFFERS         32

typedef struct Station {
    Host *host;
    HostCq send_cq, recv_cq;
    HostQp qp;
    uint8_t mac[6];
} Station;

typedef struct Hall {
    Fake *fake;
    Station stations[NUM_STATIONS];     /* by function */
} Hall;

static const uint8_t stranger_mac[6] = { 2, 0, 0, 0, 9, 9 };

static inline SvanFn *fn_of(Hall *hall, uint32_t id)
{
    return host_fn(hall->stations[id].host);
}

static inline SvanEgress *egress_of(Hall *hall, uint32_t id)
{
    return &svan_qp_get(fn_of(hall, id), hall->stations[id].qp.qpn)->egress;
}

#define STAT(hall, id, name)    (fn_of(hall, id)->stats->name)

static inline void filter(Hall *hall, uint32_t id, uint8_t flags)
{
    Station *station = &hall->stations[id];
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);

    cmd.eth_filter.qpn = htole32(station->qp.qpn);
    memcpy(cmd.eth_filter.mac, station->mac, 6);
    cmd.eth_filter.flags = flags;
    cmd.eth_filter.max_frame = htole32(BUFFER);
    assert_int_equal(host_cmd(station->host, &cmd, NULL), SVAN_CMD_OK);
}

static inline void give_buffers(Station *station, uint32_t count)
{
    while (count--) {
        HostSge sge = {
            .va = fake_alloc(station->host->fake, BUFFER, 64),
            .length = BUFFER, .key = SVAN_KEY_LOCAL_DMA,
        };

        host_write_rwqe(&station->qp, &sge, 1);
    }
    host_post_recv(&station->qp);
}

/* What the physical function sets for another one. */
static inline void set_function(Hall *hall, uint32_t id, uint32_t mask,
                                const struct svan_function_attr *attr)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FUNCTION);

    cmd.set_function.function = htole32(id);
    cmd.set_function.mask = htole32(mask);
    cmd.set_function.attr = *attr;
    host_must(hall->stations[0].host, &cmd);
}

static inline void trust(Hall *hall, uint32_t id)
{
    set_function(hall, id, SVAN_SET_FUNCTION_TRUSTED, &(struct svan_function_attr) {
        .flags = SVAN_FUNCTION_TRUSTED,
    });
}

/* Each may send whatever it likes, in anybody's name. */
static inline void trust_all(Hall *hall)
{
    for (uint32_t id = 0; id < NUM_STATIONS; id++) {
        svan_fn_trust(fn_of(hall, id));
    }
}

static inline int hall_setup(void **state)
{
    HostQpAttr attr = {
        .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED, .log_rq = 6,
    };
    SvanConfig config = fake_config;
    Hall *hall = calloc(1, sizeof(*hall));

    config.num_vfs = NUM_STATIONS - 1;
    hall->fake = fake_create(&config);
    for (uint32_t id = 0; id < NUM_STATIONS; id++) {
        Station *station = &hall->stations[id];

        station->host = host_create(hall->fake, id, id + 1);
        station->send_cq = host_cq(station->host, 6);
        station->recv_cq = host_cq(station->host, 6);
        station->qp = host_qp(station->host, &station->send_cq,
                              &station->recv_cq, &attr);
        memcpy(station->mac, station->host->gids[0].smac, 6);
        host_eth_rts(&station->qp);
        filter(hall, id, 0);
        give_buffers(station, BUFFERS);
    }
    *state = hall;
    return 0;
}

static inline int hall_teardown(void **state)
{
    Hall *hall = *state;

    fake_destroy(hall->fake);
    for (uint32_t id = 0; id < NUM_STATIONS; id++) {
        host_destroy(hall->stations[id].host);
    }
    free(hall);
    return 0;
}

#define HALL_TEST(name) \
    cmocka_unit_test_setup_teardown(name, hall_setup, hall_teardown)

/* A frame of 100 octets, full of a number behind its addresses. */
static inline void post_frame(Hall *hall, uint32_t id, const uint8_t *dmac,
                       uint8_t number)
{
    Station *station = &hall->stations[id];
    uint8_t data[100];
    HostWr wr = {
        .opcode = SVAN_WQE_ETH_SEND, .data = data, .length = sizeof(data),
        .flags = SVAN_WQE_SIGNALED | SVAN_WQE_INLINE,
    };

    memset(data, number, sizeof(data));
    memcpy(data, dmac, 6);
    memcpy(data + 6, station->mac, 6);
    host_write_wqe(&station->qp, &wr);
    host_post(&station->qp);
}

static inline uint32_t completed(HostCq *cq)
{
    struct svan_cqe cqe;
    uint32_t count = 0;

    while (host_cq_poll(cq, &cqe)) {
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
        count++;
    }
    return count;
}

static inline bool left_by_the_port(Hall *hall)
{
    SvanFrame *frame = fake_frame(hall->fake);

    svan_frame_free(frame);
    assert_null(fake_frame(hall->fake));
    return frame;
}

#endif /* TESTS_HALL_H */
