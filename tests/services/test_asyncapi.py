"""docs/asyncapi.json: every event and command, in the shape in which it is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from engine.events.asyncapi import document
from engine.events.names import EVENTS
from engine.events.payloads import payload
from engine.kernel.commands import COMMANDS, Execute
from engine.kernel.wakeups import encode
from tests.harness.child import ROOT


def test_the_page_is_made_from_the_code() -> None:
    written = json.loads((ROOT / "docs" / "asyncapi.json").read_text())
    assert written == document(), "run: make asyncapi"


def _check(message: str, value: Any) -> None:
    made = document()
    schema = {**made["components"]["messages"][message]["payload"], "components": made["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_as_it_is_sent_fits(name: str) -> None:
    recipient = {"recipient_id": str(uuid4()), "error_code": "X"}
    data = {"recipients": [recipient]} if name.startswith("recipient.") else {"status": "done"}
    body = payload(7, name, datetime.now(UTC), campaign_id=uuid4(), job_id=None, data=data)
    _check(name, json.loads(body))
    with pytest.raises(jsonschema.ValidationError):
        _check(name, {**json.loads(body), "type": "other"})


def test_a_command_as_it_is_sent_fits() -> None:
    command = Execute(org_id=uuid4(), job_id=uuid4(), number=3)
    _check("Execute", json.loads(encode(command)[1]))
    with pytest.raises(jsonschema.ValidationError):
        _check("Activate", json.loads(encode(command)[1]))
    assert {one.__name__ for one in COMMANDS} <= document()["components"]["messages"].keys()


def test_every_reference_leads_somewhere() -> None:
    made = document()

    def references(value: Any) -> Any:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in set(references(made)):
        found = made
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
