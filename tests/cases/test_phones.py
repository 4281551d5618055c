"""A phone number is that of the person it stands with, or nobody is written to and the plan says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cases.house import House


def plan_and_run(
    house: House, numbers: list[str], region: str | None
) -> tuple[dict[str, int], set[str | None]]:
    """What the plan excludes by code, and who is written to."""
    settings = {"address": "phone", "medium": "phone"} | ({} if region is None else {"region": region})
    house.connect(settings=settings)
    house.load("id;phone\n" + "".join(f'{n};"{one}"\n' for n, one in enumerate(numbers)))
    campaign = house.campaign()
    excluded = house.request("POST", f"/v1/campaign/{campaign}:plan")["excluded"]
    house.execute(campaign)
    house.work()
    return {one["code"]: one["count"] for one in excluded}, house.who(campaign, "success")


@pytest.mark.parametrize(
    ("region", "good", "bad"),
    [
        (
            None,
            ["+4791234561", "'+4791234562", "004791234563", "4915112345678", "+47 912 34 564"],
            ["91234567", "15712345678", "+4791234567 ext. 12", "+4791234568 / +4791234569"],
        ),
        (
            "DE",
            ["0151 12345671", "'0151 12345672", "15112345673", "+4791234567", "4915112345675.0"],
            ["15712345678", "O151 12345678", "030 123456/78"],
        ),
    ],
)
def test_nobody_else_is_written_to(house: House, region: str | None, good: list[str], bad: list[str]) -> None:
    excluded, reached = plan_and_run(house, [*good, *bad], region)
    assert {"NO_ADDRESS": len(bad)} == excluded
    assert {str(n) for n in range(len(good))} == reached
