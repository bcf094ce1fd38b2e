/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * PCI identity, BAR map, registers and doorbells (PRM chapter "Registers").
 * Registers are little-endian. Unless said otherwise a register is 32 bits
 * wide and takes aligned 32-bit accesses; registers marked (64) take one
 * aligned 64-bit access or two 32-bit accesses, low half first.
 */
#ifndef SVAN_REGS_H
#define SVAN_REGS_H

#include "types.h"

/*
 * 1af4:10f0 to 1af4:10ff is the range QEMU reserves for experimental devices.
 * Subsystem ids are 1af4:1100 as for every QEMU device.
 */
#define SVAN_PCI_VENDOR_ID		0x1af4
#define SVAN_PCI_DEVICE_ID_PF		0x10f0
#define SVAN_PCI_DEVICE_ID_VF		0x10f1
#define SVAN_PCI_DEVICE_ID_ACCEL	0x10f2
#define SVAN_PCI_REVISION		0x01

/* BAR map, the same for PF and VF but for the size of the UAR window */
#define SVAN_BAR_REGS			0
#define SVAN_BAR_REGS_SIZE		0x10000
#define SVAN_BAR_UAR			2
#define SVAN_BAR_DEVMEM			4	/* reserved: on-NIC memory */
#define SVAN_UAR_SHIFT			12
#define SVAN_UAR_SIZE			(1u << SVAN_UAR_SHIFT)
#define SVAN_PF_UAR_COUNT		4096
#define SVAN_VF_UAR_COUNT		256
#define SVAN_PF_MSIX_COUNT		33	/* vector 0: async EQ */
#define SVAN_VF_MSIX_COUNT		9
#define SVAN_MAX_VFS			64
#define SVAN_MSIX_TABLE_OFFSET		0x8000	/* in BAR 0 */
#define SVAN_MSIX_PBA_OFFSET		0xc000	/* in BAR 0 */

/* identification */
#define SVAN_REG_MAGIC			0x000	/* RO */
#define   SVAN_MAGIC			0x4e415653	/* "SVAN" */
#define SVAN_REG_VERSION		0x004	/* RO */
#define   SVAN_VERSION_MAJOR_MASK	0xffff0000
#define   SVAN_VERSION_MINOR_MASK	0x0000ffff
#define   SVAN_VERSION_MAJOR		1
#define   SVAN_VERSION_MINOR		0
#define   SVAN_VERSION			((SVAN_VERSION_MAJOR << 16) | \
					 SVAN_VERSION_MINOR)
#define SVAN_REG_FUNCTION		0x008	/* RO: 0 = PF, 1.. = VF n */
#define SVAN_REG_UAR_COUNT		0x00c	/* RO: UAR pages of BAR 2 */
#define SVAN_REG_MSIX_COUNT		0x010	/* RO */
#define SVAN_REG_PORT			0x014	/* RO */
#define   SVAN_PORT_LINK_UP		0x00000001
#define   SVAN_PORT_SPEED_MASK		0x00ffff00	/* units of 100 Mb/s */
#define   SVAN_PORT_SPEED_SHIFT		8
#define SVAN_REG_MAC_LO			0x018	/* RO: octets 0-3, octet 0 lowest */
#define SVAN_REG_MAC_HI			0x01c	/* RO: octets 4-5 */

/* control and status */
#define SVAN_REG_CONTROL		0x020	/* RW */
#define   SVAN_CONTROL_ENABLE		0x00000001
#define   SVAN_CONTROL_RESET		0x80000000	/* self-clearing */
#define SVAN_REG_STATUS			0x024	/* RO */
#define   SVAN_STATUS_READY		0x00000001	/* enabled, queue running */
#define   SVAN_STATUS_FATAL		0x80000000	/* see FATAL_CODE */
#define SVAN_REG_FATAL_CODE		0x028	/* RO: enum svan_fatal */
#define SVAN_REG_GENERATION		0x02c	/* RO: +1 for each reset */

/* admin command queue; sizes are latched by CONTROL.ENABLE going 0 -> 1 */
#define SVAN_REG_CMDQ_BASE		0x040	/* RW (64): struct svan_cmd[] */
#define SVAN_REG_CMDR_BASE		0x048	/* RW (64): struct svan_cmd_resp[] */
#define SVAN_REG_CMDQ_LOG_SIZE		0x050	/* RW: entries, 0..8 */
#define   SVAN_CMDQ_MAX_LOG_SIZE	8
#define SVAN_REG_CMDQ_DB		0x054	/* WO: producer index, free-running */
#define SVAN_REG_CMDQ_HEAD		0x058	/* RO: commands completed */

/* clock: free-running VM time, nanoseconds */
#define SVAN_REG_CLOCK			0x060	/* RO (64) */

/*
 * Invalidation of keys (PRM "Translation"): a write to GO drops the translations
 * that overlap [ADDR, ADDR + LENGTH) of the key, addresses as in its table. The write
 * is posted: a read of GO behind it is answered once no epoch (one step of the device)
 * that began before the write is open. Writers of the four registers serialise among
 * themselves.
 */
