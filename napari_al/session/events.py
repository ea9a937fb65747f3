"""Events of a session."""

from __future__ import annotations

from psygnal import Signal, SignalGroup


class SessionEvents(SignalGroup):
    """Signals for views; emitted on the thread that ``dispatch`` of ``Session`` runs them on."""

    answered = Signal(tuple)
    """The answers submitted, after they are on disk."""
    undone = Signal(tuple)
    """The answers, the automatic corrections or the edit of classes taken back."""
    redone = Signal(tuple)
    """The answers, the automatic corrections or the edit of classes put back."""
    round_changed = Signal(int)
    """Another round is being answered, or the figures of a round's model are there."""
    scores_changed = Signal()
    """Scores, predictions and what comes next: of some images, or of all. The query stays."""
    unsaved_changed = Signal(int)
    """So many answers are held in memory because the log cannot be written; 0 = none any more."""
    warned = Signal(str)
    """A sentence about something that did not stop the work: an image left out, a smaller batch."""
    job_progress = Signal(object)
    """A ``JobProgress``."""
    job_finished = Signal(object)
    """A ``JobResult``: done, stopped or failed, with the reason."""
    classes_changed = Signal()
    """``Session.config`` has other classes: an edit, or one that was taken back or put back."""
