"""Signing in to the console at an OpenID provider, which is a process of its own; what it must not be taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from config.settings import Settings
from engine.authentication.browser_sessions import list_sessions
from engine.authentication.openid_keys import TokenKeys
from engine.authentication.openid_sign_in import OpenIdSignIn
from tests.harness.openid import OpenIdProvider
from tests.harness.waiting import patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Api

CLIENT_ID = "muster console"
CLIENT_SECRET = "s&cret"
BACK = "/console/openid/back"


@dataclass
class World:
    """The console of a Muster that is the provider's client."""

    api: Api
    provider: OpenIdProvider

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.api.url, timeout=patience(60), headers={"accept-language": "en"})

    def claims(self, **more: Any) -> None:
        """Whom the provider signs in from now on."""
        now = self.api.database.clock.now().timestamp()
        usual = {"sub": "ada", "name": "Ada", "org_id": str(self.api.org_id), "iat": now, "exp": now + 300}
        self.provider.sign_in_as({**usual, **more})

    def come_back(self, browser: httpx.Client, place: str = "") -> httpx.URL:
        """Go to the provider; where it sends the browser."""
        sent = browser.get("/console/openid", params={"next": place} if place else None)
        assert sent.status_code == 303, sent.text
        return httpx.URL(httpx.get(sent.headers["location"]).headers["location"])

    def sessions(self) -> list[tuple[str, str, str]]:
        with self.api.database.read() as session:
            return [(row.subject, row.name, row.role) for row in list_sessions(session, self.api.org_id)]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    with OpenIdProvider(tmp_path_factory.mktemp("openid")) as provider:
        yield provider


@pytest.fixture
def world(api: Api, provider: OpenIdProvider) -> World:
    public = api.runtime.settings.public_url.__class__(api.url)
    api.runtime.settings = api.runtime.settings.model_copy(
        update={
            "public_url": public,
            "jwt_issuer": provider.issuer,
            "openid_client_id": CLIENT_ID,
            "openid_client_secret": SecretStr(CLIENT_SECRET),
        }
    )
    api.app.state.openid = OpenIdSignIn.of(api.runtime.settings, TokenKeys(provider.jwks))
    provider.serve_keys("served")
    provider.expect_client(CLIENT_ID, CLIENT_SECRET)
    world = World(api, provider)
    world.claims(role="operator")
    return world


def test_somebody_signs_in_and_lands_where_they_wanted_to(world: World) -> None:
    with world.browser() as browser:
        asked = browser.get("/console/campaigns?q=a")
        page = browser.get(asked.headers["location"]).text
        assert 'href="/console/openid?next=/console/campaigns%3Fq%3Da"' in page
        back = world.come_back(browser, "/console/campaigns?q=a")
        answer = browser.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/campaigns?q=a")
        assert browser.get("/console/campaigns").status_code == 200
        assert "muster_openid" not in browser.cookies
    assert world.sessions() == [("jwt:ada", "Ada", "operator")]


def test_the_question_is_tied_to_this_browser_and_shows_no_secret(world: World) -> None:
    with world.browser() as browser:
        sent = browser.get("/console/openid")
        asked = {
            name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()
        }
        assert (asked["client_id"], asked["response_type"], asked["scope"]) == (
            CLIENT_ID,
            "code",
            "openid profile",
        )
        assert asked["redirect_uri"] == world.api.url + BACK
        assert asked["code_challenge_method"] == "S256"
        cookie = sent.headers["set-cookie"]
        assert {"HttpOnly", "Path=/console", "SameSite=lax"} <= set(cookie.split("; "))
        verifier = browser.cookies["muster_openid"].partition("|")[0].split(".")[2]
        assert verifier not in sent.headers["location"]
        assert CLIENT_SECRET not in sent.headers["location"]
        again = browser.get("/console/openid")
        assert again.headers["location"] != sent.headers["location"]


