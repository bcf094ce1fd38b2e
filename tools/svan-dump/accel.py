# SPDX-License-Identifier: GPL-2.0-or-later
"""Print what belongs to the accelerator, by the names of include/svan/accel.h. KIND says
what a FILE, or standard input, holds:

  - commands: a ring, or a part of it, as it lies in memory;
  - records, completions: what the accelerator has stored there;
  - counters: completion counters of a NIC, a count of successes and one of errors each;
  - trace: QEMU's trace events svan_accel_*, and of the NIC svan_uar_write and
    svan_core_counter.
"""

import argparse
import collections
import contextlib
import os
import re
import struct
import sys

from lines import device_fields, nanoseconds, number, open_text

# ---- its header ----

# In a checkout, and in the guest.
HEADERS = (os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../include/svan"),
           "/usr/lib/svan/include/svan")
CODES = {"__u8": "B", "__s8": "b", "__le16": "H", "__le32": "I", "__le64": "Q"}
# Numbers that are no addresses and no bits.
DECIMAL = ("length", "count", "limit_ns", "time_ns")
HEX = ("seed", "tag")


class Field:
    """One of a struct: __le32 name[2]; with the enum that its comment names."""

    def __init__(self, kind, name, count, comment):
        self.name = name
        self.code = "%ds" % int(count) if count else CODES[kind]
        found = re.search(r"\benum (\w+)", comment or "")
        # An address at which a number of an enum is stored is no such number.
        self.enum = found.group(1) if found and kind != "__le64" else None
        self.hex = name in HEX or kind == "__le64" and name not in DECIMAL


class Header:
    """accel.h: its enums, flags and structs. A struct ends where its union begins."""

    ENUM = re.compile(r"^enum (\w+) \{(.*?)^\};", re.S | re.M)
    STRUCT = re.compile(r"^struct (\w+) \{(.*?)^(?:\};|\tunion)", re.S | re.M)
    FIELD = re.compile(r"^\s*(__\w+)\s+(\w+)(?:\[(\d+)\])?;[ \t]*(/\*.*?\*/)?", re.S | re.M)

    def __init__(self, text):
        self.enums = {name: self.words(body) for name, body in self.ENUM.findall(text)}
        self.structs = {name: [Field(*found) for found in self.FIELD.findall(body)]
                        for name, body in self.STRUCT.findall(text)}
        self.flags = {int(value, 0): name for name, value in
                      re.findall(r"^#define SVAN_ACCEL_CMD_(\w+)\s+(0x\w+)", text, re.M)
                      if name != "FLAGS"}

    @staticmethod
    def words(body):
        """{number: name without what all have in common}"""
        rows = re.findall(r"^\s*(\w+)\s*=\s*(\w+)", body, re.M)
        prefix = os.path.commonprefix([name for name, _value in rows])
        prefix = prefix[:prefix.rfind("_") + 1]
        return {int(value, 0): name[len(prefix):] for name, value in rows}

    def word(self, enum, value):
        """The name of a number."""
        return self.enums[enum].get(value, "%d?" % value)

    def layout(self, name):
        """For struct.unpack()."""
        return struct.Struct("<" + "".join(field.code for field in self.structs[name]))

    def read(self, name, octets):
        """[(field, value)] of a struct at the beginning of some octets."""
        layout = self.layout(name)
        return list(zip(self.structs[name], layout.unpack(octets[:layout.size])))


def read_header():
    """The header of this checkout, or of the guest."""
    for folder in HEADERS:
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(folder, "accel.h"), encoding="utf-8") as file:
                return Header(file.read())
    raise FileNotFoundError("no accel.h in " + " or ".join(HEADERS))


# ---- what lies in memory ----

