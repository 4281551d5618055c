"""What the client is: light, typed, and the same whether it is awaited or not."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.api.imbrace import schemas as imbrace
from engine.api.targeting import schemas as targeting
from engine.api.targeting.email_stats import EmailStats
from engine.api.targeting.template_schemas import Template
from muster_client import types
from muster_client.asynchronous import resources as awaited_resources
from muster_client.synchronous import resources as waiting_resources
from tests.harness.child import ROOT

if TYPE_CHECKING:
    from pydantic import BaseModel

CLIENT = ROOT / "clients" / "python"


def test_it_imports_httpx_and_the_standard_library_alone() -> None:
    imported = set()
    for file in (CLIENT / "muster_client").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    assert imported - sys.stdlib_module_names == {"httpx", "muster_client"}


@pytest.mark.parametrize(
    ("answer", "model"),
    [
        (types.Campaign, imbrace.ImbraceCampaign),
        (types.Touchpoint, imbrace.ImbraceTouchpoint),
        (types.Validation, imbrace.ImbraceValidated),
        (types.JobStatus, targeting.JobStatus),
        (types.JobExecution, targeting.Execution),
        (types.Waiting, targeting.Waiting),
        (types.Recipient, targeting.Recipient),
        (types.RetriggerResult, targeting.RetriggerResult),
        (types.EmailStats, EmailStats),
        (types.Target, targeting.Target),
        (types.Template, Template),
        (types.Channel, targeting.Channel),
        (types.Flow, targeting.Flow),
        (types.Step, targeting.Step),
        (types.Entity, targeting.Entity),
        (types.Checked, targeting.ChannelCheck),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) and hasattr(value, "__total__") else "",
)
def test_required_keys_are_those_that_every_answer_has(answer: Any, model: type[BaseModel]) -> None:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    always = {
        name for name, field in fields.items() if field.is_required() or field.default_factory is not None
    }
    assert answer.__annotations__.keys() <= fields.keys()
    assert answer.__required_keys__ == answer.__annotations__.keys() & always


@pytest.mark.parametrize(
    "name", ["Campaigns", "Collection", "Targets", "Channels", "Entities", "Flows", "Templates"]
)
def test_both_clients_can_do_the_same(name: str) -> None:
    shapes = []
    for module in (waiting_resources, awaited_resources):
        methods = inspect.getmembers(getattr(module, name), inspect.isfunction)
        shapes.append({verb: str(inspect.signature(method)) for verb, method in methods})
    waiting, awaited = shapes
    assert {
        verb: shape.replace("AsyncIterator", "Iterator").replace("AsyncStream", "Stream")
        for verb, shape in awaited.items()
    } == waiting


@pytest.mark.slow
def test_types(tmp_path: Path) -> None:
    """`api_types.py` says which type every call has; it is read by mypy and never run."""
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}", "--follow-imports=silent"]
    page = Path(__file__).with_name("api_types.py")
    done = subprocess.run([*command, str(page)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_operations_of_the_seed_have_its_names() -> None:
    names = (
        "list get create delete list_touchpoints get_touchpoint create_touchpoint update_touchpoint "
        "delete_touchpoint validate_touchpoint"
    )
    for module in (waiting_resources, awaited_resources):
        assert set(names.split()) <= set(dir(module.Campaigns))
