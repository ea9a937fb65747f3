from __future__ import annotations

import csv
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import scenes

from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo
from napari_al.formats.dataset import DataFolder
from napari_al.session.log.history import ClassEdit
from napari_al.session.log.log import AnnotationLog
from napari_al.session.project.config import TrainingSettings
from napari_al.session.project.folder import Project
from napari_al.session.project.settings import make_config
from napari_al.session.session import Session
from napari_al.simulate import measures
from napari_al.simulate.measures import RegionQuality
from napari_al.simulate.report import write_report
from napari_al.simulate.studies import headline, read_run, studies_of
from napari_al.simulate.supervised import SUPERVISED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_al.methods.table import Method


def write_run(
    path: Path,
    data: DataFolder,
    method: str | Method,
    seed: int,
    mious: Sequence[float | None],
    **settings: Any,
) -> Path:
    """A project as a run leaves it, with these model mIoUs; seeds spend 100 + seed clicks."""
    project = Project.create(path, make_config(data, {"seed": seed, **settings}, method))
    for number, miou in enumerate(mious, start=1):
        project.append_round(
            {
                "round": number,
                "queries": 100 * number,
                "clicks": (100 + seed) * number,
                "class_clicks": (100 + seed) * number,
                "polygon_clicks": 0,
                "intersection_clicks": 0,
                "model_miou": miou,
                "data_miou": 0.5,
                "data_coverage": 0.1,
                "n_regions": 1000,
                "train_s": 2.0,
                "score_s": 1.0,
                "select_s": 0.1,
                "seed": seed,
                "method": project.read_config().method.name,
            }
        )
    return path


@pytest.fixture
def data(data_path: Path) -> DataFolder:
    return DataFolder.open(data_path)


def test_means_and_spreads_over_seeds(tmp_path: Path, data: DataFolder) -> None:
    runs = [
        write_run(tmp_path / "a", data, "classbal", 0, [0.2, 0.4]),
        write_run(tmp_path / "b", data, "classbal", 2, [0.4, 0.5]),
        write_run(tmp_path / "c", data, "random", 0, [0.1, None]),
    ]
    page = write_report([*runs, runs[0]], tmp_path / "report")
    with (tmp_path / "report" / "curves.csv").open() as file:
        rows = {(row["method"], row["round"]): row for row in csv.DictReader(file)}
    assert rows["classbal", "1"]["seeds"] == "2"
    assert float(rows["classbal", "1"]["clicks"]) == 101
    assert float(rows["classbal", "1"]["model mIoU"]) == pytest.approx(0.3)
    assert float(rows["classbal", "1"]["model mIoU std"]) == pytest.approx(0.02**0.5, abs=1e-5)
    assert rows["random", "1"]["model mIoU std"] == ""
    assert rows["random", "2"]["model mIoU"] == "", "not known is an empty field, never 0"
    text = page.read_text()
    assert "0.300 ± 0.141" in text
    sources = re.findall(r'(?:src|href)="([^"]{,40})', text)
    assert sources, "pictures are inside"
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert (tmp_path / "report" / "curves.png").stat().st_size > 10_000
    assert "adaptive" not in (tmp_path / "report" / "curves.svg").read_text()
    assert "classbal" in (tmp_path / "report" / "curves.svg").read_text()


def test_prequential_accuracy_is_drawn_where_it_is_known(tmp_path: Path, data: DataFolder) -> None:
    run = write_run(tmp_path / "a", data, "classbal", 0, [0.2, 0.4, 0.5])
    write_report([run], tmp_path / "without")
    assert not (tmp_path / "without" / "prequential.png").exists()
    project = Project.open(run)
    for row, share in zip(project.read_rounds()[1:], (0.6, 0.7), strict=True):
        project.append_round({**row, "prequential_accuracy": share})
    page = write_report([run], tmp_path / "report")
    assert "answers that the model predicted" in page.read_text()
    assert "prequential accuracy" in (tmp_path / "report" / "prequential.svg").read_text()
    with (tmp_path / "report" / "curves.csv").open() as file:
        known = [row["prequential accuracy"] for row in csv.DictReader(file)]
    assert known == ["", "0.6", "0.7"]


