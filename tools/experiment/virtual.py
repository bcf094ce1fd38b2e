#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Page faults in virtual time: sections of a page, from the CSV of virtual_time.

    virtual.py CSV [HTML]
"""

import collections
import csv
import html
import statistics
import sys

import plot

FIXED = ("hold", "rnr", "divert", "drop")
MODES = FIXED + ("auto",)
LIMIT = ("unlimited",)
BLIND = ("auto-no-entry", "auto-no-response", "auto-no-estimate")
WORKLOADS = ("mix", "random", "stream", "send")
FOUND = {"ample": "a fault buffer of 4 MiB and 256 spare pages",
         "scarce": "a fault buffer of 256 KiB and 64 spare pages"}
OTHERS = {"squeezed": "memory scarce, 1.5 % of the pages on the disks",
          "full": "memory ample, 97 % load",
          "slow": "memory ample, 1.5 % of the pages on the disks"}
CASES = ([("ample", workload) for workload in WORKLOADS] +
         [(scenario, "mix") for scenario in ("scarce",) + tuple(OTHERS)])
SETTINGS = {
    "hold": ("hold_bytes", "bound_us"),
    "rnr": ("unknown_us", "hold_bytes"),
    "divert": ("divert_pages", "bound_us"),
    "drop": ("bound_us", "unknown_us"),
    "auto": ("hold_max_us", "divert_max_us", "drop_max_us", "bound_us", "hold_bytes"),
}
COUNTERS = (
    ("page_faults", "faults", 1), ("fault_hold", "hold", 1), ("fault_rnr", "RNR", 1),
    ("fault_divert", "divert", 1), ("fault_drop", "drop", 1), ("fault_fallback", "past bound", 1),
    ("fault_held_bytes", "held, MB", 1e6), ("fault_diverted_bytes", "diverted, MB", 1e6),
    ("fault_dropped_bytes", "dropped, MB", 1e6), ("retransmits", "retransmitted packets", 1),
    ("rnr_nak_sent", "RNR NAKs", 1), ("packet_seq_err", "sequence NAKs", 1),
    ("local_ack_timeout_err", "timeouts", 1), ("req_cqe_error", "failed", 1),
    ("held_peak", "most in the buffer, MB", 1e6),
)
SETUP = """<p>Two device cores without a machine around them, in virtual time: 4,096 RC queue
pairs from one to the other over 100 Gbit/s, 2 us each way, to an on-demand key of 512 MiB whose
pages are taken away at random as others come, 60 % of them present. Absent pages are zero-filled
or in the page cache (3 and 4 us), in zram (25 us), on NVMe (90 us) or on slow swap disks (9 ms,
128 reads at a time), spread lognormally, read in clusters of 8 pages. Estimates are those of the
driver's estimator, which learns as it goes. Workloads: WRITEs of 4 KiB anywhere (four at a time
for a queue pair), WRITEs of 256 KiB to 1 MiB (one), SENDs of 4 KiB to on-demand receive buffers
(four), and a third of the queue pairs each. A completion is followed by a think time: without
faults the link would be loaded by 90 %. 0.5 % of the pages are on the disks.
Memory for packets that wait is <i>ample</i> (a fault buffer of 4 MiB, 256 spare pages) or
<i>scarce</i> (256 KiB, 64), the same for all. A mode that is fixed uses no estimate.
<i>unlimited</i> is no device: it holds whatever meets an absent page, in any amount. Process keys
are not part of this. Settings were looked for with other seeds than those shown.</p>"""


class Results:
    """The rows of the CSV, by what is asked for."""

    def __init__(self, path):
        self.values = collections.defaultdict(dict)
        self.found = collections.defaultdict(dict)
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                self._add(row)

    def _add(self, row):
        if row["phase"] == "found":
            self.found[(row["scenario"], row["config"])][row["key"]] = row["value"]
        if row["phase"] == "run":
            at = (row["scenario"], row["workload"], row["config"], row["what"], row["key"])
            self.values[at][row["seed"]] = float(row["value"])

    def seeds(self, scenario, workload, config, what, key):
        """The value of each seed."""
        return list(self.values[(scenario, workload, config, what, key)].values())

    def get(self, *at):
        """The mean over the seeds, 0 without one."""
        values = self.seeds(*at)
        return statistics.mean(values) if values else 0.0

    def keys(self, scenario, workload, config, what):
        """All numeric keys of a kind, in order."""
        prefix = (scenario, workload, config, what)
        found = [at[4] for at in self.values if at[:4] == prefix]
        return sorted((k for k in found if k[0].isdigit()), key=float)


def number(value):
    """Three digits or more, as people write it."""
    return "%.0f" % value if value >= 100 else "%.3g" % value


def spread(values, digits):
    """Mean, and from where to where the seeds go."""
    if not values:
        return "-"
    form = "%%.%df (%%.%df to %%.%df)" % (digits, digits, digits)
    return form % (statistics.mean(values), min(values), max(values))


def settings_table(results):
    """What the sweeps have found."""
    rows = []
    for mode in MODES:
        rows.append([mode])
        for scenario in FOUND:
            found = results.found[(scenario, mode)]
            rows[-1].append(", ".join("%s %s" % (key, found.get(key, "-"))
                                      for key in SETTINGS[mode]))
    return plot.table(["best of 16 settings, by goodput / p99 of the mix"] +
                      ["memory %s" % scenario for scenario in FOUND], rows)


def result_row(results, scenario, workload, config):
    """Goodput, completion times and what the link carried for it."""
    at = (scenario, workload, config)
    goodput = results.seeds(*at, "goodput", "gbps")
    useful = results.get(*at, "goodput", "gbps")
    sent = results.get(*at, "count", "port_tx_bytes") * 8 / span_ns(results, at)
    return [config, spread(goodput, 1), number(results.get(*at, "us", "0.5")),
            spread(results.seeds(*at, "us", "0.99"), 0), number(results.get(*at, "us", "0.999")),
            "%.2f" % (sent / useful) if useful else "-"]


def span_ns(results, at):
    """Of the measurement: the samples are equally long, the first begins at 0."""
    keys = results.keys(*at, "gbps")
    return float(keys[1]) * len(keys) * 1e6 if len(keys) > 1 else 1.0


HEAD = ("mode", "goodput, Gbit/s (seeds)", "p50, us", "p99, us (seeds)", "p99.9, us",
        "sent / completed")


def result_table(results, scenario, workload, configs):
    """One row for each configuration."""
    return plot.table(HEAD, [result_row(results, scenario, workload, c) for c in configs])


def tails(results, scenario, caption):
    """Complementary distribution of completion times of the mix."""
    series = {}
    for config in MODES + LIMIT:
        at = (scenario, "mix", config, "us")
        keys = [k for k in results.keys(*at) if float(k) < 1]
        points = [(results.get(*at, k), 1 - float(k)) for k in keys]
        series[config] = [p for p in points if p[0] > 0]
    commands = """set logscale xy
