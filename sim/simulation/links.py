# SPDX-License-Identifier: Apache-2.0
"""Plain names for files and folders whose paths may have any character.

Perl, make, shells and lists in variables split a path at a blank, a quote, ``$``, ``;`` and more. Such a tool
runs in one folder and is only given names relative to it, which are links there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: A file name that no tool splits or mistakes for an option.
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Links:
    """Links in ``folder``, where the tool runs. The names are the same in every run, as make requires."""

    folder: Path

    def to(self, name: str, target: Path) -> str:
        """Link ``name`` to a file or folder; return ``name``."""
        assert PLAIN.fullmatch(name), name
        link = self.folder / name
        if not link.is_symlink() or link.readlink() != target:
            if link.is_dir() and not link.is_symlink():  # the folder was copied with links followed
                shutil.rmtree(link)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        return name

    def files(self, name: str, paths: Iterable[Path]) -> list[str]:
        """Return names of files, through links to their folders. Each link's name begins with ``name``."""
        links: dict[Path, str] = {}  # folder -> its link
        names = []
        for path in paths:
            if PLAIN.fullmatch(path.name):
                link = links.setdefault(path.parent, f"{name}{len(links) or ''}")
                names.append(f"{self.to(link, path.parent)}/{path.name}")
            else:
                names.append(self.to(f"{name}-file{len(names)}{path.suffix}", path))
        return names
