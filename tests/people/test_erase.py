"""A person is exported and erased: nothing that says who they are is left anywhere, and every count stays true."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import JSON, LargeBinary, String, Text, select

from engine.audience.entities import upsert_entity
from engine.authentication.api_keys import create_key
from engine.channels.port import Delivered, Rejected
from engine.delivery.sender import Senders
from engine.engagement.engagement import Medium
from engine.engagement.feedback import Feedback, take_feedback
from engine.engagement.suppression import Barred, Organization, bar, suppressed
from engine.events.outbox import record, record_recipients
from engine.insight.email import email_stats
from engine.insight.progress import campaign_progress
from engine.insight.statistics import statistics
from engine.insight.summary import job_status
from engine.kernel.media import AddressMedium
from engine.kernel.runtime import Runtime
from engine.people import erase, shared
from engine.people.erase import AGAIN, begin_erasure, find_erasure, go_on, go_on_with_due
from engine.people.export import export_person
from engine.people.shared import SHARED
from state.errors import NotFound
from state.tables import (
    ApiKey,
    Attempt,
    AuditRecord,
    Base,
    Campaign,
    Channel,
    DomainThrottle,
    DryRun,
    Engagement,
    Entity,
    Erasure,
    Event,
    Execution,
    IdempotencyKey,
    Job,
    Recipient,
    Suppression,
    Target,
    TargetKey,
    Template,
    Webhook,
    WebhookDelivery,
)
from state.tables import Organization as OrganizationRow
from tests.conftest import missing_service

if TYPE_CHECKING:
    from pathlib import Path

    from state.database import Database
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench

EMAIL, NAME, PHONE, WRITTEN = "Ada.Lovelace@Example.com", "Ada Lovelace", "+4915112345678", "0151 12345678"
KEY = "customer-ada-1815"
#: What must not be found, whatever its case.
TEXTS = (
    "ada.lovelace@example.com",
    "ada lovelace",
    "4915112345678",
    "0151 12345678",
    "analytical engine",
    KEY,
)


def ada(bench: Bench) -> UUID:
    """Somebody who is known in many ways."""
    with bench.runtime.transaction() as session:
        body = {
            "external_id": KEY, "title": NAME, "email": EMAIL, "phone": PHONE, "mobile": WRITTEN,
            "first_name": "Ada", "last_name": "Lovelace", "interests": "the analytical engine",
        }  # fmt: skip
        return upsert_entity(session, bench.org_id, "contact", body)[0].id


def dump(database: Database, folder: Path) -> bytes:
    """Every byte that a copy of the database holds."""
    if database.dialect.name != "postgresql":
        return b"".join(path.read_bytes() for path in sorted(folder.glob("muster.db*")))
    if shutil.which("pg_dump") is None:
        missing_service("pg_dump", "it is not on the path")
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(["pg_dump", "--inserts", url], capture_output=True, check=True)
    return done.stdout


def found_in(text: bytes) -> list[str]:
    """Which of the person's texts stand there, in any case."""
    lower = text.lower()
    return [one for one in TEXTS if one.encode() in lower]


def erased(bench: Bench, entity_id: UUID) -> str:
    """Erase somebody, up to where the first look ends."""
    bench.runtime.open_keys()
    with bench.runtime.transaction() as session:
        erasure = begin_erasure(
            session, bench.org_id, "contact", entity_id, by="key:1", secrets=bench.runtime.secrets
        )
    return go_on(bench.runtime, erasure.id)


def state_of(bench: Bench, entity_id: UUID) -> Erasure:
    with bench.database.read() as session:
        return find_erasure(session, bench.org_id, entity_id)


def figures(bench: Bench, campaign_id: UUID) -> list[Any]:
    with bench.database.read() as session:
        of_campaign = (session, bench.org_id, campaign_id)
        return [
            campaign_progress(*of_campaign),
            statistics(*of_campaign),
            email_stats(*of_campaign),
            job_status(*of_campaign),
        ]


