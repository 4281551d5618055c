"""The console at size: what its pages take on a large installation, and what pages that are open cost a delivery.

Pages are asked of an organization with a campaign of a million recipients and thousands of other campaigns, one after
another over one connection; what counts is the time at the client, which the way over loopback adds to. For the live
page the same campaign is delivered with nobody looking, and with ten streams open, in turns.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from statistics import median, quantiles
from threading import Event, Thread
from typing import TYPE_CHECKING

import httpx
from sqlalchemy import select

from bench import muster_run
from bench.conditions import load
from bench.ground import Ground
from bench.meter import cpu_seconds
from bench.results import Result
from bench.seeding import seed
from engine.authentication.api_keys import create_key
from state.database import Database
from state.tables import Channel, Entity, Recipient, Target, Template
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    from bench.results import Aim
    from bench.scale import Scale

__all__ = ["run"]

#: Milliseconds that 95 of 100 answers of a page may take, the part of the rate that open pages may cost, and of a core.
_PAGE, _RATE, _CORE = 150.0, 0.97, 0.1
#: Streams that are open at once.
_OPEN = 10
_TIMEOUT = 120.0


def run(scale: Scale, directory: Path) -> list[Result]:
    """Milliseconds of the slowest pages, and ratios of rates."""
    with Ground(directory) as ground:
        return [*_pages(ground, scale), *_live(ground, scale)]


def _pages(ground: Ground, scale: Scale) -> list[Result]:
    database = Database(ground.create_seed())
    org_id, campaign_id = seed(database, scale.entities, earlier=scale.campaigns)
    key = _key(database, org_id)
    database.close()
    url = ground.copy_seed("run")
    muster_run.deliver(ground, url, org_id, campaign_id, scale.entities)
    paths = _paths(url, org_id, campaign_id)
    found: dict[str, float] = {}
    with _api(ground, url) as (address, _), _signed_in(address, key) as browser:
        for path in paths:
            found[path] = _p95([_milliseconds(browser, path) for _ in range(scale.looks)])
    ground.drop("run")
    for path, milliseconds in sorted(found.items(), key=lambda item: -item[1])[:5]:
        print(f"  {milliseconds:6.0f} ms  {path.replace(str(campaign_id), 'CAMPAIGN')}")
    aim: Aim = {"at_most": _PAGE} if scale.kept else {}
    return [
        Result.alone(f"console.slowest_page.p95.{scale.entities}", max(found.values()), "ms", **aim),
        Result.alone(f"console.median_page.p95.{scale.entities}", median(found.values()), "ms"),
    ]


def _paths(url: str, org_id: UUID, campaign_id: UUID) -> list[str]:
    """Every page that shows something of the organization."""
    database = Database(url)
    with database.read() as session:
        ids = {
            table: session.execute(select(table.id).where(table.org_id == org_id).limit(1)).scalar_one()
            for table in (Channel, Entity, Target, Template)
        }
        recipient = session.execute(
            select(Recipient.entity_id).where(Recipient.campaign_id == campaign_id).limit(1)
        ).scalar_one()
    database.close()
    campaign, audience = f"/console/campaigns/{campaign_id}", "/console/audience"
    return [
        "/console",
        "/console/campaigns",
        "/console/campaigns?q=campaign",
        "/console/campaigns?status=completed",
        campaign,
        f"{campaign}/recipients",
        f"{campaign}/recipients?status=success",
        f"{campaign}/recipients?status=failed",
        f"{campaign}/recipients?q=person77",
        f"{campaign}/recipients?q=not+there",
        f"{campaign}/recipients/{recipient}",
        f"{campaign}/do/clone",
        "/console/calendar",
        "/console/operations",
        audience,
        f"{audience}?q=person77",
        f"{audience}?q=not+there",
        f"{audience}/people/contact/{ids[Entity]}",
        f"{audience}/targets",
        f"{audience}/targets/{ids[Target]}",
        f"{audience}/suppressions",
        "/console/templates",
        f"/console/templates/{ids[Template]}",
        "/console/channels",
        f"/console/channels/{ids[Channel]}",
        "/console/webhooks",
        "/console/settings",
        "/console/settings/keys",
        "/console/settings/audit",
    ]


def _live(ground: Ground, scale: Scale) -> list[Result]:
    database = Database(ground.create_seed())
    org_id, campaign_id = seed(database, scale.checked)
    key = _key(database, org_id)
    database.close()
    rates: list[tuple[float, float]] = []
    shares: list[float] = []
    for turn in range(scale.repeats):
        measured: dict[bool, float] = {}
        for looking in (True, False) if turn % 2 else (False, True):
            url = ground.copy_seed("run")
            with _api(ground, url) as (address, api), ExitStack() as opened:
                if looking:
                    opened.enter_context(_streams(address, key, campaign_id))
                before, started = cpu_seconds(api), time.monotonic()
                measured[looking] = muster_run.deliver(ground, url, org_id, campaign_id, scale.checked).rate
                if looking:
                    shares.append((cpu_seconds(api) - before) / (time.monotonic() - started))
        rates.append((measured[True], measured[False]))
        print(f"  {_OPEN} pages open {measured[True]:,.0f}/s, none {measured[False]:,.0f}/s; load {load()}")
    ground.drop("run")
    at_least: Aim = {"at_least": _RATE} if scale.kept else {}
    at_most: Aim = {"at_most": _CORE} if scale.kept else {}
    return [
        Result.compared(
            f"console.open_pages.rate.{scale.checked}",
            median(looking for looking, _ in rates),
            "recipients/s",
            median(alone for _, alone in rates),
            ratio=median(looking / alone for looking, alone in rates),
            **at_least,
        ),
        Result.alone("console.open_pages.api_cores", median(shares), "cores", **at_most),
    ]


def _key(database: Database, org_id: UUID) -> str:
    with database.begin() as session:
        return create_key(session, org_id, "bench", "admin")[1]


@contextmanager
def _api(ground: Ground, url: str) -> Iterator[tuple[str, Process]]:
    """A `muster api` on a database; its address."""
    port = free_port()
    name = f"api-{ground.number()}"
    environment = ground.environment(url) | {"MUSTER_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    process = Process("api", "--port", str(port), directory=ground.directory, name=name, env=environment)
    try:
        process.start().wait_for_log("api.started", deadline=60)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.close()


@contextmanager
def _signed_in(address: str, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=_TIMEOUT, headers={"origin": address}) as browser:
        answer = browser.post("/console/sign-in", data={"key": key})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise RuntimeError(f"signing in: {answer.status_code}")
        yield browser


@contextmanager
def _streams(address: str, key: str, campaign_id: UUID) -> Iterator[None]:
    """Ten open pages of the campaign, which read what they are sent."""
    stop = Event()

    def follow() -> None:
        with (
            suppress(httpx.RemoteProtocolError),  # the API ends first
            _signed_in(address, key) as browser,
            browser.stream("GET", f"/console/campaigns/{campaign_id}/live") as stream,
        ):
            begun.append(True)
            for _ in stream.iter_lines():
                if stop.is_set():
                    return

    begun: list[bool] = []
    threads = [Thread(target=follow, daemon=True) for _ in range(_OPEN)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(begun) == _OPEN, "the pages are open", deadline=60)
    try:
        yield
    finally:
        stop.set()


def _milliseconds(browser: httpx.Client, path: str) -> float:
    started = time.perf_counter()
    answer = browser.get(path)
    milliseconds = (time.perf_counter() - started) * 1000
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"{path}: {answer.status_code}")
    return milliseconds


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]
