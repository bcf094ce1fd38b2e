/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A MISS anywhere: whatever was done comes out the same when any one map of it
 * misses, or when every page misses in every step.
 */
#include "page_table.h"
#include "unit.h"

typedef void Scenario(Host *host);

static void queries(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_CAPS);
    uint64_t pages = fake_alloc(host->fake, 8192, 4096);

    cmd.query.addr = htole64(pages + 4096 - 64);
    cmd.query.length = htole32(4096);
    host_must(host, &cmd);
    cmd = host_cmd_init(SVAN_CMD_ETH_SET_MCAST);
    cmd.eth_mcast.addr = htole64(pages);
    cmd.eth_mcast.count = htole32(5);
    host_must(host, &cmd);
    host_object(host, SVAN_CMD_QUERY_KEY, host->all_key);
    host_object(host, SVAN_CMD_QUERY_KEY, 0x77700);
}

static void objects(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    cmd.hdr.flags = htole16(SVAN_CMD_NOTIFY);
    for (uint32_t i = 0; i < 3; i++) {
        HostCq cq = host_cq(host, 4);
        HostQp qp = host_qp(host, &cq, &cq, NULL);

        host_connect(&qp, &qp);
        host_must(host, &cmd);
        if (i) {
            host_object(host, SVAN_CMD_DESTROY_CQ, cq.cqn);
            host_object(host, SVAN_CMD_DESTROY_QP, qp.qpn);
            host_object(host, SVAN_CMD_DESTROY_CQ, cq.cqn);
        }
    }
}

static void fill(Host *host, uint64_t bus, uint32_t len)
{
    uint8_t *bytes = fake_ram(host->fake, bus);

    for (uint32_t i = 0; i < len; i++) {
        bytes[i] = i * 13 + i / 251;
    }
}

/* Through a table of four levels, to other pages than it comes from. */
static void transfers(Host *host)
{
    HostCq cq = host_cq(host, 5);
    HostQp a = host_qp(host, &cq, &cq, NULL), b = host_qp(host, &cq, &cq, NULL);
    uint64_t src = fake_alloc(host->fake, 20480, 4096);
    uint64_t dst = fake_alloc(host->fake, 20480, 4096);
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED, .levels = 4, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(host->pd), .va = htole64(0x10000000123),
        .length = htole64(20000),
        .table = htole64(host_mtt(host, dst, 5, 4, 12, true)),
    };
    HostSend send = {
        .flags = SVAN_WQE_SIGNALED, .addr = src + 7, .length = 10000,
        .remote = 0x10000000123, .rkey = host_key(host, &key),
    };
    static const uint8_t opcodes[] = {
        SVAN_WQE_RDMA_WRITE, SVAN_WQE_SEND, SVAN_WQE_RDMA_WRITE_IMM,
        SVAN_WQE_RDMA_READ,
    };

    fill(host, src, 20480);
    host_connect(&a, &b);
    for (uint32_t i = 0; i < SIZE(opcodes); i++) {
        host_recv(&b, dst + 12000, 8192 + 4096 * 1);
        send.opcode = opcodes[i];
        send.addr = src + 7 + i * 256;
        host_send(&a, &send);
        host_post(&a);
        host_cq_arm(&cq, i & 1);
        fake_run(host->fake);
        cq.ci = svan_cq_get(host_fn(host), cq.cqn)->pi;
    }
    assert_int_equal(host_state(&a), SVAN_QPS_RTS);
    assert_int_equal(cq.ci, 6);
}

