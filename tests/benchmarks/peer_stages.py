"""The peers' sides of stages: the frozen part is computed in every epoch, as their loops do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .peers import Loop, Peer, call, hugging_face_tower, image_embeds, load_pixels, normalise, open_clip_tower
from .schedule import ACCUMULATION, BATCH_SIZE, EPOCHS_RUN
from .work import Task, Work, digest_of_pixels


def hf_stage(task: Task) -> Work:
    """An epoch over all images while the head and the last `options.blocks` blocks train."""
    peer = Peer(task, hugging_face_tower(task), image_embeds)
    train_from(peer, task.options["blocks"])
    loop = Loop(peer)
    pixels, labels = load_pixels(task)
    batches = list(zip(pixels.split(task.batch_size), labels.split(task.batch_size), strict=True))

    def update(n: int) -> float:
        part, targets = batches[n]
        return loop.update([(normalise(part), targets)])

    def epoch() -> None:
        for n in range(len(batches)):
            update(n)

    facts = {
        "images": digest_of_pixels(batches[0][0]),
        "trained_parameters": loop.n_trained,
        "losses": [update(0), update(0)],
    }
    return Work(run=epoch, facts=facts, units=len(batches))


def hf_schedule(task: Task) -> Work:
    """The reference's schedule with a DataLoader that decodes in every epoch, and val after each."""
    from torch.utils.data import DataLoader

    peer = Peer(task, hugging_face_tower(task), image_embeds)
    sets = {split: Photographs(task.world.data, split, _image_size(task)) for split in ("train", "val")}
    train, val = (
        DataLoader(sets[split], size, shuffle=split == "train", num_workers=task.threads, persistent_workers=True)
        for split, size in (("train", BATCH_SIZE), ("val", 2 * BATCH_SIZE))
    )
    pixels, labels = load_pixels(task)
    with torch.no_grad():
        loss = float(F.cross_entropy(peer(normalise(pixels[:BATCH_SIZE])), labels[:BATCH_SIZE]))
    facts = {
        "images": digest_of_pixels(pixels[:BATCH_SIZE]),
        "trained_parameters": sum(parameter.numel() for parameter in peer.parameters()),
        "losses": [loss],
    }
    rounds = _epochs_again_and_again(task, peer, train, val)
    return Work(run=lambda: next(rounds), facts=facts)


def open_clip_evaluation(task: Task) -> Work:
    """Logits of two batches with open_clip's tower, in fp32 or under autocast (`options.amp`)."""
    peer = Peer(task, open_clip_tower(task), call)
    peer.is_bf16 = task.options["amp"]
    pixels, labels = (tensor[:64] for tensor in load_pixels(task))
    peer.eval()

    def logits() -> Tensor:
        with torch.inference_mode():
            return torch.cat([peer(normalise(part)).float() for part in pixels.split(task.batch_size)])

    facts = {"images": digest_of_pixels(pixels), "losses": [float(F.cross_entropy(logits(), labels))]}
    return Work(run=lambda: _discard(logits()), facts=facts, units=len(pixels))


class Photographs(torch.utils.data.Dataset):
    """Images of a split under open_clip's validation transform, decoded whenever they are asked for."""

    def __init__(self, root: Path, split: str, size: int) -> None:
        from open_clip import image_transform

        from clipft_cli.engine.manifest import read_manifest

        manifest = read_manifest(root)
        self.items = [(manifest.file(row), row.label) for row in manifest.split(split)]  # type: ignore[arg-type]
        self.transform = image_transform(size, is_train=False)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        path, label = self.items[index]
        with Image.open(path) as image:
            return self.transform(image), label


def train_from(peer: Peer, blocks: int | None) -> None:
    """The head and the last `blocks` blocks train, or everything (None)."""
    peer.tower.requires_grad_(blocks is None)
    if blocks:
        tower: Any = peer.tower
        for block in tower.vision_model.encoder.layers[-blocks:]:
            block.requires_grad_(True)


def _epochs_again_and_again(task: Task, peer: Peer, train: Any, val: Any) -> Iterator[float]:
    while True:
        for epoch in EPOCHS_RUN:
            began = time.perf_counter()
            if epoch in (0, 2, 6):
                train_from(peer, {0: 0, 2: 1, 6: None}[epoch])
                loop = Loop(peer)
            _train_epoch(loop, train)
            _validate(peer, val)
            yield time.perf_counter() - began
        peer = Peer(task, hugging_face_tower(task), image_embeds)


def _train_epoch(loop: Loop, train: Any) -> None:
    waiting = []
    for images, labels in train:
        waiting.append((images, labels))
        if len(waiting) == ACCUMULATION:
            loop.update(waiting)
            waiting = []


def _validate(peer: Peer, val: Any) -> None:
    peer.eval()
    with torch.inference_mode():
        for images, _ in val:
            peer(images)
    peer.train()


def _image_size(task: Task) -> int:
    from .world import model_config

    return int(model_config(task.world)["vision_cfg"]["image_size"])


def _discard(_: Tensor) -> None:
    return None
