#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU with Svan joined to it. The source (Debian's, with its patches and qemu-*.patch of
# this folder) and its build lie in the cache; the device is compiled from this checkout
# through links, so that an edit costs one compilation and a link.
#
#   qemu.sh          build/qemu-system-x86_64
#   qemu.sh qtest    build/qtest/*, the tests of tests/qtest
#
# Joined folders (QEMU's tree -> this checkout):
#   hw/svan -> qemu-hw   svan-include -> include   tests/qtest/svan -> tests/qtest

. "$(dirname "$0")/lib.sh"

in_root=$SVAN_TOP/tools/build/in-root
root=$(readlink -f "$SVAN_BUILD/root")
[ -d "$root/etc/svan" ] || die "there is no build root yet: run tools/build/root.sh"

options=(
	--target-list=x86_64-softmmu --without-default-features --disable-download
	--enable-tcg --enable-kvm --enable-slirp --enable-plugins
	--enable-virtfs --enable-attr --disable-docs --disable-install-blobs
	--python=/usr/bin/python3 --cc=gcc --host-cc=gcc # by way of ccache
)
# Programs built here use the build root's loader and libraries, and so run
# outside of it too. DT_RPATH, not DT_RUNPATH: it also serves libraries' libraries.
rpath=$root/usr/lib/x86_64-linux-gnu
loader=$root/usr/lib64/ld-linux-x86-64.so.2
options+=("--extra-ldflags=-Wl,--disable-new-dtags,-rpath,$rpath,--dynamic-linker,$loader")

# Only what shapes the tree: the device itself is not in the key.
patches=("$SVAN_TOP"/tools/build/qemu-*.patch)
key=$(key_of qemu-2 "$QEMU_VERSION" "$root" "${options[@]}" "${patches[@]}")
tree=$SVAN_CACHE/qemu-$key
src=$tree/src
obj=$tree/build

links() {
	printf '%s\n' "$src/hw/svan $SVAN_TOP/qemu-hw" \
		"$src/svan-include $SVAN_TOP/include" \
		"$src/tests/qtest/svan $SVAN_TOP/tests/qtest"
}

prepare() {
	local file
	[ ! -e "$tree/prepared" ] || return 0
	rm -rf "$tree"
	mkdir -p "$obj"
	"$SVAN_TOP/tools/build/sources.sh" unpack "$src" qemu "$QEMU_VERSION" "$QEMU_SERIES"
	for file in "${patches[@]}"; do
		logged qemu-patch "$in_root" patch -d "$src" -p1 --no-backup-if-mismatch -i "$file"
	done
	sed -i "1i subdir('svan')" "$src/hw/meson.build"
	sed -i '/^# devices Kconfig/a source svan/Kconfig' "$src/hw/Kconfig"
	sed -i "s|^    'hw/acpi',|&\n    'hw/svan',|" "$src/meson.build"
	printf "\nsubdir('svan')\n" >>"$src/tests/qtest/meson.build"
	grep -q "'hw/svan'," "$src/meson.build" || die "cannot join Svan to this QEMU's meson.build"
	: >"$tree/prepared"
}

# The tree serves one checkout at a time. For another one everything compiled
# from the device goes, since ninja compares times, not contents.
join() {
	local link target moved=0
	while read -r link target; do
		[ -e "$target" ] || die "${target#"$SVAN_TOP/"} is missing"
		[ "$(readlink "$link" || true)" = "$target" ] || moved=1
	done < <(links)
	[ "$moved" = 1 ] || return 0
	if [ -e "$obj/build.ninja" ]; then
		step "turning QEMU's tree to this checkout"
		(cd "$obj" && find . -path '*svan*' -name '*.o' -delete)
		rm -f "$obj"/trace/trace-hw_svan.*
		touch "$src/meson.build" "$src/hw/Kconfig"
	fi
	while read -r link target; do
		ln -sfn "$target" "$link"
	done < <(links)
}

configure() {
	[ ! -e "$obj/build.ninja" ] || return 0
	step "configuring QEMU $QEMU_VERSION"
	logged qemu-configure "$in_root" env -C "$obj" "$src/configure" "${options[@]}"
}

compile() {
	step "building QEMU ($*)"
	logged "qemu-$1" "$in_root" ninja -C "$obj" -j "$SVAN_JOBS" "$@"
}

# install FILE TO: a copy of this checkout's own; a running program keeps the old.
install() {
	cmp -s "$1" "$2" && return
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2.new"
	mv "$2.new" "$2"
}

wrapper() {
	write_if_changed "$SVAN_BUILD/qemu-system-x86_64" <<-EOF
		#!/bin/sh
		exec '$SVAN_BUILD/qemu/qemu-system-x86_64' $(qemu_data_dirs) "\$@"
	EOF
	chmod +x "$SVAN_BUILD/qemu-system-x86_64"
}

take_lock "qemu-$key"
prepare
publish "$src" "$SVAN_BUILD/qemu-src"
join
configure
case ${1:-} in
'')
	compile qemu-system-x86_64
	install "$obj/qemu-system-x86_64" "$SVAN_BUILD/qemu/qemu-system-x86_64"
	wrapper
	;;
qtest)
	compile svan-qtests
	for program in "$obj"/tests/qtest/svan/svan-*-test; do
		install "$program" "$SVAN_BUILD/qtest/${program##*/}"
	done
	;;
*)
	die "usage: qemu.sh [qtest]"
	;;
esac
