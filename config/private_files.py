"""Files and folders that hold secrets, or what is known of people: for the account alone that Muster runs under."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PRIVATE_FILE", "make_private_folder", "open_private"]

#: Mode of a file: read and written by its owner.
PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, with mode 0700. One that is there stays as it is.

    Raises:
        OSError: it cannot be made, or is a file.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)


def open_private(path: Path, flags: int) -> int:
    """Open a file that is made with mode 0600 where it is missing; returns the descriptor. Raises OSError."""
    return os.open(path, flags | os.O_CREAT, PRIVATE_FILE)
