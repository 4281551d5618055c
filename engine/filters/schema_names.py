"""Names of entity schemas: `contact`, `account`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from engine.kernel.inputs import Invalid

__all__ = ["SchemaName", "check_schema"]

_SCHEMA = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def check_schema(schema: str) -> str:
    """The schema's name.

    Raises:
        Invalid: it is none: up to 64 letters, digits, `_`, `-` and `.`, beginning with a letter.
    """
    if _SCHEMA.fullmatch(schema) is None:
        raise Invalid(
            "schema", "must begin with a letter and have at most 64 letters, digits, '_', '-' or '.'"
        )
    return schema


def _schema_name(schema: str) -> str:
    try:
        return check_schema(schema)
    except Invalid as error:
        raise ValueError(error.message) from None


#: A schema's name, in what callers hand in.
SchemaName = Annotated[str, AfterValidator(_schema_name)]
