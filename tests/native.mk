# SPDX-License-Identifier: GPL-2.0-or-later
# How tests that run on the host are built: the device core, and the switch, as a library
# in several variants, and programs around it. Every folder with a tests.mk takes
# part; it calls
#
#   $(call program,NAME,VARIANT,SOURCES,LIBRARIES)
#
# with sources relative to tests/, and defines a target that runs the result,
# $(out)/VARIANT/NAME. Variants:
#
#   asan   gcc, address and undefined-behaviour sanitizers
#   tsan   gcc, thread sanitizer
#   opt    gcc -O2, as the device is built
#   fuzz   clang, libFuzzer with address and undefined-behaviour sanitizers

top  := ..
core := $(top)/qemu-hw/core
out  := $(top)/build/tests

accel := $(top)/qemu-hw/accel/core
wire  := $(top)/qemu-hw/wire
switch := $(top)/tools/switch
fabric := $(top)/tools/fabric

core_sources := $(wildcard $(core)/*/*.c) $(wildcard $(accel)/*.c) $(wildcard $(wire)/*.c) \
                $(filter-out $(switch)/main.c,$(wildcard $(switch)/*.c $(switch)/*/*.c)) \
                $(filter-out $(fabric)/main.c,$(wildcard $(fabric)/*.c))
lib_sources  := $(wildcard lib/*.c)
core_libs    := -ldeflate

cc_asan     := gcc
flags_asan  := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
cc_tsan     := gcc
flags_tsan  := -O1 -fsanitize=thread -Wno-tsan
cc_opt      := gcc
flags_opt   := -O2
cc_fuzz     := clang
flags_fuzz  := -O1 -fsanitize=fuzzer-no-link,address,undefined \
               -fno-sanitize-recover=all
link_fuzz   := -fsanitize=fuzzer

# What was compiled before, in another clone too, is not compiled again where there is ccache. The
# build root's is of another version and has a cache, and settings, of its own: so these are those
# of single commands.
cache  := $(or $(SVAN_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/svan)/ccache-host
ccache := $(if $(shell command -v ccache),CCACHE_DIR=$(cache) CCACHE_MAXSIZE=2G \
            CCACHE_BASEDIR=$(abspath $(top)) CCACHE_NOHASHDIR=1 ccache)

# Callbacks that share a signature do not all need all of it.
cflags := -std=gnu11 -g -Wall -Wextra -Werror -Wno-unused-parameter \
          -I$(top)/include -I$(core) -I$(accel) -I$(top)/qemu-hw -I$(switch) -I$(fabric) -Ilib -MMD -MP

# A failure found later should not be a hang or a silent one.
export ASAN_OPTIONS := abort_on_error=0:detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS := print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS := halt_on_error=1

# $(call objects,VARIANT,SOURCES)
objects = $(patsubst $(core)/%.c,$(out)/$(1)/core/%.o,$(filter $(core)/%,$(2))) \
          $(patsubst $(accel)/%.c,$(out)/$(1)/accel/%.o,$(filter $(accel)/%,$(2))) \
          $(patsubst $(wire)/%.c,$(out)/$(1)/wire/%.o,$(filter $(wire)/%,$(2))) \
          $(patsubst $(switch)/%.c,$(out)/$(1)/switch/%.o,$(filter $(switch)/%,$(2))) \
          $(patsubst $(fabric)/%.c,$(out)/$(1)/fabric/%.o,$(filter $(fabric)/%,$(2))) \
          $(patsubst %.c,$(out)/$(1)/%.o, \
              $(filter-out $(core)/% $(accel)/% $(wire)/% $(switch)/% $(fabric)/%,$(2)))

define variant
$(out)/$(1)/core/%.o: $(core)/%.c
	@mkdir -p $$(@D)
	@$(ccache) $(cc_$(1)) $(cflags) $(flags_$(1)) $$(cflags_$$*) -c $$< -o $$@

$(out)/$(1)/accel/%.o: $(accel)/%.c
	@mkdir -p $$(@D)
	@$(ccache) $(cc_$(1)) $(cflags) $(flags_$(1)) $$(cflags_$$*) -c $$< -o $$@

$(out)/$(1)/wire/%.o: $(wire)/%.c
	@mkdir -p $$(@D)
	@$(ccache) $(cc_$(1)) $(cflags) $(flags_$(1)) $$(cflags_$$*) -c $$< -o $$@

$(out)/$(1)/switch/%.o: $(switch)/%.c
	@mkdir -p $$(@D)
	@$(ccache) $(cc_$(1)) -D_GNU_SOURCE $(cflags) $(flags_$(1)) $$(cflags_$$*) -c $$< -o $$@

$(out)/$(1)/fabric/%.o: $(fabric)/%.c
	@mkdir -p $$(@D)
	@$(ccache) $(cc_$(1)) -D_GNU_SOURCE $(cflags) $(flags_$(1)) $$(cflags_$$*) -c $$< -o $$@

$(out)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@$(ccache) $(cc_$(1)) $(cflags) $(flags_$(1)) $$(cflags_$$*) -c $$< -o $$@

$(out)/$(1)/libcore.a: $(call objects,$(1),$(core_sources) $(lib_sources))
	@rm -f $$@ && ar rcsP $$@ $$^

-include $(patsubst %.o,%.d,$(call objects,$(1),$(core_sources) $(lib_sources)))
endef

$(foreach v,asan tsan opt fuzz,$(eval $(call variant,$(v))))

define program_rule
$(out)/$(2)/$(1): $(call objects,$(2),$(3)) $(out)/$(2)/libcore.a
	@$(cc_$(2)) $(flags_$(2)) $(link_$(2)) $$^ -o $$@ $(4) $(core_libs)

-include $(patsubst %.o,%.d,$(call objects,$(2),$(3)))
endef

program = $(eval $(program_rule))

# $(call run_all,PROGRAMS): one after the other, all of them.
define run_all
@failed=0; for p in $(1); do $$p || failed=1; done; exit $$failed
endef

include $(wildcard */tests.mk)
