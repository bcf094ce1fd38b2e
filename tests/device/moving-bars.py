#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""moving-bars.py WATCHED MOVED SECONDS: reads the first register of the PCI device WATCHED,
which is constant, all the time, while the BARs of the device MOVED are turned off and on.
Fails if another value is read."""

import mmap
import os
import struct
import sys
import time

DEVICES = "/sys/bus/pci/devices/"
COMMAND = 4
MEMORY = 2


def watch(device):
    """Ends when the register is not what it was; it must not return into the parent's code."""
    file = os.open(DEVICES + device + "/resource0", os.O_RDWR)
    registers = memoryview(mmap.mmap(file, 4096)).cast("I")
    first = value = registers[0]
    while value == first:
        value = registers[0]
    print("%#x was read, it is %#x" % (value, first), flush=True)
    os._exit(1)


def move(device, until_gone, seconds):
    """How often the BARs were turned off."""
    times = 0
    with open(DEVICES + device + "/config", "r+b", 0) as config:
        config.seek(COMMAND)
        command, = struct.unpack("<H", config.read(2))
        end = time.monotonic() + seconds
        while time.monotonic() < end and not os.waitpid(until_gone, os.WNOHANG)[0]:
            for value in (command & ~MEMORY, command | MEMORY):
                config.seek(COMMAND)
                config.write(struct.pack("<H", value))
            times += 1
        return times, time.monotonic() >= end


def main():
    watched, moved, seconds = sys.argv[1:]
    watcher = os.fork() or watch(watched)
    times, lasted = move(moved, watcher, float(seconds))
    print("moved %d times" % times)
    if lasted:
        os.kill(watcher, 9)
    sys.exit(not lasted)


if __name__ == "__main__":
    main()
