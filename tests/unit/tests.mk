# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of the core, one program for each subject, and one for the worlds that
# simulations stand on (tests/lib). Those of threads are built with the thread sanitizer,
# and optimised: their races need real speed. Half a minute of simulated contest is
# optimised only: what of the core runs there has tests with the address sanitizer, too.

unit_names := $(patsubst unit/test_%.c,%,$(wildcard unit/test_*.c))
unit_races := $(filter threads accel_threads,$(unit_names))
unit_long  := $(filter enforce_world,$(unit_names))
unit_asan  := $(filter-out $(unit_races) $(unit_long),$(unit_names))
unit_run   := $(unit_asan:%=$(out)/asan/unit_%) $(unit_races:%=$(out)/tsan/unit_%) \
              $(unit_races:%=$(out)/opt/unit_%) $(unit_long:%=$(out)/opt/unit_%)

# Where memory is refused.
libs_quota := $(foreach f,calloc malloc realloc aligned_alloc,-Wl,--wrap=$(f))

# The checksum is held against captured frames, too.
libs_icrc             := -lpcap
# Confidence intervals.
libs_net_link         := -lm
cflags_unit/test_icrc := -DGOLDEN_DIR='"$(abspath golden)"'

# Doorbells are rung from several threads.
libs_accel_context := -lpthread

# A ring has two ends.
libs_ring := -lpthread

# The states of a suspension are held against their picture.
cflags_unit/test_suspension := -DMANUAL='"$(abspath ../Documentation/prm/faults.rst)"'

# The states of a flow, too.
cflags_unit/test_flow_estimate := -DMANUAL='"$(abspath ../Documentation/prm/enforcement.rst)"'

$(foreach n,$(unit_asan),$(call program,unit_$(n),asan,unit/test_$(n).c,-lcmocka $(libs_$(n))))
$(foreach n,$(unit_races),$(foreach v,tsan opt,$(call program,unit_$(n),$(v),unit/test_$(n).c,-lcmocka -lpthread)))
$(foreach n,$(unit_long),$(call program,unit_$(n),opt,unit/test_$(n).c,-lcmocka))

unit: $(unit_run)
	$(call run_all,$(unit_run))

.PHONY: unit
