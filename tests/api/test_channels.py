"""Channels: one default, credentials that go in and never come out, a test that asks the provider."""

from __future__ import annotations

import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest
import structlog

from config.logging import configure_logging
from config.settings import Settings
from engine.channels import registry
from engine.channels.smtp.lookup import Lookup
from engine.channels.smtp.mail_domain import MailDomain, examine_domain
from engine.kernel.outbound import Guard
from engine.kernel.secrets import Secrets, channel_place
from state.tables import Channel, Flow, IdempotencyKey, Job
from tests.api.world import make_campaign, make_job
from tests.servers.dns import DnsServer
from tests.servers.smtp import SmtpServer

PASSWORD = "hunter2-never-shown"
SMTP: dict[str, Any] = {
    "name": "mail",
    "kind": "smtp",
    "settings": {"host": "127.0.0.1", "port": 1, "security": "none", "insecure_login": True,
                 "from_email": "shop@x.example"},
    "credentials": {"username": "shop", "password": PASSWORD},
}  # fmt: skip


def row(api, made):
    with api.database.read() as session:
        return session.get_one(Channel, UUID(made["_id"]))


def test_credentials_are_kept_encrypted_and_never_sent_back(api, client):
    made = client.post("/v1/channel", json=SMTP, headers={"idempotency-key": "k"})
    assert made.status_code == 201, made.text
    made = made.json()
    path = f"/v1/channel/{made['_id']}"
    answers = [
        client.post("/v1/channel", json=SMTP, headers={"idempotency-key": "k"}),
        client.get(path),
        client.get("/v1/channel"),
        client.patch(path, json={"name": "m"}),
        client.post(f"{path}:test"),
        client.patch(
            path, json={"credentials": {"username": "shop", "password": PASSWORD, "nope": PASSWORD}}
        ),
        client.patch(path, json={"credentials": {"username": PASSWORD}}),
        client.patch(path, json={"credentials": PASSWORD}),
        client.patch(path, json={"credentials": {"password": [PASSWORD]}}),
        client.patch(path, json={"settings": {"host": 1}}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 400, 400, 400, 400, 400]
    for answer in answers:
        assert PASSWORD not in answer.text
        assert PASSWORD not in str(answer.headers)
    assert made["has_credentials"] is True
    assert "credentials" not in made
    kept = row(api, made)
    assert PASSWORD.encode() not in kept.credentials
    assert (
        Secrets.of(api.runtime.settings).open(kept.credentials, channel_place(kept.id))["password"]
        == PASSWORD
    )
    with api.database.read() as session:
        assert PASSWORD not in repr([(one.answer, one.headers) for one in session.query(IdempotencyKey)])


@pytest.fixture
def logged(capfd):
    """Everything that is logged, in the form of production."""
    before = logging.getLogger().handlers[:], structlog.get_config()
    configure_logging(Settings(log_level="debug"))
    yield lambda: "".join(capfd.readouterr())
    logging.getLogger().handlers = before[0]
    structlog.configure(**before[1])


def test_neither_keys_nor_credentials_reach_the_log(api, client, logged, monkeypatch):
    made = client.post("/v1/channel", json=SMTP).json()
    client.post("/v1/channel", json={**SMTP, "kind": "smpt"})
    client.post("/v1/channel", json={**SMTP, "credentials": {"password": PASSWORD}})
    client.get("/v1/campaign", params={"q": PASSWORD})
    client.get("/v1/campaign", headers={"authorization": f"Bearer {PASSWORD}"})

    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(registry, "build", broken)
    assert client.patch(f"/v1/channel/{made['_id']}", json={"settings": SMTP["settings"]}).status_code == 500
    text = logged()
    assert "api.request" in text
    assert "a bug" in text, "a bug is logged with its stack"
    assert PASSWORD not in text
    for key in api.keys.values():
        assert key not in text


def test_one_channel_is_the_default(api, client):
    first, second = (
        client.post("/v1/channel", json={"name": "n", "kind": "null", "is_default": True}).json()["_id"]
        for _ in range(2)
    )
    defaults = {one["_id"]: one["is_default"] for one in client.get("/v1/channel").json()["results"]}
    assert defaults == {first: False, second: True}
    client.patch(f"/v1/channel/{first}", json={"is_default": True})
    defaults = {one["_id"]: one["is_default"] for one in client.get("/v1/channel").json()["results"]}
    assert defaults == {first: True, second: False}


def test_of_many_defaults_at_once_one_is_left(api, client):
    made = [client.post("/v1/channel", json={"name": "n", "kind": "null"}).json()["_id"] for _ in range(6)]

    def take(channel_id):
        with api.client() as other:
            return other.patch(f"/v1/channel/{channel_id}", json={"is_default": True}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(take, made)) == {200}
    assert sum(one["is_default"] for one in client.get("/v1/channel").json()["results"]) == 1


def test_the_default_of_one_organization_is_not_anothers(client, stranger):
    given = {"name": "n", "kind": "null", "is_default": True}
    mine, theirs = client.post("/v1/channel", json=given).json(), stranger.post("/v1/channel", json=given)
    assert theirs.json()["is_default"] is True
    assert client.get(f"/v1/channel/{mine['_id']}").json()["is_default"] is True


def test_what_the_kind_says_is_the_default_policy(client):
    made = client.post("/v1/channel", json={"name": "n", "kind": "null"}).json()
    assert made["doubt_policy"] == registry.doubt_policy("null")
    other = client.post("/v1/channel", json={"name": "n", "kind": "null", "doubt_policy": "hold"}).json()
    assert other["doubt_policy"] == "hold"
    back = client.patch(f"/v1/channel/{other['_id']}", json={"doubt_policy": None}).json()
    assert back["doubt_policy"] == registry.doubt_policy("null")


def test_settings_are_checked_with_the_credentials_that_stay(client):
    made = client.post("/v1/channel", json=SMTP).json()
    path = f"/v1/channel/{made['_id']}"
    assert client.patch(path, json={"kind": "null"}).status_code == 400
    assert client.patch(path, json={"kind": "smtp"}).status_code == 200
    settings = {**SMTP["settings"], "concurrency": 3}
    changed = client.patch(path, json={"settings": settings}).json()
    assert changed["settings"] == settings
    assert changed["has_credentials"] is True
    assert client.patch(path, json={"credentials": None}).json()["has_credentials"] is False
    refused = client.patch(path, json={"settings": {**settings, "prot": 1}})
    assert "settings.prot" in refused.json()["message"]
    assert "did you mean 'port'" in refused.json()["message"]


def test_new_settings_let_waiting_jobs_go_on_and_forget_the_breaker(api, client, clock):
    made = client.post("/v1/channel", json={"name": "n", "kind": "null"}).json()
    campaign_id = make_campaign(api.database, api.org_id)
    with api.database.begin() as session:
        flow = session.query(Flow).one()
        channel = session.get_one(Channel, UUID(made["_id"]))
        channel.blocked_until = clock.now() + timedelta(hours=1)
        channel.blocked_reason, channel.consecutive_failures = "SMTP_DOWN: refused", 7
    job_id = make_job(
        api.database, api.org_id, campaign_id, flow_id=flow.id, waits_until=clock.now() + timedelta(hours=1)
    )
    assert client.get(f"/v1/channel/{made['_id']}").json()["blocked_reason"] == "SMTP_DOWN: refused"
    renamed = client.patch(f"/v1/channel/{made['_id']}", json={"name": "m"}).json()
    assert "blocked_until" in renamed, "a new name heals nothing"
    fixed = client.patch(f"/v1/channel/{made['_id']}", json={"settings": {}}).json()
    assert "blocked_until" not in fixed
    with api.database.read() as session:
        assert session.get_one(Job, job_id).waits_until == clock.now()
        assert session.get_one(Channel, UUID(made["_id"])).consecutive_failures == 0


def test_testing_asks_the_provider(api, client, stranger):
    good = client.post("/v1/channel", json={"name": "n", "kind": "null"}).json()["_id"]
    assert client.post(f"/v1/channel/{good}:test").json() == {"ok": True}
    assert client.post(f"/v1/channel/{good}%3Atest").json() == {"ok": True}
    dead = client.post("/v1/channel", json=SMTP).json()["_id"]
    answer = client.post(f"/v1/channel/{dead}:test")
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["message"]
    assert stranger.post(f"/v1/channel/{good}:test").status_code == 404


def test_testing_looks_at_the_domains_records(api, client, monkeypatch):
    """As `muster doctor --domain` does, in bounded time; what no name server of the public's knows is not asked for."""
    records = {
        "shop.example": {"TXT": ["v=spf1 mx -all"], "MX": ["10 mx.shop.example."]},
        "mx.shop.example": {"A": ["8.8.4.9"]},
        "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=none"]},
    }
    with DnsServer(records) as names, SmtpServer() as mail:
        changed = api.runtime.settings.model_copy(update={"dns_server": names.address})
        monkeypatch.setattr(api.runtime, "settings", changed)
        settings = {
            "host": "127.0.0.1",
            "port": mail.port,
            "security": "none",
            "from_email": "news@shop.example",
        }
        channel = {"name": "mail", "kind": "smtp", "settings": settings}
        made = client.post("/v1/channel", json=channel).json()["_id"]
        answer = client.post(f"/v1/channel/{made}:test").json()
        found = {one["name"]: one for one in answer["records"]}
        assert answer["ok"] is True
        assert (True, True) == (found["SPF"]["ok"], found["DMARC"]["ok"])
        assert "ok" not in found["DKIM"], "worth a look"
        assert "dkim_domain" in found["DKIM"]["remedy"]
        asked = len(names.asked)
        settings["from_email"] = "news@wiki.internal"
        inside = client.post("/v1/channel", json=channel).json()["_id"]
        (one,) = client.post(f"/v1/channel/{inside}:test").json()["records"]
        assert (False, "wiki.internal is no public domain") == (one["ok"], one["found"])
        assert asked == len(names.asked)


