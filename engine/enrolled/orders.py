"""The orders that targets are listed in: by any documented field of a target or its customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Uuid, literal, or_, tuple_
from sqlalchemy import and_ as both

from engine.enrolled.analysis import ANALYSIS, ANALYSIS_COLUMNS
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean
from state.dialects import dialect_of
from state.tables import Entity, Recipient
from state.types import UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["CUSTOMER", "SORTABLE", "Order", "attribute", "order_of"]

#: Fields that have a column of their own. `id` and `customer_id` order alike: by the customer's id.
_COLUMNS: dict[str, Any] = {
    "id": Recipient.entity_id,
    "customer_id": Recipient.entity_id,
    **{
        name: getattr(Recipient, name)
        for name in (
            "created_at",
            "updated_at",
            "stage",
            "assigned_agent_id",
            "calls_made",
            "whatsapp_sent",
            "email_sent",
            "last_contacted_at",
            "last_email_at",
            "last_conv_id",
            "analysis_updated_at",
            "campaign_analysis_updated_at",
            *ANALYSIS_COLUMNS,
        )
    },
}
#: Those that stand in the analysis alone; an object has no order.
_ANALYSED = tuple(name for name, kind in ANALYSIS.items() if name not in _COLUMNS and kind is str)
#: Of the customer, as `customer.<field>`.
CUSTOMER = ("name", "surname", "email", "phone", "status")
SORTABLE = (*_COLUMNS, *_ANALYSED, *(f"customer.{name}" for name in CUSTOMER))
#: They are there in every row.
_ALWAYS = frozenset(("id", "customer_id", "created_at", "updated_at", "stage"))


def attribute(session: Session, name: str) -> ColumnElement[str]:
    """An attribute of the customer, as text."""
    return dialect_of(session).member(Entity.attributes, name)


@dataclass(frozen=True, slots=True)
class Order:
    """An order in which no two targets are equal: the entity id decides last."""

    key: str
    """Its name in cursors."""
    value: ColumnElement[Any]
    descending: bool
    always: bool
    """Whether every row has the value."""

    def clauses(self) -> list[ColumnElement[Any]]:
        """What to ORDER BY: those with the value first."""
        columns: list[Any] = [self.value, Recipient.entity_id]
        ordered = [column.desc() if self.descending else column.asc() for column in columns]
        return ordered if self.always else [self.value.is_(None).asc(), *ordered]

    def behind(self, value: Any, entity_id: UUID) -> ColumnElement[bool]:
        """The condition for rows behind one."""
        after = Recipient.entity_id < entity_id if self.descending else Recipient.entity_id > entity_id
        if value is None:
            return both(self.value.is_(None), after)
        mine, given = (
            tuple_(self.value, Recipient.entity_id),
            tuple_(literal(value, self.value.type), literal(entity_id, Uuid)),
        )
        if self.always:
            return mine < given if self.descending else mine > given
        beyond = self.value < value if self.descending else self.value > value
        return or_(beyond, both(self.value == value, after), self.value.is_(None))

    def written(self, value: Any) -> Any:
        """A value as a cursor carries it."""
        if isinstance(value, datetime):
            return value.isoformat()
        return str(value) if isinstance(value, UUID) else value

    def read(self, given: Any) -> Any:
        """A value from a cursor.

        Raises:
            ValueError: it is none of the field's.
        """
        if given is None:
            if self.always:
                raise ValueError(given)
            return None
        if isinstance(self.value.type, UtcDateTime):
            return datetime.fromisoformat(given).astimezone(UTC)
        kind = self.value.type.python_type
        if kind is float and isinstance(given, int):
            return float(given)
        value = UUID(given) if kind is UUID else given
        if type(value) is not kind:
            raise ValueError(given)
        return value


def order_of(session: Session, field: str, *, descending: bool) -> Order:
    """The order by a field.

    Raises:
        Invalid: it is none to sort by.
    """
    if field not in SORTABLE:
        raise Invalid("sort_field", f"{field[:64]!r} is no field to sort by{did_you_mean(field, SORTABLE)}")
    value: Any = _COLUMNS.get(field)
    if value is None and field.startswith("customer."):
        value = attribute(session, field.removeprefix("customer."))
    elif value is None:
        value = dialect_of(session).member(Recipient.analysis, field)
    word = "-" if descending else "+"
    return Order(f"{word}{field}", value, descending, field in _ALWAYS)
