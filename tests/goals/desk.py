"""A campaign whose targets are called, what the voice provider reports of it, and what is asked about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import select

from engine.enrolled.identity import target_id
from engine.tracking.signatures import sign
from state.tables import Engagement, Recipient
from tests.targeting.world import World

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

__all__ = ["WEBHOOK_SECRET", "Desk"]

WEBHOOK_SECRET = "wsec_of-the-provider"
TALK = [("agent", "Would you like to book a test drive?"), ("user", "Yes please, that would be great!")]


class Desk(World):
    """One organization's."""

    def __init__(self, api: Api, client: httpx.Client) -> None:
        super().__init__(api, client)
        credentials = {"api_key": "k", "webhook_secret": WEBHOOK_SECRET}
        settings = {"agent_id": "a", "phone_number_id": "p"}
        self.channel_id = self.channel("voice", settings=settings, credentials=credentials)
        self.campaign_id = self.campaign()
        self.set_campaign(self.campaign_id, goal="Book a test drive appointment")

    def enrolled(self, stage: str = "new", **values: Any) -> UUID:
        """A customer who is a target; returns the customer."""
        (entity_id,) = self.recipients(self.campaign_id, "success")
        with self.api.database.begin() as session:
            row = session.get_one(Recipient, (self.campaign_id, entity_id))
            row.stage, row.calls_made = stage, 0
            for name, value in values.items():
                setattr(row, name, value)
        return entity_id

    def target(self, entity_id: UUID) -> UUID:  # type: ignore[override]
        """The target's own id."""
        return target_id(self.campaign_id, entity_id)

    def at(self, entity_id: UUID) -> Recipient:
        return self.row(self.campaign_id, entity_id)

    def called(
        self, entity_id: UUID | None, conversation_id: str | None = None, **given: Any
    ) -> httpx.Response:
        """The provider reports a call."""
        return self.send(self.report(entity_id, conversation_id or f"conv_{uuid4().hex}", **given))

    def report(
        self,
        entity_id: UUID | None,
        conversation_id: str,
        *,
        talk: Any = TALK,
        began: float | None = None,
        campaign_id: UUID | None = None,
        **data: Any,
    ) -> dict[str, Any]:
        """A post-call webhook's body."""
        variables = {}
        if entity_id is not None:
            campaign = str(campaign_id or self.campaign_id)
            variables = {"muster_campaign_id": campaign, "muster_recipient_id": str(entity_id)}
        seconds = self.api.database.clock.now().timestamp()
        return {
            "type": "post_call_transcription",
            "event_timestamp": int(seconds),
            "data": {
                "agent_id": "a",
                "conversation_id": conversation_id,
                "status": "done",
                "transcript": [
                    {"role": role, "message": said, "time_in_call_secs": number}
                    for number, (role, said) in enumerate(talk)
                ],
                "metadata": {
                    "start_time_unix_secs": began or int(seconds),
                    "call_duration_secs": 42,
                    "cost": 3,
                },
                "analysis": {
                    "call_successful": "success",
                    "call_summary_title": "A test drive",
                    "transcript_summary": "They talked about a test drive.",
                },
                "conversation_initiation_client_data": {"dynamic_variables": variables},
                "has_audio": True,
                **data,
            },
        }

    def send(self, report: Any, **headers: str) -> httpx.Response:
        """Post a body as the provider signs it."""
        body = report if isinstance(report, bytes) else json.dumps(report).encode()
        signed = {"elevenlabs-signature": sign(WEBHOOK_SECRET, body, self.api.database.clock.now())}
        return self.client.post(
            f"/v1/inbound/voice/{self.channel_id}",
            content=body,
            headers={"authorization": "", **signed, **headers},
        )

    def attempts(self) -> list[Engagement]:
        with self.api.database.read() as session:
            return list(
                session.scalars(
                    select(Engagement)
                    .where(Engagement.kind.in_(["call_attempt", "verified"]))
                    .order_by(Engagement.id)
                )
            )
