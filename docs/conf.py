# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx, which makes a site of these pages (``make site``)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from zynq_lstm.models.keras.quiet import import_qkeras

import_qkeras()  # once, and without its messages

project = "zynq-lstm"
author = "the zynq-lstm authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["requirements*"]
html_theme = "furo"
html_title = "zynq-lstm"

myst_heading_anchors = 3  # links such as numerics.md#sampling
suppress_warnings = ["myst.xref_missing"]  # links to files outside docs/ stay as they are

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # Keras's docstrings are not this project's
autodoc_typehints = "description"
