"""How requests are generated: the same ones in every run, and nothing about time."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

__all__ = ["generated"]


def generated(examples: int) -> settings:
    """Settings of hypothesis for so many requests; nothing is shrunk, kept or timed."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
