# SPDX-License-Identifier: GPL-2.0-or-later
"""svan-switch as a process, and what talks to its ports as QEMU's netdevs do."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("SVAN_SWITCH") or os.path.join(TOP, "build", "svan-switch")
LIMIT = 60


def mac(number):
    """An address of a station."""
    return bytes((2, 0, 0, 0, 0, number))


def frame(to, source, payload=b"", length=60):
    """An experimental Ethernet frame."""
    return (mac(to) + mac(source) + b"\x88\xb5" + payload).ljust(length, b"\0")


class Switch:
    """A svan-switch with a folder of its own; it ends with the block."""

    def __init__(self, *statements, options=()):
        self.folder = tempfile.TemporaryDirectory(prefix="svan-switch-")
        self.control = self.path("ctl")
        self.process = subprocess.Popen(
            [PROGRAM, "--control", self.control, *options,
             *(s.replace("@", self.folder.name + "/") for s in statements)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise AssertionError(self.process.stderr.read())

    def path(self, name):
        """A file of the switch."""
        return os.path.join(self.folder.name, name)

    def ctl(self, *words, status=0):
        """A statement while it runs; its output."""
        done = subprocess.run([PROGRAM, "ctl", self.control, *words], capture_output=True,
                              text=True, check=False, timeout=LIMIT)
        if done.returncode != status:
            raise AssertionError("%s: status %d, %s" % (words, done.returncode, done.stderr))
        return done.stdout + done.stderr

    def show(self):
        """All it knows."""
        return json.loads(self.ctl("show", "json"))

    def until(self, condition):
        """Wait for a state, with a limit."""
        end = time.monotonic() + LIMIT
        while not condition(self.show()):
            if time.monotonic() > end:
                raise AssertionError("it does not come: " + self.ctl("show"))
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(LIMIT)
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        self.folder.cleanup()
        if status or errors:
            raise AssertionError("svan-switch: status %d, %s" % (status, errors))


class Stream:
    """The other side of a port with connections."""

    def __init__(self, address, family=socket.AF_UNIX):
        self.socket = socket.socket(family)
        self.socket.settimeout(LIMIT)
        self.socket.connect(address)
        self.rest = b""

    def send(self, *frames):
        """Some frames at once."""
        self.socket.sendall(b"".join(struct.pack(">I", len(f)) + f for f in frames))

    def receive(self, seconds):
        """The frames that have come; [] after so long, None at the end."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return []
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError:
            return None
        if not data:
            return None
        self.rest += data
        frames, at = [], 0
        while len(self.rest) - at >= 4:
            length, = struct.unpack_from(">I", self.rest, at)
            if len(self.rest) - at - 4 < length:
                break
            frames.append(self.rest[at + 4:at + 4 + length])
            at += 4 + length
        self.rest = self.rest[at:]
        return frames

    def close(self):
        """Hang up."""
        self.socket.close()


class Datagrams:
    """The other side of a port without."""

    def __init__(self, local, remote, family=socket.AF_UNIX):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.settimeout(LIMIT)
        self.socket.bind(local)
        self.remote = remote

    def send(self, *frames):
        """A datagram each."""
        for one in frames:
            self.socket.sendto(one, self.remote)

    def receive(self, seconds):
        """As Stream's, one at a time."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return []
        return [self.socket.recv(1 << 17)]

    def close(self):
        """Hang up."""
        self.socket.close()


def collect(end, count, seconds=5):
    """That many frames, or those that come before a pause of so long."""
    frames = []
    while len(frames) < count:
        got = end.receive(seconds)
        if not got:
            break
        frames += got
    return frames
