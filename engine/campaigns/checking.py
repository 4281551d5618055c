"""Is a touchpoint fit to be activated? Answered with everything that is wrong with it (docs/contract/imbrace.md).

A message is rendered for somebody of its campaign's audience and shown to its channel (`engine.campaigns.validation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from engine.campaigns.configuration import read_configuration
from engine.campaigns.touchpoints import (
    TouchpointWritten,
    campaigns_of,
    find_campaign,
    find_touchpoint,
    same_phrase,
    touchpoint_as_written,
)
from engine.campaigns.validation import Said, examine, sample_of
from engine.kernel.inputs import Invalid, read
from state.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from engine.channels.port import Channel, ChannelContext
    from engine.kernel.secrets import Secrets

__all__ = ["Checked", "check_touchpoint"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a touchpoint; nothing: it may be activated."""

    errors: list[str]
    """Each begins with the field that it is about."""
    duplicate: bool
    """Another touchpoint of its channel has the same `initial_phrase`."""
    channel: Channel | None = None
    """To be asked whether its provider answers (`engine.campaigns.validation.reached`), which closes it."""

    @property
    def valid(self) -> bool:
        """Whether nothing is."""
        return not self.errors


def check_touchpoint(
    session: Session,
    org_id: UUID,
    given: Mapping[str, Any],
    *,
    secrets: Secrets,
    channel_context: ChannelContext,
) -> Checked:
    """Check a touchpoint that is there (`touchpoint_id`), one that is not yet, or one as it would be with changes.

    Changes nothing, except that templates and channels that it names are locked until the transaction ends.

    Raises:
        NotFound: there is no touchpoint `touchpoint_id`.
    """
    written = dict(given)
    touchpoint_id = written.pop("touchpoint_id", None)
    known = None
    if touchpoint_id is not None:
        known = find_touchpoint(session, org_id, str(touchpoint_id))
        campaign_id = campaigns_of(session, org_id, [known]).get(known.id)
        base = touchpoint_as_written(known)
        if campaign_id is not None:
            base["campaign_id"] = str(campaign_id)
        written = {**base, **written}
    required = ("name", "type", "campaign_id")
    errors = [f"{name}: is required" for name in required if written.get(name) in (None, "")]
    try:
        read(TouchpointWritten, {**written, "type": written.get("type") or "message"})
    except Invalid as error:
        return Checked([*errors, str(error)], duplicate=False)
    campaign = None
    if written.get("campaign_id") is not None:
        try:
            campaign = find_campaign(session, org_id, written["campaign_id"])
        except NotFound as error:
            errors.append(f"campaign_id: {error}")
    kind = written.get("type") or "message"
    found = read_configuration(session, org_id, kind, written, campaign)
    errors += [str(problem) for problem in found.problems]
    channel = None
    if kind == "message" and not found.problems:
        said = Said(found.template_id, found.content, found.variants, found.channel_id)
        targets = [] if campaign is None else [UUID(str(one)) for one in campaign.target_ids]
        sample = sample_of(session, org_id, targets)
        examined = examine(session, org_id, said, sample, secrets=secrets, channel_context=channel_context)
        errors += examined.errors
        channel = examined.channel
    twin = same_phrase(session, org_id, written, but=None if known is None else known.id)
    if twin is not None:
        errors.append(f"initial_phrase: the touchpoint {twin.name or twin.id!s} has the same")
    return Checked(errors, duplicate=twin is not None, channel=channel)
