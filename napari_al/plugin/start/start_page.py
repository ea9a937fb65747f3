"""The start page: images, classes, question, regions, budget, model, project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_al.errors import InputError
from napari_al.plugin.preferences import Preferences, can_be_live
from napari_al.plugin.start.class_list import ClassList
from napari_al.plugin.start.existing_labels_box import ExistingLabelsBox
from napari_al.plugin.start.method_choice import MethodChoice
from napari_al.plugin.start.model_choice import ModelChoice
from napari_al.plugin.start.new_session import StartChoice, suggest_project
from napari_al.plugin.start.pseudo_label_box import PseudoLabelBox
from napari_al.plugin.start.recent_list import RecentList
from napari_al.plugin.start.region_size_box import RegionSizeBox
from napari_al.plugin.start.source_box import SourceBox
from napari_al.plugin.widgets.form_parts import button, choice, scrolled, text
from napari_al.plugin.widgets.retrain_box import RetrainBox

if TYPE_CHECKING:
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

    from napari_al.formats.dataset import ClassInfo
    from napari_al.plugin.start.new_session import FolderContents
    from napari_al.plugin.start.viewer_images import ViewerImages
    from napari_al.session.project.config import ProjectConfig

DEFAULT_BUDGET = 100
_ORDERS = {"score": "most worth asking first", "image": "image by image"}


class StartPage(QWidget):
    """Choices for a new project; the dock connects it."""

    folder_wanted = Signal(Path)
    """A folder to read."""
    preview_wanted = Signal()
    """The preview is outdated."""
    data_located = Signal(Path, Path)
    """A project whose data folder was missing, and where it is now."""
    start_wanted = Signal(object)
    """A ``StartChoice``."""

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)
        self._classes_of_folder: tuple[ClassInfo, ...] = ()
        self._own_project = self._can_correct = False
        self._preferences = Preferences()
        self._given: dict[str, Any] = {}  # settings of a command, also such as are not shown here
        self.recent = RecentList("Go on with", can_forget=True)
        self.sources = SourceBox()
        self.sources.viewer_images_changed.connect(self.show_viewer_images)
        for folders in (self.recent.picked, self.sources.folder_wanted):
            folders.connect(self.folder_wanted.emit)
        self.class_list = ClassList()
        self.class_list.failed.connect(self.show_message)
        self.class_list.changed.connect(self._refresh)
        self.class_list.changed.connect(lambda: self.show_message(""))
        self.question = MethodChoice()
        self.question.changed.connect(self._on_method)
        self.existing_labels = ExistingLabelsBox()
        self.existing_labels.changed.connect(self._refresh_corrections)
        self.pseudo_labels = PseudoLabelBox()
        self.regions = RegionSizeBox()
        # at once: later it would hide what was said since
        self.regions.changing.connect(lambda: self.show_message(""))
        self.regions.changed.connect(self.preview_wanted.emit)
        self.budget = QSpinBox()
        self.budget.setRange(1, 1_000_000)
        self.budget.setValue(DEFAULT_BUDGET)
        self.budget.setToolTip("clicks after which a model is trained on all answers so far")
        self.order = choice(_ORDERS, "of a round's queries; image by image the eye stays put")
        self.model = ModelChoice()
        self.retrain_after = RetrainBox()
        self._retrain_label = text("Train again", wrap=False)
        self.project = QLineEdit()
        self.project.setToolTip("a new folder; answers and models are kept there")
        self.project.textEdited.connect(self._on_own_project)
        self.start = button("Start", "make the project and ask", self._start, role="main")
        self._busy = QProgressBar()
        self._busy.setRange(0, 0)
        self._busy.setVisible(False)
        self._message = text("", "message")
        self._message.setVisible(False)
        self._without_data: Path | None = None
        self._locate = button("Locate data…", "where the images are now", self._choose_data)
        self._locate.setVisible(False)
        self._build()
        self._on_method()

    @property
    def source(self) -> Path | ViewerImages | None:
        """The images that are chosen."""
        return self.sources.source

    # ---- building

    def _build(self) -> None:
        """Lay out the choices in a scroll area, with message and button below it."""
        choices = QWidget()
        column = QVBoxLayout(choices)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        column.addWidget(self.recent)
        column.addWidget(text("Images", "title"))
        column.addWidget(self.sources)
        column.addWidget(text("Classes", "title"))
        column.addWidget(self.class_list)
        column.addWidget(text("Question", "title"))
        column.addWidget(self.question)
        column.addWidget(self.existing_labels)
        column.addWidget(self.pseudo_labels)
        column.addWidget(text("Regions", "title"))
        column.addWidget(self.regions)
        form = QFormLayout()
        form.setContentsMargins(0, 4, 0, 0)
        form.addRow("Clicks a round", self.budget)
        form.addRow(self._retrain_label, self.retrain_after)
        form.addRow("Order", self.order)
        form.addRow("Project", self._make_project())
        column.addLayout(form)
        column.addWidget(self.model)
        column.addStretch()
        foot = QVBoxLayout()
        foot.setContentsMargins(8, 4, 8, 6)
        for widget in (self._message, self._locate, self._busy, self.start):
            foot.addWidget(widget)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(scrolled(choices), 1)
        page.addLayout(foot)

    def _make_project(self) -> QHBoxLayout:
        choose = button("…", "choose a folder", self._choose_project)
        choose.setFixedWidth(28)
        row = QHBoxLayout()
        row.addWidget(self.project, 1)
        row.addWidget(choose)
        return row

    # ---- showing

    def set_preferences(self, preferences: Preferences) -> None:
        """Start with the user's preferences."""
        self._preferences = preferences
        self.budget.setValue(preferences.budget)
        self.retrain_after.setValue(preferences.retrain_after)

    def preset(self, project: Path | None, config: ProjectConfig, given: dict[str, Any]) -> None:
        """Start with a config; ``given``: its settings, which are kept even if not shown here."""
        self._given = given
        self.question.choose(config.method)
        if "budget" in given:
            self.budget.setValue(config.budget)
        if "retrain_after" in given:
            self.retrain_after.setValue(config.retrain_after or 0)
        if "segmenter" in given.get("training", {}):
            self.model.preset(config.training)
        self.regions.preset(config.regions.n_per_image, config.method.regions)
        self.order.setCurrentIndex(self.order.findData(config.acquisition.order))
        if project is not None:
            self.project.setText(str(project))
            self._own_project = True

    def show_found(self, found: FolderContents) -> None:
        """Show a data folder."""
        data = found.data
        if data is None:
            return
        self.sources.show_folder(found, data)
        if found.classes_known or found.classes_found:
            self.class_list.set_classes(data.classes)
            self._classes_of_folder = data.classes
        elif self.class_list.shows(self._classes_of_folder):  # another folder's; typed ones stay
            self.class_list.set_classes(())
        self._on_source(can_correct=found.can_correct)

    def show_viewer_images(self, images: ViewerImages) -> None:
        """Show the images that are open in the viewer."""
        self.sources.show_viewer_images(images)
        self._on_source(can_correct=False)

    def show_message(self, words: str) -> None:
        """Show an error until the next message; "" hides it."""
        self._message.setText(words)
        self._message.setVisible(bool(words))
        self._locate.setVisible(False)

    def show_missing_data(self, project: Path, words: str) -> None:
        """Show that the data folder of a project is missing, and offer to locate it."""
        self.show_message(words)
        self._without_data = project
        self._locate.setVisible(True)

    def _choose_data(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "The project's images")
        if name and self._without_data is not None:
            self.data_located.emit(self._without_data, Path(name))

    def show_busy(self, busy: bool) -> None:
        """Show that a folder is read or a project opened."""
        self._busy.setVisible(busy)
        self.start.setEnabled(not busy)
        if not busy:
            self._refresh()

    # ---- what was chosen

    def choice(self) -> StartChoice:
        """Return all choices.

        Raises
        ------
        InputError
            If something is missing.
        """
        from napari_al.session.project.settings import merged

        if self.source is None:
            raise InputError("Choose the images first.")
        if self.class_list.entry.text().strip():
            self.class_list.add_typed()
        project = self.project.text().strip()
        if not project:
            raise InputError("Name a folder for the project.")
        method = self.question.method
        shown = {
            "budget": self.budget.value(),
            "retrain_after": self.retrain_after.retrain_after if can_be_live(method) else None,
            "method": {"regions": self.regions.regions},
            "regions": {"n_per_image": self.regions.n_per_image},
            "acquisition": {"order": self.order.currentData()},
            "training": self.model.settings(),
        }
        not_shown = merged(self._not_shown(), self._given)
        return StartChoice(
            self.source,
            self.class_list.classes(),
            method.name,
            Path(project).expanduser(),
            merged(not_shown, shown),
            self.existing_labels.labels(),
            self.existing_labels.use_of_layers,
        )

    def _not_shown(self) -> dict[str, Any]:
        """Return what the user prefers, of what this page does not show."""
        preferred = self._preferences.settings(self.question.method)
        by_rounds = {} if self.retrain_after.retrain_after else {"validate_every": 1}
        return preferred | by_rounds

    @property
    def device(self) -> str:
        """Where models are to run."""
        given = self._given.get("training", {})
        return str(given.get("device", self._preferences.device))

    def _start(self) -> None:
        try:
            choice = self.choice()
        except InputError as error:
            self.show_message(str(error))
            return
        self.show_message("")
        self.start_wanted.emit(choice)

    # ---- dependent widgets

    def _on_source(self, *, can_correct: bool) -> None:
        self._own_project = False
        self._can_correct = can_correct
        self.existing_labels.set_source(in_viewer=not isinstance(self.source, Path))
        self._refresh_corrections()
        self.pseudo_labels.set_source(self.source if isinstance(self.source, Path) else None)
        self.show_message("")
        self._refresh()
        self.preview_wanted.emit()

    def _refresh_corrections(self) -> None:
        """Enable the question about labels where there are some, or will be."""
        will_be = self.existing_labels.makes_labels_to_correct
        self.question.set_can_correct(self._can_correct or will_be)

    def _on_method(self) -> None:
        self.regions.set_regions(self.question.method.regions)
        for widget in (self._retrain_label, self.retrain_after):
            widget.setVisible(can_be_live(self.question.method))
        self._refresh()

    def _refresh(self) -> None:
        if self.source is not None and not self._own_project:
            folder = self.source if isinstance(self.source, Path) else None
            self.project.setText(str(suggest_project(folder, self.question.method.name)))
        self.start.setEnabled(self.source is not None)

    def _on_own_project(self) -> None:
        self._own_project = True

    # ---- choosing folders

    def _choose_project(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "A new folder for the project")
        if name:
            self.project.setText(name)
            self._own_project = True

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Accept dragged folders."""
        if event is not None and any(u.isLocalFile() for u in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Read the dropped folder."""
        if event is not None:
            event.acceptProposedAction()
            urls = event.mimeData().urls()
            self.folder_wanted.emit(next(Path(u.toLocalFile()) for u in urls if u.isLocalFile()))
