"""The sample data: what the script draws, hard enough, and small."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

from napari_al.core import IGNORE
from napari_al.formats.dataset import DataFolder
from napari_al.formats.sample import sample_data_path

SCRIPT = Path(__file__).parents[1] / "sample_data" / "draw.py"


def test_it_is_what_the_script_draws(tmp_path: Path) -> None:
    runpy.run_path(str(SCRIPT))["write"](tmp_path / "drawn", n_train=2, n_val=1)
    drawn, shipped = DataFolder.open(tmp_path / "drawn"), DataFolder.open(sample_data_path())
    for name in drawn.train:
        np.testing.assert_array_equal(drawn.labels(name), shipped.labels(name))
        np.testing.assert_array_equal(drawn.initial_labels(name), shipped.initial_labels(name))
        np.testing.assert_array_equal(drawn.masks(name), shipped.masks(name))
        # JPEG libraries may round differently
        difference = drawn.image(name).astype(int) - shipped.image(name)
        assert abs(difference).max() <= 8


def test_it_is_complete_long_tailed_and_wrong_in_places() -> None:
    data = DataFolder.open(sample_data_path())
    assert 7 <= data.n_classes <= 9
    assert data.has_labels
    assert data.has_initial_labels
    assert data.has_masks
    assert data.has_val
    counts = np.zeros(data.n_classes)
    n_wrong = n_labelled = 0
    for name in data.train:
        truth, initial = data.labels(name), data.initial_labels(name)
        counts += np.bincount(truth[truth != IGNORE], minlength=data.n_classes)
        both = (truth != IGNORE) & (initial != IGNORE)
        n_wrong += int((truth != initial)[both].sum())
        n_labelled += int(both.sum())
    share = np.sort(counts / counts.sum())
    assert share[0] < 0.01 < 0.2 < share[-1]
    assert 0.05 < n_wrong / n_labelled < 0.5
    size = sum(path.stat().st_size for path in sample_data_path().rglob("*") if path.is_file())
    assert size < 8e6
