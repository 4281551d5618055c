"""The calendar and the operations page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import update

from config.version import version
from engine.api.console import operations
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.schedules import schedule
from engine.kernel.heartbeat import Heartbeat
from state.dialects import SlowStatement
from state.tables import Process, ProcessKind, Slice
from tests.api.world import make_campaign

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import pytest

    from tests.api.conftest import Api
    from tests.console.conftest import Person
    from tests.console.world import World

    SignIn = Callable[..., Person]


def test_the_calendar_shows_what_is_scheduled_on_the_organizations_day(
    api: Api, sign_in: SignIn, client: httpx.Client
) -> None:
    client.patch("/v1/organization", json={"time_zone": "Asia/Tokyo"}).raise_for_status()
    campaign_id = make_campaign(api.database, api.org_id, name="late")
    now = api.database.clock.now()  # 2 March 2026, 9:00
    with api.database.begin() as session:
        campaign = get_campaign(session, api.org_id, campaign_id)
        schedule(session, campaign, due_at=now + timedelta(hours=7), reach=100, priority="normal")
    person = sign_in("viewer")
    page = person.get("/console/calendar").text
    day = page.split('datetime="2026-03-03"', 1)[1].split("</li>", 1)[0]
    assert str(campaign_id) in day
    assert str(campaign_id) not in person.get("/console/calendar?month=2026-05").text
    for odd in ("x", "2026-13", "99999-01", "-1-1"):
        assert person.get(f"/console/calendar?month={odd}").status_code == 200


def test_operations_tell_what_is_late(api: Api, sign_in: SignIn, world: World) -> None:
    now = api.database.clock.now()
    with api.database.begin() as session:
        job_id = get_campaign(session, api.org_id, world.campaign_id).job_id
        assert isinstance(job_id, UUID)
        for number, state in ((1, "ready"), (2, "leased")):
            late = {"lease_expires_at": now - timedelta(minutes=1)} if state == "leased" else {}
            session.add(
                Slice(
                    org_id=api.org_id,
                    campaign_id=world.campaign_id,
                    job_id=job_id,
                    number=number,
                    state=state,
                    size=1,
                    due_at=now - timedelta(minutes=1),
                    **late,
                )
            )
    page = sign_in("viewer").get("/console/operations").text
    assert '<div class="label">Due now</div><div class="value">1</div>' in page
    assert '<div class="label">Leases run out</div><div class="value bad">1</div>' in page


def test_operations_show_what_the_doctor_says_and_slow_statements_to_administrators(
    api: Api, sign_in: SignIn, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api.database.begin() as session:
        session.execute(update(Process).values(version="0.0.9"))
    Heartbeat(api.runtime, ProcessKind.WORKER).beat()
    slow = [SlowStatement("SELECT <b>x</b> FROM entity", 3, 0.0015, 2.0)]
    monkeypatch.setattr(operations, "slow_statements", lambda _session: slow)
    page = sign_in("admin").get("/console/operations").text
    assert "no scheduler has" in page
    assert "start `muster scheduler`" in page
    assert "SELECT &lt;b&gt;x&lt;/b&gt; FROM entity" in page
    assert "1.50 ms" in page
    assert version() in page
    for role in ("viewer", "operator"):
        assert "FROM entity" not in sign_in(role).get("/console/operations").text
