"""Events of a workbench: each says what changed; all are emitted on the window's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal, SignalGroup

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


class WorkbenchEvents(SignalGroup):
    """What views of a workbench listen to."""

    opened = Signal(object)
    """An ``OpenSession``."""
    closed = Signal()
    query_changed = Signal(object)
    """The query on screen, or None: ``QueryNavigator.pause`` says why."""
    classes_changed = Signal()
    """Classes were added, renamed, recoloured or merged, or such an edit was undone."""
    key_prefix_changed = Signal(str)
    """The first key of a class with two keys was pressed; "" = no longer."""
    choice_changed = Signal(object)
    """Ids of the classes chosen so far for the query on screen (frozenset)."""
    rest_changed = Signal(object)
    """Class id of a rectangle's pixels outside all polygons, or None."""
    statistics_changed = Signal(object)
    """``AnswerStatistics``."""
    coverage_changed = Signal(object)
    """``CoverageStatistics``; computed in a thread, so later than the former."""
    upcoming_changed = Signal(tuple)
    """The next queries."""
    job_progress = Signal(object)
    """``JobProgress``."""
    job_changed = Signal()
    """A job started or ended, or scores of another model were loaded."""
    corrections_proposed = Signal(tuple)
    """Corrections to review; ``TrainingController.decide`` takes the decision."""
    told = Signal(str)
    """A message for the user."""
    find_class_requested = Signal()
    edit_classes_requested = Signal()
    help_requested = Signal()
    fold_requested = Signal()
    """Fold napari's own panels, or bring them back."""

    def attempt(self, action: Callable[[], object]) -> bool:
        """Run an action that input can make fail; report the error and return False then."""
        try:
            action()
        except (InputError, OSError) as error:
            self.report(error)
            return False
        return True

    def report(self, error: InputError | OSError) -> None:
        """Show an error to the user."""
        self.told.emit(str(error))
