"""What APIs of well-known providers answer, in bodies of their shapes, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.answers.classify import classifier_of
from engine.answers.http_answers import read_http


def classified(status: int, body: Any, headers: dict[str, str] | None = None) -> str:
    answer = read_http(status, headers or {}, json.dumps(body).encode())
    verdict = classifier_of().classify(answer)
    return f"{verdict.scope} {verdict.meaning}" + (f" bar {verdict.bar_reason}" if verdict.bar else "")


def sendgrid(message: str, field: str | None = None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": field, "help": "https://sendgrid.com/docs/errors"}]}


def postmark(code: int, message: str) -> dict[str, Any]:
    return {"ErrorCode": code, "Message": message}


def resend(status: int, name: str, message: str) -> dict[str, Any]:
    return {"statusCode": status, "name": name, "message": message}


def twilio(code: int, message: str) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": 400,
    }


def meta(code: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}}


def telegram(code: int, description: str) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": description}


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (401, sendgrid("The provided authorization grant is invalid, expired, or revoked"), "channel down"),
        (401, sendgrid("Maximum credits exceeded"), "channel quota"),
        (
            403,
            sendgrid("The from address does not match a verified Sender Identity.", "from"),
            "sender sender_fault",
        ),
        (
            400,
            sendgrid("Does not contain a valid address.", "personalizations.0.to.0.email"),
            "mailbox refuse",
        ),
        (400, sendgrid("Does not contain a valid address.", "from.email"), "sender sender_fault"),
        (413, sendgrid("Payload too large"), "mailbox refuse"),
        (429, sendgrid("too many requests"), "channel slow"),
        (500, sendgrid("An unexpected error occurred"), "channel down"),
        (400, {"message": "'to' parameter is not a valid address. please check it"}, "mailbox refuse"),
        (
            403,
            {"message": "Domain mg.shop.example is not allowed to send: Account disabled"},
            "channel sender_fault",
        ),
        (402, {"message": "Payment required"}, "channel quota"),
        (
            422,
            postmark(406, "You tried to send to recipient(s) that have been marked as inactive."),
            "mailbox refuse bar hard_bounce",
        ),
        (422, postmark(300, "Invalid 'To' address: 'ada@'."), "mailbox refuse"),
        (422, postmark(300, "Invalid 'From' address: 'shop'."), "sender sender_fault"),
        (422, postmark(400, "No such signature"), "sender sender_fault"),
        (422, postmark(405, "Not allowed to send"), "channel quota"),
        (
            422,
            postmark(412, "While your account is pending approval, all must be of your domain"),
            "channel sender_fault",
        ),
        (401, postmark(10, "No Account or Server API tokens were supplied"), "channel down"),
        (422, resend(422, "validation_error", "Invalid `to` field."), "mailbox refuse"),
        (422, resend(422, "invalid_from_address", "Invalid `from` field."), "sender sender_fault"),
        (
            403,
            resend(403, "validation_error", "The shop.example domain is not verified."),
            "sender sender_fault",
        ),
        (
            403,
            resend(403, "validation_error", "You can only send testing emails to your own email address"),
            "channel sender_fault",
        ),
        (429, resend(429, "rate_limit_exceeded", "You can only make 2 requests per second."), "channel slow"),
        (429, resend(429, "daily_quota_exceeded", "Wait or upgrade."), "channel quota"),
        (403, resend(403, "invalid_api_key", "Look at it"), "channel down"),
        (400, {"code": "not_enough_credits", "message": "Top up"}, "channel quota"),
        (401, {"code": "unauthorized", "message": "Key not found"}, "channel down"),
        (400, twilio(21610, "Attempt to send to unsubscribed recipient"), "mailbox refuse bar unsubscribe"),
        (400, twilio(21211, "Invalid 'To' Phone Number"), "mailbox refuse bar hard_bounce"),
        (429, twilio(20429, "Too Many Requests"), "channel slow"),
        (401, twilio(20003, "Authenticate"), "channel down"),
        (401, meta(190, "Error validating access token"), "channel down"),
        (400, meta(130429, "(#130429) Rate limit hit"), "channel slow"),
        (400, meta(131026, "Message undeliverable"), "mailbox refuse"),
        (403, telegram(403, "Forbidden: bot was blocked by the user"), "mailbox refuse bar unsubscribe"),
        (400, telegram(400, "Bad Request: chat not found"), "mailbox refuse"),
        (401, telegram(401, "Unauthorized"), "channel down"),
        (429, telegram(429, "Too Many Requests: retry after 7"), "channel slow"),
        (403, {"error": "account_suspended"}, "channel sender_fault"),
        (422, {"message": "invalid", "errors": {"to": ["has no such mailbox"]}}, "mailbox refuse"),
        (403, {"message": "Forbidden"}, "sender sender_fault"),
    ],
)
def test_an_answer_is_read_in_its_providers_shape(status, body, means):
    """The code is a default; the provider's own code and words decide."""
    assert means == classified(status, body)


@pytest.mark.parametrize(
    ("status", "error", "message", "means"),
    [
        (429, "TooManyRequestsException", "Maximum sending rate exceeded.", "channel slow"),
        (429, "TooManyRequestsException", "Daily message quota exceeded.", "channel quota"),
        (400, "AccountSuspendedException", "", "channel sender_fault"),
        (400, "SendingPausedException", "", "channel sender_fault"),
        (400, "MailFromDomainNotVerifiedException", "", "sender sender_fault"),
        (400, "MessageRejected", "Email address is not verified.", "sender sender_fault"),
        (400, "BadRequestException", "Illegal address", "mailbox refuse"),
        (403, "SignatureDoesNotMatch", "The request signature we calculated does not match", "channel down"),
    ],
)
def test_amazon_says_it_in_a_header_or_in_the_body(status, error, message, means):
    """The name of the exception is read as words, too."""
    assert means == classified(status, {"message": message}, {"x-amzn-errortype": f"{error}:http://x/"})
    assert means == classified(status, {"__type": f"com.amazon#{error}", "message": message})


def test_words_are_taken_out_of_markup():
    """Proxies answer in HTML."""
    answer = read_http(403, {}, b"<html><style>p{}</style><h1>Your account\n is suspended</h1></html>")
    assert "Your account is suspended" == answer.text


@given(
    st.integers(100, 599),
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["error", "errors", "code", "message", "ErrorCode", "x"]), inner
            )
        ),
    ).map(lambda said: json.dumps(said).encode()),
)
def test_whatever_is_answered_is_read(status, body):
    """Nothing that a server writes is an error of ours."""
    answer = read_http(status, {}, body)
    assert status == answer.code
    assert len(answer.text) <= 2000
    assert classifier_of().classify(answer).rule.name
