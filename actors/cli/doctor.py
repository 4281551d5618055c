"""`muster doctor`: whether everything that Muster needs is there, and what to do about what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.failure import Exit
from actors.cli.output import Json, emit, table

if TYPE_CHECKING:
    from engine.insight.checks import Check

__all__ = ["doctor", "report"]

_MARK = {True: "[green]ok[/]", False: "[red]wrong[/]", None: "[yellow]look[/]"}


def doctor(
    *,
    domain: Annotated[
        str | None, typer.Option(help="Check a domain that mail comes from instead: SPF, DKIM, DMARC, TLS.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option(help="With --domain: the DKIM selector; absent: that of the channel.")
    ] = None,
    dns_server: Annotated[
        list[str] | None, typer.Option(help="With --domain: whom to ask, ADDRESS or ADDRESS:PORT.")
    ] = None,
    org: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Ask the channels of one organization only. [default: of all]"),
    ] = None,
    monitoring: Annotated[
        bool,
        typer.Option(
            "--monitoring", help="One line, and exit codes of monitoring plug-ins: 0 ok, 1 look, 2 wrong."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check Python, settings, data folder, disk, clock, database, migrations, processes, channels, broker; or a domain.

    Nothing is written. Exit code 1 when something is wrong.
    """
    from actors.cli.checks import run_checks
    from actors.cli.domain_checks import run_domain_checks

    checks = list(
        run_checks(org) if domain is None else run_domain_checks(domain, selector, dns_server or [])
    )
    if monitoring:
        raise typer.Exit(_monitored(checks))
    report(checks, as_json)


def _monitored(checks: list[Check]) -> int:
    """Print the line that a monitoring plug-in answers with; its exit code (docs/operations.md)."""
    wrong = [one for one in checks if one.ok is False]
    look = [one for one in checks if one.ok is None]
    code, word = (2, "CRITICAL") if wrong else (1, "WARNING") if look else (0, "OK")
    said = "; ".join(f"{one.name}: {one.found}" for one in (*wrong, *look)) or f"{len(checks)} checks"
    typer.echo(f"MUSTER {word} - {' '.join(said.split())}")
    return code


def report(checks: list[Check], as_json: bool) -> None:
    """Show checks, and end with exit code 1 when something is wrong."""
    wrong = [check for check in checks if check.ok is False]
    if as_json:
        emit([{"name": one.name, "ok": one.ok, "found": one.found, "remedy": one.remedy} for one in checks])
    else:
        _draw(checks)
        typer.echo(_verdict(checks))
    if wrong:
        raise typer.Exit(Exit.FAILED)


def _verdict(checks: list[Check]) -> str:
    wrong = sum(check.ok is False for check in checks)
    if wrong:
        return f"{wrong} of {len(checks)} checks failed"
    look = [check.found for check in checks if check.ok is None]
    return f"nothing is wrong, but {', '.join(look)}" if look else "everything is there"


def _draw(checks: list[Check]) -> None:
    from rich.text import Text

    table(
        ("Check", "", "Found", "What to do"),
        [(one.name, Text.from_markup(_MARK[one.ok]), one.found, one.remedy) for one in checks],
    )
