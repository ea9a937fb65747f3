"""After how many answers a model is trained again: live, or by rounds."""

from __future__ import annotations

from qtpy.QtWidgets import QSpinBox


class RetrainBox(QSpinBox):
    """A number of answers; 0 = by rounds, when the clicks are spent."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(0, 10_000)
        self.setKeyboardTracking(False)  # a number counts once it is typed in full
        self.setPrefix("after ")
        self.setSuffix(" answers")
        self.setSpecialValueText("after each round")
        self.setToolTip(
            "live: the model is trained again while you go on; 0: by rounds, as in the papers"
        )

    @property
    def retrain_after(self) -> int | None:
        """The setting; None: by rounds."""
        return self.value() or None
