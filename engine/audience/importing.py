"""Import of entities from CSV or NDJSON of any size, as a stream, in constant memory; from workbooks of a bounded size.

Promises:
- A bad line is reported by its number and never stops the good ones; a file that is no UTF-8 text, or lacks a
  column that was named, is refused before anything is written.
- Lines are stored in batches, each a transaction of its own, and with external ids importing again is safe:
  what stands already is skipped. So when the database goes away, what is in stays in, and the same file is
  imported again.
- What the file does not name stays: a column that it lacks, a name that a line of NDJSON lacks. What is empty in it is
  empty then. (`replace`: an entity has then what its line says, and nothing else.)
- Memory holds one batch, whatever the file's size; of the troubles the first 1,000 are kept and all are
  counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.errors import MusterError
from engine.audience.attributes import merged
from engine.audience.formats import Columns, records_in
from engine.audience.keyed import store_by_key
from engine.audience.lines import ImportRefused
from engine.audience.store import CannotStore, Mode, Row, store
from engine.filters.schema_names import check_schema
from engine.kernel.inputs import Invalid
from state.database import is_connection_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.audience.records import Record
    from engine.audience.store import Counts

__all__ = [
    "MAX_ERRORS",
    "MAX_NOTES",
    "ImportInterrupted",
    "ImportRefused",
    "ImportResult",
    "LineError",
    "import_entities",
]

#: Troubles that are kept with line and message; the rest is counted.
MAX_ERRORS = 1_000
MAX_NOTES = 100
#: Rows, and characters of their attributes, that are written at once.
_BATCH_ROWS = 1_000
_BATCH_SIZE = 4_194_304
#: So many times more rows where each batch has to look through the schema.
_KEYED = 10


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with one line, or odd about it."""

    line: int
    message: str


@dataclass(slots=True)
class ImportResult:
    """What became of the file's records."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    """Unchanged, or merged with a later record of the same external id in the same batch."""
    rejected: int = 0
    errors: list[LineError] = field(default_factory=list)
    """The first 1,000 of the rejected."""
    notes: list[LineError] = field(default_factory=list)
    """What is odd about lines and leaves nobody out; the first 100."""

    def note(self, line: int, message: str) -> None:
        """Keep a remark."""
        if len(self.notes) < MAX_NOTES:
            self.notes.append(LineError(line, message))

    def reject(self, line: int, message: str) -> None:
        """Count a trouble."""
        self.rejected += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(LineError(line, message))


class ImportInterrupted(MusterError):
    """The database went away. What was stored until then stays."""

    def __init__(self, lines: int, result: ImportResult, *, repeatable: bool) -> None:
        again = (
            "import the same file again: what is in already will be skipped"
            if repeatable
            else "lines without an external id would be imported twice: take those that are in out of the file"
        )
        super().__init__(
            f"the database went away; the file is in up to line {lines}. Once it is back, {again}"
        )
        self.lines = lines
        """The last line of the file whose record is stored for certain; 0 when none is."""
        self.result = result
        """What was done until then."""


class _Counted:
    """Chunks on their way through, and how many bytes they had."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.bytes += len(chunk)
            yield chunk


