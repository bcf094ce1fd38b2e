/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of BAR 0 (PRM "Registers"): a table indexed by register.
 */
#include <string.h>

#include "device/device.h"

typedef uint64_t RegRead(SvanFn *fn);
typedef void RegWrite(SvanFn *fn, uint64_t value);

/*
 * A register that just keeps what is written has a field instead of functions.
 * A wide one takes two rows; the second is marked high.
 */
typedef struct Reg {
    RegRead *read;
    RegWrite *write;
    size_t field;               /* in SvanRegs, uint32_t or, if wide, uint64_t */
    uint64_t mask;              /* bits of it that can be written */
    bool wide, high;
    bool needs_parts;           /* writes do nothing while the function is disabled */
} Reg;

#define REG_ROWS        (0x100 / 4)

/* ---- identification ---- */

static uint64_t read_magic(SvanFn *fn)
{
    (void)fn;
    return SVAN_MAGIC;
}

static uint64_t read_version(SvanFn *fn)
{
    (void)fn;
    return SVAN_VERSION;
}

static uint64_t read_function(SvanFn *fn)
{
    return fn->id;
}

static uint64_t read_uar_count(SvanFn *fn)
{
    return fn->uar_count;
}

static uint64_t read_msix_count(SvanFn *fn)
{
    return fn->msix_count;
}

static uint64_t read_port(SvanFn *fn)
{
    return svan_port_status(fn);
}

static uint64_t read_mac_lo(SvanFn *fn)
{
    const uint8_t *mac = fn->net->vport.mac;

    return mac[0] | mac[1] << 8 | mac[2] << 16 | (uint64_t)mac[3] << 24;
}

static uint64_t read_mac_hi(SvanFn *fn)
{
    return fn->net->vport.mac[4] | fn->net->vport.mac[5] << 8;
}

/* ---- control ---- */

static uint64_t read_control(SvanFn *fn)
{
    return fn->regs->enabled ? SVAN_CONTROL_ENABLE : 0;
}

static void write_control(SvanFn *fn, uint64_t value)
{
    bool enable = value & SVAN_CONTROL_ENABLE;

    if ((value & SVAN_CONTROL_RESET) || (fn->regs->enabled && !enable)) {
        svan_reset(fn->core, fn->id);
    } else if (enable && !fn->regs->enabled && svan_parts_make(fn)) {
        svan_fn_set_enabled(fn, true);
        svan_cmdq_start(fn);
    }
}

static uint64_t read_status(SvanFn *fn)
{
    if (fn->fatal) {
        return SVAN_STATUS_FATAL;
    }
    return fn->regs->enabled ? SVAN_STATUS_READY : 0;
}

static uint64_t read_fatal_code(SvanFn *fn)
{
    return fn->fatal;
}

static uint64_t read_generation(SvanFn *fn)
{
    return fn->generation;
}

static void write_cmdq_log_size(SvanFn *fn, uint64_t value)
{
    if (value <= SVAN_CMDQ_MAX_LOG_SIZE) {
        fn->regs->cmdq_log_size = value;
    }
}

static uint64_t read_cmdq_log_size(SvanFn *fn)
{
    return fn->regs->cmdq_log_size;
}

static void write_cmdq_db(SvanFn *fn, uint64_t value)
{
    svan_cmdq_doorbell(fn, value);
}

static uint64_t read_cmdq_head(SvanFn *fn)
{
    return fn->regs->cmdq.ci;
}

static uint64_t read_clock(SvanFn *fn)
{
    return fn->core->ops.now(fn->core->opaque);
}

static void write_prq_db(SvanFn *fn, uint64_t value)
{
    svan_prq_doorbell(fn, value);
}

static void write_prr_db(SvanFn *fn, uint64_t value)
{
    svan_prr_doorbell(fn, value);
}

/*
 * Register accesses come under the engine lock: no epoch is open, and none that
 * begins later finds what is dropped here.
 */
static void write_inv_go(SvanFn *fn, uint64_t value)
{
    switch (value) {
    case SVAN_INV_KEY:
        svan_invalidate_key(fn, fn->regs->inv_target, fn->regs->inv_addr, fn->regs->inv_length);
        break;
    case SVAN_INV_FUNCTION:
        fn->stats->invalidations++;
        svan_tlb_flush(fn);
        break;
    default:
        break;
    }
}

/* ---- bring-up tests ---- */

