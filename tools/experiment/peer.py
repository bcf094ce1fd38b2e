#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""peer.py DIR: what tools/experiment/peer has measured as DIR/results.csv and a page."""

import csv
import functools
import os
import re
import sys

import plot

GOAL_US = 10
DRIVERS = {"accel": "accelerator", "poll": "CPU, polling", "sleep": "CPU, sleeping"}
PATHS = ("loopback", "wire")
LOADS = ("idle", "busy")
PERCENTILES = tuple(range(100)) + (99.9, 100)
HEAD = ("measured", "path", "load", "driver", "what", "percentile", "value")

# An RDMA WRITE of one packet that the responder has executed: its data is in memory.
PLACED = re.compile(r"svan_core_pkt_rx fn \d+ qpn \S+ opcode 0x0a ")
# A success that the NIC has counted, and a wait that the value has ended.
COUNTED = re.compile(r"svan_core_counter fn \d+ counter \S+ error 0 value [1-9]")
WAIT_END = re.compile(r"svan_accel_wait_end .* status 0$")
STORE = re.compile(r"svan_accel_store ")
COMMAND_END = re.compile(r"svan_accel_command_end ctx \d+ queue \d+ index (\d+) status (\d+)")


def read_jobs(out, name):
    """The lines of NAME.csv; numbers as numbers."""
    with open(os.path.join(out, name + ".csv"), encoding="ascii") as file:
        return [{key: int(value) if value.isdigit() else value for key, value in row.items()}
                for row in csv.DictReader(file)]


# ---- traces ----

def events(path):
    """(us, text) of each line of a trace with timestamps."""
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            head, _, text = line.partition(":")
            _, _, time = head.partition("@")
            seconds, _, micros = time.partition(".")
            if seconds.isdigit() and micros.isdigit():
                yield int(seconds) * 1000000 + int(micros), text


def ends_of_computation(job, text):
    """Is this the end of the command that computes?"""
    found = COMMAND_END.match(text)
    if not found:
        return False
    if found[2] != "0":
        raise SystemExit("a command has failed: " + text.strip())
    return int(found[1]) % job["span"] == job["compute"]


def stores(_, text):
    """Is this the store that submits?"""
    return bool(STORE.match(text))


def latencies(trace, jobs, starts):
    """For each job, us from the last event that starts(job, text) to each placement.

    Messages of a job follow one another, and so do jobs, so that they are told apart by
    counting.
    """
    found = [[] for _ in jobs]
    number, start = 0, None
    for time, text in events(trace):
        while number < len(jobs) and len(found[number]) == jobs[number]["count"]:
            number += 1
        if PLACED.match(text):
            if number == len(jobs) or start is None:
                raise SystemExit("%s: data was placed that nobody has submitted" % trace)
            found[number].append(time - start)
            start = None
        elif number < len(jobs) and starts(jobs[number], text):
            start = time
    if any(len(times) != job["count"] for times, job in zip(found, jobs)):
        raise SystemExit("%s: data of some messages was not placed" % trace)
    return found


def wait_latencies(trace, jobs):
    """For each job, us from each update of the counter to the end of the wait for it.

    There is one of each a message. The waiter may be faster than the line that tells of the
    update: that is 0.
    """
    updates, ends = [], []
    for time, text in events(trace):
        if COUNTED.match(text):
            updates.append(time)
        elif WAIT_END.match(text.rstrip()):
            ends.append(time)
    total = sum(job["count"] for job in jobs)
    if (len(updates), len(ends)) != (total, total):
        raise SystemExit("%s: %d messages, %d updates of the counter, %d ends of waits"
                         % (trace, total, len(updates), len(ends)))
    times = iter(max(end - update, 0) for update, end in zip(updates, ends))
    return [[next(times) for _ in range(job["count"])] for job in jobs]


