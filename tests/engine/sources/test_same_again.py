from __future__ import annotations

import inspect
import shlex

from clipft_cli.cli.prepare import prepare as command
from clipft_cli.config.load import load_config
from clipft_cli.config.prepare import PrepareConfig
from clipft_cli.engine.sources.same_again import FLAGS, same_again


def test_every_flag_is_an_option_of_the_command() -> None:
    assert set(FLAGS) <= set(inspect.signature(command).parameters)


def test_what_was_asked_for_is_all_there_and_quoted() -> None:
    asked = {
        "source": "my pets",
        "exclude": ["it's"],
        "split": "0.6/0.2/0.2",
        "in_place": True,
        "near_duplicate_distance": 3,
    }
    config = PrepareConfig.model_validate({"seed": 3, "prepare": asked})
    words = shlex.split(same_again(config, "--merge", "a =b"))
    assert words[:3] == ["clipft", "prepare", "my pets"]
    assert words[-2:] == ["--merge", "a =b"]
    assert words[words.index("--exclude") + 1] == "it's"
    assert words[words.index("--split") + 1] == "0.6/0.2/0.2"
    assert words[words.index("--seed") + 1] == "3"
    assert "--in-place" in words
    again = load_config(PrepareConfig, None, [words[words.index("--set") + 1]])
    assert again.prepare.near_duplicate_distance == 3


def test_an_option_that_is_changed_stands_once_and_one_that_adds_stays() -> None:
    config = PrepareConfig.model_validate({"prepare": {"source": "x", "paths": "{class}", "exclude": ["a"]}})
    words = shlex.split(same_again(config, "--paths", "{class}/{group}/*", "--exclude", "b"))
    assert words.count("--paths") == 1
    assert words[words.index("--paths") + 1] == "{class}/{group}/*"
    assert [words[i + 1] for i, word in enumerate(words) if word == "--exclude"] == ["a", "b"]
