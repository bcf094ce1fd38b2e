# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154,SC2034,SC2086
# How virtual functions are policed: policies, by which the driver of the physical function
# judges what the NIC finds ambiguous, and what a virtual function has of all this, which is
# nothing. Beside sriov.sh and vport.sh, whose functions it uses.

police=$pci/devices/${slot[svan0]}/svan

param() { devlink dev param set "pci/${slot[svan0]}" name "$1" value "$2" cmode runtime; }
param_of() {
	devlink dev param show "pci/${slot[svan0]}" name "$1" | sed -n 's/.* value //p'
}
param_is() {
	devlink dev param show "pci/${slot[svan0]}" name "$1" | grep -q "value $2\b"
}

# They may be set before the functions are there.
police_begin() {
	local n
	for ((n = 1; n <= VFS; n++)); do ip netns del vf$n 2>/dev/null; done
	echo 0 >"$numvfs"
	echo strict >$police/vf1/policy && echo mark >$police/vf1/action && vfs_on $VFS &&
		[ "$(<$police/vf1/policy)" = strict ] && [ "$(<$police/vf1/action)" = mark ] &&
		echo default >$police/vf1/policy && echo pace >$police/vf1/action
}

# What the page tells an administrator to type, in that order; commands that go on watching, until
# they have shown something, while a policy changes.
page_commands() {
	cat <<-END
	seen() {
		"\${@:2}" >/tmp/seen &
		until grep -q "\$1" /tmp/seen; do
			echo strict >$police/vf1/policy
			echo default >$police/vf1/policy
			sleep 0.2
		done
		kill \$!
	}
	END
	sed -n '/^\.\. code-block:: sh$/,/^[^ ]/ s/^   //p' /usr/lib/svan/pages/police.rst |
		sed 's/^svan-dump .*--watch.*/seen kind &/; s/^cat trace_pipe$/seen svan_policy &/'
}

