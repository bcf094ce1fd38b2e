# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Helpers of the build scripts: progress, errors, logs, cache keys and locks.
# Source it first:  . "$(dirname "$0")/../build/lib.sh"

set -euo pipefail

SVAN_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
SVAN_BUILD=$SVAN_TOP/build
SVAN_LOGS=$SVAN_BUILD/log
SVAN_CACHE=${SVAN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/svan}
mkdir -p "$SVAN_CACHE" "$SVAN_LOGS"
SVAN_CACHE=$(cd "$SVAN_CACHE" && pwd -P)
SVAN_JOBS=${SVAN_JOBS:-$(nproc)}
SVAN_T0=${SVAN_T0:-$(date +%s)}
export SVAN_TOP SVAN_BUILD SVAN_LOGS SVAN_CACHE SVAN_JOBS SVAN_T0
# Called from make or by hand, a script chooses its own jobs.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

# Messages are English, sort orders are fixed, and this machine's own Python
# is the one that runs helpers, whatever shims come first in PATH.
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
# shellcheck disable=SC2034
PYTHON=/usr/bin/python3

# shellcheck source=tools/build/versions.sh
. "$SVAN_TOP/tools/build/versions.sh"

elapsed() {
	local s=$(($(date +%s) - SVAN_T0))
	printf '%d:%02d' $((s / 60)) $((s % 60))
}

# step TEXT...: one line of progress with the time since the first script began.
step() { printf '[%6s] %s\n' "$(elapsed)" "$*" >&2; }

warn() { printf '[%6s] warning: %s\n' "$(elapsed)" "$*" >&2; }

# die TEXT...: say what is wrong and what to do about it, and stop.
die() {
	printf '[%6s] error: %s\n' "$(elapsed)" "$*" >&2
	exit 1
}

# key_of WORD|FILE...: 12 hex digits over the words and the contents of files.
key_of() {
	local item
	for item; do
		if [ -f "$item" ]; then
			printf '%s\0' "${item##*/}"
			sha256sum <"$item"
		else
			printf '%s\0' "$item"
		fi
	done | sha256sum | cut -c1-12
}

# take_lock NAME: one at a time per cache, until this script ends (children hold
# it too, so a killed script cannot leave a build running beside the next one).
take_lock() {
	local fd
	mkdir -p "$SVAN_CACHE/lock"
	exec {fd}>"$SVAN_CACHE/lock/$1"
	if ! flock -n "$fd"; then
		step "waiting for another build to finish ($1)"
		flock "$fd"
	fi
}

# logged NAME COMMAND...: full output to build/log/NAME.log; on a terminal the
# last line is shown while it runs. On failure the tail is printed and the script
# ends. Never call it, or what it runs, where bash ignores set -e (if, ||, &&).
logged() {
	local log=$SVAN_LOGS/$1.log rc=0 pid
	shift
	mkdir -p "$SVAN_LOGS"
	printf '# %s\n' "$*" >"$log"
	"$@" >>"$log" 2>&1 </dev/null &
	pid=$!
	watch_log "$pid" "$log"
	wait "$pid" || rc=$?
	if [ "$rc" != 0 ]; then
		printf -- '--- the end of %s:\n' "$log" >&2
		tail -n 40 "$log" >&2
		die "failed with status $rc: $*"
	fi
}

# watch_log PID LOG: until PID ends, show how far its log has come; on a
# terminal by rewriting one line, elsewhere by one line in half a minute.
watch_log() {
	local pid=$1 log=$2 ticks=0 last tty=0
	[ -t 2 ] && tty=1
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		ticks=$((ticks + 1))
		if [ "$tty" = 1 ] && [ $((ticks % 5)) = 0 ]; then
			last=$(tail -c 400 "$log" | tr '\r' '\n' | tail -n 1 | cut -c1-66)
			printf '\r[%6s]   %s\033[K' "$(elapsed)" "$last" >&2
		elif [ "$tty" = 0 ] && [ $((ticks % 150)) = 0 ]; then
			last=$(tail -c 400 "$log" | tr '\r' '\n' | tail -n 1 | cut -c1-66)
			step "  ... $last"
		fi
	done
	if [ "$tty" = 1 ]; then printf '\r\033[K' >&2; fi
}

# publish TARGET LINK: make LINK (in build/) a symbolic link to TARGET.
publish() {
	mkdir -p "$(dirname "$2")"
	if [ "$(readlink "$2" 2>/dev/null)" != "$1" ]; then
		ln -sfn "$1" "$2"
	fi
}

# write_if_changed FILE: standard input to FILE, keeping its time if equal.
write_if_changed() {
	local tmp
	mkdir -p "$(dirname "$1")"
	tmp=$(mktemp "$1.XXXXXX")
	cat >"$tmp"
	if cmp -s "$tmp" "$1"; then
		rm -f "$tmp"
	else
		chmod a+r "$tmp"
		mv "$tmp" "$1"
	fi
}

# replace_files NEW DIR [FIND-TEST...]: make DIR hold the files of NEW, of those in
# it that pass the tests; each changes at once, so that a guest which starts
# meanwhile sees the old or the new. NEW is consumed.
replace_files() {
	local new=$1 dir=$2 file
	shift 2
	mkdir -p "$dir"
	(cd "$new" && find . ! -type d) | while read -r file; do
		mkdir -p "$(dirname "$dir/$file")"
		if [ -L "$new/$file" ] || ! cmp -s "$new/$file" "$dir/$file"; then
			mv -T "$new/$file" "$dir/$file"
		fi
		printf '%s\n' "$file"
	done | sort >"$new.list"
	(cd "$dir" && find . ! -type d "$@") | sort | comm -13 "$new.list" - |
	while read -r file; do
		rm -f "${dir:?}/$file"
	done
	rm -rf "$new" "$new.list"
}

# mmdebstrap needs real root, or subordinate ids and newuidmap.
root_mode() {
	if [ "$(id -u)" = 0 ]; then
		echo root
	elif command -v newuidmap >/dev/null && grep -q "^$(id -un):" /etc/subuid; then
		echo unshare
	else
		die "run it as root, or install uidmap and give $(id -un) subordinate ids"
	fi
}

# as_root COMMAND...: as root, or in the user namespace that owns the trees of
# root_mode unshare.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		unshare --map-auto --map-root-user "$@"
	fi
}

# remove_tree DIR: a tree that mmdebstrap made.
remove_tree() { as_root rm -rf --one-file-system "$1"; }

# kernel_release: the release whose headers the build root holds. The guest
# image takes the kernel of the same release.
kernel_release() {
	cat "$SVAN_BUILD/root/etc/svan/kernel-release" 2>/dev/null ||
		die "there is no build root yet: run tools/build/root.sh"
}

# qemu_data_dirs: -L options for the firmware in the build root.
qemu_data_dirs() {
	local root
	root=$(readlink -f "$SVAN_BUILD/root")
	printf -- '-L %s/usr/share/qemu -L %s/usr/share/seabios -L %s/usr/lib/ipxe/qemu' \
		"$root" "$root" "$root"
}
