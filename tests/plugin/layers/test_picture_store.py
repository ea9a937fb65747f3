"""Pictures as displayed, and the cache of them."""

import queue

import numpy as np
import pytest
from scenes import project_config

from napari_al.plugin.layers import picture_store
from napari_al.session.session import Session


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("n_channels", "shape"), [(1, (9, 8)), (2, (9, 8, 3)), (3, (9, 8, 3)), (7, (9, 8, 3))]
)
def test_displayed_is_8_bit_but_for_one_channel(dtype, n_channels, shape):
    rng = np.random.default_rng(0)
    pixels = (rng.random((9, 8, n_channels)) * 255).astype(dtype)
    shown = picture_store.displayed(pixels)
    assert shown.shape == shape
    assert shown.dtype == (dtype if n_channels == 1 else np.uint8)
    assert shown.min() < 20
    assert shown.max() > 200


def test_a_flat_float_image_is_displayed():
    assert picture_store.displayed(np.full((4, 4, 1), np.nan, np.float32)).max() == 0


def test_outdated_pictures_are_not_kept(data_path, tmp_path):
    calls, ready = queue.Queue(), []
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        store = picture_store.PictureStore(session, calls.put, lambda key, _: ready.append(key))
        image = session.data.train[0]
        new, old = (picture_store.Key(image, "answers", (0, stamp)) for stamp in (1, 0))
        for key in (new, old):
            store.request(key)
            calls.get(timeout=60)()
        assert store.is_ready(new)
        assert not store.is_ready(old)
        assert ready == [new]
        newest = picture_store.Key(image, "answers", (1, 0))
        store.request(newest)
        calls.get(timeout=60)()
        assert list(store._kept) == [newest]
        assert store._n_bytes == store.get(newest).nbytes
        store.close()


def test_each_channel_is_stretched_by_its_own_range():
    rng = np.random.default_rng(0)
    pixels = rng.normal(30000, 3000, (40, 40, 2))
    pixels[:20, :, 1], pixels[20:, :, 1] = 150, 500
    shown = picture_store.displayed(pixels.clip(0, 65535).astype(np.uint16)).astype(int)
    assert (shown[..., 0] == shown[..., 2]).all(), "the first channel is magenta"
    assert shown[20:, :, 1].mean() - shown[:20, :, 1].mean() > 200
