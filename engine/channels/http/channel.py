"""The `http` channel: each message is a request to an API of the operator's choice.

The `Idempotency-Key` is the execution id, the same over all attempts, so that the API can recognise a repeat: doubt
is resolved by sending again.

Templates in `url`, `query`, `headers` and `body` see the entity's attributes as message templates do, `{{ message.… }}`
(see `names_of`), and `{{ secrets.… }}` from the credentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator

from engine.channels.http.request import Request, RequestTemplate
from engine.channels.http.settings import Connection, RequestCredentials, RequestSettings, http_url
from engine.channels.http.wire import WireChannel, trouble
from engine.content.message import MESSAGE_FIELDS
from engine.kernel.media import AddressMedium, address_finder
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from pydantic import BaseModel

    from engine.channels.http.answers import Answer
    from engine.channels.port import ChannelContext, Outcome
    from engine.content.message import Content, Message

__all__ = ["DEFAULT_BODY", "HttpChannel", "HttpCredentials", "HttpSettings", "names_of"]

#: What is sent when the settings have no body.
DEFAULT_BODY: dict[str, Any] = {name: f"{{{{ message.{name} | json }}}}" for name in MESSAGE_FIELDS}
_WITH_BODY = ("POST", "PUT", "PATCH")


class HttpSettings(RequestSettings, Connection):
    """The `settings` of a channel of kind `http`."""

    medium: AddressMedium | None = None
    """What it writes to: email, phone, chat or other. Absent: any text, and its form says what it is."""
    address: str | None = None
    """Where an entity keeps its address: an attribute's name or a dotted path; absent: any usual name of the medium,
    else of an e-mail address, else the entity's id."""
    region: Region | None = None
    """Of `medium: phone`: where numbers without a country code are from."""
    check_url: Annotated[str, AfterValidator(http_url)] | None = None
    """What a test GETs, and must get a success from; absent: OPTIONS of `url`'s host, and any answer is good that is
    neither about credentials nor an error of the server."""


class HttpCredentials(RequestCredentials):
    """The `credentials` of a channel of kind `http`."""


class HttpChannel(WireChannel):
    """Sends messages to an HTTP API."""

    kind: ClassVar[str] = "http"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = True
    in_one_piece: ClassVar[bool] = False
    Settings = HttpSettings
    Credentials = HttpCredentials

    def __init__(
        self,
        settings: HttpSettings,
        credentials: HttpCredentials,
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; nothing connects before the first message.

        Raises:
            ValueError: a template does not parse, or credentials would travel unencrypted; names the setting.
        """
        if settings.body is None and settings.method in _WITH_BODY:
            settings = settings.model_copy(update={"body": DEFAULT_BODY})
        self._template = RequestTemplate(
            settings,
            credentials,
            insecure_login=settings.insecure_login,
            classifier=channel_context.classifier,
        )
        channel_context.check_url("url", self._template.origin)
        channel_context.check_url("check_url", settings.check_url)
        super().__init__(settings, credentials, self._template.scrub, channel_context)
        self._check_url = settings.check_url
        self.medium = settings.medium
        self.address_of = address_finder(settings.medium, settings.address, settings.region)

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """What an unknown API takes is not known."""
        return []

    def _request(self, message: Message) -> Request:
        return self._template.render(message.attributes, names_of(message), key=str(message.execution_id))

    def _read(self, answer: Answer) -> Outcome:
        return self._template.read(answer)

    def _probe(self) -> Request:
        return self._template.probe(self._check_url)

    def _well(self, answer: Answer) -> str | None:
        return trouble(self._template.read_probe(answer, self._check_url))


def names_of(message: Message) -> dict[str, Any]:
    """What a request's templates see of a message, under `message`. Parts that it lacks are null."""
    return {"message": message.as_dict()}
