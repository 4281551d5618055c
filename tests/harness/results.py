"""What the fault suite found, as data and as a table: `python -m tests.harness.results` prints it.

`tests/chaos/results.json` is a list of `{fault, injected, lost, duplicated, in_doubt, recovery_s, bound,
met}`, one a fault, the latest run of each. `bound` says how much of each column is allowed. Exit code 1: a
bound was not met.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.harness.account import Account

__all__ = ["RESULTS", "Bound", "Result", "load", "record", "table"]

RESULTS = Path(__file__).resolve().parents[1] / "chaos" / "results.json"


@dataclass(frozen=True)
class Bound:
    """The most that is allowed. A recovery time of None was not measured, or has no bound."""

    lost: int = 0
    duplicated: int = 0
    in_doubt: int = 0
    recovery_s: float | None = None


@dataclass(frozen=True)
class Result:
    """One fault, and what it did."""

    fault: str
    injected: int
    """How many times."""
    lost: int
    duplicated: int
    in_doubt: int
    recovery_s: float | None
    """Seconds from the last fault until work went on."""
    bound: Bound
    met: bool

    @classmethod
    def of(
        cls, fault: str, injected: int, account: Account, bound: Bound, *, recovery_s: float | None = None
    ) -> Self:
        """Compare an account with its bound; what `Account.faults` tells beside it must be nothing."""
        faults = account.faults(duplicated=bound.duplicated, in_doubt=bound.in_doubt)
        late = bound.recovery_s is not None and (recovery_s is None or recovery_s > bound.recovery_s)
        return cls(
            fault=fault,
            injected=injected,
            lost=account.lost,
            duplicated=account.duplicated,
            in_doubt=len(account.in_doubt),
            recovery_s=None if recovery_s is None else round(recovery_s, 2),
            bound=bound,
            met=not faults and not late,
        )


def load(path: Path = RESULTS) -> list[Result]:
    """The recorded results, in the order they were first recorded."""
    if not path.exists():
        return []
    return [Result(**{**row, "bound": Bound(**row["bound"])}) for row in json.loads(path.read_text())]


def record(result: Result, path: Path = RESULTS) -> None:
    """Put in a result, in place of an earlier one of the same fault. One writer at a time."""
    results = {known.fault: known for known in load(path)} | {result.fault: result}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps([asdict(known) for known in results.values()], indent=2) + "\n")
    os.replace(fresh, path)  # noqa: PTH105 - says that it is atomic


def table(results: Sequence[Result]) -> Table:
    """For a terminal: every figure beside what is allowed."""
    drawn = Table(title="Faults injected, and what they did")
    drawn.add_column("fault")
    for name in ("injected", "lost", "duplicated", "in doubt", "recovery s", "met"):
        drawn.add_column(name, justify="right")
    for result in results:
        drawn.add_row(
            result.fault,
            str(result.injected),
            *(
                _beside(getattr(result, name), getattr(result.bound, name))
                for name in ("lost", "duplicated", "in_doubt", "recovery_s")
            ),
            "[green]yes" if result.met else "[bold red]NO",
        )
    return drawn


def _beside(value: float | None, bound: float | None) -> str:
    measured = "-" if value is None else f"{value:g}"
    return measured if not bound else f"{measured} ≤ {bound:g}"


def main() -> int:
    """Print what is recorded; 1 when a bound was not met or nothing is recorded."""
    results = load()
    Console().print(table(results) if results else "no faults were injected yet: make chaos")
    return 0 if results and all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
