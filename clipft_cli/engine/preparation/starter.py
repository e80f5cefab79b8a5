"""The starter clipft.yaml: settings that fit this data and this machine, each line explained."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ...config.load import load_config, yaml_value
from ...config.methods import METHOD_FACTS, MethodName
from ..machine.hardware import Machine
from ..machine.method_tree import MethodPick, pick_method

STARTER_FILE = "clipft.yaml"
SCHEMA_FILE = "clipft.schema.json"
DRAWN_MODEL = ("clipft-tiny", None)
PHOTO_MODEL = ("ViT-B-32", "laion2b_s34b_b79k")


def pick_batch_size(n_train: int, machine: Machine) -> int:
    """A power of two: 32, more on a large GPU, less where memory or images are few."""
    size = 32
    if machine.gpu_gb is not None:
        size = 16 if machine.gpu_gb < 8 else 32 if machine.gpu_gb <= 24 else 64
    elif machine.ram_gb < 6:
        size = 16
    while size > 4 and size * 8 > n_train:
        size //= 2
    return size


def _pick_precision(machine: Machine) -> tuple[str, str]:
    """The precision and why."""
    if machine.gpu_name:
        if machine.has_bf16:
            return "bf16", "this GPU computes in bfloat16; weights stay float32"
        return "fp16", "this GPU has no bfloat16; a scaler guards small gradients"
    if machine.has_bf16:
        return "bf16", "this CPU computes in bfloat16; weights stay float32"
    return "no", "float32: half precision brings nothing on this machine"


def starter_text(
    data_dir: Path, machine: Machine, *, n_images: int, n_train: int, seed: int, is_drawn: bool
) -> tuple[str, MethodPick]:
    """The whole file, and the pick it explains. `load_config` reads it back as it stands."""
    pick = pick_method(n_images, machine.gpu_gb)
    name, tag = DRAWN_MODEL if is_drawn else PHOTO_MODEL
    precision, why_precision = _pick_precision(machine)
    model_comment = (
        "a small CLIP that comes with this package, made for the drawn dogs"
        if is_drawn
        else "an open_clip model, downloaded at first use; try ViT-B-16 for accuracy, RN50 for size"
    )
    tag_line = (
        "# pretrained: (its weights are part of the package)"
        if tag is None
        else f"pretrained: {tag}  # its weights: a tag of open_clip, or a local file"
    )
    # a folder called ~ is not the home folder
    data_path = f"./{data_dir.as_posix()}" if data_dir.as_posix().startswith("~") else data_dir.as_posix()
    text = f"""\
# clipft: settings for {json.dumps(data_dir.name, ensure_ascii=False)}, {n_images:,} images.
# Written by `clipft prepare` for this machine: {machine.describe()}.
# Every command that is called in this folder reads it; another file: --config FILE, without one: --config none.
# One key for one run: --set data.batch_size=16. What a key means: clipft help config.data.batch_size.
# All keys with their values, and where they come from: clipft train --print-config --explain.
# An editor completes and checks keys by the next line, after: clipft train --print-schema > {SCHEMA_FILE}
# yaml-language-server: $schema={SCHEMA_FILE}

method: {pick.method}  # {_method_comment(pick.method)}
# The decision tree says {pick.tree} ({pick.why}).
seed: {seed}  # same seed, same data, same machine: same result

data:
  dir: {yaml_value(data_path)}  # what `clipft prepare` wrote
  batch_size: {pick_batch_size(n_train, machine)}  # images in one step; fewer where memory runs out

model:
  name: {name}  # {model_comment}
  {tag_line}

hardware:
  device: auto  # cuda where there is one, else mps, else cpu
  mixed_precision: {precision}  # {why_precision}

# What depends on the method is left to the method's preset. To change it, remove the leading `# `:
{_preset_comments(pick.method)}"""
    return text, pick


def _method_comment(method: MethodName) -> str:
    """What trains, and what else there is that needs nothing more to be installed."""
    others = [name for name, facts in METHOD_FACTS.items() if name != method and facts.extra is None]
    return f"{METHOD_FACTS[method].does}; also: {', '.join(reversed(others))}"


def _preset_comments(method: MethodName) -> str:
    """The keys people change first, with the value the method's preset gives them."""
    from ...config.train import TrainConfig

    training = load_config(TrainConfig, None, flags={"method": method}).training
    lines = [
        ("training:", ""),
        (f"  num_epochs: {training.num_epochs}", "passes over the training images"),
        (f"  learning_rate: {training.learning_rate}", "peak rate of the top layer"),
        (f"  weight_decay: {training.weight_decay}", "pull towards zero; never on biases and norms"),
        (f"  label_smoothing: {training.label_smoothing}", "share of certainty spread over all classes"),
        (f"  warmup_ratio: {training.warmup_ratio}", "share of the steps in which the rate rises"),
        (
            f"  early_stopping: {{enabled: true, patience: {training.early_stopping.patience}}}",
            "epochs without a better val result before it stops",
        ),
    ]
    return "".join(f"# {line}{'  # ' + comment if comment else ''}\n" for line, comment in lines)


def write_new(path: Path, text: str) -> bool:
    """Write a file only where there is none. Returns whether it was written."""
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return True
    except FileExistsError:
        return False
