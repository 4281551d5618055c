"""A client of the control API, as a user's program would write it: what it is told to make, it makes."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tests.harness.stack import Stack

__all__ = ["Client", "signed_in"]


class Client:
    """A context manager.

    Args:
        url: Of the API.
        key: An admin's.
    """

    def __init__(self, url: str, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """One request and the JSON of its answer.

        Raises:
            AssertionError: the answer is no success; the message holds it.
        """
        answer = self.http.request(method, path, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def make(self, noun: str, **body: Any) -> str:
        """Create a channel, template …; its id."""
        return str(self.ask("POST", f"/v1/{noun}", json=body)["_id"])

    def import_csv(self, schema: str, text: bytes, **parameters: str) -> dict[str, Any]:
        """Import a file; what became of its lines."""
        answer = self.ask(
            "POST",
            f"/v1/entity/{schema}:import",
            params=parameters,
            content=text,
            headers={"content-type": "text/csv"},
        )
        return dict(answer)

    def target(self, schema: str, *items: dict[str, Any]) -> str:
        """A target whose conditions all must hold."""
        filters = {"filter": {"items": list(items), "combination": "AND"}}
        return self.make("target", name=schema, entity_schema=schema, entity_filters=filters)

    def campaign(self, target: str, channel: str, **template: str) -> str:
        """A draft with a flow of one message."""
        message = self.make("template", name="message", **template)
        touchpoints = [{"template_id": message, "channel_id": channel}]
        flow = self.make("flow", name="flow", touchpoints=touchpoints)
        return self.make("campaign", name="campaign", target_ids=[target], flow_id=flow)

    def change_status(self, campaign: str, status: str | None = None) -> dict[str, Any]:
        """`changeCampaignStatus`: as its documentation has it, without a body, or with one."""
        body = {"json": {"status": status}} if status else {"data": {}}
        return dict(self.ask("POST", f"/v1/campaign/{campaign}/status", **body)["campaign"])

    def job(self, campaign: str, *, wait: int = 0) -> dict[str, Any]:
        """`getCampaignJobStatus`; with `wait` when the job is over, or so many seconds have passed."""
        headers = {"prefer": f"wait={wait}"} if wait else {}
        return dict(self.ask("GET", f"/v1/campaign/{campaign}/job", headers=headers))

    def finish(self, campaign: str, *, deadline: float = 120) -> dict[str, Any]:
        """Poll the job, long, until it is finished.

        Raises:
            TimeoutError: it is not, after `deadline` seconds.
        """
        until = time.monotonic() + deadline
        while time.monotonic() < until:
            job = self.job(campaign, wait=10)
            if job["status"] == "finished":
                return job
        raise TimeoutError(f"not within {deadline:g} s: the job is finished (last answer: {job['status']})")

    def recipients(self, campaign: str, *statuses: str) -> list[dict[str, Any]]:
        """`getRecipients`, every page; of these automation statuses, or all."""
        found: list[dict[str, Any]] = []
        following: str | None = None
        while True:
            parameters: dict[str, Any] = {"limit": 100, "automation_status": list(statuses)}
            if following:
                parameters["next"] = following
            page = self.ask("GET", f"/v1/campaign/{campaign}/recipients", params=parameters)
            found += page["results"]
            following = page["next"]
            if following is None:
                assert len(found) == page["total"]
                return found

    def retrigger(self, campaign: str, *recipients: str) -> list[dict[str, Any]]:
        """`retriggerCampaignAutomations`; one answer an id."""
        body = {"recipient_ids": recipients}
        return list(self.ask("POST", f"/v1/campaign/{campaign}/automations:retrigger", json=body)["results"])


@contextmanager
def signed_in(stack: Stack) -> Iterator[Client]:
    """A client with a key that the command line made, for an organization that it made."""
    stack.run("org", "create", "acme")
    key = json.loads(stack.run("keys", "create", "acceptance", "--role", "admin", "--json"))["key"]
    with Client(stack.api_url, key) as client:
        yield client
