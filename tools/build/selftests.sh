#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The programs of tests/selftests, tools/experiment and tools/peer, built in the build
# root against the libraries of the guest's suite: build/selftests/, build/experiment/
# and build/peer/. Their Makefiles are given
#
#   OUT        where programs go
#   INCLUDE    include/ of this checkout
#   PROVIDER   build/provider, for the direct verbs
#   KSELFTEST  the folder of kselftest_harness.h, of the guest's kernel
#
# Also build/pyverbs/dmabuf_alloc.so, for rdma-core's own tests.

. "$(dirname "$0")/lib.sh"

"$SVAN_TOP/tools/build/sources.sh" linux-tools
step "building the selftests"

# programs NAME FOLDER: build/NAME from FOLDER
programs() {
	mkdir -p "$SVAN_BUILD/$1"
	logged "$1" "$SVAN_TOP/tools/build/in-root" make -C "$SVAN_TOP/$2" \
		-j "$SVAN_JOBS" OUT="$SVAN_BUILD/$1" INCLUDE="$SVAN_TOP/include" \
		PROVIDER="$SVAN_BUILD/provider" \
		KSELFTEST="$SVAN_BUILD/linux/tools/testing/selftests" all
	grep -E 'warning:' "$SVAN_LOGS/$1.log" >&2 || true
}

# allocator: rdma-core's own, which its tests of dma-buf take memory from, for one more
# driver.
allocator() {
	local obj=$SVAN_BUILD/pyverbs-obj out=$SVAN_BUILD/pyverbs
	mkdir -p "$obj" "$out"
	cp "$SVAN_BUILD/rdma-core/pyverbs"/dmabuf_alloc.[ch] "$obj/"
	logged pyverbs-patch "$SVAN_TOP/tools/build/in-root" patch -p2 -d "$obj" \
		-i "$SVAN_TOP/tests/verbs/dmabuf_alloc.patch"
	logged pyverbs "$SVAN_TOP/tools/build/in-root" gcc -O2 -Wall -fPIC -shared \
		-I "$SVAN_TOP/include/uapi" -I /usr/include/drm \
		-o "$out/dmabuf_alloc.so" "$obj/dmabuf_alloc.c"
}

allocator
programs selftests tests/selftests
programs experiment tools/experiment
programs peer tools/peer
