"""`_validate` finds out what a touchpoint would do: rendered for somebody, shown to its channel, the channel asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from engine.audience.entities import upsert_entity
from state.tables import Campaign, Channel
from tests.api.world import make_target
from tests.imbrace.conftest import add_channel

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api


def errors(imbrace: httpx.Client, campaign: str, message: object, **values: Any) -> list[str]:
    body = {"name": "n", "type": "message", "campaign_id": campaign, "message": message, **values}
    checked = imbrace.post("/touchpoints/_validate", json=body)
    assert checked.status_code == 200, checked.text
    answer = checked.json()
    assert answer["valid"] is not bool(answer["errors"])
    assert answer["duplicate"] is False
    return answer["errors"]


def campaign_for_somebody(api: Api, imbrace: httpx.Client) -> str:
    campaign: str = imbrace.post("/campaign", json={"name": "spring"}).json()["_id"]
    with api.database.begin() as session:
        upsert_entity(
            session, api.org_id, "contact", {"email": "ada@x.org", "first_name": "Ada", "n": "many"}
        )
        row = session.get_one(Campaign, UUID(campaign))
        row.target_ids = [str(make_target(session, api.org_id))]
    return campaign


def test_a_message_is_rendered_for_somebody_of_the_audience(api: Api, imbrace: httpx.Client) -> None:
    add_channel(api, "null", is_default=True)
    campaign = campaign_for_somebody(api, imbrace)
    assert errors(imbrace, campaign, "Hi {{ first_name }} {{ nick | default: 'friend' }}") == []
    assert errors(imbrace, campaign, "Hi {{ nick }}") == [
        "nick: is no attribute of contact, and has no default"
    ]
    assert errors(imbrace, campaign, "{{ n | number }}") == ["text, line 1: 'many' is not a number (n)"]
    variants = [{"id": "a", "message": "ok"}, {"id": "b", "message": "{{ who }}"}]
    found = errors(imbrace, campaign, None, variants=variants)
    assert found == ["variants[1].who: is no attribute of contact, and has no default"]


def test_a_channel_is_asked_whether_its_provider_answers(api: Api, imbrace: httpx.Client) -> None:
    mail = add_channel(api, "smtp", is_default=True)
    campaign = campaign_for_somebody(api, imbrace)
    message = {"subject": "s", "text": "Hi"}
    (broken,) = errors(imbrace, campaign, message)
    assert broken.startswith("channel 'smtp': settings.")
    with api.database.begin() as session:
        settings = {"host": "127.0.0.1", "port": 1, "security": "none", "from_email": "a@x.org"}
        session.get_one(Channel, UUID(mail)).settings = settings
    (silent,) = errors(imbrace, campaign, message)
    assert silent.startswith("channel_id: SMTP_")
