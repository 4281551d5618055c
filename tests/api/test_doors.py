"""Nothing without a key, nothing above a key's role: for every route there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import pytest

from engine.api import campaigns, experiments, imbrace, stream, targeting, umanize, webhooks
from engine.api.route import Route
from engine.authentication.api_keys import list_keys, revoke_key
from engine.kernel.principal import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What needs no key: operations, documentation, the links in a message and what a voice provider reports, all signed.
OPEN = {
    "/health/live",
    "/health/ready",
    "/metrics",
    "/docs",
    "/docs/{name}",
    "/openapi.json",
    "/u/{token}",
    "/t/o/{who}/{what}.gif",
    "/t/c/{who}/{what}",
    "/v1/inbound/voice/{channel_id}",
    "/v1/inbound/mail/{channel_id}",
}


class Door(NamedTuple):
    """One method of a route."""

    route: Route
    method: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.route.path}"

    @property
    def needs(self) -> Role:
        return self.route.needs(self.method)


def doors() -> Iterator[Door]:
    for router in (
        *targeting.ROUTERS,
        *campaigns.ROUTERS,
        *imbrace.ROUTERS,
        *umanize.ROUTERS,
        *webhooks.ROUTERS,
        stream.router,
        experiments.router,
    ):
        for route in router.routes:
            assert isinstance(route, Route), route
            yield from (Door(route, method) for method in sorted(route.methods or ()) if method != "HEAD")


DOORS = list(doors())
#: Whoever is let in listens for good.
ENDLESS = "/v1/events:stream"
#: What is asked by POST and changes nothing.
QUESTIONS = {
    "POST /v1/campaign:match",
    "POST /v1/campaign:discover",
    "POST /v1/target:match",
    "POST /v1/target/queries",
    "POST /v1/template/{template_id}:preview",
}
MUTATING = [door for door in DOORS if door.method != "GET" and door.name not in QUESTIONS]


def fields_of_an_error(path: str) -> list[str]:
    """What a dialect's plain error holds."""
    if path.startswith(umanize.PREFIX):
        return ["detail"]
    return ["success", "error", "code"] if path.startswith("/api/v1/") else ["message"]


def filled(path: str) -> str:
    """The path with ids that exist nowhere."""
    return re.sub(r"\{(\w+)\}", lambda name: "contact" if name[1] == "schema" else str(uuid4()), path)


def test_every_route_of_the_application_is_in_the_table(client):
    """A route that is mounted beside the table would escape the tests below."""
    document = client.get("/openapi.json").json()
    documented = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if path not in OPEN
    }
    assert documented == {(door.method, door.route.path) for door in DOORS}
    assert documented


def test_no_route_opens_without_a_key(api, client):
    for door in DOORS:
        route, method = door
        for headers in (
            {},
            {"authorization": "Bearer"},
            {"authorization": "Bearer mk_unknown"},
            {"authorization": f"Basic {api.keys['admin']}"},
            *(
                []
                if route.path.startswith(("/channel-service/", umanize.PREFIX))
                else [{"x-api-key": api.keys["admin"]}]
            ),
        ):
            anonymous = {"authorization": "", **headers}
            answer = client.request(method, filled(route.path), headers=anonymous)
            assert answer.status_code == 401, door.name
            assert list(answer.json()) == fields_of_an_error(route.path)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_every_mutating_route_asks_for_its_role(api):
    below = {Role.VIEWER: [], Role.OPERATOR: ["viewer"], Role.ADMIN: ["viewer", "operator"]}
    for door in MUTATING:
        route, method = door
        for role in below[door.needs]:
            with api.client(role) as client:
                answer = client.request(method, filled(route.path), headers={"idempotency-key": "k"})
                assert answer.status_code == 403, (door.name, role)
                assert list(answer.json()) == fields_of_an_error(route.path)
    with api.database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM idempotency_key").scalar() == 0


def test_reading_asks_for_a_viewer_and_mutating_lets_its_role_in(api):
    for door in DOORS:
        route, method = door
        if route.path == ENDLESS:
            continue
        with api.client(door.needs.word) as client:
            answer = client.request(method, filled(route.path))
            assert answer.status_code not in (401, 403), door.name
            assert answer.status_code < 500, (door.name, answer.text)


def test_channels_and_what_guards_them_are_for_admins():
    needed = {door.name: door.needs for door in MUTATING}
    for name, role in needed.items():
        nouns = ("/v1/channel", "/v1/organization", "/v1/webhooks", "/v1/key", ":erase")
        guarded = any(noun in name for noun in nouns) and not name.endswith(":redeliver")
        assert (role is Role.ADMIN) == guarded, name


def test_an_id_that_is_none_is_400_naming_it(client):
    """In the Targeting dialect, whose ids are UUIDs; in the others they are any text (docs/contract/README.md)."""
    for door in DOORS:
        route, method = door
        if not route.path.startswith("/v1/"):
            continue
        ids = re.findall(r"\{(\w+_id)\}", route.path)
        if not ids:
            continue
        path = re.sub(r"\{(\w+)\}", lambda m: "contact" if m[1] == "schema" else "not-a-uuid", route.path)
        answer = client.request(method, path, json={})
        assert answer.status_code == 400, (door.name, answer.text)
        assert list(answer.json()) == ["message"]
        assert ids[0] in answer.json()["message"]


def test_a_revoked_key_is_out_at_once(api):
    with api.client("operator") as client:
        assert client.get("/v1/campaign").status_code == 200
        with api.database.begin() as session:
            [key] = [key for key in list_keys(session, api.org_id).results if key.role == "operator"]
            revoke_key(session, api.org_id, key.id)
        assert client.get("/v1/campaign").status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("GET", "/v1"), ("GET", "/v1/campaign/"), ("POST", "/v1/nope"), ("GET", "/%00")],
)
def test_unknown_routes_are_404_with_a_message(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 404
    assert list(answer.json()) == ["message"]


def test_unknown_methods_are_405_with_a_message(client):
    answer = client.put("/v1/campaign")
    assert answer.status_code == 405
    assert list(answer.json()) == ["message"]
    assert "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]
