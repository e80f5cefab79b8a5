"""From the files of each format to a prediction: prepare, train, evaluate, predict."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from small_pictures import picture, save_picture

import clipft_cli as clipft

LABELS = ("cat", "dog")
SPLITS = ("train", "valid", "test")


def pictures(folder: str, n: int, start: int) -> list[tuple[str, str]]:
    return [(save_picture(Path(folder, f"{start + i}.jpg"), start + i).name, LABELS[i % 2]) for i in range(n)]


def write(path: str, lines: list[str]) -> None:
    Path(path).write_text("\n".join(lines) + "\n")


def coco() -> str:
    found = pictures("set/images", 20, 0)
    content = {
        "images": [{"id": i, "file_name": name} for i, (name, _) in enumerate(found)],
        "annotations": [{"id": i, "image_id": i, "category_id": LABELS.index(x)} for i, (_, x) in enumerate(found)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(LABELS)],
    }
    write("set/annotations.json", [json.dumps(content)])
    return "set/annotations.json"


def roboflow() -> str:
    for k, split in enumerate(SPLITS):
        rows = [f"{name}, {int(x == 'cat')}, {int(x == 'dog')}" for name, x in pictures(f"set/{split}", 6, 100 * k)]
        write(f"set/{split}/_classes.csv", ["filename, cat, dog", *rows])
    return "set"


def imagefolder() -> str:
    for k, split in enumerate(SPLITS):
        rows = [json.dumps({"file_name": name, "label": x}) for name, x in pictures(f"set/{split}", 6, 100 * k)]
        write(f"set/{split}/metadata.jsonl", rows)
    return "set"


def parquet() -> str:
    pyarrow, arrow_parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    about = {"info": {"features": {"label": {"names": LABELS, "_type": "ClassLabel"}}}}
    Path("set/data").mkdir(parents=True)
    for k, split in enumerate(SPLITS):
        rows = [{"image": {"bytes": png(100 * k + i), "path": None}, "label": i % 2} for i in range(6)]
        stored = pyarrow.Table.from_pylist(rows).replace_schema_metadata({"huggingface": json.dumps(about)})
        arrow_parquet.write_table(stored, f"set/data/{split}-00000-of-00001.parquet")
    return "set"


def webdataset() -> str:
    Path("set").mkdir()
    for k, split in enumerate(SPLITS):
        with tarfile.open(f"set/{split}-0000.tar", "w") as tar:
            for i in range(6):
                for end, content in (("png", png(100 * k + i)), ("cls", LABELS[i % 2].encode())):
                    info = tarfile.TarInfo(f"{i:04d}.{end}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return "set"


def competition() -> str:
    rows = [f"{Path(name).stem},{label}" for name, label in pictures("set/train", 20, 0)]
    pictures("set/test", 4, 500)
    write("set/train.csv", ["id,breed", *rows])
    write("set/sample_submission.csv", ["id,cat,dog"])
    return "set"


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("made", [coco, roboflow, imagefolder, parquet, webdataset, competition])
def test_what_a_format_holds_can_be_trained_on(
    made: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = clipft.PrepareConfig(prepare=clipft.PrepareOptions(source=made(), output_dir=Path("data")))
    data = clipft.prepare(config)
    assert [info.name for info in data.classes] == list(LABELS)
    keeps_splits = made not in (coco, competition)
    assert data.counts == ({"train": 6, "val": 6, "test": 6} if keeps_splits else {"train": 14, "val": 4, "test": 2})
    training = {"training": {"num_epochs": 1}, "model": {"name": "clipft-tiny"}}
    settings = {"method": "linear_probe", "data": {"dir": "data"}, "output_dir": "run", **training}
    run = clipft.train(clipft.TrainConfig.model_validate(settings)).run_dir
    measured = clipft.evaluate(clipft.EvaluateConfig(evaluate=clipft.EvaluateOptions(checkpoint=run)))
    assert len(measured.scores.labels) == data.counts["test"]
    image = next(path for path in sorted(Path("data/test").rglob("*")) if path.is_file())
    (answer,) = clipft.load(run).predict([image])
    assert {one.name for one in answer.answers} == set(LABELS)
