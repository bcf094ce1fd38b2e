#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""faults.py DIR: DIR/results.csv (sweep.py) and DIR/virtual.csv as a page."""

import collections
import csv
import os
import statistics
import sys

import plot
import virtual

FIXED = ("hold", "rnr", "divert", "drop")
MODES = ("hold", "rnr", "divert", "drop", "fail")
NAMES = {"hold": "always hold", "rnr": "always RNR", "divert": "always divert",
         "drop": "always drop", "auto": "by estimate", "auto-no-entry": "… without entries",
         "auto-no-location": "… without locations", "auto-no-response": "… without responses"}
TAILS = ("50", "90", "99", "99.9")

SETUP = """
<p>One guest, emulated; one device, to which a requester with pinned memory writes and sends in
loopback. Three processes own the targets of eighteen queue pairs, half of them through process
keys, half through on-demand keys, each with <i>streaming</i> RDMA WRITEs of 512 KiB,
<i>random</i> RDMA WRITEs of 4 KiB, or <i>SENDs</i> of 4 KiB. Memory is <i>fresh</i> (anonymous,
and thrown away piece by piece), <i>cold</i> (private mappings of a file on a throttled disk,
dropped from the page cache piece by piece), or <i>swapped</i> (a cgroup may have three quarters of
its memory; zram and a throttled disk of 250 reads a second take turns). Nothing is injected.</p>
<p>Completion times are those of the short transfers, counted from when they were due, so that a
policy which delays them is not asked less often; streams leave room meanwhile. Goodput is that of
everything with streams that do not.</p>
<p>Every policy has the same 128 KiB to keep packets in: of the fault buffer, or, where it diverts,
of spare pages. A fixed mode knows no estimates. The parameters of each policy are the best
(goodput over 99th percentile) of a sweep with a seed of its own, and were frozen before the seeds
below were run. Timers of the queue pairs are perftest's.</p>
"""


class Run:
    """What one run has measured."""

    def __init__(self):
        self.values = {}                # (kind, group, x): value

    def get(self, kind, group="all", x=""):
        """One figure, 0 if there is none."""
        return self.values.get((kind, group, x), 0.0)

    def p(self, x, group="short"):
        """A percentile in ms; streams are a matter of goodput."""
        return self.get("time_us", group, x) / 1000

    def series(self, kind, group="all"):
        """[(x, value), ...]"""
        return sorted((float(x), value) for (k, g, x), value in self.values.items()
                      if k == kind and g == group)


def read(path):
    """{phase: {(policy, parameters, memory, traffic, seed): Run}}, [(class, said, actual)]"""
    phases = collections.defaultdict(lambda: collections.defaultdict(Run))
    faults = []
    with open(path, encoding="ascii") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "fault":
                faults.append((row["group"], float(row["x"]), float(row["value"])))
                continue
            where = tuple(row[k] for k in ("policy", "parameters", "memory", "traffic", "seed"))
            phases[row["phase"]][where].values[row["kind"], row["group"], row["x"]] = \
                float(row["value"])
    return phases, faults


def by_policy(runs):
    """{policy: [Run of each seed]}"""
    found = {}
    for where, run in runs.items():
        found.setdefault(where[0], []).append(run)
    return found


def median(runs, figure):
    """Of a figure over seeds."""
    return statistics.median(figure(run) for run in runs)


def verdict(policies):
    """The two figures that count, against the best fixed mode."""
    p99 = {name: median(runs, lambda run: run.p("99")) for name, runs in policies.items()}
    goodput = {name: median(runs, lambda run: run.get("goodput_mbs"))
               for name, runs in policies.items()}
    lowest = min(FIXED, key=p99.get)
    fastest = max(FIXED, key=goodput.get)
    return ("<p><b>By estimate against the best fixed mode: 99th percentile %.2f of that of "
            "“%s”, goodput %.2f of that of “%s”</b> (medians of %d seeds).</p>"
            % (p99["auto"] / p99[lowest], NAMES[lowest], goodput["auto"] / goodput[fastest],
               NAMES[fastest], len(policies["auto"])))


