"""People who are deleted, change or are suppressed while a campaign is delivered at full speed, measured at the mail
server: nobody is written to as they were more than a wave before.

`MUSTER_SCALE=full` delivers to 50,000, otherwise to 6,000.
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from config.settings import Settings
from engine.audience.entities import delete_entity, patch_entity
from engine.campaigns import lifecycle
from engine.delivery.freshness import FRESH_FOR
from engine.engagement.suppression import Barred, bar
from engine.kernel.media import AddressMedium
from engine.kernel.runtime import Runtime
from state.tables import Entity, Recipient
from tests.harness.seeds import seed, smtp_settings
from tests.harness.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

    from tests.harness.journal import Journal
    from tests.harness.seeds import Seeded

pytestmark = pytest.mark.slow

FULL = os.environ.get("MUSTER_SCALE") == "full"
SIZE = 50_000 if FULL else 6_000
WAVE = 100
SLACK = 1.0
"""Seconds from reading a wave's people to its first message, on a busy machine."""
CODES = {"deleted": "ENTITY_DELETED", "suppressed": "SUPPRESSED"}


@dataclass
class Changes:
    """What was done to whom, and until when it was committed, in seconds since 1970."""

    done: dict[str, dict[UUID, float]] = field(
        default_factory=lambda: {"deleted": {}, "changed": {}, "suppressed": {}}
    )


def test_nobody_is_written_to_as_they_were_a_wave_before(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=2) as stack:
        assert stack.smtp is not None
        seeded = stack.seed(
            seed,
            stack.env["MUSTER_SECRET_KEY"],
            size=SIZE,
            kind="smtp",
            settings=smtp_settings(stack.smtp.port),
        )
        addresses = stack.seed(_addresses, seeded.org_id)
        began = time.monotonic()
        job_id, changes = _deliver(stack, seeded, addresses)
        stack.wait_for_job(job_id, "finished", deadline=600)
        seconds = time.monotonic() - began
        rows = stack.seed(_rows, seeded.campaign_id)
        arrivals = _arrivals(stack.smtp.journal)

    longest = _longest_wave(rows, addresses, arrivals)
    allowed = FRESH_FOR + longest + SLACK
    late = {
        what: sorted(
            at - done
            for entity_id, done in people.items()
            for at in arrivals[addresses[entity_id]]
            if at > done
        )
        for what, people in changes.done.items()
    }
    counts = {what: len(people) for what, people in changes.done.items()}
    print(  # noqa: T201 - the figures are what the test is for
        f"\n{SIZE:,} in {seconds:.1f} s, longest wave {longest:.2f} s; under way {counts}; written to as they were: "
        + ", ".join(
            f"{len(times)} {what}, {max(times, default=0):.2f} s later" for what, times in late.items()
        )
    )
    assert all(times[-1] <= allowed for times in late.values() if times)
    assert min(counts.values()) >= 1, "the campaign was over before anything changed"
    assert rows.keys() | changes.done["deleted"].keys() == addresses.keys()
    for what, people in changes.done.items():
        for entity_id in (
            people.keys() & rows.keys()
        ):  # who was deleted before they were planned is no recipient
            status, code, _ = rows[entity_id]
            had_it = bool(arrivals[addresses[entity_id]] or arrivals[_new(entity_id)])
            assert had_it == (status == "success")
            if not had_it:
                assert (status, code) == ("cancelled", CODES[what])
    moved = [key for key in changes.done["changed"] if arrivals[_new(key)]]
    assert moved
    assert {1} == {
        len(arrivals[addresses[key]]) + len(arrivals[_new(key)]) for key in changes.done["changed"]
    }


def _deliver(stack: Stack, seeded: Seeded, addresses: dict[UUID, str]) -> tuple[UUID, Changes]:
    """Activate, and delete, change and suppress people at random until the job is over."""
    settings = Settings(redis_url=stack.redis.url, secret_key=SecretStr(stack.env["MUSTER_SECRET_KEY"]))
    runtime = Runtime(settings, database=stack.database)
    with runtime.transaction() as session:
        job = lifecycle.activate(session, seeded.org_id, seeded.campaign_id, window=runtime.settings.window)
        assert job is not None
    changes = Changes()
    people = list(addresses)
    random.Random(7).shuffle(people)  # noqa: S311 - guards nothing
    for entity_id, what in zip(people, cycle(changes.done), strict=False):
        if stack.job_status(job.id) == "finished":
            break
        with runtime.transaction() as session:
            if what == "deleted":
                delete_entity(session, seeded.org_id, "contact", entity_id)
            elif what == "changed":
                patch_entity(session, seeded.org_id, "contact", entity_id, {"email": _new(entity_id)})
            else:
                bar(session, seeded.org_id, [Barred(AddressMedium.EMAIL, addresses[entity_id], "manual")])
        changes.done[what][entity_id] = time.time()
    return job.id, changes


def _new(entity_id: UUID) -> str:
    return f"{entity_id.hex}@moved.example"


def _addresses(session: Session, org_id: UUID) -> dict[UUID, str]:
    found = session.execute(select(Entity.id, Entity.attributes).where(Entity.org_id == org_id))
    return {entity_id: attributes["email"] for entity_id, attributes in found}


def _rows(session: Session, campaign_id: UUID) -> dict[UUID, tuple[str | None, str | None, int | None]]:
    """Status, error code and slice by entity."""
    columns = (Recipient.automation_status, Recipient.error_code, Recipient.slice_number)
    found = session.execute(select(Recipient.entity_id, *columns).where(Recipient.campaign_id == campaign_id))
    return {entity_id: (status, code, number) for entity_id, status, code, number in found}


def _arrivals(journal: Journal) -> dict[str, list[float]]:
    arrivals: dict[str, list[float]] = defaultdict(list)
    for sent in journal.sent():
        arrivals[sent.entry["rcpt"]].append(sent.at)
    return arrivals


def _longest_wave(
    rows: dict[UUID, tuple[str | None, str | None, int | None]],
    addresses: dict[UUID, str],
    arrivals: dict[str, list[float]],
) -> float:
    """Seconds that a hundred neighbours of a slice took from the first to the last."""
    slices: dict[int | None, list[UUID]] = defaultdict(list)
    for entity_id, (_, _, number) in sorted(rows.items()):
        slices[number].append(entity_id)
    spans = []
    for people in slices.values():
        for start in range(0, len(people), WAVE):
            wave = people[start : start + WAVE]
            times = [at for key in wave for at in (*arrivals[addresses[key]], *arrivals[_new(key)])]
            if times:
                spans.append(max(times) - min(times))
    return max(spans)
