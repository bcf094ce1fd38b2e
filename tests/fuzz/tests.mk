# SPDX-License-Identifier: GPL-2.0-or-later
# libFuzzer targets. `fuzz-short` runs each a fixed number of times from a fixed
# seed, `fuzz` for FUZZ_SECONDS each, with a corpus that is kept and a seed of its
# own. What makes one fail is written to build/tests/fuzz/ as NAME-crash-...; to
# replay it, run the program with that file.

fuzz_names := $(patsubst fuzz/%.c,%,$(wildcard fuzz/fuzz_*.c))
fuzz_runs  ?= 2600
fuzz_seed  ?= 1

$(foreach n,$(fuzz_names),$(call program,$(n),fuzz,fuzz/$(n).c))

fuzz-short: $(fuzz_names:%=$(out)/fuzz/%)
	@fuzz/run-fuzzers --runs $(fuzz_runs) --seed $(fuzz_seed) $^

fuzz: $(fuzz_names:%=$(out)/fuzz/%)
	@fuzz/run-fuzzers --seconds $(or $(FUZZ_SECONDS),60) $^

.PHONY: fuzz fuzz-short
