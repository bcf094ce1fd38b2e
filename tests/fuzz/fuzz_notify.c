/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows and notifications: a function that is policed sends frames of the input, and its
 * NIC receives others, notifications among them that are right but for some octets. The
 * first octet of each says which, and how many follow.
 */
#include "net/enforcement.h"
#include "net/wire_ip.h"
#include "fuzz_input.h"
#include "inside.h"

#define MAX_FRAME       200u
#define ACTIONS         64u
#define MS              1000000ull

typedef struct Stage {
    Fake *fake;
    Host *host;
    HostCq cq;
    HostQp eth;
    /* of the TCP segment that has left last */
    uint8_t ports[4];
    uint32_t seq;
} Stage;

static void set(Stage *stage)
{
    static const HostQpAttr eth = {
        .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED,
    };
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_ENFORCEMENT);
    struct svan_cmd filter = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);

    stage->host = host_create(stage->fake, 0, 1);
    stage->cq = host_cq(stage->host, 6);
    stage->eth = host_qp(stage->host, &stage->cq, &stage->cq, &eth);
    host_eth_rts(&stage->eth);
    filter.eth_filter.qpn = htole32(stage->eth.qpn);
    filter.eth_filter.flags = SVAN_CMD_ETH_PROMISC;
    memcpy(filter.eth_filter.mac, stage->host->gids[0].smac, 6);
    filter.eth_filter.max_frame = htole32(SVAN_MAX_FRAME);
    host_must(stage->host, &filter);
    svan_enforcement_default(&cmd.set_enforcement.attr);
    cmd.set_enforcement.attr.flags = SVAN_ENFORCE_FLAGS;
    host_must(stage->host, &cmd);
}

static SvanFrame *frame_of(Input *input, uint32_t len)
{
    SvanFrame *frame = svan_frame_alloc(MAX_FRAME + SVAN_VLAN_HLEN);

    len = len < 14 ? 14 : len < MAX_FRAME ? len : MAX_FRAME;
    memset(frame->data, 0, len);
    for (uint32_t i = 0; i < len && input->size; i++) {
        frame->data[i] = input_number(input, 1);
    }
    frame->len = len;
    return frame;
}

/*
 * A TCP, UDP or other frame between two addresses that the notifications know, and few ports:
 * to the function (`in`), or from it.
 */
static void dress(Stage *stage, SvanFrame *frame, uint8_t bits, bool in)
{
    if (frame->len < 54) {
        return;
    }
    if (in) {
        memcpy(frame->data, stage->host->gids[0].smac, 6);
    }
    memcpy(frame->data + 12, (uint8_t[]) { 8, 0, 0x45, bits & 3, 0, frame->len - 14 }, 6);
    frame->data[20] = frame->data[21] = 0;
    frame->data[23] = bits & 4 ? 6 : 17;
    memcpy(frame->data + 26, (uint8_t[]) { 10, 0, 0, in ? 2 : 1 }, 4);
    memcpy(frame->data + 30, (uint8_t[]) { 10, 0, 0, in ? 1 : 2 }, 4);
    frame->data[34] = frame->data[36] = 0;
    frame->data[35] &= 3;
    frame->data[37] &= 3;
}

static void remember(Stage *stage, const SvanFrame *frame)
{
    if (frame->len >= 54 && frame->data[23] == IPPROTO_TCP) {
        memcpy(stage->ports, frame->data + 34, 4);
        memcpy(&stage->seq, frame->data + 38, 4);
        stage->seq = be32toh(stage->seq);
    }
}

/* What is received by the connection that has sent last, and acknowledges that. */
static void answer(const Stage *stage, SvanFrame *frame)
{
    uint32_t ack = htobe32(stage->seq);

    if (frame->len >= 54) {
        memcpy(frame->data + 34, stage->ports + 2, 2);
        memcpy(frame->data + 36, stage->ports, 2);
        memcpy(frame->data + 42, &ack, 4);
    }
}

