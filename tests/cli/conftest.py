"""Fixtures of the commands' tests."""

from colour_world import built_world, world

__all__ = ["built_world", "world"]
