# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# Memory is short where nobody may wait for it. Only kernels that can be told to
# fail (the debug kernel) show it.

fail_alloc=/sys/kernel/debug/fail_page_alloc

# atomic_allocations_fail PERCENT
atomic_allocations_fail() {
	(cd $fail_alloc && echo 0 >verbose && echo 0 >min-order && echo -1 >"times" &&
		echo Y >ignore-gfp-wait && echo $1 >probability)
}

starves() {
	ip netns exec peer ping -f -c 200 -W 1 -q 10.77.0.1 >/dev/null
	[ "$(counter svan0 eth_rx_no_buffer)" -gt "$1" ]
}

# Tried again by the clock: neither never, nor all the time.
tries_modestly() {
	local before tries
	before=$(counter svan0 drv_rx_alloc_failed)
	sleep 1
	tries=$(($(counter svan0 drv_rx_alloc_failed) - before))
	[ $tries -gt 5 ] && [ $tries -lt 500 ] && return
	echo "$tries attempts in a second"
	return 1
}

no_receive_buffers() {
	local status=0 before
	before=$(counter svan0 eth_rx_no_buffer)
	ethtool -G svan0 rx 64 && atomic_allocations_fail 100 && await 60 starves "$before" &&
		tries_modestly || status=1
	atomic_allocations_fail 0
	wire_works && ethtool -G svan0 rx 1024 && wire_works && return $status
}

memory_tests() {
	local text="without memory for receive buffers nobody spins, and it recovers"
	if [ ! -d $fail_alloc ]; then
		skip_case "$text" "this kernel fails no allocations on demand"
		return
	fi
	traffic_stop
	test_case "$text" no_receive_buffers
	traffic_start
}
