# SPDX-License-Identifier: GPL-2.0-or-later
# What idle cores, queue pairs and functions take: resident memory of a process
# with many of them. SIZES_MIB is the bound of the whole process.

SIZES_MIB ?= 128

$(call program,core_sizes,opt,sizes/sizes.c,)

sizes: $(out)/opt/core_sizes
	@$< $(SIZES_MIB)

.PHONY: sizes
