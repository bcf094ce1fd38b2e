# SPDX-License-Identifier: GPL-2.0-or-later
# What the device core costs by itself, without QEMU and guest.

$(call program,core_bench,opt,bench/bench_core.c,)
$(call program,wire_bench,opt,bench/bench_wire.c,)

bench-core: $(out)/opt/core_bench $(out)/opt/wire_bench
	@$(out)/opt/core_bench
	@$(out)/opt/wire_bench

.PHONY: bench-core
