"""`/api/v1/webhooks` (docs/contract/campaigns-api.md and own-routes.md): who gets which events, and the log of
deliveries.
"""

from engine.api.webhooks.deliveries import router as deliveries
from engine.api.webhooks.webhooks import router as webhooks

__all__ = ["ROUTERS"]

ROUTERS = (webhooks, deliveries)
