"""Every page: shown to a viewer of its organization alone, with headers that forbid what pages never do."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import APIRoute

from engine.api.console import ROUTERS
from engine.authentication.api_keys import create_key
from engine.channels import registry
from engine.organizations import create_organization
from tests.console.pages import ADMINS, PAGES
from tests.console.world import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.api.conftest import Api
    from tests.console.conftest import Person
    from tests.console.world import World

    SignIn = Callable[..., Person]

#: What needs no session.
OPEN = {
    "/",
    "/console/sign-in",
    "/console/openid",
    "/console/openid/back",
    "/console/enter",
    "/console/assets/{name}",
}


def tags_of(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """The tags of a page, as a browser reads them, with their attributes."""
    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Reader().feed(page)
    return found


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_is_shown(sign_in: SignIn, world: World, language: str) -> None:
    person = sign_in("admin")
    for name, path in PAGES.items():
        answer = person.get(path(world), headers={"accept-language": language})
        assert answer.status_code == 200, (name, answer.text)
        assert answer.text.startswith("<!doctype html>"), name
        assert f'<html lang="{language}"' in answer.text


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_form_of_every_kind_has_every_option_of_its_models(sign_in: SignIn, language: str) -> None:
    person = sign_in("admin")
    for kind in registry.kinds():
        answer = person.get(f"/console/channels/new?kind={kind}", headers={"accept-language": language})
        assert answer.status_code == 200, (kind, answer.text)
        inputs = {given["name"]: given for _, given in tags_of(answer.text) if given.get("name")}
        settings = {f"settings.{name}" for name in registry.settings_model(kind).model_fields}
        credentials = {f"credentials.{name}" for name in registry.credentials_model(kind).model_fields}
        assert settings | credentials <= inputs.keys(), kind
        assert {inputs[name].get("type") for name in credentials} <= {"password", None}, kind


def test_a_name_is_text_wherever_it_is_shown(sign_in: SignIn, world: World) -> None:
    person = sign_in("admin")
    for name, path in PAGES.items():
        tags = tags_of(person.get(path(world)).text)
        assert [
            tag
            for tag, given in tags
            if (tag == "img" and not (given["src"] or "").startswith("/pictures/"))
            or (tag == "script" and "src" not in given)
        ] == [], name
    assert HOSTILE[:150] in unescape(person.get(PAGES["campaign"](world)).text)


def test_no_page_has_a_script_or_a_style_of_its_own(sign_in: SignIn, world: World) -> None:
    person = sign_in("admin")
    for name, path in PAGES.items():
        answer = person.get(path(world))
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy, name
        assert "default-src 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        for tag, given in tags_of(answer.text):
            assert tag != "style", name
            assert tag != "script" or "src" in given, name
            assert [word for word in given if word == "style" or word.startswith("on")] == [], name
            places = [
                given.get(word) or ""
                for word in ("src", "href", "action", "hx-get", "hx-post", "sse-connect")
            ]
            assert [
                place for place in places if place and not place.startswith(("/console", "/pictures/", "#"))
            ] == [], name


def test_a_viewer_reads_every_page_and_a_stranger_sees_nothing_of_it(
    api: Api, sign_in: SignIn, world: World
) -> None:
    with api.database.begin() as session:
        other = create_organization(session, "others")
        key = create_key(session, other.id, "admin", "admin")[1]
    viewer, stranger = sign_in("viewer"), sign_in(key=key)
    for name, path in PAGES.items():
        assert viewer.get(path(world)).status_code == (403 if name in ADMINS else 200), name
        answer = stranger.get(path(world))
        assert HOSTILE[:40] not in unescape(answer.text), name
        assert answer.status_code == (404 if re.search(r"[0-9a-f-]{36}", path(world)) else 200), name


def test_every_other_route_needs_a_session(api: Api, world: World) -> None:
    routes = []
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, APIRoute), route
        if route.path not in OPEN:
            routes.append(route)
    assert routes
    with api.client("admin") as client:
        for route in routes:
            path = route.path.replace("{campaign_id}", str(world.campaign_id))
            path = path.replace("{number}", "0").replace("{delivery_id}", "1")
            path = re.sub(r"\{\w+\}", str(world.recipient_id), path)
            for method in route.methods or ():
                answer = client.request(method, path)
                assert answer.status_code == 303, (method, path)
                assert answer.headers["location"].startswith("/console/sign-in")


def test_what_is_not_there_is_a_page_that_says_so(sign_in: SignIn, world: World) -> None:
    person = sign_in("viewer")
    for path in ("/console/nothing", f"/console/campaigns/{world.recipient_id}", "/console/campaigns/x"):
        answer = person.get(path)
        assert answer.status_code == 404, path
        assert answer.text.startswith("<!doctype html>")


def test_files_are_kept_by_browsers_and_change_their_address(sign_in: SignIn) -> None:
    person = sign_in("viewer")
    page = person.get("/console").text
    for address in set(re.findall(r'(?:src|href)="(/console/assets/[^"#]+)', page)):
        answer = person.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
        again = person.get(address, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
    assert person.get("/console/assets/nothing.js").status_code == 404
    assert person.get("/console/assets/..%2Fview.py").status_code == 404


def test_campaigns_are_searched_filtered_and_sorted(sign_in: SignIn, world: World) -> None:
    person = sign_in("viewer")
    assert str(world.campaign_id) in person.get("/console/campaigns?q=hacked").text
    assert str(world.campaign_id) not in person.get("/console/campaigns?q=nobody").text
    assert str(world.campaign_id) in person.get("/console/campaigns?status=active&sort=name").text
    assert str(world.campaign_id) not in person.get("/console/campaigns?status=draft").text
    assert person.get("/console/campaigns?sort=nothing").status_code == 400
    assert person.get("/console/campaigns?page=2").status_code == 200


def test_times_are_in_the_readers_zone_with_the_organizations_beside(
    api: Api, sign_in: SignIn, world: World, client: httpx.Client
) -> None:
    client.patch("/v1/organization", json={"time_zone": "Asia/Tokyo"})
    person = sign_in("viewer")
    path = PAGES["campaign"](world)
    assert "6:00\u202fPM</time>" in person.get(path).text
    person.cookies.set("muster_zone", "Europe/Berlin", path="/console")
    shown = re.findall(r"<time[^>]*>([^<]+) <span class=.zone.>([^<]+)</span>", person.get(path).text)
    assert ("Mar 2, 10:00\u202fAM", "(6:00\u202fPM Tokyo)") in shown
