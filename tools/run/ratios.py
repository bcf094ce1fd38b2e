#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ratios.py DIR [OLD NEW]: what was measured in pairs, the side NEW against OLD, by the names
of which they are called; new against old is what `make compare` measures.

DIR/1-old/results.jsonl and DIR/1-new/results.jsonl are the first pair, and so on. A
ratio above 1 means that the new side is better, for latencies too. Exits with 1 if
the median of a ratio is below LEAST, or if figures are missing; whether chance alone could
have brought that is said beside it.
"""

import collections
import json
import math
import os
import re
import statistics
import sys

import plan

LEAST = 0.95
CONFIDENCE = 0.95
FIRST = {"bw": "bw_avg", "lat": "lat_typical"}


class Cell(collections.namedtuple("Cell", "path tool demand size")):
    """One benchmark."""

    def __str__(self):
        return "%s%s %s, %s" % (self.tool, " --odp" if self.demand else "",
                                plan.size_name(self.size), self.path)


def figures(path):
    """The first figure of each cell of one guest; no file, no figures."""
    found = {}
    try:
        with open(path, encoding="utf-8") as file:
            for row in map(json.loads, file):
                if row["metric"] == FIRST[plan.kind(row["tool"])]:
                    cell = Cell(row["path"], row["tool"], row["demand"], row["size"])
                    found[cell] = row["value"]
    except FileNotFoundError:
        pass
    return found


def pairs(folder, sides):
    """The figures of both sides of every pair."""
    numbers = sorted({int(name.split("-")[0]) for name in os.listdir(folder)
                      if re.fullmatch(r"\d+-(%s)" % "|".join(sides), name)})
    return [[figures(os.path.join(folder, "%d-%s" % (number, side), "results.jsonl"))
             for side in sides] for number in numbers]


def ratio(cell, old, new):
    """Above 1 is better."""
    return old / new if plan.kind(cell.tool) == "lat" else new / old


def coverage(count, rank):
    """How certainly the median lies between a sample's values number RANK from below
    and from above (from 0), whatever the distribution."""
    return 1 - sum(math.comb(count, i) for i in range(rank + 1)) / 2 ** (count - 1)


def interval(values):
    """(low, high, confidence) of the median: the narrowest with enough confidence, or
    all of the sample if it is too small for that."""
    values, count = sorted(values), len(values)
    rank = max((rank for rank in range((count + 1) // 2)
                if coverage(count, rank) >= CONFIDENCE), default=0)
    return values[rank], values[count - 1 - rank], coverage(count, rank)


def verdict(ratios):
    """Of a row. Where the interval reaches 1, the same code twice may look like this."""
    if statistics.median(ratios) >= LEAST:
        return ""
    return "   SLOWER" if interval(ratios)[1] < 1 else "   SLOWER, or chance"


def line(cell, old, new, ratios):
    """One row of the table."""
    low, high, confidence = interval(ratios)
    middle = statistics.median(ratios)
    return "%-32s %10.4g %10.4g %7.3f   %.3f to %.3f (%.1f%%, %d pairs)%s" % (
        cell, statistics.median(old), statistics.median(new), middle, low, high,
        100 * confidence, len(ratios), verdict(ratios))


def main():
    """The table, and whether it is good."""
    sides = sys.argv[2:4] or ["old", "new"]
    measured = pairs(sys.argv[1], sides)
    cells = list(dict.fromkeys(cell for pair in measured for side in pair for cell in side))
    bad = 0 if cells else 1
    print("%-32s %10s %10s %7s   %s" % ("MB/s, or us of latency", *sides, "ratio",
                                        "interval of the median ratio"))
    for cell in cells:
        both = [(old[cell], new[cell]) for old, new in measured if cell in old and cell in new]
        if both:
            ratios = [ratio(cell, *pair) for pair in both]
            print(line(cell, *zip(*both), ratios))
            bad += statistics.median(ratios) < LEAST
        if len(both) < len(measured):
            print("%-32s figures are missing in %d of %d pairs"
                  % (cell, len(measured) - len(both), len(measured)))
            bad += 1
    print("ratio: how many times better than %s; %s"
          % (sides[0], "none is below %g" % LEAST if not bad else
             "%d below %g or missing" % (bad, LEAST)))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
