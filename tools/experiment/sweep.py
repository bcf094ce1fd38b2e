#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sweep.py DIR: in the guest, the experiment on fault modes; DIR/results.csv.

Each policy's parameters are chosen by a sweep with seeds of its own and then
frozen; what is reported was measured with fresh seeds.
"""

import csv
import glob
import os
import re
import statistics
import subprocess
import sys
import time

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults")
SWEEP_SEED = 100
SEEDS = (1, 2, 3, 4, 5)
FILE = "/run/cold/file"
SOURCES = {"entry": 1, "location": 2, "response": 4}
TRACE = "/sys/kernel/tracing"
EVENTS = ("irq/irq_handler_entry", "svan_ib/svan_ib_page_request", "svan_ib/svan_ib_page_pending",
          "svan_ib/svan_ib_page_resolved")

# One turn of a sweep is one policy. bound_us: 0 is never.
BOUNDS = (5000, 20000, 60000)
SHARES = (16384, 131072)                # of the fault buffer, for one queue pair
SWEEPS = {
    "hold": [{"hold_bytes": share, "bound_us": bound} for share in SHARES for bound in BOUNDS],
    "rnr": [{"unknown_us": us, "hold_bytes": 131072} for us in (50, 100, 400, 1600, 6400, 25600)],
    "divert": [{"divert_pages": share // 4096, "bound_us": bound}
               for share in SHARES for bound in BOUNDS],
    "drop": [{"bound_us": bound, "rnr_timer": code} for bound in BOUNDS for code in (1, 12)],
    "auto": [{"hold_bytes": share, "hold_max_us": hold, "drop_max_us": drop}
             for share in SHARES for hold, drop in ((1000, 1000), (4000, 4000), (4000, 20000))],
}
# What estimates a fixed mode does without. The whole buffer is AUTO's, too: no more.
FIXED = {"sources": 0}
GIVEN = {"auto": {"sources": 7, "divert_pages": 0, "bound_us": 20000, "divert_max_us": 0}}


def note(text):
    """Progress, for the person."""
    print("# " + text, file=sys.stderr, flush=True)


def write(path, text):
    """A file of the kernel."""
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def swap(areas):
    """Exactly these are in use, in turn."""
    for name in ("/dev/zram0", "/dev/vdb"):
        with open("/proc/swaps", encoding="ascii") as file:
            on = name in file.read()
        if on and name not in areas:
            subprocess.run(["swapoff", name], check=True)
        if not on and name in areas:
            subprocess.run(["swapon", "-p", "10", name], check=True)


def prepare():
    """Swap areas, a file system of cold files, memory cgroups."""
    subprocess.run(["modprobe", "zram", "num_devices=1"], check=True)
    write("/sys/block/zram0/disksize", "256M")
    for name in ("/dev/zram0", "/dev/vdb"):
        subprocess.run(["mkswap", name], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    swap(("/dev/zram0", "/dev/vdb"))
    write("/proc/sys/vm/page-cluster", "0")
    os.makedirs(os.path.dirname(FILE), exist_ok=True)
    subprocess.run(["mount", "/dev/vdc", os.path.dirname(FILE)], check=True)
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        os.makedirs("/sys/fs/cgroup", exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
    write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")


def counters():
    """Of the device, by name."""
    found = {}
    folder = "/sys/class/infiniband/%s/ports/1/hw_counters/" % os.environ["SVAN_DEV"]
    time.sleep(0.05)                    # the kernel keeps what it has read so long
    for path in glob.glob(folder + "*"):
        with open(path, encoding="ascii") as file:
            found[os.path.basename(path)] = int(file.read())
    return found


def forget():
    """What was learned before is another run's."""
    for path in glob.glob("/sys/kernel/debug/svan_ib/*/estimates"):
        write(path, "reset")


