"""Which channels of an image are shown, and in which colours."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from napari_al.plugin.layers.channel_view import COLOURS, ChannelView, default_view
from napari_al.plugin.widgets.form_parts import choice, scrolled, text

COMPOSITE = -1
N_ROWS_SHOWN = 6
ROW_PX = 30


class ChannelsBox(QWidget):
    """A composite of the channels chosen, each in a colour, or one channel in grey."""

    changed = Signal(tuple)
    """``ChannelView``s that are to be shown."""

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

    def set_channels(self, n_channels: int, *, are_rgb: bool) -> None:
        """Offer the channels of a project's images; nothing where there is no choice."""
        self.setVisible(n_channels > 1 and not are_rgb)
        with QSignalBlocker(self.shown):
            self.shown.clear()
            self.shown.addItem("composite", COMPOSITE)
            for index in range(n_channels):
                self.shown.addItem(f"channel {index + 1}, in grey", index)
        view = dict(default_view(n_channels))
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        self._rows = []
        for index in range(n_channels):
            switch = QCheckBox(f"channel {index + 1}")
            switch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            switch.setChecked(index in view)
            colour = choice({name: name for name in COLOURS}, f"colour of channel {index + 1}")
            at_first = view.get(index, tuple(COLOURS)[index % len(COLOURS)])
            colour.setCurrentIndex(colour.findData(at_first))
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
        self.layout().addWidget(self._list)

    @property
    def view(self) -> tuple[ChannelView, ...]:
        """What is to be shown."""
        single = self.shown.currentData()
        if single != COMPOSITE:
            return (ChannelView(int(single), "grey"),)
        return tuple(
            ChannelView(index, str(colour.currentData()))
            for index, (switch, colour) in enumerate(self._rows)
            if switch.isChecked()
        )

    def _on_shown(self) -> None:
        if self._list is not None:
            self._list.setVisible(self.shown.currentData() == COMPOSITE)
        self._emit()

    def _emit(self) -> None:
        self.changed.emit(self.view)
