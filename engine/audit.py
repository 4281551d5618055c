"""The audit log: who changed what, from where, written in the transaction of the change.

Promises:
- A transaction that an author makes (`watched`) and that changes what people configure leaves one record, or is rolled
  back with it. What the engine itself does (a status that moves on, a counter, a lease) has no author and leaves none:
  events tell of it.
- No record holds a secret, or what is known of a person: of encrypted columns, of settings and of attributes it names
  what changed, and no value; of an address it shows the first letter and the domain.
- A request that changed something is in the log even where its change is none of a row (`note_request`).

What recipients and agents did (statuses of single recipients) stands in their timelines, not here.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import event, func, inspect, select

from engine.events.outbox import record_audit
from engine.kernel.inputs import Invalid
from engine.kernel.listing import Page, check_limit, decode_cursor, encode_cursor
from state.change import clock_of
from state.tables import (
    ApiKey,
    AuditRecord,
    Campaign,
    Channel,
    Experiment,
    Flow,
    Job,
    JourneyLink,
    Organization,
    Portal,
    ProductRecommendation,
    ScheduledRun,
    Suppression,
    Target,
    Template,
    TemplateAttachment,
    Topic,
    Touchpoint,
    Webhook,
    Widget,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import ORMExecuteState, Session

    from state.database import Database

__all__ = ["Author", "list_records", "note", "note_request", "record_json", "watched"]

_CHANGES = "audit_changes"
_LONGEST_TEXT = 200

_AUDITED: tuple[type[Any], ...] = (
    ApiKey, Campaign, Channel, Experiment, Flow, Job, JourneyLink, Organization, Portal, ProductRecommendation,
    ScheduledRun, Suppression, Target, Template, TemplateAttachment, Topic, Touchpoint, Webhook, Widget,
)  # fmt: skip
_BY_TABLE = {table.__tablename__: table for table in _AUDITED}
#: Columns that follow from a change, or that the engine keeps for itself.
_UNTOLD = frozenset(
    {
        "created_at",
        "updated_at",
        "last_used_at",
        "limits_epoch",
        "limits_changed_at",
        "org_id",
        "id",
        "digest",
        "token",
    }
)
#: Of these a record names the keys that changed: their values may be secrets, or a person's.
_NAMES_ONLY = frozenset(
    {
        ("channel", "settings"), ("touchpoint", "settings"), ("touchpoint", "extras"), ("touchpoint", "content"),
        ("campaign", "extras"), ("template", "extras"), ("template", "headers"),
        ("job", "checkpoint"), ("job", "report"), ("portal", "extras"), ("widget", "extras"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes the changes of a request or a command."""

    name: str
    """`key:` and the key's id, `jwt:` and the token's subject, `cli:` and the user of the machine."""
    role: str
    """viewer, operator or admin."""
    operation: str
    org_id: UUID | None = None
    """Absent: the command is about no organization yet."""
    address: str | None = None
    request_id: str | None = None


@contextmanager
def watched(session: Session, author: Author) -> Iterator[None]:
    """Record what the block changes through `session` as `author`'s, before the session is committed."""
    session.info[_CHANGES] = _Changes()
    event.listen(session, "after_flush", _collect_rows)
    event.listen(session, "do_orm_execute", _collect_statement)
    yield
    session.flush()
    changes: _Changes = session.info.pop(_CHANGES)
    for org_id, items in changes.by_organization(author.org_id).items():
        _write(session, org_id, author, items)


def note(session: Session, kind: str, action: str, row_id: object = None, **after: Any) -> None:
    """Add a change that no row shows to what `watched` records."""
    changes: _Changes | None = session.info.get(_CHANGES)
    if changes is not None:
        changes.add(None, kind, None if row_id is None else str(row_id), action, {}, after)


def note_request(database: Database, author: Author, kind: str, action: str, **after: Any) -> None:
    """Record a request that changed, or took out, what `watched` does not see, in a transaction of its own."""
    if author.org_id is not None:
        item = {"kind": kind, "action": action, **({"after": after} if after else {})}
        with database.begin() as session:
            _write(session, author.org_id, author, [item])


def list_records(
    session: Session,
    org_id: UUID,
    *,
    limit: int,
    next: str | None = None,  # noqa: A002 - the API's word
    author: str | None = None,
    operation: str | None = None,
) -> Page[AuditRecord]:
    """An organization's records, newest first. Index (org_id, id).

    Args:
        limit: 1..1000.
        next: Where the page before ended.
        author: That author's alone.
        operation: That operation's alone.

    Raises:
        Invalid: `limit` or `next` cannot be used.
    """
    check_limit(limit)
    wanted = [AuditRecord.org_id == org_id]
    if author is not None:
        wanted.append(AuditRecord.author == author)
    if operation is not None:
        wanted.append(AuditRecord.operation == operation)
    total = session.execute(select(func.count()).select_from(AuditRecord).where(*wanted)).scalar_one()
    if next is not None:
        wanted.append(AuditRecord.id < _position(next))
    newest_first = select(AuditRecord).where(*wanted).order_by(AuditRecord.id.desc()).limit(limit + 1)
    found = list(session.execute(newest_first).scalars())
    results = found[:limit]
    return Page(results, encode_cursor([results[-1].id]) if len(found) > limit else None, total)