def percentile(ordered, percent):
    """The least value that so many percent of all do not exceed."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def latency_rows(out, name, what, find):
    """Percentiles of each job of a run with traces: those of find(trace, jobs)."""
    jobs = read_jobs(out, name)
    for job, times in zip(jobs, find(os.path.join(out, name + ".log"), jobs)):
        ordered = sorted(times)
        yield row(name, job, "messages", len(ordered))
        for percent in PERCENTILES:
            yield row(name, job, what, percentile(ordered, percent), percent)


def row(name, job, what, value, percent=""):
    """A line of the results."""
    return (name, job["path"], job["load"], job["driver"], what, percent, value)


# ---- costs ----

def cost_rows(out):
    """What the CPU does for a message, and what of it is left for others."""
    jobs = read_jobs(out, "costs")
    alone = {(job["path"], job["load"]): job for job in jobs if job["driver"] == "none"}
    for job in jobs:
        if job["driver"] == "none":
            continue
        count = job["count"]
        yield row("costs", job, "messages", count)
        yield row("costs", job, "time_us", job["wall_ns"] / count / 1000)
        yield row("costs", job, "cpu_us", job["cpu_ns"] / count / 1000)
        for what in ("sleeps", "preemptions", "interrupts"):
            yield row("costs", job, what, job[what] / count)
        if job["load"] == "busy":
            none = alone[job["path"], "busy"]
            for what, key in (("left_percent", "spun_ns"), ("turns_percent", "turns")):
                share = job[key] / job["wall_ns"] / (none[key] / none["wall_ns"])
                yield row("costs", job, what, 100 * share)


def instruction_rows(out):
    """Instructions of all CPUs for a message, without those of a system that is idle."""
    jobs = read_jobs(out, "insns")
    with open(os.path.join(out, "insns.log"), encoding="ascii") as file:
        marks = [tuple(map(int, line.split())) for line in file]
    if [mark for mark, _ in marks] != [1, 2] * len(jobs):
        raise SystemExit("insns.log: marks do not come in pairs, one a job")
    executed = [marks[i + 1][1] - marks[i][1] for i in range(0, len(marks), 2)]
    idle = [count / job["wall_ns"] for job, count in zip(jobs, executed)
            if job["driver"] == "none"]
    for job, count in zip(jobs, executed):
        if job["driver"] != "none":
            own = count - min(idle) * job["wall_ns"]
            yield row("insns", job, "messages", job["count"])
            yield row("insns", job, "instructions", max(own, 0) / job["count"])


# ---- the page ----

class Results:
    """The lines of results.csv, by what they say."""

    def __init__(self, rows):
        self.values = {line[:6]: line[6] for line in rows}

    def get(self, *key):
        """A value; the last part of the key is the percentile, if there is one."""
        return self.values[key + ("",) * (6 - len(key))]

    def curve(self, name, path, load, driver, what):
        """(us, percent) for a picture; what takes less than 1 us is drawn there."""
        return [(max(self.get(name, path, load, driver, what, p), 1), float(p))
                for p in PERCENTILES]


def number(value):
    """Three digits, and no more than are known."""
    return "%.0f" % value if value >= 100 else "%.3g" % value


def us_name(us):
    """12 µs, 3.4 ms."""
    return "%s ms" % number(us / 1000) if us >= 1000 else "%s µs" % number(us)


AXES = ("set logscale x\nset xrange [1:]\nset yrange [0:100]\nset xlabel 'µs'\n"
        "set ylabel 'percent of the messages'\nset key bottom right\n")


def store_part(results):
    """From the accelerator's store to data placed."""
    curves = {"%s, %s CPUs" % (path, load): results.curve("store", path, load, "accel",
                                                           "store_us")
              for path in PATHS for load in LOADS}
    lines = [[path, load] + [us_name(results.get("store", path, load, "accel", "store_us", p))
                             for p in (50, 90, 99, 99.9)]
             + ["%d" % results.get("store", path, load, "accel", "messages")]
             for path in PATHS for load in LOADS]
    return ["<h2>From the accelerator's store to data placed</h2>",
            "<p>By timestamps of the devices' traces: the accelerator's store to the doorbell "
            "(<code>svan_accel_store</code>), and the packet's data in the memory of the peer "
            "(<code>svan_core_pkt_rx</code>). Published figures to compare with: 16.7 µs for a "
            "round trip with a real GPU; about 1000 µs with the only emulated peer.</p>",
            plot.figure(plot.svg(AXES, curves, plot.LINES),
                        "share of the messages whose data was placed after so many µs"),
            plot.table(("path", "CPUs", "median", "p90", "p99", "p99.9", "messages"), lines)]


def compute_part(results):
    """From the end of the computation to data placed."""
    parts = ["<h2>From the end of the computation to data placed</h2>",
             "<p>The end of the command that computes (<code>svan_accel_command_end</code>) "
             "to the data in the memory of the peer. A trace of the commands in between is "
             "written meanwhile: four lines where the accelerator drives, one or two where the "
             "CPU does.</p>"]
    for path in PATHS:
        curves = {"%s, %s CPUs" % (name, load): results.curve("compute", path, load, driver,
                                                               "compute_us")
                  for driver, name in DRIVERS.items() for load in LOADS}
        parts.append(plot.figure(plot.svg(AXES, curves, plot.LINES), path))
    lines = [[name, path, load]
             + [us_name(results.get("compute", path, load, driver, "compute_us", p))
                for p in (50, 90, 99)]
             + ["%d" % results.get("compute", path, load, driver, "messages")]
             for path in PATHS for load in LOADS for driver, name in DRIVERS.items()]
    return parts + [plot.table(("driven by", "path", "CPUs", "median", "p90", "p99",
                                "messages"), lines)]


def wait_part(results):
    """From the update of a counter to the end of a wait for it."""
    lines = [[path, load] + [us_name(results.get("wait", path, load, "accel", "wait_us", p))
                             for p in (0, 50, 90, 99, 100)]
             + ["%d" % results.get("wait", path, load, "accel", "messages")]
             for path in PATHS for load in LOADS]
    return ["<h2>Counter updated to wait's end</h2>",
            "<p>The NIC counts the write that is complete (<code>svan_core_counter</code>), and "
            "the accelerator's WAIT on the count ends (<code>svan_accel_wait_end</code>). "
            "0 µs: less than the line of the trace takes, or than its clock shows.</p>",
            plot.table(("path", "CPUs", "least", "median", "p90", "p99", "most", "messages"),
                       lines)]


