# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the links of a running svan-switch, each direction of each port, with what became
of their frames. SOCKET is the switch's control socket.

--watch prints them again every so many seconds, with the rate since the last time, until
it is interrupted or the switch ends.
"""

import argparse
import json
import socket
import time

# What may happen to a frame, as the switch counts it, and its column.
COUNTS = (("frames", "frames"), ("sent", "sent"), ("full", "full"), ("early", "early"),
          ("marked", "marked"), ("lost", "lost"), ("duplicated", "dup"),
          ("reordered", "reord"), ("corrupted", "corrupt"), ("no_memory", "no-mem"),
          ("queued", "queued"))
LIMIT = 10                          # seconds for an answer


def ask(path):
    """What the switch tells of itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(LIMIT)
        sock.connect(path)
        sock.sendall(b"show json\n")
        answer = b""
        while True:
            part = sock.recv(65536)
            if not part:
                break
            answer += part
    *lines, last = answer.decode().strip().split("\n")
    if last != "ok":
        raise ValueError("the switch says: %s" % last)
    return json.loads("\n".join(lines))


def rate_text(bits):
    """As settings of the switch say it."""
    for unit, size in (("G", 10 ** 9), ("M", 10 ** 6), ("k", 10 ** 3)):
        if bits >= size:
            return "%.4g%s" % (bits / size, unit)
    return "%d" % bits


def rows(state, before):
    """One for each direction of each port."""
    seconds = (state["time_ns"] - before["time_ns"]) / 1e9 if before else 0
    for name, port in state["ports"].items():
        for direction in ("in", "out"):
            link = port[direction]
            row = ["%s.%s" % (name, direction),
                   rate_text(link["settings"]["rate"]) if link["settings"]["rate"] else "-"]
            if seconds > 0:
                old = before["ports"].get(name, port)[direction]
                row.append(rate_text(8 * (link["sent_bytes"] - old["sent_bytes"]) / seconds))
            yield row + [str(link[count]) for count, _column in COUNTS]


def print_state(state, before, out):
    """A table, its columns as wide as they have to be."""
    head = ["link", "rate"] + (["b/s"] if before else []) + [column for _c, column in COUNTS]
    table = [head] + list(rows(state, before))
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("  ".join([row[0].ljust(widths[0])] +
                        [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]),
              file=out)
    gone = [name for name, port in state["ports"].items() if not port["connected"]]
    if gone:
        print("nobody is connected to " + ", ".join(gone), file=out)
    out.flush()


def dump(args, out):
    """Once, or again and again."""
    before, state = None, ask(args.socket)
    if args.json:
        json.dump(state, out, indent=2)
        print(file=out)
        return 0
    print_state(state, before, out)
    try:
        while args.watch:
            time.sleep(args.watch)
            before, state = state, ask(args.socket)
            print(file=out)
            print_state(state, before, out)
    except (KeyboardInterrupt, ConnectionError, FileNotFoundError):
        pass
    return 0


def seconds_of(text):
    """A duration that is not 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("not a time: %s" % text)
    return value


def add_subcommand(subcommands):
    """svan-dump switch"""
    parser = subcommands.add_parser(
        "switch", help="links of a svan-switch, and what became of their frames",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for programs, once")
    parser.add_argument("--watch", metavar="SECONDS", type=seconds_of, help="again and again")
    parser.add_argument("socket", metavar="SOCKET")
    parser.set_defaults(run=dump)
