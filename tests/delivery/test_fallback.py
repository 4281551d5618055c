"""While a channel is down or out of quota, another of its medium sends: to nobody whose outcome is in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from engine.campaigns.channels import (
    ChannelChange,
    ChannelInput,
    create_channel,
    delete_channel,
    update_channel,
)
from engine.channels.port import Delivered, Doubtful, Down, Throttled
from engine.insight.waiting import situation_of, waiting_of
from engine.kernel.inputs import Invalid
from engine.kernel.secrets import Secrets
from state.tables import Campaign, Channel

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from engine.channels.port import Outcome
    from engine.content.message import Message
    from tests.delivery.kit import Bench

DOWN = Down("SMTP_UNREACHABLE", "nobody there")
QUOTA = Throttled("SMTP_452", "daily quota exceeded", 600, quota=True)


def fall_back(bench: Bench) -> UUID:
    """Give the campaign's channel a fallback; returns that one's id."""
    other = bench.second_channel()
    with bench.database.begin() as session:
        (own,) = session.query(Channel).where(Channel.id != other)
        own.fallback_channel_id = other
    return other


def doubts_two_then(later: Outcome) -> tuple[list[UUID], Callable[[Message], Outcome]]:
    """Answers that leave the first two in doubt, and who they are."""
    doubted: list[UUID] = []

    def answer(message: Message) -> Outcome:
        if len(doubted) < 2:
            doubted.append(message.entity_id)
            return Doubtful("SMTP_TIMEOUT", "no answer")
        return later

    return doubted, answer


@pytest.mark.parametrize("trouble", [DOWN, QUOTA], ids=["down", "out of quota"])
def test_another_channel_sends_meanwhile_and_the_first_takes_over_again(bench: Bench, trouble: Any) -> None:
    people = bench.entities(60)
    campaign = bench.campaign(max_attempts=1)
    other = bench.senders.others[fall_back(bench)]
    bench.channel.answer = lambda _: trouble
    bench.activate(campaign)
    while len(other.journal) < 20:
        assert bench.work(most=1), "it goes on at once"
    with bench.database.read() as session:
        told = waiting_of(session, situation_of(session, session.get_one(Campaign, campaign)))
    (waits,) = [one for one in told if one.code in ("breaker", "quota")]
    assert not waits.stops_all
    assert "sends meanwhile" in waits.reason
    bench.channel.answer = lambda _: Delivered()
    before = len(bench.channel.journal)
    bench.clock.forward(hours=2)
    bench.run_out(step=60)
    assert {"success": 60} == bench.statuses()
    assert len(bench.channel.journal) > before, "the first is tried, and takes over"
    sent = other.sent() + bench.channel.sent()
    assert set(people) == set(sent)


def test_whoever_is_in_doubt_waits_for_the_channel_itself(bench: Bench) -> None:
    bench.entities(20)
    campaign = bench.campaign()
    other = bench.senders.others[fall_back(bench)]
    doubted, answer = doubts_two_then(DOWN)
    bench.channel.answer = answer
    bench.activate(campaign)
    bench.work()
    for _ in range(5):
        bench.clock.forward(seconds=61)
        bench.sweep_and_work()
    assert {"success": 18, "pending": 2} == bench.statuses()
    assert not set(doubted) & set(other.sent())
    bench.channel.answer = lambda _: Delivered()
    bench.run_out()
    assert {"success": 20} == bench.statuses()
    assert not set(doubted) & set(other.sent())


def test_who_is_in_doubt_over_the_fallback_is_left_to_a_person(bench: Bench) -> None:
    bench.entities(20)
    campaign = bench.campaign()
    other = bench.senders.others[fall_back(bench)]
    doubted, answer = doubts_two_then(Delivered())
    bench.channel.answer, other.answer = lambda _: DOWN, answer
    bench.activate(campaign)
    bench.work()
    bench.channel.answer = lambda _: Delivered()
    bench.run_out()
    assert {"success": 18, "failed": 2} == bench.statuses()
    assert {"OUTCOME_UNKNOWN"} == {bench.recipients()[one].error_code for one in doubted}
    assert not set(doubted) & set(bench.channel.sent())


def test_who_was_in_flight_over_the_fallback_is_left_to_a_person(bench: Bench) -> None:
    bench.entities(4)
    campaign = bench.campaign()
    fall_back(bench)
    bench.channel.answer = lambda _: DOWN
    bench.activate(campaign)
    bench.crash_at("wave.sent")
    bench.channel.answer = lambda _: Delivered()
    bench.run_out()
    assert {"failed"} == set(bench.statuses())


def test_where_both_are_down_the_job_waits(bench: Bench) -> None:
    bench.entities(10)
    campaign = bench.campaign()
    other = bench.senders.others[fall_back(bench)]
    bench.channel.answer = other.answer = lambda _: DOWN
    job = bench.activate(campaign)
    bench.work()
    assert bench.job(job).waits_until is not None
    other.answer = lambda _: Delivered()
    bench.run_out(step=30)
    assert {"success": 10} == bench.statuses()


def test_a_fallback_is_another_channel_of_the_same_medium(bench: Bench, tmp_path: Any) -> None:
    secrets = Secrets.of(bench.settings)
    mail = {"host": "mail.example.com", "from_email": "a@example.com"}
    with bench.runtime.transaction() as session:

        def make(**given: Any) -> Channel:
            return create_channel(session, bench.org_id, ChannelInput.model_validate(given), secrets)

        first, second = (make(name=name, kind="smtp", settings=mail) for name in "ab")
        portal = make(name="c", kind="portal")
        for wrong, words in ((first.id, "itself"), (uuid4(), "there is no"), (portal.id, "another medium")):
            change = ChannelChange.model_validate({"fallback_channel_id": str(wrong)})
            with pytest.raises(Invalid, match=f"fallback_channel_id.*{words}"):
                update_channel(session, bench.org_id, first.id, change, secrets)
        change = ChannelChange.model_validate({"fallback_channel_id": str(second.id)})
        changed = update_channel(session, bench.org_id, first.id, change, secrets)
        assert second.id == changed.fallback_channel_id
        delete_channel(session, bench.org_id, second.id)
        session.refresh(first)
        assert first.fallback_channel_id is None
