"""What a file is that cannot be imported, told by its first bytes: another encoding, another form, no data at all.

A server's error page that was saved as `people.csv` has lines too. It is refused as a whole, before anybody is made of
them.
"""

from __future__ import annotations

import re

__all__ = ["binary_form", "text_form"]

_SAVE_AS = "save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
_DECOMPRESS = "decompress it first"
_BINARY = (
    (b"\xff\xfe\x00\x00", f"is UTF-32, not UTF-8; {_SAVE_AS}"),
    (b"\x00\x00\xfe\xff", f"is UTF-32, not UTF-8; {_SAVE_AS}"),
    (b"\xff\xfe", f"is UTF-16, not UTF-8; {_SAVE_AS}, or convert it: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", f"is UTF-16, not UTF-8; {_SAVE_AS}, or convert it: iconv -f UTF-16 -t UTF-8"),
    (b"PK\x03\x04", "is a workbook or a ZIP archive; say that it is XLSX, or export the sheet as CSV UTF-8"),
    (b"PK\x05\x06", "is an empty ZIP archive"),
    (
        b"\xd0\xcf\x11\xe0",
        "is a workbook of an old form (XLS) or has a password; save it as XLSX or CSV UTF-8",
    ),
    (b"\x1f\x8b", f"is compressed with gzip; {_DECOMPRESS}"),
    (b"BZh", f"is compressed with bzip2; {_DECOMPRESS}"),
    (b"\xfd7zXZ\x00", f"is compressed with xz; {_DECOMPRESS}"),
    (b"\x28\xb5\x2f\xfd", f"is compressed with zstd; {_DECOMPRESS}"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first"),
    (b"Rar!\x1a\x07", "is a RAR archive; unpack it first"),
    (b"%PDF-", "is a PDF document, not a table; export the data as CSV UTF-8"),
    (b"\x89PNG\r\n", "is a picture (PNG)"),
    (b"\xff\xd8\xff", "is a picture (JPEG)"),
    (b"GIF8", "is a picture (GIF)"),
    (b"SQLite format 3\x00", "is a database (SQLite); export the table as CSV"),
    (b"PAR1", "is Parquet; export it as CSV or NDJSON"),
    (b"{\\rtf", "is a document (RTF), not a table; export the data as CSV UTF-8"),
)
_TEXT = (
    (re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE), "is an HTML page, not data"),
    (
        re.compile(r"<!--.{0,2000}?-->\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL),
        "is an HTML page, not data",
    ),
    (re.compile(r"<(?:\?xml|[A-Za-z][\w:.-]*(?:[\s/]|>(?![,;\t|]))|!--)"), "is XML or HTML, not data"),
    (re.compile(r"BEGIN:VC", re.IGNORECASE), "is a list of contacts or dates (vCard, iCalendar)"),
    (re.compile(r"-----BEGIN [A-Z]"), "is encrypted, or a key"),
    (re.compile(r"version https://git-lfs"), "is a Git LFS pointer; the file itself was not downloaded"),
    (
        re.compile(
            r"(?:--[^\n]*\n|/\*.*?\*/;?|\s)*(?:insert into|create table|drop table)\b",
            re.IGNORECASE | re.DOTALL,
        ),
        "is SQL; export the table as CSV",
    ),
    (
        re.compile(r'\[\s*(?:[{\["]|\]|-?\d+\s*[,\]])'),
        "is a JSON array; write one object a line (jq -c '.[]')",
    ),
)
#: `502 Bad Gateway` of an HTML page.
_TITLE = re.compile(r"<title[^>]*>\s*(.{1,80}?)\s*</title>", re.IGNORECASE | re.DOTALL)


def binary_form(head: bytes) -> str | None:
    """What bytes are that are no UTF-8 text of records, and what to do about it; None: nothing says so."""
    return next((what for signature, what in _BINARY if head.startswith(signature)), None)


def text_form(head: str) -> str | None:
    """What a text is that is neither CSV nor NDJSON; None: nothing says so."""
    begins = head.lstrip("\ufeff \t\r\n")
    what = next((what for pattern, what in _TEXT if pattern.match(begins)), None)
    if what is None:
        return None
    title = _TITLE.search(begins) if "HTML" in what else None
    said = None if title is None else f"page (titled {' '.join(title[1].split())!r})"
    return what if said is None else what.replace("page", said, 1)
