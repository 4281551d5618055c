"""A campaign as it is written down in a file or on the command line, and making it: all or nothing.

What exists is named (a target, a template, a channel); what is described is made along with the campaign.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from actors.cli.failure import Exit, Failure
from actors.cli.named_rows import find_named
from engine.campaigns.campaigns import CampaignInput, create_campaign
from engine.campaigns.flows import FlowInput, TouchpointInput, create_flow
from engine.campaigns.templates import TemplateInput, create_template
from engine.filters import where
from engine.filters.targets import TargetInput, create_target
from engine.kernel.inputs import Input, LongText, Name, read
from state.tables import Channel, Flow, Target, Template, Topic

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["Draft", "make", "read_file", "read_filter"]


class Audience(Input):
    """Who: conditions in words, or a filter tree."""

    entity_schema: str = Field("contact", alias="schema")
    where: list[str] = Field(default_factory=list)
    combination: Literal["AND", "OR"] = "AND"
    filter: dict[str, Any] | None = None
    """A tree `{"items": […], "combination": …}`, for what `where` cannot say."""


class Message(Input):
    """What: the parts of a template, in place or in files beside the campaign's own."""

    subject: str = ""
    html: str | None = None
    html_file: Path | None = None
    text: str | None = None
    text_file: Path | None = None
    sender: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, Any] = Field(default_factory=dict)


class Step(Input):
    """One touchpoint of several: a message, a wait or an action."""

    name: str = ""
    template: Message | str | None = None
    channel: str | None = None
    """By name or id; absent: the campaign's."""
    wait: dict[str, Any] | None = None
    """`{days: 2}`, or `{until: 2026-05-04T09:00:00Z}`."""
    action: dict[str, Any] | None = None
    """The request: `url`, `method`, `headers`, `body`."""
    where: list[str] = Field(default_factory=list)
    """Whom these conditions do not let through skips it."""
    combination: Literal["AND", "OR"] = "AND"


class Draft(Input):
    """A campaign."""

    name: Name
    description: LongText | None = None
    goal: LongText | None = None
    audience: Audience | str | None = None
    """A new target, or the name or id of one there is."""
    template: Message | str | None = None
    """A new template, or the name or id of one there is."""
    steps: list[Step] = Field(default_factory=list)
    """Several touchpoints in order, instead of a template."""
    flow: str | None = None
    """A flow there is, by name or id, instead of a template and a channel."""
    channel: str | None = None
    """By name or id; absent: the organization's default channel."""
    start_date: date | None = None
    end_date: date | None = None
    ends: Literal["when_delivered", "when_told"] = "when_delivered"
    one_per_address: bool = True
    """Of recipients who share an address, the first alone is written to."""
    topic: str | None = None
    """What it is about, by name or id: who opted out of that is not written to."""


def read_file(path: Path) -> dict[str, Any]:
    """What a YAML or JSON file says; paths in it are taken from its folder.

    Raises:
        Failure: it cannot be read, or is no object.
    """
    import yaml

    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML as well
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Failure(f"{path} cannot be read: {error}", code=Exit.USAGE) from None
    if not isinstance(said, dict):
        raise Failure(f"{path} describes no campaign", "begin with `name: …`", code=Exit.USAGE)
    steps = said.get("steps")
    for holder in (
        said,
        *(step for step in (steps if isinstance(steps, list) else ()) if isinstance(step, dict)),
    ):
        template = holder.get("template")
        if not isinstance(template, dict):
            continue
        for key in ("html_file", "text_file"):
            if isinstance(template.get(key), str):
                template[key] = str(path.parent / template[key])
    return said


def make(session: Session, org_id: UUID, given: dict[str, Any]) -> Campaign:
    """Make the campaign that `given` (see `Draft`) describes, with the rows it needs; it begins as a draft.

    Raises:
        Invalid, FilterError, Failure: something in it cannot be used; names the field. Nothing was made.
    """
    draft = read(Draft, given)
    return create_campaign(
        session,
        org_id,
        CampaignInput(
            name=draft.name,
            description=draft.description,
            goal=draft.goal,
            target_ids=_targets(session, org_id, draft),
            flow_id=_flow(session, org_id, draft),
            start_date=draft.start_date,
            end_date=draft.end_date,
            ends=draft.ends,
            one_per_address=draft.one_per_address,
            topic_id=None if draft.topic is None else find_named(session, Topic, org_id, draft.topic).id,
        ),
    )


