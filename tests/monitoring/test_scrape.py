"""A real Prometheus scrapes a run: every query of the dashboard returns data, and the alert rules hold their tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.grafana.dashboard import ROWS
from tests.acceptance.client import signed_in
from tests.harness.ports import free_port
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until
from tests.servers.prometheus import PROMTOOL, Prometheus, is_installed

if TYPE_CHECKING:
    from tests.acceptance.client import Client

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
PEOPLE = 60
REFUSED = 7

pytestmark = pytest.mark.skipif(not is_installed(), reason="Prometheus is not installed (Debian: prometheus)")


@pytest.mark.parametrize("command", [("check", "alerts.yaml"), ("test", "alerts.test.yaml")])
def test_the_alert_rules_hold_their_tests(command: tuple[str, str]) -> None:
    what, file = command
    asked = [str(PROMTOOL), what, "rules", file]
    ended = subprocess.run(asked, cwd=RULES, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def make(stack: Stack, client: Client) -> str:
    """A campaign over HTTP, and a webhook that is told when its job is finished."""
    assert stack.http is not None
    rows = "".join(f"{number},p{number}@d.example,Ann\n" for number in range(PEOPLE))
    client.import_csv("contact", f"id,email,name\n{rows}".encode(), external_id="id", title="{name}")
    target = client.target("contact", {"key": "email", "operator": "NOT_EMPTY"})
    channel = client.make("channel", name="provider", kind="http", settings={"url": stack.http.url})
    client.ask("POST", "/api/v1/webhooks", json={"url": stack.http.url, "events": ["job.finished"]})
    return client.campaign(target, channel, text="Dear {{ name }}")


def deliver(stack: Stack, client: Client, campaign: str) -> None:
    """Deliver it; some are refused."""
    assert stack.http is not None
    stack.http.fault("status", status=422, times=REFUSED)
    client.change_status(campaign, "active")
    counts = client.finish(campaign)["execution_counts"]
    assert (counts["success"], counts["failed"]) == (PEOPLE - REFUSED, REFUSED)


@pytest.mark.slow
@pytest.mark.services
def test_every_query_of_the_dashboard_returns_data(tmp_path: Path) -> None:
    worker, scheduler = free_port(), free_port()
    opened = {"MUSTER_OPEN_METRICS": "true", "MUSTER_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with (
        Stack(tmp_path, workers=0, scheduler=False, api=True, smtp=False, http=True, env=opened) as stack,
        Prometheus(tmp_path, {"api": stack.api_port, "worker": worker, "scheduler": scheduler}) as prometheus,
    ):
        stack.start_worker(MUSTER_METRICS_PORT=str(worker))
        stack.start_scheduler(MUSTER_METRICS_PORT=str(scheduler))

        def up() -> bool:
            return [one["value"][1] for one in prometheus.query("up")] == ["1"] * 3

        wait_until(up, "all three are scraped", deadline=60)
        with signed_in(stack) as client:
            first = make(stack, client)
            deliver(stack, client, first)
            counted = "muster_outcomes_total"  # a rate needs two looks
            wait_until(lambda: prometheus.query(counted), "the first is scraped", deadline=60)
            known = client.ask("GET", f"/v1/campaign/{first}")
            again = {name: known[name] for name in ("target_ids", "flow_id")}
            deliver(stack, client, client.make("campaign", name="second", **again))
        expressions = [query.expression for row in ROWS.values() for panel in row for query in panel.queries]
        missing_data = set(expressions)

        def has_data() -> bool:
            for expression in sorted(missing_data):
                series = prometheus.query(expression.replace("$__rate_interval", "1m"))
                if any(one["value"][1] != "NaN" for one in series):
                    missing_data.discard(expression)
            return not missing_data

        try:
            wait_until(has_data, "every query returns data", deadline=60, interval=0.5)
        except TimeoutError:
            pytest.fail(f"no data for {sorted(missing_data)}")
        refused = prometheus.query('sum(muster_outcomes_total{kind="http",outcome="rejected"})')
        delivered = prometheus.query('sum(muster_outcomes_total{kind="http",outcome="delivered"})')
        assert [one["value"][1] for one in (*refused, *delivered)] == [
            str(2 * REFUSED),
            str(2 * (PEOPLE - REFUSED)),
        ]
        stack.workers[0].kill()
        gone = 'max(muster_processes{kind="worker"}) == 0'
        wait_until(lambda: prometheus.query(gone), "the killed worker is missed", deadline=60)
