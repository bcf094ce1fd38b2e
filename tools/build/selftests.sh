#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The programs of tests/selftests, built in the build root against the libraries
# of the guest's suite: build/selftests/. Their Makefile is given
#
#   OUT        where programs go
#   INCLUDE    include/ of this checkout
#   PROVIDER   build/provider, for the direct verbs
#   KSELFTEST  the folder of kselftest_harness.h, of the guest's kernel

. "$(dirname "$0")/lib.sh"

"$SVAN_TOP/tools/build/sources.sh" linux-tools
step "building the selftests"
mkdir -p "$SVAN_BUILD/selftests"
logged selftests "$SVAN_TOP/tools/build/in-root" make -C "$SVAN_TOP/tests/selftests" \
	-j "$SVAN_JOBS" OUT="$SVAN_BUILD/selftests" INCLUDE="$SVAN_TOP/include" \
	PROVIDER="$SVAN_BUILD/provider" \
	KSELFTEST="$SVAN_BUILD/linux/tools/testing/selftests" all
grep -E 'warning:' "$SVAN_LOGS/selftests.log" >&2 || true
