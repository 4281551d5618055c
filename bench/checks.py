"""What it costs to look again before each wave, and to write to each address once: with and without, in turns.

Over the `null` channel, and over SMTP into Postfix's `smtp-sink` where that is installed. Each run has a copy of the
same seeded database; who begins a turn changes from turn to turn, so that nobody always comes first. What is compared
are neighbours of a turn; the median of the turns counts.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import update

from bench import muster_run
from bench.conditions import load
from bench.ground import Ground
from bench.results import Aim, Result
from bench.seeding import Sending, seed
from bench.smtp import into_sink
from state.database import Database
from state.tables import Campaign
from tests.harness.child import Server
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from bench.scale import Scale

__all__ = ["run"]

#: Of the rate without a check, at least.
_AIM = 0.97


class _Way(NamedTuple):
    """How a campaign is delivered."""

    worker: str = "actors.cli"
    """The module that workers run."""
    one_per_address: bool = True


_WITH = _Way()
_WITHOUT = {
    "freshness": _Way(worker="bench.unchecked_worker"),
    "one_per_address": _Way(one_per_address=False),
}


def run(scale: Scale, directory: Path) -> list[Result]:
    """Ratios of rates, by channel and check."""
    results = []
    with Ground(directory) as ground, ExitStack() as servers:
        sendings = {"null": Sending()}
        sink = shutil.which("smtp-sink")
        if sink is None:
            print("  Postfix's smtp-sink is not here: measured over the null channel alone")
        else:
            port = free_port()
            command = [sink, "-u", "nobody", f"127.0.0.1:{port}", "1000"]
            servers.enter_context(Server("smtp-sink", command, directory=directory, port=port))
            sendings["smtp"] = into_sink(port)
        for name, sending in sendings.items():
            results += _compare(ground, name, sending, scale)
    return results


def _compare(ground: Ground, name: str, sending: Sending, scale: Scale) -> list[Result]:
    database = Database(ground.create_seed())
    org_id, campaign_id = seed(database, scale.checked, sending)
    database.close()
    ways = [_WITH, *_WITHOUT.values()]
    turns: list[dict[_Way, float]] = []
    for turn in range(scale.repeats):
        first = turn % len(ways)
        rates = {}
        for way in ways[first:] + ways[:first]:
            rates[way] = _rate(ground, way, org_id, campaign_id, scale.checked)
        said = ", ".join(f"without {check} {rates[way]:,.0f}/s" for check, way in _WITHOUT.items())
        print(f"  {name}: with both {rates[_WITH]:,.0f}/s, {said}; load {load()}")
        turns.append(rates)
    ground.drop("run")
    aim: Aim = {"at_least": _AIM} if scale.kept else {}
    return [
        Result.compared(
            f"checks.{check}.{name}.{scale.checked}",
            median(rates[_WITH] for rates in turns),
            "recipients/s",
            median(rates[way] for rates in turns),
            ratio=median(rates[_WITH] / rates[way] for rates in turns),
            **aim,
        )
        for check, way in _WITHOUT.items()
    ]


def _rate(ground: Ground, way: _Way, org_id: UUID, campaign_id: UUID, size: int) -> float:
    """Recipients a second."""
    url = ground.copy_seed("run")
    database = Database(url)
    with database.begin() as session:
        session.execute(
            update(Campaign).where(Campaign.id == campaign_id).values(one_per_address=way.one_per_address)
        )
    database.close()
    return muster_run.deliver(ground, url, org_id, campaign_id, size, worker=way.worker).rate
