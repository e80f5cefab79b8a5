"""The twenty drawn breeds: a build and its coats each, and nothing about how they are drawn.

The numbers are means: every drawn individual departs from them by the spread in `individual.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .builds import BUILDS, Build
from .coats import COATS, Coat


@dataclass(frozen=True)
class Breed:
    """A build with the coats it comes in."""

    build: Build
    coats: tuple[Coat, ...]


BREEDS: dict[str, Breed] = {name: Breed(BUILDS[name], COATS[name]) for name in sorted(BUILDS)}
"""Every breed by its folder name, in alphabetical order: the class order of the data set."""
