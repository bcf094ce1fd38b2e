# SPDX-License-Identifier: GPL-2.0-or-later
# DCQCN in virtual time, in the core and as an independent reference; tests/dcqcn/check-dcqcn
# runs both.

$(call program,dcqcn_world,opt,dcqcn/dcqcn_world.c,)
$(call program,dcqcn_reference,opt,dcqcn/reference.c,-lm)

dcqcn-programs: $(out)/opt/dcqcn_world $(out)/opt/dcqcn_reference

check-dcqcn: dcqcn-programs
	@dcqcn/check-dcqcn $(abspath $(top)/build/dcqcn) $(out)/opt/dcqcn_world \
		$(out)/opt/dcqcn_reference

.PHONY: dcqcn-programs check-dcqcn
