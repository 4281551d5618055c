"""By what create-customer knows that somebody is a target already: an e-mail address and a phone number, each written
down one way.

A live target holds its keys; who is soft-deleted or purged holds none. Of two requests at once that want the same key
the unique key of `target_key` lets one have it. Keys are taken when somebody is enrolled or restored, from what their
entity says by then.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import Integer, String, Uuid, delete, literal, select, update

from engine.kernel.addresses import EmailFinder, PhoneFinder
from engine.kernel.phone_numbers import normalise_phone
from state.sets import insert_into, rows
from state.tables import Organization, TargetKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = [
    "Key",
    "KeyFinder",
    "hold",
    "key_finder",
    "packed",
    "phone_key",
    "region_of",
    "release",
    "take",
    "unpacked",
]

_NO_DIGIT = re.compile(r"[^0-9]+")
_SHORTEST, _LONGEST = 5, 20


class Key(NamedTuple):
    """One of a target's keys."""

    kind: str
    """email or phone."""
    value: str


def packed(keys: Iterable[Key]) -> str:
    """Keys as the JSON text that a target keeps."""
    return orjson.dumps([[*key] for key in keys]).decode()


def unpacked(text: str) -> list[Key]:
    """The keys in such a text."""
    return [Key(*key) for key in orjson.loads(text)]


def phone_key(text: str, region: str | None) -> str | None:
    """A phone number in E.164; its digits where it is no number of any country's plan
    (docs/contract/enrolled-targets.md matches digits);
    None where it has too few or too many for a number.
    """
    found = normalise_phone(text, region)
    if found is not None:
        return found
    digits = _NO_DIGIT.sub("", text)
    return digits if _SHORTEST <= len(digits) <= _LONGEST else None


class KeyFinder:
    """Finds the keys of an entity.

    Args:
        region: The organization's, of phone numbers without a country code.
    """

    def __init__(self, region: str | None) -> None:
        self._email = EmailFinder()
        self._phone = PhoneFinder(normalise=partial(phone_key, region=region))

    def __call__(self, attributes: Mapping[str, Any]) -> list[Key]:
        """Up to one of each kind."""
        found = (("email", self._email(attributes)), ("phone", self._phone(attributes)))
        return [Key(kind, value) for kind, value in found if value is not None]


def key_finder(session: Session, org_id: UUID) -> KeyFinder:
    """The one for an organization."""
    return KeyFinder(region_of(session, org_id))


def region_of(session: Session, org_id: UUID) -> str | None:
    """Where an organization's phone numbers without a country code are from; None: nobody said."""
    return session.scalar(select(Organization.region).where(Organization.id == org_id))


def take(session: Session, org_id: UUID, campaign_id: UUID, keys: Sequence[Key]) -> list[Key]:
    """Take keys that nobody else must have; returns those that somebody has. Waits for others who are about to.

    In one order for everybody, so that two never wait for each other in a circle.
    """
    wanted = sorted(keys)
    statement = insert_into(session, TargetKey).values(
        [
            {"org_id": org_id, "campaign_id": campaign_id, "kind": kind, "value": value, "holders": 1}
            for kind, value in wanted
        ]
    )
    got = {
        Key(*row)
        for row in session.execute(
            statement.on_conflict_do_nothing().returning(TargetKey.kind, TargetKey.value)
        )
    }
    return [key for key in wanted if key not in got]


def hold(session: Session, org_id: UUID, campaign_id: UUID, keys: Iterable[Key]) -> None:
    """Hold keys beside those that have them: a bulk enrolment names customers, and two may share an address. One
    statement.
    """
    counted = sorted(Counter(keys).items())
    if not counted:
        return
    given = rows(
        session,
        {"kind": String, "value": String, "holders": Integer},
        [(key.kind, key.value, count) for key, count in counted],
    )
    columns = {
        "org_id": literal(org_id, Uuid),
        "campaign_id": literal(campaign_id, Uuid),
        "kind": given.c.kind,
        "value": given.c.value,
        "holders": given.c.holders,
    }
    chosen = select(*columns.values()).where(literal(value=True)).order_by(given.c.kind, given.c.value)
    statement = insert_into(session, TargetKey).from_select(list(columns), chosen)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["campaign_id", "kind", "value"],
            set_={"holders": TargetKey.holders + statement.excluded.holders},
        ).execution_options(synchronize_session=False)
    )


def release(session: Session, org_id: UUID, campaign_id: UUID, keys: Sequence[Sequence[str]]) -> None:
    """Let go of the keys of one target."""
    for kind, value in sorted((kind, value) for kind, value in keys):
        ours = (
            TargetKey.campaign_id == campaign_id,
            TargetKey.kind == kind,
            TargetKey.value == value,
            TargetKey.org_id == org_id,
        )
        session.execute(
            update(TargetKey)
            .where(*ours)
            .values(holders=TargetKey.holders - 1)
            .execution_options(synchronize_session=False)
        )
        session.execute(
            delete(TargetKey)
            .where(*ours, TargetKey.holders <= 0)
            .execution_options(synchronize_session=False)
        )