static void transmit(Stage *stage, Input *input, uint8_t bits)
{
    SvanEgress *egress = &svan_qp_get(host_fn(stage->host), stage->eth.qpn)->egress;
    SvanFrame *frame = frame_of(input, 14 + input_number(input, 1) % 100);
    bool sent;

    if (bits & 0x80) {
        dress(stage, frame, bits, false);
        remember(stage, frame);
    }
    if (svan_frame_send(egress, frame, &sent) != SVAN_STEP_DONE) {
        svan_frame_free(frame);
    }
}

static void receive(Stage *stage, SvanFrame *frame)
{
    if (!svan_frame_in(stage->fake->core, frame)) {
        svan_frame_free(frame);
    }
}

/* Complete with its checksum, whatever it says. */
static void notify(Stage *stage, Input *input)
{
    SvanAddr addr = { .ipv4 = true };
    SvanNotice notice = {
        .kind = input_number(input, 1) % 8, .traffic_class = input_number(input, 1) % 16,
        .sequence = input_number(input, 1), .packets = input_number(input, 1),
        .marks = input_number(input, 1), .octets = input_number(input, 2),
    };

    if (notice.sequence & 1) {
        notice.kind = SVAN_FLOW_TCP;
        notice.flow = stage->ports[1] << 16 | stage->ports[3];
        notice.witness = stage->seq;
    } else {
        notice.flow = input_number(input, 1) << 16 | input_number(input, 1);
        notice.witness = input_number(input, 1) << 24 | input_number(input, 1);
    }
    memcpy(addr.sgid, (uint8_t[16]) { [10] = 255, 255, 10, 0, 0, 2 }, 16);
    memcpy(addr.dgid, (uint8_t[16]) { [10] = 255, 255, 10, 0, 0, 1 }, 16);
    memcpy(addr.dmac, stage->host->gids[0].smac, 6);
    receive(stage, svan_notice_encode(&notice, &addr));
}

static void act(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1);

    switch (bits >> 3 & 3) {
    case 0:
        transmit(stage, input, bits);
        break;
    case 1: {
        SvanFrame *frame = frame_of(input, 14 + input_number(input, 1) % 100);

        if (bits & 0x80) {
            dress(stage, frame, bits, true);
        }
        if (bits & 0x40) {
            answer(stage, frame);
        }
        receive(stage, frame);
        break;
    }
    case 2:
        notify(stage, input);
        break;
    default:
        stage->fake->now += (uint64_t)input_number(input, 1) * MS / 16;
        break;
    }
    for (uint32_t i = 0; i < 8; i++) {
        svan_run(stage->fake->core);
    }
}

/* Counts agree, and what is shown is what is there. */
static void check(Stage *stage)
{
    const SvanFlows *flows = &host_fn(stage->host)->net->enforcement->flows;
    struct svan_flow_entry entries[SVAN_MAX_PATHS];
    SvanFlowQuery query = { .paths = true, .max = SVAN_MAX_PATHS };
    uint32_t total, of_paths = 0, congested = 0;
    SvanAged *entry = NULL;

    while ((entry = svan_aged_next(&flows->paths, entry)) != NULL) {
        of_paths += ((SvanPath *)entry)->flows;
        congested += ((SvanPath *)entry)->counted;
    }
    of_paths += flows->other.flows + flows->blind.flows;
    congested += flows->other.counted + flows->blind.counted;
    if (of_paths != flows->flows.count || congested != flows->congested ||
        svan_enforcement_entries(host_fn(stage->host), &query, entries, &total) != total) {
        fake_die("the tables do not agree");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fake *fake;
    Input input = { data, size };
    Stage stage = { .fake = NULL };

    if (!fake) {
        fake = fake_create(NULL);
    }
    fake->now = 1000 * MS;
    stage.fake = fake;
    set(&stage);
    for (uint32_t n = 0; input.size && n < ACTIONS; n++) {
        act(&stage, &input);
    }
    check(&stage);
    host_destroy(stage.host);
    fake_recycle(fake);
    return 0;
}
