"""Thumbnails of upcoming queries, to answer several at once, and of past answers to change."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_al.plugin.widgets.form_parts import button, swatch, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_al.formats.dataset import ClassInfo
    from napari_al.methods.queries import Answer, Query, Region

    ImageOf = Callable[[str], NDArray[np.uint8] | None]

THUMB_PX = 64
N_PAST = 60
MAX_ICONS = 200
WORDS_PX = 16


def thumbnail(image: NDArray[np.uint8], region: Region, color: str | None = None) -> QPixmap:
    """Return a square thumbnail of a region and its surroundings.

    ``color`` frames it if given.
    """
    row0, col0, row1, col1 = region.mask.box
    half = int(0.8 * max(row1 - row0, col1 - col0, 12))
    row, col = (row0 + row1) // 2, (col0 + col1) // 2
    top, left = max(0, row - half), max(0, col - half)
    part = image[top : row + half, left : col + half]
    inside = np.zeros(part.shape[:2], bool)
    inside[row0 - top : row1 - top, col0 - left : col1 - left] = region.mask.crop()
    rgb = np.repeat(part[..., None], 3, axis=2) if part.ndim == 2 else part
    shown = np.ascontiguousarray(np.where(inside[..., None], rgb, rgb // 2))
    height, width = shown.shape[:2]
    small = QPixmap.fromImage(
        QImage(shown.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    ).scaled(THUMB_PX, THUMB_PX, Qt.AspectRatioMode.KeepAspectRatio)
    out = QPixmap(THUMB_PX, THUMB_PX)
    out.fill(QColor(color) if color else Qt.GlobalColor.transparent)
    painter = QPainter(out)
    margin = 4 if color else 0
    side = THUMB_PX - 2 * margin
    painter.drawPixmap(
        margin + (side - min(side, small.width())) // 2,
        margin + (side - min(side, small.height())) // 2,
        small.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio),
    )
    painter.end()
    return out


class QueuePanel(QWidget):
    """Two strips of thumbnails."""

    picked = Signal(object)
    """The query of a thumbnail that was clicked."""
    selected = Signal(tuple)
    """The queries that are selected, if they are several; else ()."""
    many_answered = Signal(list, int)
    """Queries and the class that all of them get."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: Sequence[ClassInfo] = ()
        self._icons: dict[tuple[object, ...], QIcon] = {}
        self._deferred: dict[str, Callable[[], None]] = {}  # updates deferred until visible
        self._upcoming = _strip(0)
        self._upcoming.setToolTip("click: answer this one now; Ctrl+click: select several")
        self._upcoming.itemClicked.connect(self._on_clicked)
        self._upcoming.itemSelectionChanged.connect(self._on_selected)
        self._past = _strip(WORDS_PX)
        self._past.setToolTip("click: go back to it and change the answer")
        self._past.itemClicked.connect(self._on_picked)
        self._class = QComboBox()
        self._class.setToolTip("the class that all selected regions get")
        self._apply = button("Give", "one click each; one undo takes all back", self._on_apply)
        self._bulk = QWidget()
        row = QHBoxLayout(self._bulk)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(text("All selected are", wrap=False))
        row.addWidget(self._class, 1)
        row.addWidget(self._apply)
        self._hint = text("Ctrl+click several that look alike to answer them at once.", "muted")
        column = QVBoxLayout(self)
        column.setSpacing(4)
        column.addWidget(text("Coming", "title"))
        column.addWidget(self._upcoming)
        column.addWidget(self._bulk)
        column.addWidget(self._hint)
        column.addWidget(text("Answered, newest first", "title"))
        column.addWidget(self._past)
        column.addStretch()
        self._on_selected()

    def set_classes(self, classes: Sequence[ClassInfo], *, bulk: bool) -> None:
        """Use these classes; ``bulk``: several queries can get one class at once."""
        self._classes = classes
        self._class.clear()
        for info in classes:
            self._class.addItem(QIcon(swatch(info.color)), info.name, info.id)
        self._hint.setVisible(bulk)
        mode = QAbstractItemView.SelectionMode
        self._upcoming.setSelectionMode(mode.ExtendedSelection if bulk else mode.SingleSelection)

    def show_upcoming(self, queries: Sequence[Query], image_of: ImageOf) -> None:
        """Show the next queries, with thumbnails of images that are loaded."""
        self._deferred["upcoming"] = partial(self._fill_upcoming, queries, image_of)
        self._fill()

    def show_past(self, answers: Sequence[Answer], image_of: ImageOf) -> None:
        """Show the newest answers."""
        self._deferred["past"] = partial(self._fill_past, answers[-N_PAST:], image_of)
        self._fill()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Fill the strips when they become visible: it takes too long while they are hidden."""
        super().showEvent(event)
        self._fill()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Select nothing: an answer must not go to regions that are out of sight."""
        super().hideEvent(event)
        self._upcoming.clearSelection()

    def _fill(self) -> None:
        while self._deferred and self.isVisible():
            self._deferred.popitem()[1]()

    def _fill_upcoming(self, queries: Sequence[Query], image_of: ImageOf) -> None:
        chosen = {item.data(_DATA).region for item in self._upcoming.selectedItems()}
        self._upcoming.clear()
        for query in queries:
            self._add(self._upcoming, query, image_of, "", None)
        for row in range(self._upcoming.count()):
            item = self._upcoming.item(row)
            if item is not None and item.data(_DATA).region in chosen:
                item.setSelected(True)

    def _fill_past(self, answers: Sequence[Answer], image_of: ImageOf) -> None:
        self._past.clear()
        names = {info.id: info for info in self._classes}
        for answer in reversed(answers):
            given = [names[c] for c in answer.class_ids if c in names]
            words = ", ".join(info.name for info in given) or answer.outcome
            color = given[0].color if len(given) == 1 else None
            self._add(self._past, answer.query, image_of, words, color)

    def _add(
        self,
        strip: QListWidget,
        query: Query,
        image_of: ImageOf,
        words: str,
        color: str | None,
    ) -> None:
        image = image_of(query.region.image)
        item = QListWidgetItem(words)
        item.setData(_DATA, query)
        item.setToolTip(f"{query.region.image}  {words}")
        if image is not None and _fits(query.region, image):
            item.setIcon(self._icon(image, query.region, color))
        else:
            empty = QPixmap(THUMB_PX, THUMB_PX)
            empty.fill(QColor(color or "#555555"))
            item.setIcon(QIcon(empty))
        strip.addItem(item)

    def _icon(self, image: NDArray[np.uint8], region: Region, color: str | None) -> QIcon:
        """Return a region's thumbnail, cached."""
        key = (region.image, region.mask.box, region.mask.size, color)
        if key not in self._icons:
            if len(self._icons) >= MAX_ICONS:
                self._icons.clear()
            self._icons[key] = QIcon(thumbnail(image, region, color))
        return self._icons[key]

    def _on_picked(self, item: QListWidgetItem) -> None:
        self.picked.emit(item.data(_DATA))

    def _on_clicked(self, item: QListWidgetItem) -> None:
        if QApplication.keyboardModifiers() == Qt.KeyboardModifier.NoModifier:
            self._on_picked(item)

    def _on_selected(self) -> None:
        queries = tuple(item.data(_DATA) for item in self._upcoming.selectedItems())
        self._bulk.setVisible(len(queries) > 1)
        self.selected.emit(queries if len(queries) > 1 else ())

    def _on_apply(self) -> None:
        queries = [item.data(_DATA) for item in self._upcoming.selectedItems()]
        self._upcoming.clearSelection()
        self.many_answered.emit(queries, int(self._class.currentData()))


def _fits(region: Region, image: NDArray[np.uint8]) -> bool:
    """Whether the region lies inside the image, which may have been replaced by a smaller one."""
    return bool(region.mask.box[2] <= image.shape[0] and region.mask.box[3] <= image.shape[1])


_DATA: Any = Qt.ItemDataRole.UserRole


def _strip(words_px: int) -> QListWidget:
    strip = QListWidget()
    strip.setViewMode(QListWidget.ViewMode.IconMode)
    strip.setIconSize(QSize(THUMB_PX, THUMB_PX))
    strip.setGridSize(QSize(THUMB_PX + 14, THUMB_PX + 8 + words_px))
    strip.setFlow(QListWidget.Flow.LeftToRight)
    strip.setWrapping(False)
    strip.setMovement(QListWidget.Movement.Static)
    strip.setFixedHeight(THUMB_PX + 28 + words_px)
    strip.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    strip.setTextElideMode(Qt.TextElideMode.ElideRight)
    return strip