def test_an_answer_to_another_browser_signs_nobody_in(world: World) -> None:
    with world.browser() as ours, world.browser() as theirs:
        back = world.come_back(theirs)
        for prepare in (lambda: None, lambda: world.come_back(ours)):
            prepare()
            answer = ours.get(back)
            assert answer.status_code == 401
            assert "did not sign you in" in answer.text
            assert "muster_session" not in ours.cookies
        assert not world.sessions()


def test_a_code_is_good_once(world: World) -> None:
    with world.browser() as browser:
        back = world.come_back(browser)
        kept = browser.cookies["muster_openid"]
        assert browser.get(back).status_code == 303
        browser.cookies.set(
            "muster_openid", kept, domain=urlsplit(world.api.url).hostname or "", path="/console"
        )
        assert browser.get(back).status_code == 401


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"org_id": "elsewhere"}, "names no organization"),
        ({"role": "root"}, "is none of"),
        ({"aud": "another"}, "aud"),
        ({"iss": "https://id.example"}, "iss"),
        ({"exp": 1}, "has expired"),
        ({"nonce": "another"}, "made for another sign-in"),
        ({"azp": "another"}, "made for another client"),
    ],
)
def test_what_the_provider_says_must_be_meant_for_here(
    world: World, claims: dict[str, Any], reason: str
) -> None:
    world.claims(**claims)
    with world.browser() as browser:
        answer = browser.get(world.come_back(browser))
        assert answer.status_code == 401
        assert reason in answer.text
        assert "muster_session" not in browser.cookies
    assert not world.sessions()


def test_a_role_that_is_not_told_is_a_viewers(world: World) -> None:
    world.claims()
    with world.browser() as browser:
        browser.get(world.come_back(browser))
    assert world.sessions() == [("jwt:ada", "Ada", "viewer")]


def test_a_provider_that_refuses_or_is_away(world: World) -> None:
    with world.browser() as browser:
        world.come_back(browser)
        assert browser.get(BACK, params={"error": "access_denied", "state": "x"}).status_code == 401
        world.provider.expect_client(CLIENT_ID, "another")
        assert "invalid_client" in browser.get(world.come_back(browser)).text
        back = world.come_back(browser)
        world.api.app.state.openid = OpenIdSignIn.of(
            world.api.runtime.settings.model_copy(update={"jwt_issuer": "http://127.0.0.1:1"}),
            TokenKeys("http://127.0.0.1:1/jwks"),
        )
        for path in ("/console/openid", str(back)):
            answer = browser.get(path)
            assert answer.status_code == 503
            assert "does not answer" in answer.text
    assert not world.sessions()


def test_nobody_is_led_elsewhere_afterwards(world: World) -> None:
    for place in ("https://evil.example/console", "//evil.example", "/console/../../evil"):
        with world.browser() as browser:
            landed = browser.get(world.come_back(browser, place)).headers["location"]
            assert urlsplit(landed).netloc == ""
            assert landed.startswith("/console")


def test_where_no_provider_is_configured_there_is_none(api: Api) -> None:
    assert "/console/openid" not in httpx.get(f"{api.url}/console/sign-in").text
    assert httpx.get(f"{api.url}/console/openid").status_code == 404
    assert httpx.get(f"{api.url}{BACK}").status_code == 404


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"openid_client_id": "x"}, "MUSTER_JWT_ISSUER"),
        ({"openid_client_secret": "x"}, "MUSTER_OPENID_CLIENT_ID"),
        (
            {
                "openid_client_id": "x",
                "jwt_issuer": "http://id.example",
                "jwt_audience": "m",
                "jwt_jwks": "k",
            },
            "MUSTER_JWT_ISSUER",
        ),
        (
            {"openid_client_id": "x", "jwt_issuer": "acme", "jwt_audience": "m", "jwt_jwks": "k"},
            "MUSTER_JWT_ISSUER",
        ),
        ({"openid_scope": "profile"}, "openid_scope"),
    ],
)
def test_half_a_provider_is_refused_at_the_start(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Settings(**given)
