"""What the documentation says is so: links, settings, commands, exit codes, and the proofs of the guarantees."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
import typer
import yaml

from actors.cli.app import app
from actors.cli.draft import Draft, read_file
from actors.cli.failure import Exit
from config.settings import Settings
from engine.delivery.conditions import check_condition
from engine.filters import where
from engine.kernel.inputs import read
from tests.harness.child import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster

PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
THREATS = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(MUSTER_\w+)` \| (.*?) \|", README, re.MULTILINE))
    assert set(rows) == {f"MUSTER_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = field.default
        if default is None or default is ...:
            continue
        shown = (
            f"{default.total_seconds():g}" if hasattr(default, "total_seconds") else str(default).rstrip("/")
        )
        assert rows[f"MUSTER_{name.upper()}"] == f"`{shown}`", name


def test_every_exit_code_is_explained() -> None:
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert explained == {int(code) for code in Exit} | {130}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_are_shown_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"(?:^|`|\s)muster ((?:--org \w+ )?[a-z]+(?: [a-z][a-z-]*)?)", _code(text))
    for words in shown:
        first, *rest = words.removeprefix("--org acme ").split()
        assert first in COMMANDS, f"{page.name} shows muster {first}"
        inner = getattr(COMMANDS[first], "commands", None)
        if inner is not None and rest:
            assert rest[0] in inner, f"{page.name} shows muster {words}"


def _code(text: str) -> str:
    """The blocks and the quoted pieces: prose may say `muster` without naming a command."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    without = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *(f"`{piece}`" for piece in re.findall(r"`([^`\n]+)`", without))])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_make_targets_that_are_shown_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", _code(page.read_text(encoding="utf-8")))) <= targets


def test_every_guarantee_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| (?!promise)([^|]+) \| ([^|]+) \|$", GUARANTEES, re.MULTILINE)
    threats = re.findall(r"^\| (?!who)([^|]+)\|[^|]+\|[^|]+\| ([^|]+) \|$", THREATS, re.MULTILINE)
    assert len(rows) > 20
    assert len(threats) > 10
    rows += threats
    for promise, proofs in rows:
        if set(promise) <= set("- "):
            continue
        named = re.findall(r"`((?:tests|clients/testing)/[\w/]+\.py)(?:::(\w+))?`", proofs)
        assert named, f"no proof: {promise}"
        for path, test in named:
            assert (ROOT / path).exists(), f"{path} is gone; it proved: {promise}"
            if test:
                assert re.search(rf"^(?:async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), (
                    f"{path}::{test} is gone; it proved: {promise}"
                )


def test_the_example_of_a_campaign_file_can_be_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "campaign-file.md").read_text(encoding="utf-8")
    (tmp_path / "campaign.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    draft = read(Draft, read_file(tmp_path / "campaign.yaml"))
    assert draft.name == "Autumn in Norway"
    assert set(Draft.model_fields) - {"flow", "start_date", "steps"} <= draft.model_fields_set


def test_the_example_of_several_steps_can_be_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "campaign-file.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[2].partition("```")[0]
    (tmp_path / "campaign.yaml").write_text("name: Several\n" + example)
    draft = read(Draft, read_file(tmp_path / "campaign.yaml"))
    assert [3, 1, 1] == [
        sum(getattr(step, field) is not None for step in draft.steps)
        for field in ("template", "wait", "action")
    ]
    for step in draft.steps:
        if step.where:
            check_condition(where.tree_of(step.where))


def test_the_conditions_of_the_page_can_be_used(populated: Muster, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "campaign-file.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ((?:`[^`]+` ?)+)\|", page, re.MULTILINE)
    conditions = [piece for cell in cells for piece in re.findall(r"`([^`]+)`", cell) if " " in piece]
    assert len(conditions) >= 10
    text = tmp_path / "x.txt"
    text.write_text("x")
    for condition in conditions:
        populated.ok("campaign", "create", condition, "--where", condition, "--text", text)


def test_the_container_files_agree_with_the_command_line() -> None:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for name in ("migrate", "api", "worker", "scheduler"):
        service = composed["services"][name]
        assert service["command"].split()[0] in COMMANDS
        settings = {setting.removeprefix("MUSTER_").lower() for setting in service["environment"]}
        assert settings <= set(Settings.model_fields)
    procfile = (ROOT / "Procfile").read_text().splitlines()
    assert [line.split()[2] for line in procfile] == ["api", "worker", "scheduler"]
    grace = int(composed["x-muster"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["shutdown_grace"].default.total_seconds()


def test_the_containers_have_no_password_of_ours_and_little_power() -> None:
    """Passwords are given or it does not start; roots are read-only, capabilities dropped, images pinned by digest."""
    pinned = r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}"
    text = (ROOT / "compose.yaml").read_text()
    for name in ("POSTGRES_PASSWORD", "MUSTER_SECRET_KEY"):
        assert re.findall(rf"\$\{{{name}[^}}]*\}}", text)
        assert all(":?" in use for use in re.findall(rf"\$\{{{name}[^}}]*\}}", text))
    for name, service in yaml.safe_load(text)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["image"] == "muster" or re.fullmatch(
            rf"\$\{{[A-Z]+_IMAGE:-{pinned}\}}", service["image"]
        ), name
    ours = re.findall(rf"PYTHON_IMAGE(?:=|:-)({pinned})", (ROOT / "Dockerfile").read_text() + text)
    assert len(ours) == 2
    assert len(set(ours)) == 1, "the image is built from one base, however it is built"


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_the_lock_files_name_no_host_and_every_package_by_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE)
    pieces = re.split(r"^(?=[a-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    packages = [piece for piece in pieces if piece.strip()]
    assert len(packages) > 40
    assert all("==" in package and "--hash=sha256:" in package for package in packages)


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = {
        lock: set(
            re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[.*\])?==", (ROOT / lock).read_text(), re.MULTILINE)
        )
        for lock in ("requirements.txt", "requirements-dev.txt")
    }
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["build"]
    assert _names(wanted) <= locked["requirements.txt"]
    assert (
        _names(project["dependency-groups"]["dev"]) | locked["requirements.txt"]
        <= locked["requirements-dev.txt"]
    )


def _names(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", one)[0].lower().replace("_", "-") for one in requirements}  # type: ignore[index]


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ
    )
    for target in ("setup", "run", "test", "chaos", "bench", "lint", "types", "docs", "lock"):
        assert re.search(rf"\b{target}\b", done.stdout)
