"""Every page: its name, and its path in a world of tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.console.world import World

__all__ = ["ADMINS", "PAGES", "first_in"]

PAGES: dict[str, Callable[[World], str]] = {
    "home": lambda _: "/console",
    "keys": lambda _: "/console/keys",
    "campaigns": lambda _: "/console/campaigns",
    "campaign": lambda world: f"/console/campaigns/{world.campaign_id}",
    "pause": lambda world: f"/console/campaigns/{world.campaign_id}/do/pause",
    "retry": lambda world: f"/console/campaigns/{world.campaign_id}/do/retry?code=SMTP_550",
    "clone": lambda world: f"/console/campaigns/{world.campaign_id}/do/clone",
    "stop": lambda world: f"/console/campaigns/{world.campaign_id}/do/stop",
    "recipients": lambda world: f"/console/campaigns/{world.campaign_id}/recipients",
    "recipient": lambda world: f"/console/campaigns/{world.campaign_id}/recipients/{world.recipient_id}",
    "new campaign": lambda _: "/console/campaigns/new",
    "write": lambda world: f"/console/campaigns/{world.draft_id}/write",
    "pictures": lambda _: "/console/pictures",
    "import for a campaign": lambda world: f"/console/audience/import?campaign={world.draft_id}",
    "calendar": lambda _: "/console/calendar",
    "operations": lambda _: "/console/operations",
    "audience": lambda _: "/console/audience",
    "person": lambda world: f"/console/audience/people/contact/{world.recipient_id}",
    "erase": lambda world: f"/console/audience/people/contact/{world.recipient_id}/erase",
    "import": lambda _: "/console/audience/import",
    "targets": lambda _: "/console/audience/targets",
    "target": lambda world: f"/console/audience/targets/{world.target_id}",
    "new target": lambda _: "/console/audience/targets/new",
    "suppressions": lambda _: "/console/audience/suppressions",
    "topics": lambda _: "/console/audience/topics",
    "templates": lambda _: "/console/templates",
    "template": lambda world: f"/console/templates/{world.template_id}",
    "new template": lambda _: "/console/templates/new",
    "template edit": lambda world: f"/console/templates/{world.template_id}/edit",
    "translation": lambda world: f"/console/templates/{world.template_id}/translation",
    "channels": lambda _: "/console/channels",
    "channel": lambda world: f"/console/channels/{world.channel_id}",
    "channel kinds": lambda _: "/console/channels/new",
    "new channel": lambda _: "/console/channels/new?kind=smtp",
    "channel edit": lambda world: f"/console/channels/{world.channel_id}/edit",
    "webhooks": lambda _: "/console/webhooks",
    "webhook": lambda world: f"/console/webhooks/{world.webhook_id}",
    "settings": lambda _: "/console/settings",
    "keys and sessions": lambda _: "/console/settings/keys",
    "audit": lambda _: "/console/settings/audit",
    "plan": lambda world: f"/console/campaigns/{world.campaign_id}/plan",
}

#: Pages that an admin alone may see.
ADMINS = {"keys and sessions", "audit"}


def first_in(pattern: str, page: str) -> str:
    """What the pattern's group holds where it is first found in a page, which has to have it."""
    found = re.search(pattern, page)
    assert found is not None, f"{pattern} is not in {page}"
    return str(found[1])
