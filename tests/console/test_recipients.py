"""Recipients: filtered by code, step and portal beside their status, as a file too, and what a step says to one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import update

from state.tables import Recipient
from tests.api.world import add_recipients, make_campaign

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.api.conftest import Api
    from tests.console.conftest import Person
    from tests.console.world import World

    SignIn = Callable[..., Person]


def test_the_list_and_its_file_are_filtered_alike(api: Api, sign_in: SignIn, world: World) -> None:
    step_id = uuid4()
    with api.database.begin() as session:
        mine = update(Recipient).where(Recipient.entity_id == world.recipient_id)
        session.execute(mine.values(portal_status="seen", touchpoint_id=step_id))
    person = sign_in("viewer")
    for query, count in (
        ("code=SMTP_550", 2),
        ("code=SMTP_550&status=failed", 2),
        ("code=SMTP_550&status=success", 0),
        ("code=OTHER", 0),
        ("portal=seen", 1),
        ("portal=seen&code=SMTP_550", 1),
        (f"step={step_id}", 1),
        (f"step={uuid4()}", 0),
    ):
        path = f"/console/campaigns/{world.campaign_id}/recipients"
        assert person.get(f"{path}?{query}").text.count('<td class="main"><a') == count, query
        assert len(person.get(f"{path}.csv?{query}").text.splitlines()) == 1 + count, query
    for wrong in ("step=x", "portal=nowhere", "status=lost"):
        assert person.get(f"/console/campaigns/{world.campaign_id}/recipients?{wrong}").status_code == 400


def test_a_message_is_shown_in_the_recipients_variant(
    api: Api, sign_in: SignIn, client: httpx.Client
) -> None:
    variants = [
        {"id": name, "content": {"subject": f"{name} for {{{{ first_name }}}}", "html": f"<p>{name}</p>"}}
        for name in ("A", "B")
    ]
    steps = [{"name": "letter", "variants": variants}, {"type": "wait", "settings": {"days": 1}}]
    flow = client.post("/v1/flow", json={"name": "f", "touchpoints": steps}).json()
    entity = client.post("/v1/entity/contact", json={"first_name": "Ada", "email": "ada@example.com"}).json()
    campaign_id = make_campaign(api.database, api.org_id, name="c")
    add_recipients(api.database, api.org_id, campaign_id, ["success"])
    path = f"/console/campaigns/{campaign_id}/recipients/{entity['_id']}/message"
    letter, wait = (one["id"] for one in flow["touchpoints"])
    person = sign_in("viewer")
    page = person.get(f"{path}?step={letter}&variant=B").text
    assert "B for Ada" in page
    assert "changed since" not in page
    assert "changed since" in person.get(f"{path}?step={letter}&variant=B&at=2020-01-01T00:00:00Z").text
    assert person.get(f"{path}.html?step={letter}&variant=B").text.endswith("<p>B</p>")
    for wrong, status in ((f"step={wait}", 400), (f"step={uuid4()}", 404), (f"step={letter}&at=x", 400)):
        assert person.get(f"{path}?{wrong}").status_code == status, wrong