def _targets(session: Session, org_id: UUID, draft: Draft) -> list[UUID]:
    audience = draft.audience
    if audience is None:
        return []
    if isinstance(audience, str):
        return [find_named(session, Target, org_id, audience).id]
    if audience.filter is not None:
        if audience.where:
            raise Failure("an audience takes `where` or `filter`, not both", code=Exit.USAGE)
        filters = {"filter": audience.filter}
    else:
        filters = where.tree_of(audience.where, combination=audience.combination)
    given = {"name": draft.name, "entity_schema": audience.entity_schema, "entity_filters": filters}
    return [create_target(session, org_id, read(TargetInput, given)).id]


def _flow(session: Session, org_id: UUID, draft: Draft) -> UUID | None:
    if draft.flow is not None:
        if draft.template is not None or draft.channel is not None or draft.steps:
            raise Failure("a flow has its own templates and channels; name it alone", code=Exit.USAGE)
        return find_named(session, Flow, org_id, draft.flow).id
    if draft.steps:
        if draft.template is not None:
            raise Failure("a campaign has `steps` or a `template`, not both", code=Exit.USAGE)
        touchpoints = [_touchpoint(session, org_id, draft, index) for index in range(len(draft.steps))]
        given = {"name": draft.name, "touchpoints": touchpoints}
        return create_flow(session, org_id, read(FlowInput, given)).id
    if draft.template is None:
        if draft.channel is not None:
            raise Failure("a channel needs something to send: name or describe a template", code=Exit.USAGE)
        return None
    template_id = _template_id(session, org_id, draft.name, draft.template)
    channel = None if draft.channel is None else find_named(session, Channel, org_id, draft.channel).id
    touchpoint = TouchpointInput(template_id=template_id, channel_id=channel)
    return create_flow(session, org_id, FlowInput(name=draft.name, touchpoints=[touchpoint])).id


def _touchpoint(session: Session, org_id: UUID, draft: Draft, index: int) -> dict[str, Any]:
    """A step as the flow takes it."""
    step = draft.steps[index]
    said = [name for name in ("template", "wait", "action") if getattr(step, name) is not None]
    if len(said) != 1:
        raise Failure(f"steps[{index}] is one of `template`, `wait` or `action`", code=Exit.USAGE)
    given: dict[str, Any] = {"name": step.name}
    if step.where:
        given["condition"] = where.tree_of(
            step.where, combination=step.combination, field=f"steps[{index}].where"
        )
    if step.template is None:
        settings = step.wait if step.action is None else step.action
        # YAML reads an instant as one.
        plain = {
            key: value.isoformat() if isinstance(value, date) else value
            for key, value in (settings or {}).items()
        }
        return given | {"type": said[0], "settings": plain}
    channel = step.channel or draft.channel
    if channel is not None:
        given["channel_id"] = find_named(session, Channel, org_id, channel).id
    name = step.name or f"{draft.name} {index + 1}"
    return given | {"template_id": _template_id(session, org_id, name, step.template)}


def _template_id(session: Session, org_id: UUID, name: str, template: Message | str) -> UUID:
    if isinstance(template, str):
        return find_named(session, Template, org_id, template).id
    return create_template(session, org_id, _template(name, template)).id


def _template(name: str, message: Message) -> TemplateInput:
    given = {
        "name": name,
        "subject": message.subject,
        "html": _part("html", message.html, message.html_file),
        "text": _part("text", message.text, message.text_file),
        "sender": message.sender,
        "defaults": message.defaults,
    }
    return read(TemplateInput, given)


def _part(part: str, inline: str | None, path: Path | None) -> str | None:
    if path is None:
        return inline
    if inline is not None:
        raise Failure(f"a template takes `{part}` or `{part}_file`, not both", code=Exit.USAGE)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", code=Exit.USAGE) from None
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8: {error.reason} at byte {error.start}", code=Exit.USAGE) from None


def read_filter(text: str) -> dict[str, Any]:
    """A filter tree from JSON, or from the file behind an `@`; with or without `{"filter": …}` around it.

    Raises:
        Failure: it is no JSON object.
    """
    try:
        tree = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise Failure(f"the filter cannot be read: {error}", code=Exit.USAGE) from None
    if not isinstance(tree, dict):
        raise Failure("the filter is no JSON object", code=Exit.USAGE)
    inner = tree.get("filter", tree)
    if not isinstance(inner, dict):
        raise Failure("the filter is no JSON object", code=Exit.USAGE)
    return inner
