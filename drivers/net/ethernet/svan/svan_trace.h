/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of svan.ko. Objects appear under the numbers that the device uses, so
 * that a trace can be compared with QEMU's.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM svan

#if !defined(SVAN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SVAN_TRACE_H

#include <linux/ktime.h>
#include <linux/skbuff.h>
#include <linux/tracepoint.h>

#include "shim.h"
#include "svan.h"

TRACE_EVENT(svan_cmd,
	TP_PROTO(const struct svan_dev *dev, u16 opcode, u32 tag),
	TP_ARGS(dev, opcode, tag),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u16, opcode)
		__field(u32, tag)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->opcode = opcode;
		__entry->tag = tag;
	),
	TP_printk("%s opcode=%#05x tag=%u", __get_str(name), __entry->opcode,
		  __entry->tag)
);

TRACE_EVENT(svan_cmd_done,
	TP_PROTO(const struct svan_dev *dev, const struct svan_cmd_wait *wait),
	TP_ARGS(dev, wait),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u16, opcode)
		__field(u8, status)
		__field(int, err)
		__field(u32, tag)
		__field(u32, syndrome)
		__field(s64, duration)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->opcode = wait->opcode;
		__entry->tag = wait->tag;
		__entry->err = wait->err;
		__entry->status = wait->resp.status;
		__entry->syndrome = le32_to_cpu(wait->resp.syndrome);
		__entry->duration = ktime_to_ns(ktime_sub(ktime_get(), wait->start));
	),
	TP_printk("%s opcode=%#05x tag=%u err=%d status=%u syndrome=%u ns=%lld",
		  __get_str(name), __entry->opcode, __entry->tag, __entry->err,
		  __entry->status, __entry->syndrome, __entry->duration)
);

TRACE_EVENT(svan_eqe,
	TP_PROTO(const struct svan_dev *dev, u32 eqn, u8 type, u32 qn, u32 data),
	TP_ARGS(dev, eqn, type, qn, data),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u32, eqn)
		__field(u32, qn)
		__field(u32, data)
		__field(u8, type)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->eqn = eqn;
		__entry->type = type;
		__entry->qn = qn;
		__entry->data = data;
	),
	TP_printk("%s eqn=%u type=%#04x qn=%#x data=%#x", __get_str(name),
		  __entry->eqn, __entry->type, __entry->qn, __entry->data)
);

TRACE_EVENT(svan_doorbell,
	TP_PROTO(const struct svan_dev *dev, u32 reg, u32 qn, u32 index),
	TP_ARGS(dev, reg, qn, index),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u32, reg)
		__field(u32, qn)
		__field(u32, index)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->reg = reg;
		__entry->qn = qn;
		__entry->index = index;
	),
	TP_printk("%s %s qn=%#x index=%u", __get_str(name),
		  __print_symbolic(__entry->reg,
				   { SVAN_UAR_SQ_DB, "sq" },
				   { SVAN_UAR_RQ_DB, "rq" },
				   { SVAN_UAR_CQ_DB, "cq" }),
		  __entry->qn, __entry->index)
);

#define svan_show_verdict(verdict) \
	__print_symbolic(verdict, \
		{ SVAN_VERDICT_CLEAR,		"clear" }, \
		{ SVAN_VERDICT_LATER,		"later" }, \
		{ SVAN_VERDICT_NONE,		"none" }, \
		{ SVAN_VERDICT_CONGESTING,	"congesting" })

