# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# What may be changed about the interface while it works.

# 4 MiB of random octets over TCP, compared by their digest.
tcp_intact() {
	python3 - <<'END'
import hashlib, os, socket, subprocess, sys
data = os.urandom(4 << 20)
server = subprocess.Popen(["ip", "netns", "exec", "peer", sys.executable, "-c", """
import hashlib, socket
with socket.create_server(("10.77.0.2", 9000)) as s:
    print("ready", flush=True)
    c = s.accept()[0]
    h = hashlib.sha256()
    while block := c.recv(1 << 16):
        h.update(block)
    c.sendall(h.digest())
"""], stdout=subprocess.PIPE)
server.stdout.readline()
with socket.create_connection(("10.77.0.2", 9000), 60) as s:
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    digest = s.recv(32, socket.MSG_WAITALL)
server.wait()
sys.exit(digest != hashlib.sha256(data).digest())
END
}

tcp_intact_without_offload() {
	local status=0
	ethtool -K svan0 tx off rx off sg off && ip netns exec peer ethtool -K svan1 tx off rx off
	tcp_intact || status=1
	ethtool -K svan0 tx on rx on sg on && ip netns exec peer ethtool -K svan1 tx on rx on
	return $status
}

counters_move() {
	local before
	before=$(counter svan0 port_tx_bytes)
	wire_works && [ "$(counter svan0 port_tx_bytes)" -gt "$before" ] &&
		[ "$(counter svan0 eth_tx_errors)" = 0 ] &&
		[ "$(counter svan0 drv_rx_csum_good)" -gt 0 ]
}

# an echo of that many octets that may not be cut
ping_whole() { ping -c 1 -W 1 -q -M "do" -s "$1" "${2:-10.77.0.2}" >/dev/null; }

mtu_changes() {
	local mtu
	for mtu in 68 1500 9198 4200; do
		ip link set svan0 mtu $mtu && ip -n peer link set svan1 mtu $mtu || return
		# what was learned of the path while the ends differed
		ip route flush cache && ip -n peer route flush cache
		[ $mtu = 68 ] || await 30 ping_whole $((mtu - 28)) || return
	done
	! ip link set svan0 mtu 9199 2>/dev/null && netdev_up_again && wire_works
}

# below an MTU of 1280 the kernel takes the IPv6 addresses away
netdev_up_again() {
	ip addr replace fd77::1/64 dev svan0 nodad &&
		ip -n peer addr replace fd77::2/64 dev svan1 nodad
}

rings_change() {
	local entries
	for entries in 64 8192 1024; do
		ethtool -G svan0 rx $entries tx $entries && wire_works || return
	done
	! ethtool -G svan0 rx 32 2>/dev/null && ! ethtool -G svan0 tx 8193 2>/dev/null
}

address_changes() {
	ip link set svan0 address 52:54:00:77:00:77 && await 30 ping_once &&
		ip link set svan0 address "${mac[svan0]}" && wire_works
}

# Frames for a group arrive when somebody has joined it, and only then.
filter_works() { python3 filter.py svan0 svan1 && wire_works; }

# Nothing but the stream may be on the wire: what is lost, the filter has dropped.
filter_loses_nothing() { python3 filter.py svan0 svan1 stream; }

# vlan_pair NAME NET PARENT ARGUMENT...: a VLAN at both ends of what is PARENT0 and PARENT1
vlan_pair() {
	local name=$1 net=$2 parent=$3
	shift 3
	ip link add link ${parent}0 name ${name}0 type vlan "$@" &&
		ip -n peer link add link ${parent}1 name ${name}1 type vlan "$@" &&
		ip addr add 10.$net.0.1/24 dev ${name}0 && ip link set ${name}0 up &&
		ip -n peer addr add 10.$net.0.2/24 dev ${name}1 && ip -n peer link set ${name}1 up
}

vlan_gone() {
	ip link del ${1}0
	ip -n peer link del ${1}1
}

vlan_works() {
	local status=0
	vlan_pair vlan 78 svan id 77 && await 30 ping_whole 4172 10.78.0.2 || status=1
	vlan_gone vlan
	return $status
}

# one tag in the other, of either kind outside
vlan_in_vlan_works() {
	local status=0 proto
	for proto in 802.1Q 802.1ad; do
		vlan_pair outer 79 svan proto $proto id 78 && vlan_pair inner 80 outer id 9 &&
			await 30 ping_whole 4172 10.80.0.2 || status=1
		vlan_gone inner
		vlan_gone outer
	done
	return $status
}

# At the largest MTU there is still room for the tags.
vlan_at_most() {
	local status=0
	ip link set svan0 mtu 9198 && ip -n peer link set svan1 mtu 9198 &&
		vlan_pair outer 79 svan id 78 && vlan_pair inner 80 outer id 9 &&
		await 30 ping_whole $((9198 - 28)) 10.80.0.2 || status=1
	vlan_gone inner
	vlan_gone outer
	ip link set svan0 mtu 4200 && ip -n peer link set svan1 mtu 4200 &&
		ip route flush cache && ip -n peer route flush cache && [ $status = 0 ]
}

down_and_up() {
	local i
	for i in 1 2 3; do
		ip link set svan0 down && ip link set svan0 up && carrier svan0 || return
	done
	netdev_up_again && wire_works
}

netdev_tests() {
	test_case "counters move and show no error" counters_move
	test_case "TCP loses no octet" tcp_intact
	test_case "TCP loses no octet without offloads" tcp_intact_without_offload
	test_case "the MTU changes under traffic, up to 9198" mtu_changes
	test_case "rings change under traffic" rings_change
	test_case "the address changes under traffic" address_changes
	test_case "the receive filter lets through what was asked for" filter_works
	test_case "a VLAN has the full MTU" vlan_works
	test_case "a VLAN in a VLAN has the full MTU" vlan_in_vlan_works
	test_case "a VLAN in a VLAN has the largest MTU" vlan_at_most
	test_case "down and up under traffic" down_and_up
	traffic_stop
	test_case "a member gets every frame while other groups come and go" filter_loses_nothing
	traffic_start
}
