"""A provider that refuses an address for good while it is being sent to: nobody writes to it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from engine.channels.port import Delivered, Outcome, Rejected
from state.tables import Recipient, Suppression
from tests.delivery.conftest import bench

if TYPE_CHECKING:
    from engine.content.message import Message
    from tests.delivery.kit import Bench

__all__ = ["bench"]


def test_an_address_that_is_refused_for_good_is_not_tried_again(bench: Bench) -> None:
    bench.entities(12)

    def answer(message: Message) -> Outcome:
        number = int(message.address[1:].partition("@")[0])
        if number % 3:
            return Delivered()
        return Rejected("SMTP_550", "5.1.1 no such user", suppress="hard_bounce" if number % 2 else None)

    bench.channel.answer = answer
    bench.activate(bench.campaign())
    bench.run_out()
    assert {"success": 8, "failed": 4} == bench.statuses()
    with bench.database.read() as session:
        rows = session.execute(select(Suppression.medium, Suppression.address, Suppression.reason)).all()
    assert {("email", f"p{number}@example.com", "hard_bounce") for number in (3, 9)} == {
        tuple(row) for row in rows
    }
    bench.channel.journal.clear()
    second = bench.campaign()
    bench.activate(second)
    bench.run_out()
    assert {f"p{number}@example.com" for number in range(12) if number not in (3, 9)} == {
        message.address for message in bench.channel.journal
    }
    with bench.database.read() as session:
        excluded = session.execute(
            select(Recipient.error_code, Recipient.error_text).where(
                Recipient.campaign_id == second, Recipient.automation_status == "cancelled"
            )
        ).all()
    assert [("SUPPRESSED", "hard_bounce")] * 2 == [tuple(row) for row in excluded]


def test_when_the_message_was_taken_is_on_the_recipient(bench: Bench) -> None:
    bench.entities(3)
    at = bench.database.clock.now()
    bench.channel.answer = lambda message: (
        Delivered() if message.address.startswith("p0") else Rejected("SMTP_554", "no")
    )
    bench.activate(bench.campaign())
    bench.run_out()
    assert {at, None} == {row.sent_at for row in bench.recipients().values()}
