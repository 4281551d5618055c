"""Set-up: a campaign and everything it needs, in one request and one transaction (docs/contract/targeting.md,
operation 5).

The request's `type` says which it is. A further variant is a module beside `tariff_change` and its name in
`VARIANTS`; routes and documentation follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.campaigns.setup import tariff_change
from engine.campaigns.setup.variant import SetUp, Variant
from engine.kernel.inputs import Invalid, read
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["VARIANTS", "SetUp", "set_up"]

VARIANTS: dict[str, Variant] = {variant.word: variant for variant in (tariff_change.VARIANT,)}


def set_up(session: Session, org_id: UUID, body: Any) -> SetUp:
    """Make what `body` asks for.

    Raises:
        Invalid: it cannot be made; names the field. Nothing was made.
    """
    if not isinstance(body, dict):
        raise Invalid("body", "must be an object")
    if "type" not in body:
        raise Invalid("type", "is required")
    word = body["type"]
    if not isinstance(word, str) or word not in VARIANTS:
        hint = did_you_mean(word, VARIANTS) if isinstance(word, str) else ""
        raise Invalid("type", f"{str(word)[:64]!r} is none of {', '.join(VARIANTS)}{hint}")
    variant = VARIANTS[word]
    return variant.set_up(session, org_id, read(variant.request, body))
