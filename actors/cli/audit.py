"""`muster audit`: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.cli.output import Json, emit, moment, note, table

__all__ = ["audit"]


def audit(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(help="How many at most, 1..1000.")] = 25,
    next_: Annotated[str | None, typer.Option("--next", help="The cursor that the page before gave.")] = None,
    author: Annotated[str | None, typer.Option(help="Its records alone: key:…, jwt:…, cli:…")] = None,
    operation: Annotated[str | None, typer.Option(help="Records of this operation or command alone.")] = None,
    as_json: Json = False,
) -> None:
    """List who changed what, newest first."""
    from actors.cli.context import opened
    from engine.audit import list_records, record_json

    with opened(context) as muster, muster.read() as session:
        found = list_records(
            session, muster.org_id, limit=limit, next=next_, author=author, operation=operation
        )
        records = [record_json(record) | {"at": record.at} for record in found.results]
    if as_json:
        emit({"results": records, "next": found.next, "total": found.total})
        return
    table(
        ("At", "Author", "From", "Operation", "Changes"),
        [
            (
                moment(record["at"]),
                record["author"],
                record.get("address", ""),
                record["operation"],
                "\n".join(_line(change) for change in record["changes"]),
            )
            for record in records
        ],
    )
    if found.next is not None:
        note(f"{found.total} in all; the next page: --next {found.next}")


def _line(change: dict[str, Any]) -> str:
    before, after = change.get("before", {}), change.get("after", {})
    values = ", ".join(
        f"{name}: {before[name]} → {after.get(name)}" if name in before else f"{name}: {after[name]}"
        for name in {**before, **after}
    )
    return " ".join(part for part in (change["action"], change["kind"], change.get("id", ""), values) if part)
