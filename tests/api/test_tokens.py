"""Tokens of an OpenID provider open the API, and nothing that only looks like one does; the provider is a process."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.jwk import RSAKey
from pydantic import ValidationError
from structlog.testing import capture_logs

from config.settings import Settings
from engine.authentication.api_keys import create_key
from engine.authentication.openid_keys import FILE_AGE, UNKNOWN_EVERY, URL_AGE, TokenKeys
from engine.authentication.openid_tokens import TokenVerifier
from engine.kernel.inputs import Invalid
from engine.organizations import create_organization
from state.tables import Organization
from tests.api.test_identity import READING
from tests.harness.openid import OpenIdProvider
from tests.harness.waiting import patience
from tests.servers.openid import new_key, signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.conftest import Api

AUDIENCE = "muster"
ALGORITHMS = ("RS256", "ES256", "EdDSA")


class Seconds:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """The API with tokens, and whoever makes them."""

    api: Api
    provider: OpenIdProvider
    seconds: Seconds = field(default_factory=Seconds)

    def read_keys(self, where: str) -> None:
        """Take the issuer's keys from there."""
        keys = TokenKeys(where, monotonic=self.seconds)
        self.api.app.state.tokens = TokenVerifier(self.provider.issuer, AUDIENCE, keys)

    def claims(self, **more: Any) -> dict[str, Any]:
        """Of a good token, with these in place of its own; None takes one away."""
        now = self.api.database.clock.now().timestamp()
        usual = {"iss": self.provider.issuer, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300}
        given = {**usual, "org_id": str(self.api.org_id), "role": "admin", **more}
        return {name: value for name, value in given.items() if value is not None}

    def ask(self, token: str, path: str = "/v1/target", method: str = "GET", **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", **more.pop("headers", {})}
        return httpx.request(method, self.api.url + path, headers=headers, timeout=patience(60), **more)

    def status(self, token: str) -> int:
        return self.ask(token).status_code


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    with OpenIdProvider(tmp_path_factory.mktemp("openid")) as provider:
        yield provider


@pytest.fixture
def world(api: Api, provider: OpenIdProvider) -> World:
    provider.serve_keys("served")
    world = World(api, provider)
    world.read_keys(provider.jwks)
    return world


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def assembled(header: Any, claims: Any, signature: bytes) -> str:
    return (
        f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}.{encoded(signature)}"
    )


