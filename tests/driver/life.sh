# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# Binding, resets and modules, in any order and under traffic.

resets() {
	local i
	for i in 1 2 3; do
		reset_function svan0 && reset_function svan1 || return
	done
	wire_works && rdma_devices_are svan_0 svan_1
}

reset_while_down() {
	ip link set svan0 down && reset_function svan0 && ip link set svan0 up &&
		netdev_up_again && wire_works
}

rebinds() {
	local i
	for i in 1 2; do
		rebind svan0 && rebind svan1 || return
	done
	wire_works && rdma_devices_are svan_0 svan_1
}

remove_and_rescan() {
	echo 1 >"$pci/devices/${slot[svan0]}/remove" && echo 1 >$pci/rescan &&
		restore svan0 && wire_works && rdma_devices_are svan_0 svan_1
}

reload_rdma() {
	local i
	for i in 1 2 3; do
		rmmod svan_ib && rdma_devices_are '*' && modprobe svan_ib || return
	done
	wire_works && rdma_devices_are svan_0 svan_1
}

reload_all() {
	local i
	for i in 1 2; do
		rmmod svan_ib && rmmod svan && modprobe svan && modprobe svan_ib &&
			restore svan0 && restore svan1 || return
	done
	wire_works && rdma_devices_are svan_0 svan_1
}

# Interrupts, debugfs and kernel threads leave with the module.
nothing_stays() {
	rmmod svan_ib && rmmod svan || return
	! grep svan /proc/interrupts && ! ls -d /sys/kernel/debug/svan 2>/dev/null || return
	modprobe svan && modprobe svan_ib && restore svan0 && restore svan1 && wire_works
}

life_tests() {
	test_case "resets under traffic" resets
	test_case "a reset while the interface is down" reset_while_down
	test_case "unbind and bind under traffic" rebinds
	test_case "remove and rescan under traffic" remove_and_rescan
	test_case "svan_ib reloaded under traffic" reload_rdma
	test_case "both modules reloaded under traffic" reload_all
	test_case "nothing stays of an unloaded module" nothing_stays
}
