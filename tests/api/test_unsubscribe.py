"""Unsubscribe links: one click suppresses the address for the organization; a changed link does nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from engine.channels.secrets import Secrets
from engine.content.links import Invitation, LinkError, Links
from state.tables import Event, Suppression

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
        found = session.execute(select(Suppression.channel_kind, Suppression.address, Suppression.reason))
        return [tuple(row) for row in found]


def test_one_click_suppresses_once_however_often(api: Api) -> None:
    url = link(api, invitation(org_id=api.org_id))
    with ThreadPoolExecutor(6) as pool:
        body = {"List-Unsubscribe": "One-Click"}  # as RFC 8058 §3.1 has mail programs send it
        answers = list(pool.map(lambda _: httpx.post(url, data=body), range(6)))
    assert {200} == {answer.status_code for answer in answers}
    assert [("smtp", "ada@example.com", "unsubscribe")] == suppressions(api)
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
