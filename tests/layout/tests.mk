# SPDX-License-Identifier: GPL-2.0-or-later
# The same program with gcc and clang. For 32 bits, where 64-bit members are
# aligned differently, it is compiled for its asserts; that needs no 32-bit libc
# but for one empty header.

layout_libc := /usr/include/$(shell gcc -print-multiarch)

layout_run := $(patsubst %,$(out)/layout/%,gcc clang)
layout_m32 := $(patsubst %,$(out)/layout/%-m32,gcc clang)
layout_in  := layout/test_layout.c $(wildcard $(top)/include/svan/*.h)
layout_cc   = $(firstword $(subst -, ,$*)) -std=gnu11 -Wall -Wextra -Werror \
              -DVARIANT='"$*"' -I$(top)/include $<

$(layout_run): $(out)/layout/%: $(layout_in)
	@mkdir -p $(@D)
	@$(layout_cc) -o $@

$(layout_m32): $(out)/layout/%-m32: $(layout_in)
	@mkdir -p $(@D)/m32/gnu && touch $(@D)/m32/gnu/stubs-32.h
	@$(layout_cc) -m32 -I$(@D)/m32 -idirafter $(layout_libc) -fsyntax-only && touch $@

layout: $(layout_run) $(layout_m32)
	$(call run_all,$(layout_run))
	@n=0; echo 1..$(words $(layout_m32)); for c in $(notdir $(layout_m32)); do \
		n=$$((n + 1)); echo "ok $$n - $$c compiles"; done

.PHONY: layout
