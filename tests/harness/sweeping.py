"""A sweep whose chores all succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import sweeper

if TYPE_CHECKING:
    from actors.sweeper import Swept
    from engine.kernel.runtime import Runtime

__all__ = ["sweep"]


def sweep(runtime: Runtime) -> Swept:
    """One sweep; a chore that fails fails the test."""
    swept = sweeper.sweep(runtime)
    assert swept is not None, "another process sweeps"
    for error in swept.failures.values():
        raise error
    return swept