def told_everywhere(bench: Bench, campaign_id: UUID, entity_id: UUID) -> None:
    """Put the person wherever a row can hold them."""
    now, org_id = bench.database.clock.now(), bench.org_id
    sentence = f"550 5.1.1 <{EMAIL}>: no such user, {NAME}, {PHONE}"
    with bench.runtime.transaction() as session:
        recipient = session.get_one(Recipient, (campaign_id, entity_id))
        recipient.error_text, recipient.portal_state = sentence, {"note": sentence}
        recipient.execution_alias, recipient.analysis = EMAIL, {"transcript_summary": sentence}
        recipient.stage, recipient.contact_keys = "new", [["email", EMAIL.lower()]]
        shown = {"org_id": org_id, "campaign_id": campaign_id}
        session.add_all(
            [
                TargetKey(**shown, kind="email", value=EMAIL.lower(), holders=1),
                Execution(
                    id=uuid4(), **shown, entity_id=entity_id, status="failed", attempt=1, ended_at=now,
                    error_text=sentence,
                ),
                Attempt(
                    **shown, entity_id=entity_id, execution_id=uuid4(), number=1, answered_at=now,
                    error_text=sentence,
                ),
                DryRun(
                    **shown, touched_at=now, error=sentence,
                    findings={"NO_ADDRESS": {"message": sentence, "recipients": [str(entity_id)]}},
                    created_at=now, updated_at=now,
                ),
                IdempotencyKey(
                    org_id=org_id, key=f"signup {EMAIL}", fingerprint=b"f", status=201, created_at=now, answer=b"{}",
                ),
                IdempotencyKey(
                    org_id=org_id, key="k", fingerprint=b"f", status=201, created_at=now,
                    answer=json.dumps({"_id": str(entity_id), "email": EMAIL, "city": "analytical engine"}).encode(),
                ),
                Target(
                    org_id=org_id, name="only her", entity_schema="contact", created_at=now, updated_at=now,
                    entity_filters={"filter": {"items": [{"key": "email", "operator": "EQUALS", "value": EMAIL}]}},
                ),
                AuditRecord(
                    org_id=org_id, at=now, operation="o", author="key:1", role="admin",
                    changes=[{"kind": "entity", "id": str(entity_id), "action": "update", "after": {"name": NAME}}],
                ),
            ]
        )  # fmt: skip
        record_recipients(
            session, org_id, "recipient.failed", campaign_id=campaign_id,
            recipients=[
                {"recipient_id": str(entity_id), "error_code": "SMTP_550", "error": sentence},
                {"recipient_id": str(uuid4()), "error_code": "SMTP_550", "error": "another's"},
            ],
        )  # fmt: skip
        record(session, org_id, "campaign.failed", campaign_id=campaign_id, reason=sentence)
        channel = session.scalars(select(Channel).where(Channel.org_id == org_id)).first()
        assert channel is not None
        channel.blocked_reason = sentence
        session.add(
            DomainThrottle(
                org_id=org_id, channel_id=channel.id, domain="example.com", throttled_at=now,
                throttled_until=now, rate=1.0, reason=sentence,
            )
        )  # fmt: skip
        webhook = Webhook(
            id=uuid4(), org_id=org_id, url="https://a.example", events=["*"], secret=b"", created_at=now,
            updated_at=now, active=False,
        )  # fmt: skip
        session.add(webhook)
        session.flush()
        session.add(
            WebhookDelivery(
                org_id=org_id, webhook_id=webhook.id, campaign_id=campaign_id, event_id=1, event="e",
                state="dead", error=sentence, created_at=now,
            )
        )  # fmt: skip
        for job in session.scalars(select(Job).where(Job.org_id == org_id)):
            job.error = sentence
        session.get_one(Campaign, campaign_id).audience = {"filters": [f"email = {EMAIL}"]}
        bar(session, org_id, [Barred(AddressMedium.EMAIL, EMAIL.lower(), "unsubscribe")])
        take_feedback(
            session,
            org_id,
            [
                Feedback(campaign_id=campaign_id, entity_id=entity_id, kind="opened", at=now),
                Feedback(
                    campaign_id=campaign_id, entity_id=entity_id, kind="clicked", at=now,
                    url=f"https://shop.example/?who={EMAIL}",
                ),
                Feedback(
                    campaign_id=campaign_id, entity_id=entity_id, kind="bounced", at=now, reason=sentence,
                    raw={"recipient": EMAIL},
                ),
            ],
        )  # fmt: skip


