"""The filter tree of a saved audience (docs/contract/targeting.md "Filters"), read and checked.

`{"filter": {"items": [{"key", "operator", "value", "data_type"?}, …], "combination": "AND" | "OR"}}`; an item
may be a group of items itself, one level deep. The models are closed: what they do not know is refused by
name, with the path to it, and nothing half-understood ever selects an audience. What the tree means is in
`comparisons`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engine.filters.dates import DATE_WORDS, is_date_elsewhere, read_date
from engine.filters.numerals import is_number_elsewhere, reads_number
from engine.filters.truth import NO, YES, read_truth
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Condition",
    "DataType",
    "FilterError",
    "Group",
    "Operator",
    "Subgroup",
    "conditions_of",
    "parse_filters",
]

#: More than a person writes and few enough that one statement carries them.
MAX_ITEMS = 100
MAX_VALUES = 10_000
#: Conditions of a whole tree, and values of all of them. One of dates, truth or parts of texts costs a database some
#: ten milliseconds before it reads the first row.
MAX_CONDITIONS = 200
MAX_TEXTS = 20_000
MAX_KEY = 255
MAX_VALUE = 4096


class FilterError(Invalid):
    """The filter tree cannot be used; `field` says where: `entity_filters.filter.items[0].operator`."""


class Operator(StrEnum):
    """What a condition asks of an attribute."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    EMPTY = "EMPTY"
    NOT_EMPTY = "NOT_EMPTY"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT_CONTAINS"
    IS_ONE_OF = "IS_ONE_OF"
    IS_NONE_OF = "IS_NONE_OF"
    GREATER_THAN = "GREATER_THAN"
    LESS_THAN = "LESS_THAN"
    GREATER_THAN_OR_EQUAL = "GREATER_THAN_OR_EQUAL"
    LESS_THAN_OR_EQUAL = "LESS_THAN_OR_EQUAL"


ORDERING = frozenset(
    (
        Operator.GREATER_THAN,
        Operator.LESS_THAN,
        Operator.GREATER_THAN_OR_EQUAL,
        Operator.LESS_THAN_OR_EQUAL,
    )
)
EMPTINESS = frozenset((Operator.EMPTY, Operator.NOT_EMPTY))
SUBSTRING = frozenset((Operator.CONTAINS, Operator.NOT_CONTAINS))
MANY = frozenset((Operator.IS_ONE_OF, Operator.IS_NONE_OF))

#: Words of other query languages, for the hint.
_SYNONYMS = {
    "LIKE": "CONTAINS", "ILIKE": "CONTAINS", "NOT_LIKE": "NOT_CONTAINS",
    "=": "EQUALS", "==": "EQUALS", "EQ": "EQUALS", "IS": "EQUALS",
    "!=": "NOT_EQUALS", "<>": "NOT_EQUALS", "NE": "NOT_EQUALS", "IS_NOT": "NOT_EQUALS",
    ">": "GREATER_THAN", "GT": "GREATER_THAN", ">=": "GREATER_THAN_OR_EQUAL", "GTE": "GREATER_THAN_OR_EQUAL",
    "<": "LESS_THAN", "LT": "LESS_THAN", "<=": "LESS_THAN_OR_EQUAL", "LTE": "LESS_THAN_OR_EQUAL",
    "IN": "IS_ONE_OF", "ANY_OF": "IS_ONE_OF", "NOT_IN": "IS_NONE_OF",
    "IS_NULL": "EMPTY", "NOT_EXISTS": "EMPTY", "EXISTS": "NOT_EMPTY", "IS_NOT_NULL": "NOT_EMPTY",
}  # fmt: skip


