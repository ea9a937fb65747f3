"""Classes added, renamed, recoloured and merged while a project is annotated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scenes import CLASSES, project_config, write_data, write_initial

from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo, live_classes, meanings, read_classes
from napari_al.learning.weights import load_segmenter
from napari_al.methods.queries import Answer, was_predicted
from napari_al.session.log.class_edits import load_model
from napari_al.session.log.history import ClassEdit
from napari_al.session.log.snapshot import open_snapshot
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.export_labels import export_session
from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TREE = ClassInfo(id=4, name="tree", color="#117733")
CAR, VAN = 2, 3


@pytest.fixture
def session(data_path: Path, tmp_path: Path) -> Iterator[Session]:
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        session.prepare()
        yield session


def give(session: Session, *class_ids: int) -> Answer:
    query = session.query()
    assert query is not None
    session.submit(Answer(query, class_ids, Clicks(len(class_ids))))
    return session.answers()[-1]


def merged(session: Session, class_id: int, into: int) -> tuple[ClassInfo, ...]:
    """The session's classes with one merged into another."""
    return tuple(
        c.model_copy(update={"merged_into": into}) if c.id == class_id else c
        for c in session.config.classes
    )


def test_the_prediction_in_a_query_follows_a_merge(session: Session) -> None:
    query = session.query()
    assert query is not None
    session.submit(Answer(replace(query, predicted=VAN), (CAR,), Clicks(1)))
    assert was_predicted(session.answers()[-1]) is False
    session.edit_classes(merged(session, VAN, CAR))
    assert session.answers()[-1].query.predicted == CAR
    assert was_predicted(session.answers()[-1]) is True


def test_an_edit_is_undone_redone_and_kept_over_restarts(session: Session) -> None:
    before = session.config.classes
    renamed = (before[0].model_copy(update={"name": "earth", "color": "#102030"}), *before[1:])
    heard: list[int] = []
    session.events.classes_changed.connect(lambda: heard.append(len(session.config.classes)))
    give(session, 1)
    session.edit_classes((*renamed, TREE))
    give(session, 4)
    assert [c.name for c in session.config.classes] == ["earth", *CLASSES[1:], "tree"]
    path = session.project.path
    session.close()

    with Session.open(path) as again:
        assert again.config.classes == session.config.classes == again.data.classes
        assert [a.class_ids for a in again.answers()] == [(1,), (4,)]
        again.undo()
        assert again.undo() == (ClassEdit((*renamed, TREE)),)
        assert again.config.classes == before
        assert [a.class_ids for a in again.answers()] == [(1,)]
        again.redo()
        again.redo()
        assert again.config.classes == session.config.classes
    assert heard == [5]


def test_answers_of_a_merged_class_count_for_the_other_and_come_back(session: Session) -> None:
    vans = [give(session, VAN), give(session, CAR), give(session, VAN)]
    session.edit_classes(merged(session, VAN, CAR))
    assert [a.class_ids for a in session.answers()] == [(CAR,)] * 3
    region = vans[0].query.region
    inside = region.mask.to_array(session.data.shape(region.image))
    assert (session.answers_map(region.image)[inside] == CAR).all()
    assert session.clicks.total == 3

    session.edit_classes(
        [c.model_copy(update={"merged_into": None}) for c in session.config.classes]
    )
    assert [a.class_ids for a in session.answers()] == [(VAN,), (CAR,), (VAN,)]


def test_several_classes_become_one_with_their_sets_of_classes(
    data_path: Path, tmp_path: Path
) -> None:
    with Session.create(tmp_path / "p", project_config(data_path, "multi-class")) as session:
        session.prepare()
        answer = give(session, CAR, VAN)
        session.edit_classes(merged(session, VAN, CAR))
        region = answer.query.region
        inside = region.mask.to_array(session.data.shape(region.image))
        assert (session.answers_map(region.image)[inside] == CAR).all()
        assert session.clicks.total == 2


def test_truth_oracle_and_exports_follow_a_merge(session: Session, tmp_path: Path) -> None:
    session.edit_classes(merged(session, VAN, CAR))
    oracle = Oracle(session.data)
    while (query := session.query()) is not None:
        session.submit(oracle.answer(query))
    assert VAN not in {c for a in session.answers() for c in a.class_ids}
    assert all(VAN not in session.data.labels(name) for name in session.data.train)
    export_session(session, "png", "answers", tmp_path / "out")
    exported = read_classes(tmp_path / "out" / "classes.json")
    assert [c.name for c in exported] == ["ground", "sky", "car"]


@pytest.mark.parametrize("method", ["classbal", "multi-class", "a2lc"])
def test_training_goes_on_with_a_class_more_and_one_merged(method: str, tmp_path: Path) -> None:
    data_path = write_initial(write_data(tmp_path / "data"))
    with Session.create(tmp_path / "p", project_config(data_path, method)) as session:
        if session.round == 0:
            session.train()
        session.prepare()
        give(session, VAN)
        session.train()
        session.prepare()
        session.edit_classes((*merged(session, VAN, CAR), TREE))
        give(session, 4)
        give(session, CAR)
        assert {VAN} & set(np.unique(session.prediction("scene_0"))) == set()
        session.train()  # from the weights of a model of four classes
        session.prepare()
        number = session.model_round
        assert number is not None
        assert load_segmenter(session.project.model_file(number)).n_classes == 5
        assert VAN not in np.unique(session.prediction("scene_0"))
        assert all(VAN not in session.targets(name) for name in session.data.train)
        while session.can_undo:
            session.undo()
        assert len(session.config.classes) == 4
        give(session, 0)
        session.train()  # and back
        assert load_segmenter(session.project.model_file(number + 1)).n_classes == 4


