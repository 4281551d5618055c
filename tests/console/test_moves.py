"""What can be done with a campaign from its page: asked first, refused where the API refuses, done by its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.campaigns.campaigns import get_campaign
from engine.campaigns.moves import Move, possible_moves
from engine.insight.progress import campaign_progress
from engine.kernel.commands import Activate
from state.tables import Campaign
from tests.api.world import make_campaign
from tests.console.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.api.conftest import Api
    from tests.console.conftest import Person

    SignIn = Callable[..., Person]


def status_of(api: Api, world: World) -> str:
    with api.database.read() as session:
        return get_campaign(session, api.org_id, world.campaign_id).status


def test_a_campaign_is_paused_resumed_and_stopped(api: Api, sign_in: SignIn, world: World) -> None:
    person = sign_in("operator")
    page = f"/console/campaigns/{world.campaign_id}"
    for move, status in (("pause", "paused"), ("resume", "active"), ("stop", "cancelled")):
        assert f"{page}/do/{move}" in person.get(page).text
        assert person.get(f"{page}/do/{move}").status_code == 200
        answer = person.submit(f"{page}/do/{move}")
        assert (answer.status_code, answer.headers["location"]) == (303, page)
        assert status_of(api, world) == status
        assert 'role="status"' in person.get(page).text
    assert person.submit(f"{page}/do/pause").status_code == 409


def test_what_is_asked_says_how_many(sign_in: SignIn, world: World) -> None:
    person = sign_in("operator")
    page = f"/console/campaigns/{world.campaign_id}/do"
    assert "2 recipients are sent to again." in person.get(f"{page}/retry?code=SMTP_550").text
    assert "0 recipients are sent to again." in person.get(f"{page}/retry?code=OTHER").text
    assert person.get(f"{page}/explode").status_code == 404


def test_those_who_failed_are_sent_to_again(api: Api, sign_in: SignIn, world: World) -> None:
    person = sign_in("operator")
    page = f"/console/campaigns/{world.campaign_id}"
    answer = person.submit(f"{page}/recipients/{world.recipient_id}/retry")
    assert answer.status_code == 303
    assert "It is sent again." in person.get(answer.headers["location"]).text
    person.submit(f"{page}/do/retry", code="SMTP_550")
    assert "1 recipient is sent to again." in person.get(page).text
    with api.database.read() as session:
        assert campaign_progress(session, api.org_id, world.campaign_id).counts["failed"] == 0


def test_a_viewer_sees_no_button_and_is_refused(sign_in: SignIn, world: World) -> None:
    person = sign_in("viewer")
    page = f"/console/campaigns/{world.campaign_id}"
    text = person.get(page).text + person.get(f"{page}/recipients/{world.recipient_id}").text
    assert "/do/" not in text
    assert "/retry" not in text
    for move in ("pause", "stop", "retry", "clone"):
        assert person.submit(f"{page}/do/{move}").status_code == 403
    assert person.submit(f"{page}/send", expected="0", count="0").status_code == 403


def test_a_copy_is_a_draft(api: Api, sign_in: SignIn, world: World) -> None:
    person = sign_in("operator")
    answer = person.submit(f"/console/campaigns/{world.campaign_id}/do/clone", name="the copy")
    page = person.get(answer.headers["location"]).text
    assert "the copy" in page
    assert 'class="badge draft' in page


@pytest.fixture
def draft(api: Api, client: httpx.Client) -> str:
    """The page of a campaign that may be sent, to one person."""
    client.post("/v1/channel", json={"name": "file", "kind": "file"}).raise_for_status()
    client.post("/v1/entity/contact", json={"title": "Ada", "email": "ada@example.com"}).raise_for_status()
    return f"/console/campaigns/{make_campaign(api.database, api.org_id)}"


def test_a_campaign_is_sent_when_its_number_is_typed(api: Api, sign_in: SignIn, draft: str) -> None:
    person = sign_in("operator")
    plan = person.get(f"{draft}/plan").text
    assert "Type 1 to confirm" in plan
    wrong = person.submit(f"{draft}/send", expected="1", count="2")
    assert wrong.status_code == 400
    assert "This is not the number" in wrong.text
    assert api.wakeups.take() == []
    assert person.submit(f"{draft}/send", expected="1", count="1").headers["location"] == draft
    assert [type(command) for command in api.wakeups.take()] == [Activate]


def test_a_campaign_is_scheduled_in_the_readers_zone(
    api: Api, sign_in: SignIn, draft: str, client: httpx.Client
) -> None:
    person = sign_in("operator")
    person.cookies.set("muster_zone", "Europe/Berlin", path="/console")
    assert person.submit(f"{draft}/send", expected="1", count="1", at="soon").status_code == 400
    person.submit(f"{draft}/send", expected="1", count="1", at="2026-03-05T08:00")
    campaign_id = draft.rpartition("/")[2]
    shown = client.get(f"/api/v1/campaigns/{campaign_id}").json()["data"]
    assert "2026-03-05T07:00:00" in str(shown)
    assert person.submit(f"{draft}/send", expected="1", count="1", at="2026-01-05T08:00").status_code == 400


def test_recipients_are_found_and_given_out(sign_in: SignIn, world: World) -> None:
    person = sign_in("viewer")
    page = f"/console/campaigns/{world.campaign_id}/recipients"
    assert str(world.recipient_id) in person.get(f"{page}?q=p1@example.com&status=failed").text
    assert str(world.recipient_id) not in person.get(f"{page}?status=success").text
    assert person.get(f"{page}?status=odd").status_code == 400
    answer = person.get(f"/console/campaigns/{world.campaign_id}/recipients.csv?status=failed")
    lines = answer.text.splitlines()
    assert lines[0] == "id,external_id,name,address,status,email,code,text,attempt,at"
    assert len(lines) == 3
    assert "p1@example.com" in answer.text


def test_the_moves_that_are_offered_are_those_that_are_allowed(api: Api) -> None:
    world = make_world(api)
    with api.database.begin() as session:
        row = session.get_one(Campaign, world.campaign_id)
        progress = campaign_progress(session, api.org_id, world.campaign_id)
        offered = {}
        for status in ("draft", "activating", "active", "paused", "completed", "cancelled"):
            row.status = status
            offered[status] = possible_moves(row, progress) - {Move.CLONE, Move.RETRY}
    assert offered == {
        "draft": {Move.SEND, Move.STOP},
        "activating": {Move.PAUSE, Move.STOP},
        "active": {Move.PAUSE, Move.STOP},
        "paused": {Move.RESUME, Move.STOP},
        "completed": set(),
        "cancelled": set(),
    }
