# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the functions of each Svan device of this machine, the physical one first: who
drives each of them, its netdev and RDMA device, and what the hypervisor has set for it.

What is set is read from `ip -j -d link show`, run here, or from --links FILE. A netdev
or an RDMA device in another namespace is not seen. --sys reads a copy of /sys.
"""

import argparse
import json
import os
import re
import subprocess

from lines import open_text

COLUMNS = ("function", "address", "driver", "netdev", "rdma", "mac", "vlan", "spoofchk",
           "trust", "link", "max_tx")


class Sys:
    """A tree like /sys."""

    def __init__(self, top):
        self.devices = os.path.join(top, "bus/pci/devices")
        self.top = top

    def names(self, address, folder):
        """What a PCI device has in one of its folders."""
        path = os.path.join(self.devices, address, folder)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def target(self, address, link):
        """The last part of where a link leads, or None."""
        path = os.path.join(self.devices, address, link)
        return os.path.basename(os.readlink(path)) if os.path.islink(path) else None

    def physical_functions(self):
        """Their addresses on the bus: Svan's driver drives them and they are not virtual."""
        folder = os.path.join(self.top, "bus/pci/drivers/svan")
        if not os.path.isdir(folder):
            raise FileNotFoundError("%s: there is no svan.ko, or it is not loaded" % folder)
        return [name for name in sorted(os.listdir(folder))
                if re.match(r"[0-9a-f]{4,}:", name) and not self.target(name, "physfn")]

    def virtual_functions(self, address):
        """{number from 1 on: address}"""
        links = [re.fullmatch(r"virtfn(\d+)", name)
                 for name in os.listdir(os.path.join(self.devices, address))]
        return {1 + int(found.group(1)): self.target(address, found.group(0))
                for found in links if found}

    def function(self, number, address):
        """What /sys says about a function."""
        return {"function": number, "address": address,
                "driver": self.target(address, "driver"),
                "netdev": next(iter(self.names(address, "net")), None),
                "rdma": next(iter(self.names(address, "infiniband")), None)}


def read_links(name):
    """{netdev: what ip tells of it}"""
    if name:
        with open_text(name) as file:
            links = json.load(file)
    else:
        links = json.loads(subprocess.run(["ip", "-j", "-d", "link", "show"], text=True,
                                          check=True, stdout=subprocess.PIPE).stdout)
    return {link["ifname"]: link for link in links if "ifname" in link}


def settings(vf):
    """Of one entry of ip's vfinfo_list."""
    vlan = next(iter(vf.get("vlan_list", [])), {}).get("vlan", 0)
    return {"mac": vf.get("address"), "vlan": vlan or None, "spoofchk": vf.get("spoofchk"),
            "trust": vf.get("trust"), "link": vf.get("link_state"),
            "max_tx": vf.get("rate", {}).get("max_tx") or None}


def read_devices(args):
    """A list of functions for each device."""
    tree = Sys(args.sys)
    links = read_links(args.links)
    devices = []
    for address in tree.physical_functions():
        pf = tree.function(0, address)
        link = links.get(pf["netdev"], {})
        pf["mac"] = link.get("address")
        vfs = {1 + vf["vf"]: settings(vf) for vf in link.get("vfinfo_list", []) if "vf" in vf}
        devices.append([pf] + [
            {**tree.function(number, where), **vfs.get(number, {})}
            for number, where in sorted(tree.virtual_functions(address).items())])
    return devices


def word(value):
    """As it is printed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def print_table(functions, out):
    """Columns as wide as they have to be."""
    rows = [COLUMNS] + [[word(function.get(name)) for name in COLUMNS] for function in functions]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip(), file=out)


def dump(args, out):
    """All devices."""
    devices = read_devices(args)
    if args.json:
        json.dump(devices, out, indent=2)
        print(file=out)
        return 0
    for number, functions in enumerate(devices):
        if number:
            print(file=out)
        print_table(functions, out)
    if not devices:
        print("no function is bound to svan.ko", file=out)
    return 0


def add_subcommand(subcommands):
    """svan-dump functions"""
    parser = subcommands.add_parser(
        "functions", help="physical and virtual functions, and what is set for them",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--links", metavar="FILE", help="what `ip -j -d link show` has printed")
    parser.add_argument("--sys", metavar="DIR", default="/sys", help="another tree like /sys")
    parser.set_defaults(run=dump)
