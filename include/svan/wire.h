/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RoCEv2 on the wire (IBTA specification volume 1, chapter 9 and annexes A16,
 * A17). All fields are big-endian.
 */
#ifndef SVAN_WIRE_H
#define SVAN_WIRE_H

#include "types.h"

#define SVAN_ROCE_UDP_PORT	4791
#define SVAN_PSN_MASK		0x00ffffffu
#define SVAN_QPN_MASK		0x00ffffffu
#define SVAN_PKEY_DEFAULT	0xffff
#define SVAN_ICRC_SIZE		4

/* base transport header, 9.2 */
struct svan_bth {
	__u8	opcode;			/* enum svan_bth_opcode */
	__u8	flags;			/* SVAN_BTH_* */
	__be16	pkey;
	__be32	dqpn;			/* bits 31..24: FECN, BECN, reserved */
	__be32	psn;			/* bit 31: AckReq */
};

#define SVAN_BTH_SE		0x80	/* solicited; a sequence NAK: call-back */
#define SVAN_BTH_MIGREQ		0x40
#define SVAN_BTH_PAD_MASK	0x30
#define SVAN_BTH_PAD_SHIFT	4
#define SVAN_BTH_TVER_MASK	0x0f
#define SVAN_BTH_FECN		0x80000000u
#define SVAN_BTH_BECN		0x40000000u
#define SVAN_BTH_ACKREQ		0x80000000u

struct svan_reth {
	__be64	va;
	__be32	rkey;
	__be32	length;
} __attribute__((packed));

struct svan_atomic_eth {
	__be64	va;
	__be32	rkey;
	__be64	swap_add;
	__be64	compare;
} __attribute__((packed));

struct svan_aeth {
	__be32	syndrome_msn;		/* bits 31..24 syndrome, 23..0 MSN */
};

struct svan_atomic_ack_eth {
	__be64	orig;
} __attribute__((packed));

struct svan_immdt {
	__be32	imm;
};

struct svan_deth {
	__be32	qkey;
	__be32	sqpn;
};

SVAN_ASSERT_SIZE(struct svan_bth, 12);
SVAN_ASSERT_SIZE(struct svan_reth, 16);
SVAN_ASSERT_SIZE(struct svan_atomic_eth, 28);
SVAN_ASSERT_SIZE(struct svan_aeth, 4);
SVAN_ASSERT_SIZE(struct svan_atomic_ack_eth, 8);
SVAN_ASSERT_SIZE(struct svan_immdt, 4);
SVAN_ASSERT_SIZE(struct svan_deth, 8);
SVAN_ASSERT_OFFSET(struct svan_atomic_eth, swap_add, 12);

/* transport in bits 7..5, operation in bits 4..0, table 38 */
#define SVAN_BTH_TRANSPORT_MASK	0xe0
#define SVAN_BTH_RC		0x00
#define SVAN_BTH_UC		0x20
#define SVAN_BTH_UD		0x60
#define SVAN_BTH_OP_MASK	0x1f

enum svan_bth_opcode {
	SVAN_OP_SEND_FIRST		= 0x00,
	SVAN_OP_SEND_MIDDLE		= 0x01,
	SVAN_OP_SEND_LAST		= 0x02,
	SVAN_OP_SEND_LAST_IMM		= 0x03,
	SVAN_OP_SEND_ONLY		= 0x04,
	SVAN_OP_SEND_ONLY_IMM		= 0x05,
	SVAN_OP_WRITE_FIRST		= 0x06,
	SVAN_OP_WRITE_MIDDLE		= 0x07,
	SVAN_OP_WRITE_LAST		= 0x08,
	SVAN_OP_WRITE_LAST_IMM		= 0x09,
	SVAN_OP_WRITE_ONLY		= 0x0a,
	SVAN_OP_WRITE_ONLY_IMM		= 0x0b,
	SVAN_OP_READ_REQUEST		= 0x0c,
	SVAN_OP_READ_RESP_FIRST		= 0x0d,
	SVAN_OP_READ_RESP_MIDDLE	= 0x0e,
	SVAN_OP_READ_RESP_LAST		= 0x0f,
	SVAN_OP_READ_RESP_ONLY		= 0x10,
	SVAN_OP_ACK			= 0x11,
	SVAN_OP_ATOMIC_ACK		= 0x12,
	SVAN_OP_CMP_SWP			= 0x13,
	SVAN_OP_FETCH_ADD		= 0x14,
	SVAN_OP_SEND_LAST_INV		= 0x16,
	SVAN_OP_SEND_ONLY_INV		= 0x17,
	SVAN_OP_CNP			= 0x81,
};

/* AETH syndrome, 9.7.5.2.1: bit 7 is 0, kind in bits 6..5 */
#define SVAN_AETH_KIND_MASK	0xe0
#define SVAN_AETH_ACK		0x00
#define SVAN_AETH_RNR_NAK	0x20
#define SVAN_AETH_NAK		0x60
#define SVAN_AETH_VALUE_MASK	0x1f	/* credits, RNR timer or NAK code */
#define SVAN_AETH_NO_CREDITS	0x1f	/* credit field: not limited */

enum svan_nak_code {
	SVAN_NAK_PSN_SEQ		= 0,
	SVAN_NAK_INVALID_REQUEST	= 1,
	SVAN_NAK_REMOTE_ACCESS		= 2,
	SVAN_NAK_REMOTE_OPERATIONAL	= 3,
	SVAN_NAK_INVALID_RD_REQUEST	= 4,
};

#endif /* SVAN_WIRE_H */
