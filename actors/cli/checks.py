"""What `muster doctor` looks at, one check a thing. A check never raises: what it meets is what it found."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from typing import TYPE_CHECKING

from actors.cli.context import load_settings, quiet_logs
from actors.cli.failure import Failure, explain
from engine.channels.asking import ask
from engine.insight.checks import Check, checks_of_installation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.settings import Settings
    from state.database import Database

__all__ = ["run_checks"]


def run_checks(org: str | None = None) -> Iterator[Check]:
    """Every check, in the order in which one rests on another.

    Args:
        org: The organization whose channels are asked; None: all of them.
    """
    yield _python()
    try:
        settings = load_settings()
    except Failure as failure:
        yield Check("settings", ok=False, found=failure.message, remedy=failure.remedy)
        return
    from config.settings import Settings
    from config.unknown import unknown_variables

    quiet_logs(settings)
    given = sorted(f"MUSTER_{name.upper()}" for name in Settings().model_fields_set)
    yield Check("settings", ok=True, found=", ".join(given) or "all at their defaults")
    if unknown := unknown_variables(os.environ):
        yield Check(
            "unknown settings",
            ok=None,
            found=", ".join(unknown),
            remedy="; ".join(f"{name} may be meant as {meant}" for name, meant in unknown.items() if meant)
            or "README.md lists every variable",
        )
    yield _data_dir(settings)
    yield from _plugins()
    yield from _database(settings, org)
    yield _broker(settings)


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 - started by hand with another one
        return Check("python", ok=False, found=version, remedy="install Python 3.11 or newer")
    return Check("python", ok=True, found=version)


def _plugins() -> Iterator[Check]:
    """Channel kinds that other distributions bring."""
    from engine.channels.registry import plugins

    for one in plugins():
        yield Check(
            f"plug-in {one.kind}",
            ok=one.problem is None,
            found=one.problem or f"of {one.distribution}",
            remedy=None if one.problem is None else f"mend or uninstall {one.distribution}",
        )


def _data_dir(settings: Settings) -> Check:
    folder = settings.data_dir
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Check(
            "data folder",
            ok=False,
            found=f"{folder} cannot be written to",
            remedy="give it to this user, or set MUSTER_DATA_DIR to a folder that can",
        )
    return Check(
        "data folder", ok=True, found=str(folder) + ("" if folder.exists() else " (made when needed)")
    )


def _database(settings: Settings, org: str | None) -> Iterator[Check]:
    from sqlalchemy import make_url

    from state.database import Database

    shown = make_url(settings.database_url).render_as_string(hide_password=True)
    file = settings.sqlite_file
    if file is not None and not file.exists():
        yield Check("database", ok=False, found=f"there is no {file}", remedy="run `muster db upgrade`")
        return
    database = Database(settings.database_url, pool_size=2)
    try:
        yield Check("database", ok=True, found=f"{shown}, {database.product()}")
        migrations = _migrations(database)
        yield migrations
        if migrations.ok:
            with database.read() as session:
                yield from checks_of_installation(session, database, settings)
            yield from _channels(settings, database, org)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
        yield _wrong("database", error, shown)
    finally:
        database.close()


def _migrations(database: Database) -> Check:
    from state import revisions

    try:
        missing = revisions.pending(database)
    except Exception as error:  # noqa: BLE001 - as above
        return _wrong("migrations", error)
    if missing:
        return Check(
            "migrations", ok=False, found=f"missing: {', '.join(missing)}", remedy="run `muster db upgrade`"
        )
    return Check("migrations", ok=True, found="up to date")


def _channels(settings: Settings, database: Database, wanted: str | None) -> Iterator[Check]:
    from engine.campaigns.channels import build_channel
    from engine.channels.port import ChannelContext
    from engine.insight.installed_channels import installed_channels
    from engine.kernel.secrets import Secrets
    from engine.kernel.suggestions import did_you_mean
    from engine.organizations import list_organizations

    with database.read() as session:
        names = [one.name for one in list_organizations(session)]
        if wanted is not None and wanted not in names:
            yield Check(
                "organization",
                ok=False,
                found=f"there is no organization {wanted!r}{did_you_mean(wanted, names)}",
                remedy=f"there are: {', '.join(names)}" if names else f"run `muster org create {wanted}`",
            )
            return
        for org, org_id, channel_id, channel, kind in installed_channels(session):
            if wanted not in (None, org):
                continue
            name = f"channel {org}/{channel}"
            try:
                sender = build_channel(
                    session,
                    org_id,
                    channel_id,
                    Secrets.of(settings),
                    ChannelContext.of(settings, database),
                )
                trouble = asyncio.run(ask(sender))
            except Exception as error:  # noqa: BLE001 - as above
                yield _wrong(name, error)
                continue
            remedy = None if trouble is None else "mend its settings, its credentials or its provider"
            yield Check(name, ok=trouble is None, found=trouble or kind, remedy=remedy)


def _broker(settings: Settings) -> Check:
    from engine.api.brokers import queue_depths

    if settings.is_embedded:
        return Check("broker", ok=True, found="inside the process (embedded)")
    try:
        depths = queue_depths(settings.broker)
    except Exception as error:  # noqa: BLE001 - as above
        return _wrong("broker", error)
    waiting = ", ".join(f"{count} {queue}" for queue, count in depths.items() if count)
    kind = "RabbitMQ" if settings.broker.startswith("amqp") else "Redis"
    return Check("broker", ok=True, found=f"{kind}, {waiting or 'nothing'} waiting")


def _wrong(name: str, error: Exception, where: str | None = None) -> Check:
    failure = explain(error)
    found = failure.message if failure is not None else f"{type(error).__name__}: {error}"
    return Check(
        name,
        ok=False,
        found=found if where is None else f"{where}: {found}",
        remedy=failure.remedy if failure is not None else None,
    )
