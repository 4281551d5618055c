"""Houses that outlive a test, and the table at the end of the run."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tests.chaos.house import House, Kind
from tests.chaos.scene import VERDICTS
from tests.harness.results import table

if TYPE_CHECKING:
    from collections.abc import Iterator


class Street:
    """One house at a time."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._house: House | None = None

    def house(self, kind: Kind) -> House:
        if self._house is not None and (self._house.condemned or self._house.kind is not kind):
            self.clear()
        if self._house is None:
            self._house = House(self._factory.mktemp("house"), kind)
            self._house.open()
        return self._house

    def clear(self) -> None:
        if self._house is not None:
            self._house.close()
            self._house = None


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    street = Street(tmp_path_factory)
    yield street
    street.clear()


@pytest.fixture
def house(street: Street) -> House:
    return street.house(Kind.PLAIN)


@pytest.fixture
def proxied_house(street: Street) -> House:
    """Muster reaches PostgreSQL through `house.proxy`."""
    return street.house(Kind.PROXIED)


@pytest.fixture
def far_house(street: Street) -> House:
    """Muster reaches PostgreSQL on another host, `house.far_host`."""
    return street.house(Kind.FAR)


@pytest.fixture
def rabbitmq_house(street: Street) -> House:
    """The broker is RabbitMQ, reached through `house.proxy`."""
    return street.house(Kind.RABBITMQ)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one kind of house after one another: changing houses takes longer than most faults."""
    kinds = ("house", "proxied_house", "far_house", "rabbitmq_house")

    def kind(item: pytest.Item) -> int:
        names = getattr(item, "fixturenames", ())
        return next((place for place, name in enumerate(kinds) if name in names), -1)

    items.sort(key=kind)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was injected in this run, and what it did."""
    if VERDICTS:
        drawn = StringIO()
        Console(file=drawn, width=110, force_terminal=terminalreporter.hasmarkup).print(table(VERDICTS))
        terminalreporter.write("\n" + drawn.getvalue())
