/*
 * A Svan device under test: registers, rings, waiting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SVAN_TEST_NIC_H
#define SVAN_TEST_NIC_H

#include "libqtest.h"
#include "libqos/pci-pc.h"
#include "hw/pci/pci_regs.h"
#include "svan/caps.h"
#include "svan/cmd.h"
#include "svan/regs.h"

#define NIC_SLOT        4
#define NIC_MAC         "52:54:00:12:34:56"
#define NIC_MACHINE     "-machine q35 -m 128 -nodefaults "
#define NIC_DEVICE      "-device svan,id=nic,addr=4,mac=" NIC_MAC " "

/* Guest memory of the tests: free for them below 128 MiB, above 16 MiB. */
#define NIC_BUFFER      0x1000000
#define NIC_CMDQ        0x1100000
#define NIC_CMDR        0x1200000
#define NIC_NO_MEMORY   0x40000000

#define NIC_WAIT_S      10

typedef struct Nic {
    QTestState *qts;
    QPCIBus *bus;               /* owned by who started QEMU */
    QPCIDevice *dev;
    QPCIBar regs, uars;
    unsigned log_size;          /* of the command ring */
    uint32_t cmd_index;         /* free-running */
} Nic;

/* The device at devfn, enabled, its BARs mapped. */
Nic *nic_find(QTestState *qts, QPCIBus *bus, int devfn);
/* Start QEMU with NIC_MACHINE, NIC_DEVICE and args, and find the device. */
Nic *nic_start(const char *args);
void nic_free(Nic *nic);
void nic_stop(Nic *nic);        /* QEMU too */
/* After a reset has taken them away: memory, bus master, BARs where they were. */
void nic_restore_config(Nic *nic);

uint32_t nic_read(Nic *nic, uint32_t reg);
void nic_write(Nic *nic, uint32_t reg, uint32_t value);
uint64_t nic_read64(Nic *nic, uint32_t reg);
void nic_write64(Nic *nic, uint32_t reg, uint64_t value);
/* Read until (value & mask) == want, or fail. */
uint32_t nic_await(Nic *nic, uint32_t reg, uint32_t mask, uint32_t want);
void nic_assert_alive(Nic *nic);

/* Run a test DMA; true: memory was written. */
bool nic_dma(Nic *nic, uint64_t addr, uint32_t size, uint32_t op);

/* Rings at NIC_CMDQ and NIC_CMDR, enabled. */
void nic_enable(Nic *nic, unsigned log_size);
/* Fill in the ring's next entry, without ringing. */
void nic_post(Nic *nic, struct svan_cmd *cmd, uint16_t opcode);
/* Post, ring, await the response; returns its status. */
uint8_t nic_command(Nic *nic, struct svan_cmd *cmd, uint16_t opcode,
                    struct svan_cmd_resp *resp);
void nic_stats(Nic *nic, struct svan_stats *stats);

void nic_bus_master(Nic *nic, bool on);
void nic_flr(Nic *nic);
/* As the guest does at a root port: off lets a device go that was asked to. */
void nic_port_power(QPCIDevice *port, bool on);
/* MSI-X vector to write data to addr. */
void nic_vector(Nic *nic, unsigned vector, uint32_t addr, uint32_t data,
                bool masked);
/* Save a machine, and load it in a QEMU of its own, started with args. */
QTestState *nic_migrate(QTestState *from, const char *args);
/* Wait until the guest's memory holds value at addr. */
void nic_await_memory(Nic *nic, uint64_t addr, uint32_t value);

#endif
