"""Keys open one organization, only while they are not revoked, and are kept nowhere."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.authentication.api_keys import (
    authenticate,
    create_key,
    list_keys,
    note_use,
    revoke_key,
    use_is_stale,
)
from engine.kernel.inputs import Invalid
from engine.kernel.principal import Role
from engine.organizations import create_organization
from state.errors import NotFound


def test_a_key_opens_its_organization_with_its_role(database):
    with database.begin() as session:
        mine = create_organization(session, "mine")
        create_organization(session, "theirs")
        key, plain = create_key(session, mine.id, "deploy", "operator")
    with database.read() as session:
        principal = authenticate(session, plain)
    assert principal is not None
    assert (mine.id, key.id, Role.OPERATOR) == (principal.org_id, principal.key_id, principal.role)
    assert plain.startswith("mk_")
    assert len(plain) > 40


def test_the_key_itself_is_kept_nowhere(database, org_id):
    with database.begin() as session:
        _, plain = create_key(session, org_id, "k", "viewer")
    with database.read() as session:
        rows = session.connection().exec_driver_sql("SELECT * FROM api_key").all()
    assert plain not in repr(rows)
    assert plain[:10] in repr(rows), "a person can tell keys apart"


@pytest.mark.parametrize("wrong", ["", "mk_", "mk_unknown", "x" * 100_000, "\ud800", "nul\0"])
def test_any_other_text_opens_nothing(database, org_id, wrong):
    with database.begin() as session:
        create_key(session, org_id, "k", "viewer")
    with database.read() as session:
        assert authenticate(session, wrong) is None


def test_a_revoked_key_opens_nothing_and_revoking_twice_changes_nothing(database, org_id, clock):
    with database.begin() as session:
        key, plain = create_key(session, org_id, "k", "admin")
    with database.begin() as session:
        first = revoke_key(session, org_id, key.id).revoked_at
    clock.forward(hours=1)
    with database.begin() as session:
        assert first == revoke_key(session, org_id, key.id).revoked_at
        assert authenticate(session, plain) is None
        assert [key.id] == [listed.id for listed in list_keys(session, org_id).results]


def test_another_organizations_key_cannot_be_revoked(database, org_id):
    with database.begin() as session:
        other = create_organization(session, "other")
        key, plain = create_key(session, other.id, "k", "admin")
    with pytest.raises(NotFound), database.begin() as session:
        revoke_key(session, org_id, key.id)
    with database.read() as session:
        assert authenticate(session, plain) is not None
        assert list_keys(session, org_id).results == []


def test_use_is_noted_at_most_once_a_minute(database, org_id, clock):
    with database.begin() as session:
        _, plain = create_key(session, org_id, "k", "viewer")
    seen = []
    for _ in range(4):
        with database.begin() as session:
            principal = authenticate(session, plain)
            assert principal is not None
            if use_is_stale(principal, clock.now()):
                note_use(session, principal)
                seen.append(clock.now())
        clock.forward(seconds=40)
    assert [(at - seen[0]).total_seconds() for at in seen] == [0, 80]


@pytest.mark.parametrize(
    ("name", "role", "field"),
    [("", "viewer", "name"), (" ", "viewer", "name"), ("x" * 151, "viewer", "name"), ("a\0", "viewer",
    "name"),  ("k", "admni", "role"), ("k", "ADMIN", "role")],
)  # fmt: skip
def test_bad_names_and_roles_are_refused_by_field(database, org_id, name, role, field):
    with pytest.raises(Invalid) as refused, database.begin() as session:
        create_key(session, org_id, name, role)
    assert field == refused.value.field
    if role == "admni":
        assert "did you mean 'admin'" in str(refused.value)


def test_a_fixed_key_must_be_long_and_new(database, org_id):
    with pytest.raises(Invalid, match="20 characters"), database.begin() as session:
        create_key(session, org_id, "k", "admin", plain="short")
    with database.begin() as session:
        create_key(session, org_id, "k", "admin", plain="mk_dev_0123456789abcdef")
    with pytest.raises(Invalid, match="exists already"), database.begin() as session:
        create_key(session, org_id, "k", "admin", plain="mk_dev_0123456789abcdef")


def test_organization_names_are_unique(database):
    with database.begin() as session:
        create_organization(session, " shop ")
    with pytest.raises(Invalid, match="shop"), database.begin() as session:
        create_organization(session, "shop")


def test_no_organization_no_keys(database):
    with database.read() as session:
        assert list_keys(session, uuid4()).results == []
