# SPDX-License-Identifier: GPL-2.0-or-later
"""Print a timeline of each page fault, from the packet that met the page to the end, under
the fault's id (the token of the page request). A FILE, or standard input, holds lines of

  - the kernel's tracepoints svan_ib:svan_ib_page_*, as tracefs or `trace-cmd report`
    prints them;
  - QEMU's trace events svan_core_fault* and svan_core_page_*, with `-msg timestamp=on`
    for their times.

Other lines are passed over. With both of them the clocks are aligned: the driver takes
the quickest request at the moment the device makes it.

--live, in the guest and as root, turns the tracepoints on for as long as COMMAND runs,
or until it is interrupted.
"""

import argparse
import contextlib
import os
import re
import select
import signal
import subprocess

from lines import device_fields, duration, nanoseconds, number, open_text, pick

TRACEFS = "/sys/kernel/tracing"
POINTS = ("request", "pending", "resolved")

# enum svan_fault_class, svan_fault_mode and svan_page_status of include/svan/faults.h,
# as the driver's tracepoints call the classes
CLASSES = ("unknown", "zero_fill", "page_cache", "file_read", "swap_in", "copy_on_write",
           "huge_page", "userfaultfd", "migration", "invalidated")
MODES = ("auto", "hold", "rnr", "divert", "drop", "fail")
STATUS = {1: "PENDING", 2: "RESOLVED", 3: "FAILED"}
# SvanWaitState of the core
ENDS = ("given up", "meets the next page", "executed", "refused")
# SVAN_PAGE_REQ_*
FLAGS = ("write", "remote", "protected", "process")
# the token of a transfer that found no free request yet
NO_TOKEN = 0xffffffff
PAGE = 4096

KERNEL = re.compile(r"\s(\d+)\.(\d+):\s+(?:svan_ib:)?svan_ib_page_(request|pending|resolved):"
                    r"\s+(\S+)\s+(.*)")
DEVICE = re.compile(r"^(?:\d+@(\d+)\.(\d+):)?svan_core_(fault|fault_mode|fault_end|page_request"
                    r"|page_response) fn (\d+) (.*)")
LOST = re.compile(r"LOST (\d+) EVENTS")


class Event:
    """One line of a trace, by the driver or the device. Times are in ns, or None."""

    def __init__(self, by, where, when, name, text):
        self.by, self.where, self.when, self.name, self.text = by, where, when, name, text
        self.token = self.qpn = self.addr = None


def estimate(ns):
    """0: there is none."""
    return "estimate " + duration(ns) if ns else "no estimate"


def access(words):
    """SVAN_PAGE_REQ_*, as words; what is no write is a read."""
    return words if words.startswith("write") else ("read " + words).rstrip()


# ---- the driver's lines ----

def kernel_fields(text):
    """key=value, and the words between them."""
    values, words = {}, []
    for word in text.split():
        key, equals, value = word.partition("=")
        if equals:
            values[key] = value
        else:
            words.append(word)
    return values, " ".join(words)


def taken(values, words):
    """The driver has taken the request from the queue."""
    text = "%s, %s bytes" % (access(words), values["length"])
    return "taken", text + (", attempt " + values["attempt"] if values["attempt"] != "0" else "")


def told(values, _words):
    """What the driver answers at once."""
    return "PENDING", "%s, %s" % (values["class"], estimate(int(values["estimate"])))


def resolved(values, _words):
    """What it answers in the end."""
    text = "%s, took %s, %s" % (values["class"], duration(int(values["actual"])),
                                estimate(int(values["estimate"])))
    if values["err"] == "0":
        return "RESOLVED", text
    return "FAILED", "%s, error %s" % (text, values["err"])


def kernel_event(match):
    """An event of the driver."""
    seconds, fraction, point, device, rest = match.groups()
    values, words = kernel_fields(rest)
    name, text = {"request": taken, "pending": told, "resolved": resolved}[point](values, words)
    event = Event("driver", device, nanoseconds(seconds, fraction), name, text)
    event.token = int(values["fault"], 0)
    event.addr = int(values["addr"], 0)
    if "qpn" in values:
        event.qpn = int(values["qpn"], 0)
    return event


# ---- the device's lines ----

def detected(values):
    """A packet has met the page."""
    return "detected", "psn 0x%06x" % values["psn"]


def requested(values):
    """The device has written the request."""
    words = [name for bit, name in enumerate(FLAGS) if values["flags"] >> bit & 1]
    return "requested", access(" ".join(words))


