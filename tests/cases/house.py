"""One organization as its users see it: files that are imported, targets that are counted, campaigns that are sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from engine.delivery.lease import Executor
from engine.delivery.sender import Senders
from engine.limits.context import LimitContext
from engine.limits.redis_buckets import RedisBuckets
from state.tables import Entity
from tests.campaigns_api.desk import Desk

if TYPE_CHECKING:
    from uuid import UUID

    import httpx

    from tests.api.conftest import Api

__all__ = ["House"]


class House(Desk):
    """A desk whose worker sends with the real channels and templates, under the real limits."""

    def __init__(self, api: Api, client: httpx.Client) -> None:
        super().__init__(api, client)
        clock: Any = self.database.clock
        settings = api.runtime.settings
        limit_context = LimitContext(
            settings,
            buckets=RedisBuckets("embedded://", now=lambda: clock.now().timestamp() * 1000),
            steady=lambda: clock.now().timestamp(),
            rest=lambda seconds, _: clock.forward(seconds=max(seconds, 0)),
        )
        senders = Senders(settings, self.loop, self.database)
        self.executor = Executor(api.runtime, senders, self.loop, limit_context=limit_context)

    def request(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The body of an answer that must have this status."""
        answer = self.client.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
        return answer.json()

    def load(
        self, text: str | bytes, *, schema: str = "contact", status: int = 200, **parameters: str
    ) -> dict[str, Any]:
        """Import a file: NDJSON where it begins with a brace, else CSV. `external_id` is `id` where that is there."""
        data = text.encode() if isinstance(text, str) else text
        ndjson = data.lstrip().startswith(b"{")
        if "external_id" not in parameters and b"id" in data.split(b"\n", 1)[0]:
            parameters["external_id"] = "id"
        headers = {"content-type": "application/x-ndjson" if ndjson else "text/csv"}
        return dict(
            self.request(
                "POST",
                f"/v1/entity/{schema}:import",
                status,
                params=parameters,
                content=data,
                headers=headers,
            )
        )

    def known(self, schema: str = "contact") -> dict[str | None, dict[str, Any]]:
        """Attributes of everybody, by external id."""
        with self.database.read() as session:
            found = session.scalars(select(Entity).where(Entity.schema == schema))
            return {row.external_id: dict(row.attributes) for row in found}

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        """Values of everybody, sorted."""
        with self.database.read() as session:
            return sorted(
                tuple(one.get(name) for name in names) for one in session.scalars(select(Entity.attributes))
            )

    def count(self, key: str, operator: str, value: Any = None, data_type: str | None = None) -> int:
        """How many a target of this one condition has."""
        item = {"key": key, "operator": operator}
        item |= {} if value is None else {"value": value}
        item |= {} if data_type is None else {"data_type": data_type}
        filters = {"filter": {"items": [item], "combination": "AND"}}
        body = {"name": "t", "entity_schema": "contact", "entity_filters": filters}
        target = self.request("POST", "/v1/target", 201, json=body)["_id"]
        return int(self.request("POST", f"/v1/target/{target}:count")["count"])

    def total(self, **filters: Any) -> int:
        """How many a campaign of the Campaigns API with these filters has."""
        campaign = self.ask("POST", status=201, json=self.document(filters))
        return int(self.ask("GET", f"/{campaign['id']}")["targetAudience"]["totalCount"])

    @staticmethod
    def document(filters: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
        """A campaign for those whom the filters let in; without any for everybody with a name, e-mail or phone."""
        audience: dict[str, Any] = {"filters": filters} if filters else {"segments": ["everybody"]}
        return {
            "name": "c",
            "type": "message",
            "targetAudience": audience,
            "messages": [{"content": "Hello {{ name }}"}],
            **values,
        }

    def connect(self, kind: str = "file", **values: Any) -> str:
        """A channel; e-mail into a file unless it says otherwise."""
        settings = values.pop("settings", {"address": "email", "medium": "email"})
        body = {"name": kind, "kind": kind, "settings": settings, "is_default": True, **values}
        return str(self.request("POST", "/v1/channel", 201, json=body)["_id"])

    def campaign(self, **values: Any) -> str:
        """A draft for everybody there is."""
        items = [{"key": key, "operator": "NOT_EMPTY"} for key in ("name", "email", "phone", "chat")]
        filters = {"filter": {"items": items, "combination": "OR"}}
        body = {"name": "everybody", "entity_schema": "contact", "entity_filters": filters}
        if "targetAudience" not in values:
            self.request("POST", "/v1/target", 201, json=body)
        return str(self.ask("POST", status=201, json=self.document(**values))["id"])

    def execute(self, campaign: str, **body: Any) -> dict[str, Any]:
        return dict(self.ask("POST", f"/{campaign}/execute", json=body))

    def outcomes(self, campaign: str) -> Counter[str]:
        """Recipients by error code, else by status."""
        return Counter(row.error_code or str(row.automation_status) for row in self.recipients(campaign))

    def who(self, campaign: str, outcome: str) -> set[str | None]:
        """External ids of the recipients with this outcome."""
        rows = {
            row.entity_id
            for row in self.recipients(campaign)
            if outcome in (row.error_code, row.automation_status)
        }
        with self.database.read() as session:
            return set(session.scalars(select(Entity.external_id).where(Entity.id.in_(rows))))

    def organization(self, **values: Any) -> None:
        self.request("PATCH", "/v1/organization", json=values)

    def entity_id(self, external_id: str) -> UUID:
        with self.database.read() as session:
            return session.scalars(select(Entity.id).where(Entity.external_id == external_id)).one()
