"""The command line: one module a noun, every one of them a thin skin over the engine's services.

It lives in `actors`, the top layer, because it is what starts processes: the API, workers, the scheduler, and
all of them in one. Nothing is decided here; what a command prints is what a service answered.

Exit codes: 0 done; 1 understood, and refused or failed; 2 not understood (usage, configuration, the form of
an input); 3 a service cannot be reached, or the database lacks migrations.
"""

from __future__ import annotations

import gc

__all__ = ["main"]

#: So many new objects before Python looks for circular garbage. Its default of 700 makes it look hundreds of times
#: while modules are loaded, which make none: a sixth of a short command's time. Processes choose for themselves
#: (`actors.services.run`).
_NEW_OBJECTS = 1_000_000


def main() -> None:
    """Run `muster` and leave with its exit code."""
    gc.set_threshold(_NEW_OBJECTS)
    from actors.cli.app import run

    run()
