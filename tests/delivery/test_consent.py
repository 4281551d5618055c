"""Whoever is on the suppression list is written to by no channel of the address's medium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.audience.suppression_list import SuppressionInput, suppress
from engine.content.links import Invitation
from engine.engagement.suppression import unsubscribe
from engine.kernel.inputs import read
from engine.kernel.media import AddressMedium

if TYPE_CHECKING:
    from tests.delivery.kit import Bench


@pytest.mark.parametrize("medium", [None, AddressMedium.EMAIL])
def test_whoever_left_by_one_channel_is_written_to_by_no_other_of_its_medium(
    bench: Bench, medium: AddressMedium | None
) -> None:
    people = bench.entities(4)
    bench.channel.medium = medium
    campaign = bench.campaign()
    with bench.database.begin() as session:
        unsubscribe(session, Invitation(bench.org_id, campaign, people[0], "smtp", "p0@example.com"))
        given = {"channel_kind": "file", "address": "P1@Example.com"}
        suppress(session, bench.org_id, read(SuppressionInput, given))
        other = {"medium": "other", "address": "p2@example.com"}
        suppress(session, bench.org_id, read(SuppressionInput, other))
    bench.activate(campaign)
    bench.work()
    assert {"p2@example.com", "p3@example.com"} == {message.address for message in bench.channel.journal}
    excluded = {row.error_code for row in bench.recipients().values() if row.automation_status == "cancelled"}
    assert {"SUPPRESSED"} == excluded
