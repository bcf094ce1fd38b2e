#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of the experiment about congestion: what the parts have written into a folder.

    congestion.py DIR
"""

import csv
import os
import sys

import cheats
import plot

PARTS = (("virtual.csv", "In virtual time", cheats.sections),)
COLUMNS = ("part", "case", "bottlenecks", "regime", "what", "key", "value")


def main():
    out, verdicts, sections = sys.argv[1], cheats.Verdicts(), []
    with open(os.path.join(out, "results.csv"), "w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, title, section in PARTS:
            path = os.path.join(out, name)
            if os.path.exists(path):
                with open(path, encoding="ascii") as part:
                    writer.writerows([name.split(".", 1)[0]] + row for row in csv.reader(part))
                sections += ["<h2>%s</h2>" % title] + section(verdicts, path)
    verdict = "%d passed, %d failed" % (verdicts.passed, len(verdicts.failures))
    with open(os.path.join(out, "report.html"), "w", encoding="utf-8") as file:
        file.write(plot.page("Congestion control that a virtual machine cannot escape",
                             ["<p>%s.</p>" % verdict] + sections))
    print(verdict)
    return bool(verdicts.failures)


if __name__ == "__main__":
    sys.exit(main())
