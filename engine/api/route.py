"""The way of a request through a route: who asks, may they, is the body fit, has it been done already.

A dialect subclasses `Route` with the answers it gives to errors; everything else is the same for all of them.
An exception never leaves a route: what is not known is a bug, answered 500 and logged with its stack.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi.routing import APIRoute
from structlog.contextvars import get_contextvars

from engine.api.bodies import USUAL_BODY, USUAL_VALUES, BodyStream, check_values, read_body, with_body
from engine.api.call import Call
from engine.api.errors import Forbidden
from engine.api.identity import BEARER, identify
from engine.api.once import once
from engine.api.secrets import secrets_of
from engine.kernel.inputs import Invalid, unstorable
from engine.kernel.principal import Principal, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from fastapi import Request
    from starlette.responses import Response

    from engine.api.shares import Shares
    from engine.kernel.runtime import Runtime

__all__ = ["Route"]

_READS = frozenset(("GET", "HEAD"))


class Route(APIRoute, ABC):
    """A route that needs a credential."""

    role: ClassVar[Role] = Role.OPERATOR
    """What a mutating request needs; reading needs a viewer."""
    streams: ClassVar[bool] = False
    """Whether the endpoint reads the body itself, while it arrives."""
    longest: ClassVar[int] = USUAL_BODY
    """Bytes of a body."""
    most_values: ClassVar[int | None] = USUAL_VALUES
    """JSON values of a body; None: it is not JSON."""
    credentials: ClassVar[Sequence[str]] = (BEARER,)
    """Headers that may hold the credential; the first that is there decides."""

    @property
    def changes(self) -> bool:
        """Whether a request that does not read changes anything; what a viewer may post is a question."""
        return self.role > Role.VIEWER

    @abstractmethod
    def answer(self, error: Exception) -> Response:
        """The dialect's answer to `error`."""

    async def identify(self, request: Request) -> Principal:
        """Who asks.

        Raises:
            Unauthorized: there is no credential, or it opens nothing.
        """
        return await identify(request, self.credentials)

    def admit(self, request: Request, principal: Principal) -> None:
        """Refuse what the dialect refuses of somebody whose credential is known; nothing, here."""

    def take_body(self, request: Request, body: bytes) -> None:
        """Look at a body that was read whole, before the endpoint does; nothing, here."""

    def needs(self, method: str) -> Role:
        """The least role for `method`."""
        return Role.VIEWER if method in _READS else self.role

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, inside ours."""
        endpoint = super().get_route_handler()
        in_thread = not iscoroutinefunction(self.endpoint)

        async def inner(request: Request) -> Response:
            """The endpoint; one that works in a thread when it is its organization's turn."""
            if not in_thread:
                return await endpoint(request)
            shares: Shares = request.app.state.shares
            async with shares.turns.turn(request.state.call.org_id):
                return await endpoint(request)

        async def handle(request: Request) -> Response:
            try:
                return await self._serve(request, inner)
            except Exception as error:  # noqa: BLE001 - every one is answered
                return self.answer(error)

        return handle

    async def _serve(
        self, request: Request, inner: Callable[[Request], Coroutine[Any, Any, Response]]
    ) -> Response:
        runtime: Runtime = request.app.state.runtime
        principal = await self.identify(request)
        self.admit(request, principal)
        if principal.role < self.needs(request.method):
            raise Forbidden(
                f"this key is {_article(principal.role)}; this needs {_article(self.needs(request.method))}"
            )
        _check_parameters(request)
        shares: Shares = request.app.state.shares
        call = request.state.call = Call(
            runtime,
            principal,
            operation=_operation(request),
            request_id=get_contextvars().get("request_id"),
            turns=shares.turns,
        )
        if request.method in _READS:
            return await inner(request)
        stream = request.state.body = BodyStream(request) if self.streams else None
        body = b""
        if stream is None:
            body = await read_body(request, limit=self.longest)
            if self.most_values is not None:
                check_values(body, self.most_values)
            self.take_body(request, body)
            request = with_body(request, body)
        key = request.headers.get("idempotency-key")
        if key is None or not self.changes:
            return await inner(request)

        async def work() -> Response:
            try:
                return await inner(request)
            except Exception as error:  # noqa: BLE001 - every one is answered
                return self.answer(error)

        scope = request.scope
        parts = (request.method.encode(), scope["path"].encode(), scope["query_string"], body)
        return await once(call, key, parts, stream, work, secrets=secrets_of(request))


def _operation(request: Request) -> str:
    """The id of the operation that was asked for."""
    route: APIRoute = request.scope["route"]
    return route.operation_id or route.name


def _check_parameters(request: Request) -> None:
    """Refuse what no database can compare with."""
    for source in (request.path_params, dict(request.query_params.multi_items())):
        trouble = unstorable(source)
        if trouble is not None:
            raise Invalid(*trouble)


def _article(role: Role) -> str:
    return f"a{'n' if role.word[0] in 'ao' else ''} {role.word}"
