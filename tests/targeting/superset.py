"""Whether one OpenAPI document holds all of another: operations, parameters, bodies, answers, schemas.

What is sent to a client may be narrower than what it was promised, what it sends may be wider; both may have more.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "patch")


class Document:
    """A document whose references can be followed."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def follow(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self.content
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def flat(self, node: Any) -> Schema:
        """An object with the properties of all that it is put together from."""
        node = dict(self.follow(node))
        for part in node.pop("allOf", ()):
            its = self.flat(part)
            node["properties"] = {**its.get("properties", {}), **node.get("properties", {})}
            node["required"] = [*its.get("required", ()), *node.get("required", ())]
            for key in ("type", "enum", "format", "items", "oneOf", "anyOf", "additionalProperties"):
                if key in its:
                    node.setdefault(key, its[key])
        # OpenAPI 3.1 says with a choice what 3.0 says with a flag.
        choices = [choice for choice in node.get("anyOf", ()) if choice != {"type": "null"}]
        if len(choices) == 1 < len(node["anyOf"]):
            return {**self.flat(choices[0]), "nullable": True}
        return node

    def operations(self) -> dict[str, tuple[str, str, Schema]]:
        """Operation id → path, method, operation."""
        return {
            operation["operationId"]: (path, method, operation)
            for path, item in self.content["paths"].items()
            for method, operation in item.items()
            if method in METHODS
        }

    def parameters(self, operation: Schema) -> dict[tuple[str, str], Schema]:
        found = map(self.follow, operation.get("parameters", ()))
        return {(one["in"], one["name"]): one for one in found}

    def body(self, node: Any) -> Schema | None:
        content = self.follow(node).get("content", {}) if node else {}
        return content.get("application/json", {}).get("schema")


def lacking(theirs: Document, ours: Document) -> list[str]:
    """What of theirs ours lacks or contradicts, each in words; nothing when it is a superset."""
    found: list[str] = []
    have = ours.operations()
    for name, (path, method, operation) in theirs.operations().items():
        if name not in have:
            found.append(f"{name}: no such operation")
            continue
        our_path, our_method, our_operation = have[name]
        if (our_path, our_method) != (path, method):
            found.append(f"{name}: is {our_method} {our_path}, not {method} {path}")
        found += [f"{name}: {what}" for what in _operation(theirs, operation, ours, our_operation)]
    schemas = ours.content["components"]["schemas"]
    for name, schema in theirs.content["components"]["schemas"].items():
        if name not in schemas:
            found.append(f"schema {name}: there is none")
            continue
        asked = name.endswith(("Params", "Payload", "Request"))
        found += [
            f"schema {name}{what}" for what in _differs(theirs, schema, ours, schemas[name], asked=asked)
        ]
    return found


def _operation(theirs: Document, operation: Schema, ours: Document, our_operation: Schema) -> list[str]:
    found = []
    have = ours.parameters(our_operation)
    for key, parameter in theirs.parameters(operation).items():
        if key not in have:
            found.append(f"parameter {key}: there is none")
            continue
        found += [
            f"parameter {key}{what}"
            for what in _differs(theirs, parameter["schema"], ours, have[key]["schema"], asked=True)
        ]
    for key, parameter in have.items():
        if parameter.get("required") and key not in theirs.parameters(operation):
            found.append(f"parameter {key}: is required")
    body = theirs.body(operation.get("requestBody"))
    if body is not None:
        our_body = ours.body(our_operation.get("requestBody"))
        found += (
            ["there is no body"]
            if our_body is None
            else [f"body{what}" for what in _differs(theirs, body, ours, our_body, asked=True)]
        )
    for status, response in operation["responses"].items():
        if status not in our_operation["responses"]:
            found.append(f"status {status}: is not declared")
            continue
        answer = theirs.body(response)
        our_answer = ours.body(our_operation["responses"][status])
        if answer is not None:
            found += (
                [f"status {status}: has no body"]
                if our_answer is None
                else [
                    f"status {status}{what}"
                    for what in _differs(theirs, answer, ours, our_answer, asked=False)
                ]
            )
    return found


def _differs(theirs: Document, schema: Any, ours: Document, our_schema: Any, *, asked: bool) -> list[str]:
    """`asked`: it is what a client sends; else what it is sent."""
    want, have = theirs.flat(schema), ours.flat(our_schema)
    if "oneOf" in want or "anyOf" in want:
        return _choices(theirs, want, ours, have, asked=asked)
    found = _kind_differs(want, have, asked=asked)
    for name, its in want.get("properties", {}).items():
        if name not in have.get("properties", {}):
            found.append(f".{name}: there is none")
        else:
            found += [
                f".{name}{what}"
                for what in _differs(theirs, its, ours, have["properties"][name], asked=asked)
            ]
    if "items" in want:
        inner = have.get("items", {})
        found += [f"[]{what}" for what in _differs(theirs, want["items"], ours, inner, asked=asked)]
    return found


def _kind_differs(want: Schema, have: Schema, *, asked: bool) -> list[str]:
    """What is different beside the parts."""
    found = []
    if have.get("nullable", False) != want.get("nullable", False) and have.get("nullable", False) != asked:
        found.append(": may be null" if not asked else ": must not be null")
    if "type" in want and have.get("type") not in (
        want["type"],
        "integer" if want["type"] == "number" else "",
    ):
        found.append(f": is {have.get('type')}, not {want['type']}")
    if "enum" in want and "enum" in have and not set(want["enum"]) <= set(have["enum"]):
        found.append(f": has {have.get('enum')}, not all of {want['enum']}")
    if "format" in want and have.get("format") != want["format"]:
        found.append(f": is {have.get('format')}, not {want['format']}")
    narrower = set(have.get("required", ())) - set(want.get("required", ()))
    missing = set(want.get("required", ())) - set(have.get("required", ()))
    if asked and narrower:
        found.append(f": requires {sorted(narrower)}")
    if not asked and missing:
        found.append(f": need not have {sorted(missing)}")
    if asked and have.get("additionalProperties") is False and want.get("additionalProperties") is not False:
        found.append(": is closed")
    return found


def _choices(theirs: Document, want: Schema, ours: Document, have: Schema, *, asked: bool) -> list[str]:
    """Each of their choices is one of ours, or fits what ours is without a choice."""
    wanted = want.get("oneOf") or want["anyOf"]
    offered = have.get("oneOf") or have.get("anyOf") or [have]
    found = []
    for index, choice in enumerate(wanted):
        tries = [_differs(theirs, choice, ours, offer, asked=asked) for offer in offered]
        if all(tries):
            found.append(f" choice {index}: fits none of ours: {min(tries, key=len)}")
    return found
