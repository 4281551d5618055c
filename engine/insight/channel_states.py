"""How a channel stands: the one rule, for a row and as SQL."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import and_, case

from engine.limits.adaptive import FOUND_KEPT
from state.tables import Channel

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

__all__ = ["ChannelState", "channel_state", "channel_state_expression"]


class ChannelState(StrEnum):
    """Worst first."""

    QUOTA = "quota"
    """Its provider's quota is spent."""
    BREAKER = "breaker"
    """Its provider cannot be reached."""
    WARM_UP = "warm_up"
    """It was given what its warm-up allows today."""
    THROTTLED = "throttled"
    """Its provider asked it to wait."""
    SLOWED = "slowed"
    """It keeps to a rate that it found."""
    WORKING = "working"


def channel_state(channel: Channel, now: datetime) -> ChannelState:
    """How a channel stands at an instant."""
    is_blocked = channel.blocked_until is not None and channel.blocked_until > now
    if channel.breaker_opened_at is not None:
        return ChannelState.QUOTA if channel.blocked_for == "quota" else ChannelState.BREAKER
    if is_blocked:
        return ChannelState.WARM_UP if channel.blocked_for == "warm_up" else ChannelState.THROTTLED
    if channel.throttled_rate is not None and channel.throttled_at is not None:
        return ChannelState.SLOWED if channel.throttled_at > now - FOUND_KEPT else ChannelState.WORKING
    return ChannelState.WORKING


def channel_state_expression(now: datetime) -> ColumnElement[str]:
    """`channel_state` in a statement over channels."""
    is_blocked = Channel.blocked_until > now
    is_open = Channel.breaker_opened_at.is_not(None)
    keeps_to_a_rate = and_(Channel.throttled_rate.is_not(None), Channel.throttled_at > now - FOUND_KEPT)
    return case(
        (and_(is_open, Channel.blocked_for == "quota"), ChannelState.QUOTA),
        (is_open, ChannelState.BREAKER),
        (and_(is_blocked, Channel.blocked_for == "warm_up"), ChannelState.WARM_UP),
        (is_blocked, ChannelState.THROTTLED),
        (keeps_to_a_rate, ChannelState.SLOWED),
        else_=ChannelState.WORKING,
    )