def test_a_token_opens_every_dialect(world: World) -> None:
    with world.api.database.read() as session:
        name = session.get_one(Organization, world.api.org_id).name
    for path in READING:
        expected = 404 if path.startswith("/campaigns") else 200
        for organization in (str(world.api.org_id), name):
            token = world.provider.access_token(**world.claims(org_id=organization))
            answer = world.ask(token, path)
            assert answer.status_code == expected, answer.text
        refused = world.ask(world.provider.access_token(**world.claims(aud="another")), path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "aud" in refused.text


def test_what_signs(world: World) -> None:
    for alg in ALGORITHMS:
        assert world.status(world.provider.sign(world.claims(), alg=alg)) == 200


def test_a_role_is_what_the_claim_says(world: World) -> None:
    body = {"name": "Everybody", "entity_schema": "contact"}
    for role, reads, writes in (
        (None, 200, 403),
        ("viewer", 200, 403),
        ("operator", 200, 201),
        ("admin", 200, 201),
        ("root", 401, 401),
        (["admin"], 401, 401),
    ):
        token = world.provider.sign(world.claims(role=role))
        assert (world.status(token), world.ask(token, "/v1/target", "POST", json=body).status_code) == (
            reads,
            writes,
        ), role


def test_the_organization_is_the_one_that_is_named(world: World) -> None:
    with world.api.database.begin() as session:
        other = create_organization(session, "another").id
    for named in (str(other), "another"):
        answer = world.ask(world.provider.sign(world.claims(org_id=named)), "/v1/organization")
        assert answer.json()["_id"] == str(other)
    unknown: list[Any] = [
        None,
        "",
        "nobody",
        str(uuid4()),
        7,
        ["another"],
        {"id": "another"},
        "an\0other",
        "x" * 5000,
    ]
    for named in unknown:
        assert world.status(world.provider.sign(world.claims(org_id=named))) == 401, named


#: A claim, what it is at an instant, and whether a token with it opens anything.
CLAIMS = [
    ("exp", lambda now: now - 30, True),
    ("exp", lambda now: now - 90, False),
    ("exp", lambda now: now + 0.5, True),
    ("exp", lambda now: str(now + 300), False),
    ("exp", lambda _: None, False),
    ("exp", lambda _: True, False),
    ("exp", lambda _: 10**30, True),
    ("nbf", lambda now: now + 30, True),
    ("nbf", lambda now: now + 90, False),
    ("nbf", lambda _: "soon", False),
    ("iss", lambda _: "https://elsewhere.example", False),
    ("iss", lambda _: None, False),
    ("aud", lambda _: ["another", AUDIENCE], True),
    ("aud", lambda _: ["another"], False),
    ("aud", lambda _: [], False),
    ("aud", lambda _: None, False),
    ("sub", lambda _: 7, False),
]


def test_what_the_claims_must_be(world: World) -> None:
    now = world.api.database.clock.now().timestamp()
    for name, value, opens in CLAIMS:
        answer = world.ask(world.provider.sign(world.claims(**{name: value(now)})))
        assert answer.status_code == (200 if opens else 401), (name, value(now), answer.text)


def test_an_issuer_is_compared_exactly(world: World) -> None:
    assert world.status(world.provider.sign(world.claims(iss=world.provider.issuer + "/"))) == 401


def test_a_token_that_nobody_or_a_shared_secret_signed_is_refused(world: World) -> None:
    claims = world.claims()
    assert world.status(assembled({"alg": "none"}, claims, b"")) == 401
    assert world.status(assembled({"alg": "none", "kid": "RS256-1"}, claims, b"")) == 401
    # The public key, as everybody can read it, as the secret of an HMAC.
    (public,) = [key for key in httpx.get(world.provider.jwks).json()["keys"] if key["kid"] == "RS256-1"]
    for secret in (RSAKey.import_key(public).as_pem(), json.dumps(public).encode(), b""):
        header = {"alg": "HS256", "kid": "RS256-1"}
        unsigned = assembled(header, claims, b"").rstrip(".")
        signature = hmac.digest(secret, unsigned.encode(), hashlib.sha256)
        assert world.status(f"{unsigned}.{encoded(signature)}") == 401


def test_a_key_of_the_tokens_own_is_none(world: World) -> None:
    payload = json.dumps(world.claims()).encode()
    for alg in ALGORITHMS:
        own = new_key(alg, f"{alg}-1")
        public = own.as_dict(private=False)
        elsewhere = "http://127.0.0.1:1/jwks"
        for more in ({}, {"jwk": public}, {"jku": elsewhere}, {"x5c": ["AA=="]}, {"x5u": elsewhere}):
            assert world.status(signed({"alg": alg, "kid": f"{alg}-1", **more}, payload, own)) == 401
        for more in ({"jwk": public}, {"jku": world.provider.jwks}):
            assert world.status(world.provider.sign(world.claims(), more, alg=alg)) == 401, (
                "its key signed it"
            )


def test_a_critical_extension_is_refused(world: World) -> None:
    for crit in (["b64"], ["exp"], ["made-up"], [], "exp", None):
        header = {"crit": crit, "exp": 1, "made-up": True}
        assert world.status(world.provider.sign(world.claims(), header)) == 401, crit


def test_a_key_of_another_type_is_refused(world: World) -> None:
    claims = world.claims()
    for alg, other in (("RS256", "ES256"), ("ES256", "EdDSA"), ("EdDSA", "RS256")):
        own = new_key(alg, f"{other}-1")
        token = signed({"alg": alg, "kid": f"{other}-1"}, json.dumps(claims).encode(), own)
        assert world.status(token) == 401


def test_a_signature_of_ecdsa_in_der_is_refused(world: World) -> None:
    token = world.provider.sign(world.claims(), alg="ES256")
    head, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    assert world.status(token) == 200
    assert world.status(f"{head}.{encoded(der)}") == 401


def test_what_only_looks_like_a_token_is_refused(world: World) -> None:
    deep = encoded(b"[" * 10_000) + ".e30."
    texts = ["..", "a.b.c", "e30.e30.e30", "W10.e30.", "ImFsZyI.e30.", "bnVsbA.bnVsbA.", "é.é.é", deep]
    for text in (
        *texts,
        "x" * 20_000 + "..",
        encoded(b'{"alg": ["RS256"]}') + ".e30.",
        encoded(b'{"alg": {}}') + "..",
    ):
        headers = {b"authorization": b"Bearer " + text.encode()}
        assert httpx.get(f"{world.api.url}/v1/target", headers=headers).status_code == 401, text[:100]


def test_any_bit_that_is_changed_makes_it_worthless(world: World) -> None:
    token = world.provider.sign(world.claims())
    head, claims, signature = token.split(".")
    more = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"role": "admin", "org_id": "another"}
    assert world.status(f"{head}.{encoded(json.dumps(more).encode())}.{signature}") == 401
    assert world.status(f"{head}.{claims}.{signature[:-8]}AAAAAAAA") == 401


