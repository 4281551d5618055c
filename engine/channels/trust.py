"""Which certificates a channel trusts instead of the system's: its own, as PEM text, or some that the operator keeps.

A tenant names no path of this machine: PEM text is a credential like others, and a name is looked up in one folder
(`MUSTER_CHANNEL_CERTIFICATES`), where only regular files of a bounded size are read. Whatever is wrong with them is the
channel's trouble, and its text says nothing of what else is there.
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from config.errors import MusterError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CertificateName", "Trust", "TrustCredentials", "TrustError"]

#: Bytes of certificates; the system's own hundred and forty are 220,000.
_LONGEST = 1 << 19
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class TrustError(MusterError, ValueError):
    """The certificates cannot be used; says which option is at fault."""


CertificateName = Annotated[str, Field(pattern=_NAME)]
"""The name of a file in the operator's folder, never a path."""


class TrustCredentials(BaseModel):
    """Credentials of a channel that connects by TLS."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    ca_certificates: Annotated[SecretStr, Field(max_length=_LONGEST)] | None = None
    """Certificates to trust instead of the system's, as PEM text."""

    @field_validator("ca_certificates")
    @classmethod
    def _usable(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None:
            _context(given.get_secret_value())
        return given


@dataclass(frozen=True, slots=True)
class Trust:
    """What one channel trusts.

    Args:
        pem: Its own certificates.
        name: Of a file in `folder`, when there is no `pem`.
        folder: The operator's; None: there is none.
    """

    pem: SecretStr | None = None
    name: str | None = None
    folder: Path | None = None

    @property
    def names_some(self) -> bool:
        """Whether others are trusted than the system's."""
        return self.pem is not None or self.name is not None

    def context(self) -> ssl.SSLContext:
        """A client's TLS context. Reads a file; call it in a thread.

        Raises:
            TrustError: the certificates cannot be used.
        """
        if self.pem is not None:
            return _context(self.pem.get_secret_value())
        if self.name is None:
            return ssl.create_default_context()
        if self.folder is None:
            raise TrustError(
                "ca_file: no certificates are kept here (MUSTER_CHANNEL_CERTIFICATES); use ca_certificates"
            )
        try:
            return _context(_read(self.folder / self.name))
        except (OSError, ValueError):
            raise TrustError(
                f"ca_file: {self.name!r} is none of the certificates that are kept here"
            ) from None


def _context(pem: str) -> ssl.SSLContext:
    """Raises ValueError: `pem` is no certificates."""
    if len(pem) > _LONGEST or not pem.isascii():
        raise ValueError(f"is not PEM of at most {_LONGEST} ASCII characters")
    try:
        # Of no text at all `create_default_context` makes the system's.
        return ssl.create_default_context(cadata=pem or " ")
    except (ssl.SSLError, ValueError):
        raise ValueError("is not the PEM text of certificates") from None


def _read(path: Path) -> str:
    """The text of a regular file. Never waits: opening a pipe would.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no regular file, or too long.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("is not a regular file")
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError("is too long")
    return content.decode("ascii")
