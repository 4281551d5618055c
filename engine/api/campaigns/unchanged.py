"""What of a campaign's document is sent back as it was shown: that is no change, whatever became of it inside.

A document says less than a campaign holds: of two channels of one kind it shows the kind, of a flow its messages, of a
template its text. A client that reads it and writes it back changes what is different in it, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.api.campaigns.schemas import CampaignChangeBody, MessageBody
from engine.campaigns.messages import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

__all__ = ["changed_values"]

#: Parts that are merged: what is not given of them stays.
_MERGED = ("goals", "targetAudience", "strategy")


def changed_values(given: CampaignChangeBody, shown: Mapping[str, Any]) -> dict[str, Any]:
    """What of `given` differs from the document `shown`, in the dialect's words. Messages that differ in parts name the
    others in `same`.

    Args:
        shown: As `GET` answers it.
    """
    was = CampaignChangeBody.model_validate(shown)
    values: dict[str, Any] = {}
    for name in given.model_fields_set:
        now, before = getattr(given, name), getattr(was, name)
        if now == before and name != "messages":
            continue
        if name in _MERGED and now is not None and before is not None:
            parts = _differing(now, before)
            if parts or not now.model_fields_set:
                values[name] = parts
        elif name == "messages":
            messages = _messages(now or [], {one.id: one for one in before or []})
            order = [one.id for one in before or []]
            if [one.get("id") for one in messages] != order or any(
                set(one) != {"id", "same"} for one in messages
            ):
                values[name] = messages
        else:
            values[name] = _dumped(given, name)
    return values


def _differing(now: BaseModel, before: BaseModel) -> dict[str, Any]:
    given = now.model_dump(exclude_unset=True, by_alias=True)
    kept = before.model_dump(by_alias=True)
    return {name: value for name, value in given.items() if value != kept.get(name)}


def _messages(given: list[MessageBody], before: Mapping[str | None, MessageBody]) -> list[dict[str, Any]]:
    """Each message without the parts that it has already; one that is given twice has them once."""
    left = dict(before)
    return [_message(one, left.pop(one.id, None) if one.id is not None else None) for one in given]


def _message(now: MessageBody, before: MessageBody | None) -> dict[str, Any]:
    values = now.model_dump(exclude_unset=True, by_alias=True)
    if before is None:
        return values
    same = set()
    # Beside a template, content is what the template says.
    says_content = now.templateId is not None or now.content == before.content
    if now.templateId == before.templateId and says_content and now.subject == before.subject:
        same.add(Part.TEXT)
    if now.name == before.name:
        same.add(Part.NAME)
    if now.personalization == before.personalization:
        same.add(Part.PERSONALIZATION)
    if now.variations == before.variations:
        same.add(Part.VARIATIONS)
    names = {"templateId": Part.TEXT, "content": Part.TEXT, "subject": Part.TEXT}
    values = {name: value for name, value in values.items() if names.get(name, name) not in same}
    kept = {one.id: one for one in before.variations}
    for variation in values.get("variations", ()):
        was = kept.get(variation.get("id"))
        if was is not None and variation == was.model_dump(exclude_unset=True):
            variation["same"] = True
    return values | {"same": sorted(same)}


def _dumped(given: CampaignChangeBody, name: str) -> Any:
    return given.model_dump(include={name}, exclude_unset=True, by_alias=True)[name]
