#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The congestion notifications of a capture of a receiver's link, read by tshark with the
dissector of tools/wireshark.

    notifications.py PCAPNG INTERVAL_US CLASS:DELAY_US...

Each is sent when the delay of the class of the first mark is over and the interval since the
one before, not sooner, and 5 us later at most; it tells of all marks since the one before, and of
no other; no mark is left untold. Prints what it has counted; fails with the first that is wrong.
"""

import os
import subprocess
import sys

LUA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/wireshark/svan.lua")
FIELDS = ("frame.time_relative", "ip.src", "ip.dst", "ip.dsfield.ecn", "ip.dsfield.dscp",
          "_ws.malformed", "svan_notification.class", "svan_notification.sequence",
          "svan_notification.packets", "svan_notification.marks", "svan_notification.delay",
          "svan_notification.octets", "svan_notification.malformed", "frame.len")
CE, CS6 = 3, 48
SLACK_US = 5            # behind what else the receiver's link sends
EARLY_US = 0.1          # the frame with the mark may have waited for the switch's clock


class Path:
    """What came from one sender: (us, class or None without a mark, octets) of each packet that it
    was not told of yet. The NIC looks at a packet a little after it has come."""

    def __init__(self):
        self.untold, self.last, self.sequence, self.told = [], None, None, 0

    def first(self):
        """The first mark: when, and of which class."""
        return next((row for row in self.untold if row[1] is not None), None)

    def due(self, delays, interval):
        """When the next notification is."""
        first = self.first()
        if not first:
            return None
        at = first[0] + delays[first[1]]
        return at if self.last is None else max(at, self.last + interval)

    def tell(self, packets, marks, octets):
        """So many packets, marks and octets of what was marked, of those that have come."""
        told, self.untold = self.untold[:packets], self.untold[packets:]
        marked = [size for _, name, size in told if name is not None]
        found = len(marked)
        assert (len(told), found) == (packets, marks), \
            "%d marks of %d packets, not of %d" % (found, len(told), packets)
        assert sum(marked) == octets, "%d octets are marked, not %d" % (sum(marked), octets)
        self.told += marks


def rows(path):
    """A dictionary for each packet."""
    command = ["tshark", "-X", "lua_script:" + LUA, "-r", path, "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, "tshark: " + done.stderr.strip()
    for line in done.stdout.splitlines():
        yield dict(zip(FIELDS, line.split("\t")))


def check_one(path, at, row, delays, interval):
    """A notification, and what has come before it."""
    number = {name: int(row["svan_notification." + name])
              for name in ("class", "sequence", "packets", "marks", "delay", "octets")}
    first = path.first()

    assert int(row["ip.dsfield.dscp"]) == CS6 and int(row["ip.dsfield.ecn"]) == 0, "its IP header"
    assert first, "there was no mark"
    assert at >= path.due(delays, interval) - EARLY_US, "too early"
    assert number["class"] == first[1], "the class"
    assert abs(number["delay"] / 1000 - (at - first[0])) <= SLACK_US, "the delay that it says"
    assert path.sequence in (None, number["sequence"] - 1), "the sequence"
    # Packets without any mark are counted for a millisecond.
    path.untold = [x for x in path.untold if x[0] >= first[0] - 1000]
    path.tell(number["packets"], number["marks"], number["octets"])
    path.last, path.sequence = at, number["sequence"]


def check_all_told(paths, at, delays, interval):
    """Nobody waits for a notification that should have been sent."""
    for name, path in paths.items():
        due = path.due(delays, interval)
        assert due is None or at <= due + SLACK_US, \
            "%.3f us: %s was not told of its marks" % (at, name)


def main(capture, interval, delays):
    """Go through the capture once."""
    paths, at, seen = {}, 0, {name: 0 for name in delays}
    for row in rows(capture):
        at = float(row["frame.time_relative"]) * 1e6
        assert not row["svan_notification.malformed"] and not row["_ws.malformed"], "malformed"
        check_all_told(paths, at, delays, interval)
        if row["svan_notification.marks"]:
            seen[int(row["svan_notification.class"])] += 1
            try:
                check_one(paths[row["ip.dst"]], at, row, delays, interval)
            except AssertionError as wrong:
                raise AssertionError("%.3f us, to %s: %s" % (at, row["ip.dst"], wrong)) from None
        elif row["ip.src"]:
            marked = int(row["ip.dsfield.ecn"]) == CE
            paths.setdefault(row["ip.src"], Path()).untold.append(
                (at, int(row["ip.dsfield.dscp"]) >> 3 if marked else None,
                 int(row["frame.len"])))
    assert all(seen.values()), "a class has no notification: %s" % seen
    print("%d notifications until %.1f ms, by class %s, of %d marks: none early or late, none "
          "left out" % (sum(seen.values()), at / 1000, seen,
                        sum(path.told for path in paths.values())))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), {
        int(name): float(delay) for name, delay in (text.split(":") for text in sys.argv[3:])})
