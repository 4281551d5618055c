"""Writing the audience down as recipients."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from engine.delivery import plan
from state.tables import Recipient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    import pytest

    from tests.delivery.kit import Bench


@contextmanager
def written(bench: Bench) -> Iterator[list[str]]:
    """The statements that write recipients, and whether they look whether somebody is one."""
    seen: list[str] = []

    def note(*given: Any) -> None:
        text = given[2]
        if text.startswith("INSERT INTO recipient"):
            seen.append("with a look" if "ON CONFLICT" in text else "without")

    event.listen(bench.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(bench.database.engine, "before_cursor_execute", note)


def enrol(bench: Bench, campaign_id: UUID, key: UUID) -> None:
    """By name, before anything was planned."""
    with bench.database.begin() as session:
        session.add(
            Recipient(
                campaign_id=campaign_id,
                entity_id=key,
                org_id=bench.org_id,
                entity_schema="contact",
                **bench.times(),
            )
        )


def test_a_fresh_audience_is_written_without_looking(bench: Bench) -> None:
    people = bench.entities(20)
    with written(bench) as seen:
        bench.activate(bench.campaign())
        bench.work()
    assert "without" == seen[0]
    assert Counter(people) == bench.channel.sent()
    assert {"success": 20} == bench.statuses()


def test_who_was_enrolled_by_name_is_a_recipient_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page with them is written again, with a look, and so are all that follow."""
    monkeypatch.setattr(plan, "_PAGES", (5, 5, 5, 5, 5))
    people, campaign = bench.entities(20), bench.campaign()
    enrol(bench, campaign, people[7])
    with written(bench) as seen:
        bench.activate(campaign)
        bench.work()
    assert ["without", "without", "with a look", "with a look", "with a look"] == seen[:5]
    assert Counter(people) == bench.channel.sent()
    assert {"success": 20} == bench.statuses()
    bench.check_counters(campaign)
