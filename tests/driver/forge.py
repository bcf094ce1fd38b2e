#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""forge.py CASE FROM_NETNS FROM TO_NETNS TO [MAC]: a frame that its sender may not be
permitted to send, and an honest one behind it. Prints what the receiver got: "both", or
"honest" alone. A namespace "-" is this one.

CASE: mac       its source is MAC
      cnp       a congestion notification of RoCE, from the sender's own MAC
"""

import fcntl
import os
import socket
import struct
import sys
import time

HONEST, FORGED = b"honest frame", b"forged frame"
TYPE = 0x88b5
SIOCGIFHWADDR = 0x8927
ETH_P_ALL = 3
LIMIT = 20                          # seconds


def packet_socket(netns, netdev, protocol):
    """A socket of that namespace, on that netdev, and the netdev's MAC."""
    if netns != "-":
        with open("/run/netns/" + netns, "rb") as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    sock.bind((netdev, protocol))
    request = struct.pack("256s", netdev.encode())
    return sock, fcntl.ioctl(sock, SIOCGIFHWADDR, request)[18:24]


def cnp():
    """IPv4, UDP to RoCE's port, a BTH of a CNP, and what marks the frame."""
    bth = bytes((0x81, 0x40, 255, 255, 0, 0, 0, 5, 0, 0, 0, 0)) + bytes(16) + FORGED + bytes(8)
    udp = struct.pack("!HHHH", 0xc000, 4791, 8 + len(bth), 0) + bth
    return struct.pack("!HBBHHHBBH4s4s", 0x0800, 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       bytes((10, 77, 0, 11)), bytes((10, 77, 0, 99))) + udp


def main():
    case, from_netns, sender, to_netns, receiver = sys.argv[1:6]
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    to, to_mac = packet_socket(to_netns, receiver, TYPE if case == "mac" else ETH_P_ALL)
    os.setns(here, os.CLONE_NEWNET)
    out, own = packet_socket(from_netns, sender, TYPE)
    end = time.monotonic() + LIMIT
    to.settimeout(LIMIT)
    mark = struct.pack("!H", TYPE)
    if case == "mac":
        source = bytes.fromhex(sys.argv[6].replace(":", ""))
        out.send(to_mac + source + mark + FORGED + bytes(40))
    else:
        out.send(to_mac + own + cnp())
    out.send(to_mac + own + mark + HONEST + bytes(40))
    got = []
    while HONEST not in got:
        if time.monotonic() > end:
            sys.exit("the honest frame has not come")
        frame = to.recv(2048)
        got += [text for text in (HONEST, FORGED) if text in frame]
    print("both" if FORGED in got else "honest")


if __name__ == "__main__":
    main()
