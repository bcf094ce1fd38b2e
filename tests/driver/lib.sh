# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2001,SC2034
# TAP, waiting, traffic, and the functions by their places on the bus.

number=0 failed=0
declare -A slot=([svan0]=$(basename "$(readlink /sys/class/net/svan0/device)")
		 [svan1]=$(basename "$(ip netns exec peer readlink /sys/class/net/svan1/device)"))
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

# skip_case TEXT REASON
skip_case() {
	number=$((number + 1))
	echo "ok $number $1 # SKIP $2"
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

# Echoes and a TCP stream in both directions, begun again whenever they break; at the rate of
# $rate, or as fast as they go.
traffic_start() {
	ip netns exec peer iperf3 -s >/dev/null 2>&1 &
	traffic+=($!)
	(while :; do
		iperf3 -c 10.77.0.2 -t 60 --bidir ${rate:+-b "$rate"} --connect-timeout 1000 \
			>/dev/null 2>&1
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

# function_up NAME NUMBER: the netdev of a function that was just bound comes to be
# 10.77.0.NUMBER in the namespace NAME, which is there.
function_up() {
	await 20 netdev_of "${mac[$1]}" >/dev/null && rename_netdev "${mac[$1]}" "$1" &&
		netdev_up "$1" "$2" "$1" && carrier "$1" "$1" && await 20 has_gid "$1" "10.77.0.$2"
}

# vfs_are NUMBER: the virtual functions of svan0 that there will be, vf1 and so on
vfs_are() {
	local n
	for ((n = 1; n <= $1; n++)); do
		slot[vf$n]=${slot[svan0]%.*}.$n
		mac[vf$n]=$(printf '52:54:00:77:%02x:01' "$n")
	done
}

# Each is 10.77.0.11 in the namespace vf1, and so on.
vf_up() { function_up "vf$1" $((10 + $1)); }

# vfs_on NUMBER: switches them on
vfs_on() {
	local n
	echo "$1" >"$pci/devices/${slot[svan0]}/sriov_numvfs" || return
	for ((n = 1; n <= $1; n++)); do
		ip netns add "vf$n" && ip -n "vf$n" link set lo up && vf_up "$n" || return
	done
}

unbind() { echo "${slot[$1]}" >$pci/drivers/svan/unbind; }
bind_again() { echo "${slot[$1]}" >$pci/drivers/svan/bind && restore "$1"; }
rebind() { unbind "$1" && bind_again "$1"; }
reset_function() { echo 1 >"$pci/devices/${slot[$1]}/reset"; }
rdma_devices_are() { [ "$(cd /sys/class/infiniband && echo *)" = "$*" ]; }

# ---- RDMA ----

users=() pingpong_logs=()

# The server of a pair closes its socket when the other end, which is ready, has connected.
is_taken() { ! listens "$@"; }
listens() { ${2:+ip netns exec "$2"} ss -Hltn "sport = :$1" | grep -q .; }

# The name of a function's RDMA device: which is which depends on who came first.
rdma_of() { basename "$pci/devices/${slot[$1]}/infiniband/"*; }
sysfs_port() { echo "$pci/devices/${slot[$1]}/infiniband/$(rdma_of "$1")/ports/1"; }
has_gid() { gid_index "$(rdma_of "$1")" "$2" >/dev/null; }

# pingpong NETDEV ADDRESS NETNS ARGUMENT...: one end, in the place of this shell; for as many
# seconds at most as the caller's variable pingpong_seconds says, if it has a value
pingpong() {
	local device address=$2 ns=$3
	device=$(rdma_of "$1")
	shift 3
	exec ${ns:+ip netns exec "$ns"} ${pingpong_seconds:+timeout "$pingpong_seconds"} \
		ibv_rc_pingpong -d "$device" -g "$(gid_index "$device" "$address")" "$@"
}

# endless_pair NETDEV ADDRESS NETNS ARGUMENT...: two that do not end by themselves, with
# logs of what they complain of. The other end is svan0's.
endless_pair() {
	local netdev=$1 address=$2 ns=$3 port=$((18600 + ${#users[@]})) log
	shift 3
	log=$(mktemp)
	pingpong "$netdev" "$address" "$ns" -n 100000000 -p $port "$@" >"$log" 2>&1 &
	users+=($!) pingpong_logs+=("$log")
	await 60 listens $port "$ns" || return
	log=$(mktemp)
	pingpong svan0 10.77.0.1 "" -n 100000000 -p $port "$@" "$address" >"$log" 2>&1 &
	users+=($!) pingpong_logs+=("$log")
	await 60 is_taken $port "$ns"
}

endless_pingpong() { endless_pair svan1 10.77.0.2 peer "$@"; }
endless_loopback() { endless_pair svan0 10.77.0.1 "" "$@"; }

# watch_events NETDEV LOG: the asynchronous events of its RDMA device, line by line
watch_events() {
	stdbuf -oL ibv_asyncwatch -d "$(rdma_of "$1")" >"$2" 2>&1 &
	users+=($!)
	await 60 grep -q 'async event FD' "$2"
}

users_stop() {
	kill "${users[@]}"
	wait "${users[@]}"
	rm -f "${pingpong_logs[@]}"
	users=() pingpong_logs=()
} 2>/dev/null

ended() {
	local pid
	for pid in "$@"; do
		! kill -0 "$pid" 2>/dev/null || return
	done
}

ended_any() {
	local pid
	for pid in "$@"; do
		kill -0 "$pid" 2>/dev/null || return 0
	done
	return 1
}

rdma_busy() {
	local before
	before=$(roce_packets "$1")
	await 30 roce_more_than "$1" "$before"
}

roce_packets() { cat "$(sysfs_port "$1")/hw_counters/roce_tx_packets"; }
roce_more_than() { [ "$(roce_packets "$1")" -gt "$2" ]; }

# new connections over the wire
rdma_works() {
	local status server
	await 20 has_gid svan0 10.77.0.1 && await 20 has_gid svan1 10.77.0.2 || return
	(pingpong svan1 10.77.0.2 peer -n 20) >/dev/null &
	server=$!
	await 60 listens 18515 peer && (pingpong svan0 10.77.0.1 "" -n 20 10.77.0.2) >/dev/null
	status=$?
	[ $status = 0 ] || kill $server
	wait $server && return $status
}
