"""Campaigns to providers that refuse for reasons of their own: it costs time, and no recipient. On both databases, over
a server in a process of its own.

`make answers-full` (MUSTER_FULL_SIZE=1) runs them at the sizes of docs/limits.md, which take minutes each.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from state.tables import Channel, DomainThrottle
from tests.servers.postfix import is_installed

if TYPE_CHECKING:
    from tests.answers.conftest import ProviderBench

pytestmark = pytest.mark.slow


def channel(bench: ProviderBench) -> Channel:
    with bench.database.read() as session:
        return session.query(Channel).one()


FULL = os.environ.get("MUSTER_FULL_SIZE") == "1"
SES = "454 Throttling failure: Maximum sending rate exceeded"


@pytest.mark.timeout(1800 if FULL else 300)
@pytest.mark.parametrize(
    "provider",
    [
        pytest.param({"over": SES}, id="a rule reads the words"),
        pytest.param({"over": "451 4.3.0 come back another time"}, id="the same words from several domains"),
        pytest.param({"http": {"status": 429}}, id="429 without Retry-After"),
        pytest.param({"http": {"status": 429, "headers": {"Retry-After": "1"}}}, id="429 with Retry-After"),
    ],
)
def test_a_channel_finds_the_rate_of_its_account(bench: ProviderBench, provider: dict[str, Any]) -> None:
    """So many a second, else a refusal: all within 1.3 of the time that the rate allows, with a worker's eight threads,
    beside the waits that the provider names.

    It was 4.7 a minute instead of 14 a second with Amazon SES's 454, and 868 of 1,500 in 100 seconds with 429.
    """
    rate, size = (14, 1500) if FULL else (12, 60)
    people = bench.people(size, domains=30)
    took = bench.provider(rate=rate, **provider)
    campaign = bench.campaign(max_attempts=1)
    bench.activate(campaign)
    began = time.monotonic()
    bench.run_as_a_worker(bench.is_over)
    seconds = time.monotonic() - began
    assert {"success": size} == bench.statuses()
    told = took()
    assert Counter(people) == Counter(told["taken"])
    assert all(row.attempt == 1 for row in bench.recipients().values()), "it cost nobody an attempt"
    print(  # noqa: T201 - the figures are what the test is for
        f"\n{size} at {rate} a second: {seconds:.1f} s, ideal {size / rate:.1f} s, {told['refused']} refused"
    )
    if FULL:  # what it takes in small depends on the machine; tests/limits/test_adaptive.py reckons it
        named = float(provider.get("http", {}).get("headers", {}).get("Retry-After", 0))
        assert seconds <= 1.3 * size / rate + named * told["refused"] + 4, "and the last sweeps"
    found = channel(bench).throttled_rate
    assert found is not None
    assert 0.4 * rate <= found <= 1.3 * rate


@pytest.mark.timeout(3600 if FULL else 300)
@pytest.mark.parametrize("server", ["answers as Postfix", "Postfix"])
def test_nobody_fails_where_mail_is_refused_for_now(bench: ProviderBench, server: str) -> None:
    """5 in a minute, else `450 4.7.1 Error: too much mail` to MAIL. 55 of 80 failed."""
    size, unit = (80, 60) if FULL else (20, 2)
    people = bench.people(size, domains=5)
    if server == "Postfix":
        if not is_installed():
            pytest.skip("Postfix is not installed (Debian: postfix), or it is not root who runs this")
        took = bench.postfix(messages=5, unit=unit)
    else:
        took = bench.provider(anvil=5, per=unit, over="450 4.7.1 Error: too much mail from 127.0.0.1")
    bench.activate(bench.campaign(max_attempts=1))
    began = time.monotonic()
    bench.run_until(bench.is_over, rounds=200_000)
    seconds, told = time.monotonic() - began, took()
    print(f"\n{server}: {size} at 5 in {unit} s: {seconds:.0f} s, {told['refused']} refused")  # noqa: T201
    assert {"success": size} == bench.statuses()
    assert all(row.attempt == 1 for row in bench.recipients().values()), "it cost nobody an attempt"
    assert Counter(people) == Counter(told["taken"])
    with bench.database.read() as session:
        assert not session.query(DomainThrottle).count(), "no domain is to blame"


@pytest.mark.parametrize(
    ("at", "over"),
    [
        ("mail", "452 4.3.1 Daily sending quota exceeded"),
        ("mail", "550 5.4.5 Daily user sending limit exceeded"),
        ("content", "454 Throttling failure: Daily message quota exceeded"),
    ],
)
def test_a_quota_waits_and_goes_on(bench: ProviderBench, at: str, over: str) -> None:
    """The channel says until when it expects to wait, tries now and then, and resumes. 1,200 of 1,500 failed."""
    size, quota = (1500, 300) if FULL else (40, 15)
    people = bench.people(size, domains=8)
    took = bench.provider(quota=quota, refusals=60, at=at, over=over)
    campaign = bench.campaign(max_attempts=1)
    bench.activate(campaign)
    bench.run_until(lambda: channel(bench).blocked_for == "quota")
    waits = bench.waiting(campaign)["quota"]
    assert waits.scope == "channel"
    assert waits.until is not None
    assert waits.since is not None
    assert over[4:] in waits.reason
    assert set(bench.statuses()) == {"success", "pending"}
    bench.run_until(bench.is_over, step=600)
    assert {"success": size} == bench.statuses()
    assert Counter(people) == Counter(took()["taken"])
    assert channel(bench).blocked_until is None


@pytest.mark.parametrize(
    ("at", "reply"),
    [
        ("mail", "553 5.7.1 <news@shop.example>: Sender address rejected: not owned by user mailer"),
        ("content", "550 5.7.26 This mail has been blocked because the sender is unauthenticated."),
        ("content", "550 5.7.515 Access denied, sending domain SHOP.EXAMPLE does not meet the requirements"),
    ],
)
def test_a_refused_sender_pauses_the_campaign(bench: ProviderBench, at: str, reply: str) -> None:
    """After a handful, with everybody pending and a reason that says what to mend. All failed within a second."""
    bench.people(60, domains=12)
    took = bench.provider(always=reply, at=at)
    campaign = bench.campaign(max_attempts=1)
    bench.activate(campaign)
    bench.run_until(lambda: bench.campaign_status(campaign) == "paused")
    assert {"pending": 60} == bench.statuses()
    told = bench.waiting(campaign)["sender_refused"]
    assert told.scope == "sender"
    assert reply[4:40] in told.reason
    assert told.reason != reply
    refused = took()["refused"]
    assert 1 <= refused <= 20
    bench.sweep_and_work()
    assert refused == took()["refused"], "nothing more is sent"


def test_one_recipient_that_is_refused_for_ever_holds_nobody_up(bench: ProviderBench) -> None:
    """421 to one RCPT, and the connection closed: others go first, and in the end it fails. Its job never ended."""
    people = bench.people(30, domains=3)
    took = bench.provider(poison="poison@d0.example")
    bench.entities(1, email="poison@d0.example")
    campaign = bench.campaign(max_attempts=3)
    bench.activate(campaign)
    bench.run_until(lambda: bench.statuses()["success"] == 30)
    assert Counter(people) == Counter(took()["taken"])
    assert channel(bench).throttled_at is None, "the channel is not slowed down"
    bench.run_until(bench.is_over, step=600)
    assert {"success": 30, "failed": 1} == bench.statuses()
    (failed,) = [row for row in bench.recipients().values() if row.automation_status == "failed"]
    assert ("SMTP_421", 3) == (failed.error_code, failed.attempt)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 403, "body": {"message": "Forbidden"}}, "permissions"),
        ({"status": 403, "body": {"error": "account_suspended"}}, "console"),
        ({"status": 404, "body": {"detail": "no route"}}, "URL"),
        (
            {"status": 422, "body": {"ErrorCode": 401, "Message": "Sender signature not confirmed"}},
            "Verify",
        ),
    ],
)
def test_an_api_that_refuses_everybody_pauses_the_campaign(
    bench: ProviderBench, answer: dict[str, Any], words: str
) -> None:
    """After a handful, with everybody pending and what to mend. All failed within a second."""
    bench.people(40, domains=8)
    took = bench.provider(always=True, http=answer)
    campaign = bench.campaign(max_attempts=1)
    bench.activate(campaign)
    bench.run_until(lambda: bench.campaign_status(campaign) == "paused")
    assert {"pending": 40} == bench.statuses()
    assert words in bench.waiting(campaign)["sender_refused"].reason
    assert 1 <= took()["refused"] <= 30


@pytest.mark.parametrize("status", [403, 404, 422, 500])
def test_an_api_that_refuses_one_recipient_fails_it_alone(bench: ProviderBench, status: int) -> None:
    """Whatever its status would mean, if it met everybody."""
    people = bench.people(30, domains=3)
    bench.entities(1, email="odd@d0.example")
    took = bench.provider(http={"status": status, "body": {"message": "no"}}, poison="odd@d0.example")
    campaign = bench.campaign(max_attempts=2)
    bench.activate(campaign)
    bench.run_until(bench.is_over, step=600)
    assert {"success": 30, "failed": 1} == bench.statuses()
    assert Counter(people) == Counter(took()["taken"])
    assert bench.campaign_status(campaign) != "paused"


def test_an_api_that_is_down_costs_nobody_an_attempt(bench: ProviderBench) -> None:
    """500 to everybody for a while: the breaker opens, and a few messages try."""
    people = bench.people(40, domains=8)
    took = bench.provider(quota=0, refusals=40, over="500", http={"status": 500, "body": {}})
    campaign = bench.campaign(max_attempts=1)
    bench.activate(campaign)
    bench.run_until(lambda: channel(bench).breaker_opened_at is not None)
    assert {"pending": 40} == bench.statuses()
    assert "breaker" in bench.waiting(campaign)
    bench.run_until(bench.is_over, step=60)
    assert {"success": 40} == bench.statuses()
    assert Counter(people) == Counter(took()["taken"])


def test_an_api_that_wants_to_be_paid_waits(bench: ProviderBench) -> None:
    """402, and 401 with the words of a quota: the channel waits, and says what for."""
    bench.people(20, domains=4)
    answer = {"status": 401, "body": {"errors": [{"message": "Maximum credits exceeded"}]}}
    bench.provider(quota=10, refusals=40, http=answer)
    campaign = bench.campaign(max_attempts=1)
    bench.activate(campaign)
    bench.run_until(lambda: channel(bench).blocked_for == "quota")
    assert "Maximum credits exceeded" in bench.waiting(campaign)["quota"].reason
    bench.run_until(bench.is_over, step=1800)
    assert {"success": 20} == bench.statuses()
