#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""again.py NETDEV MAC ADDRESS PEER_ADDRESS [PEERS]: one TCP segment, sent again four times every
half millisecond from NETDEV to the MAC, until it is killed; to as many peers, if said, from
that address on. To the NIC it is lost each time, and nobody says why."""

import fcntl
import ipaddress
import socket
import struct
import sys
import time

SIOCGIFHWADDR = 0x8927
PORTS = (4242, 9)                   # the second discards
PAYLOAD = bytes(200)


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def segment(own, peer):
    """Its own checksum is not filled in, so the peer's stack drops it."""
    tcp = struct.pack("!HHIIBBHHH", *PORTS, 1000, 0, 0x50, 0x10, 1024, 0, 0) + PAYLOAD
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0,
                     ipaddress.ip_address(own).packed, peer.packed)
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


def main():
    netdev, mac, own, peer = sys.argv[1:5]
    peers = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((netdev, 0))
    source = fcntl.ioctl(sock, SIOCGIFHWADDR, struct.pack("256s", netdev.encode()))[18:24]
    header = bytes.fromhex(mac.replace(":", "")) + source + b"\x08\0"
    frames = [header + segment(own, ipaddress.ip_address(peer) + i) for i in range(peers)]
    while True:
        for frame in frames:
            for _ in range(4):
                sock.send(frame)
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
