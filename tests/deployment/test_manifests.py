"""Kubernetes manifests and systemd units: valid, hardened, in agreement with the command line and the settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from actors.cli.app import app
from config.settings import Settings

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
SYSTEMD = ROOT / "deploy" / "systemd"
OVERLAYS = ("small", "production")
#: What they are checked against; the newest that the validator knows is too new for most clusters.
VERSION = "1.31"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
GRACE = Settings.model_fields["shutdown_grace"].default.total_seconds()

Document = dict[str, Any]


def documents(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


def written() -> list[tuple[str, Document]]:
    """Every document of the manifests, and the file it stands in."""
    files = (*KUBERNETES.glob("base/*.yaml"), KUBERNETES / "autoscaling" / "worker.yaml")
    found = [(file.name, document) for file in files for document in documents(file.read_text())]
    return [(name, document) for name, document in found if "kustomize" not in document["apiVersion"]]


def pods(found: list[Document]) -> dict[str, Document]:
    """Name of a workload → the specification of its pods."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in found
        if one["kind"] in ("Deployment", "Job")
    }


@pytest.fixture
def build(tmp_path: Path) -> Any:
    """Builds an overlay with the example's secrets, as `kubectl apply -k` does."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed (Debian: kubernetes-client)")
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")

    def built(overlay: str) -> list[Document]:
        folder = tmp_path / "kubernetes" / "overlays" / overlay
        shutil.copy(folder / "secret.env.example", folder / "secret.env")
        asked = [kubectl, "kustomize", str(folder)]
        return documents(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)

    return built


@pytest.mark.parametrize(
    ("name", "document"), written(), ids=lambda part: part if isinstance(part, str) else part["kind"]
)
def test_a_document_is_what_kubernetes_takes(name: str, document: Document) -> None:
    assert name
    kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_what_kubernetes_takes(build: Any, overlay: str) -> None:
    found = build(overlay)
    for document in found:
        kubernetes_validate.validate(document, VERSION, strict=True)
        assert document["metadata"]["namespace"] == "muster"
    names = {(document["kind"], re.sub(r"-\w{10}$", "", document["metadata"]["name"])) for document in found}
    for name in ("api", "worker", "scheduler"):
        assert {("Deployment", f"muster-{name}"), ("PodDisruptionBudget", f"muster-{name}")} <= names
    assert {
        ("Job", "muster-migrate"),
        ("Service", "muster-api"),
        ("ConfigMap", "muster"),
        ("Secret", "muster"),
    } <= names
    assert (("HorizontalPodAutoscaler", "muster-worker") in names) is (overlay == "production")


def test_how_many_of_each_an_overlay_starts(build: Any) -> None:
    counts = {
        overlay: {
            document["metadata"]["name"].removeprefix("muster-"): document["spec"].get("replicas")
            for document in build(overlay)
            if document["kind"] == "Deployment"
        }
        for overlay in OVERLAYS
    }
    assert counts == {
        "small": {"api": 1, "worker": 1, "scheduler": 1},
        "production": {"api": 3, "worker": None, "scheduler": 2},
    }, "the autoscaler says how many workers there are"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_can_be_evicted_under_its_budget_and_under_one_only(build: Any, overlay: str) -> None:
    found = build(overlay)
    budgets = [one["spec"] for one in found if one["kind"] == "PodDisruptionBudget"]
    for one in found:
        if one["kind"] != "Deployment":
            continue
        labels = one["spec"]["template"]["metadata"]["labels"].items()
        budget, *others = [spec for spec in budgets if spec["selector"]["matchLabels"].items() <= labels]
        assert not others
        assert budget.get("minAvailable", 0) < one["spec"].get("replicas", 2)


def test_processes_are_commands_with_settings_that_there_are_little_power_and_time_to_end() -> None:
    found = pods([document for _, document in written()])
    assert set(found) == {"muster-migrate", "muster-api", "muster-worker", "muster-scheduler"}
    for name, pod in found.items():
        (container,) = pod["containers"]
        assert container["args"][0] in COMMANDS, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["terminationGracePeriodSeconds"] > GRACE
        assert "memory" in container["resources"]["limits"]
        if name != "muster-migrate":
            assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    settings = next(document["data"] for name, document in written() if name == "settings.yaml")
    for example in KUBERNETES.glob("overlays/*/secret.env.example"):
        settings |= dict(line.split("=", 1) for line in example.read_text().splitlines())
    assert {name.removeprefix("MUSTER_").lower() for name in settings} <= set(Settings.model_fields)


@pytest.mark.parametrize("unit", sorted(SYSTEMD.iterdir()), ids=lambda file: file.name)
def test_a_systemd_unit_is_what_systemd_takes(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed")
    for file in SYSTEMD.iterdir():
        text = re.sub(r"/opt/muster/bin/muster\b", "/bin/true", file.read_text())
        (tmp_path / file.name).write_text(text)
    asked = [
        analyze,
        "verify",
        "--man=no",
        "--recursive-errors=no",
        str(tmp_path / unit.name.replace("@.", "@1.")),
    ]
    if "@" in unit.name:
        (tmp_path / unit.name.replace("@.", "@1.")).write_text((tmp_path / unit.name).read_text())
    ended = subprocess.run(asked, capture_output=True, text=True, check=False)
    complaints = [line for line in ended.stderr.splitlines() if "muster" in line]
    assert (ended.returncode, complaints) == (0, [])


def test_systemd_units_start_commands_and_leave_time_to_end() -> None:
    for unit in SYSTEMD.glob("*.service"):
        text = unit.read_text()
        command = re.search(r"^ExecStart=/opt/muster/bin/muster (\w+)", text, re.MULTILINE)
        assert command is not None
        assert command[1] in COMMANDS
        stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
        assert stop is not None
        assert int(stop[1]) > GRACE
    wanted = re.search(r"^Wants=(.*)$", (SYSTEMD / "muster.target").read_text(), re.MULTILINE)
    assert wanted is not None
    assert {re.sub("@.", "@", name) for name in wanted[1].split()} == {
        unit.name for unit in SYSTEMD.glob("*.service")
    }
