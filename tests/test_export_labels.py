"""What an export of a project holds: also what was answered after the last training."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import answer_round, project_config, write_data

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.formats.classes import read_classes
from napari_al.formats.images import read_ids
from napari_al.methods.queries import Answer
from napari_al.methods.targets import over_prediction
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.export_labels import export_session, model_text

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.tools.prepared_export import ExportSummary


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session with a trained round, and answers since."""
    config = project_config(write_data(tmp_path / "data"))
    session = Session.create(tmp_path / "project", config)
    oracle = Oracle(session.data)
    answer_round(session, oracle)
    session.train()
    answer_round(session, oracle)
    return session


def test_the_newest_answers_are_in_an_export(session: Session, tmp_path: Path) -> None:
    with session:
        first = session.answers()[0]
        other = (first.class_ids[0] + 1) % 4
        session.amend(first.id, Answer(first.query, (other,), Clicks(class_clicks=1)))
        export_session(session, "png", "targets", tmp_path / "out")
        for image in session.data.train:
            labels = read_ids(tmp_path / "out" / "labels" / f"{image}.png")
            np.testing.assert_array_equal(labels, session.answers_map(image))
        region = first.query.region
        labels = read_ids(tmp_path / "out" / "labels" / f"{region.image}.png")
        assert (region.mask.view(labels)[region.mask.crop()] == other).all()


def test_an_answer_taken_back_after_the_training_is_not_in_it(
    session: Session, tmp_path: Path
) -> None:
    with session:
        undone = []
        while session.answers():
            undone.append(session.answers()[-1].query.region)
            session.undo()
        export_session(session, "png", "targets", tmp_path / "out")
        for region in undone:
            labels = read_ids(tmp_path / "out" / "labels" / f"{region.image}.png")
            assert (labels == IGNORE).all()


def _labels(folder: Path, session: Session) -> dict[str, np.ndarray]:
    return {name: read_ids(folder / "labels" / f"{name}.png") for name in session.data.train}


def test_finished_masks_are_the_answers_over_the_prediction(
    session: Session, tmp_path: Path
) -> None:
    stated: list[tuple[ExportSummary, bool]] = []
    with session:
        void = session.answers()[-1]
        session.amend(void.id, Answer(void.query, (), Clicks(class_clicks=1), outcome="ignored"))
        export_session(session, "png", "predictions", tmp_path / "predicted")
        export_session(
            session,
            "png",
            "finished",
            tmp_path / "finished",
            uncertainty=True,
            on_summary=lambda summary: stated.append((summary, (tmp_path / "finished").exists())),
        )
        predicted = _labels(tmp_path / "predicted", session)
        finished = _labels(tmp_path / "finished", session)
        answered = {name: np.zeros(ids.shape, bool) for name, ids in predicted.items()}
        for answer in session.answers():
            region = answer.query.region
            expected = answer.class_ids[0] if answer.outcome == "labelled" else IGNORE
            inside = region.mask.crop()
            assert (region.mask.view(finished[region.image])[inside] == expected).all()
            region.mask.view(answered[region.image])[inside] = True
        for name in session.data.train:
            rest = ~answered[name]
            np.testing.assert_array_equal(finished[name][rest], predicted[name][rest])
            unsure = read_ids(tmp_path / "finished" / "uncertainty" / f"{name}.png")
            assert unsure.shape == finished[name].shape
            assert unsure.max() > 0
        everything = np.concatenate([ids.ravel() for ids in finished.values()])
        ((summary, was_written),) = stated
        assert not was_written
        assert summary.n_images == len(session.data.train)
        assert summary.n_answered == sum(int(here.sum()) for here in answered.values())
        assert list(summary.class_pixels.values()) == [
            int((everything == c.id).sum()) for c in session.config.classes
        ]
        assert summary.n_without == int((everything == IGNORE).sum()) > 0
        miou = float(session.rounds()[-1]["model_miou"])
        assert f"the model of round 1 (mIoU {miou:.2f} on the validation" in summary.lines()[0]


def test_finished_masks_before_the_first_model_are_the_answers(
    data_path: Path, tmp_path: Path
) -> None:
    stated: list[ExportSummary] = []
    with Session.create(tmp_path / "project", project_config(data_path)) as session:
        answer_round(session, Oracle(session.data))
        export_session(session, "png", "finished", tmp_path / "out", on_summary=stated.append)
        for name, labels in _labels(tmp_path / "out", session).items():
            np.testing.assert_array_equal(labels, session.answers_map(name))
    assert stated[0].notes[0].startswith("There is no model yet")


def test_without_validation_images_the_accuracy_is_said_not_to_be_known(
    tmp_path: Path,
) -> None:
    data = write_data(tmp_path / "data")
    shutil.rmtree(data / "val")
    with Session.create(tmp_path / "project", project_config(data)) as session:
        answer_round(session, Oracle(session.data))
        session.train()
        assert "its accuracy is not known" in model_text(session)
        answer_round(session, Oracle(session.data))
        predicted = session.prequential_accuracy().newest
        assert predicted.n == len(session.answers()) // 2
        words = f"({predicted.value:.0%} of the last {predicted.n} answers predicted right)"
        assert words in model_text(session)


def test_merged_classes_are_not_in_the_class_map(session: Session, tmp_path: Path) -> None:
    stated: list[ExportSummary] = []
    with session:
        ground, sky, car, van = session.config.classes
        merged = sky.model_copy(update={"merged_into": 0})
        export_session(session, "png", "answers", tmp_path / "before")
        session.edit_classes([ground, merged, car, van])
        export_session(session, "png", "answers", tmp_path / "after", on_summary=stated.append)
        classes = read_classes(tmp_path / "after" / "classes.json")
        assert [(c.id, c.name) for c in classes] == [(0, "ground"), (1, "car"), (2, "van")]
        table = np.array([0, 0, 1, 2, *range(4, 256)], np.uint8)
        before = _labels(tmp_path / "before", session)
        for name, labels in _labels(tmp_path / "after", session).items():
            np.testing.assert_array_equal(labels, table[before[name]])
    assert stated[0].notes == (
        "Merged classes are left out, and later ids move up: sky counts as ground.",
    )


def test_several_classes_keep_what_is_predicted_of_them(session: Session) -> None:
    with session:
        query = session.answers()[0].query
        mask = query.region.mask
        shape = session.data.shape(query.region.image)
        rows = np.flatnonzero(mask.crop().ravel())
        prediction = np.full(shape, 3, np.uint8)
        inside = mask.crop()
        box = mask.view(prediction)
        values = box[inside]
        values[: len(rows) // 4], values[len(rows) // 4 : len(rows) // 2] = 0, 1
        values[0] = 1  # one more of class 1 than of class 0
        box[inside] = values
        both = Answer(query, (0, 1), Clicks(class_clicks=2))
        finished = over_prediction(prediction.copy(), [both])
        expected = np.where(values == 3, np.uint8(np.bincount(values)[:2].argmax()), values)
        np.testing.assert_array_equal(mask.view(finished)[inside], expected)
        none = over_prediction(np.full(shape, 3, np.uint8), [both])
        assert (mask.view(none)[inside] == IGNORE).all()
        assert (none == IGNORE).sum() == mask.size
