"""The number of statements of a page does not grow with what it shows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

from tests.console.pages import PAGES
from tests.console.world import make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.api.conftest import Api
    from tests.console.conftest import Person


#: Pages that take more for more, up to a bound: home shows six running campaigns, each with its outlook, and a plan
#: looks at 2,000 people, in groups.
BOUNDED = {"home": 30, "plan": 10}


@contextmanager
def counted(api: Api) -> Iterator[list[str]]:
    """The statements of the block."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(api.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(api.database.engine, "before_cursor_execute", note)


def test_pages_take_as_many_statements_whatever_they_show(api: Api, sign_in: Callable[..., Person]) -> None:
    person = sign_in("admin")
    small = make_world(api, campaigns=2, recipients=4)
    counts: dict[str, int] = {}
    for name, path in PAGES.items():
        with counted(api) as statements:
            assert person.get(path(small)).status_code == 200
        counts[name] = len(statements)
    large = make_world(api, campaigns=40, recipients=200)
    for name, path in PAGES.items():
        with counted(api) as statements:
            assert person.get(path(large)).status_code == 200
        more = len(statements) - counts[name]
        assert more <= BOUNDED.get(name, 0), (name, counts[name], statements)
