"""The `muster` command: its groups, its global options, and what happens to errors.

Command modules import what is heavy inside their functions, so that `muster --help` answers at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from actors.cli import (
    audit,
    campaign,
    channel,
    completion,
    db,
    demo,
    dev,
    doctor,
    entity,
    importing,
    intake,
    keys,
    mcp,
    org,
    person,
    plan,
    processes,
    recipients,
    retrigger,
    suppression,
    target,
    template,
    top,
    topic,
    watch,
    webhook,
)
from actors.cli.failure import Exit, explain

if TYPE_CHECKING:
    from actors.cli.failure import Failure

__all__ = ["Options", "app", "run"]

EPILOG = (
    "Exit codes: 0 done · 1 understood, and refused or failed · 2 not understood (usage, configuration, "
    "form of an input) · 3 a service cannot be reached or the database lacks migrations"
)


@dataclass(frozen=True)
class Options:
    """What stands before the command."""

    org: str | None


class _Group(TyperGroup):
    """Turns the errors that people, networks and databases cause into one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(error, typer.Exit | typer.Abort | BrokenPipeError) or hasattr(error, "exit_code"):
                raise
            failure = explain(error)
            if failure is None:
                raise
            _show(failure)
            raise typer.Exit(failure.code) from None


def _show(failure: Failure) -> None:
    typer.secho(f"muster: {failure.message}", fg="red", err=True)
    if failure.remedy:
        typer.echo(f"  → {failure.remedy}", err=True)


app = typer.Typer(
    name="muster",
    cls=_Group,
    help="Campaign delivery: one recorded, recoverable outcome for every recipient.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from config.version import version

        typer.echo(f"muster {version()}")
        raise typer.Exit(Exit.OK)


@app.callback()
def options(
    context: typer.Context,
    org: Annotated[
        str | None,
        typer.Option(
            "--org",
            metavar="NAME",
            envvar="MUSTER_ORG",
            help="The organization to work in. Default: the only one there is, or `dev`.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep the global options for the commands."""
    del version
    context.obj = Options(org=org)


START, WORK, SET_UP = "Start", "Campaigns", "Set-up"
app.command(rich_help_panel=START)(demo.demo)
app.command(rich_help_panel=START)(dev.dev)
app.command(rich_help_panel=START)(processes.api)
app.command(rich_help_panel=START)(processes.worker)
app.command(rich_help_panel=START)(processes.scheduler)
app.command(rich_help_panel=START)(intake.intake)
app.command("import", rich_help_panel=WORK)(importing.import_)
app.add_typer(campaign.app, name="campaign", rich_help_panel=WORK)
app.command(rich_help_panel=WORK)(plan.plan)
app.command(rich_help_panel=WORK)(watch.watch)
app.command(rich_help_panel=WORK)(top.top)
app.command(rich_help_panel=WORK)(mcp.mcp)
app.command(rich_help_panel=WORK)(retrigger.retrigger)
app.command(rich_help_panel=WORK)(recipients.recipients)
app.command(rich_help_panel=WORK)(recipients.why)
app.add_typer(template.app, name="template", rich_help_panel=WORK)
app.add_typer(target.app, name="target", rich_help_panel=WORK)
app.add_typer(topic.app, name="topic", rich_help_panel=WORK)
app.add_typer(entity.app, name="entity", rich_help_panel=WORK)
app.add_typer(person.app, name="person", rich_help_panel=WORK)
app.add_typer(suppression.app, name="suppression", rich_help_panel=WORK)
app.add_typer(channel.app, name="channel", rich_help_panel=SET_UP)
app.add_typer(db.app, name="db", rich_help_panel=SET_UP)
app.add_typer(org.app, name="org", rich_help_panel=SET_UP)
app.add_typer(keys.app, name="keys", rich_help_panel=SET_UP)
app.command(rich_help_panel=SET_UP)(audit.audit)
app.add_typer(webhook.app, name="webhook", rich_help_panel=SET_UP)
app.command(rich_help_panel=SET_UP)(doctor.doctor)
app.command(rich_help_panel=SET_UP)(completion.completion)


def run() -> None:
    """Run the command line and leave with its exit code."""
    if completion.VARIABLE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    app(prog_name="muster")
