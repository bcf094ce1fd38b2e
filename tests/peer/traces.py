# SPDX-License-Identifier: GPL-2.0-or-later
"""What the traces of the kernel and of the devices say about runs of the peer examples."""

import re

ACCEL = "0x00c0"        # requester id; tools/guest/launch.py says where the device is
SIDE_A_MAC = ":01"
SQ, RQ = 0x0, 0x8       # include/svan/regs.h: offsets in a page of doorbells


def kernel_saw(trace):
    """What happened between the marks, but the interrupt at the end and whom it wakes."""
    events = re.findall(r"\d+\.\d+: (\w+): (.*)", trace)
    start, end = (("tracing_mark_write", "svan-peer: " + mark) for mark in ("start", "end"))
    if events.count(start) != 1 or events.count(end) != 1:
        return ["the marks are not in the kernel's trace"]
    inside = events[events.index(start) + 1:events.index(end)]
    last = inside[-3:]
    if ([name for name, _ in last] == ["irq_handler_entry", "sched_waking", "sched_wakeup"] and
            "name=svan_accel-" in last[0][1]):
        inside = inside[:-3]
    else:
        inside.append(("trace", "no interrupt at the end, or it wakes nobody"))
    return ["%s: %s" % event for event in inside]


class Run:
    """What the devices of a guest saw of a run, from its first doorbell of the accelerator on:
    sides are prepared, each with a doorbell of the accelerator; then each is started."""

    def __init__(self):
        self.lines = 0              # seen so far
        self.rings = []             # of the accelerator by the CPU: (line, messages before)
        self.end = None             # line of the accelerator's interrupt
        self.messages_at_end = 0
        self.cpu = []               # what a CPU has done, or has had to do: (line, what)
        self.other = []             # stores of others than the CPU and the accelerator
        self.indices = {}           # (device, kind, queue): index that the accelerator rang
        self.messages = 0           # doorbells of send queues
        self.receives = 0           # doorbells of receive queues
        self.rung = 0               # work requests of the send queues
        self.executed = 0
        self.unasked = 0            # executed, but nobody has rung for them
        self.stores = 0             # as the accelerator has seen them
        self.copies = {}            # context: indices that were copied since its last store
        self.copied = 0
        self.miscopied = 0          # stores without a copy of just what they submit

    # ---- lines of the trace; words of each ----

    def uar_write(self, words):
        """fn offset size value requester device cpu"""
        requester, device = words[10], words[12]
        if words[14] == "1":
            if device == ACCEL:
                self.rings.append((self.lines, self.messages))
            else:
                self.cpu.append((self.lines, "a CPU has stored to a doorbell of " + device))
            return
        if requester != ACCEL:
            self.other.append("a store of %s to a doorbell of %s" % (requester, device))
            return
        value = int(words[8], 16)
        kind = int(words[4], 16) & 0xfff
        queue = (device, kind, value & 0xffffff)
        index = value >> 32
        if kind == SQ:
            self.messages += 1
            self.rung += index - self.indices.get(queue, 0)
        elif kind == RQ:
            self.receives += 1
        else:
            self.other.append("a store of the accelerator at 0x%x" % kind)
        self.indices[queue] = index

    def irq(self, words):
        """fn vector device"""
        if words[6] != ACCEL:
            self.cpu.append((self.lines, "an interrupt of device " + words[6]))
        elif self.end is None:
            self.end = self.lines
            self.messages_at_end = self.messages
        else:
            self.cpu.append((self.lines, "one more interrupt of the accelerator"))

    def core_wqe(self, _):
        """fn qpn index opcode length"""
        self.executed += 1
        if self.executed > self.rung:
            self.unasked += 1

    def accel_copy_wqe(self, words):
        """ctx queue ring index blocks"""
        self.copied += 1
        self.copies.setdefault(words[2], []).append(int(words[8]) + int(words[10]))

    def accel_store(self, words):
        """ctx queue bus value width"""
        self.stores += 1
        if self.copies.pop(words[2], []) != [int(words[8], 16) >> 32]:
            self.miscopied += 1

    # ---- what they mean ----

    def sends(self):
        """Messages between the start and the end."""
        return self.messages_at_end - self.rings[-1][1] if self.end and self.rings else 0

    def saw(self, form):
        """What contradicts that the CPU was absent, or the form."""
        if self.end is None:
            return ["the accelerator has not interrupted"]
        start = self.rings[-1][0]
        found = [what for line, what in self.cpu if start < line < self.end] + self.other
        queues = {queue for queue in self.indices if queue[1] == SQ}
        if len(self.rings) != 2 * len(queues) or start > self.end:
            found.append("%d doorbells of the accelerator for %d sides" % (len(self.rings),
                                                                           len(queues)))
        if self.unasked or self.executed != self.rung:
            found.append("%d work requests that nobody has rung for; %d were executed, %d rung" %
                         (self.unasked, self.executed, self.rung))
        doorbells = self.messages + self.receives
        if self.stores != doorbells:
            found.append("%d stores of the accelerator, %d came" % (self.stores, doorbells))
        if form == "a" and self.copied:
            found.append("form a, but %d copies" % self.copied)
        if form == "b" and (self.miscopied or self.copied != doorbells):
            found.append("form b, %d copies, %d of %d doorbells without their own" %
                         (self.copied, self.miscopied, doorbells))
        return found

    def shallow(self, output):
        """Queues that were not filled ten times over."""
        depth = int(re.search(r"queues of up to (\d+)", output).group(1))
        return ["queue 0x%x of %s is not filled ten times, %d entries of %d" %
                (number, device, index, depth)
                for (device, _, number), index in self.indices.items() if index < 10 * depth]


class Messages:
    """The messages of a run, in all guests."""

    def __init__(self):
        self.sends = self.messages = self.receives = 0

    def add(self, run):
        """Those of one guest."""
        self.sends += run.sends()
        self.messages += run.messages
        self.receives += run.receives

    def lacks(self, wanted):
        """What contradicts that there were so many, and as many receives."""
        found = []
        if self.sends < wanted:
            found.append("%d messages instead of %d" % (self.sends, wanted))
        if self.receives < self.messages:
            found.append("%d receives for %d messages" % (self.receives, self.messages))
        return found


def begin():
    """A run, and its methods by the names of events."""
    run = Run()
    return run, {"svan_uar_write": run.uar_write, "svan_irq": run.irq,
                 "svan_core_wqe": run.core_wqe, "svan_accel_store": run.accel_store,
                 "svan_accel_copy_wqe": run.accel_copy_wqe}


def device_runs(log):
    """Which guest's log it is, and the runs in it: each from the first doorbell that rings the
    accelerator after the end of the run before."""
    runs, side = [], "B"
    run, calls = begin()
    for line in log:
        words = line.split()
        call = calls.get(words[0]) if words else None
        if call is None:
            if line.startswith("svan_realize") and line.rstrip().endswith(SIDE_A_MAC):
                side = "A"
            continue
        if (run.end is not None or not runs) and words[0] == "svan_uar_write" and \
                words[14] == "1" and words[12] == ACCEL:
            run, calls = begin()
            call = calls[words[0]]
            runs.append(run)
        run.lines += 1
        call(words)
    return side, runs
