"""The pages that are shown while a session is open: questions, review, classes."""

from __future__ import annotations

from qtpy.QtWidgets import QStackedWidget, QWidget

from napari_al.plugin.annotate.annotate_page import AnnotatePage
from napari_al.plugin.annotate.class_editor import ClassEditor
from napari_al.plugin.annotate.review_page import ReviewPage
from napari_al.plugin.widgets.form_parts import scrolled


class AnnotationPages(QStackedWidget):
    """Shows one of its three pages."""

    def __init__(self) -> None:
        super().__init__()
        self.annotate, self.review, self.editor = AnnotatePage(), ReviewPage(), ClassEditor()
        self._pages = (self.annotate, self.review, self.editor)
        for page in self._pages:
            self.addWidget(scrolled(page))

    @property
    def shown(self) -> QWidget:
        """The page on screen."""
        return self._pages[self.currentIndex()]

    def show_page(self, page: QWidget) -> None:
        """Show one of the pages."""
        self.setCurrentIndex(self._pages.index(page))
