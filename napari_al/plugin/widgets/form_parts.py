"""Labels, buttons, lists and boxes that all pages use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


MAX_NAME = 32
"""Characters of a project's name that are shown."""


def text(words: str = "", role: str = "", *, wrap: bool = True) -> QLabel:
    """Return a label; ``role`` is one of those in ``theme.style_sheet``."""
    label = QLabel(words)
    label.setWordWrap(wrap)
    if role:
        label.setProperty("role", role)
    if wrap:
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def button(
    words: str,
    tip: str,
    on_click: Callable[[], object] | None = None,
    *,
    key: str = "",
    role: str = "",
) -> QPushButton:
    """Return a button that never takes the keyboard focus; its key is shown beside its name."""
    made = QPushButton(f"{words}   {key}" if key else words)
    made.setToolTip(f"{tip}  ({key})" if key else tip)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setAccessibleName(words)
    if role:
        made.setProperty("role", role)
    if on_click is not None:
        made.clicked.connect(lambda _=False: on_click())
    return made


def elided(name: str) -> str:
    """Return a name with its middle left out where it is long."""
    if len(name) <= MAX_NAME:
        return name
    half = (MAX_NAME - 1) // 2
    return f"{name[: MAX_NAME - 1 - half]}…{name[-half:]}"


def choice(rows: Mapping[str, str], tip: str) -> QComboBox:
    """Return a combo box of (value: text) rows with a small minimum width."""
    box = QComboBox()
    for value, words in rows.items():
        box.addItem(words, value)
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(10)
    return box


def swatch(color: str, size: int = 14) -> QPixmap:
    """Return a square of a class's colour with a border visible on any background."""
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setBrush(QColor(color))
    painter.setPen(QColor(128, 128, 128))
    painter.drawRoundedRect(0, 0, size - 1, size - 1, 3, 3)
    painter.end()
    return pixmap


class CollapsibleBox(QCollapsible):
    """A box that is collapsed at first.

    Its arrow is text: superqt's icon would be black in napari's dark theme, too.
    """

    def __init__(self, title: str) -> None:
        super().__init__("", None, QIcon(), QIcon())
        self.toggleButton().setAccessibleName(title)
        self._title = title
        self._show_arrow(False)
        self.toggled.connect(self._show_arrow)

    def _show_arrow(self, is_open: bool) -> None:
        self.setText(f"{'▾' if is_open else '▸'}  {self._title}")


def scrolled(page: QWidget) -> QScrollArea:
    """Return a page in a scroll area that scrolls vertically only."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(page)
    return area
