"""A campaign as it is written: audience, steps, schedule and limits in one form, which is kept while one types.

The form posts itself to its own address. What `do` says is done: nothing (it is kept, and the panel beside it is drawn
anew), a button of a list (`engine.api.console.draft_document.changed`), or `finish`: then its plan comes next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from engine.api.console.draft_document import Document, Group, Row, changed, document_of
from engine.api.console.draft_reading import (
    Trouble,
    draft_input,
    filters_of,
    plan_change,
    template_input,
    trouble_of,
)
from engine.api.console.errors import is_part
from engine.api.console.frames import mail_page, picture_hosts
from engine.api.console.paths import ROOT, read_id
from engine.api.console.view import LongFormRoute, View, Viewing
from engine.api.secrets import secrets_of
from engine.audience.attribute_values import attribute_values
from engine.audience.entities import find_entity
from engine.audience.preview import TargetPreview, preview_audience
from engine.audience.schemas import schemas_of
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.channels import list_channels
from engine.campaigns.drafts import draft_of, finish_draft, keep_draft
from engine.campaigns.previews import (
    Preview,
    PreviewInput,
    Test,
    TestInput,
    link_to_nowhere,
    prepare_test,
    preview,
    send_test,
)
from engine.campaigns.templates import get_template, list_templates, unkept_template
from engine.channels.port import ChannelContext, Delivered
from engine.engagement.topics import MOST, list_topics
from engine.filters.targets import list_targets
from engine.kernel.inputs import Invalid, read
from state.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from engine.api.console.draft_document import Step
    from engine.api.rates import Rates
    from state.tables import Campaign, Template

__all__ = ["router"]

router = APIRouter(route_class=LongFormRoute, include_in_schema=False)

_PATH = f"{ROOT}/campaigns/{{campaign_id}}/write"
#: Targets, templates and channels that may be chosen, the newest.
_MOST = 200


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the panel beside the form shows."""

    audience: TargetPreview | None
    message: Preview | None
    troubles: list[Trouble]
    frame: str
    """Query of the frame that shows the message."""
    look: str


@router.get(_PATH)
def show(view: Viewing, campaign_id: UUID) -> Response:
    """The form as it stands."""
    with view.call.read() as session:
        campaign = get_campaign(session, view.call.org_id, campaign_id)
        return _page(view, session, campaign, _kept(campaign))


@router.post(_PATH, name="console.write_campaign")
def write(view: Viewing, campaign_id: UUID) -> Response:
    """Keep it, and do what a button says."""
    document, wanted = document_of(view.form), view.field("do")
    if wanted == "finish":
        return _finished(view, campaign_id, document)
    if wanted:
        document = changed(document, wanted)
    with view.call.transaction() as session:
        campaign = keep_draft(session, view.call.org_id, campaign_id, document.model_dump())
        if wanted or not is_part(view.request):
            return _page(view, session, campaign, document)
        seen = _seen(view, session, campaign, document)
        return HTMLResponse(view.part("_draft_seen.html", seen=seen, campaign=campaign, document=document))


@router.post(f"{_PATH}/people", name="console.choose_people")
def choose(view: Viewing, campaign_id: UUID) -> Response:
    """Let people who have a value of an attribute be its audience: those of a file that was just taken in."""
    with view.call.transaction() as session:
        document = _kept(get_campaign(session, view.call.org_id, campaign_id))
        row = Row(name=view.field("name"), value=view.field("value"))
        document.schema_name = view.field("schema") or document.schema_name
        document.audience, document.groups = "conditions", [Group(rows=[row])]
        keep_draft(session, view.call.org_id, campaign_id, document.model_dump())
    return view.go(f"{ROOT}/campaigns/{campaign_id}/write", view.gettext("They are the audience now."))


@router.get(f"{_PATH}/preview.html")
def framed(view: Viewing, campaign_id: UUID, shown: str = "", person: str = "", look: str = "") -> Response:
    """A message as somebody would see it, for a frame of the page."""
    with view.call.read() as session:
        document = _kept(get_campaign(session, view.call.org_id, campaign_id))
        found = _preview(view, session, _template(view, session, document, shown), person)
    if found.content.html is None:
        raise NotFound("preview", campaign_id)
    return mail_page(found.content.html, pictures=picture_hosts(view.request), dark=look == "dark")


@router.post(f"{_PATH}/test", name="console.test_message")
async def test(view: Viewing, campaign_id: UUID) -> Response:
    """Really send the message that is shown to an address of one's own."""
    rates: Rates = view.request.app.state.rates
    await rates.count_test(view.call.org_id)
    try:
        outcome = await send_test(await run_sync(_prepared, view, campaign_id))
    except (Invalid, NotFound) as error:
        return HTMLResponse(await run_sync(_test_said, view, str(error)))
    refused = (
        "" if isinstance(outcome, Delivered) else str(getattr(outcome, "text", "") or type(outcome).__name__)
    )
    return HTMLResponse(await run_sync(_test_said, view, refused))


def _test_said(view: View, refused: str) -> str:
    return view.part("_draft_test.html", refused=refused)


def _kept(campaign: Campaign) -> Document:
    """Raises NotFound: it was not written here, or has been sent."""
    found = draft_of(campaign)
    if found is None:
        raise NotFound("draft of campaign", campaign.id)
    return Document.model_validate(found)


