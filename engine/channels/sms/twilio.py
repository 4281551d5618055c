"""Twilio's Messages resource (API 2010-04-01).

Taken means queued: what became of a message Twilio reports later, to `status_callback`. Its codes are read here for
both; those that are not known are read by their HTTP status, because Twilio adds finer ones from time to time.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from engine.channels.http.answers import outcome_of, pick, retry_after
from engine.channels.http.codes import Codes
from engine.channels.http.leaves import Unrenderable
from engine.channels.http.request import Request
from engine.channels.http.settings import check_private
from engine.channels.port import Delivered, Down
from engine.channels.scrub import Scrub

if TYPE_CHECKING:
    from engine.channels.http.answers import Answer
    from engine.channels.port import Message, Outcome
    from engine.channels.sms.settings import SmsCredentials, SmsSettings

__all__ = ["TEXT_LIMIT", "Twilio", "meaning_of"]

#: Characters of a message, whatever it costs.
TEXT_LIMIT = 1600

#: About the account, its credentials or the sender: nothing can be sent until a person mends it.
_ACCOUNT = frozenset(
    {20003, 20005, 20006, 20008, 20403, 20404, 21212, 21603, 21606, 21659, 21660, 21701, 21703, 21704, 30002}
)
_TOO_FAST = frozenset({14107, 20429, 21611, 30001, 30022})
_LATER = frozenset({20500, 20503, 30003, 30008, 30017})
#: About this recipient or this text.
_FINAL = frozenset(
    {21211, 21214, 21217, 21265, 21408, 21421, 21602, 21604, 21605, 21608, 21610, 21612, 21614, 21617, 21635}
    | {21662, 21664, 21667, 30004, 30005, 30006, 30007, 30010, 30018, 30024, 30032, 30034, 30450}
)
#: Why a number must not be written to again: it opted out; it is none, a landline, or nobody's any more.
_SUPPRESS = {
    21610: "unsubscribe",
    21211: "hard_bounce",
    21214: "hard_bounce",
    21217: "hard_bounce",
    21614: "hard_bounce",
    21635: "hard_bounce",
    30005: "hard_bounce",
    30006: "hard_bounce",
}


meaning_of = Codes("TWILIO", _ACCOUNT, _TOO_FAST, _LATER, _FINAL, _SUPPRESS).meaning_of


class Twilio:
    """Sends one SMS by one POST."""

    def __init__(self, settings: SmsSettings, credentials: SmsCredentials) -> None:
        """Raises ValueError: the token would travel unencrypted."""
        check_private(settings.base_url, insecure_login=settings.insecure_login)
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
        """What an answer means: Twilio's code, else the status."""
        said = answer.json()
        usual = outcome_of(answer, scrub=self.scrub, prefix="TWILIO_HTTP")
        if isinstance(usual, Delivered):
            sid = pick(said, "sid")
            return Delivered(str(sid) if sid is not None else None)
        code = pick(said, "code")
        if not isinstance(code, int):
            return usual
        text = self.scrub(str(pick(said, "message") or ""))[:300]
        return meaning_of(code, text, retry_after(answer)) or usual

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