def delivered(bench: Bench, folder: Path, form: str, count: int) -> tuple[UUID, UUID]:
    """Send a campaign to so many people, Ada among them, over a `file` channel; the campaign's id, and hers."""
    bench.settings = bench.settings.model_copy(
        update={"slice_size": 500, "wave_size": 100, "data_dir": folder}
    )
    bench.runtime = Runtime(bench.settings, database=bench.database, wakeups=bench.wakeups)
    bench.runtime.open_keys()
    with bench.database.begin() as session:
        session.get_one(OrganizationRow, bench.org_id).region = "DE"
    bench.entities(count - 1)
    entity_id = ada(bench)
    campaign_id = bench.campaign()
    with bench.database.begin() as session:
        for channel in session.scalars(select(Channel)):
            channel.kind, channel.settings = "file", {"format": form}
        for template in session.scalars(select(Template)):
            template.text = "Dear {{ first_name }} {{ last_name }}, call {{ phone }}"
    bench.senders = Senders(bench.settings, bench.loop, bench.database)  # type: ignore[assignment]
    bench.executor = bench.new_executor()
    bench.activate(campaign_id)
    bench.work()
    return campaign_id, entity_id


@pytest.mark.parametrize(("form", "count"), [("jsonl", 10_000), ("eml", 100)])
def test_one_of_ten_thousand_is_exported_and_erased(
    bench: Bench, tmp_path: Path, form: str, count: int, request: pytest.FixtureRequest
) -> None:
    campaign_id, entity_id = delivered(bench, tmp_path, form, count)
    request.addfinalizer(bench.senders.close)
    told_everywhere(bench, campaign_id, entity_id)

    exported = json.loads(b"".join(export_person(bench.database, bench.org_id, "contact", entity_id)))
    assert exported["entity"]["email"] == EMAIL
    assert [{"id": str(campaign_id), "name": "c"}] == [one["campaign"] for one in exported["campaigns"]]
    (there,) = exported["campaigns"]
    assert ("success", NAME) == (there["automation_status"], there["title"])
    assert ["read", "clicked", "bounced"] == [one["kind"] for one in there["engagement"]]
    assert (1, 1) == (len(there["executions"]), len(there["earlier_attempts"]))
    assert [{"reason": "unsubscribe"}] == [{"reason": one["reason"]} for one in exported["suppressions"]]

    before = figures(bench, campaign_id)
    outbox = tmp_path / "outbox"
    written = {path: path.read_bytes() for path in outbox.rglob("*") if path.is_file()}
    lines = b"".join(written.values()).count(b"\n")
    assert set(TEXTS) - {"analytical engine", KEY, "0151 12345678"} <= set(
        found_in(dump(bench.database, tmp_path))
    )

    assert "erased" == erased(bench, entity_id)
    assert [] == found_in(dump(bench.database, tmp_path))
    left = {path: path.read_bytes() for path in outbox.rglob("*") if path.is_file()}
    assert [] == found_in(b"".join(left.values()))
    if form == "jsonl":
        assert lines == b"".join(left.values()).count(b"\n")
        assert {path: len(text) for path, text in written.items()} == {
            path: len(text) for path, text in left.items()
        }
    else:
        assert len(written) - 1 == len(left)
    assert before == figures(bench, campaign_id)

    bench.clock.forward(seconds=AGAIN.total_seconds())
    bench.sweep_and_work()
    proof = state_of(bench, entity_id)
    assert ("done", None, "key:1") == (proof.state, proof.person, proof.asked_by)
    assert [] == found_in(dump(bench.database, tmp_path))
    with bench.database.read() as session:
        names = session.scalars(select(Event.name).where(Event.name == "person.erased")).all()
        (failed,) = session.scalars(select(Event.data).where(Event.name == "recipient.failed"))
    assert ["person.erased"] == names
    assert {"recipient_id": str(entity_id), "error_code": "SMTP_550"} == failed["recipients"][0]
    assert "another's" == failed["recipients"][1]["error"]


