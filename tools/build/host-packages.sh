#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Install what the host needs and does not have (tools/build/host-packages).

. "$(dirname "$0")/lib.sh"

mapfile -t wanted < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' \
	"$SVAN_TOP/tools/build/host-packages" | sort)
mapfile -t installed < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" \
	2>/dev/null | sed -n 's/^installed //p' | sort)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}") <(printf '%s\n' "${installed[@]}"))

[ "${#missing[@]}" -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] ||
	die "packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"

export DEBIAN_FRONTEND=noninteractive
take_lock host-packages
step "installing on this machine: ${missing[*]}"
install=(apt-get install -y --no-install-recommends "${missing[@]}")
# An index from another day may name files that the mirror no longer has.
if ! "${install[@]}" >"$SVAN_LOGS/host-packages.log" 2>&1 </dev/null; then
	logged host-index apt-get update
	logged host-packages "${install[@]}"
fi
