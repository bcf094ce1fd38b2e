# SPDX-License-Identifier: GPL-2.0-or-later
"""The row of the results that an iperf3 report is worth."""

import json

import plan


def row(text, tool="iperf3"):
    """The row, and the bytes that were received; ValueError or KeyError without figures."""
    end = json.loads(text[text.index("{"):])["end"]["sum_received"]
    path = "wire" if tool == "iperf3" else plan.TWO_GUESTS
    return {"tool": tool, "path": path, "device": "svan", "size": 128 * plan.KIB,
            "metric": "bw_avg", "unit": "MB/s",
            "value": round(end["bits_per_second"] / 8 / plan.MIB, 2)}, end["bytes"]