def test_who_was_erased_and_comes_back_is_not_written_to(bench: Bench) -> None:
    bench.campaign()
    entity_id = ada(bench)
    with bench.database.begin() as session:
        session.get_one(OrganizationRow, bench.org_id).region = "DE"
    erased(bench, entity_id)
    back = ada(bench)
    assert back != entity_id
    with bench.database.read() as session:
        campaign_id = session.scalars(select(Campaign.id)).one()
    bench.activate(campaign_id)
    bench.work()
    assert [] == bench.channel.journal
    row = bench.recipients()[back]
    assert ("cancelled", "SUPPRESSED") == (row.automation_status, row.error_code)
    assert EMAIL.lower() not in (row.error_text or "")
    with bench.runtime.transaction() as session:
        whose = Organization(bench.org_id)
        phones = suppressed(session, whose, AddressMedium.PHONE, [PHONE, "+4915112345679"])
        assert set() == bar(
            session, bench.org_id, [Barred(AddressMedium.EMAIL, EMAIL.lower(), "hard_bounce")]
        )
        others = suppressed(session, Organization(uuid4()), AddressMedium.PHONE, [PHONE])
    assert ({PHONE: "erased"}, {}) == (phones, others)
    with bench.database.read() as session:
        kept = session.scalars(select(Suppression.address)).all()
    assert all(address.startswith("erased:") for address in kept)


def test_who_waits_for_their_turn_is_not_written_to(bench: Bench) -> None:
    entity_id = ada(bench)
    campaign_id = bench.campaign()
    bench.activate(campaign_id)
    bench.work(most=1)  # planned
    erased(bench, entity_id)
    bench.run_out()
    assert [] == bench.channel.journal
    assert "cancelled" == bench.recipients()[entity_id].automation_status


def test_what_was_on_the_wire_is_found_by_the_last_look(bench: Bench, clock: ManualClock) -> None:
    entity_id = ada(bench)
    campaign_id = bench.campaign()
    bench.activate(campaign_id)

    def refuse(_: object) -> Rejected:
        erased(bench, entity_id)
        return Rejected("SMTP_550", f"550 <{EMAIL}> unknown")

    bench.channel.answer = refuse
    bench.work()
    row = bench.recipients()[entity_id]
    assert ("failed", "SMTP_550") == (row.automation_status, row.error_code)
    clock.forward(seconds=AGAIN.total_seconds())
    go_on_with_due(bench.runtime, within=AGAIN)
    assert ("done", None) == (state_of(bench, entity_id).state, bench.recipients()[entity_id].error_text)


def test_what_is_reported_afterwards_is_counted_without_its_texts(bench: Bench, clock: ManualClock) -> None:
    entity_id = ada(bench)
    campaign_id = bench.campaign()
    bench.channel.answer = lambda _: Delivered()
    bench.activate(campaign_id)
    bench.work()
    erased(bench, entity_id)
    with bench.runtime.transaction() as session:
        report = Feedback(
            campaign_id=campaign_id, entity_id=entity_id, kind="bounced", at=clock.now(),
            reason=f"550 <{EMAIL}>", raw={"recipient": EMAIL}, channel=Medium.EMAIL,
        )  # fmt: skip
        assert [report] == take_feedback(session, bench.org_id, [report])
    row = bench.recipients()[entity_id]
    assert ("bounced", {}) == (row.email_status, row.email_feedback)
    with bench.database.read() as session:
        assert [("bounced", None)] == [(one.kind, one.data) for one in session.scalars(select(Engagement))]


def test_large_ones_are_done_in_slices_and_gone_on_with(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "_CAMPAIGNS", 2)
    monkeypatch.setattr(shared, "_NUMBERS", 2)
    monkeypatch.setattr(shared, "_ROWS", 1)
    entity_id = ada(bench)
    campaigns = [bench.campaign() for _ in range(5)]
    for campaign_id in campaigns:
        bench.activate(campaign_id)
    bench.work()
    with bench.runtime.transaction() as session:
        for _ in range(7):
            record(session, bench.org_id, "campaign.failed", reason=f"of {EMAIL}")
        for number in range(3):
            session.add(
                IdempotencyKey(
                    org_id=bench.org_id, key=str(number), fingerprint=b"", answer=EMAIL.encode(), status=200,
                    created_at=bench.database.clock.now(),
                )
            )  # fmt: skip
    bench.runtime.open_keys()
    with bench.runtime.transaction() as session:
        erasure_id = begin_erasure(
            session, bench.org_id, "contact", entity_id, by="cli:x", secrets=bench.runtime.secrets
        ).id
    rounds = 1
    while go_on(bench.runtime, erasure_id, until_done=lambda: True) == "running":
        rounds += 1
    assert rounds > 10
    with bench.database.read() as session:
        assert EMAIL not in repr([one.data for one in session.scalars(select(Event))])
        assert [b""] * 3 == session.scalars(select(IdempotencyKey.answer)).all()
        assert [""] * 5 == session.scalars(select(Recipient.title)).all()
    assert {"campaigns": 5, "event": 7, "idempotency_key": 3}.items() <= state_of(
        bench, entity_id
    ).counts.items()