def test_a_model_keeps_its_rows_and_adds_up_what_was_merged(session: Session) -> None:
    give(session, 0)
    session.train()
    number, image = session.model_round, session.data.image("scene_0")
    assert number is not None
    import torch

    from napari_al.learning.inference import predict_probs

    def probs(log_seq: int) -> np.ndarray:
        model = open_snapshot(session.project.path, log_seq).load_model(number)
        return predict_probs(model, image, torch.device("cpu")).numpy()

    before = probs(1)
    session.edit_classes(merged(session, VAN, CAR))
    after = probs(2)
    np.testing.assert_allclose(after[CAR], before[CAR] + before[VAN], rtol=1e-6)
    assert not after[VAN].any()
    session.edit_classes((*session.config.classes, TREE))
    grown = probs(3)
    np.testing.assert_array_equal(grown[:4], after)
    assert not grown[4].any(), "nothing is known of a new class"
    model = open_model(session.project.path)
    assert [c.merged_into for c in model.classes] == [None, None, None, CAR]
    assert model.segmenter.merged == {VAN: CAR}


def deleted(session: Session, class_id: int) -> tuple[ClassInfo, ...]:
    return merged(session, class_id, IGNORE)


def test_a_class_that_nothing_names_is_deleted_and_comes_back(session: Session) -> None:
    before = session.config.classes
    give(session, 0)
    session.edit_classes(deleted(session, VAN))
    assert live_classes(session.config.classes) == before[:VAN]
    labels = [session.data.labels(name) for name in session.data.train]
    assert not any((class_map == VAN).any() for class_map in labels)
    assert session.clicks.total == 1
    give(session, CAR)
    session.undo()
    assert session.undo() == (ClassEdit(deleted(session, VAN)),)
    assert session.config.classes == before
    session.redo()
    session.edit_classes(before)
    assert session.config.classes == before


def test_a_deleted_class_is_not_predicted(session: Session) -> None:
    give(session, 0)
    give(session, 1)
    answer = give(session, VAN)
    session.train()
    session.prepare()
    import torch

    from napari_al.learning.inference import predict_probs

    def probs() -> np.ndarray:
        assert session.model_round is not None
        model = load_model(session.project.newest_model_file(), session.config.classes)
        image = session.data.image("scene_0")
        return predict_probs(model, image, torch.device("cpu")).numpy()

    before = probs()
    assert before[VAN].max() > 0
    assert answer.id == session.undo()[0].id
    session.edit_classes(deleted(session, VAN))
    after = probs()
    assert not after[VAN].any()
    np.testing.assert_allclose(after.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(after[0] * (before[1] + 1e-9), after[1] * before[0], atol=1e-6)
    assert VAN not in session.prediction("scene_0")
    query = session.query()
    assert query is not None
    session.submit(Answer(replace(query, predicted=VAN), (1,), Clicks(1)))  # by the older scores
    assert session.answers()[-1].query.predicted is None
    session.train()
    session.prepare()
    assert VAN not in session.prediction("scene_0")
    assert open_model(session.project.path).segmenter.merged == {VAN: IGNORE}


def test_a_class_in_use_is_not_deleted(session: Session, tmp_path: Path) -> None:
    give(session, VAN)
    with pytest.raises(InputError, match=r"'van' cannot be deleted.* merge it"):
        session.edit_classes(deleted(session, VAN))
    session.undo()
    session.edit_classes(deleted(session, VAN))
    data_path = write_initial(write_data(tmp_path / "data"))
    with Session.create(tmp_path / "q", project_config(data_path, "alc")) as other:
        with pytest.raises(InputError, match="labels to correct name it"):
            other.edit_classes(deleted(other, VAN))
        other.edit_classes((*other.config.classes, TREE))
        other.edit_classes(deleted(other, TREE.id))
        assert len(live_classes(other.config.classes)) == 4


def test_labels_to_correct_follow_a_merge(tmp_path: Path) -> None:
    data_path = write_initial(write_data(tmp_path / "data"))
    with Session.create(tmp_path / "p", project_config(data_path, "alc")) as session:
        session.train()
        session.prepare()
        session.edit_classes(merged(session, VAN, CAR))
        for name in session.data.train:
            assert VAN not in session.targets(name)
        asked = [query.pseudo_label for query in session.upcoming(30)]
        assert VAN not in asked


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (lambda c: c[:-1], "cannot be removed"),
        (lambda c: [*c[:3], c[3].model_copy(update={"name": "car"})], "two classes are called"),
        (lambda c: [*c[:3], c[3].model_copy(update={"merged_into": 9})], "not there"),
        (lambda c: [*c[:3], c[3].model_copy(update={"merged_into": 3})], "not there"),
        (lambda c: [c[0], *(i.model_copy(update={"merged_into": 0}) for i in c[1:])], "two"),
        (lambda c: [*c, TREE.model_copy(update={"id": 7})], "0 to 4"),
    ],
    ids=["removed", "same name", "into none", "into itself", "one left", "gap"],
)
def test_bad_edits_are_refused_and_nothing_changes(
    session: Session, classes: object, words: str
) -> None:
    before = session.config.classes
    with pytest.raises(InputError, match=words):
        session.edit_classes(classes(before))
    assert session.config.classes == before
    assert not session.can_undo


def test_what_counts_as_what() -> None:
    classes = [ClassInfo(id=i, name=n, color="#000000") for i, n in enumerate("abc")]
    classes[1] = classes[1].model_copy(update={"merged_into": 2})
    assert meanings(classes) == (0, 2, 2)
    assert IGNORE not in meanings(classes)
