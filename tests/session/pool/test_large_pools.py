"""Pools that are read and ordered by parts give what they give as a whole."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scenes import project_config

from napari_al.core import acquisition
from napari_al.methods import pool_scores as pool_scores_module
from napari_al.methods.pool_scores import pool_scores
from napari_al.session.pool import order
from napari_al.session.pool.order import ModelScores, Pool
from napari_al.session.pool.row_store import RowStore
from napari_al.session.pool.scores import PoolScores
from napari_al.session.project import cache_files
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = {f"i{number}": (10, 20) for number in range(6)}


def made_scores(seed: int, n_images: int = 6, per_image: int = 7) -> PoolScores:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 9, n_images * per_image).astype(np.float64)  # many ties
    score[rng.random(len(score)) < 0.1] = -np.inf
    return PoolScores(
        images=tuple(SHAPES)[:n_images],
        shapes=np.full((n_images, 2), (10, 20), np.int32),
        image_index=np.repeat(np.arange(n_images, dtype=np.int32), per_image),
        region_id=np.tile(np.arange(per_image, dtype=np.int32), n_images),
        score=score,
    )


@pytest.mark.parametrize("by_image", [False, True])
@pytest.mark.parametrize("n_parts", [1, 2])
def test_the_order_is_the_same_however_far_it_is_worked_out(
    data_path: Path, monkeypatch: pytest.MonkeyPatch, by_image: bool, n_parts: int
) -> None:
    config = project_config(data_path, acquisition={"order": "image" if by_image else "score"})
    parts = [ModelScores(1, made_scores(1)), ModelScores(2, made_scores(2, 3))][:n_parts]
    whole = Pool(parts, SHAPES, config)
    expected = whole.order.tolist()
    assert len(whole) == len(expected)
    for module, name, n in ((order, "N_AHEAD", 4), (acquisition, "BLOCK_ROWS", 5)):
        monkeypatch.setattr(module, name, n)
    bit_by_bit = Pool(parts, SHAPES, config)
    assert len(bit_by_bit.first(1)) == 1
    assert list(islice(bit_by_bit.rows(2), 9)) == expected[2:11]
    assert list(bit_by_bit.rows()) == expected
    for image in SHAPES:
        own = [row for row in expected if whole.image(row) == image]
        ranked = whole.rows_of(image).tolist()
        assert sorted(ranked) == sorted(own)
        if not by_image:
            assert ranked == own
        part, own_row = whole.locate(ranked[-1])
        assert whole.row_of(image, [int(part.scores.region_id[own_row])]) == ranked[-1]
    drawn = set(whole.draw(np.random.default_rng(0), 2000))
    assert drawn == set(expected)


@pytest.mark.parametrize("method", ["classbal", "adaptive-superpixel", "multi-class", "a2lc"])
def test_a_pool_is_scored_block_by_block(
    data_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    rng, n = np.random.default_rng(0), 50
    config = project_config(data_path, method)
    columns: dict[str, Any] = {
        "mean_bvsb": rng.random(n, np.float32),
        "dominant": rng.integers(0, 4, n),
        "size": rng.integers(1, 9, n),
        "mean_probs": rng.random((n, 4), np.float32),
        "bvsb_by_class": rng.random((n, 4), np.float32),
        "similarity_cil_by_class": rng.random((n, 5), np.float32),
        "label_histogram": rng.integers(0, 9, (n, 5)),
        "queried": rng.random(n) < 0.3,
    }
    whole = pool_scores(columns, config)
    with RowStore(tmp_path) as store:
        store.append("a", {name: values[:20] for name, values in columns.items()})
        store.append("b", {name: values[20:] for name, values in columns.items()})
        mapped = {name: store.column(name) for name in store.columns}
        out = store.new_column(np.float64, "size")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(pool_scores_module, "BLOCK_ROWS", 7)
    assert pool_scores(mapped, config, out) is out
    np.testing.assert_allclose(out, whole, rtol=1e-12)


def test_rows_come_back_in_the_order_of_the_images(tmp_path: Path) -> None:
    with RowStore(tmp_path) as store:
        for image, n in (("b", 2), ("c", 0), ("a", 3)):
            store.append(image, {"x": np.full((n, 2), ord(image)), "group": np.arange(n + 1)})
        with store.in_order(["a", "b", "c", "d"]) as ordered:
            assert ordered.images == ["a", "b", "c"]
            assert ordered.column("x")[:, 0].tolist() == [97, 97, 97, 98, 98]
            assert ordered.column("group").tolist() == [0, 1, 2, 3, 0, 1, 2, 0]
            assert ordered.lengths("x").tolist() == [3, 2, 0]
    (tmp_path / "file").touch()
    with RowStore(tmp_path / "file") as store, pytest.raises(WriteError):
        store.append("a", {"x": np.zeros(3)})


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file could not be replaced there")
def test_large_scores_are_mapped_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, path = made_scores(3), tmp_path / "scores"
    scores.save(path)
    monkeypatch.setattr(cache_files, "MAPPED_BYTES", 0)
    mapped = PoolScores.load(path)
    assert mapped is not None
    assert isinstance(mapped.score, np.memmap)
    for name in ("shapes", "image_index", "region_id", "score"):
        np.testing.assert_array_equal(getattr(mapped, name), getattr(scores, name))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    (tmp_path / "damaged").write_bytes(bytes(data))
    assert PoolScores.load(tmp_path / "damaged") is None
