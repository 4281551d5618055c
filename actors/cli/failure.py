"""One message that says what to do, instead of a traceback.

`explain` knows every error that a user, an operator or the network can cause. What it does not know is a
fault of Muster's own and keeps its traceback.
"""

from __future__ import annotations

from enum import IntEnum

from config.errors import MusterError

__all__ = ["Exit", "Failure", "explain"]

#: SQLite calls a statement that does not fit the tables operational as well; that is nobody's outage.
_FAULTS = ("no such ", "near ", "table ")


class Exit(IntEnum):
    """What the exit codes mean; the same list stands in README.md."""

    OK = 0
    FAILED = 1
    """Understood, and refused or failed."""
    USAGE = 2
    """Not understood: the command line, the configuration, or the form of what was given."""
    UNREACHABLE = 3
    """The database or the broker does not answer, or the database lacks migrations."""


class Failure(MusterError):
    """What went wrong and what to do about it."""

    def __init__(self, message: str, remedy: str | None = None, *, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code


def explain(error: BaseException) -> Failure | None:
    """The message for an error; None when it is nobody's fault but ours."""
    if isinstance(error, Failure):
        return error
    return _of_state(error) or _of_services(error) or _of_input(error)


def _of_state(error: BaseException) -> Failure | None:
    from state.errors import SchemaOutdated, StateError

    if isinstance(error, SchemaOutdated):
        return Failure(str(error), code=Exit.UNREACHABLE)
    if isinstance(error, StateError):
        return Failure(str(error))
    return None


def _of_services(error: BaseException) -> Failure | None:
    from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    from actors.monitoring import PortTaken
    from actors.reporting import SentryUnavailable
    from engine.api.brokers import BrokerAway
    from engine.kernel.tracing import TracingUnavailable

    if isinstance(error, ArgumentError):
        return Failure(f"MUSTER_DATABASE_URL cannot be read: {error}", code=Exit.USAGE)
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        reason = error.orig if isinstance(error, DBAPIError) else error
        if str(reason).startswith(_FAULTS):
            return None
        return Failure(
            f"the database does not answer: {_first_line(reason)}",
            "start it, or set MUSTER_DATABASE_URL to where it is; `muster doctor` checks everything",
            code=Exit.UNREACHABLE,
        )
    if isinstance(error, BrokerAway):
        return Failure(
            _first_line(error),
            "start it, or set MUSTER_REDIS_URL or MUSTER_BROKER_URL to where it is",
            code=Exit.UNREACHABLE,
        )
    if isinstance(error, TracingUnavailable | SentryUnavailable):
        return Failure(str(error), code=Exit.USAGE)
    if isinstance(error, PortTaken):
        return Failure(str(error), "choose another with --metrics-port or MUSTER_METRICS_PORT")
    return None


def _of_input(error: BaseException) -> Failure | None:
    from engine.answers.rules import InvalidRules
    from engine.audience.importing import ImportInterrupted
    from engine.content.errors import TemplateError
    from engine.filters.filters import FilterError
    from engine.kernel.inputs import Invalid
    from engine.kernel.rule_violations import RuleViolation
    from engine.kernel.secrets import SecretsError

    if isinstance(error, ImportInterrupted):
        return Failure(str(error), code=Exit.UNREACHABLE)
    if isinstance(error, InvalidRules):
        return Failure(f"MUSTER_ANSWER_RULES: {error}", code=Exit.USAGE)
    if isinstance(error, RuleViolation):
        return Failure(f"{error.code}: {error}")
    if isinstance(error, Invalid | FilterError | TemplateError | SecretsError):
        return Failure(str(error), code=Exit.USAGE)
    return None


def _first_line(reason: object) -> str:
    return next((line.strip() for line in str(reason).splitlines() if line.strip()), type(reason).__name__)
