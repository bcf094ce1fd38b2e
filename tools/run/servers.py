#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The server of a benchmark, in this guest or in the second one.

As a program, in the second guest: start the servers that the first one asks for. A request
is a line of JSON, {"device": "svan" or "rxe", "command": [...], "port": N}; DEVICE and GID
in the command stand for the second guest's own. The answers are lines, too: {"listening":
true}, then {"status": N} when the program has ended; a failure is {"why": TEXT}. If the
first guest hangs up, the program is killed.
"""

import json
import os
import socket
import subprocess
import time

PORT = 18500
DEVICE, GID = "@DEVICE@", "@GID@"


class ServerFailed(Exception):
    """The server does not do what it should; says why."""


def rxe_gid(device):
    """The index of the GID that is an IPv4 address."""
    base = "/sys/class/infiniband/%s/ports/1/gids" % device
    for index in sorted(os.listdir(base), key=int):
        with open(os.path.join(base, index), encoding="ascii") as file:
            if file.read().startswith("0000:0000:0000:0000:0000:ffff:"):
                return index
    raise RuntimeError("%s has no IPv4 GID" % device)


def listens(port, pid):
    """Whether some socket listens on a TCP port in the namespace of a process."""
    want = ":%04X" % port
    for name in ("tcp", "tcp6"):
        try:
            with open("/proc/%d/net/%s" % (pid, name), encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except FileNotFoundError:
            return False
        if any(row[1].endswith(want) and row[3] == "0A" for row in rows):
            return True
    return False


def last_line(text):
    """The last line with something in it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


class LocalServer:
    """A program in this guest."""

    def __init__(self, command, port, log):
        self.command, self.port, self.log = command, port, log
        self.process = None

    def start(self):
        """Until it takes connections."""
        with open(self.log, "w", encoding="utf-8") as file:
            file.write("$ %s\n" % " ".join(self.command))
            file.flush()
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=file,
                                            stderr=subprocess.STDOUT)
        until = time.monotonic() + 20
        while not listens(self.port, self.process.pid):
            if self.process.poll() is not None:
                raise ServerFailed("the server ended at once, status %d: %s"
                                   % (self.process.returncode, self.last_words()))
            if time.monotonic() > until:
                raise ServerFailed("the server does not listen")
            time.sleep(0.005)

    def last_words(self):
        """Of its log."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return last_line(file.read())

    def finish(self):
        """Once the client has ended the server does, too."""
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            raise ServerFailed("the server does not end") from None
        if status:
            raise ServerFailed("the server's exit status is %d: %s" % (status, self.last_words()))

    def kill(self):
        """It may have ended already, or never begun."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class RemoteServer:
    """A program in the second guest."""

    def __init__(self, command, port, device, address):
        self.request = {"command": command, "port": port, "device": device}
        self.address = address
        self.lines = self.socket = None

    def answer(self, want):
        """One line."""
        try:
            line = self.lines.readline()
        except OSError as error:
            raise ServerFailed("the second guest does not answer: %s" % error) from None
        found = json.loads(line) if line else {"why": "the second guest has hung up"}
        if "why" in found or want not in found:
            raise ServerFailed(found.get("why", "the second guest says %r" % found))

    def connect(self):
        """The second guest may not be as far yet."""
        until = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection((self.address, PORT), 30)
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def start(self):
        """Until it takes connections."""
        try:
            self.socket = self.connect()
            self.lines = self.socket.makefile("r", encoding="utf-8")
            self.socket.sendall(json.dumps(self.request).encode() + b"\n")
        except OSError as error:
            raise ServerFailed("the second guest cannot be asked: %s" % error) from None
        self.answer("listening")

    def finish(self):
        """Its status, or why there is none."""
        self.answer("status")

    def kill(self):
        """The other side does it."""
        if self.socket:
            self.socket.close()


def serve_one(connection):
    """One request of the first guest."""
    request = json.loads(connection.makefile("r", encoding="utf-8").readline())
    svan = request["device"] == "svan"
    own = {DEVICE: os.environ["SVAN_DEV"] if svan else "rxe_0",
           GID: os.environ["SVAN_GID"] if svan else rxe_gid("rxe_0")}
    command = [own.get(word, word) for word in request["command"]]
    server = LocalServer(command, request["port"], "/tmp/server.log")

    def answer(row):
        connection.sendall(json.dumps(row).encode() + b"\n")
    try:
        server.start()
        answer({"listening": True})
        while server.process.poll() is None:
            connection.settimeout(0.02)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                pass
        connection.settimeout(None)
        server.finish()
        answer({"status": 0})
    except ServerFailed as failure:
        answer({"why": str(failure)})
    finally:
        server.kill()


def main():
    """One request after the other, until somebody ends this program."""
    with socket.create_server(("", PORT)) as listener:
        subprocess.run(["svan-rxe", "up"], check=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    serve_one(connection)
                except (OSError, ValueError, KeyError) as error:
                    print("servers: %r" % error, flush=True)


if __name__ == "__main__":
    main()
