"""What is older than its kind is kept is removed, in slices, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import func, select

from engine.channels.port import Delivered, Rejected
from engine.delivery.retrigger import retrigger_failed
from engine.engagement.feedback import Feedback, take_feedback
from engine.people import retention
from engine.people.retention import PAUSE, Retention
from state.tables import AuditRecord, DryRun, Engagement, Execution, FormerEntity, Recipient
from tests.people.test_erase import figures

if TYPE_CHECKING:
    from uuid import UUID

    import pytest

    from engine.engagement.feedback import FeedbackKind
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench


def add(bench: Bench, count: int) -> None:
    now, org_id = bench.database.clock.now(), bench.org_id
    campaign_id = bench.campaign()
    with bench.database.begin() as session:
        for _ in range(count):
            shown: dict[str, Any] = {"org_id": org_id}
            session.add_all(
                [
                    AuditRecord(**shown, at=now, operation="o", author="a", role="admin", changes=[]),
                    FormerEntity(**shown, digest=uuid4().hex, entity_id=uuid4(), deleted_at=now),
                    DryRun(
                        **shown, campaign_id=campaign_id, touched_at=now, created_at=now, updated_at=now,
                        finished_at=now, status="completed",
                    ),
                ]
            )  # fmt: skip


def left(bench: Bench) -> list[int]:
    with bench.database.read() as session:
        return [
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (AuditRecord, FormerEntity, DryRun)
        ]


def test_what_is_old_goes_in_slices_and_the_rest_stays(
    bench: Bench, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE", 2)
    add(bench, 5)
    clock.forward(days=31)
    add(bench, 1)
    with bench.database.begin() as session:  # one that runs is never old
        session.scalars(select(DryRun).order_by(DryRun.created_at)).first().finished_at = None  # type: ignore[union-attr]
    kept = Retention()
    assert {} == kept.forget(bench.runtime)
    days = {"retention_audit_days": 30, "retention_former_days": 30, "retention_dry_run_days": 30}
    bench.runtime.settings = bench.settings.model_copy(update=days)
    assert {"audit": 2, "former_people": 2, "dry_runs": 2} == kept.forget(bench.runtime)
    assert {"audit": 2, "former_people": 2, "dry_runs": 2} == kept.forget(bench.runtime)
    assert {"audit": 1, "former_people": 1} == kept.forget(bench.runtime)
    assert [1, 1, 2] == left(bench)
    clock.forward(days=31)
    bench.sweep_and_work()
    assert [0, 0, 1] == left(bench)
    assert PAUSE


SENTENCE = "550 5.1.1 <ada@example.com>: no such user"


def tell(bench: Bench, campaign_id: UUID) -> None:
    """Something in words about each recipient of a campaign."""
    now, shown = bench.database.clock.now(), {"org_id": bench.org_id, "campaign_id": campaign_id}
    with bench.runtime.transaction() as session:
        people = session.scalars(select(Recipient).where(Recipient.campaign_id == campaign_id)).all()
        for row in people:
            row.title, row.portal_state = SENTENCE, {"note": SENTENCE}
            session.add(
                Execution(
                    id=uuid4(), **shown, entity_id=row.entity_id, status="failed", attempt=1, ended_at=now,
                    error_text=SENTENCE,
                )
            )  # fmt: skip
        session.flush()
        outcomes: list[tuple[FeedbackKind, str | None]] = [
            ("clicked", f"https://shop.example/?who={SENTENCE}"),
            ("bounced", None),
        ]
        reports = [
            Feedback(
                campaign_id=campaign_id, entity_id=row.entity_id, kind=kind, at=now, url=url, reason=SENTENCE
            )
            for row in people
            for kind, url in outcomes
        ]
        take_feedback(session, bench.org_id, reports)


def told(bench: Bench, campaign_id: UUID) -> set[int]:
    """How many rows of each kind still say something."""
    with bench.database.read() as session:
        return {
            sum("ada@example.com" in repr(list(row)) for row in session.execute(select(*columns, table.campaign_id)
                .where(table.campaign_id == campaign_id)))
            for table, columns in (
                (Recipient, (Recipient.title, Recipient.portal_state, Recipient.email_feedback)),
                (Execution, (Execution.error_text,)),
            )
        } | {
            session.execute(
                select(func.count()).where(Engagement.campaign_id == campaign_id, Engagement.data.is_not(None))
            ).scalar_one() // 2
        }  # fmt: skip


def test_texts_about_recipients_go_when_their_campaign_is_long_over(
    bench: Bench, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is counted stays. A campaign that runs again keeps its texts, until it is over once more."""
    monkeypatch.setattr(retention, "SLICE", 2)
    bench.runtime.settings = bench.settings.model_copy(update={"retention_recipient_days": 30})
    people = bench.entities(5)
    over, again = bench.campaign(), bench.campaign()
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", SENTENCE)
        if (message.campaign_id, message.entity_id) == (again, people[0])
        else Delivered()
    )
    for campaign_id in (over, again):
        bench.activate(campaign_id)
        bench.work()
        tell(bench, campaign_id)
    before = figures(bench, over)
    kept = Retention()
    assert {} == kept.forget(bench.runtime)
    clock.forward(days=31)
    with bench.runtime.transaction() as session:
        retrigger_failed(session, bench.org_id, again, window=4, slice_size=10)
    slices = [kept.forget(bench.runtime).get("recipients", 0) for _ in range(5)]
    assert [2, 2, 1, 0, 0] == slices
    assert {0} == told(bench, over)
    assert 0 not in told(bench, again)
    assert before == figures(bench, over)
    bench.work()
    for days, gone in ((29, False), (2, True)):
        clock.forward(days=days)
        for _ in range(4):
            kept.forget(bench.runtime)
        assert gone == (told(bench, again) == {0})
    assert before == figures(bench, over)
