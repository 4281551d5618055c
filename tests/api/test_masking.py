"""A viewer reads no token in headers, in URLs or in the addresses of webhooks; whoever writes them reads them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine.api.masking import masked_address, shown_settings
from engine.kernel.principal import Role

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

TOKEN = "t0ken-of-the-service"
URL = f"https://93.184.215.14/hooks/{TOKEN}/go?key={TOKEN}"
SETTINGS = {"url": URL, "headers": {"X-Tenant": TOKEN}}
ACTION = {
    "type": "action",
    "settings": {**SETTINGS, "body": {"api_key": TOKEN, "nested": [{"token": TOKEN}]}},
}


@pytest.fixture
def paths(client: httpx.Client) -> list[str]:
    """Whatever shows settings with tokens in them."""
    flow = client.post("/v1/flow", json={"name": "f", "touchpoints": [ACTION]})
    channel = client.post("/v1/channel", json={"name": "c", "kind": "http", "settings": SETTINGS})
    given = {"url": f"https://93.184.215.14/{TOKEN}?k={TOKEN}", "events": ["*"]}
    webhook = client.post("/api/v1/webhooks", json=given)
    for made in (flow, channel, webhook):
        assert 201 == made.status_code, made.text
    found = [f"{path}{one}" for path, made in (("/v1/flow", flow), ("/v1/channel", channel))
             for one in ("", f"/{made.json()['_id']}")]  # fmt: skip
    return [*found, "/api/v1/webhooks", f"/api/v1/webhooks/{webhook.json()['data']['id']}"]


def test_a_viewer_reads_no_token(api: Api, paths: list[str]) -> None:
    with api.client("viewer") as viewer, api.client("operator") as operator:
        for path in paths:
            shown = viewer.get(path)
            assert 200 == shown.status_code, path
            assert TOKEN not in shown.text, path
            assert "93.184.215.14" in shown.text, path
            assert TOKEN in operator.get(path).text, path


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/", "https://a.example/"),
        ("https://u:p@a.example:8443/v1/send?x=1&y", "https://a.example:8443/v1/send?***"),
        ("https://a.example/b/0123456789abcdef/{{ address }}", "https://a.example/b/***/{{ address }}"),
    ],
)
def test_an_address_says_where_it_leads(url: str, shown: str) -> None:
    assert shown == masked_address(url)


def test_what_is_no_token_is_shown() -> None:
    viewer: Any = SimpleNamespace(role=Role.VIEWER)
    settings = {
        "method": "POST",
        "host": "mail.example",
        "port": 25,
        "url": "https://a.example/send",
        "codes": [1],
    }
    assert settings == shown_settings(viewer, settings)
