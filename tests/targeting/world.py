"""A campaign, its recipients and what they may be asked, over the API and beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import func, select

from engine.insight.progress import campaign_progress
from engine.kernel.secrets import Secrets, channel_place
from state.tables import Campaign, Channel, Engagement, EngagementHour, Recipient
from tests.api.world import add_recipients, make_campaign, make_job, make_target

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

AUTOMATION = ("pending", "in_progress", "success", "failed", "cancelled")
PORTAL = ("sent", "seen", "dismissed", "clicked")


def equals(key: str, value: str) -> dict[str, Any]:
    """Filters for one attribute."""
    return {"filter": {"items": [{"key": key, "operator": "EQUALS", "value": value}], "combination": "AND"}}


def only(answer: httpx.Response, status: int, *fields: str) -> dict[str, Any]:
    """The answer's body, which has this status and exactly these fields."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert sorted(fields) == sorted(body)
    return body


@dataclass
class World:
    """One organization's."""

    api: Api
    client: httpx.Client

    def campaign(self, **values: Any) -> UUID:
        """A draft with a flow and a target."""
        return make_campaign(self.api.database, self.api.org_id, **values)

    def job(self, campaign_id: UUID, **values: Any) -> UUID:
        return make_job(self.api.database, self.api.org_id, campaign_id, **values)

    def recipients(self, campaign_id: UUID, *statuses: str | None, **values: Any) -> list[UUID]:
        found = [status or "" for status in statuses]
        made = add_recipients(self.api.database, self.api.org_id, campaign_id, found, **values)
        with self.api.database.begin() as session:
            for entity_id, status in zip(made, statuses, strict=True):
                if status is None:
                    row = session.get_one(Recipient, (campaign_id, entity_id))
                    row.automation_status = row.execution_id = None
        return made

    def row(self, campaign_id: UUID, entity_id: UUID) -> Recipient:
        with self.api.database.read() as session:
            return session.get_one(Recipient, (campaign_id, entity_id))

    def set_campaign(self, campaign_id: UUID, **values: Any) -> None:
        with self.api.database.begin() as session:
            row = session.get_one(Campaign, campaign_id)
            for name, value in values.items():
                setattr(row, name, value)

    def target(self, **values: Any) -> UUID:
        with self.api.database.begin() as session:
            return make_target(session, self.api.org_id, **values)

    def channel(self, kind: str, **values: Any) -> UUID:
        now = self.api.database.clock.now()
        channel_id = uuid4()
        if (credentials := values.pop("credentials", None)) is not None:
            secrets = Secrets.of(self.api.runtime.settings)
            values["credentials"] = secrets.seal(credentials, channel_place(channel_id))
        with self.api.database.begin() as session:
            row = Channel(
                id=channel_id, org_id=self.api.org_id, name=kind, kind=kind, doubt_policy="resend",
                created_at=now, updated_at=now, **values,
            )  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

    def entity(self, schema: str = "contact", **attributes: Any) -> str:
        answer = self.client.post(f"/v1/entity/{schema}", json=attributes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["_id"])

    def log(self, campaign_id: UUID) -> list[tuple[str, str]]:
        """What the engagement log holds of a campaign, in order."""
        with self.api.database.read() as session:
            return [
                (row.channel, row.kind)
                for row in session.scalars(
                    select(Engagement).where(Engagement.campaign_id == campaign_id).order_by(Engagement.id)
                )
            ]

    def hours(self, campaign_id: UUID) -> dict[tuple[str, str], tuple[int, int]]:
        """Channel and kind → recipients and events, summed over all hours."""
        with self.api.database.read() as session:
            found = session.execute(
                select(
                    EngagementHour.channel,
                    EngagementHour.kind,
                    func.sum(EngagementHour.recipients),
                    func.sum(EngagementHour.events),
                )
                .where(EngagementHour.campaign_id == campaign_id)
                .group_by(EngagementHour.channel, EngagementHour.kind)
            )
            return {(channel, kind): (int(people), int(events)) for channel, kind, people, events in found}

    def check_counters(self, campaign_id: UUID) -> None:
        """The campaign's counters say what a recount of the rows that jobs count says."""
        with self.api.database.read() as session:
            progress = campaign_progress(session, self.api.org_id, campaign_id)
            counted = {
                str(status): count
                for status, count in session.execute(
                    select(Recipient.automation_status, func.count())
                    .where(Recipient.campaign_id == campaign_id, Recipient.job_id.is_not(None))
                    .group_by(Recipient.automation_status)
                )
            }
        assert {status: counted.get(status, 0) for status in progress.counts} == progress.counts
        assert sum(counted.values()) == progress.total
