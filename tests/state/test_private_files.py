"""Files and folders that hold secrets, or what is known of people."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from config.private_files import make_private_folder, open_private
from state.database import Database
from state.tables import Base

if TYPE_CHECKING:
    from pathlib import Path


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_that_are_made_are_their_owners_and_others_stay(tmp_path):
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    assert [0o755, 0o700, 0o700] == [_mode(one) for one in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")]


def test_a_file_is_its_owners_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        os.close(open_private(tmp_path / "file", os.O_WRONLY))
    finally:
        os.umask(before)
    assert 0o600 == _mode(tmp_path / "file")


def test_a_sqlite_database_and_its_log_are_their_owners(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/data/muster.db")
    Base.metadata.create_all(database.engine)
    with database.read():
        modes = {path.name: _mode(path) for path in (tmp_path / "data").iterdir()}
    database.close()
    assert {"muster.db", "muster.db-wal"} <= set(modes)
    assert {0o600} == set(modes.values())
    assert 0o700 == _mode(tmp_path / "data")
