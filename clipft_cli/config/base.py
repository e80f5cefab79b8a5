"""What every part of the configuration shares: frozen, no unknown keys, second names for a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, model_validator

from .words import NOTHING


class Config(BaseModel):
    """A slice of the configuration.

    Not `strict`: PyYAML reads `1e-5` as text, and pydantic's lax mode makes a number of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())

    ALIASES: ClassVar[Mapping[str, str]] = {}
    """Second names a key is known under, e.g. in the reference system: alias -> field."""

    WORD_NONE: ClassVar[frozenset[str]] = frozenset()
    """Keys that may be open, for which the word none is a choice of its own: there null alone leaves them open."""

    @model_validator(mode="before")
    @classmethod
    def _resolve_aliases(cls, values: Any) -> Any:
        return canonical_keys(cls, values)


def canonical_keys(model: type[Config], values: Any) -> Any:
    """`values` with every second name replaced by the field's own, and the words none and null by nothing where a key
    may be left open; anything but a mapping as it is.

    Raises ValueError where a key stands under both of its names.
    """
    if not isinstance(values, Mapping):
        return values
    renamed: dict[Any, Any] = {}
    for key, value in values.items():
        field = model.ALIASES.get(key, key)
        if field in renamed:
            raise ValueError(f"'{field}' is given twice, under two of its names")
        renamed[field] = None if _is_nothing(value) and may_be_open(model, field) else value
    return renamed


def may_be_open(model: type[Config], key: Any) -> bool:
    """Whether `none` and `null` both leave `key` open: null is allowed, and the word is no choice."""
    field = model.model_fields.get(key) if isinstance(key, str) else None
    if field is None or key in model.WORD_NONE:
        return False
    kinds = get_args(field.annotation)
    return type(None) in kinds and not any("none" in get_args(kind) for kind in kinds)


def _is_nothing(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in NOTHING


def in_range(parse: ValidatorFunctionWrapHandler, value: Any, wanted: str, least: float, most: float) -> Any:
    """For a field that is a number or a word: one message for what it may be, in place of one for each kind."""
    try:
        parsed = parse(value)
    except ValidationError:
        raise ValueError(f"should be {wanted}") from None
    if not isinstance(parsed, str) and not least <= parsed <= most:
        raise ValueError(f"should be {wanted}")
    return parsed
