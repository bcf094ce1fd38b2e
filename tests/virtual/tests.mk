# SPDX-License-Identifier: GPL-2.0-or-later
# Page faults in virtual time: what the modes cost, compared. It is no test; the
# short one under sanitizers is. VIRTUAL_CSV=file takes the results.

virtual_src := $(wildcard virtual/*.c)
VIRTUAL_CSV ?= $(top)/build/experiments/faults/virtual.csv

$(call program,virtual_time,asan,$(virtual_src),-lm)
$(call program,virtual_time,opt,$(virtual_src),-lm)

experiment-virtual: $(out)/opt/virtual_time
	@mkdir -p $(dir $(VIRTUAL_CSV))
	$< >$(VIRTUAL_CSV)

virtual-quick: $(out)/asan/virtual_time
	$< quick >/dev/null

.PHONY: experiment-virtual virtual-quick
