"""The Umanize dialect: a campaign's enrolled targets (docs/contract/enrolled-targets.md).

Its paths, `/campaigns/{id}/targets…`, share no prefix with the Campaigns API's (`/api/v1/campaigns`).
"""

from engine.api.umanize import enrolling, goals, targets
from engine.api.umanize.errors import unrouted

__all__ = ["PREFIX", "ROUTERS", "unrouted"]

#: Where its paths begin.
PREFIX = "/campaigns/"

#: In the order in which their paths are tried.
ROUTERS = (*enrolling.ROUTERS, targets.router, goals.router)
