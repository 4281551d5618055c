"""Whose request it is: one credential decides, and another owner's beside it is refused, on all four dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from engine.authentication.api_keys import create_key
from engine.kernel.principal import principal_of
from engine.organizations import create_organization

if TYPE_CHECKING:
    from tests.api.conftest import Api

#: A route that reads, of each dialect.
READING = (
    "/v1/target",
    "/api/v1/campaigns",
    "/channel-service/v1/campaign",
    f"/campaigns/{UUID(int=7)}/targets",
)


@pytest.mark.parametrize("path", READING)
def test_credentials_of_different_owners_are_refused_in_whatever_headers(api: Api, path: str) -> None:
    with api.database.begin() as session:
        other = create_organization(session, "another")
        theirs = create_key(session, other.id, "theirs", "admin")[1]
    mine = api.keys["admin"]
    bearer = ("authorization", f"Bearer {mine}")
    with httpx.Client(base_url=api.url) as client:
        answer = client.get(path, headers=[bearer])
        assert answer.status_code == (404 if path.startswith("/campaigns") else 200)
        assert client.get(path, headers=[bearer, ("x-api-key", mine)]).status_code == answer.status_code
        assert client.get(path, headers=[bearer, ("x-api-key", api.keys["viewer"])]).status_code == 401
        for other_header in (
            ("x-api-key", theirs),
            ("x-access-token", theirs),
            ("authorization", f"Bearer {theirs}"),
        ):
            for headers in ([bearer, other_header], [other_header, bearer]):
                assert client.get(path, headers=headers).status_code == 401, headers


def test_what_is_written_knows_its_author(api: Api) -> None:
    authors = []

    def listen(session: Session, *_: object) -> None:
        authors.append(principal_of(session))

    event.listen(Session, "before_flush", listen)
    with api.client("operator") as client:
        answer = client.post("/v1/target", json={"name": "Everybody", "entity_schema": "contact"})
    event.remove(Session, "before_flush", listen)
    assert answer.status_code == 201, answer.text
    (author,) = {one for one in authors if one is not None}
    assert (author.org_id, author.name, author.role.word) == (api.org_id, "operator", "operator")
    assert author.subject == f"key:{author.key_id}"
    assert author.address == "127.0.0.1"
