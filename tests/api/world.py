"""What API tests talk about: a campaign with a target, a flow, and recipients in any status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from engine.campaigns import campaigns, flows, templates
from engine.kernel.inputs import read
from state.tables import Campaign, Job, Recipient, Slice, Target

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.database import Database

FILTERS = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}


def make_target(session: Session, org_id: UUID, **values: Any) -> UUID:
    now = session.info["clock"].now()
    defaults = {"name": "everybody", "entity_schema": "contact", "entity_filters": FILTERS}
    target = Target(id=uuid4(), org_id=org_id, created_at=now, updated_at=now, **{**defaults, **values})
    session.add(target)
    session.flush()
    return target.id


def make_campaign(
    database: Database, org_id: UUID, *, flow: bool = True, target: bool = True, name: str = "spring"
) -> UUID:
    """A draft that may be activated."""
    with database.begin() as session:
        given: dict[str, Any] = {"name": name}
        if target:
            given["target_ids"] = [make_target(session, org_id)]
        if flow:
            template = templates.create_template(
                session, org_id, read(templates.TemplateInput, {"name": "t", "text": "Hello"})
            )
            touchpoints = [{"template_id": template.id}]
            given["flow_id"] = flows.create_flow(
                session, org_id, read(flows.FlowInput, {"name": "f", "touchpoints": touchpoints})
            ).id
        return campaigns.create_campaign(session, org_id, read(campaigns.CampaignInput, given)).id


def make_job(database: Database, org_id: UUID, campaign_id: UUID, **values: Any) -> UUID:
    """A job of the campaign, as if activation had made it."""
    now = database.clock.now()
    with database.begin() as session:
        job = Job(
            id=uuid4(),
            org_id=org_id,
            campaign_id=campaign_id,
            kind="activation",
            window=4,
            touched_at=now,
            created_at=now,
            updated_at=now,
            **{"status": "processing", "planned": True, "token": "t", **values},
        )
        session.add(job)
        session.flush()
        session.get_one(Campaign, campaign_id).job_id = job.id
        return job.id


def add_recipients(
    database: Database,
    org_id: UUID,
    campaign_id: UUID,
    statuses: list[str],
    *,
    ids: list[UUID] | None = None,
    **values: Any,
) -> list[UUID]:
    """Recipients in these statuses; their entity ids, in that order: `ids`, or new ones."""
    now = database.clock.now()
    ids = ids or [uuid4() for _ in statuses]
    with database.begin() as session:
        session.add_all(
            Recipient(
                org_id=org_id,
                campaign_id=campaign_id,
                entity_id=entity_id,
                entity_schema="contact",
                automation_status=status,
                execution_id=None if status == "pending" else uuid4(),
                created_at=now,
                updated_at=now,
                **{"title": f"Person {index}", "attempt": 1, **values},
            )
            for index, (entity_id, status) in enumerate(zip(ids, statuses, strict=True))
        )
        planned = values.get("slice_number") is not None
        if planned and session.get(Slice, (values["job_id"], values["slice_number"])) is None:
            counts = {status: statuses.count(status) for status in ("success", "failed", "cancelled")}
            session.add(
                Slice(
                    org_id=org_id,
                    campaign_id=campaign_id,
                    job_id=values["job_id"],
                    number=values["slice_number"],
                    state="done",
                    size=len(ids),
                    due_at=now,
                    **counts,
                    **{f"{status}_folded": count for status, count in counts.items()},
                )
            )
    return ids
