"""What a message that a provider took means for an enrolled target (state.tables.enrolment).

It is part of the statements that settle outcomes, so that it can neither be forgotten nor lost. Who is no target has no
stage and no counters: what is added to them stays absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Integer, bindparam, case, func

from engine.enrolled.stages import moved_to
from engine.insight.email import medium_of
from engine.insight.engagement import Medium
from state.transitions import TargetStage
from state.types import UtcDateTime

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Table

    from engine.delivery.sender import Sender

__all__ = ["NO_CONTACT", "Contact", "contact_of", "contacted", "given_up"]


class Contact(NamedTuple):
    """How a message counts."""

    made: bool = False
    email: int = 0
    whatsapp: int = 0

    def parameters(self, now: datetime) -> dict[str, Any]:
        """As the statements take it."""
        at = now if self.made else None
        return {"p_contacted_at": at, "p_email": self.email, "p_whatsapp": self.whatsapp}


#: A request of an action, which nobody receives.
NO_CONTACT = Contact()


def contact_of(sender: Sender | None) -> Contact:
    """How what `sender` sends counts."""
    if sender is None or sender.is_action:
        return NO_CONTACT
    medium = medium_of(sender.kind)
    return Contact(made=True, email=medium is Medium.EMAIL, whatsapp=medium is Medium.WHATSAPP)


def contacted(recipient: Table) -> dict[str, ColumnElement[Any]]:
    """The columns that change when a message was taken; parameters as `Contact` has them."""
    columns = recipient.c
    at = bindparam("p_contacted_at", type_=UtcDateTime())
    email = bindparam("p_email", type_=Integer())
    return {
        "stage": case((at.is_(None), columns.stage), else_=moved_to(TargetStage.CONTACTED)),
        "email_sent": columns.email_sent + email,
        "whatsapp_sent": columns.whatsapp_sent + bindparam("p_whatsapp", type_=Integer()),
        "last_contacted_at": case((columns.stage.is_not(None), func.coalesce(at, columns.last_contacted_at))),
        "last_email_at": case((columns.stage.is_not(None) & (email > 0), at), else_=columns.last_email_at),
    }


def given_up() -> dict[str, ColumnElement[Any]]:
    """The columns that change when a delivery failed for good."""
    return {"stage": moved_to(TargetStage.UNREACHABLE)}
