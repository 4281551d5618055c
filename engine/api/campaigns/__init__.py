"""The Campaigns dialect: the eleven operations of docs/contract/campaigns-api.md, and the executions behind them."""

from engine.api.campaigns import campaigns, executions, insight, moves, statistics

__all__ = ["ROUTERS"]

ROUTERS = (campaigns.router, executions.router, insight.router, moves.router, statistics.router)
