#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The row of the results that an iperf3 report is worth.

As a program: iperf3.py REPORT prints that of the run between two guests.
"""

import json
import sys

import plan


def row(text, tool="iperf3"):
    """The row, and the bytes that were received; ValueError or KeyError without figures."""
    end = json.loads(text[text.index("{"):])["end"]["sum_received"]
    return {"tool": tool, "path": "wire", "device": "svan", "size": 128 * plan.KIB,
            "metric": "bw_avg", "unit": "MB/s",
            "value": round(end["bits_per_second"] / 8 / plan.MIB, 2)}, end["bytes"]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(json.dumps(row(file.read(), "iperf3-two-guests")[0]))
