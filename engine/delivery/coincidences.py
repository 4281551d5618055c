"""The same words from several mail domains: they are about the channel, whatever their code says.

One process remembers the latest answers that it got; workers that got fewer decide by their own.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

__all__ = ["Coincidences"]

#: So many mail domains, within this time, ...
_DOMAINS = 3
_WINDOW = timedelta(minutes=1)
#: ... make it the channel's for so long after it was last said.
_REMEMBERED = timedelta(minutes=10)
_TEXTS = 1000
#: A recipient is spared so many times because all are refused alike; then a refusal is its own.
_PATIENCE = 20
_RECIPIENTS = 10_000
#: What differs between two answers of one kind: addresses, names of hosts, numbers, ids.
_VARIABLE = re.compile(r"<[^>]*>|\[[^\]]*\]|\S*@\S*|\b\S*\d\S*\b|\b[\w-]+(?:\.[\w-]+)+\b")


class Coincidences:
    """One process's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._said: OrderedDict[tuple[UUID, str], dict[str, datetime]] = OrderedDict()
        self._channels: dict[tuple[UUID, str], datetime] = {}
        self._spared: OrderedDict[UUID, int] = OrderedDict()

    def is_about_channel(self, channel_id: UUID, text: str, domain: str, now: datetime) -> bool:
        """Whether several mail domains said so. Remembers that `domain` did."""
        key = (channel_id, _VARIABLE.sub("#", text).casefold())
        with self._lock:
            said = self._said.setdefault(key, {})
            self._said.move_to_end(key)
            while len(self._said) > _TEXTS:
                forgotten, _ = self._said.popitem(last=False)
                self._channels.pop(forgotten, None)
            said[domain] = now
            for known, at in list(said.items()):
                if now - at > _WINDOW:
                    del said[known]
            last = self._channels.get(key)
            if len(said) >= _DOMAINS or (last is not None and now - last <= _REMEMBERED):
                self._channels[key] = now
                return True
            return False

    def spares(self, entity_id: UUID) -> bool:
        """Whether a refusal that others meet as well costs this recipient no attempt. Remembers that it was asked:
        nobody is spared for ever, because a few who are always refused would keep a channel slow, and a job open.
        """
        with self._lock:
            times = self._spared.pop(entity_id, 0) + 1
            self._spared[entity_id] = times
            if len(self._spared) > _RECIPIENTS:
                self._spared.popitem(last=False)
            return times <= _PATIENCE
