"""Organizations, keys and channels from the command line, on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.authentication.api_keys import authenticate
from engine.kernel.secrets import new_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster


def test_a_key_is_printed_once_and_opens_until_it_is_revoked(acme: Muster) -> None:
    made = acme.ok("keys", "create", "ci", "--role", "viewer")
    plain = made.out.strip()
    assert plain.startswith("mk_")
    assert plain not in made.err
    database = acme.database()
    with database.read() as session:
        principal = authenticate(session, plain)
    assert principal is not None
    assert principal.role.word == "viewer"

    listed = acme.ok("keys", "list")
    assert plain not in listed.out
    assert plain[:10] in listed.out
    (row,) = acme.ok("keys", "list", "--json").json["results"]
    assert row["revoked_at"] is None

    assert "revoked ci" in acme.ok("keys", "revoke", "ci").out
    with database.read() as session:
        assert authenticate(session, plain) is None
    database.close()


@pytest.mark.parametrize("called", ["id", "prefix"])
def test_a_key_is_revoked_by_id_or_by_its_beginning(acme: Muster, called: str) -> None:
    made = acme.ok("keys", "create", "one", "--json").json
    acme.ok("keys", "create", "two")
    acme.ok("keys", "revoke", made["id"] if called == "id" else made["key"][:10])
    assert {
        row["name"]: row["revoked_at"] is None for row in acme.ok("keys", "list", "--json").json["results"]
    } == {
        "one": False,
        "two": True,
    }


def test_a_key_is_made_for_a_time_and_networks_and_replaced(acme: Muster) -> None:
    made = acme.ok(
        "keys", "create", "ci", "--days", "30", "--network", "10.0.0.0/8", "--network", "::1", "--json"
    ).json
    assert (made["networks"], bool(made["expires_at"])) == (["10.0.0.0/8", "::1/128"], True)
    fresh = acme.ok("keys", "rotate", "ci", "--json").json
    kept = ("name", "role", "networks", "expires_at")
    assert {name: fresh[name] for name in kept} == {name: made[name] for name in kept}
    database = acme.database()
    with database.read() as session:
        assert authenticate(session, made["key"]) is None
        assert authenticate(session, fresh["key"]) is not None
    acme.ok("keys", "rotate", "ci", "--overlap-hours", "1")
    with database.read() as session:
        assert authenticate(session, fresh["key"]) is not None
    database.close()
    assert "no network" in acme("keys", "create", "ci", "--network", "here").err


def test_a_name_that_two_keys_have_revokes_neither(acme: Muster) -> None:
    acme.ok("keys", "create", "ci")
    acme.ok("keys", "create", "ci")
    result = acme("keys", "revoke", "ci")
    assert (result.code, "several keys" in result.err) == (1, True)
    assert all(row["revoked_at"] is None for row in acme.ok("keys", "list", "--json").json["results"])
    assert acme("keys", "revoke", "absent").code == 1


def test_a_role_that_is_none_is_refused_with_a_hint(acme: Muster) -> None:
    result = acme("keys", "create", "x", "--role", "admn")
    assert result.code == 2
    assert "did you mean 'admin'?" in result.err


def test_an_organization_is_made_once(acme: Muster) -> None:
    assert [one["name"] for one in acme.ok("org", "list", "--json").json] == ["acme"]
    assert "acme" in acme.ok("org", "list").out
    again = acme("org", "create", "acme")
    assert again.code == 2
    assert "already" in again.err


def test_a_channel_is_made_listed_and_asked(acme: Muster) -> None:
    made = acme.ok(
        "channel", "create", "files", "--kind", "file", "--set", "format=eml", "--default", "--json"
    ).json
    assert made["settings"] == {"format": "eml"}
    assert made["is_default"]
    assert "files" in acme.ok("channel", "list").out
    assert acme.ok("channel", "list", "--json").json["results"] == [made]
    assert "files: works" in acme.ok("channel", "test", "files").out


def test_credentials_come_from_a_file_and_are_shown_nowhere(acme: Muster, tmp_path: Path) -> None:
    secret = tmp_path / "credentials.json"
    secret.write_text(json.dumps({"username": "muster", "password": "hunter2"}))
    settings = ("--set", "host=127.0.0.1", "--set", "port=1", "--set", "from_email=news@example.com")
    security = ("--set", "security=none", "--set", "insecure_login=true")
    said = acme.ok(
        "channel", "create", "mail", "--kind", "smtp", *settings, *security, "--credentials", secret
    )
    shown = said.out + said.err + acme.ok("channel", "list", "--json").out
    assert "hunter2" not in shown
    broken = acme("channel", "test", "mail")
    assert broken.code == 1
    assert "does not work" in broken.err
    assert "hunter2" not in broken.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--kind", "smpt"), "did you mean 'smtp'?"),
        (("--kind", "smtp"), "settings.host"),
        (("--kind", "file", "--set", "formatt=eml"), "did you mean 'format'?"),
        (("--kind", "file", "--set", "format"), "host=mail.example.com"),
        (("--kind", "file", "--credentials", "absent.json"), "absent.json"),
    ],
)
def test_a_channel_that_cannot_be_is_refused_by_field(
    acme: Muster, args: tuple[str, ...], words: str
) -> None:
    result = acme("channel", "create", "x", *args)
    assert result.code == 2, result
    assert words in result.err
    assert acme.ok("channel", "list", "--json").json["results"] == []


def test_every_kind_tells_what_it_takes(acme: Muster) -> None:
    listed = acme.ok("channel", "kinds", "--json").json
    assert {"smtp", "http", "telegram", "whatsapp", "sms", "portal", "apprise"} <= {
        one["kind"] for one in listed
    }
    for one in listed:
        options = acme.ok("channel", "kinds", one["kind"], "--json").json
        assert all(option["part"] in ("settings", "credentials") for option in options)
    smtp = {option["name"]: option for option in acme.ok("channel", "kinds", "smtp", "--json").json}
    assert (smtp["host"]["required"], smtp["concurrency"]["default"]) == (True, 10)
    assert smtp["password"]["type"] == "secret"
    assert "Connections of one worker" in acme.ok("channel", "kinds", "smtp").out
    refused = acme("channel", "kinds", "smpt")
    assert (refused.code, "did you mean 'smtp'" in refused.err) == (2, True)


def test_a_number_on_the_command_line_may_be_an_id(acme: Muster, tmp_path: Path) -> None:
    secret = tmp_path / "credentials.json"
    secret.write_text(json.dumps({"access_token": "t"}))
    settings = ("--set", "phone_number_id=100200300")
    made = acme.ok(
        "channel", "create", "w", "--kind", "whatsapp", *settings, "--credentials", secret, "--json"
    ).json
    assert (made["kind"], made["doubt_policy"]) == ("whatsapp", "hold")


@pytest.mark.parametrize("process", ["api", "worker", "scheduler"])
def test_no_process_starts_with_another_key_or_a_short_one(
    acme: Muster, monkeypatch: pytest.MonkeyPatch, process: str
) -> None:
    started: list[object] = []
    monkeypatch.setattr("actors.services.run", lambda service, **_: started.append(service))
    monkeypatch.setattr("engine.api.brokers.queue_depths", lambda _: {})
    acme.set(broker_url="redis://127.0.0.1:1/0", secret_key=new_key())
    assert 0 == acme(process).code
    acme.set(secret_key=new_key())
    wrong = acme(process)
    acme.set(secret_key="c2hvcnQ=")
    short = acme(process)
    assert [(2, True), (2, True)] == [
        (wrong.code, "another key than the one" in wrong.err),
        (short.code, "a key is base64 of 32 bytes" in short.err),
    ]
    assert 1 == len(started)


def test_a_change_of_the_secret_key_says_when_the_old_one_may_go(acme: Muster) -> None:
    old, new = new_key(), new_key()
    acme.set(secret_key=old)
    acme.ok("keys", "rotate-secret")
    acme.set(secret_key=f"{new},{old}")
    done = acme.ok("keys", "rotate-secret")
    assert "1 secrets were encrypted again" in done.out
    assert "nothing at rest needs the old key" in done.err
    acme.set(secret_key=new)
    assert {"sealed": 0, "kept": 1, "lost": 0} == acme.ok("keys", "rotate-secret", "--json").json
    acme.set(secret_key=old)
    assert 2 == acme("keys", "rotate-secret").code
