"""CSV (RFC 4180) as records, whatever is wrong with some of its lines.

The first line names the columns. The delimiter is what the caller says, else what Excel's line `sep=;` says, else the
one by which the first records have as many fields as the header. A quoted field may span lines. When a record turns
out bad (a quotation mark that is never closed, too many or too few fields), its *first* line is reported and reading
goes on with its second: a stray quotation mark costs one line and not all that follow.

Files that were joined are read on: byte order marks and lines `sep=` in their middle are none of their rows.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from typing import TYPE_CHECKING

from config.errors import MusterError
from engine.audience.columns import records_of
from engine.audience.headers import Fields, Header
from engine.audience.lines import MAX_LINE, ImportRefused, Line
from engine.kernel.csv_cells import unmarked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from engine.audience.reading import Reading
    from engine.audience.records import Record

__all__ = ["csv_fields", "csv_records", "read_delimiter"]

_BOM = "\ufeff"
#: Tried in this order; the first of equals is taken.
_CANDIDATES = ",;\t|"
#: Words for delimiters that a shell or a URL makes hard to write.
_WORDS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
#: Lines, and characters of them, that the delimiter is found by.
_SAMPLE_LINES = 40
_SAMPLE_SIZE = 262_144
_SAMPLE_RECORDS = 21

_SEP = re.compile(r'"?sep=(?P<delimiter>\\t|[^"\r\n])?"?(?P=delimiter)*[ \r]*', re.IGNORECASE)

#: What a text begins with that a spreadsheet was not to take for a number.
_MARKS = frozenset("'=")
_MARKED = """has texts in a spreadsheet's form (`'0123`, `="0123"`); they are read as `0123`"""
#: What JSON begins with, and no column is called.
_JSON = re.compile(r'\s*\{(?:\s*["}]|\s*$)')
_NOTHING = " \t\r\n" + _BOM

#: What the csv module says, by a part of it, and what we say.
_MESSAGES = {
    "unexpected end of data": "opens a quotation mark that is never closed",
    "expected after": "goes on after a closing quotation mark; inside a quoted field it is written twice",
    "new-line character": "contains a carriage return outside quotation marks",
    "field larger": f"has a field longer than {MAX_LINE} characters",
}


class _Broken(MusterError):
    """The record under way cannot be completed."""


class _Feed:
    """Gives the csv module its lines, remembers those of the record under way, and takes them back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._returned: deque[Line] = deque()
        self._taken: list[Line] = []
        self._size = 0
        self._header = ""
        """The first line's text, as far as it is the header's."""

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._line_of_record() if self._taken else self._line_to_begin()
        self._taken.append(line)
        self._size += len(line.text) + 1
        if line.trouble is not None:
            inside = len(self._taken) > 1
            raise _Broken(
                f"runs on into line {line.number}, which {line.trouble}" if inside else line.trouble
            )
        if self._size > MAX_LINE and len(self._taken) > 1:
            raise _Broken(f"opens a quotation mark that is not closed within {MAX_LINE} characters")
        return line.text + "\n"

    def _line_of_record(self) -> Line:
        """The next line; what a file that was joined to it without a line feed begins with is a line of its own."""
        line = self._returned.popleft() if self._returned else next(self._lines)
        if _BOM in line.text[1:]:
            before, _, after = line.text.rpartition(_BOM)
            if before and (after.rstrip() == self._header or _SEP.fullmatch(after)):
                self._returned.appendleft(Line(line.number, after))
                return Line(line.number, before)
        return line

    def _line_to_begin(self) -> Line:
        while True:
            line = self._line_of_record()
            if line.text.startswith(_BOM):
                line = Line(line.number, line.text.lstrip(_BOM), line.trouble)
            if line.text[:5].lower().lstrip('"')[:4] != "sep=" or _SEP.fullmatch(line.text) is None:
                self._header = self._header or line.text.rstrip()
                return line

    def sample(self) -> list[Line]:
        """The first lines, which stay to be read."""
        size = 0
        for line in self._lines:
            self._returned.append(line)
            size += len(line.text)
            if len(self._returned) >= _SAMPLE_LINES or size > _SAMPLE_SIZE:
                break
        return list(self._returned)

    def line(self) -> int:
        """Where the record under way starts; the next one starts after it."""
        first = self._taken[0].number
        self._start()
        return first

    def again(self) -> int:
        """Where the record under way starts; its other lines are read again."""
        self._returned.extendleft(reversed(self._taken[1:]))
        return self.line()

    def _start(self) -> None:
        self._taken = []
        self._size = 0


def csv_records(lines: Iterable[Line], reading: Reading, *, delimiter: str | None = None) -> Iterator[Record]:
    """The file's records in order; blank lines are none.

    Raises:
        ImportRefused: there is no header, or it lacks a column that was named.
    """
    found = csv_fields(lines, key=reading.identifier, named=reading.named, delimiter=delimiter)
    return records_of(found, reading)


def csv_fields(
    lines: Iterable[Line],
    *,
    key: str | None = None,
    named: Collection[str] = (),
    delimiter: str | None = None,
) -> Iterator[Fields]:
    """The file's records, a header first; blank ones are none, and what is odd is noted once a kind.

    Args:
        lines: The file's.
        key: The column that identifies, if the caller knows one.
        named: Columns that the caller knows to be there.
        delimiter: Absent: it is found out.

    Raises:
        ImportRefused: it is no CSV.
    """
    feed = _Feed(lines)
    sample = feed.sample()
    first = next((line.text for line in sample if line.text.strip(_NOTHING)), "")
    if _JSON.match(first) is not None:
        raise ImportRefused("file", "is JSON, not CSV; objects a line are NDJSON: say that it is (.ndjson)")
    return _fields(feed, delimiter or _declared(sample) or _found(sample, named), Header(key))


def read_delimiter(text: str) -> str:
    """A delimiter as a person says it: one character, or a word for it.

    Raises:
        ImportRefused: it can be none.
    """
    delimiter = _WORDS.get(text.strip().lower(), text)
    if len(delimiter) != 1 or delimiter in '"\r\n\0' or delimiter == _BOM:
        words = ", ".join(word for word in _WORDS if word.isalpha())
        raise ImportRefused("delimiter", f"must be one character, and no quotation mark, or one of {words}")
    return delimiter


def _declared(sample: list[Line]) -> str | None:
    """What a first line `sep=;` says."""
    first = next((line.text.lstrip(_BOM) for line in sample if line.text.strip()), "")
    match = _SEP.fullmatch(first)
    return None if match is None or not match["delimiter"] else match["delimiter"].replace("\\t", "\t")


def _found(sample: list[Line], named: Collection[str]) -> str:
    """The delimiter whose records fit the header best: it has the columns that must be there, more than one column,
    and as many fields in as many records as can be.
    """

    def score(delimiter: str) -> tuple[int, bool, float, int]:
        header = Header()
        fit = total = 0
        for fields in _fields(_Feed(sample), delimiter, header):
            if header.names is None:  # a first line that is none by this delimiter
                return 0, False, 0.0, 0
            total += 1
            fit += fields.trouble is None
            if total == _SAMPLE_RECORDS:
                break
        names = header.names or []
        rows = total - 1
        return (
            sum(name in names for name in named),
            len(names) > 1,
            (fit - 1) / rows if rows > 0 else 1.0,
            len(names),
        )

    return max(_CANDIDATES, key=score)


def _fields(feed: _Feed, delimiter: str, header: Header) -> Iterator[Fields]:
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    noted = noted_marks = False
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except (_Broken, csv.Error) as error:
            trouble = str(error)
            known = (ours for theirs, ours in _MESSAGES.items() if theirs in trouble)
            yield Fields(feed.again(), [], next(known, trouble))
            continue
        marked = not _MARKS.isdisjoint([cell[:1] for cell in values])
        if marked:
            plain = [unmarked(cell) for cell in values]
            marked, values = plain != values, plain
        fields = header.read(0, values)
        if fields is None:
            feed.line()  # blank
        elif fields.trouble is not None:
            yield fields._replace(line=feed.again())
        else:
            surplus = fields.note is not None and not fields.is_header
            note = None if surplus and noted else fields.note
            noted = noted or fields.note is not None
            if marked and note is None and not noted_marks:
                note, noted_marks = (
                    "has texts in a spreadsheet's form (`'0123`, `=\"0123\"`); they are read as 0123",
                    True,
                )
            yield fields._replace(line=feed.line(), note=note)
