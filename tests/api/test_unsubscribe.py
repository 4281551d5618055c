"""Unsubscribe links: one click suppresses the address for the organization; a changed link does nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from engine.content.links import Invitation, LinkError, Links
from engine.engagement.suppression import Barred, bar, suppressed
from engine.engagement.suppression import Organization as Writer
from engine.kernel.media import AddressMedium
from engine.kernel.secrets import Secrets
from state.tables import Engagement, Entity, Event, Organization, Suppression
from tests.api.world import add_recipients, make_campaign

if TYPE_CHECKING:
    from tests.api.conftest import Api

LINKS = Links("https://muster.example/", [b"k" * 32])


def invitation(**values) -> Invitation:
    return Invitation(
        **{
            "org_id": uuid4(),
            "campaign_id": uuid4(),
            "entity_id": uuid4(),
            "channel_kind": "smtp",
            "address": "ada@example.com",
            **values,
        }
    )


def link(api: Api, whom: Invitation) -> str:
    keys = Secrets.of(api.runtime.settings).signing_keys
    return Links(api.url, keys).unsubscribe(whom)


def suppressions(api: Api) -> list[tuple[str, str, str]]:
    with api.database.read() as session:
        found = session.execute(select(Suppression.medium, Suppression.address, Suppression.reason))
        return list(found)


def test_one_click_suppresses_once_however_often(api: Api) -> None:
    url = link(api, invitation(org_id=api.org_id))
    with ThreadPoolExecutor(6) as pool:
        body = {"List-Unsubscribe": "One-Click"}  # as RFC 8058 §3.1 has mail programs send it
        answers = list(pool.map(lambda _: httpx.post(url, data=body), range(6)))
    assert {200} == {answer.status_code for answer in answers}
    assert [("email", "ada@example.com", "unsubscribe")] == suppressions(api)
    with api.database.read() as session:
        assert ["recipient.unsubscribed"] == list(session.execute(select(Event.name)).scalars())


def test_looking_at_the_link_changes_nothing(api: Api) -> None:
    """Scanners follow every link of a mail."""
    answer = httpx.get(link(api, invitation(org_id=api.org_id)))
    assert 200 == answer.status_code
    assert "<form" in answer.text
    assert [] == suppressions(api)


def test_a_changed_link_is_refused(api: Api) -> None:
    url = link(api, invitation(org_id=api.org_id))
    for wrong in (url[:-2], url[:-1] + ("A" if url[-1] != "A" else "B"), api.url + "/u/x", api.url + "/u/ü"):
        for answer in (httpx.get(wrong), httpx.post(wrong)):
            assert 404 == answer.status_code
    assert [] == suppressions(api)


@given(kind=st.sampled_from(["smtp", "file"]), address=st.text(min_size=1, max_size=320))
def test_a_link_says_whom_it_is_for(kind: str, address: str) -> None:
    address = address.encode("utf-8", "ignore").decode() or "a@b.example"
    whom = invitation(channel_kind=kind, address=address)
    url = LINKS.unsubscribe(whom)
    assert url.startswith("https://muster.example/u/")
    assert whom == LINKS.read(url.rpartition("/")[2])


def test_links_outlive_a_change_of_key() -> None:
    whom = invitation()
    token = LINKS.unsubscribe(whom).rpartition("/")[2]
    assert whom == Links("https://muster.example", [b"new" * 11, b"k" * 32]).read(token)
    with pytest.raises(LinkError):
        Links("https://muster.example", [b"new" * 11]).read(token)


def test_a_person_may_leave_one_campaign_and_come_back(api: Api) -> None:
    """The page offers what it says, and an address that bounced stays barred whatever its owner clicks."""
    campaign_id = make_campaign(api.database, api.org_id, name="Spring <sale>")
    (entity_id,) = add_recipients(api.database, api.org_id, campaign_id, ["success"])
    whom = invitation(org_id=api.org_id, campaign_id=campaign_id, entity_id=entity_id)
    url = link(api, whom)
    page = httpx.get(url).text
    assert "Spring &lt;sale&gt;" in page
    assert "ad…@example.com" in page
    assert 'value="campaign"' in page
    page = httpx.post(url, data={"scope": "campaign"}).text
    assert "unsubscribed from “Spring" in page

    def barred(campaign: UUID) -> dict[str, str]:
        with api.database.read() as session:
            return suppressed(
                session,
                Writer(api.org_id, campaign),
                AddressMedium.EMAIL,
                [whom.address],
            )

    assert {whom.address: "unsubscribe"} == barred(campaign_id)
    assert {} == barred(uuid4()), "other campaigns go on"
    assert "You are unsubscribed." in httpx.post(url, data={"scope": "all"}).text
    assert {whom.address: "unsubscribe"} == barred(uuid4())
    assert "Unsubscribe?" in httpx.post(url, data={"scope": "none"}).text
    assert {} == barred(campaign_id)
    assert [] == suppressions(api)
    with api.database.read() as session:
        kinds = list(session.scalars(select(Engagement.kind).order_by(Engagement.id)))
        names = [name for name in session.scalars(select(Event.name)) if name.startswith("recipient.")]
    assert ["unsubscribed", "resubscribed"] == kinds
    assert ["recipient.unsubscribed"] * 2 + ["recipient.resubscribed"] == names
    with api.database.begin() as session:
        bar(session, api.org_id, [Barred(AddressMedium.EMAIL, whom.address, "hard_bounce")])
    httpx.post(url, data={"scope": "none"})
    assert [("email", whom.address, "hard_bounce")] == suppressions(api)


def test_whatever_a_mail_program_posts_is_one_click(api: Api) -> None:
    for body in (b"", b"List-Unsubscribe=One-Click", b"\xff\xfe", b"x" * 10_000, b"--b\r\nfoo\r\n--b--"):
        whom = invitation(org_id=api.org_id, address=f"{uuid4().hex}@x.example")
        assert 200 == httpx.post(link(api, whom), content=body).status_code
        assert ("email", whom.address, "unsubscribe") in suppressions(api)


def test_a_link_of_an_organization_that_is_gone_leads_nowhere(api: Api) -> None:
    assert 404 == httpx.post(link(api, invitation())).status_code


def test_the_page_says_who_writes_in_the_readers_language_and_what_else_they_get(api: Api) -> None:
    spring, autumn, other = (
        make_campaign(api.database, api.org_id, name=name) for name in ("Spring", "Autumn <i>", "Not theirs")
    )
    (entity_id,) = add_recipients(api.database, api.org_id, spring, ["success"])
    add_recipients(api.database, api.org_id, autumn, ["success"], ids=[entity_id])
    with api.database.begin() as session:
        now = api.database.clock.now()
        attributes = {"email": "ada@example.com", "language": "de"}
        session.add(
            Entity(
                id=entity_id,
                org_id=api.org_id,
                schema="contact",
                title="Ada",
                attributes=attributes,
                created_at=now,
                updated_at=now,
            )
        )
        sender = session.get_one(Organization, api.org_id).name
    whom = invitation(org_id=api.org_id, campaign_id=spring, entity_id=entity_id)
    url = link(api, whom)
    page = httpx.get(url)
    assert sender in page.text
    assert "Wollen Sie sich abmelden?" in page.text, "as the entity reads, where the browser says nothing"
    assert "Unsubscribe?" in httpx.get(url, headers={"accept-language": "en-GB"}).text
    assert "<script" not in page.text
    assert "<style" not in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "Autumn &lt;i&gt;" in page.text
    assert "Not theirs" not in page.text
    page = httpx.post(url, data={"scope": f"campaign:{autumn}"})
    assert f'value="back:{autumn}"' in page.text
    with api.database.read() as session:
        there = Writer(api.org_id, autumn)
        assert suppressed(session, there, AddressMedium.EMAIL, ["ada@example.com"])
        here = Writer(api.org_id, spring)
        assert not suppressed(session, here, AddressMedium.EMAIL, ["ada@example.com"])
    assert f'value="campaign:{autumn}"' in httpx.post(url, data={"scope": f"back:{autumn}"}).text
    assert [] == suppressions(api)
    for wrong in (f"campaign:{other}", "back:x"):
        assert httpx.post(url, data={"scope": wrong}).status_code == 404
    assert [] == suppressions(api)
