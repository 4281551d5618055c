"""The iMBRACE dialect: campaigns and their touchpoints (docs/contract/imbrace.md)."""

from engine.api.imbrace import campaigns, touchpoints

__all__ = ["ROUTERS"]

#: In the order in which their paths are tried.
ROUTERS = (campaigns.router, *touchpoints.ROUTERS)
