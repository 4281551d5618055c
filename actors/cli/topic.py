"""`muster topic`: what people may opt out of."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.output import Json, Limit, Next, emit, emit_page, note, note_next, table

__all__ = ["app"]

app = typer.Typer(help="Topics that people may opt out of: create, list, delete.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people read.")],
    *,
    description: Annotated[str | None, typer.Option(help="What it is about; people read it too.")] = None,
    as_json: Json = False,
) -> None:
    """Create a topic. People see it on their preference page from now on."""
    from actors.cli.context import opened
    from engine.engagement.topics import TopicInput, create_topic
    from engine.kernel.inputs import read

    given = read(TopicInput, {"name": name, "description": description})
    with opened(context) as muster, muster.transaction() as session:
        topic_id = str(create_topic(session, muster.org_id, given).id)
    if as_json:
        emit({"id": topic_id, "name": name})
    else:
        typer.echo(f"created topic {name} ({topic_id})")


@app.command("list")
def list_(context: typer.Context, *, limit: Limit = 25, next_: Next = None, as_json: Json = False) -> None:
    """List topics, newest first, and how many addresses opted out of each."""
    from actors.cli.context import opened
    from engine.engagement.topics import count_opt_outs, list_topics

    with opened(context) as muster, muster.read() as session:
        opted_out = count_opt_outs(session, muster.org_id)
        page = list_topics(session, muster.org_id, limit=limit, next=next_)
        rows = [
            {
                "id": str(one.id),
                "name": one.name,
                "description": one.description,
                "opted_out": opted_out.get(one.id, 0),
            }
            for one in page.results
        ]
    if as_json:
        emit_page(rows, page.next)
        return
    table(
        ("Topic", "About", "Opted out", "Id"),
        [(one["name"], one["description"], f"{one['opted_out']:,}", one["id"]) for one in rows],
    )
    if not rows:
        note("there is no topic; `muster topic create NAME` makes one")
    note_next(page.next)


@app.command()
def delete(context: typer.Context, topic: Annotated[str, typer.Argument(help="Its name or id.")]) -> None:
    """Delete a topic that no campaign is about, and who opted out of it."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.engagement.topics import delete_topic
    from state.tables import Topic

    with opened(context) as muster, muster.transaction() as session:
        row = find_named(session, Topic, muster.org_id, topic)
        delete_topic(session, muster.org_id, row.id)
    typer.echo(f"deleted topic {topic}")