as_the_page_says() {
	local n status=0 page=/tmp/page.sh rate
	rate=$(param_of rp_ai_rate) && vfs_off || return
	page_commands >$page
	[ "$(grep -c "pci/${slot[svan0]}" $page)" -ge 10 ] && [ "$(grep -c ^seen $page)" = 3 ] &&
		timeout 120 bash -ex $page || status=1
	echo 0 | tee /sys/kernel/tracing/events/svan/*/enable
	devlink port function rate set "pci/${slot[svan0]}/1" tx_share 0 tx_max 0 || status=1
	for n in 2 3; do
		devlink port function rate set "pci/${slot[svan0]}/$n" noparent || status=1
	done
	devlink port function rate del "pci/${slot[svan0]}/tenant" || status=1
	param enforcement_policy nic && param enforcement false && param rp_ai_rate "$rate" ||
		status=1
	echo 0 >"$numvfs" && vfs_on $VFS && return $status
}

standard_policies() {
	local name
	param_is enforcement_policy nic || return
	for name in strict lenient threshold nic; do
		param enforcement_policy $name && param_is enforcement_policy $name || return
	done
	! param enforcement_policy cruel >/tmp/refused 2>&1 &&
		grep -q "nic, strict, lenient, threshold" /tmp/refused &&
		param_is enforcement_policy nic
}

settings() {
	local name
	for name in burst:50000 interval:50000 suspect:5000 calm:1000 recovery:10000 cap:0 \
		threshold_loss:50 threshold_cnps:100 threshold_rtt:500; do
		[ "$(<$police/vf0/${name%:*})" = "${name#*:}" ] &&
			echo 77 >$police/vf0/${name%:*} && [ "$(<$police/vf0/${name%:*})" = 77 ] &&
			echo ${name#*:} >$police/vf0/${name%:*} || { echo $name; return 1; }
	done
	echo 20 >$police/vf0/delay && [ "$(<$police/vf0/delay)" = "20 20 20 20 20 20 20 20" ] &&
		echo "class 3 50" >$police/vf0/delay &&
		[ "$(<$police/vf0/delay)" = "20 20 20 50 20 20 20 20" ] &&
		echo 10 >$police/vf0/delay && echo "class 6 lenient" >$police/vf0/policy &&
		[ "$(<$police/vf0/policy)" = "default
class 6 lenient" ] && echo "class 6 default" >$police/vf0/policy &&
		[ "$(<$police/vf0/policy)" = default ]
}

wrong_settings() {
	local wrong
	for wrong in policy:cruel policy: "policy:class 8 strict" "policy:class 1 cruel" \
		"policy:strict lenient" "policy:class 1 strict 2" "delay:class 1 5 5" \
		action:shoot cap:4000001 burst:1000000001 interval:1000000001 calm:-1 \
		recovery:x delay:70000 "delay:class 8 1" threshold_loss:1001; do
		! echo "${wrong#*:}" 2>/dev/null >$police/vf0/${wrong%%:*} ||
			{ echo "$wrong"; return 1; }
	done 2>/dev/null
}

# path_of_vf1 EXPRESSION [PEER]: is it true of the path from vf1 to the peer?
path_of_vf1() {
	svan-dump flows --json >/tmp/flows || return
	python3 - "$1" "${2:-::ffff:10.77.0.2}" <<-'END'
	import json, sys
	paths = [e for e in json.load(open("/tmp/flows")) if e["function"] == 1 and
	         e["kind"] in ("path", "others") and e["peer"] == sys.argv[2]]
	if not (paths and eval(sys.argv[1], {}, paths[0])):
	    sys.exit("not %s: %s" % (sys.argv[1], paths))
	END
}

shim_has() { [ "$(counter svan0 shim_$1)" -gt "$2" ]; }

# What is sent again and again, without a notification, is ambiguous to the NIC; calm: for
# longer than the guest stands still. What was known before is forgotten.
# again_begin POLICY [PEERS]
again_begin() {
	enforcement false && echo 1000000 >$police/vf0/calm && echo 1 >$police/vf0/cap &&
		echo 0 >$police/vf0/burst && echo $1 >$police/vf0/policy &&
		enforcement true || return
	ip netns exec vf1 ./again.py vf1 "${mac[svan1]}" 10.77.0.11 10.77.0.2 $2 &
	users=($!)
}

# health FIELD: of vf1, as its hypervisor is shown
health() {
	devlink -j health diagnose "pci/${slot[svan0]}" reporter congestion |
		python3 -c 'import json, sys
def find(value):
    if isinstance(value, dict):
        if value.get("vf") == 0:
            print(value[sys.argv[1]])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            find(item)
find(json.load(sys.stdin))' $1
}
health_more_than() { [ "$(health $1)" -gt $2 ]; }

# limited_by POLICY: frames of the path wait for their turns, by a verdict; vf1 is not told
limited_by() {
	local status before
	before=$(counter svan0 shim_verdicts_congesting)
	again_begin $1 && await 30 shim_has verdicts_congesting $before &&
		await 30 path_of_vf1 'state == "congesting"' &&
		await 30 health_more_than enforce_delays "$(health enforce_delays)" &&
		[ "$(vf_counter vf1 enforce_delays)" = 0 ]
	status=$?
	users_stop
	return $status
}

# free_by POLICY COUNTER: by a verdict none of a thousand packets waits
free_by() {
	local status before delays
	delays=$(health enforce_delays)
	before=$(counter svan0 shim_$2)
	again_begin $1 && await 30 shim_has $2 $before &&
		await 30 path_of_vf1 'packets >= 1000 and state != "congesting"' &&
		[ "$(health enforce_delays)" = "${delays:-0}" ]
	status=$?
	users_stop
	return $status
}

strict_is_strict() { limited_by strict; }
lenient_is_lenient() { free_by lenient verdicts_clear; }
below_threshold() {
	local status
	echo 1000 >$police/vf0/threshold_loss && free_by threshold verdicts_deferred
	status=$?
	echo 50 >$police/vf0/threshold_loss
	return $status
}
above_threshold() { limited_by threshold; }

# The standard one, of a function that has none of its own.
by_default() {
	local status
	param enforcement_policy strict && limited_by default && param enforcement_policy lenient &&
		free_by default verdicts_clear
	status=$?
	param enforcement_policy nic && return $status
}

# The segments are of class 0.
by_class() {
	local status
	echo "class 0 strict" >$police/vf0/policy && limited_by lenient
	status=$?
	echo "class 0 default" >$police/vf0/policy && return $status
}

# The NIC's own timer; the shim is not asked.
left_to_the_nic() {
	local status before
	before=$(counter svan0 shim_events)
	again_begin nic && await 30 path_of_vf1 'state == "congesting"' &&
		await 30 health_more_than enforce_delays "$(health enforce_delays)" &&
		[ "$(counter svan0 shim_events)" = "$before" ]
	status=$?
	users_stop
	return $status
}

# acts ACTION [COUNTER]: what is above the rate is counted there, and by no other counter
acts() {
	local status name before=()
	for name in delays marks drops; do before+=("$(health enforce_$name)"); done
	echo $1 >$police/vf0/action && again_begin strict &&
		await 30 path_of_vf1 'packets >= 1000 and state == "congesting"'
	status=$?
	[[ ${before[*]} =~ ^[0-9]+\ [0-9]+\ [0-9]+$ ]] || status=1
	for name in delays marks drops; do
		if [ enforce_$name = "${2:-}" ]; then
			await 30 health_more_than $2 "${before[0]}"
		else
			[ "$(health enforce_$name)" -eq "${before[0]}" ]
		fi || { echo $name; status=1; }
		before=("${before[@]:1}")
	done
	users_stop
	echo pace >$police/vf0/action && return $status
}
mark_is_mark() { acts mark enforce_marks; }
drop_is_drop() { acts drop enforce_drops; }
watch_is_nothing() { acts watch; }

# Of 200 peers the NIC tells 128 apart. The others have a path together, and are judged;
# nothing is reported of it.
peers_without_room() {
	local status
	again_begin strict 200 && await 60 path_of_vf1 'state == "congesting"' :: &&
		[ "$(health paths_overflowed)" -gt 0 ] &&
		devlink health show "pci/${slot[svan0]}" reporter congestion |
			grep -q "state healthy error 0"
	status=$?
	users_stop
	return $status
}

# The device's queues end and begin again, and what was set is set again.
judged_after_a_reset() {
	echo strict >$police/vf0/policy && reset_function svan0 && wire_works && rebind_vf1 &&
		limited_by strict
}

diagnosed() {
	[ "$(health policy)" = strict ] && [ "$(health paths)" -ge 1 ] &&
		[ "$(health paths_overflowed)" = 0 ] &&
		devlink health show "pci/${slot[svan0]}" reporter congestion |
			grep -q "state healthy error 0" &&
		devlink health recover "pci/${slot[svan0]}" reporter congestion
}

# What was set stands again after a reset; what was not is the device's own.
dcqcn() {
	local own
	own=$(devlink dev param show "pci/${slot[svan0]}" name rp_hai_rate) &&
		param rp_ai_rate 20000 && param rp_dce_tcp_g 6 && param rp_byte_reset 1000000 &&
		param_is rp_ai_rate 20000 && param_is rp_dce_tcp_g 6 &&
		param_is rp_byte_reset 1000000 && ! param rp_dce_tcp_g 16 >/tmp/refused 2>&1 &&
		grep -q "rp_dce_tcp_g is from 0 to 15" /tmp/refused && ! param rp_ai_rate 99 &&
		! param rp_min_rate 4294967295 && ! param np_cnp_dscp 64 &&
		param_is rp_dce_tcp_g 6 && reset_function svan0 && wire_works &&
		param_is rp_ai_rate 20000 &&
		[ "$(devlink dev param show "pci/${slot[svan0]}" name rp_hai_rate)" = "$own" ]
}

outlast_the_functions() {
	echo threshold >$police/vf2/policy && echo 300 >$police/vf2/cap && vfs_off &&
		vfs_on $VFS && [ "$(<$police/vf2/policy)" = threshold ] &&
		[ "$(<$police/vf2/cap)" = 300 ] && echo default >$police/vf2/policy &&
		echo 0 >$police/vf2/cap
}

counted_and_traced() {
	local name
	for name in events events_merged turns queries verdicts_{congesting,clear,deferred}; do
		[ -n "$(counter svan0 shim_$name)" ] || { echo $name; return 1; }
	done
	[ "$(counter svan0 shim_failures)" = 0 ] && shim_has events 0 && shim_has turns 0 &&
		shim_has queries 0 && [ -d /sys/kernel/tracing/events/svan/svan_verdict ] &&
		[ -d /sys/kernel/tracing/events/svan/svan_policy ]
}

# Nor can it ask: its commands are refused (tests/unit/test_enforce.c).
unseen_by_virtual_functions() {
	! devlink dev show | grep -q "${slot[vf1]}" && [ ! -e $pci/devices/${slot[vf1]}/svan ] &&
		[ ! -e /sys/kernel/debug/svan/${slot[vf1]}/flows ] &&
		! ip netns exec vf1 ethtool -S vf1 | grep -q shim_
}

unloaded_while_judging() {
	local status
	again_begin strict && await 30 shim_has verdicts_congesting 0 && rmmod svan_ib &&
		rmmod svan && modprobe svan && modprobe svan_ib && restore svan0 &&
		restore svan1 && wire_works && [ "$(<$police/vf0/policy)" = default ]
	status=$?
	users_stop
	return $status
}

policed_guest() {
	# What is sent again and again is load enough.
	traffic_stop
	mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing
	rdma system set netns shared
	test_case "a virtual function is policed as was set before it came" police_begin
}

police_tests() {
	policed_guest
	test_case "the page's commands, one after the other" as_the_page_says
	test_case "the standard policy is set by devlink" standard_policies
	test_case "a function's settings by its files" settings
	test_case "what is out of range is refused" wrong_settings
	test_case "strict: what is ambiguous is limited" strict_is_strict
	test_case "lenient: it is not" lenient_is_lenient
	test_case "the shim judges after a reset" judged_after_a_reset
	test_case "devlink health shows how functions are policed" diagnosed
	test_case "parameters of DCQCN are set by devlink" dcqcn
	test_case "settings outlast the functions" outlast_the_functions
	test_case "what the shim does is counted and traced" counted_and_traced
	test_case "a virtual function sees nothing of it" unseen_by_virtual_functions
	test_case "the driver is unloaded while it judges" unloaded_while_judging
	traffic_start
}

# Of policies and classes the rest: make test-long.
policies_tests() {
	policed_guest
	test_case "threshold: not below it" below_threshold
	test_case "threshold: above it" above_threshold
	test_case "the standard policy is that of who has none" by_default
	test_case "a class has a policy of its own" by_class
	test_case "nic: the NIC decides by itself" left_to_the_nic
	test_case "mark: what is above the rate is marked" mark_is_mark
	test_case "drop: it is dropped" drop_is_drop
	test_case "watch: it is left alone" watch_is_nothing
	test_case "peers without room are judged, too" peers_without_room
	traffic_start
}
