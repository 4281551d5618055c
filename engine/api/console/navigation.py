"""The pages that can be reached from every page, in groups; a key each (`g`, then the key)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.api.console.paths import ROOT

if TYPE_CHECKING:
    from engine.api.console.translations import Texts

__all__ = ["Link", "navigation", "section_of"]


class Link(NamedTuple):
    """One page."""

    path: str
    """Below the console's root."""
    text: str
    icon: str
    key: str


_PATHS = (
    "/campaigns",
    "/audience",
    "/templates",
    "/channels",
    "/webhooks",
    "/settings",
    "/calendar",
    "/operations",
)


def navigation(texts: Texts) -> list[tuple[str, list[Link]]]:
    """Group (empty: the first one) → its pages."""
    _ = texts.gettext
    return [
        (
            "",
            [
                Link("", _("Home"), "home", "h"),
                Link("/campaigns", _("Campaigns"), "campaign", "c"),
                Link("/calendar", _("Calendar"), "calendar", "d"),
            ],
        ),
        (
            _("Content"),
            [
                Link("/audience", _("Audience"), "people", "a"),
                Link("/templates", _("Templates"), "template", "t"),
            ],
        ),
        (
            _("Set-up"),
            [
                Link("/channels", _("Channels"), "channel", "n"),
                Link("/webhooks", _("Webhooks"), "webhook", "w"),
                Link("/operations", _("Operations"), "operations", "o"),
                Link("/settings", _("Settings"), "settings", "s"),
            ],
        ),
    ]


def section_of(path: str) -> str:
    """Which of the pages a path belongs to."""
    inside = path.removeprefix(ROOT)
    found = [known for known in _PATHS if inside == known or inside.startswith(f"{known}/")]
    return max(found, key=len, default="")