def test_the_keys_are_fetched_once_however_many_ask(world: World) -> None:
    before = world.provider.fetches
    token = world.provider.sign(world.claims())
    assert {world.status(token) for _ in range(20)} == {200}
    assert world.provider.fetches == before + 1
    world.seconds.now += URL_AGE
    assert world.status(token) == 200
    assert world.provider.fetches == before + 2


def test_an_unknown_key_has_them_fetched_again_at_most_once_in_thirty_seconds(world: World) -> None:
    assert world.status(world.provider.sign(world.claims())) == 200
    before = world.provider.fetches
    kid = world.provider.rotate("ES256")
    assert world.status(world.provider.sign(world.claims(), {"kid": kid}, alg="ES256")) == 200, "at once"
    assert world.provider.fetches == before + 1
    own = new_key("RS256", "unheard-of")
    token = signed({"alg": "RS256", "kid": "unheard-of"}, json.dumps(world.claims()).encode(), own)
    assert {world.status(token) for _ in range(20)} == {401}
    assert world.provider.fetches == before + 1
    world.seconds.now += UNKNOWN_EVERY
    assert {world.status(token) for _ in range(20)} == {401}
    assert world.provider.fetches == before + 2


def test_a_provider_that_fails_costs_nobody_who_is_known(world: World) -> None:
    token = world.provider.sign(world.claims())
    assert world.status(token) == 200
    for mode in ("error", "garbage", "redirect"):
        world.provider.serve_keys(mode)
        world.seconds.now += URL_AGE
        assert {world.status(token) for _ in range(2)} == {200}


def test_where_there_are_no_keys_yet_it_is_the_servers_trouble(world: World) -> None:
    world.provider.serve_keys("error")
    before = world.provider.fetches
    token = world.provider.sign(world.claims())
    for path in READING:
        answer = world.ask(token, path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert world.ask(world.api.keys["admin"], path).status_code != 503, "keys need no provider"
    assert world.provider.fetches == before + 1, "not for every request"


def test_a_file_that_is_rotated_counts_within_a_minute(world: World, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    old, new = new_key("RS256", "old"), new_key("RS256", "new")
    tokens = {
        name: signed({"alg": "RS256", "kid": name}, json.dumps(world.claims()).encode(), key)
        for name, key in (("old", old), ("new", new))
    }
    file.write_text(json.dumps({"keys": [old.as_dict(private=False)]}))
    world.read_keys(str(file))
    assert (world.status(tokens["old"]), world.status(tokens["new"])) == (200, 401)
    whole = json.dumps({"keys": [new.as_dict(private=False)]})
    for half in (whole[:100], "", '{"keys": []}', "[]", '{"keys": [{"kty": "RSA", "n": "AQ"}]}'):
        file.write_text(half)
        world.seconds.now += FILE_AGE
        assert (world.status(tokens["old"]), world.status(tokens["new"])) == (200, 401), half
    file.unlink()
    world.seconds.now += FILE_AGE
    assert world.status(tokens["old"]) == 200
    file.write_text(whole)
    world.seconds.now += 60
    assert (world.status(tokens["old"]), world.status(tokens["new"])) == (401, 200)


def test_keys_that_are_not_for_signatures_are_none(world: World, tmp_path: Path) -> None:
    keys = [new_key("RS256", kid) for kid in ("enc", "good")]
    listed = [keys[0].as_dict(private=False, use="enc"), keys[1].as_dict(private=False)]
    shared = {"kty": "oct", "kid": "shared", "k": encoded(b"x" * 32)}
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [*listed, shared, {"kty": "AKP"}, 7]}))
    world.read_keys(str(file))
    payload = json.dumps(world.claims()).encode()
    statuses = [world.status(signed({"alg": "RS256", "kid": key.kid}, payload, key)) for key in keys]
    assert statuses == [401, 200]
    assert world.status(signed({"alg": "RS256"}, payload, keys[1])) == 200, "the only key needs no name"


