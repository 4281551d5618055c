"""Write `muster_client/synchronous` from `muster_client/asynchronous`; `--check` compares them only.

`unasync` takes the `async` and `await` away and replaces names; ruff formats what is left.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

PACKAGE = Path(__file__).with_name("muster_client")
NAMES = {
    "AsyncBaseTransport": "BaseTransport",
    "AsyncClient": "Client",
    "AsyncMuster": "Muster",
    "AsyncSleep": "Sleep",
    "AsyncStream": "Stream",
    "aclose": "close",
    "aiter_lines": "iter_lines",
    "aread": "read",
    "asynchronous": "synchronous",
    "asyncio": "time",
}


def generate(folder: Path) -> dict[str, str]:
    """The generated files by name; they are made in `folder`, which is empty."""
    source, result = folder / "asynchronous", folder / "synchronous"
    shutil.copytree(PACKAGE / source.name, source, ignore=shutil.ignore_patterns("__pycache__"))
    rule = unasync.Rule(f"/{source.name}/", f"/{result.name}/", NAMES)
    unasync.unasync_files([str(file) for file in source.glob("*.py")], [rule])
    ruff = [
        Path(sys.executable).with_name("ruff"),
        "--config",
        PACKAGE.parents[2] / "pyproject.toml",
        "--quiet",
    ]
    subprocess.run(
        [ruff[0], "check", *ruff[1:], "--select", "I,UP028", "--unsafe-fixes", "--fix", result], check=True
    )
    subprocess.run([ruff[0], "format", *ruff[1:], result], check=True)
    return {file.name: file.read_text() for file in sorted(result.glob("*.py"))}


def main() -> int:
    """Write the files, or compare them; the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        generated = generate(Path(folder))
    target = PACKAGE / "synchronous"
    present = {file.name: file.read_text() for file in target.glob("*.py")}
    if present == generated:
        return 0
    if "--check" in sys.argv:
        print(
            "clients/python: synchronous is not what asynchronous generates; run: make client",
            file=sys.stderr,
        )
        return 1
    for name in present.keys() - generated.keys():
        (target / name).unlink()
    for name, text in generated.items():
        (target / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
