# SPDX-License-Identifier: GPL-2.0-or-later
# Cheats against enforcement in virtual time: what each of them gains, and what others lose, which
# takes four minutes; the short test is unit/test_enforce_world.c. tools/experiment/congestion
# makes a page of the results.

$(call program,cheats_world,opt,cheats/cheats.c,)

cheats-program: $(out)/opt/cheats_world

cheats: cheats-program
	@$(out)/opt/cheats_world 2000 >$(out)/cheats.csv
	@/usr/bin/python3 -B $(top)/tools/experiment/cheats.py $(out)/cheats.csv

.PHONY: cheats-program cheats
