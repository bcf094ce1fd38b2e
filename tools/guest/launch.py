#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Start the guests, run the command in them, end them. boot calls it.

Every guest is steered and heard over virtio ports (the protocol is written down
in init), which reach this process as socket pairs. The serial console is kept in
a file and only looked at when a guest fails.
"""

import argparse
import base64
import os
import re
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

PORTS = ("ctl", "out", "err", "log")
MAC = "52:54:00:77:00:%02x"
RXE_MAC = "52:54:00:78:00:%02x"
STATUS_LIMIT = 124
STATUS_GUEST = 125

# Lines of the kernel's log that make a run fail.
REPORT = re.compile(
    r"BUG: |KASAN: |UBSAN: |KCSAN: |kmemleak: |WARNING: |Oops|general protection|"
    r"INFO: task .* blocked|INFO: (possible|trying|inconsistent|rcu)|"
    r"(possible|inconsistent) .*(lock|RCU)|suspicious RCU|rcu_.* detected .*stalls|"
    r"bad unlock balance|DEBUG_LOCKS_WARN_ON|refcount_t:|list_(add|del) corruption|"
    r"sleeping function called|scheduling while atomic|page allocation failure")
OOPS = re.compile(r"Kernel panic|BUG: |Oops|general protection")
# What the kernels say by themselves, none of it about a defect of ours. Users may
# register memory twice, which ib_core maps twice, and DMA_API_DEBUG does not expect.
# munmap() and the unbinding of an RDMA device race for a page (decision 0007).
HARMLESS = re.compile(r"kmemleak: (Kernel memory leak detector|Automatic memory scanning)|"
                      r"at kernel/dma/debug\.c:\d+ add_dma_entry\+|"
                      r"at arch/x86/mm/pat/memtype\.c:\d+ get_pat_info\+|"
                      r"Spectre|MDS|Speculative|RETBleed|SRBDS")


class GuestFailed(Exception):
    """The guest is not usable any more."""


class LimitReached(Exception):
    """The time limit has passed."""


def note(text):
    """A line for the person, with the time since the first script began."""
    seconds = int(time.time()) - int(os.environ.get("SVAN_T0", time.time()))
    print("[%3d:%02d] %s" % (seconds // 60, seconds % 60, text), file=sys.stderr, flush=True)


def setting(name, default):
    """A variable of the environment; empty is as good as not there."""
    return os.environ.get(name) or default


class Settings:
    """What the person asked for."""

    def __init__(self, args):
        self.args = args
        self.shell = args.mode == "shell"
        self.vms = int(setting("VMS", "1"))
        self.cmd = setting("CMD", "true" if not self.shell else "")
        self.peer = setting("PEER", "")
        self.share = setting("SHARE", "")
        self.svan = setting("SVAN", "1") != "0"
        self.nics = int(setting("NICS", "2"))
        self.vfs = int(setting("VFS", "0"))
        self.link = [s.strip() for s in setting("LINK", "").split(";") if s.strip()]
        self.wire = setting("WIRE", "stream" if self.link else "ring")
        self.rxe = setting("RXE", "0") != "0"
        self.peerdev = self.svan and setting("PEERDEV", "0") != "0"
        limit = "0" if self.shell else "1800" if setting("DEBUG_KERNEL", "0") != "0" else "600"
        self.timeout = float(setting("TIMEOUT", limit))
        self.peer_wait = float(setting("PEER_WAIT", "30"))
        if self.vms not in (1, 2):
            sys.exit("VMS is 1 or 2")
        if not 2 <= self.nics <= 4 or (self.vms == 2 and self.nics != 2):
            sys.exit("NICS is 2 to 4, and 2 with VMS=2: each guest has one of them")
        if self.wire not in ("ring", "stream"):
            sys.exit("WIRE is ring or stream")
        if self.rxe and self.vms != 2:
            sys.exit("RXE=1 is a device between two guests: say VMS=2 as well")
        if not 0 <= self.vfs <= 64:
            sys.exit("VFS is 0 to 64")
        if self.peer and self.vms != 2:
            sys.exit("PEER= runs in a second guest: say VMS=2 as well")
        if self.link and not self.svan:
            sys.exit("LINK= is a link between Svan devices: leave out SVAN=0")
        if self.share and not os.path.isdir(self.share):
            sys.exit("SHARE=%s is not a folder" % self.share)
        if self.shell and not sys.stdin.isatty():
            sys.exit("a shell needs a terminal; for one command: make guest CMD='...'")


class Wires:
    """What joins a guest's devices to what is outside: for each Svan device the properties
    of a ring in shared memory, or a socket; none, if they are joined to each other. And
    soft-RoCE's socket."""

    def __init__(self, rings=None, svan=None, rxe=None):
        self.rings, self.svan, self.rxe = rings, svan or [], rxe

    def sockets(self):
        """Those that QEMU inherits."""
        return self.svan + ([self.rxe] if self.rxe else [])


