#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The debug kernel: the source of the guest's kernel with the options of
# debug-kernel.config, kept in the cache. build/debug-kernel points to it:
#
#   bzImage, release     what to boot (its PVH entry cannot take KASAN)
#   modules/lib/modules  the module tree
#   build                where modules are built against it

. "$(dirname "$0")/lib.sh"

in_root=$SVAN_TOP/tools/build/in-root
config=$SVAN_TOP/tools/build/debug-kernel.config
root=$(readlink -f "$SVAN_BUILD/root")
[ -d "$root/etc/svan" ] || die "there is no build root yet: run tools/build/root.sh"

src=$SVAN_CACHE/linux-$(key_of src-1 "$(kernel_release)")
tree=$SVAN_CACHE/debug-kernel-$(key_of dk-1 "$src" "$config")
make=("$in_root" make -C "$src" "O=$tree/build" -j "$SVAN_JOBS"
      "KBUILD_BUILD_TIMESTAMP=$KERNEL_TIMESTAMP" KBUILD_BUILD_USER=svan KBUILD_BUILD_HOST=svan)

unpack() {
	local tarball
	[ ! -d "$src" ] || return 0
	tarball=$("$SVAN_TOP/tools/build/sources.sh" linux-tarball)
	step "unpacking $KERNEL_SOURCE_PACKAGE"
	rm -rf "$src.tmp"
	mkdir -p "$src.tmp"
	logged linux-unpack tar -xf "$tarball" -C "$src.tmp" --strip-components=1
	mv "$src.tmp" "$src"
}

# kconfig drops what its dependencies do not allow, and says nothing.
configure() {
	local line lost=()
	mkdir -p "$tree/build"
	logged debug-config "${make[@]}" KCONFIG_ALLCONFIG="$config" allnoconfig
	while read -r line; do
		case $line in
		*=n) ! grep -q "^${line%=n}=" "$tree/build/.config" || lost+=("$line") ;;
		CONFIG_*) grep -qx -- "$line" "$tree/build/.config" || lost+=("$line") ;;
		esac
	done <"$config"
	[ "${#lost[@]}" = 0 ] || die "kconfig did not take: ${lost[*]}"
}

compile() {
	step "building the debug kernel (10 minutes the first time)"
	logged debug-kernel "${make[@]}" bzImage modules
	rm -rf "$tree/modules"
	logged debug-modules "${make[@]}" INSTALL_MOD_PATH="$tree/modules" INSTALL_MOD_STRIP=1 \
		modules_install
	cp "$tree/build/arch/x86/boot/bzImage" "$tree/bzImage"
	cp "$tree/build/include/config/kernel.release" "$tree/release"
}

take_lock debug-kernel
if [ ! -e "$tree/release" ]; then
	unpack
	configure
	compile
fi
publish "$tree" "$SVAN_BUILD/debug-kernel"
