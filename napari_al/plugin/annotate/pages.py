"""The pages that are shown while a session is open: questions, review, classes, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QStackedWidget, QWidget

from napari_al.plugin.annotate.annotate_page import AnnotatePage
from napari_al.plugin.annotate.class_editor import ClassEditor
from napari_al.plugin.annotate.keys_page import KeysPage
from napari_al.plugin.annotate.review_page import ReviewPage
from napari_al.plugin.widgets.form_parts import scrolled, show_keys

if TYPE_CHECKING:
    from napari_al.plugin.control.keys import UserKeys


class AnnotationPages(QStackedWidget):
    """Shows one of its four pages."""

    def __init__(self) -> None:
        super().__init__()
        self.annotate, self.review, self.editor = AnnotatePage(), ReviewPage(), ClassEditor()
        self.keys = KeysPage()
        self._pages = (self.annotate, self.review, self.editor, self.keys)
        for page in self._pages:
            self.addWidget(scrolled(page))

    def show_keys(self, keys: UserKeys) -> None:
        """Show the keys in force on all pages."""
        self.annotate.show_keys(keys)
        self.keys.show_keys(keys)
        show_keys(self.editor, keys.hint)

    @property
    def shown(self) -> QWidget:
        """The page on screen."""
        return self._pages[self.currentIndex()]

    def show_page(self, page: QWidget) -> None:
        """Show one of the pages."""
        self.setCurrentIndex(self._pages.index(page))
