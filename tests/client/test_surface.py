"""What the client is: light, typed, and the same whether it is awaited or not."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from engine.client import async_resources, resources
from tests.harness.child import ROOT

_HEAVY = "sqlalchemy fastapi starlette dramatiq redis pydantic alembic structlog uvicorn state config engine.inputs"


def test_it_loads_nothing_of_the_server() -> None:
    code = f"import engine.client, sys; print(*sorted(set('{_HEAVY}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "name", ["Campaigns", "Collection", "Targets", "Channels", "Entities", "Flows", "Templates"]
)
def test_both_clients_can_do_the_same(name: str) -> None:
    shapes = []
    for module in (resources, async_resources):
        methods = inspect.getmembers(getattr(module, name), inspect.isfunction)
        shapes.append({verb: str(inspect.signature(method)) for verb, method in methods})
    waiting, awaited = shapes
    assert {
        verb: shape.replace("AsyncIterator", "Iterator").replace("AsyncStream", "Stream")
        for verb, shape in awaited.items()
    } == waiting


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
    for module in (resources, async_resources):
        assert set(names.split()) <= set(dir(module.Campaigns))
