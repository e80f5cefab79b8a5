"""`hf`: a folder for transformers' pipeline, and in it the graphs that transformers.js loads."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...config.export import ExportOptions
from ...errors import MissingExtraError
from ..files.tensors import write_tensors
from ..model.image_tower import is_named
from ..model.vit import why_unsupported
from .base import Answer, Format, Reader
from .onnx_folder import PICTURE_BOUND, eight_bit_of, graph_of, save_with_pixels
from .onnx_folder import require as require_onnx
from .onnx_folder import why_not as why_not_onnx
from .runtime import session_of
from .source import Source

CODE = Path(__file__).parent / "templates" / "transformers"
MODELING_FILE, PROCESSING_FILE = "modeling_clipft.py", "image_processing_clipft.py"
CONFIG_FILE, PROCESSOR_FILE, WEIGHTS_FILE = "config.json", "preprocessor_config.json", "model.safetensors"
GRAPH_FILE, EIGHT_BIT_FILE = "onnx/model.onnx", "onnx/model_quantized.onnx"

USAGE = """\
from transformers import pipeline
classify = pipeline("image-classification", ".", trust_remote_code=True)  # runs the two small .py files of this folder
print(classify("photo.jpg"))
# in JavaScript: import { pipeline, env } from "@huggingface/transformers"; env.localModelPath = "PARENT FOLDER";
# const classify = await pipeline("image-classification", "FOLDER", { dtype: "fp32" }); await classify("photo.jpg");"""


def require() -> None:
    """Raises MissingExtraError where the folder cannot be written or read back."""
    require_onnx()
    if find_spec("transformers") is None:
        raise MissingExtraError("an hf export needs transformers", hint="pip install 'clipft-cli[transformers]'")


def why_not(source: Source) -> str | None:
    """A reason where the small class of this folder computes something else than the tower."""
    visual: Any = source.merged.clip.visual
    reason = why_unsupported(visual)
    if reason is not None:
        return f"its code for transformers is of a plain ViT, and {reason}; ONNX takes it"
    if visual.proj is None:
        return "its tower has no projection, which its code for transformers has; ONNX takes it"
    if len(source.class_names) == 1:
        return "a pipeline takes one class for yes or no"
    return why_not_onnx(source)


def write(source: Source, folder: Path, options: ExportOptions) -> None:
    """Code, configuration and weights for transformers, and onnx/ for transformers.js.

    Raises ModelError where torch cannot write the tower as a graph.
    """
    for name in (MODELING_FILE, PROCESSING_FILE):
        shutil.copyfile(CODE / name, folder / name)
    visual: Any = source.merged.clip.visual
    tensors = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    write_tensors(folder / WEIGHTS_FILE, {**tensors, **source.head.tensors()}, {"format": "pt"})
    write_json(folder / CONFIG_FILE, _config(source, visual))
    write_json(folder / PROCESSOR_FILE, processor_config(source))
    (folder / "onnx").mkdir()
    tower = graph_of(source)
    save_with_pixels(tower, source, folder / GRAPH_FILE, takes_planes=True)
    if options.int8:
        with tempfile.TemporaryDirectory(prefix="clipft-") as place:
            quantised = eight_bit_of(tower, Path(place))
        save_with_pixels(quantised, source, folder / EIGHT_BIT_FILE, takes_planes=True)


def _config(source: Source, visual: Any) -> dict[str, Any]:
    block = visual.transformer.resblocks[0]
    width, projection_dim = visual.proj.shape
    patch = visual.conv1.kernel_size
    gelu = block.mlp.gelu
    act = "quick_gelu" if is_named(gelu, "QuickGELU") else {"none": "gelu", "tanh": "gelu_tanh"}[gelu.approximate]
    return {
        "architectures": ["ClipftForImageClassification"],
        "auto_map": {
            "AutoConfig": "modeling_clipft.ClipftConfig",
            "AutoModelForImageClassification": "modeling_clipft.ClipftForImageClassification",
        },
        "model_type": "fastvit",  # why: modeling_clipft.py
        "id2label": {str(number): name for number, name in enumerate(source.class_names)},
        "label2id": {name: number for number, name in enumerate(source.class_names)},
        "problem_type": "single_label_classification",
        "image_size": list(source.loaded.preprocess.size),
        "patch_size": list(patch),
        "hidden_size": width,
        "num_hidden_layers": len(visual.transformer.resblocks),
        "num_attention_heads": block.attn.num_heads,
        "intermediate_size": block.mlp.c_fc.out_features,
        "layer_norm_eps": block.ln_1.eps,
        "hidden_act": act,
        "has_pre_norm": hasattr(visual.ln_pre, "weight"),
        "has_layer_scale": hasattr(block.ls_1, "gamma"),
        "projection_dim": projection_dim,
        "torch_dtype": "float32",
        "clipft": {"readable": [info.readable for info in source.loaded.classes]},
    }


