from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.learning.networks.catalogue import (
    DEFAULT,
    DEFAULT_IF_SMALL,
    default_segmenter,
)
from napari_al.session.project.config import TrainingSettings
from napari_al.session.project.settings import (
    differences,
    make_config,
    merged,
    parse_assignments,
    read_settings,
    setting_rows,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(data_path: Path) -> DataFolder:
    return DataFolder.open(data_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.steps=50", {"training": {"steps": 50}}),
        ("training.device = cpu", {"training": {"device": "cpu"}}),
        ("training.keep_weights=false", {"training": {"keep_weights": False}}),
        ("targets.lcm_confidence=[0.9, 0.99]", {"targets": {"lcm_confidence": [0.9, 0.99]}}),
        ("oracle.confusions.car.van=2", {"oracle": {"confusions": {"car": {"van": 2}}}}),
        ("budget=7", {"budget": 7}),
    ],
)
def test_assignments(data: DataFolder, text: str, expected: dict[str, Any]) -> None:
    assert parse_assignments([text]) == expected
    make_config(data, expected, "classbal")


@pytest.mark.parametrize(
    ("assignments", "method", "message"),
    [
        (["budget"], "classbal", "NAME=VALUE"),
        (["=3"], "classbal", "NAME=VALUE"),
        (["budget=1", "budget.x=3"], "classbal", "was set to 1 before"),
        (["training.stepz=5"], "classbal", r"'training.stepz'; did you mean training.steps"),
        (["steps=5"], "classbal", "did you mean training.steps"),
        (["training.steps=0"], "classbal", "training.steps: .* greater than or equal to 1, got 0"),
        (["training.device=gpu"], "classbal", "'auto', 'cpu' or 'cuda', got 'gpu'"),
        (["oracle.error_rate=nan"], "classbal", "finite"),
        (["data=/elsewhere"], "classbal", "'data' cannot be set"),
        (["method.targets=partial"], "classbal", "cannot be made from dominant answers"),
        (["method.merginG=adaptive"], "classbal", "did you mean method.merging"),
        (["method=7"], None, "a name or a table of columns was expected, got 7"),
        (["method=[]"], "classbal", "a name or a table of columns was expected, got \\[\\]"),
        (["method.name=a\nb"], "classbal", "method.name: "),
        (["method.name="], "classbal", "method.name: "),
        (["seed=123456789012345678901234567890"], "classbal", "seed: .* less than"),
        (["training.steps=" + "[" * 100_000], "classbal", "training.steps: .* valid integer"),
        ([], "clasbal", "no method 'clasbal'; did you mean classbal"),
        ([], None, "name a method"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    data: DataFolder, assignments: list[str], method: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_config(data, parse_assignments(assignments), method)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.toml", 'budget = 9\n[method]\nmerging = "adaptive"\n[training]\nsteps = 5\n'),
        (
            "mine.json",
            '{"budget": 9, "method": {"merging": "adaptive"}, "training": {"steps": 5}}',
        ),
    ],
)
def test_a_file_makes_a_new_combination(
    data: DataFolder, tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    config = make_config(data, read_settings(path), "multi-class")
    assert (config.budget, config.training.steps) == (9, 5)
    assert (config.method.name, config.method.merging, config.method.acquisition) == (
        "mine",
        "adaptive",
        "pixbal",
    )


def test_a_file_may_name_a_row(data: DataFolder, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"method": "alc"}')
    assert make_config(data, read_settings(path)).method.name == "alc"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "budget = ", "not valid TOML"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", "[1]", "a table of settings was expected"),
        ("missing.toml", None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_settings(tmp_path / name)


def test_later_settings_win_leaf_by_leaf() -> None:
    first = {"budget": 1, "training": {"steps": 1, "device": "cpu"}}
    second = {"training": {"steps": 2}, "seed": 3}
    assert merged(first, second) == {
        "budget": 1,
        "training": {"steps": 2, "device": "cpu"},
        "seed": 3,
    }


def test_differences_name_the_settings(data: DataFolder) -> None:
    old = make_config(data, {}, "bvsb")
    new = make_config(data, {"training": {"steps": 5}, "seed": 1}, "bvsb")
    steps = TrainingSettings().steps
    assert differences(old, new) == ["seed: 0, not 1", f"training.steps: {steps}, not 5"]
    assert differences(old, old) == []


def test_small_images_are_seen_at_two_scales_unless_a_setting_says_otherwise(
    data: DataFolder,
) -> None:
    def segmenter(**training: object) -> str:
        return make_config(data, {"training": training}, "bvsb").training.segmenter

    assert make_config(data, {}, "bvsb").training.segmenter == DEFAULT_IF_SMALL
    assert segmenter(steps=5) == DEFAULT_IF_SMALL
    assert segmenter(frozen=False) == DEFAULT  # two scales are always frozen
    assert segmenter(segmenter="compact") == "compact"
    assert default_segmenter([(256, 512), (20, 20), (4000, 3000)]) == DEFAULT_IF_SMALL
    assert default_segmenter([(256, 513)]) == DEFAULT
    assert default_segmenter([(200, 200)] * 5_000) == DEFAULT_IF_SMALL
    assert default_segmenter([(200, 200)] * 5_001) == DEFAULT  # their encodings are over 4 GB


def test_every_setting_is_listed(data: DataFolder) -> None:
    names = [name for name, _, _ in setting_rows()]
    assert {"budget", "training.steps", "oracle.error_rate", "initial.source"} <= set(names)
    assert not any(name.startswith(("data", "classes", "method")) for name in names)
