"""Labels taken as answers: what each kind of question is answered with, and one undo for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from scenes import CLASSES, project_config, write_data, write_initial
from typer.testing import CliRunner

from napari_al.cli import app
from napari_al.core import IGNORE
from napari_al.core.clicks import Clicks
from napari_al.errors import InputError
from napari_al.formats.exchange.label_readers import LabelledImage
from napari_al.methods.queries import Answer
from napari_al.session.session import Session
from napari_al.tools.given_answers import ANNOTATOR, give_answers
from napari_al.tools.import_labels import import_answers, import_labels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_initial(write_data(tmp_path / "data"))


def truth(session: Session) -> list[LabelledImage]:
    maps = ((name, session.data.labels(name)) for name in session.data.train)
    return [LabelledImage(name, labels) for name, labels in maps if labels is not None]


@pytest.mark.parametrize("method", ["classbal", "multi-class", "rectangle-precise", "a2lc"])
def test_every_region_is_answered_as_its_labels_say(
    method: str, data: Path, tmp_path: Path
) -> None:
    with Session.create(tmp_path / "p", project_config(data, method)) as session:
        if method == "a2lc":
            session.train()
        session.prepare()
        given = give_answers(session, truth(session))
        answers = session.answers()
        assert given.n_answers == len(answers) >= 20
        assert given.n_images == 5
        assert session.clicks == Clicks()
        assert {answer.annotator for answer in answers} == {ANNOTATOR}
        for answer in answers:
            region = answer.query.region
            labels = session.data.labels(region.image)
            inside = region.mask.to_array(labels.shape)
            ids, counts = np.unique(labels[inside & (labels != IGNORE)], return_counts=True)
            if answer.query.query_type in ("dominant", "correction"):
                assert answer.class_ids == (ids[counts.argmax()],)
            else:
                assert answer.class_ids == tuple(ids)
            for piece in answer.pieces:
                of_piece = piece.mask.to_array(labels.shape)
                np.testing.assert_array_equal(of_piece, inside & (labels == piece.class_id))
        session.train()  # learns from them
        assert session.model_round is not None
        while session.can_undo:
            taken_back = session.undo()
        assert len(taken_back) == given.n_answers
        assert session.answers() == ()


def test_answers_of_before_stay_and_regions_without_labels_stay_open(
    data: Path, tmp_path: Path
) -> None:
    with Session.create(tmp_path / "p", project_config(data)) as session:
        session.prepare()
        query = session.query()
        assert query is not None
        session.submit(Answer(query, (3,), Clicks(1)))
        maps = [
            LabelledImage(name, np.where(np.arange(64) < 32, labels, IGNORE).astype(np.uint8))
            for name, labels in truth(session)
        ]
        given = give_answers(session, [*maps, LabelledImage("elsewhere", maps[0].class_map)])
        first, *others = session.answers()
        assert first.class_ids == (3,)
        assert query.region.ids not in [
            a.query.region.ids for a in others if a.query.region.image == query.region.image
        ]
        assert len(others) == given.n_answers
        unmatched, still_open = given.notes
        assert unmatched.startswith("1 labels without an image are left out: elsewhere")
        assert "stay open" in still_open
        assert session.query() is not None
        with pytest.raises(InputError, match="No region"):
            give_answers(session, maps)
        with pytest.raises(InputError, match="scene_0 are 4 x 3 pixels and the image is 64 x 48"):
            give_answers(session, [LabelledImage("scene_0", np.zeros((3, 4), np.uint8))])
        assert len(session.answers()) == 1 + given.n_answers


def test_the_command_gives_answers_by_the_names_of_classes(data: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data)) as session:
        session.prepare()
        maps = dict(truth(session))
    (tmp_path / "colors").mkdir()
    colours = ["#0000ff", "#00ff00", "#ff0000", "#ffff00"]
    rows = [f"{n}:{','.join(str(int(c[i:i + 2], 16)) for i in (1, 3, 5))}::"
            for n, c in zip(reversed(CLASSES), colours, strict=True)]  # fmt: skip
    (tmp_path / "labelmap.txt").write_text("\n".join(rows))
    rgb = np.array([tuple(bytes.fromhex(c[1:])) for c in colours], np.uint8)
    for name, labels in maps.items():
        picture = np.where((labels == IGNORE)[..., None], 0, rgb[3 - np.minimum(labels, 3)])
        iio.imwrite(tmp_path / "colors" / f"{name}.png", picture.astype(np.uint8))
    words = ["import", "colours", str(tmp_path), "--as", "answers", "--out", str(tmp_path / "p")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    with Session.open(tmp_path / "p") as session:
        assert f"{len(session.answers())} answers on 5 images" in done.output
        for answer in session.answers():
            labels = maps[answer.query.region.image]
            inside = labels[answer.query.region.mask.to_array(labels.shape)]
            counts = np.bincount(inside[inside != IGNORE])
            assert answer.class_ids == (counts.argmax(),)
        (tmp_path / "labelmap.txt").write_text("\n".join(rows).replace("van", "lorry"))
        with pytest.raises(InputError, match="has the class 'lorry', and the project has not"):
            import_answers(session, "colours", tmp_path)


def test_imported_labels_to_correct_have_objects(data: Path, tmp_path: Path) -> None:
    (data / "train" / "labels" / "classes.json").write_bytes((data / "classes.json").read_bytes())
    out = tmp_path / "corrected"
    import_labels("index", data / "train" / "labels", out, images=data / "train" / "images",
                  kind="initial_labels")  # fmt: skip
    with Session.create(tmp_path / "p", project_config(out, "alc")) as session:
        regions, labels = session.region_map("scene_0"), session.data.initial_labels("scene_0")
        assert ((regions < 0) == (labels == IGNORE)).all()
        for region_id in range(regions.max() + 1):
            assert len(np.unique(labels[regions == region_id])) == 1
        session.train()
        session.prepare()
        assert session.query() is not None
