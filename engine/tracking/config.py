"""What a channel or a campaign says about tracking."""

from __future__ import annotations

from engine.kernel.inputs import Input

__all__ = ["LONGEST_WINDOW", "Tracking", "kept"]

#: Days; no campaign's attribution window is longer.
LONGEST_WINDOW = 90


class Tracking(Input):
    """What messages tell of. What is not said is the channel's to say, and off if it does not."""

    opens: bool | None = None
    """A picture of one point tells that a message was opened."""
    clicks: bool | None = None
    """Links of the HTML part lead through us."""
    text: bool | None = None
    """Links of the text part as well; they become long, and people see them."""


def kept(given: Tracking | None) -> dict[str, bool] | None:
    """As the row keeps it: what was said."""
    return None if given is None else given.model_dump(exclude_none=True)
