"""One templated HTTP request: compiled once, rendered for each recipient, its answer read as an outcome.

    template = RequestTemplate(settings, credentials)      # once; ValueError names what is wrong
    request = template.render(attributes, names, key=...)  # per recipient; Unrenderable
    answer = await client.exchange(request)                # engine.channels.http.client; Unanswered
    outcome = template.read(answer)

Channels send messages with it, and `action` touchpoints call the URLs that authors wrote. What recipients' data can do:
fill values. It cannot leave its string in JSON or a form, its segment in a path, its parameter in a query or its line
in a header, and never chooses the host.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from engine.channels.http.answers import outcome_of, pick
from engine.channels.http.leaves import BadTemplate, Leaf, Scope, Unrenderable, compile_tree, split_holes
from engine.channels.http.settings import RequestCredentials, check_private
from engine.channels.port import Delivered, Doubtful, Rejected
from engine.channels.scrub import Scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.answers.classify import Classifier
    from engine.channels.http.answers import Answer
    from engine.channels.http.leaves import Node
    from engine.channels.http.settings import RequestSettings
    from engine.channels.port import Outcome

__all__ = ["Request", "RequestTemplate", "Unrenderable"]

#: Bytes of a body. No API for messages takes more.
BODY_LIMIT = 1 << 20
#: What may stand in a URL as it is; everything else of its literal text is percent-encoded.
_LITERAL = "/?&=:@!$'()*+,;%-._~[]"
_CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Request:
    """Ready to be sent. Shows nothing but its method: the rest may hold secrets."""

    method: str
    url: str = field(repr=False)
    """Percent-encoded."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


