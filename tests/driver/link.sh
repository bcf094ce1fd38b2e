# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# The interface goes down and comes up again under RDMA: the port is RDMA's as well.

port_is() { [ "$(<"$(sysfs_port "$1")/state")" = "$2" ]; }

peer_down() { ip -n peer link set svan1 down && await 30 port_is svan1 "1: DOWN"; }

peer_up() {
	ip -n peer link set svan1 up && netdev_up_again && carrier svan1 peer &&
		await 30 port_is svan1 "4: ACTIVE"
}

retries_run_out() {
	await 60 grep -qi 'transport retry counter exceeded' "${pingpong_logs[@]}"
}

no_traffic_of() {
	local before
	before=$(counter svan0 roce_rx_packets)
	sleep 0.3
	[ "$(counter svan0 roce_rx_packets)" = "$before" ]
}

# What was connected ends with an error that names the wire; nothing passes
# meanwhile; afterwards it is as before.
down_under_rdma() {
	local status=0 log
	log=$(mktemp)
	endless_pingpong && watch_events svan1 "$log" && rdma_busy svan0 &&
		peer_down && retries_run_out &&
		await 30 grep -q EVENT_PORT_ERR "$log" && no_traffic_of svan0 || status=1
	peer_up && await 30 grep -q EVENT_PORT_ACTIVE "$log" || status=1
	users_stop
	rm -f "$log"
	[ $status = 0 ] && wire_works && rdma_works
}

# RDMA to itself needs the port as well.
down_under_loopback() {
	local status=0
	endless_loopback
	rdma_busy svan0 && ip link set svan0 down &&
		retries_run_out || status=1
	ip link set svan0 up && netdev_up_again && carrier svan0 || status=1
	users_stop
	[ $status = 0 ] && wire_works && rdma_works
}

# The queues of the netdev are rebuilt for that; RDMA goes on.
mtu_under_rdma() {
	local status=0 mtu
	endless_pingpong
	rdma_busy svan0 || status=1
	for mtu in 4300 4200; do
		ip link set svan0 mtu $mtu && ip -n peer link set svan1 mtu $mtu || status=1
	done
	rdma_busy svan0 && ! ended_any "${users[@]}" || status=1
	users_stop
	return $status
}

link_tests() {
	test_case "down and up under RDMA traffic" down_under_rdma
	test_case "down and up under RDMA traffic to itself" down_under_loopback
	test_case "RDMA goes on while the queues are rebuilt" mtu_under_rdma
}
