# SPDX-License-Identifier: GPL-2.0-or-later
"""Sphinx configuration; `make docs` runs it."""

project = "Svan"
author = "The Svan developers"
copyright = "The Svan developers"  # pylint: disable=redefined-builtin
extensions = ["sphinx.ext.graphviz"]
exclude_patterns = []
html_theme = "alabaster"
html_theme_options = {
    "description": "An RDMA NIC without hardware",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_copy_source = False
highlight_language = "none"
graphviz_output_format = "svg"
