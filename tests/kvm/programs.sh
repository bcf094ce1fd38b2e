# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2086
# What the nested guest runs, and to whom; sourced at both ends. driver/lib.sh is there.

# Place (the physical function, another one's neighbour behind the same switch, or the
# second device), program, arguments. Servers listen on 18700 plus the number of the line.
programs='
pf ibv_rc_pingpong -c -s 100000 -n 200
vf2 ibv_rc_pingpong -c -s 100000 -n 200
wire ibv_rc_pingpong -c -s 100000 -n 200
pf ibv_rc_pingpong -c -e -s 100 -n 500
wire ibv_rc_pingpong -c -e -s 100 -n 500
pf ib_write_bw -s 65536 -n 1000
pf ib_write_bw -s 65536 -n 1000 --odp
pf ib_read_bw -s 65536 -n 500
pf ib_send_bw -s 65536 -n 500
pf ib_write_lat -s 8 -n 200
pf ib_send_lat -s 8 -n 200
vf2 ib_write_bw -s 65536 -n 1000
vf2 ib_send_lat -s 8 -n 200
wire ib_write_bw -s 65536 -n 500
wire ib_send_lat -s 8 -n 200
'

declare -A address_of=([pf]=10.77.0.1 [wire]=10.77.0.2 [vf2]=10.77.0.12)

# each_program COMMAND: COMMAND NUMBER PLACE PROGRAM ARGUMENT... for each
each_program() {
	local line n=0
	while read -r line; do
		[ -n "$line" ] || continue
		n=$((n + 1))
		"$1" $n $line
	done <<<"$programs"
}

# program NUMBER DEVICE ADDRESS NETNS PROGRAM ARGUMENT...: in the place of this shell, a
# server, or a client if the last argument is an address. ADDRESS is the device's own.
program() {
	local port=$((18700 + $1)) device=$2 address=$3 ns=$4 name=$5 gid=-x
	shift 5
	[ "$name" != ibv_rc_pingpong ] || gid=-g
	exec ${ns:+ip netns exec "$ns"} "$name" -d "$device" -p $port \
		$gid "$(gid_index "$device" "$address")" "$@"
}
