"""Which channels of an image are shown, and in which colours."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from napari_al.plugin.layers.channel_view import COLOURS, ChannelChoice
from napari_al.plugin.widgets.form_parts import choice, scrolled, text

COMPOSITE = -1
N_ROWS_SHOWN = 6
ROW_PX = 30


class ChannelsBox(QWidget):
    """A composite of the channels chosen, each in a colour, or one channel in grey."""

    changed = Signal(object)
    """A ``ChannelChoice``: what is to be shown."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[QCheckBox, QWidget]] = []
        self.shown = choice({}, "several channels in colours, or one in grey")
        self.shown.currentIndexChanged.connect(lambda _: self._on_shown())
        self._list: QScrollArea | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(text("Channels", "title"))
        column.addWidget(self.shown)
        self.setVisible(False)

    def set_choice(self, chosen: ChannelChoice, *, are_rgb: bool) -> None:
        """Offer the channels of a project's images; nothing where there is no choice."""
        n_channels = len(chosen.colours)
        self.setVisible(n_channels > 1 and not are_rgb)
        with QSignalBlocker(self.shown):
            self.shown.clear()
            self.shown.addItem("composite", COMPOSITE)
            for index in range(n_channels):
                self.shown.addItem(f"channel {index + 1}, in grey", index)
            if chosen.in_grey is not None:
                self.shown.setCurrentIndex(self.shown.findData(chosen.in_grey))
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        self._rows = []
        for index in range(n_channels):
            switch = QCheckBox(f"channel {index + 1}")
            switch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            switch.setChecked(chosen.in_composite[index])
            colour = choice({name: name for name in COLOURS}, f"colour of channel {index + 1}")
            colour.setCurrentIndex(colour.findData(chosen.colours[index]))
            for signal in (switch.toggled, colour.currentIndexChanged):
                signal.connect(lambda *_: self._emit())
            grid.addWidget(switch, index, 0)
            grid.addWidget(colour, index, 1)
            self._rows.append((switch, colour))
        if self._list is not None:
            self.layout().removeWidget(self._list)
            self._list.deleteLater()
        self._list = scrolled(page)
        self._list.setFixedHeight(min(n_channels, N_ROWS_SHOWN) * ROW_PX + 8)
        self._list.setVisible(chosen.in_grey is None)
        self.layout().addWidget(self._list)

    @property
    def choice(self) -> ChannelChoice:
        """What is to be shown."""
        in_grey = int(self.shown.currentData())
        return ChannelChoice(
            None if in_grey == COMPOSITE else in_grey,
            tuple(switch.isChecked() for switch, _ in self._rows),
            tuple(str(colour.currentData()) for _, colour in self._rows),
        )

    def _on_shown(self) -> None:
        if self._list is not None:
            self._list.setVisible(self.shown.currentData() == COMPOSITE)
        self._emit()

    def _emit(self) -> None:
        self.changed.emit(self.choice)
