#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's part of `make run`: the programs, one after the other.

Each result is a line of JSON in DIR/results.jsonl, each failure one in
DIR/failures.jsonl, the output of every program a file in DIR/logs. DIR is the
shared folder.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time

import iperf3
import plan
from servers import (DEVICE, GID, LocalServer, RemoteServer, ServerFailed, last_line, rxe_gid)

LIMIT = 60
CHECKS = ("devinfo", "pingpong", "selftests", "iperf3")
MORE_CHECKS = ("ondemand",)
SELFTESTS = "/usr/lib/svan/selftests"


class Failure(Exception):
    """A program did not do what it should; says why, and where its log is."""

    def __init__(self, text, log):
        super().__init__(text)
        self.log = log


class Uncalibrated(Failure):
    """perftest could not tell how fast its clock runs, so its figures are void."""


class End(collections.namedtuple("End", "device gid")):
    """One end of a path: an RDMA device and the index of its GID."""


class Ends:
    """The two ends of a path: devices, addresses, port counters."""

    def __init__(self, device, path):
        self.device, self.path = device, path
        self.remote = path == plan.TWO_GUESTS
        wire = path == "wire"
        env = os.environ
        if device == "svan":
            self.client = End(env["SVAN_DEV"], env["SVAN_GID"])
            self.server = (End(env["SVAN_PEER_DEV"], env["SVAN_PEER_GID"]) if wire
                           else self.client)
            self.netns = ["ip", "netns", "exec", "peer"] if wire else []
            self.address = "127.0.0.1" if path == "loopback" else env["SVAN_PEER"]
        else:
            self.client = End("rxe_0", rxe_gid("rxe_0"))
            self.server = End("rxe_1", rxe_gid("rxe_1")) if wire else self.client
            self.netns = []
            self.address = plan.RXE_PEER if self.remote else "127.0.0.1"
        if self.remote:
            self.server = End(DEVICE, GID)

    def start_server(self, command, port, log):
        """A server at its end; it takes connections."""
        if self.remote:
            server = RemoteServer(command, port, self.device, os.environ["SVAN_PEER"])
        else:
            server = LocalServer(self.netns + command, port, log)
        try:
            server.start()
        except ServerFailed:
            server.kill()
            raise
        return server

    def port_bytes(self):
        """What the client's port has sent and received so far."""
        if self.device == "rxe":
            return sum(int(read("/sys/class/net/rxe0/statistics/%s_bytes" % way))
                       for way in ("tx", "rx"))
        # A function's programs may run in a namespace of its own, its port is svan0's.
        text = subprocess.run(["nsenter", "-t", "1", "-n", "ethtool", "-S", "svan0"],
                              stdout=subprocess.PIPE, check=True, text=True).stdout
        found = dict(re.findall(r"^\s*(port_[tr]x_bytes): (\d+)$", text, re.M))
        return int(found["port_tx_bytes"]) + int(found["port_rx_bytes"])


def read(path):
    """A small file's text."""
    with open(path, encoding="ascii") as file:
        return file.read().strip()


