"""Showing ticks: a live bar at a terminal, a line now and then elsewhere, JSON lines for a script."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from actors.cli.output import console, emit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.cli.watching import Tick

__all__ = ["show", "show_bar", "show_json", "show_lines", "summary", "took"]

#: Seconds between two lines where nobody looks at a terminal: while numbers change, and while they do not.
_LINE_EVERY = 2.0
_SIGN_OF_LIFE = 30.0


def show(ticks: Iterable[Tick], *, as_json: bool = False) -> Tick:
    """Show ticks as they come, the way that suits standard output; returns the last one."""
    if as_json:
        return show_json(ticks)
    return show_bar(ticks) if console().is_terminal else show_lines(ticks)


def show_json(ticks: Iterable[Tick]) -> Tick:
    """One JSON object a tick."""
    for tick in ticks:
        emit(tick.as_json(), line=True)
    return tick


def show_lines(ticks: Iterable[Tick]) -> Tick:
    """A line whenever a status or the reason for waiting changes, every two seconds while numbers do, else one
    in a while as a sign of life.
    """
    said: tuple[object, ...] = ()
    numbers = ""
    at = 0.0
    out = console()
    for tick in ticks:
        now = time.monotonic()
        codes = tuple(one.code for one in tick.outlook.waiting)
        state, before = (tick.campaign_status, tick.job_status, tick.away, codes), numbers
        numbers = _counts(tick)
        silence = _LINE_EVERY if numbers != before else _SIGN_OF_LIFE
        if state != said or tick.over or now - at >= silence:
            out.print(_line(tick), markup=False)
            said, at = state, now
        else:
            numbers = before
    return tick


def show_bar(ticks: Iterable[Tick]) -> Tick:
    """A bar that moves, and below it the counts by status, or what everybody waits for."""
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.text import Text

    bar = Progress(
        TextColumn("{task.fields[state]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    task = bar.add_task("", total=None, state="", pace="")
    with Live(console=console(), refresh_per_second=10) as live:
        for tick in ticks:
            total = tick.progress.total if tick.progress.planned or tick.over else None
            done = tick.progress.processed
            bar.update(
                task,
                total=total,
                completed=done,
                state=tick.job_status or tick.campaign_status,
                pace=_pace(tick),
            )
            live.update(Group(bar, Text("\n".join((_counts(tick), *tick.waiting)))))
    return tick


def summary(tick: Tick) -> list[tuple[str, int, str]]:
    """Status, number and share of the whole, for a table."""
    total = tick.progress.total
    return [
        (status, count, f"{count / total:.1%}" if total else "")
        for status, count in tick.progress.shown.items()
        if count or status in ("success", "failed")
    ]


def took(tick: Tick) -> float | None:
    """Seconds from the first job's start to the last job's end; None while there is no such span."""
    started, finished = tick.progress.started_at, tick.progress.finished_at
    if started is None or finished is None:
        return None
    return (finished - started).total_seconds()


def _line(tick: Tick) -> str:
    state = tick.job_status or tick.campaign_status
    total = f"{tick.progress.total:,}{'' if tick.progress.planned else '+'}"
    parts = [f"{state:<12} {tick.progress.processed:,}/{total}", _counts(tick), _pace(tick), *tick.waiting]
    return "  ".join(part for part in parts if part)


def _counts(tick: Tick) -> str:
    return " · ".join(f"{count:,} {status}" for status, count in tick.progress.shown.items() if count)


def _pace(tick: Tick) -> str:
    if tick.over:
        return ""
    left = tick.outlook.seconds_left
    parts = [] if tick.stopped or not tick.rate else [f"{tick.rate:,.1f}/s"]
    parts += [] if left is None else [f"{_span(left)} left"]
    return ", ".join(parts)


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