def test_others_are_left_alone(bench: Bench) -> None:
    entity_id, other = ada(bench), bench.entities(1)[0]
    with bench.runtime.transaction() as session:
        stranger = create_key(session, bench.org_id, "k", "admin")[0].id
    campaign_id = bench.campaign()
    bench.activate(campaign_id)
    bench.work()
    erased(bench, entity_id)
    with bench.database.read() as session:
        assert "Person 0" == session.get_one(Entity, other).title
        assert "k" == session.get_one(ApiKey, stranger).name
    assert "Person 0" == bench.recipients()[other].title
    with pytest.raises(NotFound), bench.runtime.transaction() as session:
        begin_erasure(session, bench.org_id, "contact", uuid4(), by="x", secrets=bench.runtime.secrets)


#: Columns of texts that say nothing of a person, and why.
SAYS_NOTHING = {
    "what the organization's own people write": {
        "api_key.name", "audit_record.author", "audit_record.operation", "campaign.budget", "campaign.created_by",
        "campaign.description", "campaign.extras", "campaign.first_contact", "campaign.goal", "campaign.goals",
        "campaign.name", "campaign.next_best_action", "campaign.paused_by", "campaign.strategy", "channel.name",
        "channel.settings", "experiment.name", "flow.name", "organization.name", "picture.content",
        "picture.content_type", "picture.digest", "picture.name", "portal.domain", "portal.extras",
        "portal.name", "product_recommendation.name", "product_recommendation.offers", "target.description",
        "target.name", "template.data", "template.defaults", "template.extras", "template.headers", "template.html",
        "template.language_attribute", "template.mjml", "template.name", "template.sender", "template.subject",
        "template.text", "template.translations", "template_attachment.content", "template_attachment.content_id",
        "template_attachment.content_type", "template_attachment.filename", "touchpoint.content",
        "topic.description", "topic.name",
        "touchpoint.description", "touchpoint.extras", "touchpoint.name", "touchpoint.settings",
        "touchpoint.variants", "webhook.description", "webhook.events", "webhook.url", "widget.extras",
        "widget.headline",
    },
    "ids, words and numbers of Muster's own": {
        "audit_record.request_id", "campaign.carried", "campaign.limits", "campaign.returns_seen",
        "campaign.target_ids", "campaign.tracking", "channel.limits", "channel.tracking", "erasure.asked_by",
        "erasure.checkpoint", "erasure.counts", "idempotency_key.fingerprint", "idempotency_key.headers",
        "job.checkpoint", "job.target_ids", "organization.limits", "slice.lease_owner", "dry_run.checkpoint",
        "chore_run.error", "experiment.result", "process.host", "browser_session.agent",
        "browser_session.name", "browser_session.subject", "api_key.networks",
    },
    "ids that providers choose": {"engagement.event_id", "taken_event.event_id"},
    "encrypted, or digests": {
        "api_key.digest", "browser_session.digest", "sign_in_code.digest",
        "channel.credentials", "erasure.person", "sealed_key.sealed", "webhook.previous_secret",
        "webhook.secret",
    },
    "a mail domain, of many people": {"domain_throttle.domain"},
}  # fmt: skip
#: Those that are the person's alone, and go with the row or are cleared.
OWN = {
    "entity.attributes", "entity.external_id", "entity.title", "suppression.address", "target_key.value",
    "topic_opt_out.address",
    *(f"{table.__tablename__}.{name}" for table, values in erase._CLEARED.items() for name in values),
}  # fmt: skip


def test_every_column_of_texts_is_accounted_for() -> None:
    """A new column that can hold a text is cleared, redacted, or says nothing of a person."""
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Text | JSON | LargeBinary)
        or (isinstance(column.type, String) and (column.type.length or 999) > 64)
    }
    redacted = {
        f"{one.table.__tablename__}.{name}" for one in SHARED for name in (*one.columns, one.chosen) if name
    }
    nothing = set().union(*SAYS_NOTHING.values())
    assert set() == columns - OWN - redacted - nothing
    assert set() == (OWN | redacted) & nothing
