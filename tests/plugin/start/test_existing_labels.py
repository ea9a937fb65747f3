"""Projects that begin with labels: from files, and from Labels layers of the viewer."""

import numpy as np
import pytest
from napari.layers import Image, Labels
from qtpy.QtCore import Qt
from scenes import CLASSES

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo, default_classes
from napari_al.formats.dataset import DataFolder
from napari_al.formats.exchange.export import Item, export_labels
from napari_al.plugin.layers.placement import world_matrix
from napari_al.plugin.start.existing_labels import labels_layers, labels_of_layers, notes_of_layers
from napari_al.plugin.start.viewer_images import ViewerImages


@pytest.fixture
def images(data_path, tmp_path):
    """A folder of images without labels."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in sorted((data_path / "train" / "images").iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def coco(data_path, tmp_path):
    """Labels of these images as COCO."""
    data = DataFolder.open(data_path)
    items = [Item(f"{name}.png", data.labels(name)) for name in data.train]
    export_labels(tmp_path / "coco", items, data.classes, "coco")
    return tmp_path / "coco"


def fill_in(desk, use, labels):
    box = desk.dock.start.existing_labels
    box.expand(animate=False)
    box.format.setCurrentIndex(box.format.findData("coco"))
    box.use.setCurrentIndex(box.use.findData(use))
    box.path.setText(str(labels))
    box.path.editingFinished.emit()


def begin(desk, tmp_path):
    start = desk.dock.start
    start.model.segmenter.setCurrentIndex(start.model.segmenter.findData("filters"))
    start.project.setText(str(tmp_path / "project"))
    start._on_own_project()
    desk.press("Start")
    desk.until(lambda: desk.dock.bench.session is not None or start._message.text())
    assert start._message.text() == ""
    return desk.session


def open_images(desk, images):
    desk.dock.start.folder_wanted.emit(images)
    desk.until(lambda: desk.dock.start.source is not None and desk.dock.start.start.isEnabled())


def test_labels_in_files_become_ground_truth(desk, images, coco, data_path, tmp_path):
    open_images(desk, images)
    fill_in(desk, "labels", coco)
    desk.until(lambda: desk.dock.start.class_list.n_classes == 4)  # named by the labels
    session = begin(desk, tmp_path)
    assert [c.name for c in session.config.classes] == list(CLASSES)
    expected = DataFolder.open(data_path)
    for name in expected.train:
        np.testing.assert_array_equal(session.data.labels(name), expected.labels(name))
    assert session.data.path == tmp_path / "project" / "data"
    desk.until_asked()


def test_labels_to_correct_enable_the_question_about_them(desk, images, coco, tmp_path):
    start = desk.dock.start
    open_images(desk, images)
    assert not start.question._questions["correction"].isEnabled()
    assert start.question._needs.isVisibleTo(start)
    fill_in(desk, "initial_labels", coco)
    desk.until(lambda: start.class_list.n_classes == 4)
    assert not start.question._needs.isVisibleTo(start)
    start.question._questions["correction"].setChecked(True)
    assert "connected parts of the labels" in start.regions._text.text()
    session = begin(desk, tmp_path)
    assert session.config.method.query == "correction"
    desk.until(lambda: "5 images have no object masks" in desk.dock.annotate._message.text())
    assert session.region_map("scene_0").max() > 0
    assert session.data.initial_labels("scene_0") is not None
    assert session.data.labels("scene_0") is None


@pytest.mark.smoke
def test_answers_given_already_are_one_undo(desk, images, coco, tmp_path):
    open_images(desk, images)
    fill_in(desk, "answers", coco)
    desk.until(lambda: desk.dock.start.class_list.n_classes == 4)
    desk.dock.start.regions.size.setValue(0)
    session = begin(desk, tmp_path)
    assert len(session.answers()) > 20
    assert session.clicks.total == 0
    assert session.data.path == images  # nothing was copied
    desk.until(lambda: "answers" in desk.dock.annotate._message.text())
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    desk.until(lambda: not session.answers())
    desk.until_asked()


def test_labels_that_do_not_fit_leave_no_project(desk, images, tmp_path):
    open_images(desk, images)
    wrong = [Item("scene_0.png", np.zeros((3, 4), np.uint8))]
    export_labels(tmp_path / "wrong", wrong, default_classes(["ground", "sky"]), "coco")
    start = desk.dock.start
    for use in ("answers", "labels"):
        fill_in(desk, use, tmp_path / "wrong")
        desk.until(lambda: start.class_list.n_classes == 2)
        start.project.setText(str(tmp_path / "project"))
        start._on_own_project()
        desk.press("Start")
        desk.until(lambda: "same size" in start._message.text())
        assert not (tmp_path / "project").exists()
        start.show_message("")


def test_labels_that_are_not_chosen_are_asked_for(desk, images):
    open_images(desk, images)
    desk.dock.start.class_list.set_classes(default_classes(["a", "b"]))
    box = desk.dock.start.existing_labels
    box.use.setCurrentIndex(box.use.findData("labels"))
    desk.press("Start")
    assert "Choose the labels" in desk.dock.start._message.text()


@pytest.mark.parametrize("use", ["labels", "initial_labels", "answers"])
def test_layers_of_the_viewer(desk, data_path, tmp_path, use):
    data = DataFolder.open(data_path)
    truth = data.labels("scene_0")
    desk.viewer.add_image(data.image("scene_0"), name="scene", rgb=True)
    desk.viewer.add_image(data.image("scene_1"), name="other", rgb=True)
    values = np.where(truth == IGNORE, 0, truth + 1)
    desk.viewer.add_labels(values.astype(np.uint8), name="by hand")
    start = desk.dock.start
    desk.press("Images in the viewer")
    box = start.existing_labels
    assert not box._files.isVisibleTo(start)
    box.use.setCurrentIndex(box.use.findData(use))
    desk.until(lambda: start.class_list.n_classes == 4)
    start.regions.size.setValue(0)
    session = begin(desk, tmp_path)
    if use == "answers":
        answers = session.answers()
        assert {a.query.region.image for a in answers} == {"scene", "other"}
        for answer in answers:
            inside = truth[answer.query.region.mask.to_array(truth.shape)]
            assert answer.class_ids == (np.bincount(inside[inside != IGNORE]).argmax(),)
        return
    read = session.data.labels if use == "labels" else session.data.initial_labels
    np.testing.assert_array_equal(read("scene"), truth)


def image(name, shape=(20, 30), **place):
    return Image(np.zeros(shape), name=name, **place)


def labels(name, shape=(20, 30), **place):
    return Labels(np.ones(shape, np.uint8), name=name, **place)


BESIDE = {"translate": (0, 40)}
TURNED = {"scale": (2, 2), "rotate": 30, "shear": (0.1,), "translate": (5, 0)}
AFFINE = world_matrix(Image(np.zeros((2, 2)), **TURNED))
WHICH = {
    "one for all that it may lie over": ([image("a"), image("b")], [labels("by hand")], "0 0"),
    "another shape": ([image("a"), image("b", (9, 9))], [labels("by hand")], "0 -"),
    "by name": (
        [image("a"), image("b"), image("c")],
        [labels("b_mask"), labels("A mask")],
        "1 0 -",
    ),
    "the longer name": ([image("cell"), image("cell 2")], [labels("cell 2 labels")], "- 0"),
    "no name within a word": ([image("a"), image("be")], [labels("Labels")], "0 0"),
    "by place": ([image("a"), image("b", **BESIDE)], [labels("x", **BESIDE), labels("y")], "1 0"),
    "only where it lies": ([image("a"), image("b", **BESIDE)], [labels("x")], "0 -"),
    "without scale": ([image("a", scale=(2, 2)), image("b", scale=(2, 2))], [labels("x")], "0 0"),
    "rotated": ([image("a", **TURNED), image("b")], [labels("x", **TURNED)], "0 -"),
    "as an affine": ([image("a", **TURNED)], [labels("x", affine=AFFINE)], "0"),
    "stacks": ([image("a", (3, 20, 30)), image("b")], [labels("x", (3, 20, 30))], "0 -"),
}


@pytest.mark.parametrize(("images", "layers", "which"), WHICH.values(), ids=WHICH)
def test_which_labels_layer_is_of_which_image(images, layers, which):
    shown = ViewerImages(tuple(images), label_layers=tuple(layers))
    found = labels_layers(shown)
    numbers = [str(layers.index(found[i,])) if (i,) in found else "-" for i in images]
    assert " ".join(numbers) == which
    without = [i.name for i, number in zip(images, numbers, strict=True) if number == "-"]
    said = [note for note in notes_of_layers(shown) if note.startswith("Without a Labels layer")]
    assert said == (
        [f"Without a Labels layer, so without labels: {', '.join(without)}."] if without else []
    )
    shared = [note for note in notes_of_layers(shown) if "counts for" in note]
    assert len(shared) == (which == "0 0")
    unplaced = [note for note in notes_of_layers(shown) if "scale or place of their own" in note]
    assert len(unplaced) == (layers is WHICH["without scale"][1])


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([labels("x"), labels("y")], "Several Labels layers fit the image 'a': 'x', 'y'"),
        ([labels("a 1"), labels("a 2"), labels("y")], "the image 'a': 'a 1', 'a 2'"),
        ([labels("x", (9, 9))], "No visible Labels layer has the shape"),
        ([labels("b mask")], "No visible Labels layer has the shape"),
        ([labels("x", rotate=3)], "'x' has the shape of the image 'a', but lies elsewhere"),
        ([labels("x", scale=(1, 1.03))], "'x' has the shape of the image 'a', but lies elsewhere"),
    ],
)
def test_it_is_asked_which_labels_layer_is_meant(layers, says):
    others = () if says.startswith("S") else (image("b", (5, 5)),)
    with pytest.raises(InputError, match=says):
        labels_layers(ViewerImages((image("a"), *others), label_layers=tuple(layers)))


def test_planes_without_a_label_have_none():
    values = np.zeros((4, 20, 30), np.uint8)
    values[2, 5:9] = 1
    layers = (Labels(values, name="x"),)
    shown = ViewerImages((image("a", (4, 20, 30)),), label_layers=layers)
    ((name, class_map),) = labels_of_layers(shown, 2)
    assert name == "a_2"
    np.testing.assert_array_equal(class_map, np.where(values[2], 0, IGNORE))
    values[:] = 0
    with pytest.raises(InputError, match="no label in the visible Labels layers"):
        list(labels_of_layers(shown, 2))


@pytest.mark.parametrize("use", ["labels", "initial_labels", "answers"])
def test_layers_of_some_images_alone(desk, data_path, tmp_path, use):
    data = DataFolder.open(data_path)
    for name in ("scene_0", "scene_1"):
        desk.viewer.add_image(data.image(name), name=name, rgb=True)
    truth = data.labels("scene_1")
    values = np.where(truth == IGNORE, 0, truth + 1).astype(np.uint8)
    desk.viewer.add_labels(values, name="scene_1 labels")
    start = desk.dock.start
    desk.press("Images in the viewer")
    box = start.existing_labels
    box.use.setCurrentIndex(box.use.findData(use))
    desk.until(lambda: start.class_list.n_classes == 4)
    if use == "initial_labels":
        start.question._questions["correction"].setChecked(True)
    start.regions.size.setValue(0)
    session = begin(desk, tmp_path)
    message = desk.dock.annotate._message
    desk.until(lambda: "scene_0" in message.text())
    assert message.text().count("scene_0") == 1
    if use != "initial_labels":
        assert "Without a Labels layer, so without labels: scene_0." in message.text()
    if use == "answers":
        assert {a.query.region.image for a in session.answers()} == {"scene_1"}
        return
    assert session.data.without(use) == ("scene_0",)
    if use == "initial_labels":
        assert "1 image has no initial labels: nothing is asked there (scene_0)." in message.text()
        desk.until(lambda: desk.dock.bench.query is not None)
        desk.until(lambda: session.scores_are_complete)
        assert {q.region.image for q in session.upcoming(1000)} == {"scene_1"}
    else:
        assert session.project.read_config().method.query == "dominant"


def test_a_value_of_no_class_is_named(desk, data_path, tmp_path):
    desk.viewer.add_image(DataFolder.open(data_path).image("scene_0"), rgb=True)
    desk.viewer.add_labels(np.full((48, 64), 7), name="by hand")
    start = desk.dock.start
    desk.press("Images in the viewer")
    start.class_list.set_classes(
        [ClassInfo(id=i, name=n, color="#000000") for i, n in enumerate("ab")]
    )
    start.existing_labels.use.setCurrentIndex(1)
    start.project.setText(str(tmp_path / "project"))
    start._on_own_project()
    desk.press("Start")
    desk.until(lambda: "'by hand' has the value 7" in start._message.text())
    assert not (tmp_path / "project").exists()
