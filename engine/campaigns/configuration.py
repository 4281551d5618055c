"""What the author of a touchpoint wrote, read as what delivery runs.

Authors may write a touchpoint before it is complete, with fields of their own, and find it unchanged later. So what
was written is kept as it is (`AS_WRITTEN` in the row's extras), and the columns that delivery reads hold what could be
made of it. What could not be is a problem: such a touchpoint is `update_needed`, is not run, and its campaign cannot
be activated until it is put right. It is looked at again whenever it is written, and when its campaign is activated,
because what it lacked may have been a channel.

| type | reads |
|---|---|
| message | `template_id`, or `message` (a text, or an object like a template), or `variants`; `channel_id`, else |
| | `channel_type` (the campaign's, where it has none) |
| wait | `settings`, or `delay_seconds` … `delay_weeks`, or `until` |
| action | `settings` (as the http channel's), or `url`, `method`, `query`, `headers`, `body`; else `channel_id` |
| all | `condition` |
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.campaigns.actions import check_request, check_request_channel
from engine.campaigns.channel_types import channel_of_type
from engine.campaigns.templates import TemplateInput
from engine.channels.default_channel import default_channel
from engine.content.stored import compile_message
from engine.content.templates import TemplateError
from engine.delivery.conditions import check_condition
from engine.kernel import listing
from engine.kernel.inputs import Invalid, read
from engine.kernel.instants import read_instant
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.tables import Channel, Flow, Template, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = [
    "AS_WRITTEN",
    "Configuration",
    "as_id",
    "configure",
    "lock_flows",
    "read_configuration",
    "request_of",
    "settle",
    "written_of",
]

#: Where extras keep what the author wrote.
AS_WRITTEN = "as_written"

#: Where extras keep what the columns were when they were last read from it.
_CONFIGURED = "configured"

_UNITS = ("seconds", "minutes", "hours", "days", "weeks")
_IN_SECONDS = dict(zip(_UNITS, (1, 60, 3600, 86_400, 604_800), strict=True))
#: Seconds; ten years.
_LONGEST_WAIT = 3650 * 86_400
_REQUEST = ("url", "method", "query", "headers", "body")
#: Column to the fields that it is read from.
_READS: dict[str, tuple[str, ...]] = {
    "template_id": ("template_id",),
    "content": ("message",),
    "channel_id": ("channel_id", "channel_type"),
    "condition": ("condition",),
    "settings": ("settings", "until", *(f"delay_{unit}" for unit in _UNITS), *_REQUEST),
    "variants": ("variants",),
}
_NAMES = {"content": "message"}
#: What a message of its own may hold; the rest of the object is its author's.
_CONTENT = frozenset(TemplateInput.model_fields) - {"name"}
_MAX_VARIANTS = 100


@dataclass
class Configuration:
    """The columns of a touchpoint, and what is wrong with what they were read from."""

    settings: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] | None = None
    condition: dict[str, Any] | None = None
    variants: list[Any] | None = None
    template_id: UUID | None = None
    channel_id: UUID | None = None
    problems: list[Invalid] = field(default_factory=list)


def as_id(text: object) -> UUID | None:
    """An id of ours; None for anything else, which names nothing here."""
    if not isinstance(text, str):
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def written_of(touchpoint: Touchpoint) -> dict[str, Any]:
    """What the author wrote; where somebody else has changed the columns since, or made them: would have written."""
    written = dict(touchpoint.extras.get(AS_WRITTEN, {}))
    then = touchpoint.extras.get(_CONFIGURED, {})
    for column, digest in _digests(touchpoint).items():
        if then.get(column) != digest:
            for name in _READS[column]:
                written.pop(name, None)
            value = getattr(touchpoint, column)
            if value:
                written[_NAMES.get(column, column)] = str(value) if isinstance(value, UUID) else value
    return written


def _digests(touchpoint: Touchpoint) -> dict[str, str]:
    """Each column as it is. Numbers are compared by value: 1e16 comes back from a `jsonb` column as a whole number."""
    return {
        column: hashlib.sha256(
            json.dumps(_plain(getattr(touchpoint, column) or None), sort_keys=True, default=str).encode()
        ).hexdigest()[:16]
        for column in _READS
        if column != "settings" or touchpoint.type != "message"
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_configuration(
    session: Session, org_id: UUID, kind: str, written: Mapping[str, Any], campaign: Campaign | None
) -> Configuration:
    """What a touchpoint of type `kind` is to do. Templates and channels that it names cannot go until the commit."""
    found = Configuration()

    def attempt(step: Callable[[], None]) -> None:
        try:
            step()
        except Invalid as error:
            found.problems.append(error)

    def condition() -> None:
        given = written.get("condition")
        if given is not None:
            check_condition(given)
            found.condition = given

    def channel() -> None:
        found.channel_id = _channel(session, org_id, written, campaign)

    def request() -> None:
        found.settings = request_of(written) or {}
        if found.settings or written.get("channel_id") is None:
            _check_request(session, found.settings)
        else:
            found.channel_id = _known(session, org_id, Channel, "channel_id", written["channel_id"])
            check_request_channel(session, org_id, found.channel_id)

    attempt(condition)
    if kind == "wait":
        attempt(lambda: found.settings.update(_wait(written)))
        return found
    if kind == "action":
        attempt(request)
        return found
    attempt(lambda: _message(session, org_id, written, found))
    attempt(channel)
    return found


def configure(touchpoint: Touchpoint, written: Mapping[str, Any], found: Configuration) -> None:
    """Keep what was written, and the columns that were read from it.

    A touchpoint that should run and cannot is `update_needed`, and active again once it can.
    """
    if touchpoint.type != "message":  # a message's are other dialects'
        touchpoint.settings = found.settings
    touchpoint.content = found.content
    touchpoint.condition = found.condition
    touchpoint.variants = found.variants
    touchpoint.template_id = found.template_id
    touchpoint.channel_id = found.channel_id
    touchpoint.extras = {
        **touchpoint.extras,
        AS_WRITTEN: dict(written),
        _CONFIGURED: _digests(touchpoint),
    }
    if touchpoint.status in ("active", "update_needed"):
        touchpoint.status = "update_needed" if found.problems else "active"


def lock_flows(session: Session, org_id: UUID, *flow_ids: UUID | None) -> None:
    """Wait for one's turn to write several touchpoints of a flow. Locks are taken in this order everywhere: campaign,
    flows by id, touchpoints.
    """
    for flow_id in sorted({flow_id for flow_id in flow_ids if flow_id is not None}):
        session.execute(
            select(Flow.id).where(Flow.id == flow_id, Flow.org_id == org_id).with_for_update(key_share=True)
        )


def settle(session: Session, campaign: Campaign) -> None:
    """See that the campaign's flow can be run: it has something active, and nothing that needs an update.

    Raises:
        RuleViolation: CAMPAIGN_HAS_NO_DELIVERY_METHOD; the message names the touchpoint and what is wrong with it.
    """
    rows = session.scalars(
        select(Touchpoint)
        .where(
            Touchpoint.org_id == campaign.org_id,
            Touchpoint.flow_id == campaign.flow_id,
            Touchpoint.status.in_(("active", "update_needed")),
        )
        .order_by(Touchpoint.position)
    ).all()
    if not rows:
        raise RuleViolation(
            RuleCode.CAMPAIGN_HAS_NO_DELIVERY_METHOD, f"campaign {campaign.id} has no active touchpoint"
        )
    if any(row.status != "active" for row in rows):
        lock_flows(session, campaign.org_id, campaign.flow_id)
    for row in rows:
        if row.status == "active":
            continue
        written = written_of(row)
        found = read_configuration(session, campaign.org_id, row.type, written, campaign)
        if found.problems:
            raise RuleViolation(
                RuleCode.CAMPAIGN_HAS_NO_DELIVERY_METHOD,
                f"touchpoint {row.id} of campaign {campaign.id} needs an update: {found.problems[0]}",
            )
        configure(row, written, found)
        listing.stamp(session, row)
    session.flush()


def _message(session: Session, org_id: UUID, written: Mapping[str, Any], found: Configuration) -> None:
    message = written.get("message")
    template_id = written.get("template_id")
    if template_id is None and isinstance(message, dict):
        template_id = message.get("template_id")
    variants = written.get("variants")
    if template_id is not None:
        found.template_id = _known(session, org_id, Template, "template_id", template_id)
    elif message is not None:
        found.content = _content("message", message)
    elif not variants:
        raise Invalid("message", "a message needs a text or a template")
    if variants is not None:
        found.variants = _variants(session, org_id, variants)


def _content(field: str, message: Any) -> dict[str, Any]:
    """A message of its own, shaped like a template."""
    given = {"text": message} if isinstance(message, str) else message
    if not isinstance(given, dict):
        raise Invalid(field, "must be a text or an object")
    content = {name: value for name, value in given.items() if name in _CONTENT}
    try:
        _check_content(read(TemplateInput, {"name": "message", **content}), set(content))
    except Invalid as error:
        raise Invalid(f"{field}.{error.field}", error.message) from error
    except TemplateError as error:
        raise Invalid(f"{field}.{error.field}", f"line {error.line}: {error.message}") from error
    return content


def _check_content(given: TemplateInput, names: set[str]) -> None:
    if not any((part or "").strip() for part in (given.html, given.mjml, given.text)) and not given.data:
        raise Invalid("text", "is empty")
    compile_message(given.model_dump(include=names))


def _variants(session: Session, org_id: UUID, given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not 1 <= len(given) <= _MAX_VARIANTS:
        raise Invalid("variants", f"must be a list of 1..{_MAX_VARIANTS} variants")
    variants: list[dict[str, Any]] = []
    for index, one in enumerate(given):
        at = f"variants[{index}]"
        name = one.get("id") if isinstance(one, dict) else None
        if not isinstance(name, str) or not 1 <= len(name) <= 64:  # noqa: PLR2004 - the column's length
            raise Invalid(f"{at}.id", "must be a text of 1..64 characters")
        if any(other["id"] == name for other in variants):
            raise Invalid(f"{at}.id", f"{name!r} is there twice")
        weight = one.get("weight", 1)
        if not _is_number(weight) or weight < 0:
            raise Invalid(f"{at}.weight", "must be a number, 0 or more")
        variant: dict[str, Any] = {"id": name, "weight": weight}
        if one.get("template_id") is not None:
            known = _known(session, org_id, Template, f"{at}.template_id", one["template_id"])
            variant["template_id"] = str(known)
        else:
            body = one.get("content", one.get("message"))
            if body is None:
                raise Invalid(at, "needs a message or a template")
            variant["content"] = _content(f"{at}.message", body)
        variants.append(variant)
    if not sum(variant["weight"] for variant in variants):
        raise Invalid("variants", "one of them must have a weight")
    return variants


def _wait(written: Mapping[str, Any]) -> dict[str, Any]:
    given = written.get("settings")
    if given is None:
        given = {
            unit: written[f"delay_{unit}"] for unit in _UNITS if written.get(f"delay_{unit}") is not None
        }
        if written.get("until") is not None:
            given = {"until": written["until"]}
    if not isinstance(given, dict):
        raise Invalid("settings", "must be an object")
    until = given.get("until")
    if until is not None:
        try:
            read_instant(until)
        except (TypeError, ValueError):
            raise Invalid("until", "must be an instant like 2026-05-04T09:00:00Z") from None
        return {"until": until}
    length = {unit: given[unit] for unit in _UNITS if unit in given}
    if not length:
        raise Invalid("delay_days", "a wait needs a delay (delay_days, delay_hours …) or `until`")
    for unit, value in length.items():
        if not _is_number(value) or value < 0:
            raise Invalid(f"delay_{unit}", "must be a number, 0 or more")
    if sum(value * _IN_SECONDS[unit] for unit, value in length.items()) > _LONGEST_WAIT:
        raise Invalid(f"delay_{next(iter(length))}", "a wait lasts ten years at most")
    return length


def request_of(written: Mapping[str, Any]) -> Any:
    """The request that an action has of its own, as it was written; empty: it makes a channel's."""
    given = written.get("settings")
    return (
        {name: written[name] for name in _REQUEST if written.get(name) is not None}
        if given is None
        else given
    )


