# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2086
# The network of a guest; sourced by init. Names, addresses and MTU are fixed and
# documented in Documentation/testing/guest.rst.

MTU=4200
MAC_PREFIX=52:54:00:77:00

complain() { echo "svan-guest: $*" >&2; }

# netdev_of MAC
netdev_of() {
	local dir
	for dir in /sys/class/net/*; do
		if [ "$(<"$dir/address")" = "$1" ]; then
			echo "${dir##*/}"
			return
		fi
	done
	return 1
}

# rename_netdev MAC NAME
rename_netdev() {
	local now
	now=$(netdev_of "$1") || { complain "no netdev with the address $1"; return 1; }
	[ "$now" = "$2" ] || ip link set "$now" down name "$2"
}

# netdev_up NAME HOST-NUMBER [NETNS]
netdev_up() {
	local ns=(${3:+-n "$3"})
	[ -z "${3:-}" ] || ip link set "$1" netns "$3" || return
	ip "${ns[@]}" link set "$1" mtu $MTU || return
	ip "${ns[@]}" addr add "10.77.0.$2/24" dev "$1" || return
	ip "${ns[@]}" addr add "fd77::$2/64" dev "$1" nodad || return
	ip "${ns[@]}" link set "$1" up
}

# carrier NAME [NETNS]: wait until the link is up, ten seconds at most.
carrier() {
	local ns=(${2:+ip netns exec "$2"})
	for _ in {1..200}; do
		[ "$("${ns[@]}" cat "/sys/class/net/$1/operstate")" != up ] || return 0
		sleep 0.05
	done
	complain "$1 has no carrier"
	return 1
}

# gid_index DEVICE ADDRESS: of the RoCE v2 GID of an IPv4 address.
gid_index() {
	local hex dir i
	hex=$(printf '0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x' ${2//./ })
	dir=/sys/class/infiniband/$1/ports/1
	for ((i = 0; i < 64; i++)); do
		[ -e "$dir/gids/$i" ] || break
		if [ "$(<"$dir/gids/$i")" = "$hex" ] &&
		   [ "$(cat "$dir/gid_attrs/types/$i" 2>/dev/null)" = 'RoCE v2' ]; then
			echo "$i"
			return
		fi
	done
	return 1
}

# wait_gid DEVICE ADDRESS: the kernel fills the table from a work queue.
wait_gid() {
	for _ in {1..200}; do
		gid_index "$1" "$2" && return
		sleep 0.05
	done
	complain "$1 has no RoCE v2 GID for $2"
	return 1
}

# rdma_up DEVICE ADDRESS VARIABLE: the index of its GID into VARIABLE.
rdma_up() {
	if [ ! -e "/sys/class/infiniband/$1" ]; then
		complain "there is no RDMA device $1"
		return 1
	fi
	printf -v "$3" %s "$(wait_gid "$1" "$2")"
	[ -n "${!3}" ]
}

# peer_netns NAME
peer_netns() {
	ip netns add "$1"
	ip netns exec "$1" sysctl -qw net.ipv6.conf.default.accept_dad=0
	ip -n "$1" link set lo up
}

load_drivers() {
	modprobe svan || { complain "cannot load svan.ko"; return 1; }
	if [ -z "${SVAN_NO_RDMA:-}" ]; then
		modprobe svan_ib || { complain "cannot load svan_ib.ko"; return 1; }
	fi
}

# Those beyond the second, each in a namespace of its own.
more_devices() {
	local n
	for ((n = 2; n < ${SVAN_NICS:-2}; n++)); do
		peer_netns peer$n
		rename_netdev $MAC_PREFIX:0$((n + 1)) svan$n &&
			netdev_up svan$n $((n + 1)) peer$n &&
			carrier svan$n peer$n || return
		[ -n "${SVAN_NO_RDMA:-}" ] ||
			wait_gid svan_$n 10.77.0.$((n + 1)) >/dev/null || return
	done
}

one_guest() {
	SVAN_LOCAL=10.77.0.1 SVAN_PEER=10.77.0.2 SVAN_LOCAL6=fd77::1 SVAN_PEER6=fd77::2
	peer_netns peer
	rename_netdev $MAC_PREFIX:01 svan0 && rename_netdev $MAC_PREFIX:02 svan1 || return
	netdev_up svan0 1 && netdev_up svan1 2 peer || return
	carrier svan0 && carrier svan1 peer || return
	more_devices || return
	[ -n "${SVAN_NO_RDMA:-}" ] && return
	SVAN_DEV=svan_0 SVAN_PEER_DEV=svan_1
	rdma_up svan_0 $SVAN_LOCAL SVAN_GID && rdma_up svan_1 $SVAN_PEER SVAN_PEER_GID
}

one_of_two_guests() {
	local number=1 other=2
	[ "$SVAN_SIDE" = A ] || number=2 other=1
	SVAN_LOCAL=10.77.0.$number SVAN_PEER=10.77.0.$other
	SVAN_LOCAL6=fd77::$number SVAN_PEER6=fd77::$other
	rename_netdev $MAC_PREFIX:0$number svan0 && netdev_up svan0 $number || return
	carrier svan0 || return
	[ -n "${SVAN_NO_RDMA:-}" ] && return
	SVAN_DEV=svan_0
	rdma_up svan_0 $SVAN_LOCAL SVAN_GID
}

network_up() {
	ip link set lo up
	[ "$SVAN" != 0 ] || return 0
	load_drivers || return
	if [ "$SVAN_VMS" = 2 ]; then one_of_two_guests; else one_guest; fi
}