static void write_test_irq(SvanFn *fn, uint64_t value)
{
    SvanCore *core = fn->core;

    if (value < fn->msix_count) {
        core->ops.irq(core->opaque, fn->id, value);
    }
}

static void write_test_dma_ctrl(SvanFn *fn, uint64_t value)
{
    uint32_t op = value & 0xff;

    if (fn->regs->test_dma_ctrl & SVAN_TEST_DMA_BUSY) {
        return;
    }
    if (!svan_test_dma_is_sane(fn, op)) {
        fn->regs->test_dma_ctrl = op | SVAN_TEST_DMA_ERROR;
        return;
    }
    fn->regs->test_dma_ctrl = op | SVAN_TEST_DMA_BUSY;
    svan_turn_join(fn, SVAN_TURN_CMD, &fn->regs->cmd_link);
}

static uint64_t read_test_dma_ctrl(SvanFn *fn)
{
    return fn->regs->test_dma_ctrl;
}

/* ---- the table ---- */

#define ROW(name)       [SVAN_REG_##name / 4]
#define HIGH_ROW(name)  [SVAN_REG_##name / 4 + 1] = { .high = true }
#define FIELD32(member, bits) \
    { .field = offsetof(SvanRegs, member), .mask = bits }
#define FIELD64(member, bits) \
    { .field = offsetof(SvanRegs, member), .mask = bits, .wide = true }

/* Ring entries do not cross pages: their bases are aligned to them. */
#define CMDQ_MASK       (~(uint64_t)(SVAN_CMD_SIZE - 1))
#define CMDR_MASK       (~(uint64_t)(SVAN_CMD_RESP_SIZE - 1))

static const Reg regs[REG_ROWS] = {
    ROW(MAGIC)          = { .read = read_magic },
    ROW(VERSION)        = { .read = read_version },
    ROW(FUNCTION)       = { .read = read_function },
    ROW(UAR_COUNT)      = { .read = read_uar_count },
    ROW(MSIX_COUNT)     = { .read = read_msix_count },
    ROW(PORT)           = { .read = read_port },
    ROW(MAC_LO)         = { .read = read_mac_lo },
    ROW(MAC_HI)         = { .read = read_mac_hi },
    ROW(CONTROL)        = { .read = read_control, .write = write_control },
    ROW(STATUS)         = { .read = read_status },
    ROW(FATAL_CODE)     = { .read = read_fatal_code },
    ROW(GENERATION)     = { .read = read_generation },
    ROW(CMDQ_BASE)      = FIELD64(cmdq_base, CMDQ_MASK),
    HIGH_ROW(CMDQ_BASE),
    ROW(CMDR_BASE)      = FIELD64(cmdr_base, CMDR_MASK),
    HIGH_ROW(CMDR_BASE),
    ROW(CMDQ_LOG_SIZE)  = { .read = read_cmdq_log_size,
                            .write = write_cmdq_log_size },
    ROW(CMDQ_DB)        = { .write = write_cmdq_db },
    ROW(CMDQ_HEAD)      = { .read = read_cmdq_head },
    ROW(CLOCK)          = { .read = read_clock, .wide = true },
    HIGH_ROW(CLOCK),
    ROW(INV_TARGET)     = FIELD32(inv_target, UINT32_MAX),
    ROW(INV_ADDR)       = FIELD64(inv_addr, UINT64_MAX),
    HIGH_ROW(INV_ADDR),
    ROW(INV_LENGTH)     = FIELD64(inv_length, UINT64_MAX),
    HIGH_ROW(INV_LENGTH),
    ROW(PRQ_DB)         = { .write = write_prq_db, .needs_parts = true },
    ROW(PRR_DB)         = { .write = write_prr_db, .needs_parts = true },
    ROW(INV_GO)         = { .write = write_inv_go, .needs_parts = true },
    ROW(TEST_SCRATCH)   = FIELD32(scratch, UINT32_MAX),
    ROW(TEST_IRQ)       = { .write = write_test_irq },
    ROW(TEST_DMA_ADDR)  = FIELD64(test_dma_addr, UINT64_MAX),
    HIGH_ROW(TEST_DMA_ADDR),
    ROW(TEST_DMA_SIZE)  = FIELD32(test_dma_size, UINT32_MAX),
    ROW(TEST_DMA_CTRL)  = { .read = read_test_dma_ctrl,
                            .write = write_test_dma_ctrl },
};

