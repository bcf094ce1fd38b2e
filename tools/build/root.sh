#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The build root: a Debian tree of the suite in versions.sh, in the cache, in
# which everything that ends up in a guest, and QEMU, is built. It is keyed by
# the list of packages; build/root points to it.

. "$(dirname "$0")/lib.sh"
. "$SVAN_TOP/tools/build/apt.sh"

packages=$SVAN_TOP/tools/build/root-packages
key=$(key_of root-2 "$SVAN_SUITE" "$SVAN_ARCH" "$KERNEL_SERIES" "$KERNEL_RELEASE" "$packages")
root=$SVAN_CACHE/root-$key

make_root() {
	local release include
	release=$(apt_kernel_release)
	include=$(sed 's/#.*//' "$packages" | xargs | tr ' ' ,),linux-headers-$release
	step "making the build root: Debian $SVAN_SUITE, Linux $release headers (about 2 minutes)"
	remove_tree "$root.tmp"
	logged root mmdebstrap --mode="$(root_mode)" --variant=apt \
		--architectures="$SVAN_ARCH" --include="$include" \
		--aptopt="$APT_DIR/acquire.conf" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt=force-unsafe-io \
		--customize-hook='mkdir -p "$1/etc/svan"' \
		--customize-hook="echo $release >\"\$1/etc/svan/kernel-release\"" \
		"$SVAN_SUITE" "$root.tmp" "$APT_DIR/sources.list"
	mv "$root.tmp" "$root"
}

take_lock root
if [ ! -e "$root/etc/svan/kernel-release" ]; then
	"$SVAN_TOP/tools/build/host-packages.sh"
	apt_index
	make_root
	step "build root ready: $(du -sh "$root" 2>/dev/null | cut -f1)"
fi
publish "$root" "$SVAN_BUILD/root"
