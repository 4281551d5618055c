"""People who are enrolled in a campaign one by one. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muster_client.calls import Call, given, part
from muster_client.synchronous.resource import PAGE, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from muster_client.types import EnrolledTarget, EnrolledTargetPage, Enrolment, EnrolmentResult

__all__ = ["EnrolledTargets"]


def _targets(campaign_id: str) -> str:
    return f"/campaigns/{part(campaign_id)}/targets"


class EnrolledTargets(Resource):
    """Customers as the targets of a campaign, each at its stage (docs/enrolled-targets.md)."""

    def list(
        self,
        campaign_id: str,
        *,
        stage: str | None = None,
        q: str | None = None,
        include_deleted: bool | None = None,
        only_deleted: bool | None = None,
        page_size: int = PAGE,
    ) -> Iterator[EnrolledTarget]:
        """A campaign's targets with their customers, latest first, a page at a time.

        `q`: in name, surname, e-mail, phone or the customer's key.
        """
        params = given(
            stage=stage, q=q, include_deleted=include_deleted, only_deleted=only_deleted, limit=page_size
        )
        while True:
            call: Call[EnrolledTargetPage] = Call("GET", _targets(campaign_id), params)
            page = self._send(call)
            yield from page["data"]
            cursor = page["meta"].get("next")
            if cursor is None:
                return
            params = {**params, "cursor": cursor}

    def enrol(
        self, campaign_id: str, customer_ids: Sequence[str], *, idempotency_key: str | None = None
    ) -> EnrolmentResult:
        """Enrol existing customers, at most 100,000. A target is skipped; one that was deleted comes back."""
        items = [{"customer_id": str(one)} for one in customer_ids]
        call: Call[EnrolmentResult] = Call("POST", f"{_targets(campaign_id)}:bulk", json={"items": items})
        return self._send(call, idempotency_key)

    def create_customer(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Enrolment:
        """Create a customer and enrol them, unless somebody with their e-mail address or phone number is."""
        call: Call[Enrolment] = Call("POST", f"{_targets(campaign_id)}:create-customer", json=body)
        return self._send(call, idempotency_key)

    def change_stage(
        self, campaign_id: str, target_id: str, stage: str, *, idempotency_key: str | None = None
    ) -> EnrolledTarget:
        """Move a target to another stage."""
        path = f"{_targets(campaign_id)}/{part(target_id)}/stage"
        call: Call[EnrolledTarget] = Call("PATCH", path, json={"stage": stage})
        return self._send(call, idempotency_key)

    def delete(
        self,
        campaign_id: str,
        target_id: str,
        *,
        purge: bool | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Take a target out; `purge`: for good, else `restore` brings it back."""
        path = f"{_targets(campaign_id)}/{part(target_id)}"
        call: Call[Any] = Call("DELETE", path, given(purge=purge))
        self._send(call, idempotency_key)

    def restore(
        self, campaign_id: str, target_id: str, *, idempotency_key: str | None = None
    ) -> EnrolledTarget:
        """Bring back one that was deleted."""
        path = f"{_targets(campaign_id)}/{part(target_id)}/restore"
        call: Call[EnrolledTarget] = Call("POST", path)
        return self._send(call, idempotency_key)

    def verify_goal(
        self, campaign_id: str, target_id: str, *, idempotency_key: str | None = None
    ) -> EnrolledTarget:
        """Judge what a target said by the campaign's goal."""
        path = f"{_targets(campaign_id)}/{part(target_id)}/verify-goal"
        call: Call[EnrolledTarget] = Call("POST", path)
        return self._send(call, idempotency_key)
