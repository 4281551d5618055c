"""Portals and their widgets: where a campaign is shown rather than sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints

from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid, LongText, Name, Rewritable
from state.change import clock_of
from state.errors import NotFound
from state.tables import Campaign, Portal, Widget

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "PortalChange",
    "PortalInput",
    "WidgetChange",
    "WidgetInput",
    "create_portal",
    "create_widget",
    "delete_portal",
    "delete_widget",
    "get_portal",
    "get_widget",
    "list_portals",
    "list_widgets",
    "update_portal",
    "update_widget",
]


class PortalInput(Input):
    """A new portal."""

    name: Name
    origin: Annotated[str, StringConstraints(max_length=64)] | None = None
    domain: Annotated[str, StringConstraints(max_length=255)] | None = None


class PortalChange(Rewritable, PortalInput):
    """What is to be different."""

    name: Name = ""


class Headline(Input):
    """What the widget says above a campaign, by language."""

    en: LongText | None = None
    de: LongText | None = None


class WidgetInput(Input):
    """A new block; CAMPAIGN_WIDGET and PRODUCT_RECOMMENDATIONS_WIDGET show a campaign (docs/contract/targeting.md)."""

    type: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] = "CAMPAIGN_WIDGET"
    campaign_id: UUID | None = None
    headline: Headline | None = None


class WidgetChange(Rewritable, WidgetInput):
    """What is to be different."""

    answered = frozenset(("portal_id",))

    type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] = ""


def create_portal(session: Session, org_id: UUID, given: PortalInput) -> Portal:
    """Keep a portal."""
    now = clock_of(session).now()
    portal = Portal(id=uuid4(), org_id=org_id, created_at=now, updated_at=now, **given.model_dump())
    session.add(portal)
    session.flush()
    return portal


def get_portal(session: Session, org_id: UUID, portal_id: UUID) -> Portal:
    """Raises NotFound."""
    return listing.find(session, Portal, org_id, portal_id)


def list_portals(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> listing.Page[Portal]:
    """Newest first; see `listing.page`."""
    return listing.page(session, Portal, org_id, limit=limit, next=next)


def update_portal(session: Session, org_id: UUID, portal_id: UUID, given: PortalChange) -> Portal:
    """Change a portal. Raises NotFound."""
    portal = listing.find(session, Portal, org_id, portal_id, lock=True)
    for name, value in given.model_dump(exclude_unset=True).items():
        setattr(portal, name, value)
    if given.model_fields_set:
        listing.stamp(session, portal)
        session.flush()
    return portal


def delete_portal(session: Session, org_id: UUID, portal_id: UUID) -> None:
    """Remove a portal and its widgets. Raises NotFound."""
    session.delete(listing.find(session, Portal, org_id, portal_id, lock=True))
    session.flush()


def create_widget(session: Session, org_id: UUID, portal_id: UUID, given: WidgetInput) -> Widget:
    """Put a widget on a portal.

    Raises:
        NotFound: there is no such portal.
        Invalid: the campaign does not exist.
    """
    listing.find(session, Portal, org_id, portal_id)
    _check_campaign(session, org_id, given.campaign_id)
    now = clock_of(session).now()
    widget = Widget(id=uuid4(), org_id=org_id, portal_id=portal_id, created_at=now, updated_at=now)
    _apply(widget, given, set(WidgetInput.model_fields))
    session.add(widget)
    session.flush()
    return widget


def get_widget(session: Session, org_id: UUID, portal_id: UUID, widget_id: UUID) -> Widget:
    """Raises NotFound."""
    widget = listing.find(session, Widget, org_id, widget_id)
    if widget.portal_id != portal_id:
        raise NotFound("widget", widget_id)
    return widget


def list_widgets(
    session: Session,
    org_id: UUID,
    portal_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> listing.Page[Widget]:
    """A portal's widgets, newest first. Raises NotFound when there is no such portal."""
    listing.find(session, Portal, org_id, portal_id)
    return listing.page(session, Widget, org_id, Widget.portal_id == portal_id, limit=limit, next=next)


def update_widget(
    session: Session, org_id: UUID, portal_id: UUID, widget_id: UUID, given: WidgetChange
) -> Widget:
    """Change a widget.

    Raises:
        NotFound: there is none on this portal.
        Invalid: the campaign does not exist.
    """
    get_widget(session, org_id, portal_id, widget_id)
    widget = listing.find(session, Widget, org_id, widget_id, lock=True)
    _check_campaign(session, org_id, given.campaign_id)
    _apply(widget, given, given.model_fields_set)
    if given.model_fields_set:
        listing.stamp(session, widget)
        session.flush()
    return widget


def delete_widget(session: Session, org_id: UUID, portal_id: UUID, widget_id: UUID) -> None:
    """Take a widget off its portal. Raises NotFound."""
    session.delete(get_widget(session, org_id, portal_id, widget_id))
    session.flush()


def _apply(widget: Widget, given: WidgetInput, fields: set[str]) -> None:
    values = given.model_dump(include=fields)
    if values.get("headline") is not None:
        values["headline"] = {key: text for key, text in values["headline"].items() if text is not None}
    for name, value in values.items():
        setattr(widget, name, value)


def _check_campaign(session: Session, org_id: UUID, campaign_id: UUID | None) -> None:
    if campaign_id is not None and not listing.kept(session, Campaign, org_id, campaign_id):
        raise Invalid("campaign_id", f"campaign {campaign_id} does not exist")
