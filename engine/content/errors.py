"""What can be wrong with a template: when it is written, and when it meets a recipient."""

from __future__ import annotations

from config.errors import MusterError

__all__ = ["RenderError", "TemplateError", "unforeseen"]


class TemplateError(MusterError, ValueError):
    """The template cannot be used. `field` is the part (`subject`, `html`, `text`, `sender.email` …)."""

    def __init__(self, field: str, line: int, message: str) -> None:
        super().__init__(f"{field}, line {line}: {message}")
        self.field = field
        self.line = line
        """Counted from 1."""
        self.message = message


class RenderError(MusterError, ValueError):
    """The template fails for this recipient: a limit was reached, or a filter got what it cannot use."""

    def __init__(self, field: str, line: int | None, message: str) -> None:
        super().__init__(f"{field}: {message}" if line is None else f"{field}, line {line}: {message}")
        self.field = field
        self.line = line
        """Counted from 1; absent when the failure has no place."""
        self.message = message


def unforeseen(error: Exception) -> str:
    """What is said of an error of Python's own."""
    if isinstance(error, UnicodeError):
        return "holds half of a surrogate pair"
    if isinstance(error, RecursionError):
        return "nests too deeply"
    return str(error) if type(error) is ValueError else "a value cannot be used where it stands"
