"""Limits through the API: on channels, campaigns and the organization; bad ones are refused by name."""

from __future__ import annotations

import pytest

from state.tables import Organization

RATE = {"rate": {"messages": 200}}


@pytest.fixture
def admin(api):
    with api.client("admin") as client:
        yield client


def epoch(api) -> int:
    with api.database.read() as session:
        return session.get_one(Organization, api.org_id).limits_epoch


def test_a_channels_limits_are_set_changed_and_removed(api, admin):
    made = admin.post("/v1/channel", json={"name": "null", "kind": "null", "limits": RATE}).json()
    assert made["limits"] == RATE
    path = f"/v1/channel/{made['_id']}"
    before = epoch(api)
    limits = {"domain_rate": {"messages": 5}, "domains": {"GMail.com": {"messages": 60, "per": "minute"}}}
    changed = admin.patch(path, json={"limits": limits}).json()["limits"]
    assert changed == {
        "domain_rate": {"messages": 5},
        "domains": {"gmail.com": {"messages": 60, "per": "minute"}},
    }
    assert epoch(api) == before + 1, "whoever sends is told"
    assert admin.patch(path, json={"name": "other"}).json()["limits"] == changed
    assert epoch(api) == before + 1
    assert "limits" not in admin.patch(path, json={"limits": None}).json()


def test_a_campaigns_limits(admin):
    made = admin.post("/v1/campaign", json={"name": "c", "limits": RATE}).json()
    assert made["limits"] == RATE
    hours = {"send_windows": [{"days": ["mon"], "from": "09:00", "to": "18:00"}]}
    path = f"/v1/campaign/{made['_id']}"
    assert admin.patch(path, json={"limits": hours}).json()["limits"] == hours
    assert admin.get(path).json()["limits"] == hours


def test_the_organizations(api, admin):
    cap = {"frequency_cap": {"messages": 3, "hours": 168}}
    changed = admin.patch("/v1/organization", json={"limits": cap, "time_zone": "Europe/Berlin"}).json()
    assert (changed["limits"], changed["time_zone"]) == (cap, "Europe/Berlin")
    assert changed["_id"] == str(api.org_id)
    assert admin.get("/v1/organization").json() == changed
    assert "limits" not in admin.patch("/v1/organization", json={"limits": None}).json()
    with api.client("operator") as operator:
        assert operator.get("/v1/organization").status_code == 200
        assert operator.patch("/v1/organization", json={"limits": cap}).status_code == 403


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"limits": {"rate": {"messages": 0}}}, "limits.rate.messages"),
        ({"limits": {"rat": {"messages": 1}}}, "did you mean 'rate'"),
        ({"limits": {"quiet_hours": [{"from": "25:00"}]}}, "limits.quiet_hours[0].from"),
        ({"limits": {"quiet_hours": [{}]}}, "leave no time to send"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone: 'Europe/Atlantis' is not a time zone"),
    ],
)
def test_what_cannot_be_a_limit_is_a_400_that_names_it_and_changes_nothing(api, admin, body, said):
    before = epoch(api)
    answer = admin.patch("/v1/organization", json=body)
    assert (answer.status_code, said in answer.json()["message"]) == (400, True), answer.text
    assert epoch(api) == before
