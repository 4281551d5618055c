"""What providers' APIs say and ask for, as their servers do it: paths, credentials, required fields, error bodies.

A dialect reads a request and either takes it (`Taken`) or refuses it (`Reply`) for what the real provider would refuse;
`refusal` is what it says in a scenario that a test has asked for. The wire is `tests.servers.api`'s.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

__all__ = ["DIALECTS", "Asked", "Dialect", "Reply", "Taken", "TakenBatch"]

#: Every server's secret, so that a test can look for it wherever it should not be.
SECRET = "s3cret-of-the-channel"
_EXECUTION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=bool(self.body)))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Taken:
    """A message that a provider takes."""

    key: str
    """What the test knows it by: the execution id."""
    to: str
    text: str
    reply: Reply


@dataclass
class TakenBatch:
    """Messages that a provider takes by one request; those of it that it refuses are in `reply`."""

    messages: list[Taken]
    reply: Reply


def _found(text: str) -> str:
    match = _EXECUTION.search(text)
    return match[0] if match else ""


class Dialect:
    """Any JSON API that honours Idempotency-Key; the base of the others."""

    name = "http"
    #: scenario → what is answered instead of taking the message.
    refusals: dict[str, Reply] = {  # noqa: RUF012 - never changed
        "permanent": Reply(422, {"message": "no such customer"}),
        "transient": Reply(500, {"message": "try again"}),
        "throttled": Reply(429, {"message": "slow down"}, {"Retry-After": "7"}),
        "busy": Reply(503, "<h1>busy</h1>", {"Retry-After": "3"}),
        "account": Reply(401, {"message": f"the token {SECRET} is not known"}),
        "refusal echo": Reply(400, {"message": f"you sent {SECRET}"}),
        "gateway": Reply(504, "<h1>gateway time-out</h1>"),
        "redirect": Reply(302, "", {"Location": "/elsewhere"}),
    }

    def read(self, asked: Asked) -> Taken | TakenBatch | Reply:
        """Take a message, or refuse it for its own sake."""
        if asked.method == "OPTIONS":
            return Reply(204)
        if SECRET not in asked.headers.get("authorization", "") + asked.headers.get("x-api-key", ""):
            return Reply(401, {"message": "who are you?"})
        if asked.path == "/health":
            return Reply(200, {"ok": True})
        key = asked.headers.get("idempotency-key", "")
        said = json.loads(asked.body) if asked.body else {}
        to = said.get("address", "") if isinstance(said, dict) else ""
        return Taken(key, to, json.dumps(said), Reply(202, {"data": {"id": f"ref-{key}"}}))


class Telegram(Dialect):
    """Bot API."""

    name = "telegram"

    @staticmethod
    def _no(code: int, description: str, **parameters: Any) -> Reply:
        body = {"ok": False, "error_code": code, "description": description}
        return Reply(code, {**body, "parameters": parameters} if parameters else body)

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        return {
            "permanent": no(400, "Bad Request: chat not found"),
            "blocked": no(403, "Forbidden: bot was blocked by the user"),
            "deactivated": no(403, "Forbidden: user is deactivated"),
            "kicked": no(403, "Forbidden: bot was kicked from the group chat"),
            "entities": no(400, "Bad Request: can't parse entities: Unexpected end tag at byte offset 3"),
            "moved": no(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=-1001234567890,
            ),
            "transient": no(500, "Internal Server Error"),
            "throttled": no(429, "Too Many Requests: retry after 7", retry_after=7),
            "account": no(401, f"Unauthorized: {SECRET}"),
        }

    def read(self, asked: Asked) -> Taken | Reply:
        token, _, method = asked.path.removeprefix("/bot").partition("/")
        if not asked.path.startswith("/bot") or SECRET not in unquote(token):
            return self._no(401, "Unauthorized")
        if method == "getMe":
            return Reply(200, {"ok": True, "result": {"id": 1, "is_bot": True, "username": "shop_bot"}})
        if method != "sendMessage":
            return self._no(404, "Not Found")
        said = asked.json()
        text = said.get("text", "")
        if not text:
            return self._no(400, "Bad Request: message text is empty")
        if len(text) > 4096:
            return self._no(400, "Bad Request: message is too long")
        if not re.fullmatch(r"-?\d+|@\w+", str(said.get("chat_id", ""))):
            return self._no(400, "Bad Request: chat not found")
        result = {"message_id": 42, "chat": {"id": said["chat_id"]}, "text": text}
        return Taken(_found(text), str(said["chat_id"]), text, Reply(200, {"ok": True, "result": result}))


class WhatsApp(Dialect):
    """Cloud API."""

    name = "whatsapp"

    @staticmethod
    def _no(status: int, code: int, message: str) -> Reply:
        error = {
            "message": f"(#{code}) {message}",
            "type": "OAuthException",
            "code": code,
            "error_data": {"messaging_product": "whatsapp", "details": f"{message}."},
            "fbtrace_id": "trace",
        }
        return Reply(status, {"error": error})

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        return {
            "permanent": no(400, 131026, "Message undeliverable"),
            "transient": no(500, 131000, "Something went wrong"),
            "throttled": no(429, 130429, "Rate limit hit"),
            "account rate": no(400, 80007, "Rate limit issues"),
            "pair rate": no(400, 131056, "pair rate limit hit"),
            "window": no(400, 131047, "Re-engagement message"),
            "template": no(404, 132001, "Template does not exist in the translation"),
            "opted out": no(400, 131050, "User has stopped marketing messages"),
            "account": no(401, 190, f"Access token {SECRET} has expired"),
            "permission": no(403, 10, "Application does not have permission"),
        }

    def read(self, asked: Asked) -> Taken | Reply:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return self._no(401, 190, "Invalid OAuth access token")
        number = re.fullmatch(r"/v\d+\.\d+/(\d+)(/messages)?", asked.path)
        if number is None:
            return self._no(400, 100, "Unsupported request")
        if not number[2]:
            return Reply(200, {"id": number[1], "verified_name": "Shop"})
        said = asked.json()
        if said.get("messaging_product") != "whatsapp" or not re.fullmatch(
            r"\+?\d{6,15}", said.get("to", "")
        ):
            return self._no(400, 100, "Invalid parameter")
        kind = said.get("type")
        if kind == "text":
            text = said["text"]["body"]
            if not text or len(text) > 4096:
                return self._no(400, 100, "Invalid parameter")
        elif kind == "template":
            text = json.dumps(said["template"])
            if not said["template"]["name"] or not said["template"]["language"]["code"]:
                return self._no(400, 132000, "Number of parameters does not match")
        else:
            return self._no(400, 131051, "Unsupported message type")
        key = said.get("biz_opaque_callback_data") or _found(text)
        reply = {"messaging_product": "whatsapp", "messages": [{"id": f"wamid.{key}"}]}
        return Taken(key, said["to"], text, Reply(200, reply))


class Twilio(Dialect):
    """The Messages resource of 2010-04-01."""

    name = "twilio"
    account = "AC" + "0" * 32

    @staticmethod
    def _no(status: int, code: int, message: str, **headers: str) -> Reply:
        more = f"https://www.twilio.com/docs/errors/{code}"
        return Reply(status, {"code": code, "message": message, "more_info": more, "status": status}, headers)

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        return {
            "permanent": no(400, 21211, "Invalid 'To' Phone Number"),
            "unsubscribed": no(400, 21610, "Attempt to send to unsubscribed recipient"),
            "landline": no(400, 21614, "'To' number is not a valid mobile number"),
            "region": no(400, 21408, "Permission to send an SMS has not been enabled for the region"),
            "transient": no(500, 20500, "Internal Server Error"),
            "throttled": no(429, 20429, "Too Many Requests"),
            "queue": no(400, 21611, "This 'From' number has exceeded the maximum number of queued messages"),
            "account": no(401, 20003, f"Authenticate with {SECRET}"),
            "suspended": no(403, 20005, "Account not active"),
        }

    def read(self, asked: Asked) -> Taken | Reply:
        login = base64.b64encode(f"{self.account}:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {login}":
            return self._no(401, 20003, "Authenticate")
        root = f"/2010-04-01/Accounts/{self.account}"
        if asked.path == f"{root}.json":
            return Reply(200, {"sid": self.account, "status": "active"})
        if asked.path != f"{root}/Messages.json" or asked.method != "POST":
            return self._no(404, 20404, "The requested resource was not found")
        said = asked.form()
        if not re.fullmatch(r"\+\d{6,15}", said.get("To", "")):
            return self._no(400, 21211, "Invalid 'To' Phone Number")
        if not said.get("From") and not said.get("MessagingServiceSid"):
            return self._no(400, 21603, "A 'From' phone number is required")
        if not said.get("Body"):
            return self._no(400, 21602, "Message body is required")
        key = _found(said["Body"])
        reply = {"sid": "SM" + key.replace("-", ""), "status": "queued", "error_code": None}
        return Taken(key, said["To"], said["Body"], Reply(201, reply))


class Gateway(Dialect):
    """An SMS gateway of the old kind: a form, the key in it, and 200 to everything."""

    name = "gateway"
    refusals: dict[str, Reply] = {  # noqa: RUF012
        "permanent": Reply(200, {"status": "invalid number"}),
        "transient": Reply(502, "bad gateway"),
        "throttled": Reply(429, "", {"Retry-After": "7"}),
        "account": Reply(401, f"wrong key {SECRET}"),
    }

    def read(self, asked: Asked) -> Taken | Reply:
        if asked.method == "OPTIONS":
            return Reply(405)
        said = asked.form() | asked.query
        if said.get("key") != SECRET:
            return Reply(401, "wrong key")
        reply = Reply(200, {"status": "ok", "messages": [{"id": "m-1"}]})
        return Taken(_found(said.get("text", "")), said.get("to", ""), said.get("text", ""), reply)


class Ntfy(Dialect):
    """ntfy.sh as Apprise speaks to it: a JSON message with the topic in it."""

    name = "ntfy"
    refusals: dict[str, Reply] = {  # noqa: RUF012
        "transient": Reply(500, {"error": "internal"}),
        "permanent": Reply(403, {"error": "forbidden"}),
        "account": Reply(401, {"error": f"unauthorized {SECRET}"}),
        "throttled": Reply(429, {"error": "limit reached"}),
    }

    def read(self, asked: Asked) -> Taken | Reply:
        said = asked.json() if asked.body else {}
        text = str(said.get("message", ""))
        return Taken(_found(text), str(said.get("topic", "")), text, Reply(200, {"id": "n-1"}))


class Voice(Dialect):
    """Outbound calls by conversational agents, as ElevenLabs has them."""

    name = "voice"

    @staticmethod
    def _no(status: int, word: str, text: str, **headers: str) -> Reply:
        return Reply(status, {"detail": {"status": word, "message": text}}, headers)

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        invalid = [
            {"loc": ["body", "to_number"], "msg": "to_number: is no phone number", "type": "value_error"}
        ]
        return {
            "permanent": Reply(422, {"message": "to_number: is no phone number", "detail": invalid}),
            "refused": Reply(200, {"success": False, "message": "the carrier refused the call"}),
            "transient": no(500, "error", "internal error"),
            "throttled": no(
                429, "too_many_concurrent_requests", "too many calls at once", **{"Retry-After": "7"}
            ),
            "account": no(401, "invalid_api_key", f"the key {SECRET} is not known"),
            "quota": no(402, "quota_exceeded", "no credits are left"),
            "agent": no(404, "document_not_found", "there is no such agent"),
        }

    def read(self, asked: Asked) -> Taken | Reply:
        if asked.headers.get("xi-api-key") != SECRET:
            return self._no(401, "invalid_api_key", "who are you?")
        if asked.method == "GET" and asked.path.startswith("/v1/convai/phone-numbers/"):
            return Reply(200, {"phone_number_id": asked.path.rpartition("/")[2], "provider": "twilio"})
        if asked.path not in ("/v1/convai/twilio/outbound-call", "/v1/convai/sip-trunk/outbound-call"):
            return self._no(404, "not_found", "there is no such route")
        said = asked.json()
        if not re.fullmatch(r"\+\d{6,15}", said.get("to_number", "")) or not said.get("agent_id"):
            return self.refusals["permanent"]
        variables = said["conversation_initiation_client_data"]["dynamic_variables"]
        if any(isinstance(value, dict | list) for value in variables.values()):
            return self.refusals["permanent"]
        key = variables["muster_execution_id"]
        reply = {"success": True, "message": "ok", "conversation_id": f"conv_{key}", "callSid": "CA1"}
        return Taken(key, said["to_number"], json.dumps(said), Reply(200, reply))


DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (Dialect(), Telegram(), WhatsApp(), Twilio(), Gateway(), Ntfy(), Voice())
}
