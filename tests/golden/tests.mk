# SPDX-License-Identifier: GPL-2.0-or-later
# Frames captured from another implementation.

$(call program,golden_frames,asan,golden/test_golden.c,-lcmocka -lpcap)
cflags_golden/test_golden := -DGOLDEN_DIR='"$(abspath golden)"'

golden: $(out)/asan/golden_frames
	$(call run_all,$<)

.PHONY: golden