def heard(values):
    """The device has read a response."""
    name = STATUS.get(values["status"], "status %d" % values["status"])
    text = "heard"
    if name == "PENDING":
        text += ", %s, %s" % (pick(CLASSES, values["class"]), estimate(values["time"]))
    return name, text


def chosen(values):
    """How the transfer waits."""
    mode = pick(MODES, values["mode"])
    return "mode", mode if mode == "fail" else "%s, expected in %s" % (mode,
                                                                      duration(values["time"]))


def ended(values):
    """The responder is suspended no more, or for another page."""
    return "end", "%s, suspended for %s" % (pick(ENDS, values["status"]),
                                            duration(values["after"]))


def device_event(match):
    """An event of the device."""
    seconds, fraction, kind, function, rest = match.groups()
    values = device_fields(rest)
    make = {"fault": detected, "page_request": requested, "page_response": heard,
            "fault_mode": chosen, "fault_end": ended}[kind]
    name, text = make(values)
    when = nanoseconds(seconds, fraction) if seconds else None
    event = Event("device", "function " + function, when, name, text)
    event.token = values["token"]
    event.qpn = values.get("qpn")
    event.addr = values.get("va", values.get("addr"))
    return event


def parse(line):
    """The event of a line, or None. Lines that are cut off are passed over, too."""
    try:
        match = KERNEL.search(line)
        if match:
            return kernel_event(match)
        match = DEVICE.match(line)
        return device_event(match) if match else None
    except (KeyError, ValueError):
        return None


# ---- faults ----

class Fault:
    """All that device or driver tells of one fault, and later the other one, too."""

    def __init__(self, event):
        self.by, self.where = event.by, event.where
        self.token = event.token
        self.events = []
        self.add(event)

    def add(self, event):
        """One more event."""
        self.events.append(event)

    def first(self, name):
        """What the first event that knows it says."""
        return next((value for event in self.events
                     for value in [getattr(event, name)] if value is not None), None)

    def has(self, *names):
        """Whether there is such an event."""
        return any(event.name in names for event in self.events)

    def page(self):
        """The page's address, or None."""
        addr = self.first("addr")
        return None if addr is None else addr // PAGE * PAGE

    def begins_anew(self, event):
        """A token that is used again."""
        if event.name in ("taken", "requested"):
            return self.has(event.name)
        return event.name == "detected" and self.has("RESOLVED", "FAILED")

    def qpns(self):
        """Of all who waited for the page."""
        return {event.qpn for event in self.events if event.qpn is not None}

    def start(self):
        """For sorting."""
        return min((event.when for event in self.events if event.when is not None), default=0)

    def over(self):
        """Answered."""
        return self.has("RESOLVED", "FAILED")


class Faults:
    """Events, by who tells of them, function and token."""

    def __init__(self):
        self.all = []
        self.latest = {}
        self.lost = 0

    def line(self, line):
        """One line of a trace: the fault it belongs to, or None."""
        lost = LOST.search(line)
        if lost:
            self.lost += int(lost.group(1))
        event = parse(line)
        if not event or event.token == NO_TOKEN:
            return None
        key = event.by, event.where, event.token
        fault = self.latest.get(key)
        if fault and not fault.begins_anew(event):
            fault.add(event)
            return fault
        self.latest[key] = Fault(event)
        self.all.append(self.latest[key])
        return self.latest[key]

    def pairs(self):
        """The device's and the driver's view of the same faults."""
        table = {}
        for fault in self.all:
            views = table.setdefault((fault.token, fault.page()), ([], []))
            views[fault.by == "driver"].append(fault)
        for device, driver in table.values():
            # a trace that began later than the other: which is which cannot be known
            if len(device) == len(driver):
                yield from zip(device, driver)

    def merge(self):
        """Both views into one, by the driver's clock."""
        pairs = list(self.pairs())
        offsets = [taken_at - asked_at for device, driver in pairs
                   for asked_at in [at(device, "requested")] for taken_at in [at(driver, "taken")]
                   if asked_at is not None and taken_at is not None]
        if not offsets:
            return
        for fault in self.all:
            if fault.by == "device":
                shift(fault, min(offsets))
        for device, driver in pairs:
            driver.events = sorted(device.events + driver.events,
                                   key=lambda event: event.when or 0)
        merged = {id(device) for device, _driver in pairs}
        self.all = [fault for fault in self.all if id(fault) not in merged]


