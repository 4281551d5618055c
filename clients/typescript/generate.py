"""Write the types of the API's OpenAPI document by openapi-typescript (needs Node's `npx`): `generate.py FOLDER`.

The folder then holds the package as it is published.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engine.api.app import api_document

HERE = Path(__file__).parent
_TOOL = "openapi-typescript@7.13.0"


def main(folder: Path) -> int:
    """Write the files; the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        document = Path(scratch, "openapi.json")
        document.write_bytes(api_document().as_text())
        command = ["npx", "--yes", _TOOL, str(document), "--output", str(folder / "index.d.ts")]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if done.returncode == 0:
        for name in ("package.json", "README.md"):
            shutil.copy(HERE / name, folder)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