def value_text(header, field, value):
    """A number as its field wants it; octets in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if field.enum:
        return header.word(field.enum, value)
    return "0x%x" % value if field.hex else str(value)


def fields_text(header, fields):
    """All of them; reserved ones if they are not zero, which the device refuses."""
    return " ".join("%s %s" % (field.name, value_text(header, field, value))
                    for field, value in fields
                    if field.name not in ("reserved", "unused") or
                    any(value if isinstance(value, bytes) else [value]))


def command_text(header, octets):
    """A command, in the fields of its kind."""
    fields = header.read("svan_accel_cmd", octets)
    head = {field.name: value for field, value in fields}
    name = header.word("svan_accel_opcode", head["opcode"])
    kind = "svan_accel_" + name.lower()
    rest = octets[header.layout("svan_accel_cmd").size:]
    flags = [word for bit, word in header.flags.items() if head["flags"] & bit]
    unknown = head["flags"] & ~sum(header.flags)
    words = ["tag 0x%x" % head["tag"]] + flags + (["flags 0x%x?" % unknown] if unknown else [])
    words += [fields_text(header, [(field, value)]) for field, value in fields
              if field.name == "width" and value or
              field.name == "condition" and (value or name == "WAIT")]
    if kind in header.structs:
        words.append(fields_text(header, header.read(kind, rest)))
        rest = rest[header.layout(kind).size:]
    if any(rest):
        words.append("and octets that it does not have: " + rest.hex())
    return "%-9s  %s" % (name, " ".join(words))


def struct_text(name):
    """A function as command_text() for a struct that is always the same."""
    return lambda header, octets: fields_text(header, header.read(name, octets))


def counter_text(_header, octets):
    """Two counts."""
    return "successes %d errors %d" % struct.unpack("<QQ", octets)


# KIND: octets of one, and how it reads
KINDS = {"commands": (64, command_text),
         "records": (16, struct_text("svan_accel_record")),
         "completions": (16, struct_text("svan_accel_completion")),
         "counters": (16, counter_text)}


def read_octets(name, offset, length):
    """A part of a file, or of standard input."""
    with (contextlib.nullcontext(sys.stdin.buffer) if name == "-" else
          open(name, "rb", buffering=0)) as file:
        if offset and name == "-":
            file.read(offset)
        elif offset:
            file.seek(offset)
        return file.read(-1 if length is None else length)


def dump_memory(args, header, out):
    """What lies in a file one after the other; nothing but zeros more than once in one line."""
    size, text = KINDS[args.kind]
    for name in args.rest or ["-"]:
        octets = read_octets(name, args.offset, None if args.count is None else args.count * size)
        whole, first = len(octets) // size, 0
        while first < whole:
            end = first + 1
            if not any(octets[first * size:end * size]):
                while end < whole and not any(octets[end * size:(end + 1) * size]):
                    end += 1
            times = "   (%d times)" % (end - first) if end > first + 1 else ""
            print("%6d  %s%s" % (first, text(header, octets[first * size:end * size][:size]),
                                 times), file=out)
            first = end
        if len(octets) % size:
            print("%d octets at the end are less than one of %s" % (len(octets) % size,
                                                                     args.kind), file=out)


# ---- what it traces ----

ACCEL = re.compile(r"^(?:\d+@(\d+)\.(\d+):)?svan_(accel_\w+|uar_write|core_counter) (.*)")


class Work:
    """What one queue has done."""

    def __init__(self):
        self.commands, self.ends = collections.Counter(), collections.Counter()
        self.stores = 0

    def __str__(self):
        parts = ["%d commands" % sum(self.commands.values())]
        parts += ["%d %s" % (count, name) for name, count in sorted(self.commands.items())]
        ends = ", ".join("%d %s" % (count, name) for name, count in sorted(self.ends.items()))
        return "%s; stores through windows: %d; ends: %s" % (", ".join(parts), self.stores,
                                                              ends or "none")


class AccelTrace:
    """Lines of a trace, one after the other."""

    def __init__(self, header):
        self.header = header
        self.work = collections.defaultdict(Work)

    def status(self, values):
        """By its name."""
        return self.header.word("svan_accel_status", values["status"])

    def accel_command(self, values, work):
        """A command begins."""
        name = self.header.word("svan_accel_opcode", values["opcode"])
        work.commands[name] += 1
        return name, "command %d, tag 0x%x" % (values["index"], values["tag"])

    def accel_command_end(self, values, work):
        """It is done, or the queue stops."""
        work.ends[self.status(values)] += 1
        return "end", "command %d, %s" % (values["index"], self.status(values))

    def accel_store(self, values, work):
        """Through a window."""
        work.stores += 1
        return "store", "%(width)d octets, 0x%(value)x, at bus address 0x%(bus)x" % values

    @staticmethod
    def accel_copy_wqe(values, _work):
        """Work requests, from staging into the queue of a NIC."""
        return "copied", "%(blocks)d blocks of index %(index)d, into the ring at 0x%(ring)x" % values

    def accel_wait_end(self, values, _work):
        """The value that was seen last."""
        return "seen", "0x%x at 0x%x, %s" % (values["value"], values["addr"], self.status(values))

    def accel_doorbell(self, values, _work):
        """The CPU rings."""
        return "doorbell", "commands below %d%s" % (values["value"],
                                                    "" if values["accepted"] else ", refused")

    def accel_fault(self, values, _work):
        """The context stops."""
        return "fault", "address 0x%x, %s" % (values["addr"], self.status(values))

    @staticmethod
    def accel_reset(values, _work):
        """The device."""
        return "reset", "generation %d" % values["generation"]

    @staticmethod
    def accel_reg_write(values, _work):
        """The driver."""
        return "register", "0x%(offset)x = 0x%(value)x" % values

    @staticmethod
    def uar_write(values, _work):
        """A doorbell of the NIC, rung by the CPU or a peripheral."""
        who = values["requester"]
        by = "a CPU" if values["cpu"] else "%02x:%02x.%x" % (who >> 8, who >> 3 & 31, who & 7)
        return "rung", "doorbell 0x%x, 0x%x, by %s" % (values["offset"], values["value"], by)

    @staticmethod
    def core_counter(values, _work):
        """The NIC has counted."""
        return "counted", "counter 0x%x, %s %d" % (
            values["counter"], "errors" if values["error"] else "successes", values["value"])

    def line(self, line):
        """(nanoseconds or None, whose, what, text), or None for another line."""
        match = ACCEL.match(line)
        read = match and getattr(self, match.group(3), None)
        if not read:
            return None
        try:
            values = device_fields(match.group(4))
            if "fn" in values:
                whose = "function %d" % values["fn"]
            else:
                whose = "context %d" % values["ctx"]
                if "queue" in values:
                    whose += " queue %d" % values["queue"]
            what, text = read(values, self.work[whose] if "queue" in values else None)
        except (KeyError, ValueError):
            return None
        when = nanoseconds(match.group(1), match.group(2)) if match.group(1) else None
        return when, whose, what, text


def dump_accel_trace(args, header, out):
    """The events in their order, then what each queue has done."""
    trace, start = AccelTrace(header), None
    for name in args.rest or ["-"]:
        with open_text(name) as file:
            for event in filter(None, map(trace.line, file)):
                when, *words = event
                start = when if start is None else start
                if not args.summary:
                    time = "" if when is None else "%.1f us" % ((when - start) / 1000)
                    print("%15s  %-18s %-10s %s" % (time, *words), file=out)
    for whose, work in sorted(trace.work.items()):
        print("%s: %s" % (whose, work), file=out)


def dump_accel(args, out):
    """Memory or a trace."""
    header = read_header()
    if args.kind == "trace":
        dump_accel_trace(args, header, out)
    else:
        dump_memory(args, header, out)
    return 0


# ---- the command line ----

def add_subcommand(subcommands):
    """svan-dump accel"""
    parser = subcommands.add_parser(
        "accel", help="commands, records, counters and traces of the accelerator",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offset", type=number, default=0, help="octets of FILE to pass over")
    parser.add_argument("--count", type=number, help="only so many commands, records...")
    parser.add_argument("--summary", action="store_true", help="of a trace, only the sums")
    parser.add_argument("kind", choices=[*KINDS, "trace"])
    parser.add_argument("rest", nargs="*", metavar="FILE")
    parser.set_defaults(run=dump_accel)
