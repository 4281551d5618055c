"""The base class of the errors that this product defines."""

from __future__ import annotations

__all__ = ["MusterError"]


class MusterError(Exception):
    """Base of every error that is defined here. One that belongs to a kind of Python's (`ValueError`) or of a library's
    has that as its second base.
    """
