"""What a voice provider's webhook says about a call, read and matched to a recipient (engine.goals.calls takes it).

| `type` | what is read of it |
|---|---|
| `post_call_transcription` | who said what, how it ended, the provider's own judgement |
| `call_initiation_failure` | why nobody was spoken to: busy, no answer, something else |
| any other | nothing |

Whom a call went to is said by the variables that we gave it (`muster_campaign_id`, `muster_recipient_id`), else by the
id of the conversation that was noted when it was placed. Only what is needed is read, and every text is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.goals.calls import Attempt, recipient_of, take_attempt
from engine.goals.transcript import format_conversation
from engine.kernel.inputs import Invalid, explain
from engine.kernel.secrets import SecretsError, channel_place
from engine.tracking.signatures import Unsigned, is_signed
from state.change import clock_of
from state.tables import Channel

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.engagement.messages import Pair
    from engine.kernel.secrets import Secrets

__all__ = ["CallTaken", "take_call"]

_FUTURE = timedelta(minutes=5)
#: Turns of one conversation that are read.
_MOST_TURNS = 5000


@dataclass(frozen=True, slots=True)
class CallTaken:
    """What became of a report."""

    status: Literal["taken", "known", "nobody", "ignored"]
    conversation_id: str | None = None
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None


def _texts(longest: int) -> BeforeValidator:
    """A text of one line, cut; anything else is none: what a provider adds must not lose a call."""

    def cut(value: Any) -> Any:
        if not isinstance(value, str):
            return None
        text = " ".join(value.replace("\0", " ").encode(errors="replace").decode().split())
        return text[:longest] or None

    return BeforeValidator(cut)


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


Line = Annotated[str | None, _texts(300)]
Words = Annotated[str | None, _texts(2000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Metadata(_Part):
    start_time_unix_secs: float | None = Field(default=None, ge=0, le=1e11)
    call_duration_secs: float | None = Field(default=None, ge=0, le=1e6)


class _Judgement(_Part):
    call_successful: Line = None
    call_summary_title: Line = None
    transcript_summary: Words = None


class _Initiation(_Part):
    dynamic_variables: Annotated[dict[str, Any], BeforeValidator(_object)] = {}


class _Data(_Part):
    conversation_id: str = Field(pattern=r"^[\x21-\x7e]{1,200}$")
    status: Line = None
    transcript: list[Any] = Field(default=[], max_length=_MOST_TURNS)
    metadata: Annotated[_Metadata, BeforeValidator(_object)] = _Metadata()
    analysis: Annotated[_Judgement, BeforeValidator(_object)] = _Judgement()
    conversation_initiation_client_data: Annotated[_Initiation, BeforeValidator(_object)] = _Initiation()
    failure_reason: Line = None


class _Report(_Part):
    type: str = Field(max_length=64)
    event_timestamp: float | None = Field(default=None, ge=0, le=1e11)
    data: Annotated[dict[str, Any], BeforeValidator(_object)] = {}


def take_call(session: Session, channel_id: UUID, body: bytes, signature: str, secrets: Secrets) -> CallTaken:
    """Take a report about a call of a channel's, whose organization it is for.

    Args:
        body: As it came: its bytes are what is signed.
        signature: The header's value.

    Raises:
        Unsigned: there is no such channel, it has no secret for webhooks, or the signature is none of that secret.
        Invalid: it is signed, and no report.
    """
    now = clock_of(session).now()
    channel = session.get(Channel, channel_id)
    if channel is None or channel.kind != "voice" or not _proven(channel, body, signature, secrets, now):
        raise Unsigned("the signature is not this channel's")
    report = _read(_Report, _json(body))
    if report.type not in ("post_call_transcription", "call_initiation_failure"):
        return CallTaken("ignored")
    data = _read(_Data, report.data)
    pair = _pair(data) or recipient_of(session, channel.org_id, data.conversation_id)
    if pair is None:
        return CallTaken("nobody", data.conversation_id)
    status = take_attempt(session, channel.org_id, pair, _attempt(report, data, now))
    if status == "nobody":
        return CallTaken("nobody", data.conversation_id)
    return CallTaken(status, data.conversation_id, *pair)


def _proven(channel: Channel, body: bytes, signature: str, secrets: Secrets, now: datetime) -> bool:
    try:
        sealed = channel.credentials
        credentials = {} if sealed is None else secrets.open(sealed, channel_place(channel.id))
    except SecretsError:
        return False
    secret = credentials.get("webhook_secret")
    return isinstance(secret, str) and bool(secret) and is_signed(signature, body, secret, now)


def _attempt(report: _Report, data: _Data, now: datetime) -> Attempt:
    begun = data.metadata.start_time_unix_secs or report.event_timestamp
    at = datetime.fromtimestamp(begun, UTC) if begun else now
    variables = data.conversation_initiation_client_data.dynamic_variables
    touchpoint_id = _uuid(variables.get("muster_touchpoint_id"))
    if report.type == "call_initiation_failure":
        reason = data.failure_reason or "unknown"
        words: dict[str, Literal["busy", "no_answer"]] = {"busy": "busy", "no-answer": "no_answer"}
        return Attempt(
            data.conversation_id,
            words.get(reason, "failed"),
            min(at, now + _FUTURE),
            reason=reason,
            touchpoint_id=touchpoint_id,
        )
    turns = [turn for turn in data.transcript if isinstance(turn, dict)]
    seconds = data.metadata.call_duration_secs
    return Attempt(
        data.conversation_id,
        "failed" if data.status == "failed" else "completed",
        min(at, now + _FUTURE),
        seconds=None if seconds is None else round(seconds),
        conversation=format_conversation((str(turn.get("role")), turn.get("message")) for turn in turns)
        or None,
        successful=data.analysis.call_successful,
        title=data.analysis.call_summary_title,
        summary=data.analysis.transcript_summary,
        touchpoint_id=touchpoint_id,
    )


def _pair(data: _Data) -> Pair | None:
    variables = data.conversation_initiation_client_data.dynamic_variables
    campaign_id = _uuid(variables.get("muster_campaign_id"))
    entity_id = _uuid(variables.get("muster_recipient_id"))
    return (campaign_id, entity_id) if campaign_id is not None and entity_id is not None else None


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _json(body: bytes) -> Any:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid("body", f"is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise Invalid("body", "must be an object")
    return given


def _read(model: Any, given: Any) -> Any:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise explain(error.errors(include_url=False, include_input=False), model) from None
