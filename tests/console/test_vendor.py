"""Vendored files are the published ones, with their version and licence."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

_ROW = re.compile(r"\| `([^`]+)` \| [^|]+ \| ([^|]+) \| [^|]*`(LICENSE[^`]+)`[^|]*\| ([0-9a-f]{64}) \|")


def test_every_vendored_file_is_in_the_table_and_is_what_it_says() -> None:
    folder = files("engine.api.console") / "vendor"
    rows = _ROW.findall((folder / "README.md").read_text())
    for name, version, licence, digest in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
        assert version in name
        assert (folder / licence).is_file()
    present = {file.name for file in folder.iterdir() if file.name.endswith((".js", ".css"))}
    assert present == {name for name, *_ in rows}