def record_json(record: AuditRecord) -> dict[str, Any]:
    """A record as the API shows it."""
    shown = {
        "_id": str(record.id),
        "at": record.at.isoformat(),
        "author": record.author,
        "role": record.role,
        "address": record.address,
        "request_id": record.request_id,
        "operation": record.operation,
        "changes": record.changes,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _position(cursor: str) -> int:
    match decode_cursor(cursor):
        case [int(position)] if 0 <= position < 2**63:
            return position
    raise Invalid("next", "is not a cursor that this list gave out")


class _Changes:
    """The changes of one transaction, one for each row and action."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str | None, str], dict[str, Any]] = {}
        self._org_ids: dict[tuple[str, str | None, str], UUID | None] = {}

    def add(
        self,
        org_id: UUID | None,
        kind: str,
        row_id: str | None,
        action: str,
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        created = (kind, row_id, "create")
        key = created if created in self._items and action == "update" else (kind, row_id, action)
        item = self._items.setdefault(
            key, {"kind": kind, "id": row_id, "action": key[2], "before": {}, "after": {}}
        )
        if key != created:
            item["before"] = before | item["before"]
        item["after"].update(after)
        self._org_ids[key] = org_id or self._org_ids.get(key)

    def by_organization(self, default: UUID | None) -> dict[UUID, list[dict[str, Any]]]:
        found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for key, item in self._items.items():
            org_id = self._org_ids[key] or default
            if org_id is not None:
                found[org_id].append({name: value for name, value in item.items() if value not in (None, {})})
        return found


def _write(session: Session, org_id: UUID, author: Author, changes: list[dict[str, Any]]) -> None:
    session.add(
        AuditRecord(
            org_id=org_id,
            at=clock_of(session).now(),
            operation=author.operation,
            author=author.name[:255],
            role=author.role,
            address=author.address,
            request_id=author.request_id,
            changes=changes,
        )
    )
    record_audit(
        session,
        org_id,
        operation=author.operation,
        author=author.name,
        changes=[_named(one) for one in changes],
    )


def _named(change: dict[str, Any]) -> dict[str, Any]:
    """What an event says of a change: which row, and no value."""
    return {name: change[name] for name in ("kind", "id", "action") if name in change}


def _collect_rows(session: Session, _context: object) -> None:
    changes: _Changes | None = session.info.get(_CHANGES)
    if changes is None:
        return
    for action, rows in (("create", session.new), ("update", session.dirty), ("delete", session.deleted)):
        for row in rows:
            if not isinstance(row, _AUDITED):
                continue
            kind = row.__tablename__
            before, after = _difference(row, kind, action)
            if action != "update" or before or after:
                changes.add(_org_of(row), kind, str(row.id), action, before, after)


def _org_of(row: Any) -> UUID | None:
    found: UUID | None = row.id if isinstance(row, Organization) else row.org_id
    return found


def _difference(row: Any, kind: str, action: str) -> tuple[dict[str, Any], dict[str, Any]]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    state = inspect(row)
    for attribute in state.mapper.column_attrs:
        name = attribute.key
        if name in _UNTOLD:
            continue
        history = state.attrs[name].history
        was = history.deleted[0] if history.deleted else None
        now = history.added[0] if history.added else None
        if action == "delete":
            was, now = state.attrs[name].loaded_value, None
            was = was if not callable(was) and was.__class__.__name__ != "LoaderCallableStatus" else None
        elif not history.has_changes():
            continue
        if (kind, name) in _NAMES_ONLY:
            was, now = _changed_keys(was, now)
        if was is not None:
            before[name] = _shown(kind, name, was)
        if now is not None or action == "update":
            after[name] = _shown(kind, name, now)
    return before, after


def _changed_keys(was: Any, now: Any) -> tuple[Any, Any]:
    """Of two objects, the keys of each that the other lacks or has otherwise."""
    if not isinstance(was, dict | None) or not isinstance(now, dict | None):
        return "…", "…"
    old, new = was or {}, now or {}
    return (
        sorted(key for key in old if key not in new or old[key] != new[key]) or None,
        sorted(key for key in new if key not in old or old[key] != new[key]) or None,
    )


def _collect_statement(state: ORMExecuteState) -> None:
    """INSERT, UPDATE and DELETE statements that name no row object."""
    changes: _Changes | None = state.session.info.get(_CHANGES)
    if changes is None or not (state.is_insert or state.is_update or state.is_delete):
        return
    statement: Any = state.statement
    table = _BY_TABLE.get(getattr(getattr(statement, "table", None), "name", ""))
    if table is None:
        return
    kind = table.__tablename__
    given = dict(statement.compile(dialect=state.session.get_bind().dialect).params)
    if isinstance(state.parameters, dict):
        given |= state.parameters
    if state.is_delete:
        action, after = "delete", {}
    else:
        action = "create" if state.is_insert else "update"
        after = _after(kind, table, {name.removesuffix("_m0"): value for name, value in given.items()})
        if not after:
            return
    row_id = next((given[name] for name in ("id_1", "id", "id_m0") if name in given), None)
    org_id = next((given[name] for name in ("org_id_1", "org_id", "org_id_m0") if name in given), None)
    changes.add(
        org_id if isinstance(org_id, UUID) else None,
        kind,
        None if row_id is None else str(row_id),
        action,
        {},
        after,
    )


def _after(kind: str, table: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The columns that a statement sets."""
    columns = set(table.__table__.columns.keys()) - _UNTOLD
    return {
        name: _shown(kind, name, _changed_keys(None, value)[1] if (kind, name) in _NAMES_ONLY else value)
        for name, value in given.items()
        if name in columns
    }


def _shown(kind: str, name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return "[secret]"
    if kind == "suppression" and name == "address":
        local, at, domain = str(value).rpartition("@")
        return f"{local[:1]}…{at}{domain}" if at else f"{value[:4]}…"
    if kind == "webhook" and name == "url":
        return "{0.scheme}://{0.netloc}".format(urlsplit(str(value)))
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}…"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | int | float | dict | list | None):
        return value
    return str(value)
