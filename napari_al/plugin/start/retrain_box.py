"""After how many answers a model is trained again: live, or by rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSpinBox

from napari_al.plugin.preferences import can_be_live

if TYPE_CHECKING:
    from napari_al.methods.table import Method


class RetrainBox(QSpinBox):
    """A number of answers; 0 = when the clicks are spent."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(0, 10_000)
        self.setPrefix("after ")
        self.setSuffix(" answers")
        self.setSpecialValueText("when the clicks are spent")
        self.setToolTip(
            "live: the model is trained again while you go on; 0: by rounds, as in the papers"
        )

    def retrain_after(self, method: Method) -> int | None:
        """Return the setting for a method; None: by rounds."""
        return self.value() or None if can_be_live(method) else None
