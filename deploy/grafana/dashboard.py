"""`make dashboard` writes deploy/grafana/muster.json: one Grafana dashboard over the metrics of docs/metrics.md.

Import the file in Grafana and choose the Prometheus that scrapes Muster (deploy/prometheus/prometheus.yaml).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["ROWS", "Panel", "Query", "dashboard"]

_SOURCE = {"type": "prometheus", "uid": "${source}"}
#: Which Prometheus that is, is chosen on the dashboard.
_CHOICE = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
#: Of Grafana's grid, in its units.
_WIDTH, _HEIGHT = 24, 8


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel, and the legend of its series."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        kind: Grafana's name of the form: `timeseries`, `stat`, `bargauge` or `table`.
        unit: Grafana's name of the unit: `short`, `ops` (a second), `s`.
        share: What of the row's width it has, of 24.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    share: int = 8


def _by(metric: str, label: str) -> str:
    return f"sum by ({label}) (rate({metric}[$__rate_interval]))"


def _quantile(quantile: float, metric: str, *labels: str) -> str:
    kept = ", ".join((*labels, "le"))
    return f"histogram_quantile({quantile}, sum by ({kept}) (rate({metric}_bucket[$__rate_interval])))"


ROWS: dict[str, tuple[Panel, ...]] = {
    "At a glance": (
        Panel("Database", (Query('max(muster_up{service="database"})'),), kind="stat", share=3),
        Panel("Broker", (Query('max(muster_up{service="broker"})'),), kind="stat", share=3),
        Panel("Workers", (Query('max(muster_processes{kind="worker"})'),), kind="stat", share=3),
        Panel("Schedulers", (Query('max(muster_processes{kind="scheduler"})'),), kind="stat", share=3),
        Panel("Jobs at work", (Query('max(muster_jobs{status="processing"})'),), kind="stat", share=3),
        Panel("Paused jobs", (Query("sum(max by (reason) (muster_jobs_held))"),), kind="stat", share=3),
        Panel("Oldest due", (Query("max(muster_oldest_due_seconds)"),), "s", "stat", 3),
        Panel(
            "Delivered a second",
            (Query('sum(rate(muster_outcomes_total{outcome="delivered"}[$__rate_interval]))'),),
            "ops",
            "stat",
            3,
        ),
    ),
    "Delivery": (
        Panel(
            "Outcomes a second",
            (Query(_by("muster_outcomes_total", "outcome"), "{{outcome}}"),),
            "ops",
        ),
        Panel(
            "Delivered a second, by kind of channel",
            (Query(_by('muster_outcomes_total{outcome="delivered"}', "kind"), "{{kind}}"),),
            "ops",
        ),
        Panel(
            "Not delivered in the last hour, by code",
            (
                Query(
                    'topk(15, sum by (kind, outcome, scope, code) (increase(muster_outcomes_total{outcome!="delivered"}'
                    "[1h])))",
                    "{{kind}} {{outcome}} {{scope}} {{code}}",
                ),
            ),
            kind="table",
        ),
        Panel(
            "Time of the provider for a message",
            (
                Query(_quantile(0.5, "muster_provider_seconds", "kind"), "{{kind}}, half"),
                Query(_quantile(0.95, "muster_provider_seconds", "kind"), "{{kind}}, 95 of 100"),
            ),
            "s",
        ),
        Panel(
            "Time of a wave",
            (Query(_quantile(0.95, "muster_wave_seconds", "kind"), "{{kind}}, 95 of 100"),),
            "s",
        ),
        Panel("Recipients", (Query("max by (status) (muster_recipients)", "{{status}}"),)),
    ),
    "Work that waits": (
        Panel("Oldest due", (Query("max(muster_oldest_due_seconds)", "oldest due"),), "s"),
        Panel(
            "Slices",
            (
                Query("max by (state) (muster_slices)", "{{state}}"),
                Query("max by (use) (muster_window_slices)", "window: {{use}}"),
                Query("max(muster_leases_expired)", "expired leases"),
            ),
        ),
        Panel(
            "Jobs that wait or are paused",
            (
                Query("max by (reason) (muster_jobs_waiting)", "wait: {{reason}}"),
                Query("max by (reason) (muster_jobs_held)", "paused: {{reason}}"),
            ),
        ),
        Panel("Wake-ups that wait", (Query("max by (queue) (muster_queue_depth)", "{{queue}}"),)),
        Panel(
            "Wake-ups a second",
            (Query(_by("muster_wakeups_total", "actor, result"), "{{actor}} {{result}}"),),
            "ops",
        ),
        Panel(
            "Time of a wake-up",
            (Query(_quantile(0.95, "muster_wakeup_seconds", "actor"), "{{actor}}, 95 of 100"),),
            "s",
        ),
    ),
    "Channels": (
        Panel(
            "Channels",
            (Query("max by (kind, state) (muster_channels)", "{{kind}} {{state}}"),),
            kind="bargauge",
            share=12,
        ),
        Panel(
            "Mail domains that are throttled",
            (Query("max by (kind) (muster_throttled_domains)", "{{kind}}"),),
            share=12,
        ),
    ),
    "Events, webhooks and mailboxes": (
        Panel(
            "Attempts to tell webhooks, a second",
            (Query(_by("muster_webhook_deliveries_total", "result"), "{{result}}"),),
            "ops",
            share=6,
        ),
        Panel(
            "Age of what is late",
            (
                Query("max(muster_webhook_overdue_seconds)", "deliveries to webhooks"),
                Query("max(muster_events_undistributed_seconds)", "events"),
            ),
            "s",
            share=6,
        ),
        Panel(
            "Webhooks", (Query("max by (state) (muster_webhooks)", "{{state}}"),), kind="bargauge", share=6
        ),
        Panel(
            "Rounds in which a mailbox could not be read",
            (Query("sum(increase(muster_mailbox_failures_total[1h]))", "failures"),),
            share=6,
        ),
    ),
    "API": (
        Panel(
            "Requests a second, by status",
            (Query(_by("muster_api_requests_total", "status"), "{{status}}"),),
            "ops",
        ),
        Panel(
            "Time to answer",
            (
                Query(
                    "histogram_quantile(0.5, sum by (le) (rate(muster_api_request_seconds_bucket[$__rate_interval])))",
                    "half",
                ),
                Query(
                    "histogram_quantile(0.95, sum by (le) (rate(muster_api_request_seconds_bucket[$__rate_interval])))",
                    "95 of 100",
                ),
            ),
            "s",
        ),
        Panel(
            "Slowest routes",
            (Query(f"topk(10, {_quantile(0.95, 'muster_api_request_seconds', 'route')})", "{{route}}"),),
            "s",
            "table",
        ),
    ),
    "Processes": (
        Panel("Processes", (Query("max by (kind) (muster_processes)", "{{kind}}"),), share=6),
        Panel(
            "Connections to the database",
            (Query("sum by (instance, state) (muster_database_connections)", "{{instance}} {{state}}"),),
            share=6,
        ),
        Panel(
            "Chores: seconds since they succeeded",
            (Query("time() - max by (chore) (muster_chore_last_success_timestamp_seconds)", "{{chore}}"),),
            "s",
            share=6,
        ),
        Panel(
            "Leases lost, transactions tried again",
            (
                Query("sum(increase(muster_leases_lost_total[$__rate_interval]))", "leases lost"),
                Query("sum(increase(muster_database_losses_total[$__rate_interval]))", "tried again"),
                Query("sum(increase(muster_wakeups_not_sent_total[$__rate_interval]))", "wake-ups not sent"),
            ),
            share=6,
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "collapsed": False, "panels": []})
        top += 1
        left = 0
        height = 4 if all(panel.kind == "stat" for panel in row) else _HEIGHT
        for panel in row:
            if left + panel.share > _WIDTH:
                left, top = 0, top + height
            panels.append(_panel(panel, {"x": left, "y": top, "w": panel.share, "h": height}))
            left += panel.share
        top += height
    for number, one in enumerate(panels, start=1):
        one["id"] = number
    return {
        "title": "Muster",
        "uid": "muster",
        "tags": ["muster"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": panels,
    }


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
            "instant": panel.kind in ("table", "stat", "bargauge"),
        }
        for index, query in enumerate(panel.queries)
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=2)
    sys.stdout.write("\n")