/* ---- access ---- */

static uint64_t field_read(const SvanFn *fn, const Reg *reg)
{
    const char *at = (const char *)fn->regs + reg->field;

    if (!reg->mask) {
        return 0;
    }
    return reg->wide ? *(const uint64_t *)at : *(const uint32_t *)at;
}

static void field_write(SvanFn *fn, const Reg *reg, uint64_t value)
{
    char *at = (char *)fn->regs + reg->field;

    if (reg->wide) {
        *(uint64_t *)at = value & reg->mask;
    } else {
        *(uint32_t *)at = value & reg->mask;
    }
}

static uint64_t reg_value(SvanFn *fn, const Reg *reg)
{
    return reg->read ? reg->read(fn) : field_read(fn, reg);
}

/* One half of a wide register. A running clock is latched by its low half. */
static uint32_t half_read(SvanFn *fn, const Reg *reg, bool high)
{
    if (reg->read && !high) {
        fn->regs->clock_latch = reg->read(fn);
    }
    return (reg->read ? fn->regs->clock_latch : field_read(fn, reg)) >>
           (high ? 32 : 0);
}

static void half_write(SvanFn *fn, const Reg *reg, bool high, uint32_t value)
{
    uint64_t old = field_read(fn, reg);

    if (!reg->mask) {
        return;
    }
    field_write(fn, reg, high ? (uint64_t)value << 32 | (uint32_t)old :
                                (old & ~(uint64_t)UINT32_MAX) | value);
}

static bool access_is_sane(uint32_t offset, unsigned size)
{
    return (size == 4 || size == 8) && offset % size == 0 &&
           offset < SVAN_REG_END;
}

/* All ones would tell the driver that the device was unplugged. */
static uint64_t never_gone(uint64_t value, unsigned size)
{
    return value == (size == 8 ? UINT64_MAX : UINT32_MAX) ? value - 1 : value;
}

uint64_t svan_reg_read(SvanCore *core, uint16_t id, uint32_t offset,
                       unsigned size)
{
    SvanFn *fn = svan_fn(core, id);
    uint32_t row = offset / 4;
    uint64_t value;

    if (!fn || !access_is_sane(offset, size) || row >= REG_ROWS) {
        return 0;
    }
    if (regs[row].high) {
        value = size == 4 ? half_read(fn, &regs[row - 1], true) : 0;
    } else if (size == 8) {
        value = regs[row].wide ? reg_value(fn, &regs[row]) : 0;
    } else {
        value = regs[row].wide ? half_read(fn, &regs[row], false) :
                                 reg_value(fn, &regs[row]);
    }
    return never_gone(value, size);
}

static void table_write(SvanFn *fn, uint32_t row, uint64_t value,
                        unsigned size)
{
    const Reg *reg = &regs[row];

    if (reg->high || (reg->wide && size == 4)) {
        if (size == 4) {
            half_write(fn, reg->high ? reg - 1 : reg, reg->high, value);
        }
    } else if (reg->wide != (size == 8) ||
               (reg->needs_parts && !fn->regs->enabled)) {
        return;
    } else if (reg->write) {
        reg->write(fn, (uint32_t)value);
    } else if (reg->mask) {
        field_write(fn, reg, value);
    }
}

void svan_reg_write(SvanCore *core, uint16_t id, uint32_t offset,
                    uint64_t value, unsigned size)
{
    SvanFn *fn = svan_fn(core, id);
    uint32_t eqn = (offset - SVAN_REG_EQ_DB(0)) / 4;
    uint32_t pasid = (offset - SVAN_REG_INV_CONTEXT(0)) / 8;

    if (!fn || !access_is_sane(offset, size)) {
        return;
    }
    svan_trace(fn, SVAN_TRACE_REG_WRITE, offset, value, size, 0);
    if (offset / 4 < REG_ROWS) {
        table_write(fn, offset / 4, value, size);
    } else if (!fn->regs->enabled) {
        return;
    } else if (eqn < SVAN_MAX_EQS && size == 4 && fn->queues->eqs[eqn]) {
        svan_eq_doorbell(fn->queues->eqs[eqn], value);
    } else if (pasid < SVAN_PASID_COUNT && size == 8) {
        svan_invalidate_context(fn, pasid, value);
    }
    /*
     * The store may have made work, an event for instance, while nobody runs the core.
     */
    if (svan_has_work(core)) {
        svan_kick(core);
    }
}
