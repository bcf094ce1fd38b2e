# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmark run consists of; read by the guest's part and the report."""

KIB, MIB = 1 << 10, 1 << 20

BW_TOOLS = ("ib_send_bw", "ib_write_bw", "ib_read_bw")
LAT_TOOLS = ("ib_send_lat", "ib_write_lat", "ib_read_lat")
PATHS = ("loopback", "wire")            # of one guest
TWO_GUESTS = "two-guests"
ALL_PATHS = PATHS + (TWO_GUESTS,)
DEVICES = ("svan", "rxe")

BW_SIZES = (2, 64, KIB, 4 * KIB, 64 * KIB, MIB, 8 * MIB)
LAT_SIZES = (2, 64, 4 * KIB, 64 * KIB, MIB, 8 * MIB)

# Iterations by kind, device and the largest size they hold for. A run takes 1.4 s
# for perftest's own start, a second of it asleep, so there is no point in being
# much shorter; soft-RoCE moves about 20 MB/s. perftest wants at least five.
ITERATIONS = {
    ("bw", "svan"): ((4 * KIB, 50000), (64 * KIB, 5000), (MIB, 1000), (8 * MIB, 100)),
    ("bw", "rxe"): ((64, 5000), (4 * KIB, 2000), (64 * KIB, 100), (MIB, 10), (8 * MIB, 5)),
    ("lat", "svan"): ((4 * KIB, 2000), (64 * KIB, 500), (MIB, 100), (8 * MIB, 20)),
    ("lat", "rxe"): ((4 * KIB, 300), (64 * KIB, 50), (MIB, 8), (8 * MIB, 5)),
}

# Between two guests, where a bandwidth tool and a latency tool tell most.
TWO_GUESTS_SIZES = {
    "ib_write_bw": (64, 4 * KIB, 64 * KIB, MIB),
    "ib_read_bw": (64 * KIB, MIB),
    "ib_send_bw": (64 * KIB, MIB),
    "ib_write_lat": (2, 4 * KIB),
}
RXE_PEER = "10.78.0.2"                  # soft-RoCE's address in the second guest

# perftest --odp -a; the first of each size meets the pages.
ONDEMAND_ITERATIONS = 20

# ibv_rc_pingpong -c looks at what has arrived.
PINGPONG = ((64, 1000), (4 * KIB, 1000), (64 * KIB, 300), (MIB, 30))

# What `make compare` measures on two commits: tool, on demand or pinned, sizes.
COMPARED = (
    ("ib_write_bw", False, (64, 4 * KIB, 64 * KIB, MIB)),
    ("ib_read_bw", False, (4 * KIB, MIB)),
    ("ib_send_bw", False, (4 * KIB, MIB)),
    ("ib_write_lat", False, (2,)),
    ("ib_write_bw", True, (4 * KIB, MIB)),
    ("ib_read_bw", True, (MIB,)),
    ("ib_send_bw", True, (MIB,)),
)


# How many times as often it repeats an operation over loopback, which is else over in
# some hundredths of a second: one thing that the machine does meanwhile is the figure.
COMPARED_TIMES = {"bw": 10, "lat": 100}


def kind(tool):
    """bw or lat."""
    return tool.rsplit("_", 1)[1]


def sizes(tool, path, chosen=None):
    """The sizes a tool is run for; chosen: only those."""
    if path == TWO_GUESTS:
        found = TWO_GUESTS_SIZES.get(tool, ())
        return tuple(size for size in found if not chosen or size in chosen)
    return chosen or (BW_SIZES if kind(tool) == "bw" else LAT_SIZES)


def iterations(tool, device, size):
    """How often one run repeats its operation."""
    for largest, count in ITERATIONS[kind(tool), device]:
        if size <= largest:
            return count
    return 5


def size_name(size):
    """2 B, 4 KiB, 8 MiB."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return "%d %s" % (size // unit, name)
    return "%d B" % size
