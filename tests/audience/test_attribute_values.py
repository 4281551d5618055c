"""What a form offers of attributes and values."""

from engine.audience.attribute_values import attribute_values, count_values
from tests.audience.test_importing import load


def test_frequent_values_are_offered_and_single_ones_are_not() -> None:
    people = [
        {"country": "Norway", "email": f"{n}@example.com", "age": n % 2, "vip": n > 1} for n in range(4)
    ]
    found = {one.name: one for one in count_values([*people, {"country": "", "tags": ["a"], "age": None}])}
    assert found["country"].values == ("Norway",)
    assert found["country"].filled == 4
    assert found["email"].values == ()
    assert set(found["age"].values) == {"0", "1"}
    assert set(found["vip"].values) == {"true", "false"}
    assert found["tags"].values == ()


def test_they_are_of_one_organization_and_schema(database, org_id) -> None:
    load(database, org_id, "country\nNorway\nNorway\n")
    load(database, org_id, "plan\nbasic\n", schema="account")
    with database.read() as session:
        assert [one.name for one in attribute_values(session, org_id, "contact")] == ["country"]
        assert [one.name for one in attribute_values(session, org_id, "account")] == ["plan"]
