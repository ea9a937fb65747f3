"""What a workbench tells its views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal, SignalGroup

from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


class WorkbenchEvents(SignalGroup):
    """What views listen to; all on the window's thread."""

    opened = Signal()
    closed = Signal()
    asked = Signal(object)
    """The query now on screen, or None: ``Workbench.pause`` says why."""
    classes_changed = Signal()
    """Classes were added, renamed, recoloured or merged, or such an edit was undone."""
    begun = Signal(str)
    """The first of a class's two keys was pressed; "" = no longer."""
    chosen = Signal(object)
    """The classes chosen so far for the query on screen (frozenset)."""
    rest_changed = Signal(object)
    """The class that the rest of a rectangle gets, or None."""
    counted = Signal(object)
    """A new ``Tally``."""
    balanced = Signal(object)
    """A new ``Ledger``, some time after the tally."""
    came_up = Signal(tuple)
    """The queries that come next."""
    progressed = Signal(object)
    """A ``JobProgress``."""
    job_changed = Signal()
    """A job began or ended, or another model's scores are there."""
    proposed = Signal(tuple)
    """Corrections to look at; ``Trainer.decide`` takes the decision."""
    told = Signal(str)
    """A sentence for the person at the screen."""
    find_class = Signal()
    """The search field for classes is wanted."""
    edit_classes = Signal()
    """The page to edit classes on is wanted."""
    help = Signal()
    """The page with all keys is wanted, or no longer."""

    def attempt(self, action: Callable[[], object]) -> bool:
        """Do something that input can make fail; say what went wrong and return False then."""
        try:
            action()
        except (InputError, OSError) as error:
            self.told.emit(str(error))
            return False
        return True
