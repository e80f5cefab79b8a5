"""The words of a command that was shown, as a shell reads them."""

from __future__ import annotations

import os
import shlex
import subprocess


def words_of(command: str) -> list[str]:
    """The words, by bash where its own quotes stand in the command."""
    if "$'" not in command:
        return shlex.split(command)
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True).stdout
    return [os.fsdecode(word) for word in said.split(b"\0")[:-1]]
