# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of traces, and how numbers are printed."""

import contextlib
import sys


def nanoseconds(seconds, fraction):
    """From the two halves of a time stamp."""
    return int(seconds) * 10 ** 9 + int(fraction.ljust(9, "0")[:9])


def duration(ns):
    """As a person says it."""
    for unit, length in (("s", 10 ** 9), ("ms", 10 ** 6), ("us", 10 ** 3)):
        if ns >= length:
            return "%.1f %s" % (ns / length, unit)
    return "%d ns" % ns


def pick(names, number):
    """The name of a number that may be a newer one than ours."""
    return names[number] if number < len(names) else "%d?" % number


def device_fields(text):
    """Pairs of a name and a number; units are passed over."""
    words = [word for word in text.split() if word != "ns"]
    return {key: int(value, 0) for key, value in zip(words[::2], words[1::2])}


def number(text):
    """In any base, as C writes it."""
    return int(text, 0)


def open_text(name):
    """A file, or standard input for "-", in a with statement."""
    if name == "-":
        return contextlib.nullcontext(sys.stdin)
    return open(name, encoding="utf-8", errors="replace")
