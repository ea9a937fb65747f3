"""Large images in tiles: the same as in one piece, where the network cannot see farther."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_al.learning import inference
from napari_al.learning.inference import (
    block_px,
    n_blocks,
    predict_blocks,
    predict_features,
    predict_probs,
)
from napari_al.learning.segmenter import Segmenter, build_segmenter

CPU = torch.device("cpu")


class _Trunk(torch.nn.Module):
    """Sees ``2 * reach + 1`` cells of its own grid, averaged."""

    n_features = 3

    def __init__(self, stride: int, multiple: int, reach: int) -> None:
        super().__init__()
        self.stride, self.multiple, self.reach = stride, multiple, reach

    def forward(self, images):
        pooled = torch.nn.functional.avg_pool2d(images, self.stride)
        return torch.nn.functional.avg_pool2d(pooled, 2 * self.reach + 1, 1, self.reach)


def near_sighted(stride: int, multiple: int, reach: int, classifier: str = "linear") -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(
        "near-sighted",
        _Trunk(stride, multiple, reach),
        3,
        4,
        classifier=classifier,
        temperature=0.1,
        mean=[0.0] * 3,
        std=[64.0] * 3,
    )


def use_small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MAX_WHOLE_PX": 0, "STEP_PX": 32, "MARGIN_PX": 12, "RAMP_PX": 8}.items():
        monkeypatch.setattr(inference, name, value)


def image_of(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def in_blocks(model: Segmenter, image: np.ndarray) -> torch.Tensor:
    """What the blocks make up; each pixel has to come once."""
    size = image.shape[:2]
    probs = torch.full((4, *size), torch.nan)
    for block in predict_blocks(model, lambda rows, cols: image[rows, cols], size, CPU):
        assert probs[:, block.rows, block.cols].isnan().all()
        probs[:, block.rows, block.cols] = block.probs
    return probs


@pytest.mark.parametrize("size", [(71, 97), (23, 250), (300, 20), (96, 64), (65, 33), (1, 1)])
@pytest.mark.parametrize(
    ("stride", "multiple", "reach"), [(1, 1, 12), (2, 2, 5), (4, 8, 2), (8, 16, 1), (7, 14, 1)]
)
def test_tiles_give_what_the_whole_image_gives(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], stride: int, multiple: int, reach: int
) -> None:
    model, image = near_sighted(stride, multiple, reach), image_of(*size)
    whole, features = predict_features(model, image, CPU)
    torch.testing.assert_close(in_blocks(model, image), whole)
    use_small_tiles(monkeypatch)
    tiled, tiled_features = predict_features(model, image, CPU)
    torch.testing.assert_close(tiled_features, features)
    torch.testing.assert_close(tiled, whole)
    torch.testing.assert_close(in_blocks(model, image), whole)


def test_blocks_come_row_by_row_in_squares_that_tiff_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_small_tiles(monkeypatch)
    model = near_sighted(2, 2, 1)
    side = block_px(model)
    assert side % 16 == 0
    blocks = predict_blocks(model, lambda *part: image_of(70, 100)[part], (70, 100), CPU)
    places = [(block.rows.start, block.cols.start) for block in blocks]
    assert places == [(y, x) for y in range(0, 70, side) for x in range(0, 100, side)]
    assert len(places) == n_blocks(model, (70, 100))


def test_only_tiles_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_tiles(monkeypatch)
    model, image, largest = near_sighted(2, 2, 1), image_of(200, 200), 0

    def read(rows: slice, cols: slice) -> np.ndarray:
        nonlocal largest
        pixels = image[rows, cols]
        largest = max(largest, pixels.shape[0] * pixels.shape[1])
        return pixels

    assert sum(1 for _ in predict_blocks(model, read, (200, 200), CPU)) == 49
    assert largest == (32 + 8 + 2 * 12) ** 2


def test_tiles_of_a_network_with_context_stay_close(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_segmenter("compact", 3, 4, mean=[100.0] * 3, std=[50.0] * 3, seed=0)
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 255, (12, 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    whole = predict_probs(model, image, CPU)
    monkeypatch.setattr(inference, "MAX_WHOLE_PX", 1)
    monkeypatch.setattr(inference, "STEP_PX", 64)
    tiled = predict_probs(model, image, CPU)
    assert (tiled - whole).abs().mean() < 0.02
    torch.testing.assert_close(in_blocks(model, image), tiled)


def test_a_consumer_between_blocks_may_still_learn() -> None:
    model = near_sighted(1, 1, 0)
    for _ in predict_blocks(model, lambda *part: image_of(9, 9)[part], (9, 9), CPU):
        assert torch.is_grad_enabled()
