"""The key that credentials of channels and secrets of webhooks are kept under, as one API process has it."""

from __future__ import annotations

from fastapi import Request

from engine.kernel.secrets import Secrets

__all__ = ["secrets_of"]


def secrets_of(request: Request) -> Secrets:
    """The process's, opened when a secret is first written: reading needs no key."""
    state = request.app.state
    if getattr(state, "secrets", None) is None:
        state.secrets = Secrets.of(state.runtime.settings)
    secrets: Secrets = state.secrets
    return secrets
