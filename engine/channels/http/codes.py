"""What a provider's own error codes mean, for providers that have such beside HTTP's statuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.channels.port import Deferred, Down, Rejected, Throttled

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from engine.channels.port import Outcome

__all__ = ["Codes"]


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of one provider, by what follows."""

    prefix: str
    """Of our codes: `TWILIO`."""
    account: Container[int]
    """About the account, its credentials or the sender: nothing can be sent until a person mends it."""
    too_fast: Container[int]
    later: Container[int]
    """This message may go later."""
    final: Container[int]
    """About this recipient, or what is said to it."""
    suppress: Mapping[int, str]
    """Those of `final` after which the address must not be written to again, and why."""

    def meaning_of(self, code: int, text: str, wait: float | None = None) -> Outcome | None:
        """What a code means, in an answer or in what is reported later; None: not known.

        Args:
            code: The provider's.
            text: What it says.
            wait: Seconds, when the provider named them.
        """
        name = f"{self.prefix}_{code}"
        if code in self.too_fast:
            return Throttled(name, text, wait)
        if code in self.account:
            return Down(name, text)
        if code in self.later:
            return Deferred(name, text, wait)
        if code in self.final:
            return Rejected(name, text, self.suppress.get(code))
        return None
