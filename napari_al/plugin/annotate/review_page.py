"""Page to review the corrections that a model proposes, before any is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_al.core import IGNORE
from napari_al.plugin.annotate.queue_panel import THUMB_PX, thumbnail
from napari_al.plugin.widgets.form_parts import button, swatch, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.formats.dataset import ClassInfo
    from napari_al.methods.queries import AutomaticCorrection

_DATA: Any = Qt.ItemDataRole.UserRole


class ReviewPage(QWidget):
    """A list with a check box for each correction, the most confident first."""

    decided = Signal(tuple, tuple, bool)
    """Accepted, refused, and whether to apply all without review from now on."""
    looked_at = Signal(object)
    """The region of a correction that was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: Sequence[ClassInfo] = ()
        self._list = QListWidget()
        self._list.setIconSize(QSize(THUMB_PX, THUMB_PX))
        self._list.setToolTip("click: see the region; the box: apply this one or not")
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.currentItemChanged.connect(lambda item, _: self._on_current(item))
        self._list.itemChanged.connect(lambda _: self._count())
        self._always = QCheckBox("from now on apply all without asking")
        self._always.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.apply = button("Apply", "change these labels; one undo takes all back", self._apply)
        self.apply.setProperty("role", "main")
        row = QHBoxLayout()
        row.addWidget(button("All", "tick all", lambda: self._tick(True)), 1)
        row.addWidget(button("None", "tick none", lambda: self._tick(False)), 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        column.addWidget(text("Look-alikes", "question"))
        column.addWidget(
            text(
                "A small model has learnt from your corrections and would change these labels too.",
                "muted",
            )
        )
        column.addWidget(self._list, 1)
        column.addLayout(row)
        column.addWidget(self._always)
        column.addWidget(self.apply)

    def show_corrections(
        self,
        corrections: Sequence[AutomaticCorrection],
        classes: Sequence[ClassInfo],
    ) -> None:
        """List corrections, all ticked."""
        self._classes = classes
        self._list.blockSignals(True)
        self._list.clear()
        for correction in sorted(corrections, key=lambda c: -c.confidence):
            old, new = (_name(c, classes) for c in (correction.old_class, correction.new_class))
            item = QListWidgetItem(f"{old} → {new}\n{correction.confidence:.1%} sure")
            item.setToolTip(f"{correction.region.image}, {correction.region.mask.size} px")
            item.setData(_DATA, correction)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            item.setIcon(QIcon(swatch(classes[correction.new_class].color, THUMB_PX)))
            self._list.addItem(item)
        self._list.blockSignals(False)
        self._count()

    def show_thumbnails(self, image: str, picture: NDArray[np.uint8]) -> None:
        """Show pictures of the regions of one image."""
        self._list.blockSignals(True)
        for item in self._items():
            correction = item.data(_DATA)
            if correction.region.image == image:
                color = self._classes[correction.new_class].color
                item.setIcon(QIcon(thumbnail(picture, correction.region, color)))
        self._list.blockSignals(False)
        self._list.viewport().update()

    def _items(self) -> list[QListWidgetItem]:
        found = (self._list.item(row) for row in range(self._list.count()))
        return [item for item in found if item is not None]

    def _tick(self, on: bool) -> None:
        for item in self._items():
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def _count(self) -> None:
        ticked = sum(item.checkState() == Qt.CheckState.Checked for item in self._items())
        self.apply.setText(f"Apply {ticked} of {self._list.count()} and train")

    def _on_current(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.looked_at.emit(item.data(_DATA).region)

    def _apply(self) -> None:
        parts: dict[bool, list[AutomaticCorrection]] = {True: [], False: []}
        for item in self._items():
            parts[item.checkState() == Qt.CheckState.Checked].append(item.data(_DATA))
        self.decided.emit(tuple(parts[True]), tuple(parts[False]), self._always.isChecked())


def _name(class_id: int, classes: Sequence[ClassInfo]) -> str:
    return classes[class_id].name if class_id != IGNORE else "no label"
