"""Topics: people choose what they get; who opted out of a campaign's topic is not written to, and others are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from engine.content.links import Invitation, Links
from engine.engagement.suppression import Organization, suppressed
from engine.engagement.topics import MOST
from engine.kernel.media import AddressMedium
from engine.kernel.secrets import Secrets
from state.tables import Campaign, Event, TopicOptOut
from tests.api.world import add_recipients, make_campaign

if TYPE_CHECKING:
    from tests.api.conftest import Api

ADA = "ada@example.com"


@pytest.fixture
def news(client: httpx.Client) -> dict[str, Any]:
    made = client.post("/v1/topic", json={"name": "News", "description": "Twice a month <b>"})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def link(api: Api, campaign_id: UUID) -> str:
    (entity_id,) = add_recipients(api.database, api.org_id, campaign_id, ["success"])
    keys = Secrets.of(api.runtime.settings).signing_keys
    return Links(api.url, keys).unsubscribe(Invitation(api.org_id, campaign_id, entity_id, "smtp", ADA))


def barred(api: Api, topic_id: Any, campaign_id: UUID | None = None) -> dict[str, str]:
    """Of Ada and Bo those whom a campaign about the topic must not write to."""
    with api.database.read() as session:
        whose = Organization(
            api.org_id, campaign_id or uuid4(), None if topic_id is None else UUID(str(topic_id))
        )
        return suppressed(session, whose, AddressMedium.EMAIL, [ADA, "bo@example.com"])


def test_a_person_opts_out_of_a_topic_and_in_again(
    api: Api, client: httpx.Client, news: dict[str, Any]
) -> None:
    offers = client.post("/v1/topic", json={"name": "Offers"}).json()
    url = link(api, make_campaign(api.database, api.org_id))
    page = httpx.get(url).text
    assert "Twice a month &lt;b&gt;" in page
    assert page.index("News") < page.index("Offers")
    assert (f'value="no-topic:{news["_id"]}"' in page, f'value="topic:{news["_id"]}"' in page) == (
        True,
        False,
    )

    for _ in range(2):
        page = httpx.post(url, data={"scope": f"no-topic:{news['_id']}"}).text
        assert f'value="topic:{news["_id"]}"' in page
        assert f'value="no-topic:{offers["_id"]}"' in page
    assert barred(api, news["_id"]) == {ADA: "topic"}
    assert barred(api, offers["_id"]) == barred(api, None) == {}
    page = httpx.post(url, data={"scope": f"topic:{news['_id']}"}).text
    assert f'value="no-topic:{news["_id"]}"' in page
    assert barred(api, news["_id"]) == {}
    with api.database.read() as session:
        events = list(session.scalars(select(Event).order_by(Event.id)))
    assert [(one.name, one.data["scope"]) for one in events if one.name.startswith("recipient.")] == [
        ("recipient.unsubscribed", "topic"),
        ("recipient.resubscribed", "topic"),
    ]


def test_one_click_is_out_of_everything_and_the_choice_of_topics_stays(
    api: Api, news: dict[str, Any]
) -> None:
    url = link(api, make_campaign(api.database, api.org_id))
    httpx.post(url, data={"scope": f"no-topic:{news['_id']}"})
    page = httpx.post(url, data={"List-Unsubscribe": "One-Click"}).text
    assert "News" not in page
    assert barred(api, None) == {ADA: "unsubscribe"}
    page = httpx.post(url, data={"scope": "none"}).text
    assert f'value="topic:{news["_id"]}"' in page
    assert (barred(api, None), barred(api, news["_id"])) == ({}, {ADA: "topic"})


def test_what_is_no_topic_of_the_sender_changes_nothing(
    api: Api, stranger: httpx.Client, news: dict[str, Any]
) -> None:
    theirs = stranger.post("/v1/topic", json={"name": "Theirs"}).json()["_id"]
    url = link(api, make_campaign(api.database, api.org_id))
    assert "Theirs" not in httpx.get(url).text
    for wrong in (f"no-topic:{theirs}", f"topic:{uuid4()}", "no-topic:x"):
        assert httpx.post(url, data={"scope": wrong}).status_code == 404
    with api.database.read() as session:
        assert session.scalars(select(TopicOptOut)).all() == []
    assert stranger.get(f"/v1/topic/{news['_id']}").status_code == 404


def test_a_campaign_is_about_a_topic(api: Api, client: httpx.Client, news: dict[str, Any]) -> None:
    campaign = f"/v1/campaign/{make_campaign(api.database, api.org_id)}"
    assert client.patch(campaign, json={"topic_id": news["_id"]}).json()["topic_id"] == news["_id"]
    refused = client.patch(campaign, json={"topic_id": str(uuid4())})
    assert (refused.status_code, refused.json()["message"][:9]) == (400, "topic_id:")
    used = client.delete(f"/v1/topic/{news['_id']}")
    assert used.status_code == 409
    assert "campaign 'spring'" in used.json()["message"]
    copy = client.post(f"/api/v1/campaigns/{campaign.rpartition('/')[2]}/clone").json()["data"]["id"]
    with api.database.read() as session:
        assert {str(one) for one in session.scalars(select(Campaign.topic_id))} == {news["_id"]}
    client.delete(f"/v1/campaign/{copy}")
    assert "topic_id" not in client.patch(campaign, json={"topic_id": None}).json()
    assert client.delete(f"/v1/topic/{news['_id']}").status_code == 204


def test_topics_are_listed_changed_and_bounded(client: httpx.Client, news: dict[str, Any]) -> None:
    path = f"/v1/topic/{news['_id']}"
    assert client.patch(path, json={"name": "Letters"}).json()["name"] == "Letters"
    assert client.patch(path, json=client.get(path).json()).json()["description"] == "Twice a month <b>"
    for name in ("LETTERS", ""):
        refused = client.post("/v1/topic", json={"name": name})
        assert (refused.status_code, refused.json()["message"][:5]) == (400, "name:")
    for number in range(MOST - 1):
        assert client.post("/v1/topic", json={"name": f"t{number}"}).status_code == 201
    assert "50 topics" in client.post("/v1/topic", json={"name": "one more"}).json()["message"]
    assert client.get("/v1/topic").json()["total"] == MOST
