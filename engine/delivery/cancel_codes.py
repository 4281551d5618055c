"""The error codes of recipients that are cancelled by the state of things, and not by their channel's answer."""

from __future__ import annotations

__all__ = ["ENTITY_DELETED", "HOLDOUT", "JOB_CANCELLED", "TARGET_DELETED"]

#: The entity is not there any more.
ENTITY_DELETED = "ENTITY_DELETED"
#: An enrolled target was removed from the campaign; restoring it brings it back.
TARGET_DELETED = "TARGET_DELETED"
#: An A/B test's holdout: left out on purpose, in every run.
HOLDOUT = "HOLDOUT"
#: Its job was stopped before its turn: cancelled, and not excluded.
JOB_CANCELLED = "JOB_CANCELLED"
