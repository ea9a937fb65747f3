"""A bar of coloured parts: the share of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

HEIGHT_PX = 16


class ShareBar(QWidget):
    """Parts in the classes' colours; the tooltip names them, the largest first."""

    def __init__(self) -> None:
        super().__init__()
        self._shares: list[tuple[str, str, float]] = []
        self.setFixedHeight(HEIGHT_PX)

    def set_shares(self, shares: Sequence[tuple[str, str, float]]) -> None:
        """Show (name, ``#rrggbb``, amount); amounts are scaled to the width."""
        total = sum(amount for _, _, amount in shares)
        self._shares = [(n, c, amount / total) for n, c, amount in shares if amount and total]
        ordered = sorted(self._shares, key=lambda share: -share[2])
        self.setToolTip("\n".join(f"{name}  {share:.1%}" for name, _, share in ordered))
        self.update()

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """Draw the parts side by side."""
        painter = QPainter(self)
        left = 0.0
        for _, color, share in self._shares:
            width = share * self.width()
            painter.fillRect(QRectF(left, 0, max(1.0, width - 1), self.height()), QColor(color))
            left += width
        painter.end()
