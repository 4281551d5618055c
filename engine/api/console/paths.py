"""Where the console lives. `/` leads there; everything else below `/` belongs to the API."""

from uuid import UUID

from engine.kernel.inputs import Invalid

__all__ = ["ROOT", "SIGN_IN", "is_own_path", "read_id"]

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"


def is_own_path(path: str) -> bool:
    """Whether a path that a form brought back is one of the console's, and not another host's."""
    inside = path == ROOT or path.startswith(f"{ROOT}/")
    return inside and "\\" not in path and path.isprintable()


def read_id(field: str, text: str) -> UUID:
    """The id that a field holds.

    Raises:
        Invalid: it is none.
    """
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(field, f"{text[:40]!r} is no id") from None
