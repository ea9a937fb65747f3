"""Labels, buttons, lists and boxes that all pages use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QKeySequence, QPainter, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QShortcut,
    QSizePolicy,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qtpy.QtGui import QResizeEvent


Button = TypeVar("Button", bound=QPushButton)
WIDE_PX = 10_000
"""In which any question is one line."""
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


class _WrappedText(QLabel):
    """A label that wraps, and is told of another width."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if event is not None and event.size().width() != event.oldSize().width():
            self._on_width()

    def _on_width(self) -> None:
        raise NotImplementedError


class SteadyText(_WrappedText):
    """A label that keeps the height of its longest words: what is below it jumps at most once."""

    def setText(self, words: str) -> None:
        """Show other words."""
        super().setText(words)
        if self.isVisible():
            self._grow_from(self.minimumHeight())

    def _on_width(self) -> None:
        self._grow_from(0)

    def _grow_from(self, height: int) -> None:
        self.setMinimumHeight(max(height, self.heightForWidth(self.width())))


class QuestionText(_WrappedText):
    """A question in large letters; in smaller ones, on the same line, where it is long."""

    def __init__(self) -> None:
        super().__init__("question")

    def setText(self, words: str) -> None:
        """Show another question."""
        if words != self.text():
            super().setText(words)
            self._fit()

    def _on_width(self) -> None:
        self._fit()

    def _fit(self) -> None:
        self._set_role("question")
        one_line = max(0, self.heightForWidth(WIDE_PX))  # -1: there are no words yet
        self.setMinimumHeight(one_line)
        if self.heightForWidth(self.width()) > one_line:
            self._set_role("title")

    def _set_role(self, role: str) -> None:
        if self.property("role") != role:
            self.setProperty("role", role)
            self.style().unpolish(self)
            self.style().polish(self)


class KeyButton(QPushButton):
    """A button that shows the key of what it does: beside its name, or in its tooltip alone.

    ``action`` is the action's name (``UserKeys``); `show_keys` asks for its key.
    """

    def __init__(self, words: str, tip: str, action: str, *, in_tip_only: bool = False) -> None:
        super().__init__()
        self.action = action
        self._words, self._tip, self._key, self._in_tip_only = words, tip, "", in_tip_only
        self._show()

    def set_words(self, words: str) -> None:
        """Show another name."""
        self._words = words
        self._show()

    def show_key(self, key: str) -> None:
        """Show another key."""
        self._key = key
        self._show()

    def _show(self) -> None:
        beside = self._key and not self._in_tip_only
        self.setText(f"{self._words}   {self._key}" if beside else self._words)
        self.setToolTip(f"{self._tip}  ({self._key})" if self._key else self._tip)
        self.setAccessibleName(self._words)


class KeyCap(QLabel):
    """The key of an action, framed."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action = action
        self.setProperty("role", "key")

    def show_key(self, key: str) -> None:
        """Show another key."""
        self.setText(key)


def show_keys(within: QWidget, hint: Callable[[Any], str]) -> None:
    """Show the keys in force on everything in a widget that shows one; ``hint`` of an action."""
    for made in (*within.findChildren(KeyButton), *within.findChildren(KeyCap)):
        made.show_key(hint(made.action))


def button(
    words: str, tip: str, on_click: Callable[[], object] | None = None, *, role: str = ""
) -> QPushButton:
    """Return a button that never takes the keyboard focus."""
    made = QPushButton(words)
    made.setToolTip(tip)
    made.setAccessibleName(words)
    return _finish(made, on_click, role)


def key_button(
    words: str,
    tip: str,
    on_click: Callable[[], object],
    action: str,
    *,
    in_tip_only: bool = False,
    role: str = "",
) -> KeyButton:
    """Return a button for what a key does, too."""
    return _finish(KeyButton(words, tip, action, in_tip_only=in_tip_only), on_click, role)


def _finish(made: Button, on_click: Callable[[], object] | None, role: str) -> Button:
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    if role:
        made.setProperty("role", role)
    if on_click is not None:
        made.clicked.connect(lambda _=False: on_click())
    return made


class DoneButton(QPushButton):
    """Leaves a page: by a click, or by Esc wherever on the page the focus is."""

    def __init__(self, page: QWidget, on_done: Callable[[], object]) -> None:
        super().__init__("Done   Esc")
        self.setToolTip("back to the questions")
        self.setAccessibleName("Done")
        self.escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), page)
        self.escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.escape.activated.connect(lambda: on_done())
        _finish(self, on_done, "main")


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
