"""`python -m bench [--quick] [CASE …]`: measure, print a table, write results.json, plots and plans.

Exit code 1 when an aim was not met. With --quick, whose sizes say nothing about speed, nothing is judged or kept.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import structlog
from rich.console import Console

from bench import (
    checks,
    comparison,
    console,
    content,
    delivery,
    embedded,
    explain,
    filters,
    http,
    importing,
    smtp,
    steering,
)
from bench.conditions import conditions
from bench.results import record, table
from bench.scale import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.results import Result
    from bench.scale import Scale

CASES: dict[str, Callable[[Scale, Path], list[Result]]] = {
    "content": content.run,
    "smtp": smtp.run,
    "http": http.run,
    "embedded": embedded.run,
    "steering": steering.run,
    "checks": checks.run,
    "console": console.run,
    "import": importing.run,
    "filters": filters.run,
    "explain": explain.run,
    "peers": comparison.run,
    "delivery": delivery.run,
}


def main() -> int:
    """Run the cases that were named, or all."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"one or more of {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run of each")
    parser.add_argument("--repeats", type=int, help="runs of each delivery; the median counts")
    given = parser.parse_args()
    unknown = set(given.cases) - set(CASES)
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    scale = QUICK if given.quick else FULL
    if given.repeats:
        scale = scale.repeated(given.repeats)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    out = Console(width=120)
    for name, value in conditions().items():
        out.print(f"[dim]{name:16}[/dim] {value}", highlight=False)
    results: list[Result] = []
    for name in given.cases or CASES:
        out.print(f"\n[bold]{name}[/bold] …")
        with TemporaryDirectory(prefix="muster-bench-") as directory:
            found = CASES[name](scale, Path(directory))
        out.print(table(found, name))
        results += found
        if scale.kept:
            record(name, found, known=CASES)
    missed = [result.case for result in results if result.met is False]
    if missed:
        out.print(f"[red]not met: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
