# SPDX-License-Identifier: GPL-2.0-or-later
# Cheats against enforcement in virtual time: what each of them gains, and what others lose. It
# is no test; the short one is in unit/test_enforce_world.c. tools/experiment/congestion makes a
# page of the results.

$(call program,cheats_world,opt,cheats/cheats.c,)

cheats-program: $(out)/opt/cheats_world

.PHONY: cheats-program
