#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""attacks.py FILE ATTACKER VICTIM ROUNDS SECONDS [KIND...]: in the guest, one function beside
another that attacks.

ATTACKER and VICTIM are the environment of programs of the functions vf1 and vf2, each in the
namespace of that name. In each of ROUNDS a victim is measured for SECONDS beside an attacker
of each kind, and before that beside one that burns as much with traffic of its own. Prints a
table; FILE, a CSV, has every run.
"""

import csv
import os
import statistics
import subprocess
import sys

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "attacks")
KINDS = ("rnr", "errors", "atomics", "tiny-writes", "doorbells", "registrations",
         "queue-pairs", "faults", "large-writes")
LAWFUL = ("large-writes",)      # no attack: who wants all it can get; in the table, not judged
DECENT = "loopback"
RATE, TAIL = 0.8, 2.0           # what a victim keeps of its rate, at most of its p99
LIMIT = 120


class Place:
    """A function, as programs that use it see it. They run on one CPU, which has the function's
    interrupts, too, as a virtual machine's CPUs have those of its function."""

    def __init__(self, name, cpu, environment):
        self.name, self.cpu = name, cpu
        self.environment = dict(os.environ, **dict(pair.split("=") for pair in
                                                   environment.split()))
        vectors = "/sys/class/infiniband/%s/device/msi_irqs" % self.environment["SVAN_DEV"]
        for irq in os.listdir(vectors):
            with open("/proc/irq/%s/smp_affinity_list" % irq, "w", encoding="ascii") as affinity:
                affinity.write(str(cpu))

    def start(self, *arguments):
        """attacks ARGUMENT..."""
        command = ["ip", "netns", "exec", self.name, "taskset", "-c", str(self.cpu), PROGRAM]
        return subprocess.Popen(command + list(arguments), stdout=subprocess.PIPE, text=True,
                                env=self.environment)


def beside(attacker, victim, kind, seconds):
    """MB/s, p50 and p99 of the victim, in us."""
    with attacker.start(kind) as attack:
        if attack.stdout.readline() != "begun\n":
            raise SystemExit("the attacker %s did not begin" % kind)
        with victim.start("victim", str(seconds)) as process:
            text = process.communicate(timeout=LIMIT)[0]
        ended = attack.poll()
        attack.kill()
    if ended is not None or process.returncode:
        raise SystemExit("%s: the attacker ended (%s), or the victim failed (%s)"
                         % (kind, ended, process.returncode))
    return [float(figure) for figure in text.split()]


def ratios(rows, kind):
    """Of each round: rate and p99 beside that attack to those beside decent traffic."""
    rounds = sorted({row[0] for row in rows if row[1] == kind})
    found = {row[:2]: row[3:] for row in rows if row[2] == kind}
    return [(found[n, kind][0] / found[n, DECENT][0], found[n, kind][2] / found[n, DECENT][2])
            for n in rounds]


def measure(attacker, victim, rounds, seconds, kinds):
    """Rows of round, kind, what the attacker did, MB/s, p50, p99."""
    rows = []
    for kind in kinds:
        for number in range(rounds):
            for what in (DECENT, kind) if number % 2 else (kind, DECENT):
                rows.append((number, what, kind, *beside(attacker, victim, what, seconds)))
        rates, tails = zip(*ratios(rows, kind))
        print("# %-14s rate %.2f, p99 %.2f" % (kind, statistics.median(rates),
                                                statistics.median(tails)),
              file=sys.stderr, flush=True)
    return rows


def is_harmed(kind, rate, tail):
    """By an attack, of which the victim's rate and p99 are so many times what they were."""
    return kind not in LAWFUL and (rate < RATE or tail > TAIL)


def verdict(rows, kinds):
    """The table; how many attacks harm the victim."""
    harmful = 0
    print("%-16s%14s%9s%9s%14s%9s%9s" % ("attack", "rate kept", "least", "most", "p99 times",
                                         "least", "most"))
    for kind in kinds:
        rates, tails = zip(*ratios(rows, kind))
        rate, tail = statistics.median(rates), statistics.median(tails)
        bad = is_harmed(kind, rate, tail)
        harmful += bad
        print("%-16s%14.2f%9.2f%9.2f%14.2f%9.2f%9.2f%s"
              % (kind, rate, min(rates), max(rates), tail, min(tails), max(tails),
                 "   HARMED" if bad else "   (no attack)" if kind in LAWFUL else ""))
    return harmful


def main():
    """All kinds, the file and the table."""
    out, attacker, victim, rounds, seconds = sys.argv[1:6]
    kinds = sys.argv[6:] or KINDS
    rows = measure(Place("vf1", 1, attacker), Place("vf2", 0, victim), int(rounds),
                   int(seconds), kinds)
    with open(out, "w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("round", "attacker_does", "beside", "mb_s", "p50_us", "p99_us"))
        writer.writerows(rows)
    sys.exit(verdict(rows, kinds) > 0)


if __name__ == "__main__":
    main()