class RequestTemplate:
    """A request with holes.

    Args:
        settings: What is sent, and what its answer must look like.
        credentials: As whom.
        insecure_login: Credentials may travel where anybody can read them.
        classifier: Says what answers mean; None: by the rules that ship with Muster.

    Raises:
        ValueError: a template does not parse, or credentials would travel unencrypted; begins with the setting.
    """

    def __init__(
        self,
        settings: RequestSettings,
        credentials: RequestCredentials | None = None,
        *,
        insecure_login: bool = False,
        classifier: Classifier | None = None,
    ) -> None:
        given = credentials or RequestCredentials()
        if given.values():
            check_private(settings.url, insecure_login=insecure_login, field="url", what="credentials")
        self._settings = settings
        self._classifier = classifier
        self._secrets = {name: secret.get_secret_value() for name, secret in given.secrets.items()}
        self.scrub = Scrub([*given.values(), *_basic(given)])
        """Takes the secrets out of a text."""
        self.credential_headers = _credential_headers(given)
        """Who we are, for requests beside the template."""
        parts = urlsplit(settings.url)
        self._origin = settings.url[: len(parts.scheme) + len("://") + len(parts.netloc)]
        rest = settings.url[len(self._origin) :] or "/"
        path, mark, query = rest.partition("?")
        self._path = _pieces(path, "url")
        self._query = _pieces(mark + query, "url")
        self._parameters = [(name, Leaf(value, f"query.{name}")) for name, value in settings.query.items()]
        stronger = {name.lower() for name in (*self.credential_headers, settings.idempotency_header or "")}
        self._headers = [
            (name, Leaf(value, f"headers.{name}"))
            for name, value in settings.headers.items()
            if name.lower() not in stronger
        ]
        self._body: Node | None = None if settings.body is None else compile_tree(settings.body, "body")

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return self._origin

    def render(self, attributes: Mapping[str, Any], names: Mapping[str, Any], *, key: str | None) -> Request:
        """The request for one recipient.

        Args:
            attributes: The entity's, reached as in message templates.
            names: Values of the engine's own, such as `message`; no attribute can take their place.
            key: What the receiver recognises a repeat by.

        Raises:
            Unrenderable: it cannot be said to this recipient; others are not concerned.
        """
        settings = self._settings
        scope = Scope(attributes, {**names, "secrets": self._secrets})
        headers = {name: _header(name, leaf.text(scope)) for name, leaf in self._headers}
        headers |= self.credential_headers
        if key is not None and settings.idempotency_header is not None:
            headers[settings.idempotency_header] = key
        body = None
        if self._body is not None:
            body = self._encoded(self._body(scope))
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = _CONTENT_TYPES[settings.encoding]
        return Request(settings.method, self._url(scope), headers, body)

    def read(self, answer: Answer) -> Outcome:
        """What an answer means for the message; see `engine.channels.http.answers`."""
        settings = self._settings
        outcome = outcome_of(answer, classifier=self._classifier, scrub=self.scrub, success=settings.success)
        if not isinstance(outcome, Delivered):
            return outcome
        if settings.expect and not answer.whole:
            return Doubtful("HTTP_RESET", "the connection ended within the answer")
        said = answer.json() if settings.expect or settings.reference else None
        for path, accepted in settings.expect.items():
            found = pick(said, path)
            if found not in accepted:
                mismatch = self.scrub(f"{path} of the answer is {found!r}")[:500]
                return Rejected("HTTP_NOT_ACCEPTED", mismatch)
        reference = pick(said, settings.reference) if settings.reference else None
        return Delivered(None if reference is None else self.scrub(str(reference))[:500])

    def probe(self, check_url: str | None) -> Request:
        """A request that sends nothing to anybody: GET of an address for that, else OPTIONS of the host."""
        if check_url is not None:
            return Request("GET", check_url, self.credential_headers)
        return Request("OPTIONS", self._origin + "/", self.credential_headers)

    def read_probe(self, answer: Answer, check_url: str | None) -> Outcome:
        """What the probe's answer means; to OPTIONS many APIs answer 404 or 405, which tells that they are there."""
        outcome = outcome_of(answer, classifier=self._classifier, scrub=self.scrub)
        return Delivered() if check_url is None and isinstance(outcome, Rejected) else outcome

    def _url(self, scope: Scope) -> str:
        path = "".join(_segment(piece, scope) for piece in self._path)
        if any(segment in (".", "..") for segment in path.split("/")):
            raise Unrenderable("url: a part of the path is nothing but dots")
        query = "".join(
            piece if isinstance(piece, str) else quote(piece.text(scope), safe="") for piece in self._query
        )
        if self._parameters:
            more = urlencode([(name, leaf.text(scope)) for name, leaf in self._parameters])
            query += ("&" if "?" in query else "?") + more
        return self._origin + path + query

    def _encoded(self, value: Any) -> bytes:
        try:
            if self._settings.encoding == "form":
                fields = [(name, _field(item)) for name, item in value.items() if item is not None]
                body = urlencode(fields).encode()
            else:
                body = orjson.dumps(value)
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            raise Unrenderable(f"body: {error}") from None
        if len(body) > BODY_LIMIT:
            raise Unrenderable(f"body: more than {BODY_LIMIT} bytes")
        return body


def _pieces(text: str, where: str) -> list[str | Leaf]:
    """Literal text, encoded, and the holes between."""
    if "{%" in text:
        raise BadTemplate(f"{where}: takes variables only, no tags")
    return [
        Leaf(piece, where) if index % 2 else quote(piece, safe=_LITERAL)
        for index, piece in enumerate(split_holes(text))
    ]


def _segment(piece: str | Leaf, scope: Scope) -> str:
    if isinstance(piece, str):
        return piece
    text = piece.text(scope)
    if not text:
        raise Unrenderable("url: a value of the path is empty")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise Unrenderable("url: holds half of a surrogate pair") from None


def _header(name: str, value: str) -> str:
    if not value.isprintable():
        raise Unrenderable(f"headers.{name}: holds a line break or another character that cannot be printed")
    return value


def _field(value: Any) -> str:
    """A form's field: booleans as browsers and JSON write them."""
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _basic(given: RequestCredentials) -> list[str]:
    if given.username is None or given.password is None:
        return []
    return [f"{given.username}:{given.password.get_secret_value()}"]


def _credential_headers(given: RequestCredentials) -> dict[str, str]:
    headers = {name: secret.get_secret_value() for name, secret in given.headers.items()}
    for name, value in headers.items():
        if not value.isprintable():
            raise ValueError(
                f"credentials.headers: {name} holds a line break or another unprintable character"
            )
    if given.bearer is not None:
        headers["Authorization"] = f"Bearer {given.bearer.get_secret_value()}"
    for pair in _basic(given):
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers
