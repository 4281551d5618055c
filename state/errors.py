"""What can be wrong with a wish to change what is true."""

from __future__ import annotations

from config.errors import MusterError

__all__ = ["IllegalTransition", "NotFound", "SchemaOutdated", "StateError"]


class StateError(MusterError):
    """Base of the errors that a caller may show to its own caller."""


class NotFound(StateError):
    """There is no such row in this organization."""

    def __init__(self, entity: str, key: object) -> None:
        super().__init__(f"{entity} {key} does not exist")
        self.entity = entity
        self.key = key


class IllegalTransition(StateError):
    """The row is in a state from which the wanted one cannot be reached."""

    def __init__(self, entity: str, key: object, current: str, wanted: str) -> None:
        super().__init__(f"{entity} {key} is {current} and cannot become {wanted}")
        self.entity = entity
        self.key = key
        self.current = current
        self.wanted = wanted


class SchemaOutdated(StateError):
    """The database lacks migrations that this code needs."""
