"""What every part of the configuration shares: frozen, no unknown keys, second names for a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, model_validator


class Config(BaseModel):
    """A slice of the configuration.

    Not `strict`: PyYAML reads `1e-5` as text, and pydantic's lax mode makes a number of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())

    ALIASES: ClassVar[Mapping[str, str]] = {}
    """Second names a key is known under, e.g. in the reference system: alias -> field."""

    @model_validator(mode="before")
    @classmethod
    def _resolve_aliases(cls, values: Any) -> Any:
        return canonical_keys(cls, values)


def canonical_keys(model: type[Config], values: Any) -> Any:
    """`values` with every second name replaced by the field's own; anything but a mapping as it is.

    Raises ValueError where a key stands under both of its names.
    """
    if not isinstance(values, Mapping) or not model.ALIASES:
        return values
    renamed: dict[Any, Any] = {}
    for key, value in values.items():
        field = model.ALIASES.get(key, key)
        if field in renamed:
            raise ValueError(f"'{field}' is given twice, under two of its names")
        renamed[field] = value
    return renamed


def in_range(parse: ValidatorFunctionWrapHandler, value: Any, wanted: str, least: float, most: float) -> Any:
    """For a field that is a number or a word: one message for what it may be, in place of one for each kind."""
    try:
        parsed = parse(value)
    except ValidationError:
        raise ValueError(f"should be {wanted}") from None
    if not isinstance(parsed, str) and not least <= parsed <= most:
        raise ValueError(f"should be {wanted}")
    return parsed