/* Of all that two queue pairs complete, with CQEs and without. */
static void counters(Host *host)
{
    HostCq cq = host_cq(host, 5);
    HostQpAttr silent = { .flags = SVAN_CMD_QP_RECV_NO_CQE };
    HostQp a = host_qp(host, &cq, &cq, NULL);
    HostQp b = host_qp(host, &cq, &cq, &silent);
    uint64_t counts = fake_alloc(host->fake, 8192, 4096);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_COUNTER);
    HostSend send = { .addr = counts + 64, .length = 9, .lkey = host->all_key };
    uint32_t id;

    cmd.create_counter.success_va = htole64(counts);
    cmd.create_counter.error_va = htole64(counts + 4096);
    cmd.create_counter.success_key = htole32(host->ring_key);
    cmd.create_counter.error_key = htole32(host->ring_key);
    cmd.create_counter.success = htole64(100);
    id = host_must(host, &cmd);
    for (uint32_t i = 0; i < 2; i++) {
        cmd = host_cmd_init(SVAN_CMD_ATTACH_COUNTER);
        cmd.attach_counter.qpn = htole32(i ? b.qpn : a.qpn);
        cmd.attach_counter.counter = htole32(id);
        cmd.attach_counter.sides = htole32(SVAN_ATTACH_COUNTER_MASK);
        host_must(host, &cmd);
    }
    host_connect(&a, &b);
    for (uint32_t i = 0; i < 6; i++) {
        if (i < 4) {
            host_recv(&b, counts + 4096 + 64, 9);
        }
        send.opcode = i < 3 ? SVAN_WQE_SEND : SVAN_WQE_NOP;
        send.flags = i & SVAN_WQE_SIGNALED;
        send.length = i < 3 ? 9 : 0;
        host_send(&a, &send);
    }
    host_post(&a);
    fake_run(host->fake);
    host_modify(&b, SVAN_QPS_ERR, 0, NULL);
    cmd = host_cmd_init(SVAN_CMD_MODIFY_COUNTER);
    cmd.modify_counter.counter = htole32(id);
    cmd.modify_counter.mask = htole32(SVAN_MODIFY_COUNTER_MASK);
    cmd.modify_counter.success = cmd.modify_counter.error = htole64(1000);
    host_must(host, &cmd);
    assert_int_equal(*(uint64_t *)fake_ram(host->fake, counts),
                     htole64(1109));
    assert_int_equal(*(uint64_t *)fake_ram(host->fake, counts + 4096),
                     htole64(1001));
    assert_int_equal(svan_cq_get(host_fn(host), cq.cqn)->pi, 4);
}

/* The page table of a process over n pages at PROCESS_VA, and a key to it. */
#define PROCESS_VA      0x7f0012345000ull

static uint32_t process(Host *host, uint64_t bus, uint32_t n)
{
    uint64_t contexts = fake_alloc(host->fake, 4096, 4096);
    struct svan_process_context *context = fake_ram(host->fake, contexts);
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PROCESS, .page_shift = 12, .pasid = htole32(1),
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(host->pd), .length = htole64(1ull << 47),
    };
    PageTable table = { .fake = host->fake, .process = true, .levels = 4 };

    host_set_contexts(host, contexts, 2);
    page_table_init(&table);
    page_table_to_context(&table, &context[1]);
    for (uint32_t i = 0; i < n; i++) {
        *page_table_make(&table, PROCESS_VA / SVAN_PAGE_SIZE + i, 1) =
            htole64(page_table_present(&table, bus + i * 4096, true));
    }
    return host_key(host, &key);
}

/* Between what a process sees and the pages of an on-demand key. */
static void processes(Host *host)
{
    HostCq cq = host_cq(host, 5);
    HostQp a = host_qp(host, &cq, &cq, NULL), b = host_qp(host, &cq, &cq, NULL);
    uint64_t src = fake_alloc(host->fake, 20480, 4096);
    uint64_t dst = fake_alloc(host->fake, 20480, 4096);
    struct svan_cmd_create_key ondemand = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 2, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(host->pd), .length = htole64(20480),
        .table = htole64(host_mtt(host, dst, 5, 2, 12, true)),
    };
    HostSend send = {
        .flags = SVAN_WQE_SIGNALED, .addr = PROCESS_VA + 7, .length = 9000,
        .remote = 123, .lkey = process(host, src, 5),
        .rkey = host_key(host, &ondemand),
    };

    fill(host, src, 20480);
    host_connect(&a, &b);
    for (uint32_t i = 0; i < 3; i++) {
        send.opcode = i == 1 ? SVAN_WQE_RDMA_READ : SVAN_WQE_RDMA_WRITE;
        send.addr += i * 1024;
        svan_reg_write(host->fake->core, 0, SVAN_REG_INV_CONTEXT(1),
                       i == 1 ? SVAN_INV_CONTEXT_ALL :
                                svan_inv_context(PROCESS_VA, 1), 8);
        host_send(&a, &send);
        host_post(&a);
        fake_run(host->fake);
    }
    assert_int_equal(svan_cq_get(host_fn(host), cq.cqn)->pi, 3);
    assert_int_equal(host_state(&a), SVAN_QPS_RTS);
    assert_memory_equal(fake_ram(host->fake, src + 7 + 3072),
                        fake_ram(host->fake, dst + 123), 9000);
}

