"""Whatever is sent, nothing is answered 500, with an undeclared status, or outside its schema.

Requests are generated from a document (schemathesis), ours and the public one, valid and broken ones; half of
them are about rows that exist. Bounded, and the same on every run.
"""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given, seed
from hypothesis.errors import Unsatisfiable

from config.settings import Settings
from engine.api.app import create_app
from engine.authentication.api_keys import create_key
from engine.kernel.runtime import Runtime
from engine.kernel.wakeups import MemoryWakeups
from engine.organizations import create_organization
from state.database import Database
from state.tables import Base
from tests.api.conftest import Api, _Server
from tests.conftest import missing_service
from tests.harness.generated import generated
from tests.harness.waiting import patience
from tests.targeting.test_document import OPERATIONS, SHARED
from tests.targeting.world import AUTOMATION, World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

try:
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )
except ImportError:
    schemathesis = None  # type: ignore[assignment]

#: Requests of each kind that an operation is asked with.
EXAMPLES = 8
#: Reaches out to other machines; takes messages of mail, which only
#: tests/tracking can write; goes on for good.
_ELSEWHERE = {"testChannel", "receiveEmail", "streamEvents"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server over SQLite with one campaign of everything."""
    if schemathesis is None:
        missing_service("schemathesis", "not installed")
    folder = tmp_path_factory.mktemp("contract")
    url = f"sqlite:///{folder}/muster.db"
    database = Database(url)
    Base.metadata.create_all(database.engine)
    settings = Settings(database_url=url, data_dir=folder, broker_url="embedded://", database_pool=8)
    runtime = Runtime(settings, database=database, wakeups=MemoryWakeups())
    with database.begin() as session:
        org_id = create_organization(session, "contract").id
        keys = {"admin": create_key(session, org_id, "admin", "admin")[1]}
    app = create_app(runtime)
    listening = _Server(app)
    thread = Thread(target=listening.run, daemon=True)
    thread.start()
    assert listening.listening.wait(20)
    api = Api(
        url=listening.url,
        runtime=runtime,
        wakeups=runtime.wakeups,  # type: ignore[arg-type]
        keys=keys,
        org_id=org_id,
        database=database,
        **({"app": app} if "app" in Api.__dataclass_fields__ else {}),
    )
    with api.client() as client:
        yield World(api, client)
    listening.should_exit = True
    thread.join(20)
    database.close()


class Known:
    """Ids that exist, to be put in the place of made-up ones."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entity_ids = [world.entity(email=f"{i}@x.example", title=f"P{i}") for i in range(5)]
        self.target_ids = [str(world.target()), str(world.target(entity_filters=None))]
        self.campaign_ids = [str(world.campaign()) for _ in range(2)]
        action = {"title": "t", "cta": {"type": "flow", "target": "f"}}
        for one in self.campaign_ids:
            body = {"target_ids": self.target_ids[:1], "next_best_action": action}
            assert world.client.patch(f"/v1/campaign/{one}", json=body).status_code == 200
            for entity_id, status in zip(self.entity_ids, AUTOMATION, strict=True):
                payload = {
                    "entity_id": entity_id,
                    "entity_schema": "contact",
                    "automation_status": status,
                    "automation_execution_id": "x",
                }
                made = world.client.post(f"/v1/campaign/{one}/recipient", json=payload)
                assert made.status_code == 201, made.text
                path = f"/v1/campaign/{one}/recipient/{entity_id}/entity_ui:status"
                for told in ("seen", "dismissed"):
                    assert world.client.patch(path, json={"status": told}).status_code == 200
        world.set_campaign(world.campaign(), status="active")

    def put(self, case: Any, random: Random) -> None:
        """Let a case be about what exists, more often than not."""
        path = case.path_parameters or {}
        for name, ids in (("campaign_id", self.campaign_ids), ("recipient_id", self.entity_ids)):
            if name in path and random.random() < 0.7:
                path[name] = random.choice(ids)
        body = case.body
        if not isinstance(body, dict) or random.random() < 0.4:
            return
        for name, ids in (
            ("entity_id", self.entity_ids), ("recipient_ids", self.entity_ids),
            ("campaign_ids", self.campaign_ids), ("target_ids", self.target_ids),
        ):  # fmt: skip
            if name in body:
                body[name] = list(ids) if name.endswith("s") else random.choice([*ids, str(uuid4())])
        if "entity_schema" in body:
            body["entity_schema"] = "contact"
        for ref in body.get("entity_refs") or ():
            if isinstance(ref, dict):
                ref |= {"entity_id": random.choice(self.entity_ids), "entity_schema": "contact"}
        if isinstance(body.get("campaign"), dict):
            self._put_in_setup(body)

    def _put_in_setup(self, body: dict[str, Any]) -> None:
        body["campaign"]["target_ids"] = list(self.target_ids)
        body.pop("channels", None)
        if isinstance(recommendation := body.get("product_recommendation"), dict):
            for offer in recommendation.get("offers") or ():
                if isinstance(offer, dict):
                    offer.pop("target_id", None)


@pytest.fixture
def known(server: World) -> Known:
    """Campaigns of each test's own: operations before it may have ended all others."""
    return Known(server)


def hold(
    known: Known, document: dict[str, Any], name: str, *, examples: int = EXAMPLES, succeed: bool = True
) -> None:
    """Ask one operation with valid and with broken requests, and hold each answer to the document."""
    schema = schemathesis.openapi.from_dict(document)
    operation = schema.find_operation_by_id(name)
    checks = [
        not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    ]  # fmt: skip
    headers = {"authorization": f"Bearer {known.world.api.keys['admin']}"}
    random = Random(name)  # noqa: S311 - the same on every run
    done = 0

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(1)
        @generated(examples)
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            known.put(case, random)
            # Another key than ours is answered 401, which test_rules asks about.
            given = {
                key: text for key, text in (case.headers or {}).items() if key.lower() != "authorization"
            }
            case.headers = given | headers
            response = case.call(base_url=known.world.api.url, timeout=patience(60))
            case.validate_response(response, checks=checks)
            nonlocal done
            done += response.status_code < 300

        with suppress(Unsatisfiable):  # nothing about it can be broken
            ask()
    assert done or not succeed, f"no request to {name} was answered with success"


@pytest.fixture(scope="module")
def ours(server: World) -> dict[str, Any]:
    document: dict[str, Any] = server.client.get("/openapi.json").json()
    return document


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_dialect_keeps_to_our_document(known: Known, ours: dict[str, Any], name: str) -> None:
    hold(known, ours, name)


def test_our_own_routes_keep_to_our_document(known: Known, ours: dict[str, Any]) -> None:
    """Everything else of docs/contract/own-routes.md that the document holds, a few requests each."""
    names = {
        operation["operationId"]
        for path, operations in ours["paths"].items()
        for operation in operations.values()
        if path.startswith("/v1/")
    }
    for name in sorted(names - set(OPERATIONS) - _ELSEWHERE):
        hold(known, ours, name, examples=3, succeed=False)


@pytest.mark.parametrize("name", list(OPERATIONS)[:12])
def test_the_dialect_keeps_to_the_public_document(known: Known, name: str) -> None:
    file = SHARED / "openapi" / "targeting.json"
    if not file.exists():
        missing_service("the public Targeting document", file)
    hold(known, json.loads(file.read_text()), name)
