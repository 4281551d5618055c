"""What comes back from outside: events of other systems, and e-mail (docs/contract/own-routes.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request
from pydantic import Field
from starlette.responses import Response

from engine.answers.classify import classifier_of
from engine.api.call import Caller
from engine.api.targeting import schemas
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON
from engine.api.targeting.routes import MailRoute
from engine.content.links import Links
from engine.inbound.cloudevents import binary_attributes
from engine.inbound.ingest import Answer, take_events
from engine.inbound.returned_mail import Inbound, take_inbound
from engine.kernel.secrets import Secrets

__all__ = ["ROUTERS"]

_shape: dict[str, Any] = {"tags": ["Feedback"], "responses": COMMON}
_events = APIRouter(route_class=TargetingRoute, **_shape)
_mail = APIRouter(route_class=MailRoute, **_shape)

ROUTERS = (_events, _mail)

_MESSAGE = {
    "requestBody": {
        "required": True,
        "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class EventAnswer(schemas.Answer):
    """What became of one event."""

    index: int
    status: Literal["accepted", "duplicate", "ignored", "rejected"]
    id: str | None = None
    message: str | None = Field(default=None, description="Why it was ignored or rejected.")
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None


class EventAnswers(schemas.Answer):
    """What became of a batch."""

    accepted: int
    duplicate: int
    ignored: int
    rejected: int
    results: list[EventAnswer]


class InboundReport(schemas.Answer):
    """What became of one report."""

    kind: Literal["bounce", "complaint", "reply", "auto_reply", "other"]
    matched: bool = Field(description="Whether it is about a recipient.")
    taken: bool = Field(description="Whether it was new, and something was written.")
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None
    address: str | None = None
    status: str | None = Field(default=None, description="The enhanced status code (RFC 3463).")
    bounce_type: Literal["permanent", "transient"] | None = None
    suppressed: str | None = Field(default=None, description="Why the address must not be used from now on.")

    @classmethod
    def of(cls, found: Inbound, **more: Any) -> Self:
        """As it is answered."""
        return cls(**{name: getattr(found, name) for name in InboundReport.model_fields}, **more)


class InboundAnswer(InboundReport):
    """What became of a message that came in."""

    further: list[InboundReport] | None = Field(
        default=None, description="Of further reports in it, about other messages."
    )


@_events.post("/v1/events", operation_id="reportEvents", response_model=EventAnswers)
def report_events(
    given: Annotated[
        Any,
        Body(
            description="An event or a CloudEvent, or a list of at most 1,000 (docs/tracking.md, docs/intake.md)."
        ),
    ],
    call: Caller,
    request: Request,
) -> Response:
    """Report what happened outside: entities that changed, messages that were delivered, read, clicked or came
    back, and conversions. Each event is taken once by its `id`; what is wrong with one stops no other.
    """
    attributes = binary_attributes(request.headers)
    if attributes is not None:
        given = {**attributes, "data": given}
    classifier = classifier_of(call.runtime.settings.answer_rules)
    with call.transaction() as session:
        answers = take_events(session, call.org_id, given if isinstance(given, list) else [given], classifier)
        counts = {
            status: sum(answer.status == status for answer in answers)
            for status in ("accepted", "duplicate", "ignored", "rejected")
        }
        if not isinstance(given, list) and answers[0].status == "rejected":
            return call.answer(session, {"message": answers[0].message}, 400)
        results = [_answer(answer) for answer in answers]
        return call.answer(session, EventAnswers(**counts, results=results).sent())


def _answer(answer: Answer) -> EventAnswer:
    return EventAnswer(**{name: getattr(answer, name) for name in EventAnswer.model_fields})


@_mail.post(
    "/v1/inbound/email", operation_id="receiveEmail", response_model=InboundAnswer, openapi_extra=_MESSAGE
)
async def receive_email(
    call: Caller,
    request: Request,
    recipient: Annotated[str | None, Query(description="The envelope's recipient, if it is known.")] = None,
) -> Response:
    """Hand in a message that came back, as it came (`message/rfc822`): a delivery report, a complaint, a reply.

    One that is about no message of ours changes nothing.
    """
    raw = await request.body()
    return await call.in_thread(_received, call, raw, recipient)


def _received(call: Caller, raw: bytes, recipient: str | None) -> Response:
    settings = call.runtime.settings
    links = Links(str(settings.public_url), Secrets.of(settings).signing_keys)
    classifier = classifier_of(settings.answer_rules)
    with call.transaction() as session:
        found = take_inbound(session, call.org_id, raw, links, classifier, recipient=recipient)
        further = [InboundReport.of(one) for one in found.further] or None
        return call.answer(session, InboundAnswer.of(found, further=further).sent())
