#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""registration.py DIR: DIR/results.csv of the registration experiment as a page."""

import csv
import os
import sys

import plot

KINDS = ("pinned", "explicit", "process")
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def size_name(size):
    """4 KiB, 8 GiB."""
    for unit, name in UNITS:
        if size >= unit:
            return "%g %s" % (size / unit, name)
    return "%g B" % size


def time_name(us):
    """12 us, 3.4 ms, 2 s."""
    for unit, name in ((1e6, "s"), (1e3, "ms")):
        if us >= unit:
            return "%.3g %s" % (us / unit, name)
    return "%.3g µs" % us


def read(path):
    """{metric: {kind: [(size, value), ...]}}"""
    found = {}
    with open(path, encoding="ascii") as file:
        for row in csv.DictReader(file):
            kinds = found.setdefault(row["metric"], {kind: [] for kind in KINDS})
            kinds[row["kind"]].append((int(row["size"]), float(row["value"])))
    return found


def rows(kinds, name):
    """One row a size, one column a kind."""
    values = {kind: dict(points) for kind, points in kinds.items()}
    return [[size_name(size)] + [name(values[kind][size]) for kind in KINDS]
            for size, _ in kinds[KINDS[0]]]


def section(title, kinds, label, name, caption):
    """A picture and its table."""
    commands = ("set logscale xy\nset xlabel 'bytes'\nset ylabel '%s'\n"
                "set format x '2^{%%L}'\nset logscale x 2\n" % label)
    shown = {kind: [(size, max(value, 1)) for size, value in points]
             for kind, points in kinds.items()}
    return ["<h2>%s</h2>" % title, plot.figure(plot.svg(commands, shown), caption),
            plot.table(("size",) + KINDS, rows(kinds, name))]


def main():
    """Write DIR/report.html."""
    out = sys.argv[1]
    found = read(os.path.join(out, "results.csv"))
    parts = ["<p>A region of untouched anonymous memory is registered, and one byte is written "
             "to its end by RDMA. <i>Pinned</i>: all pages are made present and pinned. "
             "<i>Explicit</i>: on-demand registration of the range. <i>Process</i>: one key for "
             "the whole address space, whose page table the device walks. Medians.</p>"]
    parts += section("Time to register", found["register"], "µs", time_name,
                     "ibv_reg_mr(), median, against the size of the region")
    parts += section("Time to the first byte", found["first_byte"], "µs", time_name,
                     "registration, RDMA WRITE of one byte, completion")
    parts += section("Time to deregister", found["deregister"], "µs", time_name,
                     "ibv_dereg_mr()")
    parts += section("Memory that became resident", found["resident"], "bytes", size_name,
                     "after the first byte")
    with open(os.path.join(out, "report.html"), "w", encoding="utf-8") as file:
        file.write(plot.page("Registration: pinned, on demand, process", parts))


if __name__ == "__main__":
    main()
