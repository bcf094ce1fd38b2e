# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# A guest under KVM on any machine: the kernel that offers KVM runs in an outer guest,
# under TCG, whose CPU the inner guest runs on. lib.sh of tools/build is there already.

guest=$SVAN_TOP/tools/guest
outer_packages='libglib2.0-0t64 libslirp0 libfdt1 libdeflate0'

# stage FOLDER: what the outer guest is handed there. The image of the inner guest is the
# outer one's second disk; its path is left in image.
stage() {
	local out=$1 root kernel initramfs dir lock
	mkdir -p "${out%/*}"
	exec {lock}>"$out.lock"
	flock -n "$lock" || die "another run uses ${out#"$SVAN_TOP/"}"
	root=$(readlink -f "$SVAN_BUILD/root")
	rm -rf "$out"
	mkdir -p "$out/firmware" "$out/logs"
	read -r _ kernel initramfs image < <(env -u QEMU_ARGS NAME=kvm-inner "$guest/boot" pack)
	[ -n "$image" ] || die "the inner guest could not be packed"
	cp "$kernel" "$out/vmlinux"
	cp "$initramfs" "$out/initramfs.cpio"
	cp "$guest/launch.py" "$SVAN_BUILD/qemu/qemu-system-x86_64" "$out/"
	for dir in share/qemu share/seabios lib/ipxe/qemu; do
		[ ! -d "$root/usr/$dir" ] || cp -rL "$root/usr/$dir/." "$out/firmware/"
	done
	cat >"$out/qemu" <<-'END'
		#!/bin/sh
		exec /mnt/share/qemu-system-x86_64 -L /mnt/share/firmware "$@"
	END
	chmod +x "$out/qemu"
}

# outer_guest FOLDER SECONDS COMMAND: with KVM, where /mnt/share/inner starts the inner
# guest as tools/guest/boot would, on two CPUs. Variables for the guests are the caller's
# to unset. One CPU: with two, the emulation of SVM takes interrupts where the outer kernel
# has them off, and that ends it sooner or later. QEMU's ELF interpreter is the build
# root's: in the outer guest that is its own.
outer_guest() {
	local out=$1 limit=$2 root status=0
	root=$(readlink -f "$SVAN_BUILD/root")
	cat >"$out/inner" <<-'END'
		#!/bin/sh
		rm -rf /run/inner
		mkdir -p /run/inner
		status=0
		CPU=host python3 -B /mnt/share/launch.py --qemu /mnt/share/qemu --accel kvm \
			--run /run/inner --kernel /mnt/share/vmlinux \
			--initrd /mnt/share/initramfs.cpio --image /dev/vdb run || status=$?
		cp /run/inner/*.log /mnt/share/logs/
		exit $status
	END
	chmod +x "$out/inner"
	env SMP=1 CPU=max,-pku,-la57 MEM=6G ACCEL=tcg PACKAGES="$outer_packages" SHARE="$out" \
		TIMEOUT=$((limit + 120)) CMD="modprobe kvm_amd || exit
			mkdir -p '$root/usr/lib64'
			ln -s /lib64/ld-linux-x86-64.so.2 '$root/usr/lib64/'
			$3" \
		QEMU_ARGS="-drive if=none,id=inner,format=raw,readonly=on,file=$image
			-device virtio-blk-pci,drive=inner,addr=5 ${OUTER_ARGS:-}" \
		"$guest/boot" || status=$?
	rm -f "$out"/{vmlinux,initramfs.cpio,qemu-system-x86_64}
	return $status
}
