# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2001,SC2034
# TAP, waiting, traffic, and the two functions by their fixed addresses.

number=0 failed=0
declare -A slot=([svan0]=0000:00:10.0 [svan1]=0000:00:11.0)
declare -A mac=([svan0]=52:54:00:77:00:01 [svan1]=52:54:00:77:00:02)
pci=/sys/bus/pci
traffic=()

# test_case TEXT COMMAND...: COMMAND says whether it passes; what it prints is shown
# if it does not.
test_case() {
	local text=$1 output
	shift
	number=$((number + 1))
	if output=$("$@" 2>&1); then
		echo "ok $number $text"
		return
	fi
	echo "not ok $number $text"
	sed 's/^/# /' <<<"$output"
	dmesg | tail -n 15 | sed 's/^/# dmesg: /'
	failed=$((failed + 1))
}

# await SECONDS COMMAND...: until COMMAND succeeds
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "in vain: $*"; return 1; }
		sleep 0.05
	done
}

ping_once() { ping -c 1 -W 1 -q "${1:-10.77.0.2}" >/dev/null; }

wire_works() { await 30 ping -c 1 -W 1 -s 3000 -q 10.77.0.2 >/dev/null; }

counter() { ethtool -S "$1" | sed -n "s/^ *$2: //p"; }

# Echoes and a TCP stream in both directions, begun again whenever they break.
traffic_start() {
	ip netns exec peer iperf3 -s >/dev/null 2>&1 &
	traffic+=($!)
	(while :; do
		iperf3 -c 10.77.0.2 -t 60 --bidir --connect-timeout 1000 >/dev/null 2>&1
		sleep 0.2
	done) &
	traffic+=($!)
	(while :; do ping -i 0.005 -w 60 -q 10.77.0.2 >/dev/null 2>&1 || sleep 0.2; done) &
	traffic+=($!)
}

traffic_stop() {
	kill "${traffic[@]}"
	killall -q iperf3 ping
	wait "${traffic[@]}"
	traffic=()
} 2>/dev/null

# The netdev of a function that has just been bound, as the guest began with it.
restore() {
	await 10 netdev_of "${mac[$1]}" >/dev/null && rename_netdev "${mac[$1]}" "$1" || return
	case $1 in
	svan0) netdev_up svan0 1 && carrier svan0 ;;
	svan1) netdev_up svan1 2 peer && carrier svan1 peer ;;
	esac
}

unbind() { echo "${slot[$1]}" >$pci/drivers/svan/unbind; }
bind_again() { echo "${slot[$1]}" >$pci/drivers/svan/bind && restore "$1"; }
rebind() { unbind "$1" && bind_again "$1"; }
reset_function() { echo 1 >"$pci/devices/${slot[$1]}/reset"; }
rdma_devices_are() { [ "$(cd /sys/class/infiniband && echo *)" = "$*" ]; }
