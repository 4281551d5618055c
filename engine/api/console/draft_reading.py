"""What a form of a campaign means: its texts as the inputs that services take, and each error at its field again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from engine.campaigns.authoring import PlanChange
from engine.campaigns.drafts import DraftInput
from engine.campaigns.templates import TemplateInput
from engine.filters.filters import EMPTINESS, MANY
from engine.filters.where import group_of, tree_of
from engine.kernel.inputs import Invalid, read
from engine.limits.zone_names import is_zone

if TYPE_CHECKING:
    from engine.api.console.draft_document import Document, Group, Row, Step

__all__ = ["Trouble", "draft_input", "filters_of", "plan_change", "template_input", "trouble_of"]

_STEP = re.compile(r"touchpoints\[(\d+)\]\.?(.*)")
_LINE = re.compile(r"line (\d+): ")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What cannot be used, and where in the form it stands."""

    place: str
    """`name`, `audience`, `schedule`, `limits`, or a step: `steps.2`."""
    message: str
    line: str = ""
    """The line of the message that it is about, as it is written."""


def filters_of(document: Document) -> dict[str, Any]:
    """The conditions as a filter tree; rows without an attribute are not begun yet, and left out."""
    groups = [items for group in document.groups if (items := _items(group))]
    if len(groups) == 1:
        (only,) = [group for group in document.groups if _items(group)]
        return {"filter": {"combination": only.combination, "items": groups[0]}}
    combinations = [group.combination for group in document.groups if _items(group)]
    items = [
        found[0] if len(found) == 1 else {"combination": combination, "items": found}
        for found, combination in zip(groups, combinations, strict=True)
    ]
    return {"filter": {"combination": document.combination, "items": items}}


def _items(group: Group) -> list[dict[str, Any]]:
    return [_condition(row) for row in group.rows if row.name.strip()]


def _condition(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"key": row.name.strip(), "operator": row.operator}
    if row.operator in EMPTINESS:
        return found
    value = row.value.strip()
    if row.operator in MANY:
        return found | {"value": [one.strip() for one in value.split(",") if one.strip()]}
    return found | {"value": value}


def draft_input(document: Document) -> DraftInput:
    """Whom it is for and what its steps are.

    Raises:
        Invalid: something cannot be used; names the field as services do.
    """
    given: dict[str, Any] = {"entity_schema": document.schema_name, "touchpoints": _touchpoints(document)}
    if document.audience == "targets":
        given["target_ids"] = document.targets
    else:
        given["entity_filters"] = filters_of(document)
    return read(DraftInput, given)


def plan_change(document: Document) -> PlanChange:
    """Name, schedule and limits.

    Raises:
        Invalid: something cannot be used.
    """
    given: dict[str, Any] = {
        "name": document.name,
        "description": document.description or None,
        "starts_at": _instant("starts_at", document.starts, document.zone),
        "ends_at": _instant("ends_at", document.ends, document.zone),
        "budget": _number("budget", document.budget),
        "one_per_address": document.one_per_address == "yes",
        "topic_id": document.topic or None,
        "limits": _limits(document) or None,
    }
    return read(PlanChange, given)


