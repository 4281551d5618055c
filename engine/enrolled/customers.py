"""Creating a customer and enrolling them in one go (docs/contract/enrolled-targets.md, `targets:create-customer`).

Promises:
- Nobody becomes a target of a campaign twice by the same e-mail address or phone number, however they are written and
  however many ask at once: the first to commit has the key, and the others are answered that it is taken.
- A request that is skipped changes nothing.
- A customer of another campaign, or of none, is not taken for this one because of an address; but one with the same
  `customer_id` is the same customer, who is brought up to date and enrolled.
- A campaign that runs contacts them at once, by its flow (engine.enrolled.first_contact); any other does with its next
  activation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from uuid import UUID  # noqa: TC003 - pydantic reads it

from pydantic import BeforeValidator, ConfigDict, StringConstraints
from sqlalchemy import select

from config.errors import MusterError
from engine import audit
from engine.audience.attributes import trimmed_id
from engine.audience.entities import patch_entity, upsert_entity
from engine.campaigns.absent import NeverNull
from engine.delivery.enrol import guard
from engine.delivery.enrolled_recipients import deliver_enrolled
from engine.enrolled import keys
from engine.enrolled.enrolling import write_targets
from engine.enrolled.keys import Key
from engine.enrolled.targets import hold_campaign, rows_of
from engine.kernel.addresses import normalise_email
from engine.kernel.inputs import Invalid
from state.errors import StateError
from state.tables import Entity, Recipient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

__all__ = ["SCHEMA", "CustomerInput", "EnrolResult", "NoContact", "create_customer"]

#: The schema of the entities that are made here.
SCHEMA = "customer"

_Text = Annotated[str, StringConstraints(max_length=255)]
_Short = Annotated[str, StringConstraints(max_length=50)]


class NoContact(StateError):
    """Neither an e-mail address nor a phone number was given."""


def _trimmed(value: object) -> object:
    return trimmed_id(value) if isinstance(value, str) else value


class CustomerInput(NeverNull):
    """A customer as their own system knows them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    customer_id: Annotated[str, BeforeValidator(_trimmed), StringConstraints(min_length=1, max_length=255)]
    """The key there."""
    name: _Text | None = None
    surname: _Text | None = None
    email: Annotated[str, StringConstraints(max_length=320)] | None = None
    phone: _Short | None = None
    status: _Short | None = None
    customer_agent_id: UUID | None = None
    assigned_agent_id: UUID | None = None
    """Whose the target is to be."""


class EnrolResult(NamedTuple):
    """Whether they were enrolled, and why not."""

    created: bool
    reason: str | None = None


class _Skip(MusterError):
    """They are a target already."""


def create_customer(session: Session, org_id: UUID, campaign_id: UUID, given: CustomerInput) -> EnrolResult:
    """Create a customer and make them a target, unless somebody with their e-mail address or phone number is one.

    Raises:
        NotFound: there is no such campaign.
        NoContact: neither `email` nor `phone` was given.
        Invalid: one of them is none, or a field cannot be stored. Nothing was changed.
    """
    guard(session, org_id, activates=False)
    campaign = hold_campaign(session, org_id, campaign_id)
    held = _keys(session, org_id, given)
    try:
        with session.begin_nested():
            for taken in keys.take(session, org_id, campaign_id, held):
                raise _Skip(f"a target of this campaign has the {taken.kind} {taken.value}")  # noqa: TRY301
            entity_id = _written(session, org_id, campaign_id, given)
            text = keys.packed(held)
            if not write_targets(session, org_id, campaign_id, [(entity_id, given.assigned_agent_id, text)]):
                raise _Skip(_known(given))  # noqa: TRY301
    except _Skip as skip:
        return EnrolResult(created=False, reason=str(skip))
    deliver_enrolled(session, campaign, [entity_id])
    audit.note(session, "recipient", "create", entity_id, campaign_id=str(campaign_id))
    return EnrolResult(created=True)


def _keys(session: Session, org_id: UUID, given: CustomerInput) -> list[Key]:
    """The keys of what was given."""
    email, phone = (given.email or "").strip(), (given.phone or "").strip()
    if not email and not phone:
        raise NoContact("email or phone is required: by them it is known who is enrolled already")
    found = []
    if email:
        address = normalise_email(email)
        if address is None:
            raise Invalid("email", f"{email[:64]!r} is no e-mail address")
        found.append(Key("email", address))
    if phone:
        number = keys.phone_key(phone, keys.region_of(session, org_id))
        if number is None:
            raise Invalid("phone", f"{phone!r} is no phone number")
        found.append(Key("phone", number))
    return found


def _written(session: Session, org_id: UUID, campaign_id: UUID, given: CustomerInput) -> UUID:
    """The customer, created or brought up to date."""
    said: dict[str, Any] = given.model_dump(
        mode="json", include={"name", "surname", "email", "phone", "status"}, exclude_none=True
    )
    if given.customer_agent_id is not None:
        said["agent_id"] = str(given.customer_agent_id)
    found = session.execute(
        select(Entity.id, Entity.attributes).where(
            Entity.org_id == org_id, Entity.schema == SCHEMA, Entity.external_id == given.customer_id
        )
    ).one_or_none()
    if found is None:
        said["title"] = _full_name(said) or given.email or given.phone or given.customer_id
        return upsert_entity(session, org_id, SCHEMA, {**said, "external_id": given.customer_id})[0].id
    live = select(Recipient.entity_id).where(*rows_of(org_id, campaign_id, found.id))
    if session.execute(live).first() is not None:
        raise _Skip(_known(given))
    if given.name or given.surname:
        said["title"] = _full_name({**found.attributes, **said})
    return patch_entity(session, org_id, SCHEMA, found.id, said).id


def _full_name(attributes: Mapping[str, Any]) -> str:
    names = (attributes.get("name"), attributes.get("surname"))
    return " ".join(name for name in names if isinstance(name, str) and name)


def _known(given: CustomerInput) -> str:
    return f"customer {given.customer_id} is a target of this campaign already"
