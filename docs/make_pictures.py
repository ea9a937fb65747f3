"""Draws the pictures of docs/images: the real window on the sample data, used by real events.

    scripts/with_display.sh python docs/make_pictures.py [--out DIR] [--size 1280x720]
        [--theme dark|light] [--area right|left] [NAME ...]

With names, only those pictures. A screen larger than 1920x1200 needs an Xvfb of its own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_al import DataFolder, Oracle, Session, make_config
from napari_al.formats.sample import sample_data_path
from napari_al.plugin.app import NAME
from napari_al.plugin.dock import ActiveLearning
from napari_al.plugin.viewers import close_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_al import Query

COST, MODEL, VIEW, QUEUE, EXPORT, IMAGES = range(6)
SETTINGS: dict[str, Any] = {
    "budget": 100,
    "regions": {"n_per_image": 150},
    "training": {"steps": 60, "threads": 2},
}


class Desk:
    """A window with the dock in it, and hands."""

    def __init__(
        self, folder: Path, out: Path, size: tuple[int, int], theme: str, area: str
    ) -> None:
        self.folder, self.out = folder, out
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.theme = theme
        self.dock = ActiveLearning(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name=NAME, area=area)
        self.viewer.window.resize(*size)
        self.bench = self.dock.bench
        self.wait(0.5)

    @property
    def canvas(self) -> QWidget:
        return self.viewer.window._qt_viewer.canvas.native

    @property
    def query(self) -> Query:
        self.until(lambda: self.bench.query is not None and self.bench.stage.image)
        return self.bench.query

    def wait(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def until(self, holds: Callable[[], object], seconds: float = 300) -> None:
        end = time.perf_counter() + seconds
        while not holds():
            self.wait(0.02)
            if time.perf_counter() > end:
                raise TimeoutError("what was waited for has not come")

    def key(self, key: str | Qt.Key) -> None:
        code = Qt.Key(ord(key)) if isinstance(key, str) else key
        QTest.keyClick(self.canvas, code)

    def click(self, row: float, col: float) -> None:
        """Click a pixel of the image."""
        camera, size = self.viewer.scene.camera, self.viewer.canvas.size
        y = (row - camera.center[1]) * camera.zoom + size[0] / 2
        x = (col - camera.center[2]) * camera.zoom + size[1] / 2
        point = QPoint(round(x), round(y))
        QTest.mouseMove(self.canvas, point)
        QTest.mouseClick(
            self.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point
        )
        QApplication.processEvents()

    def tab(self, index: int) -> None:
        self.dock.annotate.tabs.setCurrentIndex(index)

    def open(self, method: str, **settings: Any) -> Oracle:
        data = DataFolder.open(sample_data_path())
        config = make_config(data, SETTINGS | settings, method)
        path = self.folder / f"{method}-{len(list(self.folder.iterdir()))}"
        self.bench.open(Session.create(path, config, dispatch=self.bench.dispatch))
        self.tab(COST)
        self.until(lambda: self.bench.query is not None)
        return Oracle(data)

    def answer(self, oracle: Oracle, n: int) -> None:
        """Answer with the keys that ground truth says, at a human pace."""
        for _ in range(n):
            query = self.query
            answer = oracle.answer(query)
            self.wait(0.15)
            for class_id in answer.class_ids:
                self.key(self.bench.answering.class_keys[class_id])
            if not answer.class_ids:
                self.key("I")
            elif query.query_type == "multi-class":
                self.key(Qt.Key.Key_Return)

    def picture(self, name: str) -> None:
        self.wait(1.0)
        for widget in QApplication.allWidgets():
            if type(widget).__name__ == "NapariQtNotification":
                widget.close()
        path = self.out / f"{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)


def start(desk: Desk) -> None:
    desk.dock.opening.use_sample()
    desk.until(lambda: "regions an image" in desk.dock.start.regions._text.text())
    desk.until(lambda: any(layer.name == "Region borders" for layer in desk.viewer.layers))
    desk.picture("start")


def dominant(desk: Desk) -> None:
    oracle = desk.open("classbal")
    desk.answer(oracle, 40)
    desk.picture("dominant")


def queue(desk: Desk) -> None:
    oracle = desk.open("classbal", acquisition={"order": "image"})
    desk.answer(oracle, 12)
    desk.tab(QUEUE)
    desk.picture("queue")


def classes(desk: Desk) -> None:
    oracle = desk.open("classbal")
    desk.answer(oracle, 12)
    infos = desk.bench.session.config.classes
    into = {"building": "road"}
    ids = {info.name: info.id for info in infos}
    desk.bench.opened.edit_classes(
        tuple(
            info.model_copy(update={"merged_into": ids[into[info.name]]})
            if info.name in into
            else info
            for info in infos
        )
    )
    desk.key(Qt.Key.Key_F2)
    desk.dock.editor.list.setCurrentRow(2)
    desk.picture("classes")


def heatmap(desk: Desk) -> None:
    oracle = desk.open("classbal", budget=40)
    desk.answer(oracle, 40)
    desk.until(lambda: desk.bench.session.scores_round == 1 and not desk.bench.session.is_busy)
    desk.answer(oracle, 10)
    desk.tab(MODEL)
    desk.key("H")
    desk.key("W")
    desk.picture("heatmap")
    desk.key("H")


def first_prediction(desk: Desk) -> None:
    """Draw what docs/quickstart.md shows after the questions of the first round."""
    oracle = desk.open("power-equal", budget=40, training={"threads": 1})
    desk.tab(MODEL)
    stages = []
    desk.bench.session.events.job_progress.connect(lambda progress: stages.append(progress.stage))
    desk.answer(oracle, 40)
    desk.until(lambda: "training" in stages)
    desk.picture("training")
    desk.until(lambda: desk.bench.session.scores_round == 1 and not desk.bench.session.is_busy)
    desk.key("W")  # the first model shows its prediction by itself
    desk.wait(9)  # and its message is gone
    desk.picture("prediction")
    desk.tab(IMAGES)
    desk.wait(2)  # thumbnails
    desk.picture("images")
    desk.tab(EXPORT)
    panel = desk.dock.annotate.export
    panel.export.click()
    desk.until(lambda: panel.write.isVisible())
    desk.picture("export")
    panel.write.click()
    desk.until(lambda: panel.export.isEnabled() and panel.export.isVisible())
    desk.key("P")


def keys(desk: Desk) -> None:
    oracle = desk.open("classbal")
    desk.answer(oracle, 3)
    desk.key(Qt.Key.Key_F1)
    desk.picture("keys")
    desk.key(Qt.Key.Key_F1)


def multi_class(desk: Desk) -> None:
    oracle = desk.open("multi-class", regions={"n_per_image": 60})
    desk.answer(oracle, 10)
    while len(class_ids := oracle.answer(desk.query).class_ids) < 2:
        desk.answer(oracle, 1)
    for class_id in class_ids:
        desk.key(desk.bench.answering.class_keys[class_id])
    desk.picture("multi-class")


def correction(desk: Desk) -> None:
    oracle = desk.open("alc")
    desk.answer(oracle, 9)
    desk.picture("correction")


def look_alikes(desk: Desk) -> None:
    oracle = desk.open("a2lc", budget=40, targets={"lcm_confidence": [0.6]})
    desk.answer(oracle, 40)
    desk.until(lambda: desk.dock.review._list.count() or desk.bench.session.is_training)
    desk.wait(4)
    desk.dock.review._list.setCurrentRow(1)
    desk.picture("look-alikes")


def precise(desk: Desk) -> None:
    oracle = desk.open("rectangle-precise", regions={"side_px": 48})

    def parts_of(query: Query) -> list[tuple[int, int]]:
        """Its parts, the largest first: pixels and class."""
        return sorted(
            ((p.mask.size, p.class_id) for p in oracle.answer(query).pieces), reverse=True
        )

    coming = [query for query in desk.bench.session.upcoming(300) if len(parts_of(query)) > 1]
    query = max(coming, key=lambda query: parts_of(query)[1])
    (_, first), (_, second), *_ = parts_of(query)
    desk.bench.opened.queries.go_to(query)
    desk.until(lambda: desk.bench.stage.image == query.region.image)
    row0, col0, row1, col1 = desk.query.region.mask.box
    inset = 3
    for class_id, corners in (
        (first, ((row0 + inset, col0 + inset), (row0 + inset, col0 + 24),
                              (row0 + 26, col0 + 16), (row0 + 30, col0 + inset))),
        (second, ((row1 - 8, col0 + 20), (row1 - 20, col1 - 20), (row1 - 6, col1 - 6))),
    ):  # fmt: skip
        desk.key(desk.bench.answering.class_keys[class_id])
        for row, col in corners:
            desk.click(row, col)
        desk.key(Qt.Key.Key_Return)
    desk.picture("precise")


PICTURES: dict[str, Callable[[Desk], None]] = {
    "start": start,
    "dominant": dominant,
    "queue": queue,
    "classes": classes,
    "heatmap": heatmap,
    "first-prediction": first_prediction,
    "keys": keys,
    "multi-class": multi_class,
    "correction": correction,
    "look-alikes": look_alikes,
    "precise": precise,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--theme", default="dark")
    parser.add_argument("--area", default="right")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True, parents=True)
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")  # nobody's own
        desk = Desk(Path(folder), args.out, (width, height), args.theme, args.area)
        for name in args.names or PICTURES:
            PICTURES[name](desk)
            desk.bench.close()
        close_all()
        desk.viewer.close()


if __name__ == "__main__":
    main()
