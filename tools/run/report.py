#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""report.py DIR [MEMCPY]: results.csv and the table from what the guest has measured.

Exits with 1 if something failed.
"""

import csv
import json
import os
import sys

import plan

COLUMNS = ("tool", "path", "device", "size", "metric", "unit", "value")
# The figure of the table for each kind of tool, and whether more is better.
SHOWN = {"bw": (("bw_avg", True), ("msg_rate", True)),
         "lat": (("lat_typical", False), ("lat_p99", False))}


def lines(path):
    """The rows of a file of JSON lines; no file, no rows."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def write_csv(path, rows):
    """Exactly the columns that others read."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(dict({name: row[name] for name in COLUMNS},
                                 value=plain(row["value"])))


def plain(value):
    """A number as programs read it, never with an exponent."""
    return ("%.6f" % value).rstrip("0").rstrip(".")


def number(value):
    """Four significant digits, as a person reads them."""
    if value is None:
        return "-"
    if value >= 1000:
        return "%.0f" % value
    if value >= 0.001:
        return "%.4g" % value
    return plain(value)


def ratio(ours, theirs, more_is_better):
    """How many times better than soft-RoCE."""
    if not ours or not theirs:
        return "-"
    times = ours / theirs if more_is_better else theirs / ours
    return "%.0fx" % times if times >= 100 else "%.3gx" % times


def table(rows):
    """Lines of text: one block per path and tool."""
    values = {(r["path"], r["tool"], r["size"], r["metric"], r["device"]): r["value"]
              for r in rows}
    out = []
    for path in plan.ALL_PATHS:
        for tool in plan.BW_TOOLS + plan.LAT_TOOLS:
            found = sorted({key[2] for key in values if key[:2] == (path, tool)})
            if not found:
                continue
            out += block(values, path, tool, found)
    return out


def block(values, path, tool, found):
    """One tool over one path: a line per size."""
    (first, more), (second, _) = SHOWN[plan.kind(tool)]
    unit = {"bw_avg": "MB/s", "msg_rate": "Mmsg/s", "lat_typical": "us", "lat_p99": "us"}
    heads = ["%s %s" % (name, unit[metric]) for metric in (first, second)
             for name in plan.DEVICES]
    if plan.kind(tool) == "lat":
        heads[2:] = ["svan p99", "rxe p99"]
    out = ["", "%s, %s" % (tool, path),
           "%10s %12s %12s %10s %14s %14s %10s" % ("size", heads[0], heads[1], "ratio",
                                                   heads[2], heads[3], "ratio")]
    for size in found:
        cells = {(metric, device): values.get((path, tool, size, metric, device))
                 for metric in (first, second) for device in plan.DEVICES}
        line = "%10s" % plan.size_name(size)
        for metric, width in ((first, 12), (second, 14)):
            ours, theirs = cells[metric, "svan"], cells[metric, "rxe"]
            line += " %*s %*s %10s" % (width, number(ours), width, number(theirs),
                                       ratio(ours, theirs, more))
        out.append(line)
    return out


def main():
    """Print all, say what failed."""
    folder = sys.argv[1]
    rows = lines(os.path.join(folder, "results.jsonl"))
    failures = lines(os.path.join(folder, "failures.jsonl"))
    write_csv(os.path.join(folder, "results.csv"), rows)
    print("\n".join(table(rows)))
    print("\nratio: how many times better than soft-RoCE (rxe) in the same guests; "
          "MB = 2^20 bytes")
    for row in rows:
        if row["tool"].startswith("iperf3"):
            print("TCP over the svan netdev, %s: %s MB/s" % (
                "two guests" if row["tool"] == "iperf3-two-guests" else
                "two devices in one guest", number(row["value"])))
    if len(sys.argv) > 2:
        print("memcpy on this machine: %s MB/s" % sys.argv[2])
    if failures:
        print("\n%d failed:" % len(failures))
        for failure in failures:
            print("  %s: %s\n      %s" % (failure["what"], failure["why"],
                                          os.path.join(folder, "logs", failure["log"])))
    sys.exit(1 if failures or not rows else 0)


if __name__ == "__main__":
    main()
