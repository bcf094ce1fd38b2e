#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of the experiment about congestion: what the parts have written into a folder.

    congestion.py DIR
"""

import collections
import csv
import html
import math
import os
import statistics
import sys

import attacks
import cheats
import plot

COLUMNS = ("part", "case", "bottlenecks", "regime", "what", "key", "value")
JAIN, TAIL, USED, RED = 0.95, 2, 0.9, 0.9
CASES = {"honest": "all honest", "many": "16 queue pairs",
         "limit": "4 queue pairs and their rate limits raised",
         "tcp": "8 connections of TCP without ECN",
         "stacks": "five stacks of TCP: reno, cubic, bbr, dctcp, ECN off"}


class Run:
    """One run in a guest."""

    def __init__(self):
        self.figures, self.rates = {}, collections.defaultdict(list)

    def add(self, what, key, value):
        """A row."""
        if what == "mbit_s":
            who, second = key.rsplit(" ", 1)
            self.rates[who].append((int(second) + 0.5, value))
        else:
            self.figures[what, key] = value

    def jain(self, which="all"):
        """Of the means, or of the seconds the least or the median."""
        return self.figures["jain", which]

    def tail(self):
        """The victim's p99, ms; 0: there is no victim; infinite: it has sent nothing."""
        none = math.inf if ("goodput", "victim") in self.figures else 0
        return self.figures.get(("p99_us", "victim"), none) / 1000


def read(path):
    """{(bottlenecks, case, regime): Run}."""
    runs = collections.defaultdict(Run)
    with open(path, encoding="ascii") as file:
        for case, place, regime, what, key, value in csv.reader(file):
            runs[place, case, regime].add(what, key, float(value))
    return runs


def capacity(runs):
    """What the guest sends by itself, and by a bottleneck, Mbit/s."""
    alone = runs["none", "honest", "free"].figures
    total = sum(value for (what, _), value in alone.items() if what == "goodput")
    return total, runs["one", "honest", "enforced"].figures["rate", "link"]


def row(verdicts, runs, place, case):
    """A case with and without enforcement."""
    free, enforced = (runs[place, case, regime] for regime in ("free", "enforced"))
    tail = enforced.tail() / runs[place, "honest", "enforced"].tail()
    used = enforced.figures["used", "link"]
    good = enforced.jain("median") >= JAIN and tail <= TAIL and used >= USED
    return [CASES[case], "%.3f" % free.jain(), "%.3f" % enforced.jain(),
            "%.3f" % enforced.jain("median"), "%.3f" % enforced.jain("least"),
            "%.0f" % enforced.tail() if tail else "-", "%.2f" % tail if tail else "-",
            "%.2f" % used,
            verdicts.expect(good, "in a guest, bottlenecks: %s, %s: Jain %.3f, of the median "
                            "second %.3f, of the least %.3f (free %.3f), victim's p99 %.2f times, "
                            "link %.2f" % (place, CASES[case], enforced.jain(),
                                           enforced.jain("median"), enforced.jain("least"),
                                           free.jain(), tail, used))]


HEAD = ["the third function", "Jain, free", "Jain", "median second", "least second",
        "victim's p99, ms", "times the honest", "link used", "as it should be"]


def guest_sections(verdicts, path):
    """What was seen in guests."""
    runs = read(path)
    total, rate = capacity(runs)
    parts = ["<p>The guest alone sends %.0f Mbit/s; the bottleneck has %.0f.</p>" % (total, rate)]
    verdicts.expect(rate <= total / 5, "the bottleneck has %.0f Mbit/s, a fifth at most of what "
                    "the guest sends, %.0f" % (rate, total))
    for place, title in cheats.PLACES.items():
        rows = [row(verdicts, runs, place, case) for case in CASES
                if (place, case, "enforced") in runs]
        parts += ["<h3>%s</h3>" % title, plot.table(HEAD, rows)]
    frozen = runs["one", "many", "frozen"].jain()
    verdicts.expect(frozen < RED, "in a guest, estimates frozen, %s: Jain %.3f, as bad as without "
                    "enforcement" % (CASES["many"], frozen))
    parts.append("<p>With the estimates frozen, %s: Jain %.3f.</p>" % (CASES["many"], frozen))
    for (place, case, regime), run in runs.items():
        if place != "none":
            parts.append(plot.figure(plot.svg(
                "set xlabel 's'\nset ylabel 'Mbit/s'\nset yrange [0:%d]\n" % (1.2 * rate),
                run.rates, plot.LINES), "%s, %s. %s." % (CASES[case], regime,
                                                         cheats.PLACES[place])))
    return parts


