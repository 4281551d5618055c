"""Every operation of the API against every id of another organization: in the path, in the query and in the body.

The requests are generated from the OpenAPI document, so an operation that is added is tried as well. What must hold of
all of them: nothing of the other organization is shown, changed or referred to, and nothing ends in a 500.

An id is given where its word stands (`campaign_id`), and every object that takes any name is given all words. Then ids
are given where some other text is wanted: one after the other, or with `MUSTER_ATTACK` each of them everywhere.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from state.tables import Base
from tests.api.test_doors import ENDLESS, OPEN
from tests.api.world import add_recipients, make_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from state.database import Database
    from tests.api.conftest import Api

#: Stands in everything that the other organization has.
MARK = "ALPHASECRET"
#: Words of path parameters, query parameters and bodies → what they name.
NOUNS = {
    "campaign": ("campaign_id", "campaign_ids", "campaignId", "obj_id"),
    "target": ("target_ids",),
    "enrolled": ("target_id",),
    "template": ("template_id", "templateId"),
    "channel": ("channel_id", "fallback_channel_id", "call_channel_id", "whatsapp_channel_id"),
    "flow": ("flow_id",),
    "touchpoint": ("touchpoint_id", "touchpointId"),
    "portal": ("portal_id",),
    "widget": ("widget_id",),
    "entity": ("entity_id", "recipient_id", "recipient_ids", "recipient", "customer_id", "content_id"),
    "webhook": ("webhook_id",),
    "key": ("key_id",),
    "suppression": ("suppression_id",),
    "attachment": ("attachment_id",),
    "execution": ("execution_id",),
    "delivery": ("delivery_id",),
    "recommendation": ("product_recommendation_id",),
}
NOUN_OF = {word: noun for noun, words in NOUNS.items() for word in words}
#: Shown to everybody who may do anything: no id, and nobody's.
NOT_ASKED = {*OPEN, ENDLESS}


@dataclass
class World:
    """One organization with a row of everything."""

    org_id: UUID
    client: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)


def _made(answer: httpx.Response) -> str:
    assert answer.status_code in (200, 201), answer.text
    body = answer.json()
    found = body.get("data", body)
    return str(found.get("_id") or found["id"])


def populate(database: Database, world: World, mark: str) -> None:
    """Make a row of every kind."""
    post, ids = world.client.post, world.ids
    ids["entity"] = _made(
        post("/v1/entity/contact", json={"_title": mark, "email": f"{mark.lower()}@x.example", "note": mark})
    )
    ids["channel"] = _made(post("/v1/channel", json={"name": mark, "kind": "null", "is_default": True}))
    ids["template"] = _made(post("/v1/template", json={"name": mark, "text": f"Hello {mark}"}))
    filters = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}
    ids["target"] = _made(
        post("/v1/target", json={"name": mark, "entity_schema": "contact", "entity_filters": filters})
    )
    flow = post("/v1/flow", json={"name": mark, "touchpoints": [{"template_id": ids["template"]}]})
    ids["flow"] = _made(flow)
    ids["campaign"] = _made(
        post("/v1/campaign", json={"name": mark, "target_ids": [ids["target"]], "flow_id": ids["flow"]})
    )
    ids["portal"] = _made(post("/v1/portal", json={"name": mark}))
    ids["widget"] = _made(post(f"/v1/portal/{ids['portal']}/widget", json={"headline": {"en": mark}}))
    hook = {"url": f"https://hooks.example/{mark}", "events": ["campaign.*"]}
    ids["webhook"] = _made(post("/api/v1/webhooks", json=hook))
    ids["suppression"] = _made(
        post("/v1/suppression", json={"channel_kind": "smtp", "address": f"{mark.lower()}@y.example"})
    )
    ids["key"] = _made(post("/v1/key", json={"name": mark, "role": "viewer"}))
    touchpoint = {"name": mark, "type": "message", "message": mark, "campaign_id": ids["campaign"]}
    ids["touchpoint"] = _made(post("/channel-service/v1/touchpoints", json=touchpoint))
    file = {"filename": f"{mark}.txt", "content": "aGVsbG8=", "content_type": "text/plain"}
    ids["attachment"] = _made(post(f"/v1/template/{ids['template']}/attachment", json=file))
    enrolled = {"customer_id": str(uuid4()), "name": mark, "email": f"{mark.lower()}@z.example"}
    made = post(f"/campaigns/{ids['campaign']}/targets:create-customer", json=enrolled)
    assert made.json()["created"], made.text
    (target,) = world.client.get(f"/campaigns/{ids['campaign']}/targets").json()["data"]
    ids["enrolled"] = target["id"]
    job_id = make_job(database, world.org_id, UUID(ids["campaign"]))
    (recipient,) = add_recipients(
        database, world.org_id, UUID(ids["campaign"]), ["success"], title=mark, job_id=job_id
    )
    ids["recipient"] = str(recipient)
    ids |= {noun: str(uuid4()) for noun in NOUNS if noun not in ids}


class Document:
    """The OpenAPI document, and requests made from it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, operations in self.document["paths"].items():
            if path not in NOT_ASKED:
                for method, operation in operations.items():
                    yield method, path, operation

    def body_of(self, operation: dict[str, Any]) -> dict[str, Any] | None:
        content = operation.get("requestBody", {}).get("content", {})
        found: dict[str, Any] | None = content.get("application/json", {}).get("schema")
        return found

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while True:
            if "$ref" in schema:
                schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
            elif choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
                schema = next((one for one in choices if one.get("type") != "null"), choices[0])
            else:
                return schema

    def places(self, schema: dict[str, Any], name: str = "", depth: int = 0) -> Iterator[tuple[str, ...]]:
        """Paths to values of a body that are ids of ours, other texts, and objects that take any name."""
        schema = self.resolve(schema)
        if depth > 6:
            return
        kind = schema.get("type")
        if kind == "object" and not schema.get("properties"):
            yield (ANY,)
        elif (name in NOUN_OF and kind != "array") or (kind in ("string", None) and _is_free(schema)):
            yield ()
        if "items" in schema:
            yield from (("[]", *rest) for rest in self.places(schema["items"], name, depth + 1))
        for inner, value in schema.get("properties", {}).items():
            yield from ((inner, *rest) for rest in self.places(value, inner, depth + 1))

    def value(self, schema: dict[str, Any], place: tuple[str, ...] | None, given: Any, depth: int = 0) -> Any:
        """A value with what is required, and `given` in its place."""
        if place in ((), (ANY,)):
            return given
        schema = self.resolve(schema)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = kind[0]
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if kind == "object":
            wanted = set(schema.get("required", ()) if depth < 6 else ())
            properties = schema.get("properties", {})
            head, rest = (place[0], place[1:]) if place else (None, None)
            return {
                name: self.value(properties[name], rest if name == head else None, given, depth + 1)
                for name in properties
                if name in wanted or name == head
            }
        if kind == "array":
            within = place is not None or schema.get("minItems", 0)
            return (
                [self.value(schema["items"], place[1:] if place else None, given, depth + 1)]
                if within
                else []
            )
        simple = {
            "integer": max(1, int(schema.get("minimum", 1))),
            "number": 1.0,
            "boolean": True,
            "null": None,
        }
        if kind in simple:
            return simple[kind]
        formats = {"uuid": str(uuid4()), "date-time": "2026-05-01T00:00:00Z", "date": "2026-05-01"}
        return formats.get(schema.get("format", ""), "contact")


