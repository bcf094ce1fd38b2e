#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# image-hook.sh TREE: mmdebstrap's last step for the guest's tree, run by image.sh:
# the kernel and its modules, the initramfs, the tests of pyverbs; what a guest
# does not need goes.

. "$(dirname "$0")/../build/lib.sh"
. "$SVAN_TOP/tools/build/apt.sh"

tree=$1
modules=$tree/usr/lib/modules/$GUEST_RELEASE
out=$tree/.out

# Folders of the kernel that only real hardware needs.
prune=(sound net/{bluetooth,mac80211,wireless,nfc,can,ceph}
       drivers/{accessibility,ata,auxdisplay,bluetooth,comedi,firewire,hid,hwmon,iio}
       drivers/{input,isdn,leds,media,memstick,mfd,mmc,mtd,parport,pcmcia,platform,power}
       drivers/{staging,thunderbolt,usb,w1}
       drivers/net/{can,dsa,fddi,hamradio,phy,plip,ppp,usb,wireless,wwan}
       drivers/scsi/{aic7xxx,bfa,fnic,lpfc,megaraid,mpt3sas,qla2xxx,qla4xxx,qedf,qedi})

# Of the graphics drivers, what the accelerator's driver is built upon.
keep_gpu=(drm drm_kms_helper drm_shmem_helper)

# What mounting the root takes.
root_modules=(virtio_blk crc32c_generic ext4 overlay)

# The kernel's package is unpacked, not installed: its scripts would want an
# initramfs generator. Its modules are stored as they are and without signatures:
# to unpack and to check them takes an emulated CPU long.
unpack_kernel() {
	local tmp=$tree/.kernel
	mkdir "$tmp"
	(cd "$tmp" && apt-get "${APT_OPTIONS[@]}" -q download "linux-image-$GUEST_RELEASE" &&
		dpkg-deb -x linux-image-*.deb .)
	mv "$tmp"/{,usr/}lib/modules 2>/dev/null || true
	mkdir -p "${modules%/*}"
	mv "$tmp/usr/lib/modules/$GUEST_RELEASE" "$modules"
	"$PYTHON" "$SVAN_TOP/tools/guest/unpack-kernel" \
		"$tmp/boot/vmlinuz-$GUEST_RELEASE" "$out/vmlinux"
	rm -rf "$tmp"
	(cd "$modules/kernel" && rm -rf "${prune[@]}" && prune_gpu)
	find "$modules" -name '*.ko.xz' -print0 | xargs -0 -r -P "$SVAN_JOBS" -n 64 xz -d
	find "$modules" -name '*.ko' -print0 |
		xargs -0 -r "$PYTHON" "$SVAN_TOP/tools/guest/unsign-modules"
	chroot "$tree" depmod "$GUEST_RELEASE"
}

prune_gpu() {
	local kept=() name
	for name in "${keep_gpu[@]}"; do kept+=(! -name "$name.ko*"); done
	find drivers/gpu -type f "${kept[@]}" -delete
	find drivers/gpu -type d -empty -delete
}

# modules_of NAME...: their files and those they depend on, in the order of loading.
modules_of() {
	printf '%s\n' "$@" | awk '
		NR == FNR {
			split($0, part, ":"); name = part[1]
			sub(".*/", "", name); sub("\\.ko$", "", name); gsub("-", "_", name)
			line[name] = part[1] part[2]
			next
		}
		{
			for (i = split(line[$1], file, " "); i >= 1; i--)
				if (!seen[file[i]]++)
					print file[i]
		}' "$modules/modules.dep" -
}

make_initramfs() {
	local base=$tree/.initramfs n=0 file
	mkdir -p "$base"/{bin,"modules/$GUEST_RELEASE",dev,proc,sys,lower,upper,root}
	cp "$tree/usr/bin/busybox" "$base/bin/busybox"
	ln -s busybox "$base/bin/sh"
	for file in $(modules_of "${root_modules[@]}"); do
		n=$((n + 1))
		cp "$modules/$file" \
			"$base/modules/$GUEST_RELEASE/$(printf '%02d' $n)-${file##*/}"
	done
	(cd "$base" && find . | sort | cpio -o -H newc --quiet -R 0:0) >"$out/initramfs.cpio"
	rm -rf "$base"
}

# They come as documentation, partly compressed.
unpack_pyverbs_tests() {
	local tests=usr/share/doc/rdma-core/tests
	gunzip "$tree/$tests"/*.gz
	chroot "$tree" python3 -m compileall -q "/$tests"
}

trim_tree() {
	rm -rf "$tree"/usr/lib/udev/hwdb.* "$tree"/usr/lib/x86_64-linux-gnu/gconv
	rm -rf "$tree"/usr/share/{bug,doc-base,lintian} "$tree"/var/cache/apt/*
	rm -f "$tree/etc/resolv.conf"
	echo svan >"$tree/etc/hostname"
	printf '127.0.0.1 localhost svan\n::1 localhost\n' >"$tree/etc/hosts"
	mkdir -p "$tree/mnt/share"
}

apt_configure
mkdir -p "$out"
unpack_kernel
make_initramfs
unpack_pyverbs_tests
trim_tree
