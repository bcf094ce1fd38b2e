# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# What the physical function sets for virtual ones, by `ip link` and by devlink, and what
# a virtual function cannot do against it. Beside sriov.sh, whose functions it uses.

vf_set() { ip link set svan0 vf "$@"; }
vf_line() { ip link show svan0 | grep "vf $1 "; }
shows() { vf_line "$1" | grep -q "$2" || { vf_line "$1"; echo "not shown: $2"; return 1; }; }
vf_counter() { ip netns exec $1 ethtool -S $1 | sed -n "s/^ *$2: //p"; }

vport_begin() {
	local n
	for ((n = 1; n <= VFS; n++)); do ip netns del vf$n 2>/dev/null; done
	vfs_on $VFS
}

set_and_shown() {
	vf_set 0 mac 52:54:00:99:00:01 && shows 0 52:54:00:99:00:01 &&
		vf_set 0 vlan 7 qos 3 && shows 0 "vlan 7, qos 3" &&
		vf_set 0 max_tx_rate 100 min_tx_rate 10 && shows 0 "max_tx_rate 100Mbps" &&
		shows 0 "min_tx_rate 10Mbps" && shows 0 "spoof checking on" &&
		vf_set 0 spoofchk off && shows 0 "spoof checking off" &&
		vf_set 0 trust on && shows 0 "trust on" &&
		vf_set 0 state disable && shows 0 "link-state disable" &&
		shows 1 "spoof checking on" && shows 1 "trust off" && shows 1 "link-state auto" &&
		shows 1 "${mac[vf2]}" && ! shows 1 vlan >/dev/null
}

set_back() {
	vf_set 0 state auto && vf_set 0 trust off && vf_set 0 spoofchk on &&
		vf_set 0 max_tx_rate 0 min_tx_rate 0 && vf_set 0 vlan 0 &&
		vf_set 0 mac 00:00:00:00:00:00 && shows 0 "${mac[vf1]}" && rebind_vf1
}

# Its driver may have lost the addresses that it had.
rebind_vf1() { unbind vf1 && echo "${slot[vf1]}" >$pci/drivers/svan/bind && vf_up 1; }

wrong_values() {
	! vf_set 0 mac 01:00:5e:00:00:01 && ! vf_set 0 vlan 4095 && ! vf_set 0 vlan 0 qos 3 &&
		! vf_set 0 max_tx_rate 10 min_tx_rate 100 && ! vf_set 0 vlan 7 proto 802.1ad &&
		! vf_set $VFS spoofchk off
}

no_carrier() { [ "$(ip netns exec vf2 cat /sys/class/net/vf2/carrier)" = 0 ]; }
vf2_answers() { ip netns exec vf1 ping -c 1 -W 1 -q 10.77.0.12; }

link_of_a_function() {
	vf_set 1 state disable && await 10 no_carrier && ! vf2_answers && vf_set 1 state auto &&
		await 10 carrier vf2 vf2 && await 10 vf2_answers
}

forge() { ./forge.py "$@"; }

anothers_mac() {
	local before
	before=$(vf_counter vf1 spoof_mac_drops)
	[ "$(forge mac vf1 vf1 vf2 vf2 "${mac[vf3]}")" = honest ] &&
		[ "$(forge mac vf1 vf1 peer svan1 "${mac[vf3]}")" = honest ] &&
		[ "$(vf_counter vf1 spoof_mac_drops)" -ge $((before + 2)) ] &&
		vf_set 0 spoofchk off && [ "$(forge mac vf1 vf1 vf2 vf2 "${mac[vf3]}")" = both ] &&
		vf_set 0 spoofchk on
}

own_mac_changed() {
	! ip -n vf1 link set vf1 address "${mac[vf3]}" && vf_set 0 trust on &&
		ip -n vf1 link set vf1 address 52:54:00:99:00:07 && await 20 vf2_answers &&
		ip -n vf1 link set vf1 address "${mac[vf1]}" && vf_set 0 trust off &&
		await 20 vf2_answers
}

raw_cnp() {
	local before
	before=$(vf_counter vf1 spoof_roce_drops)
	[ "$(forge cnp vf1 vf1 vf2 vf2)" = honest ] &&
		[ "$(vf_counter vf1 spoof_roce_drops)" -gt "$before" ] &&
		vf_set 0 spoofchk off && [ "$(forge cnp vf1 vf1 vf2 vf2)" = both ] &&
		vf_set 0 spoofchk on
}

# vf2's address is added to vf1's netdev, then one that is free.
anothers_gid() {
	ip -n vf1 addr add 10.77.0.12/32 dev vf1 && ip -n vf1 addr add 10.77.0.91/32 dev vf1 &&
		await 20 has_gid vf1 10.77.0.91 && ! has_gid vf1 10.77.0.12 &&
		has_gid vf2 10.77.0.12
	local status=$?
	ip -n vf1 addr del 10.77.0.12/32 dev vf1
	ip -n vf1 addr del 10.77.0.91/32 dev vf1
	return $status
}

