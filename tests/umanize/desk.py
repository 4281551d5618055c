"""What enrolment is asked with: campaigns with a flow, customers, and the seven operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import select

from engine.enrolled.identity import entity_of
from state.tables import Job, Recipient
from tests.campaigns_api.desk import Desk
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TargetDesk"]


class TargetDesk(Desk):
    """One organization's."""

    def campaign(self, *kinds: str, wait_hours: int = 24, **values: Any) -> str:
        """A draft that sends a message over a channel of each kind, a day between them; its id."""
        touchpoints: list[dict[str, Any]] = []
        for kind in kinds or ("file",):
            if touchpoints:
                touchpoints.append({"type": "wait", "settings": {"hours": wait_hours}})
            channel = self.sender(kind)
            content = {"subject": "Hello", "text": "Hello {{ _title }}"}
            touchpoints.append({"type": "message", "content": content, "channel_id": str(channel)})
        flow = self.told("POST", "/v1/flow", 201, json={"name": "f", "touchpoints": touchpoints})
        given = {"name": "Spring", "flow_id": flow["_id"], **values}
        return str(self.told("POST", "/v1/campaign", 201, json=given)["_id"])

    def told(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The body of an answer with this status."""
        answer = self.client.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
        return answer.json() if answer.content else None

    def run_out_of_waits(self) -> None:
        """Work, moving the clock an hour at a time, until nobody waits for anything."""
        for _ in range(60):
            self.work()
            with self.database.read() as session:
                open_ = select(Job.id).where(Job.status.in_(("queued", "processing", "send_report")))
                if session.execute(open_.limit(1)).first() is None:
                    return
            self.clock.forward(seconds=3600)
            sweep(self.api.runtime)
        raise AssertionError("somebody waits for ever")

    def set_status(self, campaign: str, status: str) -> None:
        self.told("POST", f"/v1/campaign/{campaign}/status", json={"status": status})

    def bulk(self, campaign: str, people: Sequence[UUID], **options: Any) -> dict[str, Any]:
        items = [{"customer_id": str(key), **options} for key in people]
        return dict(self.told("POST", f"/campaigns/{campaign}/targets:bulk", json={"items": items}))

    def create_one(self, campaign: str, expected: int = 200, /, **customer: Any) -> dict[str, Any]:
        given = {"customer_id": f"C-{uuid4().hex[:8]}", **customer}
        path = f"/campaigns/{campaign}/targets:create-customer"
        return dict(self.told("POST", path, expected, json=given))

    def listing(self, campaign: str, status: int = 200, **query: Any) -> dict[str, Any]:
        return dict(self.told("GET", f"/campaigns/{campaign}/targets", status, params=query))

    def names(self, campaign: str, **query: Any) -> list[str]:
        return [one["customer"]["name"] for one in self.listing(campaign, **{"limit": 200, **query})["data"]]

    def ids(self, campaign: str, **query: Any) -> list[str]:
        return [one["id"] for one in self.listing(campaign, **{"limit": 200, **query})["data"]]

    def target(self, campaign: str, target: str) -> dict[str, Any]:
        found = self.listing(campaign, limit=200, include_deleted=True)["data"]
        return dict(next(one for one in found if one["id"] == target))

    def on(self, campaign: str, target: str, method: str, tail: str = "", status: int = 200, **o: Any) -> Any:
        return self.told(method, f"/campaigns/{campaign}/targets/{target}{tail}", status, **o)

    def row(self, campaign: str, target: str) -> Recipient | None:
        key = (UUID(campaign), entity_of(UUID(campaign), UUID(target)))
        with self.database.read() as session:
            return session.get(Recipient, key)

    def set_row(self, campaign: str, target: str, **values: Any) -> None:
        key = (UUID(campaign), entity_of(UUID(campaign), UUID(target)))
        with self.database.begin() as session:
            row = session.get_one(Recipient, key)
            for name, value in values.items():
                setattr(row, name, value)
