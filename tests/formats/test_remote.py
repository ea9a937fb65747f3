"""Data folders at an address: the same results, what is read is fetched, nothing unasked."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_al.errors import InputError
from napari_al.formats import remote
from napari_al.formats.dataset import DataFolder
from napari_al.formats.remote import address_in, address_of
from napari_al.session.session import Session
from napari_al.simulate.runner import run_simulation
from napari_al.tools.relocate import relocate

if TYPE_CHECKING:
    from collections.abc import Iterator

fsspec = pytest.importorskip("fsspec")
SETTINGS = {"budget": 4, "training": {"segmenter": "filters", "steps": 2, "threads": 1}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    remote.local_folder.cache_clear()
    yield tmp_path / "cache" / "napari-al" / "remote"
    remote.local_folder.cache_clear()


@pytest.fixture
def in_memory(data_path: Path) -> Iterator[str]:
    files = fsspec.filesystem("memory")
    files.put(str(data_path), "/bucket/data", recursive=True)
    yield "memory:///bucket/data"
    files.rm("/bucket", recursive=True)


def fetched(folder: Path) -> set[str]:
    found = (p for p in folder.rglob("*") if p.is_file() and not p.stat().st_mode & 0o200)
    return {path.relative_to(folder).as_posix() for path in found}


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (Path("s3://bucket/a/b"), "s3://bucket/a/b"),
        (Path("memory:///bucket/data"), "memory:///bucket/data"),
        ("https://host/data", "https://host/data"),
        ("/local/folder", None),
        ("C:/data", None),
        ("relative/s3:/x", None),
    ],
)
def test_an_address_is_told_from_a_path(given: Path | str, address: str | None) -> None:
    assert address_in(given) == address


def test_what_is_read_is_fetched_and_equals_the_file(in_memory: str, data_path: Path) -> None:
    data = DataFolder.open(Path(in_memory), check_labels=False)
    there = DataFolder.open(data_path)
    assert (data.train, data.val, data.classes) == (there.train, there.val, there.classes)
    assert address_of(data.path) == in_memory
    read = fetched(data.path)
    assert "classes.json" in read
    assert not any("labels" in name for name in read)
    np.testing.assert_array_equal(data.labels("scene_2"), there.labels("scene_2"))
    np.testing.assert_array_equal(data.image("scene_2"), there.image("scene_2"))
    assert fetched(data.path) - read == {"train/labels/scene_2.png"}


def test_a_run_on_an_address_equals_one_on_the_folder_and_another_machine_is_asked_first(
    data_path: Path, tmp_path: Path, cache: Path
) -> None:
    address, rows = f"file://{data_path}", []
    for place, out in ((data_path, tmp_path / "here"), (Path(address), tmp_path / "there")):
        run_simulation(place, "random", n_rounds=1, out=out, seed=1, settings=SETTINGS)
        with (out / "rounds.csv").open() as file:
            read = csv.DictReader(file)
            rows.append([{k: v for k, v in r.items() if not k.endswith("_s")} for r in read])
    assert rows[0] == rows[1]
    with Session.open(tmp_path / "there") as session:
        assert address_of(session.data.path) == address
    cache.rename(cache.with_name("away"))  # another machine
    remote.local_folder.cache_clear()
    with pytest.raises(InputError, match="was not named on this machine yet: napari-al relocate"):
        Session.open(tmp_path / "there")
    assert relocate(tmp_path / "there", Path(address)) == 7
    with Session.open(tmp_path / "there") as session:
        assert session.project.read_config().data == address


def test_an_address_that_cannot_be_used_says_why(in_memory: str) -> None:
    for wrong, reason in (
        ("memory:///bucket/none", "memory:///bucket/none"),
        ("nonsense://bucket/data", "nonsense"),
    ):
        with pytest.raises(InputError, match=reason):
            DataFolder.open(Path(wrong))
    data = DataFolder.open(Path(in_memory), check_labels=False)
    files = fsspec.filesystem("memory")
    files.pipe("/bucket/data/train/labels/scene_0.png", b"another")
    files.rm("/bucket/data/train/labels/scene_1.png")
    with pytest.raises(InputError, match="has changed since it was listed"):
        data.labels("scene_0")
    with pytest.raises(InputError, match="cannot be read"):
        data.labels("scene_1")


def test_ome_zarr_at_an_address_is_fetched(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    pixels = np.random.default_rng(0).integers(0, 250, (40, 50)).astype(np.uint8)
    group = zarr.open_group(tmp_path / "data/images/a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=pixels, chunks=(16, 16))
    group.attrs["multiscales"] = [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]
    (tmp_path / "data/classes.json").write_text('[{"id": 0, "name": "a"}]')
    files = fsspec.filesystem("memory")
    files.put(str(tmp_path / "data"), "/zarrs/data", recursive=True)
    data = DataFolder.open(Path("memory:///zarrs/data"))
    np.testing.assert_array_equal(data.image("a")[..., 0], pixels)
    files.rm("/zarrs", recursive=True)
