"""The arrows between packages and files run one way. `make lint` checks the layers; here, that there is no circle."""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict

import grimp
import pytest

from config.errors import MusterError
from tests.harness.child import ROOT

ROOTS = ("actors", "config", "engine", "state")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """All imports, those for type checkers too."""
    return grimp.build_graph(*ROOTS)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node (Tarjan)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(arrows):
        if node not in number:
            visit(node)
    return found


def package_of(module: str) -> str:
    """`engine.delivery` of `engine.delivery.plan`; `actors` of all that is in it."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "engine" else parts[0]


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_there_is_no_circle_of_packages(graph: grimp.ImportGraph) -> None:
    arrows: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if package_of(module) != package_of(imported):
                arrows[package_of(module)].add(package_of(imported))
    assert circles(arrows) == []


def test_there_is_no_circle_of_files(graph: grimp.ImportGraph) -> None:
    arrows = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert circles(arrows) == []


def test_the_command_line_holds_no_sql() -> None:
    """It may know the errors and the types of the database's library."""
    statements = {"select", "insert", "update", "delete", "text", "exists", "func", "and_", "or_", "false"}
    found = {
        file.name
        for file in (ROOT / "actors").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").split(".")[0] == "sqlalchemy"
        and statements & {name.name for name in node.names}
    }
    assert found == set()


def test_every_error_has_the_one_base() -> None:
    """By name: of a class whose bases are named like errors, one is defined here or is the base itself."""
    bases = {}
    for root in ROOTS:
        for file in (ROOT / root).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    bases[node.name] = {ast.unparse(base).split(".")[-1] for base in node.bases}

    def is_error(name: str) -> bool:
        known = getattr(builtins, name, None)
        if isinstance(known, type):
            return issubclass(known, Exception)
        return name.endswith(("Error", "Exception")) or any(map(is_error, bases.get(name, ())))

    def is_ours(name: str) -> bool:
        return name == MusterError.__name__ or any(map(is_ours, bases.get(name, ())))

    errors = {name for name, of in bases.items() if name != MusterError.__name__ and any(map(is_error, of))}
    assert len(errors) > 40
    assert {name for name in errors if not is_ours(name)} == set()
