#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""filter.py HERE THERE [stream]: which frames for a group the netdev HERE lets through.

Frames are sent from THERE, in the network namespace peer: some for the group,
then one for everybody, which says that the others have had their chance.

With stream: whether a member of a group gets every frame of a stream while other
groups come and go, around the number of groups that the device has room for.
"""

import socket
import struct
import subprocess
import sys
import time

TYPE = 0x88B5  # for local experiments
GROUP = "01:00:5e:01:02:03"
LIMIT = 20

SENDER = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for line in sys.stdin:
    for to in [bytes.fromhex(sys.argv[2])] * 5 + [b"\\xff" * 6]:
        s.send(to + bytes.fromhex("020000000001") + b"\\x88\\xb5" + line.encode().ljust(50))
"""


STREAMER = """
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
group, frames = bytes.fromhex(sys.argv[2]), int(sys.argv[3])
for n in range(frames + 1):
    to = group if n < frames else b"\\xff" * 6
    s.send(to + bytes.fromhex("020000000001") + b"\\x88\\xb5" + b"%08d".ljust(52) % n)
    time.sleep(0.0001)
"""

SOL_PACKET = 263
SO_RCVBUFFORCE = 33
ROOM = 256  # groups that the device has room for
STREAM = 6000  # frames
CHANGE = 15  # of them between two changes
ADD, DROP = 1, 2  # PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP
MULTICAST, PROMISC, ALLMULTI = 0, 1, 2  # PACKET_MR_*


class Wire:
    def __init__(self, here, there):
        self.here, self.there = here, there
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
        self.sock.bind((here, TYPE))
        self.sock.settimeout(LIMIT)
        self.index = socket.if_nametoindex(here)
        self.sender = subprocess.Popen(
            ["ip", "netns", "exec", "peer", sys.executable, "-c", SENDER, there,
             GROUP.replace(":", "")], stdin=subprocess.PIPE, text=True)
        self.round = 0

    def member(self, verb, kind, group=GROUP):
        """Join or leave: a group, all of them, or everything."""
        address = bytes.fromhex(group.replace(":", ""))
        self.sock.setsockopt(SOL_PACKET, verb,
                             struct.pack("iHH8s", self.index, kind, len(address), address))

    def other(self, verb, number):
        """One of the other groups."""
        self.member(verb, MULTICAST, "01:00:5e:02:%02x:%02x" % (number >> 8, number & 255))

    def crowd(self, verb):
        """600 other groups."""
        for number in range(600):
            self.other(verb, number)

    def groups(self):
        """How many the netdev has joined."""
        with open("/proc/net/dev_mcast", encoding="ascii") as file:
            return sum(line.split()[1] == self.here for line in file)

    def fill(self):
        """Join other groups until the device has room for no more; how many they are."""
        number = 0
        while self.groups() < ROOM:
            self.other(ADD, number)
            number += 1
        return number

    def passes(self):
        """Whether frames for the group come before the one for everybody."""
        self.round += 1
        name = b"%d\n" % self.round
        print(self.round, file=self.sender.stdin, flush=True)
        seen = False
        while True:
            frame = self.sock.recv(100)
            if frame[14:].startswith(name):
                if frame[0] == 0xFF:
                    return seen
                seen = True

    def await_passes(self, wanted, when):
        """The driver programs the filter from a worker."""
        end = time.monotonic() + LIMIT
        while self.passes() != wanted:
            if time.monotonic() > end:
                sys.exit("%s: the group %s" % (when, "does not pass" if wanted else "passes"))

    def stream(self):
        """Frames that were lost of a stream while one group too many comes and goes."""
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.member(ADD, MULTICAST)
        other = self.fill()
        self.await_passes(True, "joined with many others")
        got, verb, frame = 0, ADD, b""
        with subprocess.Popen(["ip", "netns", "exec", "peer", sys.executable, "-c", STREAMER,
                               self.there, GROUP.replace(":", ""), str(STREAM)]):
            while not frame.startswith(b"\xff"):
                frame = self.sock.recv(100)
                got += not frame.startswith(b"\xff")
                if got % CHANGE == 0:
                    self.other(verb, other)
                    verb = DROP if verb == ADD else ADD
        return STREAM - got

    def close(self):
        self.sender.stdin.close()
        self.sender.wait(LIMIT)


def check_stream(wire):
    """The whole of a stream arrives."""
    lost = wire.stream()
    wire.close()
    if lost:
        sys.exit("%d of %d frames are lost" % (lost, STREAM))


def main():
    here, there = sys.argv[1:3]
    wire = Wire(here, there)
    if sys.argv[3:] == ["stream"]:
        check_stream(wire)
        return
    wire.await_passes(False, "nobody has joined")
    for kind, name in (MULTICAST, "joined"), (ALLMULTI, "all groups"), (PROMISC, "promiscuous"):
        wire.member(ADD, kind)
        wire.await_passes(True, name)
        wire.member(DROP, kind)
        wire.await_passes(False, "no more " + name)
    # more groups than the device has room for
    wire.crowd(ADD)
    wire.await_passes(True, "too many groups")
    wire.crowd(DROP)
    wire.await_passes(False, "few groups again")
    wire.close()


main()