class Guest:
    """One QEMU and the sockets of its ports."""

    def __init__(self, settings, side, wires):
        self.settings = settings
        self.side = side
        self.number = 1 if side == "A" else 2
        self.dir = settings.args.run
        self.wires = wires
        self.sockets = {}
        self.partial = {"out": b"", "err": b"", "ctl": b""}
        self.status = None
        self.events = set()
        self.qemu = None

    def file(self, name):
        """A file of this run and side."""
        return os.path.join(self.dir, "%s-%s" % (name, self.side) if self.settings.vms == 2
                            else name)

    def start(self):
        """Start QEMU with one end of every socket pair."""
        fds = []
        for port in PORTS + ("qmp",):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            self.sockets[port] = ours
            fds.append((port, theirs))
        command = self.command({port: theirs.fileno() for port, theirs in fds})
        with open(self.file("command"), "w", encoding="utf-8") as file:
            file.write(shlex.join(command) + "\n")
        passed = [theirs.fileno() for _, theirs in fds]
        passed += [sock.fileno() for sock in self.wires.sockets()]
        with open(self.file("qemu.log"), "wb") as log:
            self.qemu = subprocess.Popen(
                command, pass_fds=passed, stderr=log,
                stdin=None if self.interactive() else subprocess.DEVNULL,
                stdout=None if self.interactive() else log,
                start_new_session=not self.interactive())
        for _, theirs in fds:
            theirs.close()
        for sock in self.wires.sockets():
            sock.close()
        self.sockets["qmp"].sendall(b'{"execute": "qmp_capabilities"}\n')

    def interactive(self):
        """Whether this guest owns the terminal."""
        return self.settings.shell and self.side == "A"

    def command(self, fds):
        """QEMU's command line. The root's slot comes before those QEMU chooses, so that
        it is vda whatever else is plugged in."""
        args = self.settings.args
        accel = "tcg,thread=multi" if args.accel == "tcg" else args.accel
        line = [args.qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                "-machine", "q35", "-accel", accel,
                "-cpu", setting("CPU", "max" if args.accel == "tcg" else "host"),
                "-smp", setting("SMP", "2"), "-m", setting("MEM", "4G"),
                "-rtc", "base=utc", "-name", "svan-" + self.side,
                "-kernel", args.kernel, "-initrd", args.initrd, "-append", self.append(),
                "-chardev", "file,id=console,path=" + self.file("console.log"),
                "-serial", "chardev:console",
                "-drive", "if=none,id=root,format=raw,readonly=on,file=" + args.image,
                "-device", "virtio-blk-pci,drive=root,addr=1",
                "-device", "virtio-serial-pci,addr=2", "-device", "virtio-rng-pci,addr=3",
                "-chardev", "socket,id=qmp,fd=%d" % fds["qmp"], "-mon", "chardev=qmp,mode=control"]
        for port in PORTS:
            line += ["-chardev", "socket,id=%s,fd=%d" % (port, fds[port]),
                     "-device", "virtserialport,chardev=%s,name=svan.%s" % (port, port)]
        if self.interactive():
            line += ["-chardev", "stdio,id=tty,signal=off", "-device", "virtconsole,chardev=tty"]
        if self.settings.share:
            line += ["-fsdev", "local,id=share,security_model=none,multidevs=remap,path="
                     + os.path.abspath(self.settings.share).replace(",", ",,"),
                     "-device", "virtio-9p-pci,fsdev=share,mount_tag=share,addr=4"]
        line += self.wire_args() + self.rxe_args() + self.peerdev_args()
        return line + shlex.split(setting("QEMU_ARGS", ""))

    def wire_args(self):
        """The Svan devices, and the wire between them."""
        if not self.settings.svan:
            return []
        line = []
        first = 2 if self.side == "B" else 1
        last = 1 if self.settings.vms == 2 and self.side == "A" else self.settings.nics
        for number in range(first, last + 1):
            ring = None
            if self.wires.rings:
                ring = self.wires.rings[number - first]
            elif self.wires.svan:
                line += self.stream_args("wire%d" % number, self.wires.svan[number - first])
            else:
                line += ["-netdev", "hubport,id=wire%d,hubid=1" % number]
            line += self.nic_args(number, 0x10 + number - first, ring)
        return line

    def stream_args(self, name, sock):
        """A netdev that is one end of a pair of sockets."""
        return ["-netdev", "stream,id=%s,server=off,addr.type=fd,addr.str=%d"
                % (name, sock.fileno())]

    def rxe_args(self):
        """What soft-RoCE has between two guests: Svan's port takes such frames for itself."""
        if self.wires.rxe is None:
            return []
        return self.stream_args("rxe", self.wires.rxe) + [
            "-device", "virtio-net-pci,netdev=rxe,addr=0x17,romfile=,mac=" + RXE_MAC % self.number]

    def nic_args(self, number, slot, wire=None):
        """A Svan device. With virtual functions it needs a bus of its own, and the port
        before it room for their BARs, which the firmware does not count."""
        extra = setting("SVAN_ARGS", "")
        device = "svan,id=nic%d,%s,mac=%s" % (number, wire or "netdev=wire%d" % number,
                                              MAC % number)
        device += "," + extra if extra else ""
        if not self.settings.vfs:
            return ["-device", device + ",addr=%#x" % slot]
        return ["-device", "pcie-root-port,id=port%d,chassis=%d,addr=%#x,pref64-reserve=256M"
                % (number, number, slot),
                "-device", device + ",bus=port%d,num-vfs=%d" % (number, self.settings.vfs)]

    def peerdev_args(self):
        """The accelerator, away from the slots of the Svan devices."""
        if not self.settings.peerdev:
            return []
        extra = setting("PEERDEV_ARGS", "")
        return ["-device", "svan-accel,addr=0x18" + ("," + extra if extra else "")]

    def append(self):
        """The kernel's command line: every oops ends the guest, every NMI too."""
        return " ".join(["console=ttyS0 quiet loglevel=5 panic=-1 oops=panic unknown_nmi_panic=1",
                         "printk.devkmsg=on mitigations=off audit=0 random.trust_cpu=on",
                         "net.ifnames=0 lsm=capability cryptomgr.notests no_timer_check tsc=reliable",
                         setting("APPEND", "")]).strip()

    def configuration(self):
        """Assignments for init."""
        values = {"SVAN_SIDE": self.side, "SVAN_VMS": self.settings.vms,
                  "SVAN_NICS": self.settings.nics,
                  "SVAN": int(self.settings.svan), "SHARE": int(bool(self.settings.share)),
                  "SVAN_PEERDEV": int(self.settings.peerdev),
                  "SVAN_NO_RDMA": setting("SVAN_NO_RDMA", "")}
        if self.interactive():
            size = shutil.get_terminal_size((80, 24))
            values["TTY_SIZE"] = "%d %d" % (size.lines, size.columns)
        return "\n".join("%s=%s" % (k, shlex.quote(str(v))) for k, v in values.items())

    def send(self, verb, text=None):
        """A line to init; text travels in base64."""
        line = verb if text is None else verb + " " + base64.b64encode(text.encode()).decode()
        try:
            self.sockets["ctl"].sendall(line.encode() + b"\n")
        except OSError as error:
            raise GuestFailed("guest %s does not listen any more (%s)"
                              % (self.side, error)) from error

    def receive(self, port):
        """Take what one port has; False when it is closed."""
        try:
            data = self.sockets[port].recv(65536)
        except BlockingIOError:
            return True
        except ConnectionError:
            data = b""
        if port == "ctl":
            lines = (self.partial["ctl"] + data).split(b"\n")
            self.partial["ctl"] = lines.pop()
            for line in lines:
                self.hear(line.decode(errors="replace"))
        elif port == "log":
            with open(self.file("dmesg.log"), "ab") as file:
                file.write(data)
        elif port in ("out", "err"):
            self.show(port, data)
        return bool(data)

    def hear(self, line):
        """One line from init."""
        verb, _, rest = line.partition(" ")
        if verb == "status":
            self.status = int(rest)
        elif verb == "fail":
            raise GuestFailed("guest %s: %s" % (self.side, rest))
        self.events.add(verb)

    def show(self, port, data):
        """Output of the command: as it is, or with the guest's letter before each line."""
        stream = sys.stdout.buffer if port == "out" else sys.stderr.buffer
        if self.settings.vms == 2:
            lines = (self.partial[port] + data).split(b"\n")
            self.partial[port] = lines.pop() if data else b""
            if not data and lines[-1:] == [b""]:
                lines.pop()
            eol = b"\r\n" if self.settings.shell else b"\n"
            data = b"".join(self.side.encode() + b"| " + line + eol for line in lines)
        stream.write(data)
        stream.flush()

    def log_text(self):
        """The kernel's log as far as it has come."""
        try:
            with open(self.file("dmesg.log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def reports(self):
        """Lines of the kernel's log that tell of a defect."""
        return [line for line in self.log_text().splitlines()
                if REPORT.search(line) and not HARMLESS.search(line)]

    def last_words(self):
        """What QEMU said, and the console: from the first oops on, or its end."""
        for name in ("qemu.log", "console.log"):
            try:
                with open(self.file(name), encoding="utf-8", errors="replace") as file:
                    lines = file.read().replace("\x1b", "").splitlines()
            except FileNotFoundError:
                continue
            if not lines:
                continue
            oops = [i for i, line in enumerate(lines) if OOPS.search(line)]
            shown = lines[max(oops[0] - 5, 0):][:60] if oops else lines[-40:]
            print("--- from %s:" % os.path.relpath(self.file(name)), file=sys.stderr)
            print("\n".join(shown) + "\n---", file=sys.stderr)

    def interrogate(self):
        """Force a guest that does not answer any more to print its stacks."""
        try:
            self.sockets["qmp"].sendall(b'{"execute": "inject-nmi"}\n')
            self.qemu.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            pass

    def how_qemu_ended(self):
        """In words. Status 0: the guest has reset or switched off its machine."""
        status = self.qemu.poll()
        if status is None:
            return "QEMU goes on"
        if status < 0:
            return "QEMU was ended by " + signal.Signals(-status).name
        return "QEMU exited with status %d" % status

    def kill(self):
        """End QEMU, whatever it does."""
        if self.qemu and self.qemu.poll() is None:
            self.qemu.terminate()
            try:
                self.qemu.wait(5)
            except subprocess.TimeoutExpired:
                self.qemu.kill()
                self.qemu.wait()


class Switch:
    """svan-switch between the devices, whose ports are a, b and so on: rings in folder, or
    sockets without one."""

    def __init__(self, settings, folder):
        names = "abcd"[:settings.nics]
        pairs = [] if folder else [socket.socketpair() for _ in names]
        self.sockets = [ours for ours, _ in pairs]
        rings = [os.path.join(folder, name) for name in names] if folder else []
        self.rings = ["wire=" + path for path in rings]
        addresses = ["ring:" + path for path in rings] + \
                    ["fd:%d" % theirs.fileno() for _, theirs in pairs]
        early = [s for s in settings.link if s.split()[0] in ("seed", "buffer")]
        command = [settings.args.switch, "--control", "switch.ctl", "--report", "switch.json"]
        command += early + ["port %s %s" % port for port in zip(names, addresses)]
        command += [s for s in settings.link if s not in early]
        # paths in LINK are of the run's folder
        self.process = subprocess.Popen(
            command, cwd=settings.args.run, pass_fds=[theirs.fileno() for _, theirs in pairs],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True)
        for _, theirs in pairs:
            theirs.close()
        if not self.process.stdout.readline():
            sys.exit(self.process.stderr.read().replace("svan-switch:", "LINK:").strip())
        path = os.path.relpath(os.path.join(settings.args.run, "switch.ctl"))
        note("svan-switch joins ports %s to %s: build/svan-switch ctl %s show"
             % ("a", "abcd"[settings.nics - 1], path))

    def end(self):
        """It writes its report."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Session:
    """The guests of one run."""

    def __init__(self, settings):
        self.settings = settings
        self.selector = selectors.DefaultSelector()
        self.deadline = time.monotonic() + settings.timeout if settings.timeout else None
        self.folder = self.switch = None
        if settings.wire == "ring" and (settings.link or settings.vms == 2):
            self.folder = tempfile.mkdtemp(prefix="svan-")      # a short path
        if settings.link:
            self.switch = Switch(settings, self.folder)
        rings, sockets = self.wires()
        if settings.vms == 2:
            rxe = socket.socketpair() if settings.rxe else (None, None)
            self.guests = [Guest(settings, side, Wires(rings[i:i + 1], sockets[i:i + 1], rxe[i]))
                           for i, side in enumerate("AB")]
        else:
            self.guests = [Guest(settings, "A", Wires(rings, sockets))]

    def wires(self):
        """For each Svan device the properties of its ring, or its socket: to svan-switch, or
        between two guests."""
        if self.switch:
            return self.switch.rings, self.switch.sockets
        if self.settings.vms != 2:
            return [], []
        if self.folder:
            wire = "wire=" + os.path.join(self.folder, "wire")
            return [wire + ",wire-server=on", wire], []
        return [], list(socket.socketpair())

    def start(self):
        """All guests at once, up to the point where they take commands."""
        for guest in self.guests:
            guest.start()
            for port, sock in guest.sockets.items():
                self.selector.register(sock, selectors.EVENT_READ, (guest, port))
            guest.send("conf", guest.configuration())
        for guest in self.guests:
            self.wait(guest, "ready")

    def wait(self, guest, *events, limit=None):
        """Until guest has said one of events; False after limit seconds."""
        until = None if limit is None else time.monotonic() + limit
        while not guest.events & set(events):
            now = time.monotonic()
            if self.deadline and now >= self.deadline:
                raise LimitReached(guest)
            if until and now >= until:
                return False
            ends = [t for t in (self.deadline, until) if t]
            self.step(min(ends) - now if ends else None)
        return True

    def step(self, seconds):
        """Handle what has come; a guest that is gone raises GuestFailed."""
        gone = None
        for key, _ in self.selector.select(seconds):
            guest, port = key.data
            if not guest.receive(port):
                self.selector.unregister(key.fileobj)
                if port == "ctl":
                    gone = guest
        if gone:
            self.drain()
            raise GuestFailed("guest %s ended before its command did" % gone.side)

    def drain(self):
        """What the ports of guests that have ended still hold."""
        for guest in self.guests:
            for port in ("out", "err", "log"):
                while guest.receive(port):
                    try:
                        if not guest.sockets[port].recv(1, socket.MSG_PEEK):
                            break
                    except (BlockingIOError, ConnectionError):
                        break

    def run(self):
        """The peer's command first, then the first guest's; its status."""
        first, peer = self.guests[0], self.guests[-1]
        if self.settings.peer:
            peer.send("run", self.settings.peer)
            if not self.wait(peer, "listening", "asleep", "status",
                             limit=self.settings.peer_wait):
                note("B: PEER does not listen on a socket; going on")
            elif "status" in peer.events:
                note("B: PEER ended with status %d" % peer.status)
        first.send(*(("shell",) if self.settings.shell else ("run", self.settings.cmd)))
        self.wait(first, "status")
        if self.settings.peer and "status" not in peer.events:
            peer.send("stop")
            self.wait(peer, "status", limit=10)
        return first.status

    def finish(self):
        """Look for reports in the logs, switch the guests off."""
        found = 0
        for guest in self.guests:
            guest.send("check")
        for guest in self.guests:
            self.wait(guest, "checked")
            self.wait_log(guest)
            found += self.print_reports(guest)
        for guest in self.guests:
            guest.send("off")
        for guest in self.guests:
            try:
                guest.qemu.wait(20)
            except subprocess.TimeoutExpired:
                raise GuestFailed("guest %s does not power off" % guest.side) from None
        self.drain()
        return found

    def explain(self, guest):
        """After the limit: ask the guest what it waits for."""
        try:
            guest.send("explain")
            if not self.wait(guest, "explained", limit=20):
                note("guest %s does not answer any more" % guest.side)
                guest.interrogate()
        except GuestFailed as failure:
            note(str(failure))
        self.drain()

    def wait_log(self, guest):
        """Until the log has come up to the mark that init has set."""
        until = time.monotonic() + 10
        while "svan-guest: end of log" not in guest.log_text():
            left = until - time.monotonic()
            if left <= 0:
                note("the kernel's log of guest %s is not complete" % guest.side)
                return
            self.step(min(left, 0.2))

    def print_reports(self, guest):
        """Tell what the kernel has reported; how much it was."""
        lines = guest.reports()
        if lines:
            note("guest %s: the kernel has reported, see %s:"
                 % (guest.side, os.path.relpath(guest.file("dmesg.log"))))
            print("\n".join(lines[:20]), file=sys.stderr)
        return len(lines)

    def end(self):
        """Nothing may be left."""
        for guest in self.guests:
            guest.kill()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.switch:
            self.switch.end()


def supervise(session):
    """One run from start to end; its exit status."""
    try:
        session.start()
        status = session.run()
        if session.finish() and status == 0:
            status = STATUS_GUEST
        return status
    except LimitReached as limit:
        guest = limit.args[0]
        note("error: guest %s is not done after %g s (TIMEOUT=)"
             % (guest.side, session.settings.timeout))
        session.deadline = None
        session.explain(guest)
        guest.last_words()
        return STATUS_LIMIT
    except GuestFailed as failure:
        for guest in session.guests:
            if guest.qemu:
                try:
                    guest.qemu.wait(2)
                except subprocess.TimeoutExpired:
                    pass
        session.drain()
        for guest in session.guests:
            guest.last_words()
            if guest.qemu:
                note("guest %s: %s" % (guest.side, guest.how_qemu_ended()))
        note("error: %s" % failure)
        return STATUS_GUEST
    finally:
        session.end()


def main():
    """Parse what boot says."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("qemu", "accel", "run", "kernel", "initrd", "image"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--switch", help="svan-switch, for LINK")
    parser.add_argument("mode", choices=("run", "shell"))
    settings = Settings(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    terminal = termios.tcgetattr(0) if settings.shell else None
    try:
        sys.exit(supervise(Session(settings)))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if terminal:
            termios.tcsetattr(0, termios.TCSANOW, terminal)


if __name__ == "__main__":
    main()
