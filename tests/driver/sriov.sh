# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# Virtual functions of svan0 in network namespaces of their own: vf1 is 10.77.0.11 in the
# namespace vf1, and so on. driver-in-guest gives the guest the functions for this group.

VFS=4
numvfs=$pci/devices/${slot[svan0]}/sriov_numvfs

vfs_are $VFS

# The devices of a namespace go with it; netdevs come back to the first one.
vfs_off() {
	local n
	echo 0 >"$numvfs" || return
	for ((n = 1; n <= VFS; n++)); do ip netns del vf$n || return; done
}

# Which addresses a function's namespace must reach: all others', here and on the wire.
ping_all() {
	local n to
	for ((n = 1; n <= VFS; n++)); do
		for to in 10.77.0.{1,2,11,12,13,14}; do
			await 10 ip netns exec vf$n ping -c 1 -W 1 -s 3000 -q $to || return
		done
	done
}

# pair_between NETDEV ADDRESS NETNS NETDEV ADDRESS NETNS PORT ARGUMENT...: server, client
pair_between() {
	local server=("$1" "$2" "$3") client=("$4" "$5" "$6") port=$7
	shift 7
	pingpong "${server[@]}" -c -p $port "$@" >/tmp/pair-$port &
	users+=($!)
	await 60 listens $port "${server[2]}" || return
	pingpong "${client[@]}" -c -p $port "$@" "${server[1]}" >/dev/null &
	users+=($!)
}

