#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pyverbs.py [--update FILE] DEVICE GID EXPECTED: in a guest, rdma-core's own tests.

Every file of tests runs by itself and under a time limit. Tests of dma-buf take the
memory of the accelerator, by rdma-core's allocator with dmabuf_alloc.patch. What counts is the log
of each test, not the exit status: some tests crash libibverbs after they have
printed that they are skipped. EXPECTED says for each test whether it passes, is
skipped, or fails for the reason given there; a test that does worse than that has
failed. The report is TAP.
"""

import argparse
import glob
import os
import re
import subprocess
import sys

TESTS = "/usr/share/doc/rdma-core/tests"
LOGS = "/mnt/share/logs"
# Tests of other vendors' extensions, and of machines with GPUs.
FOREIGN = re.compile(r"test_(mlx5|efa|cuda)")
LIMIT = 120
WITH_ADD_REF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "with_add_ref.py")
ALLOCATOR = "/usr/lib/svan/pyverbs/dmabuf_alloc.so"
# Tests that run once more with an option, and what their names get: dma-bufs of memory
# that is the host's, and only allocated by the accelerator.
AGAIN = (("test_mr", "DmaBuf", "--gtt", "[gtt]"),)

STARTED = re.compile(r"^(test_\w+) \((tests\.[\w.]+)\)", re.M)
# On the line of its start, or by itself after what the test has printed.
RESULT = re.compile(r"(?:\.\.\. |^)(ok|skipped|FAIL|ERROR)(?: '(.*)'| \"(.*)\")?$", re.M)
SUMMARY = re.compile(r"^={20,}$|^-{20,}$\nRan ", re.M)
NAMES = {"ok": "pass", "skipped": "skip", "FAIL": "fail", "ERROR": "fail", None: "crash"}


def prepare():
    """What the tests ask of the machine: some huge pages."""
    with open("/proc/sys/vm/nr_hugepages", "w", encoding="ascii") as file:
        file.write("64")
    os.makedirs(LOGS, exist_ok=True)


def run_file(name, args, tests="", *options):
    """The log of one file of tests, or of some of them, and whether its time was up."""
    log = os.path.join(LOGS, "".join((name,) + options) + ".log")
    late = False
    with open(log, "w", encoding="utf-8") as file:
        try:
            subprocess.run(["python3", "-B", WITH_ADD_REF, TESTS + "/run_tests.py", "-v",
                            "--dev", args.device, "--port", "1", "--gid", args.gid,
                            "-k", "tests.%s.%s" % (name, tests), *options],
                           stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                           env=dict(os.environ, LD_PRELOAD=ALLOCATOR),
                           timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            late = True
            file.write("\nthe time limit of %d s has passed\n" % LIMIT)
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read(), late


def results(text):
    """{test: (result, reason)}: what stands between one test's start and the next's."""
    found = {}
    end = SUMMARY.search(text)
    text = text[:end.start()] if end else text
    starts = list(STARTED.finditer(text))
    for this, following in zip(starts, starts[1:] + [None]):
        part = text[this.start():following.start() if following else len(text)]
        result = RESULT.search(part)
        name = this.group(2)
        if not name.endswith("." + this.group(1)):
            name += "." + this.group(1)
        if result:
            found.setdefault(name, (NAMES[result.group(1)],
                                     result.group(2) or result.group(3) or ""))
        else:
            found.setdefault(name, ("crash", "it did not report"))
    return found


def read_expected(path):
    """{test: (pass, skip or fail, reason)}"""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        rows = [line.strip().partition("#")[::2] for line in file]
    return {row.split()[0]: (row.split()[1], reason.strip()) for row, reason in rows if row}


def verdict(expected, got):
    """Whether a result is as good as expected; a test unknown so far may not fail."""
    rank = {"pass": 3, "skip": 2, "fail": 1, "crash": 1}
    return rank.get(got, 0) >= rank[expected or "skip"]


def write_expected(path, device, found, before):
    """A new file of expectations. What fails is left out, so that it goes on failing,
    unless it has been written down as such with a reason."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("# SPDX-License-Identifier: GPL-2.0-or-later\n"
                   "# What rdma-core's tests do over %s: pass, or skip or fail for the reason\n"
                   "# given. UPDATE=1 tests/verbs/verbs-in-guest pyverbs writes passes and skips.\n\n"
                   % device.rsplit("_", 1)[0])
        for name, (result, reason) in sorted(found.items()):
            if result in ("fail", "crash") and before.get(name, ("", ""))[0] == "fail":
                result, reason = before[name]
            if result in ("pass", "skip") or name in before:
                file.write("%s %s%s\n" % (name, result, "    # " + reason if reason else ""))


def report(found, expected):
    """TAP; the number of failures."""
    failed = 0
    names = sorted(set(found) | set(expected))
    print("1..%d" % len(names))
    for number, name in enumerate(names, 1):
        got, reason = found.get(name, ("missing", "it was not run"))
        want, why = expected.get(name, (None, ""))
        good = verdict(want, got)
        failed += not good
        line = "%sok %d %s" % ("" if good else "not ", number, name)
        if not good:
            print("# %s: expected %s, got %s %s" % (name, want or "no failure", got, reason))
        elif got != "pass":
            line += " # SKIP " + (reason if got == "skip" else "known to fail: " + why)
        elif want in ("skip", "fail"):
            print("# %s passes now: say so in the file of expectations" % name)
        print(line, flush=True)
    return failed


def run_all(args):
    """{test: (result, reason)} of all files, and of what runs again."""
    names = [os.path.basename(path)[:-3] for path in sorted(glob.glob(TESTS + "/test_*.py"))]
    runs = [(name, "", "", "") for name in names if not FOREIGN.match(name)]
    runs += AGAIN
    found = {}
    for name, tests, option, suffix in runs:
        if args.only not in name:
            continue
        text, late = run_file(name, args, tests, *filter(None, [option]))
        here = {test + suffix: result for test, result in results(text).items()}
        found.update(here)
        print("# %s: %d tests%s" % (name + suffix, len(here),
                                    ", time limit reached" if late else ""), flush=True)
    return found


def main():
    """All files, then the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", metavar="FILE")
    parser.add_argument("--only", metavar="TEXT", default="")
    parser.add_argument("device")
    parser.add_argument("gid")
    parser.add_argument("expected")
    args = parser.parse_args()
    prepare()
    found = run_all(args)
    expected = {name: row for name, row in read_expected(args.expected).items()
                if args.only in name}
    if args.update:
        write_expected(args.update, args.device, found, expected)
    sys.exit(1 if report(found, expected) or not found else 0)


if __name__ == "__main__":
    main()
