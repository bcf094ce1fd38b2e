# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC1091,SC2154
# Functions of the guest's devices, for experiments; sourced by their guests' parts.

. /usr/lib/svan/network.sh
. /usr/lib/svan/driver/lib.sh

# place FUNCTION ADDRESS: SVAN_DEV and SVAN_GID of its programs, as NAME=VALUE NAME=VALUE
place() {
	local device
	device=$(rdma_of "$1") && echo "SVAN_DEV=$device SVAN_GID=$(gid_index "$device" "$2")"
}

# enforce true|false NIC...: congestion control of these devices
enforce() {
	local value=$1 nic
	shift
	for nic in "$@"; do
		devlink dev param set "pci/${slot[$nic]}" name enforcement value "$value" \
			cmode runtime || return
	done
}
