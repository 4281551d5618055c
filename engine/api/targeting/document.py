"""The Targeting dialect's part of `/openapi.json`: the names that its clients know, and what FastAPI cannot derive.

Our document holds every operation, parameter and schema of the public one under the same name, and more
(tests/targeting/test_document.py compares them).
"""

from __future__ import annotations

from typing import Any

from engine.campaigns.setup import VARIANTS

__all__ = ["complete"]

_REF = "#/components/schemas/"

#: Models of ours → what the dialect calls them.
_NAMES = {
    "Acl": "BaseEntityAcl",
    "Execution": "ExecutionSummaryItem",
    "Owner": "BaseEntityOwner",
    "RecipientChange": "UpdateRecipientPayload",
    "Relation": "BaseRelation",
    "RetriggerRequest": "RetriggerAutomationsRequest",
    "RetriggerResult": "RetriggerAutomationsResult",
}
_CLIENT_ERRORS = ("MessageError", "CodeError", "StatusedError")
_TEXTS = {"type": "array", "items": {"type": "string"}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF + name}


#: What the dialect names and no model of ours is: parts of objects, and the payload that is any of two.
_PARTS: dict[str, Any] = {
    "BaseUUID": {"type": "string", "format": "uuid"},
    "BaseNanoID": {"type": "string"},
    "BaseTags": _TEXTS,
    "BaseError": _ref("ServerError"),
    "BaseSystemId": {"type": "object", "properties": {"_id": _ref("BaseUUID")}, "required": ["_id"]},
    "BaseSystemFields": {
        "type": "object",
        "properties": {
            "_id": _ref("BaseUUID"),
            "_org": {"type": "string"},
            "_owners": {"type": "array", "items": _ref("BaseEntityOwner")},
            "_schema": {"type": "string"},
            "_title": {"type": "string"},
            "_tags": _ref("BaseTags"),
            "_created_at": {"type": "string", "format": "date-time"},
            "_updated_at": {"type": "string", "format": "date-time"},
            "_acl": _ref("BaseEntityAcl"),
        },
    },
    "BaseSystemFieldsRequired": {
        "type": "object",
        "required": [
            "_org",
            "_owners",
            "_schema",
            "_title",
            "_tags",
            "_created_at",
            "_updated_at",
            "_acl",
        ],
    },
    "ClientError": {"oneOf": [_ref(name) for name in _CLIENT_ERRORS]},
    "EmailBounceType": {"type": "string", "enum": ["permanent", "transient"]},
    "BaseRecipientPayload": {
        "type": "object",
        "properties": {"entity_id": _ref("BaseUUID"), "entity_schema": {"type": "string"}},
        "required": ["entity_id", "entity_schema"],
    },
    "AutomationRecipientPayload": {
        "type": "object",
        "properties": {
            "automation_status": _ref("AutomationStatus"),
            "automation_execution_id": {"type": "string", "maxLength": 1024},
        },
        "required": ["automation_status", "automation_execution_id"],
    },
    "PortalRecipientPayload": {
        "type": "object",
        "properties": {
            "portal_status": _ref("PortalStatus"),
            "portal_state": {"type": "object", "additionalProperties": True},
        },
        "required": ["portal_status"],
    },
    # Upstream says oneOf, which refuses the payload that has both parts (docs/contract/targeting.md).
    "CreateRecipientPayload": {
        "anyOf": [
            {"allOf": [_ref("BaseRecipientPayload"), *map(_ref, parts)]}
            for parts in (
                ("AutomationRecipientPayload",),
                ("PortalRecipientPayload",),
                ("AutomationRecipientPayload", "PortalRecipientPayload"),
            )
        ]
    },
}
#: Parameters of the dialect's operations that are words of ours.
_WORDS: dict[str, Any] = {
    "automation_status": {"type": "array", "items": _ref("AutomationStatus")},
    "portal_status": _ref("PortalStatus"),
    "email_status": _ref("EmailStatus"),
}
#: What a key, or a body, may be answered with on every route that takes one.
_KEYED: dict[str, Any] = {
    status: {"description": text, "content": {"application/json": {"schema": _ref("ClientError")}}}
    for status, text in (
        ("409", "The Idempotency-Key belongs to another request, or its first still runs"),
        ("413", "The body is too long"),
    )
}


def complete(document: dict[str, Any]) -> None:
    """Put the dialect's names, and what is missing, into the document."""
    schemas = document["components"]["schemas"]
    for ours, theirs in _NAMES.items():
        schemas[theirs] = schemas.pop(ours)
    schemas.pop("RecipientInput")
    schemas.update(_PARTS)
    _add_setups(schemas)
    _renamed(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                _never_null(parameter)
                if parameter["name"] == "Idempotency-Key":
                    operation["responses"] = {**_KEYED, **operation["responses"]}
            for response in operation["responses"].values():
                _as_client_error(response)
    paths = document["paths"]
    for parameter in paths["/v1/campaign/{campaign_id}/recipients"]["get"]["parameters"]:
        if parameter["name"] in _WORDS:
            parameter["schema"] = _WORDS[parameter["name"]]
    _set_body(paths["/v1/campaign/{campaign_id}/recipient"]["post"], _ref("CreateRecipientPayload"))
    _set_body(paths["/v1/campaign:setup"]["post"], _ref("SetupCampaignRequest"))


def _add_setups(schemas: dict[str, Any]) -> None:
    """The variants of set-up, each under the name of its model."""
    mapping = {}
    for word, variant in VARIANTS.items():
        made = variant.request.model_json_schema(ref_template=_REF + "{model}")
        schemas.update(made.pop("$defs", {}))
        schemas[variant.request.__name__] = made
        mapping[word] = _REF + variant.request.__name__
    schemas["SetupCampaignRequest"] = {
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _renamed(node: Any) -> None:
    """Let every reference point to the dialect's name."""
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.removeprefix(_REF) in _NAMES:
            node["$ref"] = _REF + _NAMES[reference.removeprefix(_REF)]
        for inner in node.values():
            _renamed(inner)
    elif isinstance(node, list):
        for inner in node:
            _renamed(inner)


def _never_null(parameter: dict[str, Any]) -> None:
    """A parameter is there or not; there is no null in a URL."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])


def _as_client_error(response: dict[str, Any]) -> None:
    for media in response.get("content", {}).values():
        kinds = media.get("schema", {}).get("anyOf", ())
        if kinds and {kind.get("$ref") for kind in kinds} == {_REF + name for name in _CLIENT_ERRORS}:
            media["schema"] = _ref("ClientError")


def _set_body(operation: dict[str, Any], schema: dict[str, Any]) -> None:
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
