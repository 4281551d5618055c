"""Mail providers' APIs with batches, as their servers speak them: which JSON they take, what they refuse, and for whom.

What is taken is kept as its recipient gets it: `text` is JSON of subject, text, html, headers and marks, with every
substitution made. Of every batch the messages to some addresses are refused, as the provider says it:

| address | what is said |
|---|---|
| `bad…` | it is no address |
| `inactive…` | it bounced before (Postmark), the message is refused (Amazon SES) |
| `later…` | it may be taken later (Amazon SES) |
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import parse_qsl

from tests.servers.dialects import SECRET, Asked, Dialect, Reply, Taken, TakenBatch

__all__ = ["MAIL_APIS"]


def _taken(address: str, key: str, **got: Any) -> Taken:
    return Taken(key, address, json.dumps(got), Reply(200))


class SendGrid(Dialect):
    """v3 Mail Send."""

    name = "sendgrid"

    @staticmethod
    def _no(status: int, *errors: tuple[str, str | None], **headers: str) -> Reply:
        said = [{"message": message, "field": field, "help": None} for message, field in errors]
        return Reply(status, {"errors": said}, headers)

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        return {
            "permanent": no(
                400, ("The content value must be a string at least one character.", "content.0.value")
            ),
            "transient": no(500, ("Internal Server Error", None)),
            "throttled": no(429, ("too many requests", None), **{"Retry-After": "7"}),
            "account": no(
                401, (f"The provided authorization grant {SECRET} is invalid, expired, or revoked", None)
            ),
            "credits": no(401, ("Maximum credits exceeded", None)),
            "from": no(
                403,
                ("The from address does not match a verified Sender Identity. Mail cannot be sent", "from"),
            ),
        }

    def read(self, asked: Asked) -> Taken | TakenBatch | Reply:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return self.refusals["account"]
        if asked.path == "/v3/scopes":
            return Reply(200, {"scopes": ["mail.send"]})
        said = asked.json()
        people = said["personalizations"]
        addresses = [one["to"][0]["email"] for one in people]
        if len(people) > 1000 or len(set(addresses)) < len(addresses):
            return self._no(400, ("too many, or one twice", "personalizations"))
        if any(
            sum(len(k) + len(v.encode()) for k, v in one.get("substitutions", {}).items()) > 10_000
            for one in people
        ):
            return self._no(400, ("substitutions are too long", "personalizations"))
        wrong = [place for place, address in enumerate(addresses) if address.startswith("bad")]
        if wrong:
            text = "Does not contain a valid address."
            return self._no(400, *((text, f"personalizations.{place}.to.0.email") for place in wrong))
        parts = {one["type"]: one["value"] for one in said["content"]}
        taken = []
        for one, address in zip(people, addresses, strict=True):
            got = {}
            for name, type_ in (("text", "text/plain"), ("html", "text/html")):
                got[name] = parts.get(type_, "")
                for tag, value in one.get("substitutions", {}).items():
                    got[name] = got[name].replace(tag, value)
            marks = one["custom_args"]
            more = {
                "subject": one["subject"],
                "headers": one["headers"],
                "marks": marks,
                "said": _but_people(said),
            }
            taken.append(_taken(address, marks["muster_execution_id"], **got, **more))
        return TakenBatch(taken, Reply(202, None, {"X-Message-Id": "sg-1"}))


def _but_people(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in ("personalizations", "content")}


class Mailgun(Dialect):
    """The Messages API, v3."""

    name = "mailgun"
    refusals = {  # noqa: RUF012
        "permanent": Reply(400, {"message": "Need at least one of 'text', 'html' parameters specified"}),
        "transient": Reply(500, {"message": "Internal Server Error"}),
        "throttled": Reply(429, {"message": "too many requests"}, {"Retry-After": "7"}),
        "account": Reply(401, f"Forbidden: {SECRET}"),
        "closed": Reply(403, {"message": "Domain mg.x.org is not allowed to send: please contact support"}),
        "elsewhere": Reply(200, "Mailgun Magnificent API"),
    }

    def read(self, asked: Asked) -> Taken | TakenBatch | Reply:
        login = base64.b64encode(f"api:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {login}":
            return self.refusals["account"]
        if asked.path == "/v4/domains/mg.x.org":
            return Reply(200, {"domain": {"name": "mg.x.org", "state": "active"}})
        if asked.path != "/v3/mg.x.org/messages":
            return Reply(404, {"message": "Domain not found"})
        fields, files = _form(asked)
        said = dict(fields)
        addresses = [value for name, value in fields if name == "to"]
        variables = json.loads(said["recipient-variables"])
        if len(addresses) > 1000:
            return Reply(400, {"message": "to parameter has more than 1000 recipients"})
        if any(address.startswith("bad") for address in addresses):
            return Reply(400, {"message": "to parameter is not a valid address. please check documentation"})
        taken = []
        for address in addresses:
            its = variables[address]

            def filled(text: str, its: dict[str, str] = its) -> str:
                for name, value in its.items():
                    text = text.replace(f"%recipient.{name}%", value)
                return text

            marks = {name[2:]: filled(value) for name, value in fields if name.startswith("v:")}
            headers = {name[2:]: filled(value) for name, value in fields if name.startswith("h:")}
            got = {name: filled(said.get(name, "")) for name in ("subject", "text", "html")}
            more = {"headers": headers, "marks": marks, "files": files, "from": said["from"]}
            taken.append(_taken(address, marks["muster_execution_id"], **got, **more))
        return TakenBatch(taken, Reply(200, {"id": "<1@mg.x.org>", "message": "Queued. Thank you."}))


def _form(asked: Asked) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Fields, and files by the field and their names."""
    type_ = asked.headers["content-type"]
    if type_.startswith("application/x-www-form-urlencoded"):
        return parse_qsl(asked.body.decode(), keep_blank_values=True, strict_parsing=True), {}
    whole = message_from_bytes(f"Content-Type: {type_}\r\n\r\n".encode() + asked.body, policy=default)
    fields, files = [], {}
    for part in whole.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(name, str)
        assert isinstance(content, bytes)
        if part.get_filename():
            files[f"{name}:{part.get_filename()}"] = base64.b64encode(content).decode()
        else:
            fields.append((name, content.decode()))
    return fields, files