static void ethernet(Host *host)
{
    HostCq cq = host_cq(host, 4);
    HostQpAttr attr = { .type = SVAN_QPT_ETH };
    HostQp qp = host_qp(host, &cq, &cq, &attr);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);
    uint64_t buffer = fake_alloc(host->fake, 32768, 4096);
    HostSend send = {
        .opcode = SVAN_WQE_ETH_SEND, .flags = SVAN_WQE_SIGNALED,
        .addr = buffer + 16384, .length = 5000,
    };
    SvanFrame *frame;

    fill(host, buffer + 16384, 5000);
    host_eth_rts(&qp);
    cmd.eth_filter.qpn = htole32(qp.qpn);
    cmd.eth_filter.flags = SVAN_CMD_ETH_PROMISC;
    cmd.eth_filter.max_frame = htole32(9000);
    host_must(host, &cmd);
    host_recv(&qp, buffer + 5, 9000);
    host_send(&qp, &send);
    host_post(&qp);
    fake_run(host->fake);
    frame = fake_frame(host->fake);
    assert_non_null(frame);
    assert_int_equal(frame->len, 5000);
    assert_memory_equal(frame->data, fake_ram(host->fake, buffer + 16384),
                        5000);
    assert_true(svan_frame_in(host->fake->core, frame));
    fake_run(host->fake);
    assert_memory_equal(fake_ram(host->fake, buffer + 5),
                        fake_ram(host->fake, buffer + 16384), 5000);
}

#define QKEY            0x1234u
#define GRH             40u

static const uint8_t group[16] = { [10] = 0xff, 0xff, 239, 1, 2, 3 };

/* A queue pair of its own, one of another, and a group that both are in, beyond pages' ends. */
static void datagrams(Host *host)
{
    HostCq scq = host_cq(host, 4), rcq = host_cq(host, 4);
    HostQpAttr attr = { .type = SVAN_QPT_UD };
    HostQp a = host_qp(host, &scq, &rcq, &attr), b = host_qp(host, &scq, &rcq, &attr);
    uint64_t src = fake_alloc(host->fake, 8192, 4096);
    uint64_t dst = fake_alloc(host->fake, 32768, 4096);
    struct svan_av avs[] = { host_av(&b, QKEY), host_group_av(group, QKEY), host_av(&a, QKEY) };
    HostWr wr = {
        .flags = SVAN_WQE_SIGNALED, .num_sge = 2, .imm = 77,
        .sge = { { src + 4000, 200, host->all_key }, { src + 7, 3000, host->all_key } },
    };

    fill(host, src, 8192);
    host_datagrams(&a, QKEY);
    host_datagrams(&b, QKEY);
    host_join(&a, group);
    host_join(&b, group);
    for (uint32_t i = 0; i < SIZE(avs); i++) {
        host_recv(&a, dst + 4096 * i + 2000, GRH + 3200);
        host_recv(&b, dst + 16384 + 4096 * i + 2000, GRH + 3200);
    }
    for (uint32_t i = 0; i < SIZE(avs); i++) {
        wr.opcode = i ? SVAN_WQE_SEND_IMM : SVAN_WQE_SEND;
        wr.av = &avs[i];
        host_write_wqe(&a, &wr);
        host_post(&a);
        fake_run(host->fake);
    }
    svan_frame_free(fake_frame(host->fake));    /* for the group, by the port */
    assert_null(fake_frame(host->fake));
    assert_int_equal(svan_cq_get(host_fn(host), scq.cqn)->pi, 3);
    assert_int_equal(svan_cq_get(host_fn(host), rcq.cqn)->pi, 4);
    assert_memory_equal(fake_ram(host->fake, dst + 16384 + 2000 + GRH + 200),
                        fake_ram(host->fake, src + 7), 3000);
}

