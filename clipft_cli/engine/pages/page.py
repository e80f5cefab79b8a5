"""Pages that need nothing else: a template of this package, its styles inside."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader

from ..files.visible import visible


def _source(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """The page of `template`; all text in `values` is escaped, and the filter `visible` shows what cannot be seen."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_source))
    environment.filters["visible"] = visible
    return environment.get_template(template).render(**values)