class Runner:
    """Runs programs, keeps logs, results and failures."""

    def __init__(self, args):
        self.args = args
        self.dir = args.dir
        self.logs = os.path.join(args.dir, "logs")
        os.makedirs(self.logs, exist_ok=True)
        self.port = 18600
        self.passed = self.failed = 0

    def record(self, name, row):
        """One line of JSON."""
        with open(os.path.join(self.dir, name), "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def succeed(self, what=None):
        """Count what went well, and say so unless a table does."""
        self.passed += 1
        if what:
            print("ok %s" % what, flush=True)

    def fail(self, what, failure):
        """Remember a failure; the others run all the same."""
        self.failed += 1
        log = os.path.basename(failure.log)
        print("FAILED %s: %s (%s)" % (what, failure, log), flush=True)
        self.record("failures.jsonl", {"what": what, "why": str(failure), "log": log})

    def log(self, name):
        """The path of a log."""
        return os.path.join(self.logs, name + ".log")

    def run(self, name, command, limit=LIMIT):
        """One program by itself; its output."""
        log = self.log(name)
        with open(log, "w+", encoding="utf-8", errors="replace") as file:
            file.write("$ %s\n" % " ".join(command))
            file.flush()
            try:
                status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file,
                                        stderr=subprocess.STDOUT, timeout=limit,
                                        check=False).returncode
            except subprocess.TimeoutExpired:
                raise Failure("not done after %d s" % limit, log) from None
            except OSError as error:
                raise Failure(str(error), log) from None
            file.seek(0)
            text = file.read()
        if status:
            raise Failure("exit status %d: %s" % (status, last_line(text)), log)
        return text

    def pair(self, name, ends, command, client_options=()):
        """A server and its client; the client's output. command(end) is a list."""
        self.port += 1
        log = self.log(name + ".server")
        try:
            server = ends.start_server(command(ends.server), self.port, log)
            try:
                text = self.run(name, [*command(ends.client), *client_options, ends.address])
                server.finish()
            finally:
                server.kill()
        except ServerFailed as failure:
            raise Failure(str(failure), log) from None
        return text

    def devinfo(self):
        """ibv_devinfo names the devices, with an active port."""
        try:
            text = self.run("ibv_devinfo", ["ibv_devinfo", "-v"])
            for device in os.environ["SVAN_DEV"], os.environ["SVAN_PEER_DEV"]:
                part = re.search(r"hca_id:\s+%s\n(.*?)(?=\nhca_id:|\Z)" % device, text, re.S)
                if not part or "PORT_ACTIVE" not in part.group(1):
                    raise Failure("no active port of %s" % device, self.log("ibv_devinfo"))
            self.succeed("ibv_devinfo")
        except Failure as failure:
            self.fail("ibv_devinfo", failure)

    def pingpong(self):
        """ibv_rc_pingpong, which looks at the data that it receives."""
        for path in self.args.paths:
            ends = Ends("svan", path)
            for size, count in plan.PINGPONG:
                name = "ibv_rc_pingpong-%s-svan-%d" % (path, size)

                def command(end, size=size, count=count):
                    return ["ibv_rc_pingpong", "-c", "-d", end.device, "-g", end.gid,
                            "-p", str(self.port), "-s", str(size), "-n", str(count),
                            "-m", "4096"]
                try:
                    before = ends.port_bytes()
                    self.pair(name, ends, command)
                    self.check_data(name)
                    if path != "loopback":
                        self.check_port(ends, before, size * count, name)
                    self.succeed("ibv_rc_pingpong -c %s %s" % (path, plan.size_name(size)))
                except Failure as failure:
                    self.fail(name, failure)

    def check_data(self, name):
        """The server looks at it, and only says what it finds. In another guest it is silent."""
        log = self.log(name + ".server")
        if os.path.exists(log):
            with open(log, encoding="utf-8", errors="replace") as file:
                if "invalid data" in file.read():
                    raise Failure("invalid data received", log)

    def check_port(self, ends, before, payload, name):
        """A row of the wire counts only if the bytes went through the port."""
        moved = ends.port_bytes() - before
        if moved < payload:
            raise Failure("the port moved %d bytes, the program %d: this was not the wire"
                          % (moved, payload), self.log(name))

    def perftest(self, tool, ends, size, demand):
        """One run of one tool; its figures by metric."""
        options = ["--odp"] if demand else []
        name = "%s-%s-%s-%d" % ("".join([tool] + options), ends.path, ends.device, size)
        count = plan.iterations(tool, ends.device, size)
        if self.args.compared and ends.path == "loopback":
            count *= plan.COMPARED_TIMES[plan.kind(tool)]
        count *= self.args.times
        result = "/tmp/%s.json" % name

        def command(end):
            return [tool, *options, "-F", "-d", end.device, "-x", end.gid, "-p",
                    str(self.port), "-s", str(size), "-n", str(count), "-m", "4096"]

        before = ends.port_bytes() if ends.path != "loopback" else 0
        text = self.pair(name, ends, command, ["--out_json", "--out_json_file=" + result])
        if "Correlation coefficient" in text:
            raise Uncalibrated("the machine is too busy for perftest's clock", self.log(name))
        if ends.path != "loopback":
            self.check_port(ends, before, size * count, name)
        return figures(tool, size, result, self.log(name))

    def ondemand(self):
        """perftest's bandwidth tools on memory that is not pinned, all sizes to 8 MiB."""
        ends = Ends("svan", "loopback")
        for tool in plan.BW_TOOLS:
            name = "%s-odp" % tool
            try:
                self.ondemand_tool(tool, ends, name)
                self.succeed("%s --odp -a" % tool)
            except Failure as failure:
                self.fail(name, failure)

    def ondemand_tool(self, tool, ends, name):
        """One of them: it must get to the end, and by way of page requests."""
        def command(end):
            return [tool, "--odp", "-a", "-F", "-d", end.device, "-x", end.gid, "-p",
                    str(self.port), "-n", str(plan.ONDEMAND_ITERATIONS), "-m", "4096"]

        before = page_requests(ends.client.device)
        text = self.pair(name, ends, command)
        asked = page_requests(ends.client.device) - before
        sizes = [int(size) for size in re.findall(r"^ (\d+) +%d +" % plan.ONDEMAND_ITERATIONS, text,
                                                  re.M)]
        if sizes != [1 << n for n in range(1, 24)]:
            raise Failure("sizes %s" % sizes, self.log(name))
        if asked < 100:
            raise Failure("only %d page requests: was this memory on demand?" % asked,
                          self.log(name))

    def benchmarks(self, device):
        """Every tool over every path of one device."""
        for path in self.args.paths:
            ends = Ends(device, path)
            for tool in self.args.tools:
                shown = []
                for size in plan.sizes(tool, path, self.args.sizes):
                    shown.append(self.benchmark(tool, ends, size))
                if shown:
                    print("%-12s %-10s %-4s %s" % (tool, path, device, "  ".join(shown)),
                          flush=True)

    def compared(self):
        """The cells of plan.COMPARED over Svan."""
        for path in self.args.paths:
            ends = Ends("svan", path)
            for tool, demand, sizes in plan.COMPARED:
                if tool in self.args.tools:
                    shown = [self.benchmark(tool, ends, size, demand)
                             for size in self.args.sizes or sizes]
                    print("%-12s %-5s %-8s %s" % (tool, "--odp" if demand else "", path,
                                                  "  ".join(shown)), flush=True)

    def benchmark(self, tool, ends, size, demand=False):
        """One cell of the table, recorded; how to show it."""
        what = "%s%s %s %s %s" % (tool, " --odp" if demand else "", ends.path, ends.device,
                                  plan.size_name(size))
        try:
            values = self.measure(tool, ends, size, demand)
        except Failure as failure:
            self.fail(what, failure)
            return "%s FAILED" % plan.size_name(size)
        self.succeed()
        for metric, unit, value in values:
            self.record("results.jsonl", {
                "tool": tool, "path": ends.path, "device": ends.device, "size": size,
                "metric": metric, "unit": unit, "value": value, "demand": demand})
        return "%s: %g %s" % (plan.size_name(size), values[0][2], values[0][1])

    def measure(self, tool, ends, size, demand):
        """A busy machine disturbs perftest's calibration, and soft-RoCE, which is
        not ours, sometimes fails: both get another try."""
        calibrations, failures = 4, 1 if ends.device == "rxe" else 0
        while True:
            try:
                return self.perftest(tool, ends, size, demand)
            except Uncalibrated:
                calibrations -= 1
                if calibrations < 0:
                    raise
            except Failure as failure:
                failures -= 1
                if failures < 0:
                    raise
                print("%s %s %s %d: %s; once more" % (tool, ends.path, ends.device, size, failure),
                      flush=True)

    def iperf3(self):
        """TCP between the two netdevs, or between two guests."""
        two = plan.TWO_GUESTS in self.args.paths
        ends = Ends("svan", plan.TWO_GUESTS if two else "wire")
        name = "iperf3-two-guests" if two else "iperf3"
        self.port += 1
        try:
            before = ends.port_bytes()
            server = ends.start_server(["iperf3", "-s", "-1", "-p", str(self.port)], self.port,
                                       self.log(name + ".server"))
            try:
                text = self.run(name, ["iperf3", "-J", "-l", "128K", "-t", "4", "-p",
                                       str(self.port), "-c", ends.address])
            finally:
                server.kill()
            row, payload = iperf3.row(text, name)
            self.check_port(ends, before, payload, name)
            self.record("results.jsonl", row)
            self.succeed("%s %s" % (name, ends.path))
        except Failure as failure:
            self.fail(name, failure)
        except ServerFailed as failure:
            self.fail(name, Failure(str(failure), self.log(name + ".server")))
        except (ValueError, KeyError) as error:
            self.fail(name, Failure("no figures: %r" % error, self.log(name)))

    def selftests(self):
        """The programs that verify every byte on the same paths and sizes (TAP)."""
        for name, limit in selftest_list():
            try:
                text = self.run(name, [os.path.join(SELFTESTS, name)], limit)
                passed = len(re.findall(r"^ok ", text, re.M))
                if re.search(r"^not ok ", text, re.M) or not passed:
                    raise Failure("tests failed" if passed else "it ran no test", self.log(name))
                self.succeed("%s: %d tests" % (name, passed))
            except Failure as failure:
                self.fail(name, failure)