class Results:
    """results.csv."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="ascii", newline="")
        self.writer = csv.writer(self.file)
        self.writer.writerow(("phase", "policy", "parameters", "memory", "traffic", "seed", "kind",
                              "group", "x", "value"))

    def add(self, where, rows):
        """Rows of one run."""
        self.writer.writerows(where + tuple(row) for row in rows)
        self.file.flush()


def run_once(name, parameters, seed, load, memory, traffic, seconds):
    """One run; its rows, and what the device has counted."""
    options = dict(FIXED if not name.startswith("auto") else {}, **parameters)
    options.update(mode=name.split("-", maxsplit=1)[0], memory=memory, traffic=traffic, seed=seed,
                   load=load, seconds=seconds, warm=1, file=FILE)
    forget()
    before = counters()
    text = subprocess.run([PROGRAM] + ["%s=%s" % option for option in options.items()],
                          stdout=subprocess.PIPE, check=True, text=True).stdout
    rows = [line.split(",") for line in text.splitlines()[1:]]
    after = counters()
    rows += [("counter", key, "", after[key] - before[key]) for key in sorted(after)
             if after[key] != before[key]]
    return rows


def run(name, parameters, seed, memory="mix", traffic="mix", seconds=3):
    """Times with streams that leave room, goodput with streams that do not; one run's rows."""
    rows = run_once(name, parameters, seed, "full", memory, traffic, seconds)
    full = [row for row in rows if row[0] in ("goodput_mbs", "course_mbs")]
    failures = figure(rows, "failures")
    rows = run_once(name, parameters, seed, "paced", memory, traffic, seconds)
    failures += figure(rows, "failures")
    return full + [row for row in rows if row[0] not in ("goodput_mbs", "course_mbs", "failures")] \
        + [["failures", "all", "", failures]]


def figure(rows, kind, group="all", x=""):
    """One value of the run; of a run without a transfer, the worst."""
    for row in rows:
        if row[:3] == [kind, group, x]:
            return float(row[3])
    return float("inf") if kind == "time_us" else 0.0


def p99_ms(rows):
    """Of the short transfers; those of a stream are asked for when the last is done."""
    return figure(rows, "time_us", "short", "99") / 1e3


def text_of(parameters):
    """hold_bytes=16384 bound_us=0"""
    return " ".join("%s=%s" % item for item in sorted(parameters.items()))


def score(rows):
    """Goodput over p99, both count alike; a failed transfer fails the policy."""
    if figure(rows, "failures"):
        return 0.0
    return figure(rows, "goodput_mbs") / p99_ms(rows)


def sweep(results):
    """The best parameters of each policy."""
    best = {}
    for name, choices in SWEEPS.items():
        scores = []
        for choice in choices:
            parameters = dict(GIVEN.get(name, {}), **choice)
            rows = run(name, parameters, SWEEP_SEED, seconds=2)
            results.add(("sweep", name, text_of(choice), "mix", "mix", SWEEP_SEED), rows)
            scores.append((score(rows), parameters))
            note("sweep: %-6s %-36s p99 %7.1f ms, %7.1f MB/s" %
                 (name, text_of(choice), p99_ms(rows),
                  figure(rows, "goodput_mbs")))
        best[name] = max(scores, key=lambda pair: pair[0])[1]
    return best


def policies(best):
    """What is compared: the swept ones, and AUTO without one of its sources."""
    chosen = dict(best)
    for name, bit in SOURCES.items():
        chosen["auto-no-" + name] = dict(best["auto"], sources=7 & ~bit)
    return chosen


def traced(events, action):
    """[(us, event, {field: value})] of what happened meanwhile."""
    write(TRACE + "/trace", "")
    for event in events:
        write("%s/events/%s/enable" % (TRACE, event), "1")
    action()
    for event in events:
        write("%s/events/%s/enable" % (TRACE, event), "0")
    found = []
    with open(TRACE + "/trace", encoding="ascii") as file:
        for line in file:
            match = re.match(r".*\s(\d+\.\d+): (\w+): (.*)", line)
            if match:
                words = (word.split("=", 1) for word in match[3].split() if "=" in word)
                found.append((1e6 * float(match[1]), match[2], dict(words)))
    return found


