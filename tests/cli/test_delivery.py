"""From activation to the last outcome on the command line: watch, recipients, why, retrigger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import select

from actors.cli.context import load_settings
from actors.services import Embedded
from engine.delivery.embedded_wakeups import EmbeddedWakeups
from engine.kernel.commands import Activate, Execute
from engine.kernel.runtime import Runtime
from engine.kernel.wakeups import MemoryWakeups
from state.tables import Job, Organization, Slice
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Muster

GOOD = ("--external-id", "customer_id", "--title", "{first_name}")


@pytest.fixture
def delivering(embedded: Muster, people: Path) -> Iterator[Muster]:
    """Five contacts, a channel of `.eml` files, and somebody who delivers."""
    embedded.ok("import", people, *GOOD)
    embedded.ok("channel", "create", "mail", "--kind", "file", "--set", "format=eml", "--default")
    service = Embedded(load_settings())
    service.start()
    yield embedded
    service.stop()


@pytest.fixture
def division(tmp_path: Path) -> Path:
    """A template that fails for Clara, who never ordered."""
    path = tmp_path / "text.txt"
    path.write_text("{{ first_name }}: {{ 12 | divided_by: orders }}")
    return path


def _deliver(muster: Muster, text: Path, name: str = "Offer") -> None:
    everybody = ("--where", "customer_id is not empty")
    muster.ok("campaign", "create", name, *everybody, "--subject", "x", "--text", text, "--activate", "--yes")
    muster.ok("watch", name, "--interval", "0.05")


def test_watching_ends_with_the_delivery_and_tells_every_status(delivering: Muster, division: Path) -> None:
    everybody = ("--where", "customer_id is not empty", "--subject", "x", "--text", division)
    delivering.ok("campaign", "create", "Offer", *everybody, "--activate", "--yes")
    watched = delivering.ok("watch", "Offer", "--interval", "0.05")
    assert "5/5" in watched.out
    assert "Offer: completed" in watched.out

    ticks = [json.loads(line) for line in delivering.ok("watch", "Offer", "--json").out.splitlines()]
    assert ticks[-1]["over"]
    assert ticks[-1]["job_status"] == "finished"
    assert ticks[-1]["processed"] == ticks[-1]["total"] == 5
    assert ticks[-1]["counts"]["success"] == 3
    shown = delivering.ok("campaign", "show", "Offer")
    assert "TEMPLATE_ERROR" in shown.out
    assert "NO_ADDRESS" in shown.out


def test_recipients_are_listed_by_status_and_page(delivering: Muster, division: Path) -> None:
    _deliver(delivering, division)
    listed = delivering.ok("recipients", "Offer", "--status", "success", "--limit", "2", "--json").json
    assert listed["total"] == 3
    rest = delivering.ok(
        "recipients", "Offer", "--status", "success", "--next", listed["next"], "--json"
    ).json
    titles = [row["title"] for row in listed["results"] + rest["results"]]
    assert sorted(titles) == ["Ada", "Bo", "Emil"]
    assert "Clara" in delivering.ok("recipients", "Offer", "--q", "cla").out
    wrong = delivering("recipients", "Offer", "--status", "done")
    assert (wrong.code, "success" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    ("whom", "verdict"),
    [
        ("ada@example.com", "delivered"),
        ("3", "failed with TEMPLATE_ERROR"),
        ("4", "NO_ADDRESS"),
    ],
)
def test_why_tells_what_happened_to_one(delivering: Muster, division: Path, whom: str, verdict: str) -> None:
    _deliver(delivering, division)
    assert verdict in delivering.ok("why", "Offer", whom, "--json").json["verdict"]
    assert verdict in delivering.ok("why", "Offer", whom).out


def test_why_tells_why_somebody_is_none(delivering: Muster, division: Path, people: Path) -> None:
    norway = ("--where", "country = Norway", "--subject", "x", "--text", division)
    delivering.ok("campaign", "create", "Norway", *norway)
    assert "never activated" in delivering.ok("why", "Norway", "1").out
    delivering.ok("campaign", "activate", "Norway", "--yes")
    delivering.ok("watch", "Norway", "--interval", "0.05")
    assert "none of the campaign's targets" in delivering.ok("why", "Norway", "2").out
    people.write_text(people.read_text().replace("Sweden", "Norway"))
    delivering.ok("import", people, *GOOD)
    assert "did not when" in delivering.ok("why", "Norway", "2").out
    nobody = delivering("why", "Norway", "nobody@example.com")
    assert (nobody.code, "does not exist" in nobody.err) == (1, True)


def test_only_the_failed_are_delivered_again(delivering: Muster, division: Path) -> None:
    _deliver(delivering, division)
    rows = delivering.ok("recipients", "Offer", "--json").json["results"]
    ids = {row["title"]: row["entity_id"] for row in rows}
    absent = "00000000-0000-4000-8000-000000000000"

    mixed = delivering("retrigger", "Offer", ids["Clara"], ids["Ada"], absent, "--json")
    assert mixed.code == 1
    assert "2 of 3 were not retriggered: 1 invalid_status, 1 not_found" in mixed.err
    assert [answer["result"] for answer in mixed.json] == ["success", "invalid_status", "not_found"]
    delivering.ok("watch", "Offer", "--interval", "0.05")
    told = delivering.ok("why", "Offer", "3", "--json").json
    assert [one["status"] for one in told["executions"]] == ["failed", "failed"]

    assert delivering.ok("retrigger", "Offer", "--error-code", "NO_SUCH", "--json").json == {"retriggered": 0}
    again = delivering.ok("retrigger", "Offer", "--error-code", "TEMPLATE_ERROR")
    assert "retriggered 1 recipients" in again.out
    delivering.ok("watch", "Offer", "--interval", "0.05")
    assert "--failed" in delivering("retrigger", "Offer").err


def test_a_cancelled_job_is_a_failure_to_watch(embedded: Muster, people: Path, division: Path) -> None:
    embedded.ok("import", people, *GOOD)
    norway = ("--where", "country = Norway", "--subject", "x", "--text", division)
    embedded.ok("campaign", "create", "Norway", *norway, "--activate", "--yes")
    embedded.ok("campaign", "cancel", "Norway")
    watched = embedded("watch", "Norway")
    assert watched.code == 1
    assert "cancelled" in watched.err


def test_a_draft_has_nothing_to_watch(embedded: Muster) -> None:
    embedded.ok("campaign", "create", "Draft")
    assert "Draft: draft" in embedded.ok("watch", "Draft").out


def test_work_for_the_process_next_door_is_found_by_its_next_sweep(
    migrated: Muster, people: Path, division: Path
) -> None:
    migrated.ok("org", "create", "acme")
    migrated.ok("import", people, *GOOD)
    norway = ("--where", "country = Norway", "--subject", "x", "--text", division)
    migrated.ok("campaign", "create", "Norway", *norway, "--activate", "--yes")

    wakeups = MemoryWakeups()
    runtime = Runtime(load_settings(), wakeups=wakeups)
    sweep(runtime)

    assert [type(command) for command in wakeups.take()] == [Activate]
    runtime.close()


def test_a_slice_for_the_process_next_door_is_woken_from_outside_the_window(migrated: Muster) -> None:
    database = migrated.database()
    now = datetime.now(UTC)
    with database.begin() as session:
        organization = Organization(name="acme", created_at=now)
        session.add(organization)
        session.flush()
        org_id = organization.id
    migrated.ok("campaign", "create", "x")
    campaign_id = migrated.ok("campaign", "show", "x", "--json").json["id"]
    with database.begin() as session:
        job = Job(
            org_id=org_id,
            campaign_id=UUID(campaign_id),
            kind="activation",
            window=1,
            touched_at=now,
            created_at=now,
            updated_at=now,
        )
        session.add(job)
        session.flush()
        session.add(
            Slice(
                org_id=org_id,
                campaign_id=UUID(campaign_id),
                job_id=job.id,
                number=0,
                size=1,
                due_at=now,
                woken_at=now,
            )
        )
    EmbeddedWakeups(database).send([Execute(org_id=org_id, job_id=job.id, number=0)])
    with database.read() as session:
        assert session.execute(select(Slice.woken_at)).scalar_one() is None
        touched_at = session.execute(select(Job.touched_at)).scalar_one()
        assert touched_at is not None
        assert touched_at > now - timedelta(minutes=1)
    database.close()