TRACE_EVENT(svan_verdict,
	TP_PROTO(const struct svan_dev *dev, u32 function,
		 const struct svan_flow_entry *path, u32 verdict),
	TP_ARGS(dev, function, path, verdict),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__array(u8, peer, 16)
		__field(u32, function)
		__field(u32, verdict)
		__field(u32, loss)
		__field(u32, cnps)
		__field(u32, rtt)
		__field(u32, rtt_min)
	),
	TP_fast_assign(
		__assign_str(name);
		memcpy(__entry->peer, path->peer, sizeof(__entry->peer));
		__entry->function = function;
		__entry->verdict = verdict;
		__entry->loss = le32_to_cpu(path->loss);
		__entry->cnps = le32_to_cpu(path->cnps);
		__entry->rtt = le32_to_cpu(path->rtt);
		__entry->rtt_min = le32_to_cpu(path->rtt_min);
	),
	TP_printk("%s function=%u peer=%pI6c verdict=%s loss=%u cnps=%u rtt=%u rtt_min=%u",
		  __get_str(name), __entry->function, __entry->peer,
		  svan_show_verdict(__entry->verdict), __entry->loss, __entry->cnps,
		  __entry->rtt, __entry->rtt_min)
);

TRACE_EVENT(svan_policy,
	TP_PROTO(const struct svan_dev *dev, u32 function, const char *policy),
	TP_ARGS(dev, function, policy),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__string(policy, policy)
		__field(u32, function)
	),
	TP_fast_assign(
		__assign_str(name);
		__assign_str(policy);
		__entry->function = function;
	),
	TP_printk("%s function=%u policy=%s", __get_str(name), __entry->function,
		  __get_str(policy))
);

TRACE_EVENT(svan_tx,
	TP_PROTO(const struct svan_dev *dev, u32 qpn, u32 index,
		 const struct sk_buff *skb, u8 flags),
	TP_ARGS(dev, qpn, index, skb, flags),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u32, qpn)
		__field(u32, index)
		__field(const void *, skb)
		__field(u32, length)
		__field(u8, num_sge)
		__field(u8, flags)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qpn;
		__entry->index = index;
		__entry->skb = skb;
		__entry->length = skb->len;
		__entry->num_sge = skb_shinfo(skb)->nr_frags + 1;
		__entry->flags = flags;
	),
	TP_printk("%s qpn=%#x index=%u skb=%p length=%u num_sge=%u flags=%#04x",
		  __get_str(name), __entry->qpn, __entry->index, __entry->skb,
		  __entry->length, __entry->num_sge, __entry->flags)
);

TRACE_EVENT(svan_tx_done,
	TP_PROTO(const struct svan_dev *dev, u32 qpn, u32 index, u8 status),
	TP_ARGS(dev, qpn, index, status),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u32, qpn)
		__field(u32, index)
		__field(u8, status)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qpn;
		__entry->index = index;
		__entry->status = status;
	),
	TP_printk("%s qpn=%#x index=%u status=%u", __get_str(name),
		  __entry->qpn, __entry->index, __entry->status)
);

TRACE_EVENT(svan_rx,
	TP_PROTO(const struct svan_dev *dev, u32 qpn, const struct svan_cqe *cqe),
	TP_ARGS(dev, qpn, cqe),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u32, qpn)
		__field(u32, index)
		__field(u32, length)
		__field(u8, flags)
		__field(u8, status)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->qpn = qpn;
		__entry->index = le32_to_cpu(cqe->wqe_index);
		__entry->length = le32_to_cpu(cqe->byte_len);
		__entry->flags = cqe->owner;
		__entry->status = cqe->status;
	),
	TP_printk("%s qpn=%#x index=%u length=%u flags=%#04x status=%u",
		  __get_str(name), __entry->qpn, __entry->index, __entry->length,
		  __entry->flags, __entry->status)
);

TRACE_EVENT(svan_reset,
	TP_PROTO(const struct svan_dev *dev, int err),
	TP_ARGS(dev, err),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->err = err;
	),
	TP_printk("%s err=%d", __get_str(name), __entry->err)
);

TRACE_EVENT(svan_fatal,
	TP_PROTO(const struct svan_dev *dev, u32 status, u32 code),
	TP_ARGS(dev, status, code),
	TP_STRUCT__entry(
		__string(name, svan_name(dev))
		__field(u32, status)
		__field(u32, code)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->status = status;
		__entry->code = code;
	),
	TP_printk("%s status=%#x code=%#x", __get_str(name), __entry->status,
		  __entry->code)
);

#endif /* SVAN_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE svan_trace
#include <trace/define_trace.h>