def import_entities(
    transaction: Callable[[], AbstractContextManager[Session]],
    org_id: UUID,
    schema: str,
    chunks: Iterable[bytes],
    *,
    content_type: str,
    external_id: str | None = None,
    title: str | None = None,
    key: str | None = None,
    delimiter: str | None = None,
    decimal_comma: Sequence[str] = (),
    decimal_point: Sequence[str] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
    added: Mapping[str, str] = MappingProxyType({}),
    mode: Mode = Mode.MERGE,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Upsert the entities of a file.

    Args:
        transaction: `Runtime.transaction` (or `Database.begin`, where nobody waits to be woken): each batch is one.
        org_id: Whose entities they are.
        schema: Their schema.
        chunks: The file, or a request's body, in pieces of any size; read once.
        content_type: Of CSV, NDJSON or XLSX (engine.audience.formats); parameters (`; charset=utf-8`) are ignored.
        external_id: The column that identifies an entity; absent: a field of that very name, if there is one,
            else every record is a new entity.
        title: A template like `{First Name} {Last Name}`; absent: the field `title`. An empty title changes
            none, and neither does a template of which a line of NDJSON lacks a name.
        key: Instead of `external_id`: the column whose value is looked for in the attribute of its name
            (engine.audience.keyed).
        delimiter: What stands between the columns of CSV: a character, or a word for it; absent: it is found out.
        decimal_comma: Columns of numbers like `1.234,50`, kept as `1234.50`; what is no number stays as it is.
        decimal_point: Columns of numbers like `1,234.50`.
        renamed: Column of a table → attribute that it is, by which the other arguments know it; empty: left out.
        added: Attribute → value that every entity of the file gets.
        mode: Whether attributes that a record does not name stay, or go.
        progress: Called after each batch with the lines and bytes read so far.

    Raises:
        ImportRefused: the file as a whole, or what is asked for, cannot be used. Nothing was written.
        ImportInterrupted: the database went away.
        Invalid: `schema` is none.
    """
    check_schema(schema)
    counted = _Counted(chunks)
    columns = Columns(
        external_id or None,
        title or None,
        key or None,
        delimiter or None,
        (*decimal_comma,),
        (*decimal_point,),
        renamed,
        added,
    )
    records = records_in(content_type, counted, columns)
    result = ImportResult()
    batch = _Batch(transaction, org_id, schema, key or None, mode, result)
    for record in records:
        if batch.take(record) and progress is not None:
            progress(record.line, counted.bytes)
    batch.flush()
    if batch.nameless:
        result.note(1, "names no column that knows people again: the same file, imported again, doubles them")
    if progress is not None:
        progress(batch.line, counted.bytes)
    return result


class _Batch:
    """Rows on their way into the database. A later row of the same external id is merged into the earlier one, or takes
    its place.
    """

    def __init__(
        self,
        transaction: Callable[[], AbstractContextManager[Session]],
        org_id: UUID,
        schema: str,
        key: str | None,
        mode: Mode,
        result: ImportResult,
    ) -> None:
        self._transaction, self._org_id, self._schema = transaction, org_id, schema
        self._key = key
        self._mode, self._result = mode, result
        self._keyed: dict[str, tuple[int, Row]] = {}
        """Line and row of each external id, or of each value of the key."""
        self._unkeyed: list[Row] = []
        self._size = 0
        self._joined = 0
        self.nameless = False
        """Whether records were taken that nobody will know again."""
        self._stored_line = 0
        self.line = 0
        """The line of the last record taken."""

    def take(self, record: Record) -> bool:
        """Take a record; True when that filled the batch and it was stored."""
        self.line = record.line
        row = record.row
        if record.note is not None:
            self._result.note(record.line, record.note)
        if record.trouble is not None:
            self._result.reject(record.line, record.trouble)
        if row is None:
            return False
        known_by = row.external_id if self._key is None else row.matched_by
        if known_by is None:
            self._unkeyed.append(row)
            self.nameless = True
        else:
            self._take_keyed(record.line, row, known_by)
        self._size += len(row.attributes)
        most = _BATCH_ROWS if self._key is None else _BATCH_ROWS * _KEYED
        full = len(self._keyed) + len(self._unkeyed) >= most or self._size >= _BATCH_SIZE
        if full:
            self.flush()
        return full

    def _take_keyed(self, line: int, row: Row, key: str) -> None:
        if key in self._keyed:
            earlier = self._keyed[key][1]
            try:
                row = _joined(earlier, row, self._mode)
            except Invalid as error:
                self._result.reject(line, str(error))
                return
            self._joined += 1
        self._keyed[key] = line, row

    def flush(self) -> None:
        """Store what was taken."""
        counts = self._stored()
        self._result.created += counts.created
        self._result.updated += counts.updated
        self._result.skipped += counts.skipped + self._joined
        self._stored_line = self.line
        self._keyed, self._unkeyed, self._size, self._joined = {}, [], 0, 0

    def _stored(self) -> Counts:
        try:
            with self._transaction() as session:
                if self._key is not None:
                    keyed = {value: row for value, (_, row) in self._keyed.items()}
                    return store_by_key(session, self._org_id, self._schema, self._key, keyed, self._mode)
                rows = [*(row for _, row in self._keyed.values()), *self._unkeyed]
                return store(session, self._org_id, self._schema, rows, self._mode)
        except CannotStore as error:
            for known_by, trouble in error.troubles.items():
                line, _ = self._keyed.pop(known_by)
                self._result.reject(line, trouble)
            return self._stored()
        except Exception as error:
            if isinstance(error, PoolTimeout) or is_connection_loss(error):
                raise ImportInterrupted(
                    self._stored_line, self._result, repeatable=not self.nameless
                ) from error
            raise


def _joined(earlier: Row, later: Row, mode: Mode) -> Row:
    """Two rows of one external id as one.

    Raises:
        Invalid: together they have too many attributes.
    """
    return Row(
        later.external_id,
        later.title or earlier.title,
        merged(earlier.attributes, later.attributes) if mode is Mode.MERGE else later.attributes,
        earlier.title_if_none or later.title_if_none,
        later.matched_by,
    )
