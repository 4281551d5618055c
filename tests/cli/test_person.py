"""`muster person`: export and erase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from state.tables import Entity

if TYPE_CHECKING:
    from tests.cli.conftest import Muster


def test_the_command_line_exports_and_erases(acme: Muster) -> None:
    database = acme.database()
    file = acme.folder / "people.csv"
    file.write_text("id,Title,email\nada,Ada Lovelace,ada@example.com\n")
    acme.ok("import", file, "--external-id", "id")
    assert "ada@example.com" == acme.ok("person", "export", "ada").json["entity"]["email"]
    assert 0 != acme("person", "erase", "ada").code  # nobody answers
    done = acme.ok("person", "erase", "ada@example.com", "--yes", "--json").json
    assert "erased" == done["status"]
    with database.read() as session:
        assert [] == session.scalars(select(Entity)).all()
    assert done == acme.ok("person", "erase", done["entity_id"], "--yes", "--json").json
    assert 0 != acme("person", "export", "ada").code
    database.close()
