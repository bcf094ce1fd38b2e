#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel modules, from Kbuild at the top of the tree. Linux 6.12's kbuild
# writes beside its sources, so it is given a farm of links to them.
#
#   modules.sh         build/modules/*.ko, for Debian's kernel
#   modules.sh debug   build/modules-debug/*.ko, for the debug kernel
#   modules.sh check   compile with W=1 and sparse; every warning is an error

. "$(dirname "$0")/lib.sh"

kind=${1:-stock}
root=$(readlink -f "$SVAN_BUILD/root")
case $kind in
stock | check)
	out=$SVAN_BUILD/modules
	release=$(kernel_release)
	kernel=/usr/src/linux-headers-$release
	;;
debug)
	out=$SVAN_BUILD/modules-debug
	kernel=$(readlink -f "$SVAN_BUILD/debug-kernel")/build
	[ -e "$kernel/Module.symvers" ] ||
		die "there is no debug kernel yet: run tools/build/debug-kernel.sh"
	release=$(cat "$SVAN_BUILD/debug-kernel/release")
	;;
*)
	die "usage: modules.sh [debug|check]"
	;;
esac
[ "$kind" != check ] || out=$SVAN_BUILD/modules-check
farm=$out/tree

# Links to every source file, in folders of the farm's own; links whose source
# is gone are dropped with what was made from them.
plant() {
	local file link
	[ "$(cat "$out/kernel" 2>/dev/null)" = "$root$kernel" ] || rm -rf "$farm"
	mkdir -p "$farm"
	printf '%s\n' "$root$kernel" >"$out/kernel"
	(cd "$SVAN_TOP" && find Kbuild drivers -type f) | while read -r file; do
		link=$farm/$file
		[ ! -L "$link" ] || continue
		mkdir -p "${link%/*}"
		ln -sfn "$SVAN_TOP/$file" "$link"
	done
	find "$farm" -xtype l | while read -r link; do
		rm -f "$link" "${link%.c}.o" "$(dirname "$link")"/.*.cmd
	done
	publish "$SVAN_TOP/include" "$farm/include"
}

build() {
	logged "modules-$kind" "$SVAN_TOP/tools/build/in-root" \
		make -C "$kernel" M="$farm" W=1 -j "$SVAN_JOBS" \
		KBUILD_BUILD_TIMESTAMP="$KERNEL_TIMESTAMP" "$@" modules
	grep -E 'warning:|error:' "$SVAN_LOGS/modules-$kind.log" >&2 || true
}

# Without debug information, which stays in the farm: it travels in an initramfs.
collect() {
	rm -rf "$out/new"
	mkdir -p "$out/new"
	find "$farm" -name '*.ko' -exec cp -t "$out/new" {} +
	"$SVAN_TOP/tools/build/in-root" strip --strip-debug "$out"/new/*.ko
	replace_files "$out/new" "$out" -name '*.ko' -path './*.ko' ! -path '*/*/*'
}

exec {lock}>"$SVAN_LOGS/modules-$kind.lock"
flock "$lock"
plant
case $kind in
check)
	find "$farm" -name '*.o' -delete
	build C=2 CF='-D__CHECK_ENDIAN__'
	! grep -qE 'warning:|error:' "$SVAN_LOGS/modules-check.log" ||
		die "compiler or sparse warnings (build/log/modules-check.log)"
	;;
*)
	step "building the kernel modules ($kind, Linux $release)"
	# The debug kernel has no line numbers, our modules in the farm do.
	if [ "$kind" = debug ]; then build KCFLAGS=-g; else build; fi
	collect
	;;
esac
