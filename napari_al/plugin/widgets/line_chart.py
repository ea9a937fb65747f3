"""A small line chart.

Painted with QPainter, as it is updated several times a second during training: matplotlib's Qt
canvas takes tens of milliseconds per update on the window's thread, and a second to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

    from napari_al.plugin.widgets.theme import ThemeColors

MAX_POINTS = 600


class LineChart(QWidget):
    """One line with its title, last value, and the range of both axes.

    Parameters
    ----------
    title, x_name : str
    digits : int
        Of the values on the vertical axis.
    dots : bool
        Mark every point.
    """

    def __init__(self, title: str, x_name: str, *, digits: int = 2, dots: bool = False) -> None:
        super().__init__()
        self._title, self._x_name, self._digits, self._dots = title, x_name, digits, dots
        self._points: list[tuple[float, float]] = []
        self._mark: int | None = None
        self._colors = ("#888888", "#888888", "#888888")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(128)

    def set_colors(self, colors: ThemeColors) -> None:
        """Use a theme's colours."""
        self._colors = (colors.text, colors.muted, colors.warning)
        self.update()

    def set_points(self, points: Sequence[tuple[float, float]]) -> None:
        """Show these (x, y)."""
        self._points = list(points)
        self.update()

    def set_mark(self, index: int | None) -> None:
        """Mark one of the points by dashed lines; None: none."""
        self._mark = index
        self.update()

    def add(self, x: float, y: float) -> None:
        """Append a point; old points are thinned out beyond 1200."""
        self._points.append((x, y))
        if len(self._points) > 2 * MAX_POINTS:
            self._points = self._points[::2]
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self.set_points([])

    @property
    def n_points(self) -> int:
        """Number of points shown."""
        return len(self._points)

    def sizeHint(self) -> QSize:
        """Return the preferred size in a dock."""
        return QSize(280, 128)

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """Draw the chart."""
        text, muted, line = (QColor(c) for c in self._colors)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        height = painter.fontMetrics().height()
        left = painter.fontMetrics().horizontalAdvance("0.000") + 6
        top = 1.6 * height + 6
        area = QRectF(left, top, self.width() - left - 8, self.height() - top - height - 6)
        painter.setPen(text)
        painter.drawText(QPointF(0, height - 1), self._title)
        painter.setPen(QPen(muted, 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.drawLine(area.topLeft(), area.bottomLeft())
        if not self._points:
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "nothing yet")
        else:
            self._draw_line(painter, area, line, muted, height)
        painter.end()

    def _draw_line(
        self, painter: QPainter, area: QRectF, line: QColor, muted: QColor, height: int
    ) -> None:
        xs, ys = [p[0] for p in self._points], [p[1] for p in self._points]
        x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
        x_span, y_span = (x1 - x0) or 1.0, (y1 - y0) or 1.0
        middle = 0.5 if y1 == y0 else 0.0
        placed = QPolygonF(
            [
                QPointF(
                    area.left() + (x - x0) / x_span * area.width(),
                    area.bottom() - ((y - y0) / y_span + middle) * area.height(),
                )
                for x, y in self._points
            ]
        )
        painter.setPen(muted)
        right, centre = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignVCenter
        for y, value in ((area.top(), y1), (area.bottom(), y0)):
            box = QRectF(0, y - height / 2, area.left() - 4, height)
            painter.drawText(box, right | centre, f"{value:.{self._digits}f}")
            if y1 == y0:
                break
        below = QRectF(area.left(), area.bottom() + 2, area.width(), height)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, f"{x0:g}")
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, self._x_name)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{x1:g}")
        if self._mark is not None and self._mark < len(self._points):
            at = placed[self._mark]
            painter.setPen(QPen(muted, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(at.x(), area.top()), QPointF(at.x(), area.bottom()))
            painter.drawLine(QPointF(area.left(), at.y()), QPointF(area.right(), at.y()))
        painter.setPen(QPen(line, 2))
        painter.drawPolyline(placed)
        if self._dots or len(self._points) == 1:
            painter.setBrush(line)
            for point in placed:
                painter.drawEllipse(point, 3, 3)
        painter.setPen(line)
        last = QRectF(0, 0, self.width() - 8, height + 4)
        painter.drawText(last, right, f"{ys[-1]:.{self._digits + 1}f}")