def attack_ratios(path):
    """{kind: (rate kept, p99 times)}, medians of the rounds, as attacks.py has them."""
    with open(path, encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for kind in dict.fromkeys(row["beside"] for row in rows):
        decent, attack = ({row["round"]: row for row in rows if row["beside"] == kind and
                           row["attacker_does"] == what} for what in (attacks.DECENT, kind))
        found[kind] = [statistics.median(float(attack[n][column]) / float(decent[n][column])
                                         for n in attack) for column in ("mb_s", "p99_us")]
    return found


def attack_sections(verdicts, path):
    """What attacks on shared resources do to a neighbour; path is of the runs without
    enforcement."""
    regimes = {"free": attack_ratios(path)}
    enforced = os.path.join(os.path.dirname(path), "enforced.csv")
    if os.path.exists(enforced):
        regimes["enforced"] = attack_ratios(enforced)
    rows = []
    for kind in regimes["free"]:
        cells = [regime.get(kind) for regime in regimes.values()]
        good = all(cell and not attacks.is_harmed(kind, *cell) for cell in cells)
        text = ", ".join("%s: rate kept %.2f, p99 %.2f times" % (name, *cell) for name, cell in
                         zip(regimes, cells) if cell)
        rows.append([kind] + ["%.2f" % x for cell in cells if cell for x in cell] +
                    ["no attack" if kind in attacks.LAWFUL else
                     verdicts.expect(good, "attack %s, %s" % (kind, text))])
    return [plot.table(["attack"] + ["%s, %s" % (what, regime) for regime in regimes for what in
                                     ("rate kept", "p99 times")] + ["as it should be"], rows)]


PARTS = (("virtual.csv", "In virtual time", cheats.sections),
         ("guest.csv", "In guests", guest_sections),
         ("../attacks/attacks.csv", "Attacks on what functions share", attack_sections))
# Files that other targets leave, and by what command.
OTHERS = (("attacks.csv", "make experiment-attacks"),
          ("enforced.csv", "make experiment-attacks ENFORCED=1"))


def part_name(path):
    """Of a file of results."""
    return os.path.splitext(os.path.basename(path))[0]


def absent(out):
    """What the page would have, too."""
    for name, command in OTHERS:
        if not os.path.exists(os.path.join(out, "../attacks", name)):
            yield "attacks: %s is not there; %s makes it" % (name, command)


def main():
    out, verdicts, sections = sys.argv[1], cheats.Verdicts(), []
    with open(os.path.join(out, "results.csv"), "w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, title, section in PARTS:
            path = os.path.join(out, name)
            if os.path.exists(path):
                with open(path, encoding="ascii") as part:
                    writer.writerows([part_name(name)] + row for row in csv.reader(part))
                sections += ["<h2>%s</h2>" % title] + section(verdicts, path)
    for text in absent(out):
        print("# " + text)
        sections.append("<p>%s.</p>" % html.escape(text))
    verdict = "%d passed, %d failed" % (verdicts.passed, len(verdicts.failures))
    with open(os.path.join(out, "report.html"), "w", encoding="utf-8") as file:
        file.write(plot.page("Congestion control that a virtual machine cannot escape",
                             ["<p>%s.</p>" % verdict] + sections))
    print(verdict)
    return bool(verdicts.failures)


if __name__ == "__main__":
    sys.exit(main())
