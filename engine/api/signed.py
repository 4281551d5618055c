"""Routes that providers post to without a key of ours: what they sign is believed, and anything else is a 401 that
counts as a failed authentication of its address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.api.errors import TooManyRequests, Unauthorized
from engine.api.identity import client_address
from engine.api.targeting.errors import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from engine.api.rates import Rates

__all__ = ["REFUSED", "answer_error"]

#: The same whatever is wrong, so that nobody learns which channels there are.
REFUSED = "the signature is not this channel's"


async def answer_error(request: Request, error: Exception) -> Response:
    """The answer to what went wrong with a request."""
    if isinstance(error, Unauthorized):
        rates: Rates = request.app.state.rates
        try:
            await rates.count_failure(client_address(request))
        except TooManyRequests as limited:
            return answer(limited)
    return answer(error)
