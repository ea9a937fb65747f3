"""All images: how far each is, going to one, asking in it, accepting what is predicted of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractListModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QListView, QVBoxLayout, QWidget

from napari_al.plugin.widgets.form_parts import button, choice, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qtpy.QtGui import QShowEvent

    from napari_al.methods.table import QueryType
    from napari_al.session.pool.images import ImageProgress

    ThumbnailOf = Callable[[str], NDArray[np.uint8] | None]

ICON = QSize(56, 42)
LIST_PX = 100
"""Height of the list at least."""
ORDERS = {
    "score": "most worth asking first",
    "share": "least answered first",
    "name": "by name",
}
ACCEPTED_TYPES = ("dominant", "correction")
"""Queries for one class a region: these can be answered as predicted."""


class ImagesModel(QAbstractListModel):
    """The images in an order; thumbnails are asked for when a row is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[ImageProgress] = []
        self.thumbnail_of: ThumbnailOf = lambda _: None
        self._icons: dict[str, QIcon] = {}
        self._empty = QPixmap(ICON)
        self._empty.fill(Qt.GlobalColor.darkGray)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of images."""
        return len(self.images)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the words, the thumbnail or the tooltip of a row."""
        image = self.images[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{image.image}\n{about(image)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{image.image}: {image.n_answered} of {image.n_regions} regions answered"
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(image.image)
        return None

    def replace(self, images: list[ImageProgress]) -> None:
        """Show other rows."""
        same = [i.image for i in images] == [i.image for i in self.images]
        if same:
            self.images = images
            self.dataChanged.emit(self.index(0), self.index(len(images) - 1))
            return
        self.beginResetModel()
        self.images = images
        self.endResetModel()

    def on_thumbnail(self, name: str) -> None:
        """Paint the row of an image whose thumbnail is there."""
        for row, image in enumerate(self.images):
            if image.image == name:
                self.dataChanged.emit(self.index(row), self.index(row))

    def forget_icons(self) -> None:
        """Other images have these names now."""
        self._icons.clear()

    def _icon(self, name: str) -> QIcon | QPixmap:
        if name not in self._icons:
            picture = self.thumbnail_of(name)
            if picture is None:
                return self._empty
            self._icons[name] = QIcon(_pixmap(picture))
        return self._icons[name]


class ImagesPanel(QWidget):
    """The images in a list, and what can be done with the one on screen."""

    picked = Signal(str)
    """Ask in this image from now on; "": in any."""
    accept_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._fill_later: Callable[[], None] | None = None  # the update to do once it is visible
        self.order = choice(ORDERS, "of the images")
        self.order.currentIndexChanged.connect(lambda _: self._sort())
        self.model = ImagesModel()
        self.list = QListView()
        self.list.setModel(self.model)
        self.list.setIconSize(ICON)
        self.list.setUniformItemSizes(True)
        self.list.setMinimumHeight(LIST_PX)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setToolTip("click: go there, and ask in this image until you leave it")
        self.list.clicked.connect(self._on_clicked)
        self.accept = button(
            "Accept the rest as predicted",
            "every open region of the image on screen gets the class that is predicted of most of"
            " it, for one click; one undo takes all of it back",
            self.accept_wanted.emit,
        )
        self.leave = button("Ask in all images", "leave it", lambda: self.picked.emit(""))
        self._where = text("", "muted")
        row = QHBoxLayout()
        row.addWidget(text("Order", wrap=False))
        row.addWidget(self.order, 1)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        where = QHBoxLayout()
        where.addWidget(self._where, 1)
        where.addWidget(self.leave)
        column.addWidget(self.accept)
        column.addLayout(where)
        column.addLayout(row)
        column.addWidget(self.list, 1)
        self.show_only_in("", "")

    def set_query_type(self, query_type: QueryType) -> None:
        """Offer to accept predictions where an answer is a class a region."""
        can_accept = query_type in ACCEPTED_TYPES
        self.accept.setEnabled(can_accept)
        self.accept.setText(
            "Accept the rest as predicted"
            if can_accept
            else "Accept the rest: needs one class a region"
        )
        self.model.forget_icons()

    def show_only_in(self, image: str, on_screen: str) -> None:
        """Show in which image is asked, and which one is on screen."""
        self.leave.setVisible(bool(image))
        here = f"Asking in {image} alone." if image else "Asking in all images."
        on_screen = image or on_screen
        self._where.setText(here)
        for row, progress in enumerate(self.model.images):
            if progress.image == on_screen:
                self.list.setCurrentIndex(self.model.index(row))

    def show_images(
        self, progress: Callable[[], list[ImageProgress]], thumbnail_of: ThumbnailOf
    ) -> None:
        """Show how far the images are, as soon as the list is visible."""
        self.model.thumbnail_of = thumbnail_of
        self._fill_later = partial(self._fill, progress)
        self._fill_if_visible()

    def on_thumbnail(self, image: str) -> None:
        """Show the thumbnail of an image that has been loaded."""
        if self.isVisible():
            self.model.on_thumbnail(image)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Fill the list when it becomes visible."""
        super().showEvent(event)
        self._fill_if_visible()

    def _fill_if_visible(self) -> None:
        if self._fill_later is not None and self.isVisible():
            fill, self._fill_later = self._fill_later, None
            fill()

    def _fill(self, progress: Callable[[], list[ImageProgress]]) -> None:
        self.model.replace(in_order(progress(), self.order.currentData()))

    def _sort(self) -> None:
        self.model.replace(in_order(self.model.images, self.order.currentData()))

    def _on_clicked(self, index: QModelIndex) -> None:
        self.picked.emit(self.model.images[index.row()].image)


def in_order(images: Sequence[ImageProgress], order: str) -> list[ImageProgress]:
    """Return images by a key of `ORDERS`; ties by name."""
    by_name = sorted(images, key=lambda image: image.image)
    if order == "score":
        return sorted(by_name, key=lambda image: -(image.score or 0.0))
    if order == "share":
        return sorted(by_name, key=lambda image: (not image.n_regions, image.share_answered))
    return by_name


def about(image: ImageProgress) -> str:
    """Return how far an image is, in a line."""
    if not image.n_regions:
        return "nothing to ask"
    words = f"{image.share_answered:.0%} answered"
    return words if image.score is None else f"{words} · score {image.score:.2f}"


def _pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    rgb = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    shown = np.ascontiguousarray(rgb)
    height, width = shown.shape[:2]
    image = QImage(shown.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    return QPixmap.fromImage(image).scaled(ICON, Qt.AspectRatioMode.KeepAspectRatio)
