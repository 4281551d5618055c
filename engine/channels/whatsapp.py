"""The `whatsapp` channel: text and template messages over Meta's Cloud API.

Outside the 24 hours after somebody's last message only an approved template may be sent. Which one, and with which
values, is said in the message's own data, or for all messages in the channel's settings; a message without either is
sent as text.

The Cloud API has no idempotency key: what is in doubt is held for a person to decide. Every message carries its
execution id (`biz_opaque_callback_data`), which Meta repeats in what it reports about it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from engine.channels.http.answers import outcome_of, pick
from engine.channels.http.channel import names_of
from engine.channels.http.leaves import Scope, Unrenderable, check_sayable, compile_tree
from engine.channels.http.request import Request
from engine.channels.http.settings import BaseUrl, Connection, check_private
from engine.channels.http.wire import WireChannel
from engine.channels.port import Delivered
from engine.channels.scrub import Scrub
from engine.channels.trust import TrustCredentials
from engine.kernel.addresses import PhoneFinder
from engine.kernel.media import AddressMedium
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from engine.channels.http.answers import Answer
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content, Message

__all__ = [
    "TEXT_LIMIT",
    "WhatsAppChannel",
    "WhatsAppCredentials",
    "WhatsAppSettings",
    "WhatsAppTemplate",
]

#: Characters of a text message, and of one value in a template.
TEXT_LIMIT = 4096
VALUE_LIMIT = 1024
_UNFIT = re.compile(r"[\n\r\t]| {5,}")
_TEMPLATE_NAME = r"^[a-z0-9_]{1,512}$"
_LANGUAGE = r"^[a-z]{2,3}(_[A-Z]{2,4})?$"


def _value(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; WhatsApp takes no empty value")
    if len(text) > VALUE_LIMIT:
        raise ValueError(f"has {len(text)} characters; WhatsApp takes {VALUE_LIMIT}")
    if _UNFIT.search(text):
        raise ValueError("holds a line break, a tab or more than four spaces; WhatsApp takes none of them")
    return text


Value = Annotated[str, AfterValidator(_value)]


class Media(BaseModel):
    """An image, video or document at the head of a template."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    type: Literal["image", "video", "document"]
    link: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=2048)]
    filename: Annotated[str, Field(max_length=240)] | None = None


class Button(BaseModel):
    """The value of one of a template's buttons."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    type: Literal["url", "quick_reply", "copy_code"]
    index: int = Field(ge=0, le=9)
    value: Value


class WhatsAppTemplate(BaseModel):
    """Which approved template is sent, and its values. Strings are Liquid where a person writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=_TEMPLATE_NAME)]
    language: Annotated[str, Field(pattern=_LANGUAGE)]
    """As it was approved: `de`, `en_US`."""
    header: Value | Media | None = None
    """The value of a text header, or the medium of another."""
    body: list[Value] | dict[str, Value] = Field(default_factory=list)
    """By position, or by name for templates with named parameters."""
    buttons: list[Button] = Field(default_factory=list, max_length=10)

    def sent(self) -> dict[str, Any]:
        """As the Cloud API takes it."""
        components: list[dict[str, Any]] = []
        if isinstance(self.header, str):
            components.append({"type": "header", "parameters": [{"type": "text", "text": self.header}]})
        elif self.header is not None:
            medium = self.header.model_dump(exclude={"type"}, exclude_none=True)
            parameter = {"type": self.header.type, self.header.type: medium}
            components.append({"type": "header", "parameters": [parameter]})
        if self.body:
            components.append({"type": "body", "parameters": _parameters(self.body)})
        components += [_button(button) for button in self.buttons]
        said: dict[str, Any] = {"name": self.name, "language": {"code": self.language}}
        return {**said, "components": components} if components else said


class WhatsAppSettings(Connection):
    """The `settings` of a channel of kind `whatsapp`."""

    model_config = ConfigDict(
        coerce_numbers_to_str=True
    )  # the id is digits, which command lines read as a number

    phone_number_id: Annotated[str, Field(pattern=r"^\d{1,32}$")]
    """Of the number that sends, as Meta calls it; not the number itself."""
    base_url: BaseUrl = "https://graph.facebook.com"
    api_version: Annotated[str, Field(pattern=r"^v\d{1,3}\.\d{1,2}$")] = "v23.0"
    template: dict[str, Any] | None = None
    """A `WhatsAppTemplate` for every message that brings none; its strings are Liquid over the entity's attributes."""
    preview_url: bool = False
    """Links in text messages are shown with a preview."""
    region: Region | None = None
    """Where numbers without a country code are from."""
    address: str | None = None
    """Where an entity keeps its number; absent: any usual name, `whatsapp` first."""


class WhatsAppCredentials(TrustCredentials):
    """The `credentials` of a channel of kind `whatsapp`."""

    access_token: Annotated[SecretStr, Field(min_length=1, max_length=2000)]


