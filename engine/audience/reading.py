"""How a record of an import becomes a row: who it is about, how they are called, which of its values are numbers."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.audience.attributes import MAX_TITLE, external_key
from engine.audience.keyed import folded_key
from engine.audience.lines import ImportRefused
from engine.audience.store import Row
from engine.audience.titles import TitleTemplate
from engine.filters.written_numbers import DecimalMark, plain_number
from engine.kernel.addresses import phone_names
from engine.kernel.inputs import Invalid
from engine.kernel.phone_numbers import is_shortened
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Columns", "Reading"]

#: A whole number as programs write down a double.
_DOUBLE = re.compile(r"([0-9]{1,15})\.0")
#: What spreadsheets, databases and programs write where there is no value.
_PLACEHOLDER = re.compile(
    r"#(?:N/A|REF!|VALUE!|NAME\?|NULL!|NUM!|DIV/0!)|NULL|null|NaN|nan|None|undefined|N/A|n/a|\\N"
)


class Columns(NamedTuple):
    """What the caller says about a file's columns."""

    external_id: str | None = None
    """The one that identifies an entity."""
    title: str | None = None
    """A template like `{First Name} {Last Name}`."""
    key: str | None = None
    """Instead of `external_id`: the one whose value is looked for in the attribute of its name."""
    delimiter: str | None = None
    """What stands between the columns of CSV, or a word for it; absent: it is found out."""
    decimal_comma: tuple[str, ...] = ()
    """Those of numbers like `1.234,50`."""
    decimal_point: tuple[str, ...] = ()
    """Those of numbers like `1,234.50`."""
    renamed: Mapping[str, str] = MappingProxyType({})
    """Column of a table → attribute that it is; an empty name: left out. All else goes by the new names."""
    added: Mapping[str, str] = MappingProxyType({})
    """Attribute → value that every record gets, whatever it says itself."""


class Reading:
    """What is done with each record.

    Raises:
        ImportRefused: what is asked for makes no sense.
    """

    def __init__(self, columns: Columns) -> None:
        if columns.key is not None and columns.external_id is not None:
            raise ImportRefused("key", "stands in the place of external_id; name one of them")
        for name in columns.decimal_point:
            if name in columns.decimal_comma:
                raise ImportRefused("decimal_point", f"names {name!r}, and so does decimal_comma")
        self._external_id, self._key = columns.external_id, columns.key
        self._title = TitleTemplate(columns.title) if columns.title else None
        self._numbers = {
            **dict.fromkeys(columns.decimal_comma, DecimalMark.COMMA),
            **dict.fromkeys(columns.decimal_point, DecimalMark.POINT),
        }
        self._columns = columns
        self.renamed, self.added = columns.renamed, columns.added
        self.identifier = columns.external_id or columns.key
        """The column that tells entities apart, if one was named."""
        titles = [] if self._title is None else self._title.columns
        self.named = frozenset(filter(None, (self.identifier, *titles, *self._numbers)))
        """All columns that were named."""

    def check(self, known: Sequence[str]) -> None:
        """Refuse a column that was named and is not there.

        Raises:
            ImportRefused: names the parameter and the column.
        """
        for field in ("external_id", "key", "decimal_comma", "decimal_point"):
            said = getattr(self._columns, field)
            for name in (said,) if isinstance(said, str) else said or ():
                if name not in known:
                    hint = did_you_mean(name, known)
                    raise ImportRefused(field, f"names the column {name!r}, which is not there{hint}")
        if self._title is not None:
            self._title.check(known)

    def check_renamed(self, names: Sequence[str]) -> None:
        """Refuse a new name for a column that is not there.

        Raises:
            ImportRefused: names the column.
        """
        for name in self.renamed:
            if name not in names:
                raise ImportRefused(
                    "renamed", f"names the column {name!r}, which is not there{did_you_mean(name, names)}"
                )

    def read_numbers(self, values: dict[str, Any]) -> str | None:
        """Write numbers in the columns that were named as filters read them; what to note of those that are none."""
        odd = []
        for name, mark in self._numbers.items():
            value = values.get(name)
            if isinstance(value, str) and value.strip():
                number = plain_number(value, mark)
                if number is None:
                    odd.append(f"{name}: {value[:64]!r} is no number with a decimal {mark.name.lower()}")
                else:
                    values[name] = number
        return "; ".join(odd) or None

    def _check_digits(self, values: Mapping[str, Any]) -> None:
        """Refuse an id or a phone number that lost digits in a spreadsheet.

        Raises:
            Invalid: names the column.
        """
        for name in (self.identifier or "external_id", *phone_names(tuple(values))):
            value = values.get(name)
            if isinstance(value, str) and is_shortened(value):
                raise Invalid(
                    name, f"{value.strip()[:64]!r} lost digits in a spreadsheet; format its column as text"
                )

    def row(self, values: Mapping[str, Any], attributes: str, title: str | None) -> Row:
        """The row of a record.

        Args:
            values: All that the record says, by name.
            attributes: What becomes attributes, see `attributes.canonical`.
            title: Its own title, where no template is filled.

        Raises:
            Invalid: it does not say who it is about, or its title is too long.
        """
        known_by = folded_key(values.get(self._key)) if self._key is not None else ""
        self._check_digits(values)
        identity = (
            None if self._key is not None else _identity(values.get(self._external_id or "external_id"))
        )
        if self._external_id is not None and identity is None:
            raise Invalid(self._external_id, "is absent or empty; it must hold the external id")
        if self._key is not None and not known_by:
            raise Invalid(self._key, "is absent or empty; it must hold what entities are known by")
        for column, said in ((self._external_id or "external_id", identity), (self._key, known_by)):
            if said and _PLACEHOLDER.fullmatch(said) is not None:
                raise Invalid(str(column), f"says {said!r}, which is nobody's; it must identify one entity")
        name = self._title.fill(values) if self._title is not None else title or ""
        if len(name) > MAX_TITLE:
            raise Invalid("title", f"has {len(name)} characters; at most {MAX_TITLE} are allowed")
        if self._title is not None and not self._title.covers(values):
            return Row(identity, "", attributes, name, known_by)
        return Row(identity, name, attributes, "", known_by)


def _identity(value: object) -> str | None:
    """An external id as it is kept; `17.0`, which programs make of numbers in a column with gaps, is `17`."""
    identity = external_key(value)
    double = None if identity is None else _DOUBLE.fullmatch(identity)
    return identity if double is None else double[1]
