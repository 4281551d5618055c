"""`muster channel`: configured senders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli import channel_changes
from actors.cli.credentials import read_credentials
from actors.cli.explain import explain
from actors.cli.failure import Failure
from actors.cli.fields import assignment
from actors.cli.output import Json, Limit, Next, emit, emit_page, note_next, table

if TYPE_CHECKING:
    from state.tables import Channel

__all__ = ["app"]

app = typer.Typer(help="Configured senders: their kind, settings and credentials.", no_args_is_help=True)
app.command()(explain)
app.command()(channel_changes.update)
app.command()(channel_changes.delete)
app.command()(channel_changes.limits)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    kind: Annotated[str, typer.Option(help="What it sends through; `muster channel kinds` lists them.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the kind; repeatable."),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            help='A JSON file like {"username": "…", "password": "…"}; - reads standard input.',
            allow_dash=True,
        ),
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Use it where a flow names no channel.")] = False,
    as_json: Json = False,
) -> None:
    """Create a channel. Credentials come from a file, never from the command line, and are kept encrypted."""
    from actors.cli.context import opened
    from engine.campaigns.channels import ChannelInput, create_channel
    from engine.kernel.inputs import read
    from engine.kernel.secrets import Secrets

    given = read(
        ChannelInput,
        {
            "name": name,
            "kind": kind,
            "settings": dict(
                assignment(text, what="setting", example="host=mail.example.com") for text in set_ or ()
            ),
            "credentials": None if credentials is None else read_credentials(credentials),
            "is_default": default,
        },
    )
    with opened(context) as muster, muster.transaction() as session:
        made = _plain(create_channel(session, muster.org_id, given, Secrets.of(muster.settings)))
    if as_json:
        emit(made)
    else:
        typer.echo(
            f"created channel {made['name']} ({made['id']}); `muster channel test {made['name']}` asks it"
        )


@app.command()
def kinds(
    kind: Annotated[str | None, typer.Argument(help="Show what this kind takes.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the kinds of channels, or the settings and credentials of one."""
    from actors.cli.choices import one_of
    from engine.channels import registry
    from engine.channels.options import options

    if kind is None:
        known = [{"kind": name, "in_doubt": registry.doubt_policy(name)} for name in registry.kinds()]
        if as_json:
            emit(known)
        else:
            table(("Kind", "In doubt"), [(one["kind"], one["in_doubt"]) for one in known])
        return
    found = options(one_of("the kind", kind, registry.kinds()))
    if as_json:
        emit([option._asdict() for option in found])
        return
    table(
        ("Part", "Name", "Type", "Default", "Meaning"),
        [
            (
                option.part,
                option.name,
                option.type,
                "required" if option.required else option.default,
                option.text,
            )
            for option in found
        ],
        title=kind,
    )


@app.command("list")
def list_(context: typer.Context, *, limit: Limit = 25, next_: Next = None, as_json: Json = False) -> None:
    """List the channels, newest first, and which of them wait for their provider."""
    from actors.cli.context import opened
    from engine.campaigns.channels import list_channels

    with opened(context) as muster, muster.read() as session:
        page = list_channels(session, muster.org_id, limit=limit, next=next_)
        found = [_plain(row) for row in page.results]
    if as_json:
        emit_page(found, page.next)
        return
    table(
        ("Name", "Kind", "Default", "In doubt", "Attempts#", "Limit", "Waits until", "Why", "Id"),
        [
            (
                one["name"],
                one["kind"],
                "yes" if one["is_default"] else "",
                one["doubt_policy"],
                one["max_attempts"],
                _rates(one["limits"]),
                one["blocked_until"],
                one["blocked_reason"],
                one["id"],
            )
            for one in found
        ],
    )
    note_next(page.next)


@app.command("test")
def ask_provider(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(help="Its id or name.")],
    *,
    records: Annotated[
        bool, typer.Option("--records", help="Of mail: check what its sender's domain publishes, too.")
    ] = False,
    dns_server: Annotated[
        list[str] | None, typer.Option(help="With --records: whom to ask, ADDRESS or ADDRESS:PORT.")
    ] = None,
) -> None:
    """Ask the provider whether it answers and takes the credentials. Sends nothing to anybody."""
    import asyncio

    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.campaigns.channels import build_channel
    from engine.channels.asking import ask
    from engine.channels.port import ChannelContext
    from engine.kernel.secrets import Secrets
    from state.tables import Channel

    with opened(context) as muster, muster.read() as session:
        row = find_named(session, Channel, muster.org_id, channel)
        lent = ChannelContext.of(muster.settings, muster.runtime.database)
        sender = build_channel(session, muster.org_id, row.id, Secrets.of(muster.settings), lent)
        name = row.name
    trouble = asyncio.run(ask(sender))
    if records:
        from actors.cli.doctor import report
        from actors.cli.domain_checks import run_channel_checks

        report(list(run_channel_checks(sender, trouble, dns_server or [])), as_json=False)
        return
    if trouble is not None:
        raise Failure(f"channel {name!r} does not work: {trouble}")
    typer.echo(f"{name}: works")


def _rates(limits: dict[str, Any] | None) -> str:
    """In words, as far as they fit into a table."""
    from engine.limits.config import ChannelLimits

    known = ChannelLimits.model_validate(limits or {})
    words = [] if known.rate is None else [str(known.rate)]
    if known.domain_rate is not None:
        words.append(f"{known.domain_rate} a domain")
    if known.domains:
        words.append(f"{len(known.domains)} domains")
    return ", ".join(words)


def _plain(row: Channel) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "kind": row.kind,
        "settings": row.settings,
        "is_default": row.is_default,
        "doubt_policy": row.doubt_policy,
        "max_attempts": row.max_attempts,
        "retry_base_seconds": row.retry_base_seconds,
        "retry_span_seconds": row.retry_span_seconds,
        "fallback_channel_id": str(row.fallback_channel_id) if row.fallback_channel_id else None,
        "limits": row.limits,
        "blocked_until": row.blocked_until.isoformat() if row.blocked_until else None,
        "blocked_reason": row.blocked_reason,
    }