class WhatsAppChannel(WireChannel):
    """Sends as a WhatsApp business number."""

    kind: ClassVar[str] = "whatsapp"
    doubt_policy: ClassVar[str] = "hold"
    links: ClassVar[bool] = True
    medium: ClassVar[AddressMedium] = AddressMedium.PHONE
    in_one_piece: ClassVar[bool] = False
    Settings = WhatsAppSettings
    Credentials = WhatsAppCredentials

    def __init__(
        self,
        settings: WhatsAppSettings,
        credentials: WhatsAppCredentials,
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: the template is none, or the token would travel unencrypted; names the setting.
        """
        check_private(settings.base_url, insecure_login=settings.insecure_login)
        token = credentials.access_token.get_secret_value()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("credentials.access_token: holds a character that no token has")
        channel_context.check_url("base_url", settings.base_url)
        super().__init__(settings, credentials, Scrub([token]), channel_context)
        self._settings = settings
        self._token = credentials.access_token
        self._template = None
        if settings.template is not None:
            self._template = compile_tree(settings.template, "template")
            _check_template(settings.template)
        self._url = f"{settings.base_url}/{settings.api_version}/{settings.phone_number_id}"
        self.address_of = PhoneFinder(settings.address, region=settings.region, names=("whatsapp",))

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        """A template that cannot be sent, no text, or too much of it."""
        given = _own_template(content)
        if given is not None:
            try:
                WhatsAppTemplate.model_validate(given)
            except ValidationError as error:
                return _told(error)
            return []
        if isinstance(settings, WhatsAppSettings) and settings.template is not None:
            return []
        text = content.text or ""
        if not text.strip():
            return ["the message has neither a template nor text"]
        if len(text) > TEXT_LIMIT:
            return [f"the message has {len(text)} characters; WhatsApp takes {TEXT_LIMIT}"]
        return []

    def _request(self, message: Message) -> Request:
        said: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.address,
            "biz_opaque_callback_data": str(message.execution_id),
        }
        given = _own_template(message.content)
        if given is None and self._template is not None:
            given = self._template(Scope(message.attributes, names_of(message)))
        if given is not None:
            try:
                said |= {"type": "template", "template": WhatsAppTemplate.model_validate(given).sent()}
            except ValidationError as error:
                raise Unrenderable("; ".join(_told(error))) from None
        else:
            check_sayable(self.problems_of(message.content))
            preview = self._settings.preview_url
            said |= {"type": "text", "text": {"body": message.content.text, "preview_url": preview}}
        try:
            return Request("POST", f"{self._url}/messages", self._headers(), orjson.dumps(said))
        except TypeError:
            raise Unrenderable("the message holds half of a surrogate pair") from None

    def _probe(self) -> Request:
        return Request("GET", f"{self._url}?fields=verified_name", self._headers())

    def _headers(self) -> dict[str, str]:
        token = self._token.get_secret_value()
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def _read(self, answer: Answer) -> Outcome:
        """By Meta's error codes, which are rules (engine/answers/rules/apis.toml); others by words and status."""
        said = answer.json()
        error = pick(said, "error") if isinstance(said, dict) else None
        code = error.get("code") if isinstance(error, dict) else None
        details = pick(error, "error_data.details") if isinstance(error, dict) else None
        outcome = outcome_of(
            answer,
            classifier=self._classifier,
            scrub=self._scrub,
            prefix="WHATSAPP_HTTP",
            api="whatsapp",
            error=str(code) if isinstance(code, int) else None,
            said=details if isinstance(details, str) else None,
        )
        if isinstance(outcome, Delivered) and (reference := pick(said, "messages.0.id")) is not None:
            return Delivered(str(reference))
        return outcome


def _own_template(content: Content) -> Any:
    data = (content.data or {}).get("whatsapp")
    return data.get("template") if isinstance(data, dict) else None


def _check_template(given: dict[str, Any]) -> None:
    """What can be said about a template before anybody's values are in it: its form, and what is no template."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        return "https://x" if isinstance(value, str) and ("{{" in value or "{%" in value) else value

    name, language = given.get("name"), given.get("language")
    sample = {**filled(given), "name": name, "language": "en" if "{{" in str(language) else language}
    try:
        WhatsAppTemplate.model_validate(sample)
    except ValidationError as error:
        raise ValueError(_told(error)[0]) from None


def _told(error: ValidationError) -> list[str]:
    findings = []
    for finding in error.errors(include_input=False, include_url=False, include_context=False):
        where = ".".join(str(part) for part in ("template", *_fields(finding["loc"])))
        findings.append(f"{where}: {finding['msg'].removeprefix('Value error, ')}")
    return findings


def _fields(loc: tuple[int | str, ...]) -> list[int | str]:
    """Without the names that pydantic gives to the sides of a union."""
    sides = ("list", "dict", "str")
    return [
        part
        for part in loc
        if isinstance(part, int) or (part.isidentifier() and part.islower() and part not in sides)
    ]


def _parameters(values: list[str] | dict[str, str]) -> list[dict[str, str]]:
    if isinstance(values, dict):
        return [{"type": "text", "parameter_name": name, "text": value} for name, value in values.items()]
    return [{"type": "text", "text": value} for value in values]


def _button(button: Button) -> dict[str, Any]:
    field = {"url": "text", "quick_reply": "payload", "copy_code": "coupon_code"}[button.type]
    parameter = {"type": field, field: button.value}
    return {"type": "button", "sub_type": button.type, "index": str(button.index), "parameters": [parameter]}
