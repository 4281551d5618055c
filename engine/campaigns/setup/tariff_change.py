"""The campaign that offers customers another tariff: a recommendation of products, on a portal, by e-mail, or both.

Made in one transaction: the flow (where it is made from a template), the campaign (a draft that ends when told),
the product recommendation with its offers, the link to the journey, the portal's widget. Targets, flows,
templates and portals are ours and must exist; products, prices and journeys are kept elsewhere and are taken
as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import select

from engine.campaigns import campaigns, flows, portals
from engine.campaigns.absent import NeverNull
from engine.campaigns.campaigns import CampaignInput
from engine.campaigns.flows import FlowInput, TouchpointInput
from engine.campaigns.portals import WidgetInput
from engine.campaigns.setup.variant import SetUp, Variant
from engine.channels.default_channel import default_channel
from engine.engagement.email import MAIL_KINDS
from engine.kernel.inputs import Invalid, LongText, Name
from state.change import clock_of
from state.errors import NotFound
from state.tables import Channel, Flow, JourneyLink, ProductRecommendation, Target, Template, Widget

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["VARIANT", "SetupTariffChangeCampaignRequest"]

_WIDGET = "PRODUCT_RECOMMENDATIONS_WIDGET"
_MANY = 1000


class OfferItem(NeverNull):
    """A product at a price, and how it is set off."""

    product_id: UUID
    price_id: UUID
    highlight_config: dict[str, Any] | None = None
    """Kept as it is."""


class Offer(NeverNull):
    """A block of products, for everybody or for one target."""

    target_id: UUID | None = None
    items: Annotated[list[OfferItem], Field(max_length=_MANY)]


class Recommendation(NeverNull):
    """What is offered instead of what."""

    name: Annotated[str, StringConstraints(max_length=1_000)] | None = None
    """Absent: the campaign's."""
    source_product_id: UUID | None = None
    source_price_id: UUID | None = None
    offers: Annotated[list[Offer], Field(max_length=_MANY)] | None = None


class CampaignPart(NeverNull):
    """The campaign itself."""

    name: Name
    goal: LongText | None = None
    target_ids: Annotated[list[UUID], Field(max_length=_MANY)]
    """The first one is the audience; upstream keeps the list for later."""


class Journey(NeverNull):
    """Where customers are led."""

    journey_id: UUID


class PortalPlace(NeverNull):
    """Where on which portal it is shown."""

    portal_id: UUID
    block_id: UUID


class Email(NeverNull):
    """By which flow e-mail is sent: one that exists, or one made from a template. The flow wins."""

    automation_id: UUID | None = None
    template_id: UUID | None = None

    @model_validator(mode="after")
    def _one(self) -> Email:
        if self.automation_id is None and self.template_id is None:
            raise ValueError("needs automation_id or template_id")
        return self


class Channels(NeverNull):
    """How it reaches customers."""

    portal_widget: PortalPlace | None = None
    email: Email | None = None


class SetupTariffChangeCampaignRequest(NeverNull):
    """What this variant takes."""

    type: Literal["tariff_change"]
    product_recommendation: Recommendation
    campaign: CampaignPart
    journey: Journey | None = None
    channels: Channels | None = None


def _set_up(session: Session, org_id: UUID, given: SetupTariffChangeCampaignRequest) -> SetUp:
    _check_targets(session, org_id, given)
    channels = given.channels or Channels()
    campaign = campaigns.create_campaign(
        session,
        org_id,
        CampaignInput(
            name=given.campaign.name,
            goal=given.campaign.goal,
            target_ids=given.campaign.target_ids[:1],
            flow_id=None if channels.email is None else _flow(session, org_id, given, channels.email),
            ends="when_told",
        ),
    )
    campaign.extras = {**(campaign.extras or {}), "type": given.type}
    recommendation = _recommendation(campaign, given.product_recommendation)
    session.add(recommendation)
    journey = given.journey
    if journey is not None:
        times = {"created_at": campaign.created_at, "updated_at": campaign.updated_at}
        session.add(
            JourneyLink(org_id=org_id, campaign_id=campaign.id, journey_id=journey.journey_id, **times)
        )
    session.flush()
    place = channels.portal_widget
    return SetUp(
        type=given.type,
        product_recommendation_id=recommendation.id,
        campaign_id=campaign.id,
        journey_id=None if journey is None else journey.journey_id,
        portal_widget_id=None if place is None else _widget(session, campaign, place),
    )


