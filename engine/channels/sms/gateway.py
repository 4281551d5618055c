"""Any SMS gateway with an HTTP API: the request is the operator's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.channels.http.channel import names_of
from engine.channels.http.request import RequestTemplate

if TYPE_CHECKING:
    from engine.answers.classify import Classifier
    from engine.channels.http.answers import Answer
    from engine.channels.http.request import Request
    from engine.channels.port import Outcome
    from engine.channels.sms.settings import SmsCredentials, SmsSettings
    from engine.content.message import Message

__all__ = ["Gateway"]


class Gateway:
    """Sends one SMS by one request."""

    def __init__(
        self, settings: SmsSettings, credentials: SmsCredentials, classifier: Classifier | None = None
    ) -> None:
        """Raises ValueError: a template does not parse, or credentials would travel unencrypted."""
        assert settings.request is not None  # noqa: S101 - the settings' own rule
        try:
            self._template = RequestTemplate(
                settings.request,
                credentials,
                insecure_login=settings.insecure_login,
                classifier=classifier,
            )
        except ValueError as error:
            prefix = "" if str(error).startswith("credentials.") else "request."
            raise ValueError(f"{prefix}{error}") from None
        self._check_url = settings.check_url
        self.scrub = self._template.scrub

    def request(self, message: Message) -> Request:
        """Raises Unrenderable."""
        return self._template.render(message.attributes, names_of(message), key=str(message.execution_id))

    def read(self, answer: Answer) -> Outcome:
        """See `RequestTemplate.read`."""
        return self._template.read(answer)

    def probe(self) -> Request:
        """See `RequestTemplate.probe`."""
        return self._template.probe(self._check_url)

    def read_probe(self, answer: Answer) -> Outcome:
        """See `RequestTemplate.read_probe`."""
        return self._template.read_probe(answer, self._check_url)