def test_records_take_bounded_time():
    """A name server that never answers is asked for so long, and no more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        lookup = Lookup([f"127.0.0.1:{silent.getsockname()[1]}"], within=0.3)
        began = time.monotonic()
        findings = examine_domain(MailDomain("shop.example", host="mx.shop.example"), lookup)
        assert time.monotonic() - began < 3
    assert {"SPF", "DMARC"} <= {one.name for one in findings if one.ok is False}
    assert any("took too long" in one.found for one in findings)


def test_a_channel_that_a_flow_names_stays(api, client):
    channel = client.post("/v1/channel", json={"name": "n", "kind": "null"}).json()["_id"]
    template = client.post("/v1/template", json={"name": "t", "text": "x"}).json()["_id"]
    step = {"template_id": template, "channel_id": channel}
    flow = client.post("/v1/flow", json={"name": "f", "touchpoints": [step]}).json()["_id"]
    refused = client.delete(f"/v1/channel/{channel}")
    assert refused.status_code == 409
    assert "'f'" in refused.json()["message"]
    client.delete(f"/v1/flow/{flow}")
    assert client.delete(f"/v1/channel/{channel}").status_code == 204


#: Of every kind over a mail API.
MAIL_API = {"from_email": "news@shop.example", "base_url": "http://127.0.0.1:1"}
#: A channel of every kind whose provider is not there, with a secret wherever the kind takes one.
EVERY_KIND: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "apprise": ({}, {"url": f"ntfy://{PASSWORD}@127.0.0.1:1/topic"}),
    "file": ({"format": "eml"}, {}),
    "http": ({"url": "http://127.0.0.1:1/send"}, {"bearer": PASSWORD, "secrets": {"key": PASSWORD}}),
    "mailgun": ({**MAIL_API, "domain": "mg.x.org"}, {"api_key": PASSWORD}),
    "null": ({}, {}),
    "portal": ({}, {}),
    "postmark": (MAIL_API, {"server_token": PASSWORD}),
    "resend": (MAIL_API, {"api_key": PASSWORD, "webhook_secret": PASSWORD}),
    "sendgrid": (MAIL_API, {"api_key": PASSWORD}),
    "ses": (
        {**MAIL_API, "region": "eu-central-1"},
        {"access_key_id": "AKIDEXAMPLE00000", "secret_access_key": PASSWORD},
    ),
    "smtp": (SMTP["settings"], SMTP["credentials"]),
    "sms": (
        {
            "provider": "twilio",
            "account_sid": "AC" + "0" * 32,
            "sender": "+15005550006",
            "base_url": "http://127.0.0.1:1",
        },
        {"auth_token": PASSWORD},
    ),
    "telegram": ({"base_url": "http://127.0.0.1:1"}, {"token": f"1:{PASSWORD}"}),
    "voice": (
        {"agent_id": "agent_1", "phone_number_id": "phnum_1", "base_url": "http://127.0.0.1:1"},
        {"api_key": PASSWORD, "webhook_secret": PASSWORD},
    ),
    "whatsapp": ({"phone_number_id": "1", "base_url": "http://127.0.0.1:1"}, {"access_token": PASSWORD}),
}


def test_no_kind_is_forgotten():
    assert set(EVERY_KIND) == set(registry.kinds())


INSIDE = "http://169.254.169.254/latest"


@pytest.mark.parametrize(
    ("kind", "settings", "field"),
    [
        ("http", {"url": INSIDE}, "url"),
        ("http", {"url": "https://example.com/", "check_url": "http://2130706434/"}, "check_url"),
        ("telegram", {"base_url": INSIDE}, "base_url"),
        ("voice", {"base_url": INSIDE}, "base_url"),
        *(
            (kind, {"base_url": INSIDE}, "base_url")
            for kind in ("mailgun", "postmark", "resend", "sendgrid", "ses")
        ),
        ("whatsapp", {"base_url": INSIDE}, "base_url"),
        ("sms", {"base_url": INSIDE}, "base_url"),
        ("sms", {"provider": "gateway", "request": {"url": INSIDE}}, "request.url"),
    ],
)
def test_an_address_that_is_not_public_is_refused_where_it_is_written(api, client, kind, settings, field):
    api.runtime.guard = Guard()
    usual, credentials = EVERY_KIND[kind]
    if settings.get("provider") == "gateway":
        usual, credentials = {}, {}
    given = {**usual, **settings, "insecure_login": True}
    refused = client.post(
        "/v1/channel", json={"name": "n", "kind": kind, "settings": given, "credentials": credentials}
    )
    assert refused.status_code == 400, refused.text
    assert refused.json()["message"].startswith(f"settings.{field}: ")
    assert (
        "is not a public address; MUSTER_CHANNEL_ALLOWED_NETWORKS may allow it" in refused.json()["message"]
    )
    assert client.get("/v1/channel").json()["total"] == 0


def test_an_action_at_an_address_that_is_not_public_is_refused(api, client):
    api.runtime.guard = Guard()
    step = {"type": "action", "settings": {"url": "http://[::1]/"}}
    refused = client.post("/v1/flow", json={"name": "f", "touchpoints": [step]})
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("touchpoints[0].settings.url: it is not a public address")
    api.runtime.guard = Guard([ip_network("::1/128")])
    assert client.post("/v1/flow", json={"name": "f", "touchpoints": [step]}).status_code == 201


@pytest.mark.parametrize("kind", sorted(EVERY_KIND))
def test_every_kind_is_made_changed_and_asked_without_showing_its_secret(api, client, logged, kind):
    settings, credentials = EVERY_KIND[kind]
    given = {"name": "n", "kind": kind, "settings": settings, "credentials": credentials}
    made = client.post("/v1/channel", json=given)
    assert made.status_code == 201, made.text
    path = f"/v1/channel/{made.json()['_id']}"
    answers = [
        made,
        client.get(path),
        client.patch(path, json={"settings": settings}),
        client.patch(path, json={"credentials": credentials}),
        client.patch(path, json={"credentials": {**credentials, "nope": PASSWORD}}),
        client.patch(path, json={"settings": {**settings, "nope": PASSWORD}}),
        client.post(f"{path}:test"),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 400, 400, 200]
    assert "credentials.nope" in answers[4].json()["message"]
    assert "settings.nope" in answers[5].json()["message"]
    asked = answers[-1].json()
    assert asked["ok"] is (kind in ("apprise", "file", "null", "portal"))
    assert asked["ok"] or asked["message"]
    assert made.json()["has_credentials"] is bool(credentials)
    kept = row(api, made.json())
    assert kept.credentials is None or PASSWORD.encode() not in kept.credentials
    for answer in answers:
        assert PASSWORD not in answer.text
    assert PASSWORD not in logged()
