"""Twilio's Messages resource (API 2010-04-01).

Taken means queued: what became of a message Twilio reports later, to `status_callback`. Its codes are rules
(engine/answers/rules/apis.toml); those that are not known are read by their HTTP status, because Twilio adds finer ones
from time to time.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from engine.channels.http.answers import outcome_of, pick
from engine.channels.http.leaves import Unrenderable
from engine.channels.http.request import Request
from engine.channels.http.settings import check_private
from engine.channels.port import Delivered, Down
from engine.channels.scrub import Scrub

if TYPE_CHECKING:
    from engine.answers.classify import Classifier
    from engine.channels.http.answers import Answer
    from engine.channels.port import Outcome
    from engine.channels.sms.settings import SmsCredentials, SmsSettings
    from engine.content.message import Message

__all__ = ["TEXT_LIMIT", "Twilio"]

#: Characters of a message, whatever it costs.
TEXT_LIMIT = 1600
_FAILED = 400


class Twilio:
    """Sends one SMS by one POST."""

    def __init__(
        self, settings: SmsSettings, credentials: SmsCredentials, classifier: Classifier | None = None
    ) -> None:
        """Raises ValueError: the token would travel unencrypted."""
        check_private(settings.base_url, insecure_login=settings.insecure_login)
        self._classifier = classifier
        user = credentials.api_key or settings.account_sid or ""
        secret = credentials.api_secret or credentials.auth_token
        password = secret.get_secret_value() if secret is not None else ""
        pair = f"{user}:{password}"
        self.scrub = Scrub([password, pair])
        self._headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        self._account = f"{settings.base_url}/2010-04-01/Accounts/{settings.account_sid}"
        self._callback = settings.status_callback
        self._sender = (
            {"From": settings.sender}
            if settings.sender is not None
            else {"MessagingServiceSid": settings.messaging_service_sid or ""}
        )

    def request(self, message: Message) -> Request:
        """Raises Unrenderable."""
        fields = {"To": message.address, **self._sender, "Body": message.content.text or ""}
        if self._callback is not None:
            mark = "&" if "?" in self._callback else "?"
            fields["StatusCallback"] = f"{self._callback}{mark}execution_id={message.execution_id}"
        try:
            body = urlencode(fields).encode()
        except UnicodeEncodeError:
            raise Unrenderable("the message holds half of a surrogate pair") from None
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", f"{self._account}/Messages.json", headers, body)

    def read(self, answer: Answer) -> Outcome:
        """What an answer means: by Twilio's code, else by its words and status."""
        said = answer.json()
        code = pick(said, "code")
        known = isinstance(code, int) and answer.status >= _FAILED
        outcome = outcome_of(
            answer,
            classifier=self._classifier,
            scrub=self.scrub,
            prefix="TWILIO_HTTP",
            api="twilio",
            error=str(code) if known else None,
        )
        if isinstance(outcome, Delivered):
            sid = pick(said, "sid")
            return Delivered(str(sid) if sid is not None else None)
        return outcome

    def probe(self) -> Request:
        """The account itself."""
        return Request("GET", f"{self._account}.json", self._headers)

    def read_probe(self, answer: Answer) -> Outcome:
        """An account that is suspended or closed sends nothing."""
        outcome = self.read(answer)
        status = pick(answer.json(), "status")
        if isinstance(outcome, Delivered) and status not in (None, "active"):
            return Down("TWILIO_ACCOUNT", f"the account is {status}")
        return outcome
