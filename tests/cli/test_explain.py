"""`muster channel explain`: which rule reads an answer, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster


def test_it_says_which_rule_and_why(acme: Muster) -> None:
    told = acme.ok(
        "channel", "explain", "454", "Throttling failure: Maximum sending rate exceeded", "--phase", "end"
    )
    assert "ses-rate" in told.out
    assert "docs.aws.amazon.com" in told.out
    told = acme.ok("channel", "explain", "550", "5.1.1 unknown", "--phase", "rcpt", "--json").json
    assert ("mailbox", "refuse", True, "nobody-there-by-code") == (
        told["scope"],
        told["meaning"],
        told["bar"],
        told["rule"],
    )
    report = acme.ok(
        "channel", "explain", "5.1.1", "smtp; 550 5.7.1 blacklisted", "--protocol", "dsn", "--json"
    )
    assert not report.json["bar"]
    api = acme.ok(
        "channel",
        "explain",
        "400",
        "opted out",
        "--protocol",
        "http",
        "--api",
        "twilio",
        "--error",
        "21610",
        "--json",
    )
    assert "twilio-opted-out" == api.json["rule"]


def test_what_is_no_code_or_no_phase_is_a_usage_error(acme: Muster) -> None:
    assert 2 == acme("channel", "explain", "45", "x").code
    told = acme("channel", "explain", "450", "x", "--phase", "rcpp")
    assert 2 == told.code
    assert "rcpt" in told.err


def test_an_operators_rules_are_read(acme: Muster, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[[rule]]\nname = "ours"\nsource = "manual"\ntext = "relay2"\nscope = "channel"\nmeaning = "slow"\n'
    )
    acme.set(answer_rules=path)
    assert "ours" == acme.ok("channel", "explain", "450", "relay2 is full", "--json").json["rule"]
    path.write_text('[[rule]]\nname = "worse"\n')
    acme.set(answer_rules=path.rename(tmp_path / "broken.toml"))
    told = acme("channel", "explain", "450", "x")
    assert 2 == told.code
    assert "broken.toml" in told.err
    assert "worse" in told.err
