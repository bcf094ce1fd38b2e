# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# The device fails, is reset by somebody else, or disappears: the driver must say
# so, keep nobody waiting, and work again after the next bind or reset.

# poke NETDEV OFFSET VALUE: write a register from outside the driver
poke() {
	python3 - "$pci/devices/${slot[$1]}/resource0" "$2" "$3" <<'END'
import ctypes, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_SYNC)
regs = mmap.mmap(fd, 0x2000)
ctypes.c_uint32.from_buffer(regs, int(sys.argv[2], 0)).value = int(sys.argv[3], 0)
END
}

# decoding NETDEV OCTET: the command register's low octet; 0 takes the BARs away
decoding() {
	python3 - "$pci/devices/${slot[$1]}/config" "$2" <<'END'
import os, sys
os.pwrite(os.open(sys.argv[1], os.O_RDWR), bytes([int(sys.argv[2])]), 4)
END
}

# ring NETDEV INDEX: a send doorbell of the kernel's UAR page, for every queue pair
# that the netdev may have: one of the first slots, in any life of the function
ring() {
	python3 - "$pci/devices/${slot[$1]}/resource2" "$2" <<'END'
import ctypes, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_SYNC)
uar = mmap.mmap(fd, 0x1000)
doorbell = ctypes.c_uint64.from_buffer(uar, 0)
for life in range(256):
    for slot in range(64):
        doorbell.value = int(sys.argv[2], 0) << 32 | life << 16 | slot
END
}

CMDQ_DB=0x54 CONTROL=0x20 CONTROL_RESET=0x80000000

reported() { dmesg | tail -n 40 | grep -q "${slot[svan0]}: function failed: $1"; }
is_detached() { ! ethtool -S svan0 >/dev/null 2>&1 && [ "$(</sys/class/net/svan0/carrier)" = 0 ]; }

restarted() { [ "$(counter svan0 drv_restarts)" -gt "$1" ]; }

queue_pair_failed() { dmesg | tail -n 40 | grep -q 'queue pair failed'; }

# Under traffic the driver's next doorbell may replace this one before the device has
# taken it.
queue_pair_broken() { ring svan0 0x40000000 && await 2 queue_pair_failed; }

queue_pair_fails() {
	local before
	before=$(counter svan0 drv_restarts)
	await 20 queue_pair_broken && await 20 restarted "$before" && wire_works
}

fatal_then_bind() {
	poke svan0 $CMDQ_DB 0x7fffffff && await 20 is_detached && reported 'device reports' &&
		! ip link set svan0 mtu 1500 2>/dev/null && rebind svan0 && wire_works
}

fatal_then_reset() {
	poke svan0 $CMDQ_DB 0x7fffffff && await 20 is_detached && reset_function svan0 &&
		wire_works && rdma_devices_are svan_0 svan_1
}

fatal_while_down() {
	ip link set svan0 down && poke svan0 $CMDQ_DB 0x7fffffff &&
		await 20 reported 'device reports' && rebind svan0 && wire_works
}

# The driver finds out by the next command.
alien_reset() {
	poke svan0 $CONTROL $CONTROL_RESET && ! ethtool -G svan0 rx 512 2>/dev/null &&
		await 20 is_detached && reported 'device is gone' &&
		reset_function svan0 && wire_works
}

alien_reset_then_unbind() {
	poke svan0 $CONTROL $CONTROL_RESET && rebind svan0 && wire_works
}

# less than the time limit of a single command
promptly() {
	local begin=$SECONDS
	echo 60000 >/sys/module/svan/parameters/cmd_timeout_ms
	"$@" && [ $((SECONDS - begin)) -lt 30 ]
}

gone() {
	decoding svan0 0 && ethtool -S svan0 >/dev/null
	await 20 is_detached && promptly unbind svan0 && bind_again svan0 && wire_works
}

unload() { rmmod svan_ib && rmmod svan; }

gone_then_unload() {
	decoding svan0 0 && promptly unload && modprobe svan && modprobe svan_ib &&
		restore svan0 && restore svan1 && wire_works
}

fault_tests() {
	test_case "a queue pair that fails is made again" queue_pair_fails
	test_case "a fatal error is reported, and bind recovers" fatal_then_bind
	test_case "a reset recovers from a fatal error" fatal_then_reset
	test_case "a fatal error while the interface is down" fatal_while_down
	test_case "a reset behind the driver's back is noticed" alien_reset
	test_case "unbind after a reset behind the driver's back" alien_reset_then_unbind
	test_case "a device that is gone keeps nobody waiting" gone
	test_case "the modules unload from a device that is gone" gone_then_unload
}
