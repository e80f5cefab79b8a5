"""How well images of no known class are told from images of known ones, by four scores: the table of docs/unknown.md.

`python docs/measure_unknown.py RUN FOLDER...`: a run whose data set lies where it was trained on, and folders of images
of other classes. Each score gets its threshold on val, so that 95% of known images are kept (`predict --reject` has the
first of them). It prints, for each score, the share of test that is kept with its interval, and for each folder the
area under the ROC curve and the share that is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

import clipft_cli as clipft
from clipft_cli.config.evaluate import EvaluateConfig, EvaluateOptions
from clipft_cli.config.model import HardwareConfig
from clipft_cli.engine.checkpoint.subject import choose_subject, data_dir_of
from clipft_cli.engine.checkpoint.val_answers import val_answers
from clipft_cli.engine.images.inputs import Inputs
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.metrics.intervals import wilson
from clipft_cli.engine.metrics.known_images import fit_known
from clipft_cli.engine.model.precision import set_up

SHARE = 0.95
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(N,) of features (N, D) and logits (N, C): the higher, the better known."""


def main() -> None:
    run, *folders = sys.argv[1:]
    model = clipft.load(run)
    loaded = model._loaded
    subject = choose_subject(EvaluateConfig(evaluate=EvaluateOptions(checkpoint=Path(run))))
    manifest = read_manifest(data_dir_of(EvaluateConfig(), subject))
    val = val_answers(model.checkpoint, None, loaded, set_up(HardwareConfig(), "no"))
    known = fit_known(val.features, val.labels, SHARE)
    vectors = torch.nn.functional.normalize(loaded.classifier.head.weight.detach(), dim=1).cpu().numpy()  # (C, D)
    scores: dict[str, Score] = {
        "nearest class mean": lambda features, logits: known.similarity(features),
        "nearest vector of the head": lambda features, logits: (features @ vectors.T).max(axis=1),
        "energy": lambda features, logits: logsumexp(logits / loaded.temperature, axis=1),
        "highest probability": lambda features, logits: softmax(logits / loaded.temperature, axis=1).max(axis=1),
    }
    test = looked_at(model, (str(manifest.file(row)) for row in manifest.split("test")))
    others = {folder: looked_at(model, (item.name for item in Inputs([folder]))) for folder in folders}
    print("| score | of test kept | " + " | ".join(f"{Path(name).name}: AUROC, refused" for name in folders) + " |")
    print("|---" * (2 + len(folders)) + "|")
    for name, score in scores.items():
        threshold = known.threshold
        if name != "nearest class mean":
            on_val = np.sort(score(val.features, val.logits))
            threshold = on_val[int((1 - SHARE) * (len(on_val) + 1) + 1e-9) - 1]
        ours = score(*test)
        kept = wilson(int((ours >= threshold).sum()), len(ours))
        cells = [name, f"{kept.value:.1%} ({kept.low:.1%} to {kept.high:.1%})"]
        for images in others.values():
            theirs = score(*images)
            truth = np.repeat([1, 0], [len(ours), len(theirs)])
            auroc = roc_auc_score(truth, np.concatenate([ours, theirs]))
            cells.append(f"{auroc:.3f}, {np.mean(theirs < threshold):.1%}")
        print(f"| {' | '.join(cells)} |")


def looked_at(model: clipft.LoadedModel, names: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) features of length 1, and logits (N, C) before the temperature."""
    features = torch.from_numpy(model.embed(names))
    with torch.inference_mode():
        head = model._loaded.classifier.head
        return features.numpy(), head(features.to(head.weight.device)).float().cpu().numpy()


if __name__ == "__main__":
    main()
