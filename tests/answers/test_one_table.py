"""One classifier: a server's reply, the delivery report that quotes it and the event that tells of it mean the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.answers.classify import classifier_of
from engine.answers.meanings import Phase
from engine.answers.reading import read_event, read_line, read_report, read_smtp
from engine.answers.rules import shipped_rules

REPLIES = [
    line
    for rule in shipped_rules()
    for example in rule.examples
    for line in [example.removeprefix("rcpt: ").removeprefix("end: ")]
    if line[:1] in ("4", "5") and line[:3].isdecimal()
]


def verdict_at_rcpt(line: str):
    answer = read_line(line)
    return classifier_of().classify(read_smtp(answer.code or 0, line[4:], Phase.RCPT))


@pytest.mark.parametrize("line", REPLIES)
def test_a_report_and_an_event_say_what_the_reply_said(line):
    """By every rule that knows a reply to RCPT or to the content."""
    while_sending = verdict_at_rcpt(line)
    status = read_line(line).status
    for answer in (
        read_report(status, f"smtp; {line}"),
        read_report("5.0.0" if line[0] == "5" else "4.0.0", line),
        read_report(status, f"smtp; host mx.example[192.0.2.9] said: {line} (in reply to RCPT TO command)"),
        read_event(None, line, permanent=line[0] == "5"),
    ):
        told = classifier_of().classify(answer)
        assert while_sending.bar == told.bar, answer
        if status is not None:
            assert (while_sending.scope, while_sending.meaning) == (told.scope, told.meaning), answer


@settings(max_examples=300, deadline=None)
@given(
    code=st.sampled_from([450, 451, 452, 500, 550, 551, 552, 553, 554]),
    detail=st.tuples(st.integers(0, 8), st.integers(0, 700)),
    words=st.sampled_from([line[4:].lstrip("45.0123679 ") for line in REPLIES]),
)
def test_any_status_with_any_words_means_the_same_either_way(code, detail, words):
    """Also where no example has them together."""
    status = f"{code // 100}.{detail[0]}.{detail[1]}"
    reply = classifier_of().classify(read_smtp(code, f"{status} {words}", Phase.END))
    report = classifier_of().classify(read_report(status, f"smtp; {code} {status} {words}"))
    assert (reply.scope, reply.meaning, reply.bar) == (report.scope, report.meaning, report.bar)


@pytest.mark.parametrize(
    "line",
    [
        "550 5.0.0",
        "550 5.0.0 Message could not be delivered",
        "554 5.0.0 Service unavailable",
        "550 5.1.1 <ada@x.example>: blocked for spam-like content",
        "550 5.1.1 your sending rate is exceeded",
        "550 5.1.3 Sender address <news@shop.example> is invalid",
        "550 5.2.1 mailbox is over its quota",
        "550 sender verify failed: no such user",
        "550 5.1.2 forwarding loop detected",
        "554 5.4.6 too many hops",
        "550 5.4.7 delivery time expired",
        "550 5.4.1 Recipient address rejected: Access denied",
        "550 5.1.8 sender domain does not exist",
        "550 5.7.25 reverse DNS record not found for your host",
        "554 5.6.0 attachment type not allowed, unknown address format",
        "421 4.1.1 no such user",
        "553 5.1.3 http://www.spamhaus.org/query/bl?ip=192.0.2.9",
        "550 L'adresse de l'expéditeur n'existe pas",
        "550 Absenderadresse existiert nicht",
        "550 发件人地址不存在",
        "550 5.1.1 LDAP lookup failed, cannot verify whether the user exists",
        "550 5.2.1 mailbox temporarily disabled",
        "550 5.7.1 You are not a member of this mailing list; user not found among its members",
        "554 5.4.7 message timeout (last transfail: 550 5.1.1 unknown)",
    ],
)
def test_what_is_not_about_the_address_bars_nobody(line):
    assert not verdict_at_rcpt(line).bar
    assert not classifier_of().classify(read_report(None, f"smtp; {line}")).bar


@pytest.mark.parametrize(
    "line",
    [
        "550 5.1.1 <ada@x.example>: Recipient address rejected: User unknown in relay recipient table",
        "550 5.1.1 <policy@spam.example>: Recipient address rejected: User unknown in virtual mailbox table",
        "550 5.0.0 <loop@x.example>... User unknown",
        "550 5.2.1 This mailbox has been disabled",
        "554 5.0.0 recipient not found",
        "550 The account has been closed",
        "553 sorry, no mailbox here by that name. (#5.7.1)",
        "550 #5.1.0 Address rejected: unknown user",
        "550 5.4.4 Host or domain name not found. Name service error for name=x.example",
        "550 5.4.310 DNS domain exmaple.example does not exist",
        "550 5.0.350 Remote server returned an error -> 550 5.1.1 <ada@x.example>: User unknown",
        "550 <ada@x.example>: non existent user",
        "550 host/domain does not accept mail (nullMX)",
    ],
)
def test_that_nobody_is_there_bars(line):
    assert verdict_at_rcpt(line).bar
    assert classifier_of().classify(read_report(None, f"smtp; {line}")).bar


@pytest.mark.parametrize(
    ("subtype", "reason", "permanent", "bar"),
    [
        (None, None, True, True),
        (None, None, False, False),
        ("5.0.0", None, True, False),
        ("5.1.1", None, True, True),
        ("4.2.2", None, True, False),
        ("5.2.2", None, True, False),
        ("General", None, True, True),
        ("NoEmail", "", True, True),
        ("MailboxFull", None, True, False),
        ("SpamNotification", None, True, False),
        ("invalid_recipient", None, True, True),
        ("invalid_recipient", None, False, False),
        ("General", "smtp; 550 5.7.1 message rejected as spam", True, False),
        (None, "550 5.1.1 user unknown", True, True),
        (None, "no such user", True, True),
        (None, "blocked by policy", True, False),
        (None, "your IP [85.5.1.1] is refused", True, False),
        ("mailbox inactive", None, True, True),
        ("no mail host", None, True, True),
        ("relay/access denied", None, True, False),
        ("10", None, True, True),
        ("25", None, True, False),
        ("OnAccountSuppressionList", "it is on the suppression list for your account", True, True),
        ("suppress-bounce", "Not delivering to previously bounced address", True, True),
        ("suppress-unsubscribe", "Not delivering to unsubscribed address", True, False),
        ("hard_bounce", "unable to find recipient", True, True),
        ("generic", "No MX for exmaple.example", True, True),
        ("bad-domain", None, True, True),
        ("policy-related", None, True, False),
    ],
)
def test_an_event_bars_by_its_words_its_status_or_the_providers_category(subtype, reason, permanent, bar):
    answer = read_event(subtype, reason, permanent=permanent)
    assert bar is classifier_of().classify(answer).bar


@pytest.mark.parametrize(
    ("diagnostic", "status"),
    [
        ("smtp; 554 Your access from [85.5.1.1] is refused", None),
        ("X-Exim; Exim 4.94.2 gave up", None),
        ("smtp; 550 host 5.1.1.7 says no", None),
        ("This user has no mailbox here. (#5.1.1)", "5.1.1"),
        ("smtp; 550 #5.1.0 rejected", "5.1.0"),
        ("expanded 5.1.1 times", None),
    ],
)
def test_what_looks_like_a_code_is_none(diagnostic, status):
    assert status == read_report(None, diagnostic).status


@pytest.mark.parametrize(
    "diagnostic",
    [
        "SMTP error from remote mail server after MAIL FROM:<n@s.example> SIZE=9: 553 5.1.1 s.example does not exist",
        "smtp; host mx.example[192.0.2.9] said: 550 5.1.1 unknown user (in reply to MAIL FROM command)",
        "smtp; host mx.example[192.0.2.9] refused to talk to me: 550 5.1.1 no such user",
        "smtp; host mx.example[192.0.2.9] said: 550 no such user (in reply to EHLO command)",
        "Host or domain name not found, try again",
    ],
)
def test_what_was_not_said_of_a_recipient_bars_nobody(diagnostic):
    """MAIL and EHLO name the sender alone; a name that cannot be looked up now may be there."""
    assert not classifier_of().classify(read_report("5.0.0", diagnostic)).bar