static void unreliable(Host *host)
{
    static const uint8_t opcodes[] = {
        SVAN_WQE_SEND, SVAN_WQE_RDMA_WRITE, SVAN_WQE_RDMA_WRITE_IMM,
    };
    HostCq scq = host_cq(host, 4), rcq = host_cq(host, 4);
    HostQpAttr attr = { .type = SVAN_QPT_UC };
    HostQp a = host_qp(host, &scq, &rcq, &attr), b = host_qp(host, &scq, &rcq, &attr);
    uint64_t src = fake_alloc(host->fake, 20480, 4096);
    uint64_t dst = fake_alloc(host->fake, 20480, 4096);
    HostSend send = {
        .flags = SVAN_WQE_SIGNALED, .length = 10000, .remote = dst + 123,
        .rkey = host->all_key,
    };

    fill(host, src, 20480);
    host_connect(&a, &b);
    for (uint32_t i = 0; i < SIZE(opcodes); i++) {
        host_recv(&b, dst + 300, 12000);
        send.opcode = opcodes[i];
        send.addr = src + 7 + i * 256;
        host_send(&a, &send);
        host_post(&a);
        fake_run(host->fake);
    }
    assert_int_equal(svan_cq_get(host_fn(host), scq.cqn)->pi, 3);
    assert_int_equal(svan_cq_get(host_fn(host), rcq.cqn)->pi, 2);
    assert_memory_equal(fake_ram(host->fake, src + 7 + 512),
                        fake_ram(host->fake, dst + 123), 10000);
}

static uint32_t touched(const Fake *fake)
{
    return fake->used > fake->dirty ? fake->used : fake->dirty;
}

static void run(Fake *fake, Scenario *scenario, uint64_t miss_at,
                uint32_t miss_every)
{
    Host *host;

    fake_recycle(fake);
    fake->miss_at = miss_at;
    fake->miss_every = miss_every;
    host = host_create(fake, 0, 1);
    scenario(host);
    fake_run(fake);
    host_destroy(host);
}

/* Guest memory is the same in the end. */
static void check_scenario(Scenario *scenario)
{
    Fake *want = fake_create(NULL), *got = fake_create(NULL);

    run(want, scenario, 0, 0);
    for (uint32_t every = 1; every <= 4; every++) {
        run(got, scenario, 0, every);
        assert_true(got->misses > want->maps / 20);
        assert_int_equal(touched(got), touched(want));
        assert_memory_equal(got->ram, want->ram, touched(want));
    }
    for (uint64_t at = 1; at <= want->maps; at++) {
        run(got, scenario, at, 0);
        assert_int_equal(got->misses, 1);
        assert_int_equal(touched(got), touched(want));
        assert_memory_equal(got->ram, want->ram, touched(want));
    }
    fake_destroy(want);
    fake_destroy(got);
}

static void of_queries(void **state)
{
    check_scenario(queries);
}

static void of_objects(void **state)
{
    check_scenario(objects);
}

static void of_transfers(void **state)
{
    check_scenario(transfers);
}

static void of_counters(void **state)
{
    check_scenario(counters);
}

static void of_processes(void **state)
{
    check_scenario(processes);
}

static void of_ethernet(void **state)
{
    check_scenario(ethernet);
}

static void of_datagrams(void **state)
{
    check_scenario(datagrams);
}

static void of_unreliable_connections(void **state)
{
    check_scenario(unreliable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_queries),
        cmocka_unit_test(of_objects),
        cmocka_unit_test(of_transfers),
        cmocka_unit_test(of_counters),
        cmocka_unit_test(of_processes),
        cmocka_unit_test(of_ethernet),
        cmocka_unit_test(of_datagrams),
        cmocka_unit_test(of_unreliable_connections),
    };

    return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