def selftest_list():
    """(program, limit in seconds) of the selftests that verify data, from run-list."""
    listed = os.path.join(SELFTESTS, "run-list")
    rows = []
    if os.path.exists(listed):
        rows = [line.split("#")[0].split() for line in read_text(listed).split("\n")]
    return [(row[0], int(row[1])) for row in rows if row and row[0].startswith("verify-")]


def figures(tool, size, result, log):
    """What perftest has measured: (metric, unit, value), the first one to be shown."""
    try:
        with open(result, encoding="utf-8") as file:
            # The deviation of few values is printed as nan, which is not JSON's.
            found = json.loads(re.sub(r": -?nan", ": null", file.read()))["results"]
        if plan.kind(tool) == "bw":
            rate = float(found["MsgRate"])
            average = float(found["BW_average"])
            if average < 1:
                # Two decimals say little about a few bytes; the rate has six.
                average = round(rate * 1e6 * size / plan.MIB, 6)
            rows = [("bw_avg", "MB/s", average), ("msg_rate", "Mmsg/s", rate)]
        else:
            rows = [("lat_typical", "us", found["t_typical"]),
                    ("lat_p99", "us", found["percentile_99"])]
        rows = [(metric, unit, float(value)) for metric, unit, value in rows]
        if rows[0][2] <= 0:
            raise ValueError(found)
    except (OSError, ValueError, KeyError) as error:
        raise Failure("no figures in its report: %r" % error, log) from None
    return rows


