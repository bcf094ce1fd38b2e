# SPDX-License-Identifier: GPL-2.0-or-later
# What the device core costs by itself, without QEMU and guest.

$(call program,core_bench,opt,bench/bench_core.c,)

bench-core: $(out)/opt/core_bench
	@$<

.PHONY: bench-core
