"""PostgreSQL, over psycopg."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    String,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    event,
    func,
    literal,
    text,
)
from sqlalchemy import select as select_columns
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import BIT, JSONB
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.types import UserDefinedType

from state.dialects.dialect import BUSY_TIMEOUT, Dialect, SlowStatement, new_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.elements import ColumnElement
    from sqlalchemy.sql.selectable import Subquery
    from sqlalchemy.types import TypeEngine

    from state.dialects.dialect import Column

__all__ = ["PackedArray", "PostgreSQL"]

#: Of every session. Statements are short and many: for one of these PostgreSQL would start a helper process, or compile
#: it, when its statistics are off (measured: 9 ms instead of 2 to load a slice).
_SESSION = "-c timezone=UTC -c jit=off -c max_parallel_workers_per_gather=0"
#: The same where a pooler stands between: it takes no `options`. This one it keeps for each of its clients; the others
#: belong to the role (docs/operations.md).
_POOLED_SESSION = "SET timezone = 'UTC'"
#: When a host that says no good-bye counts as gone: a connection attempt, data that nobody acknowledges, and silence
#: while an answer is waited for. Seconds, but `tcp_user_timeout`: milliseconds. Below a lease (30 s), so that a worker
#: comes back on another connection while its lease can still be renewed.
_SILENCE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}

_ITEMS = {Uuid: "UUID", BigInteger: "BIGINT", Integer: "INTEGER"}

# In the order of the subjects, so that two transactions over the same ones never wait for each other.
_LOCK_EACH = {
    shared: text(
        f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}(:kind, subject) FROM (SELECT DISTINCT subject "  # noqa: S608 - one of two words
        "FROM unnest(CAST(:subjects AS integer[])) AS subject ORDER BY subject) AS ordered"
    )
    for shared in (False, True)
}
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:kind, :subject)")


class PackedArray(UserDefinedType[Any]):
    """A PostgreSQL array that is given as its text (`PostgreSQL.packed`) and parsed once by the server.

    Binding a list costs the client several times more; casting a text inside the statement costs the server a parse
    a row.
    """

    cache_ok = True
    render_bind_cast = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        self.item = item

    def get_col_spec(self, **_: Any) -> str:
        """The array type's name."""
        name = next((name for kind, name in _ITEMS.items() if isinstance(self.item, kind)), "TEXT")
        return f"{name}[]"


#: The view is there, may be read, and the library that fills it is loaded (reading it fails otherwise).
_RECORDS_STATEMENTS = text(
    "SELECT COALESCE(has_table_privilege(to_regclass('pg_stat_statements'), 'SELECT'), false) "
    "AND current_setting('pg_stat_statements.max', true) IS NOT NULL"
)
_SLOW_STATEMENTS = text(
    "SELECT left(query, 2000), calls, mean_exec_time / 1000, total_exec_time / 1000 "
    "FROM pg_stat_statements "
    "WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query IS NOT NULL "
    "ORDER BY total_exec_time DESC LIMIT :most"
)


