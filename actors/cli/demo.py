"""`muster demo`: one campaign from a file of contacts to the last message, without any service."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.output import lines, note, table

if TYPE_CHECKING:
    from uuid import UUID

    from actors.cli.watching import Tick
    from config.settings import Settings
    from engine.insight.campaign_summary import Error
    from engine.kernel.runtime import Runtime

__all__ = ["demo"]

#: How the names of its campaigns begin.
_NAME = "Demo "
_OWN = re.compile(r"Demo [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}")
_SUBJECT = "{{ first_name }}, something for {{ city }}"
_TEXT = """Hello {{ first_name }} {{ last_name }},

you have been with us since {{ customer_since }}{% if orders != "0" %}
and ordered {{ orders }} times{% endif %}.
In {{ city }} we begin something new, and {{ company }} may come first.

{% if unsubscribe_url %}No more of these: {{ unsubscribe_url }}{% endif %}
"""
_HTML = """<p>Hello <b>{{ first_name }} {{ last_name }}</b>,</p>
<p>you have been with us since {{ customer_since }}{% if orders != "0" %}
and ordered {{ orders }} times{% endif %}.
In {{ city }} we begin something new, and <i>{{ company }}</i> may come first.</p>
"""


def demo(
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Where everything is kept. [default: MUSTER_DATA_DIR]", file_okay=False),
    ] = None,
    contacts: Annotated[int, typer.Option(help="How many contacts.", min=1, max=1_000_000)] = 10_000,
) -> None:
    """Import example contacts, make a campaign, deliver it to files, and show what became of it.

    Running it again makes another campaign for the same contacts; nobody is imported twice.
    """
    from actors.cli.context import DEV, load_settings, quiet_logs
    from actors.cli.dev import make_folder
    from actors.cli.display import show
    from actors.cli.watching import follow
    from actors.services import Embedded
    from engine.campaigns import lifecycle
    from engine.organizations import ensure_organization
    from state import migrate

    settings = load_settings().embedded(data)
    make_folder(settings.data_dir)
    quiet_logs(settings)
    migrate.upgrade(settings.database_url)
    embedded = Embedded(settings)
    runtime = embedded.runtime
    with runtime.transaction() as session:
        org_id = ensure_organization(session, DEV).id
    _hold_interrupted(runtime, org_id)
    embedded.start()
    campaign_id: UUID | None = None
    last: Tick | None = None
    try:
        _import(runtime, org_id, settings.data_dir / "contacts.csv", contacts)
        campaign_id, name = _campaign(runtime, org_id)
        typer.echo(f"activating {name!r}: everybody with newsletter = yes")
        with runtime.transaction() as session:
            lifecycle.activate(session, org_id, campaign_id, window=settings.window)
        last = show(follow(runtime, org_id, campaign_id, interval=0.25))
        errors = _errors(runtime, org_id, campaign_id)
    finally:
        if last is None and campaign_id is not None:
            _hold(runtime, org_id, campaign_id)
        embedded.stop()
    _summary(last, errors)
    _messages(settings, campaign_id)


def _hold_interrupted(runtime: Runtime, org_id: UUID) -> None:
    """Pause campaigns of demos that were killed: they do not go on by themselves with the next one."""
    from engine.campaigns.finding import campaigns_beginning_with
    from state.transitions import CampaignStatus

    running = (CampaignStatus.ACTIVATING, CampaignStatus.ACTIVE)
    with runtime.database.read() as session:
        campaigns = campaigns_beginning_with(session, org_id, _NAME)
    for campaign in campaigns:
        if campaign.status in running and _OWN.fullmatch(campaign.name):
            _hold(runtime, org_id, campaign.id)


def _hold(runtime: Runtime, org_id: UUID, campaign_id: UUID) -> None:
    """Pause a campaign that was interrupted, and say how it goes on."""
    from contextlib import suppress

    from engine.campaigns import lifecycle
    from engine.campaigns.campaigns import get_campaign
    from engine.kernel.rule_violations import RuleViolation

    with suppress(RuleViolation), runtime.transaction() as session:  # refused: it has ended meanwhile
        lifecycle.pause(session, org_id, campaign_id, by="demo")
        name = get_campaign(session, org_id, campaign_id).name
        note(
            f"{name!r} was interrupted and is paused; it goes on with `muster campaign resume {campaign_id}`"
        )


def _import(runtime: Runtime, org_id: UUID, path: Path, rows: int) -> None:
    from actors.cli.importing import bytes_bar, chunks
    from actors.data.contacts import write_contacts
    from engine.audience.importing import import_entities

    write_contacts(path, rows)
    typer.echo(f"importing {rows:,} example contacts from {path}")
    with path.open("rb") as stream, bytes_bar(path.stat().st_size) as advance:
        done = import_entities(
            runtime.transaction,
            org_id,
            "contact",
            chunks(stream, advance),
            content_type="text/csv",
            external_id="customer_id",
            title="{first_name} {last_name}",
        )
    typer.echo(f"  {done.created:,} created, {done.updated:,} updated, {done.skipped:,} unchanged")


def _campaign(runtime: Runtime, org_id: UUID) -> tuple[UUID, str]:
    """A new campaign over the same target, template and flow as last time."""
    from actors.cli.draft import make
    from engine.campaigns.channels import ensure_file_channel
    from engine.kernel.secrets import Secrets

    name = f"{_NAME}{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
    with runtime.transaction() as session:
        channel = ensure_file_channel(session, org_id, Secrets.of(runtime.settings))
        given: dict[str, Any] = {"name": name}
        reused = _known(session, org_id)
        if reused is not None:
            given |= {"audience": str(reused[0]), "flow": str(reused[1])}
        else:
            given |= {
                "audience": {"schema": "contact", "where": ["newsletter = yes"]},
                "template": {"subject": _SUBJECT, "html": _HTML, "text": _TEXT},
                "channel": str(channel),
            }
        return make(session, org_id, given).id, name


def _known(session: Any, org_id: UUID) -> tuple[UUID, UUID] | None:
    """Target and flow of an earlier demo."""
    from engine.campaigns.finding import campaigns_beginning_with

    for earlier in campaigns_beginning_with(session, org_id, _NAME):
        if earlier.target_ids and earlier.flow_id is not None:
            return earlier.target_ids[0], earlier.flow_id
    return None


def _errors(runtime: Runtime, org_id: UUID, campaign_id: UUID) -> list[Error]:
    from engine.campaigns.campaigns import get_campaign
    from engine.insight.campaign_summary import campaign_summary

    with runtime.database.read() as session:
        return campaign_summary(session, get_campaign(session, org_id, campaign_id)).errors


def _summary(last: Tick, errors: list[Error]) -> None:
    from actors.cli.display import summary, took

    table(("Status", "Recipients#", "Share#"), summary(last), title=f"{last.name}: {last.job_status}")
    if errors:
        table(
            ("Error", "Status", "Recipients#"),
            [(error.code, error.status, error.count) for error in errors],
        )
    seconds = took(last)
    if seconds:
        lines([("time", f"{seconds:.1f} s"), ("rate", f"{last.progress.total / seconds:,.0f} recipients/s")])


def _messages(settings: Settings, campaign_id: UUID) -> None:
    from actors.cli.outbox import first_message, readable

    path = settings.data_dir / "outbox" / f"{campaign_id}.jsonl"
    lines([("messages", f"{path}, one a line; the first:")])
    message = first_message(path)
    if message is not None:
        typer.echo(f"\n{readable(message)}\n")
    note(f"more: muster campaign list, muster recipients, with MUSTER_DATA_DIR={settings.data_dir}")
    page = f"{str(settings.public_url).rstrip('/')}/console/campaigns/{campaign_id}"
    lines([("its page", f"{page} (muster dev --data {settings.data_dir} serves it)")])