def at(fault, name):
    """When an event happened, or None."""
    return next((event.when for event in fault.events if event.name == name), None)


def shift(fault, offset):
    """To another clock."""
    for event in fault.events:
        if event.when is not None:
            event.when += offset


# ---- printing ----

def show(fault, out):
    """The timeline of one fault."""
    start, addr, qpn = fault.start(), fault.page(), fault.first("qpn")
    print("fault 0x%x  %s%s" % (fault.token, fault.where, "" if fault.over() else "  not over"),
          file=out)
    seen = {event.qpn: event.addr for event in reversed(fault.events) if event.name == "detected"}
    for event in fault.events:
        when = "%12.1f us" % ((event.when - start) / 1000) if event.when is not None else ""
        who = qpn if event.qpn is None else event.qpn
        where = event.addr or seen.get(who) or addr
        print("%15s  %-7s %-9s %-15s %-9s  %s" % (
            when, event.by, "-" if who is None else "qp 0x%x" % who,
            "-" if where is None else "0x%x" % where, event.name, event.text), file=out)
    print(file=out)


def wanted(fault, args):
    """What --fault and --qp let through."""
    return ((args.fault is None or fault.token == args.fault) and
            (args.qp is None or args.qp in fault.qpns()))


def summary(faults, out):
    """The last line."""
    unfinished = sum(not fault.over() for fault in faults.all)
    print("%d faults, %d of them not over" % (len(faults.all), unfinished), file=out)
    if faults.lost:
        print("%d events were lost: some timelines have gaps" % faults.lost, file=out)


def dump(args, out):
    """All faults of some files."""
    faults = Faults()
    for name in args.rest or ["-"]:
        with open_text(name) as file:
            for line in file:
                faults.line(line)
    faults.merge()
    for fault in sorted(faults.all, key=Fault.start):
        if wanted(fault, args):
            show(fault, out)
    summary(faults, out)
    return 0


# ---- live ----

@contextlib.contextmanager
def tracing():
    """An instance of tracefs of our own, with the tracepoints on; its path."""
    if not os.path.isdir(TRACEFS + "/instances"):
        subprocess.run(["mount", "-t", "tracefs", "none", TRACEFS], check=True)
    path = "%s/instances/svan-dump-%d" % (TRACEFS, os.getpid())
    os.mkdir(path)
    try:
        for point in POINTS:
            with open("%s/events/svan_ib/svan_ib_page_%s/enable" % (path, point), "w",
                      encoding="ascii") as file:
                file.write("1")
        yield path
    finally:
        os.rmdir(path)


def lines_of(pipe, running):
    """Whole lines, until nothing runs any more and the pipe is empty."""
    rest = b""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while True:
        going = running()
        if not poll.poll(100) and not going:
            return
        with contextlib.suppress(BlockingIOError):
            *lines, rest = (rest + os.read(pipe, 65536)).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)


def show_finished(faults, line, args, out):
    """As soon as it is over."""
    fault = faults.line(line)
    if fault and fault.over() and wanted(fault, args):
        show(fault, out)
        out.flush()


def live(args, out):
    """The driver's view while a command runs."""
    faults = Faults()
    with tracing() as path:
        pipe = os.open(path + "/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        command = subprocess.Popen(args.rest) if args.rest else None
        try:
            for line in lines_of(pipe, lambda: command is None or command.poll() is None):
                show_finished(faults, line, args, out)
        except KeyboardInterrupt:
            pass
        finally:
            os.close(pipe)
            if command and command.poll() is None:
                command.send_signal(signal.SIGINT)
                command.wait()
    summary(faults, out)
    return command.returncode if command else 0


# ---- the command line ----

def add_subcommand(subcommands):
    """svan-dump faults"""
    parser = subcommands.add_parser(
        "faults", help="timelines of page faults", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="svan-dump faults [--fault ID] [--qp QPN] [FILE...]\n"
              "       svan-dump faults [--fault ID] [--qp QPN] --live [COMMAND...]")
    parser.add_argument("--fault", type=number, help="only this one")
    parser.add_argument("--qp", type=number, help="only those that this queue pair met")
    parser.add_argument("--live", action="store_true", help="while COMMAND runs, in the guest")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="FILE | COMMAND")
    parser.set_defaults(run=lambda args, out: live(args, out) if args.live else dump(args, out))
