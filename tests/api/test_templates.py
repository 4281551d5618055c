"""`/v1/template`: files, previews, tests, languages; real messages through a real channel."""

from __future__ import annotations

import base64
import json
from uuid import uuid4

import pytest

PNG = base64.b64encode(b"\x89PNG\r\n").decode()


@pytest.fixture
def template(client):
    made = client.post(
        "/v1/template",
        json={
            "name": "spring",
            "subject": "Hello {{ name | default: 'friend' }}",
            "html": "<p>Hello {{ name }}, <img src='cid:logo'> {{ until | date: 'long' }}</p>"
            "<a href='{{ unsubscribe_url }}'>x</a>",
            "translations": {"de_at": {"subject": "Servus {{ name }}"}},
            "headers": {"X-Customer": "{{ name }}"},
            "sender": {"email": "news@x.org", "reply_to": "help@x.org"},
        },
    )
    assert made.status_code == 201, made.text
    return made.json()


def test_a_template_comes_back_as_it_was_given(client, template):
    assert template["translations"] == {"de-AT": {"subject": "Servus {{ name }}"}}
    assert template["headers"] == {"X-Customer": "{{ name }}"}
    assert template["sender"] == {"email": "news@x.org", "reply_to": "help@x.org"}
    got = client.get(f"/v1/template/{template['_id']}").json()
    assert got == template


def test_mjml_is_compiled_when_it_is_written(client):
    text = "<mj-text>{{ name }}</mj-text>"
    source = f"<mjml><mj-body><mj-section><mj-column>{text}</mj-column></mj-section></mj-body></mjml>"
    made = client.post("/v1/template", json={"name": "m", "mjml": source}).json()
    assert made["mjml"] == source
    assert made["html"].startswith("<!doctype html>")
    path = f"/v1/template/{made['_id']}"
    changed = client.patch(path, json={"mjml": source.replace("{{ name }}", "Hi {{ name }}")}).json()
    assert "Hi {{ name }}" in changed["html"]
    refused = client.patch(path, json={"mjml": source.replace("mj-text", "mj-txt")})
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("mjml: line 1: <mj-txt> is no component")
    plain = client.patch(path, json={"html": "<p>x</p>"}).json()
    assert ("mjml" in plain, plain["html"]) == (False, "<p>x</p>")
    both = client.patch(path, json={"mjml": source, "html": "<p>other</p>"})
    assert both.json()["message"] == "html: is made from mjml; give one of them"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"translations": {"klingon": {"text": "x"}}}, "translations.klingon: 'klingon' is no language"),
        ({"translations": {"de": {"html": "{{"}}}, "translations.de.html: line 1"),
        ({"translations": {"de": {"htm": "x"}}}, "translations.de.htm: is not known here"),
        ({"translations": {"de": {"text": "x"}, "DE": {"text": "y"}}}, "de is there already"),
        ({"language": "xx-YY"}, "language: "),
        ({"time_zone": "../etc/passwd"}, "time_zone: "),
        ({"headers": {"Subject": "x"}}, "headers.Subject: "),
        ({"headers": {"X-A": "{{"}}, "headers.X-A: line 1"),
        ({"text": "{{ n | currency: 'EURO' }}"}, "text: line 1: currency"),
        ({"sender": {"reply_to": "{{"}}, "sender.reply_to: line 1"),
    ],
)
def test_what_cannot_be_is_refused_by_field_and_line(client, template, change, says):
    refused = client.patch(f"/v1/template/{template['_id']}", json=change)
    assert refused.status_code == 400
    assert says in refused.json()["message"]
    assert client.get(f"/v1/template/{template['_id']}").json() == template


def test_files_are_attached_listed_read_and_taken_away(client, template, stranger):
    path = f"/v1/template/{template['_id']}/attachment"
    made = client.post(path, json={"filename": "logo.png", "content": PNG, "content_id": "logo"})
    assert made.status_code == 201, made.text
    file = made.json()
    assert (file["content_type"], file["size"], file["content_id"]) == ("image/png", 6, "logo")
    assert client.get(f"/v1/template/{template['_id']}").json()["_updated_at"] != template["_updated_at"]
    listed = client.get(path).json()
    assert (listed["total"], listed["results"]) == (1, [file])
    assert client.get(f"{path}/{file['_id']}").json() == {**file, "content": PNG}
    for who, status in ((stranger, 404), (client, 204), (client, 404)):
        assert who.delete(f"{path}/{file['_id']}").status_code == status
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, json={"filename": "a", "content": PNG}).status_code == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"filename": "a.pdf", "content": "not base64!"}, "content"),
        ({"filename": "../a", "content": PNG}, "filename"),
        ({"filename": "a", "content": PNG, "content_type": "multipart/mixed"}, "content_type"),
        ({"filename": "a", "content": PNG, "content_id": "a b"}, "content_id"),
        ({"filename": "taken.png", "content": PNG}, "filename"),
        ({"filename": "a", "content": PNG, "content_id": "taken"}, "content_id"),
        ({"filename": "a", "content": base64.b64encode(bytes(5_000_001)).decode()}, "content"),
        ({"filename": "a", "content": base64.b64encode(bytes(4_000_000)).decode()}, "content"),
        ({"filename": "a"}, "content"),
    ],
)
def test_a_file_that_cannot_be_attached_is_refused(client, template, given, field):
    path = f"/v1/template/{template['_id']}/attachment"
    first = base64.b64encode(bytes(4_000_000)).decode()
    assert (
        client.post(path, json={"filename": "taken.png", "content": first, "content_id": "taken"}).status_code
        == 201
    )
    refused = client.post(path, json=given)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith(f"{field}: ")


