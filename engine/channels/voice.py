"""The `voice` channel: an outbound call by a conversational agent, over a provider's JSON API (ElevenLabs' agents).

The text of a message is what the agent says first; without text it begins as the provider has it configured. The
agent knows the recipient by `variables`: the channel's, and those of the message's own data
(`{"voice": {"variables": {…}}}`), which are stronger.

Delivered means that the provider is placing the call. What becomes of it comes back by the provider's webhook
(engine.goals.call_reports), which is recognised by the variables `muster_…` that every call carries, and by the id of
the conversation, which is noted in the engagement log as soon as the provider gives it. There is no idempotency key:
what is in doubt is held for a person to decide, because nobody wants to be called twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import orjson
import structlog
from pydantic import AfterValidator, BaseModel, Field, SecretStr, TypeAdapter, ValidationError
from sqlalchemy.exc import DBAPIError

from engine.channels.http.answers import outcome_of, pick
from engine.channels.http.channel import names_of
from engine.channels.http.leaves import Scope, Unrenderable, check_sayable, compile_tree
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl, Connection, check_private
from engine.channels.http.wire import WireChannel, trouble
from engine.channels.port import Delivered, Doubtful, Down, Rejected
from engine.channels.scrub import Scrub
from engine.channels.trust import TrustCredentials
from engine.engagement.placed_calls import note_placed
from engine.kernel.addresses import PhoneFinder
from engine.kernel.media import AddressMedium
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from engine.channels.http.answers import Answer
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content, Message

__all__ = ["OPENING_LIMIT", "RESERVED", "VoiceChannel", "VoiceCredentials", "VoiceSettings"]

log = structlog.get_logger(__name__)

#: Characters that an agent says before anybody answers; two minutes of talk.
OPENING_LIMIT = 2000
#: How the names of our own variables begin.
RESERVED = "muster_"
_PROVIDERS = {"twilio": "twilio", "sip": "sip-trunk"}
#: About the account, the agent or the number: no call can be placed until a person mends it.
_ACCOUNT = (401, 403, 404)


def _variable_name(name: str) -> str:
    if name.startswith((RESERVED, "system__")):
        raise ValueError(f"names that begin with {RESERVED} or system__ are not free")
    return name


VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,63}$"), AfterValidator(_variable_name)]
Variable = Annotated[str, Field(max_length=2000)] | int | float | bool
_variables: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[VariableName, Variable | None])


class VoiceSettings(Connection):
    """The `settings` of a channel of kind `voice`."""

    agent_id: Annotated[str, Field(pattern=r"^[\w-]{1,128}$")]
    """Of the conversational agent that talks."""
    phone_number_id: Annotated[str, Field(pattern=r"^[\w-]{1,128}$")]
    """Of the number that calls, as the provider calls it; not the number itself."""
    trunk: Literal["twilio", "sip"] = "twilio"
    """What the number is connected by."""
    base_url: BaseUrl = "https://api.elevenlabs.io"
    variables: dict[VariableName, Variable] = Field(default_factory=dict)
    """What the agent gets to know of a recipient; strings are Liquid over the entity's attributes."""
    region: Region | None = None
    """Where numbers without a country code are from."""
    address: str | None = None
    """Where an entity keeps its number; absent: any usual name, such as `phone` or `Mobile number`."""


class VoiceCredentials(TrustCredentials):
    """The `credentials` of a channel of kind `voice`."""

    api_key: Annotated[SecretStr, Field(min_length=1, max_length=500)]
    webhook_secret: Annotated[SecretStr, Field(min_length=8, max_length=500)] | None = None
    """What the provider signs its webhook with; absent: nothing that comes in is believed."""