def bars_of(results, key, label):
    """A bar a driver and path: key(path, driver) is its height."""
    rows = [("%s\\n%s" % (name, path), [float(results.get(*key(path, driver)))])
            for path in PATHS for driver, name in DRIVERS.items()]
    return plot.bars("set ylabel '%s'\nset yrange [0:]\nset key off\nset bmargin 4\n" % label,
                     rows, ["value"])


def work_part(results):
    """What the CPU does for a message."""
    lines = [[name, path] + [number(results.get("insns", path, "idle", driver,
                                                "instructions"))]
             + [number(results.get("costs", path, "idle", driver, what))
                for what in ("cpu_us", "sleeps", "interrupts", "time_us")]
             for path in PATHS for driver, name in DRIVERS.items()]
    return ["<h2>What the CPU does for a message</h2>",
            "<p>Instructions of all CPUs, the kernel's included, less those of an idle guest in "
            "the same time; CPU time of the process; how often it went to sleep and was woken; "
            "interrupts of NIC and accelerator. The CPUs are idle otherwise. A process that polls "
            "executes instructions as long as the accelerator computes.</p>",
            plot.figure(bars_of(results, lambda path, driver: ("insns", path, "idle", driver,
                                                               "instructions"),
                                "instructions"), "instructions a message"),
            plot.table(("driven by", "path", "instructions", "CPU time, µs", "sleeps",
                        "interrupts", "time a message, µs"), lines)]


def overlap_part(results):
    """What is left for others."""
    lines = [[name, path] + [number(results.get("costs", path, "busy", driver, what))
                             for what in ("left_percent", "turns_percent", "time_us", "sleeps",
                                          "preemptions", "interrupts")]
             for path in PATHS for driver, name in DRIVERS.items()]
    return ["<h2>Overlap: what is left of the CPUs for others</h2>",
            "<p>One process a CPU computes in a loop while messages flow. <i>CPU time left</i>: "
            "of the time that the guest gives the loops when there are no messages, the share "
            "that they still get. <i>Turns left</i>: how many turns they make in a second, "
            "likewise. The latter also shows what the emulated devices, which compute on the "
            "same host, take away from the CPUs; real devices would not.</p>",
            plot.figure(bars_of(results, lambda path, driver: ("costs", path, "busy", driver,
                                                               "left_percent"),
                                "percent of the CPU time left"),
                        "CPU time left for loops that compute"),
            plot.table(("driven by", "path", "CPU time left, %", "turns left, %",
                        "time a message, µs", "sleeps", "preemptions", "interrupts"), lines)]


def verdict(results):
    """One line, with the goal."""
    def figures(path, load):
        return "%s (p99 %s)" % tuple(
            us_name(results.get("store", path, load, "accel", "store_us", p)) for p in (50, 99))

    met = all(results.get("store", "loopback", load, "accel", "store_us", 50) <= GOAL_US
              for load in LOADS)
    texts = ["%s %s with idle CPUs, %s with busy ones" % (path, figures(path, "idle"),
                                                         figures(path, "busy"))
             for path in PATHS]
    return ("%s: store to data placed, median: %s; goal: %d µs in loopback"
            % ("met" if met else "NOT MET", "; ".join(texts), GOAL_US))


def main():
    """Write DIR/results.csv and DIR/report.html, print the verdict."""
    out = sys.argv[1]
    rows = (list(latency_rows(out, "store", "store_us",
                              functools.partial(latencies, starts=stores)))
            + list(latency_rows(out, "compute", "compute_us",
                                functools.partial(latencies, starts=ends_of_computation)))
            + list(latency_rows(out, "wait", "wait_us", wait_latencies))
            + list(cost_rows(out)) + list(instruction_rows(out)))
    with open(os.path.join(out, "results.csv"), "w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows(rows)
    results = Results(rows)
    parts = ["<p>The accelerator computes a message, which is then written to the memory of a "
             "peer by RDMA. Either the accelerator itself submits the write, which the CPU has "
             "prepared; or the CPU does, by <code>ibv_post_send()</code>, when it has found by "
             "polling that the message is there, or has been woken by the accelerator's "
             "interrupt. <i>Busy</i> CPUs have one process each that computes.</p>",
             "<p><b>%s</b></p>" % verdict(results)]
    parts += (store_part(results) + compute_part(results) + wait_part(results)
              + work_part(results) + overlap_part(results))
    with open(os.path.join(out, "report.html"), "w", encoding="utf-8") as file:
        file.write(plot.page("Messages driven by the CPU and by the accelerator", parts))
    print("counter updated to wait's end, median: " + "; ".join(
        "%s, %s CPUs: %s (p99 %s)" % (path, load, *(
            us_name(results.get("wait", path, load, "accel", "wait_us", p)) for p in (50, 99)))
        for path in PATHS for load in LOADS))
    print(verdict(results))


if __name__ == "__main__":
    main()
