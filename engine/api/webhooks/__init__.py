"""`/api/v1/webhooks` (docs/contract/campaigns-api.md and own-routes.md): who is told of what, and the log of it."""

from engine.api.webhooks.deliveries import router as deliveries
from engine.api.webhooks.webhooks import router as webhooks

__all__ = ["ROUTERS"]

ROUTERS = (webhooks, deliveries)
