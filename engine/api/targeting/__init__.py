"""The Targeting dialect: the epilot operations of docs/contract/targeting.md and our own routes of own-routes.md."""

from engine.api.targeting import (
    audit,
    campaigns,
    channels,
    discover,
    email_stats,
    entities,
    first_contact,
    flows,
    job,
    keys,
    matching,
    organization,
    people,
    plans,
    portal_status,
    portals,
    recipient,
    recipients,
    reports,
    setup,
    status,
    suppression,
    targets,
    templates,
    timeline,
    topics,
)

__all__ = ["ROUTERS"]

#: In the order in which their paths are tried.
ROUTERS = (
    audit.router,
    plans.router,  # before `{id}`, which `{id}:plan` would be
    campaigns.router,
    first_contact.router,
    channels.router,
    *discover.ROUTERS,
    email_stats.router,
    people.router,  # before `{id}`, which `{id}:export` would be
    *entities.ROUTERS,
    flows.router,
    job.router,
    keys.router,
    matching.router,
    organization.router,
    *portal_status.ROUTERS,
    portals.router,
    recipient.router,
    recipients.router,
    *reports.ROUTERS,
    setup.router,
    status.router,
    *suppression.ROUTERS,
    targets.router,
    templates.router,
    templates.reading,
    timeline.router,
    topics.router,
)
