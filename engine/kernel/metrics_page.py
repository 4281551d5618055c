"""`make metrics` writes docs/metrics.md from the table of metrics."""

from __future__ import annotations

import sys

from engine.kernel.metrics import CATALOGUE, MOST_CODES, Group, Kind, Metric

__all__ = ["page"]

_HEAD = f"""# Metrics

This page is made from `engine/kernel/metrics.py` by `make metrics`.

The API shows `/metrics` under its own port (a key of an admin opens it, or `MUSTER_OPEN_METRICS=true`); workers and
schedulers show theirs with `--metrics-port N`. What is read from the database is the same on every API process: take
`max`, not `sum`, where you scrape several. Counters are of the process that is scraped, and begin at 0 with it: take
the `sum` of their `rate`. No label holds an id. Of the codes that providers answer with, each process shows the first
{MOST_CODES} and counts the others as `other`.

Alert rules, a dashboard, and what to do when an alert fires: [runbooks](runbooks.md).
"""


def page() -> str:
    """The page."""
    sections = [_HEAD]
    for group in Group:
        sections.append(f"## {group}\n")
        sections.extend(_entry(metric) for metric in CATALOGUE if metric.group is group)
    return "\n".join(sections)


def _entry(metric: Metric) -> str:
    labels = f" by {', '.join(f'`{label}`' for label in metric.labels)}" if metric.labels else ""
    lines = [f"### `{metric.shown_as}`\n", f"A {metric.kind}{labels}. {metric.help}."]
    if metric.labels:
        lines.append("")
        lines.extend(f"- `{label}`: {values}" for label, values in metric.labels.items())
    if metric.kind is Kind.HISTOGRAM:
        bounds = ", ".join(f"{bound:g}" for bound in metric.buckets)
        lines.append(f"\nBounds of its buckets, in seconds: {bounds}.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