set xlabel 'completion time, us'
set ylabel 'share of operations that take longer'
set format y '10^{%L}'
set key bottom left"""
    return plot.figure(plot.svg(commands, series), caption)


def goodput_in_time(results, scenario):
    """How evenly the mix goes on."""
    series = {}
    for config in MODES:
        at = (scenario, "mix", config, "gbps")
        series[config] = [(float(k), results.get(*at, k)) for k in results.keys(*at)]
    commands = """set xlabel 'time, ms'
set ylabel 'goodput, Gbit/s'
set yrange [0:*]
set key bottom right"""
    caption = "Goodput of the mix over time, mean of the seeds, memory %s" % scenario
    return plot.figure(plot.svg(commands, series), caption)


def counter_table(results, scenario):
    """What was done, for the mix."""
    rows = []
    for config in MODES + LIMIT + BLIND:
        rows.append([config] + [number(results.get(scenario, "mix", config, "count", key) / scale)
                                for key, _, scale in COUNTERS])
    return plot.table(["mode"] + [title for _, title, _ in COUNTERS], rows)


def verdict(results, scenario, workload):
    """AUTO against the best fixed mode, by each measure."""
    def measure(config, what, key):
        return results.get(scenario, workload, config, what, key)

    goodput = max(FIXED, key=lambda c: measure(c, "goodput", "gbps"))
    p99 = min(FIXED, key=lambda c: measure(c, "us", "0.99"))
    best_goodput, best_p99 = measure(goodput, "goodput", "gbps"), measure(p99, "us", "0.99")
    return [scenario, workload,
            "%.2f of %s" % (measure("auto", "goodput", "gbps") / (best_goodput or 1), goodput),
            "%.2f of %s" % (measure("auto", "us", "0.99") / (best_p99 or 1), p99)]


def verdict_table(results):
    """Every comparison that was made."""
    return plot.table(("surroundings", "workload", "goodput of auto / best fixed",
                       "p99 of auto / best fixed"),
                      [verdict(results, *case) for case in CASES])


def mix_sections(results, scenario):
    """All about the mix where the settings were found."""
    return ["<h3>The mix, memory %s: %s</h3>" % (scenario, html.escape(FOUND[scenario])),
            result_table(results, scenario, "mix", MODES + LIMIT + BLIND),
            tails(results, scenario, "Completion times, mean of the seeds"),
            goodput_in_time(results, scenario), counter_table(results, scenario)]


def sections(csv_path):
    """Strings of HTML for the page of the experiment."""
    results = Results(csv_path)
    parts = ["<h2>4,096 queue pairs in virtual time</h2>", SETUP, settings_table(results),
             "<h3>AUTO against the best fixed mode</h3>", verdict_table(results)]
    for scenario in FOUND:
        parts += mix_sections(results, scenario)
    for workload in WORKLOADS[1:]:
        parts += ["<h3>Workload %s, memory ample</h3>" % workload,
                  result_table(results, "ample", workload, MODES + LIMIT)]
    for scenario, title in OTHERS.items():
        configs = MODES + LIMIT + (BLIND if scenario == "squeezed" else ())
        parts += ["<h3>The mix, %s; settings as above</h3>" % html.escape(title),
                  result_table(results, scenario, "mix", configs)]
    return parts


def main():
    out = sys.argv[2] if len(sys.argv) > 2 else "/dev/stdout"
    with open(out, "w", encoding="utf-8") as file:
        file.write(plot.page("Page faults in virtual time", sections(sys.argv[1])))


if __name__ == "__main__":
    main()