def trace(results, parameters):
    """What was said of each fault, and how long it took."""
    found = traced(EVENTS[-1:], lambda: run_once(
        "auto", parameters, SEEDS[0], "paced", "mix", "mix", 5))
    rows = [("fault", words["class"] + "/" + words["store"], words["estimate"], words["actual"])
            for _, _, words in found if words["err"] == "0"]
    results.add(("trace", "auto", "", "mix", "mix", SEEDS[0]), rows)


def profile(found):
    """Where a fault's time goes in the guest: medians, us."""
    parts = {"interrupt to drain": [], "classification": [], "fault path": []}
    interrupt, request, pending = None, {}, {}
    for us, event, words in found:
        token = words.get("fault")
        if event == "irq_handler_entry" and words.get("name", "").startswith("svan-async"):
            interrupt = us
        elif event == "svan_ib_page_request":
            request[token] = us
            if interrupt is not None:
                parts["interrupt to drain"].append(us - interrupt)
            interrupt = None
        elif event == "svan_ib_page_pending" and token in request:
            pending[token] = us
            parts["classification"].append(us - request.pop(token))
        elif event == "svan_ib_page_resolved" and token in pending:
            parts["fault path"].append(us - pending.pop(token))
    return [("profile_us", name, "50", "%.1f" % statistics.median(times))
            for name, times in parts.items() if times]


def costs(results):
    """Of one minor fault, and of invalidations."""
    program = os.path.join(os.path.dirname(PROGRAM), "costs")
    text = subprocess.run([program], stdout=subprocess.PIPE, check=True, text=True).stdout
    rows = [line.split(",") for line in text.splitlines()[1:]]
    rows += profile(traced(EVENTS, lambda: subprocess.run([program], stdout=subprocess.DEVNULL,
                                                          check=True)))
    results.add(("costs", "auto", "", "fresh", "", ""), rows)
    note("costs: measured")


def compare(results, chosen):
    """Fresh seeds; the policies in turn, so that a bad minute hits all alike."""
    for seed in SEEDS:
        for name, parameters in chosen.items():
            rows = run(name, parameters, seed)
            results.add(("final", name, text_of(parameters), "mix", "mix", seed), rows)
            note("seed %d: %-18s p99 %7.1f ms, %7.1f MB/s%s" %
                 (seed, name, p99_ms(rows), figure(rows, "goodput_mbs"),
                  ", FAILED" if figure(rows, "failures") else ""))


def each_alone(results, best):
    """One kind of memory, or of traffic, at a time."""
    alone = [("fresh", (), "mix"), ("cold", (), "mix"), ("swap", ("/dev/zram0",), "mix"),
             ("swap", ("/dev/vdb",), "mix")]
    both = ("/dev/zram0", "/dev/vdb")
    alone += [("mix", both, traffic) for traffic in ("stream", "random", "send")]
    for memory, areas, traffic in alone:
        swap(areas or both)
        shown = {(): memory, both: memory, ("/dev/zram0",): "zram", ("/dev/vdb",): "disk"}[areas]
        for name, parameters in best.items():
            rows = run(name, parameters, SEEDS[0], memory, traffic, seconds=2)
            results.add(("alone", name, "", shown, traffic, SEEDS[0]), rows)
        note("alone: %s memory, %s traffic" % (shown, traffic))
    swap(both)


def main():
    """Everything, in this order."""
    results = Results(os.path.join(sys.argv[1], "results.csv"))
    prepare()
    costs(results)
    best = sweep(results)
    for name, parameters in best.items():
        note("frozen: %-6s %s" % (name, text_of(parameters)))
    compare(results, policies(best))
    trace(results, best["auto"])
    each_alone(results, best)


if __name__ == "__main__":
    main()
