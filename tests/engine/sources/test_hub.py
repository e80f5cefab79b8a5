from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from source_cases import asked

from clipft_cli.engine.sources.hub import list_hub
from clipft_cli.errors import ConfigError, MissingExtraError


@pytest.mark.skipif(find_spec("datasets") is not None, reason="the package that is missing here is installed")
@pytest.mark.parametrize("name", ["hf:pets", "hf:owner/pets", "hf:owner/pets@main", "hf:owner/pets@a1b2#large"])
def test_a_name_of_the_hub_may_have_a_revision_and_a_configuration(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="needs the package datasets"):
        list_hub(asked(name, tmp_path).options, tmp_path / "hub", lambda stage, done, total: None)


@pytest.mark.parametrize("name", ["hf:", "hf:a//b", "hf:a/b@", "hf:a/b#"])
def test_what_is_no_name_of_the_hub_is_refused_with_how_one_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="hf:owner/name@revision#config"):
        list_hub(asked(name, tmp_path).options, tmp_path / "hub", lambda stage, done, total: None)
