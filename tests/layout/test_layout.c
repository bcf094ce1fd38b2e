/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hardware interface as every compiler and data model sees it. The headers'
 * own asserts are compiled in; here are more offsets, written by hand, the ends
 * of the structures, and runs of the inline functions.
 */
#include <stdio.h>
#include <string.h>

#include <svan/accel.h>
#include <svan/caps.h>
#include <svan/cmd.h>
#include <svan/faults.h>
#include <svan/keys.h>
#include <svan/queues.h>
#include <svan/regs.h>
#include <svan/wire.h>
#include <svan/wire_ring.h>
#include <svan/wqe.h>

static int failed, number;

static void check(int good, const char *what)
{
    number++;
    failed |= !good;
    printf("%sok %d - " VARIANT " %s\n", good ? "" : "not ", number, what);
}

#define END(type, member) \
    (offsetof(struct type, member) + sizeof(((struct type *)0)->member))

/* Nothing is padded: the last member ends where the structure does. */
static void ends(void)
{
#define TIGHT(type, member) do { \
    static_assert(END(type, member) == sizeof(struct type), #type); \
    check(1, #type " ends with " #member); \
} while (0)
    TIGHT(svan_sge, lkey);
    TIGHT(svan_wqe_ctrl, reserved);
    TIGHT(svan_wqe_remote, reserved);
    TIGHT(svan_wqe_atomic, sge);
    TIGHT(svan_wqe_eth, reserved);
    TIGHT(svan_av, reserved);
    TIGHT(svan_qp_dbr, reserved1);
    TIGHT(svan_cqe, owner);
    TIGHT(svan_cq_dbr, reserved);
    TIGHT(svan_eqe, owner);
    TIGHT(svan_cmd_query, function);
    TIGHT(svan_cmd_create_eq, reserved);
    TIGHT(svan_cmd_create_key, reserved);
    TIGHT(svan_cmd_create_cq, reserved);
    TIGHT(svan_cmd_moderate_cq, period_us);
    TIGHT(svan_cmd_create_counter, reserved);
    TIGHT(svan_cmd_modify_counter, error);
    TIGHT(svan_cmd_attach_counter, reserved);
    TIGHT(svan_cmd_create_qp, dbr_va);
    TIGHT(svan_qp_attr, qkey);
    TIGHT(svan_cmd_modify_qp, av);
    TIGHT(svan_cmd_set_gid, reserved1);
    TIGHT(svan_cmd_eth_filter, reserved1);
    TIGHT(svan_cmd_eth_mcast, reserved);
    TIGHT(svan_cmd_port, reserved);
    TIGHT(svan_cmd_create_prq, reserved);
    TIGHT(svan_cmd_fault_policy, policy);
    TIGHT(svan_cmd_spare_pages, reserved);
    TIGHT(svan_cmd_context_table, reserved);
}

static void more_ends(void)
{
    TIGHT(svan_function_attr, tx_share);
    TIGHT(svan_cmd_set_function, reserved);
    TIGHT(svan_cmd_set_rate_group, reserved);
    TIGHT(svan_congestion_attr, enabled);
    TIGHT(svan_cmd_query_key_resp, reserved);
    TIGHT(svan_cmd_query_qp_resp, reserved);
    TIGHT(svan_cmd_resp, payload);
    TIGHT(svan_stats, enforce_echoes_hidden);
    TIGHT(svan_caps, max_counter);
    TIGHT(svan_process_context, reserved2);
    TIGHT(svan_page_request, owner);
    TIGHT(svan_page_response, time_ns);
    TIGHT(svan_fault_policy, divert_pages);
    TIGHT(svan_bth, psn);
    TIGHT(svan_reth, length);
    TIGHT(svan_atomic_eth, compare);
    TIGHT(svan_accel_reduce, unused);
    TIGHT(svan_accel_checksum, unused);
    TIGHT(svan_accel_wait, status);
    TIGHT(svan_accel_copy_wqe, unused);
    TIGHT(svan_accel_patch, unused);
    TIGHT(svan_accel_loop, unused);
    TIGHT(svan_accel_cmd, octets);
    TIGHT(svan_accel_completion, time_ns);
    TIGHT(svan_accel_record, head);
}

#define AT(type, member, offset) do { \
    SVAN_ASSERT_OFFSET(struct type, member, offset); \
    check(1, #type "." #member); \
} while (0)

static void wire_ends(void)
{
    TIGHT(svan_wire_hello, features);
    TIGHT(svan_wire_setup, size);
    TIGHT(svan_wire_ready, reserved);
    TIGHT(svan_ring_producer, reserved);
    TIGHT(svan_ring_consumer, reserved);
    TIGHT(svan_ring_record, reserved);
}

/* Offsets that no header asserts, written down once more. */
static void offsets(void)
{
    AT(svan_sge, length, 8);
    AT(svan_wqe_ctrl, inline_length, 4);
    AT(svan_wqe_head, atomic.sge, 48);
    AT(svan_qp_dbr, rq_pi, 4);
    AT(svan_cqe, wqe_index, 4);
    AT(svan_cqe, imm, 12);
    AT(svan_cqe, opcode, 60);
    AT(svan_cqe, status, 62);
    AT(svan_eqe, type, 12);
    AT(svan_cmd, hdr.tag, 4);
    AT(svan_cmd, create_eq.eqn, 24);
    AT(svan_cmd, create_eq.log_size, 30);
    AT(svan_cmd, create_key.access, 20);
    AT(svan_cmd, create_key.table, 48);
    AT(svan_cmd, create_cq.uar, 36);
    AT(svan_cmd, create_cq.log_size, 40);
    AT(svan_cmd, create_cq.flags, 41);
    AT(svan_cmd, create_counter.success_key, 32);
    AT(svan_cmd, create_counter.owner, 56);
    AT(svan_cmd, modify_counter.success, 24);
    AT(svan_cmd, attach_counter.sides, 24);
    AT(svan_cmd, create_qp.pd, 24);
    AT(svan_cmd, create_qp.ring_key, 48);
    AT(svan_cmd, create_qp.srq, 64);
    AT(svan_cmd, modify_qp.attr, 24);
    AT(svan_cmd, modify_qp.attr.dest_qpn, 36);
    AT(svan_cmd, modify_qp.av.sgid_index, 86);
    AT(svan_cmd, set_gid.smac, 40);
    AT(svan_cmd, eth_filter.max_frame, 28);
    AT(svan_cmd, create_prq.log_size, 32);
    AT(svan_cmd, fault_policy.policy, 24);
    AT(svan_cmd, spare_pages.count, 24);
    AT(svan_cmd, context_table.count, 24);
    AT(svan_cmd_resp, status, 4);
    AT(svan_cmd_resp, syndrome, 8);
    AT(svan_cmd_resp, payload, 16);
    AT(svan_caps, off_reason, 12);
    AT(svan_caps, max_qp_wqebb, 48);
    AT(svan_caps, max_msg_size, 72);
    AT(svan_caps, clock_khz, 96);
    AT(svan_caps, max_pasid, 108);
    AT(svan_caps, fault_buffer, 120);
    AT(svan_caps, max_counter, 124);
    AT(svan_process_context, generation, 12);
    AT(svan_process_context, location_entries, 24);
    AT(svan_page_request, entry, 8);
    AT(svan_page_request, pasid, 28);
    AT(svan_page_request, attempt, 38);
    AT(svan_fault_policy, bound_us, 16);
    AT(svan_atomic_eth, rkey, 8);
}

static void accelerator_offsets(void)
{
    AT(svan_accel_cmd, tag, 4);
    AT(svan_accel_cmd, wait.errors, 32);
    AT(svan_accel_cmd, wait.status, 56);
    AT(svan_accel_cmd, patch.src_width, 40);
    AT(svan_accel_cmd, reduce.op, 40);
    AT(svan_accel_cmd, checksum.seed, 32);
    AT(svan_accel_cmd, copy_wqe.blocks, 32);
}

/* The encoders, against octets written by hand. */
static void encoders(void)
{
    union svan_wqebb ring[4], want[4];
    struct svan_sq_ring sq = { .bbs = ring, .mask = 3 };
    struct svan_wqe_head *head;
    __u8 text[100];
    __u32 i;

    memset(ring, 0, sizeof(ring));
    memset(want, 0, sizeof(want));
    head = svan_wqe_begin(&sq, 7, SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED,
                          0);
    svan_wqe_set_remote(head, 0x1122334455667788ull, 0x99aabbcc);
    svan_wqe_set_num_sge(head, 3);
    for (i = 0; i < 3; i++) {
        svan_sge_set(svan_wqe_sge(&sq, 7, i), 0x1000 + i, 0x20 + i, 0x30 + i);
    }
    memcpy(want[3].data, "\x04\x01\x02\x03", 4);
    memcpy(want[3].data + 16,
           "\x88\x77\x66\x55\x44\x33\x22\x11\xcc\xbb\xaa\x99", 12);
    memcpy(want[3].data + 32, "\x00\x10\0\0\0\0\0\0\x20\0\0\0\x30\0\0\0"
           "\x01\x10\0\0\0\0\0\0\x21\0\0\0\x31\0\0\0", 32);
    memcpy(want[0].data, "\x02\x10\0\0\0\0\0\0\x22\0\0\0\x32\0\0\0", 16);
    check(!memcmp(ring, want, sizeof(ring)), "a WRITE of three entries");

    memset(ring, 0, sizeof(ring));
    memset(want, 0, sizeof(want));
    for (i = 0; i < sizeof(text); i++) {
        text[i] = i + 1;
    }
    head = svan_wqe_begin(&sq, 2, SVAN_WQE_SEND, 0, 0);
    svan_wqe_put_inline(&sq, 2, 0, text, 40);
    svan_wqe_put_inline(&sq, 2, 40, text + 40, 60);
    svan_wqe_set_inline(head, 100);
    memcpy(want[2].data, "\x01\x08\x03\0\x64", 5);
    memcpy(want[2].data + 32, text, 32);
    memcpy(want[3].data, text + 32, 64);
    memcpy(want[0].data, text + 96, 4);
    check(!memcmp(ring, want, sizeof(ring)), "100 octets inline");

}

/* Numbers and words. */
static void words(void)
{
    check(svan_wqe_sge_bbs(2) == 1 && svan_wqe_sge_bbs(3) == 2 &&
          svan_wqe_sge_bbs(SVAN_MAX_SGE) == SVAN_WQE_MAX_BBS - 1,
          "blocks of entries");
    check(svan_wqe_inline_bbs(0) == 1 && svan_wqe_inline_bbs(33) == 2 &&
          svan_wqe_inline_bbs(SVAN_MAX_INLINE) == SVAN_WQE_MAX_BBS - 1,
          "blocks of inline octets");
    check(svan_rwqe_log_stride(0) == 5 && svan_rwqe_log_stride(1) == 5 &&
          svan_rwqe_log_stride(2) == 6 && svan_rwqe_log_stride(30) == 9,
          "stride of receive entries");
    check(svan_cqe_valid(SVAN_CQE_PHASE, 0, 4) && !svan_cqe_valid(0, 15, 4) &&
          svan_cqe_valid(0, 16, 4) && !svan_cqe_valid(SVAN_CQE_PHASE, 31, 4) &&
          svan_eqe_valid(SVAN_EQE_PHASE, 32, 4) &&
          svan_cmd_resp_valid(1, 0, 2) && !svan_cmd_resp_valid(0, 3, 2),
          "phases");
    check(svan_db_value(0x12345678, 0x9abcdef0) == 0x9abcdef000345678ull,
          "doorbell values");
    check(svan_mtt_present(0xfff123456789abcdull, 1) == 0x000123456789a003ull &&
          svan_mtt_present(0x1000, 0) == 0x1001, "present table entries");
    check(svan_mtt_absent(5, 1000) == (1000ull << 16 | 10) &&
          svan_mtt_absent(0, ~0ull) == 0xffffffffffff0000ull,
          "absent table entries");
    check(svan_mtt_absent_class(svan_mtt_absent(9, 77)) == 9 &&
          svan_mtt_absent_time(svan_mtt_absent(9, 77)) == 77,
          "what absent table entries say");
    check(svan_pte_location(0) == SVAN_LOCATION_NONE &&
          svan_pte_location(0x8000000012345100ull) == SVAN_LOCATION_PROTNONE &&
          svan_pte_location(0x07ffffffffffe002ull) == SVAN_LOCATION_SWAP &&
          svan_pte_location(~0x101ull) == SVAN_LOCATION_COUNT - 1,
          "locations of absent pages");
    check(svan_inv_context(0x7f0000123fffull, 2) == 0x7f0000123002ull &&
          svan_inv_context(0, SVAN_INV_CONTEXT_ALL) == 0x3f,
          "invalidations of a context");
    check(svan_accel_invalidate(0x7f0000123fffull, 2) == 0x7f0000123002ull &&
          svan_accel_invalidate(~0ull, 64) == SVAN_ACCEL_INV_ADDR_MASK,
          "invalidations of a context of the accelerator");
}

int main(void)
{
    ends();
    more_ends();
    wire_ends();
    offsets();
    accelerator_offsets();
    encoders();
    words();
    printf("1..%d\n", number);
    return failed;
}
