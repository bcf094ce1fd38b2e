# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: test DMA inverts an octet of a function between two calls of it."""

import ctypes
import mmap
import os
import struct

DEVICE = "/sys/bus/pci/devices/0000:00:10.0/"
# include/svan/regs.h
DMA_ADDR, DMA_SIZE, DMA_CTRL = 0xc8, 0xd0, 0xd4
DMA_INVERT, DMA_BUSY, DMA_ERROR = 0x3, 0x100, 0x200
COMMAND, MEMORY_AND_MASTER = 4, 6
CALLS = 1000

with open("/sys/bus/pci/drivers/svan/unbind", "w", encoding="ascii") as file:
    file.write("0000:00:10.0")
with open(DEVICE + "enable", "w", encoding="ascii") as file:
    file.write("1")
with open(DEVICE + "config", "r+b", buffering=0) as file:
    file.seek(COMMAND)
    command = struct.unpack("<H", file.read(2))[0] | MEMORY_AND_MASTER
    file.seek(COMMAND)
    file.write(struct.pack("<H", command))
registers = mmap.mmap(os.open(DEVICE + "resource0", os.O_RDWR), 0x2000)


def invert(address, size):
    """Invert memory by DMA, and wait for it."""
    ctypes.c_uint64.from_buffer(registers, DMA_ADDR).value = address
    ctypes.c_uint32.from_buffer(registers, DMA_SIZE).value = size
    control = ctypes.c_uint32.from_buffer(registers, DMA_CTRL)
    control.value = DMA_INVERT
    while control.value & DMA_BUSY:
        pass
    assert not control.value & DMA_ERROR


page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                 prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page[:6] = b"\xb8\x01\x00\x00\x00\xc3"  # mov $1, %eax; ret
virtual = ctypes.addressof(ctypes.c_char.from_buffer(page))
function = ctypes.CFUNCTYPE(ctypes.c_int)(virtual)
with open("/proc/self/pagemap", "rb") as pagemap:
    pagemap.seek(virtual // 4096 * 8)
    frame = struct.unpack("<Q", pagemap.read(8))[0] & ((1 << 55) - 1)

want = 1
for call in range(CALLS):
    got = function()
    assert got == want, "call %d answers %#x instead of %#x" % (call, got, want)
    invert(frame * 4096 + 1, 1)
    want ^= 0xff
print("%d calls answered right" % CALLS)