def summary(policies):
    """A row each policy: medians, and each seed."""
    rows = []
    for name, runs in policies.items():
        rows.append([NAMES[name]] + ["%.2f" % median(runs, lambda run, x=x: run.p(x))
                                     for x in TAILS]
                    + ["%.1f" % median(runs, lambda run: run.get("goodput_mbs")),
                       "%d" % sum(run.get("failures") for run in runs),
                       " ".join("%.1f" % run.p("99") for run in runs),
                       " ".join("%.0f" % run.get("goodput_mbs") for run in runs)])
    return plot.table(("policy", "p50 ms", "p90", "p99", "p99.9", "MB/s", "failed",
                       "p99 of each seed", "MB/s of each seed"), rows)


def distribution(policies, group, title):
    """Percentiles over time, as the median over the seeds."""
    series = {}
    for name in FIXED + ("auto",):
        columns = [dict(run.series("time_us", group)) for run in policies[name]]
        marks = [x for x in columns[0] if all(x in column for column in columns) and x < 100]
        series[NAMES[name]] = [(max(statistics.median(c[x] for c in columns) / 1000, 0.001), x)
                               for x in marks]
    commands = ("set logscale x\nset xlabel 'completion time, ms'\nset ylabel 'percent of "
                "transfers'\nset key bottom right\nset yrange [0:100]\n")
    return plot.figure(plot.svg(commands, series, plot.LINES),
                       "%s: how many transfers are complete after that time (medians of the "
                       "seeds)" % title)


def course(policies):
    """Goodput over time, of one seed."""
    series = {NAMES[name]: [(x / 1000, value) for x, value in policies[name][0].series(
        "course_mbs")] for name in FIXED + ("auto",)}
    commands = "set xlabel 'seconds'\nset ylabel 'MB/s'\nset yrange [0:*]\nset key outside\n"
    return plot.figure(plot.svg(commands, series), "goodput in each quarter of a second, one seed")


def mode_mix(policies):
    """How faults were handled."""
    rows = []
    for name, runs in policies.items():
        counts = [sum(run.get("counter", "fault_" + mode) for run in runs) for mode in MODES]
        rows.append((NAMES[name], [100 * n / max(sum(counts), 1) for n in counts]))
    commands = ("set ylabel 'percent of faults'\nset yrange [0:100]\nset key outside\n"
                "set xtics rotate by -20\n")
    return plot.figure(plot.bars(commands, rows, MODES),
                       "how faults were handled; what a fixed mode shows beside its own is where "
                       "it had no room left, or had waited too long")


def waste(policies):
    """What each policy cost beside time."""
    keys = (("page_requests", "page requests"), ("page_faults_estimated", "estimated at once"),
            ("fault_dropped_bytes", "dropped MB"), ("retransmits", "retransmissions"),
            ("rnr_nak_sent", "RNR NAKs"), ("local_ack_timeout_err", "ACK timeouts"))
    rows = [[NAMES[name]] + ["%.0f" % (median(runs, lambda run, key=key: run.get("counter", key))
                                       / (1e6 if "bytes" in key else 1)) for key, _ in keys]
            for name, runs in policies.items()]
    return plot.table(("policy",) + tuple(title for _, title in keys), rows)


def estimates(faults):
    """What was said against what it took, by class and store."""
    classes = {}
    for name, said, actual in faults:
        classes.setdefault(name.split("/")[0].replace("_", "-"), []).append(
            (max(said / 1e3, 1), max(actual / 1e3, 1)))
    commands = ("set logscale xy\nset xlabel 'estimate, µs'\nset ylabel 'actual, µs'\n"
                "set key outside\nset size ratio 0.6\n")
    shown = {name: points[-400:] for name, points in sorted(classes.items())}
    picture = plot.figure(plot.svg(commands, shown, plot.POINTS),
                          "what the driver said of a fault when it took it up, and how long it "
                          "then took (the last 400 of each class)")
    rows = []
    stores = {}
    for name, said, actual in faults:
        stores.setdefault(name, []).append((said, actual))
    for name, points in sorted(stores.items()):
        late = points[100:] or points
        ratio = statistics.median(said for said, _ in late) / statistics.median(
            actual for _, actual in late)
        near = sum(said / 2 <= actual <= said * 2 for said, actual in late)
        rows.append([name, "%d" % len(points),
                     "%.0f" % (statistics.median(said for said, _ in late) / 1e3),
                     "%.0f" % (statistics.median(actual for _, actual in late) / 1e3),
                     "%.2f" % ratio, "%.0f %%" % (100 * near / len(late))])
    return [picture, plot.table(("class/store", "faults", "median estimate µs",
                                 "median actual µs", "ratio", "within 2x"), rows)]