class PostgreSQL(Dialect):
    """Many processes on many machines over one database."""

    name = "postgresql"
    title = "PostgreSQL"
    version_query = "SHOW server_version"
    reading = {"postgresql_readonly": True}  # noqa: RUF012 - a mapping by its type
    has_many_writers = True

    def make_engine(
        self,
        url: URL,
        *,
        pool_size: int,
        is_pooled: bool,
        functions: Mapping[str, tuple[int, Callable[..., Any]]],  # noqa: ARG002 - it has them itself
    ) -> Engine:
        """A connection whose server went away is replaced before it is used."""
        session = {"prepare_threshold": None} if is_pooled else {"options": _SESSION}
        silence = {name: url.query.get(name, value) for name, value in _SILENCE.items()}
        engine = new_engine(
            url,
            pool_size,
            pool_timeout=BUSY_TIMEOUT.total_seconds(),
            connect_args={"application_name": "muster", **session, **silence},
        )
        if is_pooled:

            @event.listens_for(engine, "connect")
            def _begin_session(connection: Any, _record: object) -> None:
                connection.execute(_POOLED_SESSION)
                connection.commit()

        @event.listens_for(engine, "checkout")
        def _still_there(connection: Any, _record: object, _proxy: object) -> None:
            """A server that went away has closed its end: seen by a look at the socket, without a round trip."""
            watch = select.poll()
            watch.register(connection.fileno(), select.POLLIN)
            if watch.poll(0):
                raise DisconnectionError("the server closed the connection")

        return engine

    def insert(self, table: Any) -> Any:
        """PostgreSQL's own construct."""
        return postgresql.insert(table)

    def among(self, left: Column, values: Sequence[Any]) -> ColumnElement[bool]:
        """`left = ANY (array)`."""
        return left == any_(bindparam(None, self.packed(values), type_=PackedArray(left.type), unique=True))

    def among_parameter(self, left: Column, name: str) -> ColumnElement[bool]:
        """`left = ANY (array)`."""
        return left == any_(bindparam(name, type_=PackedArray(left.type)))

    def packed(self, values: Iterable[Any]) -> str:
        """The text of an array."""
        return (
            "{"
            + ",".join([value.hex if isinstance(value, UUID) else _quoted(value) for value in values])
            + "}"
        )

    def rows(
        self, types: Mapping[str, type[TypeEngine[Any]]], values: Sequence[tuple[Any, ...]], name: str
    ) -> Subquery:
        """An array a column."""
        arrays = [
            bindparam(None, [row[i] for row in values], type_=ARRAY(types[label]), unique=True)
            for i, label in enumerate(types)
        ]
        given = (
            func.unnest(*arrays)
            .table_valued(*(column(label, types[label]) for label in types), name=f"{name}_values")
            .render_derived()
        )
        return select_columns(*(given.c[label] for label in types)).subquery(name)

    def document(self, text: ColumnElement[str]) -> ColumnElement[Any]:
        """A cast to `jsonb`."""
        return cast(text, JSONB)

    def member(self, document: Column, name: str) -> ColumnElement[str]:
        """`document ->> name`."""
        return document.op("->>", return_type=Text())(literal(name, Text))

    def hours_after(self, instant: Column, hours: Column) -> ColumnElement[Any]:
        """An interval more."""
        return instant + func.make_interval(0, 0, 0, 0, 0, 0, hours * 3600)

    def place(self, salt: UUID, key: Column, places: int) -> ColumnElement[int]:
        """Computed by the server."""
        digits = func.substr(func.md5(literal(salt.hex, Text) + func.replace(cast(key, Text), "-", "")), 1, 8)
        number = cast(cast(literal("x", String) + digits, BIT(32)), BigInteger)
        return func.mod(number, places, type_=BigInteger())

    def lock(
        self, session: Session | Connection, kind: int, subjects: Sequence[int], *, shared: bool
    ) -> None:
        """Advisory locks of the transaction. One round trip."""
        session.execute(_LOCK_EACH[shared], {"kind": kind, "subjects": self.packed(subjects)})

    def try_lock(self, session: Session, kind: int, subject: int) -> bool:
        """An advisory lock of the transaction."""
        return bool(session.execute(_TRY_LOCK, {"kind": kind, "subject": subject}).scalar_one())

    def fail_instead_of_waiting(self, session: Session) -> None:
        """`lock_timeout`, in milliseconds; 0 would mean that it waits for ever."""
        session.execute(text("SET LOCAL lock_timeout = 1"))

    def analyze(self, engine: Engine, tables: Sequence[str]) -> None:
        """`ANALYZE`, outside of a transaction."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ANALYZE (SKIP_LOCKED) {', '.join(tables)}"))

    def overwrite_deleted(self, engine: Engine) -> None:
        """Autovacuum does it."""

    def slow_statements(self, session: Session, most: int) -> Sequence[SlowStatement] | None:
        """From the extension pg_stat_statements, where it is loaded and created. Constants are `$1`, `$2` … in it."""
        if not session.execute(_RECORDS_STATEMENTS).scalar_one():
            return None
        rows = session.execute(_SLOW_STATEMENTS, {"most": most})
        return [SlowStatement(" ".join(said.split()), *numbers) for said, *numbers in rows]


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