def test_beside_the_fully_supervised_run(tmp_path: Path, data: DataFolder) -> None:
    runs = [
        write_run(tmp_path / "all", data, SUPERVISED, 0, [0.5, 0.8]),
        write_run(tmp_path / "few", data, "classbal", 0, [0.6, 0.77]),
        write_run(tmp_path / "other", data, "bvsb", 0, [0.9], training={"steps": 7}),
    ]
    page = write_report(runs, tmp_path / "report")
    with (tmp_path / "report" / "reach.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["method"] == "classbal", "the other was not trained alike"
    assert float(row["clicks to reach 90%"]) == pytest.approx(100 + 100 * 0.12 / 0.17, rel=1e-5)
    assert float(row["clicks to reach 95%"]) == pytest.approx(100 + 100 * 0.16 / 0.17, rel=1e-5)
    assert float(row["share of all labels' mIoU in the end"]) == pytest.approx(0.77 / 0.8)
    assert "all labels" in (tmp_path / "report" / "curves.svg").read_text()
    assert "supervised" in (tmp_path / "report" / "steps.svg").read_text()
    assert "Beside the same network" in page.read_text()


def test_runs_with_other_settings_are_other_lines(tmp_path: Path, data: DataFolder) -> None:
    few = {"training": {"steps": 5}}
    runs = [
        write_run(tmp_path / "a", data, "classbal", 0, [0.2]),
        write_run(tmp_path / "b", data, "classbal", 1, [0.2], **few),
        write_run(tmp_path / "c", data, "random", 1, [0.2], **few),
    ]
    (study,) = studies_of([read_run(path) for path in runs])
    assert [line.label for line in study.lines] == [
        "random",
        f"classbal (training.steps={TrainingSettings().steps})",
        "classbal (training.steps=5)",
    ]


def test_runs_on_other_data_are_another_study(
    tmp_path: Path, data: DataFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from scenes import write_data

    other = DataFolder.open(write_data(tmp_path_factory.mktemp("other") / "data"))
    runs = [
        write_run(tmp_path / "a", data, "classbal", 0, [0.2]),
        write_run(tmp_path / "b", other, "classbal", 0, [0.2]),
    ]
    write_report(runs, tmp_path / "report")
    pictures = sorted(path.name for path in (tmp_path / "report").glob("*.png"))
    names = (data.path.parent.name, other.path.parent.name)
    assert pictures == sorted(
        f"{kind}_{name}.png" for kind in ("costs", "curves") for name in names
    )


def test_runs_with_another_class_are_another_study(tmp_path: Path, data: DataFolder) -> None:
    runs = [write_run(tmp_path / name, data, "classbal", 0, [0.2, 0.4]) for name in ("a", "b")]
    with AnnotationLog(runs[1] / "annotations.sqlite") as log:
        more = ClassInfo(id=data.n_classes, name="bike", color="#112233")
        log.edit_classes(ClassEdit((*data.classes, more)))
    write_report(runs, tmp_path / "report")
    first, second = studies_of([read_run(path) for path in runs])
    assert first.name != second.name
    assert len(second.class_names) == len(first.class_names) + 1
    assert (tmp_path / "report" / f"curves_{second.name}.csv").exists()


def test_a_class_that_no_model_knows_yet(
    finished_run: Callable[[str], Path], tmp_path: Path
) -> None:
    run = shutil.copytree(finished_run("classbal"), tmp_path / "run")
    with Session.open(run) as session:
        more = ClassInfo(id=4, name="bike", color="#112233")
        session.edit_classes((*session.config.classes, more))
    write_report([run], tmp_path / "report")
    with (tmp_path / "report" / "model_iou.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["ground"]
    assert not row.get("bike")


def test_what_cannot_be_reported(tmp_path: Path, data: DataFolder) -> None:
    with pytest.raises(InputError, match="no project"):
        write_report([tmp_path], tmp_path / "report")
    with pytest.raises(InputError, match="at least one"):
        write_report([], tmp_path / "report")
    empty = write_run(tmp_path / "empty", data, "random", 0, [])
    with pytest.raises(InputError, match="no finished round"):
        write_report([empty], tmp_path / "report")
    some = write_run(tmp_path / "some", data, "random", 1, [0.5])
    page = write_report([empty, some], tmp_path / "report").read_text()
    assert f"{empty} has no finished round yet and is left out" in page


# ---- a report says what matters first, and never fails for what is not known


def test_the_headline_compares_with_random(tmp_path: Path, data: DataFolder) -> None:
    random = write_run(tmp_path / "random", data, "random", 0, [0.2, 0.3, 0.4])
    better = write_run(tmp_path / "classbal", data, "classbal", 0, [0.3, 0.5])
    worse = write_run(tmp_path / "bvsb", data, "bvsb", 0, [0.1, 0.2])

    def text(*runs: Path) -> str:
        (study,) = studies_of([read_run(run) for run in runs])
        return headline(study)

    assert text(random, better, worse) == (
        "classbal reaches a model mIoU of 0.40 with 150 clicks, random needs 300."
    )
    assert text(random, worse) == (
        "random reaches a model mIoU of 0.40 with 300 clicks; no other method does."
    )
    assert text(random) == "random reaches a model mIoU of 0.40 with 300 clicks."
    assert text(better, worse) == "classbal reaches a model mIoU of 0.50 with 200 clicks."
    nothing = write_run(tmp_path / "nothing", data, "bvsb", 0, [None])
    assert text(nothing) == ""
    page = write_report([random, better], tmp_path / "report").read_text()
    assert "<strong>classbal reaches a model mIoU of 0.40 with 150 clicks" in page
    assert "±" not in page, "one seed has no deviation"
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC; .*torch 2.*; Python 3", page)


@pytest.mark.parametrize("name", ["achievable_accuracy", "boundary_recall"])
def test_a_measure_that_is_not_a_number_is_not_known(
    tmp_path: Path,
    finished_run: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    run = finished_run("adaptive-superpixel")

    def quality(*_: Any) -> RegionQuality:
        return replace(RegionQuality(20.0, 0.9, 0.8, 0.1), **{name: float("nan")})

    monkeypatch.setattr(measures, "_quality", quality)
    page = write_report([run], tmp_path / "report").read_text()
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    assert "–" in cells
    assert not any("nan" in cell.split() for cell in cells)
    with (tmp_path / "report" / "regions.csv").open() as file:
        (row, *_) = csv.DictReader(file)
    assert row["undersegmentation error"] == "0.1"
    column = name.replace("achievable_accuracy", "achievable_segmentation_accuracy")
    assert row.get(column.replace("_", " "), "") == ""


def test_predictions_on_the_best_and_the_worst_image(tmp_path: Path) -> None:
    data_path = scenes.write_data(tmp_path / "data")
    runs = [
        scenes.write_run(tmp_path / name, data_path, name, n_rounds=1)
        for name in ("classbal", "multi-class")
    ]
    record = Project.open(runs[0]).read_round(1)
    assert sorted(record["val_miou"]) == ["scene_0", "scene_1"]
    assert all(0 <= miou <= 1 for miou in record["val_miou"].values())
    report = write_report(runs, tmp_path / "report")
    assert (tmp_path / "report" / "predictions.png").stat().st_size > 5_000
    svg = (tmp_path / "report" / "predictions.svg").read_text()
    for words in ("best: scene_", "median: scene_", "worst: scene_", "ground truth", "multi-class"):
        assert words in svg
    shutil.rmtree(data_path)  # what is left is reported without pictures
    (tmp_path / "report" / "predictions.png").unlink()
    assert write_report(runs, tmp_path / "report") == report
    assert not (tmp_path / "report" / "predictions.png").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path, data: DataFolder) -> None:
    run = write_run(tmp_path / "run", data, "random", 0, [0.2])
    other = tmp_path / "other"
    other.mkdir()
    write_report([run], other)  # an empty one is not
    write_report([run], other)
    (other / "report.html").unlink()
    with pytest.raises(InputError, match=r"not empty and has no report.html"):
        write_report([run], other)
    with pytest.raises(InputError, match="is a file"):
        write_report([run], run / "config.json")
    with pytest.raises(InputError, match="not empty"):
        write_report([run], run)