def page_requests(device):
    """How often a device has asked for a page."""
    return int(read("/sys/class/infiniband/%s/ports/1/hw_counters/page_requests" % device))


def read_text(path):
    """A log's text."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def split(choices):
    """An argument that lists some of choices."""
    def parse(text):
        words = text.split(",")
        for word in words:
            if word not in choices:
                raise argparse.ArgumentTypeError("%r is none of %s" % (word, ", ".join(choices)))
        return words
    return parse


def parse_args():
    """The options that run passes on."""
    tools = plan.BW_TOOLS + plan.LAT_TOOLS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", default="/mnt/share")
    parser.add_argument("--devices", type=split(plan.DEVICES), default=list(plan.DEVICES))
    parser.add_argument("--paths", type=split(plan.ALL_PATHS), default=list(plan.PATHS))
    parser.add_argument("--tools", type=split(tools), default=list(tools))
    parser.add_argument("--sizes", type=lambda s: [int(n) for n in s.split(",")], default=None)
    parser.add_argument("--checks", type=split(CHECKS + MORE_CHECKS),
                        default=list(CHECKS))
    parser.add_argument("--no-checks", dest="checks", action="store_const", const=[])
    parser.add_argument("--compared", action="store_true")
    parser.add_argument("--times", type=int, default=1)
    return parser.parse_args()


def main():
    """Checks first, for without them figures mean nothing."""
    args = parse_args()
    runner = Runner(args)
    if args.compared:
        runner.compared()
        sys.exit(1 if runner.failed else 0)
    for check in args.checks if "svan" in args.devices else []:
        getattr(runner, check)()
    if "rxe" in args.devices:
        subprocess.run(["svan-rxe", "up"], check=True)
    start = time.monotonic()
    for device in args.devices:
        runner.benchmarks(device)
    print("benchmarks: %.0f s" % (time.monotonic() - start))
    print("programs: %d passed, %d failed" % (runner.passed, runner.failed), flush=True)
    sys.exit(1 if runner.failed else 0)


if __name__ == "__main__":
    main()
