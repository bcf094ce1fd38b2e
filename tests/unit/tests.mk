# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests: one program for each file of the core, and one under the thread
# sanitizer for what other threads may call.

unit_names := $(patsubst unit/test_%.c,%,$(wildcard unit/test_*.c))
unit_tsan  := $(filter doorbell_threads,$(unit_names))
unit_asan  := $(filter-out $(unit_tsan),$(unit_names))
unit_run   := $(unit_asan:%=$(out)/asan/unit_%) $(unit_tsan:%=$(out)/tsan/unit_%)

$(foreach n,$(unit_asan),$(call program,unit_$(n),asan,unit/test_$(n).c,-lcmocka))
$(foreach n,$(unit_tsan),$(call program,unit_$(n),tsan,unit/test_$(n).c,-lcmocka -lpthread))

unit: $(unit_run)
	$(call run_all,$(unit_run))

.PHONY: unit
