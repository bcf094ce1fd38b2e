#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""share.py DIR BOTTLENECKS RATE SECONDS RUN...: in the guest, functions that send to one NIC at
the same time, by the program sender or by iperf3.

A RUN is CASE/REGIME: what the cheat does, and whether enforcement is on: free, enforced, or
frozen (on, by devices whose estimates are). RATE is the bottleneck's, in Mbit/s, for what is
printed. DIR/guest.csv gets rows as those of cheats_world, with rates in Mbit/s.

The environment has PLACE_NAME, the environment of programs of a function, and NICS, their places
on the bus.
"""

import collections
import csv
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SINK, PORT = "10.77.0.3", 5201
WARM_UP = 5             # s, of which no figure tells
OVERHEAD = 24           # octets of a frame on the wire beside its own: svan-switch counts them
LIMIT = "4000000000"    # kbit/s, which a queue pair sets for itself
STACKS = ("reno", "cubic", "bbr", "dctcp", "ECN off")

Way = collections.namedtuple("Way", "flows tcp stack limit", defaults=(1, False, "cubic", None))
CHEATS = {
    "honest": Way(),
    "many": Way(16),
    "limit": Way(4, limit=LIMIT),
    "tcp": Way(8, True, "ECN off"),
}


class Sender:
    """A program of a function."""

    def __init__(self, place, way, port, seconds):
        self.way = way
        command = ["ip", "netns", "exec", place]
        environment = dict(os.environ)
        if way.tcp:
            ecn = {"ECN off": "0", "dctcp": "1"}.get(way.stack, "1")
            subprocess.run(command + ["sysctl", "-qw", "net.ipv4.tcp_ecn=" + ecn], check=True)
            stack = "cubic" if way.stack == "ECN off" else way.stack
            command += ["iperf3", "-c", SINK, "-p", str(port), "-t", str(seconds), "-i", "0.5",
                        "-J", "--get-server-output", "-C", stack, "-P", str(way.flows), "-l", "16K"]
        else:
            for name in (place, "sink"):
                environment.update(pair.split("=") for pair in
                                   os.environ["PLACE_" + name].split())
            command += [os.path.join(HERE, "sender"), str(way.flows), str(seconds),
                        str(WARM_UP)]
            command += [way.limit] if way.limit else []
        self.command, self.environment, self.process = command, environment, None
        self.begun = 0
        if not way.tcp:
            self.start()
            self.process.stdout.readline()

    def start(self):
        """The program."""
        self.process = subprocess.Popen(self.command, env=self.environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self):
        """To send, when all are ready."""
        self.begun = time.time()
        if self.way.tcp:
            self.start()
        else:
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def result(self, seconds):
        """Mbit/s of each second, and other figures."""
        text = self.process.communicate(timeout=seconds + 60)[0]
        if self.process.returncode:
            raise SystemExit("a sender failed: %s" % text[-500:])
        octets, figures = collections.Counter(), {}
        if self.way.tcp:
            # What has come counts, not what waits in a socket; a connection may take its time.
            report = json.loads(text)
            late = max(0, report["start"]["timestamp"]["timesecs"] - int(self.begun))
            for interval in report["server_output_json"]["intervals"]:
                octets[int(interval["sum"]["start"] + 0.01) + late] += interval["sum"]["bytes"]
        else:
            lines = [line.split() for line in text.splitlines()]
            figures = {key: float(value) for key, value in lines if not key.isdigit()}
            slices = [(int(key), int(value)) for key, value in lines if key.isdigit()]
            for when, count in slices:
                octets[(when - 1) // 1000] += count
        return [octets[n] * 8e-6 for n in range(seconds)], figures


def on_wire():
    """Octets that the sink has received by the bottleneck since ever, with what frames take on a
    wire, and when, s."""
    text = subprocess.run(["ip", "netns", "exec", "peer2", "ethtool", "-S", "svan2"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    counters = dict(line.split(":") for line in text.splitlines()[1:])
    counters = {name.strip(): int(value) for name, value in counters.items()}
    return counters["port_rx_bytes"] + OVERHEAD * counters["port_rx_frames"], time.time()


def jain(values):
    """Jain's index."""
    squares = sum(x * x for x in values)
    return sum(values) ** 2 / len(values) / squares if squares else 0


def enforce(regime):
    """On or off, for all NICs."""
    for slot in os.environ["NICS"].split():
        subprocess.run(["devlink", "dev", "param", "set", "pci/" + slot, "name", "enforcement",
                        "value", "false" if regime == "free" else "true", "cmode", "runtime"],
                       check=True)


def functions(case, bottlenecks):
    """{who: (place, way)}. Of two bottlenecks victim and cheat share the first."""
    if case == "stacks":
        return {stack: (place, Way(1, True, stack)) for stack, place in
                zip(STACKS, ("vf1", "vf2", "vf3", "wf1", "wf2"))}
    others = ("vf2", "wf1") if bottlenecks == "one" else ("wf1", "vf2")
    return {"victim": ("vf1", Way()), "other": (others[0], Way(1, True)),
            "cheat": (others[1], CHEATS[case])}


def run(case, regime, bottlenecks, rate, seconds):
    """Rows of one run."""
    enforce(regime)
    senders = {who: Sender(place, way, PORT + n, seconds) for n, (who, (place, way)) in
               enumerate(functions(case, bottlenecks).items())}
    for sender in senders.values():
        sender.begin()
    time.sleep(WARM_UP)
    octets, begun = on_wire()
    time.sleep(seconds - WARM_UP)
    after, end = on_wire()
    rows, means = [("rate", "link", rate)], {}
    rates = {who: sender.result(seconds) for who, sender in senders.items()}
    for who, (values, figures) in rates.items():
        rows += [("mbit_s", "%s %d" % (who, n), value) for n, value in enumerate(values)]
        rows += [(key, who, value) for key, value in figures.items()]
        means[who] = sum(values[WARM_UP:]) / len(values[WARM_UP:])
        rows.append(("goodput", who, means[who]))
    by_second = [jain([values[n] for values, _ in rates.values()])
                 for n in range(WARM_UP, seconds)]
    rows += [("jain", "all", jain(means.values())), ("jain", "least", min(by_second)),
             ("jain", "median", sorted(by_second)[len(by_second) // 2]),
             ("used", "link", (after - octets) * 8e-6 / (end - begun) / rate)]
    print("# %-22s %-9s Jain %.3f, of the seconds' least %.3f, median %.3f; %s; used %.2f" % (
        case, regime, *(row[2] for row in rows[-4:-1]),
        ", ".join("%s %.1f" % item for item in means.items()), rows[-1][2]),
          file=sys.stderr, flush=True)
    return [(case, bottlenecks, regime, *row) for row in rows]


def main():
    out, bottlenecks, rate, seconds = sys.argv[1:5]
    servers = [subprocess.Popen(["ip", "netns", "exec", "peer2", "iperf3", "-s", "-p",
                                 str(PORT + n), "-J", "-i", "0.5"], stdout=subprocess.DEVNULL)
               for n in range(len(STACKS))]
    time.sleep(1)
    with open(os.path.join(out, "guest.csv"), "a", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        for name in sys.argv[5:]:
            case, regime = name.split("/")
            writer.writerows(run(case, regime, bottlenecks, float(rate), int(seconds)))
            file.flush()
    for server in servers:
        server.terminate()


if __name__ == "__main__":
    main()