def path_of(path: str, words: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], "contact"), path)


#: Query parameters that look through what there is, or take whatever they are given.
SEARCHES = ("id", "q", "search", "cursor", "next")
#: The place of an object that takes any name.
ANY = "*"
WHOLE = "MUSTER_ATTACK" in os.environ


class Probe(NamedTuple):
    """One request with an id of another organization in it."""

    where: str
    """path, query or body."""
    method: str
    url: str
    body: Any
    sharp: bool = True
    """The id stands where its word does: it must not be referred to afterwards."""


class Probes:
    """Every probe of the document.

    Args:
        mine: Whose requests they are.
        theirs: Whose ids are given.
    """

    def __init__(self, document: Document, mine: World, theirs: World) -> None:
        self._document, self._mine, self._theirs = document, mine, theirs
        self._turns = cycle(theirs.ids.values())

    def all(self) -> Iterator[Probe]:
        """One after the other."""
        for method, path, operation in self._document.operations():
            own = {name: word_of(self._mine, name) for name in re.findall(r"\{(\w+)\}", path)}
            schema = self._document.body_of(operation)
            usual = None if schema is None else self._document.value(schema, None, "")
            for words, sharp in self._in_path(own):
                yield Probe("path", method, path_of(path, words), usual, sharp=sharp)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    name = parameter["name"]
                    for given in (*_asked(name, self._theirs), *self._others()):
                        url = f"{path_of(path, own)}?{name}={given}"
                        yield Probe("query", method, url, usual, sharp=name in NOUN_OF)
            if schema is not None and method != "delete":
                for body, sharp in self._in_body(schema):
                    yield Probe("body", method, path_of(path, own), body, sharp=sharp)

    def _others(self) -> list[str]:
        """Ids where some other text is wanted."""
        return list(self._theirs.ids.values()) if WHOLE else [next(self._turns)]

    def _in_path(self, own: dict[str, str]) -> Iterator[tuple[dict[str, str], bool]]:
        foreign = [name for name in own if name in NOUN_OF]
        for several in {(name,) for name in foreign} | ({tuple(foreign)} if len(foreign) > 1 else set()):
            yield own | {name: word_of(self._theirs, name) for name in several}, True
        for name in own:
            for given in self._others():
                yield own | {name: given}, False

    def _in_body(self, schema: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
        for place in sorted(set(self._document.places(schema))):
            if place[-1:] == (ANY,):
                words = {word: self._theirs.ids[noun] for word, noun in NOUN_OF.items()}
                yield self._document.value(schema, place, words), False
                continue
            word = next((part for part in reversed(place) if part != "[]"), "")
            if word in NOUN_OF:
                yield self._document.value(schema, place, word_of(self._theirs, word)), True
            for given in self._others():
                yield self._document.value(schema, place, given), False


def _is_free(schema: dict[str, Any]) -> bool:
    """Whether a text may be any."""
    return not schema.keys() & {"enum", "const", "pattern"} and schema.get("format") in (None, "uuid")


def word_of(world: World, name: str) -> str:
    noun = "recipient" if name.startswith("recipient") else NOUN_OF.get(name, "")
    return world.ids.get(noun, "contact")


def _asked(name: str, theirs: World) -> list[str]:
    """What a query parameter is tried with."""
    if name in NOUN_OF:
        return [theirs.ids[NOUN_OF[name]]]
    return [*theirs.ids.values(), MARK.lower()] if name in SEARCHES else []


def rows_of(database: Database, org_id: UUID) -> dict[str, list[str]]:
    """Everything that is kept of an organization, as text."""
    found = {}
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            if "org_id" in table.columns:
                rows = session.execute(select(table).where(table.c.org_id == org_id)).all()
                found[table.name] = sorted(repr(row) for row in rows)
    return found


@pytest.mark.timeout(3600)
def test_no_operation_shows_changes_or_refers_to_what_is_anothers(
    api: Api, client: httpx.Client, stranger: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = World(api.org_id, client)
    populate(api.database, theirs, MARK)
    mine = World(UUID(stranger.get("/v1/organization").json()["_id"]), stranger)
    populate(api.database, mine, "BETA")
    before = rows_of(api.database, theirs.org_id)
    document = Document(stranger.get("/openapi.json", timeout=120).json())
    size: Counter[str] = Counter()
    done: Counter[str] = Counter()
    operations = set()
    found = list(Probes(document, mine, theirs).all())
    # What deletes one's own rows comes last: the others need them.
    sharp = [one for one in found if one.sharp and one.method != "delete"]
    blunt = [one for one in found if not one.sharp and one.method != "delete"]
    deleting = [one for one in found if one.method == "delete"]
    for several in (sharp, blunt, deleting):
        for where, method, url, body, is_sharp in several:
            answer = stranger.request(method.upper(), url, json=body)
            told = f"{method.upper()} {url} {body} → {answer.status_code} {answer.text[:300]}"
            assert answer.status_code < 500, told
            assert MARK not in answer.text, told
            if where == "path" and is_sharp:
                assert 400 <= answer.status_code, told
            size[where] += 1
            done[f"{answer.status_code // 100}xx"] += 1
            operations.add((method, re.sub(r"[0-9a-f-]{36}", "", url.partition("?")[0])))
        assert rows_of(api.database, theirs.org_id) == before, "nothing of theirs was touched"
        if several is sharp:
            _refer_to_none(rows_of(api.database, mine.org_id), theirs)
    with capsys.disabled():
        told = f"{size.total()} probes of {len(operations)} operations: {dict(size)}, answered {dict(done)}"
        sys.stdout.write(f"\n{told}\n")
    assert size["path"] >= 240
    assert size["query"] >= 50
    assert size["body"] >= 100


def _refer_to_none(rows: dict[str, list[str]], theirs: World) -> None:
    for name in rows.keys() - {"idempotency_key"}:
        for noun, given in theirs.ids.items():
            for row in rows[name]:
                assert given not in row, f"{name} refers to their {noun}: {row}"