def _check_targets(session: Session, org_id: UUID, given: SetupTariffChangeCampaignRequest) -> None:
    """Every target that will be used must exist."""
    wanted = [(f"campaign.target_ids[{i}]", key) for i, key in enumerate(given.campaign.target_ids[:1])] + [
        (f"product_recommendation.offers[{i}].target_id", offer.target_id)
        for i, offer in enumerate(given.product_recommendation.offers or ())
        if offer.target_id is not None
    ]
    ids = {target_id for _, target_id in wanted}
    known = set(session.scalars(select(Target.id).where(Target.org_id == org_id, Target.id.in_(ids))))
    for field, target_id in wanted:
        if target_id not in known:
            raise Invalid(field, f"target {target_id} does not exist")


def _flow(session: Session, org_id: UUID, given: SetupTariffChangeCampaignRequest, email: Email) -> UUID:
    """The flow that sends: the one that is named, else one e-mail made from the template."""
    if email.automation_id is not None:
        _check_known(session, org_id, Flow, email.automation_id, "channels.email.automation_id")
        return email.automation_id
    assert email.template_id is not None  # noqa: S101 - the model has seen to it
    _check_known(session, org_id, Template, email.template_id, "channels.email.template_id")
    step = TouchpointInput(template_id=email.template_id, channel_id=_mail_channel(session, org_id))
    made = flows.create_flow(session, org_id, FlowInput(name=given.campaign.name, touchpoints=[step]))
    return made.id


def _check_known(session: Session, org_id: UUID, table: type[Flow | Template], key: UUID, field: str) -> None:
    known = select(table.id).where(table.id == key, table.org_id == org_id)
    if session.execute(known.with_for_update(read=True, key_share=True)).first() is None:
        raise Invalid(field, f"{table.__tablename__} {key} does not exist")


def _mail_channel(session: Session, org_id: UUID) -> UUID | None:
    """None: whatever the default is by then; else the oldest mail channel, where the default is for something else."""
    default = default_channel(session, org_id)
    if default is None or default.kind in MAIL_KINDS:
        return None
    return session.scalars(
        select(Channel.id)
        .where(Channel.org_id == org_id, Channel.kind.in_(sorted(MAIL_KINDS)))
        .order_by(Channel.created_at, Channel.id)
        .limit(1)
    ).first()


def _recommendation(campaign: Campaign, given: Recommendation) -> ProductRecommendation:
    return ProductRecommendation(
        id=uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        name=campaign.name if given.name is None else given.name,
        source_product_id=given.source_product_id,
        source_price_id=given.source_price_id,
        offers=[offer.model_dump(mode="json", exclude_unset=True) for offer in given.offers or ()],
        created_at=campaign.created_at,
        updated_at=campaign.updated_at,
    )


def _widget(session: Session, campaign: Campaign, place: PortalPlace) -> UUID:
    """The block shows the campaign: an empty block of ours is filled, for any other a widget is made."""
    org_id = campaign.org_id
    block = session.scalars(
        select(Widget)
        .where(Widget.id == place.block_id, Widget.portal_id == place.portal_id, Widget.org_id == org_id)
        .with_for_update()
    ).one_or_none()
    if block is not None:
        if block.campaign_id is not None:
            raise Invalid(
                "channels.portal_widget.block_id", f"block {block.id} shows campaign {block.campaign_id}"
            )
        block.campaign_id, block.type = campaign.id, _WIDGET
        block.updated_at = clock_of(session).now()
        session.flush()
        return block.id
    try:
        widget = portals.create_widget(
            session, org_id, place.portal_id, WidgetInput(type=_WIDGET, campaign_id=campaign.id)
        )
    except NotFound as error:
        raise Invalid("channels.portal_widget.portal_id", str(error)) from None
    widget.extras = {"block_id": str(place.block_id)}
    session.flush()
    return widget.id


VARIANT = Variant("tariff_change", SetupTariffChangeCampaignRequest, _set_up)