#define SVAN_REG_INV_TARGET		0x080	/* RW: key, all 32 bits */
#define SVAN_REG_INV_ADDR		0x088	/* RW (64) */
#define SVAN_REG_INV_LENGTH		0x090	/* RW (64): 0 = everything */
#define SVAN_REG_INV_GO			0x098	/* WO: enum svan_inv_kind */

/* page requests (PRM "Faults") */
#define SVAN_REG_PRQ_DB			0x0a0	/* WO: consumer index of requests */
#define   SVAN_PRQ_DB_CI_MASK		0x00ffffff
#define   SVAN_PRQ_DB_ARM		0x80000000
#define SVAN_REG_PRR_DB			0x0a4	/* WO: producer index of responses */

/* tests for the bring-up of drivers */
#define SVAN_REG_TEST_SCRATCH		0x0c0	/* RW */
#define SVAN_REG_TEST_IRQ		0x0c4	/* WO: raise this vector */
#define SVAN_REG_TEST_DMA_ADDR		0x0c8	/* RW (64) */
#define SVAN_REG_TEST_DMA_SIZE		0x0d0	/* RW: 1..4096, within one page */
#define SVAN_REG_TEST_DMA_CTRL		0x0d4	/* RW: write starts, read = result */
#define   SVAN_TEST_DMA_CLEAR		0x1	/* write zeroes to memory */
#define   SVAN_TEST_DMA_FILL		0x2	/* write 0x5a to memory */
#define   SVAN_TEST_DMA_INVERT		0x3	/* invert each byte of memory */
#define   SVAN_TEST_DMA_BUSY		0x100
#define   SVAN_TEST_DMA_ERROR		0x200

/* EQ doorbells: one 32-bit register for each EQ */
#define SVAN_REG_EQ_DB(eqn)		(0x1000 + 4 * (eqn))	/* WO */
#define   SVAN_EQ_DB_CI_MASK		0x00ffffff	/* consumer index */
#define   SVAN_EQ_DB_ARM		0x80000000
#define SVAN_MAX_EQS			256

/*
 * Invalidation of a process context: each PASID has a 64-bit register, and one store
 * to it drops the translations that overlap the range. The store is posted: a read of
 * the register or of INV_GO behind it is answered once no epoch that began before the
 * store is open. Stores of several CPUs need no lock.
 */
#define SVAN_REG_INV_CONTEXT(pasid)	(0x2000 + 8 * (pasid))	/* WO (64) */
#define   SVAN_INV_CONTEXT_ADDR_MASK	0xfffffffffffff000ull	/* aligned to its size */
#define   SVAN_INV_CONTEXT_LOG_MASK	0x000000000000003full	/* log2 of 4 KiB pages */
#define   SVAN_INV_CONTEXT_ALL		0x000000000000003full
#define SVAN_PASID_COUNT		2048

#define SVAN_REG_END			0x6000	/* from here on: reserved, reads 0 */

enum svan_inv_kind {
	SVAN_INV_KEY			= 1,	/* TARGET, ADDR, LENGTH */
	SVAN_INV_FUNCTION		= 2,	/* everything of the function */
};

/* [addr, addr + 2^log_pages pages), for SVAN_REG_INV_CONTEXT */
static inline __u64 svan_inv_context(__u64 addr, __u32 log_pages)
{
	return (addr & SVAN_INV_CONTEXT_ADDR_MASK) |
	       (log_pages & SVAN_INV_CONTEXT_LOG_MASK);
}

/* why STATUS.FATAL is set; only reset leaves the state */
enum svan_fatal {
	SVAN_FATAL_NONE			= 0,
	SVAN_FATAL_CMDQ_DMA		= 1,	/* command or response ring not reachable */
	SVAN_FATAL_CMDQ_INDEX		= 2,	/* producer more than one ring ahead */
	SVAN_FATAL_EQ_DMA		= 3,
	SVAN_FATAL_EQ_OVERRUN		= 4,	/* reserved: events wait for room */
	SVAN_FATAL_INTERNAL		= 5,
	SVAN_FATAL_PRQ_DMA		= 6,	/* page requests or responses */
};

/*
 * UAR page. Each page belongs to one owner (SVAN_CMD_ALLOC_UAR). A doorbell is one
 * aligned 64-bit store; it is counted and ignored if its queue was created with another
 * page. Any other access is counted and ignored; reads return 0.
 */
#define SVAN_UAR_SQ_DB			0x000
#define SVAN_UAR_RQ_DB			0x008
#define SVAN_UAR_CQ_DB			0x010
#define SVAN_UAR_WQE			0x800	/* reserved: WQE by MMIO */

/* doorbell value, bits of the 64-bit word */
#define SVAN_DB_QN_MASK			0x0000000000ffffffull
#define SVAN_DB_CQ_SOLICITED		0x0000000001000000ull	/* CQ_DB only */
#define SVAN_DB_INDEX_SHIFT		32	/* producer (SQ, RQ) or consumer (CQ) */
#define SVAN_DB_INDEX_OLD		0x40000000	/* SQ, RQ: so far behind is late, not bad */

static inline __u64 svan_db_value(__u32 qn, __u32 index)
{
	return ((__u64)index << SVAN_DB_INDEX_SHIFT) | (qn & SVAN_DB_QN_MASK);
}

#endif /* SVAN_REGS_H */
