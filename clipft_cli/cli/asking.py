"""A question of the engine, asked where somebody sits at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer

from ..config.base import Config
from ..errors import Answer, Question
from .render import Screen

C = TypeVar("C", bound=Config)
T = TypeVar("T")


def with_answers(screen: Screen, config: C, run: Callable[[C], T], answered: Callable[[C, Mapping[str, Any]], C]) -> T:
    """What `run` gives for `config`, each of its questions answered on the way.

    `answered` puts the settings of an answer into a configuration.
    Raises the Question where nobody can be asked, or none of the answers is meant.
    """
    while True:
        try:
            return run(config)
        except Question as question:
            answer = _asked(screen, question)
            if answer is None:
                raise
            config = answered(config, answer.settings)


def _asked(screen: Screen, question: Question) -> Answer | None:
    """The answer that is chosen; None without a person at a terminal, or where it is none of them."""
    if not (screen.is_live and sys.stdin.isatty()):
        return None
    screen.say(f"{question.asks}:")
    for number, answer in enumerate(question.answers, start=1):
        screen.say(f"  {number}. {answer.words}")
    n = len(question.answers)
    said = typer.prompt(f"Which is meant? 1 to {n}, or 0 for none", type=int, err=True)
    while not 0 <= said <= n:
        said = typer.prompt(f"1 to {n}, or 0 for none", type=int, err=True)
    if said == 0:
        return None
    chosen = question.answers[said - 1]
    if question.commands:
        screen.say(f"the same without the question: {question.commands[said - 1]}")
    return chosen
