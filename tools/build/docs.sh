#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Documentation/ as HTML, by Sphinx in the build root; a warning is an error.

. "$(dirname "$0")/lib.sh"

step "building the documentation"
logged docs "$SVAN_TOP/tools/build/in-root" sphinx-build -W --keep-going -b html \
	-d "$SVAN_BUILD/docs/.doctrees" "$SVAN_TOP/Documentation" "$SVAN_BUILD/docs"
echo "$SVAN_BUILD/docs/index.html"
