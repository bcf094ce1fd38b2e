# SPDX-License-Identifier: GPL-2.0-or-later
# The network simulation. SVAN_SIM_COUNT=n runs more seeds, SVAN_SIM_SEED=n one.

$(call program,simulation,asan,$(wildcard sim/*.c),)
# For many seeds: build/tests/opt/simulation.
$(call program,simulation,opt,$(wildcard sim/*.c),)
# A scenario is what all have in common, and what it overrides.
cflags_sim/main := -Wno-override-init

# Cores come and go by the thousand: what is freed need not be kept for long.
sim: export ASAN_OPTIONS := $(ASAN_OPTIONS):quarantine_size_mb=16
sim: $(out)/asan/simulation
	$(call run_all,$<)

.PHONY: sim
