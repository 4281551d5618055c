"""Hours of some days, as operators write send windows and quiet hours."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from engine.kernel.inputs import Input

__all__ = ["DAYS", "Window"]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError("is a time of day like 09:00, up to 24:00")
    return text


TimeOfDay = Annotated[str, AfterValidator(_time)]


class Window(Input):
    """Hours of some days, in the recipient's time zone. `from` after `to` runs into the next day."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = DAYS
    """On which it begins."""
    begin: TimeOfDay = Field(default="00:00", alias="from")
    end: TimeOfDay = Field(default="24:00", alias="to")

    @model_validator(mode="after")
    def _some_time(self) -> Window:
        if self.begin == self.end:
            raise ValueError("from and to are the same time; leave both out for the whole day")
        if self.begin == "24:00":
            raise ValueError("from: 24:00 is the next day's 00:00")
        return self

    @property
    def minutes(self) -> tuple[int, int]:
        """Begin and end in minutes after midnight of the day it begins on; the end may be the next day's."""
        begin, end = _minutes(self.begin), _minutes(self.end)
        return begin, end if end > begin else end + 24 * 60


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
