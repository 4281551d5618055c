"""The life cycles as diagrams (Mermaid): `docs/life-cycles.md` is written by `python -m state.diagrams`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from state.transitions import MACHINES

if TYPE_CHECKING:
    from state.transitions import Machine

__all__ = ["page"]

_HEAD = """# Life cycles

Every status and every allowed move, drawn from the tables of `state/transitions.py` (`make diagrams`). A move that is
not drawn is refused by the `UPDATE` that would make it ([states](contract/states.md)).
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_section(machine) for machine in MACHINES)


def _section(machine: Machine) -> str:
    lines = [
        f"    {source} --> {target}"
        for source, targets in machine.moves.items()
        for target in sorted(targets)
    ]
    lines += [f"    {state} --> [*]" for state in machine.moves if machine.is_final(state)]
    first = next(iter(machine.moves))
    title = machine.entity.replace("_", " ").capitalize()
    drawn = "\n".join(["stateDiagram-v2", f"    [*] --> {first}", *lines])
    return f"\n## {title}\n\n```mermaid\n{drawn}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(page())