in_a_vlan() {
	local status=0 n
	vf_set 0 vlan 7 && vf_set 1 vlan 7 && await 10 vf2_answers &&
		! ip netns exec vf1 ping -c 2 -W 1 -q 10.77.0.13 &&
		! ip netns exec vf1 ping -c 2 -W 1 -q 10.77.0.1 || return
	users=()
	pair_between vf1 10.77.0.11 vf1 vf2 10.77.0.12 vf2 18731 -s 100000 -n 50 || status=1
	for n in "${users[@]}"; do wait $n || status=1; done
	users=()
	vf_set 0 vlan 0 && vf_set 1 vlan 0 && await 10 vf2_answers && return $status
}

# RATE in Mb/s: what TCP gets with it lies between a half of it and a little above it.
rate_is() {
	local rate=$1 bits
	ip netns exec vf2 iperf3 -s -1 -p 5302 >/dev/null &
	await 20 listens 5302 vf2 || return
	bits=$(ip netns exec vf1 iperf3 -J -c 10.77.0.12 -p 5302 -t 3 |
	       python3 -c 'import json, sys
print(int(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"]))')
	wait $!
	echo "TCP: $bits b/s of $rate Mb/s"
	[ "$bits" -le $((rate * 1030000)) ] && [ "$bits" -ge $((rate * 500000)) ]
}

limited() {
	local before
	before=$(vf_counter vf1 rate_delays)
	vf_set 0 max_tx_rate 5 && rate_is 5 &&
		[ "$(vf_counter vf1 rate_delays)" -gt "$before" ] && vf_set 0 max_tx_rate 0
}

port_of() { devlink port show | sed -n "s/^\(pci[^ ]*\): .*vfnum $1 .*/\1/p"; }
port_shows() { devlink port show "$(port_of $1)" | grep -q "$2"; }

by_devlink() {
	local port
	port=$(port_of 0) && [ -n "$port" ] && port_shows 0 "flavour pcivf" &&
		[ "$(devlink port show | grep -c "flavour pcivf")" = $VFS ] &&
		devlink port function set $port hw_addr 52:54:00:99:00:02 &&
		port_shows 0 52:54:00:99:00:02 && shows 0 52:54:00:99:00:02 &&
		devlink port function set $port hw_addr 00:00:00:00:00:00 &&
		devlink port function set $port state inactive && port_shows 0 "state inactive" &&
		shows 0 "link-state disable" && devlink port function set $port state active &&
		port_shows 0 "opstate attached" &&
		devlink port function rate set $port tx_max 30mbit tx_share 10mbit &&
		devlink port function rate show $port | grep -q "tx_max 30Mbit" &&
		shows 0 "max_tx_rate 30Mbps" &&
		! devlink port function rate set $port tx_max 5kbit &&
		devlink port function rate set $port tx_max 0 tx_share 0 && rebind_vf1
}

# rate_of NAME WHAT: what devlink shows of a group's or a port's rate
rate_of() { devlink port function rate show "$1" | grep -q "$2"; }

# Two functions have 20 Mbit/s together; one of them alone has all of it.
group_of_rates() {
	local group one two
	group=pci/${slot[svan0]}/tenant one=$(port_of 0) two=$(port_of 1)
	devlink port function rate add $group && ! devlink port function rate add $group &&
		devlink port function rate set $group tx_max 20mbit tx_share 10mbit &&
		rate_of $group "tx_share 10Mbit" && rate_of $group "tx_max 20Mbit" &&
		devlink port function rate set $one parent tenant &&
		devlink port function rate set $two parent tenant && rate_of $one "parent tenant" &&
		! devlink port function rate del $group && rate_is 20 &&
		devlink port function rate set $one noparent && ! rate_is 20 &&
		devlink port function rate set $two noparent &&
		devlink port function rate del $group && ! devlink port function rate show $group
}

# rdma_counts packets|bytes: sent by vf1, received by vf2, sent by vf2, received by vf1, by vf3
rdma_counts() {
	local name
	for name in vf1/tx vf2/rx vf2/tx vf1/rx vf3/tx vf3/rx; do
		vf_counter ${name%/*} ${name#*/}_vport_rdma_unicast_$1
	done | xargs
}

# differences "BEFORE" "AFTER"
differences() {
	local before after n
	read -ra before <<<"$1"
	read -ra after <<<"$2"
	for n in "${!before[@]}"; do echo $((after[n] - before[n])); done | xargs
}

# 50 messages of 100,000 octets each way between vf1 and vf2
counters_by_their_names() {
	local name n packets bytes
	packets=$(rdma_counts packets) bytes=$(rdma_counts bytes)
	users=()
	pair_between vf1 10.77.0.11 vf1 vf2 10.77.0.12 vf2 18732 -s 100000 -n 50 || return
	for n in "${users[@]}"; do wait $n || return; done
	users=()
	! grep -i 'invalid data' /tmp/pair-18732 || return
	packets=$(differences "$packets" "$(rdma_counts packets)")
	bytes=$(differences "$bytes" "$(rdma_counts bytes)")
	echo "packets $packets, octets $bytes"
	[ "$bytes" = "5000000 5000000 5000000 5000000 0 0" ] || return
	read -ra n <<<"$packets"
	[ "${n[0]}" = "${n[1]}" ] && [ "${n[2]}" = "${n[3]}" ] && [ "${n[0]}" -ge 1250 ] &&
		[ "${n[4]} ${n[5]}" = "0 0" ] || return
	for name in np_ecn_marked_roce_packets np_cnp_sent rp_cnp_{handled,ignored}; do
		rdma statistic show link "$(rdma_of vf1)/1" | grep -q " $name [0-9]" ||
			{ echo "$name"; return 1; }
	done
	ip -s link show svan0 | grep -A 3 "vf 0 " | grep -q "RX: bytes"
}

# The settings are the driver's to set again. Nobody drives the virtual function.
after_a_reset() {
	vfs_off && echo 0 >"${numvfs%numvfs}drivers_autoprobe" && echo 1 >"$numvfs" &&
		vf_set 0 vlan 9 && vf_set 0 max_tx_rate 70 && reset_function svan0 &&
		shows 0 "vlan 9" && shows 0 "max_tx_rate 70Mbps" && echo 0 >"$numvfs" &&
		echo 1 >"$numvfs" && ! shows 0 "vlan 9" >/dev/null
	local status=$?
	echo 0 >"$numvfs"
	echo 1 >"${numvfs%numvfs}drivers_autoprobe"
	return $status
}

# enforced NUMBER KIND PEER: what the hypervisor sees of a function
enforced() {
	svan-dump flows | tee /tmp/flows | grep -q "^$1 *$2 *::ffff:$3 " ||
		{ cat /tmp/flows; return 1; }
}

enforcement() {
	devlink dev param set "pci/${slot[svan0]}" name enforcement value "$1" cmode runtime
}

# pinging NETNS: 10.77.0.2, until users_stop, as what is silent for a second is forgotten
pinging() {
	${1:+ip netns exec "$1"} ping -i 0.1 -q 10.77.0.2 >/dev/null &
	users+=($!)
}

# Virtual functions are watched, by their packets and frames; the physical one is not.
enforced_on_all() {
	local status
	enforcement true && devlink dev param show "pci/${slot[svan0]}" name enforcement |
		grep -q "value true" || return
	users=()
	pinging vf1
	pinging ""
	pair_between svan1 10.77.0.2 peer vf2 10.77.0.12 vf2 18741 -n 100000000 &&
		await 30 enforced 1 path 10.77.0.2 && await 30 enforced 2 path 10.77.0.2 &&
		await 30 enforced 2 rdma 10.77.0.2 && ! enforced 0 path 10.77.0.2 >/dev/null
	status=$?
	users_stop
	return $status
}

# The first functions that are switched on afterwards are enforced on as well.
enforced_on_new_ones() {
	local status
	vfs_off && vfs_on $VFS || return
	users=()
	pinging vf1
	await 30 enforced 1 path 10.77.0.2
	status=$?
	users_stop
	return $status
}

enforced_no_more() {
	enforcement false && ip netns exec vf1 ping -c 1 -q 10.77.0.2 &&
		[ "$(svan-dump flows --json)" = "[]" ]
}

vport_tests() {
	rdma system set netns shared
	test_case "virtual functions to set" vport_begin
	test_case "ip link sets and shows a virtual function" set_and_shown
	test_case "its settings are taken back" set_back
	test_case "wrong values are refused" wrong_values
	test_case "the link of a virtual function" link_of_a_function
	test_case "a frame in another's name does not leave" anothers_mac
	test_case "another MAC address is had by trust alone" own_mac_changed
	test_case "a congestion notification built by hand does not leave" raw_cnp
	test_case "another's GID is refused" anothers_gid
	test_case "two in a VLAN, without knowing it" in_a_vlan
	test_case "a rate is held" limited
	test_case "counters by the names of the field" counters_by_their_names
	test_case "devlink sets and shows the same" by_devlink
	test_case "a group of functions has a rate together" group_of_rates
	test_case "congestion control is enforced on virtual functions" enforced_on_all
	test_case "on those that are switched on later, too" enforced_on_new_ones
	test_case "until it is switched off" enforced_no_more
	test_case "settings outlast a reset of the physical function" after_a_reset
}
