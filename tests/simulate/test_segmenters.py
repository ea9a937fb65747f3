"""Every segmenter through whole rounds, with the methods that use features too."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from scenes import write_data, write_initial
from tiny_backbones import TINY, write_backbone

from napari_al.errors import InputError
from napari_al.learning.weights import load_segmenter
from napari_al.session.log.snapshot import open_snapshot
from napari_al.session.rounds.encodings import Predictor
from napari_al.session.rounds.job_context import JobContext
from napari_al.simulate.runner import run_simulation

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {
    "budget": 6,
    "regions": {"n_per_image": 12},
    "training": {"steps": 2, "batch_size": 2, "crop_px": 32, "threads": 1},
}
CASES = [
    ("filters", False, "multi-class"),
    ("filters", False, "a2lc"),
    ("filters", False, "adaptive-superpixel"),
    *((name, False, "multi-class") for name in TINY),
    *((name, False, "a2lc") for name in TINY),
    *((name, True, "multi-class") for name in TINY),
]


@pytest.fixture(scope="module")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("backbones")
    return {name: write_backbone(name, folder / name) for name in TINY}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_initial(write_data(tmp_path_factory.mktemp("data") / "data", n_train=3, n_val=1))


def settings(name: str, backbones: dict[str, Path], **training: object) -> dict[str, object]:
    chosen = {"segmenter": name, "weights": str(backbones.get(name, "pretrained"))}
    return SMALL | {"training": {**SMALL["training"], **chosen, **training}}


@pytest.mark.parametrize(("name", "frozen", "method"), CASES)
def test_trains_and_scores(
    name: str,
    frozen: bool,
    method: str,
    data: Path,
    backbones: dict[str, Path],
    tmp_path: Path,
) -> None:
    changed = settings(name, backbones, frozen=frozen)
    rows = run_simulation(data, method, n_rounds=2, out=tmp_path / "run", settings=changed)
    assert rows[-1]["round"] == "2"
    assert all(0 <= float(row["model_miou"]) <= 1 for row in rows)
    assert load_segmenter(tmp_path / "run" / "models" / "round_02.safetensors").name == name
    kept = list((tmp_path / "run" / "cache").glob("encodings/*/*/*.safetensors"))
    assert len(kept) == (4 if frozen or name == "filters" else 0)


def test_weights_that_are_missing_are_found_out_at_once(data: Path, tmp_path: Path) -> None:
    changed = settings("dinov2-small", {"dinov2-small": tmp_path / "no" / "such" / "folder"})
    with pytest.raises(InputError, match=r"training\.weights"):
        run_simulation(data, "bvsb", n_rounds=1, out=tmp_path / "run", settings=changed)
    assert not (tmp_path / "run").exists()


# ---- what is kept of a frozen encoder


@pytest.fixture
def predictor(data: Path, tmp_path: Path) -> Predictor:
    run_simulation(data, "bvsb", n_rounds=1, out=tmp_path / "run", settings=settings("filters", {}))
    work = JobContext(open_snapshot(tmp_path / "run", 0), 1)
    return Predictor(work, work.snapshot.load_model(1))


def files(predictor: Predictor) -> list[Path]:
    found = predictor.encodings._folder.rglob("*.safetensors")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("harm", ["none", "deleted", "emptied", "cut", "of another size"])
def test_the_cache_may_be_harmed(predictor: Predictor, harm: str) -> None:
    before = predictor.probs("scene_0")
    (path,) = (path for path in files(predictor) if "train/scene_0" in path.as_posix())
    content = path.read_bytes()
    if harm == "deleted":
        shutil.rmtree(predictor.encodings._folder)
    elif harm == "emptied":
        path.write_bytes(b"")
    elif harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "of another size":
        path.write_bytes(content.replace(b"[84,12,16]", b"[84,16,12]"))
    torch.testing.assert_close(predictor.probs("scene_0"), before)
    assert path.read_bytes() == content


def test_the_cache_is_bounded_and_drops_the_oldest(predictor: Predictor) -> None:
    encodings = predictor.encodings
    shutil.rmtree(encodings._folder)
    encodings._n_bytes = None
    size = 0
    for image in ("scene_0", "scene_1", "scene_2"):
        encodings(image)
        newest = files(predictor)[-1]
        os.utime(newest, (size, size))  # in the order of writing, however fast that was
        size = size or newest.stat().st_size
        encodings._max_bytes = 2.5 * size
    assert [path.name.split(".")[0] for path in files(predictor)] == ["scene_1", "scene_2"]


def test_another_normalisation_has_files_of_its_own(predictor: Predictor) -> None:
    n_before = len(files(predictor))
    predictor.segmenter.mean += 1
    other = Predictor(predictor._work, predictor.segmenter)
    other.probs("scene_0")
    assert len(files(predictor)) == n_before + 1
