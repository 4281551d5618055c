"""Mail providers as they post events: their JSON, as documented, and their proofs.

`event(name, marks, address, at)` makes what a provider says when something happened to a message; `signed(said, now)`
what it posts. `name` is one of `NAMES`; None: the provider has no such event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["CERTIFICATE_URL", "NAMES", "POSTERS", "AmazonSes", "Poster"]

NAMES = ("delivered", "delayed", "read", "clicked", "bounced", "blocked", "complained", "unsubscribed")
LINK = "https://shop.example/offer"
CERTIFICATE_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"
_UNKNOWN = "550 5.1.1 The email account that you tried to reach does not exist"
_SPAM = "550 5.7.1 Message blocked as spam"


class Poster:
    """One provider."""

    kind = ""
    settings: dict[str, Any] = {"from_email": "news@shop.example"}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        self.credentials: dict[str, Any] = {}

    def event(self, name: str, marks: dict[str, str], address: str, at: datetime) -> Any:
        raise NotImplementedError

    def signed(self, said: Any, now: datetime) -> tuple[dict[str, str], bytes]:
        raise NotImplementedError


class SendGrid(Poster):
    kind = "sendgrid"

    def __init__(self) -> None:
        self._key = ec_key(SECP256R1())
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.credentials = {"api_key": "k", "webhook_public_key": base64.b64encode(public).decode()}

    def event(self, name: str, marks: dict[str, str], address: str, at: datetime) -> Any:
        more: Any = {
            "delivered": {"event": "delivered", "response": "250 OK"},
            "delayed": {"event": "deferred", "response": "400 try again later", "attempt": "5"},
            "read": {"event": "open", "useragent": "x", "sg_machine_open": False},
            "clicked": {"event": "click", "url": LINK},
            "bounced": {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": _UNKNOWN},
            "blocked": {"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": _SPAM},
            "complained": {"event": "spamreport"},
            "unsubscribed": {"event": "unsubscribe"},
        }[name]
        common = {"email": address, "timestamp": int(at.timestamp()), "sg_event_id": uuid4().hex}
        return [{**common, "sg_message_id": "m", **marks, **more}]

    def signed(self, said: Any, now: datetime) -> tuple[dict[str, str], bytes]:
        body, instant = json.dumps(said).encode(), str(int(now.timestamp()))
        signature = self._key.sign(instant.encode() + body, ECDSA(SHA256()))
        return {
            "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": instant,
        }, body


class Mailgun(Poster):
    kind = "mailgun"
    settings = {**Poster.settings, "domain": "mg.x.org"}  # noqa: RUF012

    def __init__(self) -> None:
        self.credentials = {"api_key": "k", "webhook_signing_key": "key-of-the-account"}

    def event(self, name: str, marks: dict[str, str], address: str, at: datetime) -> Any:
        def failed(severity: str, code: int, message: str) -> dict[str, Any]:
            status = {"code": code, "message": message, "description": "", "attempt-no": 1}
            return {"event": "failed", "severity": severity, "reason": "generic", "delivery-status": status}

        more: Any = {
            "delivered": {"event": "delivered", "delivery-status": {"code": 250, "message": "OK"}},
            "delayed": failed("temporary", 451, "451 4.7.1 try again later"),
            "read": {"event": "opened"},
            "clicked": {"event": "clicked", "url": LINK},
            "bounced": failed("permanent", 550, _UNKNOWN),
            "blocked": failed("permanent", 550, _SPAM),
            "complained": {"event": "complained"},
            "unsubscribed": {"event": "unsubscribed"},
        }[name]
        common = {
            "id": uuid4().hex,
            "timestamp": at.timestamp(),
            "recipient": address,
            "user-variables": marks,
        }
        return {"event-data": {**common, **more}}

    def signed(self, said: Any, now: datetime) -> tuple[dict[str, str], bytes]:
        instant, token = str(int(now.timestamp())), uuid4().hex
        key = self.credentials["webhook_signing_key"].encode()
        signature = hmac.new(key, f"{instant}{token}".encode(), hashlib.sha256).hexdigest()
        proof = {"timestamp": instant, "token": token, "signature": signature}
        return {}, json.dumps({"signature": proof, **said}).encode()


class Postmark(Poster):
    kind = "postmark"

    def __init__(self) -> None:
        self.credentials = {"server_token": "t", "webhook_password": "pass:word"}

    def event(self, name: str, marks: dict[str, str], address: str, at: datetime) -> Any:
        instant = at.isoformat()

        def bounce(type_: str, details: str) -> dict[str, Any]:
            said = {"RecordType": "Bounce", "ID": uuid4().int % 10**12, "Type": type_, "Details": details}
            return {**said, "Email": address, "BouncedAt": instant}

        more: Any = {
            "delivered": {"RecordType": "Delivery", "Recipient": address, "DeliveredAt": instant},
            "delayed": bounce("Transient", "451 4.7.1 try again later"),
            "read": {"RecordType": "Open", "Recipient": address, "ReceivedAt": instant},
            "clicked": {
                "RecordType": "Click",
                "Recipient": address,
                "ReceivedAt": instant,
                "OriginalLink": LINK,
            },
            "bounced": bounce("HardBounce", _UNKNOWN),
            "blocked": bounce("Blocked", _SPAM),
            "complained": {
                "RecordType": "SpamComplaint",
                "ID": uuid4().int % 10**12,
                "Email": address,
                "BouncedAt": instant,
            },
            "unsubscribed": {
                "RecordType": "SubscriptionChange",
                "Recipient": address,
                "ChangedAt": instant,
                "SuppressSending": True,
                "SuppressionReason": "ManualSuppression",
            },
        }[name]
        return {"MessageID": uuid4().hex, "Metadata": marks, **more}

    def signed(self, said: Any, now: datetime) -> tuple[dict[str, str], bytes]:
        login = f"muster:{self.credentials['webhook_password']}".encode()
        return {"authorization": "Basic " + base64.b64encode(login).decode()}, json.dumps(said).encode()


class Resend(Poster):
    kind = "resend"

    def __init__(self) -> None:
        self._key = b"resend's secret of 24 byt"
        secret = f"whsec_{base64.b64encode(self._key).decode()}"
        self.credentials = {"api_key": "k", "webhook_secret": secret}

    def event(self, name: str, marks: dict[str, str], address: str, at: datetime) -> Any:
        more: Any = {
            "delivered": {"type": "email.delivered"},
            "delayed": {"type": "email.delivery_delayed"},
            "read": {"type": "email.opened"},
            "clicked": {"type": "email.clicked", "click": {"link": LINK}},
            "bounced": {
                "type": "email.bounced",
                "bounce": {"type": "Permanent", "subType": "NoEmail", "message": _UNKNOWN},
            },
            "blocked": {
                "type": "email.bounced",
                "bounce": {"type": "Transient", "subType": "General", "message": _SPAM},
            },
            "complained": {"type": "email.complained"},
        }.get(name)
        if more is None:
            return None
        type_ = more.pop("type")
        data = {"email_id": uuid4().hex, "to": [address], "tags": marks, **more}
        return {"type": type_, "created_at": at.isoformat().replace("+00:00", "Z"), "data": data}

    def signed(self, said: Any, now: datetime) -> tuple[dict[str, str], bytes]:
        body, event_id, instant = json.dumps(said).encode(), f"msg_{uuid4().hex}", str(int(now.timestamp()))
        digest = hmac.new(self._key, f"{event_id}.{instant}.".encode() + body, hashlib.sha256).digest()
        signatures = f"v1,AAAA v1,{base64.b64encode(digest).decode()}"
        return {"svix-id": event_id, "svix-timestamp": instant, "svix-signature": signatures}, body


class AmazonSes(Poster):
    kind = "ses"
    topic = "arn:aws:sns:eu-central-1:123456789012:mail-events"
    settings = {**Poster.settings, "region": "eu-central-1", "topic_arn": topic}  # noqa: RUF012

    def __init__(self) -> None:
        self._key = rsa_key(65537, 2048)
        self.credentials = {"access_key_id": "AKIDEXAMPLE00000", "secret_access_key": "s"}
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        begins = datetime(2020, 1, 1, tzinfo=UTC)
        builder = x509.CertificateBuilder(
            name, name, self._key.public_key(), 1, begins, begins + timedelta(days=9000)
        )
        self.certificate = builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM)

    def event(self, name: str, marks: dict[str, str], address: str, at: datetime) -> Any:
        instant = at.isoformat().replace("+00:00", "Z")

        def bounce(type_: str, subtype: str, status: str, words: str) -> dict[str, Any]:
            people = [{"emailAddress": address, "status": status, "diagnosticCode": f"smtp; {words}"}]
            about = {"bounceType": type_, "bounceSubType": subtype, "bouncedRecipients": people}
            return {"eventType": "Bounce", "bounce": {**about, "timestamp": instant, "feedbackId": "f"}}

        delay = {
            "delayType": "TransientCommunicationFailure",
            "timestamp": instant,
            "delayedRecipients": [{"emailAddress": address, "status": "4.4.1"}],
        }
        complaint = {
            "complainedRecipients": [{"emailAddress": address}],
            "complaintFeedbackType": "abuse",
            "timestamp": instant,
        }
        more: Any = {
            "delivered": {
                "eventType": "Delivery",
                "delivery": {"timestamp": instant, "recipients": [address]},
            },
            "delayed": {"eventType": "DeliveryDelay", "deliveryDelay": delay},
            "read": {"eventType": "Open", "open": {"timestamp": instant}},
            "clicked": {"eventType": "Click", "click": {"timestamp": instant, "link": LINK}},
            "bounced": bounce("Permanent", "General", "5.1.1", _UNKNOWN),
            "blocked": bounce("Transient", "General", "5.7.1", _SPAM),
            "complained": {"notificationType": "Complaint", "complaint": complaint},
        }.get(name)
        if more is None:
            return None
        tags = {name: [value] for name, value in marks.items()}
        return self.notification({"mail": {"destination": [address], "tags": tags}, **more})

    def notification(self, message: Any, **more: Any) -> dict[str, Any]:
        return {
            "Type": "Notification",
            "MessageId": str(uuid4()),
            "TopicArn": self.topic,
            "Subject": "Amazon SES Email Event Notification",
            "Message": json.dumps(message),
            "SignatureVersion": "2",
            "SigningCertURL": CERTIFICATE_URL,
            **more,
        }

    def signed(self, said: Any, now: datetime) -> tuple[dict[str, str], bytes]:
        said = {**said, "Timestamp": now.isoformat().replace("+00:00", "Z")}
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{said[name]}\n" for name in names if name in said)
        signature = self._key.sign(text.encode(), PKCS1v15(), SHA256())
        said["Signature"] = base64.b64encode(signature).decode()
        return {"x-amz-sns-message-type": said["Type"]}, json.dumps(said).encode()


POSTERS: dict[str, type[Poster]] = {
    poster.kind: poster for poster in (SendGrid, Mailgun, Postmark, Resend, AmazonSes)
}
