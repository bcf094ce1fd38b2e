#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# image.sh [PACKAGE...]: the guest's image in the cache, made when missing; prints
# its folder:
#
#   root.ext4        the root file system, mounted read-only below an overlay
#   vmlinux          the kernel of the build root's headers, as ELF (fast to boot)
#   initramfs.cpio   busybox and the modules that mounting the root takes
#   modules/         the kernel's modules, to run depmod with ours beside them
#
# Each list of packages has an image of its own. What belongs to Svan is not in
# it: tools/guest/boot appends that to the initramfs.

. "$(dirname "$0")/../build/lib.sh"
. "$SVAN_TOP/tools/build/apt.sh"

guest=$SVAN_TOP/tools/guest
GUEST_RELEASE=$(kernel_release)
export GUEST_RELEASE
mapfile -t extra < <(printf '%s\n' "$@" | sort -u | sed '/^$/d')
key=$(key_of guest-1 "$SVAN_SUITE" "$SVAN_ARCH" "$GUEST_RELEASE" "$guest/packages" \
	"$guest/image.sh" "$guest/image-hook.sh" "$guest"/un*-* "${extra[@]}")
dir=$SVAN_CACHE/guest-$key

make_tree() {
	local include
	include=$(sed 's/#.*//' "$guest/packages" | xargs -n 1 |
		cat - <(printf '%s\n' "${extra[@]}") | sed '/^$/d' | paste -sd,)
	logged guest-tree mmdebstrap --mode="$(root_mode)" --variant=apt \
		--architectures="$SVAN_ARCH" --include="$include" \
		--aptopt="$APT_DIR/acquire.conf" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/rdma-core*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt=force-unsafe-io \
		--customize-hook="bash $guest/image-hook.sh \"\$1\"" \
		"$SVAN_SUITE" "$1" "$APT_DIR/sources.list"
}

# pack_tree TREE OUT: no journal and no checksums, for it is only ever read.
pack_tree() {
	local tree=$1 out=$2 size
	mkdir -p "$out"
	as_root sh -c "mv '$tree'/.out/* '$out/' && rmdir '$tree/.out' &&
		cp -a '$tree/usr/lib/modules/$GUEST_RELEASE' '$out/modules'"
	size=$(as_root du -sm --apparent-size "$tree" | cut -f1)
	logged guest-mke2fs as_root mke2fs -q -t ext4 -m 0 -L svan-root \
		-O ^has_journal,^metadata_csum,^resize_inode \
		-d "$tree" "$out/root.ext4" "$((size * 5 / 4 + 64))M"
}

make_image() {
	local package
	"$SVAN_TOP/tools/build/host-packages.sh"
	apt_index
	for package in "${extra[@]}"; do
		apt_has "$package" || die "PACKAGES: Debian $SVAN_SUITE has no package '$package'"
	done
	step "making the guest's image${extra:+ with ${extra[*]}} (about 1 minute)"
	remove_tree "$dir.tmp"
	trap 'remove_tree "$dir.tmp"' EXIT
	mkdir -p "$dir.tmp"
	make_tree "$dir.tmp/tree"
	pack_tree "$dir.tmp/tree" "$dir.tmp/out"
	remove_tree "$dir.tmp/tree"
	rm -rf "$dir"
	mv "$dir.tmp/out" "$dir"
	rmdir "$dir.tmp"
	step "guest image ready: $(du -sh "$dir" | cut -f1)"
}

if [ ! -e "$dir/root.ext4" ]; then
	take_lock "guest-$key"
	[ -e "$dir/root.ext4" ] || make_image
fi
echo "$dir"
