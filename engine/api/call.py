"""One authenticated request: who asks, and the transaction that answers.

An answer to a request with an `Idempotency-Key` is stored in the transaction of the work itself
(engine.kernel.idempotency): a crash leaves both or neither.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from anyio.to_thread import run_sync
from fastapi import Depends, Request

from engine.api.answers import json_answer
from engine.audit import Author, note_request, watched
from engine.kernel import idempotency
from engine.kernel.principal import lend_principal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session
    from starlette.responses import Response

    from engine.api.shares import Turns
    from engine.kernel.idempotency import Reservation
    from engine.kernel.principal import Principal
    from engine.kernel.runtime import Runtime

__all__ = ["Call", "Caller"]

Result = TypeVar("Result")


class Call:
    """What an endpoint needs of its request."""

    def __init__(
        self,
        runtime: Runtime,
        principal: Principal,
        *,
        operation: str,
        request_id: str | None,
        turns: Turns,
    ) -> None:
        self.runtime = runtime
        self.principal = principal
        self._turns = turns
        self.author = Author(
            name=principal.subject,
            role=principal.role.word,
            operation=operation,
            org_id=principal.org_id,
            address=principal.address,
            request_id=request_id,
        )
        """The principal, as the audit log names it."""
        self.reservation: Reservation | None = None
        self.stored = False
        """Whether the answer was committed together with the work."""

    @property
    def org_id(self) -> UUID:
        """The organization that asks; every query is scoped by it."""
        return self.principal.org_id

    async def in_thread(self, work: Callable[..., Result], *given: Any) -> Result:
        """What `work` gives, done in a thread when it is the organization's turn (engine.api.shares). An endpoint that
        is no coroutine has its turn already.

        Raises:
            TooManyRequests: too many of the organization's wait already.
        """
        async with self._turns.turn(self.org_id):
            return await run_sync(work, *given)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with self.runtime.database.read() as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction that writes, in the name of the principal, and records what it changed; wake-ups go out after
        its commit.
        """
        with self.runtime.transaction() as session, watched(session, self.author):
            lend_principal(session, self.principal)
            yield session
        self.stored = bool(session.info.get("answer_stored"))

    def note_request(self, kind: str, action: str, **after: Any) -> None:
        """Record what the request did that `transaction` does not see: an import, an export."""
        note_request(self.runtime.database, self.author, kind, action, **after)

    def answer(
        self,
        session: Session,
        payload: Any,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        kept: Any = None,
    ) -> Response:
        """The response to a mutating request, kept with the work when a key was given.

        Args:
            kept: What is kept, and answered when the request is sent again, where `payload` holds a secret that is
                shown once.

        Raises:
            KeyConflict: the key was taken over; the transaction rolls back.
        """
        response = json_answer(payload, status, headers)
        if self.reservation is not None:
            idempotency.store(
                session,
                self.reservation,
                status=status,
                answer=bytes((response if kept is None else json_answer(kept)).body),
                headers={"content-type": response.headers.get("content-type", "")},
            )
            session.info["answer_stored"] = True
        return response


async def call_of(request: Request) -> Call:
    """The call that the route has put there."""
    call: Call = request.state.call
    return call


Caller = Annotated[Call, Depends(call_of)]
