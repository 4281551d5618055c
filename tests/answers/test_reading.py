"""Where codes are read, and where what looks like one is none; what becomes of well-known answers."""

from __future__ import annotations

import pytest

from engine.answers.classify import classifier_of
from engine.answers.meanings import Meaning, Phase, Scope
from engine.answers.reading import read_report, read_smtp


@pytest.mark.parametrize(
    ("code", "text", "status", "words"),
    [
        (550, "5.1.1 no such user", "5.1.1", "no such user"),
        (550, "no such user", None, "no such user"),
        (550, "Exim 4.94.2 says no", None, "Exim 4.94.2 says no"),
        (554, "Your access from [85.5.1.1] is refused", None, "Your access from [85.5.1.1] is refused"),
        (550, "5.1.1.9 is a block-listed address", None, "5.1.1.9 is a block-listed address"),
        (550, "5.2.1 The user is 5.2.1 too busy", "5.2.1", "The user is too busy"),
        (450, "5.1.1 contradicts its code", None, "contradicts its code"),
        (550, "#5.1.0 Address rejected.", "5.1.0", "Address rejected."),
        (550, "5.7.515 Access denied", "5.7.515", "Access denied"),
    ],
)
def test_a_status_is_read_right_behind_the_code(code, text, status, words):
    """And nowhere else."""
    answer = read_smtp(code, text, Phase.RCPT)
    assert (status, words) == (answer.status, answer.text)


@pytest.mark.parametrize(
    ("status", "diagnostic", "read", "bar"),
    [
        ("5.1.1", "smtp; 550 5.1.1 unknown", "5.1.1", True),
        ("5.1.1 (bad destination mailbox)", None, "5.1.1", True),
        ("5.0.0", "smtp; 550 User unknown", "5.0.0", True),
        ("5.1.1", "smtp; 550-No such 550-mailbox at mail0.example [192.0.2.1]:25 550 sorry", "5.1.1", True),
        (None, "smtp; 550 5.1.1 user unknown", "5.1.1", True),
        ("5.0.0", "X-Exim; unrouteable address", "5.0.0", True),
        ("5.1.1", "smtp; 550 5.7.1 IP address blacklisted by recipient", "5.7.1", False),
        (
            "5.1.0",
            "smtp; 5.1.0 - Unknown address error 550-'5.2.2 mailbox full' (attempts: 0)",
            "5.2.2",
            False,
        ),
        ("5.1.0", "smtp; 550 5.1.0 <news@shop.example> sender rejected", "5.1.0", False),
        (
            "5.1.90",
            "smtp; 550 5.1.90 you've reached your daily limit for message recipients",
            "5.1.90",
            False,
        ),
        (
            "5.2.1",
            "smtp; 550-5.2.1 The user is receiving mail at a rate that 550 5.2.1 prevents",
            "5.2.1",
            False,
        ),
        ("5.4.316", "smtp; 550 5.4.316 Message expired, connection refused", "5.4.316", False),
        ("5.0.0", "smtp; 451 Greylisted, try again later", "4.0.0", False),
        ("5.0.0", None, "5.0.0", False),
        ("5.0.0", "retry timeout exceeded", "5.0.0", False),
        ("5.0.0", "smtp; 550 Ip frequency limited [token Blocked IP 192.0.2.22]", "5.0.0", False),
        ("5.0.0", "smtp; 554 This message was classified as spam and not delivered", "5.0.0", False),
        ("", "Connection timed out", None, False),
        ("5.0.0", "550 5.7.1 Message rejected as spam", "5.7.1", False),
        ("5.0.0", "smtp; 554 Your access from [85.5.1.1] is refused, poor reputation", "5.0.0", False),
        ("5.2.2", "smtp; 552 5.2.2 mailbox full", "5.2.2", False),
    ],
)
def test_a_report_bars_only_what_says_that_nobody_is_there(status, diagnostic, read, bar):
    """The exact status counts, wherever it stands."""
    answer = read_report(status, diagnostic)
    assert (read, bar) == (answer.status, classifier_of().classify(answer).bar)


@pytest.mark.parametrize(
    ("phase", "code", "text", "scope", "meaning"),
    [
        ("end", 454, "Throttling failure: Maximum sending rate exceeded", "channel", "slow"),
        ("mail", 450, "4.7.1 Error: too much mail from 127.0.0.1", "channel", "slow"),
        ("mail", 452, "4.3.1 Insufficient system storage", "channel", "slow"),
        ("data", 450, "4.7.1 later", "channel", "slow"),
        ("mail", 452, "4.3.1 Message quota exceeded", "channel", "quota"),
        ("rcpt", 452, "4.3.1 Account quota exceeded", "channel", "quota"),
        ("mail", 550, "5.4.5 Daily user sending limit exceeded", "channel", "quota"),
        ("end", 550, "5.4.5 Daily user sending limit", "channel", "quota"),
        (
            "rcpt",
            550,
            "Domain shop.example has exceeded the max emails per hour (150/100)",
            "channel",
            "quota",
        ),
        (
            "mail",
            553,
            "5.7.1 <n@s.example>: Sender address rejected: not owned by user",
            "sender",
            "sender_fault",
        ),
        (
            "rcpt",
            550,
            "5.7.1 <n@s.example>: Sender address rejected: not owned by user x",
            "sender",
            "sender_fault",
        ),
        (
            "end",
            550,
            "5.7.26 This mail has been blocked because the sender is unauthenticated",
            "sender",
            "sender_fault",
        ),
        ("end", 550, "5.7.515 Access denied", "sender", "sender_fault"),
        ("rcpt", 421, "4.7.0 try again later", "mailbox", "slow"),
        ("rcpt", 450, "4.2.0 Greylisted", "mailbox", "defer"),
        ("rcpt", 452, "4.2.2 over quota", "mailbox", "defer"),
        ("rcpt", 552, "5.2.2 user is over quota", "mailbox", "refuse"),
        ("rcpt", 550, "5.7.1 blocked by policy", "mailbox", "refuse"),
        ("mail", 552, "5.3.4 Message too big", "mailbox", "refuse"),
        ("auth", 535, "5.7.8 no", "channel", "down"),
    ],
)
def test_well_known_answers(phase, code, text, scope, meaning):
    """What they are about and what they mean."""
    verdict = classifier_of().classify(read_smtp(code, text, Phase(phase)))
    assert (Scope(scope), Meaning(meaning)) == (verdict.scope, verdict.meaning)
    assert not verdict.bar