def _finished(view: View, campaign_id: UUID, document: Document) -> Response:
    """Make the campaign what the form says, or show what cannot be used."""
    with view.call.transaction() as session:
        keep_draft(session, view.call.org_id, campaign_id, document.model_dump())
    try:
        plan, given = plan_change(document), draft_input(document)
        with view.call.transaction() as session:
            finish_draft(session, view.call.org_id, campaign_id, plan, given)
    except Invalid as error:
        with view.call.read() as session:
            campaign = get_campaign(session, view.call.org_id, campaign_id)
            return _page(view, session, campaign, document, trouble_of(document, error))
    return view.go(
        f"{ROOT}/campaigns/{campaign_id}/plan", view.gettext("The draft is kept. Nothing is sent yet.")
    )


def _page(
    view: View, session: Session, campaign: Campaign, document: Document, trouble: Trouble | None = None
) -> Response:
    org_id = view.call.org_id
    seen = _seen(view, session, campaign, document)
    if trouble is not None and trouble not in seen.troubles:
        seen.troubles.insert(0, trouble)
    messages = [(step, index) for index, step in enumerate(document.steps) if step.type == "message"]
    return view.page(
        "draft.html",
        status=200 if trouble is None else 400,
        campaign=campaign,
        document=document,
        seen=seen,
        messages=messages,
        attributes=attribute_values(session, org_id, document.schema_name),
        schemas=schemas_of(session, org_id) or ["contact"],
        targets=list_targets(session, org_id, limit=_MOST).results,
        templates=list_templates(session, org_id, limit=_MOST).results,
        channels=list_channels(session, org_id, limit=_MOST).results,
        topics=list_topics(session, org_id, limit=MOST).results,
        shown=view.field("shown"),
        person=view.field("person"),
        zone=document.zone or view.signed_in.time_zone or view.look.zone or "UTC",
        public_url=str(view.call.runtime.settings.public_url).rstrip("/"),
    )


def _seen(view: View, session: Session, campaign: Campaign, document: Document) -> _Seen:
    troubles = list(_troubles(document))
    audience, message = None, None
    try:
        audience = _audience(view, session, document)
    except Invalid as error:
        troubles.append(trouble_of(document, error))
    shown, look = view.field("shown"), view.field("look") or "light"
    person = view.field("person")
    if not person and audience is not None and audience.samples:
        person = str(audience.samples[0].id)
    try:
        message = _preview(view, session, _template(view, session, document, shown), person)
    except (Invalid, NotFound) as error:
        if not any(one.place.startswith("steps") for one in troubles):
            troubles.append(Trouble("preview", getattr(error, "message", str(error))))
    version = campaign.updated_at.timestamp()
    frame = urlencode({"shown": shown, "person": person, "look": look, "v": version})
    return _Seen(audience, message, troubles, frame, look)


def _audience(view: View, session: Session, document: Document) -> TargetPreview | None:
    org_id = view.call.org_id
    if document.audience == "targets":
        ids = draft_input(document.model_copy(update={"steps": []})).target_ids
        return preview_audience(session, org_id, view.now, target_ids=ids) if ids else None
    filters = filters_of(document)
    if not filters["filter"]["items"]:
        return None
    return preview_audience(session, org_id, view.now, schema=document.schema_name, filters=filters)


def _troubles(document: Document) -> Iterator[Trouble]:
    """What cannot be used as it stands, of messages, schedule and limits."""
    for index, step in enumerate(document.steps):
        if step.type != "message" or step.template:
            continue
        for variant in (None, *range(len(step.variants))):
            try:
                unkept_template(UUID(int=0), template_input(step, variant))
            except Invalid as error:
                moved = Invalid(f"touchpoints[{_position(document, index)}].{error.field}", error.message)
                yield trouble_of(document, moved)
    try:
        plan_change(document)
    except Invalid as error:
        yield trouble_of(document, error)


def _position(document: Document, index: int) -> int:
    """Which touchpoint a step becomes."""
    return sum(step.type != "condition" for step in document.steps[:index])


def _template(view: View, session: Session, document: Document, shown: str) -> Template:
    """The message that is to be shown: of a step, or of one of its variants; else the first.

    Raises:
        Invalid: there is none, or it cannot be rendered.
    """
    step, variant = _chosen(document, shown)
    if step.template:
        return get_template(session, view.call.org_id, read_id("template", step.template))
    return unkept_template(view.call.org_id, template_input(step, variant))


def _chosen(document: Document, shown: str) -> tuple[Step, int | None]:
    messages = [step for step in document.steps if step.type == "message"]
    for step in messages:
        if step.key == shown:
            return step, None
        for number, variant in enumerate(step.variants):
            if variant.key == shown:
                return step, number
    if not messages:
        raise Invalid("steps", "there is no message")
    return messages[0], None


def _preview(view: View, session: Session, template: Template, person: str) -> Preview:
    entity_id = find_entity(session, view.call.org_id, person).id if person else None
    url = link_to_nowhere(view.call.runtime.settings.public_url)
    return preview(session, template, PreviewInput(entity_id=entity_id), unsubscribe_url=url)


def _prepared(view: View, campaign_id: UUID) -> Test:
    runtime, person = view.call.runtime, view.field("person")
    document = document_of(view.form)
    with view.call.transaction() as session:
        keep_draft(session, view.call.org_id, campaign_id, document.model_dump())
    with view.call.read() as session:
        audience = None if person else _audience(view, session, document)
        if audience is not None and audience.samples:
            person = str(audience.samples[0].id)
        entity_id = find_entity(session, view.call.org_id, person).id if person else None
        step, _ = _chosen(document, view.field("shown"))
        given = {"address": view.field("address"), "entity_id": entity_id, "channel_id": step.channel or None}
        return prepare_test(
            session,
            _template(view, session, document, view.field("shown")),
            read(TestInput, given),
            unsubscribe_url=link_to_nowhere(runtime.settings.public_url),
            secrets=secrets_of(view.request),
            channel_context=ChannelContext.of(runtime.settings, runtime.database),
        )