class Postmark(Dialect):
    """The Email API's batch."""

    name = "postmark"

    @staticmethod
    def _no(status: int, code: int, message: str, **headers: str) -> Reply:
        return Reply(status, {"ErrorCode": code, "Message": message}, headers)

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        return {
            "permanent": no(422, 300, "Invalid 'To' address: 'x'."),
            "transient": no(500, 0, "Internal Server Error"),
            "throttled": no(429, 429, "Rate limit exceeded", **{"Retry-After": "7"}),
            "account": no(401, 10, f"No Account or Server API tokens were supplied, not {SECRET}"),
            "pending": no(422, 412, "Your account is pending approval"),
        }

    def read(self, asked: Asked) -> Taken | TakenBatch | Reply:
        if asked.headers.get("x-postmark-server-token") != SECRET:
            return self.refusals["account"]
        if asked.path == "/server":
            return Reply(200, {"ID": 1, "Name": "Shop"})
        if asked.path != "/email/batch":
            return Reply(404, "")
        said = asked.json()
        if len(said) > 500:
            return self._no(422, 410, "Too many batch messages")
        taken, results = [], []
        for one in said:
            address, marks = one["To"], one["Metadata"]
            assert all(len(name) <= 20 and len(value) <= 80 for name, value in marks.items())
            if address.startswith("bad"):
                results.append({"ErrorCode": 300, "Message": f"Invalid 'To' address: '{address}'."})
                continue
            if address.startswith("inactive"):
                text = "You tried to send to recipient(s) that have been marked as inactive."
                results.append({"ErrorCode": 406, "Message": f"{text} Found inactive addresses: {address}."})
                continue
            key = marks["muster_execution_id"]
            got = {
                "subject": one["Subject"],
                "text": one.get("TextBody", ""),
                "html": one.get("HtmlBody", ""),
            }
            headers = {header["Name"]: header["Value"] for header in one["Headers"]}
            taken.append(_taken(address, key, **got, headers=headers, marks=marks, said=one))
            results.append({"ErrorCode": 0, "Message": "OK", "MessageID": f"pm-{key}", "To": address})
        return TakenBatch(taken, Reply(200, results))


class Resend(Dialect):
    """Emails, and batches of them."""

    name = "resend"

    @staticmethod
    def _no(status: int, name: str, message: str, **headers: str) -> Reply:
        return Reply(status, {"statusCode": status, "name": name, "message": message}, headers)

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        return {
            "permanent": no(422, "validation_error", "Invalid `to` field."),
            "transient": no(500, "internal_server_error", "An unexpected error occurred."),
            "throttled": no(429, "rate_limit_exceeded", "Too many requests.", **{"Retry-After": "7"}),
            "quota": no(429, "daily_quota_exceeded", "You have reached your daily email sending quota."),
            "account": no(401, "validation_error", f"API key is invalid: {SECRET}"),
            "running": no(409, "concurrent_idempotent_requests", "Another request with this key is running."),
            "sending key": no(401, "restricted_api_key", "This API key is restricted to only send emails."),
        }

    def read(self, asked: Asked) -> Taken | TakenBatch | Reply:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return self.refusals["account"]
        if asked.path == "/domains":
            return Reply(200, {"data": []})
        said = asked.json()
        if asked.path == "/emails":
            return TakenBatch([self._got(said)], Reply(200, {"id": "re-1"}))
        if asked.path != "/emails/batch" or len(said) > 100:
            return self._no(422, "validation_error", "a batch has at most 100 emails")
        wrong = {place: one for place, one in enumerate(said) if one["to"][0].startswith("bad")}
        if wrong and asked.headers.get("x-batch-validation") != "permissive":
            return self.refusals["permanent"]
        taken = [self._got(one) for place, one in enumerate(said) if place not in wrong]
        results = [{"id": f"re-{one.key}"} for one in taken]
        reply: dict[str, Any] = {"data": results}
        if wrong:
            reply["errors"] = [
                {"index": place, "message": f"Invalid `to` field: {one['to'][0]}"}
                for place, one in wrong.items()
            ]
        return TakenBatch(taken, Reply(200, reply))

    @staticmethod
    def _got(one: dict[str, Any]) -> Taken:
        marks = {tag["name"]: tag["value"] for tag in one["tags"]}
        got = {"subject": one["subject"], "text": one.get("text", ""), "html": one.get("html", "")}
        return _taken(
            one["to"][0], marks["muster_execution_id"], **got, headers=one["headers"], marks=marks, said=one
        )


