"""What a report says beyond ``rounds.csv``, counted again pixel by pixel."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import QUICK_TRAINING, write_data, write_initial

from napari_al.core import IGNORE
from napari_al.core.metrics import achievable_segmentation_accuracy
from napari_al.errors import InputError
from napari_al.session.log.log import AnnotationLog
from napari_al.session.project.folder import Project
from napari_al.session.session import Session
from napari_al.simulate.curves import moved_apart
from napari_al.simulate.measures import Measures, measure
from napari_al.simulate.report import write_report
from napari_al.simulate.runner import run_simulation
from napari_al.simulate.studies import clicks_to_reach, read_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from napari_al.methods.queries import Answer

SMALL = {
    "budget": 8,
    "regions": {"n_per_image": 30},
    "training": {**QUICK_TRAINING, "steps": 3},
    "targets": {"lcm_confidence": [0.2]},
    "acquisition": {"epsilon": 0.01},
}
METHODS = ("adaptive-superpixel", "a2lc")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    folder = tmp_path_factory.mktemp("runs")
    data = write_initial(write_data(folder / "data"))
    for method in METHODS:
        run_simulation(data, method, n_rounds=3, out=folder / method, settings=SMALL)
    return {method: Project(folder / method, read_only=True) for method in METHODS}


@pytest.fixture(scope="module")
def measured(runs: dict[str, Project]) -> Callable[[str], Measures]:
    found = {method: measure(project) for method, project in runs.items()}
    return found.__getitem__


def truths(project: Project) -> dict[str, np.ndarray]:
    labels = (project.path / project.read_config().data / "train" / "labels").glob("*.png")
    return {path.stem: iio.imread(path) for path in labels}


def pixels_of(answer: Answer) -> Iterable[tuple[int, int]]:
    mask = answer.query.region.mask
    row0, col0, _, _ = mask.box
    for row, col in np.argwhere(mask.crop()).tolist():
        yield row0 + row, col0 + col


def answers_at(project: Project, round_number: int) -> tuple[Answer, ...]:
    with AnnotationLog(project.log_file, read_only=True) as log:
        return log.active(project.read_round(round_number)["log_seq"])


@pytest.mark.parametrize("method", METHODS)
def test_classes_asked_about(
    runs: dict[str, Project], measured: Callable[[str], Measures], method: str
) -> None:
    project = runs[method]
    truth = truths(project)
    pool = Counter(int(c) for labels in truth.values() for c in labels.flat)
    asked = Counter(
        int(truth[answer.query.region.image][pixel])
        for answer in answers_at(project, 3)
        for pixel in pixels_of(answer)
    )
    assert measured(method).pool.tolist() == [pool[c] for c in range(4)]
    assert measured(method).asked.tolist() == [asked[c] for c in range(4)]
    assert sum(asked.values())


def test_what_sieving_did(runs: dict[str, Project], measured: Callable[[str], Measures]) -> None:
    project = runs["adaptive-superpixel"]
    truth = truths(project)
    assert list(measured("adaptive-superpixel").sieve) == [1, 2, 3]
    for number, counts in measured("adaptive-superpixel").sieve.items():
        said: dict[tuple[str, tuple[int, int]], int] = {}
        for answer in answers_at(project, number):
            for pixel in pixels_of(answer):
                given_class = answer.class_ids[0] if answer.class_ids else IGNORE
                said[answer.query.region.image, pixel] = given_class
        targets = {
            image: iio.imread(project.target_file(number, image))
            for image in {image for image, _ in said}
        }
        expected = Counter[str]()
        for (image, pixel), class_id in said.items():
            true, target = truth[image][pixel], targets[image][pixel]
            if class_id != IGNORE != true:
                kept = "kept" if target != IGNORE else "removed"
                rightly = (target == true) if target != IGNORE else (class_id != true)
                expected.update({kept: 1, f"{kept}_rightly": int(rightly)})
        assert {k: v for k, v in counts._asdict().items() if v} == {
            k: v for k, v in expected.items() if v
        }
    assert measured("adaptive-superpixel").sieve[3].removed


def test_what_corrections_did(
    runs: dict[str, Project], measured: Callable[[str], Measures]
) -> None:
    project, measures = runs["a2lc"], measured("a2lc")
    initial = project.path / project.read_config().data / "train" / "initial_labels"
    truth = truths(project)
    now = {image: iio.imread(initial / f"{image}.png") for image in truth}

    def wrong() -> set[tuple[str, int, int]]:
        return {
            (image, *pixel)
            for image, labels in truth.items()
            for pixel in product(*map(range, labels.shape))
            if labels[pixel] not in (IGNORE, now[image][pixel])
        }

    with AnnotationLog(project.log_file, read_only=True) as log:
        corrections = log.corrections()
    assert corrections, "the example has automatic corrections"
    settled: set[tuple[str, int, int]] = set()
    for number in (1, 2, 3):
        answers = [a for a in answers_at(project, number) if a.query.round == number]
        automatic = [c for c in corrections if c.round == number]
        changes = [(a.query.region, a.class_ids[0] if a.class_ids else IGNORE) for a in answers]
        machine = [(c.region, c.new_class) for c in automatic]
        for counts, steps in ((measures.manual, changes), (measures.automatic, machine)):
            before, was = wrong(), {image: labels.copy() for image, labels in now.items()}
            for region, class_id in steps:
                row0, col0, _, _ = region.mask.box
                for row, col in np.argwhere(region.mask.crop()).tolist():
                    place = (region.image, row0 + row, col0 + col)
                    if counts is measures.manual:
                        settled.add(place)
                    elif place in settled:
                        continue
                    now[region.image][place[1:]] = class_id
            changed = [
                (image, *pixel)
                for image, labels in truth.items()
                for pixel in np.argwhere((now[image] != was[image]) & (labels != IGNORE)).tolist()
            ]
            after = wrong()
            assert counts[number].changed == len(changed)
            assert counts[number].mended == sum(place not in after for place in changed)
            assert counts[number].wrong == len(before)


def test_regions_before_and_after_merging(
    runs: dict[str, Project], measured: Callable[[str], Measures]
) -> None:
    project = runs["adaptive-superpixel"]
    truth = truths(project)
    qualities = measured("adaptive-superpixel").regions
    with Session.open(project.path, read_only=True) as session:
        maps = {image: session.region_map(image) for image in truth}
        merged = {image: session.asked_map(image) for image in truth}
    for round_number, region_maps in ((1, maps), (3, merged)):
        quality = qualities[round_number]
        n_regions = [len(np.unique(regions)) for regions in region_maps.values()]
        assert quality.n_per_image == pytest.approx(np.mean(n_regions))
        accuracies = [
            achievable_segmentation_accuracy(region_maps[image], truth[image]) for image in truth
        ]
        assert quality.achievable_accuracy == pytest.approx(np.mean(accuracies))
    assert qualities[3].n_per_image < qualities[1].n_per_image
    assert qualities[3].achievable_accuracy <= qualities[1].achievable_accuracy


def test_a_report_beside_somebody_who_annotates(runs: dict[str, Project], tmp_path: Path) -> None:
    with Session.open(runs["a2lc"].path) as session:
        page = write_report([session.project.path], tmp_path / "report").read_text()
    assert "Corrections: share of changed pixels" in page
    for name in ("curves", "corrections", "asked", "model_iou"):
        assert (tmp_path / "report" / f"{name}.csv").exists()


def test_a_report_without_ground_truth_says_so(runs: dict[str, Project], tmp_path: Path) -> None:
    path = runs["adaptive-superpixel"].path
    data = path / runs["adaptive-superpixel"].read_config().data
    labels, hidden = data / "train" / "labels", data / "hidden"
    labels.rename(hidden)
    try:
        with pytest.raises(InputError, match="ground truth"):
            measure(Project(path, read_only=True))
        page = write_report([path], tmp_path / "report").read_text()
    finally:
        hidden.rename(labels)
    assert "only rounds.csv is known" in page
    assert not (tmp_path / "report" / "asked.csv").exists()


@pytest.mark.parametrize(
    ("target", "clicks"), [(0.1, 0), (0.2, 0), (0.3, 50), (0.4, 100), (0.5, 250), (0.7, None)]
)
def test_clicks_to_reach(target: float, clicks: float | None) -> None:
    found = clicks_to_reach([0, 100, 200, 300], [0.2, 0.4, 0.3, 0.7 - 1e-9], target)
    assert found == (None if clicks is None else pytest.approx(clicks, abs=1e-4))


@given(
    heights=st.lists(st.floats(-10, 10), min_size=1, max_size=12).map(sorted),
    gap=st.floats(0.01, 3),
)
def test_names_do_not_overlap(heights: list[float], gap: float) -> None:
    moved = moved_apart(heights, gap)
    assert len(moved) == len(heights)
    assert np.all(np.diff(moved) >= gap - 1e-6)
    assert np.mean(moved) == pytest.approx(np.mean(heights), abs=1e-6)
    if np.all(np.diff(heights) >= gap):
        assert moved == pytest.approx(heights)


def test_a_report_has_the_classes_as_they_were_edited_last(tmp_path: Path) -> None:
    data, path = write_data(tmp_path / "data"), tmp_path / "run"
    run_simulation(data, "bvsb", n_rounds=1, out=path, settings=SMALL)
    with Session.open(path) as session:
        first, second, *others = session.config.classes
        gone = second.model_copy(update={"merged_into": first.id})
        session.edit_classes((first.model_copy(update={"name": "all else"}), gone, *others))
    run = read_run(path)
    assert run.config.classes[0].name == "all else"
    assert run.measures is not None
    truth = np.concatenate([t.ravel() for t in truths(Project(path)).values()])
    n_merged = int(np.isin(truth, (first.id, second.id)).sum())
    assert run.measures.pool[[first.id, second.id]].tolist() == [n_merged, 0]
