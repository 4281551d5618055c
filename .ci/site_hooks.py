"""Hooks of the documentation's site (mkdocs.yml).

Python-Markdown parses `<!` as a declaration of HTML, in a code span too, and fails on the regular expressions of
docs/answers.md on Python 3.11: it gets a character of the private use area instead, which is taken back afterwards.
"""

from __future__ import annotations

__all__ = ["on_page_content", "on_page_markdown"]

_STANDS_FOR = "\ue000"


def on_page_markdown(markdown: str, **_: object) -> str:
    """The text without `(?<!`."""
    return markdown.replace("(?<!", f"(?{_STANDS_FOR}!")


def on_page_content(html: str, **_: object) -> str:
    """The page with `(?<!` again."""
    return html.replace(_STANDS_FOR, "&lt;")
