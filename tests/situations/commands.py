# SPDX-License-Identifier: Apache-2.0
"""Command lines that say what is legal."""

from __future__ import annotations

from tests.situations import Situation

SITUATIONS = {
    "no text at all": Situation("import-keras", "Missing argument 'MODEL'"),
}
