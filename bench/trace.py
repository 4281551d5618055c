"""`make trace`: how much code one recipient takes, from the request that activates its campaign to the report.

One campaign with one recipient: a message rendered from a template, over the `null` channel, on PostgreSQL. POST
status, plan, deliver, report: each command is run by its actor as a worker would, in this process, and every call of a
function of Muster's own is counted (`sys.setprofile`). Twice: for the first campaign of a process, which makes
statements, template and channel ready, and for another one like it.

Prints files, functions and calls, by package; `--list` names every function of the second, in the order in which they
are first called, which is also the order in which to read them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import threading
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import httpx
import structlog

from actors.context import Context
from actors.registry import ACTORS
from bench.seeding import Sending, seed_campaign, seed_people
from config.settings import Settings
from engine.api.app import create_app
from engine.authentication.api_keys import create_key
from engine.delivery.lease import Executor
from engine.delivery.sender import Senders
from engine.events.webhook_dispatcher import WebhookDispatcher
from engine.kernel.runtime import Runtime
from engine.kernel.send_loop import SendLoop
from engine.kernel.wakeups import MemoryWakeups
from engine.organizations import create_organization
from state.migrate import upgrade
from state.tables import Campaign, Job, Recipient
from state.transitions import JobStatus
from tests.harness.postgres import Postgres

if TYPE_CHECKING:
    from types import CodeType, FrameType
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["Calls", "Counts", "main"]

_HOUSE = Path(__file__).parents[1]
_PACKAGES = tuple(f"{_HOUSE / name}/" for name in ("actors", "config", "engine", "state"))
#: What the compiler makes of a module, a class body or a comprehension is no function that anybody wrote.
_NO_FUNCTIONS = {"<module>", "<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<lambda>"}


class Counts(Counter[tuple[str, str]]):
    """Calls of functions, by file (relative to the house) and qualified name."""

    def below(self, folder: str) -> tuple[int, int, int]:
        """Files, functions and calls in a folder."""
        within = {key: count for key, count in self.items() if key[0].startswith(folder)}
        return len({path for path, _ in within}), len(within), sum(within.values())


class Calls:
    """Counts calls of Muster's own functions in every thread that starts while it is entered, and in this one."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._known: dict[CodeType, tuple[str, str] | None] = {}

    def __enter__(self) -> Self:
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *raised: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def take(self) -> Counts:
        """What was called since this was asked last."""
        taken, self._counts = self._counts, Counts()
        return taken

    def _note(self, frame: FrameType, event: str, argument: object) -> None:  # noqa: ARG002 - as Python calls it
        if event != "call":
            return
        code = frame.f_code
        if code not in self._known:
            ours = code.co_filename.startswith(_PACKAGES) and code.co_name not in _NO_FUNCTIONS
            path = str(Path(code.co_filename).relative_to(_HOUSE)) if ours else ""
            self._known[code] = (path, code.co_qualname) if ours else None
        function = self._known[code]
        if function is not None:
            self._counts[function] += 1


def main() -> int:
    """Count, and print."""
    parser = argparse.ArgumentParser(prog="bench.trace", description="Count the code of one recipient's way.")
    parser.add_argument("--list", action="store_true", help="name every function")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with TemporaryDirectory(prefix="muster-trace-") as directory:
        postgres = Postgres()
        postgres.start()
        try:
            first, other = _trace(postgres.url, Path(directory))
        finally:
            postgres.close()
    if given.list:
        for (path, name), count in other.items():
            print(f"{count:6}  {path:45} {name}")
    print(f"{'first campaign / another':28}{'files':>12}{'functions':>14}{'calls':>16}")
    folders = sorted({"/".join(path.split("/")[:-1][:2]) for path, _ in first})
    for folder in [*folders, ""]:
        below = f"{folder}/" if folder else ""
        files, functions, calls = zip(first.below(below), other.below(below), strict=True)
        columns = [f"{one} / {two}" for one, two in (files, functions, calls)]
        print(f"{folder or 'in all':28}{columns[0]:>12}{columns[1]:>14}{columns[2]:>16}")
    return 0


def _trace(database_url: str, directory: Path) -> tuple[Counts, Counts]:
    upgrade(database_url)
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        data_dir=directory,
        broker_url="embedded://",
        database_pool=8,
    )
    wakeups = MemoryWakeups()
    runtime = Runtime(settings, wakeups=wakeups)
    try:
        with runtime.transaction() as session:
            org_id = create_organization(session, "trace").id
            key = create_key(session, org_id, "operator", "operator")[1]
            seed_people(session, org_id, 1)
            campaigns = [seed_campaign(session, org_id, Sending())]
            campaigns.append(_another(session, campaigns[0]))
        with Calls() as calls:
            worker = _Worker(runtime, wakeups, key)
            calls.take()
            counts = []
            for campaign_id in campaigns:
                worker.deliver(campaign_id)
                counts.append(calls.take())
        for campaign_id in campaigns:
            _check(runtime, org_id, campaign_id)
        return counts[0], counts[1]
    finally:
        runtime.close()


def _another(session: Session, campaign_id: UUID) -> UUID:
    """A draft like another campaign, with the same flow and audience."""
    like = session.get_one(Campaign, campaign_id)
    names = ("org_id", "name", "target_ids", "flow_id", "status", "created_at", "updated_at")
    campaign = Campaign(id=uuid4(), **{name: getattr(like, name) for name in names})
    session.add(campaign)
    session.flush()
    return campaign.id


class _Worker:
    """An API and a worker in this thread."""

    def __init__(self, runtime: Runtime, wakeups: MemoryWakeups, key: str) -> None:
        self._runtime = runtime
        self._wakeups = wakeups
        self._app = create_app(runtime)
        self._headers = {"authorization": f"Bearer {key}"}
        self._loop = SendLoop()
        self._senders = Senders(runtime.settings, self._loop, runtime.database)
        self._executor = Executor(runtime, self._senders, self._loop)
        self._dispatcher = WebhookDispatcher(runtime, self._loop)

    def deliver(self, campaign_id: UUID) -> None:
        """Activate a campaign over the API and run every command that follows, in order."""
        asyncio.run(self._activate(campaign_id))
        context = Context(self._runtime, self._executor, self._dispatcher)
        while self._wakeups.sent:
            command = self._wakeups.sent.pop(0)
            ACTORS[type(command)](context, command)

    async def _activate(self, campaign_id: UUID) -> None:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://muster", headers=self._headers
        ) as client:
            answer = await client.post(f"/v1/campaign/{campaign_id}/status", json={"status": "active"})
        answer.raise_for_status()


def _check(runtime: Runtime, org_id: UUID, campaign_id: UUID) -> None:
    """See that the recipient went the whole way."""
    with runtime.database.read() as session:
        recipient = session.query(Recipient).filter_by(org_id=org_id, campaign_id=campaign_id).one()
        job = session.get_one(Job, recipient.job_id)
    if (recipient.automation_status, job.status) != ("success", JobStatus.FINISHED):
        raise RuntimeError(f"the recipient is {recipient.automation_status}, and its job {job.status}")


if __name__ == "__main__":
    sys.exit(main())
