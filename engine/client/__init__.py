"""The client for producers: `Muster` and, awaited, `AsyncMuster`.

It needs httpx and nothing of the server: importing it loads neither a database nor a broker.

    with Muster("http://127.0.0.1:8000", "mk_…") as client:
        campaign = client.campaign.create({"name": "Q3 Re-engagement", "channel_type": "email"})
"""

from engine.client.client import AsyncMuster, Muster
from engine.client.errors import (
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    MusterError,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
)
from engine.client.retries import Retries

__all__ = [
    "ApiError",
    "AsyncMuster",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "Muster",
    "MusterError",
    "NotFound",
    "RateLimited",
    "Retries",
    "ServerError",
    "Unauthorized",
]
