"""What every answer carries for browsers, and what is open to whom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.content.links import Invitation, Links
from engine.kernel.secrets import Secrets

if TYPE_CHECKING:
    from tests.api.conftest import Api

GUARDS = {"x-content-type-options": "nosniff", "x-frame-options": "DENY"}


def invitation(api: Api) -> str:
    links = Links(api.url, Secrets.of(api.runtime.settings).signing_keys)
    return links.unsubscribe(Invitation(api.org_id, api.org_id, api.org_id, "smtp", "ada@example.com"))


def test_every_answer_is_what_it_says_and_is_framed_by_nobody(api: Api, client: httpx.Client) -> None:
    paths = [
        "/v1/channel", "/api/v1/campaigns", "/nowhere", "/docs", "/docs/start.js", "/openapi.json", "/metrics",
        "/health/live", "/t/o/x/y.gif", "/t/c/x/y", "/u/nonsense", "/console", invitation(api),
    ]  # fmt: skip
    for path in paths:
        answer = client.get(path)
        assert GUARDS.items() <= dict(answer.headers).items(), path
        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin"), path
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, path
        assert "default-src 'none'" in policy or "default-src 'self'" in policy, path
        assert len(answer.headers.get_list("content-security-policy")) == 1


def test_the_unsubscribe_page_keeps_its_style_and_its_form(api: Api) -> None:
    page = httpx.get(invitation(api))
    assert "<form" in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]


def test_the_documentation_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs", headers={"authorization": ""})
    assert 200 == page.status_code
    assert [] == re.findall(r"(?:https?:)?//[a-z]", page.text)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"} == set(loaded)
    for path in loaded:
        answer = client.get(f"/{path}", headers={"authorization": ""})
        assert 200 == answer.status_code
        assert len(answer.content) > 500
    assert 404 == client.get("/docs/README.md").status_code


@pytest.mark.parametrize(("path", "least"), [("/openapi.json", "viewer"), ("/metrics", "admin")])
def test_document_and_metrics_need_a_key_unless_they_are_opened(api: Api, path: str, least: str) -> None:
    def closed(value: bool | None) -> None:
        changes = {"broker_url": "redis://127.0.0.1:1/0", "open_docs": value, "open_metrics": value}
        api.runtime.settings = api.runtime.settings.model_copy(update=changes)

    assert 200 == httpx.get(api.url + path, timeout=60).status_code  # embedded
    for value in (None, False):
        closed(value)
        refused = httpx.get(api.url + path, timeout=60)
        assert (401, "Bearer") == (refused.status_code, refused.headers["www-authenticate"])
        assert (
            401
            == httpx.get(
                api.url + path, headers={"authorization": "Bearer mk_nonsense"}, timeout=60
            ).status_code
        )
        with api.client(least) as known:
            assert 200 == known.get(path).status_code
    with api.client("viewer") as viewer:
        assert viewer.get(path).status_code == (200 if least == "viewer" else 403)
    closed(True)
    assert 200 == httpx.get(api.url + path, timeout=60).status_code
