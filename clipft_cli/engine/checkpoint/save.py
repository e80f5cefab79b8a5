"""A fine-tuned model on disk: safetensors and JSON, checksummed, written whole or not at all, never pickled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ..files.digest import file_digest
from ..files.signed import signed_json
from ..files.tensors import write_tensors
from ..files.write import replaced_folder
from ..methods import METHODS
from ..methods.base import MethodSettings
from ..model.classifier import Classifier
from ..run_dir import (
    ADAPTER_FILE,
    CHECKPOINT_FILE,
    HEAD_FILE,
    OPEN_CLIP_CONFIG_FILE,
    TEXT_ADAPTER_FILE,
    TOWER_FILE,
    TRAINED_FILE,
    RunDir,
)
from .card import Card


def save_classifier(folder: Path, classifier: Classifier, card: Card) -> None:
    """Write the checkpoint `folder`, replacing one of the same name only when the new one is whole.

    What its run was trained on goes with it.
    """
    method = METHODS[card.method]
    with replaced_folder(folder) as new:
        write_tensors(new / HEAD_FILE, classifier.head.state_dict())
        if method.writes_whole_model:
            write_tensors(new / TOWER_FILE, classifier.clip.state_dict())
        elif trained := method.trained_weights(classifier, MethodSettings(card.settings)):
            write_tensors(new / TRAINED_FILE, trained)
        if classifier.adapters is not None:
            write_tensors(new / ADAPTER_FILE, classifier.adapters.state_dict())
        if classifier.text_adapters is not None:
            write_tensors(new / TEXT_ADAPTER_FILE, classifier.text_adapters.state_dict())
        config = {"model_cfg": card.base.model_cfg, "preprocess_cfg": card.preprocess.to_json()}
        (new / OPEN_CLIP_CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")
        known = RunDir(folder.parent).trained_on
        if known.is_file():
            shutil.copyfile(known, new / known.name)
        files = {file.name: file_digest(file) for file in sorted(new.iterdir())}
        (new / CHECKPOINT_FILE).write_text(signed_json({**card.to_json(), "files": files}), encoding="utf-8")
