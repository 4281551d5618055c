"""Audience, templates, channels, webhooks and settings: what their forms do is what the API does."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from engine.audience.schemas import schemas_of
from engine.kernel import listing
from engine.kernel.inputs import Invalid
from state.tables import Campaign, Topic, TopicOptOut
from tests.console.pages import first_in
from tests.console.world import HOSTILE, World
from tests.harness.plugins import PIGEON, installing
from tests.servers.dns import DnsServer
from tests.servers.smtp import SmtpServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.api.conftest import Api
    from tests.console.conftest import Person

    SignIn = Callable[..., Person]

CSV = "customer_id,name,email\n1,Ada,ada@example.com\n2,Bo\n3,Clara,clara@example.com,more,and more\n"


def imported(person: Person, text: str, **query: str) -> httpx.Response:
    headers = {"content-type": "text/csv", "x-csrf-token": person.token(), "hx-request": "true"}
    return person.post("/console/audience/import", content=text, params=query, headers=headers)


def test_a_file_is_taken_in_and_the_lines_that_were_refused_are_shown(
    sign_in: SignIn, client: httpx.Client
) -> None:
    person = sign_in("operator")
    answer = imported(person, CSV, schema="contact", external_id="customer_id", title="{name}")
    assert answer.status_code == 200
    assert "Refused" in answer.text
    assert client.get("/v1/entity/contact").json()["total"] == 1
    assert "Ada" in person.get("/console/audience?q=ada").text


def test_a_file_needs_the_sessions_token_and_a_column_that_is_there(sign_in: SignIn) -> None:
    person = sign_in("operator")
    answer = person.post("/console/audience/import", content=CSV, headers={"content-type": "text/csv"})
    assert answer.status_code == 403
    refused = imported(person, CSV, external_id=HOSTILE[:40])
    assert refused.status_code == 400
    assert "<img" not in refused.text
    assert imported(sign_in("viewer"), CSV).status_code == 403


def test_a_target_is_written_in_words_and_counted(sign_in: SignIn, client: httpx.Client) -> None:
    client.post("/v1/entity/contact", json={"title": "Ada", "country": "Norway"}).raise_for_status()
    person = sign_in("operator")
    form = {"name": "north", "entity_schema": "contact"}
    wrong = person.submit("/console/audience/targets/new", **form, where="country == ( Norway")
    assert wrong.status_code == 400
    answer = person.submit(
        "/console/audience/targets/new", **form, where="country = Norway\nnot name is empty or title != x"
    )
    assert "north" in person.get(answer.headers["location"]).text
    shown = person.get(f"{answer.headers['location'].partition('?')[0]}/people")
    assert '<div class="value">1</div>' in shown.text
    assert person.submit(answer.headers["location"] + "/delete").status_code == 303
    assert person.get(answer.headers["location"]).status_code == 404


def test_addresses_are_barred_and_unbarred(sign_in: SignIn, client: httpx.Client) -> None:
    person = sign_in("operator")
    assert (
        person.submit("/console/audience/suppressions", address="nobody@", medium="email").status_code == 400
    )
    person.submit("/console/audience/suppressions", address="Ada@Example.com", medium="email")
    page = person.get("/console/audience/suppressions?address=ada@example.com").text
    row = first_in(r"suppressions/([0-9a-f-]{36})/delete", page)
    person.submit(f"/console/audience/suppressions/{row}/delete")
    assert client.get("/v1/suppression").json()["total"] == 0


def test_schemas_are_found_without_reading_their_people(api: Api, client: httpx.Client) -> None:
    for schema in ("contract", "contact", "account"):
        client.post(f"/v1/entity/{schema}", json={"title": "x"}).raise_for_status()
    with api.database.read() as session:
        assert schemas_of(session, api.org_id) == ["account", "contact", "contract"]


def test_a_template_is_written_previewed_for_a_person_and_changed(
    sign_in: SignIn, client: httpx.Client
) -> None:
    client.post("/v1/entity/contact", json={"external_id": "1", "first_name": "Ada<b>"}).raise_for_status()
    person = sign_in("operator")
    wrong = person.submit("/console/templates/new", name="t", html="<p>{{ first_name </p>")
    assert wrong.status_code == 400
    assert "{{ first_name" in wrong.text
    page = person.submit(
        "/console/templates/new", name="t", subject="Hi {{ first_name }}", html="<p>Hi {{ first_name }}</p>"
    ).headers["location"]
    assert "Hi Ada&lt;b&gt;" in person.get(f"{page}?person=1").text
    frame = person.get(f"{page}/preview.html?person=1")
    assert "Ada&lt;b&gt;" in frame.text
    assert frame.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "does not exist" in person.get(f"{page}?person=nobody").text
    assert person.submit(f"{page}/edit", name="t", subject="Hello", html="<p>Hi</p>").status_code == 303
    assert "Hello" in person.get(page).text
    assert person.submit(f"{page}/test", address="nobody").status_code == 400
    client.post("/v1/channel", json={"name": "null", "kind": "null"}).raise_for_status()
    assert (
        "on its way"
        in person.get(person.submit(f"{page}/test", address="a@example.com").headers["location"]).text
    )
    assert person.submit(f"{page}/delete").status_code == 303


def test_a_channel_is_set_up_tested_changed_and_removed(sign_in: SignIn, client: httpx.Client) -> None:
    person = sign_in("admin")
    path = "/console/channels"
    assert person.submit(f"{path}/new", kind="smtp", name="mail").status_code == 400
    fields = {"settings.host": "127.0.0.1", "settings.port": "x", "credentials.password": "hush"}
    assert "is no JSON value" in person.submit(f"{path}/new", kind="smtp", name="mail", **fields).text
    page = person.submit(f"{path}/new", kind="null", name="mail").headers["location"]
    assert 'role="status"' in person.submit(f"{page}/test").text
    assert person.submit(f"{page}/edit", name="other", is_default="yes").status_code == 303
    (row,) = client.get("/v1/channel").json()["results"]
    assert (row["name"], row["is_default"]) == ("other", True)
    assert person.submit(f"{page}/delete").status_code == 303
    assert person.get(page).status_code == 404
    assert person.get(f"{path}/new?kind=nothing").status_code == 404
    assert sign_in("operator").submit(f"{path}/new", kind="null", name="x").status_code == 403


def test_a_webhook_shows_its_secret_once_and_tells_again(sign_in: SignIn, world: World) -> None:
    person = sign_in("admin")
    assert person.submit("/console/webhooks", url="https://127.0.0.1/", events="*").status_code == 400
    answer = person.submit("/console/webhooks", url="https://example.com/x", events="campaign.*")
    assert "whsec_" in answer.text
    assert "whsec_" not in person.get("/console/webhooks").text
    page = f"/console/webhooks/{world.webhook_id}"
    again = first_in(r'action="([^"]+/again)"', person.get(f"{page}?state=dead").text)
    assert person.submit(again).status_code == 303
    assert person.submit(f"{page}/delete").status_code == 303


def test_keys_are_made_shown_once_and_revoked(sign_in: SignIn) -> None:
    person = sign_in("admin")
    path = "/console/settings/keys"
    assert person.submit(path, name="x", role="king").status_code == 400
    plain = first_in(r"<code>(mk_[^<]+)</code>", person.submit(path, name="new key", role="viewer").text)
    assert plain not in person.get(path).text
    other = sign_in(key=plain)
    assert other.get("/console").status_code == 200
    key_id = first_in(r"(?s)new key.*?keys/([0-9a-f-]{36})/revoke", person.get(path).text)
    person.submit(f"{path}/{key_id}/revoke")
    assert other.get("/console").status_code == 303
    assert "console.create_key" in person.get("/console/settings/audit?operation=console.create_key").text


def test_the_organizations_time_zone_is_changed(sign_in: SignIn, client: httpx.Client) -> None:
    person = sign_in("admin")
    assert person.submit("/console/settings", time_zone="Mars/Base").status_code == 400
    person.submit("/console/settings", time_zone="Europe/Berlin", region="DE")
    assert client.get("/v1/organization").json()["time_zone"] == "Europe/Berlin"
    assert sign_in("viewer").submit("/console/settings", time_zone="UTC").status_code == 403


def test_what_is_no_json_names_its_field() -> None:
    from engine.api.console.model_forms import read_form  # noqa: PLC0415 - with its only user
    from engine.channels.registry import settings_model  # noqa: PLC0415

    with pytest.raises(Invalid, match="port"):
        read_form(settings_model("smtp"), "settings", lambda name: "many" if name == "settings.port" else "")


def test_a_channels_test_shows_what_receivers_find(
    api: Api, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = {
        "shop.example": {"TXT": ["v=spf1 mx -all"]},
        "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=none"]},
    }
    with DnsServer(records) as names, SmtpServer() as mail:
        changed = api.runtime.settings.model_copy(update={"dns_server": names.address})
        monkeypatch.setattr(api.runtime, "settings", changed)
        person = sign_in("admin")
        settings = {
            "host": "127.0.0.1",
            "port": mail.port,
            "security": "none",
            "from_email": "news@shop.example",
        }
        fields = {f"settings.{name}": value for name, value in settings.items()}
        page = person.submit("/console/channels/new", kind="smtp", name="mail", **fields).headers["location"]
        assert "What receivers find" not in person.get(page).text
        tested = person.submit(f"{page}/test").text
        assert "What receivers find" in tested
        assert "DMARC" in tested
        assert "dkim_domain" in tested, "what to do about it"


def test_topics_are_added_counted_and_removed_while_no_campaign_is_about_them(
    api: Api, sign_in: SignIn, world: World
) -> None:
    person = sign_in("operator")
    person.submit("/console/audience/topics", name="News <b>", description="Twice")
    assert "News &lt;b&gt;" in person.get("/console/audience/topics").text
    refused = person.submit("/console/audience/topics", name="news <B>")
    assert (refused.status_code, "there is a topic" in refused.text) == (400, True)
    with api.database.begin() as session:
        topic = session.scalars(select(Topic)).one()
        campaign = session.get_one(Campaign, world.campaign_id)
        campaign.topic_id = topic.id
        session.add(
            TopicOptOut(
                org_id=api.org_id,
                topic_id=topic.id,
                address="a@x.example",
                medium="email",
                created_at=topic.created_at,
            )
        )
    shown = person.get("/console/audience/topics").text
    assert '<td class="num">1</td>' in shown
    path = f"/console/audience/topics/{topic.id}/delete"
    assert "is about this topic" in person.submit(path).text
    with api.database.begin() as session:
        session.get_one(Campaign, world.campaign_id).topic_id = None
    assert person.submit(path).status_code == 303
    assert "No topic yet" in person.get("/console/audience/topics").text


def test_a_search_looks_at_so_many_and_goes_on(
    sign_in: SignIn, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        person_of = {"title": "Needle" if number in (3, 8) else "Hay", "external_id": str(number)}
        client.post("/v1/entity/contact", json=person_of).raise_for_status()
    monkeypatch.setattr(listing, "search", partial(listing.search, most=5))
    person = sign_in("viewer")
    path, pages = "/console/audience?q=needle", []
    while path:
        pages.append(person.get(path).text)
        further = re.search(r'rel="next" href="([^"]+)"', pages[-1])
        path = "" if further is None else further[1].replace("&amp;", "&")
    assert len(pages) == 3
    assert sum(page.count("Needle</a>") for page in pages) == 2
    assert ["Looked through 5." in pages[0], "Looked through 10." in pages[1]] == [True, True]
    assert 'hx-trigger="load"' in pages[0]
    assert "Hay</a>" in person.get("/console/audience").text
    assert "12 in all" in person.get("/console/audience/count?schema=contact").text
    assert person.get("/console/audience?q=needle&next=x").status_code == 400


def test_a_target_is_shown_at_once_and_counted_beside(
    sign_in: SignIn, client: httpx.Client, world: World
) -> None:
    person = sign_in("viewer")
    page = person.get(f"/console/audience/targets/{world.target_id}").text
    assert f"/console/audience/targets/{world.target_id}/people" in page
    assert "People now" in person.get(f"/console/audience/targets/{world.target_id}/people").text


def test_a_plug_ins_kind_has_its_form(sign_in: SignIn, client: httpx.Client, tmp_path: Path) -> None:
    with installing(tmp_path) as install:
        install("pigeons", PIGEON, pigeon="Pigeon")
        person = sign_in("admin")
        assert "kind=pigeon" in person.get("/console/channels/new").text
        form = person.get("/console/channels/new?kind=pigeon").text
        assert "Where it flies from." in form
        made = client.post("/v1/channel", json={"name": "p", "kind": "pigeon", "settings": {"loft": "south"}})
        assert made.status_code == 201, made.text
    gone = client.post(f"/v1/channel/{made.json()['_id']}:test")
    assert gone.status_code in (200, 400), "its plug-in was uninstalled"
    assert "unknown channel kind 'pigeon'" in gone.text
    assert person.get(f"/console/channels/{made.json()['_id']}").status_code == 200
    assert person.get("/console/channels").status_code == 200


def test_a_template_is_translated_and_its_files_are_kept(sign_in: SignIn, client: httpx.Client) -> None:
    person = sign_in("operator")
    made = client.post("/v1/template", json={"name": "t", "subject": "Hello", "html": "<p>Hello</p>"}).json()
    path = f"/console/templates/{made['_id']}"
    for language, subject in (("", "x"), ("klingonisch", "x"), ("de", "{{ oops")):
        refused = person.submit(f"{path}/translation", language=language, subject=subject)
        assert refused.status_code == 400, language
    person.submit(f"{path}/translation", language="de", subject="Hallo <b>", html="<p>Hallo</p>")
    person.submit(f"{path}/translation", language="fr", subject="Bonjour")
    kept = client.get(f"/v1/template/{made['_id']}").json()["translations"]
    assert kept == {"de": {"subject": "Hallo <b>", "html": "<p>Hallo</p>"}, "fr": {"subject": "Bonjour"}}
    page = person.get(path).text
    assert "Hallo &lt;b&gt;" in page
    assert "Hallo</p>" in person.get(f"{path}/preview.html?language=de").text
    assert "readonly" in person.get(f"{path}/translation?language=de").text
    person.submit(f"{path}/translation/delete", language="fr")
    assert set(client.get(f"/v1/template/{made['_id']}").json()["translations"]) == {"de"}

    headers = {"x-csrf-token": person.token(), "hx-request": "true"}
    answer = person.post(
        f"{path}/files", content=b"%PDF-1.4", params={"filename": "a <b>.pdf"}, headers=headers
    )
    assert (answer.status_code, "a &lt;b&gt;.pdf" in answer.text) == (200, True)
    again = person.post(f"{path}/files", content=b"x", params={"filename": "a <b>.pdf"}, headers=headers)
    assert (again.status_code, "alert" in again.text) == (400, True)
    large = person.post(f"{path}/files", content=b"x" * 5_100_000, params={"filename": "b"}, headers=headers)
    assert large.status_code == 413
    assert person.post(f"{path}/files", content=b"x", params={"filename": "c"}).status_code == 403
    viewer = sign_in("viewer")
    own = {**headers, "x-csrf-token": viewer.token()}
    assert (
        viewer.post(f"{path}/files", content=b"x", params={"filename": "c"}, headers=own).status_code == 403
    )
    file = first_in(r"files/([0-9a-f-]{36})/delete", person.get(path).text)
    person.submit(f"{path}/files/{file}/delete")
    assert client.get(f"/v1/template/{made['_id']}/attachment").json()["total"] == 0
