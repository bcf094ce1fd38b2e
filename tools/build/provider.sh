#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The libibverbs provider, built in rdma-core's tree (in the cache, configured
# once) to which tools/lib/svan is joined as providers/svan. Its CMakeLists.txt
# finds include/ of this checkout as ${SVAN_INCLUDE_DIR}; the verbs ABI header is
# rdma-core's kernel-headers/rdma/svan-abi.h, with <kernel-abi/svan-abi.h> made
# from it as for any provider.
#
#   provider.sh   build/provider/: libsvan*.so*, svan.driver; include/ and
#                 pkgconfig/ once there is a direct verbs library. build/rdma-core:
#                 rdma-core's source

. "$(dirname "$0")/lib.sh"

in_root=$SVAN_TOP/tools/build/in-root
root=$(readlink -f "$SVAN_BUILD/root")
[ -d "$root/etc/svan" ] || die "there is no build root yet: run tools/build/root.sh"

key=$(key_of rdma-1 "$RDMA_CORE_VERSION" "$root")
tree=$SVAN_CACHE/rdma-core-$key
src=$tree/src
obj=$tree/build
out=$SVAN_BUILD/provider

links() {
	printf '%s\n' "$src/providers/svan $SVAN_TOP/tools/lib/svan" \
		"$src/svan-include $SVAN_TOP/include" \
		"$src/kernel-headers/rdma/svan-abi.h $SVAN_TOP/include/uapi/rdma/svan-abi.h"
}

prepare() {
	[ ! -e "$tree/prepared" ] || return 0
	rm -rf "$tree"
	mkdir -p "$obj"
	"$SVAN_TOP/tools/build/sources.sh" unpack "$src" rdma-core "$RDMA_CORE_VERSION"
	sed -i 's|^add_subdirectory(providers/siw)|&\nadd_subdirectory(providers/svan)|' \
		"$src/CMakeLists.txt"
	sed -i 's|^  rdma/siw-abi.h|&\n  rdma/svan-abi.h|' "$src/kernel-headers/CMakeLists.txt"
	grep -q providers/svan "$src/CMakeLists.txt" || die "cannot join Svan to this rdma-core"
	: >"$tree/prepared"
}

# As for QEMU: the tree serves one checkout at a time.
join() {
	local link target moved=0
	while read -r link target; do
		[ -e "$target" ] || die "${target#"$SVAN_TOP/"} is missing"
		[ "$(readlink "$link" || true)" = "$target" ] || moved=1
	done < <(links)
	[ "$moved" = 1 ] || return 0
	if [ -e "$obj/build.ninja" ]; then
		step "turning rdma-core's tree to this checkout"
		rm -rf "$obj"/providers/svan "$obj"/lib/libsvan* "$obj"/include/*/svan*
		touch "$src/CMakeLists.txt"
	fi
	while read -r link target; do
		ln -sfn "$target" "$link"
	done < <(links)
}

configure() {
	[ ! -e "$obj/build.ninja" ] || return 0
	step "configuring rdma-core $RDMA_CORE_VERSION"
	logged provider-configure "$in_root" cmake -G Ninja -S "$src" -B "$obj" \
		-DNO_PYVERBS=1 -DNO_MAN_PAGES=1 -DENABLE_STATIC=0 \
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr \
		-DCMAKE_INSTALL_LIBDIR=lib/x86_64-linux-gnu \
		-DCMAKE_INSTALL_SYSCONFDIR=/etc \
		-DSVAN_INCLUDE_DIR="$src/svan-include"
}

collect() {
	local file new=$out.new
	rm -rf "$new"
	mkdir -p "$new"
	cp -a "$obj"/lib/libsvan*.so* "$new"
	[ -e "$new/libsvan-rdmav$RDMA_CORE_ABI.so" ] ||
		die "no libsvan-rdmav$RDMA_CORE_ABI.so was built: has the ABI number changed?"
	echo 'driver svan' >"$new/svan.driver"
	for file in "$obj"/include/infiniband/svan*.h; do
		[ -e "$file" ] || continue
		mkdir -p "$new/include/infiniband"
		cp -L "$file" "$new/include/infiniband"
	done
	for file in "$obj"/lib/pkgconfig/libsvan*.pc; do
		[ -e "$file" ] || continue
		mkdir -p "$new/pkgconfig"
		cp -L "$file" "$new/pkgconfig"
	done
	replace_files "$new" "$out"
}

take_lock "rdma-core-$key"
prepare
publish "$src" "$SVAN_BUILD/rdma-core"
join
configure
step "building the provider"
logged provider "$in_root" ninja -C "$obj" -j "$SVAN_JOBS" ibverbs providers/svan/all
grep -E 'warning:' "$SVAN_LOGS/provider.log" >&2 || true
collect
