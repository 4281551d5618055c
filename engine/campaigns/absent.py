"""Objects in which nothing is null: what is absent is left out (docs/contract/targeting.md, "omit, never null")."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, field_validator

from engine.kernel.inputs import Input

__all__ = ["NeverNull", "left_out"]


def left_out(schema: dict[str, Any]) -> None:
    """Document a model so: a field that need not be there is absent, not null."""
    required = schema.get("required", ())
    for name, its in schema.get("properties", {}).items():
        if name in required or "anyOf" not in its:
            continue
        kinds = [kind for kind in its["anyOf"] if kind != {"type": "null"}]
        if len(kinds) < len(its["anyOf"]):
            its.pop("default", None)
            if len(kinds) == 1:
                its.pop("anyOf")
                its.update(kinds[0])
            else:
                its["anyOf"] = kinds


class NeverNull(Input):
    """Base of such inputs. A field whose default is None says so of its absence only."""

    model_config = ConfigDict(json_schema_extra=left_out)

    @field_validator("*", mode="before")
    @classmethod
    def _given(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("must not be null; what is left out is absent")
        return value
