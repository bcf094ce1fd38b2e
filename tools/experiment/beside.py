#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""beside.py DIR [PAIRS]: in the guest, the rate of a process beside another one.

ib_write_bw with memory on demand, beside a process that burns a CPU, and beside
one that burns as much and has twice as many faults outstanding as a device may ask
for; in turn, PAIRS times. Prints a table; DIR/results.csv has every run.
"""

import csv
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FAULTS = 512
SECONDS = 3
SIZE = 65536


def perftest():
    """The rate of one run, MB/s."""
    command = ["ib_write_bw", "-d", os.environ["SVAN_DEV"], "-x", os.environ["SVAN_GID"],
               "--odp", "-s", str(SIZE), "-D", str(SECONDS), "-F"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        for _ in range(100):
            text = subprocess.run(["ss", "-Hltn", "sport = :18515"], check=True,
                                  capture_output=True, text=True).stdout
            if text.strip():
                break
        client = subprocess.run(command + [os.environ["SVAN_LOCAL"]], check=False,
                                capture_output=True, text=True, timeout=120)
        server.wait(timeout=60)
    for line in client.stdout.splitlines():
        fields = line.split()
        if fields and fields[0] == str(SIZE):
            return float(fields[3])
    print(client.stdout + client.stderr, file=sys.stderr)
    raise SystemExit("ib_write_bw gave no rate")


def beside(faults):
    """The rate beside an attacker."""
    command = [os.path.join(HERE, "attacker"), str(faults)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
        waiting = attacker.stdout.readline().split()
        if not waiting:
            raise SystemExit("the attacker did not begin")
        rate = perftest()
        attacker.kill()
        attacker.wait(timeout=20)
    return rate, int(waiting[0])


def main():
    """All runs, and the table."""
    out, pairs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 7
    rows = []
    for number in range(pairs):
        for faults in (0, FAULTS) if number % 2 else (FAULTS, 0):
            rate, waiting = beside(faults)
            rows.append((number, faults, waiting, rate))
            print(f"# pair {number}, {faults} faults: {rate:.1f} MB/s", file=sys.stderr, flush=True)
    with open(os.path.join(out, "results.csv"), "w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("pair", "faults", "waiting", "mb_s"))
        writer.writerows(rows)
    medians = {}
    print(f"{'beside':<32}{'median MB/s':>12}{'least':>9}{'most':>9}")
    for faults, name in ((0, "a process that burns a CPU"),
                         (FAULTS, f"the same and {FAULTS} faults")):
        rates = [row[3] for row in rows if row[1] == faults]
        medians[faults] = statistics.median(rates)
        print(f"{name:<32}{medians[faults]:>12.1f}{min(rates):>9.1f}{max(rates):>9.1f}")
    print(f"ratio {medians[FAULTS] / medians[0]:.3f}")


if __name__ == "__main__":
    main()
