"""Whatever a provider does, a channel's secret is in no row, no log and no output: every kind, in every failure.

Each campaign here is delivered by a real worker over real rows to a server that speaks the channel's protocol, repeats
the secret in its refusals, and fails in every way that it can.
"""

from __future__ import annotations

import base64
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from sqlalchemy import select

from engine.channels import registry
from muster_testing.channels import SECRET, run
from state.tables import Base, Channel, Recipient
from tests.channels.house import House
from tests.channels.http_rig import SILENCE
from tests.channels.mail_api_rigs import RIGS as MAIL_API_KINDS
from tests.channels.mail_api_rigs import MailApiRig
from tests.channels.smtp_rig import SmtpRig
from tests.channels.test_apprise import AppriseRig
from tests.channels.test_http import HttpRig
from tests.channels.test_sms import GatewayRig, TwilioRig
from tests.channels.test_telegram import TelegramRig
from tests.channels.test_whatsapp import WhatsAppRig

if TYPE_CHECKING:
    from state.database import Database

#: What else a secret may look like on its way.
GUISES = (SECRET, base64.b64encode(SECRET.encode()).decode(), SECRET.replace("-", "%2D"))
SCENARIOS = (
    "transient",
    "throttled",
    "account",
    "reset",
    "accepted_in_silence",
    "down",
    "healthy",
    "permanent",  # last: an address that is gone is not written to again
)
RIGS: dict[str, Any] = {
    "http": ("http", HttpRig),
    "telegram": ("telegram", TelegramRig),
    "whatsapp": ("whatsapp", WhatsAppRig),
    "twilio": ("twilio", TwilioRig),
    "gateway": ("gateway", GatewayRig),
    "apprise": ("ntfy", AppriseRig),
    **{kind: (kind, partial(MailApiRig, kind=kind)) for kind in MAIL_API_KINDS},
}


def everything_in(database: Database) -> str:
    """Every row of every table, as text."""
    with database.read() as session:
        return "\n".join(
            repr(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in session.execute(select(table))
        )


@pytest.fixture
def told(caplog, capfd):
    """Everything that is logged or printed."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        yield lambda: f"{logged}{caplog.text}{capfd.readouterr()}"


def deliver_in_every_scenario(database, org_id, rig, folder, scenarios):
    house = House(database, org_id, rig, folder)
    try:
        for scenario in scenarios:
            house.deliver(scenario)
            database.clock.forward(days=2)
    finally:
        house.close()
    with database.read() as session:
        codes = set(session.scalars(select(Recipient.error_code)))
        statuses = set(session.scalars(select(Recipient.automation_status)))
        reasons = set(session.scalars(select(Channel.blocked_reason)))
    return codes, statuses, reasons


@pytest.mark.parametrize("name", sorted(RIGS))
def test_no_row_and_no_log_holds_the_secret(name, provider, database, org_id, tmp_path, told):
    dialect, kind = RIGS[name]
    rig = kind(provider(dialect))
    rig.settings["timeout"] = SILENCE
    if name == "apprise":
        rig.settings["address"] = "telegram_chat_id"  # a topic of ntfy's is no e-mail address
    codes, statuses, _ = deliver_in_every_scenario(database, org_id, rig, tmp_path, SCENARIOS)
    assert {"success", "failed", "pending"} <= statuses, "every kind of outcome was met"
    assert "OUTCOME_UNKNOWN" in codes
    found = everything_in(database) + told()
    assert "***" in found, "what the provider repeated was taken out"
    assert [guise for guise in GUISES if guise in found] == []


def test_no_row_and_no_log_holds_a_mail_servers_password(database, org_id, tmp_path, told):
    login = {"username": "shop", "password": SECRET}
    silent = {"command_timeout": SILENCE, "data_timeout": SILENCE}
    rig = SmtpRig(settings=silent, credentials=login, users={"shop": SECRET})
    try:
        scenarios = [one for one in SCENARIOS if one != "account"]
        _, statuses, _ = deliver_in_every_scenario(database, org_id, rig, tmp_path, scenarios)
        rig.arrange("healthy")
        rig.server.rule("auth", f"535 5.7.8 the password {SECRET} is wrong")
        assert SECRET not in str(run(rig.channel().check()))
    finally:
        rig.close()
    assert {"success", "failed", "pending"} <= statuses
    found = everything_in(database) + told()
    assert [guise for guise in GUISES if guise in found] == []


@pytest.mark.parametrize("kind", registry.kinds())
def test_what_a_kind_calls_a_secret_is_kept_as_one(kind):
    """A field whose name says that it is secret never shows its value."""
    for name, field in registry.credentials_model(kind).model_fields.items():
        if any(word in name for word in ("password", "token", "secret", "bearer", "url")):
            assert "SecretStr" in str(field.annotation), f"{kind}.{name}"
