"""The images of a new project: a folder, images in the viewer, or the sample data."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGridLayout, QVBoxLayout, QWidget

from napari_al.plugin.control.answer_statistics import count
from napari_al.plugin.start.recent_list import RecentList, listed
from napari_al.plugin.widgets.form_parts import button, text

if TYPE_CHECKING:
    from napari_al.formats.dataset import DataFolder
    from napari_al.plugin.start.new_session import FolderContents
    from napari_al.plugin.start.viewer_images import ViewerImages


class SourceBox(QWidget):
    """Buttons to choose images with, and which ones are chosen.

    Attributes
    ----------
    source : Path, ViewerImages or None
    """

    folder_wanted = Signal(Path)
    """A folder to read."""
    viewer_wanted = Signal()
    """Use the images in the viewer."""
    sample_wanted = Signal()
    viewer_images_changed = Signal(object)
    """The ``ViewerImages`` are taken as channels, or no longer."""

    def __init__(self) -> None:
        super().__init__()
        self.source: Path | ViewerImages | None = None
        self.projects_of_folder = RecentList("Projects of this folder", can_forget=False)
        self.projects_of_folder.picked.connect(self.folder_wanted.emit)
        self.images = text("Choose a folder of images, or drop one here.", "muted")
        self.as_channels = QCheckBox()
        self.as_channels.setToolTip("channels of one image, not images of their own")
        self.as_channels.setVisible(False)
        self.as_channels.toggled.connect(self._on_as_channels)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._make_buttons())
        for widget in (self.images, self.as_channels, self.projects_of_folder):
            column.addWidget(widget)

    def _make_buttons(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(3)
        for index, made in enumerate(
            (
                button("Open a folder…", "images, or a data folder with classes", self._open),
                button("Open a project…", "everything is as you left it", self._open),
                button(
                    "Images in the viewer",
                    "image layers open in napari; each plane of a stack is an image",
                    self.viewer_wanted.emit,
                ),
                button("Sample data", "an invented coast, to try it", self.sample_wanted.emit),
            )
        ):
            grid.addWidget(made, *divmod(index, 2))
        return grid

    def _open(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "A folder of images, or a project")
        if name:
            self.folder_wanted.emit(Path(name))

    def show_folder(self, found: FolderContents, data: DataFolder) -> None:
        """Show a data folder."""
        self.source = found.path
        self.as_channels.setVisible(False)
        shapes = {data.shape(name) for name in data.train[:50]}
        size = f"{min(shapes)[1]}×{min(shapes)[0]}" if len(shapes) == 1 else "several sizes"
        words = f"{found.path.name}: {_kinds(data)}, {size}, {data.n_channels} channels"
        if data.has_val:
            words += f"; {len(data.val)} to validate on"
        if data.broken:
            words += f"; {len(data.broken)} broken files left out"
        if data.notes:
            words += ". " + " ".join(data.notes)
        self.images.setText(words)
        self.images.setToolTip(str(found.path))
        self.projects_of_folder.show_projects(listed(found.projects))

    def show_viewer_images(self, images: ViewerImages) -> None:
        """Show the images that are open in the viewer."""
        self.source = images
        self.projects_of_folder.show_projects(())
        names = ", ".join(layer.name for layer in images.layers)
        channels = f" of {images.n_channels} channels" if images.are_channels else ""
        n = count(images.n_planes, "image")
        self.images.setText(f"{n}{channels} of the viewer ({names})")
        self.as_channels.setVisible(images.can_be_channels)
        self.as_channels.setText(images.channels_question)
        with QSignalBlocker(self.as_channels):
            self.as_channels.setChecked(images.are_channels)

    def _on_as_channels(self, checked: bool) -> None:
        if self.source is not None and not isinstance(self.source, Path):
            self.viewer_images_changed.emit(replace(self.source, are_channels=checked))


def _kinds(data: DataFolder) -> str:
    """Say how many images there are, and of which kinds where there are several."""
    kinds = Counter(Path(data.file_name(name)).suffix.lower() for name in data.train)
    n = count(len(data.train), "image")
    if len(kinds) == 1:
        return n
    return f"{n} ({', '.join(f'{k} {kind}' for kind, k in sorted(kinds.items()))})"