class DataType(StrEnum):
    """How both sides are read, where the literal alone does not say it."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"


#: The entity's own fields; any other key is an attribute.
TEXT_FIELDS = frozenset(("_id", "_schema", "_title", "title", "external_id"))
INSTANT_FIELDS = frozenset(("_created_at", "_updated_at"))


def _literal(value: object) -> str:
    """A literal as text: JSON numbers and booleans may come as such."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    if not isinstance(value, str):
        raise ValueError("must be a text or a list of texts")  # noqa: TRY004 - pydantic reads ValueError
    if len(value) > MAX_VALUE:
        raise ValueError(f"must have at most {MAX_VALUE} characters")
    return _storable(value)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain unpaired surrogates") from None
    return text


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Closed):
    """One attribute (or own field) and what it must be."""

    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY)]
    operator: Operator
    value: str | tuple[str, ...] | None = None
    data_type: DataType | None = None

    @field_validator("key")
    @classmethod
    def _key(cls, key: str) -> str:
        return _storable(key)

    @field_validator("operator", mode="before")
    @classmethod
    def _known(cls, word: object) -> object:
        if not isinstance(word, str) or word in Operator.__members__:
            return word
        plain = word.strip().upper().replace(" ", "_")
        near = [plain] if plain in Operator.__members__ else get_close_matches(plain, list(Operator), 1)
        hint = _SYNONYMS.get(plain) or (near[0] if near else None)
        raise ValueError(
            f"operator {word[:64]!r} is not known; "
            + (f"did you mean {hint}?" if hint else f"use one of {', '.join(Operator)}")
        )

    @field_validator("value", mode="before")
    @classmethod
    def _texts(cls, value: object, info: ValidationInfo) -> object:
        if value is None:
            return None
        if isinstance(value, bool) and info.data.get("operator") in ORDERING:
            raise ValueError(f"booleans have no order; {info.data['operator']} cannot be used with them")
        if isinstance(value, list | tuple):
            if len(value) > MAX_VALUES:
                raise ValueError(f"must have at most {MAX_VALUES} values")
            return tuple(_literal(item) for item in value)
        return _literal(value)

    @property
    def literals(self) -> tuple[str, ...]:
        """The values as a tuple, whatever form they came in."""
        if self.value is None:
            return ()
        return (self.value,) if isinstance(self.value, str) else self.value

    @model_validator(mode="after")
    def _fits(self) -> Condition:
        if self.operator in EMPTINESS:
            return self
        self._check_count()
        if self.operator in SUBSTRING:
            if self.key in INSTANT_FIELDS:
                raise ValueError(f"{self.key} is an instant; {self.operator} cannot be used on it")
            if not self.literals[0]:
                raise ValueError("value must not be empty; use EMPTY or NOT_EMPTY to ask for emptiness")
            return self
        if self.operator in ORDERING:
            self._check_ordered(self.literals[0])
        for literal in self.literals:
            self._check_literal(literal)
        return self

    def _check_ordered(self, literal: str) -> None:
        if self.data_type is DataType.BOOLEAN:
            raise ValueError(f"booleans have no order; {self.operator} cannot be used with data_type boolean")
        if not literal:
            raise ValueError(f"{self.operator} needs a value that is not empty")
        if self.data_type is not None:
            return
        for is_meant, kind, example in (
            (is_number_elsewhere, "number", "1234.5"),
            (is_date_elsewhere, "date", "2026-03-02 or TODAY"),
        ):
            if is_meant(literal):
                raise ValueError(
                    f"value {literal[:64]!r} does not read as a {kind}; write it like {example}, "
                    "or say data_type string to compare texts"
                )

    def _check_count(self) -> None:
        count = len(self.literals)
        if count == 0:
            raise ValueError(f"{self.operator} needs a value")
        if count > 1 and self.operator not in MANY:
            several = "IS_NONE_OF" if self.operator.startswith("NOT") else "IS_ONE_OF"
            raise ValueError(f"{self.operator} takes one value; use {several} for several")

    def _check_literal(self, literal: str) -> None:
        shown = repr(literal[:64])
        if self.data_type is DataType.NUMBER and not reads_number(literal):
            raise ValueError(f"value {shown} does not read as a number (at most 15 characters, like -12.5)")
        if self.data_type is DataType.BOOLEAN and read_truth(literal) is None:
            words = ", ".join((*YES, *NO))
            raise ValueError(f"value {shown} does not read as a boolean; use one of {words}")
        dated = self.data_type is DataType.DATE or self.key in INSTANT_FIELDS
        if dated and read_date(literal, datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise ValueError(
                f"value {shown} does not read as a date; use 2026-03-02, 02.03.2026, 02-03-2026, "
                f"2026-03-02T09:00:00Z or one of {', '.join(DATE_WORDS)}"
            )


class Subgroup(_Closed):
    """A group inside a group; holds conditions only."""

    items: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    combination: Literal["AND", "OR"] = "AND"

    @field_validator("items", mode="before")
    @classmethod
    def _flat(cls, items: object) -> object:
        if isinstance(items, list | tuple) and any(_kind(item) == "group" for item in items):
            raise ValueError("groups nest one level deep only")
        return items


def _kind(item: object) -> str:
    grouped = isinstance(item, Subgroup) or (isinstance(item, dict) and "items" in item)
    return "group" if grouped else "condition"


class Group(_Closed):
    """The tree's root: all (`AND`) or any (`OR`) of its items."""

    items: Annotated[
        tuple[
            Annotated[
                Annotated[Condition, Tag("condition")] | Annotated[Subgroup, Tag("group")],
                Discriminator(_kind),
            ],
            ...,
        ],
        Field(min_length=1, max_length=MAX_ITEMS),
    ]
    combination: Literal["AND", "OR"] = "AND"

    @model_validator(mode="after")
    def _evaluable(self) -> Group:
        conditions = list(conditions_of(self))
        if len(conditions) > MAX_CONDITIONS:
            raise ValueError(f"must have at most {MAX_CONDITIONS:,} conditions altogether")
        if sum(len(condition.literals) for condition in conditions) > MAX_TEXTS:
            raise ValueError(f"must have at most {MAX_TEXTS:,} values altogether")
        return self


def conditions_of(group: Group | Subgroup) -> Iterator[Condition]:
    """All conditions of a tree, in order."""
    for item in group.items:
        if isinstance(item, Subgroup):
            yield from conditions_of(item)
        else:
            yield item


class _Filters(_Closed):
    filter: Group | None = None

    @field_validator("filter", mode="before")
    @classmethod
    def _nothing_asked(cls, tree: object) -> object:
        # A tree without items asks nothing: it is no filter (TARGET_WITHOUT_FILTERS), not everybody.
        return (
            None
            if isinstance(tree, dict) and tree.keys() <= {"items", "combination"} and not tree.get("items")
            else tree
        )


def parse_filters(filters: Any) -> Group | None:
    """The tree in `entity_filters`; None when there is none (absent, `{}`, or without items).

    Raises:
        FilterError: it cannot be used; names the field.
    """
    if filters is None:
        return None
    try:
        return _Filters.model_validate(filters).filter
    except ValidationError as error:
        raise _explained(error) from None


#: Where pydantic puts the kind of an item in its paths (filter, items, index, kind): nobody wrote it.
_TAG_DEPTH = 3


def _explained(error: ValidationError) -> FilterError:
    first = error.errors(include_url=False, include_input=False)[0]
    path = "entity_filters"
    for depth, part in enumerate(first["loc"]):
        if isinstance(part, int):
            path += f"[{part}]"
        elif depth != _TAG_DEPTH:
            path += f".{part}"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
    elif first["type"] == "extra_forbidden":
        message = "this field is not known"
    elif first["type"] == "missing":
        message = "this field is missing"
    else:
        message = first["msg"][0].lower() + first["msg"][1:]
    return FilterError(path, message)