def _limits(document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if document.days or document.send_from or document.send_to:
        window: dict[str, Any] = {"from": document.send_from or "00:00", "to": document.send_to or "24:00"}
        if document.days:
            window["days"] = document.days
        found["send_windows"] = [window]
    if document.quiet_from or document.quiet_to:
        found["quiet_hours"] = [{"from": document.quiet_from or "00:00", "to": document.quiet_to or "24:00"}]
    if document.rate:
        found["rate"] = {"messages": _number("limits.rate", document.rate), "per": document.per}
    if document.cap:
        found["frequency_cap"] = {
            "messages": _number("limits.frequency_cap", document.cap),
            "hours": _number("limits.frequency_cap", document.cap_hours or "168"),
            "over": document.cap_over,
        }
    return found


def _instant(field: str, text: str, zone: str) -> datetime | None:
    """What `<input type=datetime-local>` holds, in the campaign's zone."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(field, f"{text[:40]!r} is no time") from None
    home = ZoneInfo(zone if is_zone(zone) else "UTC")
    return (at if at.tzinfo else at.replace(tzinfo=home)).astimezone(UTC)


def _number(field: str, text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        raise Invalid(field, f"{text[:40]!r} is no number") from None
    return int(number) if number.is_integer() else number


def _touchpoints(document: Document) -> list[dict[str, Any]]:
    """The steps; a condition is of the step behind it."""
    found: list[dict[str, Any]] = []
    asked: list[str] = []
    for index, step in enumerate(document.steps):
        if step.type == "condition":
            asked.append(_checked_condition(index, step))
            continue
        made = _STEPS[step.type](index, step)
        if asked:
            made["condition"] = tree_of(asked, field=f"touchpoints[{len(found)}].condition")
            asked = []
        found.append(made | {"type": step.type, "name": step.name})
    if asked:
        raise Invalid("steps", "the condition at the end has no step behind it that it is for")
    return found


def _checked_condition(index: int, step: Step) -> str:
    try:
        group_of(step.where)
    except Invalid as error:
        raise _AtStep(index, error.message) from None
    return step.where


def _message(index: int, step: Step) -> dict[str, Any]:  # noqa: ARG001 - as every step
    made: dict[str, Any] = {"channel_id": step.channel or None}
    if step.template:
        return made | {"template_id": step.template}
    content = _content(step)
    if not step.variants:
        return made | {"content": content}
    first = {"id": "A", "weight": _number("weight", step.weight) or 0, "content": content}
    others = [
        {
            "id": chr(ord("B") + number),
            "weight": _number("weight", variant.weight) or 0,
            "content": _content(step, number),
        }
        for number, variant in enumerate(step.variants)
    ]
    return made | {"variants": [first, *others]}


def _content(step: Step, variant: int | None = None) -> dict[str, Any]:
    """What a step, or one of its variants, says: shaped like a template. A variant's empty parts are the step's."""
    other = None if variant is None else step.variants[variant]
    subject = step.subject if other is None or not other.subject else other.subject
    body = step.body if other is None or not other.body else other.body
    found: dict[str, Any] = {"subject": subject}
    if body.strip():
        found[step.markup if step.markup in ("html", "mjml", "text") else "html"] = body
    if step.text.strip() and step.markup != "text":
        found["text"] = step.text
    return found


def _wait(index: int, step: Step) -> dict[str, Any]:
    try:
        return {"settings": {step.unit: _number("amount", step.amount) or 0}}
    except Invalid as error:
        raise _AtStep(index, error.message) from None


def _action(index: int, step: Step) -> dict[str, Any]:
    settings: dict[str, Any] = {"method": step.method, "url": step.url}
    if step.payload.strip():
        try:
            settings["body"] = json.loads(step.payload)
        except json.JSONDecodeError as error:
            raise _AtStep(index, f"line {error.lineno}: the body is no JSON: {error.msg}") from None
    return {"settings": settings}


_STEPS = {"message": _message, "wait": _wait, "action": _action}


class _AtStep(Invalid):
    """Of a step of the form, by its place there."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(f"steps.{index}", message)


def trouble_of(document: Document, error: Invalid) -> Trouble:
    """Where in the form an error stands."""
    if isinstance(error, _AtStep):
        return Trouble(error.field, error.message)
    found = _STEP.fullmatch(error.field)
    if found is not None:
        places = [index for index, step in enumerate(document.steps) if step.type != "condition"]
        index = places[min(int(found[1]), len(places) - 1)]
        return Trouble(f"steps.{index}", _said(found[2], error.message), _line(document.steps[index], error))
    first = error.field.split(".")[0].split("[")[0]
    place = {
        "name": "name",
        "description": "name",
        "steps": "steps",
        "touchpoints": "steps",
        "starts_at": "schedule",
        "ends_at": "schedule",
        "limits": "limits",
        "budget": "limits",
        "one_per_address": "limits",
        "topic_id": "limits",
    }.get(first, "audience")
    return Trouble(place, error.message)


def _said(field: str, message: str) -> str:
    plain = field.removeprefix("content.").removeprefix("settings.")
    return f"{plain}: {message}" if plain else message


def _line(step: Step, error: Invalid) -> str:
    """The line that a message's error is about."""
    number = _LINE.search(error.message)
    if number is None:
        return ""
    part = error.field.rpartition(".")[2]
    text = {"subject": step.subject, "text": step.text if step.markup != "text" else step.body}.get(
        part, step.body
    )
    lines = text.splitlines()
    at = int(number[1]) - 1
    return lines[at].strip()[:200] if at < len(lines) else ""


def template_input(step: Step, variant: int | None = None) -> TemplateInput:
    """A step's message as a template, for previews and tests."""
    return read(TemplateInput, {"name": "message", **_content(step, variant)})
