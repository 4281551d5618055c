"""Signing in to the console: sessions that are stored hashed, end by themselves, and open nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from engine.authentication.api_keys import authenticate, revoke_key
from engine.authentication.browser_sessions import (
    CODE_LASTS,
    IDLE,
    LONGEST,
    end_session,
    forget_sessions,
    list_sessions,
    make_sign_in_code,
)
from tests.console.pages import first_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.conftest import Api
    from tests.conftest import ManualClock
    from tests.console.conftest import Person

    SignIn = Callable[..., Person]


def enter(api: Api, **fields: str) -> httpx.Response:
    return httpx.post(f"{api.url}/console/sign-in", data=fields)


def test_the_root_leads_to_the_console_and_the_console_to_its_door(api: Api) -> None:
    with httpx.Client(base_url=api.url) as client:
        assert client.get("/").headers["location"] == "/console"
        answer = client.get("/console/campaigns?q=a")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fcampaigns%3Fq%3Da"
        assert client.get(answer.headers["location"]).status_code == 200


def test_a_key_opens_a_session_whose_cookie_scripts_and_other_sites_cannot_use(api: Api) -> None:
    answer = enter(api, key=api.keys["viewer"], next="/console/campaigns")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/campaigns")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Path=/console", "SameSite=lax"} <= set(cookie.split("; "))
    token = first_in(r"^muster_session=([^;]+)", cookie)
    with api.database.read() as session:
        (row,) = list_sessions(session, api.org_id)
        assert (row.role, row.name) == ("viewer", "viewer")
        stored = session.connection().exec_driver_sql("SELECT * FROM browser_session").all()
    assert token not in repr(stored)


def test_the_cookie_goes_over_https_alone_where_muster_is_reached_so(api: Api) -> None:
    settings = api.runtime.settings
    api.runtime.settings = settings.model_copy(
        update={"public_url": settings.public_url.__class__("https://m.example")}
    )
    assert "Secure" in enter(api, key=api.keys["viewer"]).headers["set-cookie"]


def test_a_key_that_is_none_opens_nothing(api: Api) -> None:
    for key in ("", "mk_unknown", "\x00"):
        answer = enter(api, key=key)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "unknown or was revoked" in answer.text


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)
def test_another_site_signs_nobody_in(api: Api, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{api.url}/console/sign-in", data={"key": api.keys["admin"]}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/console\\@evil.example", "/v1/x", "x"]
)
def test_nobody_is_led_elsewhere_after_signing_in(api: Api, place: str) -> None:
    assert enter(api, key=api.keys["viewer"], next=place).headers["location"] == "/console"


def test_the_session_opens_no_dialect_and_a_key_no_page(api: Api, sign_in: SignIn) -> None:
    person = sign_in("admin")
    assert person.get("/v1/campaign").status_code == 401
    with api.client("admin") as client:
        assert client.get("/console").status_code == 303


def test_a_session_ends_when_it_is_idle_or_old(api: Api, sign_in: SignIn, clock: ManualClock) -> None:
    person = sign_in("viewer")
    for _ in range(int(LONGEST / IDLE) - 1):
        clock.forward(seconds=IDLE.total_seconds() - 120)
        assert person.get("/console").status_code == 200
    clock.forward(seconds=IDLE.total_seconds() + 1)
    assert person.get("/console").headers["location"].endswith("&ended=1")
    other = sign_in("viewer")
    for _ in range(int(LONGEST / IDLE)):
        clock.forward(seconds=IDLE.total_seconds() - 1)
        other.get("/console")
    clock.forward(seconds=60)
    assert other.get("/console").status_code == 303


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(sign_in: SignIn) -> None:
    person = sign_in("viewer")
    stolen = dict(person.cookies)
    assert person.submit("/console/sign-out").headers["location"] == "/console/sign-in"
    assert person.get("/console").status_code == 303
    person.cookies.update(stolen)
    assert person.get("/console").status_code == 303


def test_a_revoked_key_and_an_ended_session_are_out_at_once(api: Api, sign_in: SignIn) -> None:
    person, other = sign_in("operator"), sign_in("viewer")
    with api.database.begin() as session:
        known = authenticate(session, api.keys["operator"])
        assert known is not None
        revoke_key(session, api.org_id, known.key_id)
    assert person.get("/console").status_code == 303
    assert other.get("/console").status_code == 200
    with api.database.begin() as session:
        for row in list_sessions(session, api.org_id):
            end_session(session, api.org_id, row.id)
    assert other.get("/console").status_code == 303


def test_a_change_needs_the_token_of_the_sessions_own_pages(sign_in: SignIn) -> None:
    person, other = sign_in("admin"), sign_in("admin")
    for token in ("", "0" * 64, other.token()):
        answer = person.post("/console/sign-out", data={"csrf": token})
        assert answer.status_code == 403
    assert person.post("/console/sign-out").status_code == 403
    assert person.get("/console").status_code == 200
    assert person.post("/console/sign-out", headers={"x-csrf-token": person.token()}).status_code == 303


def test_a_link_signs_in_once_and_not_for_long(api: Api, clock: ManualClock) -> None:
    def link() -> str:
        with api.database.begin() as session:
            known = authenticate(session, api.keys["admin"])
            assert known is not None
            return f"/console/enter?code={make_sign_in_code(session, api.org_id, known.key_id)}"

    with httpx.Client(base_url=api.url) as client:
        once = link()
        assert client.get(once).headers["location"] == "/console"
        assert client.get("/console").status_code == 200
    with httpx.Client(base_url=api.url) as client:
        assert client.get(once).status_code == 401
        late = link()
        clock.forward(seconds=CODE_LASTS.total_seconds() + 1)
        assert client.get(late).status_code == 401
        assert client.get("/console/enter").status_code == 401


def test_what_ended_long_ago_is_forgotten(api: Api, sign_in: SignIn, clock: ManualClock) -> None:
    sign_in("viewer")
    with api.database.begin() as session:
        known = authenticate(session, api.keys["admin"])
        assert known is not None
        make_sign_in_code(session, api.org_id, known.key_id)
    clock.forward(days=40)
    with api.database.begin() as session:
        assert forget_sessions(session) == 2
        assert list_sessions(session, api.org_id) == []


def test_signing_in_is_in_the_audit_log(client: httpx.Client, sign_in: SignIn) -> None:
    sign_in("operator")
    (record,) = client.get("/v1/audit", params={"operation": "console.sign_in"}).json()["results"]
    assert record["role"] == "operator"


def test_language_and_theme_are_kept_in_the_browser(sign_in: SignIn) -> None:
    person = sign_in("viewer")
    answer = person.submit("/console/look", language="de", theme="dark", next="/console/campaigns")
    assert answer.headers["location"] == "/console/campaigns"
    page = person.get("/console/campaigns").text
    assert '<html lang="de" data-theme="dark"' in page
    assert "Kampagnen" in page
    person.submit("/console/look", language="xx", theme="pink")
    assert '<html lang="de" data-theme="dark"' in person.get("/console").text
