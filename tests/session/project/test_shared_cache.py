"""Runs on the same data share encodings and base regions by hard links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.formats.dataset import DataFolder
from napari_al.session.project.settings import make_config
from napari_al.session.project.shared_cache import SharedCache
from tests.scenes import write_data

if TYPE_CHECKING:
    from pathlib import Path


def shared_cache(folder: Path, data: Path, **settings: object) -> SharedCache:
    opened = DataFolder.open(data)
    return SharedCache(folder, opened, make_config(opened, settings, "classbal"))


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_what_one_run_made_another_has(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    first, second = tmp_path / "1", tmp_path / "2"
    write(first / "encodings/k/train/a.maps.safetensors", "maps")
    write(first / "regions/a.png", "regions")
    write(first / "scores/round_00.safetensors", "not shared")
    write(first / "regions" / f".{'0' * 32}.tmp", "half written")
    shared_cache(tmp_path / "shared", data).take(first)
    write(second / "regions/a.png", "its own")
    shared_cache(tmp_path / "shared", data).give(second)
    assert files(second) == {"encodings/k/train/a.maps.safetensors", "regions/a.png"}
    assert (second / "encodings/k/train/a.maps.safetensors").read_text() == "maps"
    assert (second / "regions/a.png").read_text() == "its own"


def test_other_regions_and_other_images_are_apart(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    first = tmp_path / "1"
    write(first / "encodings/a", "maps")
    write(first / "regions/a.png", "regions")
    shared_cache(tmp_path / "shared", data).take(first)
    shared_cache(tmp_path / "shared", data, regions={"n_per_image": 9}).give(tmp_path / "2")
    assert files(tmp_path / "2") == {"encodings/a"}
    image = next((data / "train" / "images").iterdir())
    image.touch()
    shared_cache(tmp_path / "shared", data).give(tmp_path / "3")
    assert files(tmp_path / "3") == set()
