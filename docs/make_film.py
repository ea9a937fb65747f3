"""Draws the film of docs/film.md: from a folder of images to finished masks, at human speed.

    scripts/with_display.sh python docs/make_film.py [--out DIR]

The real window is used by real events: a folder is dropped, class names are typed, keys answer
(ground truth says which), regions that the first model has wrong are clicked. Each answer takes
`ANSWER_S`, so that the elapsed time, which is printed with each picture, is that of a person.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from make_pictures import EXPORT, MODEL, Desk
from PIL import Image
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton

from napari_al import DataFolder, Oracle
from napari_al.core import IGNORE
from napari_al.formats.sample import sample_data_path
from napari_al.plugin.viewers import close_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANSWER_S = 2.0
"""For an answer: what people take for one click a region, once they know the classes."""
READ_S = 5.0
"""To look at something new: the start page, the first prediction, what is exported."""
N_CORRECTED = 6
WIDTH_PX, N_COLORS = 1024, 256
"""Of the pictures as they are kept."""


class Film:
    """The window, the clock, and the pictures taken so far."""

    def __init__(self, desk: Desk, truth: DataFolder) -> None:
        self.desk, self.truth, self.oracle = desk, truth, Oracle(truth)
        self._started, self._n_taken = time.perf_counter(), 0

    def picture(self, name: str) -> None:
        """Take a picture, small, and print how much time has passed."""
        elapsed_s = time.perf_counter() - self._started
        self._n_taken += 1
        name = f"film-{self._n_taken}-{name}"
        self.desk.picture(name)
        path = self.desk.out / f"{name}.png"
        with Image.open(path) as picture:
            size = (WIDTH_PX, round(picture.height * WIDTH_PX / picture.width))
            small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        # the colours of classes are few pixels, and have to be right
        small.quantize(N_COLORS, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
        print(f"  {int(elapsed_s // 60)} min {elapsed_s % 60:.0f} s")

    def offers(self, words: str) -> QPushButton | None:
        """Return the button of this name that is on screen."""
        buttons = self.desk.dock.findChildren(QPushButton)
        return next((b for b in buttons if b.accessibleName() == words and b.isVisible()), None)

    def press(self, words: str) -> None:
        QTest.mouseClick(self.offers(words), Qt.MouseButton.LeftButton)

    def drop(self, folder: Path) -> None:
        """Drop a folder on the start page."""
        start, data = self.desk.dock.start, QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(folder))])
        how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
               Qt.KeyboardModifier.NoModifier)  # fmt: skip
        QApplication.sendEvent(start, QDragEnterEvent(QPoint(50, 50), *how))
        QApplication.sendEvent(start, QDropEvent(QPointF(50, 50), *how))
        self.desk.until(lambda: start.source == folder)

    def answer(self, n: int) -> None:
        for _ in range(n):
            (class_id,) = self.oracle.answer(self.desk.query).class_ids
            self.desk.wait(ANSWER_S)
            self.desk.key(self.desk.bench.answering.class_keys[class_id])

    def wrong_pixels(self, image: str) -> list[tuple[int, int, int]]:
        """Return (row, column, true class) amid regions that the model has wrong, largest first."""
        session = self.desk.bench.session
        prediction, truth = session.prediction(image), self.truth.labels(image)
        region_map = session.region_map(image)
        found = []
        for region_id in np.unique(region_map[region_map >= 0]):
            inside = region_map == region_id
            given, true = _mostly(prediction[inside]), _mostly(truth[inside])
            if given != true != IGNORE:
                rows, cols = np.nonzero(inside)
                middle = np.hypot(rows - rows.mean(), cols - cols.mean()).argmin()
                found.append((inside.sum(), int(rows[middle]), int(cols[middle]), true))
        return [(row, col, true) for _, row, col, true in sorted(found, reverse=True)]

    def correct(self) -> None:
        """Click the regions that are wrong in the image on screen, and press the right key."""
        image = self.desk.bench.stage.image
        for row, col, class_id in self.wrong_pixels(image)[:N_CORRECTED]:
            self.desk.click(row, col)
            self.desk.until(lambda: self.desk.bench.query is not None)
            self.desk.wait(ANSWER_S)
            self.desk.key(self.desk.bench.answering.class_keys[class_id])


def _mostly(ids: NDArray[np.uint8]) -> int:
    return int(np.bincount(ids).argmax())


def shoot(film: Film, folder: Path) -> None:
    """Go from a folder of images to finished masks that are open as Labels."""
    desk, start = film.desk, film.desk.dock.start
    film.drop(folder)
    entry = start.class_list.entry
    entry.setFocus()
    QTest.keyClicks(entry, ", ".join(c.name for c in film.truth.classes))
    QTest.keyClick(entry, Qt.Key.Key_Return)
    desk.until(lambda: any(layer.name == "Region borders" for layer in desk.viewer.layers))
    desk.wait(READ_S)
    film.picture("folder")
    film.press("Start")
    film.answer(15)
    film.picture("answers")
    desk.tab(MODEL)
    film.answer(15)
    session = desk.bench.session
    while session.scores_round < 1:  # live: one answers on while the model is trained
        film.answer(1)
    desk.until(lambda: desk.bench.stage.layers.wants("prediction"))
    desk.wait(READ_S)
    desk.key("W")
    film.picture("prediction")
    film.correct()
    desk.key("W")
    desk.key("L")  # the answers, over what is predicted
    film.picture("corrected")
    desk.key("L")
    desk.tab(EXPORT)
    film.press("Export")
    desk.until(lambda: desk.dock.annotate.export.write.isVisible())
    desk.wait(READ_S)
    film.press("Write the files")
    desk.until(lambda: film.offers("Open as Labels layer"))
    film.press("Open as Labels layer")
    desk.until(lambda: any(type(layer).__name__ == "Labels" and "napari_al" not in layer.metadata
                           for layer in desk.viewer.layers))  # fmt: skip
    desk.key("P")
    film.picture("masks")
    print(f"{len(session.answers())} answers, {len(session.rounds())} trainings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True, parents=True)
    truth = DataFolder.open(sample_data_path())
    with tempfile.TemporaryDirectory() as work:
        os.environ["NAPARI_CONFIG"] = str(Path(work) / "settings.yaml")  # nobody's own
        folder = Path(work) / "coast"
        shutil.copytree(truth.path / "train" / "images", folder)
        desk = Desk(Path(work), args.out, (1280, 720), "dark", "right")
        shoot(Film(desk, truth), folder)
        close_all()
        desk.viewer.close()


if __name__ == "__main__":
    main()
