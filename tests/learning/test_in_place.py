"""A block of a picture gives what the picture gives there."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from napari_al.core.geometry.in_place import InPlace
from napari_al.learning import inference
from napari_al.learning.in_place import around, of_block
from napari_al.learning.inference import (
    encode,
    predict_blocks,
    predict_encoded,
    predict_features,
)
from napari_al.learning.segmenter import Segmenter, build_segmenter

CPU = torch.device("cpu")
SHAPE = (250, 190)
IMAGE = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), np.uint8)
BLOCKS = [(0, 64, 0, 64), (64, 192, 128, 190), (192, 250, 0, 96), (0, 250, 64, 190)]


def block_of(top: int, bottom: int, left: int, right: int) -> InPlace:
    return InPlace(
        lambda rows, cols: IMAGE[rows, cols], SHAPE, slice(top, bottom), slice(left, right)
    )


def model_of(name: str) -> Segmenter:
    options = {"frozen": True, "n_members": 2} if name != "compact" else {}
    model = build_segmenter(name, 3, 4, mean=[120.0] * 3, std=[60.0] * 3, seed=0, **options)
    return model.eval()


@pytest.mark.parametrize("name", ["efficientnet-lite0", "filters", "compact"])
@pytest.mark.parametrize("box", BLOCKS)
def test_a_block_is_as_in_the_whole_picture(
    name: str, box: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "STEP_PX", 64)
    model, block = model_of(name), block_of(*box)
    probs, features = predict_features(model, IMAGE, CPU)
    rows, cols = block.rows, block.cols
    of_rows, of_cols = (
        slice(span.start // model.stride, -(-span.stop // model.stride)) for span in (rows, cols)
    )
    found, found_features = predict_features(model, block, CPU)
    close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-4)
    close(found, probs[:, rows, cols])
    close(found_features, features[:, of_rows, of_cols])
    if model.frozen is None:
        return
    maps = encode(model, block, CPU)
    again, _ = predict_encoded(model, maps, block, CPU)
    close(again, found)
    outer = around(model, block)
    assert [part.shape[1:] for part in maps] == [
        tuple(-(-(span.stop - span.start) // stride) for span in outer)
        for stride in model.frozen.strides
    ]
    whole = encode(model, IMAGE, CPU)
    for part, of_picture, stride in zip(
        of_block(maps, model.frozen.strides, model, block), whole, model.frozen.strides, strict=True
    ):
        inner = (slice(span.start // stride, -(-span.stop // stride)) for span in (rows, cols))
        close(part, of_picture[(slice(None), *inner)])


def test_squares_of_a_large_picture_are_as_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """With EfficientNet-Lite, the default, which sees 425 pixels to each side."""
    model = model_of("efficientnet-lite0")
    size = (96, 1200)
    image = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    probs, _ = predict_features(model, image, CPU)
    for name, value in {"MAX_WHOLE_PX": 0, "LARGE_PX": 0, "STEP_PX": 512}.items():
        monkeypatch.setattr(inference, name, value)
    seen: list[int] = []

    def read(rows: slice, cols: slice) -> np.ndarray:
        seen.append(cols.stop - cols.start)
        return image[rows, cols]

    for block in predict_blocks(model, read, size, CPU):
        expected = probs[:, block.rows, block.cols]
        torch.testing.assert_close(block.probs, expected, atol=1e-5, rtol=1e-4)
    assert seen == [512 + 32 + 448, 1200 - 32, 1200 - 1024 + 32 + 448]
