# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2154
# The KUnit tests of the modules, which the debug kernel runs when they are loaded.

suites=/sys/kernel/debug/kunit

# kunit_passes MODULE: of all its suites; the module stays
kunit_passes() {
	local before results status=0
	before=$(ls $suites)
	modprobe "$1" || return
	for results in $(comm -13 <(echo "$before") <(ls $suites)); do
		cat "$suites/$results/results"
		grep -q '^ok ' "$suites/$results/results" || status=1
		! grep -q 'not ok ' "$suites/$results/results" || status=1
	done
	[ "$before" != "$(ls $suites)" ] && return $status
}

kunit_tests() {
	local module
	for module in svan_test svan_ib_test svan_ib_faults_test \
		svan_ib_kverbs_test svan_ib_datagram_test svan_ib_srq_test; do
		if [ -d $suites ]; then
			test_case "KUnit: $module" kunit_passes "$module"
		else
			skip_case "KUnit: $module" "this kernel has no KUnit"
		fi
	done
}
