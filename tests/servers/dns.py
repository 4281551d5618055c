"""A name server: `python -m tests.servers.dns --port N NAME TYPE VALUE [NAME TYPE VALUE …]`.

It answers over UDP from records that it is given, as an authoritative server does: NXDOMAIN for a name that it does not
know, no answer for another type. A name of which `SERVFAIL` is the value fails. In a test `with DnsServer(records) as
server:` runs one in a thread; `server.asked` is what it was asked.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from threading import Thread
from typing import TYPE_CHECKING, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DnsServer", "Records"]

#: Name → type → values, as zone files write them; TXT without quotation marks.
Records = Mapping[str, Mapping[str, Sequence[str]]]
_TTL = 60
_CHUNK = 255


class DnsServer:
    """Serves records on 127.0.0.1."""

    def __init__(self, records: Records, *, port: int = 0) -> None:
        self.records = {name.lower().rstrip("."): dict(kinds) for name, kinds in records.items()}
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self._thread = Thread(target=self.serve, name="dns-server", daemon=True)

    @property
    def address(self) -> str:
        """As `--dns-server` takes it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
            plug.sendto(b"", ("127.0.0.1", self.port))  # the end
        self._thread.join(5)
        self._socket.close()

    def serve(self) -> None:
        """Answer until an empty packet comes."""
        while True:
            data, who = self._socket.recvfrom(4096)
            if not data:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(data)).to_wire(max_size=65535), who)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        kinds = self.records.get(name)
        if kinds is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif "SERVFAIL" in kinds:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif values := kinds.get(kind):
            texts = [_quoted(value) if kind == "TXT" else value for value in values]
            answer.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", kind, *texts))
        return answer


def _quoted(text: str) -> str:
    """A text in strings of at most 255 bytes."""
    return " ".join(f'"{text[at : at + _CHUNK]}"' for at in range(0, len(text) or 1, _CHUNK))


def main() -> None:
    """The command line."""
    port, *given = sys.argv[2:]
    records: dict[str, dict[str, list[str]]] = {}
    for name, kind, value in zip(given[::3], given[1::3], given[2::3], strict=True):
        records.setdefault(name, {}).setdefault(kind, []).append(value)
    DnsServer(records, port=int(port)).serve()


if __name__ == "__main__":
    main()
