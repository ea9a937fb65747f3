"""Bars of class probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

    from napari_al.plugin.widgets.theme import ThemeColors

ROW_PX = 19
NAME_SHARE = 0.34


class ProbabilityBars(QWidget):
    """One bar a class, the most probable first; name on the left, number behind the bar."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[str, str, float]] = []
        self._colors = ("#888888", "#888888")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(0)

    def set_colors(self, colors: ThemeColors) -> None:
        """Use a theme's colours."""
        self._colors = (colors.text, colors.frame)
        self.update()

    def set_rows(self, rows: Sequence[tuple[str, str, float]]) -> None:
        """Show (name, ``#rrggbb``, probability)."""
        self._rows = list(rows)
        self.setFixedHeight(ROW_PX * len(self._rows))
        self.update()

    @property
    def rows(self) -> tuple[tuple[str, str, float], ...]:
        """What is shown."""
        return tuple(self._rows)

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """Draw the bars."""
        painter = QPainter(self)
        text, frame = (QColor(color) for color in self._colors)
        number_px = painter.fontMetrics().horizontalAdvance("0.00 ")
        left = NAME_SHARE * self.width()
        bar_px = self.width() - left - number_px - 6
        middle = Qt.AlignmentFlag.AlignVCenter
        for n, (name, color, share) in enumerate(self._rows):
            top = n * ROW_PX
            painter.setPen(text)
            shown_name = painter.fontMetrics().elidedText(
                name, Qt.TextElideMode.ElideRight, int(left) - 6
            )
            painter.drawText(QRectF(0, top, left - 6, ROW_PX), middle, shown_name)
            bar = QRectF(left, top + 4, max(2.0, bar_px * share), ROW_PX - 8)
            painter.setPen(QPen(frame, 1))
            painter.setBrush(QColor(color))
            painter.drawRect(bar)
            painter.setPen(text)
            behind = QRectF(bar.right() + 5, top, number_px, ROW_PX)
            painter.drawText(behind, middle, f"{share:.2f}")
        painter.end()