def processor_config(source: Source) -> dict[str, Any]:
    """For transformers its own keys; for transformers.js nothing to do: its graph resizes and normalises."""
    preprocess = source.loaded.preprocess
    return {
        "image_processor_type": "CLIPImageProcessor",
        "auto_map": {"AutoImageProcessor": "image_processing_clipft.ClipftImageProcessor"},
        **{f"do_{step}": False for step in ("resize", "center_crop", "rescale", "normalize", "pad")},
        "input_size": list(preprocess.size),
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "interpolation": preprocess.interpolation,
        "resize_mode": preprocess.resize_mode,
        "fill_color": preprocess.fill_color,
    }


def write_json(path: Path, content: object) -> None:
    """As text that every reader of JSON takes."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")  # ASCII: any class name is read back


def readers(folder: Path, source: Source) -> tuple[Reader, ...]:
    """transformers' pipeline on the folder's own code, and the graphs as transformers.js feeds them."""
    import onnxruntime
    import transformers

    runtime = f"onnxruntime {onnxruntime.__version__}"
    found = [
        Reader(WEIGHTS_FILE, f"transformers {transformers.__version__}", _pipeline_answer(folder), 1e-4),
        Reader(GRAPH_FILE, runtime, _planes_answer(folder / GRAPH_FILE), PICTURE_BOUND),
    ]
    if (folder / EIGHT_BIT_FILE).is_file():
        answer = _planes_answer(folder / EIGHT_BIT_FILE)
        found.append(Reader(EIGHT_BIT_FILE, runtime, answer, PICTURE_BOUND, beside=GRAPH_FILE))
    return tuple(found)


def _planes_answer(path: Path) -> Answer:
    session = session_of(path)

    def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
        planes = [np.asarray(picture, np.float32).transpose(2, 0, 1)[None] for picture in pictures]
        rows = [session.run(["probabilities"], {"pixel_values": np.ascontiguousarray(one)})[0] for one in planes]
        return np.concatenate(rows)

    return answer


def _pipeline_answer(folder: Path) -> Answer:
    """By the classes of the folder's files, imported from there: transformers would copy them into the user's cache."""
    from transformers import pipeline

    modeling, processing = (imported(folder / name) for name in (MODELING_FILE, PROCESSING_FILE))
    with quiet_transformers():
        model = modeling.ClipftForImageClassification.from_pretrained(folder)
        processor = processing.ClipftImageProcessor.from_pretrained(folder)
        classify = pipeline("image-classification", model=model.eval(), image_processor=processor, device="cpu")
    number_of: dict[str, int] = model.config.label2id

    def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
        rows = np.full((len(pictures), len(number_of)), np.nan)
        with quiet_transformers():
            for row, found in zip(rows, classify(list(pictures), top_k=None), strict=True):
                for one in found:
                    row[number_of[one["label"]]] = one["score"]
        return rows

    return answer


def imported(file: Path) -> Any:
    """The module in a file of an export."""
    name = f"clipft_export_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where transformers looks up a class's own file
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nothing but what was written stays there
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without its notes and bars, which are about its own affairs."""
    from transformers.utils import logging

    before, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(50)  # its errors too: it does not know a class that lies in a folder
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bars:
            logging.enable_progress_bar()


HF = Format(
    "hf",
    "a folder for transformers' image-classification pipeline, and the graphs that transformers.js loads",
    write,
    readers,
    USAGE,
    packages=("transformers", "torch", "pillow"),
    library="transformers",
    tags=("transformers.js", "onnx"),
    has_int8=True,
    why_not=why_not,
    require=require,
)
