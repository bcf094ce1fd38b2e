#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cheats against congestion control in virtual time: statements that are true or false, and
sections of a page, from the CSV of cheats_world.

    cheats.py CSV [HTML]
"""

import collections
import csv
import html
import sys

import plot

WHO = ("victim", "other", "cheat")
TITLES = {"victim": "victim (RDMA, honest)", "other": "other (TCP, honest)", "cheat": "cheat"}
GAIN, JAIN, TAIL, USED = 1.05, 0.98, 1.2, 0.9
INNOCENT = 0.5          # of its NIC's link, at least
RISE = 10               # ms until a lone flow uses 0.9 of the link
RED = 0.9               # Jain with frozen estimates, of what gains freely
WARM_UP, SECOND = 50, 1000      # ms
SHOWN = ("honest RDMA", "16 queue pairs", "CNPs ignored", "16 queue pairs to 8 peers",
         "TCP: 16 and losses ignored")
PLACES = {"one": "One bottleneck", "two": "Two bottlenecks in a row"}


def jain(values):
    """Jain's index."""
    squares = sum(x * x for x in values)
    return sum(values) ** 2 / len(values) / squares if squares else 0


class Run:
    """One case in one regime."""

    def __init__(self):
        self.figures, self.rates = {}, {who: [] for who in WHO}

    def add(self, what, key, value):
        """A row."""
        if what == "gbit_s":
            who, start = key.split()
            self.rates[who].append((int(start), value))
        else:
            self.figures[what, key] = value

    def goodput(self, who):
        """Gbit/s."""
        return self.figures["goodput", who]

    def used(self):
        """Of the link."""
        return self.figures["used", "link"]

    def tail(self):
        """The victim's p99, us."""
        return self.figures["p99_us", "victim"]

    def jain(self):
        """Over the functions; the least of all whole seconds, if there are any."""
        seconds = collections.defaultdict(lambda: collections.Counter())
        for who in WHO:
            for start, rate in self.rates[who]:
                if start >= WARM_UP:
                    seconds[(start - WARM_UP) // SECOND][who] += rate
        length = len(self.rates["cheat"]) and max(x for x, _ in self.rates["cheat"]) - WARM_UP
        whole = [[sums[who] for who in WHO] for n, sums in seconds.items()
                 if (n + 1) * SECOND <= length + 5]
        return min(map(jain, whole)) if whole else self.figures["jain", "all"]


def read(path):
    """{(case, bottlenecks, regime): Run}, {case: the honest one}."""
    runs, honest = collections.defaultdict(Run), {}
    with open(path, encoding="ascii") as file:
        for case, place, regime, what, key, value in csv.reader(file):
            if what == "honest":
                honest[case] = key
            else:
                runs[case, place, regime].add(what, key, float(value))
    return runs, honest


class Verdicts:
    """Statements, and how many are true."""

    def __init__(self):
        self.passed, self.failures = 0, []

    def expect(self, good, text):
        """One that is true or false, for a cell of a table, too."""
        print("%s - %s" % ("ok" if good else "not ok", text), flush=True)
        self.passed += bool(good)
        if not good:
            self.failures.append(text)
        return "yes" if good else "NO"


def row(verdicts, runs, case, honest, place):
    """A cheat: what it gains, and what others lose."""
    free, enforced = (runs[case, place, regime] for regime in ("free", "enforced"))
    gains = [run.goodput("cheat") / runs[honest, place, regime].goodput("cheat")
             for regime, run in (("free", free), ("enforced", enforced))]
    tail = enforced.tail() / runs[honest, place, "enforced"].tail()
    good = (gains[1] <= GAIN and enforced.jain() >= JAIN and tail <= TAIL and
            enforced.used() >= USED)
    return [case, "%.2f" % gains[0], "%.3f" % gains[1], "%.3f" % free.jain(),
            "%.3f" % enforced.jain(), "%.0f" % enforced.tail(), "%.2f" % tail,
            "%.2f" % enforced.used(),
            verdicts.expect(good, "%s bottleneck(s), %s: gains %.3f (free %.2f), Jain %.3f (free "
                            "%.3f), victim's p99 %.2f times, link %.2f"
                            % (place, case, gains[1], gains[0], enforced.jain(), free.jain(),
                               tail, enforced.used()))]


HEAD = ["cheat", "gains freely", "gains", "Jain, free", "Jain", "victim's p99, us",
        "times the honest", "link used", "as it should be"]


def honest_table(verdicts, runs, honest, place):
    """Those who do not cheat."""
    rows = []
    for case in sorted({key[0] for key in runs if key[1] == place} - set(honest)):
        run = runs[case, place, "enforced"]
        if ("goodput", "cheat") not in run.figures:
            continue
        good = run.jain() >= JAIN and run.used() >= USED
        rows.append([case] + ["%.2f" % run.goodput(who) for who in WHO] +
                    ["%.3f" % runs[case, place, "free"].jain(), "%.3f" % run.jain(),
                     "%.0f" % run.tail(), "%.2f" % run.used()])
        if case != "small packets":
            verdicts.expect(good, "%s bottleneck(s), %s: Jain %.3f, link %.2f" %
                            (place, case, run.jain(), run.used()))
    return plot.table(["all honest; the third sends", "victim, Gbit/s", "other", "the third",
                       "Jain, free", "Jain", "victim's p99, us", "link used"], rows)


def frozen(verdicts, runs):
    """Without estimates nothing is enforced."""
    case = "16 queue pairs"
    value = runs[case, "one", "frozen"].jain()
    verdicts.expect(value < RED, "estimates frozen, %s: Jain %.3f, as bad as without enforcement"
                    % (case, value))
    return "<p>With the estimates frozen, %s: Jain %.3f.</p>" % (case, value)


def alone(verdicts, runs):
    """Lone flows, and those that are innocent."""
    parts = []
    for case in ("honest RDMA", "honest TCP"):
        figures = runs[case, "one", "enforced"].figures
        for what, text in (("alone_at_first", "from its start"),
                           ("alone_again", "1 s after the cheat has stopped")):
            ms = figures[what, "ms"]
            parts.append("%s: %s it uses 0.9 of the link within %d ms" % (case, text, ms))
            verdicts.expect(0 < ms <= RISE, parts[-1])
    figures = runs["honest RDMA", "one", "enforced"].figures
    parts.append("whose peer's link nobody else uses has %.2f of it beside a cheat on the same NIC, "
                 "and never waits (%d times), while the cheat does (%d times)" % tuple(
                     figures[key] for key in (("innocent", "used"), ("innocent", "delays"),
                                              ("guilty", "delays"))))
    verdicts.expect(figures["innocent", "used"] >= INNOCENT and not figures["innocent", "delays"]
                    and figures["guilty", "delays"], parts[-1])
    return "<ul>%s</ul>" % "".join("<li>%s</li>" % html.escape(x) for x in parts)


def pictures(runs, place):
    """Rates over time."""
    parts = []
    for case in SHOWN:
        for regime in ("free", "enforced"):
            run = runs.get((case, place, regime))
            if run:
                parts.append(plot.figure(plot.svg(
                    "set xlabel 'ms'\nset ylabel 'Gbit/s'\nset yrange [0:10]\nset xrange [0:150]\n",
                    {TITLES[who]: [point for point in run.rates[who] if point[0] <= 150]
                     for who in WHO}, plot.LINES), "%s, %s." % (case, regime)))
    return "".join(parts)


def sections(verdicts, path):
    """Strings of HTML for the page of the experiment."""
    runs, honest = read(path)
    parts = []
    for place, title in PLACES.items():
        parts += ["<h3>%s</h3>" % title, honest_table(verdicts, runs, honest, place),
                  plot.table(HEAD, [row(verdicts, runs, case, other, place)
                                    for case, other in honest.items()
                                    if (case, place, "enforced") in runs])]
    return parts + [frozen(verdicts, runs), "<h3>Alone, and innocent</h3>", alone(verdicts, runs),
                    "<h3>Rates</h3>", pictures(runs, "one")]


def main():
    verdicts = Verdicts()
    page = plot.page("Cheats in virtual time", sections(verdicts, sys.argv[1]))
    with open(sys.argv[2] if len(sys.argv) > 2 else "/dev/null", "w", encoding="utf-8") as file:
        file.write(page)
    print("%d passed, %d failed" % (verdicts.passed, len(verdicts.failures)))
    return bool(verdicts.failures)


if __name__ == "__main__":
    sys.exit(main())