def _check_request(session: Session, given: Any) -> None:
    if not isinstance(given, dict):
        raise Invalid("settings", "must be an object")
    try:
        check_request(session, given)
    except Invalid as error:
        raise Invalid(error.field.removeprefix("settings."), error.message) from None


def _channel(
    session: Session, org_id: UUID, written: Mapping[str, Any], campaign: Campaign | None
) -> UUID | None:
    """The channel that is named, else one of the wanted type; None: the organization's default."""
    named = written.get("channel_id")
    if named is not None:
        return _known(session, org_id, Channel, "channel_id", named)
    wanted = written.get("channel_type")
    if wanted is None and campaign is not None:
        wanted = campaign.extras.get(AS_WRITTEN, {}).get("channel_type")
    if wanted is not None:
        return channel_of_type(session, org_id, wanted)
    if default_channel(session, org_id) is None:
        raise Invalid("channel_id", "the organization has no channel yet")
    return None


def _known(session: Session, org_id: UUID, table: type[Template | Channel], name: str, given: object) -> UUID:
    """The row that is named, locked as a foreign key would."""
    row_id = as_id(given)
    if row_id is not None and listing.kept(session, table, org_id, row_id):
        return row_id
    raise Invalid(name, f"{table.__tablename__} {str(given)[:64]!r} does not exist")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