class VoiceChannel(WireChannel):
    """Calls people."""

    kind: ClassVar[str] = "voice"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = False
    medium: ClassVar[AddressMedium] = AddressMedium.PHONE
    in_one_piece: ClassVar[bool] = False
    Settings = VoiceSettings
    Credentials = VoiceCredentials

    def __init__(
        self, settings: VoiceSettings, credentials: VoiceCredentials, channel_context: ChannelContext
    ) -> None:
        """Prepare; nothing connects before the first call.

        Raises:
            ValueError: a template does not parse, or the key would travel unencrypted; names the setting.
        """
        check_private(settings.base_url, insecure_login=settings.insecure_login, what="key")
        key = credentials.api_key.get_secret_value()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("credentials.api_key: holds a character that no key has")
        secrets = [key]
        if credentials.webhook_secret is not None:
            secrets.append(credentials.webhook_secret.get_secret_value())
        channel_context.check_url("base_url", settings.base_url)
        super().__init__(settings, credentials, Scrub(secrets), channel_context)
        self._settings = settings
        self._key = credentials.api_key
        self._variables = compile_tree(settings.variables, "variables")
        self._database = channel_context.database
        self._url = f"{settings.base_url}/v1/convai/{_PROVIDERS[settings.trunk]}/outbound-call"
        self.address_of = PhoneFinder(settings.address, region=settings.region)

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """Variables that an agent cannot be given, or a monologue."""
        problems = []
        try:
            _variables.validate_python(_own_variables(content))
        except ValidationError as error:
            finding = error.errors(include_input=False, include_url=False, include_context=False)[0]
            name = ".".join(str(part) for part in finding["loc"][:1])
            problems.append(f"voice.variables{f'.{name}' if name else ''}: {finding['msg']}")
        opening = content.text or ""
        if len(opening) > OPENING_LIMIT:
            problems.append(f"the opening has {len(opening)} characters; a call takes {OPENING_LIMIT}")
        return problems

    def _request(self, message: Message) -> Request:
        check_sayable(self.problems_of(message.content))
        variables = {
            **self._variables(Scope(message.attributes, names_of(message))),
            **_own_variables(message.content),
            f"{RESERVED}execution_id": str(message.execution_id),
            f"{RESERVED}campaign_id": str(message.campaign_id),
            f"{RESERVED}recipient_id": str(message.entity_id),
        }
        if message.touchpoint_id is not None:
            variables[f"{RESERVED}touchpoint_id"] = str(message.touchpoint_id)
        initiation: dict[str, Any] = {"dynamic_variables": variables}
        opening = (message.content.text or "").strip()
        if opening:
            initiation["conversation_config_override"] = {"agent": {"first_message": opening}}
        said = {
            "agent_id": self._settings.agent_id,
            "agent_phone_number_id": self._settings.phone_number_id,
            "to_number": message.address,
            "conversation_initiation_client_data": initiation,
        }
        try:
            return Request("POST", self._url, self._headers(), orjson.dumps(said))
        except TypeError:
            raise Unrenderable("the message holds half of a surrogate pair") from None

    def _probe(self) -> Request:
        url = f"{self._settings.base_url}/v1/convai/phone-numbers/{self._settings.phone_number_id}"
        return Request("GET", url, self._headers())

    def _well(self, answer: Answer) -> str | None:
        found = self._trouble(answer)
        return None if found is None else trouble(found)

    def _headers(self) -> dict[str, str]:
        return {"xi-api-key": self._key.get_secret_value(), "Content-Type": "application/json"}

    def _read(self, answer: Answer) -> Outcome:
        found = self._trouble(answer)
        if found is not None:
            return found
        said = answer.json()
        match pick(said, "success"):
            case True:
                reference = pick(said, "conversation_id")
                return Delivered(str(reference)[:200] if reference else None)
            case False:
                text = self._scrub(str(pick(said, "message") or "the provider placed no call"))
                return Rejected("VOICE_REFUSED", " ".join(text.split())[:300])
        return Doubtful("VOICE_UNCLEAR", "the answer does not say whether the call is placed")

    def _trouble(self, answer: Answer) -> Outcome | None:
        """What an answer's status says is wrong; None: it is a success."""
        usual = outcome_of(answer, classifier=self._classifier, scrub=self._scrub, prefix="VOICE_HTTP")
        if isinstance(usual, Delivered):
            return None
        if answer.status in _ACCOUNT and isinstance(usual, Rejected):
            return Down(usual.code, usual.text)
        return usual

    async def _note(self, message: Message, outcome: Outcome) -> None:
        """Keep which conversation the call became: a call that fails is reported by that alone."""
        if self._database is None or not isinstance(outcome, Delivered) or outcome.reference is None:
            return
        try:
            await asyncio.to_thread(note_placed, self._database, message, outcome.reference)
        except DBAPIError as error:
            log.warning("call.not_noted", reason=str(error.orig), conversation_id=outcome.reference)


def _own_variables(content: Content) -> dict[str, Any]:
    data = (content.data or {}).get("voice")
    given = data.get("variables") if isinstance(data, dict) else None
    return {} if given is None else given