def entity(client, **attributes):
    return client.post("/v1/entity/contact", json=attributes).json()["_id"]


def test_a_preview_shows_what_somebody_would_get(client, template, api):
    who = entity(client, name="Ada <3", until="2026-03-02", language="de-AT")
    path = f"/v1/template/{template['_id']}:preview"
    with api.client("viewer") as viewer:
        shown = viewer.post(path, json={"entity_id": who})
    assert shown.status_code == 200, shown.text
    shown = shown.json()
    assert shown["subject"] == "Servus Ada <3"
    assert "Hello Ada &lt;3" in shown["html"]
    assert "2. März 2026" in shown["html"]
    assert "/u/preview" in shown["text"]
    headers = {one["name"]: one["value"] for one in shown["headers"]}
    assert headers["X-Customer"] == "Ada <3"
    assert headers["From"] == "news@x.org"
    assert headers["Reply-To"] == "help@x.org"
    assert "To" not in headers
    assert shown["size"] > len(shown["html"])
    assert shown["warnings"] == ["the HTML shows cid:logo, which is not attached"]
    english = client.post(
        path, json={"entity_id": who, "language": "en", "attributes": {"name": "Bob"}}
    ).json()
    assert english["subject"] == "Hello Bob"
    assert "March 2, 2026" in english["html"]


def test_a_preview_warns_of_what_would_be_empty(client, template):
    shown = client.post(f"/v1/template/{template['_id']}:preview", json={}).json()
    assert shown["subject"] == "Hello friend"
    assert "name is empty: it is no attribute, and has no default" in shown["warnings"]
    blank = {"attributes": {"name": " "}}
    shown = client.post(f"/v1/template/{template['_id']}:preview", json=blank).json()
    assert "name is empty for this recipient, and has no default" in shown["warnings"]


def test_a_preview_that_cannot_be_is_refused(client, template, stranger):
    path = f"/v1/template/{template['_id']}:preview"
    assert stranger.post(path, json={}).status_code == 404
    refused = client.post(path, json={"entity_id": str(uuid4())})
    assert (refused.status_code, refused.json()["message"][:10]) == (400, "entity_id:")
    client.patch(f"/v1/template/{template['_id']}", json={"html": "{{ until | currency: 'EUR' }}"})
    refused = client.post(path, json={"attributes": {"until": "soon"}})
    assert refused.status_code == 400
    assert "html, line 1: 'soon' is not a number" in refused.json()["message"]


@pytest.fixture
def channel(client, tmp_path):
    made = client.post(
        "/v1/channel",
        json={"name": "out", "kind": "file", "settings": {"directory": "tests"}, "is_default": True},
    )
    assert made.status_code == 201, made.text
    return made.json()


def test_a_test_really_sends_one_message_and_no_campaign_learns_of_it(client, template, channel, tmp_path):
    path = f"/v1/template/{template['_id']}:test"
    key = {"idempotency-key": str(uuid4())}
    given = {"address": "Me@X.org", "attributes": {"name": "Ada"}, "language": "de-AT"}
    for _ in range(2):
        sent = client.post(path, json=given, headers=key)
        assert sent.json() == {"outcome": "delivered"}
    (file,) = (tmp_path / "outbox" / "tests").glob("*.jsonl")
    (line,) = file.read_text().splitlines()
    message = json.loads(line)
    assert (message["address"], message["subject"]) == ("me@x.org", "Servus Ada")
    assert "/u/preview" in message["html"]
    assert "unsubscribe_url" not in message


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "address"),
        ({"address": "me@x.org", "channel_id": str(uuid4())}, "channel_id"),
        ({"address": "me@x.org", "entity_id": str(uuid4())}, "entity_id"),
        ({"address": "gone@x.org"}, "address"),
    ],
)
def test_a_test_that_cannot_be_sent_is_refused(client, template, channel, given, field):
    assert (
        client.post("/v1/suppression", json={"channel_kind": "file", "address": "gone@x.org"}).status_code
        < 300
    )
    refused = client.post(f"/v1/template/{template['_id']}:test", json=given)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith(f"{field}: ")


def test_a_test_without_a_channel_is_refused_and_a_viewer_may_not_send(client, api, template):
    path = f"/v1/template/{template['_id']}:test"
    assert client.post(path, json={"address": "me@x.org"}).json()["message"].startswith("channel_id: ")
    with api.client("viewer") as viewer:
        assert viewer.post(path, json={"address": "me@x.org"}).status_code == 403


def test_a_test_tells_what_the_provider_said(client, template):
    settings = {"host": "127.0.0.1", "port": 1, "security": "none", "from_email": "news@x.org"}
    channel = client.post("/v1/channel", json={"name": "down", "kind": "smtp", "settings": settings}).json()
    given = {"address": "me@x.org", "channel_id": channel["_id"]}
    told = client.post(f"/v1/template/{template['_id']}:test", json=given).json()
    assert told["outcome"] == "down"
    assert told["code"]
    assert told["message"]
