# SPDX-License-Identifier: GPL-2.0-or-later
# The only front door; every target calls a script. `make help` lists them.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

.PHONY: help
