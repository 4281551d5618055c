"""Every metric is documented once, and what is made from the table of metrics is up to date."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

import actors.middleware
import actors.sweeper
import engine.delivery.lease
import engine.events.webhook_dispatcher
import engine.inbound.intake.intake
import engine.inbound.mailbox_reader
from deploy.grafana.dashboard import ROWS, dashboard
from engine.kernel.metrics import CATALOGUE, OTHER, BoundedLabel, Group, Kind
from engine.kernel.metrics_page import page

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
#: Of Prometheus' own client: about the process and its Python.
FOREIGN = ("process_", "python_")
#: Modules that make metrics of their process.
WHO_COUNTS = (
    actors.sweeper,
    engine.delivery.lease,
    engine.events.webhook_dispatcher,
    engine.inbound.intake.intake,
    engine.inbound.mailbox_reader,
)


def known_names() -> set[str]:
    names = {metric.shown_as for metric in CATALOGUE}
    return names | {f"{metric.name}_bucket" for metric in CATALOGUE if metric.kind is Kind.HISTOGRAM}


def used_names(expression: str) -> set[str]:
    return set(re.findall(r"muster_[a-z_]+", expression))


def expressions() -> list[str]:
    return [query.expression for row in ROWS.values() for panel in row for query in panel.queries]


def rules() -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return found


def test_the_page_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == page(), "make metrics writes it"


def test_the_dashboard_is_made_from_its_rows() -> None:
    written = json.loads((ROOT / "deploy" / "grafana" / "muster.json").read_text())
    assert written == dashboard(), "make dashboard writes it"


def test_names_are_unique() -> None:
    names = [metric.name for metric in CATALOGUE]
    assert len(names) == len(set(names))


def test_every_metric_that_this_process_counts_is_in_the_table() -> None:
    assert all(WHO_COUNTS)
    counted = {family.name for family in REGISTRY.collect() if not family.name.startswith(FOREIGN)}
    assert counted <= {metric.name for metric in CATALOGUE}


def test_a_scrape_shows_every_metric_and_only_those(api, client) -> None:
    client.get("/v1/campaign")
    text = client.get("/metrics", headers={"authorization": ""}).text
    families = list(text_string_to_metric_families(text))
    shown = {family.name for family in families if not family.name.startswith(FOREIGN)}
    expected = {metric.name for metric in CATALOGUE if metric.group is not Group.ORGANIZATIONS}
    assert shown == expected


def test_labels_are_those_of_the_table(api, client) -> None:
    client.get("/v1/campaign")
    text = client.get("/metrics", headers={"authorization": ""}).text
    labels = {metric.name: set(metric.labels) for metric in CATALOGUE}
    for family in text_string_to_metric_families(text):
        if not family.name.startswith(FOREIGN):
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == labels[family.name], sample.name


@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_asks_for_metrics_that_there_are(expression: str) -> None:
    assert used_names(expression) <= known_names()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_metrics_that_there_are_a_test_and_a_runbook(rule: dict[str, str]) -> None:
    assert used_names(rule["expr"]) <= known_names()
    tests = yaml.safe_load(ALERTS.with_name("alerts.test.yaml").read_text())["tests"]
    assert {f"{rule['alert']} fires", f"{rule['alert']} rests"} <= {test["name"] for test in tests}
    assert f"\n## {rule['alert']}\n" in (ROOT / "docs" / "runbooks.md").read_text()


def test_a_label_from_outside_is_bounded() -> None:
    label = BoundedLabel(2)
    assert [label.of(code) for code in ("A", "B", "C", "A", "D")] == ["A", "B", OTHER, "A", OTHER]
