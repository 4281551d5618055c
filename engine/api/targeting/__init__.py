"""The Targeting dialect: the epilot operations of contract.md §1 and our own routes of §8."""

from engine.api.targeting import (
    campaigns,
    channels,
    entities,
    flows,
    job,
    portals,
    recipients,
    status,
    suppression,
    targets,
    templates,
)

__all__ = ["ROUTERS"]

#: In the order in which their paths are tried.
ROUTERS = (
    campaigns.router,
    channels.router,
    *entities.ROUTERS,
    flows.router,
    job.router,
    portals.router,
    recipients.router,
    status.router,
    *suppression.ROUTERS,
    targets.router,
    templates.router,
)
