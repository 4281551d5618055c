"""Distributions with channels of their own, as if they were installed beside this one."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.channels import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["PIGEON", "installing"]

#: A module with a channel that can be used.
PIGEON = """
from engine.channels.null import NullChannel, NullSettings

class PigeonSettings(NullSettings):
    loft: str = "north"
    '''Where it flies from.'''

class Pigeon(NullChannel):
    kind = "pigeon"
    Settings = PigeonSettings
"""


@contextmanager
def installing(folder: Path) -> Iterator[Callable[..., None]]:
    """Gives a function that installs a distribution into `folder`, until the block ends.

    It takes the distribution's name, its module's text, and its entry points as kind and class.
    """
    modules = []

    def put(name: str, text: str, **points: str) -> None:
        (folder / f"{name}.py").write_text(text)
        about = folder / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{kind} = {name}:{attribute}\n" for kind, attribute in points.items())
        (about / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{lines}")
        modules.append(name)
        _forget()

    sys.path.insert(0, str(folder))
    try:
        yield put
    finally:
        sys.path.remove(str(folder))
        for name in modules:
            sys.modules.pop(name, None)
        _forget()


def _forget() -> None:
    registry._loaded.cache_clear()
    registry._class_of.cache_clear()