def test_a_token_and_a_key_of_different_owners_are_refused(world: World) -> None:
    token = world.provider.sign(world.claims())
    assert world.ask(token, headers={"x-api-key": world.api.keys["admin"]}).status_code == 401
    assert world.ask(token, headers={"x-access-token": token}).status_code == 200
    other = world.provider.sign(world.claims(sub="bob"))
    assert world.ask(token, headers={"x-access-token": other}).status_code == 401


def test_a_request_of_many_credentials_is_refused(world: World) -> None:
    headers = [("authorization", f"Bearer {world.api.keys['admin']}")]
    headers += [("x-api-key", f"mk_{number}") for number in range(500)]
    answer = httpx.get(f"{world.api.url}/v1/target", headers=headers)
    assert answer.status_code == 401
    assert "credentials" in answer.json()["message"]


def test_no_token_is_in_a_log_and_the_audit_log_names_its_subject(world: World) -> None:
    good = world.provider.sign(world.claims())
    bad = [
        world.provider.sign(world.claims(exp=1)),
        good[:-4],
        world.provider.sign(world.claims(), {"crit": ["x"], "x": 1}),
    ]
    with capture_logs() as logs:
        made = world.ask(good, "/v1/target", "POST", json={"name": "Everybody", "entity_schema": "contact"})
        assert made.status_code == 201
        assert {world.status(token) for token in bad} == {401}
    written = repr(logs)
    for token in (good, *bad):
        assert all(len(part) < 10 or part not in written for part in token.split("."))
        assert token not in made.text
    record = world.ask(good, "/v1/audit").json()["results"][0]
    assert (record["author"], record["role"], record["operation"]) == ("jwt:ada", "admin", "createTarget")


def test_claims_have_the_names_that_the_operator_chose(world: World) -> None:
    settings = world.api.runtime.settings
    chosen = {"jwt_org_claim": "https://muster.example/org", "jwt_role_claim": "muster_role"}
    world.api.runtime.settings = settings.model_copy(update=chosen)
    claims = world.claims(org_id=None, role="admin")
    claims |= {"https://muster.example/org": str(world.api.org_id), "muster_role": "viewer"}
    body = {"name": "Everybody", "entity_schema": "contact"}
    token = world.provider.sign(claims)
    assert (world.status(token), world.ask(token, "/v1/target", "POST", json=body).status_code) == (200, 403)
    world.api.runtime.settings = settings


def test_without_an_issuer_a_token_is_an_unknown_key(api: Api, provider: OpenIdProvider) -> None:
    token = provider.access_token(aud=AUDIENCE, org_id=str(api.org_id))
    answer = httpx.get(f"{api.url}/v1/target", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_no_key_is_made_that_would_be_read_as_a_token(api: Api) -> None:
    with api.database.begin() as session, pytest.raises(Invalid, match="two dots"):
        create_key(session, api.org_id, "dotted", "admin", plain="aaaaaaaaaa.bbbbbbbbbb.cc")


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ({"jwt_issuer": "https://id.example"}, "MUSTER_JWT_AUDIENCE, MUSTER_JWT_JWKS"),
        ({"jwt_audience": "muster", "jwt_jwks": "keys.json"}, "MUSTER_JWT_ISSUER"),
        ({"jwt_jwks": "http://id.example/jwks"}, "unprotected"),
        ({"jwt_jwks": "ftp://id.example/jwks"}, "no https"),
        ({"jwt_jwks": "https://me:secret@id.example/jwks"}, "credentials"),
        ({"jwt_jwks": "https://:x/"}, "URL"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_the_start(given: dict[str, Any], variable: str) -> None:
    with pytest.raises(ValidationError, match=variable):
        Settings(**given)


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1:9/jwks",
        "http://[::1]/jwks",
        "http://localhost/jwks",
        "https://id.example/jwks",
        "/etc/keys.json",
    ],
)
def test_where_keys_may_be(where: str) -> None:
    assert Settings(jwt_issuer="i", jwt_audience="a", jwt_jwks=where).jwt_jwks == where