# Wait for the pairs of pair_between, which end by themselves. A server whose client has failed is
# ended.
pairs_end() {
	local i status=$((${#users[@]} % 2))
	[ $status = 0 ] || kill "${users[-1]}"
	for ((i = 1; i < ${#users[@]}; i += 2)); do
		wait "${users[i]}" || { status=1; kill "${users[i - 1]}"; }
	done
	for i in "${users[@]}"; do wait $i || status=1; done
	users=()
	return $status
}

# selftest NETDEV ADDRESS NETDEV ADDRESS PROGRAM ARGUMENT...: from one to the other
selftest() {
	local from to
	from=$(rdma_of "$1") to=$(rdma_of "$3")
	env SVAN_DEV="$from" SVAN_GID="$(gid_index "$from" "$2")" \
		SVAN_PEER_DEV="$to" SVAN_PEER_GID="$(gid_index "$to" "$4")" \
		"/usr/lib/svan/selftests/$5" "${@:6}"
}

# between NUMBER NUMBER PROGRAM ARGUMENT...: from one virtual function to another
between() { selftest vf$1 10.77.0.$((10 + $1)) vf$2 10.77.0.$((10 + $2)) "${@:3}"; }

# With data of several packets each. The server of a pingpong looks at an octet of each page, and
# only says what it finds.
verified_pairs() {
	local status=0 pingpong_seconds=120
	users=()
	pair_between vf1 10.77.0.11 vf1 vf2 10.77.0.12 vf2 18701 -s 100000 -n 200 &&
		pair_between svan0 10.77.0.1 "" vf3 10.77.0.13 vf3 18702 -s 100000 -n 200 &&
		pair_between svan1 10.77.0.2 peer vf4 10.77.0.14 vf4 18703 -s 100000 -n 200 ||
		status=1
	pairs_end || status=1
	! grep -i 'invalid data' /tmp/pair-1870[123] && [ $status = 0 ]
}

every_octet() {
	local -x SVAN_SECONDS=2
	between 1 2 bad-link && selftest svan0 10.77.0.1 vf3 10.77.0.13 bad-link &&
		selftest svan1 10.77.0.2 vf4 10.77.0.14 bad-link
}

dumped() {
	local table
	table=$(svan-dump functions) && echo "$table" &&
		[ "$(grep -c "^[1-$VFS] .* svan " <<<"$table")" = $VFS ] &&
		grep -q "^0 .* svan0 .*${mac[svan0]}" <<<"$table"
}

# iperf_between NETNS ADDRESS NETNS: server, client; both ways
iperf_between() {
	local status
	${1:+ip netns exec "$1"} timeout 120 iperf3 -s -1 -p 5301 >/dev/null &
	await 60 listens 5301 "$1" && ip netns exec "$3" iperf3 -c "$2" -p 5301 -t 1 --bidir
	status=$?
	[ $status = 0 ] || kill $!
	wait $! && return $status
}

iperf_all() {
	iperf_between vf1 10.77.0.11 vf2 && iperf_between "" 10.77.0.1 vf3 &&
		iperf_between peer 10.77.0.2 vf4
}

# perftest PROGRAM NETDEV ADDRESS NETNS PORT ARGUMENT...: one end, in the place of this shell
perftest() {
	local program=$1 device address=$3 ns=$4 port=$5
	device=$(rdma_of "$2")
	shift 5
	exec ${ns:+ip netns exec "$ns"} timeout 120 "$program" -d "$device" -F -p "$port" \
		-x "$(gid_index "$device" "$address")" "$@"
}

# perftest_between PROGRAM NETDEV ADDRESS NETNS NETDEV ADDRESS NETNS: server, client
perftest_between() {
	local program=$1 status
	perftest "$program" "$2" "$3" "$4" 18721 -s 65536 -n 200 >/dev/null &
	await 60 listens 18721 "$4" &&
		(perftest "$program" "$5" "$6" "$7" 18721 -s 65536 -n 200 "$3")
	status=$?
	[ $status = 0 ] || kill $!
	wait $! && return $status
}

perftest_all() {
	perftest_between ib_write_bw vf1 10.77.0.11 vf1 vf2 10.77.0.12 vf2 &&
		perftest_between ib_read_bw svan0 10.77.0.1 "" vf3 10.77.0.13 vf3 &&
		perftest_between ib_send_bw svan1 10.77.0.2 peer vf4 10.77.0.14 vf4 &&
		perftest_between ib_write_lat vf4 10.77.0.14 vf4 vf1 10.77.0.11 vf1
}

# counts NAME NETDEV...: a counter of each, one behind the other
counts() {
	local name=$1 netdev
	shift
	for netdev in "$@"; do cat "$(sysfs_port "$netdev")/hw_counters/$name"; done | xargs
}

on_demand() { between $1 $2 odp -v explicit_wire -t send -t write -t read; }

# Each asks for pages of its own; the physical function and the other device ask for none.
two_pairs_fault() {
	local before after others status=0 n
	others=$(counts page_requests svan0 svan1)
	read -ra before < <(counts page_requests vf{1..4})
	on_demand 1 2 >/tmp/pair &
	on_demand 3 4 || status=1
	wait $! || status=1
	cat /tmp/pair
	read -ra after < <(counts page_requests vf{1..4})
	echo "page requests: ${before[*]}, then ${after[*]}"
	for n in 0 1 2 3; do [ "${after[n]}" -gt "${before[n]}" ] || status=1; done
	[ "$(counts page_requests svan0 svan1)" = "$others" ] && return $status
}

# The accelerator rings for queues of vf1 and vf2, some hundred thousand times, and for
# nobody's of vf3 and vf4, although they have the same numbers. Their netdevs ring now and
# then.
windows_of_two() {
	local before after refused status n
	modprobe svan_accel || return
	read -ra before < <(counts doorbells vf{1..4})
	refused=$(counts doorbells_refused vf3 vf4)
	between 1 2 trigger
	status=$?
	modprobe -r svan_accel || return
	read -ra after < <(counts doorbells vf{1..4})
	echo "doorbells: ${before[*]}, then ${after[*]}"
	for n in 2 3; do [ $((after[n] - before[n])) -lt 200 ] || status=1; done
	[ $((after[0] - before[0])) -gt 10000 ] &&
		[ "$(counts doorbells_refused vf3 vf4)" = "$refused" ] && return $status
}

# Traffic of vf1 to vf2, and of vf3 over the wire, that has to outlive what befalls vf4.
neighbours_start() {
	users=()
	pair_between vf1 10.77.0.11 vf1 vf2 10.77.0.12 vf2 18711 -n 100000000 &&
		pair_between svan1 10.77.0.2 peer vf3 10.77.0.13 vf3 18712 -n 100000000
}

# COMMAND...: it befalls vf4. The others' queue pairs stay, and go on.
undisturbed() {
	neighbours_start && rdma_busy vf1 && rdma_busy vf3 && "$@" &&
		rdma_busy vf1 && rdma_busy vf3 && ! ended_any "${users[@]}"
	local status=$?
	users_stop
	return $status
}

vf_reset() { reset_function vf4 && reset_function vf4 && vf4_works; }
vf_rebind() { unbind vf4 && echo "${slot[vf4]}" >$pci/drivers/svan/bind && vf_up 4 && vf4_works; }

# Without a driver, in the hands of a program that does all the wrong it can.
vf_hostile() {
	unbind vf4 && /usr/lib/svan/selftests/hostile-vf "${slot[vf4]}" 8 &&
		echo "${slot[vf4]}" >$pci/drivers/svan/bind && vf_up 4 && vf4_works
}

vf4_works() {
	await 20 ip netns exec vf4 ping -c 1 -W 1 -q 10.77.0.2 &&
		await 20 ip netns exec vf4 ping -c 1 -W 1 -q 10.77.0.11
}

# While they carry traffic; the physical function's goes on. The third user, svan1's, may
# have nothing under way that could fail.
switched_off_in_traffic() {
	local status
	neighbours_start && rdma_busy vf1 && vfs_off &&
		await 60 ended "${users[0]}" "${users[1]}" "${users[3]}" &&
		wire_works && rdma_devices_are svan_0 svan_1
	status=$?
	users_stop
	return $status
}

# The last of them works as the first does.
number_64() {
	local status=0 pingpong_seconds=120
	slot[vf64]=${slot[svan0]%00.0}08.0 mac[vf64]=52:54:00:77:40:01
	ip netns add vf64 && ip -n vf64 link set lo up && function_up vf64 74 &&
		await 20 ip netns exec vf64 ping -c 1 -W 1 -s 3000 -q 10.77.0.2 || return
	users=()
	pair_between svan1 10.77.0.2 peer vf64 10.77.0.74 vf64 18705 -s 100000 -n 50 || status=1
	pairs_end && ! grep -i 'invalid data' /tmp/pair-18705 && return $status
}

sixty_four() {
	local status
	all_of_them
	status=$?
	echo 0 >"$numvfs"
	ip netns del vf64
	rdma_devices_are svan_0 svan_1 && return $status
}

all_of_them() {
	echo 64 >"$numvfs" && [ "$(find $pci/drivers/svan/ -name '0000:01:*' | wc -l)" = 65 ] &&
		[ "$(cd /sys/class/infiniband && echo * | wc -w)" = 66 ] && wire_works &&
		number_64
}

# pingpong_inside NETNS DEVICE ADDRESS ARGUMENT...: the device belongs to the namespace, too; one
# end, in the place of this shell.
pingpong_inside() {
	# shellcheck disable=SC2016
	exec ip netns exec "$1" bash -c '. /usr/lib/svan/network.sh
		gid=$(wait_gid "$0" "$1") &&
			exec timeout 120 ibv_rc_pingpong -d "$0" -g "$gid" -c "${@:2}"' "${@:2}"
}

# inside NETNS: the RDMA devices that a program sees there
inside() { ip netns exec "$1" ls /sys/class/infiniband | xargs; }

# into_namespace NUMBER: function and RDMA device of one
into_namespace() {
	ip netns add vf$1 && rdma dev set "$(rdma_of vf$1)" netns vf$1 &&
		rename_netdev "${mac[vf$1]}" vf$1 && netdev_up vf$1 $((10 + $1)) vf$1 &&
		carrier vf$1 vf$1
}

two_namespaces() {
	local one two status
	echo 2 >"$numvfs" && one=$(rdma_of vf1) two=$(rdma_of vf2) &&
		into_namespace 1 && into_namespace 2 && rdma_devices_are svan_0 svan_1 &&
		[ "$(inside vf1)" = "$one" ] && [ "$(inside vf2)" = "$two" ] || return
	pingpong_inside vf2 "$two" 10.77.0.12 -s 100000 -n 50 >/tmp/pair &
	await 60 listens 18515 vf2 &&
		(pingpong_inside vf1 "$one" 10.77.0.11 -s 100000 -n 50 10.77.0.12)
	status=$?
	[ $status = 0 ] || kill $!
	wait $! && [ $status = 0 ] && ! grep -i 'invalid data' /tmp/pair &&
		ip netns del vf1 && await 20 rdma_devices_are svan_0 svan_1 "$one"
}

# The kernel changes the mode only while there is no namespace.
rdma_namespaces() {
	local status n
	ip netns del peer
	await 20 rdma system set netns exclusive && two_namespaces
	status=$?
	echo 0 >"$numvfs"
	for n in 1 2; do ip netns del vf$n 2>/dev/null; done
	await 20 rdma system set netns shared || status=1
	peer_netns peer && restore svan1 && wire_works && return $status
}

driver_unloaded() {
	vfs_on $VFS && rmmod svan_ib && rmmod svan && [ "$(cat "$numvfs")" = 0 ] &&
		modprobe svan && modprobe svan_ib && restore svan0 && restore svan1 && wire_works
}

sriov_tests() {
	rdma system set netns shared
	test_case "four virtual functions in four namespaces" vfs_on $VFS
	test_case "each reaches the others, the physical function and the wire" ping_all
	test_case "RDMA among them, to the physical function and over the wire" verified_pairs
	test_case "every octet of it is right" every_octet
	test_case "perftest among them, to the physical function and over the wire" perftest_all
	test_case "svan-dump shows them, whoever has their netdevs" dumped
	test_case "TCP among them, to the physical function and over the wire" iperf_all
	test_case "both ends of two connections fault at once, each asks for itself" two_pairs_fault
	test_case "another peripheral rings for two of them, and for no other" windows_of_two
	test_case "the reset of one leaves the others' queue pairs" undisturbed vf_reset
	test_case "unbinding one leaves the others' queue pairs" undisturbed vf_rebind
	test_case "a hostile driver of one leaves the others' queue pairs" undisturbed vf_hostile
	test_case "they are switched off in traffic" switched_off_in_traffic
	test_case "sixty-four of them" sixty_four
	traffic_stop
	test_case "two of them, with their RDMA devices, in namespaces" rdma_namespaces
	traffic_start
	test_case "the driver is unloaded with virtual functions" driver_unloaded
}