def alone(runs):
    """Each kind of memory and of traffic by itself."""
    rows = {}
    for (policy, _, memory, traffic, _), run in runs.items():
        rows.setdefault((memory, traffic), {})[policy] = run
    table = [["%s memory, %s" % where] + ["%.1f / %.0f" % (by[name].p("99"),
                                                            by[name].get("goodput_mbs"))
                                          for name in FIXED + ("auto",)]
             for where, by in rows.items()]
    return plot.table(("p99 ms / MB/s",) + tuple(NAMES[name] for name in FIXED + ("auto",)), table)


def swept(runs):
    """Every choice of the sweep."""
    rows = [[NAMES[policy], parameters, "%.1f" % run.p("99"), "%.1f" % run.get("goodput_mbs"),
             "%d" % run.get("failures")]
            for (policy, parameters, _, _, _), run in runs.items()]
    return plot.table(("policy", "parameters", "p99 ms", "MB/s", "failed"), rows)


def chosen(runs):
    """What was frozen."""
    rows = {policy: [NAMES[policy], parameters] for policy, parameters, _, _, _ in runs}
    return plot.table(("policy", "parameters"), rows.values())


def costs(run):
    """Minor faults, where their time goes, invalidations."""
    get = run.get
    kinds = ("explicit", "process")
    rows = [[kind] + ["%.1f" % get("write_%s_us" % what, kind, "50")
                      for what in ("present", "fresh", "absent")] for kind in kinds]
    idle = get("invalidation_uncached_us", "none", "50")
    flushes = [[kind, "%.1f" % idle] + ["%.1f" % get("invalidation_%s_us" % what, kind, "50")
                                        for what in ("uncached", "cached")]
               + ["%.0f" % (1e6 / get("invalidation_cached_us", kind, "50"))] for kind in kinds]
    parts = [[name, "%.1f" % get("profile_us", name, "50")]
             for name in ("interrupt to drain", "classification", "fault path")]
    return [plot.table(("key", "WRITE to a present page, µs", "to one never touched",
                        "to one just thrown away"), rows),
            "<p>Where that goes in the guest, with tracing on; the rest is the device's, the "
            "delivery of the interrupt, and the completion:</p>",
            plot.table(("part", "median µs"), parts),
            "<p>MADV_DONTNEED of one page, in µs: without any key, with one that has nothing "
            "of it cached, and with one that has.</p>",
            plot.table(("key", "no key", "nothing cached", "cached", "a second"), flushes)]


def guest_parts(path):
    """The page's part about the guest."""
    phases, faults = read(path)
    policies = by_policy(phases["final"])
    parts = [SETUP, verdict(policies), summary(policies),
             "<h2>Completion times</h2>",
             distribution(policies, "short", "Short transfers of the mix")]
    parts += [distribution(policies, traffic, traffic) for traffic in ("random", "send", "stream")]
    parts += ["<h2>Goodput over time</h2>", course(policies), "<h2>Modes</h2>",
              mode_mix(policies), waste(policies), "<h2>Estimates</h2>"]
    parts += estimates(faults) if faults else []
    parts += ["<h2>One fault, one invalidation</h2>"]
    parts += [part for run in phases["costs"].values() for part in costs(run)]
    parts += ["<h2>One kind at a time</h2>", alone(phases["alone"]), "<h2>Parameters</h2>",
              chosen(phases["final"]), "<details><summary>The sweep</summary>",
              swept(phases["sweep"]), "</details>"]
    return parts


def main():
    """Write DIR/report.html."""
    out = sys.argv[1]
    parts = guest_parts(os.path.join(out, "results.csv"))
    parts += virtual.sections(os.path.join(out, "virtual.csv"))
    with open(os.path.join(out, "report.html"), "w", encoding="utf-8") as file:
        file.write(plot.page("Faults: fixed modes, and modes chosen by estimate", parts))


if __name__ == "__main__":
    main()
