# SPDX-License-Identifier: GPL-2.0-or-later
"""Print what the Svan devices of this machine know of the flows that their functions send,
where congestion control is enforced on them: paths, which have the rates, and the flows of
each. The hypervisor alone sees them (`devlink dev param set pci/ADDRESS name enforcement
value true cmode runtime` begins it).

--json prints one list of objects. --watch prints the table again every so many seconds. It
reads /sys/kernel/debug/svan/*/flows, or the FILE that is given.
"""

import argparse
import glob
import json
import sys
import time

from lines import open_text
from switch import rate_text, seconds_of

FILES = "/sys/kernel/debug/svan/*/flows"
COLUMNS = ("function", "kind", "peer", "flow", "state", "rate", "limit", "ce", "loss", "cnps",
           "rtt", "told", "packets")


def read(name):
    """The entries of one file, or of all devices."""
    names = [name] if name else sorted(glob.glob(FILES))
    if not names:
        raise FileNotFoundError("%s: svan.ko is not loaded, debugfs is not mounted, or this is "
                                "not root" % FILES)
    entries = []
    for path in names:
        device = path.split("/")[-2] if not name else None
        with open_text(path) as file:
            entries += [dict(json.loads(line), device=device) for line in file]
    return entries


def percent(part):
    """Of a number in 1 / 65536."""
    return "%.2f%%" % (100 * part / 65536) if part else "-"


def number(entry):
    """What tells a flow from others, as people write it."""
    if entry["kind"] in ("tcp", "udp"):
        return "%d>%d" % (entry["flow"] >> 16, entry["flow"] & 0xffff)
    return {"path": "", "others": "", "rdma": "QP %d" % entry["flow"]}.get(
        entry["kind"], str(entry["flow"]))


def cells(entry):
    """A row of the table."""
    return (str(entry["function"]), entry["kind"], entry["peer"], number(entry), entry["state"],
            rate_text(entry["rate"]), rate_text(entry["limit"]) if entry["limit"] else "-",
            percent(entry["ce"]), percent(entry["loss"]), str(entry["cnps"] or "-"),
            "%.1f us" % (entry["rtt"] / 1000) if entry["rtt"] else "-",
            str(entry["notifications"]), str(entry["packets"]))


def print_table(entries, out):
    """Columns as wide as they have to be."""
    table = [COLUMNS] + [cells(entry) for entry in entries]
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip(), file=out)
    out.flush()


def dump(args, out):
    """Once, or again and again."""
    if args.json:
        json.dump(read(args.file), out, indent=2)
        print(file=out)
        return 0
    entries = read(args.file)
    if not entries:
        print("no flows: nothing is enforced, or nothing was sent", file=sys.stderr)
    print_table(entries, out)
    try:
        while args.watch:
            time.sleep(args.watch)
            print(file=out)
            print_table(read(args.file), out)
    except KeyboardInterrupt:
        pass
    return 0


def add_subcommand(subcommands):
    """svan-dump flows"""
    parser = subcommands.add_parser("flows", help="flows of functions, and their congestion",
                                    description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for programs, once")
    parser.add_argument("--watch", metavar="SECONDS", type=seconds_of, help="again and again")
    parser.add_argument("file", metavar="FILE", nargs="?")
    parser.set_defaults(run=dump)
