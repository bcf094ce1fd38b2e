#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The CNPs of a capture of a receiver's link, read by scapy and by nothing of ours.

    cnps.py PCAPNG INTERVAL_US

Every CNP has the form of annex A17 and a right ICRC; two for the same flow are at least the
interval apart; one comes only after a marked packet; and each marked packet was answered: by a
CNP that came at once, or by one sent within the interval before. Prints what it has counted;
fails with the first that is wrong. A flow is an address of a sender and, as each has one queue
pair here, all its packets.
"""

import sys

from scapy.contrib.roce import BTH, CNP_OPCODE, CNPPadding
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgReader

CE = 3
SLACK_US = 5            # from a mark to its CNP, behind what else the receiver's link sends
EARLY_US = 0.1          # a CNP may have waited for its link longer than the next one

def check_form(frame):
    """The CNP as it should be; its destination QPN."""
    bth = frame[BTH]
    assert bth.becn == 1 and bth.fecn == 0, "BECN is not set, or FECN is"
    assert (bth.ackreq, bth.psn, bth.padcount, bth.version) == (0, 0, 0, 0), "a field of the BTH"
    assert CNPPadding in frame and len(bytes(frame[UDP])) == 8 + 12 + 16 + 4, "its length"
    assert bytes(frame[CNPPadding])[:16] == bytes(16), "the reserved octets"
    return bth.dqpn


def check_icrc(raw):
    """scapy computes it anew."""
    copy = Ether(raw)
    sent = raw[-4:]
    assert copy[BTH].compute_icrc(raw) == sent, "the ICRC"


def read(path):
    """(us, source, destination, is marked, frame) of the RoCE packets, in their order."""
    for frame in PcapNgReader(path):
        if BTH in frame:
            yield (float(frame.time) * 1e6, frame[IP].src, frame[IP].dst,
                   frame[IP].tos & 3 == CE, frame)


def main(path, interval):
    """Go through the capture once."""
    last, marked_at, waiting, qpns = {}, {}, {}, {}
    packets = marks = cnps = covered = at = 0
    for at, source, destination, is_marked, frame in read(path):
        packets += 1
        for flow, since in waiting.items():
            assert at <= since + SLACK_US, "%.3f us: no CNP to %s" % (since, flow)
        if frame[BTH].opcode == CNP_OPCODE:
            cnps += 1
            qpn = check_form(frame)
            check_icrc(bytes(frame))
            assert qpns.setdefault(destination, qpn) == qpn, "%.3f us: another QPN" % at
            assert at - last.get(destination, -interval) >= interval - EARLY_US, \
                "%.3f us: a CNP to %s after %.3f us" % (at, destination, at - last[destination])
            assert at - marked_at.get(destination, -1e9) <= SLACK_US, \
                "%.3f us: a CNP to %s for no mark" % (at, destination)
            waiting.pop(destination, None)
            last[destination] = at
        elif is_marked:
            marks += 1
            marked_at[source] = at
            if at - last.get(source, -interval) >= interval:
                waiting.setdefault(source, at)
            else:
                covered += 1
    assert marks and cnps, "nothing is marked, so nothing is shown"
    assert set(marked_at) <= set(last) | set(waiting), "a flow without a CNP"
    print("%d packets until %.1f ms: %d marked, of %d flows; %d CNPs, none too early; "
          "%d marks within an interval" % (packets, at / 1000, marks, len(last), cnps, covered))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
