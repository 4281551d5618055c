"""What is known of a person that says who they are: ids, addresses, names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.audience.suppression_list import regions_of
from engine.kernel.addresses import address_texts
from engine.kernel.media import AddressMedium, FoldedAddress, address_finder, fold_address, medium_of_kind
from state.tables import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.orm import Session

    from state.tables import Entity

__all__ = ["Person", "person_of"]

#: Attributes that hold an address of the entity's own, without case, white space, `-` and `_`.
_OWN = {
    AddressMedium.EMAIL: ("email", "emailaddress", "mail"),
    AddressMedium.PHONE: (
        "phone", "mobile", "phonenumber", "mobilephone", "mobilenumber", "cellphone", "msisdn", "telephone", "tel",
        "whatsapp",
    ),
    AddressMedium.CHAT: ("telegramchatid", "telegramid", "telegram", "chatid", "telegramuserid"),
}  # fmt: skip
_NAMES = (("firstname", "lastname"), ("givenname", "familyname"), ("name",), ("fullname",))
#: A text that is shorter, or one word, may be anybody's and is not looked for among what others have.
_SHORTEST = 5


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as far as anybody could tell who it is."""

    entity_id: UUID
    addresses: frozenset[FoldedAddress]
    """Every address of theirs that a channel could write to, in the one form of its medium."""
    texts: frozenset[str]
    """Addresses in every form, and names: what is looked for among rows that are not about them alone."""

    def as_json(self) -> dict[str, Any]:
        """To be kept, encrypted, while the erasure goes on."""
        return {
            "entity_id": str(self.entity_id),
            "addresses": sorted([one.medium.value, one.address] for one in self.addresses),
            "texts": sorted(self.texts),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Person:
        """What `as_json` gave."""
        addresses = (FoldedAddress(AddressMedium(medium), text) for medium, text in kept["addresses"])
        return cls(UUID(kept["entity_id"]), frozenset(addresses), frozenset(kept["texts"]))


def person_of(session: Session, entity: Entity) -> Person:
    """Who an entity is. Three statements.

    Its own addresses are what stands under the usual names of one and where a channel of the organization looks for
    one: another's, such as an account manager's, is not its own.
    """
    regions = regions_of(session, entity.org_id)
    attributes = {**entity.attributes, "_id": str(entity.id)}
    plain = {name: name.replace(" ", "").replace("-", "").replace("_", "").lower() for name in attributes}
    addresses: set[FoldedAddress] = set()
    texts: set[str] = set()
    for medium, names in _OWN.items():
        for name in (one for one, known in plain.items() if known in names):
            for text in address_texts(attributes[name]):
                folded = fold_address(medium, text, regions)
                if folded is not None:
                    addresses.add(FoldedAddress(medium, folded))
                    texts |= {text, folded}
    for found in _written_to(session, entity.org_id, attributes):
        addresses.add(found)
        texts.add(found.address)
    texts |= set(_full_names(attributes, plain))
    if " " in entity.title.strip():
        texts.add(entity.title.strip())
    own_id = str(entity.id)
    return Person(
        entity.id,
        frozenset(one for one in addresses if one.address != own_id),
        frozenset(text for text in texts if len(text) >= _SHORTEST and text != own_id),
    )


def _written_to(session: Session, org_id: UUID, attributes: Mapping[str, Any]) -> Iterator[FoldedAddress]:
    """Where the organization's channels would write to."""
    for kind, settings in session.execute(
        select(Channel.kind, Channel.settings).where(Channel.org_id == org_id)
    ):
        named = settings.get("medium")
        medium = medium_of_kind(kind) or (AddressMedium(named) if named in list(AddressMedium) else None)
        path = settings.get("address")
        find = address_finder(medium, path if isinstance(path, str) else None, settings.get("region"))
        address = find(attributes)
        if address is not None:
            told = medium or (AddressMedium.EMAIL if "@" in address else AddressMedium.OTHER)
            yield FoldedAddress(told, address)


def _full_names(attributes: Mapping[str, Any], plain: Mapping[str, str]) -> Iterator[str]:
    by_name = {known: attributes[name] for name, known in plain.items() if isinstance(attributes[name], str)}
    for names in _NAMES:
        parts = [by_name.get(name, "").strip() for name in names]
        if all(parts) and " " in (full := " ".join(parts)):
            yield full
            yield ", ".join(reversed(parts))
