# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# The system sleeps and awakes: to idle and to memory, with nothing running, under
# Ethernet traffic, and under RDMA traffic, whose users are told or go on.

power=/sys/power

# sleep_test LEVEL STATE: as far as LEVEL, and back after a second
sleep_test() {
	local status=0
	echo "$1" >$power/pm_test && echo 1 >/sys/module/suspend/parameters/pm_test_delay &&
		echo "$2" >$power/state || status=1
	echo none >$power/pm_test
	return $status
}

# Devices are stopped and started, the CPUs stay.
sleep_idle() { sleep_test devices freeze; }

# All that comes before the machine is switched off and after it is switched on; with
# SVAN_S3 that, too, until the clock's alarm.
sleep_memory() {
	local alarm=/sys/class/rtc/rtc0/wakealarm
	echo deep >$power/mem_sleep || return
	if [ "${SVAN_S3:-0}" = 0 ]; then
		sleep_test core mem
	else
		echo 0 >$alarm && echo +3 >$alarm && echo mem >$power/state
	fi
}

# The processes stop and go on, nothing else happens.
sleep_aborted() { sleep_test freezer freeze; }

devices_back() { await 20 rdma_devices_are svan_0 svan_1; }

awake_again() { netdev_up_again && wire_works && devices_back && rdma_works; }

sleeps_and_wakes() {
	local i
	for i in 1 2; do
		"$1" && awake_again || return
	done
}

# Those who wait for completions are woken; those who poll for them find them flushed;
# those who listen for what happens to the device hear of its end (and listen on). No
# worker needs to be killed, before the system sleeps or after.
users_are_told() {
	local status=0 workers log
	log=$(mktemp)
	endless_pingpong -e && endless_pingpong || status=1
	workers=("${users[@]}")
	watch_events svan0 "$log" && rdma_busy svan0 && "$1" || status=1
	await 60 grep -q EVENT_DEVICE_FATAL "$log" && await 60 ended "${workers[@]}" || status=1
	[ $status = 0 ] || head "$log" "${pingpong_logs[@]}"
	users_stop
	rm -f "$log"
	[ $status = 0 ] && awake_again
}

# Whoever has work on the accelerator is told, and gets the context back.
accelerator_is_told() {
	local status=0 log user
	log=$(mktemp)
	modprobe svan_accel || return
	/usr/lib/svan/selftests/trigger-user sleep b >"$log" 2>&1 &
	user=$!
	await 60 grep -q working "$log" && "$1" && await 60 ended $user &&
		grep -q done "$log" || status=1
	[ $status = 0 ] || { head "$log"; kill $user; }
	wait $user
	rm -f "$log"
	rmmod svan_accel || status=1
	[ $status = 0 ] && awake_again
}

sleep_tests() {
	if [ ! -e $power/pm_test ]; then
		skip_case "sleep" "this kernel does not sleep"
		return
	fi
	traffic_stop
	test_case "sleep to idle with nothing running" sleeps_and_wakes sleep_idle
	test_case "sleep to memory with nothing running" sleeps_and_wakes sleep_memory
	traffic_start
	test_case "sleep to idle under Ethernet traffic" sleeps_and_wakes sleep_idle
	test_case "sleep to memory under Ethernet traffic" sleeps_and_wakes sleep_memory
	test_case "RDMA users are told of a sleep to idle" users_are_told sleep_idle
	test_case "RDMA users are told of a sleep to memory" users_are_told sleep_memory
	test_case "an accelerator's user is told of a sleep to idle" \
		accelerator_is_told sleep_idle
	test_case "an accelerator's user is told of a sleep to memory" \
		accelerator_is_told sleep_memory
	test_case "a sleep that is given up" sleeps_and_wakes sleep_aborted
}