class Ses(Dialect):
    """Amazon SES v2 in eu-central-1, with its signatures."""

    name = "ses"

    @staticmethod
    def _no(status: int, error: str, message: str) -> Reply:
        return Reply(status, {"message": message}, {"x-amzn-ErrorType": error})

    @property
    def refusals(self) -> dict[str, Reply]:  # type: ignore[override]
        no = self._no
        return {
            "permanent": no(400, "BadRequestException", "Missing required header 'From'."),
            "transient": no(500, "InternalFailure", "internal failure"),
            "throttled": no(429, "TooManyRequestsException", "Maximum sending rate exceeded."),
            "account": no(
                403,
                "UnrecognizedClientException",
                f"The security token included in the request is invalid: {SECRET}",
            ),
            "suspended": no(400, "AccountSuspendedException", "suspended"),
        }

    def read(self, asked: Asked) -> Taken | TakenBatch | Reply:
        if not _is_signed(asked):
            text = "The request signature we calculated does not match the signature you provided."
            return self._no(403, "SignatureDoesNotMatchException", text)
        if asked.path == "/v2/email/account":
            return Reply(200, {"SendingEnabled": True, "ProductionAccessEnabled": True})
        if len(asked.body) > 1_000_000:
            return self._no(400, "BadRequestException", "the request is too large")
        said = asked.json()
        if asked.path == "/v2/email/outbound-emails":
            return TakenBatch([self._whole(said)], Reply(200, {"MessageId": "ses-1"}))
        if asked.path != "/v2/email/outbound-bulk-emails" or len(said["BulkEmailEntries"]) > 50:
            return self._no(400, "BadRequestException", "no such operation, or too many entries")
        template = said["DefaultContent"]["Template"]["TemplateContent"]
        taken, results = [], []
        for one in said["BulkEmailEntries"]:
            (address,) = one["Destination"]["ToAddresses"]
            status = next((to for begin, to in _STATUSES.items() if address.startswith(begin)), "SUCCESS")
            if status != "SUCCESS":
                results.append({"Status": status, "Error": f"{address} is refused"})
                continue
            data = one["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"]
            assert len(data) <= 262_144
            values = json.loads(data)
            got = {}
            for name, part in (("subject", "Subject"), ("text", "Text"), ("html", "Html")):
                got[name] = template.get(part, "").replace("{{" + name + "}}", values[name])
            marks = {tag["Name"]: tag["Value"] for tag in one["ReplacementTags"]}
            headers = {header["Name"]: header["Value"] for header in one["ReplacementHeaders"]}
            key = marks["muster_execution_id"]
            taken.append(_taken(address, key, **got, headers=headers, marks=marks, said=_but_entries(said)))
            results.append({"Status": "SUCCESS", "MessageId": f"ses-{key}"})
        return TakenBatch(taken, Reply(200, {"BulkEmailEntryResults": results}))

    @staticmethod
    def _whole(said: dict[str, Any]) -> Taken:
        mail = message_from_bytes(base64.b64decode(said["Content"]["Raw"]["Data"]), policy=default)
        marks = {tag["Name"]: tag["Value"] for tag in said["EmailTags"]}
        got = {"subject": mail["Subject"], "headers": dict(mail.items()), "marks": marks}
        files = [part.get_filename() for part in mail.walk() if part.get_filename()]
        return _taken(said["Destination"]["ToAddresses"][0], marks["muster_execution_id"], **got, files=files)


_STATUSES = {
    "bad": "INVALID_PARAMETER",
    "inactive": "MESSAGE_REJECTED",
    "later": "TRANSIENT_FAILURE",
    "quota": "ACCOUNT_DAILY_QUOTA_EXCEEDED",
}


def _but_entries(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "BulkEmailEntries"}


def _is_signed(asked: Asked) -> bool:
    """Whether the request has the signature that Amazon computes for it."""
    given = dict(part.split("=", 1) for part in asked.headers["authorization"].partition(" ")[2].split(", "))
    scope = given["Credential"].partition("/")[2]
    names = given["SignedHeaders"].split(";")
    lines = [asked.method, asked.path, "", *(f"{name}:{asked.headers[name]}" for name in names), ""]
    lines += [given["SignedHeaders"], hashlib.sha256(asked.body).hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", asked.headers["x-amz-date"], scope, digest])
    key = b"AWS4" + SECRET.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return signature == given["Signature"] and scope.endswith("/eu-central-1/ses/aws4_request")


MAIL_APIS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (SendGrid(), Mailgun(), Postmark(), Resend(), Ses())
}
